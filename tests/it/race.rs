//! Known-answer controls of the harness itself: a harness that has never seen a lost update proves nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use redis_lost_updates::driver::threads::{pool, race};
use redis_lost_updates::driver::{Limits, RaceLog, Work};
use redis_lost_updates::error::BoxError;
use redis_lost_updates::history;
use redis_lost_updates::update::{Event, Outcome, Update, Updater};
use redis_lost_updates::verdict::{Ledger, Verdict, judge};

static NEVER: AtomicBool = AtomicBool::new(false);

fn run(mut updaters: Vec<Box<dyn Updater>>, updates: u64) -> redis_lost_updates::error::Result<RaceLog> {
    let work = vec![Work::one_key("counter", updates); updaters.len()];
    let limits = Limits { stop: &NEVER, deadline: Duration::from_secs(20) };
    race(&pool(work.len()).unwrap(), &mut updaters, &work, limits)
}

fn accounts(log: &RaceLog, found: i64) -> Ledger {
    let lanes: Vec<&[Event]> = log.clients.iter().map(|lane| lane.events.as_slice()).collect();
    history::check(&lanes, &[found]).ledger
}

/// Load, wait for the other, store, wait for the other: of every two updates exactly one is lost.
struct Torn(Arc<(AtomicI64, Barrier)>);

impl Updater for Torn {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        let (counter, both) = &*self.0;
        let value = counter.load(Ordering::SeqCst) + 1;
        both.wait();
        counter.store(value, Ordering::SeqCst);
        both.wait();
        Ok(Update::told(value))
    }
}

#[test]
fn two_torn_workers_lose_exactly_half_every_time() {
    for _ in 0..20 {
        let shared = Arc::new((AtomicI64::new(0), Barrier::new(2)));
        let log = run((0..2).map(|_| Box::new(Torn(shared.clone())) as Box<dyn Updater>).collect(), 50).unwrap();
        let ledger = accounts(&log, shared.0.load(Ordering::SeqCst));
        assert_eq!((ledger.acked, ledger.found, ledger.lost, ledger.overwritten), (100, 50, 50, 50));
        assert_eq!(judge(&ledger), Verdict::Lost);
    }
}

/// Loses one update and doubles another: the count comes out right.
struct Liar {
    counter: i64,
    asked: i64,
}

impl Updater for Liar {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        self.asked += 1;
        let told = self.counter + 1;
        self.counter += match self.asked {
            3 => 0, // told, but not done
            7 => 2, // done twice
            _ => 1,
        };
        Ok(Update::told(told))
    }
}

#[test]
fn a_liar_with_the_right_count_is_caught_by_its_values() {
    let log = run(vec![Box::new(Liar { counter: 0, asked: 0 })], 10).unwrap();
    let ledger = accounts(&log, 10);
    assert_eq!((ledger.acked, ledger.found), (10, 10));
    assert_eq!((ledger.lost, ledger.doubled), (1, 1));
    assert_eq!(judge(&ledger), Verdict::Repeated);
}

struct Panics(u32);

impl Updater for Panics {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        self.0 += 1;
        assert!(self.0 < 5, "out of luck");
        Ok(Update::told(i64::from(self.0)))
    }
}

#[test]
fn a_panicking_updater_is_an_error_and_not_a_hang() {
    let shared = Arc::new(AtomicI64::new(0));
    let updaters: Vec<Box<dyn Updater>> = vec![Box::new(Panics(0)), Box::new(Adder(shared.clone()))];
    let error = run(updaters, 10).unwrap_err().to_string();
    assert!(error.contains("worker 0 panicked: out of luck"), "{error}");
    assert_eq!(shared.load(Ordering::SeqCst), 10, "the others finish first");
}

/// Adds atomically: nothing to lose.
struct Adder(Arc<AtomicI64>);

