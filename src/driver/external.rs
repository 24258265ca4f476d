//! Worker processes of a client library in any language. They are told what to do over pipes, and judged by the rows
//! they send back (`docs/libraries.md`).
//!
//! Clients connect before the first race, which is never judged. The overhead of the worker and the protocol is
//! measured with clients of the same worker that send nothing.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::condition::Topology;
use crate::driver::{Clients, Driver, Library, Process};
use crate::error::{Error, Result};
use crate::pace::Schedule;
use crate::race::{ClientLog, Limits, RaceLog, Work};
use crate::strategy::Strategy;
use crate::target::Target;
use crate::update::{Event, Outcome};
use crate::worker::{Fault, Flush, Installed, Job, Manifest, Patience, Race, Rate, Unavailable, WorkerPace, Workers};
use crate::workload::{DriverKind, Workload};

/// The strategy whose clients send nothing; every worker loop of this crate has it.
const NO_OP: &str = "no-op";

/// How long its two races last: one to warm up the runtime, then one that is measured.
const NO_OP_TIMES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

/// The most updates that its clients make in all, however fast they are.
const MOST_NO_OPS: u64 = 4_000_000;

/// How long a client waits after an update that was not acknowledged. Otherwise updates that fail at once would fill
/// the trial.
const PAUSE: Duration = Duration::from_millis(1);

/// How long to wait for a worker: until it is ready, and after the end of a race or its last row.
const PATIENCE: Patience = Patience { ready: Duration::from_secs(60), after_end: Duration::from_secs(10) };

/// Updates per second of clients that send nothing, by the number of clients.
type NoOps = Arc<Mutex<BTreeMap<usize, Option<u64>>>>;

/// A client library with one of its settings, or the reason why it is unavailable here.
pub struct External {
    manifest: Manifest,
    settings: String,
    found: std::result::Result<Installed, Unavailable>,
    no_ops: NoOps,
}

impl External {
    /// The library of this manifest as it was found.
    pub fn new(manifest: Manifest, settings: &str, found: std::result::Result<Installed, Unavailable>) -> Self {
        Self { manifest, settings: settings.to_owned(), found, no_ops: NoOps::default() }
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl Driver for External {
    fn kind(&self) -> DriverKind {
        DriverKind::External
    }

    fn library(&self) -> Library {
        let Manifest { name, version, .. } = self.manifest.clone();
        Library { name, version, settings: self.settings.clone() }
    }

    fn refuses(&self, server: &Target, strategy: &dyn Strategy) -> Option<String> {
        let Manifest { name, strategies, settings, cluster, .. } = &self.manifest;
        let wanted = strategy.info().name;
        let list = |names: Vec<&str>| names.join(", ");
        if let Err(why) = &self.found {
            return Some(format!("library {name}: {why}"));
        }
        if !strategies.iter().any(|known| known == wanted) {
            let known = strategies.iter().map(String::as_str).filter(|&known| known != NO_OP).collect();
            return Some(format!("library {name} has no strategy {wanted}: it has {}", list(known)));
        }
        if !settings.contains_key(&self.settings) {
            let known = list(settings.keys().map(String::as_str).collect());
            return Some(format!("library {name} has no settings {}: it has {known}", self.settings));
        }
        match (cluster, server.topology() == Topology::Cluster, server.is_tls()) {
            (_, _, true) => Some("the worker protocol has no TLS: give a server without".to_owned()),
            (true, false, _) => Some(format!("library {name} speaks to a cluster only: give --topology cluster")),
            (false, true, _) => Some(format!("library {name} does not speak to a cluster")),
            _ => None,
        }
    }

    fn parameters(&self, strategy: &dyn Strategy) -> String {
        strategy.parameters()
    }

    fn counted_by(&self, strategy: &dyn Strategy) -> &'static [&'static str] {
        match strategy.info().counted_by {
            // A library's `incr` may send INCRBY with an amount of one.
            ["incr"] => &["incr", "incrby"],
            counted => counted,
        }
    }

    fn check_room(&self, server: &Target, _strategies: &[&dyn Strategy], clients: usize) -> Result<()> {
        server.has_room_for(clients)
    }

    fn open(&self, server: &Target, strategy: &dyn Strategy, workload: &Workload) -> Result<Box<dyn Clients>> {
        let installed = self.found.clone().map_err(|why| self.failed(&why))?;
        let batch = strategy.info().batch;
        let mut job = Job::one_key(&server.secret_url(), strategy.info().name, &self.settings, "");
        job.batch = batch;
        Ok(Box::new(Connected {
            library: self.manifest.name.clone(),
            has_no_op: batch == 1 && self.manifest.strategies.iter().any(|known| known == NO_OP),
            installed,
            job,
            clients: workload.threads,
            workers: None,
            no_ops: self.no_ops.clone(),
            process: Process::default(),
        }))
    }
}

impl External {
    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::broken(format!("library {}: {why}", self.manifest.name))
    }
}

