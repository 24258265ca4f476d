//! Waits for the common start, and for an update's turn in a schedule.
//!
//! A client sleeps until its update is due. Spinning would be more precise, but on few cores it takes CPU time from the
//! other clients and from the server, which would distort the measurement. The time by which a sleep overruns is part of
//! the response time, and can be seen by comparing it with the service time, which starts when the update is actually sent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::pace::Schedule;

/// How long one sleep may be, so that the end of the run is noticed soon.
const NAP: Duration = Duration::from_millis(50);

/// One client's place in a race, and in its schedule if it has one.
pub(crate) struct Pacer<'a> {
    pub(crate) schedule: Option<&'a Schedule>,
    pub(crate) client: usize,
    /// When all clients start, in nanoseconds since the race's zero.
    pub(crate) start_ns: u64,
    pub(crate) zero: Instant,
    pub(crate) stop: &'a AtomicBool,
    /// How many clients have really begun.
    pub(crate) begun: &'a AtomicUsize,
    /// How many clients there are.
    pub(crate) clients: usize,
}

impl Pacer<'_> {
    /// Waits for the start, and returns when this client really starts, in nanoseconds since the race's zero. With a
    /// schedule that is the common start, because lateness is part of the response time.
    pub(crate) fn await_start(&self) -> u64 {
        if self.schedule.is_some() {
            return self.start_ns;
        }
        // If the run is to end before that, the client stops before its first batch.
        self.sleep_until(self.start_ns).unwrap_or_else(|| self.now())
    }

    /// Lets clients that have not begun yet go first. Returns `true` once all have begun.
    ///
    /// Woken threads queue for the CPUs behind those that already run, and the scheduler gives each of those a time
    /// slice of a few milliseconds: 64 clients on one CPU would begin up to 200 ms apart. Yielding gives up the slice.
    pub(crate) fn make_way(&self) -> bool {
        let all = self.begun.load(Ordering::Relaxed) >= self.clients;
        if !all {
            std::thread::yield_now();
        }
        all
    }

    /// Waits until update number `index` of this client is due, or not at all if it is overdue, and returns the time
    /// since the race's zero. `None` if the run is to end first, or if the update is due only after the deadline.
    pub(crate) fn await_turn(&self, schedule: &Schedule, index: u64, deadline: Duration) -> Option<u64> {
        let due = schedule.intended_ns(self.client, index);
        if due >= deadline.as_nanos() as u64 { None } else { self.sleep_until(self.start_ns + due) }
    }

    /// Waits until the schedule is over, and returns when it ended, in nanoseconds since the race's zero. `None` if
    /// the run is to end first, or if the schedule was over already.
    pub(crate) fn await_end(&self, schedule: &Schedule) -> Option<u64> {
        let over = self.start_ns + schedule.length_ns();
        if self.now() >= over { None } else { self.sleep_until(over).map(|_| over) }
    }

    /// Nanoseconds since the race's zero.
    pub(crate) fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    fn sleep_until(&self, due_ns: u64) -> Option<u64> {
        loop {
            let now = self.now();
            if now >= due_ns {
                return Some(now);
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(Duration::from_nanos(due_ns - now).min(NAP));
        }
    }
}

/// A start in the near future, but late enough for `clients` threads to be awake by then, so that the first updates are
/// on time.
pub(crate) fn start_of(zero: Instant, clients: usize) -> u64 {
    (zero.elapsed() + Duration::from_millis(1) + Duration::from_micros(20) * clients as u32).as_nanos() as u64
}

/// Asks the system to end this thread's sleeps on time: Linux otherwise adds up to 50 us, in order to wake several
/// threads at once.
pub(crate) fn sharpen_sleep() {
    #[cfg(target_os = "linux")]
    {
        // If this is refused, sleeps are a little longer, and every response time includes that.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}
