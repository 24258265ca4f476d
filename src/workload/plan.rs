//! The whole experiment: which cells, how large each trial is, and the shuffled order.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::pace::Pace;
use crate::update::Event;

use super::{DriverInfo, DriverKind, MAX_THREADS, Size, Skew, Workload};

/// More threads than this on a few CPUs overlap too little: see the overlap of each row.
const CROWD: usize = 256;

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

/// One cell of the plan: an entrant (by its place in the caller's list) under a workload.
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
    /// What to do instead, if so many clients would measure the scheduler more than the server.
    pub fn advice(&self) -> Option<String> {
        let most = self.threads.iter().copied().max().unwrap_or(0);
        (self.driver == DriverKind::Threads && most > CROWD).then(|| {
            format!(
                "{most} threads spend much of a trial starting and stopping: --driver events or tasks races {most} clients \
                 from one thread"
            )
        })
    }

    /// Refuses what cannot be measured, before anything is opened.
    ///
    /// # Errors
    /// A usage error that names the figure and its range.
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
            workload.schedule(self.size)?;
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

    /// How large a trial with this many threads is.
    pub fn size_at(&self, threads: usize) -> Size {
        match self.size {
            Size::Duration(each) if self.threads.iter().max() == Some(&threads) => {
                Size::Duration((each * self.emphasis.max(1)).min(LONGEST_FIT).max(each))
            }
            size => size,
        }
    }

    /// The most updates that one trial is known in advance to make: 0 for a closed loop sized by time.
    ///
    /// # Errors
    /// A usage error: there is no such schedule.
    pub fn most_updates(&self) -> Result<u64> {
        let mut most = 0;
        for workload in self.workloads() {
            let size = self.size_at(workload.threads);
            let updates = match (workload.schedule(size)?, size) {
                (Some(schedule), _) => schedule.updates(),
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
    fn the_highest_load_gets_its_share_of_the_time() {
        let plan = Plan { threads: vec![1, 2, 4, 8, 16], keys: vec![1], rounds: 5, emphasis: 3, ..plan() };
        let Size::Duration(each) = plan.fit(Duration::from_secs(40), 12) else { panic!("a time") };
        assert_eq!(each.as_millis(), 95); // 40 s over 12 strategies, 5 rounds, and 4 + 3 loads
        let plan = Plan { size: Size::Duration(each), ..plan };
        assert_eq!((plan.size_at(8), plan.size_at(16)), (Size::Duration(each), Size::Duration(each * 3)));
        // There is only one load, and no trial grows beyond two seconds.
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
