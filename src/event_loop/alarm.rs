//! Clients that wait for their next try or for their turn in a timetable, and a timer that ends the loop's sleep when the first of them is due.
//!
//! On Linux a wait for sockets ends on whole milliseconds, and most of these waits are shorter: there a timer of the
//! kernel's is one more thing that the loop watches.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Result;
use std::time::Duration;

use mio::{Registry, Token};

pub(super) struct Alarm {
    /// When whose wait is over, in nanoseconds since the race's zero.
    waiting: BinaryHeap<Reverse<(u64, u32)>>,
    /// What the timer is set to.
    set_to: Option<u64>,
    timer: Timer,
}

impl Alarm {
    pub(super) fn new(registry: &Registry, token: Token) -> Result<Self> {
        Ok(Self { waiting: BinaryHeap::new(), set_to: None, timer: Timer::new(registry, token)? })
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.set_to = None;
    }

    /// `client` is to be woken at `due_ns`.
    pub(super) fn set(&mut self, due_ns: u64, client: usize) {
        self.waiting.push(Reverse((due_ns, client as u32)));
    }

    /// The next client whose wait is over.
    pub(super) fn due(&mut self, now: u64) -> Option<usize> {
        let Reverse((due, client)) = *self.waiting.peek()?;
        if due > now {
            return None;
        }
        self.waiting.pop();
        Some(client as usize)
    }

    /// How long until the first is due; the timer is set to it.
    pub(super) fn wind(&mut self, now: u64) -> Result<Option<Duration>> {
        let Some(&Reverse((due, _))) = self.waiting.peek() else { return Ok(None) };
        let wait = Duration::from_nanos(due.saturating_sub(now).max(1));
        if self.set_to != Some(due) {
            self.set_to = Some(due);
            self.timer.set(wait)?;
        }
        Ok(Some(wait))
    }
}

#[cfg(target_os = "linux")]
struct Timer(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Timer {
    fn new(registry: &Registry, token: Token) -> Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self(timer))
    }

    fn set(&self, wait: Duration) -> Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let wait = Timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ };
        let spec = Itimerspec { it_interval: once, it_value: wait };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    fn new(_registry: &Registry, _token: Token) -> Result<Self> {
        Ok(Self)
    }

    fn set(&self, _wait: Duration) -> Result<()> {
        Ok(())
    }
}
