//! `report faults`: each fault has a control that must lose or double and one that must not, on every server available
//! here.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use redis_lost_updates::fault::expected_table;
use redis_lost_updates::record::lab::{Expected, LabRow, LabRun};
use redis_lost_updates::verdict::Verdict;

use crate::strategies::binaries;

fn report(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.arg("faults").args(args).env_remove("REDIS_URL").stdin(Stdio::null());
    // A run without --out writes below the current folder.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The rows of a run on every server with these protections and faults, one round.
fn on_every_server(protections: &str, faults: &str, check: impl Fn(&[LabRow])) {
    let all: Vec<Vec<String>> = match binaries() {
        none if none.is_empty() => vec![Vec::new()],
        some => some.iter().map(|path| vec!["--server-bin".to_owned(), path.display().to_string()]).collect(),
    };
    for server in all {
        let args =
            ["--protections", protections, "--faults", faults, "--rounds", "1", "--seed", "7", "--csv", "--expect"];
        let folder = tempfile::tempdir().unwrap();
        let output = report(&args).args(server).arg("--out").arg(folder.path().join("lab")).output().unwrap();
        let rows: Result<Vec<LabRow>, _> = csv::Reader::from_reader(output.stdout.as_slice()).deserialize().collect();
        let rows = rows.unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        check(&rows);
    }
}

fn of<'a>(rows: &'a [LabRow], protection: &str, fault: &str) -> &'a LabRow {
    let found = rows.iter().find(|row| row.protection == protection && row.fault == fault);
    found.unwrap_or_else(|| panic!("{protection} under {fault} was not measured"))
}

#[test]
fn a_lost_reply_is_doubled_by_a_blind_retry_exactly_as_often_and_never_by_one_with_an_id() {
    on_every_server("incr,incr-retry,idempotent-lua", "reply-lost:fin,reply-lost:rst,reply-lost:silence", |rows| {
        for fault in ["reply-lost:fin", "reply-lost:rst", "reply-lost:silence"] {
            let blind = of(rows, "incr-retry", fault);
            assert_eq!((blind.acked, blind.unknown, blind.lost), (Some(1_600), Some(0), Some(0)), "{fault}");
            assert_eq!((blind.doubled, blind.doubled), (blind.commands_lost, Some(41)), "{fault}");
            assert_eq!(blind.found, Some(1_641), "{fault}");
            let by_id = of(rows, "idempotent-lua", fault);
            assert_eq!((by_id.acked, by_id.doubled, by_id.lost), (Some(1_600), Some(0), Some(0)), "{fault}");
            assert_eq!((by_id.verdict, by_id.commands_lost), (Some(Verdict::Exact), Some(41)), "{fault}");
            // Without a retry the update is reported as unknown, and is in the counter once.
            let once = of(rows, "incr", fault);
            assert_eq!((once.unknown, once.commands_lost, once.doubled), (Some(40), Some(40), Some(0)), "{fault}");
            assert_eq!(once.found, Some(1_600), "{fault}");
        }
    });
}

#[test]
fn a_lost_request_may_be_sent_again() {
    on_every_server("incr,incr-retry", "request-lost:fin", |rows| {
        let blind = of(rows, "incr-retry", "request-lost:fin");
        assert_eq!((blind.acked, blind.doubled, blind.found), (Some(1_600), Some(0), Some(1_600)));
        let once = of(rows, "incr", "request-lost:fin");
        assert_eq!((once.unknown, once.found), (Some(40), Some(1_560)));
    });
}

