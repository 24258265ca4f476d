//! How each strategy is drawn: its colour, marker and class, the same on the whole page.
//!
//! Few strategies are coloured, so that they stand out: those that answer a reader's question (the fastest exact ones, the
//! baseline, the worst lossy ones). The others are grey until pointed at. Cool colours are exact, warm ones lossy. Markers
//! are filled for exact and hollow for lossy, so colour is never the only difference.

use crate::condition::Condition;
use crate::record::Run;
use crate::summary::{CellSummary, Summary};
use crate::verdict::{Promise, Role};
use crate::workload::DriverKind;

/// A strategy on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its class, `s0`, `s1`, ...: what shows and hides it.
    pub(super) class: String,
    /// Its label.
    pub(super) name: String,
    /// Its sentence, if the run recorded it.
    pub(super) about: String,
    /// What it promises.
    pub(super) promise: Promise,
    /// The class of its colour: `cool0` to `cool4`, `warm0` to `warm2`, or `grey`.
    pub(super) tone: String,
    /// Which of the [`MARKERS`] it has.
    pub(super) marker: usize,
    /// Round trips of an update without retries, as the strategy states them.
    pub(super) round_trips: Option<String>,
    /// Updates its clients hand over at once.
    pub(super) batch: usize,
    /// What it is there for.
    pub(super) role: Role,
    /// What drives its clients.
    pub(super) driver: DriverKind,
}

/// How many shapes of markers there are.
pub(super) const MARKERS: usize = 8;
const COOL: usize = 5;
const WARM: usize = 3;

impl Member {
    /// Whether it is known to be wrong.
    pub(super) fn is_lossy(&self) -> bool {
        self.promise == Promise::Lossy
    }

    /// Whether it needs many updates at hand to share a round trip among: not what a request handler has.
    pub(super) fn is_batching(&self) -> bool {
        self.batch > 1
    }

    /// Whether it is one of the coloured.
    pub(super) fn is_lead(&self) -> bool {
        self.tone != "grey"
    }

    /// All classes of what is drawn of it.
    pub(super) fn classes(&self) -> String {
        format!("{} {} {}", self.class, self.tone, self.promise)
    }
}

/// All strategies of a run, in the summary's order.
pub(super) fn cast(summary: &Summary, run: &Run) -> Vec<Member> {
    let (cool, warm) = (lead_exact(summary, run), lead_lossy(summary, run));
    let tone = |name: &str| {
        let at = |leads: &[&str]| leads.iter().position(|&lead| lead == name);
        let cool = at(&cool).map(|i| format!("cool{i}"));
        cool.or_else(|| at(&warm).map(|i| format!("warm{i}"))).unwrap_or_else(|| "grey".to_owned())
    };
    let cells = summary.labels().into_iter().filter_map(|name| summary.cells.iter().find(|c| c.label == name));
    cells
        .enumerate()
        .map(|(i, CellSummary { condition: Condition { strategy: name, driver, .. }, label, promise, .. })| Member {
            class: format!("s{i}"),
            name: label.clone(),
            about: run.machine.get(&format!("strategy.{name}")).unwrap_or_default().to_owned(),
            promise: *promise,
            tone: tone(label),
            marker: i % MARKERS,
            round_trips: run.machine.get(&format!("round_trips.{name}")).map(str::to_owned),
            batch: run.machine.batch(name),
            role: run.machine.role(name, *promise),
            driver: *driver,
        })
        .collect()
}

/// The fastest exact strategies at the highest load, and the baseline.
fn lead_exact<'a>(summary: &'a Summary, run: &Run) -> Vec<&'a str> {
    let (Some(&threads), Some(&keys)) = (summary.threads().last(), summary.keys().first()) else { return Vec::new() };
    let ranking = summary.ranking(threads, keys);
    let mut leads: Vec<&str> = ranking.iter().map(|cell| cell.label.as_str()).collect();
    let baseline =
        ranking.iter().position(|c| run.machine.role(&c.condition.strategy, Promise::Exact) == Role::Baseline);
    if let Some(at) = baseline.filter(|&at| at >= COOL) {
        leads.swap(at, COOL - 1);
    }
    leads.truncate(COOL);
    leads
}

/// The race itself, then the lossy strategies that lose most.
fn lead_lossy<'a>(summary: &'a Summary, run: &Run) -> Vec<&'a str> {
    let worst = |name: &str| {
        let cells = || summary.cells.iter().filter(|c| c.label == name);
        let is_race = |c: &CellSummary| run.machine.role(&c.condition.strategy, Promise::Lossy) == Role::Race;
        let parts = cells().filter(|c| c.trials > 0).map(CellSummary::lost_part);
        if cells().any(is_race) { 2.0 } else { parts.fold(0.0, f64::max) }
    };
    let lossy = |name: &&str| summary.cells.iter().any(|c| c.label == *name && c.promise == Promise::Lossy);
    let mut leads: Vec<&str> = summary.labels().into_iter().filter(lossy).collect();
    leads.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    leads.truncate(WARM);
    leads
}
