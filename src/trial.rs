//! One measured race from opening to verdict: [`Crew`] and its [`Trial`]s, and [`measure`], which walks a whole plan.
//!
//! A crew is a set of open clients, the driver that runs them, and counters under its own random prefix. A trial resets the
//! counters, races, reads the counters back over a new connection, and judges. If the server crashed, restarted or failed
//! over during the race, the trial waits for it, so that the loss is judged instead of the race being discarded. Criterion
//! and the `report` command use the same code.

mod latency;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::condition::{Condition, NO_FAULT, entrant_name};
use crate::driver::{self, Clients, Driver, Library, Process};
use crate::error::{Error, Result};
use crate::history::{self, Judgement};
use crate::pace::Timetable;
use crate::plain::one_line;
use crate::race::{Limits, Work};
use crate::record::{Bucket, Clock, Fault, Record};
use crate::strategy::Strategy;
use crate::target::{Counts, Lease, Session, Spent, Target, keyspace};
use crate::update::Event;
use crate::verdict::{Promise, Verdict, judge};
use crate::workload::{Plan, Size, Workload};

pub use crate::race::{ClientLog, RaceLog};

/// How much longer than planned a warm-up, or the end of a timetable, may take before clients stop.
const PATIENCE: u32 = 2;

/// A trial sized by time allocates this many times the events that its warm-up predicts.
const ROOM: u64 = 3;

/// It allocates at least this many batches per client, because one starved client can make a warm-up very slow.
const AT_LEAST: u64 = 100;

/// Allocate for every update.
const ALL: u64 = u64::MAX;

/// The most updates of one trial sized by time: with its check it stays under 1 GiB, however fast the strategy is.
const MOST: u64 = 10_000_000;

/// Updates by every client that warm its connection.
const FEW: u64 = 10;

/// How long the very first warm-up may take.
const FIRST_UPDATE: Duration = Duration::from_secs(5);

/// How long to wait for a server that does not answer after a race: about what a failover or a restart takes.
pub const READ_BACK: Duration = Duration::from_secs(30);

/// How long to wait for it to remove our keys.
const CLEAN_UP: Duration = Duration::from_secs(2);

/// A strategy's clients, opened and ready to race.
pub struct Crew<'a> {
    strategy: &'a dyn Strategy,
    server: &'a Target,
    workload: Workload,
    clients: Box<dyn Clients>,
    library: Library,
    /// The commands whose every successful call adds one.
    counted_by: &'static [&'static str],
    keys: Arc<[String]>,
    sequences: Vec<Arc<[u16]>>,
    db: Session,
    lease: Lease,
    stop: &'a AtomicBool,
}

/// One race, read back and judged.
#[derive(Debug)]
pub struct Trial {
    /// What every client did.
    pub log: RaceLog,
    /// The accounts, and whether the increments are linearizable.
    pub judgement: Judgement,
    /// The verdict on them.
    pub verdict: Verdict,
    /// Each counter's gain.
    pub found: Vec<i64>,
    /// How long after the race the counters could be read.
    pub waited: Duration,
    /// What the server spent; `None` if it restarted in the meantime and counts from zero.
    pub spent: Option<Spent>,
    /// What each node of a cluster spent; empty for a single server.
    pub nodes: Vec<Spent>,
    /// How often nodes of a cluster redirected a command: MOVED and ASK.
    pub redirects: Option<(u64, u64)>,
    /// Updates by the server's own count, if a single command makes one.
    pub applied: Option<u64>,
    /// When the updates were due, in an open loop.
    pub timetable: Option<Timetable>,
    /// The client library that sent the commands.
    pub library: Library,
    /// The processes that the clients were in, if that was not this one.
    pub process: Option<Process>,
    /// What was done to the servers.
    pub faults: Vec<Fault>,
}

impl<'a> Crew<'a> {
    /// Opens the strategy's clients and what drives them. `stop` ends every race early once it is raised.
    ///
    /// # Errors
    /// A connection or a thread cannot be created, or this driver does not support the strategy.
    pub fn open(
        server: &'a Target,
        strategy: &'a dyn Strategy,
        workload: Workload,
        seed: u64,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let entrant = Entrant { strategy, driver: driver::of(workload.driver)?, breaker: None };
        Self::of(server, entrant, workload, seed, stop)
    }

