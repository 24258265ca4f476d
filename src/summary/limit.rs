//! What limited a cell: the CPUs of its clients, the server, or neither.
//!
//! A load generator that is itself the limit measures itself. CPU time over span shows who was busy: for the clients, only
//! their racing threads; for the server, its whole process, which executes commands on one thread.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::nodes::{Node, SATURATED};
use crate::record::Machine;

/// Who had no CPU time left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The clients: with more CPUs for them the figure could be higher, so it is a lower bound.
    Clients,
    /// The server: the figure is its own.
    Server,
    /// Both.
    Both,
    /// The CPUs that clients and server shared, together: more of them would help one or the other.
    SharedCpus,
}

impl Limit {
    /// Whether the figure says as much of the clients as of the server.
    pub fn is_of_clients(self) -> bool {
        matches!(self, Self::Clients | Self::SharedCpus)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clients => "clients",
            Self::Server => "server",
            Self::Both => "both",
            Self::SharedCpus => "shared CPUs",
        })
    }
}

/// The CPUs that a run's clients had.
pub(super) struct Cpus {
    clients: Option<usize>,
    /// How many the servers had, if they were assigned any.
    servers: Option<usize>,
    /// The server ran on them too.
    are_shared: bool,
}

impl Cpus {
    pub(super) fn of(machine: &Machine) -> Self {
        let set = |text: &str| text.split('+').map(str::to_owned).collect::<BTreeSet<String>>();
        let clients = machine.get("cpus_of_clients").filter(|cpus| !cpus.is_empty()).map(set);
        let is = |fact: &str| machine.get(fact) == Some("yes");
        let server =
            machine.get("placement").and_then(|placement| placement.strip_prefix("server=")?.split(',').next());
        let are_shared = match (server, &clients) {
            (Some(server), Some(clients)) => !set(server).is_disjoint(clients),
            // Nobody was assigned a CPU: ours runs where we do, another one who knows where.
            (None, _) => is("server_is_private") || is("server_is_composed"),
            (Some(_), None) => false,
        };
        Self { clients: clients.map(|set| set.len()), servers: server.map(|server| set(server).len()), are_shared }
    }

    /// How busy a cell's servers were; 1 is fully busy. A server executes commands on one CPU. Several servers on CPUs of
    /// their own are as busy as the busiest of them, and servers that were assigned fewer share those.
    fn busy(&self, work: &Work<'_>) -> f64 {
        let busiest = work.each().chain(work.read_from()).fold(0.0, f64::max);
        let processes = work.each().count() + work.replicas.len();
        match self.servers {
            Some(cpus) if cpus < processes => (work.all() / cpus as f64).max(busiest),
            _ => busiest,
        }
    }

    /// What a cell of so many threads ran into, by the CPUs' worth of work of its clients and of all its servers.
    pub(super) fn limit(&self, threads: usize, clients: f64, work: &Work<'_>) -> Option<Limit> {
        let there = self.clients? as f64;
        // A thread alone is on one CPU at a time, however many there are.
        let busy = clients > there.min(threads as f64) * SATURATED;
        match (busy, self.busy(work) > SATURATED) {
            (true, true) => Some(Limit::Both),
            (true, false) => Some(Limit::Clients),
            (false, true) => Some(Limit::Server),
            (false, false) => {
                (self.are_shared && clients + work.all() > there * SATURATED).then_some(Limit::SharedCpus)
            }
        }
    }
}

/// The CPUs' worth of work that the servers of a cell did.
pub(super) struct Work<'a> {
    /// That of all primaries.
    pub(super) primaries: f64,
    /// Each primary's; empty if there is one server.
    pub(super) nodes: &'a [Node],
    pub(super) replicas: &'a [Node],
}

impl Work<'_> {
    fn all(&self) -> f64 {
        self.primaries + self.replicas.iter().map(|replica| replica.cpus).sum::<f64>()
    }

    /// Each primary's.
    fn each(&self) -> impl Iterator<Item = f64> {
        let one = (self.nodes.len() < 2).then_some(self.primaries);
        let nodes = self.nodes.iter().filter(move |_| one.is_none());
        one.into_iter().chain(nodes.map(|node| node.cpus))
    }

    /// That of the replicas that are read from: they execute more than their primaries do. Nobody waits for another one.
    fn read_from(&self) -> impl Iterator<Item = f64> {
        let most = self.nodes.iter().map(|node| node.calls_per_s).fold(0.0, f64::max) * READ;
        self.replicas.iter().filter(move |replica| replica.calls_per_s > most).map(|replica| replica.cpus)
    }
}

