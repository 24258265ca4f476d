//! What strategies report: an [`Updater`] adds one to a counter and describes the outcome in an [`Update`]; the race stores
//! each as an [`Event`] of 24 bytes. Independent of Redis.

mod waits;

use crate::error::BoxError;

pub use waits::Waits;

/// Updates counters for one worker. One thread owns it; opening it is never timed.
pub trait Updater: Send {
    /// Adds one to the counter at `key`.
    ///
    /// # Errors
    /// An error means *unknown*: the update may or may not have happened. A reply that proves nothing changed is
    /// [`Update::Refused`] instead.
    fn update(&mut self, key: &str) -> Result<Update, BoxError>;

    /// How long its updates since the last call waited for something that clients share, such as a connection of a
    /// pool, as (the longest time in nanoseconds, how many waits). It is part of their latency. Empty if it is not
    /// measured.
    fn take_waits(&mut self) -> Vec<(u64, u64)> {
        Vec::new()
    }

    /// How many updates it takes per call (a pipeline, a local sum, a lock held for a batch).
    fn batch(&self) -> usize {
        1
    }

    /// Adds one for each of `keys`, in order, and pushes one outcome for each onto `done`.
    ///
    /// The updates of one batch share their begin and end: their latency is from the hand-over of the batch to its
    /// acknowledgement.
    ///
    /// # Errors
    /// An error makes every update of the batch that has no outcome in `done` yet *unknown*.
    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        for key in keys {
            done.push(self.update(key)?);
        }
        Ok(())
    }
}

/// The outcome of one update.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Acknowledged.
    Applied {
        /// The value that the update returned (for increments: the counter's new value), if it returned any.
        value: Option<i64>,
        /// Protocol-level attempts, 1 + retries.
        tries: u32,
    },
    /// Gave up; nothing changed.
    Refused {
        /// Protocol-level attempts, 1 + retries.
        tries: u32,
        /// Why, as the server or the strategy said it.
        reason: String,
    },
}

impl Update {
    /// Acknowledged at the first try, with the value that it returned.
    pub fn told(value: i64) -> Self {
        Self::Applied { value: Some(value), tries: 1 }
    }
}

/// The outcome of one update, as the history keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged, with this value returned.
    Acked(i64),
    /// Acknowledged without a value.
    AckedBlind,
    /// Gave up, nothing changed.
    Refused,
    /// An error after which it may or may not have happened.
    Unknown,
}

/// One update in the history: 24 bytes, whatever happened.
///
/// Times are nanoseconds since the race's zero on one monotonic clock, up to 2^48 (78 hours); tries saturate at
/// 65,535; key numbers go to 16,383.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    begin_and_tries: u64, // 48 bits of begin, 16 of tries
    end_and_what: u64,    // 48 bits of end, 2 of outcome, 14 of key
    value: i64,
}

const TIME: u64 = (1 << 48) - 1;

impl Event {
    /// The highest number of counters one race can spread over.
    pub const MAX_KEYS: usize = 1 << 14;

    /// An update of counter number `key` that ran from `begin_ns` to `end_ns`.
    pub fn new(key: usize, begin_ns: u64, end_ns: u64, tries: u32, outcome: Outcome) -> Self {
        debug_assert!(key < Self::MAX_KEYS && begin_ns <= TIME && end_ns <= TIME);
        let (what, value) = match outcome {
            Outcome::Acked(value) => (0, value),
            Outcome::AckedBlind => (1, 0),
            Outcome::Refused => (2, 0),
            Outcome::Unknown => (3, 0),
        };
        Self {
            begin_and_tries: (begin_ns & TIME) | u64::from(tries.min(0xFFFF)) << 48,
            end_and_what: (end_ns & TIME) | what << 48 | (key as u64) << 50,
            value,
        }
    }

    /// When it was handed over, in nanoseconds since the race's zero.
    pub fn begin_ns(&self) -> u64 {
        self.begin_and_tries & TIME
    }

    /// When its outcome was known, in nanoseconds since the race's zero.
    pub fn end_ns(&self) -> u64 {
        self.end_and_what & TIME
    }

    /// Protocol-level attempts, 1 + retries.
    pub fn tries(&self) -> u32 {
        (self.begin_and_tries >> 48) as u32
    }

    /// Which counter it was for.
    pub fn key(&self) -> usize {
        (self.end_and_what >> 50) as usize
    }

    /// Its outcome.
    pub fn outcome(&self) -> Outcome {
        match (self.end_and_what >> 48) & 3 {
            0 => Outcome::Acked(self.value),
            1 => Outcome::AckedBlind,
            2 => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_24_bytes_and_gives_back_what_it_was_given() {
        assert_eq!(std::mem::size_of::<Event>(), 24);
        for outcome in
            [Outcome::Acked(i64::MIN), Outcome::Acked(7), Outcome::AckedBlind, Outcome::Refused, Outcome::Unknown]
        {
            let event = Event::new(16_383, TIME - 1, TIME, 70_000, outcome);
            assert_eq!((event.key(), event.begin_ns(), event.end_ns()), (16_383, TIME - 1, TIME));
            assert_eq!((event.tries(), event.outcome()), (65_535, outcome));
        }
    }
}
