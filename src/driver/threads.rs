//! A thread per client, which blocks until its update is done, as in most services.
//!
//! The threads belong to a rayon pool of exactly that size. The global pool would run only as many clients as there are
//! cores, which hides the race. A client reads the clock once per batch, and in an *open loop* ([`race_on_schedule`]) once
//! more before each batch.
//!
//! All clients sleep until a common instant and stop at a common deadline. Without that, the first client to leave the
//! barrier would have the server to itself while the others are still being woken. A client's start is recorded when it
//! actually runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::driver::{Clients, Driver, complete};
use crate::error::{BoxError, Error, Result};
use crate::pace::Schedule;
use crate::race::{BURSTS, ClientLog, Limits, Pacer, REPEATS, RaceLog, Recorder, Work};
use crate::race::{said, sharpen_sleep, start_of, thread_cpu_ns};
use crate::strategy::Strategy;
use crate::target::{Target, allow_files};
use crate::update::{Update, Updater};
use crate::workload::{DriverKind, Workload};

pub(super) struct Threads;

impl Driver for Threads {
    fn kind(&self) -> DriverKind {
        DriverKind::Threads
    }

    fn refuses(&self, _server: &Target, _strategy: &dyn Strategy) -> Option<String> {
        None
    }

    fn parameters(&self, strategy: &dyn Strategy) -> String {
        strategy.parameters()
    }

    fn check_room(&self, _server: &Target, _strategies: &[&dyn Strategy], clients: usize) -> Result<()> {
        // How many connections a strategy opens is up to it: usually at most one per thread.
        allow_files(clients)
    }

    fn open(&self, server: &Target, strategy: &dyn Strategy, workload: &Workload) -> Result<Box<dyn Clients>> {
        let clients = workload.threads;
        let updaters = match (strategy.pools(), workload.pool_size) {
            (Some(pools), Some(connections)) => pools.open_pool(server, clients, connections)?,
            _ => strategy.open(server, clients)?,
        };
        complete(strategy, updaters.len(), clients)?;
        Ok(Box::new(Blocking { updaters, pool: pool(clients)? }))
    }
}

/// Clients that block, and a thread for each.
struct Blocking {
    updaters: Vec<Box<dyn Updater>>,
    pool: ThreadPool,
}

impl Clients for Blocking {
    fn race(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog> {
        race_paced(&self.pool, &mut self.updaters, work, schedule, limits)
    }

    fn batch(&self) -> usize {
        self.updaters.iter().map(|updater| updater.batch()).max().unwrap_or(1)
    }
}

/// A pool of exactly `threads` threads for [`race`].
///
/// # Errors
/// The system does not allow that many threads.
pub fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("racer-{i}"))
        .build()
        .map_err(|e| Error::broken(format!("cannot start {threads} threads: {e}; use fewer with --threads")))
}

/// Runs every updater on a thread of its own, all at once, and returns what each did.
///
/// # Errors
/// An updater panicked: the message names the client and quotes the panic; the other clients finish first. Or the
/// updaters are not as many as the threads or the entries of `work`.
pub fn race(
    pool: &ThreadPool,
    updaters: &mut [Box<dyn Updater>],
    work: &[Work],
    limits: Limits<'_>,
) -> Result<RaceLog> {
    race_paced(pool, updaters, work, None, limits)
}

/// The same in an open loop: every client sends its updates when `schedule` says, or at once if it is late.
///
/// A batch is sent when its last update is due: until then it is not complete.
///
/// # Errors
/// As [`race`].
pub fn race_on_schedule(
    pool: &ThreadPool,
    updaters: &mut [Box<dyn Updater>],
    work: &[Work],
    schedule: &Schedule,
    limits: Limits<'_>,
) -> Result<RaceLog> {
    race_paced(pool, updaters, work, Some(schedule), limits)
}

