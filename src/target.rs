//! What is measured, one server or several: where it is, how to connect, what it is, and what it counted.
//!
//! Only this module knows addresses and passwords. It only ever writes keys under [`Target::prefix`], and never uses a
//! command that could touch others.
//!
//! A target is measured, not controlled. The nodes that we started are [`Private`] values, alone or in a [`Fleet`], and
//! only their methods stop, resume and kill nodes. So only a node of ours can be broken on purpose, and a user's server
//! cannot be stopped by mistake.

mod address;
mod asked;
#[cfg(feature = "topologies")]
mod certificate;
mod clean;
pub mod compose;
mod connection;
mod counts;
mod distance;
mod facts;
mod fleet;
pub mod keyspace;
mod lease;
mod on_path;
mod preflight;
mod private;
mod refusal;
mod replica_counts;
mod resolve;
mod sentinels;
mod session;
mod settings;
mod socket;
mod stream;
#[cfg_attr(not(feature = "topologies"), path = "target/no_tls.rs")]
mod tls;
mod topology;
mod url;
mod wheel;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisResult};

use crate::condition::{Topology, Transport};
use crate::error::{Error, Result};
use crate::secret;
use crate::target::compose::Compose;

pub use crate::placement::{CpuSet, Placement};
pub use address::TlsFiles;
pub use clean::Cleaned;
pub(crate) use connection::Connection;
pub use counts::{Counts, Spent};
pub use distance::{Distance, LONGEST_ROUND_TRIP};
#[cfg(feature = "cli")]
pub(crate) use distance::{NOT_FAR, check_distance, may_be_far};
pub use facts::ServerFacts;
pub use fleet::{Fleet, Layout};
#[cfg(feature = "cli")]
pub(crate) use fleet::{NAME as SENTINEL_NAME, first_slot, writes_reach};
pub(crate) use lease::Lease;
pub use private::Private;
pub use resolve::ServerSpec;
pub use session::Session;
pub(crate) use session::TaskSession;
#[cfg(feature = "cli")]
pub(crate) use session::slot_of;
pub(crate) use settings::Changed;
pub(crate) use socket::{after, allow_files};
pub(crate) use stream::Socket;

/// How long any one reply may take before its update counts as unknown.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts to reach a server that does not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// The prefix of all keys of all runs.
const OURS: &str = "lost-updates:";

/// A server that answered, or several that act as one, and the random prefix of all our keys there.
#[derive(Clone)]
pub struct Target {
    client: Client,
    transport: Transport,
    prefix: String,
    private: Option<Arc<Private>>,
    compose: Option<Arc<Compose>>,
    server_cpus: Option<CpuSet>,
    client_cpus: Option<CpuSet>,
    may_configure: bool,
    /// The emulated round trip, if any: `reach` holds the proxy, and `racers` is the target as its clients see it.
    distance: Option<Distance>,
    reach: Option<Arc<distance::Reach>>,
    racers: Option<Box<Target>>,
    /// How many [leases](Lease) are held.
    leases: Arc<AtomicUsize>,
    /// Its product and version: `valkey 9.1.2`; empty if it does not say.
    product: String,
    /// The topology, and its other servers.
    place: topology::Place,
    /// How long its clients wait for a reply.
    patience: Duration,
}

impl Target {
    /// The target at `url`: [`Target::at_with`] without files for TLS.
    ///
    /// # Errors
    /// As [`Target::at_with`].
    pub fn at(url: &str) -> Result<Self> {
        Self::at_with(url, &TlsFiles::default())
    }

    /// A private server, over TCP or its unix socket.
    ///
    /// # Errors
    /// It does not answer.
    pub fn private(private: Private, transport: Transport) -> Result<Self> {
        let info = private.connection(transport).map_err(|e| Error::server(e.to_string()))?;
        Self::answering(topology::nodelay(info), Some(Arc::new(private)))
    }

    /// A server started by Docker Compose. It is removed when the last clone of this target is dropped.
    ///
    /// # Errors
    /// It does not answer.
    pub fn composed(compose: Compose) -> Result<Self> {
        let mut server = Self::at(&compose.url())?.over(Transport::DockerTcp);
        server.compose = Some(Arc::new(compose));
        Ok(server)
    }

    /// The same server, with its rows marked as measured over this transport.
    #[must_use]
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    fn answering(info: ConnectionInfo, private: Option<Arc<Private>>) -> Result<Self> {
        Self::silent(Client::open(info).map_err(|e| Error::server(e.to_string()))?, private).answered()
    }

