//! The timed section and nothing else: a barrier, each worker's own stamps, its lane of events. Knows no Redis.
//!
//! Every worker runs on a thread of its own from a rayon pool of exactly as many threads (never the global pool, which
//! runs only as many clients as there are cores and so hides the race). It reads the clock once for every hand-over:
//! the end of one is the begin of the next, which is what *closed loop* means. Everything a lane writes to was allocated
//! and touched before the barrier.
//!
//! In an *open loop* ([`race_on_schedule`]) the clock is read once more: before each hand-over, when its turn has come.
//!
//! All workers start at one instant, for which they sleep, and stop at one: a worker that left the barrier and ran while
//! the others had yet to be woken would have the server to itself. A worker's own start is stamped when it really runs.

mod laps;
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{BoxError, Error, Result};
use crate::pace::Timetable;
use crate::update::{Event, Update, Updater};

pub(crate) use laps::Laps;
pub(crate) use turns::start_of;

use turns::{Turns, sharpen_sleep};

/// What one worker is to do.
#[derive(Debug, Clone)]
pub struct Work {
    /// The names of all counters.
    pub keys: Arc<[String]>,
    /// Which counters this worker's updates go to, walked round and round.
    pub sequence: Arc<[u16]>,
    /// How many updates, at most.
    pub updates: u64,
    /// How many of them have their events allocated before the start; for those beyond, room is made as they come, which
    /// costs the client that does more than was expected a few page faults, and not its place in the race.
    pub room: u64,
}

impl Work {
    /// `updates` updates of one counter.
    pub fn one_key(key: &str, updates: u64) -> Self {
        Self { keys: [key.to_owned()].into(), sequence: [0].into(), updates, room: updates }
    }
}

/// What bounds a race from outside.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Raised when the run is to end now (Ctrl-C): every worker stops after the update it is in.
    pub stop: &'a AtomicBool,
    /// A worker stops so long after the start of all, once the update it is in is done, even if updates are left.
    pub deadline: Duration,
}

/// What one worker did.
#[derive(Debug, Default)]
pub struct Lane {
    /// One event for every update attempted, in order.
    pub events: Vec<Event>,
    /// When it first ran, or made its first request, in nanoseconds since the race's zero; with a timetable, when that
    /// starts for all.
    pub start_ns: u64,
    /// When its last update was done; with a timetable, not before that is over, unless the client had to stop.
    pub end_ns: u64,
    /// CPU time its thread used in between; an event loop's one thread is counted in the first lane.
    pub cpu_ns: u64,
    /// The first error or refusal it met.
    pub trouble: Option<String>,
}

/// What all workers did.
#[derive(Debug)]
pub struct Heat {
    /// One lane for every worker.
    pub lanes: Vec<Lane>,
}

impl Heat {
    /// Last end minus first start, in nanoseconds.
    pub fn span_ns(&self) -> u64 {
        let first = self.lanes.iter().map(|lane| lane.start_ns).min().unwrap_or(0);
        let last = self.lanes.iter().map(|lane| lane.end_ns).max().unwrap_or(0);
        last.saturating_sub(first)
    }

    /// The part of the span in which every worker was at it: (first end - last start) / span, 0 to 1.
    pub fn overlap(&self) -> f64 {
        let last_start = self.lanes.iter().map(|lane| lane.start_ns).max().unwrap_or(0);
        let first_end = self.lanes.iter().map(|lane| lane.end_ns).min().unwrap_or(0);
        match self.span_ns() {
            0 => 0.0,
            span => first_end.saturating_sub(last_start) as f64 / span as f64,
        }
    }
}

/// A pool of exactly `threads` threads for [`race`].
///
/// # Errors
/// The system would not give that many threads.
pub fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("racer-{i}"))
        .build()
        .map_err(|e| Error::broken(format!("cannot start {threads} threads: {e}; ask for fewer with --threads")))
}

/// Runs every updater on a thread of its own, all at once, and gives back what each did.
///
/// # Errors
/// An updater panicked: the message names the worker and what it said. The other workers finish first.
pub fn race(pool: &ThreadPool, updaters: &mut [Box<dyn Updater>], work: &[Work], limits: Limits<'_>) -> Result<Heat> {
    race_paced(pool, updaters, work, None, limits)
}

/// The same as an open loop: every worker sends its updates when `timetable` says, or at once when it is late.
///
/// A hand-over of several updates is sent when the last of them is due: until then it is not complete.
///
/// # Errors
/// As [`race`].
pub fn race_on_schedule(
    pool: &ThreadPool,
    updaters: &mut [Box<dyn Updater>],
    work: &[Work],
    timetable: &Timetable,
    limits: Limits<'_>,
) -> Result<Heat> {
    race_paced(pool, updaters, work, Some(timetable), limits)
}

