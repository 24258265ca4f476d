//! The one door to the server: where it is, how to connect, what it is, and what it counted.
//!
//! Nothing else in the crate knows an address or a password. Only keys under [`Server::prefix`] are ever written, and
//! never a command that would touch others.

mod clean;
pub mod compose;
mod counts;
mod distance;
mod facts;
mod lease;
mod on_path;
mod private;
mod refusal;
mod resolve;
mod settings;
mod socket;
mod url;
mod wheel;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::{Client, Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::secret;
use crate::server::compose::Compose;

pub use crate::placement::{CpuSet, Placement};
pub use clean::Cleaned;
pub use counts::{Counts, Spent};
pub use distance::{Distance, LONGEST_ROUND_TRIP};
pub use facts::ServerFacts;
pub(crate) use lease::Lease;
pub use private::Private;
pub use resolve::Wanted;
pub(crate) use settings::Changed;
pub(crate) use socket::{Socket, after, allow_files};

/// How long any one reply may take before its update counts as unknown.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries to reach a server that does not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// What all keys of all runs begin with.
const OURS: &str = "lost-updates:";

/// A server that answered, and the random prefix all our keys on it share.
#[derive(Clone)]
pub struct Server {
    client: Client,
    transport: Transport,
    prefix: String,
    private: Option<Arc<Private>>,
    compose: Option<Arc<Compose>>,
    server_cpus: Option<CpuSet>,
    client_cpus: Option<CpuSet>,
    may_configure: bool,
    /// How far away its clients are; `reach` is what makes them so, and `racers` the server as they see it.
    distance: Option<Distance>,
    reach: Option<Arc<distance::Reach>>,
    racers: Option<Box<Server>>,
    /// How many [leases](Lease) are held.
    leases: Arc<AtomicUsize>,
}

impl Server {
    /// The server at `url`: `redis://[user[:password]@]host[:port][/db]` or `unix:///path/to.sock`.
    ///
    /// # Errors
    /// The URL is not one of these, or nothing there answers a PING within a few seconds. The message names the
    /// address, never the password.
    pub fn at(url: &str) -> Result<Self> {
        if url.starts_with("rediss:") {
            return Err(Error::usage("rediss:// (TLS) is not supported: measure over redis:// or unix://"));
        }
        let info = url.into_connection_info().map_err(|_| {
            Error::usage("the server URL cannot be read: say redis://[user:password@]host:port/db or unix:///path.sock")
        })?;
        Self::answering(info, None)
    }

    /// A private server, over TCP or its unix socket.
    ///
    /// # Errors
    /// It does not answer.
    pub fn private(private: Private, transport: Transport) -> Result<Self> {
        let info = private.connection(transport).map_err(|e| Error::server(e.to_string()))?;
        Self::answering(info, Some(Arc::new(private)))
    }

    /// A server that Docker Compose brought up, and takes down again with the last copy of this.
    ///
    /// # Errors
    /// It does not answer.
    pub fn composed(compose: Compose) -> Result<Self> {
        let mut server = Self::at(&compose.url())?.over(Transport::DockerTcp);
        server.compose = Some(Arc::new(compose));
        Ok(server)
    }

    /// The same server, its rows marked as measured over another transport than its URL says.
    #[must_use]
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    fn answering(info: ConnectionInfo, private: Option<Arc<Private>>) -> Result<Self> {
        let transport = match info.addr() {
            ConnectionAddr::Unix(_) => Transport::Unix,
            _ => Transport::Tcp,
        };
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        let client = Client::open(info).map_err(|e| Error::server(e.to_string()))?;
        let prefix = format!("{OURS}{:016x}:", fastrand::u64(..));
        let may_configure = private.is_some();
        let server = Self {
            client,
            transport,
            prefix,
            private,
            compose: None,
            server_cpus: None,
            client_cpus: None,
            may_configure,
            distance: None,
            reach: None,
            racers: None,
            leases: Arc::default(),
        };
        let mut connection = server.connect()?;
        redis::cmd("PING").exec(&mut connection).map_err(|e| server.refuses(&e))?;
        Ok(server)
    }

    /// A new connection of one's own: TCP_NODELAY, and [`RESPONSE_TIMEOUT`] on every reply.
    ///
    /// # Errors
    /// Nothing answers there, or it refuses us.
    pub fn connect(&self) -> Result<Connection> {
        self.dial().map_err(|e| self.shuts_out(&e))
    }

