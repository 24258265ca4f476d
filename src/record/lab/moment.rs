//! A bucket of a trial's timeline: what was acknowledged in it, and how much of that was lost.

use serde::{Deserialize, Serialize};

use crate::record::check::Row;

/// The outcomes of the updates that ended in one bucket of a trial. A trial's buckets are contiguous.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The trial's number.
    pub trial: u32,
    /// Its beginning, since the trial's zero.
    pub at_ns: u64,
    /// Its length.
    pub for_ns: u64,
    /// Updates acknowledged in it.
    pub acked: u64,
    /// Of these, those that are not in the counter at the end.
    pub lost: u64,
    /// Updates that ended in it with an error and may have happened.
    pub unknown: u64,
    /// Updates that ended in it without having happened.
    pub refused: u64,
}

/// A day: no trial lasts that long.
const LONGEST_NS: u64 = 86_400_000_000_000;

/// Which of these times is longer than any trial, in words.
pub(super) fn too_late(times: impl IntoIterator<Item = u64>) -> Option<String> {
    let late = times.into_iter().find(|&time| time > LONGEST_NS)?;
    Some(format!("a time of {late} ns: at most a day, {LONGEST_NS}"))
}

impl Row for Moment {
    fn flaw(&self) -> Option<String> {
        if self.lost > self.acked {
            return Some(format!("lost {} of {} acknowledged", self.lost, self.acked));
        }
        too_late([self.at_ns, self.for_ns])
    }
}
