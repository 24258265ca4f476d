//! A client as a state machine: replies in, requests out. It knows nothing of sockets.
//!
//! An [`Updater`](crate::update::Updater) blocks its thread until an update is done. A [`ClientMachine`] never blocks, so
//! one thread can drive thousands of them. It appends requests, receives their replies one by one, and reports when its
//! update is done. It uses neither a clock nor a socket, so a test can play the server.

use std::time::Duration;

use crate::error::BoxError;
use crate::update::Update;

pub use crate::resp::{Reply, Requests};

/// One client's updates, one batch at a time.
pub trait ClientMachine: Send {
    /// How many updates it takes per batch (a pipeline).
    fn batch(&self) -> usize {
        1
    }

    /// Begins an update of each counter in `keys`, at most [`ClientMachine::batch`] of them: appends the first requests.
    ///
    /// Called only when nothing is in progress. Whatever was in progress when a connection was lost must be forgotten.
    fn begin(&mut self, keys: &[&str], requests: &mut Requests);

    /// Takes the next reply, `elapsed_ns` nanoseconds after the batch began. Pushes an outcome onto `done` for every update that
    /// now has one, in the order of its keys, and appends the requests to send next.
    fn reply(&mut self, reply: Reply<'_>, elapsed_ns: u64, requests: &mut Requests, done: &mut Vec<Update>) -> Turn;

    /// The wait requested by [`Turn::Later`] is over: appends the requests of the next try.
    fn again(&mut self, _requests: &mut Requests) {}
}

/// What comes next.
#[must_use]
#[derive(Debug)]
pub enum Turn {
    /// Another reply.
    Reply,
    /// A wait of this long, and then [`ClientMachine::again`]: another client was faster, and nothing has changed. Allowed only
    /// once all replies have arrived.
    Later(Duration),
    /// The next batch: each update of this one has its outcome.
    Done,
    /// Nothing: the updates without an outcome are *unknown*.
    Failed(BoxError),
}