/// A replica that executes so many times as much as the busiest primary is read from.
const READ: f64 = 1.1;

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(placement: &str, clients: &str, private: &str) -> Cpus {
        let mut machine = Machine::default();
        let facts = [("placement", placement), ("cpus_of_clients", clients), ("server_is_private", private)];
        facts.iter().for_each(|(fact, value)| machine.add(fact, *value));
        Cpus::of(&machine)
    }

    fn alone(primaries: f64) -> Work<'static> {
        Work { primaries, nodes: &[], replicas: &[] }
    }

    #[test]
    fn the_limit_is_who_had_no_cpu_time_left() {
        let apart = cpus("server=1,client=0", "0", "yes");
        assert_eq!(apart.limit(16, 0.95, &alone(0.5)), Some(Limit::Clients));
        assert_eq!(apart.limit(16, 0.5, &alone(0.95)), Some(Limit::Server));
        assert_eq!(apart.limit(16, 0.95, &alone(0.95)), Some(Limit::Both));
        assert_eq!(apart.limit(16, 0.6, &alone(0.6)), None, "a round trip is mostly waiting");
        let many = cpus("server=4,client=0+1+2+3", "0+1+2+3", "yes");
        assert_eq!(many.limit(1, 0.95, &alone(0.5)), Some(Limit::Clients), "one thread is never on two CPUs");
        assert_eq!(many.limit(16, 0.95, &alone(0.5)), None);
    }

    #[test]
    fn several_nodes_are_as_busy_as_the_busiest_unless_they_share_a_cpu() {
        let nodes = [0.33, 0.34, 0.32].map(|cpus| Node { cpus, ..Node::default() });
        assert_eq!(
            cpus("server=1,client=0", "0", "yes").busy(&Work { nodes: &nodes, ..alone(0.99) }),
            0.99,
            "three nodes on one CPU"
        );
        assert_eq!(cpus("none", "0+1", "no").busy(&Work { nodes: &nodes, ..alone(0.99) }), 0.34, "each where it is");
        assert_eq!(
            cpus("server=1+2+3,client=0", "0", "yes").busy(&Work { nodes: &nodes, ..alone(0.99) }),
            0.34,
            "a CPU for each"
        );
        assert_eq!(cpus("none", "0+1", "no").busy(&alone(0.97)), 0.97, "one server");
    }

    #[test]
    fn a_replica_takes_cpu_time_from_its_primary_where_they_share_a_cpu() {
        let replicas = [Node { cpus: 0.4, ..Node::default() }];
        let work = Work { replicas: &replicas, ..alone(0.6) };
        assert_eq!(cpus("server=1,client=0", "0", "yes").limit(4, 0.5, &work), Some(Limit::Server));
        assert_eq!(cpus("server=1+2,client=0", "0", "yes").limit(4, 0.5, &work), None, "a CPU for each");
        let busy = [Node { cpus: 0.95, calls_per_s: 1.0, ..Node::default() }];
        assert_eq!(
            cpus("none", "0+1", "no").limit(4, 0.5, &Work { replicas: &busy, ..alone(0.2) }),
            Some(Limit::Server),
            "it is read from"
        );
        let nodes = [Node { calls_per_s: 1.0, ..Node::default() }];
        let copied = Work { nodes: &nodes, replicas: &busy, ..alone(0.2) };
        assert_eq!(cpus("none", "0+1", "no").limit(4, 0.5, &copied), None, "nobody waits for it");
    }

    #[test]
    fn cpus_that_are_shared_are_full_together() {
        let shared = cpus("none", "0+1", "yes");
        assert_eq!(shared.limit(16, 1.2, &alone(0.7)), Some(Limit::SharedCpus));
        assert_eq!(shared.limit(16, 0.8, &alone(0.5)), None);
        assert_eq!(cpus("server=0,client=0", "0", "yes").limit(4, 0.5, &alone(0.45)), Some(Limit::SharedCpus));
        // A server that is somewhere else is busy with its own CPUs.
        assert_eq!(cpus("none", "0+1", "no").limit(16, 1.2, &alone(0.7)), None);
        assert_eq!(Cpus::of(&Machine::default()).limit(16, 1.2, &alone(0.7)), None, "what is not known is not said");
    }
}
