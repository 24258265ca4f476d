//! Scripts on the server: loaded once, called by their hash.

use std::sync::Arc;

use crate::client_machine::ClientMachine;
use crate::error::{BoxError, Result};
use crate::resp::Requests;
use crate::strategy::toolkit::{OneCommand, ask, boxed, own_connections, told_or_refused};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// Loads a script and returns the hash it is called by.
pub(crate) fn load(server: &Target, code: &str) -> Result<String> {
    let hash = redis::Script::new(code).load(&mut server.connect()?);
    hash.map_err(|e| server.refuses(&e))
}

/// Calls a loaded script that adds one to KEYS[1] and returns the new value.
pub(crate) struct Scripted {
    connection: Session,
    packed: Vec<u8>,
    hash: String,
}

impl Scripted {
    /// Clients with a connection each.
    pub(crate) fn crew(server: &Target, workers: usize, code: &str) -> Result<Vec<Box<dyn Updater>>> {
        let hash = load(server, code)?;
        own_connections(server, workers, |connection| Self { connection, packed: Vec::new(), hash: hash.clone() })
    }

    /// The same as state machines.
    pub(crate) fn machines(server: &Target, clients: usize, code: &str) -> Result<Vec<Box<dyn ClientMachine>>> {
        let hash: Arc<str> = load(server, code)?.into();
        Ok(boxed(clients, || {
            let hash = hash.clone();
            OneCommand::new(1, move |key: &str, requests: &mut Requests| {
                requests.ask(&[b"EVALSHA", hash.as_bytes(), b"1", key.as_bytes()]);
            })
        }))
    }
}

impl Updater for Scripted {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let call: [&[u8]; 4] = [b"EVALSHA", self.hash.as_bytes(), b"1", key.as_bytes()];
        told_or_refused(ask(&mut self.connection, &mut self.packed, &call))
    }
}
