//! All clients on one thread, by the event loop or as tasks: the same strategies, the same ledger; and what happens when
//! something goes wrong.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis::Cmd;
use redis_lost_updates::client_machine::{ClientMachine, Reply, Requests, Turn};
use redis_lost_updates::condition::Transport;
use redis_lost_updates::driver::events::EventLoop;
use redis_lost_updates::driver::tasks::TaskLoop;
use redis_lost_updates::driver::{Limits, RaceLog, Work};
use redis_lost_updates::error::Result;
use redis_lost_updates::history;
use redis_lost_updates::strategy::{self, Strategy};
use redis_lost_updates::target::{Private, ServerSpec, Target};
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::update::{Event, Outcome, Update};
use redis_lost_updates::verdict::{Ledger, Promise, Verdict};
use redis_lost_updates::workload::{DriverKind, Workload};

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);
const LONG: Duration = Duration::from_secs(60);

fn named(name: &str) -> &'static dyn Strategy {
    strategy::find(&[name]).unwrap()[0]
}

fn trial(server: &Target, strategy: &dyn Strategy, workload: Workload, updates: u64) -> Trial {
    let mut crew = Crew::open(server, strategy, workload, 1, &NEVER).unwrap();
    let trial = crew.trial(updates, LONG).unwrap();
    crew.close().unwrap();
    trial
}

const BOTH: [DriverKind; 2] = [DriverKind::Events, DriverKind::Tasks];

fn by(driver: DriverKind, server: &Target, name: &str, clients: usize, updates: u64) -> Trial {
    trial(server, named(name), Workload::one_key(clients).driven_by(driver), updates)
}

/// Either of them.
enum House {
    Events(EventLoop),
    Tasks(TaskLoop),
}

impl House {
    fn open(driver: DriverKind, server: &Target, clients: Vec<Box<dyn ClientMachine>>, share: bool) -> Result<Self> {
        Ok(match driver {
            DriverKind::Tasks => Self::Tasks(TaskLoop::open(server, clients, share)?),
            _ => Self::Events(EventLoop::open(server, clients, share)?),
        })
    }

    fn of_incrs(driver: DriverKind, server: &Target, clients: usize) -> Result<Self> {
        let incr = named("incr").machines().unwrap();
        Self::open(driver, server, incr.clients(server, clients).unwrap(), false)
    }

    fn of_odd(driver: DriverKind, server: &Target, manners: &[Manner], batch: usize, share: bool) -> Self {
        let boxed = manners.iter().map(|&manner| Box::new(Odd(manner, batch)) as Box<dyn ClientMachine>);
        Self::open(driver, server, boxed.collect(), share).unwrap()
    }

    fn race_within(&mut self, work: &[Work], limits: Limits<'_>) -> Result<RaceLog> {
        match self {
            Self::Events(house) => house.race(work, limits),
            Self::Tasks(house) => house.race(work, limits),
        }
    }

    fn race(&mut self, key: &str, clients: usize, updates: u64) -> Result<RaceLog> {
        self.race_within(&vec![Work::one_key(key, updates); clients], Limits { stop: &NEVER, deadline: LONG })
    }
}

fn ledger(log: &RaceLog, found: i64) -> Ledger {
    let lanes: Vec<&[Event]> = log.clients.iter().map(|lane| lane.events.as_slice()).collect();
    history::check(&lanes, &[found]).ledger
}

