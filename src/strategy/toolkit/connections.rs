//! A connection, or a client, for each worker.

use crate::client_machine::ClientMachine;
use crate::error::Result;
use crate::target::{Session, Target, after};
use crate::update::Updater;

/// The same state machine for each client.
pub(crate) fn boxed<C: ClientMachine + 'static>(clients: usize, one: impl Fn() -> C) -> Vec<Box<dyn ClientMachine>> {
    (0..clients).map(|_| Box::new(one()) as Box<dyn ClientMachine>).collect()
}

/// A connection for each worker, each wrapped in an updater.
pub(crate) fn own_connections<U: Updater + 'static>(
    server: &Target,
    workers: usize,
    updater: impl Fn(Session) -> U,
) -> Result<Vec<Box<dyn Updater>>> {
    let connect = |made| server.connect().map_err(|e| after(made, workers, e));
    (0..workers).map(|made| Ok(Box::new(updater(connect(made)?)) as Box<dyn Updater>)).collect()
}
