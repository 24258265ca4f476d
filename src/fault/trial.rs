//! One trial: servers, clients and fault on one clock, and the judgement.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::fault::clients::{Done, Work};
use crate::fault::crew::{Crew, Processes};
use crate::fault::losses::{acked_ns, attributed, longest_gap, lost_updates, recovery, timeline};
use crate::fault::scene::{Mark, Scene};
use crate::fault::servers::{Needs, Origin, Servers, layout};
use crate::fault::witness::{Found, witness};
use crate::fault::{Cell, Load, expected};
use crate::history;
use crate::plain::one_line;
use crate::proxy::{Proxy, What};
use crate::record::Fault as FaultRow;
use crate::record::lab::{Evidence, LabRow, Moment, SKIPPED};
use crate::strategy::Strategy;
use crate::target::keyspace;
use crate::update::Event;
use crate::verdict;

/// How long clients go on after the fault is over: long enough for one to time out and reconnect elsewhere.
const AFTERMATH: Duration = Duration::from_millis(600);

/// The most rows of `faults.csv` for one trial.
const MOST_ROWS: usize = 1_000;

/// What every trial runs with.
pub struct Lab<'a> {
    /// Where its servers come from.
    pub origin: Origin,
    /// Its product and version, as rows have it.
    pub product: String,
    /// Clients of each trial.
    pub clients: u32,
    /// This program, for clients in processes of their own.
    pub report: PathBuf,
    /// Set when the run must end now.
    pub stop: &'a AtomicBool,
}

/// A trial with all its rows.
#[derive(Debug)]
pub struct Kept {
    /// Its row.
    pub row: LabRow,
    /// What happened over time.
    pub timeline: Vec<Moment>,
    /// Its witness, if it lost or doubled anything.
    pub evidence: Vec<Evidence>,
    /// What was done when.
    pub faults: Vec<FaultRow>,
}

/// The result of a race.
pub(super) struct Raced {
    pub(super) clients: Vec<Done>,
    /// How far apart their clocks may be.
    pub(super) apart_ns: u64,
    marks: Vec<Mark>,
    pub(super) found: i64,
    /// From the clients' end until the counter could be read.
    pub(super) stable: Duration,
    pub(super) faults: Vec<FaultRow>,
    commands_lost: Option<u64>,
    /// When the counter was read.
    read_ns: u64,
    /// The library's settings in effect, as it reports them.
    effective: String,
}

