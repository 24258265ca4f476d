//! What people protect a counter with: a way to update it, with settings of the server, or a client library as
//! configured.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fault::write_behind::{self, WriteBehind};
use crate::strategy::{self, Strategy};
use crate::worker::{Installed, Manifest, Unavailable};

/// A strategy and settings of the server, or `incr` by a client library.
#[derive(Debug, Clone)]
pub struct Protection {
    /// Its name: the strategy's, plus what is added to it; or the library's, plus its settings.
    pub name: Cow<'static, str>,
    /// What kind it is.
    pub family: &'static str,
    /// The strategy.
    pub strategy: &'static str,
    /// Settings of every server, by name and value.
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether it needs a replica.
    pub needs_replica: bool,
    /// What it is, in a sentence.
    pub about: Cow<'static, str>,
    /// The library that sends the commands, if it is not the redis crate of this program.
    pub library: Option<Arc<ClientLibrary>>,
}

/// A client library under one of its settings, or the reason why it is not available here.
#[derive(Debug)]
pub struct ClientLibrary {
    /// What it is.
    pub manifest: Manifest,
    /// The name of the settings.
    pub settings: String,
    /// Where it is installed.
    pub found: std::result::Result<Installed, Unavailable>,
}

/// The strategy that client libraries update with.
const INCR: &str = "incr";

impl ClientLibrary {
    /// Whether the lab can use a library with these settings, before it is installed.
    ///
    /// # Errors
    /// The library has no such settings, does not update by INCR, or only talks to a cluster.
    pub fn check(manifest: &Manifest, settings: &str) -> Result<()> {
        let Manifest { name, settings: known, strategies, cluster, .. } = manifest;
        if !known.contains_key(settings) {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(Error::usage(format!("library {name} has no settings '{settings}': it has {known}")));
        }
        if *cluster || !strategies.iter().any(|strategy| strategy == INCR) {
            return Err(Error::usage(format!("library {name}: the lab needs one that does {INCR} on a single server")));
        }
        Ok(())
    }

    /// The library, ready to be started.
    ///
    /// # Errors
    /// It is not available here.
    pub(super) fn installed(&self) -> Result<&Installed> {
        self.found.as_ref().map_err(|why| Error::broken(format!("library {}: {why}", self.manifest.name)))
    }
}

const fn plain(name: &'static str, family: &'static str, about: &'static str) -> Protection {
    Protection {
        name: Cow::Borrowed(name),
        family,
        strategy: name,
        settings: &[],
        needs_replica: false,
        about: Cow::Borrowed(about),
        library: None,
    }
}

const fn with(
    name: &'static str,
    strategy: &'static str,
    settings: &'static [(&'static str, &'static str)],
    about: &'static str,
) -> Protection {
    let mut protection = plain(name, "durability", about);
    protection.strategy = strategy;
    protection.settings = settings;
    protection
}

const fn on_a_replica(mut protection: Protection) -> Protection {
    protection.needs_replica = true;
    protection
}

/// The value of `save`: a snapshot once a second, if anything has changed.
const EVERY_SECOND: &str = "1 1";

/// The kind of protection that a client library is.
const LIBRARY: &str = "library";

/// Every protection, in the order of the table, without those that are client libraries.
pub static PROTECTIONS: &[Protection] = &[
    plain("incr", "none", "Unprotected: plain INCR."),
    plain("pipelined-incr", "none", "16 INCR in one write, 16 replies in one read."),
    plain("get-set", "none", "GET, add one, SET, with nothing in between."),
    plain("watch", "none", "WATCH, MULTI, SET, EXEC."),
    plain("lock", "none", "A lock by SET NX PX around GET and SET."),
    plain(
        write_behind::NAME,
        "none",
        "Updates counted in memory, acknowledged at once, and sent once a second: a mistake.",
    ),
    plain("incr-retry", "retry", "INCR, sent again when no reply comes."),
    plain("idempotent-lua", "retry", "INCR in a script that remembers each update by its id."),
    plain("fenced-lock", "fencing", "A lock whose number the write checks."),
    on_a_replica(plain("incr-wait", "durability", "INCR, then WAIT 1: acknowledged once a replica has it.")),
    on_a_replica(plain("incr-wait-ignored", "durability", "INCR, then WAIT 1 whose answer nobody reads: a mistake.")),
    on_a_replica(with(
        "incr+min-replicas",
        "incr",
        &[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "2")],
        "INCR on a server that refuses writes after 2 s without word from a replica.",
    )),
    with("incr+rdb", "incr", &[("save", EVERY_SECOND)], "INCR on a server that writes a snapshot every second."),
    with(
        "incr+aof-everysec",
        "incr",
        &[("appendonly", "yes"), ("appendfsync", "everysec")],
        "INCR on a server that logs every write and fsyncs every second.",
    ),
    with(
        "incr-waitaof",
        "incr-waitaof",
        &[("appendonly", "yes"), ("appendfsync", "everysec")],
        "INCR, then WAITAOF: acknowledged once the server has it on its disk.",
    ),
    with(
        "incr+aof-always",
        "incr",
        &[("appendonly", "yes"), ("appendfsync", "always")],
        "INCR on a server that logs every write to disk before it answers.",
    ),
];

