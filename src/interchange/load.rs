//! How hard the counter was driven: a verdict on a history without concurrency proves little.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::history::{History, Rows, Timed};
use crate::history::{Operation, Reply};
use crate::update::Outcome;

/// Throughput, latency and overlap of a history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Acknowledged operations per second.
    pub acked_per_s: f64,
    /// From the first begin to the last end.
    pub span_ns: u64,
    /// Latency of acknowledged operations at the 50th, 90th, 99th and 99.9th percentile and the largest; a percentile
    /// is accurate to 1 %.
    pub latency_ns: [u64; 5],
    /// How many operations were under way on average.
    pub in_flight: f64,
    /// The part of the span in which every worker was running, 0 to 1.
    pub overlap: f64,
}

impl Load {
    /// Below this many operations under way on average, they mostly came one after the other.
    pub const HARDLY_A_RACE: f64 = 1.2;

    /// The load, and the latency of acknowledged operations as (upper bound, count).
    pub(super) fn of(history: &History) -> (Option<Self>, Vec<(u64, u64)>) {
        let Ok(mut sums) = Sums::new() else { return (None, Vec::new()) };
        match &history.rows {
            Rows::Plain(lanes) => {
                lanes.iter().for_each(|lane| {
                    sums.lane(lane.items.iter().map(|event| {
                        (event.span(), matches!(event.outcome(), Outcome::Acked(_) | Outcome::AckedBlind))
                    }));
                })
            }
            Rows::General(lanes) => lanes.iter().for_each(|lane| {
                let acked = |operation: &Operation| matches!(operation.reply, Reply::Told(_) | Reply::Done);
                sums.lane(lane.items.iter().map(|operation| (operation.span(), acked(operation))));
            }),
        }
        sums.load()
    }
}

/// Sums over all rows.
struct Sums {
    latency: Histogram<u64>,
    first: u64,
    last: u64,
    /// The total duration of acknowledged operations, in nanoseconds.
    busy: u128,
    acked: u64,
    /// When the last worker began, and when the first one ended.
    all_begun: u64,
    all_going: u64,
}

impl Sums {
    fn new() -> Result<Self, hdrhistogram::CreationError> {
        let latency = Histogram::new(2)?;
        Ok(Self { latency, first: u64::MAX, last: 0, busy: 0, acked: 0, all_begun: 0, all_going: u64::MAX })
    }

    /// Adds one lane: when each operation began and ended, and whether it was acknowledged.
    fn lane(&mut self, operations: impl Iterator<Item = ((u64, u64), bool)>) {
        let (mut from, mut to) = (u64::MAX, 0);
        for ((begin, end), acked) in operations {
            (from, to) = (from.min(begin), to.max(end));
            if acked {
                self.acked += 1;
                self.busy += u128::from(end - begin);
                let _ = self.latency.record((end - begin).max(1)); // cannot fail: it grows
            }
        }
        if from <= to {
            (self.first, self.last) = (self.first.min(from), self.last.max(to));
            (self.all_begun, self.all_going) = (self.all_begun.max(from), self.all_going.min(to));
        }
    }

    fn load(self) -> (Option<Load>, Vec<(u64, u64)>) {
        if self.acked == 0 || self.first >= self.last {
            return (None, Vec::new());
        }
        let span_ns = self.last - self.first;
        let at = |quantile: f64| self.latency.value_at_quantile(quantile);
        let load = Load {
            acked_per_s: self.acked as f64 * 1e9 / span_ns as f64,
            span_ns,
            latency_ns: [at(0.5), at(0.9), at(0.99), at(0.999), self.latency.max()],
            in_flight: self.busy as f64 / span_ns as f64,
            overlap: self.all_going.saturating_sub(self.all_begun) as f64 / span_ns as f64,
        };
        let times = self.latency.iter_recorded();
        let times = times.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect();
        (Some(load), times)
    }
}
