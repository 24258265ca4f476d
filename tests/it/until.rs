//! Rounds that go on until they are enough, on the command line. What is enough is decided by a pure function, which has
//! tests of its own (`src/until.rs`).

use std::path::Path;
use std::process::Command;

use redis_lost_updates::record::Run;
use redis_lost_updates::until::Precision;

/// What a run with these arguments says on stderr, and its folder's rows and page.
fn report(out: &Path, args: &[&str]) -> (String, Run, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--strategies", "incr,get-set", "--threads", "2", "--duration", "30ms", "--out"])
        .arg(out)
        .args(args)
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (said, Run::read(out).unwrap(), std::fs::read_to_string(out.join("index.html")).unwrap())
}

#[test]
fn rounds_go_on_until_they_are_enough_and_the_run_says_how_many_that_took() {
    let dir = tempfile::tempdir().unwrap();
    let (said, run, page) = report(&dir.path().join("run"), &["--until", "50%"]);
    let precision = Precision::of(&run.records);
    let (rounds, error) = (precision.rounds, precision.worst.unwrap().error);
    assert!((5..=100).contains(&rounds) && run.records.len() as u32 == rounds * 2, "whole rounds: {rounds}");
    // Which of the two it is, is the machine's to say; that it is said right, is ours.
    let outcome = run.machine.get("until_outcome").unwrap();
    if error <= 0.5 {
        assert!(outcome.starts_with(&format!("reached after {rounds} rounds: ")), "{outcome}");
    } else {
        assert!(outcome.starts_with("not reached: incr at 2 clients is at ") && rounds == 100, "{outcome}");
    }
    assert!(said.contains(&format!("--until {outcome}")), "{said}");
    assert!(page.contains(&format!("Target precision ±50 %: {outcome}.")));
    assert!(!page.contains("The run ended early"));
    assert_eq!(run.machine.get("until"), Some("±50 %"));
}

#[test]
fn what_cannot_be_reached_is_said_with_the_worst_cell() {
    let dir = tempfile::tempdir().unwrap();
    let (said, run, page) = report(&dir.path().join("run"), &["--until", "0.0001%", "--rounds", "6"]);
    assert_eq!(run.records.len(), 12);
    let outcome = run.machine.get("until_outcome").unwrap();
    assert!(outcome.starts_with("not reached: incr at 2 clients is at "), "{outcome}");
    assert!(outcome.ends_with("after 6 rounds, the maximum; the machine is noisy"), "{outcome}");
    assert!(said.contains(outcome) && page.contains("Not as precise as asked for"), "{said}");
}
