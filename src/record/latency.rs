//! Latency histograms as rows: how many updates of a trial took up to how long.

use serde::{Deserialize, Serialize};

/// Since when the time of an update is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Since it was sent: what the server and the strategy took.
    #[default]
    Service,
    /// Since the instant it was intended for, in an open loop: what somebody who asked then would have waited.
    Response,
    /// From when it was handed over until it had a connection from the pool: a part of the other times.
    Pool,
}

/// How many updates of one trial took up to how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The trial's number in its folder; 0 where it is not known.
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
    /// Since when the time was taken.
    #[serde(default)]
    pub clock: Clock,
    /// The longest time of this bucket.
    pub up_to_ns: u64,
    /// Updates in it.
    pub count: u64,
}