impl Lab<'_> {
    /// Runs trial number `trial`, in round `round`. If it cannot be measured, the note of its row says why.
    ///
    /// # Errors
    /// The run must end.
    pub fn trial(&self, cell: &Cell, trial: u32, round: u32, seed: u64) -> Result<Kept> {
        let blank = LabRow { trial, round, seed, ..self.blank(cell) };
        let raced = cell.protection.strategy().and_then(|strategy| self.race(cell, strategy, trial, seed));
        match raced {
            Ok(Ok(raced)) => Ok(judged(cell, blank, raced)),
            Ok(Err(why)) => Ok(without_figures(LabRow { note: Some(format!("{SKIPPED}{}", one_line(&why))), ..blank })),
            Err(error) if error.is_interrupt() || self.stop.load(Ordering::Relaxed) => Err(Error::interrupted()),
            Err(error) => Ok(without_figures(LabRow { note: Some(one_line(&error.to_string())), ..blank })),
        }
    }

    fn blank(&self, cell: &Cell) -> LabRow {
        let (topology, expectation) = (cell.topology(), expected(&cell.fault, &cell.protection));
        let library = cell.protection.library.as_ref();
        LabRow {
            protection: cell.protection.name.to_string(),
            family: cell.protection.family.to_owned(),
            fault: cell.fault.to_string(),
            topology,
            shards: layout(topology).shards(),
            replicas: layout(topology).replicas(),
            server: self.product.clone(),
            server_settings: cell.protection.settings(),
            clients: self.clients,
            library: library.map(|library| library.manifest.name.clone()).unwrap_or_default(),
            library_version: library.map(|library| library.manifest.version.clone()).unwrap_or_default(),
            library_settings: library.map(|library| library.settings.clone()).unwrap_or_default(),
            expected_lost: expectation.map(|expectation| expectation.lost),
            expected_doubled: expectation.map(|expectation| expectation.doubled),
            expected_why: expectation.map(|expectation| expectation.why.to_owned()).unwrap_or_default(),
            ..LabRow::blank()
        }
    }

    /// The clients, connected.
    fn crew(&self, cell: &Cell, strategy: &dyn Strategy, servers: &Servers, key: &str, seed: u64) -> Result<Crew> {
        let (server, clients) = (servers.current(), self.clients as usize);
        if !cell.in_processes() {
            return strategy.open(server, clients).map(|updaters| Crew::Threads(updaters, Arc::default()));
        }
        let from = Processes { library: cell.protection.library.as_deref(), report: &self.report, seed };
        let info = strategy.info();
        Crew::start(&from, server, (info.name, info.batch), key, clients, self.stop)
    }

    /// The inner error says why these servers cannot run it.
    pub(super) fn race(
        &self,
        cell: &Cell,
        strategy: &dyn Strategy,
        trial: u32,
        seed: u64,
    ) -> Result<Result<Raced, String>> {
        if let Some(why) = cell.impossible() {
            return Ok(Err(why));
        }
        // A client that reconnects after an error is opened anew.
        if strategy.info().locks_in_memory && !cell.fault.is_none() {
            let why = "its clients share an in-memory lock, and a client that reconnects would get its own";
            return Ok(Err(why.to_owned()));
        }
        let servers = Servers::start(&self.origin, &needs(cell, seed))?;
        // We start the replica, so the target, which is one node, does not know of it.
        if !cell.protection.needs_replica
            && let Some(why) = strategy.unavailable(servers.current())?
        {
            return Ok(Err(why));
        }
        let key = keyspace::counter(servers.current().prefix(), seed as u32, 0);
        let raced = self.race_on(&servers, cell, strategy, &key, (trial, seed));
        // However it ended, nothing of ours stays on a server that is not ours.
        let left = servers.leave(strategy, &key);
        raced.and_then(|raced| left.map(|()| Ok(raced)))
    }

    fn race_on(
        &self,
        servers: &Servers,
        cell: &Cell,
        strategy: &dyn Strategy,
        key: &str,
        (trial, seed): (u32, u64),
    ) -> Result<Raced> {
        let server = servers.current();
        server.connect().and_then(|mut db| strategy.reset(&mut db, key).map_err(|e| server.refuses(&e)))?;
        let crew = self.crew(cell, strategy, servers, key, seed)?;
        let (acked, effective) = (crew.acked(), crew.effective());
        let is_over = AtomicBool::new(false);
        let scene = Scene {
            servers,
            chosen: cell.fault,
            key,
            zero: Instant::now(),
            acked: &acked,
            killer: crew.killer(),
            stop: self.stop,
            marks: Mutex::default(),
        };
        let fault = cell.fault.fault;
        fault.prepare(&scene)?;
        let work = Work {
            strategy,
            servers,
            key,
            load: fault.info().load,
            zero: scene.zero,
            is_over: &is_over,
            stop: self.stop,
            clients: self.clients as usize,
        };
        let (struck, clients) = std::thread::scope(|scope| {
            let race = scope.spawn(|| crew.race(&work, cell));
            let struck = fault.strike(&scene).and_then(|()| scene.wait(AFTERMATH));
            is_over.store(true, Ordering::Relaxed);
            (struck, race.join().unwrap_or_else(|_| Err(Error::broken("the clients' thread panicked"))))
        });
        let ended = Instant::now();
        fault.heal(&scene)?;
        struck?;
        let (clients, apart_ns) = clients?;
        if cell.in_processes() && fault.info().load == Load::UntilOver {
            outlast(&clients, &scene)?;
        }
        servers.settle(key, self.stop)?;
        let found = read_back(strategy, servers, key)?;
        let stable = ended.elapsed();
        let mut marks = scene.marks.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (faults, commands_lost) = done_by_proxies(servers, scene.zero, trial, &mut marks);
        let read_ns = scene.zero.elapsed().as_nanos() as u64;
        Ok(Raced { clients, apart_ns, marks, found, stable, faults, commands_lost, read_ns, effective })
    }
}

fn without_figures(row: LabRow) -> Kept {
    Kept { row, timeline: Vec::new(), evidence: Vec::new(), faults: Vec::new() }
}

fn needs(cell: &Cell, seed: u64) -> Needs {
    let info = cell.fault.fault.info();
    let words = cell.protection.settings.iter().flat_map(|(name, value)| {
        // Each word of a value is an argument of its own.
        std::iter::once(format!("--{name}")).chain(value.split(' ').map(str::to_owned))
    });
    Needs {
        topology: cell.topology(),
        // A client library knows one address, behind which the primary may change.
        proxies_clients: info.proxies_clients
            || (cell.protection.library.is_some() && cell.topology() == Topology::Replicated && !cell.fault.is_none()),
        proxies_replica: info.proxies_replica,
        settings: words.collect(),
        seed,
    }
}

/// Clients in processes end by their own clocks: if that was before the fault was over, the trial shows nothing.
fn outlast(clients: &[Done], scene: &Scene<'_>) -> Result<()> {
    let all_wait = clients.iter().all(|client| client.is_waiting);
    let racing = clients.iter().filter(|client| all_wait || !client.is_waiting);
    let end_ns = racing.map(|client| client.log.end_ns).max().unwrap_or(0);
    let marks = scene.marks.lock().unwrap_or_else(PoisonError::into_inner);
    match window(&marks) {
        Some((_, over_ns)) if over_ns > end_ns => Err(Error::broken("the clients ended before the fault was over")),
        _ => Ok(()),
    }
}

/// The counter, over a new connection to whatever is the primary now.
fn read_back(strategy: &dyn Strategy, servers: &Servers, key: &str) -> Result<i64> {
    let server = servers.current();
    let mut db = server.connect()?;
    strategy.found(&mut db, key).map_err(|e| server.refuses(&e))
}

