//! The client libraries of a command line: found by name or path, and installed on first use.

use std::path::PathBuf;

use crate::driver::external::External;
use crate::error::{Error, Result};
use crate::record::Machine;
use crate::strategy;
use crate::worker::{Installed, Manifest, Unavailable, install};

use super::output::say;
use super::signals::STOP;

/// A library, and whether it is available here.
pub(super) type Found = (Manifest, std::result::Result<Installed, Unavailable>);

/// The path of this program, which built-in libraries start as their workers.
///
/// # Errors
/// The system does not say.
pub(super) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| Error::broken(format!("cannot find this program's own path: {e}")))
}

/// The manifests of the libraries named; `all` stands for every one of ours.
///
/// # Errors
/// No library has that name, or one is named twice.
pub(super) fn manifests(names: &[String]) -> Result<Vec<Manifest>> {
    let mut found: Vec<Manifest> = Vec::new();
    let all = if names.iter().any(|name| name == "all") { Manifest::names()? } else { Vec::new() };
    for name in all.iter().chain(names.iter().filter(|name| *name != "all")) {
        let manifest = Manifest::find(name)?;
        if found.iter().any(|known| known.name == manifest.name) {
            return Err(Error::usage(format!("library '{}' is named twice", manifest.name)));
        }
        found.push(manifest);
    }
    Ok(found)
}

/// Installs the libraries that can be installed; reports what is fetched, and why one is not available.
///
/// # Errors
/// We were asked to stop.
pub(super) fn installed(manifests: Vec<Manifest>, offline: bool) -> Result<Vec<Found>> {
    let report = this_program()?;
    let mut found = Vec::new();
    for manifest in manifests {
        let outcome = install(manifest.clone(), &report, offline, &STOP, &mut |line| say(&format!("report: {line}")));
        if let Err(why) = &outcome {
            say(&format!("report: {}: SKIPPED: {why}", manifest.name));
        }
        found.push((manifest, outcome));
        if STOP.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
    }
    Ok(found)
}

/// The strategies of the default plan that at least one of these libraries has.
pub(super) fn default_strategies(manifests: &[Manifest]) -> Vec<String> {
    let has = |name: &str| manifests.iter().any(|manifest| manifest.strategies.iter().any(|known| known == name));
    strategy::DEFAULT.iter().filter(|name| has(name)).map(|&name| name.to_owned()).collect()
}

/// A driver for each library under each of the settings.
pub(super) fn drivers(found: Vec<Found>, settings: &[String]) -> Vec<External> {
    let default = ["default".to_owned()];
    let settings = if settings.is_empty() { &default } else { settings };
    let each = |(manifest, outcome): Found| {
        settings.iter().map(move |name| External::new(manifest.clone(), name, outcome.clone()))
    };
    found.into_iter().flat_map(each).collect()
}

/// Adds a fact for each library of the run.
pub(super) fn add_facts(machine: &mut Machine, drivers: &[External]) {
    for driver in drivers {
        let Manifest { name, language, version, about, .. } = driver.manifest();
        let fact = format!("library.{name}");
        if machine.get(&fact).is_none() {
            machine.add(&fact, format!("{language}, {version}: {about}"));
        }
    }
}
