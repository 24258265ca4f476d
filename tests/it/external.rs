//! `report --libraries`: worker processes as a dimension of an ordinary run. Honest ones are judged like our own
//! clients, every false claim is found, and whatever a worker does wrong becomes one row that says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use redis_lost_updates::record::{Record, Run};
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::DriverKind;

const LIAR: &str = "tests/it/liar/library.toml";

/// Runs `report` with these arguments: what it wrote, and how it ended.
fn report(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--no-progress", "--rounds", "1", "--out"])
        .arg(dir.join("run"))
        .args(args)
        .env_remove("REDIS_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn measured(args: &[&str]) -> (Run, Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let out = report(dir.path(), args);
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let run = Run::read(&dir.path().join("run")).unwrap_or_else(|e| panic!("{e}: {said}"));
    (run, out.status.code(), said)
}

fn of<'a>(run: &'a Run, settings: &str) -> &'a Record {
    run.records.iter().find(|record| record.condition.settings == settings).unwrap()
}

#[test]
fn a_library_is_measured_and_judged_like_our_own_clients() {
    let strategies = "incr,pipelined-incr,watch";
    let libraries = format!("redis-rs,{LIAR}");
    let args = ["--libraries", &libraries, "--strategies", strategies, "--threads", "1,3", "--duration", "100ms"];
    let (run, code, said) = measured(&args);
    assert_eq!((run.records.len(), code), (12, Some(0)), "{said}");
    for record in &run.records {
        let condition = &record.condition;
        assert_eq!((condition.driver, condition.settings.as_str()), (DriverKind::External, "default"));
        if condition.library == "liar" && condition.strategy == "watch" {
            let why = "skipped: library liar has no strategy watch: it has incr, pipelined-incr";
            assert_eq!((record.note.as_deref(), record.verdict), (Some(why), None));
            continue;
        }
        assert_eq!((record.verdict, record.lost), (Some(Verdict::Exact), Some(0)), "{record:?}");
        assert_eq!(record.order.as_deref(), Some("linearizable"), "{record:?}");
        assert!(record.acked > Some(0) && record.client_cpu_ns != Some(0), "{record:?}");
        assert_eq!(record.sources_agree(), Some(true), "{record:?}");
        let (version, runtime) = if condition.library == "liar" { ("1", "CPython") } else { ("1.8.1", "Rust") };
        assert_eq!(condition.library_version, version);
        assert!(record.runtime.as_deref().unwrap().starts_with(runtime), "{record:?}");
        assert!(record.effective_settings.as_deref().unwrap().contains("retries=0"));
        assert!(record.clock_error_ns.is_some() && run.latency.iter().any(|bucket| bucket.trial == record.trial));
        // For batches the protocol's cost is unknown.
        let (rate, no_op) = (record.acked_per_s().unwrap(), record.no_op_per_s);
        assert_eq!(no_op.is_some(), condition.strategy != "pipelined-incr", "{record:?}");
        assert!(no_op.is_none_or(|no_op| no_op as f64 > rate), "{record:?}");
    }
    assert!(said.contains("incr redis-rs") && said.contains("incr liar") && said.contains("no-op/s"), "{said}");
}

#[test]
fn what_a_library_loses_is_shown_command_by_command_and_two_runs_compare() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--libraries", "redis-rs", "--strategies", "get-set,incr", "--threads", "4", "--updates", "200"];
    let out = report(dir.path(), &args);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let folder = dir.path().join("run");
    let run = Run::read(&folder).unwrap();
    let race = run.records.iter().find(|record| record.condition.strategy == "get-set").unwrap();
    assert!(race.lost > Some(0), "{race:?}");
    assert_eq!(
        run.witness.first().map(|step| (step.strategy.as_str(), step.library.as_str())),
        Some(("get-set", "redis-rs"))
    );
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("no-op/s") && page.contains("client A"));
    let compared = Command::new(env!("CARGO_BIN_EXE_report")).arg("compare").args([&folder, &folder]).output().unwrap();
    assert_eq!(compared.status.code(), Some(0), "{}", String::from_utf8_lossy(&compared.stderr));
}