    /// A server that has not been asked yet.
    fn silent(client: Client, private: Option<Arc<Private>>) -> Self {
        let transport = match client.get_connection_info().addr() {
            ConnectionAddr::Unix(_) => Transport::Unix,
            _ => Transport::Tcp,
        };
        Self {
            client,
            transport,
            prefix: format!("{OURS}{:016x}:", fastrand::u64(..)),
            may_configure: private.is_some(),
            private,
            compose: None,
            server_cpus: None,
            client_cpus: None,
            distance: None,
            reach: None,
            racers: None,
            leases: Arc::default(),
            product: String::new(),
            place: topology::Place::default(),
            patience: RESPONSE_TIMEOUT,
        }
    }

    #[cfg(feature = "cli")]
    /// One of several private servers, reached directly or through a proxy. The caller keeps it running.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn node(private: &Private, by_way_of: Option<&crate::proxy::Address>) -> Result<Self> {
        let info = private.connection(Transport::Tcp).map_err(|e| Error::server(e.to_string()))?;
        let info = match by_way_of {
            Some(proxy) => self::by_way_of(info, proxy),
            None => info,
        };
        Self::answering(topology::nodelay(info), None)
    }

    #[cfg(feature = "cli")]
    /// The same server, reached through a proxy, with keys of its own.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn through(&self, proxy: &crate::proxy::Address) -> Result<Self> {
        Self::answering(by_way_of(self.client.get_connection_info().clone(), proxy), None)
    }

    #[cfg(feature = "cli")]
    /// The same server, with `patience` as its clients' time limit for a reply or a connection.
    #[must_use]
    pub(crate) fn answering_within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn answered(mut self) -> Result<Self> {
        let mut db = self.connect()?;
        redis::cmd("PING").exec(&mut db).map_err(|e| self.refuses(&e))?;
        // A server that refuses INFO is rejected later, by the code that needs it.
        let info: String = redis::cmd("INFO").arg("server").query(&mut db).unwrap_or_default();
        self.product = facts::product(&info);
        Ok(self)
    }

    /// Its product and version: `valkey 9.1.2`; empty if it does not say.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// A new connection, with TCP_NODELAY. Every reply must begin within [`RESPONSE_TIMEOUT`], and be complete within
    /// the same time again.
    ///
    /// # Errors
    /// Nothing answers there, or it refuses us.
    pub fn connect(&self) -> Result<Session> {
        self.dial().map_err(|e| self.shuts_out(&e))
    }

    fn dial(&self) -> RedisResult<Session> {
        match (&self.place.cluster, &self.place.sentinels) {
            (Some(cluster), _) => Session::cluster(cluster, self.patience),
            // Asked every time: which server is the primary may have changed.
            (None, Some(sentinels)) => Connection::open_within(&sentinels.primary()?, self.patience).map(Session::one),
            (None, None) => Connection::open_within(&self.client, self.patience).map(Session::one),
        }
    }

    /// The same, to the primary of the most recent failover.
    ///
    /// # Errors
    /// As [`Target::connect`].
    fn connect_newest(&self) -> Result<Session> {
        self.dial_newest().map_err(|e| self.shuts_out(&e))
    }

    /// The connection for reading counters back and removing them: to the primary of the most recent failover.
    fn dial_newest(&self) -> RedisResult<Session> {
        match &self.place.sentinels {
            Some(sentinels) => Connection::open_within(&sentinels.newest()?, self.patience).map(Session::one),
            None => self.dial(),
        }
    }

    /// A connection to every node that has keys of its own.
    ///
    /// # Errors
    /// One does not answer, or refuses us.
    pub(crate) fn connect_each(&self) -> Result<Vec<Connection>> {
        self.each()?.iter().map(Self::connect_here).collect()
    }

    /// A connection to this one server, whatever its topology.
    fn connect_here(&self) -> Result<Connection> {
        Connection::open(&self.client).map_err(|e| self.shuts_out(&e))
    }

    /// Every node that has keys of its own, as a server by itself.
    fn each(&self) -> Result<Vec<Self>> {
        let Some(cluster) = &self.place.cluster else { return Ok(vec![self.clone()]) };
        let node = |member| Ok(Self { client: cluster.client(member).map_err(|e| self.refuses(&e))?, ..self.clone() });
        cluster.primaries().iter().map(node).collect()
    }

    /// A new connection, to the primary of the most recent failover. Waits while the server restarts or fails over.
    ///
    /// # Errors
    /// It does not answer within `patience`, or refuses; or `stop` was raised.
    pub(crate) fn reach(&self, patience: Duration, stop: &AtomicBool) -> Result<Session> {
        self.patiently(patience, stop, |db| redis::cmd("PING").exec(db)).map(|(db, ())| db)
    }

    /// Asks over a connection as [`Target::reach`] makes it, and retries as long as waiting may help.
    ///
    /// # Errors
    /// It does not answer within `patience`, or refuses; or `stop` was raised.
    pub(crate) fn patiently<T>(
        &self,
        patience: Duration,
        stop: &AtomicBool,
        mut ask: impl FnMut(&mut Session) -> RedisResult<T>,
    ) -> Result<(Session, T)> {
        let since = Instant::now();
        loop {
            let error = match self.dial_newest().and_then(|mut db| ask(&mut db).map(|answer| (db, answer))) {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            if !refusal::may_pass(&error) {
                return Err(self.refuses(&error));
            }
            if since.elapsed() >= patience {
                let waited = since.elapsed().as_secs();
                let after = if waited > 0 { format!(", after {waited} s") } else { String::new() };
                return Err(Error::server(format!("{}{after}", self.shuts_out(&error))));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The redis crate's client, for strategies that connect in their own way. If there are Sentinels, they are asked
    /// again for the current primary.
    ///
    /// # Errors
    /// No Sentinel answers, or none knows the primary.
    pub fn client(&self) -> Result<Client> {
        match &self.place.sentinels {
            None => Ok(self.client.clone()),
            Some(sentinels) => sentinels.primary().map_err(|e| self.refuses(&e)),
        }
    }

    /// A new async connection; for a cluster, one to every primary.
    pub(crate) async fn connect_task(&self, config: &AsyncConnectionConfig) -> Result<TaskSession> {
        let session = match &self.place.cluster {
            Some(cluster) => TaskSession::cluster(cluster, config).await,
            None => TaskSession::one(&self.client()?, config).await,
        };
        session.map_err(|e| self.refuses(&e))
    }

    fn placed(mut self, server: Option<CpuSet>, client: Option<CpuSet>) -> Self {
        (self.server_cpus, self.client_cpus) = (server, client);
        self
    }

    /// Whether Docker Compose started it for us.
    pub fn is_composed(&self) -> bool {
        self.compose.is_some()
    }

    /// Where the server and the clients run, as recorded with every run: `server=1,client=0`, or `none`.
    pub fn placement(&self) -> String {
        match (&self.server_cpus, &self.client_cpus) {
            (Some(server), Some(client)) => format!("server={server},client={client}"),
            (None, Some(client)) => format!("server=unknown,client={client}"),
            _ => "none".to_owned(),
        }
    }

    /// How it is reached.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The prefix of all our keys on this server: random, so that two runs never share a key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The private child process, if this server is one.
    pub fn child(&self) -> Option<&Private> {
        let is_one = self.place.kind != Topology::Cluster;
        let ours = self.place.fleet.as_ref().filter(|_| is_one).and_then(|fleet| fleet.primaries.first());
        self.private.as_deref().or(ours)
    }

    /// Whether strategies may change its settings temporarily: on a private server, or if permitted.
    pub fn may_configure(&self) -> bool {
        self.may_configure
    }

    /// The same server, with permission to change its settings temporarily.
    #[must_use]
    pub fn configurable(mut self) -> Self {
        self.may_configure = true;
        self
    }

    /// A second private server beside a private one: of the same binary, on the same CPUs.
    ///
    /// # Errors
    /// This one is not private, or the second does not start.
    pub(crate) fn second(&self, extra: &[&str]) -> Result<Private> {
        let child =
            self.child().ok_or_else(|| Error::server("a second server can only be started beside a private server"))?;
        child.beside(extra, self.server_cpus.as_ref())
    }

    /// Where it is: host and port or path, and the database; never a password.
    pub fn address(&self) -> String {
        let info = self.client.get_connection_info();
        let place = url::shown(info.addr());
        match info.redis_settings().db() {
            0 => secret::shown(&place).to_owned(),
            db => format!("{}/{db}", secret::shown(&place)),
        }
    }

    /// The server as a URL for another process, password included. Never print it, and never pass it as an argument or in the
    /// environment of a process: use a pipe.
    pub fn secret_url(&self) -> String {
        url::of(self.client.get_connection_info())
    }

    /// The same with another host and port, for another node or for clients that go through a proxy. Never print it
    /// either.
    pub fn secret_url_at(&self, host: &str, port: u16) -> String {
        let there = ConnectionAddr::Tcp(host.to_owned(), port);
        url::of(&self.client.get_connection_info().clone().set_addr(there))
    }

    #[cfg(feature = "cli")]
    /// Its address, for a proxy in front of it.
    ///
    /// # Errors
    /// The host's name is not known, or the server is reached over TLS.
    pub(crate) fn proxied(&self) -> Result<crate::proxy::Address> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Unix(path) => Ok(crate::proxy::Address::Unix(path.clone())),
            ConnectionAddr::Tcp(host, port) => crate::proxy::Address::tcp(host, *port),
            _ => Err(Error::usage("a proxy cannot read commands over TLS: use a redis:// or unix:// URL")),
        }
    }

    /// The server's message, without our password.
    fn hushed(&self, text: &str) -> String {
        secret::hushed(text, self.client.get_connection_info().redis_settings().password())
    }

    /// Removes keys of ours; a name with a `*` stands for every key it matches, and must begin with our prefix.
    ///
    /// # Errors
    /// The server does not answer, or a pattern is not under our prefix.
    pub fn remove(&self, db: &mut Session, names: &[String]) -> Result<()> {
        let (patterns, plain): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| name.contains('*'));
        db.remove(&plain).map_err(|e| self.keeps_ours(&e))?;
        for pattern in patterns {
            if !pattern.starts_with(&self.prefix) {
                return Err(Error::broken(format!(
                    "keys {pattern} are not removed: they are not under {}",
                    self.prefix
                )));
            }
            // Each node of a cluster lists only its own keys.
            let found = db.on_each(|node| scan(node, &pattern)).map_err(|e| self.keeps_ours(&e))?;
            db.remove(&found.concat()).map_err(|e| self.keeps_ours(&e))?;
        }
        Ok(())
    }

    /// The number of the Sentinels' most recent failover; `None` without Sentinels, or if they do not say.
    pub(crate) fn failovers(&self) -> Option<u64> {
        self.place.sentinels.as_ref().and_then(|sentinels| sentinels.epoch().ok())
    }

    /// Removes all our keys from the primary that Sentinels have promoted since `before`, if they have. What was removed from
    /// the old one while it still acknowledged has come back with the new one.
    ///
    /// # Errors
    /// The new primary does not answer or refuses: the message says what is left there.
    pub(crate) fn remove_after_failover(&self, before: Option<u64>) -> Result<()> {
        let (Some(sentinels), Some(before)) = (&self.place.sentinels, before) else { return Ok(()) };
        let promoted = sentinels.promoted_since(before).map_err(|e| {
            let (named, prefix) = (sentinels.named(), self.prefix());
            let why = refusal::meaning(&e);
            Error::server(format!("Sentinels {named}: {why}; if they failed over, keys {prefix}* may be left"))
        })?;
        let Some(client) = promoted else { return Ok(()) };
        let current = Self { client, ..self.clone() };
        let connection = Connection::open_within(&current.client, self.patience).map_err(|e| current.keeps_ours(&e))?;
        current.remove(&mut Session::one(connection), &[format!("{}*", self.prefix)])
    }

    /// The error for keys that could not be removed: it says where they are and how to remove them.
    fn keeps_ours(&self, error: &redis::RedisError) -> Error {
        let prefix = self.prefix();
        Error::server(format!(
            "{}; keys {prefix}* may be left there: `report clean --redis-url URL` removes them",
            self.refuses(error)
        ))
    }
}

#[cfg(feature = "cli")]
fn by_way_of(info: ConnectionInfo, proxy: &crate::proxy::Address) -> ConnectionInfo {
    info.set_addr(match proxy {
        crate::proxy::Address::Tcp(address) => ConnectionAddr::Tcp(address.ip().to_string(), address.port()),
        crate::proxy::Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
    })
}

/// The keys of one node that match a pattern.
fn scan(node: &mut Connection, pattern: &str) -> RedisResult<Vec<String>> {
    let (mut cursor, mut found) = (0_u64, Vec::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        let (next, keys): (u64, Vec<String>) =
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000).query(node)?;
        found.extend(keys);
        if next == 0 {
            return Ok(found);
        }
        cursor = next;
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, {})", self.address(), self.transport)
    }
}
