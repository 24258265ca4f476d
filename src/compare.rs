//! Two runs against each other, cell by cell: what became faster or slower beyond the noise, and, before all else, what
//! became wrong. Pure: two [`Run`]s in, a [`Comparison`] out.
//!
//! How it decides. A cell's figure is the logarithm of its surviving throughput, round by round (its p99 likewise, from
//! the latencies); the difference of the two runs' means is a ratio, and [`crate::stats`] gives it an interval
//! that is widened by the autocorrelation between rounds. Sixty cells at 95 % would make three false alarms out of
//! nothing, so that a cell is called different only if Holm's correction for their number agrees. Each strategy is
//! compared as a whole, too, by the mean over its cells: few comparisons of many rows each, which find a small
//! difference more surely than any one cell can.
//!
//! One thing no statistics of a single pair of runs can tell: whether what *all* strategies have in common (a
//! [`Shift`]) is the machine's doing or real. Intervals cover both answers, so that a machine that was busier on the
//! second day makes nothing slower; [`Options::trust_shift`] takes it for real. (Kalibera and Jones, Rigorous benchmarking
//! in reasonable time, ISMM 2013: what varies between runs is only learnt from several runs.)

mod facts;
mod series;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::record::{Machine, Run};
use crate::stats::{Contrast, autocorrelation, contrast, holm, median};
use crate::verdict::{Promise, Verdict};
pub use facts::Difference;
use series::{Cell, Figure};

/// Differences smaller than this part are noise whatever the interval: two runs of one build differ by as much through
/// where the linker and the kernel happened to put things. (Mytkowicz et al., Producing wrong data without doing anything
/// obviously wrong, ASPLOS 2009.)
pub const FLOOR: f64 = 0.02;

/// So many strategies it takes to tell what all have in common from what one of them did.
const ENOUGH: usize = 4;

/// How to compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Take what all strategies have in common for real, and not for the machine's doing.
    pub trust_shift: bool,
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
    /// No difference that noise could not explain.
    Same,
    /// There is nothing to compare; the cell says why.
    NotComparable,
}

impl Outcome {
    /// `faster`, `slower`, `same within the noise`, `not comparable`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "same within the noise",
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
}

/// One run's side of a cell.
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

/// Two runs, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What the first run is called.
    pub before: String,
    /// What the second run is called.
    pub after: String,
    /// Changes of correctness, the worst first.
    pub alarms: Vec<Alarm>,
    /// Facts that differ: what they are put in doubt by.
    pub differences: Vec<Difference>,
    /// What all strategies have in common; nothing for fewer than four.
    pub shift: Option<Shift>,
    /// The autocorrelation between rounds that intervals are widened by, 0 to 0.9.
    pub autocorrelation: f64,
    /// Every strategy that has a cell in both runs.
    pub strategies: Vec<StrategyComparison>,
    /// Every cell of either run.
    pub cells: Vec<CellComparison>,
}

impl Comparison {
    /// Compares the run called `before` with the run called `after`.
    pub fn of(before: (&str, &Run), after: (&str, &Run), options: Options) -> Self {
        let pairs = series::paired(before.1, after.1);
        let rho = autocorrelation(&series::all_rounds(&pairs));
        let (strategies, shift) = whole_strategies(&pairs, rho, options);
        let reach = shift.filter(|shift| !shift.trusted).map_or(0.0, |shift| shift.ratio.ln());
        let surviving = changes(&pairs, |cell| &cell.surviving, rho, reach, false);
        let common = if options.trust_shift { 0.0 } else { common_p99(&pairs, rho) };
        let p99 = changes(&pairs, |cell| &cell.p99, rho, common, true);
        let mut cells: Vec<CellComparison> = pairs
            .iter()
            .zip(surviving.into_iter().zip(p99))
            .map(|((before, after), (surviving, p99))| cell(before.as_ref(), after.as_ref(), surviving, p99))
            .collect();
        let mut alarms: Vec<Alarm> = cells.iter().filter_map(alarm).collect();
        alarms.sort_by_key(|alarm| alarm.kind);
        // What both runs have and cannot be compared is one cell with one reason, not two that miss each other.
        let mut moved = Vec::new();
        for (one, other, why) in series::estranged(&pairs) {
            (cells[one].why, cells[one].after) = (Some(why), cells[other].after.clone());
            moved.push(other);
        }
        moved.sort_unstable();
        moved.iter().rev().for_each(|&at| drop(cells.remove(at)));
        Self {
            before: before.0.to_owned(),
            after: after.0.to_owned(),
            alarms,
            differences: facts::differences(&before.1.machine, &after.1.machine),
            shift,
            autocorrelation: rho,
            strategies,
            cells,
        }
    }

