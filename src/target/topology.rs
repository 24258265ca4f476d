//! How the servers of a target are arranged, and how each topology is found or started.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError};

use crate::condition::{Topology, Transport};
use crate::error::{Error, Result};
use crate::target::address::{Address, TlsFiles, elsewhere};
use crate::target::fleet::{self, Fleet, Layout};
use crate::target::sentinels::Sentinels;
use crate::target::session::Cluster;
use crate::target::tls::Trust;
use crate::target::{Connection, Session, Target, preflight, refusal};

/// What there is besides the one server that a [`Target`] connects to first.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub(super) kind: Topology,
    /// The replicas, if there is one primary.
    pub(super) replicas: Vec<Client>,
    /// One of them did not answer when its counts were read.
    pub(super) are_replicas_silent: Arc<AtomicBool>,
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) sentinels: Option<Arc<Sentinels>>,
    /// The authorities to trust over TLS.
    pub(super) trust: Option<Arc<Trust>>,
    /// Our own servers, kept running by this.
    pub(super) fleet: Option<Arc<Fleet>>,
}

/// The same connection settings, with TCP_NODELAY.
pub(super) fn nodelay(info: ConnectionInfo) -> ConnectionInfo {
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    info.set_tcp_settings(tcp)
}

impl Target {
    /// The target at `url`, with the files that TLS needs. `docs/topologies.md` lists the forms of URLs.
    ///
    /// # Errors
    /// The URL has an unknown form; or the server does not answer, or is of another kind than the URL says: a node of a
    /// cluster, a Sentinel, a read-only replica. The message says what to give instead, and never contains the
    /// password.
    pub fn at_with(url: &str, tls: &TlsFiles) -> Result<Self> {
        let address = Address::read(url, tls)?;
        let trust = if Address::is_tls(url) { Some(Arc::new(Trust::read(tls)?)) } else { None };
        let address = match &trust {
            Some(trust) => address.each(|info| trust.encrypted(info))?,
            None => address,
        };
        let mut server = match address {
            Address::One(info) => Self::answering(nodelay(info), None)?,
            Address::Cluster(nodes) => Self::cluster(nodes.into_iter().map(nodelay).collect())?,
            Address::Sentinel { sentinels, servers, name } => {
                Self::watched(Sentinels::new(sentinels, nodelay(servers), name))?
            }
        };
        server.place.trust = trust;
        preflight::kind(server)
    }

