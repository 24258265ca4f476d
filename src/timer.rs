//! A timer that an event loop watches together with its sockets, finer than the loop's own wait.
//!
//! On Linux, a wait for sockets has a resolution of one millisecond, and many waits here are shorter, so a kernel timer is
//! watched as well. Elsewhere the wait itself is fine enough, and this does nothing.

use std::io::Result;
use std::time::Duration;

use mio::{Registry, Token};

/// Ends the loop's wait once.
#[cfg(target_os = "linux")]
pub(crate) struct Timer(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// The loop's wait ends after `wait`, which is above zero; an earlier setting is forgotten.
    pub(crate) fn set(&self, wait: Duration) -> Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let wait = Timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ };
        let spec = Itimerspec { it_interval: once, it_value: wait };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

/// Ends the loop's wait once.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(crate) fn new(_registry: &Registry, _token: Token) -> Result<Self> {
        Ok(Self)
    }

    pub(crate) fn set(&self, _wait: Duration) -> Result<()> {
        Ok(())
    }
}
