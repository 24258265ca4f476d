//! WATCH, GET, MULTI, SET, EXEC: optimistic locking, the textbook way to add in the client.
//!
//! EXEC does nothing and answers nil if the key was touched since WATCH; the loser starts again. Nothing is lost, but
//! with many clients on one key nearly every try fails, and each costs its round trips: three, or two if WATCH and GET
//! are sent together. Without a jittered wait before the next try it would hardly make progress (see
//! `toolkit/backoff.rs`). The loop is written by hand, because the redis crate's `transaction` retries without limit
//! and hides how often it did.
//!
//! It works only with a connection per client, with WATCH before GET, and if EXEC's reply is checked: see
//! `watch-shared`, `watch-after-get` and `watch-ignore-nil`. Used if only the client can compute the new value:
//! <https://redis.io/docs/latest/develop/using-commands/transactions/>.

use redis::{ConnectionLike, RedisResult, Value};

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{
    WATCH_BACKOFF as BACKOFF, WatchMachine, ask, boxed, own_connections, set_if_untouched, successor,
};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

const WATCH_INFO: Info = Info {
    round_trips: "3+",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    ..Info::exact(
        "watch",
        "WATCH, GET, then MULTI, SET, EXEC on a connection per client; retried after a wait if aborted.",
    )
};

const PIPELINED_INFO: Info = Info {
    round_trips: "2+",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    ..Info::exact(
        "watch-pipelined",
        "The same with WATCH and GET sent together: one round trip less in which others can interfere.",
    )
};

/// The two strategies, which differ in whether WATCH and GET are sent together.
pub(super) struct Watch {
    info: &'static Info,
    together: bool,
}

/// WATCH, then GET.
pub(super) const WATCH: Watch = Watch { info: &WATCH_INFO, together: false };
/// WATCH and GET sent together.
pub(super) const PIPELINED: Watch = Watch { info: &PIPELINED_INFO, together: true };

struct Watching {
    connection: Session,
    packed: Vec<u8>,
    together: bool,
}

impl Watching {
    /// Watches the counter and reads its successor.
    fn read(&mut self, key: &str) -> RedisResult<i64> {
        let Self { connection, packed, together } = self;
        if !*together {
            ask::<()>(connection, packed, &[b"WATCH", key.as_bytes()])?;
            return successor(ask(connection, packed, &[b"GET", key.as_bytes()])?);
        }
        packed.clear();
        pack(packed, &[b"WATCH", key.as_bytes()]);
        pack(packed, &[b"GET", key.as_bytes()]);
        let mut value = Value::Nil;
        for reply in connection.req_packed_commands(packed, 0, 2)? {
            value = reply.extract_error()?;
        }
        successor(redis::from_redis_value(value)?)
    }
}

impl Updater for Watching {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            let value = self.read(key)?;
            Ok(set_if_untouched(&mut self.connection, &mut self.packed, key, value)?.then_some(value))
        })
    }
}

impl Strategy for Watch {
    fn info(&self) -> &'static Info {
        self.info
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let together = self.together;
        own_connections(server, workers, |connection| Watching { connection, packed: Vec::new(), together })
    }
}

impl ClientMachines for Watch {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, || WatchMachine::new(self.together)))
    }
}
