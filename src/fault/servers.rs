//! The private servers of one trial, and the proxies in front of them. They end with this value, however we end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::{ConnectionLike, FromRedisValue};

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::fault::{LONGEST, REPLY_TIMEOUT};
use crate::proxy::{Address, Framing, Options, Proxy};
use crate::strategy::Strategy;
use crate::target::{Fleet, Layout, Lease, Private, Target, first_slot, slot_of, writes_reach};

/// How long servers may take to be ready, or to be stable again.
const PATIENCE: Duration = Duration::from_secs(15);

/// The pause between two checks of them.
const PAUSE: Duration = Duration::from_millis(5);

/// The role of a primary, as ROLE reports it.
pub(super) const PRIMARY: &str = "master";

/// What a trial needs.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    pub(super) topology: Topology,
    pub(super) proxies_clients: bool,
    pub(super) proxies_replica: bool,
    /// Settings of every server, as its command line has them.
    pub(super) settings: Vec<String>,
    /// The seed of the proxies.
    pub(super) seed: u64,
}

/// Where the servers of a trial come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// They are started from this server program, and end with the trial.
    Program(PathBuf),
    /// A server that is not ours: its clients' proxy may lose what passes, and nothing is done to the server.
    Given(Box<Target>),
}

/// One server, a primary and its replica, the same watched by Sentinels, or a cluster.
pub(super) struct Servers {
    /// The nodes, unless Sentinels or a cluster decide which of them is the primary: then they belong to the one target.
    nodes: Vec<Private>,
    /// The nodes as clients reach them, or the one target that finds its primary itself.
    seen: Vec<Target>,
    /// The proxy in front of the first node, for clients.
    front: Option<Proxy>,
    /// The proxy in front of the first node, for its replica.
    link: Option<Proxy>,
    /// Which node clients are sent to, as by a service name.
    primary: AtomicUsize,
}

impl Servers {
    /// Starts them, and waits until a write reaches the replica: one that reports it is online may have no key yet.
    pub(super) fn start(origin: &Origin, needs: &Needs) -> Result<Self> {
        let binary = match origin {
            Origin::Program(binary) => binary,
            Origin::Given(server) => return Self::in_front_of(server, needs),
        };
        let settings: Vec<&str> = needs.settings.iter().map(String::as_str).collect();
        if matches!(needs.topology, Topology::Sentinel | Topology::Cluster) {
            return Self::start_fleet(binary, needs.topology, &settings);
        }
        let first = Private::start(binary, &settings, None)?;
        let port = Address::tcp("127.0.0.1", first.port())?;
        let link = needs.proxies_replica.then(|| {
            let options = Options { framing: Framing::Opaque, seed: needs.seed, ..Options::default() };
            Proxy::start(&port, options)
        });
        let link = link.transpose()?;
        let front =
            needs.proxies_clients.then(|| Proxy::start(&port, Options { seed: needs.seed, ..Options::default() }));
        let front = front.transpose()?;
        let mut nodes = vec![first];
        if needs.topology == Topology::Replicated {
            let from = link.as_ref().map_or(Ok(nodes[0].port()), |link| port_of(link.address()))?.to_string();
            let replica = [settings.as_slice(), &["--replicaof", "127.0.0.1", &from]].concat();
            nodes.push(nodes[0].beside(&replica, None)?);
        }
        let seen = nodes.iter().enumerate().map(|(number, node)| {
            let front = front.as_ref().filter(|_| number == 0).map(Proxy::address);
            Ok(Target::node(node, front)?.answering_within(REPLY_TIMEOUT))
        });
        let seen = seen.collect::<Result<_>>()?;
        let servers = Self { nodes, seen, front, link, primary: AtomicUsize::new(0) };
        servers.settle(OURS, &AtomicBool::new(false))?;
        Ok(servers)
    }

    /// Servers that choose their primaries themselves, each with one replica. A fleet is ready once it has started.
    fn start_fleet(binary: &Path, topology: Topology, settings: &[&str]) -> Result<Self> {
        let layout = layout(topology);
        let fleet = Fleet::start_with(binary, layout, settings, None)?;
        let seen = vec![Target::fleet(fleet, layout)?.answering_within(REPLY_TIMEOUT)];
        Ok(Self { nodes: Vec::new(), seen, front: None, link: None, primary: AtomicUsize::new(0) })
    }

    /// A proxy in front of a server that is not ours.
    fn in_front_of(server: &Target, needs: &Needs) -> Result<Self> {
        let front = Proxy::start(&server.proxied()?, Options { seed: needs.seed, ..Options::default() })?;
        let seen = vec![server.through(front.address())?.answering_within(REPLY_TIMEOUT)];
        Lease::of(&seen[0]).renew(&mut seen[0].connect()?, LONGEST);
        Ok(Self { nodes: Vec::new(), seen, front: Some(front), link: None, primary: AtomicUsize::new(0) })
    }

    /// Removes what a trial made on a server that is not ours.
    pub(super) fn leave(&self, strategy: &dyn Strategy, key: &str) -> Result<()> {
        if !self.nodes.is_empty() || self.fleet().is_some() {
            return Ok(());
        }
        let (server, mut names) = (self.current(), strategy.side_keys(key));
        names.push(key.to_owned());
        let mut db = server.connect()?;
        server.remove(&mut db, &names)?;
        Lease::of(server).end(&mut db);
        Ok(())
    }

    fn fleet(&self) -> Option<&Fleet> {
        self.seen[0].own_fleet()
    }

    /// Whether a primary that dies is replaced without our action.
    pub(super) fn promote_themselves(&self) -> bool {
        self.fleet().is_some()
    }

