//! Two builds against each other, cell by cell: what became faster or slower beyond the noise, and, before all else, what
//! became wrong. Pure: [`Run`]s in, a [`Comparison`] out.
//!
//! How it decides. A cell's figure is the logarithm of its surviving throughput (its p99 likewise, from the latencies).
//! The difference of the two sides' means is a ratio, and [`crate::stats`] gives it an interval. The [`Design`] decides
//! what the interval is computed from. Two runs of one build differ by more than the trials within a run do, and only
//! several runs show by how much (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013). So with
//! several runs a side each run is one value, and with pairs each pair is one. With one run a side there is only the
//! scatter of its rounds, widened by their autocorrelation; the difference between runs is not included.
//!
//! Sixty cells at 95 % would give three false alarms by chance, so a cell is called different only if it still is after
//! Holm's correction for their number. Each strategy is also compared as a whole, by the mean over its cells: these are
//! few comparisons of many rows each, and find a small difference more reliably than any single cell can. A figure is
//! called the same only if its whole interval lies within [`Options::bound`].
//!
//! One run a side cannot tell whether a change that *all* strategies have in common (a [`Shift`]) is real or the
//! machine's doing. Its intervals cover both answers, so nothing is called slower because the machine was busier on the
//! second day. [`Options::trust_shift`] takes the shift for real.

mod design;
mod facts;
mod gate;
mod judge;
mod series;

use serde::Serialize;

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::record::{Machine, Run};
use crate::stats::Contrast;
use crate::verdict::{Promise, Verdict};
pub use design::Design;
pub use facts::Difference;
pub use gate::Gate;
use series::Cell;

/// Differences smaller than this part are noise whatever the interval: two runs of one build differ by as much through
/// where the linker and the kernel happened to put things. (Mytkowicz et al., Producing wrong data without doing anything
/// obviously wrong, ASPLOS 2009.)
pub const FLOOR: f64 = 0.02;

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Take a change that all strategies have in common for real, not for the machine's doing. Several runs a side and
    /// pairs show what the machine does by itself, so there it is always taken for real.
    pub trust_shift: bool,
    /// The difference that matters, as a fraction (0.05 is 5 %): a figure is the same if its interval lies within it.
    pub bound: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { trust_shift: false, bound: 0.05 }
    }
}

/// The name that a bench run's own estimates have among those of the saved baselines.
const THIS_RUN: &str = "this run";

/// The part of a run that is compared: of a bench run the estimates of one saved baseline, or, without a name, its own.
///
/// # Errors
/// There is no such baseline in it; the message names those there are.
pub fn part(run: Run, baseline: Option<&str>) -> Result<Run> {
    let wanted = baseline.unwrap_or(THIS_RUN);
    let mut names: Vec<&str> = run.estimates.iter().map(|estimate| estimate.baseline.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if (baseline.is_some() || !names.is_empty()) && !names.contains(&wanted) {
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Error::usage(format!("no baseline '{wanted}' in it; available: {there}")));
    }
    let estimates = run.estimates.iter().filter(|estimate| estimate.baseline == wanted).cloned().collect();
    let mut machine = run.machine;
    if wanted != THIS_RUN {
        let transport = machine.get("transport").unwrap_or_default().to_owned();
        machine = Machine::default();
        machine.add(facts::BASELINE, wanted);
        machine.add("transport", transport);
    }
    Ok(Run { machine, estimates, ..run })
}

/// What a difference amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The second run is faster.
    Faster,
    /// The second run is slower.
    Slower,
    /// The whole interval lies within the bound: no difference that matters.
    Same,
    /// There may or may not be a difference that matters: the interval reaches beyond the bound, or is of one process.
    CannotTell,
    /// There is nothing to compare; the cell says why.
    NotComparable,
}

impl Outcome {
    /// `faster`, `slower`, `same`, `cannot tell`, `not comparable`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "same",
            Self::CannotTell => "cannot tell",
            Self::NotComparable => "not comparable",
        }
    }
}

/// How a figure changed from the first run to the second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// The ratio, second by first, with its 95 % interval.
    #[serde(flatten)]
    pub contrast: Contrast,
    /// What it amounts to among all the others.
    pub outcome: Outcome,
    /// The smallest slowdown, as a fraction (0.05 is 5 %), that would be found with 80 % power among this many
    /// comparisons. `None` if the difference between runs is not known at all.
    pub finds: Option<f64>,
}

/// One side of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The worst verdict of all trials.
    pub verdict: Option<Verdict>,
    /// Rounds with a verdict.
    pub rounds: usize,
    /// Acknowledged updates.
    pub acked: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Surviving updates per second, the geometric mean over rounds.
    pub surviving_per_s: Option<f64>,
    /// The p99 latency in nanoseconds, the geometric mean over rounds.
    pub p99_ns: Option<f64>,
}

/// One cell in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellComparison {
    /// What it was measured under, in the second run if it is there.
    #[serde(flatten)]
    pub condition: Condition,
    /// Its name among the cells of its run: the strategy, and what else tells it apart.
    pub label: String,
    /// What the strategy promises.
    pub promise: Promise,
    /// The first run's side, if it has this cell.
    pub before: Option<Side>,
    /// The second run's side, if it has this cell.
    pub after: Option<Side>,
    /// How surviving throughput changed.
    pub surviving: Option<Change>,
    /// How the p99 latency changed; a ratio above 1 is slower.
    pub p99: Option<Change>,
    /// The answer, by surviving throughput.
    pub outcome: Outcome,
    /// What the two sides were measured under, where that is not the same: the ratio is of the settings too.
    pub across: Option<String>,
    /// Why it is not comparable.
    pub why: Option<String>,
}

