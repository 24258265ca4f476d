//! A pool with fewer connections than clients: what `--pool-size` does, records and shows.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis_lost_updates::record::{Clock, Run};
use redis_lost_updates::strategy::find;
use redis_lost_updates::target::Target;
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::Workload;

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Connections that the server has now.
fn connections(server: &Target) -> usize {
    let mut db = server.connect().unwrap();
    let info: String = redis::cmd("INFO").arg("clients").query(&mut db).unwrap();
    info.lines().find_map(|line| line.strip_prefix("connected_clients:")).unwrap().trim().parse().unwrap()
}

/// Ten updates by each of eight clients, and how many connections they had together.
fn raced(server: &Target, name: &str, pool_size: Option<usize>) -> (Trial, Option<usize>, usize) {
    let workload = Workload { pool_size, ..Workload::one_key(8) };
    let strategy = find(&[name]).unwrap()[0];
    let before = connections(server);
    let mut crew = Crew::open(server, strategy, workload, 1, &NEVER).unwrap();
    // One is the crew's own.
    let had = connections(server) - before - 1;
    let trial = crew.trial(10, Duration::from_secs(60)).unwrap();
    crew.close().unwrap();
    assert_eq!((trial.verdict, trial.judgement.ledger.acked), (Verdict::Exact, 80), "{name}");
    let recorded = trial.record(strategy, server, &workload).condition.pool_size;
    (trial, recorded, had)
}

#[test]
fn a_pool_has_as_many_connections_as_it_is_told_and_every_wait_for_one_is_counted() {
    let server = private();
    for name in ["pooled-incr", "pooled-incr-ping"] {
        let (trial, recorded, had) = raced(&server, name, Some(2));
        assert_eq!((recorded, had), (Some(2), 2), "{name}");
        let count = |buckets: &[(u64, u64)]| buckets.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(count(&trial.waits()), 80, "{name}: the warm-up's waits are not among them");
        // A wait is a part of its update's latency: buckets are 1 % wide.
        let longest = |buckets: &[(u64, u64)]| buckets.iter().map(|(up_to, _)| *up_to).max().unwrap() as f64;
        assert!(longest(&trial.waits()) <= longest(&trial.latency()) * 1.02, "{name}");
        let (trial, recorded, had) = raced(&server, name, None);
        assert_eq!((recorded, had, trial.waits()), (None, 8, vec![]), "{name}");
    }
    // Strategies without a pool have no pool size.
    let (trial, recorded, had) = raced(&server, "incr", Some(2));
    assert_eq!((recorded, had, trial.waits()), (None, 8, vec![]));
}

fn report(out: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.args(["--rounds", "1", "--no-progress", "--out"]).arg(out).args(args);
    command.env_remove("REDIS_URL").output().unwrap()
}

#[test]
fn waiting_is_shown_apart_in_rows_table_page_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let plan = ["--strategies", "pooled-incr,incr", "--threads", "4", "--updates", "100", "--pool-size", "1"];
    let output = report(&out, &plan);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("pooled-incr x4, pool of 1 connection: of the latency, waiting for one median"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80 || line.contains("index.html")), "{said}");
    let run = Run::read(&out).unwrap();
    let sizes: Vec<_> = run.records.iter().map(|r| (r.condition.strategy.as_str(), r.condition.pool_size)).collect();
    assert!(sizes.contains(&("pooled-incr", Some(1))) && sizes.contains(&("incr", None)), "{sizes:?}");
    let waits = run.latency.iter().filter(|bucket| bucket.clock == Clock::Pool);
    let waits: Vec<_> = waits.map(|bucket| (bucket.strategy.as_str(), bucket.count)).collect();
    assert!(waits.iter().all(|(name, _)| *name == "pooled-incr"), "{waits:?}");
    assert_eq!(waits.iter().map(|(_, count)| count).sum::<u64>(), 400);
    assert_eq!(run.machine.get("pool_size"), Some("1"));
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("waiting for one") && page.contains("for a connection of the pool median"));
    let json = report(&dir.path().join("json"), &[&plan[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let cell = |name: &str| json["cells"].as_array().unwrap().iter().find(|cell| cell["label"] == name).unwrap();
    assert!(cell("pooled-incr")["pool_wait_ns"]["p50"].is_u64() && cell("incr")["pool_wait_ns"].is_null());
}

#[test]
fn a_size_that_nothing_would_have_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    for (args, said) in [
        (["--pool-size", "2", "--strategies", "incr"].as_slice(), "pooled-incr"),
        (&["--pool-size", "2", "--driver", "events"], "--driver threads"),
        (&["--pool-size", "0", "--strategies", "pooled-incr"], "from 1 to"),
        (&["--pool-size", "1000000", "--strategies", "pooled-incr"], "from 1 to"),
    ] {
        let output = report(&dir.path().join("run"), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}
