//! Every strategy by every driver against a server that does wrong by a script: the accounts must be the script's, to the
//! update.
//!
//! Usually one client at a time, so that nothing but the script goes wrong; several where a strategy's promise must
//! hold among them. What a strategy cannot know by its nature (it reads no replies, or ignores errors) is stated in its
//! `Info`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Client, ConnectionAddr};
use redis_lost_updates::record::Record;
use redis_lost_updates::strategy::{self, ALL, AfterLoss, Info, Replies, Strategy};
use redis_lost_updates::target::{Target, keyspace};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::{DriverKind, Workload};

use crate::model::{Fault, Log, Model};
use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Updates of one trial: a multiple of every batch.
const UPDATES: u64 = 800;

/// The script picks each of these: less often than a batch comes, so that not all of them are picked.
const EVERY: u64 = 40;

struct Case {
    info: &'static Info,
    driver: DriverKind,
    fault: Fault,
    batch: u64,
    record: Record,
    log: Log,
}

/// What every client of a trial does, and the script it does it against.
#[derive(Clone, Copy)]
struct Plan {
    fault: Fault,
    every: u64,
    clients: usize,
    updates: u64,
}

/// One trial; `None` if the model cannot run the strategy, because it is a single server and has only a few scripts.
fn trial(strategy: &dyn Strategy, driver: DriverKind, plan: Plan) -> Option<Case> {
    let Plan { fault, every, clients, updates } = plan;
    let model = Model::start(fault, every);
    let server = Target::at(&model.url()).unwrap().configurable();
    if strategy.unavailable(&server).unwrap().is_some() {
        return None;
    }
    let workload = Workload::one_key(clients).driven_by(driver);
    let mut crew = match Crew::open(&server, strategy, workload, 1, &NEVER) {
        Err(_) if model.log().has_unknown_code => return None,
        opened => opened.unwrap(),
    };
    let trial = crew.trial(updates, Duration::from_secs(60)).unwrap();
    let record = trial.record(strategy, &server, &workload);
    drop(crew);
    let info = strategy.info();
    Some(Case { info, driver, fault, batch: info.batch as u64, record, log: model.log() })
}

/// Runs `check` over every strategy by every driver it has, all at once: most of the time they wait.
fn everyone(fault: Fault, every: u64, updates: u64, check: fn(&Case)) {
    all_by(Plan { fault, every, clients: 1, updates }, check);
}

fn all_by(plan: Plan, check: fn(&Case)) {
    let fault = plan.fault;
    let mut cases = Vec::new();
    for &strategy in ALL {
        cases.push((strategy, DriverKind::Threads));
        if strategy.machines().is_some() {
            cases.extend([(strategy, DriverKind::Events), (strategy, DriverKind::Tasks)]);
        }
    }
    let checked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for (strategy, driver) in cases {
            let checked = &checked;
            let run = move || {
                if let Some(case) = trial(strategy, driver, plan) {
                    check(&case);
                    checked.fetch_add(1, Ordering::Relaxed);
                }
            };
            let named = std::thread::Builder::new().name(format!("{} {driver} {fault:?}", strategy.info().name));
            named.spawn_scoped(scope, run).unwrap();
        }
    });
    let checked = checked.into_inner();
    assert!(checked >= 52, "only {checked} cases could be checked");
}

impl Case {
    fn says(&self) -> String {
        let Self { info, driver, fault, batch, record, log } = self;
        let (name, r) = (info.name, record);
        format!(
            "{name} {driver} {fault:?}, batches of {batch}: {log:?}; attempted {:?} acked {:?} refused {:?} unknown {:?} \
             found {:?} lost {:?} doubled {:?} phantom {:?}, {:?}, {:?}",
            r.attempted, r.acked, r.refused, r.unknown, r.found, r.lost, r.doubled, r.phantom, r.verdict, r.error
        )
    }

    /// What must hold whatever happens: the counter is read right, and the parts make the whole.
    fn adds_up(&self) {
        let (record, says) = (&self.record, self.says());
        let figure = |figure: Option<u64>| figure.unwrap();
        let (acked, found) = (figure(record.acked), record.found.unwrap());
        if self.info.replies != Replies::Unread {
            assert_eq!(i128::from(found), self.log.gain.min(i64::MAX.into()), "{says}");
        }
        let parts = acked + figure(record.refused) + figure(record.unknown);
        assert_eq!(figure(record.attempted), parts, "{says}");
        let surplus = figure(record.doubled) + figure(record.phantom);
        let told = i128::from(acked) + i128::from(surplus) - i128::from(figure(record.lost));
        assert!((0..=figure(record.unknown).into()).contains(&(i128::from(found) - told)), "{says}");
    }

