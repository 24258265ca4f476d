//! All clients of one library: spread over its processes, started together, their rows collected and converted to one
//! clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::update::Event;

use super::fault::Fault;
use super::install::Installed;
use super::manifest::Settings;
use super::message::{Answer, Flush, Go, Job, Order, Rate, Ready};
use super::process::{Killer, Process, Wait, parse};
use super::rows::{Lane, Rows, Tie};

/// How many pings measure a clock's offset: the fastest one counts.
const PINGS: u32 = 9;

/// How long after `go` is sent all clients start, so that every process has read it by then.
const LEAD: Duration = Duration::from_millis(20);

/// How long to wait for a worker.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it is ready: a runtime starts, and every client connects.
    pub ready: Duration,
    /// After a race should have ended by its own duration, or after the last row if that is later.
    pub after_end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { ready: Duration::from_secs(60), after_end: Duration::from_secs(30) }
    }
}

/// What one client did.
#[derive(Debug, Clone, Default)]
pub struct ClientRows {
    /// An event for every update, in order; times are since the race's zero.
    pub events: Vec<Event>,
    /// Whether its process ended or fell silent during the race: one more batch may have been in flight.
    pub is_cut_off: bool,
    /// Whether its process fell silent, and may still be waiting for a reply.
    pub is_silent: bool,
}

/// What all clients did in one race.
#[derive(Debug)]
pub struct Race {
    /// The clients, in order of their numbers.
    pub clients: Vec<ClientRows>,
    /// The instant that all times are counted from.
    pub zero: Instant,
    /// When all were to start, in nanoseconds since the race's zero.
    pub start_ns: u64,
    /// By how much the workers' times may be wrong against ours.
    pub uncertainty_ns: u64,
    /// How far the times of two workers may be apart: each may be wrong against ours, either way; 0 for a single process.
    pub apart_ns: u64,
    /// The first error that a client met.
    pub error: Option<String>,
    /// CPU time of the processes, in nanoseconds; `None` if this system does not report it.
    pub cpu_ns: Option<u64>,
    /// The worst of what went wrong with the workers; the rows are those that they had sent by then.
    pub fault: Option<Fault>,
}

/// When clients update, and when their rows are written.
#[derive(Debug, Clone, Copy)]
pub struct WorkerPace {
    /// The schedule, in an open loop.
    pub rate: Option<Rate>,
    /// How long a client waits after an update that was not acknowledged.
    pub pause: Duration,
    /// When rows are written.
    pub flush: Flush,
}

impl WorkerPace {
    /// A closed loop, with rows in blocks.
    pub const CLOSED: Self = Self { rate: None, pause: Duration::ZERO, flush: Flush::Block };
}

/// Worker processes, connected and ready to race.
pub struct Workers {
    members: Vec<Member>,
    ready: Ready,
    keys: usize,
    /// Whether the library sends updates again by itself.
    resends: bool,
    epoch: Instant,
    patience: Patience,
    acked: Arc<AtomicU64>,
}

struct Member {
    process: Process,
    clients: std::ops::Range<usize>,
    tie: Tie,
}

