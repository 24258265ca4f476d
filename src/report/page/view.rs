//! What every part of the page draws from: the summary, the run, how each strategy is drawn, and which load is selected at
//! first.

use std::collections::{BTreeSet, HashMap};

use super::cast::{Member, cast};
use crate::condition::Transport;
use crate::record::Run;
use crate::report::markup::{Markup, html};
use crate::report::words;
use crate::stats::Spread;
use crate::summary::{CellSummary, Summary};
use crate::verdict::{Promise, Role, Verdict};

/// A run about to be drawn.
pub(super) struct View<'a> {
    pub(super) summary: &'a Summary,
    pub(super) run: &'a Run,
    pub(super) cast: Vec<Member>,
    /// Thread counts measured.
    pub(super) threads: Vec<usize>,
    /// Key counts measured.
    pub(super) keys: Vec<usize>,
    /// Where each strategy's judged cells are in the summary.
    places: HashMap<&'a str, Vec<usize>>,
}

impl<'a> View<'a> {
    pub(super) fn new(summary: &'a Summary, run: &'a Run) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, cell) in summary.cells.iter().enumerate().filter(|(_, cell)| cell.trials > 0) {
            places.entry(&cell.label).or_default().push(i);
        }
        Self { summary, run, cast: cast(summary, run), threads: summary.threads(), keys: summary.keys(), places }
    }

    /// The cells of a strategy that were judged, by threads, each with its index in the summary.
    pub(super) fn curve<'b>(&'b self, name: &'b str, keys: usize) -> impl Iterator<Item = (usize, &'a CellSummary)> {
        let places = self.places.get(name).into_iter().flatten();
        places.map(|&i| (i, &self.summary.cells[i])).filter(move |(_, cell)| cell.condition.keys == keys)
    }

    /// The judged cells at one load, each with its index and its member of the cast.
    pub(super) fn at(&self, threads: usize, keys: usize) -> impl Iterator<Item = (usize, &'a CellSummary, &Member)> {
        self.cast.iter().filter_map(move |member| {
            let (i, cell) = self.curve(&member.name, keys).find(|(_, cell)| cell.condition.threads == threads)?;
            Some((i, cell, member))
        })
    }

    /// The fastest exact strategy at a load, which others are held against.
    pub(super) fn fastest(&self, threads: usize, keys: usize) -> Option<&'a CellSummary> {
        self.summary.fastest(&self.run.machine, threads, keys)
    }

    /// Every load: thread counts within key counts.
    pub(super) fn loads(&self) -> impl Iterator<Item = (usize, usize)> {
        self.keys.iter().flat_map(|&keys| self.threads.iter().map(move |&threads| (threads, keys)))
    }

    /// What a client is called in this run.
    pub(super) fn racer(&self) -> &'static str {
        self.summary.driver().info().racer
    }

    /// So many of them.
    pub(super) fn racers(&self, count: usize) -> String {
        self.summary.driver().racers(count)
    }

    /// Whether clients are not all driven the same way, which a ranking must say.
    pub(super) fn has_mixed_drivers(&self) -> bool {
        let cells = &self.summary.cells;
        cells.iter().any(|cell| cell.condition.driver != cells[0].condition.driver)
    }

    /// Whether the law of the race speaks of this run: GET and SET, on keys that are all alike.
    pub(super) fn is_predictable(&self) -> bool {
        let is_even = self.run.machine.get("skew").is_none_or(|skew| skew == "even");
        // It is of clients that never pause; at an offered rate they do.
        let never_pauses = words::offered(self.summary).is_none();
        is_even && never_pauses && self.cast.iter().any(|member| member.role == Role::Race)
    }

    /// How the clients reached the server; several if the folder holds rows of several runs.
    pub(super) fn transports(&self) -> Vec<String> {
        let all: BTreeSet<Transport> = self.run.records.iter().map(|record| record.condition.transport).collect();
        all.iter().map(Transport::to_string).collect()
    }
}

