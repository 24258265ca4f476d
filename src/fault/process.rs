//! This program as a worker process, so that a fault can kill a client: it speaks the protocol of every client library,
//! and updates with any of our strategies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::fault::REPLY_TIMEOUT;
use crate::fault::protection::strategy;
use crate::strategy::Strategy;
use crate::target::Target;
use crate::update::{Update, Updater};
use crate::worker::worker_loop::{self, Adapter, Failure, Told, serve};
use crate::worker::{Installed, Manifest, Settings};

/// What the worker calls itself, and is called on the command line.
pub const NAME: &str = "strategies";

/// The worker program, as a library of its own.
pub(super) fn library(report: PathBuf) -> Installed {
    let settings = Settings { about: String::new(), recipe: String::new(), predicts: BTreeMap::new() };
    let manifest = Manifest {
        name: NAME.to_owned(),
        language: "Rust".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        about: "this program, in a process of its own".to_owned(),
        needs: Vec::new(),
        fetches: String::new(),
        install: Vec::new(),
        command: vec!["{report}".to_owned(), "worker".to_owned(), NAME.to_owned()],
        env: BTreeMap::new(),
        strategies: Vec::new(),
        clients_per_process: None,
        cluster: false,
        settings: BTreeMap::from([("default".to_owned(), settings)]),
        folder: PathBuf::new(),
    };
    Installed::built_in(manifest, report)
}

/// Does one job over standard input and output.
pub fn work() {
    let mut opened: Option<(Target, Vec<Box<dyn Updater>>)> = None;
    let mut open = |job: &worker_loop::Job| {
        let mut open = || -> Result<worker_loop::Update> {
            let strategy = strategy(&job.strategy)?;
            if opened.is_none() {
                let server = Target::at(&job.url)?.answering_within(REPLY_TIMEOUT);
                // All at once, so that the clients of a process share what they share elsewhere.
                let updaters = strategy.open(&server, job.clients.len())?;
                opened = Some((server, updaters));
            }
            let updater = opened.as_mut().and_then(|(server, updaters)| Some((server.clone(), updaters.pop()?)));
            let (server, updater) = updater.ok_or_else(|| Error::broken("more clients than the job has"))?;
            Ok(client(strategy, server, updater))
        };
        open().map_err(|error| error.to_string())
    };
    serve(Adapter {
        library: NAME,
        version: env!("CARGO_PKG_VERSION"),
        open: &mut open,
        effective: &|_| vec![("timeout", format!("{} ms", REPLY_TIMEOUT.as_millis()))],
    });
}

/// One client: it reconnects after an error, as clients that are threads do.
fn client(strategy: &'static dyn Strategy, server: Target, updater: Box<dyn Updater>) -> worker_loop::Update {
    let mut updater = Some(updater);
    Box::new(move |keys| {
        let mut done = Vec::with_capacity(keys.len());
        let updating = match &mut updater {
            Some(updater) => updater,
            None => {
                let again = strategy.open(&server, 1).map_err(|error| Failure::Refused(error.to_string()))?.pop();
                updater.insert(again.ok_or_else(|| Failure::Refused("no client was opened".to_owned()))?)
            }
        };
        let updated = updating.update_batch(keys, &mut done);
        if let Err(error) = updated {
            updater = None;
            if done.is_empty() {
                return Err(Failure::Unknown(error.to_string()));
            }
        }
        told(done)
    })
}

/// The outcomes before the first refused update; reporting the rest as unknown is always correct.
fn told(done: Vec<Update>) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::with_capacity(done.len());
    for update in done {
        match update {
            Update::Applied { value, tries } => told.push((value, tries)),
            Update::Refused { reason, .. } if told.is_empty() => return Err(Failure::Refused(reason)),
            Update::Refused { .. } => break,
        }
    }
    Ok(told)
}
