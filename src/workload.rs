//! What is to be measured: a [`Plan`] of cells, the size of each trial, and the shuffled order. Validated plain data; no
//! clock, no server.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pace::{Pace, Timetable};
use crate::update::Event;

/// The highest number of threads in one race: beyond it the threads driver measures the scheduler.
pub const MAX_THREADS: usize = 1024;

/// More threads than this on a few CPUs overlap too little: see the overlap of each row.
const CROWD: usize = 256;

/// The highest number of clients that one thread may drive: TCP has about 28,000 ports for them by default.
pub const MAX_CLIENTS: usize = 20_000;

/// What runs the clients. Figures of different drivers are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverKind {
    /// A thread per client, which blocks until its update is done.
    #[default]
    Threads,
    /// One thread for all clients, which are state machines over one event loop.
    Events,
    /// One thread for all clients, which are tasks of one async runtime.
    Tasks,
    /// Worker processes of a client library in any language.
    External,
}

/// What is known of a driver without opening it.
#[derive(Debug)]
pub struct DriverInfo {
    kind: DriverKind,
    /// Its name on the command line and in rows.
    pub name: &'static str,
    /// What it is, in words: `one event loop for all clients`.
    pub about: &'static str,
    /// What one client is called: a thread, where each has its own.
    pub racer: &'static str,
    /// The highest number of clients it may have at once.
    pub most_clients: usize,
    /// Whether one thread of this process drives all clients.
    pub is_one_thread: bool,
    /// Why it cannot keep a timetable, if it cannot.
    pub refuses_rate: Option<&'static str>,
}

/// Every driver, the default first.
pub static DRIVERS: [DriverInfo; 4] = [
    DriverInfo {
        kind: DriverKind::Threads,
        name: "threads",
        about: "a thread for each client",
        racer: "thread",
        most_clients: MAX_THREADS,
        is_one_thread: false,
        refuses_rate: None,
    },
    DriverInfo {
        kind: DriverKind::Events,
        name: "events",
        about: "one event loop for all clients",
        racer: "client",
        most_clients: MAX_CLIENTS,
        is_one_thread: true,
        refuses_rate: None,
    },
    DriverInfo {
        kind: DriverKind::Tasks,
        name: "tasks",
        about: "one async runtime with a task for each client",
        racer: "client",
        most_clients: MAX_CLIENTS,
        is_one_thread: true,
        // With tokio's timer, all updates of a millisecond would be sent together at its end.
        refuses_rate: Some(
            "its timer only has a resolution of 1 ms; leave out --rate, or use --driver threads or events",
        ),
    },
    DriverInfo {
        kind: DriverKind::External,
        name: "external",
        about: "worker processes of client libraries, told what to do over pipes",
        racer: "client",
        most_clients: MAX_THREADS,
        is_one_thread: false,
        refuses_rate: None,
    },
];

impl DriverKind {
    /// What is known of it without opening it.
    pub fn info(self) -> &'static DriverInfo {
        // Every kind is in the list; a test checks it.
        DRIVERS.iter().find(|info| info.kind == self).unwrap_or(&DRIVERS[0])
    }

    /// A number of clients in words: `16 threads`, `1 thread`, `10000 clients`.
    pub fn racers(self, count: usize) -> String {
        let one = self.info().racer;
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    }

    /// How many threads of this process so many clients keep busy.
    pub fn threads_of(self, clients: usize) -> usize {
        if self.info().is_one_thread { 1 } else { clients }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

impl FromStr for DriverKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = DRIVERS.iter().find(|info| info.name == text).map(|info| info.kind);
        known.ok_or_else(|| {
            let names: Vec<&str> = DRIVERS.iter().map(|info| info.name).collect();
            Error::usage(format!("driver '{text}': expected {}", names.join(", ")))
        })
    }
}

/// How large one trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// This many updates by every thread.
    Updates(u64),
    /// As many updates as a warm-up says fit into this time.
    Duration(Duration),
}

/// How updates choose among several counters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Skew {
    /// Every counter equally.
    #[default]
    Even,
    /// Counter number k (from 1) is chosen in proportion to 1/k^s.
    Zipf(f64),
}

impl Skew {
    /// The exponent; none where every counter is alike.
    fn exponent(self) -> Option<f64> {
        match self {
            Self::Even => None,
            Self::Zipf(s) => Some(s),
        }
    }
}

// Exponents are positive numbers, whose bits are in the order of their values.
impl PartialEq for Skew {
    fn eq(&self, other: &Self) -> bool {
        self.exponent().map(f64::to_bits) == other.exponent().map(f64::to_bits)
    }
}