    /// The same for a driver that is not in the list, such as one for a client library.
    ///
    /// # Errors
    /// As [`Crew::open`].
    pub fn of(
        server: &'a Target,
        Entrant { strategy, driver, .. }: Entrant<'a>,
        workload: Workload,
        seed: u64,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let mut db = server.reach(READ_BACK, stop)?;
        let lease = Lease::of(server);
        // Before anything of ours is on the server.
        lease.renew(&mut db, Duration::ZERO);
        let clients = driver.open(server.for_racers(), strategy, &workload)?;
        let crew = fastrand::u32(..);
        Ok(Self {
            keys: (0..workload.keys).map(|key| keyspace::counter(server.prefix(), crew, key)).collect(),
            sequences: (0..workload.threads).map(|worker| workload.key_sequence(worker, seed).into()).collect(),
            db,
            lease,
            strategy,
            server,
            workload,
            clients,
            library: driver.library(),
            counted_by: driver.counted_by(strategy),
            stop,
        })
    }

    /// Races `updates` updates by every client, but begins none once `deadline` has passed, and judges what became of them.
    ///
    /// # Errors
    /// An updater panicked, or the server does not answer before or after the race. Errors of single updates are not
    /// errors here: they are unknown outcomes in the trial.
    pub fn trial(&mut self, updates: u64, deadline: Duration) -> Result<Trial> {
        self.judged(&|_| updates, ALL, None, deadline)
    }

