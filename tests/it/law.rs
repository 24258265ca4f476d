//! The law of the race: the exact prediction against the model played out, known values, limits.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis_lost_updates::error::BoxError;
use redis_lost_updates::law::{predict, predict_keys, predict_shares, simulate, simulate_keys};
use redis_lost_updates::strategy::{Info, Strategy, find};
use redis_lost_updates::target::Target;
use redis_lost_updates::trial::Crew;
use redis_lost_updates::update::{Update, Updater};
use redis_lost_updates::workload::Workload;

use crate::target::private;

#[test]
fn the_prediction_is_what_the_model_does() {
    for threads in [2, 3, 4, 5, 8, 16, 32, 64, 128, 256] {
        // Long enough that the counter itself, about 2/T of the updates, is large.
        let played = simulate(threads, 100_000, 42);
        assert!((predict(threads) - played).abs() < 0.003, "{threads}: {} against {played}", predict(threads));
    }
}

#[test]
fn the_model_plays_as_many_updates_as_it_is_asked_for() {
    for seed in 0..20 {
        // What four clients lose of three updates each is a number of twelfths.
        let lost = simulate(4, 3, seed) * 12.0;
        assert!((lost - lost.round()).abs() < 1e-9 && (0.0..12.0).contains(&lost), "{lost} twelfths");
        assert_eq!(simulate(1, 100, seed), 0.0, "one client loses nothing, and nothing is gained");
    }
    assert_eq!(simulate(4, 0, 7), 0.0, "nothing was asked");
}

#[test]
fn known_values() {
    assert_eq!((predict(0), predict(1)), (0.0, 0.0));
    assert!((predict(2) - 0.375).abs() < 1e-12, "by hand: three eighths");
    for (threads, simulated) in [(3, 0.537), (4, 0.630), (8, 0.791), (16, 0.887), (32, 0.941), (64, 0.970)] {
        assert!((predict(threads) - simulated).abs() < 0.002, "{threads}: {}", predict(threads));
    }
}

#[test]
fn it_tends_to_its_limit_and_never_falls() {
    for threads in 1..300 {
        let limit = threads as f64 / (threads as f64 + 2.0);
        assert!(predict(threads) < predict(threads + 1) && predict(threads) < limit);
    }
    assert!((predict(4_096) - 4_096.0 / 4_098.0).abs() < 1e-6);
}

#[test]
fn several_keys_are_what_the_model_does() {
    for (threads, keys) in [(2, 2), (4, 3), (8, 2), (8, 16), (64, 10), (16, 200)] {
        let (exact, played) = (predict_keys(threads, keys), simulate_keys(threads, keys, 100_000, 9));
        assert!((exact - played).abs() < 0.005, "{threads} on {keys}: {exact} against {played}");
        let limit = threads as f64 / (threads + 2 * keys) as f64;
        assert!((exact - limit).abs() < 0.13, "{threads} on {keys}: {exact} against {limit}");
    }
    assert!(predict_keys(1, 50).abs() < 1e-12);
    // A hot key and a cold one lose less than one key, more than two even ones.
    let skewed = predict_shares(8, &[0.8, 0.2]);
    assert!(predict_keys(8, 2) < skewed && skewed < predict(8), "{skewed}");
}

#[test]
fn shares_are_any_weights_and_who_has_nobody_to_race_loses_nothing() {
    let near = |found: f64, right: f64| assert!((found - right).abs() < 1e-9, "{found}, not {right}");
    near(predict_shares(8, &[3.0, 1.0]), predict_shares(8, &[0.75, 0.25]));
    near(predict_shares(8, &[5.0, 5.0, 5.0]), predict_keys(8, 3));
    // A counter that nobody uses changes nothing, and does not count as losing.
    near(predict_shares(8, &[5.0, 0.0]), predict(8));
    for threads in [0, 1] {
        near(predict_shares(threads, &[3.0, 0.0, 1.0]), 0.0);
    }
}

