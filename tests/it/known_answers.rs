//! Every strategy by every driver against a server that does wrong by a script: the accounts must be the script's, to the
//! update.
//!
//! One client at a time, so that nothing but the script goes wrong. What a strategy cannot know by its nature (one that
//! reads no reply, one that ignores errors) is named here and said in its own documentation.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis_lost_updates::record::Record;
use redis_lost_updates::strategy::{ALL, Strategy};
use redis_lost_updates::target::Target;
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::{DriverKind, Workload};

use crate::model::{Fault, Log, Model};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Cannot run on a server that is not a private one.
const NEEDS_A_REPLICA: &str = "get-replica-set-primary";

/// Reads no reply: what it says it did is what it sent.
const BLIND: &str = "pipeline-unread";

/// Takes error replies for success.
const DEAF: &str = "errors-ignored";

/// Tries again after a lost connection, by an id that the server remembers.
const ASKS_AGAIN: &str = "idempotent-lua";

/// Those that go on over another connection after one is lost.
const COME_BACK: [&str; 3] = ["pooled-incr", "pooled-incr-ping", "connection-manager-incr"];

/// Updates of one trial: a multiple of every batch.
const UPDATES: u64 = 800;

/// The script picks each of these: less often than a batch comes, so that not all of them are picked.
const EVERY: u64 = 40;

struct Case {
    name: &'static str,
    driver: DriverKind,
    fault: Fault,
    batch: u64,
    promise: Promise,
    record: Record,
    log: Log,
}

/// One trial of one client.
fn trial(strategy: &dyn Strategy, driver: DriverKind, fault: Fault, every: u64, updates: u64) -> Case {
    let model = Model::start(fault, every);
    let server = Target::at(&model.url()).unwrap().configurable();
    let workload = Workload::one_key(1).driven_by(driver);
    let mut crew = Crew::open(&server, strategy, workload, 1, &NEVER).unwrap();
    let trial = crew.trial(updates, Duration::from_secs(60)).unwrap();
    let record = trial.record(strategy, &server, &workload);
    drop(crew);
    let info = strategy.info();
    let batch = info.batch as u64;
    Case { name: info.name, driver, fault, batch, promise: info.promise, record, log: model.log() }
}

/// Runs `check` over every strategy by every driver it has, all at once: most of the time they wait.
fn everyone(fault: Fault, every: u64, updates: u64, check: fn(&Case)) {
    let mut cases = Vec::new();
    let is_of_one_server = |strategy: &&&dyn Strategy| {
        !strategy.info().needs.iter().any(|need| ["a cluster", "a replica"].contains(&need.what))
    };
    let alone = ALL.iter().filter(|strategy| strategy.info().name != NEEDS_A_REPLICA);
    for &strategy in alone.filter(is_of_one_server) {
        cases.push((strategy, DriverKind::Threads));
        if strategy.machines().is_some() {
            cases.extend([(strategy, DriverKind::Events), (strategy, DriverKind::Tasks)]);
        }
    }
    assert!(cases.len() > 50, "{}", cases.len());
    std::thread::scope(|scope| {
        for (strategy, driver) in cases {
            let run = move || check(&trial(strategy, driver, fault, every, updates));
            let named = std::thread::Builder::new().name(format!("{} {driver} {fault:?}", strategy.info().name));
            named.spawn_scoped(scope, run).unwrap();
        }
    });
}

impl Case {
    fn says(&self) -> String {
        let Self { name, driver, fault, batch, record, log, .. } = self;
        let r = record;
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
        if self.name != BLIND {
            assert_eq!(i128::from(found), self.log.gain, "{says}");
        }
        let parts = acked + figure(record.refused) + figure(record.unknown);
        assert_eq!(figure(record.attempted), parts, "{says}");
        let surplus = figure(record.doubled) + figure(record.phantom);
        let explained = found - (acked as i64 + surplus as i64 - figure(record.lost) as i64);
        assert!((0..=figure(record.unknown) as i64).contains(&explained), "{says}");
    }

