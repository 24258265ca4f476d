//! The rows of a side's runs as cells with their figures, run by run and round by round, and which cells of the two
//! sides correspond.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use crate::compare::{Pair, Side};
use crate::condition::{Condition, Transport, labels};
use crate::record::{Bucket, Estimate, Record, Run};
use crate::stats::{MeanLog, quantile};
use crate::verdict::{Promise, Verdict};

/// The logarithms of one figure of one cell in one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// By round, as measured.
    Rounds(BTreeMap<u32, f64>),
    /// A mean with the interval that a benchmark gave it.
    Estimate(MeanLog),
}

/// One cell of one side.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) condition: Condition,
    /// Its name among the cells of its side.
    pub(super) label: String,
    pub(super) promise: Promise,
    /// Whether the figures are Criterion's estimates.
    pub(super) is_estimate: bool,
    /// In each run of its side; without any round for a run that does not have the cell.
    pub(super) surviving: Vec<Figure>,
    pub(super) p99: Vec<Figure>,
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

    /// The mean of a run, as a logarithm.
    pub(super) fn log(&self) -> Option<f64> {
        match self {
            Self::Rounds(rounds) if rounds.is_empty() => None,
            Self::Rounds(rounds) => Some(rounds.values().sum::<f64>() / rounds.len() as f64),
            Self::Estimate(mean) => Some(mean.mean),
        }
    }

    fn nothing() -> Self {
        Self::Rounds(BTreeMap::new())
    }
}

