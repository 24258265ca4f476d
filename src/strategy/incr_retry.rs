//! `INCR`, sent again when no reply comes: what many client libraries do by default, and what counts an update twice.
//!
//! A connection that breaks and a reply that does not come in time say nothing about the command: the server may have
//! executed it. If the command is sent again (up to 3 tries in all, each on a new connection), the update is then
//! counted twice, and the value returned looks right. Exact as long as no reply is lost; `idempotent-lua` is the retry
//! that stays exact.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Reconnecting, TRIES, own_connections};
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};
use crate::verdict::Role;

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    role: Role::Mistake,
    after_loss: AfterLoss::RetriesBlindly,
    ..Info::exact("incr-retry", "INCR, sent again if no reply comes: exact until a reply is lost, then counted twice.")
};

pub(super) struct IncrRetry;

struct Retrying(Reconnecting);

impl Updater for Retrying {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.0.update(&[b"INCR", key.as_bytes()])
    }
}

impl Strategy for IncrRetry {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("tries={TRIES}")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Retrying(Reconnecting::new(connection, server)))
    }
}