#[test]
fn every_one_that_has_the_form_keeps_its_promise_or_is_seen_breaking_it() {
    let server = private();
    let names = strategy::driven_by_one_thread(strategy::ALL);
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        for (driver, clients, updates) in BOTH.into_iter().flat_map(|by| [(by, 8, 50), (by, 200, 5)]) {
            let trial = by(driver, &server, name, clients, updates);
            let ledger = &trial.judgement.ledger;
            let all = clients as u64 * updates;
            assert_eq!(trial.log.clients.len(), clients, "{name}");
            assert_eq!((ledger.attempted, ledger.unknown), (all, 0), "{name}: {ledger:?}");
            match named(name).info().promise {
                Promise::Exact => assert_eq!(trial.verdict, Verdict::Exact, "{name}: {ledger:?}"),
                Promise::Lossy => assert_eq!(trial.verdict, Verdict::Lost, "{name}: {ledger:?}"),
            }
            // Where one may be beaten to it, a crowd on a slow machine may run out of patience.
            let may_give_up = named(name).info().commands.contains(&"watch");
            assert!(may_give_up || ledger.acked == all, "{name}: {ledger:?}");
            assert_eq!(ledger.acked + ledger.refused, all, "{name}: {ledger:?}");
            assert!(ledger.tries >= all, "{name}: {ledger:?}");
            assert_eq!(trial.applied, Some(ledger.acked), "{name}: the server's own count");
        }
    }
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.connect().unwrap()).unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn the_ledger_is_the_same_as_that_of_threads() {
    let server = private();
    // Those whose clients never get in each other's way.
    let is_steady = |name: &&str| {
        let info = named(name).info();
        info.promise == Promise::Exact && !info.commands.contains(&"watch")
    };
    let (steady, racing): (Vec<&str>, Vec<&str>) =
        strategy::driven_by_one_thread(strategy::ALL).into_iter().partition(is_steady);
    assert!(steady.len() >= 5 && racing.len() >= 5, "{steady:?} {racing:?}");
    for name in steady {
        let workload = Workload { keys: 3, ..Workload::one_key(16) };
        let threads = trial(&server, named(name), workload, 100);
        for driver in BOTH {
            let one = trial(&server, named(name), workload.driven_by(driver), 100);
            assert_eq!(one.judgement, threads.judgement, "{name} {driver}");
            assert_eq!((&one.found, one.applied), (&threads.found, threads.applied), "{name} {driver}");
            assert_eq!(one.spent.map(|s| s.calls), threads.spent.map(|s| s.calls), "{name} {driver}");
        }
    }
    // Alone, also those that race do the same.
    for name in racing {
        let threads = trial(&server, named(name), Workload::one_key(1), 30);
        for driver in BOTH {
            let one = by(driver, &server, name, 1, 30);
            assert_eq!(one.judgement, threads.judgement, "{name} {driver}");
            assert_eq!(one.spent.map(|s| s.calls), threads.spent.map(|s| s.calls), "{name} {driver}");
        }
    }
}

#[test]
fn a_lane_is_a_closed_loop_that_begins_with_its_first_request() {
    let server = private();
    let heats = BOTH.map(|driver| by(driver, &server, "pipelined-incr", 50, 40).log);
    for lane in heats.iter().flat_map(|log| &log.clients) {
        assert_eq!(lane.events.len(), 40);
        // 16, 16 and the 8 that are left: a hand-over shares its times, and the end of one is the begin of the next.
        for (from, to) in [(0, 16), (16, 32), (32, 40)] {
            let times = |event: &Event| (event.begin_ns(), event.end_ns());
            assert!(lane.events[from..to].iter().all(|event| times(event) == times(&lane.events[from])));
            let before = if from == 0 { lane.start_ns } else { lane.events[from - 1].end_ns() };
            assert_eq!(lane.events[from].begin_ns(), before);
        }
        assert_eq!(lane.events[39].end_ns(), lane.end_ns);
    }
    for log in heats {
        let starts = log.clients.windows(2).all(|pair| pair[0].start_ns <= pair[1].start_ns);
        assert!(starts, "first requests go out one after the other");
        assert!((0.0..=1.0).contains(&log.overlap()));
    }
}

