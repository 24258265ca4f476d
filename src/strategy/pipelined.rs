//! 16 `INCR` in one write, 16 replies in one read: the cost of a round trip shared by a batch.
//!
//! There is still one command per update, so each update gets its own value, in order. An error reply refuses only the
//! update that it answers. After a lost connection, unanswered updates are unknown, and the connection is not used
//! again, because a late reply would be taken for that of another update. An update waits for its batch to fill and to
//! return: its latency is measured from the hand-over of the batch to the acknowledgement. Bulk loaders and counters
//! behind a queue work in this way.
//!
//! A command is encoded once and copied for as long as the counter stays the same; the redis crate parses the replies.
//! Between the write and the read a thread yields: if several share a CPU, the others send in the meantime, and a
//! thread that then finds its replies there does not sleep. Waking a sleeping thread costs the server time, and at this
//! depth the server is the limit (METHODOLOGY.md has the figures).

use redis::{RedisError, Value, from_redis_value};

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{OneCommand, ask_incr, boxed, own_connections, refused_or_unknown};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// Updates in one pipeline.
const DEPTH: usize = 16;

const INFO: Info = Info {
    round_trips: "1/16",
    batch: DEPTH,
    counted_by: &["incr"],
    commands: &["incr"],
    ..Info::exact("pipelined-incr", "16 INCR in one round trip on a connection per client.")
};

pub(super) struct Pipelined;

struct Pipeline {
    connection: Session,
    /// The counter that `command` is for.
    key: String,
    command: Vec<u8>,
    packed: Vec<u8>,
    /// Why the connection is no longer used; `None` while it is.
    lost: Option<String>,
}

impl Pipeline {
    fn new(connection: Session) -> Self {
        Self { connection, key: String::new(), command: Vec::new(), packed: Vec::new(), lost: None }
    }

    fn pack(&mut self, keys: &[&str]) {
        self.packed.clear();
        for &key in keys {
            if self.key != key {
                key.clone_into(&mut self.key);
                self.command.clear();
                pack(&mut self.command, &[b"INCR", key.as_bytes()]);
            }
            self.packed.extend_from_slice(&self.command);
        }
    }

    /// Sends the packed commands and reads their `commands` replies.
    fn exchange(&mut self, commands: usize, done: &mut Vec<Update>) -> Result<(), BoxError> {
        self.connection.send(&self.packed, commands)?;
        std::thread::yield_now();
        for _ in 0..commands {
            done.push(match self.connection.receive()? {
                Value::Int(value) => Update::told(value),
                reply => {
                    let told =
                        reply.extract_error().and_then(|value| from_redis_value(value).map_err(RedisError::from));
                    told.map(Update::told).or_else(|error| refused_or_unknown(error, 1))?
                }
            });
        }
        Ok(())
    }
}

impl Updater for Pipeline {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let mut done = Vec::with_capacity(1);
        self.update_batch(&[key], &mut done)?;
        done.pop().ok_or_else(|| "no reply".into())
    }

    fn batch(&self) -> usize {
        DEPTH
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        if let Some(why) = &self.lost {
            return Err(why.as_str().into());
        }
        self.pack(keys);
        self.exchange(keys.len(), done).inspect_err(|error| self.lost = Some(error.to_string()))
    }
}

impl Strategy for Pipelined {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("depth={DEPTH}")
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, Pipeline::new)
    }
}

impl ClientMachines for Pipelined {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, || OneCommand::new(DEPTH, ask_incr)))
    }
}
