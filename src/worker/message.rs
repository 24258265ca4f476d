//! The messages of the worker protocol, one JSON object per line. Rows of the history are sent between them as CSV.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the protocol; a worker that knows another refuses the job.
pub(super) const PROTOCOL: u32 = 1;

/// The first message to a worker: what to connect to, and how to update.
#[derive(Clone, Serialize)]
pub struct Job {
    /// Version of the protocol.
    pub protocol: u32,
    /// `redis://[user:password@]host:port/db` or `unix:///path?db=0`; may hold a password, so it is never printed.
    pub url: String,
    /// The strategy, one that the manifest lists.
    pub strategy: String,
    /// Which of the library's settings.
    pub settings: String,
    /// The names of the counters.
    pub keys: Vec<String>,
    /// For each client, the counters its updates go to, as indices into `keys`, used in a cycle.
    pub sequences: Vec<Vec<u16>>,
    /// The numbers of the clients this process has.
    pub clients: Vec<usize>,
    /// How many updates a batching strategy (`pipelined-incr`) sends at once.
    pub batch: usize,
    /// The seed for whatever the adapter does at random.
    pub seed: u64,
}

impl Job {
    /// One strategy on one counter; the clients are filled in when they are spread over processes.
    pub fn one_key(url: &str, strategy: &str, settings: &str, key: &str) -> Self {
        Self {
            protocol: PROTOCOL,
            url: url.to_owned(),
            strategy: strategy.to_owned(),
            settings: settings.to_owned(),
            keys: vec![key.to_owned()],
            sequences: Vec::new(),
            clients: Vec::new(),
            batch: 16,
            seed: 0,
        }
    }
}

/// What a worker says about itself when its clients are connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Ready {
    /// The library's name.
    pub library: String,
    /// Its version, as the library itself reports it if it can.
    pub version: String,
    /// The language's runtime and its version.
    #[serde(default)]
    pub runtime: String,
    /// How many updates one hand-over takes.
    #[serde(default = "one")]
    pub batch: usize,
    /// The retry and timeout settings in effect, read from the client if it exposes them.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

impl Ready {
    /// The settings in effect as a row has them: `retries=3; timeout=none`.
    pub fn effective(&self) -> String {
        self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

fn one() -> usize {
    1
}

/// When a worker writes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// In blocks, so that writing is rare during the race.
    Block,
    /// Each at once, so that a worker that dies leaves a record of all it did.
    Row,
}

/// The rate of an open loop: update number `i` of client `c` is due `(i * clients + c) / per_s` seconds after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Updates per second over all clients.
    pub per_s: u64,
    /// Clients of all processes together.
    pub clients: usize,
}

/// One race: from when, how many updates, for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Go {
    /// The common start, by the worker's own clock.
    pub start_ns: u64,
    /// No update begins later than this after the start.
    pub duration_ns: u64,
    /// How many updates each client of this process makes at most.
    pub updates: Vec<u64>,
    /// The schedule, in an open loop.
    pub rate: Option<Rate>,
    /// How long a client waits after an update that was not acknowledged, as a program does that tries again later.
    pub pause_ns: u64,
    /// When rows are written.
    pub flush: Flush,
}

/// Our messages to a worker.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order<'a> {
    Job(&'a Job),
    Ping(u32),
    Go(&'a Go),
}

/// A worker's messages, apart from its rows.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Ready { ready: Ready },
    Pong { pong: u32, now_ns: u64 },
    Done { done: Done },
    Error { error: String },
}

/// What a worker says it did: it must agree with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Done {
    pub(super) rows: u64,
    pub(super) acked: u64,
    /// The first error that a client met.
    #[serde(default)]
    pub(super) error: Option<String>,
}
