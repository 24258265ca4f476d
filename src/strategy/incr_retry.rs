//! `INCR`, sent again when no reply comes: what many client libraries do by default, and what counts an update twice.
//!
//! A connection that breaks and a reply that does not come in time say nothing about the command: the server may have
//! executed it. Sent again, up to 3 times in all and each time on a new connection, it is then counted twice, and the value
//! told looks right. Exact as long as no reply is lost; `idempotent-lua` is the retry that stays exact.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, refused_or_unknown};
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::verdict::Role;

/// How often the command is sent.
const TRIES: u32 = 3;

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    role: Role::Mistake,
    after_loss: AfterLoss::RetriesBlindly,
    ..Info::exact("incr-retry", "INCR, sent again if no reply comes: exact until a reply is lost, then counted twice.")
};

pub(super) struct IncrRetry;

struct Retrying {
    connection: Session,
    packed: Vec<u8>,
    server: Target,
}

impl Updater for Retrying {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let mut tries = 1;
        loop {
            match ask(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
                Ok(value) => return Ok(Update::Applied { value: Some(value), tries }),
                Err(error) if error.is_io_error() && tries < TRIES => {
                    tries += 1;
                    // A reply to the last try may still arrive on the old connection, so that one is never used again.
                    self.connection = self.server.connect()?;
                }
                // A refusal of a later try says nothing about an earlier one whose reply was lost.
                Err(error) if tries > 1 => return Err(error.into()),
                Err(error) => return refused_or_unknown(error, tries),
            }
        }
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
        (0..workers)
            .map(|_| {
                let (connection, server) = (server.connect()?, server.clone());
                Ok(Box::new(Retrying { connection, packed: Vec::new(), server }) as Box<dyn Updater>)
            })
            .collect()
    }
}
