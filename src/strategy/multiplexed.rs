//! `INCR` on one async connection that all threads share: implicit pipelining.
//!
//! Commands of all threads travel in one write and their replies come in one read, so the more threads, the fewer
//! system calls an update costs, on both sides. One slow reply delays everybody behind it, and one lost connection makes
//! the outcome of every command under way unknown. `connection-manager-incr` is the redis crate's reconnecting variant:
//! commands under way still fail, later ones find a new connection.
//!
//! How our threads, which block, reach it is told in the file on the bridge. An application that is async itself spares
//! the two thread switches an update costs here: its clients are tasks (`--driver tasks`). So does our event loop, whose
//! clients of `multiplexed-incr` share one socket of its own.

use redis::Cmd;
use redis::aio::{ConnectionLike, ConnectionManagerConfig};

use crate::conversation::Conversation;
use crate::error::{BoxError, Result};
use crate::server::RESPONSE_TIMEOUT;
use crate::server::Server;
use crate::strategy::bridge::Bridge;
use crate::strategy::{Conversing, Info, Strategy, boxed, one_command, told_or_refused};
use crate::update::{Update, Updater};

/// How often the manager tries to connect again before it lets a command fail.
const RECONNECTS: usize = 6;

const MULTIPLEXED_INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    ..Info::exact("multiplexed-incr", "INCR from every client over one shared async connection: implicit pipelining.")
};

const MANAGER_INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    ..Info::exact(
        "connection-manager-incr",
        "The same over the redis crate's ConnectionManager, which connects again by itself.",
    )
};

pub(super) struct Multiplexed;
pub(super) struct Manager;

struct Shared<C> {
    connection: C,
    bridge: Bridge,
}

impl<C: ConnectionLike + Clone + Send + 'static> Shared<C> {
    fn crew(connection: C, bridge: &Bridge, workers: usize) -> Vec<Box<dyn Updater>> {
        (0..workers)
            .map(|_| Box::new(Self { connection: connection.clone(), bridge: bridge.clone() }) as Box<dyn Updater>)
            .collect()
    }
}

impl<C: ConnectionLike + Send> Updater for Shared<C> {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        told_or_refused(self.bridge.ask(&mut self.connection, Cmd::new().arg("INCR").arg(key)))
    }
}

fn timeout() -> String {
    format!("runtime=current-thread,response-timeout={}s", RESPONSE_TIMEOUT.as_secs())
}

impl Strategy for Multiplexed {
    fn info(&self) -> &'static Info {
        &MULTIPLEXED_INFO
    }

    fn parameters(&self) -> String {
        timeout()
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let bridge = Bridge::start()?;
        Ok(Shared::crew(bridge.multiplexed(server)?, &bridge, workers))
    }
}

impl Strategy for Manager {
    fn info(&self) -> &'static Info {
        &MANAGER_INFO
    }

    fn parameters(&self) -> String {
        format!("reconnects={RECONNECTS},{}", timeout())
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let bridge = Bridge::start()?;
        let config = ConnectionManagerConfig::new().set_number_of_retries(RECONNECTS);
        Ok(Shared::crew(bridge.manager(server, config)?, &bridge, workers))
    }
}

impl Conversing for Multiplexed {
    fn conversations(&self, _server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        Ok(boxed(clients, || one_command::OneCommand::new(1, one_command::incr)))
    }

    fn conversing_parameters(&self) -> String {
        format!("sockets=1,response-timeout={}s", RESPONSE_TIMEOUT.as_secs())
    }

    fn share_a_connection(&self) -> bool {
        true
    }
}