/// The geometric mean of the runs' own geometric means.
fn typical(runs: &[Figure]) -> Option<f64> {
    let logs: Vec<f64> = runs.iter().filter_map(Figure::log).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

impl Cell {
    fn of(records: &[&Record], p99: BTreeMap<u32, f64>) -> Self {
        let first = records[0];
        // Warm-ups (round 0) count for the verdict and for nothing else.
        let judged: Vec<&&Record> = records.iter().filter(|r| r.round > 0 && r.verdict.is_some()).collect();
        let rate = |r: &&&Record| Some((r.round, r.surviving_per_s().filter(|&rate| rate > 0.0)?.ln()));
        let why = |r: &&Record| r.error.clone().or_else(|| r.note.clone());
        Self {
            condition: first.condition.clone(),
            label: String::new(),
            promise: first.promise,
            is_estimate: false,
            surviving: vec![Figure::Rounds(judged.iter().filter_map(rate).collect())],
            p99: vec![Figure::Rounds(p99)],
            verdict: records.iter().filter_map(|r| r.verdict).max(),
            rounds: judged.len(),
            acked: judged.iter().filter_map(|r| r.acked).fold(0, u64::saturating_add),
            lost: judged.iter().filter_map(|r| r.lost).fold(0, u64::saturating_add),
            note: records.iter().find_map(why),
        }
    }

    /// A bench's cell: one iteration is one update by every thread.
    fn benched(estimate: &Estimate, promise: Promise, transport: Transport) -> Self {
        let kept = 1.0 - estimate.lost as f64 / estimate.acked.max(1) as f64;
        let rate = |ns: f64| (estimate.threads as f64 * kept * 1e9 / ns).ln();
        let ends = (rate(estimate.mean_high_ns), rate(estimate.mean_low_ns));
        let told = [rate(estimate.mean_ns), ends.0, ends.1].iter().all(|log| log.is_finite());
        let surviving = MeanLog::of_interval(rate(estimate.mean_ns), ends, estimate.confidence);
        Self {
            condition: Condition { transport, ..Condition::of(&estimate.strategy, estimate.threads, 1) },
            label: String::new(),
            promise,
            is_estimate: true,
            surviving: vec![if told { Figure::Estimate(surviving) } else { Figure::nothing() }],
            p99: vec![Figure::nothing()],
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
            surviving_per_s: typical(&self.surviving),
            p99_ns: typical(&self.p99),
        }
    }

    /// Adds another run's figures for the same cell.
    fn join(&mut self, other: Self) {
        self.surviving.extend(other.surviving);
        self.p99.extend(other.p99);
        self.verdict = self.verdict.max(other.verdict);
        self.rounds += other.rounds;
        self.acked = self.acked.saturating_add(other.acked);
        self.lost = self.lost.saturating_add(other.lost);
        self.note = self.note.take().or(other.note);
    }

    /// Pads with runs that do not have the cell: `before` of them first, then its own figures, up to `runs` in all.
    fn pad(&mut self, before: usize, runs: usize) {
        for figures in [&mut self.surviving, &mut self.p99] {
            figures.splice(0..0, repeat_n(Figure::nothing(), before));
            figures.resize_with(runs.max(figures.len()), Figure::nothing);
        }
    }

    /// Why this cell cannot be compared with any.
    pub(super) fn why_not(&self) -> Option<String> {
        let mut told = 0;
        for figure in &self.surviving {
            match figure {
                Figure::Rounds(rounds) => told += rounds.len(),
                Figure::Estimate(_) => return None,
            }
        }
        match (self.verdict.is_some(), told) {
            (false, _) => {
                Some(self.note.as_ref().map_or("no verdict".to_owned(), |note| format!("no verdict ({note})")))
            }
            (true, 0) if self.acked > 0 => Some("nothing survived".to_owned()),
            (true, 0) => Some("nothing was acknowledged".to_owned()),
            (true, 1) if self.surviving.len() == 1 => Some("a single round, which has no spread".to_owned()),
            _ => None,
        }
    }

    /// Its server's product, without the version.
    fn product(&self) -> &str {
        self.condition.server.split(' ').next().unwrap_or_default()
    }

    /// Estimates are another way of measuring, and never of the same cell as trials of our own.
    fn is_same(&self, other: &Self) -> bool {
        self.is_estimate == other.is_estimate && self.condition.is_same_but_for_versions(&other.condition)
    }

    /// The same strategy under a load that was made the same way. Drivers are different ways of measuring; neither is a rate
    /// that was offered the same as another, or as what a closed loop does by itself.
    fn is_same_load(&self, other: &Self) -> bool {
        let (one, two) = (&self.condition, &other.condition);
        let is_made_alike = (one.driver, one.offered_per_s) == (two.driver, two.offered_per_s);
        self.is_same_place(other) && is_made_alike && self.is_estimate == other.is_estimate
    }

    fn is_same_place(&self, other: &Self) -> bool {
        let (one, two) = (&self.condition, &other.condition);
        (&one.strategy, one.threads, one.keys) == (&two.strategy, two.threads, two.keys)
    }

    /// How its load is made, for people.
    fn load_made(&self) -> String {
        let pace = self.condition.offered_per_s.map_or_else(String::new, |per_s| format!(" at {per_s}/s"));
        let driver = if self.is_estimate { "criterion".to_owned() } else { self.condition.driver.to_string() };
        format!("by {driver}{pace}")
    }
}

/// All cells of both sides: matching cells in pairs, the others alone, in the first side's order.
///
/// A cell that the other side measured in exactly one other setting (another transport, say) is paired with that one,
/// and says so: people ask for such a comparison on purpose as often as by mistake.
pub(super) fn paired(before: &[&Run], after: &[&Run]) -> Vec<Pair> {
    let (mut before, mut rest) = (merged(before), merged(after));
    name(&mut before);
    name(&mut rest);
    let mut partners: Vec<Option<Cell>> = before.iter().map(|_| None).collect();
    // A run may be of several servers: each is compared with itself, or with another version of its product.
    let likeness: [fn(&Cell, &Cell) -> bool; 3] = [
        |one, other| one.condition.server == other.condition.server,
        |one, other| one.product() == other.product(),
        |_, _| true,
    ];
    for is_alike in likeness {
        for (cell, partner) in before.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
            *partner = taken(&mut rest, |other| cell.is_same(other) && is_alike(cell, other));
        }
    }
    for (cell, partner) in before.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
        // Neither has a second one there: which of two is meant, nobody can tell.
        let is_lone = |cells: &[Cell]| cells.iter().filter(|other| cell.is_same_load(other)).count() == 1;
        if is_lone(&rest) && is_lone(&before) {
            *partner = taken(&mut rest, |other| cell.is_same_load(other));
        }
    }
    let mut pairs: Vec<Pair> = before.into_iter().map(Some).zip(partners).collect();
    // What only the second run has stands under the strategy's other cells.
    for cell in rest {
        let place = pairs
            .iter()
            .rposition(|(one, other)| one.as_ref().or(other.as_ref()).is_some_and(|known| known.label == cell.label));
        pairs.insert(place.map_or(pairs.len(), |place| place + 1), (None, Some(cell)));
    }
    pairs
}

