//! A run's rows as cells with their figures round by round, and which cell of one run is which of the other.

use std::collections::BTreeMap;

use crate::compare::{Pair, Side};
use crate::record::{Estimate, Record, Run};
use crate::stats::{MeanLog, quantile};
use crate::verdict::{Promise, Verdict};

/// What drives the clients of a bench run.
const CRITERION: &str = "criterion";

/// The logarithms of one figure of one cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// By round, as measured.
    Rounds(BTreeMap<u32, f64>),
    /// A mean with the interval that a benchmark gave it.
    Estimate(MeanLog),
}

/// One cell of one run.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) strategy: String,
    pub(super) promise: Promise,
    pub(super) driver: String,
    pub(super) transport: String,
    pub(super) skew: String,
    /// What was offered; `None` in a closed loop.
    pub(super) offered_per_s: Option<u64>,
    pub(super) threads: usize,
    pub(super) keys: usize,
    pub(super) surviving: Figure,
    pub(super) p99: Figure,
    verdict: Option<Verdict>,
    rounds: usize,
    acked: u64,
    lost: u64,
    note: Option<String>,
}

impl Figure {
    pub(super) fn mean(&self, rho: f64) -> Option<MeanLog> {
        match self {
            Self::Rounds(rounds) => MeanLog::of(&rounds.values().copied().collect::<Vec<_>>(), rho),
            Self::Estimate(mean) => Some(*mean),
        }
    }

    /// The geometric mean.
    fn typical(&self) -> Option<f64> {
        match self {
            Self::Rounds(rounds) if rounds.is_empty() => None,
            Self::Rounds(rounds) => Some((rounds.values().sum::<f64>() / rounds.len() as f64).exp()),
            Self::Estimate(mean) => Some(mean.mean.exp()),
        }
    }
}

impl Cell {
    fn of(records: &[&Record], p99: BTreeMap<u32, f64>) -> Self {
        let first = records[0];
        // Warm-ups (round 0) count for the verdict and for nothing else.
        let judged: Vec<&&Record> = records.iter().filter(|r| r.round > 0 && r.verdict.is_some()).collect();
        let rate = |r: &&&Record| Some((r.round, r.surviving_per_s().filter(|&rate| rate > 0.0)?.ln()));
        let why = |r: &&Record| r.error.clone().or_else(|| r.note.clone());
        Self {
            strategy: first.strategy.clone(),
            promise: first.promise,
            driver: first.driver.clone(),
            transport: first.transport.clone(),
            skew: first.skew.clone(),
            offered_per_s: first.offered_per_s,
            threads: first.threads,
            keys: first.keys,
            surviving: Figure::Rounds(judged.iter().filter_map(rate).collect()),
            p99: Figure::Rounds(p99),
            verdict: records.iter().filter_map(|r| r.verdict).max(),
            rounds: judged.len(),
            acked: judged.iter().filter_map(|r| r.acked).sum(),
            lost: judged.iter().filter_map(|r| r.lost).sum(),
            note: records.iter().find_map(why),
        }
    }

    /// A bench's cell: one iteration is one update by every thread.
    fn benched(estimate: &Estimate, promise: Promise, transport: &str) -> Self {
        let kept = 1.0 - estimate.lost as f64 / estimate.acked.max(1) as f64;
        let rate = |ns: f64| (estimate.threads as f64 * kept * 1e9 / ns).ln();
        let ends = (rate(estimate.mean_high_ns), rate(estimate.mean_low_ns));
        let told = [rate(estimate.mean_ns), ends.0, ends.1].iter().all(|log| log.is_finite());
        let surviving = MeanLog::of_interval(rate(estimate.mean_ns), ends, estimate.confidence);
        Self {
            strategy: estimate.strategy.clone(),
            promise,
            driver: CRITERION.to_owned(),
            transport: transport.to_owned(),
            skew: "even".to_owned(),
            offered_per_s: None,
            threads: estimate.threads,
            keys: 1,
            surviving: if told { Figure::Estimate(surviving) } else { Figure::Rounds(BTreeMap::new()) },
            p99: Figure::Rounds(BTreeMap::new()),
            verdict: estimate.verdict,
            rounds: 1,
            acked: estimate.acked,
            lost: estimate.lost,
            note: None,
        }
    }

