//! 16 `INCR` in one write, 16 replies in one read: the price of a round trip shared by a batch.
//!
//! Still one command per update, so each is told its own value, in order. An error reply refuses only the update it
//! answers; a lost connection leaves the whole batch unknown. An update waits for its batch to fill up and to return:
//! latency here is from hand-over to acknowledgement. Bulk loaders and counters behind a queue work so.
//!
//! A command is packed once and copied for as long as the counter stays the same; the replies are parsed by the redis
//! crate.

use redis::{Connection, ConnectionLike, ErrorKind, RedisError, Value, from_redis_value};

use crate::conversation::Conversation;
use crate::error::{BoxError, Result};
use crate::server::Server;
use crate::strategy::{Conversing, Strategy, boxed, one_command, own_connections, pack, refused_or_unknown};
use crate::update::{Update, Updater};
use crate::verdict::Promise;

/// Updates in one pipeline.
const DEPTH: usize = 16;

pub(super) struct Pipelined;

struct Pipeline {
    connection: Connection,
    /// The counter that `command` is for.
    key: String,
    command: Vec<u8>,
    packed: Vec<u8>,
}

impl Updater for Pipeline {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        crate::strategy::incr(&mut self.connection, key)
    }

    fn batch(&self) -> usize {
        DEPTH
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        self.packed.clear();
        for &key in keys {
            if self.key != key {
                key.clone_into(&mut self.key);
                self.command.clear();
                pack(&mut self.command, &[b"INCR", key.as_bytes()]);
            }
            self.packed.extend_from_slice(&self.command);
        }
        let replies = self.connection.req_packed_commands(&self.packed, 0, keys.len())?;
        for reply in replies {
            if let Value::Int(value) = reply {
                done.push(Update::told(value));
                continue;
            }
            let told = reply.extract_error().and_then(|value| from_redis_value(value).map_err(RedisError::from));
            done.push(told.map(Update::told).or_else(|error| refused_or_unknown(error, 1))?);
        }
        match done.len() == keys.len() {
            true => Ok(()),
            false => Err(RedisError::from((ErrorKind::Client, "fewer replies than commands")).into()),
        }
    }
}

impl Strategy for Pipelined {
    fn name(&self) -> &str {
        "pipelined-incr"
    }

    fn about(&self) -> &str {
        "16 INCR in one round trip on a connection per thread."
    }

    fn promise(&self) -> Promise {
        Promise::Exact
    }

    fn round_trips(&self) -> &str {
        "1/16"
    }

    fn parameters(&self) -> String {
        format!("depth={DEPTH}")
    }

    fn counted_by(&self) -> &[&str] {
        &["incr"]
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Pipeline {
            connection,
            key: String::new(),
            command: Vec::new(),
            packed: Vec::new(),
        })
    }
}

impl Conversing for Pipelined {
    fn conversations(&self, _server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        Ok(boxed(clients, || one_command::OneCommand::new(DEPTH, one_command::incr)))
    }
}