#[test]
fn a_server_that_dies_leaves_unknown_outcomes_and_an_end() {
    const CLIENTS: usize = 50;
    // The event loop asks nothing of a dead connection; a task is answered at once, and gives up as a thread does.
    for (driver, failures) in [(DriverKind::Events, 1), (DriverKind::Tasks, 3)] {
        let server = private();
        let mut house = House::of_incrs(driver, &server, CLIENTS).unwrap();
        let key = format!("{}dies", server.prefix());
        let log = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                server.child().unwrap().crash();
            });
            house.race(&key, CLIENTS, 20_000).unwrap()
        });
        for lane in &log.clients {
            let unknown = lane.events.iter().filter(|event| event.outcome() == Outcome::Unknown).count();
            assert_eq!((unknown, lane.events.last().map(Event::outcome)), (failures, Some(Outcome::Unknown)));
            assert!(lane.trouble.is_some());
        }
        // However many of them it had applied (it answered with the largest value told), the accounts know of no loss.
        let events = || log.clients.iter().flat_map(|lane| &lane.events);
        let told = events().filter_map(|event| match event.outcome() {
            Outcome::Acked(value) => Some(value),
            _ => None,
        });
        let (acked, largest) = told.fold((0, 0), |(acked, largest), value| (acked + 1, value.max(largest)));
        for found in [largest, acked + CLIENTS as i64] {
            let ledger = ledger(&log, found);
            let unknown = (CLIENTS * failures) as u64;
            assert_eq!((ledger.unknown, ledger.lost, ledger.doubled), (unknown, 0, 0), "{ledger:?}");
        }
        let again = house.race(&key, CLIENTS, 1_000).unwrap();
        for lane in &again.clients {
            let outcomes: Vec<Outcome> = lane.events.iter().map(Event::outcome).collect();
            assert_eq!(outcomes, vec![Outcome::Unknown; failures]);
        }
    }
}

#[test]
fn a_server_that_falls_silent_is_given_up_as_a_blocking_client_does() {
    for driver in BOTH {
        let server = private();
        let mut house = House::of_incrs(driver, &server, 3).unwrap();
        let key = format!("{}silent", server.prefix());
        let since = Instant::now();
        server.child().unwrap().stall();
        let log = house.race(&key, 3, 1).unwrap();
        server.child().unwrap().resume();
        assert!(since.elapsed() >= redis_lost_updates::target::RESPONSE_TIMEOUT);
        assert_eq!(ledger(&log, 0).unknown, 3);
        let words = if driver == DriverKind::Events { "no reply within 5 s" } else { "timed out" };
        let trouble = log.clients[0].trouble.as_deref().unwrap();
        assert!(trouble.contains(words), "{trouble}");
    }
}

#[test]
fn a_raised_stop_and_a_deadline_end_a_race() {
    for driver in BOTH {
        let server = private();
        let mut house = House::of_incrs(driver, &server, 20).unwrap();
        let work = vec![Work::one_key(&format!("{}stop", server.prefix()), 50_000); 20];
        let stop = AtomicBool::new(true);
        let log = house.race_within(&work, Limits { stop: &stop, deadline: LONG }).unwrap();
        assert!(log.clients.iter().all(|lane| lane.events.is_empty()), "nobody begins");
        let deadline = Duration::from_millis(30);
        let log = house.race_within(&work, Limits { stop: &NEVER, deadline }).unwrap();
        let end = deadline.as_nanos() as u64;
        // All stop at one instant, however late one of them started.
        let first = log.clients.iter().map(|lane| lane.start_ns).min().unwrap();
        for lane in &log.clients {
            assert!(lane.end_ns >= end && lane.events.iter().all(|event| event.begin_ns() < first + end));
            assert!(lane.events.iter().all(|event| matches!(event.outcome(), Outcome::Acked(_))));
        }
        // Raised meanwhile.
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            let log = house.race_within(&work, Limits { stop: &stop, deadline: LONG }).unwrap();
            assert!(log.clients.iter().all(|lane| lane.events.len() < 50_000));
        });
    }
}

/// What a state machine of ours does when it is spoken to.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Adds,
    Panics,
    SaysNothing,
    NeverUnderstands,
    WaitsTooEarly,
}

struct Odd(Manner, usize);

