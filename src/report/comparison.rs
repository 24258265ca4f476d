//! A [`Comparison`] made readable: for a terminal, for a pull request, as a page. What became wrong stands first in each.

mod markdown;
mod page;
mod terminal;

pub use markdown::markdown;
pub use page::page;
pub use terminal::terminal;

use serde::Serialize;

use crate::compare::{CellComparison, Change, Comparison, Design, FLOOR, Outcome, StrategyComparison};
use crate::report::words;

/// The version of the JSON document.
const SCHEMA: &str = "redis-lost-updates/compare/1";

/// What `report compare --json` prints; `docs/compare.schema.json` describes it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl<'a> Document<'a> {
    /// The document of two runs compared.
    pub fn of(comparison: &'a Comparison) -> Self {
        Self { schema: SCHEMA, comparison }
    }
}

/// A ratio in at most four characters: `0.81`, `12.3`, `140`.
fn ratio(value: f64) -> String {
    match value {
        v if v < 0.005 => "0.00".to_owned(),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 999.5 => format!("{v:.0}"),
        _ => ">999".to_owned(),
    }
}

/// A ratio with its interval: `0.81 (0.78-0.84)`.
fn interval(change: &Change) -> String {
    let c = &change.contrast;
    // An interval that covers everything says so in words.
    if c.low < 0.005 && c.high >= 999.5 {
        return format!("{} (any)", ratio(c.ratio));
    }
    format!("{} ({}-{})", ratio(c.ratio), ratio(c.low), ratio(c.high))
}

/// The same of a figure that may not be there.
fn maybe(change: Option<&Change>) -> String {
    change.map_or_else(|| "-".to_owned(), interval)
}

/// `4 threads`, and the keys where they tell cells apart.
fn load(cell: &CellComparison, several_keys: bool) -> String {
    let threads = cell.condition.racers();
    if several_keys { format!("{threads}, {}", words::counted(cell.condition.keys, "key")) } else { threads }
}

fn several_keys(comparison: &Comparison) -> bool {
    let mut cells = comparison.cells.iter();
    cells.next().is_some_and(|first| cells.any(|cell| cell.condition.keys != first.condition.keys))
}

/// The word of a cell, and of its p99 where that tells something else.
fn verdict(cell: &CellComparison) -> String {
    match cell
        .p99
        .as_ref()
        .map(|change| change.outcome)
        .filter(|&p99| matches!(p99, Outcome::Slower | Outcome::Faster) && p99 != cell.outcome)
    {
        Some(p99) if cell.outcome != Outcome::NotComparable => {
            format!("{}, p99 {}", cell.outcome.words(), p99.words())
        }
        _ => cell.outcome.words().to_owned(),
    }
}

/// The answer in a sentence or two, and how small a slowdown would have been found.
fn answer(comparison: &Comparison) -> Vec<String> {
    let mut said = Vec::new();
    let (n, all) = (comparison.compared(), comparison.cells.len());
    let count = |outcome| comparison.cells.iter().filter(|cell| cell.outcome == outcome).count();
    if n == 0 {
        return vec!["Nothing can be compared: no cell is on both sides with two rounds, or runs, or more.".to_owned()];
    }
    for (outcome, word) in [(Outcome::Slower, "Slower"), (Outcome::Faster, "Faster")] {
        let whole: Vec<String> =
            comparison.strategies.iter().filter(|s| s.surviving.outcome == outcome).map(named).collect();
        if !whole.is_empty() {
            said.push(format!("{word} overall: {}.", whole.join(", ")));
        }
    }
    let more = match all - n {
        0 => String::new(),
        1 => "; 1 more is not comparable".to_owned(),
        more => format!("; {more} more are not comparable"),
    };
    let cells = words::counted(n, "cell");
    said.push(if said.is_empty() && count(Outcome::CannotTell) == n {
        format!("Cannot tell whether anything became slower or faster: in all {cells} the noise is too large{more}.")
    } else {
        format!(
            "Of {cells} {} slower, {} faster, {} the same within {}, {} undecided{more}.",
            are(count(Outcome::Slower)),
            count(Outcome::Faster),
            count(Outcome::Same),
            bound(comparison),
            count(Outcome::CannotTell),
        )
    });
    said.extend(comparison.power_in_words().map(|power| format!("For strategies as a whole: {power}.")));
    said
}

