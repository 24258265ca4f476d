//! Plain sockets to the server for code that speaks the protocol itself, such as the event loop; and limits on open files.
//!
//! They are configured like a strategy's connections: TCP_NODELAY, logged in, and on the URL's database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::ConnectionAddr;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{BoxError, Error, Result};
use crate::resp::{Reply, Requests};
use crate::target::session::{Cluster, RoutedSocket};
use crate::target::stream::{Socket, Stream, open, targets, tcp};
use crate::target::topology::Place;
use crate::target::{Connection, RESPONSE_TIMEOUT, Target};

/// How long a server that closed the connection may take to say why.
const FIRST_WORDS: Duration = Duration::from_millis(500);

/// Files that this process has open besides its clients' sockets: the most, and the fewest.
const OTHER_FILES: u64 = 200;
const FEWEST_FILES: u64 = 24;

impl Target {
    /// `count` new connections. Each is made and answered before the next: thousands at once would overflow the
    /// server's accept queue.
    ///
    /// # Errors
    /// This process may not open that many files, the server has no room for that many clients, nothing answers there,
    /// or it refuses us.
    pub(crate) fn sockets(&self, count: usize) -> Result<Vec<Box<dyn Socket>>> {
        if let Some(cluster) = &self.place.cluster {
            return self.routed(cluster, count);
        }
        if self.place.sentinels.is_some() {
            // The current primary, as a target without Sentinels.
            let place = Place { trust: self.place.trust.clone(), ..Place::default() };
            return Self { client: self.client()?, place, ..self.clone() }.sockets(count);
        }
        allow_files(count)?;
        let address = self.client.get_connection_info().addr();
        let targets = targets(address).map_err(|e| self.unreachable(&e))?;
        let hello = self.hello();
        let mut sockets = Vec::with_capacity(count);
        for made in 0..count {
            let socket = self.open(&targets).and_then(|stream| greet(stream, &hello));
            let refused = |e: BoxError| {
                after(made, count, Error::server(format!("server {}: {}", self.address(), self.hushed(&e.to_string()))))
            };
            sockets.push(socket.map_err(refused)?);
        }
        Ok(sockets)
    }

    /// The same to a cluster, where each combines one socket to every primary.
    fn routed(&self, cluster: &Arc<Cluster>, count: usize) -> Result<Vec<Box<dyn Socket>>> {
        let (members, owners) = (cluster.primaries(), cluster.owners());
        allow_files(count.saturating_mul(members.len()))?;
        let node = |member| -> Result<Self> {
            let client = cluster.client(member).map_err(|e| self.refuses(&e))?;
            let place = Place { trust: self.place.trust.clone(), ..Place::default() };
            Ok(Self { client, place, ..self.clone() })
        };
        let nodes: Vec<Self> = members.iter().map(node).collect::<Result<_>>()?;
        // Node by node, the way thousands of connections are made to one server.
        let mut sockets: Vec<_> = nodes.iter().map(|node| node.sockets(count)).collect::<Result<_>>()?;
        let one = |_| {
            let own = members.iter().cloned().zip(sockets.iter_mut().filter_map(Vec::pop)).collect();
            Box::new(RoutedSocket::new(cluster.clone(), owners.clone(), own)) as Box<dyn Socket>
        };
        Ok((0..count).map(one).collect())
    }

    /// Checks that `clients` more clients could connect, before anything is measured.
    ///
    /// # Errors
    /// This process may not open that many files, or the server has no room for the clients: one line that says what to
    /// do.
    pub fn has_room_for(&self, clients: usize) -> Result<()> {
        // Through a proxy in this process, a client takes three; on a cluster, one for every node.
        let each = if self.distance().is_some() { 3 } else { self.shards() as usize };
        allow_files(clients.saturating_mul(each))?;
        for mut node in self.connect_each()? {
            let (most, now) = clients_of(&mut node).map_err(|e| self.refuses(&e))?;
            // We need one connection to read the counter and one to observe. If the server does not state its limit,
            // connecting will tell.
            if most > 0 && now + clients + 2 > most {
                let address = self.address();
                return Err(Error::server(format!(
                    "server {address} cannot accept {clients} more clients: maxclients is {most}, and {now} are connected; \
                     raise maxclients or use fewer with --threads"
                )));
            }
        }
        Ok(())
    }