impl Eq for Skew {}

impl PartialOrd for Skew {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Skew {
    fn cmp(&self, other: &Self) -> Ordering {
        self.exponent().map(f64::to_bits).cmp(&other.exponent().map(f64::to_bits))
    }
}

impl Hash for Skew {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.exponent().map(f64::to_bits).hash(state);
    }
}

impl TryFrom<String> for Skew {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Skew> for String {
    fn from(skew: Skew) -> Self {
        skew.to_string()
    }
}

impl FromStr for Skew {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "even" {
            return Ok(Self::Even);
        }
        text.strip_prefix("zipf:")
            .and_then(|s| s.parse::<f64>().ok())
            .filter(|s| s.is_finite() && *s > 0.0)
            .map(Self::Zipf)
            .ok_or_else(|| {
                Error::usage(format!("skew '{text}': expected even, or zipf:S with S above 0, such as zipf:1.0"))
            })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => f.write_str("even"),
            Self::Zipf(s) => write!(f, "zipf:{s}"),
        }
    }
}

/// What one race does: how many threads over how many counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Clients racing at once.
    pub threads: usize,
    /// Counters the updates are spread over.
    pub keys: usize,
    /// How they are spread.
    pub skew: Skew,
    /// What decides when the next update is sent.
    pub pace: Pace,
    /// What drives the clients.
    pub driver: DriverKind,
    /// Connections in the pool, for strategies that have one. `None` means one for each client, and waits are not
    /// measured.
    pub pool_size: Option<usize>,
}

impl Workload {
    /// `threads` clients on one counter in a closed loop, a thread each.
    pub fn one_key(threads: usize) -> Self {
        Self { threads, keys: 1, skew: Skew::Even, pace: Pace::Closed, driver: DriverKind::Threads, pool_size: None }
    }

    /// The same load by another driver.
    #[must_use]
    pub fn driven_by(self, driver: DriverKind) -> Self {
        Self { driver, ..self }
    }

    /// The timetable of a trial of this size; `None` in a closed loop.
    ///
    /// # Errors
    /// A usage error: there is no such timetable.
    pub fn timetable(&self, size: Size) -> Result<Option<Timetable>> {
        let Pace::Rate(per_s) = self.pace else { return Ok(None) };
        match size {
            Size::Updates(each) => Timetable::of_updates(per_s, each.saturating_mul(self.threads as u64), self.threads),
            Size::Duration(duration) => Timetable::of_duration(per_s, duration, self.threads),
        }
        .map(Some)
    }

    /// Which counters one worker's updates go to, as key numbers: a table that the worker uses in a cycle.
    ///
    /// Made before the race, so that no random number is drawn in the timed section.
    pub fn key_sequence(&self, worker: usize, seed: u64) -> Vec<u16> {
        if self.keys == 1 {
            return vec![0];
        }
        let mut rng = fastrand::Rng::with_seed(seed ^ (worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let weights: Vec<f64> = match self.skew {
            Skew::Even => vec![1.0; self.keys],
            Skew::Zipf(s) => (1..=self.keys).map(|k| (k as f64).powf(-s)).collect(),
        };
        let cumulative: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let total = cumulative[self.keys - 1];
        // All clients' tables together stay below 64 MiB, however many they are.
        let draws = (self.keys * 16).clamp(1 << 12, 1 << 18).min((1 << 25) / self.threads.max(1));
        (0..draws)
            .map(|_| {
                let at = rng.f64() * total;
                cumulative.partition_point(|&c| c <= at).min(self.keys - 1) as u16
            })
            .collect()
    }
}

/// The whole experiment: every strategy at every thread count and key count, several rounds over.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Thread counts, each a column of the result.
    pub threads: Vec<usize>,
    /// Key counts, the third axis.
    pub keys: Vec<usize>,
    /// How updates spread over more than one key.
    pub skew: Skew,
    /// Closed loop, or the rate that is offered.
    pub pace: Pace,
    /// What drives the clients.
    pub driver: DriverKind,
    /// Connections in the pool, for strategies that have one. `None` means one for each client.
    pub pool_size: Option<usize>,
    /// How large each trial is.
    pub size: Size,
    /// How many times as long a trial sized by time is at the highest thread count, which supplies the run's headline.
    pub emphasis: u32,
    /// Passes over all cells, each in its own order.
    pub rounds: u32,
    /// The seed of every shuffle and key sequence, recorded with the run.
    pub seed: u64,
}

/// One place in the plan: an entrant (by its place in the caller's list) under a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Which entrant (a strategy, with a client library), by its place in the list measured.
    pub entrant: usize,
    /// Under which load.
    pub workload: Workload,
}