/// The difference that matters: `5 %`.
fn bound(comparison: &Comparison) -> String {
    format!("{} %", (comparison.bound * 1e5).round() / 1e3)
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

fn named(strategy: &StrategyComparison) -> String {
    format!("{} {}", strategy.strategy, interval(&strategy.surviving))
}

/// What must be known before a ratio is believed, one sentence each.
pub fn warnings(comparison: &Comparison) -> Vec<String> {
    let mut said: Vec<String> = comparison
        .differences
        .iter()
        .map(|d| format!("the runs differ in {}: {} before, {} after", d.fact, value(&d.before), value(&d.after)))
        .collect();
    said.extend(across(comparison));
    said.extend(design(comparison));
    if let Some(shift) = comparison.shift.filter(|shift| (shift.ratio.ln()).abs() > FLOOR.ln_1p()) {
        let moved = format!("all strategies together changed to {} of the first run", ratio(shift.ratio));
        said.push(if shift.trusted && comparison.design.knows_runs() {
            format!(
                "{moved}: not by chance where the intervals say so, as runs of both sides show what the machine does"
            )
        } else if shift.trusted {
            format!("{moved}, which counts as a real effect, as requested")
        } else {
            format!(
                "{moved}: more likely the machine than the code, so intervals include the ratio with and without that \
                 change; --trust-shift counts it as real"
            )
        });
    }
    if comparison.shift.is_none() && comparison.compared() > 0 && !comparison.design.knows_runs() {
        said.push(
            "with fewer than four strategies in both runs a busier machine looks like slower code: race more strategies"
                .to_owned(),
        );
    }
    said
}

/// What the intervals do not include.
fn design(comparison: &Comparison) -> Option<String> {
    match comparison.design {
        _ if comparison.compared() == 0 => None,
        Design::OneRun => Some(
            "with one run per side, a difference between the builds cannot be told from the difference between any two runs \
             of one build, which the intervals leave out: give several runs per side (A1,A2,A3 B1,B2,B3), or measure in \
             turns (--live)"
                .to_owned(),
        ),
        Design::Runs { .. } if comparison.in_sequence => Some(
            "all runs of one side were made before those of the other, so that a change of the machine in between looks \
             like one of the code: make them in turns"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Which cells were measured under different settings, where the runs' facts do not say it of all cells.
fn across(comparison: &Comparison) -> Vec<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for across in comparison.cells.iter().filter_map(|cell| cell.across.as_deref()) {
        match counts.iter_mut().find(|(known, _)| *known == across) {
            Some((_, count)) => *count += 1,
            None => counts.push((across, 1)),
        }
    }
    let is_told = |across: &str| comparison.differences.iter().any(|d| across.starts_with(&format!("{}: ", d.fact)));
    let untold = counts.into_iter().filter(|(across, _)| !is_told(across));
    untold
        .map(|(across, count)| {
            format!("{count} of the cells {} in {across}", if count == 1 { "differs" } else { "differ" })
        })
        .collect()
}

fn value(text: &str) -> &str {
    if text.is_empty() { "not said" } else { text }
}

/// How to read the ratios.
fn legend(comparison: &Comparison) -> Vec<String> {
    let (made_of, over) = match comparison.design {
        Design::OneRun => ("the rounds within a run".to_owned(), "rounds"),
        Design::Runs { before, after } => (format!("{before} and {after} runs"), "runs"),
        Design::Pairs { pairs } => (format!("the differences within {pairs} pairs of turns"), "turns"),
    };
    let widened = match comparison.autocorrelation {
        ..0.05 => String::new(),
        rho => format!(", widened for an autocorrelation of {rho:.1}"),
    };
    let mut said = vec![format!(
        "Ratios are second by first, with 95 % intervals of {made_of}{widened}; throughput is what survived, rates are \
         geometric means over {over}. A difference counts if it is over {:.0} % and still significant after Holm's \
         correction for the number of cells, which the intervals do not include. \"Same\": the whole interval lies within \
         {}.",
        FLOOR * 100.0,
        bound(comparison)
    )];
    let chance = comparison.by_chance();
    if chance > 0 {
        said.push(format!(
            "{chance} of {} {} out 1 for a cell that is not called different: among so many, some do by chance.",
            words::counted(comparison.compared(), "interval"),
            if chance == 1 { "leaves" } else { "leave" }
        ));
    }
    said
}