    /// The node that has `key` at the start, and its replica, by their numbers.
    pub(super) fn pair_of(&self, key: &str) -> (usize, usize) {
        let (slot, shards) = (slot_of(key.as_bytes()), self.seen[0].shards());
        let shard = (0..shards).rev().find(|&shard| first_slot(shard, shards) <= slot).unwrap_or(0);
        (shard as usize, (shards + shard) as usize)
    }

    /// Sends a command to a Sentinel.
    pub(super) fn ask_sentinel<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let sentinel = self.fleet().and_then(|fleet| fleet.sentinels.first());
        sentinel.ok_or_else(|| Error::broken("these servers have no Sentinel"))?.ask(words)
    }

    /// The server that clients connect to now.
    pub(super) fn current(&self) -> &Target {
        &self.seen[self.primary.load(Ordering::Relaxed)]
    }

    /// Sends clients that connect from now on to another node.
    pub(super) fn point_to(&self, node: usize) -> Result<()> {
        self.primary.store(node, Ordering::Relaxed);
        match &self.front {
            Some(front) => front.redirect(&Address::tcp("127.0.0.1", self.node(node).port())?),
            None => Ok(()),
        }
    }

    /// A node, by its number from 0: the first is the primary at the start.
    pub(super) fn node(&self, node: usize) -> &Private {
        match self.fleet() {
            Some(fleet) if node < fleet.primaries.len() => &fleet.primaries[node],
            Some(fleet) => &fleet.replicas[node - fleet.primaries.len()],
            None => &self.nodes[node],
        }
    }

    /// Sends a command to a node, bypassing all proxies.
    pub(super) fn ask<T: FromRedisValue>(&self, node: usize, words: &[&str]) -> Result<T> {
        self.node(node).ask(words)
    }

    /// Moves keys from one node to another.
    pub(super) fn migrate(&self, from: usize, to: usize, keys: &[String]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let (from, to) = (self.node(from), self.node(to));
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(5_000).arg("AUTH").arg(to.password());
        migrate.arg("KEYS").arg(keys);
        from.ask_with(|db| migrate.exec(db))
    }

    /// Makes one node a replica of another.
    pub(super) fn follow(&self, node: usize, primary: usize) -> Result<()> {
        let port = self.node(primary).port().to_string();
        self.ask(node, &["REPLICAOF", "127.0.0.1", &port])
    }

    /// Makes a replica the primary, and sends clients there.
    pub(super) fn promote(&self, node: usize) -> Result<()> {
        self.ask::<()>(node, &["REPLICAOF", "NO", "ONE"])?;
        self.point_to(node)
    }

    /// The proxy in front of the clients.
    pub(super) fn front(&self) -> Result<&Proxy> {
        self.front.as_ref().ok_or_else(|| Error::broken("the clients of this fault have no proxy"))
    }

    /// The proxy between the primary and its replica.
    pub(super) fn link(&self) -> Result<&Proxy> {
        self.link.as_ref().ok_or_else(|| Error::broken("the replica of this fault has no proxy"))
    }

    /// Waits until the primary of `key` takes writes and they reach its replica, if it should have one.
    pub(super) fn settle(&self, key: &str, stop: &AtomicBool) -> Result<Duration> {
        let since = Instant::now();
        loop {
            let why = match self.is_stable(key) {
                Ok(true) => return Ok(since.elapsed()),
                Ok(false) => "a write does not reach the replica".to_owned(),
                Err(error) => error.to_string(),
            };
            if since.elapsed() >= PATIENCE {
                return Err(Error::server(format!("the servers are not stable after {} s: {why}", PATIENCE.as_secs())));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The role that a node reports: [`PRIMARY`] or `slave`.
    pub(super) fn role(&self, node: usize) -> Result<String> {
        let role: Vec<redis::Value> = self.ask(node, &["ROLE"])?;
        Ok(role.into_iter().next().and_then(|word| redis::from_redis_value(word).ok()).unwrap_or_default())
    }

    fn is_stable(&self, key: &str) -> Result<bool> {
        // In the slot of the counter.
        let ready = format!("{key}{READY}");
        let reaches = |db: &mut dyn ConnectionLike| writes_reach(db, &ready, 1);
        if let Some(fleet) = self.fleet() {
            let server = self.current();
            let is_whole = !fleet.primaries.iter().any(Private::is_down);
            // A primary that is down stays down, and the one that took its place has no replica.
            return Ok(reaches(&mut server.connect()?).map_err(|e| server.refuses(&e))? || !is_whole);
        }
        if self.nodes.is_empty() {
            return Ok(redis::cmd("PING").exec(&mut self.current().connect()?).is_ok());
        }
        let primary = self.primary.load(Ordering::Relaxed);
        let role = self.role(primary)?;
        if role != PRIMARY {
            return Err(Error::server(format!("node {primary} is a {role}")));
        }
        Ok(self.nodes.len() == 1 || self.node(primary).ask_with(|db| reaches(db))?)
    }
}

/// The servers of a trial: each primary has one replica, unless there is a single server.
pub(super) fn layout(topology: Topology) -> Layout {
    Layout { topology, replicas: Some(1), ..Layout::default() }
}

/// The beginning of all our keys.
const OURS: &str = "lost-updates:";

/// The end of the key that is written to see whether a replica gets it.
const READY: &str = ":ready";

fn port_of(address: &Address) -> Result<u16> {
    match address {
        Address::Tcp(address) => Ok(address.port()),
        Address::Unix(path) => Err(Error::broken(format!("{}: a replica needs a port", path.display()))),
    }
}