/// No trial is made longer than this to fill a plan's time.
const LONGEST_FIT: Duration = Duration::from_secs(2);

impl Plan {
    /// What to do instead, where so many clients would measure the scheduler more than the server.
    pub fn advice(&self) -> Option<String> {
        let most = self.threads.iter().copied().max().unwrap_or(0);
        (self.driver == DriverKind::Threads && most > CROWD).then(|| {
            format!(
                "{most} threads spend much of a trial starting and stopping: --driver events or tasks races {most} clients \
                 from one thread"
            )
        })
    }

    /// Checks what cannot be measured before anything is opened.
    ///
    /// # Errors
    /// A usage error that says which figure is out of which range.
    pub fn validate(&self) -> Result<()> {
        let DriverInfo { most_clients: most, is_one_thread, refuses_rate, .. } = *self.driver.info();
        if self.threads.is_empty() || self.threads.iter().any(|&t| t == 0 || t > most) {
            let more = if is_one_thread { "" } else { ", or up to 20000 with --driver events or tasks" };
            return Err(Error::usage(format!("threads: expected one or more numbers from 1 to {most}{more}")));
        }
        if self.keys.is_empty() || self.keys.iter().any(|&k| k == 0 || k > Event::MAX_KEYS) {
            return Err(Error::usage(format!("keys: expected one or more numbers from 1 to {}", Event::MAX_KEYS)));
        }
        if self.pool_size.is_some_and(|size| size == 0 || size > MAX_THREADS) {
            return Err(Error::usage(format!("pool size: expected a number from 1 to {MAX_THREADS}")));
        }
        if self.rounds == 0 {
            return Err(Error::usage("rounds: expected at least 1"));
        }
        if let Some(why) = refuses_rate.filter(|_| self.pace != Pace::Closed) {
            return Err(Error::usage(format!("driver {}: {why}", self.driver)));
        }
        for workload in self.workloads() {
            workload.timetable(self.size)?;
        }
        match self.size {
            Size::Updates(n) if n == 0 || n > 100_000_000 => {
                Err(Error::usage("updates: expected 1 to 100000000 per thread"))
            }
            Size::Duration(d) if d < Duration::from_millis(1) || d > Duration::from_secs(600) => {
                Err(Error::usage("duration: expected 1ms to 600s"))
            }
            _ => Ok(()),
        }
    }

    /// How many trials the plan holds for `strategies` strategies.
    pub fn trials(&self, strategies: usize) -> usize {
        self.rounds as usize * strategies * self.threads.len() * self.keys.len()
    }

    /// The trial duration with which the whole plan takes about `budget` for `strategies` strategies.
    pub fn fit(&self, budget: Duration, strategies: usize) -> Size {
        // The highest load is weighted by how much longer its trials are.
        let loads = self.threads.len() + self.emphasis.max(1) as usize - 1;
        let shares = self.rounds as usize * strategies * self.keys.len() * loads;
        let each = budget / u32::try_from(shares.max(1)).unwrap_or(u32::MAX);
        Size::Duration(each.clamp(Duration::from_millis(5), LONGEST_FIT))
    }

    /// How large a trial of so many threads is.
    pub fn size_at(&self, threads: usize) -> Size {
        match self.size {
            Size::Duration(each) if self.threads.iter().max() == Some(&threads) => {
                Size::Duration((each * self.emphasis.max(1)).min(LONGEST_FIT).max(each))
            }
            size => size,
        }
    }

    /// The most updates that one trial is known to make beforehand: 0 for a closed loop sized by time.
    ///
    /// # Errors
    /// A usage error: there is no such timetable.
    pub fn most_updates(&self) -> Result<u64> {
        let mut most = 0;
        for workload in self.workloads() {
            let size = self.size_at(workload.threads);
            let updates = match (workload.timetable(size)?, size) {
                (Some(timetable), _) => timetable.updates(),
                (None, Size::Updates(each)) => each.saturating_mul(workload.threads as u64),
                (None, Size::Duration(_)) => 0,
            };
            most = most.max(updates);
        }
        Ok(most)
    }

    /// Every load, key counts within thread counts.
    fn workloads(&self) -> impl Iterator<Item = Workload> {
        let Self { skew, pace, driver, pool_size, .. } = *self;
        let load = move |threads, keys| Workload { threads, keys, skew, pace, driver, pool_size };
        self.threads.iter().flat_map(move |&threads| self.keys.iter().map(move |&keys| load(threads, keys)))
    }