impl ClientMachine for Odd {
    fn batch(&self) -> usize {
        self.1
    }

    fn begin(&mut self, keys: &[&str], requests: &mut Requests) {
        if self.0 != Manner::SaysNothing {
            keys.iter().for_each(|key| requests.ask(&[b"INCR", key.as_bytes()]));
        }
    }

    fn reply(&mut self, reply: Reply<'_>, _: u64, _: &mut Requests, done: &mut Vec<Update>) -> Turn {
        match (self.0, reply) {
            (Manner::Adds, Reply::Integer(value)) => {
                done.push(Update::told(value));
                if done.len() == self.1 { Turn::Done } else { Turn::Reply }
            }
            (Manner::Panics, _) => panic!("out of luck"),
            (Manner::WaitsTooEarly, _) => Turn::Later(Duration::from_millis(1)),
            (_, reply) => Turn::Failed(format!("what is {reply:?}?").into()),
        }
    }
}

/// Who drives, and whether clients share a connection.
fn settings() -> impl Iterator<Item = (DriverKind, bool)> {
    BOTH.into_iter().flat_map(|driver| [(driver, false), (driver, true)])
}

#[test]
fn a_panicking_client_is_an_error_and_not_a_hang() {
    let server = private();
    for (driver, share) in settings() {
        let key = format!("{}panics", server.prefix());
        let manners = [Manner::Adds, Manner::Panics, Manner::Adds];
        let mut house = House::of_odd(driver, &server, &manners, 1, share);
        let error = house.race(&key, 3, 100).unwrap_err().to_string();
        assert!(error.contains("worker 1 panicked: out of luck"), "{error}");
        let mut db = server.connect().unwrap();
        let found: i64 = Cmd::get(&key).query(&mut db).unwrap();
        assert_eq!(found, 201, "the others finish first");
        let again = house.race(&key, 3, 1);
        Cmd::del(&key).exec(&mut db).unwrap();
        assert!(driver == DriverKind::Events || again.unwrap_err().to_string().contains("has panicked: open"));
    }
}

#[test]
fn a_client_with_nothing_to_do_does_nothing() {
    let server = private();
    for driver in BOTH {
        let key = format!("{}idle-{driver}", server.prefix());
        let work = [Work::one_key(&key, 0), Work::one_key(&key, 3)];
        let limits = Limits { stop: &NEVER, deadline: LONG };
        let log = House::of_incrs(driver, &server, 2).unwrap().race_within(&work, limits).unwrap();
        assert_eq!(log.clients.iter().map(|lane| lane.events.len()).collect::<Vec<_>>(), [0, 3]);
    }
}

#[test]
fn a_client_that_makes_no_sense_of_it_gives_up_and_leaves_the_others_alone() {
    let server = private();
    for (driver, share) in settings() {
        let manners = [Manner::NeverUnderstands, Manner::SaysNothing, Manner::Adds];
        let mut house = House::of_odd(driver, &server, &manners, 4, share);
        let key = format!("{}odd-{driver}-{share}", server.prefix());
        let log = house.race(&key, 3, 100).unwrap();
        let outcomes = |client: usize| log.clients[client].events.iter().map(Event::outcome);
        assert!(outcomes(2).all(|outcome| matches!(outcome, Outcome::Acked(_))) && outcomes(2).count() == 100);
        for client in [0, 1] {
            assert!(outcomes(client).all(|outcome| outcome == Outcome::Unknown));
            assert_eq!(outcomes(client).count(), 3 * 4, "three hand-overs, as on a thread");
        }
        let found: i64 = Cmd::get(&key).query(&mut server.connect().unwrap()).unwrap();
        let ledger = ledger(&log, found);
        assert_eq!((found, ledger.lost, ledger.doubled), (112, 0, 0), "what was not understood was still done");
    }
}