#[test]
fn a_primary_that_dies_ahead_of_its_replica_loses_what_nobody_waited_for() {
    on_every_server("incr,incr-wait,incr-wait-ignored,incr+min-replicas", "failover-lagging,one-way-cut", |rows| {
        for fault in ["failover-lagging", "one-way-cut"] {
            for protection in ["incr", "incr-wait-ignored", "incr+min-replicas"] {
                let row = of(rows, protection, fault);
                assert!(row.lost > Some(0) && row.verdict == Some(Verdict::Lost), "{protection} {fault}: {row:?}");
                // An update in progress when the fault ends, at most one per client, is acknowledged after it.
                assert!(row.lost_after <= Some(row.clients.into()), "{protection} {fault}: {row:?}");
            }
            let waits = of(rows, "incr-wait", fault);
            assert!(waits.acked > Some(0) && waits.lost == Some(0), "{fault}: {waits:?}");
        }
        // Everything that was lost was acknowledged while the replica lagged: before the kill, and during the cut.
        // Updates in progress at that moment, and those that a server still answers between the signal and its death,
        // are acknowledged a little later.
        let lagging = of(rows, "incr", "failover-lagging");
        assert!(lagging.lost_before.unwrap() * 10 >= lagging.lost.unwrap() * 9, "{lagging:?}");
        let cut = of(rows, "incr", "one-way-cut");
        assert!(cut.lost_during.unwrap() * 10 >= cut.lost.unwrap() * 9, "{cut:?}");
        assert!(of(rows, "incr", "failover-lagging").downtime_ns > Some(200_000_000));
    });
}

#[test]
fn a_crash_loses_what_was_not_written_and_a_log_loses_nothing() {
    on_every_server("incr,incr+rdb,incr+aof-always", "crash-restart", |rows| {
        for protection in ["incr", "incr+rdb"] {
            assert!(of(rows, protection, "crash-restart").lost > Some(0), "{protection}");
        }
        let logged = of(rows, "incr+aof-always", "crash-restart");
        assert!(logged.lost == Some(0) && logged.acked > Some(1_000), "{logged:?}");
    });
}

#[test]
fn what_is_handed_over_or_stands_still_or_refuses_is_not_lost() {
    on_every_server(
        "incr,idempotent-lua",
        "failover-planned,connections-killed,pause,read-only,out-of-memory,script-flush",
        |rows| {
            for row in rows {
                assert_eq!((row.lost, row.doubled), (Some(0), Some(0)), "{row:?}");
            }
            assert!(of(rows, "incr", "connections-killed").reconnects > Some(0));
            assert!(of(rows, "incr", "pause").downtime_ns > Some(300_000_000));
            for fault in ["read-only", "out-of-memory"] {
                assert!(of(rows, "incr", fault).refused > Some(0), "{fault}");
            }
            assert!(of(rows, "idempotent-lua", "script-flush").refused > Some(0), "NOSCRIPT");
        },
    );
}

#[test]
fn sentinels_and_a_cluster_fail_over_and_only_the_sentinels_lose() {
    on_every_server("incr,incr-wait", "failover-planned:sentinel,failover-crash:sentinel", |rows| {
        // Asked for a failover, Sentinels promote the replica while the old primary goes on acknowledging.
        let planned = of(rows, "incr", "failover-planned:sentinel");
        assert!(planned.lost > Some(0) && planned.lost_during > Some(0), "{planned:?}");
        assert_eq!(of(rows, "incr-wait", "failover-planned:sentinel").lost, Some(0));
        assert_eq!(of(rows, "incr-wait", "failover-crash:sentinel").lost, Some(0));
        for protection in ["incr", "incr-wait"] {
            assert!(of(rows, protection, "failover-crash:sentinel").downtime_ns > Some(1_000_000_000), "{protection}");
        }
    });
    on_every_server("incr", "failover-planned:cluster,failover-crash:cluster,slot-move", |rows| {
        for fault in ["failover-planned:cluster", "slot-move"] {
            assert_eq!((of(rows, "incr", fault).lost, of(rows, "incr", fault).doubled), (Some(0), Some(0)), "{fault}");
        }
        let crash = of(rows, "incr", "failover-crash:cluster");
        assert!(crash.recover_ns > Some(1_000_000_000) && crash.unknown > Some(0), "{crash:?}");
    });
}