    fn cluster(nodes: Vec<ConnectionInfo>) -> Result<Self> {
        let mut failed = Error::usage("the URL names no node of a cluster");
        for node in nodes {
            let found = Client::open(node.clone()).map_err(|e| Error::server(e.to_string())).and_then(|seed| {
                let mut server = Self::silent(seed.clone(), None);
                let cluster = Cluster::discover(&seed).map_err(|e| server.no_cluster(&e))?;
                server.place.kind = Topology::Cluster;
                server.place.cluster = Some(Arc::new(cluster));
                server.answered()
            });
            match found {
                Ok(server) => return Ok(server),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn no_cluster(&self, error: &RedisError) -> Error {
        let text = error.to_string();
        if text.contains("cluster support disabled") {
            return Error::server(format!("server {}: it is not a cluster node: use a redis:// URL", self.address()));
        }
        self.shuts_out(error)
    }

    fn watched(sentinels: Sentinels) -> Result<Self> {
        let primary = sentinels
            .newest()
            .map_err(|e| Error::server(format!("Sentinels {}: {}", sentinels.named(), refusal::meaning(&e))))?;
        let mut server = Self::silent(primary, None);
        server.place.kind = Topology::Sentinel;
        server.place.sentinels = Some(Arc::new(sentinels));
        server.answered()
    }

    /// Private servers that belong together.
    ///
    /// # Errors
    /// They do not answer.
    pub fn fleet(fleet: Fleet, layout: Layout) -> Result<Self> {
        let refused = |e: RedisError| Error::server(format!("a private topology: {e}"));
        let first = &fleet.primaries[0];
        let info = |private: &crate::target::Private| private.connection(Transport::Tcp).map(nodelay).map_err(refused);
        let mut server = match (layout.topology, first.encrypted()) {
            (Topology::Cluster, _) => Self::cluster(fleet.primaries.iter().map(info).collect::<Result<_>>()?)?,
            (Topology::Sentinel, _) => Self::watched(Sentinels::new(
                fleet.sentinel_infos().map_err(refused)?,
                info(first)?,
                fleet::NAME.to_owned(),
            ))?,
            (_, Some((port, authority))) => {
                let url = format!("rediss://:{}@127.0.0.1:{port}", first.password());
                Self::at_with(&url, &TlsFiles { cacert: Some(authority.to_owned()), ..TlsFiles::default() })?
            }
            (_, None) => Self::answering(info(first)?, None)?,
        };
        server.may_configure = layout.topology != Topology::Cluster;
        server.place.fleet = Some(Arc::new(fleet));
        preflight::kind(server)
    }

    /// How its servers are arranged.
    pub fn topology(&self) -> Topology {
        self.place.kind
    }

    /// The number of primaries that share the keys.
    pub fn shards(&self) -> u32 {
        self.place.cluster.as_ref().map_or(1, |cluster| cluster.primaries().len() as u32)
    }

    /// The number of replicas of each primary; the smallest, if they differ.
    pub fn replicas(&self) -> u32 {
        let known = self.place.replicas.len();
        self.place.cluster.as_ref().map_or(known, |cluster| cluster.fewest_replicas()) as u32
    }

    /// Whether connections to it are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.client.get_connection_info().addr(), redis::ConnectionAddr::TcpTls { .. })
    }

    #[cfg(feature = "cli")]
    /// Its servers, if we started them as a fleet.
    pub(crate) fn own_fleet(&self) -> Option<&Fleet> {
        self.place.fleet.as_deref()
    }

    /// Whether all its servers are ours.
    pub fn is_private(&self) -> bool {
        self.private.is_some() || self.place.fleet.is_some()
    }

    /// Learns where the slots of a cluster are now, if its nodes have redirected us since the last time.
    pub(crate) fn renew(&self) {
        if let Some(cluster) = &self.place.cluster {
            cluster.renew();
        }
    }

    /// How often nodes of a cluster have redirected us so far: MOVED and ASK.
    pub(crate) fn redirects(&self) -> Option<(u64, u64)> {
        self.place.cluster.as_ref().map(|cluster| cluster.redirects.so_far())
    }

    #[cfg(feature = "topologies")]
    /// The authorities to trust over TLS, for code that connects by itself.
    pub(crate) fn certificates(&self) -> Option<redis::TlsCertificates> {
        self.place.trust.as_ref().map(|trust| trust.certificates())
    }

    #[cfg(feature = "topologies")]
    /// How to connect to the nodes of a cluster.
    pub(crate) fn seeds(&self) -> Vec<ConnectionInfo> {
        let seed = self.client.get_connection_info();
        let Some(cluster) = &self.place.cluster else { return vec![seed.clone()] };
        let infos = cluster.primaries().into_iter();
        infos.filter_map(|node| elsewhere(seed, &node.host, node.port).ok()).collect()
    }

    /// A connection for reading from a replica; for a cluster, from one replica of every shard.
    ///
    /// # Errors
    /// There is none, or it does not answer.
    pub(crate) fn replica(&self) -> Result<Session> {
        let session = match (&self.place.cluster, self.place.replicas.first()) {
            (Some(cluster), _) => Session::replicas(cluster),
            (None, Some(client)) => Connection::open(client).map(Session::one),
            (None, None) => return Err(Error::server(format!("server {} has no replica", self.address()))),
        };
        session.map_err(|e| self.shuts_out(&e))
    }

    /// The replicas that a primary names, with the same connection settings as its own.
    pub(super) fn replicas_named(&self, replication: &str) -> Vec<Client> {
        let template = self.client.get_connection_info();
        let named = replication.lines().filter_map(|line| {
            let (name, fields) = line.trim_end().split_once(':')?;
            name.strip_prefix("slave")?.parse::<u32>().ok()?;
            let field = |wanted: &str| fields.split(',').find_map(|field| field.strip_prefix(wanted));
            let port = field("port=")?.parse().ok()?;
            Client::open(elsewhere(template, field("ip=")?, port).ok()?.into_connection_info().ok()?).ok()
        });
        named.collect()
    }
}
