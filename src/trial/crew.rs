//! A strategy's open clients and their counters: reset, race, read back, judge, and remove.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::driver::{self, Clients, Library};
use crate::error::{Error, Result};
use crate::history;
use crate::pace::Schedule;
use crate::race::{Limits, RaceLog, Work};
use crate::strategy::Strategy;
use crate::target::{Counts, Lease, Session, Target, keyspace};
use crate::update::Event;
use crate::verdict::judge;
use crate::workload::{Size, Workload};

use super::{Entrant, Trial, memory};

/// How many times as long as planned a warm-up or a schedule may take before clients stop.
const PATIENCE: u32 = 2;

/// A trial sized by time allocates this many times the events that its warm-up predicts.
const ROOM: u64 = 3;

/// It allocates at least this many batches per client, because one starved client can make a warm-up very slow.
const AT_LEAST: u64 = 100;

/// Allocates an event for every update.
const ALL: u64 = u64::MAX;

/// The most updates of one trial sized by time, so that with its check it stays under 1 GiB, however fast the strategy
/// is.
const MOST: u64 = 10_000_000;

/// Updates per client that warm its connection.
const FEW: u64 = 10;

/// How long the very first warm-up may take.
const FIRST_UPDATE: Duration = Duration::from_secs(5);

/// How long to wait for a server that does not answer after a race: about what a failover or a restart takes.
pub const READ_BACK: Duration = Duration::from_secs(30);

/// How long to wait for the server when our keys are to be removed.
const CLEAN_UP: Duration = Duration::from_secs(2);

