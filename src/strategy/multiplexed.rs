//! `INCR` on one async connection that all threads share: implicit pipelining.
//!
//! Commands of many threads go out in one write and their replies come back in one read, so more threads mean fewer system
//! calls per update on both sides. One slow reply delays everything behind it, and one lost connection makes the outcome of
//! every command in progress unknown. `connection-manager-incr` is the redis crate's reconnecting variant: commands in
//! progress still fail, later ones use a new connection.
//!
//! `toolkit/bridge.rs` explains how our blocking threads use the connection. An async application avoids the two thread
//! switches per update that this costs: its clients are tasks (`--driver tasks`). So does our event loop, in which the
//! clients of `multiplexed-incr` share one socket.

use redis::Cmd;
use redis::aio::{ConnectionLike, ConnectionManagerConfig};

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Bridge, ONE_SERVER, OneCommand, ask_incr, boxed, told_or_refused};
use crate::strategy::{AfterLoss, ClientMachines, Info, Strategy};
use crate::target::RESPONSE_TIMEOUT;
use crate::target::Target;
use crate::update::{Update, Updater};

/// How often the manager tries to connect again before it lets a command fail.
const RECONNECTS: usize = 6;

const MULTIPLEXED_INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    needs: &[ONE_SERVER],
    ..Info::exact("multiplexed-incr", "INCR from every client over one shared async connection: implicit pipelining.")
};

const MANAGER_INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    after_loss: AfterLoss::Reconnects,
    needs: &[ONE_SERVER],
    ..Info::exact(
        "connection-manager-incr",
        "The same over the redis crate's ConnectionManager, which reconnects by itself.",
    )
};

pub(super) struct Multiplexed;
pub(super) struct Manager;

struct Shared<C> {
    connection: C,
    bridge: Bridge,
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

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Bridge::crew(workers, |bridge| bridge.multiplexed(server), |connection, bridge| Shared { connection, bridge })
    }
}

impl Strategy for Manager {
    fn info(&self) -> &'static Info {
        &MANAGER_INFO
    }

    fn parameters(&self) -> String {
        format!("reconnects={RECONNECTS},{}", timeout())
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let config = ConnectionManagerConfig::new().set_number_of_retries(RECONNECTS);
        Bridge::crew(
            workers,
            |bridge| bridge.manager(server, config),
            |connection, bridge| Shared { connection, bridge },
        )
    }
}

impl ClientMachines for Multiplexed {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, || OneCommand::new(1, ask_incr)))
    }

    fn machine_parameters(&self) -> String {
        format!("sockets=1,response-timeout={}s", RESPONSE_TIMEOUT.as_secs())
    }

    fn share_a_connection(&self) -> bool {
        true
    }
}