#[test]
fn every_legal_load_has_an_answer_and_the_right_one() {
    // The chain's stationary law by dense linear algebra with 40 digits: another program and another method.
    for (threads, keys, lost) in [
        (4, 1, 0.629_882_812_5),
        (16, 4, 0.658_113_012_051_577),
        (2, 8_192, 6.103_267_282_418_52e-5),
        (2, 16_000, 3.124_934_897_189_64e-5),
        (2, 16_384, 3.051_695_725_591_52e-5),
        (3, 16_384, 6.103_205_199_299_30e-5),
        (8, 8_192, 4.270_723_165_189_99e-4),
        (16, 16_384, 4.575_588_719_124_44e-4),
    ] {
        let found = predict_keys(threads, keys);
        assert!((found - lost).abs() < 1e-8 * lost, "{threads} on {keys}: {found}, not {lost}");
    }
    assert!(predict_keys(1, 16_384).abs() < 1e-12);
    // Rounding kept some of these going for ever; now the steps are bounded, and near the limit the answer is known.
    for threads in [2, 3, 7, 64, 1_000, 20_000] {
        for keys in (0..=14).map(|power| 1 << power).chain([3, 9_999, 16_000]) {
            let (found, limit) = (predict_keys(threads, keys), threads as f64 / (threads + 2 * keys) as f64);
            assert!(found > 0.0 && (found - limit).abs() < 0.13, "{threads} on {keys}: {found} against {limit}");
        }
    }
}

/// GET and SET with a pause after every update: `pause` says how long, by the client's number.
struct Pausing(fn(usize) -> Duration);

struct Paused(Box<dyn Updater>, fn(usize) -> Duration, usize);

impl Updater for Paused {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let update = self.0.update(key);
        let pause = (self.1)(self.2);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        update
    }
}

impl Strategy for Pausing {
    fn info(&self) -> &'static Info {
        const INFO: Info = Info { round_trips: "2", ..Info::lossy("get-set-pausing", "GET and SET, then a pause.") };
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> redis_lost_updates::error::Result<Vec<Box<dyn Updater>>> {
        let inner = find(&["get-set"])?[0].open(server, workers)?;
        let pausing = inner.into_iter().enumerate().map(|(i, updater)| Box::new(Paused(updater, self.0, i)) as _);
        Ok(pausing.collect())
    }
}

fn lost(server: &Target, pause: fn(usize) -> Duration, threads: usize, updates: u64) -> f64 {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let strategy = Pausing(pause);
    let mut crew = Crew::open(server, &strategy, Workload::one_key(threads), 1, &NEVER).unwrap();
    let ledger = crew.trial(updates, Duration::from_secs(5)).unwrap().judgement.ledger;
    crew.close().unwrap();
    ledger.lost as f64 / ledger.acked as f64
}

#[test]
#[expect(clippy::print_stdout, reason = "the points of METHODOLOGY.md, shown with --nocapture")]
fn clients_that_pause_at_random_lose_less_than_the_model_says() {
    let server = private();
    for threads in [4, 8] {
        let eager = lost(&server, |_| Duration::ZERO, threads, 2_000);
        // The same pause for all keeps them in step: they read together and write together, and one of T survives.
        let in_step = lost(&server, |_| Duration::from_millis(1), threads, 300);
        let at_random = lost(&server, |_| Duration::from_micros(fastrand::u64(..4_000)), threads, 300);
        let unequal = lost(&server, |i| Duration::from_micros(if i == 0 { 0 } else { 300 }), threads, 300);
        println!("{threads} clients: model {:.3}, no pause {eager:.3}", predict(threads));
        println!("  1 ms for all {in_step:.3}, 0 to 4 ms {at_random:.3}, 0.3 ms for all but one {unequal:.3}");
        // Wide: on a loaded machine clients do not all run at the same time.
        assert!((eager - predict(threads)).abs() < 0.15, "{threads} clients: {eager}");
        assert!(at_random < predict(threads), "{threads} clients: {at_random}");
    }
}
