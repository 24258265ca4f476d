//! A fault as one more dimension of an ordinary run: the same strategies and loads, with and without it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::condition::{Condition, Topology, Transport};
use crate::driver::Library;
use crate::error::Result;
use crate::fault::servers::layout;
use crate::fault::{Cell, Chosen, Lab, Origin, Protection, expected};
use crate::history;
use crate::race::RaceLog;
use crate::record::lab::Expected;
use crate::strategy::Strategy;
use crate::target::Target;
use crate::trial::{Breaker, Trial};
use crate::update::Event;
use crate::verdict::{Promise, judge};
use crate::workload::Workload;

/// A fault, applied to every strategy of a run under every load.
///
/// On a server of ours, each trial has private servers of its own, arranged as the fault needs them. On a server that
/// is not ours only those faults are possible that a proxy in front of the clients makes.
pub struct Dimension {
    chosen: Chosen,
    /// This program, for clients in processes of their own.
    report: PathBuf,
}

impl Dimension {
    /// This fault; `report` is this program.
    pub fn new(chosen: Chosen, report: PathBuf) -> Self {
        Self { chosen, report }
    }

    /// Why this fault cannot be made on such a server, if it cannot.
    pub fn refuses(&self, server: &Target) -> Option<String> {
        let (fault, info) = (&self.chosen, self.chosen.fault.info());
        if server.topology() != Topology::Single || server.is_tls() {
            return Some(self.is_alone());
        }
        // Such a fault acts only in the proxy.
        (server.child().is_none() && !info.proxies_clients).then(|| {
            format!("fault {fault} is made on private servers only: leave out --redis-url (and REDIS_URL) and --docker")
        })
    }

    /// Why it is refused on several servers, or over TLS.
    pub fn is_alone(&self) -> String {
        format!(
            "fault {}: it is supported on one server without TLS, and on private servers that it starts itself: leave out \
             --topology, --shards and --replicas, and do not give the URL of a cluster, of Sentinels or of a TLS server",
            self.chosen
        )
    }

    /// What it does, and what it is not.
    pub fn about(&self) -> String {
        self.chosen.fault.info().what()
    }

    /// About how long a trial takes.
    pub fn takes(&self) -> Duration {
        self.cell("incr").takes()
    }

    fn cell(&self, strategy: &str) -> Cell {
        Cell { protection: Protection::of_strategy(strategy), fault: self.chosen }
    }
}

impl Breaker for Dimension {
    fn fault(&self) -> String {
        self.chosen.to_string()
    }

    fn condition(&self, healthy: Condition) -> Condition {
        let topology = self.cell(&healthy.strategy).topology();
        let servers = layout(topology);
        Condition {
            fault: self.fault(),
            topology,
            shards: servers.shards(),
            replicas: servers.replicas(),
            // The lab's clients reach its servers over TCP.
            transport: Transport::Tcp,
            ..healthy
        }
    }

    fn promise(&self, strategy: &dyn Strategy) -> Promise {
        let info = strategy.info();
        let expectation = expected(&self.chosen, &self.cell(info.name).protection);
        let is_kept = expectation.is_none_or(|is| is.lost == Expected::Never && is.doubled == Expected::Never);
        if is_kept { info.promise } else { Promise::Lossy }
    }

    fn trial(
        &self,
        server: &Target,
        strategy: &dyn Strategy,
        load: &Workload,
        (trial, seed): (u32, u64),
        stop: &AtomicBool,
    ) -> Result<std::result::Result<Trial, String>> {
        let origin = match server.child() {
            Some(child) => Origin::Program(child.program().to_owned()),
            None => Origin::Given(Box::new(server.clone())),
        };
        let clients = load.threads as u32;
        let lab = Lab { origin, product: server.product().to_owned(), clients, report: self.report.clone(), stop };
        let raced = match lab.race(&self.cell(strategy.info().name), strategy, trial, seed)? {
            Ok(raced) => raced,
            Err(why) => return Ok(Err(why)),
        };
        let log = RaceLog { clients: raced.clients.into_iter().map(|client| client.log).collect() };
        let lanes: Vec<&[Event]> = log.clients.iter().map(|client| client.events.as_slice()).collect();
        let judgement = history::check_apart(&lanes, &[raced.found], raced.apart_ns);
        Ok(Ok(Trial {
            verdict: judge(&judgement.ledger),
            judgement,
            apart_ns: raced.apart_ns,
            found: vec![raced.found],
            waited: raced.stable,
            // The servers are gone, or were started again meanwhile.
            spent: None,
            nodes: Vec::new(),
            replicas: Vec::new(),
            redirects: None,
            applied: None,
            schedule: None,
            library: Library::built_in(),
            process: None,
            faults: raced.faults,
            log,
        }))
    }
}