    /// Races by a timetable, as an open loop, and judges what became of the updates. Clients that cannot keep up continue
    /// after its end until they have sent all, or until `deadline` after its start.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub fn trial_on_schedule(&mut self, timetable: &Timetable, deadline: Duration) -> Result<Trial> {
        self.judged(&|client| timetable.updates_of(client), ALL, Some(timetable), deadline)
    }

    /// Resets, races as [`Crew::race`] does, reads back and judges.
    fn judged(
        &mut self,
        updates: &dyn Fn(usize) -> u64,
        room: u64,
        timetable: Option<&Timetable>,
        deadline: Duration,
    ) -> Result<Trial> {
        let refuses = |e: redis::RedisError| self.server.refuses(&e);
        memory::check((0..self.workload.threads).map(|client| updates(client).min(room)).sum(), self.workload.keys)?;
        self.reset(deadline)?;
        let before = Counts::read(&mut self.db).map_err(refuses)?;
        let redirects_before = self.server.redirects();
        let log = self.race(updates, room, timetable, deadline)?;
        let redirects =
            self.server.redirects().zip(redirects_before).map(|(now, then)| (now.0 - then.0, now.1 - then.1));
        let ended = Instant::now();
        std::thread::sleep(self.strategy.settles_in());
        let (after, found) = self.read_back()?;
        let waited = ended.elapsed().saturating_sub(self.strategy.settles_in());
        let spent = after.since(&before);
        let process = self.clients.process();
        let judgement = judgement(&log, &found, process.as_ref().map_or(0, |process| process.apart_ns));
        let counted_by = self.counted_by;
        Ok(Trial {
            verdict: judge(&judgement.ledger),
            judgement,
            found,
            waited,
            spent,
            nodes: after.nodes_since(&before),
            redirects,
            applied: spent.filter(|_| !counted_by.is_empty()).map(|_| after.succeeded(&before, counted_by)),
            log,
            timetable: timetable.copied(),
            library: self.library.clone(),
            process,
            faults: Vec::new(),
        })
    }

    /// Puts the counters to their start, and makes sure that they are left alone until a race's deadline.
    fn reset(&mut self, deadline: Duration) -> Result<()> {
        std::thread::sleep(self.strategy.settles_in());
        // The server may have closed an idle connection, or may have restarted.
        if redis::cmd("PING").exec(&mut self.db).is_err() {
            self.db = self.server.reach(READ_BACK, self.stop)?;
        }
        self.lease.renew(&mut self.db, deadline);
        for key in &*self.keys {
            self.strategy.reset(&mut self.db, key).map_err(|e| self.server.refuses(&e))?;
        }
        Ok(())
    }

    /// The server's counts and the counters' gains, over a new connection: whatever closed the clients' connections may
    /// have closed ours too.
    fn read_back(&mut self) -> Result<(Counts, Vec<i64>)> {
        let (strategy, keys) = (self.strategy, &self.keys);
        let (db, told) = self.server.patiently(READ_BACK, self.stop, |db| {
            let counts = Counts::read(db)?;
            let found = keys.iter().map(|key| strategy.found(db, key)).collect::<redis::RedisResult<_>>()?;
            Ok((counts, found))
        })?;
        self.db = db;
        Ok(told)
    }

    /// A race that warms connections and is not judged. The counters are reset before it, as before a trial: some strategies
    /// do another thing on a counter that was never reset.
    fn warm(&mut self, updates: u64, deadline: Duration) -> Result<RaceLog> {
        self.reset(deadline)?;
        self.race(&|_| updates, ALL, None, deadline)
    }

    /// Races `updates(client)` updates by each client, `room` of them allocated for beforehand: as fast as they are
    /// acknowledged, or by a timetable.
    fn race(
        &mut self,
        updates: &dyn Fn(usize) -> u64,
        room: u64,
        timetable: Option<&Timetable>,
        deadline: Duration,
    ) -> Result<RaceLog> {
        let work = |(client, sequence): (usize, &Arc<[u16]>)| Work {
            keys: self.keys.clone(),
            sequence: sequence.clone(),
            updates: updates(client),
            room: updates(client).min(room),
        };
        let work: Vec<Work> = self.sequences.iter().enumerate().map(work).collect();
        self.clients.race(&work, timetable, Limits { stop: self.stop, deadline }).map_err(|e| {
            Error::broken(format!("strategy {}, {} clients: {e}", self.strategy.info().name, self.workload.threads))
        })
    }

    /// Connects whatever is not connected yet, by a race with one update per client, which is not judged.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub(crate) fn warm_connections(&mut self) -> Result<()> {
        self.warm(1, FIRST_UPDATE).map(drop)
    }

    /// How many updates each client does in `target`, found by races of growing size. These are not judged: only a trial is.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub fn warm_up(&mut self, target: Duration) -> Result<u64> {
        let batch = self.clients.batch() as u64;
        let enough = (target / 10).min(Duration::from_millis(50)).as_nanos() as u64;
        let mut updates = batch;
        loop {
            let log = self.warm(updates, target * PATIENCE)?;
            let span = log.span_ns().max(1);
            if span >= enough
                || self.stop.load(Ordering::Relaxed)
                || log.clients.iter().any(|lane| lane.trouble.is_some())
            {
                let fits = (u128::from(updates) * target.as_nanos() / u128::from(span)) as u64;
                let fits = fits.min(MOST / self.workload.threads as u64);
                return Ok((fits / batch).max(1) * batch);
            }
            // Towards the size that is enough, but never more than tenfold at once: the first updates are slow ones.
            updates *= (enough / span + 1).clamp(2, 10);
        }
    }

    /// Races for `target` and judges what became of the updates, however many they are: events are allocated beforehand
    /// for more than the `fits` of each client that a [warm-up](Crew::warm_up) said would fit, and for a client that does
    /// more still as it goes.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub fn timed_trial(&mut self, fits: u64, target: Duration) -> Result<Trial> {
        let batch = self.clients.batch() as u64;
        let most = (MOST / self.workload.threads as u64 / batch).max(1) * batch;
        self.judged(&|_| most, (fits * ROOM).max(AT_LEAST * batch), None, target)
    }

    /// Measures one trial of the planned size and pace, warm-up included. A trial sized by time is time-bounded: each client stops
    /// after its current update.
    ///
    /// # Errors
    /// As [`Crew::trial`]; a usage error if there is no timetable for this size.
    pub fn sized_trial(&mut self, size: Size) -> Result<Trial> {
        if let Some(timetable) = self.workload.timetable(size)? {
            // Warms the connections; how many updates there will be, the timetable says.
            self.warm(FEW, FIRST_UPDATE)?;
            return self.trial_on_schedule(&timetable, Duration::from_nanos(timetable.length_ns()) * PATIENCE);
        }
        match size {
            Size::Updates(updates) => {
                self.warm(updates.min(FEW), FIRST_UPDATE)?;
                self.trial(updates, Duration::from_secs(600))
            }
            Size::Duration(target) => {
                let fits = self.warm_up(target)?;
                self.timed_trial(fits, target)
            }
        }
    }

    /// Removes the counters and all other keys of the strategy, over a new connection.
    ///
    /// # Errors
    /// The server does not answer or refuses; the message says what is left there, and how to remove it.
    pub fn close(self) -> Result<()> {
        let Self { strategy, server, clients, keys, lease, .. } = self;
        // What a strategy has changed on the server goes back with its clients.
        drop(clients);
        let side = keys.iter().flat_map(|key| strategy.side_keys(key));
        let names: Vec<String> = keys.iter().cloned().chain(side).collect();
        let (mut db, ()) =
            server.patiently(CLEAN_UP, &AtomicBool::new(false), |db| redis::cmd("PING").exec(db)).map_err(|e| {
                let prefix = server.prefix();
                Error::server(format!(
                    "{e}; keys {prefix}* may be left there: `report clean --redis-url URL` removes them"
                ))
            })?;
        server.remove(&mut db, &names)?;
        lease.end(&mut db);
        server.settings_left(&mut db)
    }
}

