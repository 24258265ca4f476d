//! An emulated round trip: clients reach the server through a [`Proxy`] that delays, and the harness reaches it directly.
//!
//! The proxy's own cost is part of the round trip. The delay makes up the rest, corrected by what is observed over one
//! connection. Every connection of a strategy goes through the proxy; resetting and reading counters bypasses it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ConnectionAddr};
use tempfile::TempDir;

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::placement::CpuSet;
use crate::proxy::cost::{self, Cost};
use crate::proxy::{Address, Delay, Direction, Options, Proxy};
use crate::target::Target;

/// The longest round trip that can be emulated: a fifth of the time limit for replies.
pub const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(1);

/// Why `--rtt` is refused.
pub(crate) const NOT_FAR: &str = "--rtt works on one server, or one with replicas, without TLS: clients of a cluster or of Sentinels are sent to addresses \
     that bypass its proxy, and the proxy's cost cannot be measured through TLS";

/// Checks that a round trip is one that can be emulated; zero is none.
///
/// # Errors
/// A usage error: it is too long.
pub(crate) fn check_distance(round_trip: Duration) -> Result<()> {
    if round_trip <= LONGEST_ROUND_TRIP {
        return Ok(());
    }
    let most = LONGEST_ROUND_TRIP.as_secs();
    Err(Error::usage(format!("--rtt: expected times up to {most} s, such as 0.5ms")))
}

/// Whether a round trip to such a server can be emulated.
pub(crate) fn may_be_far(topology: Topology, is_tls: bool) -> bool {
    matches!(topology, Topology::Single | Topology::Replicated) && !is_tls
}

/// The round trip that clients see, and what was measured.
#[derive(Debug, Clone)]
pub struct Distance {
    /// The round trip that is emulated, the proxy's own cost included.
    pub round_trip: Duration,
    /// What is added to the median round trip over one connection, in nanoseconds.
    pub seen_ns: u64,
    /// What the proxy costs without any delay.
    pub cost: Cost,
    /// The CPUs of the proxy's thread, if they are assigned.
    pub cpus: Option<CpuSet>,
    /// The proxy's delay in each direction.
    each_way: Duration,
}

/// A proxy in front of one server.
#[derive(Debug)]
pub(super) struct Reach {
    proxy: Proxy,
    /// The folder of its unix socket, if it listens on one.
    _folder: Option<TempDir>,
}

impl Reach {
    fn start(server: &Target, each_way: Duration, cpus: Option<CpuSet>) -> Result<Self> {
        let upstream = server.upstream()?;
        let folder = match upstream {
            Address::Tcp(_) => None,
            Address::Unix(_) => Some(
                tempfile::tempdir()
                    .map_err(|e| Error::file(&std::env::temp_dir(), format!("cannot make a folder: {e}")))?,
            ),
        };
        let listen = folder.as_ref().map(|folder| Address::Unix(folder.path().join("proxy.sock")));
        let delay = Delay::Fixed(each_way);
        let options = Options { listen, to_server: delay, to_client: delay, cpus, ..Options::default() };
        Ok(Self { proxy: Proxy::start(&upstream, options)?, _folder: folder })
    }
}

impl Target {
    /// The same server once for each round trip that its racing clients are away; zero is the server without a proxy. Takes
    /// some seconds to measure the proxy's cost.
    ///
    /// # Errors
    /// A round trip is longer than can be emulated or shorter than the proxy's own cost, or the proxy cannot start.
    pub fn at_distances(self, round_trips: &[Duration]) -> Result<Vec<Self>> {
        if round_trips.iter().all(Duration::is_zero) {
            return Ok(vec![self]);
        }
        let cost = self.cost_of_proxy()?;
        let at = |&round_trip: &Duration| match round_trip.is_zero() {
            true => Ok(self.clone()),
            false => self.clone().behind_proxy(round_trip, cost),
        };
        round_trips.iter().map(at).collect()
    }

    /// What a proxy costs in front of this server.
    fn cost_of_proxy(&self) -> Result<Cost> {
        if !may_be_far(self.topology(), self.is_tls()) {
            return Err(Error::usage(NOT_FAR));
        }
        cost::measure(&self.upstream()?, self.cpus_of_proxy())
    }