/// A strategy's clients, opened and ready to race.
pub struct Crew<'a> {
    strategy: &'a dyn Strategy,
    server: &'a Target,
    workload: Workload,
    clients: Box<dyn Clients>,
    library: Library,
    /// The commands that add one per successful call.
    counted_by: &'static [&'static str],
    keys: Arc<[String]>,
    sequences: Vec<Arc<[u16]>>,
    db: Session,
    lease: Lease,
    stop: &'a AtomicBool,
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
        server.renew();
        let mut db = server.reach(READ_BACK, stop)?;
        let lease = Lease::of(server);
        // Before anything of ours is on the server.
        lease.renew(&mut db, Duration::ZERO);
        let clients = match driver.open(server.for_racers(), strategy, &workload) {
            Ok(clients) => clients,
            Err(error) => {
                lease.end(&mut db);
                return Err(error);
            }
        };
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

    /// Races `updates` updates per client, begins none after `deadline`, and judges their outcomes.
    ///
    /// # Errors
    /// An updater panicked, or the server does not answer before or after the race. Errors of single updates are not
    /// errors here: they are unknown outcomes in the trial.
    pub fn trial(&mut self, updates: u64, deadline: Duration) -> Result<Trial> {
        self.judged(&|_| updates, ALL, None, deadline)
    }

    /// Races on a schedule, in an open loop, and judges the outcomes. Clients that cannot keep up continue after the
    /// schedule's end, until they have sent all their updates or `deadline` has passed since the start.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub fn trial_on_schedule(&mut self, schedule: &Schedule, deadline: Duration) -> Result<Trial> {
        self.judged(&|client| schedule.updates_of(client), ALL, Some(schedule), deadline)
    }

    /// Resets, races as [`Crew::race`] does, reads back and judges.
    fn judged(
        &mut self,
        updates: &dyn Fn(usize) -> u64,
        room: u64,
        schedule: Option<&Schedule>,
        deadline: Duration,
    ) -> Result<Trial> {
        let refuses = |e: redis::RedisError| self.server.refuses(&e);
        memory::check((0..self.workload.threads).map(|client| updates(client).min(room)).sum(), self.workload.keys)?;
        self.reset(deadline)?;
        let before = Counts::read(&mut self.db).map_err(refuses)?;
        let replicas_before = self.server.replica_counts(&before);
        let redirects_before = self.server.redirects();
        let log = self.race(updates, room, schedule, deadline)?;
        let process = self.clients.process();
        // Clients that follow redirections themselves hide them.
        let is_seen = process.is_none() && self.strategy.sees_redirections();
        let redirects = self.server.redirects().zip(redirects_before).filter(|_| is_seen);
        let redirects = redirects.map(|(now, then)| (now.0 - then.0, now.1 - then.1));
        let ended = Instant::now();
        std::thread::sleep(self.strategy.settles_in());
        let (after, found) = self.read_back()?;
        let waited = ended.elapsed().saturating_sub(self.strategy.settles_in());
        let spent = after.since(&before);
        let lanes: Vec<&[Event]> = log.clients.iter().map(|lane| lane.events.as_slice()).collect();
        let apart_ns = process.as_ref().map_or(0, |process| process.apart_ns);
        let judgement = history::check_apart(&lanes, &found, apart_ns);
        let counted_by = self.counted_by;
        Ok(Trial {
            verdict: judge(&judgement.ledger),
            judgement,
            apart_ns,
            found,
            waited,
            spent,
            nodes: after.nodes_since(&before),
            replicas: Counts::each_since(&self.server.replica_counts(&after), &replicas_before),
            redirects,
            applied: spent.filter(|_| !counted_by.is_empty()).map(|_| after.succeeded(&before, counted_by)),
            log,
            schedule: schedule.copied(),
            library: self.library.clone(),
            process,
            faults: Vec::new(),
        })
    }

    /// Resets the counters, and renews the lease, so that `report clean` leaves them alone until the race's deadline.
    fn reset(&mut self, deadline: Duration) -> Result<()> {
        std::thread::sleep(self.strategy.settles_in());
        // The server may have closed an idle connection, or may have restarted.
        if redis::cmd("PING").exec(&mut self.db).is_err() {
            self.db = self.server.reach(READ_BACK, self.stop)?;
        }
        self.lease.renew(&mut self.db, deadline);
        let (strategy, keys) = (self.strategy, &self.keys);
        let reset = |db: &mut Session| keys.iter().try_for_each(|key| strategy.reset(db, key));
        if reset(&mut self.db).is_err() {
            self.db = self.server.patiently(READ_BACK, self.stop, reset)?.0;
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

    /// A race that warms connections and is not judged. The counters are reset before it, as before a trial: some
    /// strategies behave differently on a counter that was never reset.
    fn warm(&mut self, updates: u64, deadline: Duration) -> Result<RaceLog> {
        self.reset(deadline)?;
        self.race(&|_| updates, ALL, None, deadline)
    }

    /// Races `updates(client)` updates per client, in a closed loop or on a schedule. Events for at most `room` of
    /// them are allocated beforehand.
    fn race(
        &mut self,
        updates: &dyn Fn(usize) -> u64,
        room: u64,
        schedule: Option<&Schedule>,
        deadline: Duration,
    ) -> Result<RaceLog> {
        let work = |(client, sequence): (usize, &Arc<[u16]>)| Work {
            keys: self.keys.clone(),
            sequence: sequence.clone(),
            updates: updates(client),
            room: updates(client).min(room),
        };
        let work: Vec<Work> = self.sequences.iter().enumerate().map(work).collect();
        self.clients.race(&work, schedule, Limits { stop: self.stop, deadline }).map_err(|e| {
            Error::broken(format!("strategy {}, {} clients: {e}", self.strategy.info().name, self.workload.threads))
        })
    }

    /// Connects the clients that are not connected yet, by a race of one update per client that is not judged.
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
            // Grows towards a sufficient size, but at most tenfold at once, because the first updates are slow.
            updates *= (enough / span + 1).clamp(2, 10);
        }
    }

    /// Races for `target` and judges the outcomes, however many updates there are. Events are allocated beforehand for
    /// a multiple of `fits`, the updates per client that a [warm-up](Crew::warm_up) predicted. A client that does even
    /// more allocates the rest during the race.
    ///
    /// # Errors
    /// As [`Crew::trial`].
    pub fn timed_trial(&mut self, fits: u64, target: Duration) -> Result<Trial> {
        let batch = self.clients.batch() as u64;
        let most = (MOST / self.workload.threads as u64 / batch).max(1) * batch;
        self.judged(&|_| most, (fits * ROOM).max(AT_LEAST * batch), None, target)
    }

    /// Measures one trial of the planned size and pace, warm-up included. A trial sized by time ends when that time is
    /// over: each client stops after its current update.
    ///
    /// # Errors
    /// As [`Crew::trial`]; a usage error if there is no schedule for this size.
    pub fn sized_trial(&mut self, size: Size) -> Result<Trial> {
        if let Some(schedule) = self.workload.schedule(size)? {
            // Only warms the connections: the schedule says how many updates there will be.
            self.warm(FEW, FIRST_UPDATE)?;
            return self.trial_on_schedule(&schedule, Duration::from_nanos(schedule.length_ns()) * PATIENCE);
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
        // Dropping the clients restores what the strategy has changed on the server.
        drop(clients);
        let side: Vec<String> = keys.iter().flat_map(|key| strategy.side_keys(key)).collect();
        // Waits for a server that cannot write at the moment.
        let (mut db, _) = server.patiently(CLEAN_UP, &AtomicBool::new(false), |db| db.remove(&keys)).map_err(|e| {
            let prefix = server.prefix();
            Error::server(format!("{e}; keys {prefix}* may be left there: `report clean --redis-url URL` removes them"))
        })?;
        server.remove(&mut db, &side)?;
        lease.end(&mut db);
        server.settings_left(&mut db)
    }
}
