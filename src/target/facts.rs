//! The server and its settings, recorded before anything is timed.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::record::WarningKind;
use crate::target::preflight::unnamed;
use crate::target::{Session, Target};

/// The server's own account of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// `redis` or `valkey`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The Redis version it claims to be compatible with (Valkey: 7.2.4).
    pub redis_version: String,
    /// Settings and state that affect the figures, under the names that INFO and CONFIG use.
    pub settings: BTreeMap<String, String>,
    /// What the page must warn about: possible eviction, a replica, costly persistence.
    pub warnings: Vec<(WarningKind, String)>,
}

/// INFO lines kept as they are.
const KEPT: [&str; 12] = [
    "redis_mode",
    "os",
    "arch_bits",
    "multiplexing_api",
    "tcp_port",
    "io_threads_active",
    "maxmemory",
    "maxmemory_policy",
    "aof_enabled",
    "role",
    "connected_clients",
    "connected_slaves",
];

/// CONFIG settings kept, where the server lets us read them.
const CONFIG: [&str; 4] = ["io-threads", "save", "appendonly", "appendfsync"];

impl Target {
    /// Reads which server it is, and its settings.
    ///
    /// # Errors
    /// It does not answer INFO: a server that cannot be identified is not measured.
    pub fn facts(&self) -> Result<ServerFacts> {
        let mut db = self.connect()?;
        let text: String = redis::cmd("INFO").query(&mut db).map_err(|e| unnamed(self, &e))?;
        let mut info: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let redis_version = info.remove("redis_version").unwrap_or("unknown").to_owned();
        let mut facts = ServerFacts {
            name: info.get("server_name").map_or("redis", |name| *name).to_owned(),
            version: info.get("valkey_version").map_or(redis_version.as_str(), |version| *version).to_owned(),
            redis_version: redis_version.clone(),
            settings: KEPT.iter().filter_map(|&k| Some((k.to_owned(), (*info.get(k)?).to_owned()))).collect(),
            warnings: Vec::new(),
        };
        for name in CONFIG {
            if let Some(value) = config(&mut db, name) {
                facts.settings.insert(name.to_owned(), value);
            }
        }
        facts.warnings = warnings(&facts.settings);
        Ok(facts)
    }
}

/// The product and its version in `INFO server`: `valkey 9.1.2`.
pub(super) fn product(info: &str) -> String {
    let value = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let name = value("server_name").unwrap_or("redis");
    value("valkey_version").or_else(|| value("redis_version")).map_or_else(String::new, |v| format!("{name} {v}"))
}

/// A setting, or nothing if CONFIG is not allowed (managed servers often forbid it).
fn config(db: &mut Session, name: &str) -> Option<String> {
    let pair: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query(db).ok()?;
    pair.into_iter().nth(1)
}

fn warnings(settings: &BTreeMap<String, String>) -> Vec<(WarningKind, String)> {
    let get = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut warnings = Vec::new();
    let policy = get("maxmemory_policy");
    if !["", "0"].contains(&get("maxmemory")) && !["", "noeviction"].contains(&policy) {
        let said = format!("the server may evict keys (maxmemory-policy {policy}): a counter can vanish");
        warnings.push((WarningKind::Eviction, said));
    }
    if get("role") == "slave" {
        let said = "the server is a replica: it refuses writes or loses them at the next synchronisation";
        warnings.push((WarningKind::Replica, said.to_owned()));
    }
    if get("appendfsync") == "always" && get("appendonly") == "yes" {
        let said = "the server syncs its log to disk on every write: figures are the disk's";
        warnings.push((WarningKind::DiskSync, said.to_owned()));
    }
    warnings
}