/// One strategy over all its cells that both runs have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrategyComparison {
    /// Its name.
    pub strategy: String,
    /// Cells compared.
    pub cells: usize,
    /// How surviving throughput changed, as the geometric mean over cells.
    pub surviving: Change,
}

/// A change of correctness, or a promise broken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// What it was measured under.
    #[serde(flatten)]
    pub condition: Condition,
    /// The first run's verdict.
    pub before: Option<Verdict>,
    /// The second run's verdict.
    pub after: Option<Verdict>,
    /// What it means.
    pub kind: AlarmKind,
}

/// What a change of verdict means, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// A strategy that promises exactness keeps its promise no longer.
    Broken,
    /// It kept it in neither run.
    StillBroken,
    /// It had a verdict, and has none any more.
    Vanished,
    /// It keeps it again.
    Mended,
    /// A verdict changed that breaks no promise: of a control, or from exact to unproven.
    Changed,
}

/// What all strategies have in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shift {
    /// The middle of all strategies' ratios.
    pub ratio: f64,
    /// Whether it counts as real.
    pub trusted: bool,
}

/// Two builds, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first side's name.
    pub before: String,
    /// The second side's name.
    pub after: String,
    /// What the intervals are computed from.
    pub design: Design,
    /// The difference that matters, as a fraction: see [`Options::bound`].
    pub bound: f64,
    /// Changes of correctness, the worst first.
    pub alarms: Vec<Alarm>,
    /// Facts that differ: what they are put in doubt by.
    pub differences: Vec<Difference>,
    /// What both sides were measured on and with.
    pub facts: Vec<Difference>,
    /// What all strategies have in common; nothing for fewer than four.
    pub shift: Option<Shift>,
    /// Whether all runs of one side were made before all of the other. A change of the machine in between then looks
    /// like a change of the code.
    pub in_sequence: bool,
    /// The autocorrelation between rounds, or between pairs, that intervals are widened by, 0 to 0.9.
    pub autocorrelation: f64,
    /// Every strategy that has a cell on both sides.
    pub strategies: Vec<StrategyComparison>,
    /// Every cell of either side.
    pub cells: Vec<CellComparison>,
}

impl Comparison {
    /// Compares the run called `before` with the run called `after`.
    pub fn of(before: (&str, &Run), after: (&str, &Run), options: Options) -> Self {
        Self::of_runs((before.0, &[before.1]), (after.0, &[after.1]), options)
    }

    /// Compares the runs of one side, called `before`, with those of the other. With several runs a side their difference
    /// is measured against how much the runs of a side differ among themselves.
    pub fn of_runs(before: (&str, &[&Run]), after: (&str, &[&Run]), options: Options) -> Self {
        let design = match (before.1.len(), after.1.len()) {
            (1, 1) => Design::OneRun,
            (first, second) => Design::Runs { before: first, after: second },
        };
        judge::compared(design, before, after, options)
    }

    /// Compares runs that were made in turns, the first of one side with the first of the other and so on, so that what
    /// a pair has in common cancels out.
    ///
    /// # Errors
    /// The sides do not have the same number of runs.
    pub fn of_pairs(before: (&str, &[&Run]), after: (&str, &[&Run]), options: Options) -> Result<Self> {
        if before.1.len() != after.1.len() {
            return Err(Error::usage(format!("{} runs and {} are no pairs", before.1.len(), after.1.len())));
        }
        Ok(judge::compared(Design::Pairs { pairs: before.1.len() }, before, after, options))
    }

    /// How many cells both sides have and could be compared.
    pub fn compared(&self) -> usize {
        self.cells.iter().filter(|cell| cell.outcome != Outcome::NotComparable).count()
    }

    /// Cells whose own interval excludes 1 but which are not called different, because there are so many cells.
    pub fn by_chance(&self) -> usize {
        let outside = |c: &Contrast| c.low > 1.0 + FLOOR || c.high < 1.0 - FLOOR;
        let calm = |cell: &&CellComparison| matches!(cell.outcome, Outcome::Same | Outcome::CannotTell);
        let of_runs = |change: &Change| change.finds.is_some() && outside(&change.contrast);
        self.cells.iter().filter(calm).filter(|cell| cell.surviving.as_ref().is_some_and(of_runs)).count()
    }
}

impl Alarm {
    /// Whether an exact strategy broke its promise in the second run.
    pub fn is_failure(&self) -> bool {
        matches!(self.kind, AlarmKind::Broken | AlarmKind::StillBroken)
    }

    /// The alarm in one sentence, without a full stop.
    pub fn sentence(&self) -> String {
        let at = place(&self.condition);
        let word = |verdict: Option<Verdict>| verdict.map_or_else(|| "no verdict".to_owned(), |v| v.to_string());
        let (before, after) = (word(self.before), word(self.after));
        match self.kind {
            AlarmKind::Broken => format!("{at} broke its promise: {after}, was {before}"),
            AlarmKind::StillBroken => format!("{at} broke its promise in both runs: {after}, was {before}"),
            AlarmKind::Vanished => format!("{at} no longer has a verdict, was {before}"),
            AlarmKind::Mended => format!("{at} keeps its promise again: {after}, was {before}"),
            AlarmKind::Changed => format!("{at}: {after}, was {before}"),
        }
    }
}

/// `incr at 4 threads`, `incr at 4 threads, 16 keys`.
fn place(condition: &Condition) -> String {
    let Condition { strategy, keys, .. } = condition;
    let threads = condition.racers();
    if *keys == 1 { format!("{strategy} at {threads}") } else { format!("{strategy} at {threads}, {keys} keys") }
}

type Pair = (Option<Cell>, Option<Cell>);