fn race_paced(
    pool: &ThreadPool,
    updaters: &mut [Box<dyn Updater>],
    work: &[Work],
    schedule: Option<&Schedule>,
    limits: Limits<'_>,
) -> Result<RaceLog> {
    super::enough_work(work, updaters.len())?;
    let threads = pool.current_num_threads();
    if threads != updaters.len() {
        return Err(Error::broken(format!("a race of {} clients was given {threads} threads", updaters.len())));
    }
    let seats: Vec<Mutex<&mut Box<dyn Updater>>> = updaters.iter_mut().map(Mutex::new).collect();
    let clients = seats.len();
    let (barrier, arrived, start) = (Barrier::new(clients), AtomicUsize::new(0), AtomicU64::new(0));
    let begun = AtomicUsize::new(0);
    let zero = Instant::now();
    let logs: Vec<std::thread::Result<ClientLog>> = pool.broadcast(|thread| {
        let mut updater = seats[thread.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let work = &work[thread.index()];
        let mut recorder = Recorder::of(work, updater.batch());
        // Waits during a warm-up do not count.
        drop(updater.take_waits());
        sharpen_sleep();
        if arrived.fetch_add(1, Ordering::Relaxed) + 1 == clients {
            start.store(start_of(zero, clients), Ordering::Relaxed);
        }
        // Orders the store above before every load below.
        barrier.wait();
        let start_ns = start.load(Ordering::Relaxed);
        let pacer =
            Pacer { schedule, client: thread.index(), start_ns, zero, stop: limits.stop, begun: &begun, clients };
        // Caught here, so that one panicking client cannot leave the others waiting or take the process down.
        let ended = catch_unwind(AssertUnwindSafe(|| run(updater.as_mut(), work, &pacer, limits, &mut recorder)));
        // A rayon thread without work searches for some, which would take CPU time from clients that are still racing.
        barrier.wait();
        recorder.log.waits = updater.take_waits();
        ended.map(|()| recorder.log)
    });
    let mut log = RaceLog { clients: Vec::with_capacity(logs.len()) };
    for (client, ended) in logs.into_iter().enumerate() {
        log.clients.push(ended.map_err(|panic| Error::broken(format!("worker {client} panicked: {}", said(&*panic))))?);
    }
    Ok(log)
}

fn run(updater: &mut dyn Updater, work: &Work, pacer: &Pacer<'_>, limits: Limits<'_>, recorder: &mut Recorder) {
    let cpu_before = thread_cpu_ns();
    recorder.start(pacer.await_start(), pacer.start_ns, limits);
    pacer.begun.fetch_add(1, Ordering::Relaxed);
    let mut all_began = pacer.schedule.is_some();
    let batch = updater.batch().max(1);
    let mut keys: Vec<&str> = Vec::with_capacity(batch);
    while recorder.goes_on(limits) {
        let begin_ns = match pacer.schedule {
            None => recorder.log.end_ns,
            Some(schedule) => match pacer.await_turn(schedule, recorder.last_of_next(batch), limits.deadline) {
                Some(begin_ns) => begin_ns,
                None => break,
            },
        };
        recorder.hand_over(work, batch, begin_ns, &mut keys);
        let ending = match keys[..] {
            [key] => updater.update(key).map(|update| recorder.done.push(update)),
            _ => updater.update_batch(&keys, &mut recorder.done),
        };
        recorder.write_down(ending, pacer.now());
        all_began = all_began || pacer.make_way();
    }
    if recorder.are_done()
        && let Some(schedule) = pacer.schedule
    {
        recorder.log.end_ns = pacer.await_end(schedule).unwrap_or(recorder.log.end_ns);
    }
    recorder.log.cpu_ns = thread_cpu_ns().saturating_sub(cpu_before);
}

/// What recording costs: the harness's own nanoseconds per update, measured with an updater that does nothing.
///
/// Every latency shown includes this much of our own, clock read included.
///
/// # Errors
/// A thread cannot be started.
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
        let log = race(&pool, &mut [Box::new(Nothing)], &work, limits)?;
        least = least.min(log.span_ns() as f64 / log.clients[0].events.len().max(1) as f64);
    }
    Ok(least)
}
