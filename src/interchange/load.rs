//! How hard the counter was driven: a verdict on a history in which nothing happened at once proves little.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::history::History;
use crate::history::Reply;

/// Throughput, latency and overlap of a history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Acknowledged operations per second.
    pub acked_per_s: f64,
    /// From the first begin to the last end.
    pub span_ns: u64,
    /// Latency of acknowledged operations at the 50th, 90th, 99th and 99.9th percentile and the largest; a percentile is
    /// right to 1 %.
    pub latency_ns: [u64; 5],
    /// How many operations were under way on average.
    pub in_flight: f64,
    /// The part of the span in which every worker was at it, 0 to 1.
    pub overlap: f64,
}

impl Load {
    /// Below this many operations under way on average, they mostly came one after the other.
    pub const HARDLY_A_RACE: f64 = 1.2;

    /// And how long acknowledged operations took, as upper ends and counts.
    pub(super) fn of(history: &History) -> (Option<Self>, Vec<(u64, u64)>) {
        let Ok(mut latency) = Histogram::<u64>::new(2) else { return (None, Vec::new()) };
        let (mut first, mut last, mut busy, mut acked) = (u64::MAX, 0, 0_u128, 0_u64);
        let (mut all_begun, mut all_going) = (0, u64::MAX);
        let mut lane = None::<(u32, u64, u64)>;
        let mut close = |lane: Option<(u32, u64, u64)>| {
            if let Some((_, begin, end)) = lane {
                (all_begun, all_going) = (all_begun.max(begin), all_going.min(end));
            }
        };
        for (worker, _, op) in history.operations() {
            let (begin, end) = (op.begin_ns, op.end_ns);
            (first, last) = (first.min(begin), last.max(end));
            lane = match lane {
                Some((of, from, to)) if of == worker => Some((of, from.min(begin), to.max(end))),
                before => {
                    close(before);
                    Some((worker, begin, end))
                }
            };
            if matches!(op.reply, Reply::Told(_) | Reply::Done) {
                acked += 1;
                busy += u128::from(end - begin);
                let _ = latency.record((end - begin).max(1)); // cannot fail: it grows
            }
        }
        close(lane);
        if acked == 0 || first >= last {
            return (None, Vec::new());
        }
        let span_ns = last - first;
        let at = |quantile: f64| latency.value_at_quantile(quantile);
        let load = Self {
            acked_per_s: acked as f64 * 1e9 / span_ns as f64,
            span_ns,
            latency_ns: [at(0.5), at(0.9), at(0.99), at(0.999), latency.max()],
            in_flight: busy as f64 / span_ns as f64,
            overlap: all_going.saturating_sub(all_begun) as f64 / span_ns as f64,
        };
        let times = latency.iter_recorded();
        let times = times.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect();
        (Some(load), times)
    }
}