    /// Why the second run must not pass: a strategy or cell that is slower with its whole interval beyond `bound` (0.05
    /// for 5 %), or an exact strategy that broke its promise in it. Empty if nothing keeps it from passing.
    pub fn failures(&self, bound: f64) -> Vec<String> {
        let broken = self.alarms.iter().filter(|alarm| alarm.is_failure()).map(Alarm::sentence);
        let beyond = |change: &Change| change.outcome == Outcome::Slower && change.contrast.high < 1.0 - bound;
        let say = |what: String, change: &Change| {
            format!(
                "{what} is slower by {}, more than {} %",
                by_how_much(&change.contrast),
                (bound * 1e5).round() / 1e3
            )
        };
        let whole = self.strategies.iter().filter(|strategy| beyond(&strategy.surviving));
        let whole = whole.map(|strategy| say(strategy.strategy.clone(), &strategy.surviving));
        let cells = self.cells.iter().filter_map(|cell| {
            let change = cell.surviving.as_ref().filter(|change| beyond(change))?;
            Some(say(place(&cell.condition), change))
        });
        broken.chain(whole).chain(cells).collect()
    }

    /// By how much all strategies together became slower, where that is so much (half of what they were, or less) and not
    /// taken for real that a gate cannot answer for the code: machines differ by less, as a rule, and a change of what all
    /// strategies stand on, the client library say, looks the same.
    pub fn landslide(&self) -> Option<f64> {
        self.shift.filter(|shift| !shift.trusted && shift.ratio <= 0.5).map(|shift| shift.ratio)
    }

    /// How much slower a strategy as a whole must have become to fail a gate of `bound`, given how far its interval reaches:
    /// the least and the most over all strategies, each with its name. `None` if no strategy was compared.
    pub fn reach(&self, bound: f64) -> Option<[(f64, &str); 2]> {
        let needed = |strategy: &StrategyComparison| {
            let contrast = strategy.surviving.contrast;
            1.0 - (1.0 - bound) * contrast.ratio / contrast.high
        };
        let mut all: Vec<(f64, &str)> = self.strategies.iter().map(|s| (needed(s), s.strategy.as_str())).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some([*all.first()?, *all.last()?])
    }

    /// How many cells both runs have and could be compared.
    pub fn compared(&self) -> usize {
        self.cells.iter().filter(|cell| cell.outcome != Outcome::NotComparable).count()
    }

    /// Cells whose own interval leaves out 1 and that are still called the same, there being so many cells.
    pub fn by_chance(&self) -> usize {
        let outside = |c: &Contrast| c.low > 1.0 + FLOOR || c.high < 1.0 - FLOOR;
        let same = self.cells.iter().filter(|cell| cell.outcome == Outcome::Same);
        same.filter(|cell| cell.surviving.is_some_and(|change| outside(&change.contrast))).count()
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

/// A fall in percent with its interval: `18 % (12 to 23)`.
fn by_how_much(contrast: &Contrast) -> String {
    let fall = |ratio: f64| (1.0 - ratio) * 100.0;
    format!("{:.0} % ({:.0} to {:.0})", fall(contrast.ratio), fall(contrast.high), fall(contrast.low))
}

type Pair = (Option<Cell>, Option<Cell>);

/// Every strategy as a whole, and the shift that they have in common.
fn whole_strategies(pairs: &[Pair], rho: f64, options: Options) -> (Vec<StrategyComparison>, Option<Shift>) {
    let mut names: Vec<&str> = Vec::new();
    for (before, after) in pairs {
        if let (Some(cell), Some(_)) = (before, after)
            && !names.contains(&cell.label.as_str())
        {
            names.push(&cell.label);
        }
    }
    let wholes: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let cells = pairs.iter().filter_map(|(before, after)| Some((before.as_ref()?, after.as_ref()?)));
            let cells = cells.filter(|(before, after)| before.label == *name && both_told(before, after, rho));
            let (before, after): (Vec<&Cell>, Vec<&Cell>) = cells.unzip();
            Some((*name, before.len(), series::whole(&before).mean(rho)?, series::whole(&after).mean(rho)?))
        })
        .collect();
    let ratios: Vec<f64> = wholes.iter().map(|(_, _, before, after)| after.mean - before.mean).collect();
    let shift = median(&ratios).filter(|_| ratios.len() >= ENOUGH);
    let shift = shift.map(|shift| Shift { ratio: shift.exp(), trusted: options.trust_shift });
    let reach = shift.filter(|shift| !shift.trusted).map_or(0.0, |shift| shift.ratio.ln());
    let contrasts: Vec<Contrast> = wholes.iter().map(|(_, _, before, after)| contrast(before, after, reach)).collect();
    let rows = wholes.iter().zip(judged(contrasts, false));
    let rows = rows.map(|((name, cells, ..), surviving)| StrategyComparison {
        strategy: (*name).to_owned(),
        cells: *cells,
        surviving,
    });
    (rows.collect(), shift)
}