    /// The script's accounts of a trial in which every command was answered.
    fn is_the_scripts(&self) {
        self.adds_up();
        let (record, log, says) = (&self.record, &self.log, self.says());
        if matches!(self.info.replies, Replies::Unread | Replies::Early) {
            return assert_eq!(record.acked, record.attempted, "{says}");
        }
        let (acked, refused) = (log.acked, log.refused);
        let told = match self.info.replies {
            Replies::ErrorsIgnored => (acked + refused, 0, log.lost + refused),
            _ => (acked, refused, log.lost),
        };
        assert_eq!((record.acked, record.refused, record.lost), (Some(told.0), Some(told.1), Some(told.2)), "{says}");
        assert_eq!((record.doubled, record.phantom, record.unknown), (Some(log.doubled), Some(0), Some(0)), "{says}");
        assert_eq!(record.attempted, Some(acked + refused), "{says}");
    }

    fn is_exact(&self) -> bool {
        self.info.promise == Promise::Exact
    }

    /// Whether each update is an addition on the server, which a second execution repeats. A SET executed twice has the
    /// effect of one, and so does an update with an id.
    fn adds(&self) -> bool {
        let Info { commands, counted_by, after_loss, .. } = self.info;
        let by_incr = commands.iter().any(|command| command.starts_with("incr")) && !commands.contains(&"set");
        let by_script = commands.contains(&"evalsha") && !counted_by.is_empty();
        (by_incr || by_script) && *after_loss != AfterLoss::RetriesById
    }
}

#[test]
fn an_honest_server_makes_every_exact_strategy_exact() {
    everyone(Fault::Nothing, 1, UPDATES, |case| {
        case.is_the_scripts();
        assert!(!case.is_exact() || case.record.verdict == Some(Verdict::Exact), "{}", case.says());
        // 800 updates are 50 sums. Every eighth is dropped, so six.
        let dropped = if case.info.replies == Replies::Early { 6 * 16 } else { 0 };
        let is_apart = matches!(case.info.replies, Replies::Unread | Replies::ErrorsIgnored);
        assert!(is_apart || case.record.lost == Some(case.log.lost + dropped), "{}", case.says());
    });
}

#[test]
fn what_the_server_lost_is_lost_by_every_strategy() {
    everyone(Fault::Lose, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        assert!(
            case.log.lost > 0 || matches!(case.info.replies, Replies::Unread | Replies::ErrorsIgnored),
            "{}",
            case.says()
        );
        assert!(!case.is_exact() || case.record.verdict == Some(Verdict::Lost), "{}", case.says());
    });
}

#[test]
fn what_the_server_doubled_is_doubled_in_every_account() {
    everyone(Fault::Double, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        let verdict = if case.log.doubled > 0 { Verdict::Excess } else { Verdict::Exact };
        assert!(!case.is_exact() || case.record.verdict == Some(verdict), "{}", case.says());
        assert!(!(case.adds() && case.is_exact()) || case.log.doubled > 0, "{}", case.says());
    });
}

#[test]
fn what_the_server_refused_is_refused_and_no_broken_promise() {
    everyone(Fault::Refuse, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        assert!(case.log.refused > 0 || case.info.replies == Replies::Unread, "{}", case.says());
        assert!(!case.is_exact() || case.record.verdict == Some(Verdict::Exact), "{}", case.says());
    });
}