    fn behind_proxy(mut self, round_trip: Duration, cost: Cost) -> Result<Self> {
        check_distance(round_trip)?;
        let cpus = self.cpus_of_proxy();
        let own = Duration::from_nanos(cost.added_p50_ns);
        let left = round_trip.checked_sub(own).ok_or_else(|| {
            Error::usage(format!(
                "rtt: {round_trip:?} is less than the {own:?} that the proxy adds by itself; use a longer one"
            ))
        })?;
        let each_way = (left / 2).max(least_delay(round_trip));
        let mut distance = Distance { round_trip, seen_ns: 0, cost, cpus, each_way };
        let reach = Reach::start(&self, distance.each_way, distance.cpus.clone())?;
        distance.settle(&self.upstream()?, &reach.proxy)?;
        self.racers = Some(Box::new(self.clone().behind(reach, &distance)?));
        self.distance = Some(distance);
        Ok(self)
    }

    /// The emulated round trip, if there is one.
    pub fn distance(&self) -> Option<&Distance> {
        self.distance.as_ref()
    }

    /// The round trip that its rows were measured over, in microseconds, if one is emulated.
    pub fn rtt_us(&self) -> Option<u64> {
        self.distance.as_ref().map(|distance| distance.round_trip.as_micros() as u64)
    }

    /// The server as racing clients reach it.
    pub(crate) fn for_racers(&self) -> &Self {
        self.racers.as_deref().unwrap_or(self)
    }

    /// A second private server beside a private one, as far away as this one is.
    ///
    /// # Errors
    /// This one is not private, or the second does not start.
    pub(crate) fn beside(&self, extra: &[&str]) -> Result<Self> {
        let second = Self::private(self.second(extra)?, self.transport())?;
        match &self.distance {
            None => Ok(second),
            Some(distance) => {
                let reach = Reach::start(&second, distance.each_way, distance.cpus.clone())?;
                second.behind(reach, distance)
            }
        }
    }

    fn behind(mut self, reach: Reach, distance: &Distance) -> Result<Self> {
        let addr = match reach.proxy.address() {
            Address::Tcp(address) => ConnectionAddr::Tcp(address.ip().to_string(), address.port()),
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
        };
        let info = self.client.get_connection_info().clone().set_addr(addr);
        self.client = Client::open(info).map_err(|e| Error::server(e.to_string()))?;
        self.distance = Some(distance.clone());
        self.reach = Some(Arc::new(reach));
        Ok(self)
    }

    fn upstream(&self) -> Result<Address> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) => Address::tcp(host, *port),
            ConnectionAddr::Unix(path) => Ok(Address::Unix(path.clone())),
            other => Err(Error::usage(format!("server {other}: --rtt works over redis:// and unix:// only"))),
        }
    }

    /// The clients' CPUs if they have several. Otherwise the server's, which has more time to spare.
    fn cpus_of_proxy(&self) -> Option<CpuSet> {
        match &self.client_cpus {
            Some(clients) if clients.len() == 1 => self.server_cpus.clone(),
            clients => clients.clone(),
        }
    }
}

/// The minimum delay in each direction. Other programs may use the machine while the proxy's cost is measured. If all
/// of that cost were subtracted, a quieter moment would give round trips far shorter than requested. The round trip
/// then measured is recorded, with a warning if it is off by more than a tenth.
fn least_delay(round_trip: Duration) -> Duration {
    round_trip * 3 / 8
}

impl Distance {
    /// Corrects the delay by what is measured, and measures again.
    fn settle(&mut self, upstream: &Address, proxy: &Proxy) -> Result<()> {
        let wanted = self.round_trip.as_nanos() as i64;
        let (seen, _) = cost::added(upstream, proxy.address())?;
        let each_way = self.each_way.as_nanos() as i64 + (wanted - seen as i64) / 2;
        self.each_way = Duration::from_nanos(each_way.max(0) as u64).max(least_delay(self.round_trip));
        proxy.set_delay(Direction::Both, Delay::Fixed(self.each_way))?;
        (self.seen_ns, _) = cost::added(upstream, proxy.address())?;
        Ok(())
    }
}
