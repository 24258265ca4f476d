//! Latency histograms as rows: how many updates of a trial fall into each range of latencies.

use serde::{Deserialize, Serialize};

/// The instant from which an update's latency is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// When it was sent: the latency is the time that the server and the strategy took.
    #[default]
    Service,
    /// The instant it was intended for, in an open loop: the latency is how long a caller at that instant would have
    /// waited.
    Response,
    /// When it was handed over, until it had a connection from the pool: a part of the other times.
    Pool,
}

/// How many updates of one trial fall into one range of latencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The trial's number in its folder; 0 if unknown.
    #[serde(default)]
    pub trial: u32,
    /// The trial's round.
    pub round: u32,
    /// The trial's strategy.
    pub strategy: String,
    /// The trial's threads.
    pub threads: usize,
    /// The trial's keys.
    pub keys: usize,
    /// The clock of these latencies.
    #[serde(default)]
    pub clock: Clock,
    /// The longest time of this bucket.
    pub up_to_ns: u64,
    /// Updates in it.
    pub count: u64,
}