impl Workers {
    /// Starts the processes of `clients` clients, and waits until all are connected.
    ///
    /// # Errors
    /// A worker does not start, says that it cannot, is not the library or version that its manifest says, or hangs.
    pub fn open(
        installed: &Installed,
        job: &Job,
        clients: usize,
        patience: Patience,
        stop: &AtomicBool,
    ) -> Result<Self, Fault> {
        let each = installed.manifest.clients_per_process.unwrap_or(clients).clamp(1, clients.max(1));
        let mut members = Vec::new();
        // All are started before the first is waited for.
        for first in (0..clients).step_by(each) {
            let range = first..(first + each).min(clients);
            let mut process = Process::start(installed)?;
            let sequences = job.sequences.get(range.clone()).map(<[_]>::to_vec).unwrap_or_default();
            let job = Job { clients: range.clone().collect(), sequences, ..job.clone() };
            process.tell(&Order::Job(&job))?;
            members.push(Member { process, clients: range, tie: Tie::default() });
        }
        let mut workers = Self {
            members,
            ready: Ready::default(),
            keys: job.keys.len(),
            resends: installed.manifest.settings.get(&job.settings).is_some_and(Settings::resends),
            epoch: Instant::now(),
            patience,
            acked: Arc::default(),
        };
        let wait = Wait::of(patience.ready, stop);
        for member in &mut workers.members {
            match member.process.answer("sign that it is ready", wait)? {
                Answer::Ready { ready } => workers.ready = ready,
                _ => return Err(Fault::Garbage("another message before it is ready".to_owned())),
            }
        }
        let (said, wanted) = (&workers.ready, &installed.manifest);
        if said.library != wanted.name {
            let (theirs, ours) = (&said.library, &wanted.name);
            return Err(Fault::Lie(format!("it is library {theirs}, where its manifest says {ours}")));
        }
        if said.version != wanted.version {
            let (theirs, ours) = (&said.version, &wanted.version);
            return Err(Fault::Lie(format!("it is version {theirs}, but its manifest says {ours}")));
        }
        if !(1..=10_000).contains(&said.batch) {
            return Err(Fault::Garbage(format!("a batch of {}", said.batch)));
        }
        Ok(workers)
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.members.len()
    }

    /// How many updates are acknowledged by the rows that have arrived; also readable during a race.
    pub fn acked(&self) -> Arc<AtomicU64> {
        self.acked.clone()
    }

    /// A handle that kills the first process, for another thread during a race.
    pub fn killer(&self) -> Option<Killer> {
        self.members.first().and_then(|member| member.process.killer())
    }

    /// Tells the processes to exit normally, and kills those that have not after `patience`.
    pub fn end(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        self.members.iter_mut().for_each(|member| member.process.close());
        self.members.iter_mut().for_each(|member| member.process.await_end(until));
    }

    /// CPU time of all processes so far.
    fn cpu_ns(&self) -> Option<u64> {
        self.members.iter().map(|member| member.process.cpu_ns()).sum()
    }

    /// What the worker says about itself.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Races, and gathers the rows. `updates` says how many each client makes at most; none begins `duration` after the
    /// start.
    ///
    /// # Errors
    /// A clock's offset cannot be measured, or the race cannot be started. What goes wrong later is in the [`Race`].
    pub fn race(
        &mut self,
        updates: &[u64],
        duration: Duration,
        pace: WorkerPace,
        stop: &AtomicBool,
    ) -> Result<Race, Fault> {
        let epoch = self.epoch;
        for member in &mut self.members {
            member.tie = tie(&mut member.process, epoch, Wait::of(self.patience.ready, stop))?;
        }
        let zero_ns = epoch.elapsed().as_nanos() as u64;
        let start_ns = zero_ns + LEAD.as_nanos() as u64;
        let cpu_before_ns = self.cpu_ns();
        let WorkerPace { rate, pause, flush } = pace;
        let pause_ns = pause.as_nanos().min(1 << 47) as u64;
        let duration_ns = duration.as_nanos().min(1 << 47) as u64;
        for member in &mut self.members {
            let start_ns = (i128::from(start_ns) + member.tie.offset_ns).max(0) as u64;
            let updates = updates.get(member.clients.clone()).map(<[_]>::to_vec).unwrap_or_default();
            member.process.tell(&Order::Go(&Go { start_ns, duration_ns, updates, rate, pause_ns, flush }))?;
        }
        let after_end = self.patience.after_end;
        let wait = Wait::of(LEAD + duration + after_end, stop);
        let uncertainty_ns = self.members.iter().map(|member| member.tie.uncertainty_ns).max().unwrap_or(0);
        let (keys, resends, acked) = (self.keys, self.resends, &*self.acked);
        let lane = |client| Lane { events: Vec::new(), most: updates.get(client).copied().unwrap_or(0) };
        let blank = |member: &Member| Rows {
            first_client: member.clients.start,
            lanes: member.clients.clone().map(lane).collect(),
            keys,
            resends,
            tie: member.tie,
            zero_ns,
            start_ns,
            has_header: false,
            count: 0,
            acked: 0,
        };
        let gathered: Vec<Gathered> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .members
                .iter_mut()
                .map(|member| (blank(member), &mut member.process))
                .map(|(rows, process)| scope.spawn(move || gather(process, rows, acked, epoch, (wait, after_end))))
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let cpu_ns = self.cpu_ns().zip(cpu_before_ns).map(|(now, then)| now.saturating_sub(then));
        let start_ns = start_ns - zero_ns;
        let zero = epoch + Duration::from_nanos(zero_ns);
        let apart_ns = if self.processes() > 1 { 2 * uncertainty_ns } else { 0 };
        let clients = Vec::new();
        let mut race = Race { clients, zero, start_ns, uncertainty_ns, apart_ns, error: None, cpu_ns, fault: None };
        for (lanes, error, fault) in gathered {
            let (is_cut_off, is_silent) = (fault.is_some(), matches!(fault, Some(Fault::Silent { .. })));
            let rows = |lane: Lane| ClientRows { events: lane.events, is_cut_off, is_silent };
            race.clients.extend(lanes.into_iter().map(rows));
            race.error = race.error.or(error);
            race.fault = [race.fault, fault].into_iter().flatten().max_by_key(Fault::severity);
        }
        Ok(race)
    }
}

