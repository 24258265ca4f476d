//! A run never says that all is well where it does not know: what ends with which exit code, and what it says then.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::Transport;
use redis_lost_updates::record::Run;
use redis_lost_updates::strategy::find;
use redis_lost_updates::target::{Private, ServerSpec, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::Workload;

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A private server with settings of its own, and its URL.
fn set_to(extra: &[&str]) -> (Target, String) {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let server = Target::private(Private::start(&binary, extra, None).unwrap(), Transport::Tcp).unwrap();
    let url = server.secret_url();
    (server, url)
}

fn report(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report")).args(args).env_remove("REDIS_URL").output().unwrap()
}

/// What was said on stderr, without warnings, which are about this machine.
fn said(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().filter(|line| !line.contains("warning:")).map(str::to_owned).collect()
}

#[test]
fn an_exact_strategy_with_nothing_acknowledged_is_not_well() {
    let (_server, url) = set_to(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let plan = ["--strategies", "incr", "--threads", "4", "--updates", "20", "--rounds", "2", "--quiet"];
    let output = report(&[["--redis-url", &url, "--out", &out].as_slice(), &plan].concat());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    let begins = "report: incr cannot be judged: no update was acknowledged in 2 of 2 trials at 4 threads: ";
    assert!(said[0].starts_with(begins) && said[0].contains("OOM"), "{said:?}");
}

#[test]
fn what_the_server_does_not_permit_is_named_strategy_by_strategy() {
    let server = private();
    let forbid = ["SETUSER", "default", "-incr", "-watch", "-evalsha"];
    redis::cmd("ACL").arg(&forbid).exec(&mut server.connect().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let plan = ["--strategies", "incr,watch,lua-incr,mutex", "--threads", "2", "--updates", "20", "--rounds", "1"];
    let url = server.secret_url();
    let output = report(&[["--redis-url", &url, "--out", &out, "--quiet"].as_slice(), &plan].concat());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said:?}");
    assert_eq!(said.len(), 3, "{said:?}");
    for name in ["incr", "watch", "lua-incr"] {
        let of = |line: &&String| line.starts_with(&format!("report: {name} cannot be judged"));
        assert!(said.iter().find(of).is_some_and(|line| line.contains("permissions")), "{name}: {said:?}");
    }
}

#[test]
fn a_demo_on_a_full_server_has_lost_nothing_and_shown_nothing() {
    let (_server, url) = set_to(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let output = report(&["demo", "--redis-url", &url, "--threads", "2", "--updates", "5"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("Racing: all 10 updates were refused: ") && !printed.contains("lost"), "{printed}");
    assert_eq!(said(&output).len(), 1);
}

/// A server on a given port, ended with this.
struct Restarted(Child);

impl Restarted {
    fn on(port: u16) -> Self {
        let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
        let mut command = Command::new(binary);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until the server has counted so many INCR.
fn await_updates(db: &mut redis_lost_updates::target::Session, count: u64) {
    let since = Instant::now();
    loop {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(db).unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_incr:calls=")?.split(',').next());
        if calls.and_then(|calls| calls.parse::<u64>().ok()).is_some_and(|calls| calls > count) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "no trial after a minute");
    }
}

#[test]
fn what_a_crash_loses_is_judged() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("redis://127.0.0.1:{port}");
    let first = Restarted::on(port);
    let since = Instant::now();
    let server = loop {
        match Target::at(&url) {
            Ok(server) => break server,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(20), "{error}"),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let plan = ["--strategies", "incr", "--threads", "4", "--updates", "200000", "--rounds", "1", "--quiet"];
    let args = [["--redis-url", &url, "--out", &out].as_slice(), &plan].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    let child = command.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // In the middle of the trial: a warm-up makes only 40.
    let mut db = server.connect().unwrap();
    await_updates(&mut db, 5_000);
    drop(first);
    std::thread::sleep(Duration::from_millis(300));
    let _restarted = Restarted::on(port);
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said:?}");
    let run = Run::read(Path::new(&out)).unwrap();
    let [row] = &run.records[..] else { panic!("{:?}", run.records) };
    assert_eq!((row.verdict, row.found), (Some(Verdict::Lost), Some(0)), "{row:?}");
    // An update in progress at the crash may have been applied but was not acknowledged, so it does not count as lost.
    let (acked, lost) = (row.acked.unwrap(), row.lost.unwrap());
    assert_eq!(lost, acked, "{row:?}");
    assert!(acked > 1_000 && row.read_back_ms.unwrap() > 0 && row.server_calls.is_none(), "{row:?}");
    let lost = format!("lost in 1 of 1 trial at 4 threads, {lost} of {acked} acknowledged updates lost");
    assert!(said.len() == 1 && said[0].contains(&lost), "{said:?}");
    let mut db = Target::at(&url).unwrap().connect().unwrap();
    assert_eq!(redis::cmd("DBSIZE").query::<u64>(&mut db).unwrap(), 0);
}

#[test]
fn a_trial_whose_connections_are_cut_is_judged() {
    let server = private();
    let strategy = find(&["incr"]).unwrap()[0];
    let mut crew = Crew::open(&server, strategy, Workload::one_key(4), 1, &NEVER).unwrap();
    let cutter = server.clone();
    let cut = std::thread::spawn(move || {
        let mut db = cutter.connect().unwrap();
        await_updates(&mut db, 500);
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut db).unwrap();
    });
    let trial = crew.trial(2_000_000, Duration::from_secs(60)).unwrap();
    cut.join().unwrap();
    crew.close().unwrap();
    let ledger = &trial.judgement.ledger;
    assert!(ledger.acked > 0 && ledger.unknown > 0 && ledger.lost == 0, "{ledger:?}");
    // The updates that were under way when they were cut may have happened.
    assert!(ledger.found as u64 - ledger.acked <= ledger.unknown, "{ledger:?}");
    assert!(!trial.verdict.breaks_exactness(), "{:?}", trial.verdict);
}

#[test]
fn what_the_ping_on_checkout_costs_is_seen_in_the_commands() {
    let server = private();
    for (name, each) in [("pooled-incr", 1), ("pooled-incr-ping", 2)] {
        let strategy = find(&[name]).unwrap()[0];
        let mut crew = Crew::open(&server, strategy, Workload::one_key(2), 1, &NEVER).unwrap();
        let trial = crew.trial(50, Duration::from_secs(60)).unwrap();
        crew.close().unwrap();
        assert_eq!(trial.spent.unwrap().calls, 100 * each, "{name}");
    }
}