    /// What the server says before the client has sent anything. A healthy server says nothing.
    pub(super) fn first_words(&self) -> Option<String> {
        let address = self.client.get_connection_info().addr();
        let mut stream = self.open(&targets(address).ok()?).ok()?;
        stream.wait_at_most(FIRST_WORDS).ok()?;
        let mut words = [0; 128];
        let length = stream.read(&mut words).ok()?;
        Some(String::from_utf8_lossy(&words[..length]).into_owned())
    }

    /// A socket to the server, encrypted if it is reached over TLS.
    fn open(&self, targets: &[SocketAddr]) -> Result<Box<dyn Stream>, BoxError> {
        let address = self.client.get_connection_info().addr();
        match (&self.place.trust, address) {
            (Some(trust), ConnectionAddr::TcpTls { host, .. }) => trust.over(tcp(targets)?, host),
            _ => Ok(open(address, targets)?),
        }
    }

    /// The commands sent first: AUTH, SELECT and PING.
    fn hello(&self) -> Requests {
        let settings = self.client.get_connection_info().redis_settings();
        let mut hello = Requests::default();
        match (settings.username(), settings.password()) {
            (Some(user), Some(password)) => hello.ask(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
            (None, Some(password)) => hello.ask(&[b"AUTH", password.as_bytes()]),
            _ => {}
        }
        if settings.db() != 0 {
            hello.ask(&[b"SELECT", settings.db().to_string().as_bytes()]);
        }
        hello.ask(&[b"PING"]);
        hello
    }

    fn unreachable(&self, error: &std::io::Error) -> Error {
        Error::server(format!("server {}: {error} (is a server running there?)", self.address()))
    }
}

/// Adds to a refusal how many of our connections had been made.
pub(crate) fn after(made: usize, wanted: usize, refusal: Error) -> Error {
    match made {
        0 => refusal,
        _ => Error::server(format!("{refusal} (after {made} of {wanted} connections)")),
    }
}

/// Sends `hello` and waits until each of its commands is answered: all within [`RESPONSE_TIMEOUT`], however many pieces
/// the replies arrive in.
fn greet(mut stream: Box<dyn Stream>, hello: &Requests) -> Result<Box<dyn Socket>, BoxError> {
    let since = Instant::now();
    stream.wait_at_most(RESPONSE_TIMEOUT)?;
    // A full server says so and closes the connection. Its message is more useful than our broken pipe.
    let sent = stream.write_all(hello.bytes());
    let (mut heard, mut answered) = (Vec::new(), 0);
    while answered < hello.commands() {
        match Reply::read(&heard)? {
            Some((Reply::Error(why), _)) => return Err(why.into()),
            Some((_, length)) => {
                heard.drain(..length);
                answered += 1;
            }
            None => {
                let mut more = [0; 512];
                match stream.read(&mut more)? {
                    0 => return Err("the server hung up".into()),
                    length => heard.extend_from_slice(&more[..length]),
                }
                let left = RESPONSE_TIMEOUT.saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(format!("no complete reply within {} s", RESPONSE_TIMEOUT.as_secs()).into());
                }
                stream.wait_at_most(left)?;
            }
        }
    }
    sent?;
    Ok(stream.unblocked()?)
}

/// Lets this process have a file open for each of `clients` clients.
pub(crate) fn allow_files(clients: usize) -> Result<()> {
    let (now, wanted) = (getrlimit(Resource::Nofile), clients as u64 + OTHER_FILES);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let set = |current, maximum| setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok();
    // Only privileged processes may go beyond the hard limit; the others can use all of it.
    let raised = set(Some(wanted), now.maximum.map(|maximum| maximum.max(wanted))) || set(now.maximum, now.maximum);
    let most = if raised { getrlimit(Resource::Nofile).current } else { now.current };
    match most.filter(|&most| most < clients as u64 + FEWEST_FILES) {
        None => Ok(()),
        Some(most) => Err(Error::usage(format!(
            "{clients} connections need {} open files, and this process may have {most} (ulimit -Hn): use fewer \
             with --threads",
            clients as u64 + FEWEST_FILES
        ))),
    }
}

/// How many clients the server permits (0 if it does not say), and how many it has.
fn clients_of(db: &mut Connection) -> redis::RedisResult<(usize, usize)> {
    let info: String = redis::cmd("INFO").arg("clients").query(db)?;
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    Ok((field("maxclients"), field("connected_clients")))
}
