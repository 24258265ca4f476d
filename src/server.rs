//! The one door to the server: where it is, how to connect, what it is, and what it counted.
//!
//! Nothing else in the crate knows an address or a password. Only keys under [`Server::prefix`] are ever written, and
//! never a command that would touch others.

pub mod compose;
mod counts;
mod distance;
mod facts;
mod on_path;
mod private;
mod resolve;
mod socket;
mod wheel;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Client, Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::secret;
use crate::server::compose::Compose;

pub use crate::placement::{CpuSet, Placement};
pub use counts::{Counts, Spent};
pub use distance::{Distance, LONGEST_ROUND_TRIP};
pub use facts::ServerFacts;
pub use private::Private;
pub use resolve::Wanted;
pub(crate) use socket::{Socket, after, allow_files};

/// How long any one reply may take before its update counts as unknown.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

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
        let prefix = format!("lost-updates:{:016x}:", fastrand::u64(..));
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
        let connection =
            self.client.get_connection_with_timeout(Duration::from_secs(3)).map_err(|e| self.refuses(&e))?;
        connection
            .set_read_timeout(Some(RESPONSE_TIMEOUT))
            .and_then(|()| connection.set_write_timeout(Some(RESPONSE_TIMEOUT)))
            .map_err(|e| self.refuses(&e))?;
        Ok(connection)
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
        let place = info.addr().to_string();
        match info.redis_settings().db() {
            0 => secret::shown(&place).to_owned(),
            db => format!("{}/{db}", secret::shown(&place)),
        }
    }

    /// The server as a URL for another process, password included. It is never to be printed, and never to stand among the
    /// arguments or in the environment of a process: hand it over on a pipe.
    pub fn secret_url(&self) -> String {
        let info = self.client.get_connection_info();
        let settings = info.redis_settings();
        let encode = |text: &str| {
            let plain = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
            text.bytes().map(plain).collect::<String>()
        };
        match info.addr() {
            ConnectionAddr::Unix(path) => {
                let mut query = format!("db={}", settings.db());
                for (name, value) in [("user", settings.username()), ("pass", settings.password())] {
                    if let Some(value) = value {
                        query += &format!("&{name}={}", encode(value));
                    }
                }
                format!("unix://{}?{query}", path.display())
            }
            addr => {
                let user = settings.username().map(encode).unwrap_or_default();
                let login = settings.password().map(|p| format!("{user}:{}@", encode(p))).unwrap_or_default();
                format!("redis://{login}{addr}/{}", settings.db())
            }
        }
    }

    /// What it said, without our password.
    fn hushed(&self, text: &str) -> String {
        secret::hushed(text, self.client.get_connection_info().redis_settings().password())
    }

    /// One clear line for an error of this server.
    pub(crate) fn refuses(&self, error: &redis::RedisError) -> Error {
        let hint = if error.is_io_error() { " (is a server running there?)" } else { "" };
        Error::server(format!("server {}: {}{hint}", self.address(), self.hushed(&error.to_string())))
    }

    /// Removes keys of ours; a name with a `*` stands for every key it matches under our prefix.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn remove(&self, db: &mut Connection, names: &[String]) -> Result<()> {
        let (patterns, plain): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains('*'));
        for chunk in plain.chunks(1_000) {
            redis::cmd("DEL").arg(chunk).exec(db).map_err(|e| self.refuses(&e))?;
        }
        for pattern in patterns {
            assert!(pattern.starts_with(&self.prefix), "only keys of ours are removed");
            self.sweep(db, pattern)?;
        }
        Ok(())
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
                .map_err(|e| self.refuses(&e))?;
            if !keys.is_empty() {
                redis::cmd("DEL").arg(keys).exec(db).map_err(|e| self.refuses(&e))?;
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
