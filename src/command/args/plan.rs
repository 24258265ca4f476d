//! What a run measures: strategies, loads, sizes, faults; and the plan made of it.

use std::time::Duration;

use clap::Args;

use crate::command::libraries::default_strategies;
use crate::condition::NO_FAULT;
use crate::error::{Error, Result};
use crate::fault;
use crate::pace::Pace;
use crate::strategy::{self, Strategy};
use crate::until::{FEWEST, Goal};
use crate::worker::Manifest;
use crate::workload::{DriverKind, Plan, Size, Skew};

use super::values::{duration, precision, round_trip};

/// How many times as long a default run's trials are at the highest thread count, which the headline is about.
const EMPHASIS: u32 = 3;

/// The most rounds with `--until`, unless `--rounds` is given.
const UNTIL_ROUNDS: u32 = 100;

/// The longest that `--until` measures.
pub(in crate::command) const UNTIL_TIME: Duration = Duration::from_secs(600);

/// Every trial's time with `--full`: as long as a default trial.
const FULL_TRIAL: Duration = Duration::from_millis(150);

#[derive(Args)]
#[command(next_help_heading = "Measurement")]
pub(in crate::command) struct PlanArgs {
    /// Strategies to race: names, or all, exact, lossy [default: a selection of a dozen; report list prints all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    strategies: Vec<String>,
    /// Race every strategy at the default trial time, however long that takes
    #[arg(long, conflicts_with_all = ["strategies", "quick"])]
    full: bool,
    /// Numbers of concurrent clients; one thread each with --driver threads [default: 1,2,4,8,16]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    threads: Vec<usize>,
    /// What runs the clients: threads (one per client, up to 1024), events (one event loop for all, up to 20000) or tasks (one
    /// async runtime for all, through the redis crate's multiplexed connections)
    #[arg(long, value_name = "threads|events|tasks", default_value = "threads")]
    driver: DriverKind,
    /// Race client libraries as worker processes: names of libraries/, all, or paths to a library.toml
    #[arg(long, value_delimiter = ',', value_name = "NAME|PATH,...", conflicts_with = "driver")]
    pub(in crate::command) libraries: Vec<String>,
    /// Settings of the libraries: default, safe, or others that their library.toml names [default: default]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", requires = "libraries")]
    pub(in crate::command) settings: Vec<String>,
    /// Numbers of counters to spread the updates over
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "1")]
    keys: Vec<usize>,
    /// Connections in the pool of pooled-incr and pooled-incr-ping; how long clients wait for one is then shown
    /// separately [default: as many as threads, and nobody waits]
    #[arg(long, value_name = "N")]
    pool_size: Option<usize>,
    /// How updates choose among keys: even, or zipf:S
    #[arg(long, value_name = "even|zipf:S", default_value = "even")]
    skew: Skew,
    /// Updates per thread and trial, instead of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    updates: Option<u64>,
    /// Duration of a trial, such as 300ms or 2s [default: chosen so that the run takes less than a minute,
    /// three times as long at the highest thread count]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Open loop: this many updates per second in total, on a fixed schedule [default: closed loop, each client sends its
    /// next update when the last one is acknowledged]
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Emulate a round trip of this time between clients and server, such as 0.5ms, by a proxy in this process that
    /// delays each direction; several are measured in turn within each round, 0 is without the proxy
    #[arg(long, value_name = "TIME,...", value_delimiter = ',', value_parser = round_trip)]
    pub(in crate::command) rtt: Vec<Duration>,
    /// Also race every strategy under each of these faults, for as long as the fault lasts: names of report faults --list, each
    /// with a form or a time after a colon (reply-lost:rst, failover-lagging:200ms), or all
    #[arg(long, value_delimiter = ',', value_name = "NAME[:PARAM],...", conflicts_with_all = ["libraries", "rate", "rtt", "pool_size", "until"])]
    pub(in crate::command) faults: Vec<String>,
    /// Permit --faults on a server that is not private: a proxy in front of this run's clients loses their commands or
    /// replies, and nothing else is done
    #[arg(long, requires = "faults")]
    pub(in crate::command) allow_faults: bool,
    /// Passes over all cells, each in a new shuffled order [default: 5; with --until at most 100]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Add rounds until the 95 % interval of surviving updates per second is within this for every exact strategy at every
    /// load, such as 2%; stops at --rounds or after ten minutes
    #[arg(long, value_name = "PERCENT", value_parser = precision)]
    pub(in crate::command) until: Option<f64>,
    /// Seed of the shuffles [default: random, and recorded]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A smaller plan that takes at most ten seconds: threads 1,2,4,8 and 2 rounds
    #[arg(long)]
    pub(in crate::command) quick: bool,
    /// Run --quick even if other options make it longer than a minute
    #[arg(long)]
    pub(in crate::command) yes: bool,
}

impl PlanArgs {
    /// What drives the clients.
    fn driver(&self) -> DriverKind {
        if self.libraries.is_empty() { self.driver } else { DriverKind::External }
    }