/// Classes of what is shown only while this load is selected.
pub(super) fn scope(threads: usize, keys: usize) -> String {
    format!("by-t t{threads} by-k k{keys}")
}

/// A strategy's name as the page prints it.
pub(super) fn name(name: &str) -> Markup {
    html!("<code>{}</code>", name)
}

/// `1 key`, `16 keys`.
pub(super) fn keys(count: usize) -> String {
    words::counted(count, "key")
}

/// `891 [850 to 920]`: a median and the interval around it.
pub(super) fn interval(spread: &Spread) -> String {
    if spread.n < 2 {
        return "one trial, no interval".to_owned();
    }
    format!("{} to {}", words::rate(spread.low), words::rate(spread.high))
}

/// The latency from the send, where another is the one that counts: `median 40 µs, 99 % within 95 µs`.
pub(super) fn since_send(cell: &CellSummary) -> Option<String> {
    let [p50, _, p99, ..] = cell.service_ns?;
    Some(words::within(p50, p99))
}

/// The part of the latency spent waiting for a connection from the pool, if that was measured.
pub(super) fn waiting(cell: &CellSummary) -> Option<String> {
    let [p50, _, p99, ..] = cell.pool_wait_ns?;
    Some(words::within(p50, p99))
}

/// Whether a cell shows a broken promise.
pub(super) fn is_broken(cell: &CellSummary) -> bool {
    cell.promise == Promise::Exact && cell.verdict.is_some_and(Verdict::breaks_exactness)
}

/// What was lost, as it stands beside every throughput: `88 % lost`, `0 lost`, `0 lost, 40 unknown`.
pub(super) fn fate(cell: &CellSummary) -> String {
    let verdict = cell.verdict.unwrap_or(Verdict::Unproven);
    match (cell.lost, verdict) {
        (0, Verdict::Exact | Verdict::Lost) => "0 lost".to_owned(),
        (0, Verdict::Excess) if cell.doubled > 0 => format!("0 lost, {} doubled", words::count(cell.doubled)),
        (0, Verdict::Unproven) if cell.unknown > 0 => format!("0 lost, {} unknown", words::count(cell.unknown)),
        (0, other) => format!("0 lost, {other}"),
        (_, _) => format!("{} lost", words::lost(cell)),
    }
}

/// What the lines of a [`readout`] are, after the strategy and the load.
pub(super) const READOUT: [&str; 5] = ["acknowledged", "surviving", "lost", "time", "verdict"];

/// A cell in a few lines, for the readout of every chart: the strategy, the load, and a line for each of [`READOUT`].
pub(super) fn readout(cell: &CellSummary, view: &View) -> Vec<String> {
    let mut load = view.racers(cell.condition.threads);
    if view.keys.len() > 1 {
        load += &format!(", {}", keys(cell.condition.keys));
    }
    if view.has_mixed_drivers() {
        load += &format!(", driver {}", cell.condition.driver);
    }
    let rate = |spread: &Spread| format!("{}/s ({})", words::rate(spread.median), interval(spread));
    let [p50, _, p99, ..] = cell.latency_ns;
    let verdict = cell.verdict.map_or_else(|| "none".to_owned(), |verdict| verdict.shown(cell.promise));
    let mut time = words::within(p50, p99);
    if let Some(sent) = since_send(cell) {
        time += &format!(" response; service {sent}");
    }
    if let Some(waiting) = waiting(cell) {
        time += &format!("; of that for a connection of the pool {waiting}");
    }
    let mut acked = rate(&cell.acked_per_s);
    if let Some(offered) = cell.condition.offered_per_s {
        acked += &format!(" of {}/s offered", words::count(offered));
    }
    vec![
        cell.label.clone(),
        load,
        acked,
        rate(&cell.surviving_per_s),
        words::bound(cell),
        time,
        format!("{verdict}, {}", words::counted(cell.trials, "trial")),
    ]
}