impl Trial {
    /// The row of this trial.
    pub fn record(&self, strategy: &dyn Strategy, server: &Target, workload: &Workload) -> Record {
        let ledger = &self.judgement.ledger;
        let hidden = if self.verdict == Verdict::Exact { strategy.hidden(workload) } else { None };
        let trouble = self.log.clients.iter().find_map(|lane| lane.trouble.as_deref());
        Record {
            attempted: Some(ledger.attempted),
            acked: Some(ledger.acked),
            refused: Some(ledger.refused),
            unknown: Some(ledger.unknown),
            backlog: self.backlog(),
            unsent: self.unsent(),
            tries: Some(ledger.tries),
            found: Some(ledger.found),
            lost: Some(ledger.lost),
            doubled: Some(ledger.doubled),
            phantom: Some(ledger.phantom),
            repeated: Some(ledger.repeated),
            overwritten: Some(ledger.overwritten),
            rolled_back: Some(ledger.rolled_back),
            gaps: Some(ledger.gaps),
            stale: Some(ledger.stale),
            order: Some(self.judgement.order.word().to_owned()),
            span_ns: Some(self.span_ns()),
            overlap: Some((self.log.overlap() * 1e4).round() / 1e4),
            slowest_share: Some((self.slowest_share() * 1e4).round() / 1e4),
            jain: Some((self.jain() * 1e4).round() / 1e4),
            // It may be unknown for another process.
            client_cpu_ns: Some(self.log.clients.iter().map(|lane| lane.cpu_ns).sum()).filter(|&ns: &u64| ns > 0),
            server_cpu_us: self.spent.map(|spent| spent.cpu_us),
            server_calls: self.spent.map(|spent| spent.calls),
            server_failed: self.spent.map(|spent| spent.failed),
            server_rejected: self.spent.map(|spent| spent.rejected),
            server_usec: self.spent.map(|spent| spent.usec),
            server_in_bytes: self.spent.map(|spent| spent.bytes_in),
            server_out_bytes: self.spent.map(|spent| spent.bytes_out),
            server_applied: self.applied,
            moved: self.redirects.map(|(moved, _)| moved),
            asked: self.redirects.map(|(_, asked)| asked),
            node_calls: self.each_node(|node| node.calls),
            node_cpu_us: self.each_node(|node| node.cpu_us),
            verdict: Some(self.verdict),
            note: hidden.map(str::to_owned),
            error: trouble.map(one_line),
            read_back_ms: Some(self.waited.as_millis() as u64),
            runtime: self.process.as_ref().map(|process| process.runtime.clone()),
            effective_settings: self.process.as_ref().map(|process| process.effective.clone()),
            clock_error_ns: self.process.as_ref().map(|process| process.clock_error_ns),
            no_op_per_s: self.process.as_ref().and_then(|process| process.no_op_per_s),
            ..blank(strategy, server, workload, &self.library)
        }
    }

