//! `report --faults`: faults as one more dimension of an ordinary run.

use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;

use redis_lost_updates::record::{Record, Run};
use redis_lost_updates::target::{Placement, ServerSpec};
use redis_lost_updates::verdict::{Promise, Verdict};

use crate::strategies::binaries;

fn report(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.args(["--threads", "4", "--duration", "20ms", "--rounds", "1", "--no-progress"]).args(args);
    command.env_remove("REDIS_URL").stdin(Stdio::null()).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn of<'a>(run: &'a Run, strategy: &str, fault: &str) -> &'a Record {
    let is_it = |row: &&Record| row.condition.strategy == strategy && row.condition.fault == fault;
    run.records.iter().find(is_it).unwrap_or_else(|| panic!("{strategy} under {fault} was not measured"))
}

#[test]
fn every_strategy_is_raced_with_and_without_each_fault_and_judged_by_what_it_promises_then() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let args =
        ["--strategies", "incr,incr-retry,incr-wait", "--faults", "reply-lost,failover-lagging,slot-move", "--out"];
    let output = report(&args).arg(&out).output().unwrap();
    // What incr loses in a failover breaks no promise.
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let run = Run::read(&out).unwrap();
    assert_eq!(run.records.len(), 12);
    for strategy in ["incr", "incr-retry"] {
        let healthy = of(&run, strategy, "none");
        assert_eq!((healthy.lost, healthy.promise), (Some(0), Promise::Exact), "{healthy:?}");
        let lagging = of(&run, strategy, "failover-lagging");
        assert!(lagging.lost > Some(0) && lagging.promise == Promise::Lossy, "{lagging:?}");
        assert_eq!((lagging.condition.replicas, lagging.condition.threads), (1, 4));
    }
    let doubled = of(&run, "incr-retry", "reply-lost:fin");
    assert_eq!((doubled.verdict, doubled.doubled), (Some(Verdict::Excess), Some(41)), "{doubled:?}");
    assert_eq!(of(&run, "incr", "reply-lost:fin").unknown, Some(40));
    let waits = of(&run, "incr-wait", "failover-lagging");
    assert!(waits.lost == Some(0) && waits.promise == Promise::Exact, "{waits:?}");
    assert_eq!(of(&run, "incr", "slot-move").condition.shards, 3);
    // The page and the table tell which is which.
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("incr under failover-lagging"), "the fault is part of the name");
    let done = std::fs::read_to_string(out.join("faults.csv")).unwrap();
    assert!(done.contains("lost-reply-fin") && done.contains("primary-killed"), "{done}");
}

#[test]
fn a_server_that_is_not_ours_is_only_stood_in_front_of_and_only_if_that_is_allowed() {
    let Some(binary) = binaries().into_iter().next() else { return };
    let spec = ServerSpec { binary: Some(binary), placement: Placement::Free, ..ServerSpec::default() };
    let server = spec.resolve(&AtomicBool::new(false), &mut |_| ()).unwrap();
    let url = server.secret_url();
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| report(args).args(["--redis-url", &url, "--out"]).arg(folder.path().join("run")).output();
    for (args, words) in [
        (vec!["--strategies", "incr", "--faults", "reply-lost"], "needs --allow-faults"),
        (vec!["--strategies", "incr", "--faults", "crash-restart", "--allow-faults"], "private servers only"),
    ] {
        let output = run(&args).unwrap();
        let last = said(&output).lines().last().unwrap_or_default().to_owned();
        assert!(output.status.code() == Some(2) && last.contains(words), "{}", said(&output));
        assert!(!folder.path().join("run").exists(), "nothing is written");
    }
    let output =
        run(&["--strategies", "incr-retry,idempotent-lua", "--faults", "reply-lost:rst", "--allow-faults"]).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let rows = Run::read(&folder.path().join("run")).unwrap();
    assert_eq!(of(&rows, "incr-retry", "reply-lost:rst").doubled, Some(41));
    assert_eq!(of(&rows, "idempotent-lua", "reply-lost:rst").doubled, Some(0));
    let left: i64 = redis::cmd("DBSIZE").query(&mut server.connect().unwrap()).unwrap();
    assert_eq!(left, 0, "keys are left on a server that is not ours");
}

#[test]
fn a_lock_in_memory_is_not_blamed_for_clients_that_reconnect_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let args = ["--strategies", "mutex,incr", "--faults", "client-crash", "--out"];
    let output = report(&args).arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let run = Run::read(&out).unwrap();
    let skipped = of(&run, "mutex", "client-crash");
    assert!(skipped.note.as_deref().is_some_and(|note| note.contains("share an in-memory lock")), "{skipped:?}");
    assert_eq!(of(&run, "mutex", "none").verdict, Some(Verdict::Exact));
}

#[test]
fn what_a_fault_cannot_be_combined_with_is_refused_in_one_line() {
    for (args, words) in [
        (vec!["--faults", "pause", "--driver", "events"], "not supported by --driver events"),
        (vec!["--faults", "pause", "--keys", "1,4"], "leave out --keys"),
        (vec!["--faults", "flood"], "no fault 'flood'"),
    ] {
        let output = report(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(words) && said(&output).lines().count() == 1, "{}", said(&output));
    }
}
