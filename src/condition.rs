//! What a figure was measured under: a [`Condition`]. Figures of different conditions are never pooled.
//!
//! All code that groups, pairs or orders rows uses this type. In a result file its fields are separate columns. A column
//! that an older folder lacks gets the value that all runs had then: the `redis` crate as the library, one server, no
//! fault.

mod label;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::workload::{DriverKind, Skew};

pub use label::labels;

/// How the clients reach the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP, loopback or not.
    #[default]
    Tcp,
    /// A unix domain socket.
    Unix,
    /// TCP to a port that a Docker engine forwards.
    DockerTcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::DockerTcp => "docker-tcp",
        })
    }
}

impl FromStr for Transport {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Tcp, Self::Unix, Self::DockerTcp];
        let known = all.into_iter().find(|transport| transport.to_string() == text);
        known.ok_or_else(|| Error::usage(format!("transport '{text}': expected tcp, unix or docker-tcp")))
    }
}

/// How the servers are arranged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One server.
    #[default]
    Single,
    /// A primary with replicas; nobody promotes one.
    Replicated,
    /// A primary with replicas, and Sentinels that promote one.
    Sentinel,
    /// Redis Cluster: shards, each a primary with or without replicas.
    Cluster,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Single => "single",
            Self::Replicated => "replicated",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        })
    }
}

/// All that a figure was measured under.
///
/// ```
/// use redis_lost_updates::condition::Condition;
/// let base = Condition { strategy: "incr".to_owned(), threads: 16, ..Condition::default() };
/// assert_eq!(base.library, "redis-rs");
/// assert_ne!(base, Condition { rtt_us: Some(500), ..base.clone() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// The strategy's name.
    pub strategy: String,
    /// The client library that sent the commands.
    #[serde(default = "redis_rs")]
    pub library: String,
    /// Its version; empty if it was not recorded.
    #[serde(default)]
    pub library_version: String,
    /// Its settings: `default`, or the name of another set.
    #[serde(default = "by_default")]
    pub settings: String,
    /// What ran the clients.
    #[serde(default)]
    pub driver: DriverKind,
    /// How they reached the server.
    #[serde(default)]
    pub transport: Transport,
    /// Clients racing at once.
    pub threads: usize,
    /// Connections of the pool that the clients share; empty if the strategy has none, or if each client has its own.
    #[serde(default)]
    pub pool_size: Option<usize>,
    /// Counters the updates were spread over.
    pub keys: usize,
    /// How they were spread.
    #[serde(default)]
    pub skew: Skew,
    /// Updates per second that the clients were to send, together; empty in a closed loop.
    #[serde(default)]
    pub offered_per_s: Option<u64>,
    /// The server's product and version: `valkey 9.1.2`; empty in older folders, whose facts have it.
    #[serde(default)]
    pub server: String,
    /// Settings of the server that affect the meaning of a figure and differ from the default: `appendonly=yes`.
    #[serde(default)]
    pub server_settings: String,
    /// How the servers are arranged.
    #[serde(default)]
    pub topology: Topology,
    /// Primaries that share the keys.
    #[serde(default = "one")]
    pub shards: u32,
    /// Replicas of each primary.
    #[serde(default)]
    pub replicas: u32,
    /// Whether the connections are encrypted.
    #[serde(default)]
    pub tls: bool,
    /// The round trip that a proxy emulated, in microseconds; empty if there was no proxy.
    #[serde(default)]
    pub rtt_us: Option<u64>,
    /// What was done to the system during the trial: a fault's name with its parameters, or `none`.
    #[serde(default = "none")]
    pub fault: String,
}

fn redis_rs() -> String {
    "redis-rs".to_owned()
}

fn by_default() -> String {
    "default".to_owned()
}

fn none() -> String {
    NO_FAULT.to_owned()
}

fn one() -> u32 {
    1
}

/// The fault of a trial in which nothing is broken.
pub const NO_FAULT: &str = "none";

/// The name of one line of a plan: its strategy, the library if it runs in worker processes, the library's settings
/// unless they are the default, and the fault if there is one.
pub fn entrant_name(strategy: &str, driver: DriverKind, library: &str, settings: &str, fault: &str) -> String {
    let under = if fault == NO_FAULT { String::new() } else { format!(" under {fault}") };
    match (driver, settings) {
        (DriverKind::External, "default") => format!("{strategy} {library}{under}"),
        (DriverKind::External, _) => format!("{strategy} {library} {settings}{under}"),
        _ => format!("{strategy}{under}"),
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            strategy: String::new(),
            library: redis_rs(),
            library_version: String::new(),
            settings: by_default(),
            driver: DriverKind::default(),
            transport: Transport::default(),
            threads: 1,
            pool_size: None,
            keys: 1,
            skew: Skew::default(),
            offered_per_s: None,
            server: String::new(),
            server_settings: String::new(),
            topology: Topology::default(),
            shards: one(),
            replicas: 0,
            tls: false,
            rtt_us: None,
            fault: none(),
        }
    }
}

impl Condition {
    /// A strategy under a load, with defaults otherwise: one server over TCP, a thread per client, a closed loop.
    pub fn of(strategy: &str, threads: usize, keys: usize) -> Self {
        Self { strategy: strategy.to_owned(), threads, keys, ..Self::default() }
    }

    /// Its name in a running plan, whatever its load: see [`entrant_name`].
    pub fn entrant(&self) -> String {
        entrant_name(&self.strategy, self.driver, &self.library, &self.settings, &self.fault)
    }

    /// Its clients in words: `16 threads`, `1 thread`, `10000 clients`.
    pub fn racers(&self) -> String {
        self.driver.racers(self.threads)
    }

    /// Every field by its column's name, with its value as a result file has it.
    pub fn columns(&self) -> Vec<(String, String)> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Plain fields into memory: nothing here can fail, and a condition without columns would equal any other.
        writer.serialize(self).expect("plain fields");
        let bytes = writer.into_inner().expect("memory");
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let names = reader.headers().cloned().unwrap_or_default();
        let values = reader.records().next().and_then(|row| row.ok()).unwrap_or_default();
        names.iter().zip(values.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The columns in which another condition differs: name, value here, value there.
    ///
    /// ```
    /// use redis_lost_updates::condition::Condition;
    /// let base = Condition::of("incr", 16, 1);
    /// let other = Condition { rtt_us: Some(500), ..base.clone() };
    /// assert_eq!(base.differences(&other), [("rtt_us".to_owned(), String::new(), "500".to_owned())]);
    /// ```
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let pairs = self.columns().into_iter().zip(other.columns());
        pairs.filter(|(one, two)| one.1 != two.1).map(|((name, here), (_, there))| (name, here, there)).collect()
    }

    /// Whether the conditions are equal apart from the versions of library and server, which two runs may compare on purpose.
    pub fn is_same_but_for_versions(&self, other: &Self) -> bool {
        self.without_versions() == other.without_versions()
    }

    /// The same without its round trip.
    #[must_use]
    pub fn without_round_trip(&self) -> Self {
        Self { rtt_us: None, ..self.clone() }
    }

    /// The same without the versions of library and server.
    #[must_use]
    pub fn without_versions(&self) -> Self {
        Self { library_version: String::new(), server: String::new(), ..self.clone() }
    }
}
