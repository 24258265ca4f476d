//! GET, add one in the client, SET: the classic lost update.
//!
//! Two clients that read the same value both write its successor, and one update is lost. A slow SET of an old value
//! undoes everything written since. Two round trips. With many threads, nearly everything is lost: see [`crate::law`].

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{GetThenSet, boxed, get_then_set, own_connections};
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::verdict::Role;

const INFO: Info = Info {
    round_trips: "2",
    role: Role::Race,
    counted_by: &["set"],
    commands: &["get", "set"],
    ..Info::lossy("get-set", "GET, add one in the client, SET, on a connection per client: the race itself.")
};

pub(super) struct GetSet;

struct Racy(Session);

impl Updater for Racy {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        get_then_set(&mut self.0, key)
    }
}

impl Strategy for GetSet {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, Racy)
    }
}

impl ClientMachines for GetSet {
    fn clients(&self, _server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Ok(boxed(clients, GetThenSet::default))
    }
}
