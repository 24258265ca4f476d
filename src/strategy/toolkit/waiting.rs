//! `INCR`, then `WAIT` or `WAITAOF`, with the answer heeded or not.

use redis::{ConnectionLike, Value};

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{ask, own_connections, refused_or_unknown};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// What is waited for after each INCR, and for how long at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Await {
    /// The command and its arguments, without the timeout.
    pub(crate) command: &'static [&'static str],
    /// The timeout, in milliseconds.
    pub(crate) patience_ms: u32,
    /// The error message if the wait timed out: `no replica had the update`.
    pub(crate) missed: &'static str,
    /// Whether an answer of zero makes the update unknown.
    pub(crate) heeds: bool,
}

/// A client that waits after each INCR. The wait goes over the same connection, because it covers what this connection
/// wrote.
struct Waiting {
    connection: Session,
    packed: Vec<u8>,
    wait: Vec<u8>,
    awaited: Await,
}

impl Updater for Waiting {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let value: i64 = match ask(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
            Ok(value) => value,
            Err(error) => return refused_or_unknown(error, 1),
        };
        let reached = self.connection.req_packed_command(&self.wait)?;
        if self.awaited.heeds && first(reached)? == 0 {
            let Await { missed, patience_ms, .. } = self.awaited;
            return Err(format!("{missed} within {patience_ms} ms").into());
        }
        Ok(Update::told(value))
    }
}

/// WAIT answers with a number; WAITAOF with two, of which the first says whether the server itself has it on disk.
fn first(answer: Value) -> Result<i64, BoxError> {
    let answer = match answer.extract_error()? {
        Value::Array(numbers) => numbers.into_iter().next().unwrap_or_default(),
        number => number,
    };
    Ok(redis::from_redis_value(answer)?)
}

/// Clients that wait after each INCR.
///
/// # Errors
/// The server does not answer, or refuses us.
pub(crate) fn incr_then_wait(server: &Target, workers: usize, awaited: Await) -> Result<Vec<Box<dyn Updater>>> {
    let patience = awaited.patience_ms.to_string();
    let words: Vec<&[u8]> = awaited.command.iter().map(|word| word.as_bytes()).chain([patience.as_bytes()]).collect();
    let mut wait = Vec::new();
    pack(&mut wait, &words);
    own_connections(server, workers, |connection| Waiting {
        connection,
        packed: Vec::new(),
        wait: wait.clone(),
        awaited,
    })
}