    /// A figure of each node of a cluster, in the notation of a row.
    fn each_node(&self, figure: impl Fn(&Spent) -> u64) -> Option<String> {
        let figures: Vec<String> = self.nodes.iter().map(|node| figure(node).to_string()).collect();
        (figures.len() > 1).then(|| figures.join("+"))
    }

    /// Last end minus first start. With a timetable it is at least the timetable's length, even if all clients stopped before, so
    /// that the achieved rate never exceeds the offered one.
    fn span_ns(&self) -> u64 {
        self.log.span_ns().max(self.timetable.as_ref().map_or(0, Timetable::length_ns))
    }

    /// Jain's index of the clients' rates: 1 when all are equally fast, 1/n when one does everything.
    /// (Jain, Chiu, Hawe: A quantitative measure of fairness, DEC-TR-301, 1984.)
    fn jain(&self) -> f64 {
        let rates = self.rates();
        let (sum, squares) = rates.iter().fold((0.0, 0.0), |(sum, squares), rate| (sum + rate, squares + rate * rate));
        if squares == 0.0 { 1.0 } else { sum * sum / (rates.len() as f64 * squares) }
    }

    /// The slowest client's rate as a part of the fastest client's.
    fn slowest_share(&self) -> f64 {
        let rates = self.rates();
        let (slowest, fastest) =
            rates.iter().fold((f64::INFINITY, 0.0_f64), |(s, f), &rate| (s.min(rate), f.max(rate)));
        if fastest == 0.0 { 1.0 } else { slowest / fastest }
    }

    /// Each client's updates over its own time.
    fn rates(&self) -> Vec<f64> {
        let rate = |lane: &ClientLog| lane.events.len() as f64 / (lane.end_ns - lane.start_ns).max(1) as f64;
        self.log.clients.iter().map(rate).collect()
    }
}

/// The check, for clients whose clocks may be up to `apart_ns` apart. An update is then taken to last from its earliest
/// possible begin to its latest possible end, so that an order that may be right is never called wrong.
fn judgement(log: &RaceLog, found: &[i64], apart_ns: u64) -> Judgement {
    let lanes: Vec<&[Event]> = log.clients.iter().map(|lane| lane.events.as_slice()).collect();
    if apart_ns == 0 {
        return history::check(&lanes, found);
    }
    let wider = |event: &Event| {
        let (begin, end) = (event.begin_ns().saturating_sub(apart_ns), event.end_ns() + apart_ns);
        Event::new(event.key(), begin, end, event.tries(), event.outcome())
    };
    let lanes: Vec<Vec<Event>> = lanes.iter().map(|lane| lane.iter().map(wider).collect()).collect();
    history::check(&lanes.iter().map(Vec::as_slice).collect::<Vec<_>>(), found)
}

fn blank(strategy: &dyn Strategy, server: &Target, workload: &Workload, library: &Library) -> Record {
    let condition = Condition {
        library: library.name.clone(),
        settings: library.settings.clone(),
        driver: workload.driver,
        transport: server.transport(),
        topology: server.topology(),
        shards: server.shards(),
        replicas: server.replicas(),
        tls: server.is_tls(),
        skew: workload.skew,
        offered_per_s: workload.pace.offered_per_s(),
        pool_size: strategy.pools().and(workload.pool_size),
        rtt_us: server.rtt_us(),
        server: server.product().to_owned(),
        library_version: library.version.clone(),
        ..Condition::of(strategy.info().name, workload.threads, workload.keys)
    };
    Record::blank(condition, strategy.info().promise)
}

/// One line of a plan: a strategy, and what drives its clients.
#[derive(Clone, Copy)]
pub struct Entrant<'a> {
    /// How they update.
    pub strategy: &'a dyn Strategy,
    /// What drives them.
    pub driver: &'a dyn Driver,
    /// What breaks the servers while they race, if anything does.
    pub breaker: Option<&'a dyn Breaker>,
}

/// What breaks servers while clients race. Its trials bring their own servers or proxies, because what is broken is no
/// place for other trials.
pub trait Breaker {
    /// The name of its fault, as a [`Condition`] has it.
    fn fault(&self) -> String;