    pub(super) fn side(&self) -> Side {
        Side {
            verdict: self.verdict,
            rounds: self.rounds,
            acked: self.acked,
            lost: self.lost,
            surviving_per_s: self.surviving.typical(),
            p99_ns: self.p99.typical(),
        }
    }

    /// Why this cell cannot be compared with any.
    pub(super) fn why_not(&self) -> Option<String> {
        let told = match &self.surviving {
            Figure::Rounds(rounds) => rounds.len(),
            Figure::Estimate(_) => return None,
        };
        match (self.verdict.is_some(), told) {
            (false, _) => {
                Some(self.note.as_ref().map_or("no verdict".to_owned(), |note| format!("no verdict ({note})")))
            }
            (true, 0) if self.acked > 0 => Some("nothing survived".to_owned()),
            (true, 0) => Some("nothing was acknowledged".to_owned()),
            (true, 1) => Some("a single round, which has no spread".to_owned()),
            _ => None,
        }
    }

    /// What it is measured under, but for strategy, load and driver.
    fn setting(&self) -> [(&'static str, &str); 2] {
        [("transport", &self.transport), ("skew", &self.skew)]
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is_same_load(other) && self.setting() == other.setting()
    }

    /// Drivers are two ways of measuring, Criterion's estimates a third, and never of one load; neither is a rate that was
    /// offered the same as another, or as what a closed loop does by itself.
    fn is_same_load(&self, other: &Self) -> bool {
        self.is_same_place(other) && (&self.driver, self.offered_per_s) == (&other.driver, other.offered_per_s)
    }

    fn is_same_place(&self, other: &Self) -> bool {
        (&self.strategy, self.threads, self.keys) == (&other.strategy, other.threads, other.keys)
    }

    /// How its load is made, for people.
    fn load_made(&self) -> String {
        let pace = self.offered_per_s.map_or_else(String::new, |per_s| format!(" at {per_s}/s"));
        format!("by {}{pace}", self.driver)
    }
}

/// Every cell of both runs: those that are the same cell together, the others alone, in the first run's order.
///
/// A cell that the other run measured in one other setting alone (another transport, say) is paired with it, and says so:
/// such a comparison is asked for on purpose as often as by mistake.
pub(super) fn paired(before: &Run, after: &Run) -> Vec<Pair> {
    let (before, mut rest) = (cells(before), cells(after));
    let mut partners: Vec<Option<Cell>> =
        before.iter().map(|cell| taken(&mut rest, |other| cell.is_same(other))).collect();
    for (cell, partner) in before.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
        if rest.iter().filter(|other| cell.is_same_load(other)).count() == 1 {
            *partner = taken(&mut rest, |other| cell.is_same_load(other));
        }
    }
    let mut pairs: Vec<Pair> = before.into_iter().map(Some).zip(partners).collect();
    // What only the second run has stands under the strategy's other cells.
    for cell in rest {
        let place = pairs.iter().rposition(|(one, other)| {
            one.as_ref().or(other.as_ref()).is_some_and(|known| known.strategy == cell.strategy)
        });
        pairs.insert(place.map_or(pairs.len(), |place| place + 1), (None, Some(cell)));
    }
    pairs
}

/// Cells that both runs have, but of loads that are not made the same way: their two places, and the reason.
pub(super) fn estranged(pairs: &[Pair]) -> Vec<(usize, usize, String)> {
    let lone_before = pairs.iter().enumerate().filter_map(|(i, pair)| match pair {
        (Some(cell), None) => Some((i, cell)),
        _ => None,
    });
    let found = lone_before.filter_map(|(i, cell)| {
        let is_twin = |pair: &Pair| matches!(pair, (None, Some(other)) if cell.is_same_place(other));
        let at = pairs.iter().position(is_twin)?;
        let other = pairs[at].1.as_ref()?;
        Some((i, at, format!("{} in the first run, {} in the second", cell.load_made(), other.load_made())))
    });
    found.collect()
}

fn taken(cells: &mut Vec<Cell>, fits: impl Fn(&Cell) -> bool) -> Option<Cell> {
    cells.iter().position(fits).map(|at| cells.remove(at))
}

