//! Faults that were injected on purpose, as rows.

use serde::{Deserialize, Serialize};

/// One thing that was done to the system during a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The trial's number in its folder.
    pub trial: u32,
    /// When, since the race's zero on its clock; negative if before it.
    pub at_ns: i64,
    /// To which connection, from 1 in the order in which they were made; empty for all.
    pub connection: Option<u64>,
    /// Which of its commands, from 1.
    pub command: Option<u64>,
    /// That command's name.
    pub name: Option<String>,
    /// What was done: `lost-reply-fin`, `cut-both`, `killed-rst`, ...
    pub what: String,
}