    /// The strategies asked for; by default `own` ones and then the default plan's, or with client libraries those of
    /// the default plan that one of them has.
    pub(in crate::command) fn strategies(&self, own: &[&dyn Strategy], libraries: &[Manifest]) -> Vec<String> {
        match (self.full, self.strategies.is_empty()) {
            (_, true) if !libraries.is_empty() => default_strategies(libraries),
            (true, _) => vec!["all".to_owned()],
            (false, true) => {
                let is_one_thread = self.driver.info().is_one_thread;
                let default = if is_one_thread { strategy::DEFAULT_OF_ONE_THREAD } else { strategy::DEFAULT };
                let drives = |own: &&&dyn Strategy| !is_one_thread || own.machines().is_some();
                let own = own.iter().filter(drives).map(|own| own.info().name);
                own.chain(default.iter().copied()).map(str::to_owned).collect()
            }
            (false, false) => self.strategies.clone(),
        }
    }

    /// The plan for this many entrants and servers; `strategies` are the entrants' own, out of the `known` ones.
    pub(in crate::command) fn plan(
        &self,
        strategies: &[&dyn Strategy],
        entrants: usize,
        servers: usize,
        known: &[&dyn Strategy],
    ) -> Result<Plan> {
        let default_threads: &[usize] = if self.quick { &[1, 2, 4, 8] } else { &[1, 2, 4, 8, 16] };
        let mut plan = Plan {
            threads: if self.threads.is_empty() { default_threads.to_vec() } else { self.threads.clone() },
            keys: self.keys.clone(),
            skew: self.skew,
            pace: self.rate.map_or(Pace::Closed, Pace::Rate),
            driver: self.driver(),
            pool_size: self.pool_size,
            size: Size::Updates(1),
            emphasis: 1,
            rounds: self.rounds.filter(|_| self.until.is_none()).unwrap_or(if self.quick { 2 } else { 5 }),
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        };
        // Three quarters of the promised time: opening, warming up and judging take the rest.
        let budget = if self.quick { Duration::from_millis(3_500) } else { Duration::from_secs(40) };
        plan.size = match (self.updates, self.duration) {
            (Some(updates), _) => Size::Updates(updates),
            (None, Some(duration)) => Size::Duration(duration),
            (None, None) if self.full => Size::Duration(FULL_TRIAL),
            (None, None) => {
                plan.emphasis = if self.quick { 1 } else { EMPHASIS };
                plan.fit(budget, entrants * servers)
            }
        };
        // After the trials have been given the time they have without it.
        if self.until.is_some() {
            plan.rounds = self.rounds.unwrap_or(UNTIL_ROUNDS);
            if plan.rounds < FEWEST {
                return Err(Error::usage(format!(
                    "rounds: --until needs at least {FEWEST}, to estimate its precision"
                )));
            }
        }
        plan.validate()?;
        self.asks_only_what_there_is(known)?;
        self.has_a_pool(strategies)?;
        Ok(plan)
    }

    /// How many round trips each server is measured over.
    pub(in crate::command) fn distances(&self) -> usize {
        self.rtt.len().max(1)
    }

    /// The faults that strategies are raced under, beside none.
    pub(in crate::command) fn faults(&self) -> Result<Vec<fault::Chosen>> {
        if self.faults.is_empty() {
            return Ok(Vec::new());
        }
        if self.driver != DriverKind::Threads {
            let driver = self.driver;
            return Err(Error::usage(format!("--faults is not supported by --driver {driver}: expected threads")));
        }
        if self.keys != [1] {
            return Err(Error::usage("--faults races on one counter: leave out --keys"));
        }
        let chosen = fault::find(&self.faults)?;
        // Without a fault everything is measured anyway.
        Ok(chosen.into_iter().filter(|chosen| chosen.to_string() != NO_FAULT).collect())
    }

    /// When rounds are enough, if that is not for the plan to say.
    pub(in crate::command) fn goal(&self, plan: &Plan) -> Option<Goal> {
        Some(Goal { within: self.until?, rounds: plan.rounds, time: UNTIL_TIME })
    }

    /// Refuses a pool size that no strategy would use, rather than ignoring it silently.
    fn has_a_pool(&self, strategies: &[&dyn Strategy]) -> Result<()> {
        if self.pool_size.is_none() {
            return Ok(());
        }
        let driver = self.driver();
        if driver != DriverKind::Threads {
            return Err(Error::usage(format!(
                "--pool-size is not supported by --driver {driver}: the clients of a pool block, as with --driver threads"
            )));
        }
        match strategies.iter().any(|strategy| strategy.pools().is_some()) {
            true => Ok(()),
            false => Err(Error::usage(
                "--pool-size needs a strategy that has a pool: pooled-incr or pooled-incr-ping; none is in --strategies",
            )),
        }
    }

    /// A strategy that was asked for by name is not skipped in silence.
    fn asks_only_what_there_is(&self, known: &[&dyn Strategy]) -> Result<()> {
        let driven = strategy::driven_by_one_thread(known);
        let is_unsupported = |name: &&String| {
            strategy::find_among(known, &[name]).is_ok_and(|found| found.len() == 1) && !driven.contains(&name.as_str())
        };
        match self.strategies.iter().find(is_unsupported) {
            Some(name) if self.driver.info().is_one_thread => Err(Error::usage(format!(
                "strategy {name}: {}; supported: {}",
                strategy::UNSUPPORTED,
                driven.join(", ")
            ))),
            _ => Ok(()),
        }
    }
}