/// The clients of one library.
struct Connected {
    library: String,
    has_no_op: bool,
    installed: Installed,
    job: Job,
    clients: usize,
    /// Started at the first race, when the counters are known.
    workers: Option<Workers>,
    no_ops: NoOps,
    process: Process,
}

impl Clients for Connected {
    fn race(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog> {
        let library = self.library.clone();
        let raced = self.raced(work, schedule, limits);
        raced.map_err(|fault| match fault {
            Fault::Interrupted => Error::interrupted(),
            fault => Error::broken(format!("library {library}: {fault}")),
        })
    }

    fn batch(&self) -> usize {
        self.job.batch
    }

    fn process(&self) -> Option<Process> {
        Some(self.process.clone())
    }
}

impl Connected {
    fn raced(
        &mut self,
        work: &[Work],
        schedule: Option<&Schedule>,
        limits: Limits<'_>,
    ) -> std::result::Result<RaceLog, Fault> {
        if self.workers.is_none() {
            self.start(work, limits.stop)?;
        }
        let Some(workers) = &mut self.workers else { return Err(Fault::NotStarted("it was not started".to_owned())) };
        let updates: Vec<u64> = work.iter().map(|work| work.updates).collect();
        let rate = schedule.map(|schedule| Rate { per_s: schedule.per_s(), clients: self.clients });
        let pace = WorkerPace { rate, pause: PAUSE, flush: Flush::Block };
        let mut race = workers.race(&updates, limits.deadline, pace, limits.stop)?;
        if let Some(fault) = race.fault.take() {
            // After a fault these workers cannot be used for another race.
            self.workers = None;
            return Err(fault);
        }
        self.process.clock_error_ns = race.uncertainty_ns;
        self.process.apart_ns = race.apart_ns;
        Ok(log(race, schedule))
    }

    /// Starts the workers, after measuring with clients that send nothing.
    fn start(&mut self, work: &[Work], stop: &AtomicBool) -> std::result::Result<(), Fault> {
        if let Some(first) = work.first() {
            self.job.keys = first.keys.to_vec();
        }
        self.job.sequences = work.iter().map(|work| work.sequence.to_vec()).collect();
        if self.has_no_op {
            self.process.no_op_per_s = self.no_op(stop)?;
        }
        let workers = Workers::open(&self.installed, &self.job, self.clients, PATIENCE, stop)?;
        let ready = workers.ready();
        self.process.runtime = ready.runtime.clone();
        self.process.effective = ready.effective();
        self.workers = Some(workers);
        Ok(())
    }

    /// Updates per second of the same number of clients that send nothing; measured once for each number of clients.
    fn no_op(&self, stop: &AtomicBool) -> std::result::Result<Option<u64>, Fault> {
        let mut known = self.no_ops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&rate) = known.get(&self.clients) {
            return Ok(rate);
        }
        let job = Job { strategy: NO_OP.to_owned(), ..self.job.clone() };
        let mut workers = Workers::open(&self.installed, &job, self.clients, PATIENCE, stop)?;
        let updates = vec![MOST_NO_OPS / self.clients.max(1) as u64; self.clients];
        let mut rate = None;
        for time in NO_OP_TIMES {
            let race = workers.race(&updates, time, WorkerPace::CLOSED, stop)?;
            if let Some(fault) = race.fault {
                return Err(fault);
            }
            let log = log(race, None);
            let acked: u64 = log.clients.iter().map(|client| client.events.len() as u64).sum();
            rate = (acked * 1_000_000_000).checked_div(log.span_ns());
        }
        known.insert(self.clients, rate);
        Ok(rate)
    }
}

/// The race as our own drivers log one.
fn log(race: Race, schedule: Option<&Schedule>) -> RaceLog {
    let Race { clients, start_ns, mut error, cpu_ns, .. } = race;
    let over_ns = schedule.map_or(0, |schedule| start_ns + schedule.length_ns());
    let mut log = RaceLog { clients: Vec::with_capacity(clients.len()) };
    for (client, rows) in clients.into_iter().enumerate() {
        let events = rows.events;
        let first_ns = events.first().map_or(start_ns, Event::begin_ns);
        let last_ns = events.last().map_or(start_ns, Event::end_ns);
        let is_done = schedule.is_none_or(|schedule| events.len() as u64 >= schedule.updates_of(client));
        let has_failed = |event: &Event| matches!(event.outcome(), Outcome::Refused | Outcome::Unknown);
        log.clients.push(ClientLog {
            start_ns: if schedule.is_some() { start_ns } else { first_ns },
            end_ns: if is_done { last_ns.max(over_ns) } else { last_ns },
            cpu_ns: if client == 0 { cpu_ns.unwrap_or(0) } else { 0 },
            trouble: if events.iter().any(has_failed) { error.take() } else { None },
            waits: Vec::new(), // a worker does not say how long it waited for a connection
            events,
        });
    }
    log
}