    /// The script's accounts of a trial in which every command was answered.
    fn is_the_scripts(&self) {
        self.adds_up();
        let (record, log, says) = (&self.record, &self.log, self.says());
        if self.name == BLIND {
            return assert_eq!(record.acked, record.attempted, "{says}");
        }
        let (acked, refused) = (log.acked, log.refused);
        let told =
            if self.name == DEAF { (acked + refused, 0, log.lost + refused) } else { (acked, refused, log.lost) };
        assert_eq!((record.acked, record.refused, record.lost), (Some(told.0), Some(told.1), Some(told.2)), "{says}");
        assert_eq!((record.doubled, record.phantom, record.unknown), (Some(log.doubled), Some(0), Some(0)), "{says}");
        assert_eq!(record.attempted, Some(acked + refused), "{says}");
    }

    fn is_exact(&self) -> bool {
        self.promise == Promise::Exact
    }
}

#[test]
fn an_honest_server_makes_every_exact_strategy_exact() {
    everyone(Fault::Nothing, 1, UPDATES, |case| {
        case.is_the_scripts();
        assert!(!case.is_exact() || case.record.verdict == Some(Verdict::Exact), "{}", case.says());
    });
}

#[test]
fn what_the_server_lost_is_lost_by_every_strategy() {
    everyone(Fault::Lose, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        assert!(case.log.lost > 0 || [BLIND, DEAF].contains(&case.name), "{}", case.says());
        assert!(!case.is_exact() || case.record.verdict == Some(Verdict::Lost), "{}", case.says());
    });
}

#[test]
fn what_the_server_doubled_is_doubled_in_every_account() {
    everyone(Fault::Double, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        let verdict = if case.log.doubled > 0 { Verdict::Excess } else { Verdict::Exact };
        assert!(!case.is_exact() || case.record.verdict == Some(verdict), "{}", case.says());
        // A SET that is done twice is done once, and so is an update with an id; all others are doubled.
        let adds = ["incr", "function", "local-sum", "sharded"].iter().any(|part| case.name.contains(part));
        let adds = adds || case.name == "lua-get-set";
        assert!(!(adds && case.is_exact()) || case.log.doubled > 0, "{}", case.says());
    });
}

#[test]
fn what_the_server_refused_is_refused_and_no_broken_promise() {
    everyone(Fault::Refuse, EVERY, UPDATES, |case| {
        case.is_the_scripts();
        assert!(case.log.refused > 0 || case.name == BLIND, "{}", case.says());
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
    if [BLIND, DEAF].contains(&case.name) {
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
    let unsent = if case.name == "pooled-incr-ping" { figure(record.refused).min(log.unanswered) } else { 0 };
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
        everyone(Fault::Drop { done }, EVERY, 400, |case| match case.name {
            ASKS_AGAIN => {
                case.adds_up();
                assert_eq!(
                    (case.record.acked, case.record.verdict),
                    (Some(400), Some(Verdict::Exact)),
                    "{}",
                    case.says()
                );
                assert!(case.log.unanswered >= 10, "{}", case.says());
            }
            name => {
                is_not_known(case);
                let came_back = COME_BACK.contains(&name);
                assert!(!came_back || case.record.attempted == Some(400), "{}", case.says());
                assert!(!came_back || case.record.unknown == Some(case.log.unanswered), "{}", case.says());
            }
        });
    }
}

#[test]
fn a_reply_that_never_comes_is_a_timeout_and_its_update_unknown() {
    everyone(Fault::Silence { done: true }, EVERY, 80, |case| match case.name {
        ASKS_AGAIN => {
            case.adds_up();
            assert_eq!((case.record.acked, case.record.verdict), (Some(80), Some(Verdict::Exact)), "{}", case.says());
        }
        _ => is_not_known(case),
    });
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