/// What must hold where a reply is missing or is none: nothing is called lost or doubled, what was acknowledged is what
/// was answered, and the rest is unknown.
fn is_not_known(case: &Case) {
    case.adds_up();
    let (record, log, says) = (&case.record, &case.log, case.says());
    let figure = |figure: Option<u64>| figure.unwrap();
    // A server that is out of memory answers with an error before the script has its turn, and a strategy that reads no
    // reply sees none missing.
    if case.info.replies != Replies::Checked {
        return;
    }
    assert_eq!((record.lost, record.doubled), (Some(log.lost), Some(0)), "{says}");
    // Behind a wrong reply nobody can say what the rest of a pipeline was told. The redis crate hands on to a task none of
    // the replies of one that was cut.
    let is_misfit = matches!(case.fault, Fault::Misfit { .. });
    let is_cut = case.batch > 1 && (is_misfit || case.driver == DriverKind::Tasks);
    let cuts = if is_misfit { log.unanswered } else { 1 };
    let least = if is_cut { log.acked.saturating_sub(cuts * (case.batch - 1)) } else { log.acked };
    assert!((least..=log.acked).contains(&figure(record.acked)), "{says}");
    // A connection that does not pass the pool's PING is never used for the update: nothing was sent.
    let unsent = if case.info.commands.contains(&"ping") { figure(record.refused).min(log.unanswered) } else { 0 };
    assert_eq!(figure(record.refused), log.refused + unsent, "{says}");
    // At least those, and at most the hand-overs that were cut and the two that a client tries after one.
    let most = log.unanswered * case.batch + 2 * case.batch;
    assert!((log.unanswered..=most).contains(&figure(record.unknown)), "{says}");
    assert!(!(is_misfit && case.batch == 1) || figure(record.unknown) == log.unanswered, "{says}");
    let verdict = if case.is_exact() { Verdict::Unproven } else { record.verdict.unwrap() };
    assert_eq!(record.verdict, Some(verdict), "{says}");
}

#[test]
fn a_dropped_connection_leaves_unknown_what_was_under_way() {
    for done in [false, true] {
        everyone(Fault::Drop { done }, EVERY, 400, |case| match case.info.after_loss {
            AfterLoss::RetriesById => {
                case.adds_up();
                assert_eq!(
                    (case.record.acked, case.record.verdict),
                    (Some(400), Some(Verdict::Exact)),
                    "{}",
                    case.says()
                );
                assert!(case.log.unanswered >= 10, "{}", case.says());
            }
            AfterLoss::RetriesBlindly => is_done_again(case),
            after_loss => {
                is_not_known(case);
                let came_back = after_loss == AfterLoss::Reconnects;
                assert!(!came_back || case.record.attempted == Some(400), "{}", case.says());
                assert!(!came_back || case.record.unknown == Some(case.log.unanswered), "{}", case.says());
            }
        });
    }
}

#[test]
fn a_reply_that_never_comes_is_a_timeout_and_its_update_unknown() {
    everyone(Fault::Silence { done: true }, EVERY, 80, |case| match case.info.after_loss {
        AfterLoss::RetriesById => {
            case.adds_up();
            assert_eq!((case.record.acked, case.record.verdict), (Some(80), Some(Verdict::Exact)), "{}", case.says());
        }
        AfterLoss::RetriesBlindly => is_done_again(case),
        _ => is_not_known(case),
    });
}

/// A client that sends again doubles exactly what had been done, and reports no error.
fn is_done_again(case: &Case) {
    case.adds_up();
    let done = !matches!(case.fault, Fault::Drop { done: false });
    let (record, unanswered, says) = (&case.record, case.log.unanswered, case.says());
    assert!(unanswered >= 2, "{says}");
    let doubled = if done { unanswered } else { 0 };
    assert_eq!((record.acked, record.unknown, record.doubled), (record.attempted, Some(0), Some(doubled)), "{says}");
    assert_eq!(record.verdict, Some(if done { Verdict::Excess } else { Verdict::Exact }), "{says}");
}

#[test]
fn bytes_that_are_no_reply_leave_the_update_unknown() {
    for done in [false, true] {
        everyone(Fault::Garbage { done }, EVERY, 400, is_not_known);
    }
}

#[test]
fn a_reply_of_the_wrong_kind_is_no_acknowledgement() {
    for done in [false, true] {
        everyone(Fault::Misfit { done }, EVERY, 79, is_not_known);
    }
}

#[test]
fn a_reply_that_drips_is_a_timeout_though_no_byte_of_it_is_long_in_coming() {
    everyone(Fault::Drip { done: true }, EVERY, 80, |case| match case.info.after_loss {
        AfterLoss::RetriesById => {
            case.adds_up();
            assert_eq!((case.record.acked, case.record.verdict), (Some(80), Some(Verdict::Exact)), "{}", case.says());
        }
        AfterLoss::RetriesBlindly => is_done_again(case),
        _ => is_not_known(case),
    });
}

#[test]
fn a_reply_nested_50_000_deep_leaves_the_update_unknown() {
    for done in [false, true] {
        everyone(Fault::Nested { done }, EVERY, 400, is_not_known);
    }
}