impl Updater for Adder {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        Ok(Update::told(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

#[test]
fn atomic_adders_are_exact_and_events_are_in_order() {
    let shared = Arc::new(AtomicI64::new(0));
    let log = run((0..4).map(|_| Box::new(Adder(shared.clone())) as Box<dyn Updater>).collect(), 1_000).unwrap();
    let ledger = accounts(&log, 4_000);
    assert_eq!((judge(&ledger), ledger.acked, ledger.repeated), (Verdict::Exact, 4_000, 0));
    for lane in &log.clients {
        assert_eq!(lane.events.len(), 1_000);
        // Closed loop: the end of one update is the begin of the next.
        assert!(lane.events.windows(2).all(|pair| pair[0].end_ns() == pair[1].begin_ns()));
        assert_eq!(lane.events[0].begin_ns(), lane.start_ns);
    }
    assert!((0.0..=1.0).contains(&log.overlap()));
}

/// Fails from the third update on.
struct Dies(u32);

impl Updater for Dies {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        self.0 += 1;
        if self.0 < 3 { Ok(Update::told(i64::from(self.0))) } else { Err("connection reset".into()) }
    }
}

#[test]
fn errors_are_unknown_outcomes_and_a_dead_client_stops() {
    let log = run(vec![Box::new(Dies(0))], 1_000).unwrap();
    let ledger = accounts(&log, 2);
    assert_eq!((ledger.acked, ledger.unknown), (2, 3));
    assert_eq!(judge(&ledger), Verdict::Unproven);
    assert_eq!(log.clients[0].trouble.as_deref(), Some("connection reset"));
    // One more than acknowledged is within what unknown outcomes explain; four more are not.
    assert_eq!(judge(&accounts(&log, 3)), Verdict::Unproven);
    assert_eq!(judge(&accounts(&log, 6)), Verdict::Excess);
    assert_eq!(judge(&accounts(&log, 1)), Verdict::Lost);
}

/// Hands over four at a time, and reports only the first half of the second hand-over.
struct Batches(i64);

impl Updater for Batches {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        self.0 += 1;
        Ok(Update::told(self.0))
    }

    fn batch(&self) -> usize {
        4
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        for (i, key) in keys.iter().enumerate() {
            if self.0 >= 4 && i >= 2 {
                return Err("half a batch".into());
            }
            done.push(self.update(key)?);
        }
        Ok(())
    }
}

#[test]
fn a_hand_over_shares_its_times_and_what_it_does_not_report_is_unknown() {
    let log = run(vec![Box::new(Batches(0))], 8).unwrap();
    let events = &log.clients[0].events;
    assert_eq!(events.len(), 8);
    assert!(events[..4].iter().all(|e| (e.begin_ns(), e.end_ns()) == (events[0].begin_ns(), events[0].end_ns())));
    let outcomes: Vec<Outcome> = events.iter().map(Event::outcome).collect();
    let told = |v| Outcome::Acked(v);
    let unknown = Outcome::Unknown;
    assert_eq!(outcomes, [told(1), told(2), told(3), told(4), told(5), told(6), unknown, unknown]);
}

/// Adds atomically, and slowly.
struct Slow(Arc<AtomicI64>);

impl Updater for Slow {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        std::thread::sleep(Duration::from_micros(200));
        Ok(Update::told(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

#[test]
fn clients_start_and_stop_at_one_instant_and_room_is_not_a_limit() {
    let shared = Arc::new(AtomicI64::new(0));
    let mut updaters: Vec<Box<dyn Updater>> = vec![Box::new(Adder(shared.clone())), Box::new(Slow(shared.clone()))];
    let work = vec![Work { room: 2, ..Work::one_key("counter", 10_000_000) }; 2];
    let limits = Limits { stop: &NEVER, deadline: Duration::from_millis(40) };
    let log = race(&pool(2).unwrap(), &mut updaters, &work, limits).unwrap();
    let (fast, slow) = (&log.clients[0], &log.clients[1]);
    assert!(fast.events.len() > 2 && slow.events.len() > 2, "{} {}", fast.events.len(), slow.events.len());
    // Whoever came late is done when all are: nothing is begun after the deadline, and nobody stops before it.
    let over = fast.start_ns.min(slow.start_ns) + 40_000_000;
    for lane in &log.clients {
        assert!(lane.events.iter().all(|event| event.begin_ns() < over));
        assert!(lane.events.windows(2).all(|pair| pair[0].end_ns() == pair[1].begin_ns()));
    }
    assert_eq!(judge(&accounts(&log, shared.load(Ordering::SeqCst))), Verdict::Exact);
}
