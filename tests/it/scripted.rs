//! A server of our own that loses, doubles, refuses, hangs up and stalls by a script: what the tool reports must be what
//! was scripted, exactly.
//!
//! It speaks enough RESP for one counter, and keeps its own log of what it did to each INCR, and when.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis_lost_updates::pace::Pace;
use redis_lost_updates::record::{Clock, Record, Run};
use redis_lost_updates::stats::quantile;
use redis_lost_updates::strategy;
use redis_lost_updates::target::Target;
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::update::{Event, Outcome};
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::{DriverKind, Size, Workload};

use crate::model::request;

/// What is done to every n-th INCR since the counter was last removed; 0 is never. Of several, the first listed.
#[derive(Clone, Copy, Default)]
struct Script {
    /// Acknowledged and not applied: the next one is told the same value.
    lose: u64,
    /// Acknowledged and not applied, though the values told count on: the counter is behind them at the end.
    forget: u64,
    /// Applied twice, and told the second value.
    double: u64,
    /// An error reply, nothing applied.
    refuse: u64,
    /// The connection is closed without a reply; every other time the update was applied.
    hang_up: u64,
    /// Told the largest integer, and applied or not.
    absurd: (u64, bool),
    /// The reply is held back for so long.
    hold: (u64, Duration),
}

/// What was done since the counter was last removed.
#[derive(Clone, Debug, Default)]
struct Log {
    asked: u64,
    lost: u64,
    doubled: u64,
    refused: u64,
    hung_up: u64,
    value: i64,
    /// The largest value told.
    told: i64,
    /// When each INCR had been read, and when its reply was about to be written.
    stamps: Vec<(Instant, Instant)>,
}

impl Log {
    fn acked(&self) -> u64 {
        self.asked - self.refused - self.hung_up
    }

    /// Does what the script says to one more INCR: the reply, or none if the connection is to be closed.
    fn incr(&mut self, script: &Script) -> Option<String> {
        self.asked += 1;
        let is = |every: u64| every > 0 && self.asked.is_multiple_of(every);
        let (applied, told) = match () {
            () if is(script.lose) => {
                self.lost += 1;
                return Some(format!(":{}\r\n", self.told + 1));
            }
            () if is(script.forget) => {
                self.lost += 1;
                (0, 1)
            }
            () if is(script.absurd.0) => {
                let applied = i64::from(script.absurd.1);
                self.lost += u64::from(!script.absurd.1);
                (self.value, self.told) = (self.value + applied, self.told + applied);
                return Some(format!(":{}\r\n", i64::MAX));
            }
            () if is(script.double) => {
                self.doubled += 1;
                (2, 2)
            }
            () if is(script.refuse) => {
                self.refused += 1;
                return Some("-ERR refused by the script\r\n".to_owned());
            }
            () if is(script.hang_up) => {
                self.hung_up += 1;
                let applied = i64::from(self.hung_up.is_multiple_of(2));
                (self.value, self.told) = (self.value + applied, self.told + applied);
                return None;
            }
            () => (1, 1),
        };
        (self.value, self.told) = (self.value + applied, self.told + told);
        Some(format!(":{}\r\n", self.told))
    }
}

struct Scripted {
    address: SocketAddr,
    /// One log for each time the counter was removed, the running one last.
    logs: Arc<Mutex<Vec<Log>>>,
    stop: Arc<AtomicBool>,
}

impl Scripted {
    fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let logs = Arc::new(Mutex::new(vec![Log::default()]));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (logs.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !stopped.load(Ordering::Relaxed)) {
                let (logs, stream) = (shared.clone(), stream.unwrap());
                // A client that goes away ends its conversation, as on any server.
                std::thread::spawn(move || converse(&stream, &script, &logs).unwrap_or(()));
            }
        });
        Self { address, logs, stop }
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The log of the trial in which `asked` updates were asked.
    fn log(&self, asked: u64) -> Log {
        let logs = self.logs.lock().unwrap();
        let mut fitting = logs.iter().filter(|log| log.asked == asked);
        let log = fitting.next().unwrap_or_else(|| panic!("no trial of {asked}: {:?}", logs.iter().map(|l| l.asked)));
        assert!(fitting.next().is_none(), "several trials of {asked}");
        log.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener, which may also be gone.
        drop(TcpStream::connect(self.address));
    }
}

