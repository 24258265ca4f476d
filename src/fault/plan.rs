//! Which cells are measured, how often, and in which order.

use std::time::Duration;

use crate::condition::{NO_FAULT, Topology};
use crate::error::{Error, Result};
use crate::fault::{Chosen, Load, PROTECTIONS, Protection, find};
use crate::record::lab::MOST_TRIALS;
use crate::verdict::Promise;

/// A protection under a fault.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The protection.
    pub protection: Protection,
    /// The fault.
    pub fault: Chosen,
}

impl Cell {
    /// The servers that both together need.
    pub fn topology(&self) -> Topology {
        match (self.fault.topology(), self.protection.needs_replica) {
            (Topology::Single, true) => Topology::Replicated,
            (topology, _) => topology,
        }
    }

    /// Whether its rate depends on no replica, and it loses nothing without a fault: rate x delay assumes both.
    pub(super) fn is_modelled(&self) -> bool {
        let info = self.protection.strategy().map(|strategy| strategy.info());
        info.is_ok_and(|info| info.promise == Promise::Exact && !info.commands.contains(&"wait"))
    }

    /// Whether its clients run in processes of their own.
    pub(super) fn in_processes(&self) -> bool {
        self.protection.library.is_some() || self.fault.fault.info().in_processes
    }

    /// Why it cannot be measured anywhere, if it cannot.
    pub(super) fn impossible(&self) -> Option<String> {
        let Some(library) = &self.protection.library else { return None };
        match (&library.found, self.topology()) {
            (Err(why), _) => Some(why.to_string()),
            (_, topology @ (Topology::Sentinel | Topology::Cluster)) => {
                Some(format!("the lab gives a client library one address, and a {topology} has several"))
            }
            _ => None,
        }
    }

    /// How long its clients race if they run in processes, which are told before the fault begins.
    pub(super) fn races_for(&self) -> Duration {
        LEAD + self.fault.fault.takes(&self.fault) + TAIL
    }

    /// About how long one trial takes.
    pub fn takes(&self) -> Duration {
        let info = self.fault.fault.info();
        let servers = match self.topology() {
            Topology::Single => 150,
            Topology::Replicated => 700,
            // Sentinels notice after a second, a cluster's nodes after two, and both vote.
            Topology::Sentinel => 4_000,
            Topology::Cluster => 5_000,
        };
        if self.impossible().is_some() {
            return Duration::ZERO;
        }
        let race = match info.load {
            Load::Updates(_) if self.fault.form == Some("silence") => Duration::from_millis(4_500),
            // An interpreter or a virtual machine starts first.
            Load::UntilOver if self.in_processes() => self.races_for() + Duration::from_millis(700),
            _ => Duration::from_millis(700) + self.fault.fault.takes(&self.fault),
        };
        Duration::from_millis(servers) + race
    }
}

/// How much earlier than the fault such clients start: they warm up, and the fault waits for their first updates.
const LEAD: Duration = Duration::from_millis(800);

/// How much later than the fault they end, if it takes as long as it should.
const TAIL: Duration = Duration::from_millis(1_500);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The cells, protection by protection.
    pub cells: Vec<Cell>,
    /// How often each cell is measured.
    pub rounds: u32,
    /// How often a cell without a fault is measured in each round: a price is a ratio of two such rates, and one trial of
    /// half a second says little about a rate.
    pub healthy: u32,
    /// What every trial's seed is derived from.
    pub seed: u64,
}

/// How often a cell without a fault is measured in each round of the default plan.
const HEALTHY: u32 = 3;

