//! The types of the timed section, shared by all drivers: what each client is to do, what ends the race, and its log.
//! Independent of Redis.
//!
//! With every [driver](crate::driver), a client's log is allocated before the start, the end of one batch is the
//! beginning of the next (a *closed loop*), and all clients start at one instant and stop at one deadline.

mod pacer;
mod recorder;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::update::Event;

pub(crate) use pacer::{Pacer, sharpen_sleep, start_of};
pub(crate) use recorder::Recorder;

/// What one client is to do.
#[derive(Debug, Clone)]
pub struct Work {
    /// The names of all counters.
    pub keys: Arc<[String]>,
    /// Which counters this client's updates go to, used in a cycle.
    pub sequence: Arc<[u16]>,
    /// How many updates, at most.
    pub updates: u64,
    /// The number of events allocated before the start. Events beyond that are allocated during the race, which costs
    /// the client a few page faults.
    pub room: u64,
}

impl Work {
    /// `updates` updates of one counter.
    pub fn one_key(key: &str, updates: u64) -> Self {
        Self { keys: [key.to_owned()].into(), sequence: [0].into(), updates, room: updates }
    }
}

/// What limits a race from outside.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Raised when the run is to end now (Ctrl-C): every client stops after its current update.
    pub stop: &'a AtomicBool,
    /// A client stops this long after the common start, after its current update, even if updates are left.
    pub deadline: Duration,
}

/// What one client did.
#[derive(Debug, Default)]
pub struct ClientLog {
    /// One event for every update attempted, in order.
    pub events: Vec<Event>,
    /// When it first ran, or made its first request, in nanoseconds since the race's zero; with a schedule, the common start.
    pub start_ns: u64,
    /// When its last update was done; with a schedule, at least the schedule's end, unless the client had to stop.
    pub end_ns: u64,
    /// CPU time its thread used in between; an event loop's one thread is counted in the first log.
    pub cpu_ns: u64,
    /// How long its updates waited for a shared resource, such as a pooled connection, as (upper bound in nanoseconds,
    /// count). Empty if that was not measured.
    pub waits: Vec<(u64, u64)>,
    /// The first error or refusal it met.
    pub trouble: Option<String>,
}

/// What all clients did.
#[derive(Debug)]
pub struct RaceLog {
    /// One log for every client.
    pub clients: Vec<ClientLog>,
}

impl RaceLog {
    /// Last end minus first start, in nanoseconds.
    pub fn span_ns(&self) -> u64 {
        let first = self.clients.iter().map(|log| log.start_ns).min().unwrap_or(0);
        let last = self.clients.iter().map(|log| log.end_ns).max().unwrap_or(0);
        last.saturating_sub(first)
    }

    /// The part of the span in which every client was racing: (first end - last start) / span, 0 to 1.
    pub fn overlap(&self) -> f64 {
        let last_start = self.clients.iter().map(|log| log.start_ns).max().unwrap_or(0);
        let first_end = self.clients.iter().map(|log| log.end_ns).min().unwrap_or(0);
        match self.span_ns() {
            0 => 0.0,
            span => first_end.saturating_sub(last_start) as f64 / span as f64,
        }
    }
}

/// A panic's message, in one line.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").lines().next().unwrap_or_default().to_owned()
}

/// What one reading of the clock costs, in nanoseconds: the larger part of [`recording_cost_ns`](crate::driver::threads::recording_cost_ns).
pub(crate) fn clock_cost_ns() -> f64 {
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

/// A cost is the minimum over this many bursts, because whatever else the machine does only adds to it.
pub(crate) const BURSTS: usize = 10;
/// Repeats per burst.
pub(crate) const REPEATS: u32 = 20_000;
