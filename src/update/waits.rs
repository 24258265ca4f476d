//! How long one client waited for what it shares with others, such as a connection of a pool: the part of its latency
//! that only the pool causes.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Waits of one client, within 1 %. Recording one allocates nothing.
#[derive(Debug, Clone)]
pub struct Waits(Histogram<u64>);

/// Two significant digits.
const PRECISION: u8 = 2;

/// Longer waits count as this long: 17 s, more than any pool's patience here.
const LONGEST_NS: u64 = 1 << 34;

impl Default for Waits {
    fn default() -> Self {
        let range = Histogram::new_with_bounds(1, LONGEST_NS, PRECISION);
        Self(range.expect("two digits over 34 bits are a range it knows"))
    }
}

impl Waits {
    /// Records one wait.
    pub fn record(&mut self, wait: Duration) {
        self.0.saturating_record((wait.as_nanos() as u64).max(1));
    }

    /// The waits since the last call, as (the longest time in nanoseconds, how many).
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_lost_updates::update::Waits;
    /// let mut waits = Waits::default();
    /// waits.record(Duration::from_nanos(100));
    /// waits.record(Duration::from_nanos(100));
    /// assert_eq!((waits.take(), waits.take()), (vec![(100, 2)], vec![]));
    /// ```
    pub fn take(&mut self) -> Vec<(u64, u64)> {
        let steps = self.0.iter_recorded();
        let taken = steps.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect();
        self.0.reset();
        taken
    }
}
