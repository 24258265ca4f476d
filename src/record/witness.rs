//! A lost update as rows: the commands that lost it.

use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// One command of a witness: the shortest run of commands, in the server's own order, that shows an update being lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The strategy that lost it.
    pub strategy: String,
    /// The client library that sent the commands.
    #[serde(default = "redis_rs")]
    pub library: String,
    /// How many clients raced.
    pub threads: usize,
    /// Its place in the witness, from 1.
    pub step: u32,
    /// When the server executed it, in microseconds since the witness's first command, by the server's own clock.
    pub at_us: u64,
    /// Which client: `A`, `B`, ... in order of appearance.
    pub client: String,
    /// The command as the server saw it, without the key: `GET`, `SET 42`.
    pub command: String,
    /// What it read or wrote, as the order of commands implies.
    pub value: Option<String>,
    /// How a picture shows it: `read`, `stale-read` (will be overwritten from), `write`, `overwritten` (this write is
    /// the lost update), `overwriting` (the write that loses it), `other`.
    pub mark: String,
    /// The step in words: `B reads 41 too`.
    pub note: String,
}

fn redis_rs() -> String {
    Condition::default().library
}