/// Gives each cell of a run its label. What differs between two runs is no part of it: see [`across`].
fn name(cells: &mut [Cell]) {
    let servers: BTreeSet<&str> = cells.iter().map(|cell| cell.condition.server.as_str()).collect();
    let products: BTreeSet<&str> = cells.iter().map(Cell::product).collect();
    // Several servers in one run are told apart, by their products if that is enough; one alone is in no label.
    let is_told_by_product = products.len() == servers.len();
    let server = |cell: &Cell| if is_told_by_product { cell.product() } else { &cell.condition.server }.to_owned();
    let conditions: Vec<Condition> =
        cells.iter().map(|cell| Condition { server: server(cell), ..cell.condition.without_versions() }).collect();
    let labels = labels(&conditions);
    for (cell, condition) in cells.iter_mut().zip(&conditions) {
        cell.label.clone_from(&labels[condition]);
    }
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
        let (one, two) = (cell.load_made(), other.load_made());
        let why = match one == two {
            true => "one run has it in several settings, none of which the other has".to_owned(),
            false => format!("{one} in the first run, {two} in the second"),
        };
        Some((i, at, why))
    });
    found.collect()
}

fn taken(cells: &mut Vec<Cell>, fits: impl Fn(&Cell) -> bool) -> Option<Cell> {
    cells.iter().position(fits).map(|at| cells.remove(at))
}

/// `transport: tcp before, unix after`, if the two cells were measured in different settings.
pub(super) fn across(before: &Cell, after: &Cell) -> Option<String> {
    let differ = before.condition.without_versions().differences(&after.condition.without_versions());
    let said: Vec<String> =
        differ.iter().map(|(name, one, other)| format!("{name}: {one} before, {other} after")).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// The cells of a side's runs, each with its figures in every run.
fn merged(runs: &[&Run]) -> Vec<Cell> {
    let mut all: Vec<Cell> = Vec::new();
    let mut places: BTreeMap<(bool, Condition, usize), usize> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        // If a run has several versions of a library, the nth one is matched with the nth one of every other run.
        let mut seen: BTreeMap<(bool, Condition), usize> = BTreeMap::new();
        for mut cell in cells(run) {
            let (is_estimate, condition) = (cell.is_estimate, cell.condition.without_versions());
            let nth = seen.entry((is_estimate, condition.clone())).or_default();
            *nth += 1;
            match places.get(&(is_estimate, condition.clone(), *nth)) {
                Some(&place) => all[place].join(cell),
                None => {
                    places.insert((is_estimate, condition, *nth), all.len());
                    cell.pad(at, at + 1);
                    all.push(cell);
                }
            }
        }
        all.iter_mut().for_each(|cell| cell.pad(0, at + 1));
    }
    all
}

fn cells(run: &Run) -> Vec<Cell> {
    if run.estimates.is_empty() { measured(run) } else { benched(run) }
}