/// Answers one client until it goes or the script hangs up.
fn converse(stream: &TcpStream, script: &Script, logs: &Mutex<Vec<Log>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(words) = request(&mut reader)? {
        let arrived = Instant::now();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reply = match words[..] {
            ["INCR", _] => match counted(script, logs, arrived) {
                Some(reply) => reply,
                None => return Ok(()),
            },
            ["GET", _] => bulk(&logs.lock().unwrap().last().unwrap().value.to_string()),
            ["DEL", ..] => {
                logs.lock().unwrap().push(Log::default());
                ":1\r\n".to_owned()
            }
            ["PING"] => "+PONG\r\n".to_owned(),
            ["CLIENT", ..] => "+OK\r\n".to_owned(),
            ["CONFIG", "GET", _] => "*0\r\n".to_owned(),
            ["INFO", ..] => bulk(&info(&logs.lock().unwrap())),
            _ => format!("-ERR unknown command '{}'\r\n", words[0]),
        };
        writer.write_all(reply.as_bytes())?;
    }
    Ok(())
}

/// One INCR: counted under the lock, held outside it, stamped at both ends.
fn counted(script: &Script, logs: &Mutex<Vec<Log>>, arrived: Instant) -> Option<String> {
    let (reply, trial, place) = {
        let mut logs = logs.lock().unwrap();
        let trial = logs.len() - 1;
        let log = &mut logs[trial];
        let reply = log.incr(script);
        log.stamps.push((arrived, arrived));
        (reply, trial, log.stamps.len())
    };
    let (every, time) = script.hold;
    if every > 0 && (place as u64).is_multiple_of(every) {
        std::thread::sleep(time);
    }
    logs.lock().unwrap()[trial].stamps[place - 1].1 = Instant::now();
    reply
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn info(logs: &[Log]) -> String {
    let sum = |figure: fn(&Log) -> u64| logs.iter().map(figure).sum::<u64>();
    let (calls, failed) = (sum(|log| log.asked), sum(|log| log.refused));
    format!(
        "redis_version:7.0.0\r\nredis_mode:standalone\r\nrole:master\r\nused_cpu_sys:0.0\r\nused_cpu_user:0.0\r\n\
         cmdstat_incr:calls={calls},usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls={failed}\r\n"
    )
}

static NEVER: AtomicBool = AtomicBool::new(false);

/// One trial by a crew: what it was found to be, and what was done.
fn race(name: &str, script: Script, threads: usize, updates: u64) -> (Trial, Record, Log) {
    race_until(name, script, threads, updates, threads as u64 * updates)
}

/// One trial that the script ends after `asked` updates.
fn race_until(name: &str, script: Script, threads: usize, updates: u64, asked: u64) -> (Trial, Record, Log) {
    let scripted = Scripted::start(script);
    let server = Target::at(&scripted.url()).unwrap();
    let strategy = strategy::find(&[name]).unwrap()[0];
    let workload = Workload::one_key(threads);
    let mut crew = Crew::open(&server, strategy, workload, 1, &NEVER).unwrap();
    let trial = crew.trial(updates, Duration::from_secs(60)).unwrap();
    let record = trial.record(strategy, &server, &workload);
    crew.close().unwrap();
    (trial, record, scripted.log(asked))
}

/// Holds a row against the log.
fn check(record: &Record, log: &Log) {
    assert_eq!(record.attempted, Some(log.asked));
    assert_eq!((record.acked, record.refused), (Some(log.acked()), Some(log.refused)));
    assert_eq!((record.unknown, record.found), (Some(log.hung_up), Some(log.value)));
    assert_eq!((record.lost, record.doubled, record.phantom), (Some(log.lost), Some(log.doubled), Some(0)));
    assert_eq!(record.server_applied, Some(log.asked - log.refused), "the server's own count");
}

#[test]
fn what_is_scripted_is_what_is_reported() {
    let (rolled_back, overwritten) = (|r: &Record| r.rolled_back, |r: &Record| r.overwritten);
    let nothing = Script::default();
    // A doubling right after a loss would make up for it unseen, so no even place is next to a tenth.
    type Part = fn(&Record) -> Option<u64>;
    let cases: [(Script, Verdict, Part, u64); 6] = [
        (nothing, Verdict::Exact, |r| r.gaps, 0),
        (Script { lose: 7, ..nothing }, Verdict::Lost, overwritten, 2_000 / 7),
        (Script { forget: 7, ..nothing }, Verdict::Lost, rolled_back, 2_000 / 7),
        (Script { double: 9, ..nothing }, Verdict::Excess, |r| r.gaps, 2_000 / 9),
        (Script { lose: 10, double: 6, ..nothing }, Verdict::Excess, |r| r.gaps, 2_000 / 6 - 2_000 / 30),
        (Script { refuse: 11, ..nothing }, Verdict::Exact, |r| r.refused, 2_000 / 11),
    ];
    for name in ["incr", "pooled-incr", "multiplexed-incr", "pipelined-incr"] {
        for (i, (script, verdict, part, expected)) in cases.into_iter().enumerate() {
            let (_, record, log) = race(name, script, 4, 500);
            check(&record, &log);
            assert_eq!(
                (record.verdict, part(&record)),
                (Some(verdict), Some(expected)),
                "{name}, case {i}: {record:?}"
            );
            assert_eq!(record.error.is_some(), script.refuse > 0, "{name}, case {i}: {record:?}");
        }
    }
}

/// Three of 2,000 updates are told `i64::MAX`. If the server also lost them, they are lost. If it counted them, they
/// were told values that do not exist, and nobody was told the values that do.
#[test]
fn the_largest_integer_told_three_times_is_judged_like_any_other() {
    for name in ["incr", "pooled-incr", "multiplexed-incr", "pipelined-incr"] {
        let (_, record, log) = race(name, Script { absurd: (600, false), ..Script::default() }, 4, 500);
        check(&record, &log);
        assert_eq!((record.verdict, record.lost, record.found), (Some(Verdict::Lost), Some(3), Some(1_997)), "{name}");
        assert_eq!((record.overwritten, record.rolled_back), (Some(2), Some(1)), "{name}: {record:?}");
        let (trial, record, log) = race(name, Script { absurd: (600, true), ..Script::default() }, 4, 500);
        assert_eq!((record.acked, record.found), (Some(2_000), Some(log.value)), "{name}");
        assert_eq!(
            (record.verdict, record.lost, record.doubled),
            (Some(Verdict::Repeated), Some(3), Some(3)),
            "{name}"
        );
        assert_eq!((record.repeated, record.gaps), (Some(2), Some(3)), "{name}: {record:?}");
        let told = trial.log.clients.iter().flat_map(|client| &client.events);
        assert_eq!(told.filter(|event| event.outcome() == Outcome::Acked(i64::MAX)).count(), 3, "{name}");
    }
}

#[test]
fn as_many_losses_as_doublings_leave_the_right_count_and_are_seen() {
    let (_, record, log) = race("incr", Script { lose: 20, double: 10, ..Script::default() }, 4, 500);
    check(&record, &log);
    assert_eq!((log.lost, log.doubled, record.found), (100, 100, Some(2_000)));
    assert_eq!(record.verdict, Some(Verdict::Repeated));
}

#[test]
fn a_connection_that_is_dropped_leaves_one_unknown_update() {
    // A pool replaces what is broken, so that every drop costs one update and no client.
    let (_, record, log) = race("pooled-incr", Script { hang_up: 50, ..Script::default() }, 4, 100);
    check(&record, &log);
    // Every other one had been applied: the surplus is no more than unknown outcomes explain.
    assert_eq!((log.hung_up, log.value), (8, 400 - 8 + 4));
    assert_eq!(record.verdict, Some(Verdict::Unproven));
    // Losses are not excused by unknown outcomes.
    let (_, record, log) = race("pooled-incr", Script { lose: 7, hang_up: 50, ..Script::default() }, 1, 400);
    assert_eq!((record.unknown, record.acked), (Some(log.hung_up), Some(log.acked())));
    assert_eq!(record.verdict, Some(Verdict::Lost));
}

#[test]
fn a_pipeline_that_is_cut_keeps_what_it_was_told_and_asks_nothing_more_on_that_connection() {
    let (trial, record, log) = race_until("pipelined-incr", Script { hang_up: 40, ..Script::default() }, 1, 200, 40);
    // 16, 16 and 7 were told; the 9 others of that batch, and the two batches tried after it, were not.
    assert_eq!((record.acked, record.unknown, record.attempted), (Some(39), Some(9 + 32), Some(80)));
    assert_eq!((log.hung_up, record.found, record.verdict), (1, Some(39), Some(Verdict::Unproven)));
    let told = trial.log.clients[0].events.iter().take(39).map(Event::outcome);
    assert!(told.eq((1..=39).map(Outcome::Acked)));
}

#[test]
fn a_connection_lost_before_an_open_loop_leaves_its_updates_unsent() {
    // The warm-up is ten updates by each of four clients, and the twentieth loses its connection.
    let scripted = Scripted::start(Script { hang_up: 20, ..Script::default() });
    let server = Target::at(&scripted.url()).unwrap();
    let incr = strategy::find(&["incr"]).unwrap()[0];
    let workload = Workload { pace: Pace::Rate(200), ..Workload::one_key(4).driven_by(DriverKind::Events) };
    let mut crew = Crew::open(&server, incr, workload, 1, &NEVER).unwrap();
    let trial = crew.sized_trial(Size::Duration(Duration::from_millis(60))).unwrap();
    let record = trial.record(incr, &server, &workload);
    assert_eq!((record.attempted, record.acked, record.unsent), (Some(9), Some(9), Some(3)), "{record:?}");
    assert!(record.error.is_some() && record.backlog >= Some(3), "{record:?}");
    let response: u64 = trial.response().unwrap().iter().map(|(_, count)| count).sum();
    assert_eq!(response, 12, "what was never sent has waited too");
}

/// What the server's stamps prove of each update of a single client, in nanoseconds: it took at least from the request's
/// arrival to the reply, and at most from the reply before it to the request after it.
fn bounds(log: &Log) -> (Vec<u64>, Vec<u64>) {
    let ns = |from: Instant, to: Instant| (to - from).as_nanos() as u64;
    let stamps = &log.stamps;
    let least = stamps.iter().map(|&(arrived, answered)| ns(arrived, answered));
    // Of the first and the last, nothing.
    let most = stamps.windows(3).map(|three| ns(three[0].1, three[2].0)).chain([u64::MAX; 2]);
    let (mut least, mut most): (Vec<u64>, Vec<u64>) = (least.collect(), most.collect());
    least.sort_unstable();
    most.sort_unstable();
    (least, most)
}

/// Holds percentiles against these bounds, and the stated precision of one percent.
fn check_percentiles(buckets: &[(u64, u64)], log: &Log) {
    let (least, most) = bounds(log);
    assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), log.asked);
    for q in [0.5, 0.9, 0.95, 0.96, 0.99] {
        let rank = (log.asked as f64 * q).ceil() as usize;
        let told = quantile(buckets, q).unwrap();
        let (least, most) = (least[rank - 1], most[rank - 1]);
        assert!(told >= least, "{q}: {told} ns, but the server took {least}");
        assert!(told as f64 <= most as f64 * 1.01 + 1.0, "{q}: {told} ns, but no more than {most} had passed");
    }
    // Every twentieth, 5 % of all, was held for 30 ms.
    assert!(quantile(buckets, 0.96).unwrap() >= 30_000_000);
}

