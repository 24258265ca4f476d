//! The open loop: a schedule is kept, and what a stall makes wait is seen to have waited. Bounds are arithmetic alone:
//! they hold on any machine, however busy.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis_lost_updates::driver::Library;
use redis_lost_updates::driver::events::EventLoop;
use redis_lost_updates::driver::threads::{pool, race_on_schedule};
use redis_lost_updates::driver::{Limits, Work};
use redis_lost_updates::error::BoxError;
use redis_lost_updates::history;
use redis_lost_updates::pace::{Pace, Schedule};
use redis_lost_updates::record::{Clock, Run};
use redis_lost_updates::stats::quantile;
use redis_lost_updates::strategy;
use redis_lost_updates::target::{Spent, Target};
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::update::{Event, Outcome, Update, Updater};
use redis_lost_updates::verdict::{Verdict, judge};
use redis_lost_updates::workload::{DriverKind, Size, Workload};

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Counts, `batch` at a time, and sleeps before the updates that `pause` gives a time for.
struct Sleeper {
    done: u64,
    batch: usize,
    pause: fn(u64) -> Duration,
}

impl Sleeper {
    fn boxed(batch: usize, pause: fn(u64) -> Duration) -> Box<dyn Updater> {
        Box::new(Self { done: 0, batch, pause })
    }
}

impl Updater for Sleeper {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        std::thread::sleep((self.pause)(self.done));
        self.done += 1;
        Ok(Update::Applied { value: None, tries: 1 })
    }

    fn batch(&self) -> usize {
        self.batch
    }
}

/// Runs these on a schedule, as a trial does.
fn trial(schedule: Schedule, mut updaters: Vec<Box<dyn Updater>>, deadline: Duration) -> Trial {
    let work = (0..updaters.len()).map(|worker| Work::one_key("counter", schedule.updates_of(worker)));
    let work: Vec<Work> = work.collect();
    let limits = Limits { stop: &NEVER, deadline };
    let log = race_on_schedule(&pool(work.len()).unwrap(), &mut updaters, &work, &schedule, limits).unwrap();
    let lanes: Vec<&[Event]> = log.clients.iter().map(|lane| lane.events.as_slice()).collect();
    let found = lanes.iter().map(|lane| lane.len() as i64).sum();
    let judgement = history::check(&lanes, &[found]);
    let (verdict, spent) = (judge(&judgement.ledger), Spent::default());
    let (waited, spent) = (Duration::ZERO, Some(spent));
    let (nodes, replicas) = (Vec::new(), Vec::new());
    let (applied, redirects, schedule) = (None, None, Some(schedule));
    let library = Library::built_in();
    Trial {
        log,
        judgement,
        verdict,
        apart_ns: 0,
        found: vec![found],
        waited,
        spent,
        nodes,
        replicas,
        redirects,
        applied,
        schedule,
        library,
        process: None,
        faults: Vec::new(),
    }
}

fn updates(buckets: &[(u64, u64)]) -> u64 {
    buckets.iter().map(|(_, count)| count).sum()
}

#[test]
fn no_update_is_sent_before_its_time_and_all_clients_start_as_one() {
    let schedule = Schedule::of_updates(2_000, 401, 3).unwrap();
    let quick = || Sleeper::boxed(1, |_| Duration::ZERO);
    let trial = trial(schedule, vec![quick(), quick(), quick()], Duration::from_secs(20));
    let start = trial.log.clients[0].start_ns;
    for (client, lane) in trial.log.clients.iter().enumerate() {
        assert_eq!((lane.start_ns, lane.events.len() as u64), (start, schedule.updates_of(client)));
        for (i, event) in lane.events.iter().enumerate() {
            assert!(event.begin_ns() >= start + schedule.intended_ns(client, i as u64), "client {client}, update {i}");
        }
        assert!(lane.end_ns >= start + schedule.length_ns());
    }
    assert_eq!((trial.verdict, trial.judgement.ledger.acked), (Verdict::Exact, 401));
    assert_eq!((updates(&trial.latency()), updates(&trial.response().unwrap())), (401, 401));
    assert!(trial.log.span_ns() >= schedule.length_ns(), "not more than was offered is ever achieved");
}