#[test]
fn a_counter_that_is_taken_away_is_lost() {
    on_every_server("incr", "eviction,expiry,flush,split-brain", |rows| {
        for fault in ["eviction", "expiry", "flush", "split-brain"] {
            let row = of(rows, "incr", fault);
            assert!(row.lost > Some(0) && row.found < row.acked.map(|acked| acked as i64), "{fault}: {row:?}");
        }
    });
}

#[test]
fn a_client_that_dies_takes_along_what_it_acknowledged_before_it_sent_it_and_nothing_else() {
    on_every_server("incr,pipelined-incr,write-behind", "client-crash", |rows| {
        // Two of four clients die, each with a batch on its way or partly reported. On a busy machine another may time out.
        for protection in ["incr", "pipelined-incr"] {
            let row = of(rows, protection, "client-crash");
            assert_eq!((row.lost, row.doubled), (Some(0), Some(0)), "{row:?}");
            assert!(row.unknown >= Some(2), "{row:?}");
            assert!(row.found >= row.acked.map(|acked| acked as i64), "{row:?}");
        }
        let held = of(rows, "write-behind", "client-crash");
        assert!(held.lost > Some(0) && held.verdict == Some(Verdict::Lost), "{held:?}");
        // A client that ends in order sends what it holds.
        assert_eq!(of(rows, "write-behind", "none").lost, Some(0));
    });
}

#[test]
fn a_client_library_is_held_to_its_own_expectation_and_finds_the_new_primary() {
    on_every_server("redis-rs,redis-rs+safe", "reply-lost:fin,failover-lagging,failover-planned:cluster", |rows| {
        let default = of(rows, "redis-rs", "reply-lost:fin");
        assert_eq!((default.unknown, default.doubled, default.lost), (Some(40), Some(0), Some(0)));
        assert_eq!((default.library.as_str(), default.library_settings.as_str()), ("redis-rs", "default"));
        assert!(default.library_effective.contains("retries=0"), "{}", default.library_effective);
        assert_eq!(default.expected_doubled, Some(Expected::Never), "its manifest says that it sends once");
        let safe = of(rows, "redis-rs+safe", "failover-lagging");
        assert!(safe.lost > Some(0), "{safe:?}");
        // It goes on after the failover, through the same address.
        assert!(safe.found > Some(0) && safe.recover_ns.is_some(), "{safe:?}");
        let cluster = of(rows, "redis-rs", "failover-planned:cluster");
        assert!(cluster.is_skipped() && cluster.note.as_ref().unwrap().contains("one address"), "{cluster:?}");
    });
}

#[test]
fn the_same_seed_gives_the_same_verdicts() {
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        let args =
            ["--protections", "incr-retry,idempotent-lua", "--faults", "reply-lost:fin,request-lost:rst", "--csv"];
        let output = report(&args).args(["--seed", "5", "--out"]).arg(folder.path().join("lab")).output().unwrap();
        let rows: Vec<LabRow> =
            csv::Reader::from_reader(output.stdout.as_slice()).deserialize().map(Result::unwrap).collect();
        let figures =
            |row: LabRow| (row.trial, row.protection, row.fault, row.seed, row.verdict, row.doubled, row.lost);
        rows.into_iter().map(figures).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first.len(), 7);
    assert_eq!(run(), first);
}