    /// What the condition of a trial on healthy servers becomes.
    fn condition(&self, healthy: Condition) -> Condition;

    /// What a strategy promises under this fault.
    fn promise(&self, strategy: &dyn Strategy) -> Promise;

    /// One trial, by the clients of this load, on servers like this one. The inner error is why they cannot run it.
    ///
    /// # Errors
    /// It cannot be measured, or the run must end.
    fn trial(
        &self,
        server: &Target,
        strategy: &dyn Strategy,
        load: &Workload,
        trial: (u32, u64),
        stop: &AtomicBool,
    ) -> Result<std::result::Result<Trial, String>>;
}

impl Entrant<'_> {
    /// Its name in the plan: the strategy's name, and that of the client library if there is one.
    pub fn name(&self) -> String {
        let Library { name, settings, .. } = self.driver.library();
        let fault = self.breaker.map_or_else(|| NO_FAULT.to_owned(), Breaker::fault);
        entrant_name(self.strategy.info().name, self.driver.kind(), &name, &settings, &fault)
    }

    /// A row of it as its fault makes it.
    fn row(&self, row: Record) -> Record {
        let Some(breaker) = self.breaker else { return row };
        Record { condition: breaker.condition(row.condition), promise: breaker.promise(self.strategy), ..row }
    }
}