#[test]
fn a_stalled_client_makes_its_later_updates_late() {
    // One client, an update every millisecond; the 50th takes 200 ms, so 199 more are intended in the meantime.
    let schedule = Schedule::of_updates(1_000, 400, 1).unwrap();
    let stall = |done| if done == 50 { Duration::from_millis(200) } else { Duration::ZERO };
    let trial = trial(schedule, vec![Sleeper::boxed(1, stall)], Duration::from_secs(20));
    let response = trial.response().unwrap();
    // Those intended in the first half of the stall waited the second half or longer: every fourth update.
    assert!(quantile(&response, 0.76).unwrap() >= 100_000_000, "{response:?}");
    let slow = |buckets: &[(u64, u64)]| buckets.iter().filter(|(ns, _)| *ns >= 150_000_000).map(|b| b.1).sum::<u64>();
    assert!(slow(&response) >= 50, "{response:?}");
    assert!(slow(&trial.latency()) >= 1);
    // By the other clock, updates of one client cannot take longer together than the trial.
    assert!(slow(&trial.latency()) <= trial.log.span_ns() / 150_000_000, "{:?}", trial.latency());
}

#[test]
fn what_was_never_sent_has_waited_to_the_end() {
    // Ten times as much offered as one client can do; it stops at 200 ms, when the schedule is over.
    let schedule = Schedule::of_updates(1_000, 200, 1).unwrap();
    let trial = trial(schedule, vec![Sleeper::boxed(1, |_| Duration::from_millis(10))], Duration::from_millis(200));
    let sent = trial.log.clients[0].events.len() as u64;
    assert!(sent <= 20, "{sent} updates of 10 ms in 200 ms");
    let (service, response) = (trial.latency(), trial.response().unwrap());
    assert_eq!((updates(&service), updates(&response)), (sent, 200));
    // Of those never sent, the ones due in the first half waited all of the second: 80 of 200 at least.
    assert!(quantile(&response, 0.61).unwrap() >= 100_000_000, "{response:?}");
}

#[test]
fn a_batch_is_handed_over_when_its_last_update_is_due() {
    let schedule = Schedule::of_updates(1_000, 25, 1).unwrap();
    let trial = trial(schedule, vec![Sleeper::boxed(10, |_| Duration::ZERO)], Duration::from_secs(20));
    let lane = &trial.log.clients[0];
    let due = |i: usize| lane.start_ns + schedule.intended_ns(0, i as u64);
    for (i, event) in lane.events.iter().enumerate() {
        let last = (i / 10 * 10 + 9).min(24);
        assert!(event.begin_ns() >= due(last), "update {i}");
    }
    // The first of ten waits nine milliseconds for the others.
    assert!(trial.response().unwrap().last().unwrap().0 >= 9_000_000);
}

fn event_loop(server: &Target, clients: usize) -> EventLoop {
    let incr = strategy::find(&["incr"]).unwrap()[0].machines().unwrap();
    EventLoop::open(server, incr.clients(server, clients).unwrap(), false).unwrap()
}

#[test]
fn an_event_loop_keeps_a_schedule_as_threads_do() {
    const CLIENTS: usize = 300;
    let (server, schedule) = (private(), Schedule::of_updates(5_000, 2_001, CLIENTS).unwrap());
    let key = format!("{}schedule", server.prefix());
    let work: Vec<Work> = (0..CLIENTS).map(|client| Work::one_key(&key, schedule.updates_of(client))).collect();
    let limits = Limits { stop: &NEVER, deadline: Duration::from_secs(20) };
    let log = event_loop(&server, CLIENTS).race_on_schedule(&work, &schedule, limits).unwrap();
    let start = log.clients[0].start_ns;
    for (client, lane) in log.clients.iter().enumerate() {
        assert_eq!((lane.start_ns, lane.events.len() as u64), (start, schedule.updates_of(client)));
        for (i, event) in lane.events.iter().enumerate() {
            assert!(event.begin_ns() >= start + schedule.intended_ns(client, i as u64), "client {client}, update {i}");
            assert!(matches!(event.outcome(), Outcome::Acked(_)));
        }
        assert!(lane.end_ns >= start + schedule.length_ns());
    }
    assert!(log.span_ns() >= schedule.length_ns(), "not more than was offered is ever achieved");
}