#[test]
fn a_run_leaves_a_folder_that_says_what_happened_and_no_server() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = folder.path().join("lab");
    let args = ["--protections", "incr", "--faults", "failover-lagging:50ms", "--rounds", "2", "--quiet", "--out"];
    let output = report(&args).arg(&out).env("TMPDIR", scratch.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("LOST") && text.contains("(2/2)") && text.contains("rate × delay"), "{text}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "a server's folder is left");
    let run = LabRun::read(&out).unwrap().unwrap();
    assert_eq!(run.rows.len(), 4);
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("Primary killed, replica behind"), "the page is written with the rows");
    for row in run.rows.iter().filter(|row| row.fault != "none") {
        let of_it = |trial: u32| trial == row.trial;
        let sum = |figure: fn(&redis_lost_updates::record::lab::Moment) -> u64| -> u64 {
            run.timeline.iter().filter(|moment| of_it(moment.trial)).map(figure).sum()
        };
        assert_eq!((Some(sum(|m| m.acked)), Some(sum(|m| m.lost))), (row.acked, row.lost));
        let done: Vec<&str> =
            run.faults.iter().filter(|fault| of_it(fault.trial)).map(|fault| fault.what.as_str()).collect();
        assert!(done.contains(&"primary-killed") && done.contains(&"replica-promoted"), "{done:?}");
        let steps: Vec<&str> =
            run.evidence.iter().filter(|step| of_it(step.trial)).map(|step| step.note.as_str()).collect();
        assert!(steps.first().is_some_and(|note| note.contains("the first of")), "{steps:?}");
        assert!(steps.last().is_some_and(|note| note.starts_with("the counter is read")), "{steps:?}");
    }
    let again = report(&args).arg(&out).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("choose another folder with --out"), "{}", said(&again));
}

#[test]
fn a_run_that_is_interrupted_or_killed_leaves_no_server() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let scratch = tempfile::tempdir().unwrap();
        let args = ["--protections", "incr", "--faults", "replica-frozen,crash-restart", "--rounds", "50"];
        let mut child =
            report(&args).env("TMPDIR", scratch.path()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let folders = || std::fs::read_dir(scratch.path()).unwrap().flatten().map(|entry| entry.path());
        let servers = || folders().count();
        // A kill before a server runs leaves its folder, and nobody who could remove it.
        wait_until(|| folders().any(|folder| folder.join("socket").exists()));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        child.wait().unwrap();
        wait_until(|| servers() == 0);
    }
}

/// Whether a process has this folder as its own and is stopped.
#[cfg(target_os = "linux")]
fn is_stopped_in(folder: &Path) -> bool {
    let stopped = |process: &Path| {
        let is_there = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        is_there && std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") T "))
    };
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| stopped(&entry.path()))
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_is_killed_while_its_server_is_stopped_leaves_no_server() {
    let scratch = tempfile::tempdir().unwrap();
    let args = ["--protections", "incr", "--faults", "pause:4s", "--rounds", "50"];
    let mut child =
        report(&args).env("TMPDIR", scratch.path()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    wait_until(|| is_stopped_in(scratch.path()));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(|| std::fs::read_dir(scratch.path()).unwrap().count() == 0);
}

/// Waits until the condition holds by itself, which may take long on a slow machine.
fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come");
}

#[test]
fn only_private_servers_are_broken_and_unknown_names_are_refused() {
    for (args, words) in [
        (vec!["--redis-url", "redis://127.0.0.1:1"], "'--redis-url' found: faults starts the private servers"),
        (vec!["--topology", "cluster"], "'--topology' found: faults starts the private servers"),
        (vec!["--pin", "none"], "'--pin' found: faults starts the private servers"),
        (vec!["--faults", "flood"], "no fault 'flood'"),
        (vec!["--protections", "hope"], "no protection 'hope'"),
        (vec!["--faults", "pause:1h"], "expected a time up to 5 s"),
        (vec!["--protections", "redis-rs+sure"], "it has default, safe"),
        (vec!["--protections", "incr,incr"], "'incr' is named twice"),
        (vec!["--protections", "redis-rs,redis-rs"], "'redis-rs' is named twice"),
        (vec!["--protections", "redis-rs-cluster"], "on a single server"),
    ] {
        let output = report(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(words) && said(&output).lines().count() == 1, "{}", said(&output));
    }
    let output = report(&[]).env("REDIS_URL", "redis://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("injected only into private servers"), "{}", said(&output));
}

#[test]
fn the_methodology_has_the_table_that_runs_are_held_against() {
    let page = std::fs::read_to_string(Path::new("METHODOLOGY.md")).unwrap();
    assert!(page.contains(&expected_table()), "METHODOLOGY.md lacks this table:\n{}", expected_table());
}