/// The cells of the default plan: the protections under each fault.
const STORY: &[(&str, &[&str])] = &[
    ("reply-lost:fin", &["incr", "incr-retry", "idempotent-lua"]),
    ("reply-lost:rst", &["incr-retry"]),
    ("reply-lost:silence", &["incr-retry"]),
    ("request-lost:fin", &["incr", "incr-retry"]),
    ("connections-killed", &["incr", "incr-retry", "idempotent-lua"]),
    ("pause", &["incr", "incr-wait"]),
    ("crash-restart", &["incr", "incr-wait", "incr+rdb", "incr+aof-everysec", "incr-waitaof", "incr+aof-always"]),
    ("failover-planned", &["incr", "incr-wait"]),
    ("failover-planned:sentinel", &["incr", "incr-wait"]),
    ("failover-planned:cluster", &["incr"]),
    ("failover-crash", &["incr", "incr-wait", "incr+min-replicas"]),
    ("failover-crash:sentinel", &["incr", "incr-wait"]),
    ("failover-crash:cluster", &["incr"]),
    (
        "failover-lagging",
        &["incr", "get-set", "fenced-lock", "idempotent-lua", "incr-wait", "incr-wait-ignored", "incr+min-replicas"],
    ),
    ("one-way-cut", &["incr", "incr-wait", "incr-wait-ignored", "incr+min-replicas"]),
    ("split-brain", &["incr", "fenced-lock", "incr-wait", "incr+min-replicas"]),
    ("replica-frozen", &["incr-wait", "incr+min-replicas"]),
    ("read-only", &["incr"]),
    ("eviction", &["incr", "incr+aof-always"]),
    ("out-of-memory", &["incr"]),
    ("expiry", &["incr", "get-set"]),
    ("flush", &["incr", "incr+aof-always"]),
    ("script-flush", &["idempotent-lua"]),
    ("slot-move", &["incr", "watch"]),
    ("client-crash", &["incr", "pipelined-incr", "lock", "fenced-lock", "write-behind"]),
];

/// The cells of `--quick`.
const QUICK: &[(&str, &[&str])] = &[
    ("reply-lost:fin", &["incr", "incr-retry", "idempotent-lua"]),
    ("crash-restart", &["incr", "incr+aof-always"]),
    ("failover-planned", &["incr"]),
    ("failover-crash", &["incr", "incr-wait"]),
    ("failover-lagging", &["incr", "incr-wait", "incr+min-replicas"]),
    ("one-way-cut", &["incr-wait", "incr+min-replicas"]),
    ("flush", &["incr"]),
    ("client-crash", &["write-behind"]),
];

impl Plan {
    /// The default plan, or the short one, with each of its protections also without a fault.
    ///
    /// # Errors
    /// None in practice: the names are our own.
    pub fn story(is_quick: bool, rounds: u32, seed: u64) -> Result<Self> {
        let story = if is_quick { QUICK } else { STORY };
        let mut cells = Vec::new();
        for (fault, protections) in story {
            let fault = find(&[fault])?[0];
            let all = Protection::find(protections)?;
            cells.extend(all.into_iter().map(|protection| Cell { protection, fault }));
        }
        let healthy = if is_quick { 1 } else { HEALTHY };
        Ok(Self { cells, rounds, healthy, seed }.with_prices()?.in_order())
    }

    /// Every one of these protections under every one of these faults, and without any.
    ///
    /// # Errors
    /// A protection is named twice.
    pub fn matrix(protections: &[Protection], faults: &[Chosen], rounds: u32, seed: u64) -> Result<Self> {
        Protection::check_unique(protections)?;
        let of = |protection: &Protection, fault: Chosen| Cell { protection: protection.clone(), fault };
        let cells = protections.iter().flat_map(|protection| faults.iter().map(move |&fault| of(protection, fault)));
        Ok(Self { cells: cells.collect(), rounds, healthy: 1, seed }.with_prices()?.in_order())
    }

    /// Adds the trials without a fault that prices come from: of each protection, and of plain INCR.
    fn with_prices(mut self) -> Result<Self> {
        let none = find(&["none"])?[0];
        let mut all: Vec<Protection> = self.cells.iter().map(|cell| cell.protection.clone()).collect();
        all.extend(Protection::find(&["incr"])?);
        for protection in all {
            let is_priced = |cell: &Cell| cell.protection.name == protection.name && cell.fault.to_string() == "none";
            if !self.cells.iter().any(is_priced) {
                self.cells.push(Cell { protection, fault: none });
            }
        }
        Ok(self)
    }