    fn dial(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(Duration::from_secs(3))?;
        connection.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        connection.set_write_timeout(Some(RESPONSE_TIMEOUT))?;
        Ok(connection)
    }

    /// A new connection, waited for if need be: a server that crashes or fails over comes back.
    ///
    /// # Errors
    /// It does not within `patience`, or `stop` was raised.
    pub(crate) fn reach(&self, patience: Duration, stop: &AtomicBool) -> Result<Connection> {
        self.patiently(patience, stop, |db| redis::cmd("PING").exec(db)).map(|(db, ())| db)
    }

    /// Asks over a new connection, again and again for as long as waiting may help.
    ///
    /// # Errors
    /// It does not answer within `patience`, or refuses; or `stop` was raised.
    pub(crate) fn patiently<T>(
        &self,
        patience: Duration,
        stop: &AtomicBool,
        mut ask: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> Result<(Connection, T)> {
        let since = Instant::now();
        loop {
            let error = match self.dial().and_then(|mut db| ask(&mut db).map(|answer| (db, answer))) {
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

    /// The redis crate's client, for strategies that make connections in a way of their own.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn placed(mut self, server: Option<CpuSet>, client: Option<CpuSet>) -> Self {
        (self.server_cpus, self.client_cpus) = (server, client);
        self
    }

    /// Whether Docker Compose brought it up for us.
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

    /// What every key of ours on this server begins with: random, so that two runs never meet.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The private child process, if this server is one: strategies that need a setting of their own may have it.
    pub fn child(&self) -> Option<&Private> {
        self.private.as_deref()
    }

    /// Whether strategies may change its settings for a while (and put them back): a private server's, or where allowed.
    pub fn may_configure(&self) -> bool {
        self.may_configure
    }

    /// The same server, with leave to change its settings for a while.
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
        let child = self.child().ok_or_else(|| Error::server("no private server to start a second one beside"))?;
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

    /// The server as a URL for another process, password included. It is never to be printed, and never to stand among the
    /// arguments or in the environment of a process: hand it over on a pipe.
    pub fn secret_url(&self) -> String {
        url::of(self.client.get_connection_info())
    }

    /// The same with another host and port, for clients that go through a proxy: never to be printed either.
    pub(crate) fn secret_url_at(&self, host: &str, port: u16) -> String {
        let there = ConnectionAddr::Tcp(host.to_owned(), port);
        url::of(&self.client.get_connection_info().clone().set_addr(there))
    }

    /// Its address, for a proxy before it.
    ///
    /// # Errors
    /// The host's name is not known, or the server is reached over TLS.
    pub(crate) fn proxied(&self) -> Result<crate::proxy::Address> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Unix(path) => Ok(crate::proxy::Address::Unix(path.clone())),
            ConnectionAddr::Tcp(host, port) => crate::proxy::Address::tcp(host, *port),
            _ => Err(Error::usage("over TLS a proxy cannot tell commands apart: give a redis:// or unix:// URL")),
        }
    }

    /// What it said, without our password.
    fn hushed(&self, text: &str) -> String {
        secret::hushed(text, self.client.get_connection_info().redis_settings().password())
    }

    /// Removes keys of ours; a name with a `*` stands for every key it matches under our prefix.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn remove(&self, db: &mut Connection, names: &[String]) -> Result<()> {
        let (patterns, plain): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains('*'));
        for chunk in plain.chunks(1_000) {
            redis::cmd("DEL").arg(chunk).exec(db).map_err(|e| self.keeps_ours(&e))?;
        }
        for pattern in patterns {
            assert!(pattern.starts_with(&self.prefix), "only keys of ours are removed");
            self.sweep(db, pattern)?;
        }
        Ok(())
    }

    /// Keys could not be removed: where they are, and what removes them.
    fn keeps_ours(&self, error: &redis::RedisError) -> Error {
        let prefix = self.prefix();
        Error::server(format!(
            "{}; keys {prefix}* may be left there, and `report clean --redis-url URL` removes them",
            self.refuses(error)
        ))
    }

    fn sweep(&self, db: &mut Connection, pattern: &str) -> Result<()> {
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(1_000)
                .query(db)
                .map_err(|e| self.keeps_ours(&e))?;
            if !keys.is_empty() {
                redis::cmd("DEL").arg(keys).exec(db).map_err(|e| self.keeps_ours(&e))?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}, {})", self.address(), self.transport)
    }
}