const HELD: Script = Script {
    hold: (20, Duration::from_millis(30)),
    lose: 0,
    forget: 0,
    double: 0,
    refuse: 0,
    hang_up: 0,
    absurd: (0, false),
};

#[test]
fn latencies_are_those_of_the_script_within_one_percent() {
    let (trial, _, log) = race("incr", HELD, 1, 400);
    let buckets = trial.latency();
    check_percentiles(&buckets, &log);
    // And the buckets against the very times they were made from.
    let mut times: Vec<u64> = trial.log.clients[0].events.iter().map(|e: &Event| e.end_ns() - e.begin_ns()).collect();
    times.sort_unstable();
    for rank in [1, 4, 100, 200, 360, 379, 381, 396, 400] {
        let (time, told) = (times[rank - 1], quantile(&buckets, (rank as f64 - 0.5) / 400.0).unwrap());
        assert!(told >= time && told as f64 <= time as f64 * 1.01 + 1.0, "number {rank}: {told} ns for {time}");
    }
}

fn report(server: &Scripted, out: &Path, args: &[&str]) -> (Output, Record, Vec<(u64, u64)>) {
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--redis-url", &server.url(), "--out", &out.display().to_string(), "--rounds", "1", "--no-progress"])
        .args(args)
        .output()
        .unwrap();
    let run = Run::read(out).unwrap();
    assert_eq!(run.records.len(), 1);
    let service = run.latency.iter().filter(|bucket| bucket.clock == Clock::Service);
    (output, run.records[0].clone(), service.map(|bucket| (bucket.up_to_ns, bucket.count)).collect())
}

