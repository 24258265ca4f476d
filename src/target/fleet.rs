//! Several private servers that belong together, or one with TLS: started, awaited and ended together.
//!
//! Each has its own keeper, so none outlives this process, however it ends. They share a password. They are ready when
//! an update has reached all replicas (checked with WAIT), every node of a cluster reports that all slots are served,
//! and every Sentinel knows the others. A replica that merely reports `online` may have no keys yet.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use redis::{ConnectionInfo, ConnectionLike, RedisResult};

use crate::condition::{Topology, Transport};
use crate::error::{Error, Result};
use crate::placement::CpuSet;
use crate::target::private::{Extra, Private};
use crate::target::session::slot_of;

/// Which private servers to start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// How they are arranged.
    pub topology: Topology,
    /// Whether clients connect over TLS.
    pub tls: bool,
    /// Primaries of a cluster; 3 by default.
    pub shards: Option<u32>,
    /// Replicas of each primary. By default 1 if the topology has replicas, and 0 for a cluster.
    pub replicas: Option<u32>,
}

impl Layout {
    /// The primaries it has.
    pub fn shards(&self) -> u32 {
        if self.topology == Topology::Cluster { self.shards.unwrap_or(3) } else { 1 }
    }

    /// The replicas of each.
    pub fn replicas(&self) -> u32 {
        match self.topology {
            Topology::Single => 0,
            Topology::Replicated | Topology::Sentinel => self.replicas.unwrap_or(1),
            Topology::Cluster => self.replicas.unwrap_or(0),
        }
    }

    /// Whether it is one plain server.
    pub(super) fn is_plain(&self) -> bool {
        self.topology == Topology::Single && !self.tls
    }

    /// Checks that such a fleet is possible.
    ///
    /// # Errors
    /// A usage error: shards or replicas that this topology does not have, or too many.
    pub fn validate(&self) -> Result<()> {
        let Self { topology, shards, replicas, .. } = self;
        if shards.is_some() && *topology != Topology::Cluster {
            return Err(Error::usage(format!("--shards is for --topology cluster, and not for {topology}")));
        }
        if replicas.is_some_and(|replicas| replicas > 0) && *topology == Topology::Single {
            return Err(Error::usage("--replicas needs --topology replicated, sentinel or cluster"));
        }
        if matches!(topology, Topology::Replicated | Topology::Sentinel) && self.replicas() == 0 {
            return Err(Error::usage(format!("--topology {topology} has at least one replica")));
        }
        let shards = self.shards();
        let servers = u64::from(shards) * (1 + u64::from(self.replicas()));
        if shards == 0 || shards == 2 || servers > MOST.into() {
            return Err(Error::usage(format!(
                "--shards {shards} --replicas {}: expected 1 or at least 3 shards, and at most {MOST} servers",
                self.replicas()
            )));
        }
        Ok(())
    }
}

/// The most servers of one fleet.
const MOST: u32 = 32;

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.topology, self.tls) {
            (Topology::Single, true) => f.pad("tls"),
            (topology, _) => write!(f, "{topology}"),
        }
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (topology, tls) = match text {
            "single" => (Topology::Single, false),
            "tls" => (Topology::Single, true),
            "replicated" => (Topology::Replicated, false),
            "sentinel" => (Topology::Sentinel, false),
            "cluster" => (Topology::Cluster, false),
            _ => {
                let expected = "expected single, tls, replicated, sentinel or cluster";
                return Err(Error::usage(format!("topology '{text}': {expected}")));
            }
        };
        Ok(Self { topology, tls, ..Self::default() })
    }
}

/// How long the fleet may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// What our Sentinels call the primary.
pub(crate) const NAME: &str = "lost-updates";

/// Sentinels of a fleet: the smallest number that tolerates the failure of one.
const SENTINELS: usize = 3;

/// Private servers that are ready.
#[derive(Debug)]
pub struct Fleet {
    /// The primaries, in the order of their slots.
    pub primaries: Vec<Private>,
    /// The replicas: those of the first primary, then those of the second, and so on.
    pub replicas: Vec<Private>,
    /// The Sentinels.
    pub sentinels: Vec<Private>,
}

