//! The private servers of one trial, and the proxies in front of them. They end with this value, however we end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::FromRedisValue;

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::fault::REPLY_TIMEOUT;
use crate::proxy::{Address, Framing, Options, Proxy};
use crate::target::{Private, Target};

/// How long servers may take to be ready, or to be stable again.
const PATIENCE: Duration = Duration::from_secs(15);

/// The pause between two checks of them.
const PAUSE: Duration = Duration::from_millis(5);

/// The role of a primary, as ROLE says it.
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

/// One server, or a primary and its replica.
pub(super) struct Servers {
    nodes: Vec<Private>,
    /// The nodes as clients reach them.
    seen: Vec<Target>,
    /// The proxy in front of the first node, for clients.
    front: Option<Proxy>,
    /// The proxy in front of the first node, for its replica.
    link: Option<Proxy>,
    /// Which node clients are sent to, as a service's name would.
    primary: AtomicUsize,
}

impl Servers {
    /// Starts them, and waits until a write reaches the replica: one that says it is online may have no key yet.
    pub(super) fn start(binary: &Path, needs: &Needs) -> Result<Self> {
        let settings: Vec<&str> = needs.settings.iter().map(String::as_str).collect();
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
        servers.settle(&AtomicBool::new(false))?;
        Ok(servers)
    }

    /// The server that clients connect to now.
    pub(super) fn current(&self) -> &Target {
        &self.seen[self.primary.load(Ordering::Relaxed)]
    }

    /// Sends clients that connect from now on to another node.
    pub(super) fn point_to(&self, node: usize) {
        self.primary.store(node, Ordering::Relaxed);
    }

    /// A node, by its number from 0: the first is the primary at the start.
    pub(super) fn node(&self, node: usize) -> &Private {
        &self.nodes[node]
    }

    /// Sends a command to a node, bypassing all proxies.
    pub(super) fn ask<T: FromRedisValue>(&self, node: usize, words: &[&str]) -> Result<T> {
        self.nodes[node].ask(words)
    }

    /// Makes one node a replica of another.
    pub(super) fn follow(&self, node: usize, primary: usize) -> Result<()> {
        let port = self.nodes[primary].port().to_string();
        self.ask(node, &["REPLICAOF", "127.0.0.1", &port])
    }

    /// Makes a replica the primary, and sends clients there.
    pub(super) fn promote(&self, node: usize) -> Result<()> {
        self.ask::<()>(node, &["REPLICAOF", "NO", "ONE"])?;
        self.point_to(node);
        Ok(())
    }

    /// The proxy in front of the clients.
    pub(super) fn front(&self) -> Result<&Proxy> {
        self.front.as_ref().ok_or_else(|| Error::broken("the clients of this fault have no proxy"))
    }

    /// The proxy between the primary and its replica.
    pub(super) fn link(&self) -> Result<&Proxy> {
        self.link.as_ref().ok_or_else(|| Error::broken("the replica of this fault has no proxy"))
    }

    /// The proxies that there are.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.front.iter().chain(&self.link)
    }

    /// Waits until the primary takes writes and they reach its replica, if it should have one.
    pub(super) fn settle(&self, stop: &AtomicBool) -> Result<Duration> {
        let since = Instant::now();
        loop {
            let why = match self.is_stable() {
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

    /// What a node says it is: [`PRIMARY`] or `slave`.
    pub(super) fn role(&self, node: usize) -> Result<String> {
        let role: Vec<redis::Value> = self.ask(node, &["ROLE"])?;
        Ok(role.into_iter().next().and_then(|word| redis::from_redis_value(word).ok()).unwrap_or_default())
    }

    fn is_stable(&self) -> Result<bool> {
        let primary = self.primary.load(Ordering::Relaxed);
        let role = self.role(primary)?;
        if role != PRIMARY {
            return Err(Error::server(format!("node {primary} is a {role}")));
        }
        if self.nodes.len() == 1 {
            return Ok(true);
        }
        // WAIT covers only the connection's own writes: both commands must go over the same one.
        let reached = self.nodes[primary].ask_with(|db| {
            redis::cmd("SET").arg(READY).arg(1).exec(db)?;
            redis::cmd("WAIT").arg(1).arg(200).query::<u32>(db)
        })?;
        self.ask::<()>(primary, &["DEL", READY])?;
        Ok(reached >= 1)
    }
}

/// The key that is written to see whether a replica gets it.
const READY: &str = "lost-updates:ready";

fn port_of(address: &Address) -> Result<u16> {
    match address {
        Address::Tcp(address) => Ok(address.port()),
        Address::Unix(path) => Err(Error::broken(format!("{}: a replica needs a port", path.display()))),
    }
}
