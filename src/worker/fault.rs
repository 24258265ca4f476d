//! What a worker can do wrong, as a type: one clear line for a row, and a variant for tests.

use std::fmt;
use std::time::Duration;

/// Why a worker's race, or its start, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The command could not be run.
    NotStarted(String),
    /// The process ended before it was done; with its last words on standard error, if it had any.
    Died(String),
    /// It reported that it cannot go on.
    GaveUp(String),
    /// It was silent for too long when something was due.
    Silent {
        /// What was due.
        due: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// It printed something outside the protocol.
    Garbage(String),
    /// It contradicts itself, or the clock.
    Lie(String),
    /// We were asked to stop.
    Interrupted,
}

impl Fault {
    /// How serious it is. The rows of a worker that died or hangs are right as far as they go; those of one that contradicts
    /// itself are not.
    pub(super) fn severity(&self) -> u8 {
        match self {
            Self::Silent { .. } => 0,
            Self::Died(_) => 1,
            Self::NotStarted(_) | Self::GaveUp(_) | Self::Garbage(_) | Self::Lie(_) => 2,
            Self::Interrupted => 3,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "the worker does not start: {why}"),
            Self::Died(words) if words.is_empty() => write!(f, "the worker died without an error message"),
            Self::Died(words) => write!(f, "the worker died: {words}"),
            Self::GaveUp(why) => write!(f, "the worker gave up: {why}"),
            Self::Silent { due, after } => {
                write!(f, "the worker hangs: no {due} within {:.0} s", after.as_secs_f64().max(1.0))
            }
            Self::Garbage(what) => write!(f, "the worker printed something outside the protocol: {what}"),
            Self::Lie(what) => write!(f, "the worker contradicts itself: {what}"),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Fault {}

/// The beginning of what a worker printed, fit for a message: printable, quoted, short.
pub(super) fn quote(bytes: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(&bytes[..bytes.len().min(240)]).chars().take(60).collect();
    format!("{shown:?}")
}
