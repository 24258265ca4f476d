//! Criterion's estimates as rows, each with the ledger of its calls.

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// One bench id of a `cargo bench` run: criterion's estimate of the time one update by every thread takes, and the
/// ledger of all its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Criterion's id: `strategy/threads`.
    pub bench_id: String,
    /// `this run`, or the name of a saved baseline.
    pub baseline: String,
    /// The strategy's name.
    pub strategy: String,
    /// Clients racing at once; an iteration is one update by each.
    pub threads: usize,
    /// Criterion's estimate of the mean time of an iteration.
    pub mean_ns: f64,
    /// The lower end of its confidence interval.
    pub mean_low_ns: f64,
    /// The upper end.
    pub mean_high_ns: f64,
    /// Criterion's estimate of the median time of an iteration.
    pub median_ns: f64,
    /// The level of the interval, 0 to 1.
    pub confidence: f64,
    /// Acknowledged updates of all calls, warm-up included.
    pub acked: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Increments applied more than once.
    pub doubled: u64,
    /// The worst verdict of all calls.
    pub verdict: Option<Verdict>,
}
