//! What strategies need from the topology.

use crate::condition::Topology;
use crate::error::Result;
use crate::strategy::Need;
use crate::target::Target;

/// A single server: the strategy's connections do not follow a cluster.
pub(crate) const ONE_SERVER: Need = Need { what: "one server", missing: is_cluster };

/// A server that another process reaches by its URL alone.
pub(crate) const ONE_PLAIN_SERVER: Need = Need { what: "one server without TLS", missing: is_not_plain };

#[cfg(feature = "topologies")]
/// A cluster.
pub(crate) const CLUSTER: Need = Need { what: "a cluster", missing: is_no_cluster };

/// A replica of every primary.
pub(crate) const REPLICA: Need = Need { what: "a replica", missing: has_no_replica };

/// The same, for reading. Not with an emulated round trip, because our proxy is only in front of the primary.
pub(crate) const READABLE_REPLICA: Need = Need { what: "a replica", missing: has_no_readable_replica };

fn is_cluster(server: &Target) -> Result<Option<String>> {
    let why = "not supported on a cluster: its connection goes to a single server";
    Ok((server.topology() == Topology::Cluster).then(|| why.to_owned()))
}

fn is_not_plain(server: &Target) -> Result<Option<String>> {
    let why = "not supported over TLS: its second process gets a URL but no certificates";
    Ok(is_cluster(server)?.or_else(|| server.is_tls().then(|| why.to_owned())))
}

#[cfg(feature = "topologies")]
fn is_no_cluster(server: &Target) -> Result<Option<String>> {
    let why = "it is the redis crate's cluster client, which needs a cluster";
    Ok((server.topology() != Topology::Cluster).then(|| why.to_owned()))
}

fn has_no_readable_replica(server: &Target) -> Result<Option<String>> {
    let near = || server.distance().map(|_| "not supported with --rtt: its replica would not be delayed".to_owned());
    Ok(has_no_replica(server)?.or_else(near))
}

fn has_no_replica(server: &Target) -> Result<Option<String>> {
    Ok((server.replicas() == 0).then(|| "it needs a replica of every primary".to_owned()))
}