type Gathered = (Vec<Lane>, Option<String>, Option<Fault>);

/// Reads one process's rows until it says that it is done.
fn gather(
    process: &mut Process,
    mut rows: Rows,
    total: &AtomicU64,
    epoch: Instant,
    (mut wait, after_end): (Wait<'_>, Duration),
) -> Gathered {
    let mut error = None;
    let mut read = || -> Result<(), Fault> {
        loop {
            let block = process.block("end of the race", wait)?;
            let (rows_before, acked_before) = (rows.count, rows.acked);
            let now_ns = epoch.elapsed().as_nanos() as u64;
            for line in block.split(|&b| b == b'\n') {
                if !line.starts_with(b"{") {
                    rows.take(line, now_ns)?;
                    continue;
                }
                let Answer::Done { done } = parse(line)? else {
                    return Err(Fault::Garbage("an unexpected message during the race".to_owned()));
                };
                error = done.error.clone().map(|error| error.chars().filter(|c| !c.is_control()).take(300).collect());
                return rows.agrees(&done);
            }
            total.fetch_add(rows.acked - acked_before, Ordering::Relaxed);
            // Rows cannot go on forever: each client was told how many updates to make.
            if rows.count > rows_before {
                wait.until = wait.until.max(Instant::now() + after_end);
            }
        }
    };
    let fault = read().err();
    (rows.lanes, error, fault)
}

/// Measures the offset of a worker's clock: the fastest of several pings tells it most exactly.
fn tie(process: &mut Process, epoch: Instant, wait: Wait<'_>) -> Result<Tie, Fault> {
    let mut best: Option<Tie> = None;
    for number in 0..PINGS {
        let sent = epoch.elapsed().as_nanos() as u64;
        process.tell(&Order::Ping(number))?;
        let answer = process.answer("answer to a ping", wait)?;
        let received = epoch.elapsed().as_nanos() as u64;
        let Answer::Pong { pong, now_ns } = answer else {
            return Err(Fault::Garbage("another message instead of a pong".to_owned()));
        };
        if pong != number {
            return Err(Fault::Garbage(format!("pong {pong} in answer to ping {number}")));
        }
        let uncertainty_ns = (received - sent).div_ceil(2);
        if best.is_none_or(|best| uncertainty_ns < best.uncertainty_ns) {
            best =
                Some(Tie { offset_ns: i128::from(now_ns) - i128::from(sent + (received - sent) / 2), uncertainty_ns });
        }
    }
    best.ok_or_else(|| Fault::Garbage("no pong".to_owned()))
}