#[test]
fn a_try_that_is_to_wait_with_replies_still_to_come_has_failed() {
    let server = private();
    let mut house = House::of_odd(DriverKind::Events, &server, &[Manner::WaitsTooEarly], 2, false);
    let log = house.race(&format!("{}early", server.prefix()), 1, 2).unwrap();
    assert!(log.clients[0].events.iter().all(|event| event.outcome() == Outcome::Unknown));
    assert!(log.clients[0].trouble.as_deref().unwrap().contains("before all replies have come"));
}

/// More than the system takes in one write and than one read gives: nothing is torn or mixed up.
#[test]
fn what_does_not_fit_into_one_write_or_one_read_arrives_whole() {
    const BATCH: usize = 30_000;
    let server = private();
    for (driver, share) in settings() {
        let key = format!("{}large-{driver}-{share}", server.prefix());
        let mut house = House::of_odd(driver, &server, &[Manner::Adds; 3], BATCH, share);
        let log = house.race(&key, 3, 2 * BATCH as u64).unwrap();
        let ledger = ledger(&log, Cmd::get(&key).query(&mut server.connect().unwrap()).unwrap());
        assert_eq!((ledger.acked, ledger.found, ledger.repeated), (6 * BATCH as u64, 6 * BATCH as i64, 0));
        assert_eq!(redis_lost_updates::verdict::judge(&ledger), Verdict::Exact);
    }
}

#[test]
fn it_logs_in_and_uses_the_database_and_the_unix_socket() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let child = Private::start(&binary, &[], None).unwrap();
    let (port, socket) = (child.port(), child.socket().display().to_string());
    let open = Target::private(child, Transport::Unix).unwrap();
    assert_eq!(by(DriverKind::Events, &open, "incr", 8, 50).verdict, Verdict::Exact);
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret/@").exec(&mut open.connect().unwrap()).unwrap();
    let workload = Workload::one_key(8).driven_by(DriverKind::Events);
    let error = Crew::open(&open, named("incr"), workload, 1, &NEVER).err().unwrap().to_string();
    assert!(error.contains(&socket) && error.lines().count() == 1, "{error}");
    for driver in BOTH {
        for url in [
            format!("redis://:s3cret%2F%40@127.0.0.1:{port}/3"),
            format!("redis://default:s3cret%2F%40@localhost:{port}/3"),
            format!("unix://{socket}?db=3&pass=s3cret/%40"),
        ] {
            let server = Target::at(&url).unwrap();
            // The counter is read back over a connection of its own: both are on one database.
            assert_eq!(by(driver, &server, "get-set", 1, 50).verdict, Verdict::Exact, "{url}");
        }
    }
}

#[test]
fn a_server_without_room_for_so_many_says_so_in_one_line() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    for driver in BOTH {
        // A server each: it may notice only later that the clients of the driver before it have left.
        let child = Private::start(&binary, &["--maxclients", "40"], None).unwrap();
        let server = Target::private(child, Transport::Tcp).unwrap();
        assert!(server.has_room_for(20).is_ok());
        let error = server.has_room_for(40).unwrap_err().to_string();
        assert!(error.contains("maxclients") && error.contains("--threads") && error.lines().count() == 1, "{error}");
        // The server tells those who do not ask beforehand.
        let error = House::of_incrs(driver, &server, 60).err().unwrap().to_string();
        // The redis crate does not pass on what the server says to the clients it turns away.
        assert!(driver == DriverKind::Tasks || error.contains("max number of clients"), "{error}");
        assert!(error.contains("of 60 connections"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_thousand_clients_on_one_thread_lose_what_the_law_says() {
    let server = private();
    for driver in BOTH {
        let trial = by(driver, &server, "get-set", 1_000, 5);
        let ledger = &trial.judgement.ledger;
        let lost = ledger.lost as f64 / ledger.acked as f64;
        assert!((lost - redis_lost_updates::law::predict(1_000)).abs() < 0.05, "{driver}: {ledger:?}");
        assert_eq!(by(driver, &server, "incr", 1_000, 5).verdict, Verdict::Exact);
    }
}