/// The strategy of this name: one of the catalogue, or the lab's own.
pub(super) fn strategy(name: &str) -> Result<&'static dyn Strategy> {
    match name {
        write_behind::NAME => Ok(&WriteBehind),
        name => Ok(strategy::find(&[name])?[0]),
    }
}

impl Protection {
    /// A client library under these settings: `redis-py`, or `redis-py+safe`.
    ///
    /// # Errors
    /// As [`ClientLibrary::check`].
    pub fn of_library(library: ClientLibrary) -> Result<Self> {
        ClientLibrary::check(&library.manifest, &library.settings)?;
        let Manifest { name, version, settings, about, .. } = &library.manifest;
        let suffix = if library.settings == "default" { String::new() } else { format!("+{}", library.settings) };
        let set = settings.get(&library.settings).map_or("", |set| &set.about);
        let (name, about) =
            (format!("{name}{suffix}").into(), format!("{about} Version {version}, settings: {set}.").into());
        Ok(Self { name, about, strategy: INCR, library: Some(Arc::new(library)), ..plain("", LIBRARY, "") })
    }

    /// A strategy without additions, on a server with default settings; it may be one that this crate does not have.
    pub fn of_strategy(name: &str) -> Self {
        match Self::named(name) {
            Some(known) => known.clone(),
            None => Self { name: name.to_owned().into(), ..plain("", "none", "") },
        }
    }

    /// The strategy itself.
    ///
    /// # Errors
    /// No strategy has this name; a test checks that this cannot happen.
    pub fn strategy(&self) -> Result<&'static dyn Strategy> {
        strategy(self.strategy)
    }

    /// Its settings as a row has them: `appendonly=yes appendfsync=always`.
    pub fn settings(&self) -> String {
        let words: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.join(" ")
    }

    /// The protection of this name, if it is not a client library.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROTECTIONS.iter().find(|protection| protection.name == name)
    }

    /// The protections with these names; `all` stands for all of [`PROTECTIONS`].
    ///
    /// # Errors
    /// An unknown name: the message lists the known ones.
    pub fn find(names: &[impl AsRef<str>]) -> Result<Vec<Self>> {
        let mut found: Vec<Self> = Vec::new();
        for name in names {
            match (name.as_ref(), Self::named(name.as_ref())) {
                ("all", _) => found.extend(PROTECTIONS.iter().cloned()),
                (_, Some(protection)) => found.push(protection.clone()),
                (name, None) => return Err(Self::unknown(name)),
            }
        }
        Ok(found)
    }

    /// The error for a name that no protection has: it lists the known ones.
    pub(crate) fn unknown(name: &str) -> Error {
        let names: Vec<&str> = PROTECTIONS.iter().map(|protection| &*protection.name).collect();
        let names = names.join(", ");
        Error::usage(format!(
            "no protection '{name}': expected all, {names}, libraries, or the name of a client library"
        ))
    }

    /// Refuses a list that names one of them twice.
    ///
    /// # Errors
    /// A usage error that names it.
    pub fn check_unique(all: &[Self]) -> Result<()> {
        let mut names: Vec<&str> = all.iter().map(|protection| &*protection.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::usage(format!("protection '{}' is named twice", pair[0]))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protection_has_a_strategy_and_a_name_of_its_own() {
        for protection in PROTECTIONS {
            assert_eq!(protection.strategy().unwrap().info().name, protection.strategy);
            assert!(protection.name.starts_with(protection.strategy) && protection.about.ends_with('.'));
        }
        assert_eq!(Protection::find(&["all"]).unwrap().len(), PROTECTIONS.len());
        let twice = Protection::find(&["incr", "all"]).unwrap();
        assert!(Protection::check_unique(&twice).unwrap_err().to_string().contains("'incr' is named twice"));
        assert!(
            Protection::find(&["hope"]).unwrap_err().to_string().contains("no protection 'hope': expected all, incr")
        );
    }
}