/// Observes a plan while it is measured.
pub trait Observer {
    /// Trial number `done` (from 0) of the plan is about to begin.
    fn begins(&mut self, _entrant: Entrant<'_>, _server: &Target, _workload: &Workload, _done: usize) {}

    /// A row is complete, with its latencies and the trial itself, if there was one.
    ///
    /// # Errors
    /// The row could not be kept: this ends the run.
    fn keeps(&mut self, record: Record, latency: Vec<Bucket>, trial: Option<Trial>) -> Result<()>;

    /// The keys of a cell could not be removed; its trial is valid nevertheless.
    fn leaves(&mut self, _error: &Error) {}

    /// A round is over: whether the next one, if the plan has one, should run.
    fn wants_more(&mut self) -> bool {
        true
    }
}

/// Measures every cell of the plan on each server, round by round, each round in its own shuffled order, until `observer` wants
/// no more. Several servers are measured in turn within each round.
///
/// A strategy that the server cannot run gives rows without a verdict that say why, and so does an error inside a
/// trial.
///
/// # Errors
/// The plan is not valid, the server is gone, `observer` failed, or `stop` was raised; rows handed over before are valid.
pub fn measure(
    plan: &Plan,
    servers: &[Target],
    strategies: &[&dyn Strategy],
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    let driver = driver::of(plan.driver)?;
    let entrants: Vec<Entrant<'_>> =
        strategies.iter().map(|&strategy| Entrant { strategy, driver, breaker: None }).collect();
    measure_entrants(plan, servers, &entrants, stop, observer)
}

/// The same for entrants whose drivers differ: those of several client libraries. All are of the plan's kind.
///
/// # Errors
/// As [`measure`].
pub fn measure_entrants(
    plan: &Plan,
    servers: &[Target],
    entrants: &[Entrant<'_>],
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    plan.validate()?;
    servers.iter().try_for_each(|server| check_room(plan, server, entrants))?;
    // The plan treats an entrant on another server as another entrant.
    let pairs: Vec<(&Target, Entrant<'_>)> =
        servers.iter().flat_map(|server| entrants.iter().map(move |entrant| (server, *entrant))).collect();
    let unavailable: Vec<Option<String>> = pairs
        .iter()
        .map(|(server, Entrant { strategy, driver, breaker })| match driver.refuses(server, *strategy) {
            Some(why) => Ok(Some(why)),
            // Its trials have servers of their own, which are asked when they are there.
            None if breaker.is_some() => Ok(None),
            None => strategy.unavailable(server),
        })
        .collect::<Result<_>>()?;
    let mut done = 0;
    for round in 1..=plan.rounds {
        for cell in plan.round(round, pairs.len()) {
            let (server, entrant) = pairs[cell.entrant];
            observer.begins(entrant, server, &cell.workload, done);
            done += 1;
            let library = entrant.driver.library();
            let blank = blank(entrant.strategy, server, &cell.workload, &library);
            let blank = entrant.row(Record { trial: done as u32, round, ..blank });
            match &unavailable[cell.entrant] {
                Some(why) => {
                    let note = Some(one_line(&format!("skipped: {why}")));
                    observer.keeps(Record { note, ..blank }, Vec::new(), None)?;
                }
                None => measure_cell(plan, server, entrant, cell.workload, blank, stop, observer)?,
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
        }
        if !observer.wants_more() {
            break;
        }
    }
    Ok(())
}

/// Checks that we may reset and read counters, and send the commands of at least one strategy that can run here; the rows name
/// the strategies that may not.
fn check_rights(server: &Target, entrants: &[Entrant<'_>]) -> Result<()> {
    server.lets_us(&["del", "get"])?;
    let mut refused = Ok(());
    for Entrant { strategy, .. } in entrants {
        if strategy.unavailable(server)?.is_some() {
            continue;
        }
        match server.lets_us(strategy.info().commands) {
            Ok(()) => return Ok(()),
            Err(error) => refused = refused.and(Err(error)),
        }
    }
    refused
}

/// Checks that the plan's clients can all connect and that their updates fit into memory. Some servers and systems do not
/// permit thousands of clients, and one error before the run is better than one in every row. [`measure`] begins with it.
///
/// # Errors
/// They cannot: one line that says which limit is too low, and what to do.
pub fn check_room(plan: &Plan, server: &Target, entrants: &[Entrant<'_>]) -> Result<()> {
    check_rights(server, entrants)?;
    let most = plan.threads.iter().copied().max().unwrap_or(0);
    memory::check(plan.most_updates()?, plan.keys.iter().copied().max().unwrap_or(1))?;
    let strategies: Vec<&dyn Strategy> = entrants.iter().map(|entrant| entrant.strategy).collect();
    // Drivers of one kind need the same room.
    entrants.first().map_or(Ok(()), |first| first.driver.check_room(server, &strategies, most))
}

fn measure_cell(
    plan: &Plan,
    server: &Target,
    entrant: Entrant<'_>,
    workload: Workload,
    blank: Record,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    let mut left = Ok(());
    let trial = match entrant.breaker {
        Some(breaker) => {
            let seed = fastrand::Rng::with_seed(plan.seed ^ u64::from(blank.trial).rotate_left(32)).u64(..);
            breaker.trial(server, entrant.strategy, &workload, (blank.trial, seed), stop)
        }
        None => Crew::of(server, entrant, workload, plan.seed, stop).and_then(|mut crew| {
            let trial = crew.sized_trial(plan.size_at(workload.threads));
            left = crew.close();
            trial.map(Ok)
        }),
    };
    // A private server's keys disappear with it.
    if let (Err(error), None) = (&left, server.child()) {
        observer.leaves(error);
    }
    // An error of this strategy is its row; a server that no longer answers anybody is the end.
    let answers = if trial.is_err() { server.connect().map(drop) } else { Ok(()) };
    // A race cut short by Ctrl-C still has a verdict, but not the planned span, so it is not kept. Neither is an error, which the
    // signal itself may have caused by interrupting a read.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::interrupted());
    }
    let trial = match trial {
        Ok(Ok(trial)) => trial,
        Ok(Err(why)) => {
            let note = Some(one_line(&format!("skipped: {why}")));
            return observer.keeps(Record { note, ..blank }, Vec::new(), None);
        }
        Err(error) => {
            let error = Some(one_line(&error.to_string()));
            observer.keeps(Record { error, ..blank }, Vec::new(), None)?;
            return answers;
        }
    };
    let record = entrant.row(trial.record(entrant.strategy, server, &workload));
    let record = Record { trial: blank.trial, round: blank.round, ..record };
    let service = trial.latency().into_iter().map(|times| record.bucket(Clock::Service, times));
    let response = trial.response().into_iter().flatten().map(|times| record.bucket(Clock::Response, times));
    let pool = trial.waits().into_iter().map(|times| record.bucket(Clock::Pool, times));
    let latency = service.chain(response).chain(pool).collect();
    observer.keeps(record, latency, Some(trial))
}
