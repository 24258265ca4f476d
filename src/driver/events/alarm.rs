//! Clients that wait for their next try or for their turn in a schedule, and a timer that ends the loop's sleep when the
//! first of them is due.
//!
//! Most of these waits are shorter than a millisecond, the resolution of the loop's own wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Result;
use std::time::Duration;

use mio::{Registry, Token};

use crate::timer::Timer;

pub(super) struct Alarm {
    /// When each wait is over, in nanoseconds since the race's zero, and which client waits.
    waiting: BinaryHeap<Reverse<(u64, u32)>>,
    /// What the timer is set to.
    set_to: Option<u64>,
    timer: Timer,
}

impl Alarm {
    pub(super) fn new(registry: &Registry, token: Token) -> Result<Self> {
        Ok(Self { waiting: BinaryHeap::new(), set_to: None, timer: Timer::new(registry, token)? })
    }

    /// Forgets all waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.set_to = None;
    }

    /// Has `client` woken at `due_ns`.
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

    /// Sets the timer to the end of the first wait, and returns how long that takes.
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