    /// Every cell once, in this round's own order.
    ///
    /// Rounds are the outer loop and each is shuffled, so that drift of the machine affects all cells equally.
    pub fn round(&self, round: u32, entrants: usize) -> Vec<Cell> {
        let mut cells: Vec<Cell> = (0..entrants)
            .flat_map(|entrant| self.workloads().map(move |workload| Cell { entrant, workload }))
            .collect();
        fastrand::Rng::with_seed(self.seed.wrapping_add(u64::from(round) << 32)).shuffle(&mut cells);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            threads: vec![1, 4],
            keys: vec![1, 16],
            skew: Skew::Even,
            pace: Pace::Closed,
            driver: DriverKind::Threads,
            pool_size: None,
            size: Size::Updates(10),
            rounds: 3,
            seed: 7,
            emphasis: 1,
        }
    }

    #[test]
    fn every_driver_is_found_by_its_name_and_has_its_own_info() {
        for kind in [DriverKind::Threads, DriverKind::Events, DriverKind::Tasks, DriverKind::External] {
            assert_eq!(kind.info().kind, kind);
            assert_eq!(kind.to_string().parse::<DriverKind>().unwrap(), kind);
        }
        assert!("thread".parse::<DriverKind>().unwrap_err().to_string().contains("expected threads, events, tasks"));
    }

    #[test]
    fn the_highest_load_gets_its_share_of_the_time() {
        let plan = Plan { threads: vec![1, 2, 4, 8, 16], keys: vec![1], rounds: 5, emphasis: 3, ..plan() };
        let Size::Duration(each) = plan.fit(Duration::from_secs(40), 12) else { panic!("a time") };
        assert_eq!(each.as_millis(), 95); // 40 s over 12 strategies, 5 rounds, and 4 + 3 loads
        let plan = Plan { size: Size::Duration(each), ..plan };
        assert_eq!((plan.size_at(8), plan.size_at(16)), (Size::Duration(each), Size::Duration(each * 3)));
        // One load is all there is, and no trial grows beyond two seconds.
        let one = Plan { threads: vec![16], ..plan };
        let Size::Duration(each) = one.fit(Duration::from_secs(40), 1) else { panic!("a time") };
        let one = Plan { size: Size::Duration(each), ..one };
        assert_eq!(one.size_at(16), Size::Duration(Duration::from_secs(2)));
        let counted = Plan { size: Size::Updates(10), ..one };
        assert_eq!(counted.size_at(16), Size::Updates(10));
    }

    #[test]
    fn every_round_holds_every_cell_once_in_an_order_of_its_own() {
        let (a, b) = (plan().round(0, 5), plan().round(1, 5));
        assert_eq!(a.len(), 20);
        assert_ne!(a, b);
        assert_eq!(a, plan().round(0, 5), "the same seed gives the same order");
        for cell in &a {
            assert_eq!(b.iter().filter(|other| *other == cell).count(), 1);
        }
    }

    #[test]
    fn zipf_prefers_the_first_key_and_even_does_not() {
        let count = |skew| {
            let load = Workload { keys: 16, skew, ..Workload::one_key(1) };
            load.key_sequence(0, 1).iter().filter(|&&k| k == 0).count() as f64 / load.key_sequence(0, 1).len() as f64
        };
        assert!((count(Skew::Even) - 1.0 / 16.0).abs() < 0.02);
        // 1 / (1 + 1/2 + ... + 1/16) = 0.2958
        assert!((count(Skew::Zipf(1.0)) - 0.2958).abs() < 0.03);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(plan().validate().is_ok());
        assert!(Plan { threads: vec![0], ..plan() }.validate().is_err());
        assert!(Plan { threads: vec![10_000], ..plan() }.validate().is_err());
        assert!(Plan { pool_size: Some(0), ..plan() }.validate().is_err());
        assert!(Plan { threads: vec![10_000], driver: DriverKind::Events, ..plan() }.validate().is_ok());
        assert!(Plan { keys: vec![], ..plan() }.validate().is_err());
        assert!(Plan { size: Size::Updates(0), ..plan() }.validate().is_err());
        assert!(Plan { pace: Pace::Rate(0), ..plan() }.validate().is_err());
        assert!(Plan { pace: Pace::Rate(1_000), ..plan() }.validate().is_ok());
        assert!("zipf:-1".parse::<Skew>().is_err());
    }
}
