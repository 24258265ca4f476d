//! One client in one race of the event loop: its recorder, and the replies it waits for.

use crate::error::BoxError;
use crate::race::{Recorder, Work};

pub(super) struct Racer {
    pub(super) recorder: Recorder,
    /// How the hand-over under way ended, while replies are still owed.
    pub(super) ending: Option<Result<(), BoxError>>,
    /// Replies to come.
    pub(super) owed: u32,
    /// When it last asked something.
    pub(super) asked_ns: u64,
    /// Whether its next hand-over is not due yet.
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
