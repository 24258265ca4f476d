//! One client in one race of the event loop: its recorder, and the replies it waits for.

use crate::error::BoxError;
use crate::race::{Recorder, Work};

pub(super) struct Racer {
    pub(super) recorder: Recorder,
    /// How the current batch ended, while replies to it are still due.
    pub(super) ending: Option<Result<(), BoxError>>,
    /// Replies to come.
    pub(super) owed: u32,
    /// When it last made a request.
    pub(super) asked_ns: u64,
    /// Whether it waits for its next batch to be due.
    pub(super) awaits_turn: bool,
    pub(super) is_finished: bool,
}

impl Racer {
    pub(super) fn new(work: &Work, batch: usize) -> Self {
        Self {
            recorder: Recorder::of(work, batch),
            ending: None,
            owed: 0,
            asked_ns: 0,
            awaits_turn: false,
            is_finished: false,
        }
    }
}
