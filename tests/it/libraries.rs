//! Worker processes: honest ones are measured, and whatever one does wrong is found, to the update.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis_lost_updates::history;
use redis_lost_updates::target::{ServerSpec, Target};
use redis_lost_updates::update::Event;
use redis_lost_updates::verdict::{Ledger, Verdict, judge};
use redis_lost_updates::worker::{
    Fault, Flush, Installed, Job, Manifest, Patience, Race, WorkerPace, Workers, install,
};

static STOP: AtomicBool = AtomicBool::new(false);

const QUICK: Patience = Patience { ready: Duration::from_secs(20), after_end: Duration::from_secs(1) };

fn liar() -> Installed {
    let manifest = Manifest::read(Path::new("tests/it/liar")).unwrap();
    install(manifest, Path::new("report"), true, &STOP, &mut |_| {}).unwrap()
}

fn server() -> Target {
    ServerSpec::default().resolve(&STOP, &mut |_| {}).unwrap()
}

/// 100 updates by each of 3 clients under these settings, and what the counter holds then.
fn race(settings: &str, strategy: &str) -> Result<(Race, i64), Fault> {
    let server = server();
    let key = format!("{}liar", server.prefix());
    let url = server.secret_url();
    let job = Job::one_key(&url, strategy, settings, &key);
    let patience =
        if settings == "hangs-at-once" { Patience { ready: Duration::from_secs(2), ..QUICK } } else { QUICK };
    let mut workers = Workers::open(&liar(), &job, 3, patience, &STOP)?;
    let flush = if settings.starts_with("time") { Flush::Row } else { Flush::Block };
    let race = workers.race(&[100; 3], Duration::from_secs(5), WorkerPace { flush, ..WorkerPace::CLOSED }, &STOP)?;
    let mut db = server.connect().unwrap();
    let found = redis::cmd("GET").arg(&key).query::<Option<i64>>(&mut db).unwrap().unwrap_or(0);
    server.remove(&mut db, &[key]).unwrap();
    Ok((race, found))
}

fn judged(settings: &str) -> (Ledger, Verdict, Option<Fault>) {
    let (race, found) = race(settings, "incr").unwrap();
    let lanes: Vec<&[Event]> = race.clients.iter().map(|client| client.events.as_slice()).collect();
    let ledger = history::check(&lanes, &[found]).ledger;
    (ledger, judge(&ledger), race.fault)
}

#[test]
fn an_honest_worker_is_exact_and_its_clients_race() {
    for strategy in ["incr", "pipelined-incr"] {
        let (race, found) = race("default", strategy).unwrap();
        assert_eq!((race.fault, found, race.clients.len()), (None, 300, 3));
        let lanes: Vec<&[Event]> = race.clients.iter().map(|client| client.events.as_slice()).collect();
        let judgement = history::check(&lanes, &[found]);
        assert_eq!(judge(&judgement.ledger), Verdict::Exact, "{strategy}: {:?}", judgement.order);
        // Nobody begins before the common start, by more than the clocks may be apart.
        let first = lanes.iter().filter_map(|lane| lane.first()).map(Event::begin_ns).min().unwrap();
        assert!(first + race.uncertainty_ns >= race.start_ns, "{first} of {}", race.start_ns);
    }
}

#[test]
fn lies_about_the_counter_are_found_to_the_update() {
    let (ledger, verdict, fault) = judged("one-too-many");
    assert_eq!((ledger.acked, ledger.found, ledger.lost, verdict, fault), (300, 299, 1, Verdict::Lost, None));
    let (ledger, verdict, fault) = judged("one-too-few");
    assert_eq!((ledger.acked, ledger.found, ledger.doubled, verdict, fault), (299, 300, 1, Verdict::Excess, None));
    let (ledger, verdict, fault) = judged("doubles");
    assert_eq!((ledger.acked, ledger.found, ledger.doubled, verdict, fault), (300, 301, 1, Verdict::Excess, None));
}

#[test]
fn lies_about_itself_are_one_clear_fault() {
    for (settings, words) in [
        ("miscounts", "it reports 300 rows with 301 acknowledged, but sent 300 with 300"),
        ("time-travels", "it ends in the future"),
        ("before", "it begins before the race"),
        ("stranger", "it has no such client"),
        ("overlaps", "it overlaps the client's previous update"),
        ("too-many-rows", "it is one update more than this client was to make"),
    ] {
        let (.., fault) = judged(settings);
        let Some(Fault::Lie(why)) = &fault else { panic!("{settings}: {fault:?}") };
        assert!(why.starts_with(words), "{settings}: {why}");
    }
}

#[test]
fn a_worker_that_dies_hangs_or_prints_garbage_is_one_clear_fault_and_its_rows_are_kept() {
    let (ledger, _, fault) = judged("dies");
    assert_eq!(fault, Some(Fault::Died("exit status: 3: out of luck".to_owned())));
    assert!(ledger.acked < 300);
    let (_, _, fault) = judged("hangs");
    assert!(matches!(fault, Some(Fault::Silent { due: "end of the race", .. })), "{fault:?}");
    let (_, _, fault) = judged("garbage");
    assert_eq!(fault, Some(Fault::Garbage("\"DEBUG: connection ok\"".to_owned())));
    let (_, _, fault) = judged("endless-line");
    let Some(Fault::Garbage(what)) = &fault else { panic!("{fault:?}") };
    assert!(what.starts_with("a line of over"), "{what}");
}

#[test]
fn a_worker_that_never_gets_ready_is_not_waited_for_without_end() {
    let Err(Fault::Silent { due, .. }) = race("hangs-at-once", "incr") else { panic!("it is silent") };
    assert_eq!(due, "sign that it is ready");
    assert_eq!(race("refuses", "incr").unwrap_err(), Fault::GaveUp("no licencefor this".to_owned()));
    let mut liar = liar();
    liar.manifest.command.push("wrong-version".to_owned());
    let job = Job::one_key("redis://127.0.0.1:1", "incr", "default", "k");
    assert!(matches!(Workers::open(&liar, &job, 1, QUICK, &STOP), Err(Fault::Died(_))), "nothing listens there");
    liar.manifest.command = vec!["/nowhere/at-all".to_owned()];
    let Err(Fault::Died(why)) = Workers::open(&liar, &job, 1, QUICK, &STOP) else { panic!("it cannot start") };
    assert!(why.contains("/nowhere/at-all"), "{why}");
}
