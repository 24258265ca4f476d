//! WATCH on one connection that all threads share: the first EXEC ends everybody's watch.
//!
//! WATCH belongs to the connection, not to the caller. Two callers watch and read. The first EXEC succeeds and clears all
//! watched keys of the connection, so the second succeeds too and overwrites it. Every client library that multiplexes
//! (ioredis, node-redis, StackExchange.Redis, lettuce, redis-rs) invites this mistake; each transaction needs its own
//! connection, or a script. Three round trips, shared by all callers. <https://github.com/redis/ioredis/issues/266>,
//! <https://github.com/share/sharedb/issues/266>, <https://github.com/redis-rs/redis-rs/issues/1185>.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult};

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Bridge, ONE_SERVER, WATCH_BACKOFF as BACKOFF, WatchMachine, boxed, is_done, successor};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "3+",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    needs: &[ONE_SERVER],
    ..Info::lossy(
        "watch-shared",
        "WATCH, GET, MULTI, SET, EXEC on one connection for all clients: the first EXEC ends everybody's watch.",
    )
};

pub(super) struct WatchShared;

struct Sharing {
    connection: MultiplexedConnection,
    bridge: Bridge,
}

impl Sharing {
    fn attempt(&mut self, key: &str) -> RedisResult<Option<i64>> {
        let Self { connection, bridge } = self;
        bridge.ask::<()>(connection, Cmd::new().arg("WATCH").arg(key))?;
        let value = successor(bridge.ask(connection, &Cmd::get(key))?)?;
        // Sent as one, so that only the watch is shared and not the MULTI. By hand, because the crate's own transaction
        // does not distinguish an aborted EXEC from an invalid reply.
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI").cmd("SET").arg(key).arg(value).cmd("EXEC");
        let mut replies = bridge.wait(connection.send_packed_commands(&transaction, 0, 3))??;
        Ok(is_done(replies.pop().unwrap_or_default())?.then_some(value))
    }
}

impl Updater for Sharing {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| self.attempt(key))
    }
}

impl Strategy for WatchShared {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Bridge::crew(workers, |bridge| bridge.multiplexed(server), |connection, bridge| Sharing { connection, bridge })
    }
}

impl ClientMachines for WatchShared {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, || WatchMachine::new(false)))
    }

    fn share_a_connection(&self) -> bool {
        true
    }
}
