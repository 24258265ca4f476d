//! `INCR`, then `WAIT 1`, with its answer heeded or not.

use redis::ConnectionLike;

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{ask, own_connections, refused_or_unknown};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// A client that waits for one replica after each INCR. WAIT goes over the same connection, because it counts the replicas
/// that have what this connection wrote.
struct Waiting {
    connection: Session,
    packed: Vec<u8>,
    wait: Vec<u8>,
    patience_ms: u32,
    heeds: bool,
}

impl Updater for Waiting {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let value: i64 = match ask(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
            Ok(value) => value,
            Err(error) => return refused_or_unknown(error, 1),
        };
        let reached = self.connection.req_packed_command(&self.wait)?;
        if self.heeds && redis::from_redis_value::<i64>(reached.extract_error()?)? == 0 {
            return Err(format!("no replica had the update within {} ms", self.patience_ms).into());
        }
        Ok(Update::told(value))
    }
}

/// Clients that wait for at most `patience_ms`, and take 0 replicas for an unknown outcome if they heed the answer.
///
/// # Errors
/// The server does not answer, or refuses us.
pub(crate) fn incr_then_wait(
    server: &Target,
    workers: usize,
    patience_ms: u32,
    heeds: bool,
) -> Result<Vec<Box<dyn Updater>>> {
    let mut wait = Vec::new();
    pack(&mut wait, &[b"WAIT", b"1", patience_ms.to_string().as_bytes()]);
    own_connections(server, workers, |connection| Waiting {
        connection,
        packed: Vec::new(),
        wait: wait.clone(),
        patience_ms,
        heeds,
    })
}