fn measured(run: &Run) -> Vec<Cell> {
    let order: Vec<&str> = run.machine.0.iter().filter_map(|fact| fact.fact.strip_prefix("strategy.")).collect();
    let place = |name: &str| order.iter().position(|&known| known == name).unwrap_or(order.len());
    let mut groups: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in &run.records {
        let Condition { strategy, keys, threads, .. } = &record.condition;
        groups.entry((place(strategy), strategy, keys, threads, &record.condition)).or_default().push(record);
    }
    let latencies = run.latencies();
    groups.values().map(|records| Cell::of(records, p99(records, &latencies))).collect()
}

/// The logarithm of p99 of every trial, by round; in an open loop by response times. Empty where all trials together have
/// fewer than ten updates beyond it, as on a run's own page.
fn p99(records: &[&Record], latencies: &BTreeMap<u32, Vec<&Bucket>>) -> BTreeMap<u32, f64> {
    let buckets = |record: &Record| -> Vec<(u64, u64)> {
        let all = latencies.get(&record.trial).into_iter().flatten();
        all.filter(|bucket| bucket.clock == record.clock()).map(|bucket| (bucket.up_to_ns, bucket.count)).collect()
    };
    let trials: Vec<(u32, Vec<(u64, u64)>)> =
        records.iter().filter(|record| record.round > 0).map(|record| (record.round, buckets(record))).collect();
    let updates = trials.iter().flat_map(|(_, buckets)| buckets).fold(0, |sum: u64, (_, n)| sum.saturating_add(*n));
    if updates < FEWEST {
        return BTreeMap::new();
    }
    let log = |(round, buckets): (u32, Vec<(u64, u64)>)| {
        let ns = quantile(&buckets, 0.99).filter(|&ns| ns > 0)?;
        Some((round, (ns as f64).ln()))
    };
    trials.into_iter().filter_map(log).collect()
}

/// With fewer updates than this, fewer than ten lie beyond the 99th percentile.
const FEWEST: u64 = 1_000;

fn benched(run: &Run) -> Vec<Cell> {
    let transport = run.machine.get("transport").and_then(|text| text.parse().ok()).unwrap_or_default();
    let promise =
        |name: &str| run.records.iter().find(|r| r.condition.strategy == name).map_or(Promise::Exact, |r| r.promise);
    run.estimates.iter().map(|estimate| Cell::benched(estimate, promise(&estimate.strategy), transport)).collect()
}

/// Every series of rounds there is, to learn of the machine from.
pub(super) fn all_rounds(pairs: &[Pair]) -> Vec<Vec<f64>> {
    let cells = pairs.iter().flat_map(|(before, after)| [before, after]).flatten();
    let rounds = cells.flat_map(|cell| &cell.surviving).filter_map(|figure| match figure {
        Figure::Rounds(rounds) => Some(rounds.values().copied().collect()),
        Figure::Estimate(_) => None,
    });
    rounds.collect()
}

/// Several cells as one, in each run: the mean of their logarithms in every round that all of them have.
pub(super) fn whole(cells: &[&Cell]) -> Vec<Figure> {
    let runs = cells.iter().map(|cell| cell.surviving.len()).min().unwrap_or(0);
    (0..runs).map(|at| whole_of(&cells.iter().map(|cell| &cell.surviving[at]).collect::<Vec<_>>())).collect()
}

fn whole_of(figures: &[&Figure]) -> Figure {
    let estimates: Vec<MeanLog> = figures
        .iter()
        .filter_map(|figure| match figure {
            Figure::Estimate(mean) => Some(*mean),
            Figure::Rounds(_) => None,
        })
        .collect();
    if let Some(mean) = MeanLog::of_means(&estimates).filter(|_| estimates.len() == figures.len()) {
        return Figure::Estimate(mean);
    }
    let mut sums: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
    for figure in figures {
        if let Figure::Rounds(rounds) = figure {
            for (&round, log) in rounds {
                let sum = sums.entry(round).or_default();
                *sum = (sum.0 + 1, sum.1 + log);
            }
        }
    }
    let complete = sums.into_iter().filter(|(_, (count, _))| *count == figures.len());
    Figure::Rounds(complete.map(|(round, (_, sum))| (round, sum / figures.len() as f64)).collect())
}