/// What all strategies' p99 have in common, as a logarithm: the middle of the strategies' own middles.
fn common_p99(pairs: &[Pair], rho: f64) -> f64 {
    let mut by_strategy: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (before, after) in pairs {
        if let (Some(before), Some(after)) = (before, after)
            && let (Some(a), Some(b)) = (before.p99.mean(rho), after.p99.mean(rho))
        {
            by_strategy.entry(&before.label).or_default().push(b.mean - a.mean);
        }
    }
    let middles: Vec<f64> = by_strategy.values().filter_map(|differences| median(differences)).collect();
    median(&middles).filter(|_| middles.len() >= ENOUGH).unwrap_or(0.0)
}

fn both_told(before: &Cell, after: &Cell, rho: f64) -> bool {
    before.surviving.mean(rho).is_some() && after.surviving.mean(rho).is_some()
}

/// How one figure changed in every pair, judged among all of them.
fn changes(
    pairs: &[Pair],
    figure: impl Fn(&Cell) -> &Figure,
    rho: f64,
    reach: f64,
    more_is_slower: bool,
) -> Vec<Option<Change>> {
    let mean = |cell: &Option<Cell>| figure(cell.as_ref()?).mean(rho);
    let contrasts: Vec<Option<Contrast>> =
        pairs.iter().map(|(before, after)| Some(contrast(&mean(before)?, &mean(after)?, reach))).collect();
    let mut judged = judged(contrasts.iter().flatten().copied().collect(), more_is_slower).into_iter();
    contrasts.iter().map(|contrast| contrast.and_then(|_| judged.next())).collect()
}

/// What each of several contrasts amounts to, given that there are so many.
fn judged(contrasts: Vec<Contrast>, more_is_slower: bool) -> Vec<Change> {
    let adjusted = holm(&contrasts.iter().map(|contrast| contrast.p).collect::<Vec<_>>());
    let outcome = |contrast: &Contrast, p: f64| {
        let is_different = p < 0.05 && contrast.ratio.ln().abs() > FLOOR.ln_1p();
        match (is_different, (contrast.ratio > 1.0) == more_is_slower) {
            (false, _) => Outcome::Same,
            (true, true) => Outcome::Slower,
            (true, false) => Outcome::Faster,
        }
    };
    contrasts
        .into_iter()
        .zip(adjusted)
        .map(|(contrast, p)| Change { outcome: outcome(&contrast, p), contrast })
        .collect()
}

fn cell(before: Option<&Cell>, after: Option<&Cell>, surviving: Option<Change>, p99: Option<Change>) -> CellComparison {
    let any = after.or(before).expect("a pair is of at least one cell");
    let why = match (before, after) {
        (None, _) => Some("not in the first run".to_owned()),
        (_, None) => Some("not in the second run".to_owned()),
        (Some(before), Some(after)) if surviving.is_none() => {
            let first = before.why_not().map(|why| format!("{why} in the first run"));
            first.or_else(|| after.why_not().map(|why| format!("{why} in the second run")))
        }
        _ => None,
    };
    CellComparison {
        condition: any.condition.clone(),
        label: before.unwrap_or(any).label.clone(),
        promise: any.promise,
        before: before.map(Cell::side),
        after: after.map(Cell::side),
        outcome: surviving.map_or(Outcome::NotComparable, |change| change.outcome),
        surviving,
        p99,
        across: before.zip(after).and_then(|(before, after)| series::across(before, after)),
        why,
    }
}

/// What is to be said of a cell's verdicts, if anything.
fn alarm(cell: &CellComparison) -> Option<Alarm> {
    let verdict = |side: &Option<Side>| side.as_ref().and_then(|side| side.verdict);
    let (before, after) = (verdict(&cell.before), verdict(&cell.after));
    let broke = |v: Option<Verdict>| cell.promise == Promise::Exact && v.is_some_and(Verdict::breaks_exactness);
    let kind = match (broke(before), broke(after)) {
        (true, true) => AlarmKind::StillBroken,
        (false, true) => AlarmKind::Broken,
        (true, false) if after.is_some() => AlarmKind::Mended,
        // A cell that one run was not asked for is no change of anything.
        _ if cell.before.is_none() || cell.after.is_none() => return None,
        _ if before.is_some() && after.is_none() => AlarmKind::Vanished,
        _ if before.is_some() && before != after => AlarmKind::Changed,
        _ => return None,
    };
    Some(Alarm { condition: cell.condition.clone(), before, after, kind })
}