/// The rows of `faults.csv` from the fault and the proxies, in the order of time. Commands that a proxy lost are the
/// fault's own doing: if it records nothing else, they bound its window.
fn done_by_proxies(
    servers: &Servers,
    zero: Instant,
    trial: u32,
    marks: &mut Vec<Mark>,
) -> (Vec<FaultRow>, Option<u64>) {
    let mut rows: Vec<FaultRow> = Vec::new();
    let [front, link] = [servers.front(), servers.link()].map(|proxy| proxy.ok().map(Proxy::events));
    for event in front.iter().chain(&link).flatten() {
        let (connection, command) = (event.connection, event.command);
        let name = Some(event.name.clone()).filter(|name| !name.is_empty());
        rows.push(FaultRow {
            trial,
            at_ns: event.since_ns(zero),
            connection,
            command,
            name,
            what: event.what.to_string(),
        });
    }
    let is_lost = |what: &What| matches!(what, What::Lost(..));
    let lost = front.map(|events| events.into_iter().filter(|event| is_lost(&event.what)).collect::<Vec<_>>());
    if let (Some(lost), true) = (&lost, marks.is_empty()) {
        for event in lost.first().into_iter().chain(lost.last()) {
            let at_ns = u64::try_from(event.since_ns(zero)).unwrap_or(0);
            marks.push(Mark { at_ns, what: event.what.to_string(), is_within: true });
        }
    } else {
        rows.extend(marks.iter().map(|mark| FaultRow {
            trial,
            at_ns: i64::try_from(mark.at_ns).unwrap_or(i64::MAX),
            connection: None,
            command: None,
            name: None,
            what: mark.what.clone(),
        }));
    }
    rows.sort_by_key(|row| row.at_ns);
    rows.truncate(MOST_ROWS);
    (rows, lost.map(|lost| lost.len() as u64))
}

/// The time from the first to the last thing that the fault did.
fn window(marks: &[Mark]) -> Option<(u64, u64)> {
    let within = || marks.iter().filter(|mark| mark.is_within).map(|mark| mark.at_ns);
    Some((within().min()?, within().max()?))
}

fn judged(cell: &Cell, blank: LabRow, raced: Raced) -> Kept {
    let trial = blank.trial;
    let lanes: Vec<&[Event]> = raced.clients.iter().map(|client| client.log.events.as_slice()).collect();
    let judgement = history::check_apart(&lanes, &[raced.found], raced.apart_ns);
    let (ledger, window) = (&judgement.ledger, window(&raced.marks));
    let begin_ns = raced.clients.iter().map(|client| client.log.start_ns).min().unwrap_or(0);
    let end_ns = raced.clients.iter().map(|client| client.log.end_ns).max().unwrap_or(0);
    let (acked, span) = (acked_ns(&lanes), (begin_ns, end_ns));
    let lost = lost_updates(&lanes, raced.found);
    // If the two counts differ, some update was told no value or an impossible one, and no loss is attributed.
    let placed = lost.as_ref().filter(|lost| lost.len() as u64 == ledger.lost);
    let parts = placed.map(|lost| attributed(lost, window));
    let gap = longest_gap(&acked, span, None);
    let trouble = raced.clients.iter().find_map(|client| client.log.trouble.as_deref());
    let lost = lost.unwrap_or_default();
    let row = LabRow {
        attempted: Some(ledger.attempted),
        acked: Some(ledger.acked),
        refused: Some(ledger.refused),
        unknown: Some(ledger.unknown),
        found: Some(ledger.found),
        lost: Some(ledger.lost),
        lost_before: parts.map(|(before, ..)| before),
        lost_during: parts.map(|(_, during, _)| during),
        lost_after: parts.map(|(.., after)| after),
        doubled: Some(ledger.doubled),
        repeated: Some(ledger.repeated),
        verdict: Some(verdict::judge(ledger)),
        predicted_lost: window
            .filter(|_| cell.is_modelled())
            .and_then(|window| cell.fault.fault.predicts(&cell.fault, window, &acked)),
        commands_lost: raced.commands_lost,
        reconnects: raced.clients.iter().map(|client| client.reconnects).sum(),
        library_effective: raced.effective,
        span_ns: Some(end_ns - begin_ns),
        fault_begin_ns: window.map(|window| window.0),
        fault_end_ns: window.map(|window| window.1),
        downtime_ns: Some(gap.1 - gap.0),
        recover_ns: window.and_then(|window| recovery(&acked, span, window)),
        stable_ns: Some(raced.stable.as_nanos() as u64),
        error: trouble.map(one_line),
        ..blank
    };
    let (marks, doubled) = (raced.marks.as_slice(), ledger.doubled);
    let (found, read_ns) = (raced.found, raced.read_ns);
    let evidence = witness(&Found { trial, clients: &lanes, lost: &lost, marks, doubled, found, read_ns });
    let timeline = timeline(trial, &lanes, &lost, end_ns);
    Kept { row, timeline, evidence, faults: raced.faults }
}