impl Fleet {
    /// Starts servers of `binary` and waits until they are ready.
    ///
    /// # Errors
    /// One does not start, or they are not ready in time. The message says which, or why.
    pub fn start(binary: &Path, layout: Layout, cpus: Option<&CpuSet>) -> Result<Self> {
        Self::start_with(binary, layout, &[], cpus)
    }

    /// The same with settings on the command line of every server that has keys.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub fn start_with(binary: &Path, layout: Layout, settings: &[&str], cpus: Option<&CpuSet>) -> Result<Self> {
        layout.validate()?;
        let mut fleet = Self { primaries: Vec::new(), replicas: Vec::new(), sentinels: Vec::new() };
        match layout.topology {
            Topology::Cluster => fleet.start_cluster(binary, layout, settings, cpus)?,
            _ => fleet.start_primary(binary, layout, settings, cpus)?,
        }
        if layout.topology == Topology::Sentinel {
            fleet.start_sentinels(cpus)?;
        }
        Ok(fleet)
    }

    fn start_primary(&mut self, binary: &Path, layout: Layout, settings: &[&str], cpus: Option<&CpuSet>) -> Result<()> {
        let extra = if layout.tls { Extra::tls() } else { Extra::default() };
        self.primaries.push(Private::start_as(binary, &extra.with(settings), cpus)?);
        let primary = &self.primaries[0];
        let port = primary.port().to_string();
        for _ in 0..layout.replicas() {
            let replica = [settings, &["--replicaof", "127.0.0.1", &port]].concat();
            self.replicas.push(primary.beside(&replica, cpus)?);
        }
        await_replicas(primary, layout.replicas(), 0, 16_383)
    }

    fn start_sentinels(&mut self, cpus: Option<&CpuSet>) -> Result<()> {
        let primary = &self.primaries[0];
        let extra = Extra::sentinel(&format!(
            "sentinel monitor {NAME} 127.0.0.1 {} 2\nsentinel auth-pass {NAME} {}\n\
             sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n\
             sentinel sentinel-pass {}\n",
            primary.port(),
            primary.password(),
            primary.password(),
        ));
        for _ in 0..SENTINELS {
            self.sentinels.push(primary.beside_as(&extra, cpus)?);
        }
        for sentinel in &self.sentinels {
            await_until(sentinel, "its Sentinels do not see each other and the replicas", |db| {
                let fields: Vec<String> = redis::cmd("SENTINEL").arg("MASTER").arg(NAME).query(db)?;
                let value = |name: &str| fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
                let others = (SENTINELS - 1).to_string();
                Ok(value("num-other-sentinels") == Some(&others) && value("num-slaves") != Some("0"))
            })?;
        }
        Ok(())
    }

    fn start_cluster(&mut self, binary: &Path, layout: Layout, settings: &[&str], cpus: Option<&CpuSet>) -> Result<()> {
        let (shards, replicas) = (layout.shards(), layout.replicas());
        let extra = Extra::cluster().with(settings);
        self.primaries.push(Private::start_as(binary, &extra, cpus)?);
        for _ in 1..shards {
            self.primaries.push(self.primaries[0].beside_as(&extra, cpus)?);
        }
        for _ in 0..shards * replicas {
            self.replicas.push(self.primaries[0].beside_as(&extra, cpus)?);
        }
        let first = |shard: u32| first_slot(shard, shards);
        let last = |shard: u32| first_slot(shard + 1, shards) - 1;
        for (number, node) in self.primaries.iter().enumerate() {
            let slots: Vec<u16> = (first(number as u32)..=last(number as u32)).collect();
            // Distinct epochs; otherwise two nodes might both believe that they are the older one.
            told(node, redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1))?;
            told(node, redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots))?;
        }
        let all = || self.primaries.iter().chain(&self.replicas);
        for node in all().skip(1) {
            told(&self.primaries[0], redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(node.port()))?;
        }
        let count = all().count().to_string();
        let are_met = |db: &mut redis::Connection| Ok(info(db)?.contains(&format!("cluster_known_nodes:{count}\r\n")));
        all().try_for_each(|node| await_until(node, "its nodes do not find each other", are_met))?;
        for (number, node) in self.replicas.iter().enumerate() {
            let primary = &self.primaries[number / replicas as usize];
            let id: String = asked(primary, redis::cmd("CLUSTER").arg("MYID"))?;
            told(node, redis::cmd("CLUSTER").arg("REPLICATE").arg(id))?;
        }
        let is_whole = |db: &mut redis::Connection| Ok(info(db)?.contains("cluster_state:ok"));
        all().try_for_each(|node| await_until(node, "cluster_state does not become ok", is_whole))?;
        for (number, primary) in self.primaries.iter().enumerate() {
            await_replicas(primary, replicas, first(number as u32), last(number as u32))?;
        }
        // Every node must know every replica by now, because clients may ask any node.
        let wanted = 2 + 1 + replicas as usize;
        all().try_for_each(|node| {
            await_until(node, "its nodes do not know all replicas", |db| {
                let ranges: Vec<Vec<redis::Value>> = redis::cmd("CLUSTER").arg("SLOTS").query(db)?;
                Ok(ranges.len() == shards as usize && ranges.iter().all(|range| range.len() == wanted))
            })
        })
    }

    /// How to connect to each Sentinel.
    pub(super) fn sentinel_infos(&self) -> RedisResult<Vec<ConnectionInfo>> {
        self.sentinels.iter().map(|sentinel| sentinel.connection(Transport::Tcp)).collect()
    }
}

