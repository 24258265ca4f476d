//! GET, add one, SET over one async connection that all threads share: the race needs no second connection.
//!
//! A shared connection is not a lock: the server runs commands in the order in which they arrive, and those of other
//! callers arrive between a caller's GET and its SET. Single-process services fall for this ("there is only one client"),
//! above all async ones: <https://github.com/redis/ioredis/issues/435>, <https://github.com/tj/node-ratelimiter/issues/6>.
//! Two round trips, shared by all callers.

use redis::Cmd;
use redis::aio::MultiplexedConnection;

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Bridge, GetThenSet, ONE_SERVER, boxed, successor, told_or_refused, written};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["set"],
    commands: &["get", "set"],
    needs: &[ONE_SERVER],
    ..Info::lossy(
        "get-set-multiplexed",
        "GET, add one, SET over one shared async connection: one connection is not a lock.",
    )
};

pub(super) struct GetSetMultiplexed;

struct Sharing {
    connection: MultiplexedConnection,
    bridge: Bridge,
}

impl Updater for Sharing {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let Self { connection, bridge } = self;
        let told = bridge.ask(connection, &Cmd::get(key)).and_then(successor).and_then(|value| {
            written(bridge.ask(connection, &Cmd::set(key, value))?)?;
            Ok(value)
        });
        told_or_refused(told)
    }
}

impl Strategy for GetSetMultiplexed {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Bridge::crew(workers, |bridge| bridge.multiplexed(server), |connection, bridge| Sharing { connection, bridge })
    }
}

impl ClientMachines for GetSetMultiplexed {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, GetThenSet::default))
    }

    fn share_a_connection(&self) -> bool {
        true
    }
}