#[test]
fn an_event_loop_whose_clients_wait_for_their_turn_ends_when_it_is_told_to_or_its_server_is_gone() {
    for server_is_gone in [false, true] {
        // The first at once, and each next one a second later.
        let (server, schedule) = (private(), Schedule::of_updates(1, 600, 2).unwrap());
        let key = format!("{}waits", server.prefix());
        let work: Vec<Work> = (0..2).map(|client| Work::one_key(&key, schedule.updates_of(client))).collect();
        let (stop, mut driver, since) = (AtomicBool::new(false), event_loop(&server, 2), Instant::now());
        let log = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                match server_is_gone {
                    true => server.child().unwrap().crash(),
                    false => stop.store(true, Ordering::Relaxed),
                }
            });
            driver
                .race_on_schedule(&work, &schedule, Limits { stop: &stop, deadline: Duration::from_secs(1_200) })
                .unwrap()
        });
        assert!(since.elapsed() < Duration::from_secs(30));
        let outcomes = || log.clients.iter().flat_map(|lane| &lane.events).map(Event::outcome);
        let unknown = outcomes().filter(|&outcome| outcome == Outcome::Unknown).count();
        // What is not due yet is not asked, and so has no outcome that is unknown.
        assert_eq!(unknown, 0);
        assert!(log.clients.iter().all(|lane| lane.trouble.is_some() == server_is_gone));
        assert!((1..600).contains(&(outcomes().count() - unknown)));
        // Who had to stop is not said to have been there to the end.
        assert!(log.span_ns() < 30_000_000_000, "{} ns", log.span_ns());
    }
}

/// A trial of `incr` by the event loop or by threads, at a rate.
fn trial_at(server: &Target, driver: DriverKind, clients: usize, rate: u64, size: Size) -> Trial {
    let incr = strategy::find(&["incr"]).unwrap()[0];
    let workload = Workload { pace: Pace::Rate(rate), ..Workload::one_key(clients).driven_by(driver) };
    let mut crew = Crew::open(server, incr, workload, 1, &NEVER).unwrap();
    let trial = crew.sized_trial(size).unwrap();
    let record = trial.record(incr, server, &workload);
    assert!(record.slowest_share.is_some_and(|share| (0.0..=1.0).contains(&share)), "{record:?}");
    assert!(record.span_ns >= Some(trial.schedule.unwrap().length_ns()), "{record:?}");
    crew.close().unwrap();
    trial
}

#[test]
fn fewer_updates_than_clients_leave_some_with_nothing_to_do() {
    for driver in [DriverKind::Threads, DriverKind::Events] {
        let trial = trial_at(&private(), driver, 100, 50, Size::Duration(Duration::from_secs(1)));
        let busy = trial.log.clients.iter().filter(|lane| lane.events.len() == 1).count();
        assert_eq!((busy, trial.judgement.ledger.acked, trial.verdict), (50, 50, Verdict::Exact), "{driver}");
    }
}

#[test]
fn clients_that_are_to_stop_do_not_wait_for_a_turn_that_comes_too_late() {
    // One update a second, in turns; after 100 ms everybody is to stop.
    let (server, schedule) = (private(), Schedule::of_updates(1, 4, 2).unwrap());
    let key = format!("{}late", server.prefix());
    let work: Vec<Work> = (0..2).map(|client| Work::one_key(&key, schedule.updates_of(client))).collect();
    let limits = Limits { stop: &NEVER, deadline: Duration::from_millis(100) };
    let events = event_loop(&server, 2).race_on_schedule(&work, &schedule, limits).unwrap();
    let mut quick = [Sleeper::boxed(1, |_| Duration::ZERO), Sleeper::boxed(1, |_| Duration::ZERO)];
    let threads = race_on_schedule(&pool(2).unwrap(), &mut quick, &work, &schedule, limits).unwrap();
    for log in [events, threads] {
        assert_eq!(log.clients.iter().map(|lane| lane.events.len()).collect::<Vec<_>>(), [1, 0]);
    }
}

