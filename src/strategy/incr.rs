//! `INCR` on a connection per client: one round trip, executed by the server in one step, no race.
//!
//! One doubt remains: if the reply never arrives, the update may have been applied, and retrying may double it.

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{OneCommand, ask_incr, boxed, incr, own_connections};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr"],
    ..Info::exact("incr", "INCR on a connection per client: the server adds, in one step.")
};

pub(super) struct Incr;

struct Own(Session);

impl Updater for Own {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        incr(&mut self.0, key)
    }
}

impl Strategy for Incr {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, Own)
    }
}

impl ClientMachines for Incr {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, || OneCommand::new(1, ask_incr)))
    }
}