/// `transport: tcp before, unix after`, if the two cells were measured in different settings.
pub(super) fn across(before: &Cell, after: &Cell) -> Option<String> {
    let differ = before.setting().into_iter().zip(after.setting()).filter(|(one, other)| one != other);
    let said: Vec<String> =
        differ.map(|((name, one), (_, other))| format!("{name}: {one} before, {other} after")).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn cells(run: &Run) -> Vec<Cell> {
    if run.estimates.is_empty() { measured(run) } else { benched(run) }
}

fn measured(run: &Run) -> Vec<Cell> {
    let order: Vec<&str> = run.machine.0.iter().filter_map(|fact| fact.fact.strip_prefix("strategy.")).collect();
    let place = |name: &str| order.iter().position(|&known| known == name).unwrap_or(order.len());
    let mut groups: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for r in &run.records {
        let setting = (r.driver.as_str(), r.transport.as_str(), r.skew.as_str(), r.offered_per_s);
        groups.entry((place(&r.strategy), r.strategy.as_str(), r.keys, r.threads, setting)).or_default().push(r);
    }
    let latencies = latencies(run);
    let p99 = |name, threads, keys| latencies.get(&(name, threads, keys)).cloned().unwrap_or_default();
    groups.iter().map(|(&(_, name, keys, threads, _), records)| Cell::of(records, p99(name, threads, keys))).collect()
}

/// The logarithm of p99 of every trial, by strategy, threads and keys, then by round.
fn latencies(run: &Run) -> BTreeMap<(&str, usize, usize), BTreeMap<u32, f64>> {
    let mut trials: BTreeMap<_, Vec<(u64, u64)>> = BTreeMap::new();
    for bucket in run.latency.iter().filter(|bucket| bucket.round > 0) {
        let trial = (bucket.strategy.as_str(), bucket.threads, bucket.keys, bucket.round, bucket.clock);
        trials.entry(trial).or_default().push((bucket.up_to_ns, bucket.count));
    }
    let mut cells: BTreeMap<_, BTreeMap<u32, f64>> = BTreeMap::new();
    // Where a trial has both, the response times come after the service times, and stand.
    for ((strategy, threads, keys, round, _), buckets) in trials {
        if let Some(p99) = quantile(&buckets, 0.99).filter(|&ns| ns > 0) {
            cells.entry((strategy, threads, keys)).or_default().insert(round, (p99 as f64).ln());
        }
    }
    cells
}

fn benched(run: &Run) -> Vec<Cell> {
    let transport = run.machine.get("transport").unwrap_or_default();
    let promise = |name: &str| run.records.iter().find(|r| r.strategy == name).map_or(Promise::Exact, |r| r.promise);
    run.estimates.iter().map(|estimate| Cell::benched(estimate, promise(&estimate.strategy), transport)).collect()
}

/// Every series of rounds there is, to learn of the machine from.
pub(super) fn all_rounds(pairs: &[Pair]) -> Vec<Vec<f64>> {
    let cells = pairs.iter().flat_map(|(before, after)| [before, after]).flatten();
    cells
        .filter_map(|cell| match &cell.surviving {
            Figure::Rounds(rounds) => Some(rounds.values().copied().collect()),
            Figure::Estimate(_) => None,
        })
        .collect()
}

/// Several cells as one: the mean of their logarithms in every round that all of them have.
pub(super) fn whole(cells: &[&Cell]) -> Figure {
    let estimates: Vec<MeanLog> = cells
        .iter()
        .filter_map(|cell| match cell.surviving {
            Figure::Estimate(mean) => Some(mean),
            Figure::Rounds(_) => None,
        })
        .collect();
    if let Some(mean) = MeanLog::of_means(&estimates).filter(|_| estimates.len() == cells.len()) {
        return Figure::Estimate(mean);
    }
    let mut sums: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
    for cell in cells {
        if let Figure::Rounds(rounds) = &cell.surviving {
            for (&round, log) in rounds {
                let sum = sums.entry(round).or_default();
                *sum = (sum.0 + 1, sum.1 + log);
            }
        }
    }
    let complete = sums.into_iter().filter(|(_, (count, _))| *count == cells.len());
    Figure::Rounds(complete.map(|(round, (_, sum))| (round, sum / cells.len() as f64)).collect())
}