fn race_paced(
    pool: &ThreadPool,
    updaters: &mut [Box<dyn Updater>],
    work: &[Work],
    timetable: Option<&Timetable>,
    limits: Limits<'_>,
) -> Result<Heat> {
    assert_eq!(pool.current_num_threads(), updaters.len(), "one thread for every updater");
    assert_eq!(work.len(), updaters.len(), "work for every updater");
    let seats: Vec<Mutex<&mut Box<dyn Updater>>> = updaters.iter_mut().map(Mutex::new).collect();
    let clients = seats.len();
    let (barrier, arrived, start) = (Barrier::new(clients), AtomicUsize::new(0), AtomicU64::new(0));
    let zero = Instant::now();
    let lanes: Vec<std::thread::Result<Lane>> = pool.broadcast(|thread| {
        let mut updater = seats[thread.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let work = &work[thread.index()];
        let mut laps = Laps::of(work, updater.batch());
        sharpen_sleep();
        if arrived.fetch_add(1, Ordering::Relaxed) + 1 == clients {
            start.store(start_of(zero, clients), Ordering::Relaxed);
        }
        // Orders the store above before every load below.
        barrier.wait();
        let start_ns = start.load(Ordering::Relaxed);
        let turns = Turns { table: timetable, client: thread.index(), start_ns, zero, stop: limits.stop };
        // Caught here, so that one panicking worker cannot leave the others waiting or take the process down.
        catch_unwind(AssertUnwindSafe(|| run(updater.as_mut(), work, &turns, limits, &mut laps)))?;
        Ok(laps.lane)
    });
    let mut heat = Heat { lanes: Vec::with_capacity(lanes.len()) };
    for (worker, lane) in lanes.into_iter().enumerate() {
        heat.lanes.push(lane.map_err(|panic| Error::broken(format!("worker {worker} panicked: {}", said(&*panic))))?);
    }
    Ok(heat)
}

/// What a panic said, in one line.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").lines().next().unwrap_or_default().to_owned()
}

fn run(updater: &mut dyn Updater, work: &Work, turns: &Turns<'_>, limits: Limits<'_>, laps: &mut Laps) {
    let cpu_before = thread_cpu_ns();
    laps.start(turns.await_start(), turns.start_ns, limits);
    let batch = updater.batch().max(1);
    let mut keys: Vec<&str> = Vec::with_capacity(batch);
    while laps.goes_on(limits) {
        let begin_ns = match turns.table {
            None => laps.lane.end_ns,
            Some(table) => match turns.await_turn(table, laps.last_of_next(batch), limits.deadline) {
                Some(begin_ns) => begin_ns,
                None => break,
            },
        };
        laps.hand_over(work, batch, begin_ns, &mut keys);
        let ending = match keys[..] {
            [key] => updater.update(key).map(|update| laps.done.push(update)),
            _ => updater.update_batch(&keys, &mut laps.done),
        };
        laps.write_down(ending, turns.now());
    }
    if laps.are_done()
        && let Some(table) = turns.table
    {
        laps.lane.end_ns = turns.await_end(table).unwrap_or(laps.lane.end_ns);
    }
    laps.lane.cpu_ns = thread_cpu_ns().saturating_sub(cpu_before);
}

/// What recording costs: nanoseconds an update of this harness's own, over an updater that does nothing.
///
/// The part of any latency shown that is ours, clock read included.
///
/// # Errors
/// A thread cannot be had.
pub fn recording_cost_ns() -> Result<f64> {
    struct Nothing;
    impl Updater for Nothing {
        fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
            Ok(Update::told(0))
        }
    }
    let (pool, work) = (pool(1)?, [Work::one_key("", REPEATS.into())]);
    let limits = Limits { stop: &AtomicBool::new(false), deadline: Duration::from_secs(1) };
    let mut least = f64::INFINITY;
    for _ in 0..BURSTS {
        let heat = race(&pool, &mut [Box::new(Nothing)], &work, limits)?;
        least = least.min(heat.span_ns() as f64 / heat.lanes[0].events.len().max(1) as f64);
    }
    Ok(least)
}

/// Costs are the least of so many bursts of so many repeats: whatever else the machine does adds to them.
const BURSTS: usize = 10;
const REPEATS: u32 = 20_000;

/// What one reading of the clock costs, in nanoseconds: the larger part of [`recording_cost_ns`].
pub fn clock_cost_ns() -> f64 {
    let burst = || {
        let start = Instant::now();
        for _ in 1..REPEATS {
            std::hint::black_box(Instant::now());
        }
        start.elapsed().as_nanos() as f64 / f64::from(REPEATS)
    };
    (0..BURSTS).map(|_| burst()).fold(f64::INFINITY, f64::min)
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}
