//! The latencies of a cell: the buckets of its trials, put together, and percentiles of them.

use std::collections::BTreeMap;

use crate::record::{Bucket, Clock, Record};
use crate::stats::quantile;

/// Updates by the longest time of their bucket, in nanoseconds.
pub(super) type Counts = BTreeMap<u64, u64>;

/// A cell's latencies by each clock, trial by trial.
pub(super) type Latencies = BTreeMap<Clock, BTreeMap<u32, Counts>>;

/// The latencies of these trials.
pub(super) fn latencies(records: &[&Record], buckets: &BTreeMap<u32, Vec<&Bucket>>) -> Latencies {
    let mut latencies = Latencies::new();
    for bucket in records.iter().filter_map(|record| buckets.get(&record.trial)).flatten() {
        let trial = latencies.entry(bucket.clock).or_default().entry(bucket.trial).or_default();
        add(trial.entry(bucket.up_to_ns).or_default(), bucket.count);
    }
    latencies
}

/// The latency percentiles of a cell.
pub(super) const PERCENTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

/// The buckets of all trials as one.
pub(super) fn pooled(trials: &BTreeMap<u32, Counts>) -> Vec<(u64, u64)> {
    let mut all = Counts::new();
    for (&up_to, &count) in trials.values().flatten() {
        add(all.entry(up_to).or_default(), count);
    }
    all.into_iter().collect()
}

/// Sums end at the largest number there is: a file may say anything.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// The percentiles of these buckets, of those that rest on enough updates to be one: where fewer than ten lie beyond, it
/// is the luck of those few.
pub(super) fn percentiles(buckets: &[(u64, u64)]) -> [Option<u64>; 5] {
    let total = buckets.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count)) as f64;
    PERCENTILES.map(|q| quantile(buckets, q).filter(|_| total * (1.0 - q) >= FEWEST_BEYOND))
}

/// Ten, but for what rounding takes from 1 - q.
const FEWEST_BEYOND: f64 = 9.99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_updates_beyond_it() {
        let told = |count: u64| percentiles(&[(100, count)]).map(|p| p.is_some());
        assert_eq!(told(1_526), [true, true, true, false, false]);
        assert_eq!(told(10_000), [true, true, true, true, false]);
        assert_eq!(told(100_000), [true; 5]);
        assert_eq!(percentiles(&[(1, u64::MAX), (2, u64::MAX)]), [Some(1); 5]);
    }
}