#[test]
fn the_whole_command_reports_what_was_scripted_and_fails_where_a_promise_was_broken() {
    let dir = tempfile::tempdir().unwrap();
    let losing = Scripted::start(Script { lose: 7, ..Script::default() });
    let out = dir.path().join("losing");
    let (output, record, _) = report(&losing, &out, &["--strategies", "incr", "--threads", "3", "--updates", "200"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    check(&record, &losing.log(600));
    assert_eq!((record.lost, record.verdict), (Some(600 / 7), Some(Verdict::Lost)));
    assert!(
        said.contains("incr broke its promise to be exact: lost in 1 of 1 trial at 3 threads, 85 of 600"),
        "{said}"
    );
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    let broken = "<code>incr</code> promises to be exact and lost <b>14.2 %</b> (85 of 600) in <b>1 of 1 trial</b>, at 3 threads. \
                  Verdict: lost.";
    assert!(page.contains(broken));

    let refusing = Scripted::start(Script { refuse: 5, ..Script::default() });
    let (output, record, _) = report(
        &refusing,
        &dir.path().join("refusing"),
        &["--strategies", "pooled-incr", "--threads", "2", "--updates", "250"],
    );
    assert_eq!(output.status.code(), Some(0), "a refusal is no broken promise");
    check(&record, &refusing.log(500));
    assert!(record.error.unwrap().contains("refused by the script"));
}

#[test]
fn the_whole_command_tells_the_latencies_of_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let slow = Scripted::start(HELD);
    let args = ["--strategies", "incr", "--threads", "1", "--updates", "400"];
    let (output, record, buckets) = report(&slow, &dir.path().join("slow"), &args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let log = slow.log(400);
    check(&record, &log);
    check_percentiles(&buckets, &log);
}