/// The first slot of a shard of our clusters, counted from 0: all have equal shares of the slots, in order.
pub(crate) fn first_slot(shard: u32, shards: u32) -> u16 {
    (16_384 * shard / shards) as u16
}

fn info(db: &mut redis::Connection) -> RedisResult<String> {
    redis::cmd("CLUSTER").arg("INFO").query(db)
}

fn asked<T: redis::FromRedisValue>(node: &Private, command: &redis::Cmd) -> Result<T> {
    node.ask_with(|db| command.query(db))
}

fn told(node: &Private, command: &redis::Cmd) -> Result<()> {
    asked(node, command)
}

fn await_until(
    node: &Private,
    otherwise: &str,
    mut is_so: impl FnMut(&mut redis::Connection) -> RedisResult<bool>,
) -> Result<()> {
    let since = Instant::now();
    let failed = |e: redis::RedisError| Error::server(format!("private server 127.0.0.1:{}: {e}", node.port()));
    let client = node.connection(Transport::Unix).and_then(redis::Client::open).map_err(failed)?;
    let mut db = client.get_connection_with_timeout(Duration::from_secs(3)).map_err(failed)?;
    db.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
    while since.elapsed() < PATIENCE {
        if is_so(&mut db).map_err(failed)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Error::server(format!("a private topology is not ready after {} s: {otherwise}", PATIENCE.as_secs())))
}

/// Waits until an update on `primary` reaches all its replicas. It writes a key in the primary's slots, and removes it
/// again.
fn await_replicas(primary: &Private, replicas: u32, first: u16, last: u16) -> Result<()> {
    if replicas == 0 {
        return Ok(());
    }
    let key = (0_u32..).map(|n| format!("lost-updates:ready:{n}")).find(|key| {
        let slot = slot_of(key.as_bytes());
        (first..=last).contains(&slot)
    });
    let key = key.unwrap_or_default();
    await_until(primary, "an update does not reach all replicas", |db| writes_reach(db, &key, replicas))
}

/// Whether a write at `key` reaches this many replicas; the key is removed again.
///
/// Redis says that a replica has a write from before it connected (offset 0) as soon as it is online, which may be a second
/// before it gets anything. So the removal counts, which is written while the replicas are online.
pub(crate) fn writes_reach(db: &mut dyn ConnectionLike, key: &str, replicas: u32) -> RedisResult<bool> {
    // WAIT covers only the writes of its own connection.
    let wait = |db: &mut dyn ConnectionLike| redis::cmd("WAIT").arg(replicas).arg(200).query::<u32>(db);
    redis::cmd("SET").arg(key).arg(1).exec(db)?;
    let are_online = wait(db)? >= replicas;
    redis::cmd("DEL").arg(key).exec(db)?;
    Ok(are_online && wait(db)? >= replicas)
}
