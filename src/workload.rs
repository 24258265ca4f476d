//! What is to be measured: a [`Plan`] of cells, each a [`Workload`] for one entrant. Validated plain data; no clock, no
//! server.

mod driver;
mod plan;
mod skew;

use std::time::Duration;

use crate::error::Result;
use crate::pace::{Pace, Schedule};

pub use driver::{DRIVERS, DriverInfo, DriverKind, MAX_CLIENTS, MAX_THREADS};
pub use plan::{Cell, Plan};
pub use skew::Skew;

/// How large one trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// This many updates by every thread.
    Updates(u64),
    /// As many updates as a warm-up says fit into this time.
    Duration(Duration),
}

/// What one race does: how many threads over how many counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Clients racing at once.
    pub threads: usize,
    /// Counters the updates are spread over.
    pub keys: usize,
    /// How they are spread.
    pub skew: Skew,
    /// What decides when the next update is sent.
    pub pace: Pace,
    /// What drives the clients.
    pub driver: DriverKind,
    /// Connections in the pool, for strategies that have one. `None` means one for each client, and waits are not
    /// measured.
    pub pool_size: Option<usize>,
}

impl Workload {
    /// `threads` clients on one counter in a closed loop, a thread each.
    pub fn one_key(threads: usize) -> Self {
        Self { threads, keys: 1, skew: Skew::Even, pace: Pace::Closed, driver: DriverKind::Threads, pool_size: None }
    }

    /// The same load with another driver.
    #[must_use]
    pub fn driven_by(self, driver: DriverKind) -> Self {
        Self { driver, ..self }
    }

    /// The schedule of a trial of this size; `None` in a closed loop.
    ///
    /// # Errors
    /// A usage error: there is no such schedule.
    pub fn schedule(&self, size: Size) -> Result<Option<Schedule>> {
        let Pace::Rate(per_s) = self.pace else { return Ok(None) };
        match size {
            Size::Updates(each) => Schedule::of_updates(per_s, each.saturating_mul(self.threads as u64), self.threads),
            Size::Duration(duration) => Schedule::of_duration(per_s, duration, self.threads),
        }
        .map(Some)
    }

    /// Which counters one worker's updates go to, as key numbers: a table that the worker uses in a cycle.
    ///
    /// Made before the race, so that no random number is drawn in the timed section.
    pub fn key_sequence(&self, worker: usize, seed: u64) -> Vec<u16> {
        if self.keys == 1 {
            return vec![0];
        }
        let mut rng = fastrand::Rng::with_seed(seed ^ (worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let weights: Vec<f64> = match self.skew {
            Skew::Even => vec![1.0; self.keys],
            Skew::Zipf(s) => (1..=self.keys).map(|k| (k as f64).powf(-s)).collect(),
        };
        let cumulative: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let total = cumulative[self.keys - 1];
        // All clients' tables together stay below 64 MiB, however many they are.
        let draws = (self.keys * 16).clamp(1 << 12, 1 << 18).min((1 << 25) / self.threads.max(1));
        (0..draws)
            .map(|_| {
                let at = rng.f64() * total;
                cumulative.partition_point(|&c| c <= at).min(self.keys - 1) as u16
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_prefers_the_first_key_and_even_does_not() {
        let count = |skew| {
            let load = Workload { keys: 16, skew, ..Workload::one_key(1) };
            load.key_sequence(0, 1).iter().filter(|&&k| k == 0).count() as f64 / load.key_sequence(0, 1).len() as f64
        };
        assert!((count(Skew::Even) - 1.0 / 16.0).abs() < 0.02);
        // 1 / (1 + 1/2 + ... + 1/16) = 0.2958
        assert!((count(Skew::Zipf(1.0)) - 0.2958).abs() < 0.03);
    }
}
