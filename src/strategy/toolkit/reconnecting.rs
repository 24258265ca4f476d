//! A command that is sent again when no reply comes, each time on a new connection.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, refused_or_unknown};
use crate::target::{Session, Target};
use crate::update::Update;

/// How often a command is sent at most.
pub(crate) const TRIES: u32 = 3;

/// A connection that is replaced when it breaks or a reply does not come in time.
pub(crate) struct Reconnecting {
    connection: Session,
    packed: Vec<u8>,
    server: Target,
}

impl Reconnecting {
    /// Begins with `connection`, which is to `server`.
    pub(crate) fn new(connection: Session, server: &Target) -> Self {
        Self { connection, packed: Vec::new(), server: server.clone() }
    }

    /// Sends an update that is one command, and sends it again while no reply comes. Only the caller knows whether the
    /// server may execute it twice.
    ///
    /// # Errors
    /// The outcome is unknown.
    pub(crate) fn update(&mut self, words: &[&[u8]]) -> Result<Update, BoxError> {
        let mut tries = 1;
        loop {
            match ask(&mut self.connection, &mut self.packed, words) {
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
