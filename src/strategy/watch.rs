//! WATCH, GET, MULTI, SET, EXEC: optimistic locking, the textbook's way to add in the client.
//!
//! EXEC does nothing and answers nil if anybody touched the key since WATCH: the losers start again. Nothing is lost,
//! but with many clients on one key nearly every try loses, and each has cost its round trips: three, or two with WATCH
//! and GET sent together. A wait with jitter before the next try is what keeps it moving at all (see the file on
//! backoff). The loop is written by hand: the redis crate's `transaction` retries without bound and hides how often.
//!
//! It only works on a connection of one's own, with WATCH before GET, and with EXEC's reply looked at: see
//! `watch-shared`, `watch-after-get` and `watch-ignore-nil`. Used where the new value takes the client's own code to
//! make: <https://redis.io/docs/latest/develop/using-commands/transactions/>.

use redis::{Connection, ConnectionLike, ErrorKind, RedisError, RedisResult, Value};

use crate::conversation::Conversation;
use crate::error::{BoxError, Result};
use crate::server::Server;
use crate::strategy::watch_conversation::WatchConversation;
use crate::strategy::{Conversing, Info, Strategy, ask, boxed, own_connections, pack, successor};
use crate::update::{Update, Updater};

use crate::strategy::backoff::Backoff;

/// Before the next try after an aborted EXEC.
pub(super) const BACKOFF: Backoff = Backoff { first_us: 200, most_us: 6_400 };

const WATCH_INFO: Info = Info {
    round_trips: "3+",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    ..Info::exact(
        "watch",
        "WATCH, GET, then MULTI, SET, EXEC on a connection per client; aborted ones wait and try again.",
    )
};

const PIPELINED_INFO: Info = Info {
    round_trips: "2+",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    ..Info::exact(
        "watch-pipelined",
        "The same with WATCH and GET sent together: one round trip less for others to come in between.",
    )
};

pub(super) struct Watch;
pub(super) struct Pipelined;

struct Watching {
    connection: Connection,
    packed: Vec<u8>,
}

struct WatchingTogether(Watching);

impl Watching {
    fn new(connection: Connection) -> Self {
        Self { connection, packed: Vec::new() }
    }
}

impl Updater for Watching {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            ask::<()>(&mut self.connection, &mut self.packed, &[b"WATCH", key.as_bytes()])?;
            let value = successor(ask(&mut self.connection, &mut self.packed, &[b"GET", key.as_bytes()])?)?;
            Ok(set_if_untouched(&mut self.connection, &mut self.packed, key, value)?.then_some(value))
        })
    }
}

impl Updater for WatchingTogether {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let Watching { connection, packed } = &mut self.0;
        BACKOFF.retry(|| {
            packed.clear();
            pack(packed, &[b"WATCH", key.as_bytes()]);
            pack(packed, &[b"GET", key.as_bytes()]);
            let replies = connection.req_packed_commands(packed, 0, 2)?;
            let mut value = None;
            for reply in replies {
                value = Some(reply.extract_error()?);
            }
            let value = successor(redis::from_redis_value(value.unwrap_or_default())?)?;
            Ok(set_if_untouched(connection, packed, key, value)?.then_some(value))
        })
    }
}

/// MULTI, SET, EXEC in one round trip; false if EXEC said that a watched key was touched.
pub(super) fn set_if_untouched(
    connection: &mut impl ConnectionLike,
    packed: &mut Vec<u8>,
    key: &str,
    value: i64,
) -> RedisResult<bool> {
    packed.clear();
    pack(packed, &[b"MULTI"]);
    pack(packed, &[b"SET", key.as_bytes(), value.to_string().as_bytes()]);
    pack(packed, &[b"EXEC"]);
    let mut replies = connection.req_packed_commands(packed, 0, 3)?;
    // EXEC's own reply says it all: an error before it makes it an error too.
    match replies.pop().unwrap_or_default().extract_error()? {
        Value::Nil => Ok(false),
        Value::Array(_) => Ok(true),
        _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "EXEC answered neither a list nor nil"))),
    }
}

impl Strategy for Watch {
    fn info(&self) -> &'static Info {
        &WATCH_INFO
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, Watching::new)
    }
}

impl Strategy for Pipelined {
    fn info(&self) -> &'static Info {
        &PIPELINED_INFO
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| WatchingTogether(Watching::new(connection)))
    }
}

impl Conversing for Watch {
    fn conversations(&self, _server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        Ok(boxed(clients, || WatchConversation::new(false)))
    }
}

impl Conversing for Pipelined {
    fn conversations(&self, _server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        Ok(boxed(clients, || WatchConversation::new(true)))
    }
}