    /// In the order of the table, by protections and then faults.
    fn in_order(mut self) -> Self {
        // Client libraries follow.
        let protection = |cell: &Cell| {
            let known = PROTECTIONS.iter().position(|known| known.name == cell.protection.name);
            known.map_or((PROTECTIONS.len(), cell.protection.name.clone()), |place| (place, "".into()))
        };
        let fault =
            |cell: &Cell| crate::fault::ALL.iter().position(|fault| fault.info().name == cell.fault.fault.info().name);
        self.cells.sort_by_cached_key(|cell| (protection(cell), fault(cell)));
        self
    }

    /// About how long all of it takes.
    pub fn takes(&self) -> Duration {
        self.cells.iter().map(|cell| cell.takes() * self.times(cell)).sum::<Duration>() * self.rounds
    }

    /// How many trials it has.
    pub fn trials(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(self.times(cell))).sum::<u64>() * u64::from(self.rounds)
    }

    /// How often a cell is measured in each round.
    fn times(&self, cell: &Cell) -> u32 {
        if cell.fault.fault.info().name == NO_FAULT { self.healthy } else { 1 }
    }

    /// The cells of a round, shuffled anew in each, so that a machine that gets busy disturbs all alike.
    pub fn round(&self, round: u32) -> Vec<Cell> {
        let repeated = |cell: &Cell| std::iter::repeat_n(cell.clone(), self.times(cell) as usize);
        let mut cells: Vec<Cell> = self.cells.iter().flat_map(repeated).collect();
        fastrand::Rng::with_seed(self.seed ^ u64::from(round).rotate_left(32)).shuffle(&mut cells);
        cells
    }

    /// The seed of one trial: it depends on the plan's seed, the round and the cell, and not on the order.
    pub fn seed_of(&self, cell: &Cell, round: u32) -> u64 {
        let name = format!("{}/{}/{round}", cell.protection.name, cell.fault);
        let salt = name.bytes().fold(self.seed, |hash, byte| hash.rotate_left(5) ^ u64::from(byte).wrapping_mul(MIX));
        fastrand::Rng::with_seed(salt).u64(..)
    }

    /// Checks that it can be measured.
    ///
    /// # Errors
    /// A usage error: no cell, no round, or too many trials.
    pub fn validate(&self) -> Result<()> {
        let trials = self.trials();
        if trials == 0 {
            return Err(Error::usage("rounds: expected at least 1"));
        }
        if trials > MOST_TRIALS as u64 {
            return Err(Error::usage(format!("{trials} trials: expected at most {MOST_TRIALS}; give fewer rounds")));
        }
        Ok(())
    }
}

/// An odd number without a pattern.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_prices_every_protection_once_and_shuffles_by_its_seed() {
        let plan = Plan::story(false, 2, 1).unwrap();
        let of =
            |cells: &[Cell]| cells.iter().map(|c| format!("{} {}", c.protection.name, c.fault)).collect::<Vec<_>>();
        let names = of(&plan.cells);
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        for cell in &plan.cells {
            assert!(names.contains(&format!("{} none", cell.protection.name)), "{}", cell.protection.name);
        }
        assert_eq!(of(&plan.round(1)), of(&plan.round(1)));
        assert_ne!(of(&plan.round(1)), of(&plan.round(2)));
        let round = of(&plan.round(1));
        let times = |name: &str| round.iter().filter(|cell| *cell == name).count();
        assert_eq!((times("incr none"), times("incr flush")), (3, 1), "a price needs several trials");
        assert_eq!(plan.trials() as usize, round.len() * 2);
        assert_ne!(plan.seed_of(&plan.cells[0], 1), plan.seed_of(&plan.cells[0], 2));
        assert!(Plan::story(true, 1, 1).unwrap().takes() < Duration::from_secs(50));
        assert!(Plan { rounds: 0, ..plan }.validate().is_err());
    }
}