#[test]
fn a_counter_that_is_set_to_the_largest_integer_is_more_than_was_asked_for() {
    everyone(Fault::Absurd, EVERY, UPDATES, |case| {
        case.adds_up();
        let (record, says) = (&case.record, case.says());
        let is_full = case.log.gain > i128::from(i64::MAX / 2);
        assert!(is_full || !case.adds() || !case.is_exact(), "{says}");
        if is_full && case.is_exact() {
            assert_eq!((record.verdict, record.unknown), (Some(Verdict::Excess), Some(0)), "{says}");
            // Some later updates found no room. A strategy that adds many at once may have none, if its last update was
            // hit.
            assert!(record.refused > Some(0), "{says}");
        }
    });
}

/// Whether clients of this strategy may have to give up because other clients win too often. That is so if updates may
/// need several tries.
fn may_give_up(info: &Info) -> bool {
    info.round_trips.ends_with('+')
}

#[test]
fn an_exact_strategys_accounts_are_the_scripts_among_several_clients_too() {
    for fault in [Fault::Nothing, Fault::Lose, Fault::Double, Fault::Refuse] {
        all_by(Plan { fault, every: EVERY, clients: 4, updates: 200 }, |case| {
            case.adds_up();
            let (record, log, says) = (&case.record, &case.log, case.says());
            assert_eq!((record.attempted, record.unknown), (Some(800), Some(0)), "{says}");
            if !case.is_exact() {
                return;
            }
            assert_eq!((record.acked, record.lost), (Some(log.acked), Some(log.lost)), "{says}");
            assert_eq!((record.doubled, record.phantom), (Some(log.doubled), Some(0)), "{says}");
            assert!(record.refused >= Some(log.refused), "{says}");
            assert!(may_give_up(case.info) || record.refused == Some(log.refused), "{says}");
            let verdict = match () {
                () if log.lost > 0 => Verdict::Lost,
                () if log.doubled > 0 => Verdict::Excess,
                () => Verdict::Exact,
            };
            assert_eq!(record.verdict, Some(verdict), "{says}");
        });
    }
}

/// A connection to the replica that a strategy started beside `server`.
fn replica_of(server: &Target) -> redis::Connection {
    let replication: String = redis::cmd("INFO").arg("replication").query(&mut server.connect().unwrap()).unwrap();
    let port = replication.split_once("port=").unwrap().1.split_once(',').unwrap().0.parse().unwrap();
    let primary = Client::open(server.secret_url()).unwrap();
    let there = primary.get_connection_info().clone().set_addr(ConnectionAddr::Tcp("127.0.0.1".to_owned(), port));
    Client::open(there).unwrap().get_connection().unwrap()
}

/// A replica detached from its primary does what the test says, which is as good as a script.
#[test]
fn what_a_replica_answers_decides_what_becomes_of_the_updates() {
    let (server, workload) = (private(), Workload::one_key(1));
    let strategy = strategy::find(&["get-replica-set-primary"]).unwrap()[0];
    let mut crew = Crew::open(&server, strategy, workload, 1, &NEVER).unwrap();
    let mut replica = replica_of(&server);
    redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).exec(&mut replica).unwrap();
    let mut trial = || {
        let trial = crew.trial(100, Duration::from_secs(60)).unwrap();
        let r = trial.record(strategy, &server, &workload);
        (
            r.acked.unwrap(),
            r.refused.unwrap(),
            r.unknown.unwrap(),
            r.found.unwrap(),
            r.lost.unwrap(),
            r.doubled.unwrap(),
        )
    };
    // It has no value, so every update writes 1.
    assert_eq!(trial(), (100, 0, 0, 1, 99, 0));
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*", server.prefix())).query(&mut server.connect().unwrap()).unwrap();
    let key = keys.iter().find(|key| keyspace::number(server.prefix(), key).is_some()).unwrap();
    // It has 41, so every update writes 42: one update survives, and 41 increments come from nobody.
    redis::cmd("SET").arg(&[key, "41"]).exec(&mut replica).unwrap();
    assert_eq!(trial(), (100, 0, 0, 42, 99, 41));
    // It refuses: nothing is written.
    redis::cmd("DEL").arg(key).exec(&mut replica).unwrap();
    redis::cmd("RPUSH").arg(&[key, "no number"]).exec(&mut replica).unwrap();
    assert_eq!(trial(), (0, 100, 0, 0, 0, 0));
    // It closes the connection: the update in progress is unknown.
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut replica).unwrap();
    let (acked, refused, unknown, found, lost, doubled) = trial();
    assert!((1..=100).contains(&unknown), "{unknown}");
    assert_eq!((acked, refused, found, lost, doubled), (0, 0, 0, 0, 0));
}
