//! A lost update shown: the witness tells a consistent story, and comes back from its file.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use redis_lost_updates::condition::Condition;
use redis_lost_updates::driver;
use redis_lost_updates::explain::{Witness, explain, record_losses};
use redis_lost_updates::record::{Folder, Machine, Record, Run, Step};
use redis_lost_updates::strategy::find;
use redis_lost_updates::trial::Entrant;
use redis_lost_updates::verdict::Promise;
use redis_lost_updates::workload::{DriverKind, Workload};

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Two reads of one value by two clients, then two writes of its successor, in the server's order.
fn check(steps: &[Step]) {
    assert!((4..=8).contains(&steps.len()), "{steps:#?}");
    let marked = |mark: &str| {
        let found: Vec<&Step> = steps.iter().filter(|step| step.mark == mark).collect();
        assert_eq!(found.len(), 1, "one {mark} in {steps:#?}");
        found[0]
    };
    let value = |step: &Step| step.value.as_deref().unwrap().parse::<i64>().unwrap();
    let (lost, losing, stale) = (marked("overwritten"), marked("overwriting"), marked("stale-read"));
    assert!(stale.step < lost.step && lost.step < losing.step);
    assert!(stale.client == losing.client && lost.client != losing.client, "{steps:#?}");
    assert_eq!(value(losing), value(stale) + 1);
    assert!(value(lost) >= value(losing));
    assert_eq!(losing.command, format!("SET {}", value(losing)));
    assert!(losing.note.contains(&format!("{}'s update is lost", lost.client)), "{}", losing.note);
    assert_eq!(steps[0].at_us, 0);
    assert!(steps.windows(2).all(|pair| pair[0].at_us <= pair[1].at_us && pair[0].step + 1 == pair[1].step));
    assert!(steps.iter().all(|step| !step.command.contains("lost-updates:")), "the key is left out");
}

#[test]
fn get_set_at_two_threads_is_explained() {
    let server = private();
    let strategies = find(&["get-set"]).unwrap();
    let Witness { steps, acked, lost } = explain(&server, strategies[0], 2, &NEVER).unwrap().expect("it loses at once");
    assert!(lost > 0 && lost < acked);
    check(&steps);
    let text = redis_lost_updates::report::witness(&steps);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("update is lost"), "{text}");
}

#[test]
fn what_loses_nothing_has_no_witness() {
    let server = private();
    let strategies = find(&["incr"]).unwrap();
    let (patience, two) = (std::time::Duration::from_millis(100), Workload::one_key(2));
    let witness = redis_lost_updates::explain::explain_within(&server, strategies[0], two, patience, &NEVER).unwrap();
    assert_eq!(witness, None);
}

#[test]
fn writes_that_never_ran_are_as_many_at_the_end_as_at_the_start() {
    let server = private();
    let strategies = find(&["pipeline-unread"]).unwrap();
    let Witness { steps, acked, lost } = explain(&server, strategies[0], 2, &NEVER).unwrap().expect("it loses at once");
    let end = &steps.last().unwrap().note;
    assert!(end.starts_with(&format!("{acked} updates")) && end.ends_with(&format!(": {lost} are lost")), "{end}");
}

#[test]
fn losses_of_a_run_are_recorded_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut folder = Folder::create(&path, &Machine::default()).unwrap();
    for (strategy, promise, lost) in [("get-set", Promise::Lossy, 5), ("incr", Promise::Exact, 0)] {
        let mut record = Record::blank(Condition::of(strategy, 4, 1), promise);
        record.lost = Some(lost);
        folder.append(&record, &[]).unwrap();
    }
    let server = private();
    let threads = driver::of(DriverKind::Threads).unwrap();
    let named = find(&["get-set", "incr"]).unwrap();
    let entrants: Vec<Entrant<'_>> =
        named.iter().map(|&strategy| Entrant { strategy, driver: threads, breaker: None }).collect();
    record_losses(&path, std::slice::from_ref(&server), &entrants, &NEVER).unwrap();
    let witness = Run::read(Path::new(&path)).unwrap().witness;
    assert!(witness.iter().all(|step| (step.strategy.as_str(), step.threads) == ("get-set", 4)));
    check(&witness);
}

#[test]
fn a_server_that_forbids_monitor_is_said_so() {
    let server = private();
    let mut db = server.connect().unwrap();
    redis::cmd("ACL").arg(&["SETUSER", "default", "-monitor"]).exec(&mut db).unwrap();
    let strategies = find(&["get-set"]).unwrap();
    let error = explain(&server, strategies[0], 2, &NEVER).unwrap_err().to_string();
    assert!(error.contains("does not allow MONITOR") && error.lines().count() == 1, "{error}");
}
