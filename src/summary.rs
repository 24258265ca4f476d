//! Records grouped by cell: medians and intervals, ratios, verdicts, and what a page or a table says about them.
//!
//! Everything is derived from a [`Run`] as it was read; nothing is measured here.

mod answer;
mod cell;
pub mod lab;
mod latency;
mod limit;
mod modes;
mod named;
mod nodes;
mod outcome;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::{Condition, labels};
use crate::record::{Record, Run};
use crate::verdict::{Promise, Verdict};
use crate::workload::DriverKind;

pub use answer::{Answer, is_batching};
pub use cell::CellSummary;
use latency::latencies;
pub use limit::Limit;
use limit::{Cpus, Work};
pub use nodes::Node;
pub use outcome::{Cause, Outcome, What};

/// A whole run, cell by cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Every cell, in the order of strategies as first listed in the facts, then keys, then threads.
    pub cells: Vec<CellSummary>,
    /// Rounds recorded.
    pub rounds: u32,
    /// All trials with a verdict.
    pub trials: usize,
    /// Trials in which an exact strategy broke its promise.
    pub broken: Vec<BrokenPromise>,
    /// What keeps the run from showing that every exact strategy kept its promise.
    pub causes: Vec<Cause>,
    /// What that amounts to.
    pub outcome: Outcome,
}

/// A trial in which an exact strategy lost or doubled an update.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BrokenPromise {
    /// The trial's round.
    pub round: u32,
    /// What it was measured under.
    #[serde(flatten)]
    pub condition: Condition,
    /// What was seen instead.
    pub verdict: Verdict,
}

impl Summary {
    /// Groups a run's records.
    pub fn of(run: &Run) -> Self {
        let order: Vec<&str> = run.machine.0.iter().filter_map(|fact| fact.fact.strip_prefix("strategy.")).collect();
        let place = |name: &str| order.iter().position(|&known| known == name).unwrap_or(order.len());
        let mut groups: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
        for record in &run.records {
            let Condition { strategy, keys, threads, .. } = &record.condition;
            let key = (place(strategy), strategy, keys, threads, &record.condition);
            groups.entry(key).or_default().push(record);
        }
        let buckets = run.latencies();
        let labels = labels(run.records.iter().map(|record| &record.condition));
        let cpus = Cpus::of(&run.machine);
        let cells: Vec<CellSummary> = groups
            .into_iter()
            .map(|((.., condition), records)| {
                let label = labels[condition].clone();
                let mut cell = CellSummary { label, ..CellSummary::of(&records, &latencies(&records, &buckets)) };
                let drivers = condition.driver.threads_of(condition.threads);
                let work = Work { primaries: cell.server_cpus, nodes: &cell.nodes, replicas: &cell.replica_nodes };
                cell.limit = cpus.limit(drivers, cell.client_cpus, &work);
                cell
            })
            .collect();
        let broken = run.records.iter().filter(|record| record.is_broken_promise());
        let causes = outcome::causes(&run.records);
        Self {
            outcome: outcome::outcome(&causes),
            causes,
            rounds: run.records.iter().map(|record| record.round).max().unwrap_or(0),
            trials: cells.iter().map(|cell| cell.trials).sum(),
            broken: broken
                .filter_map(|record| {
                    let (round, condition) = (record.round, record.condition.clone());
                    Some(BrokenPromise { round, condition, verdict: record.verdict? })
                })
                .collect(),
            cells,
        }
    }

    /// What the cells are called, in order: the strategies' names, where nothing else tells cells apart.
    pub fn labels(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !names.contains(&cell.label.as_str()) {
                names.push(&cell.label);
            }
        }
        names
    }

    /// The cells of one [label](CellSummary::label), by threads, at one key count.
    pub fn curve<'a>(&'a self, label: &'a str, keys: usize) -> impl Iterator<Item = &'a CellSummary> {
        self.cells.iter().filter(move |cell| cell.label == label && cell.condition.keys == keys && cell.trials > 0)
    }

    /// The thread counts measured, in order.
    pub fn threads(&self) -> Vec<usize> {
        distinct(self.cells.iter().map(|cell| cell.condition.threads))
    }

    /// The key counts measured, in order.
    pub fn keys(&self) -> Vec<usize> {
        distinct(self.cells.iter().map(|cell| cell.condition.keys))
    }

    /// What drove the clients; of several drivers, one that is not threads.
    pub fn driver(&self) -> DriverKind {
        let mut drivers = self.cells.iter().map(|cell| cell.condition.driver);
        drivers.find(|&driver| driver != DriverKind::Threads).unwrap_or_default()
    }

    /// Cells of exact strategies that kept their promise at this load, the fastest first.
    pub fn ranking(&self, threads: usize, keys: usize) -> Vec<&CellSummary> {
        let mut cells: Vec<&CellSummary> = self
            .cells
            .iter()
            .filter(|c| c.condition.threads == threads && c.condition.keys == keys && c.trials > 0)
            .filter(|c| c.promise == Promise::Exact && !c.verdict.is_some_and(Verdict::breaks_exactness))
            .collect();
        cells.sort_by(|a, b| b.surviving_per_s.median.total_cmp(&a.surviving_per_s.median));
        cells
    }
}

fn distinct(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Clock;

    #[test]
    fn two_drivers_of_one_load_are_two_cells_and_share_no_latencies() {
        let row = |driver, acked, trial| Record {
            trial,
            round: 1,
            acked: Some(acked),
            lost: Some(0),
            span_ns: Some(1_000_000_000),
            verdict: Some(Verdict::Exact),
            ..Record::blank(Condition { driver, ..Condition::of("incr", 4, 1) }, Promise::Exact)
        };
        let mut run =
            Run { records: vec![row(DriverKind::Threads, 10, 1), row(DriverKind::Events, 30, 2)], ..Run::default() };
        run.latency.push(run.records[0].bucket(Clock::Service, (9, 20)));
        let cells = Summary::of(&run).cells;
        let seen: Vec<_> = cells.iter().map(|c| (c.condition.driver, c.acked, c.latency_ns[0])).collect();
        assert_eq!(seen, [(DriverKind::Threads, 10, Some(9)), (DriverKind::Events, 30, None)]);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let row = |round, acked| Record {
            round,
            acked: Some(acked),
            lost: Some(u64::MAX),
            verdict: Some(Verdict::Lost),
            ..Record::blank(Condition::of("get-set", 4, 1), Promise::Lossy)
        };
        let run = Run { records: vec![row(1, u64::MAX), row(2, 7)], ..Run::default() };
        let cell = &Summary::of(&run).cells[0];
        assert_eq!((cell.acked, cell.lost, cell.capped), (u64::MAX, u64::MAX, true));
    }

    #[test]
    fn trials_without_a_verdict_count_for_nothing_but_their_note() {
        let blank = Record::blank(Condition::of("cas", 4, 1), Promise::Exact);
        let skipped = Record { note: Some("skipped: no such command".to_owned()), ..blank.clone() };
        let run = Run { records: vec![Record { round: 1, ..skipped }], ..Run::default() };
        let summary = Summary::of(&run);
        assert_eq!((summary.trials, summary.cells[0].verdict), (0, None));
        assert_eq!(summary.cells[0].note.as_deref(), Some("skipped: no such command"));
        assert!(summary.ranking(4, 1).is_empty());
    }
}