/// `report` under an open loop whose server stands still for a second in the middle: how long it really did, and the
/// run. `None` if the machine was so slow that the schedule may have been over before the stall.
fn stalled_run(server: &Target, driver: &str, out: &Path) -> Option<(Duration, Run)> {
    let child = server.child().unwrap();
    let url = server.secret_url();
    let since = Instant::now();
    let mut report = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--rate", "2000", "--duration", "4s", "--threads", "4", "--strategies", "incr", "--rounds", "1"])
        .args(["--redis-url", &url, "--no-progress", "--out", &out.display().to_string(), "--driver", driver])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut db = server.connect().unwrap();
    // A quarter of all updates: the trial is well under way, which a warm-up of 40 is not.
    let calls = |db: &mut redis_lost_updates::target::Session| {
        let info: String = redis::cmd("INFO").arg("commandstats").query(db).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_incr:calls="))?;
        line.split(',').next()?.parse::<u64>().ok()
    };
    while calls(&mut db).unwrap_or(0) < 2_000 {
        assert!(report.try_wait().unwrap().is_none(), "the run ended before a quarter of its updates");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.stall();
    let stat = format!("/proc/{}/stat", child.pid().unwrap());
    while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
    let stopped = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    let (stall, ran) = (stopped.elapsed(), since.elapsed());
    child.resume();
    assert!(report.wait().unwrap().success());
    // The schedule began after the process did, so it was not over before this.
    (ran < Duration::from_secs(4)).then(|| (stall, Run::read(out).unwrap()))
}

#[test]
fn a_server_that_stalls_for_a_second_shows_it_in_p99_as_arithmetic_says() {
    for driver in ["threads", "events"] {
        a_stall_is_seen(driver);
    }
}

fn a_stall_is_seen(driver: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = |i: u32| dir.path().join(i.to_string());
    let tries = (0..5).find_map(|i| Some((out(i), stalled_run(&private(), driver, &out(i))?)));
    let (out, (stall, run)) = tries.expect("a machine that runs a trial of four seconds on time in five tries");
    let times = |clock| {
        let buckets = run.latency.iter().filter(|bucket| bucket.clock == clock);
        buckets.map(|bucket| (bucket.up_to_ns, bucket.count)).collect::<Vec<_>>()
    };
    let (service, response) = (times(Clock::Service), times(Clock::Response));
    let record = &run.records[0];
    assert_eq!((record.condition.offered_per_s, updates(&response)), (Some(2_000), 8_000));
    assert_eq!((record.verdict, updates(&service)), (Some(Verdict::Exact), record.attempted.unwrap()));
    let (service_p99, response_p99) = (quantile(&service, 0.99).unwrap(), quantile(&response, 0.99).unwrap());
    // One update was intended every half millisecond of the stall. The 81 first of them, one more than lie beyond p99,
    // were intended in its first 41 ms, and waited for all the rest of it.
    let waited = stall.as_nanos() as u64 - 41_000_000;
    assert!(response_p99 >= waited, "p99 {response_p99} ns from the intended instant, stall {stall:?}");
    // From the send, 81 updates beyond p99 cannot together take longer than all four clients had.
    let most = 4 * record.span_ns.unwrap() / 80;
    assert!(service_p99 <= most + most / 100, "p99 {service_p99} ns from the send");
    assert!(service_p99 < response_p99 / 2, "{service_p99} ns is not far below {response_p99} ns");
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("in an open loop: 2,000") && page.contains("2,000 updates per second were offered"));
}

#[test]
fn more_than_can_be_done_is_said_on_the_table_the_page_and_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--rate", "1000000", "--duration", "100ms", "--threads", "2", "--strategies", "mutex", "--rounds", "1"])
        .args(["--table", "--out", &out])
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("Open loop: 1,000,000 updates/s offered"), "{table}");
    assert!(table.contains("mutex x2: offered 1,000,000/s, achieved ") && table.contains(" never sent"), "{table}");
    let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    assert!(page.contains("<b>Could not keep up:</b>") && page.contains("offered 1,000,000/s, achieved "));
    let run = Run::read(Path::new(&out)).unwrap();
    let record = &run.records[0];
    assert_eq!(record.attempted.unwrap() + record.unsent.unwrap(), 100_000, "{record:?}");
    assert!(record.backlog >= record.unsent, "{record:?}");
    let json = serde_json::to_value(redis_lost_updates::summary::Summary::of(&run)).unwrap();
    assert_eq!(
        (&json["cells"][0]["offered_per_s"], &json["cells"][0]["latency_clock"]),
        (&1_000_000.into(), &"response".into())
    );
}