#[test]
fn lies_about_the_counter_are_found_to_the_update() {
    // Ten updates warm up the connection, so that the false claim falls into the trial.
    let settings = "one-too-many,one-too-few,doubles";
    let args =
        ["--libraries", LIAR, "--settings", settings, "--strategies", "incr", "--threads", "3", "--updates", "100"];
    let (run, code, said) = measured(&args);
    let counts = |settings: &str| {
        let record = of(&run, settings);
        (record.acked, record.found, record.lost, record.doubled, record.verdict)
    };
    let (found, none, one) = (|n| Some(n), Some(0), Some(1));
    assert_eq!(counts("one-too-many"), (Some(300), found(299), one, none, Some(Verdict::Lost)), "{said}");
    assert_eq!(counts("one-too-few"), (Some(299), found(300), none, one, Some(Verdict::Excess)), "{said}");
    assert_eq!(counts("doubles"), (Some(300), found(301), none, one, Some(Verdict::Excess)), "{said}");
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn whatever_a_worker_does_wrong_is_one_row_that_says_what() {
    let wrong = [
        ("dies", "the worker died: exit status: 3: out of luck"),
        ("garbage", "the worker printed something outside the protocol: \"DEBUG: connection ok\""),
        ("miscounts", "the worker contradicts itself: it reports"),
        ("refuses", "the worker gave up: no licencefor this"),
    ];
    let settings: Vec<&str> = wrong.iter().map(|(settings, _)| *settings).chain(["default"]).collect();
    let settings = settings.join(",");
    let of_settings = ["--libraries", LIAR, "--strategies", "incr", "--threads", "2", "--settings"];
    let (run, code, said) = measured(&[&of_settings[..], &[&settings, "--updates", "100"]].concat());
    assert_eq!((run.records.len(), code), (5, Some(2)), "{said}");
    let says = |run: &Run, settings: &str, words: &str| {
        let error = of(run, settings).error.clone().unwrap_or_default();
        assert!(error.contains("strategy incr, 2 clients: library liar: ") && error.contains(words), "{error}: {said}");
        assert_eq!(error.lines().count(), 1);
    };
    wrong.iter().for_each(|(settings, words)| says(&run, settings, words));
    assert_eq!(of(&run, "default").verdict, Some(Verdict::Exact), "the others are measured all the same: {said}");
    // The wait is as long as a race by time may take, and no longer.
    let (run, code, _) = measured(&[&of_settings[..], &["hangs", "--duration", "2s"]].concat());
    assert_eq!((run.records.len(), code), (1, Some(2)));
    says(&run, "hangs", "the worker hangs: no end of the race within");
}

/// A user's library that is unavailable here.
fn absent(dir: &Path) -> PathBuf {
    let path = dir.join("library.toml");
    let text = "name = 'mine'\nlanguage = 'X'\nversion = '1'\nabout = 'a'\ncommand = ['x']\nstrategies = ['incr']\n\
                needs = [{ tool = 'no-such-tool', get = 'ask for it' }]\n[settings.default]\nabout = 'd'\n";
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_cannot_be_had_is_a_skipped_row_with_the_reason_and_what_is_meant_wrongly_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let libraries = format!("{},redis-rs,redis-rs-cluster", absent(dir.path()).display());
    let args = ["--libraries", &libraries, "--strategies", "incr", "--threads", "1", "--updates", "10", "--offline"];
    let (run, _, said) = measured(&args);
    let note = |library: &str| {
        let record = run.records.iter().find(|record| record.condition.library == library).unwrap();
        record.note.clone().unwrap_or_default()
    };
    assert_eq!(note("mine"), "skipped: library mine: no-such-tool is not on PATH (ask for it)", "{said}");
    assert!(note("redis-rs-cluster").starts_with("skipped: library redis-rs-cluster"), "{said}");
    assert_eq!(note("redis-rs"), "");
    for (args, words) in [
        (&["--libraries", "redis-yp"][..], "did you mean redis-py?"),
        (&["--libraries", "redis-rs,redis-rs"], "library 'redis-rs' is named twice"),
        (&["--libraries", "redis-rs", "--driver", "events"], "cannot be used with"),
        (&["--driver", "external"], "name client libraries with --libraries"),
    ] {
        let out = report(dir.path(), args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(words), "{args:?}: {said}");
    }
}
