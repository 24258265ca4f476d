//! How the strategies rank over each round trip: without one by CPU time, over a network by round trips.

use std::collections::BTreeMap;

use super::view::{View, fate, name, scope};
use crate::condition::{Condition, labels};
use crate::report::markup::Markup;
use crate::report::words;
use crate::summary::CellSummary;

/// One strategy at one load, over every round trip.
pub(super) struct Row {
    pub(super) scope: String,
    pub(super) name: Markup,
    pub(super) cells: Vec<Measured>,
}

/// What was measured over one round trip; empty if nothing was.
#[derive(Default)]
pub(super) struct Measured {
    /// Surviving updates per second.
    pub(super) rate: String,
    pub(super) fate: String,
    /// Its place among the exact strategies over this round trip; empty for others.
    pub(super) place: String,
}

/// The round trips in words, as the heads of columns; empty unless there are several.
pub(super) fn heads(view: &View) -> Vec<String> {
    let all = view.summary.round_trips();
    let said = |rtt_us: &Option<u64>| match rtt_us {
        Some(us) => format!("over {}", words::time(us.saturating_mul(1_000))),
        None => "no proxy".to_owned(),
    };
    if all.len() > 1 { all.iter().map(said).collect() } else { Vec::new() }
}

/// A row for each strategy and load, in the order of the shortest round trip.
pub(super) fn rows(view: &View) -> Vec<Row> {
    let all = view.summary.round_trips();
    if all.len() < 2 {
        return Vec::new();
    }
    let near = |cell: &CellSummary| Condition { rtt_us: None, ..cell.condition.clone() };
    let conditions: Vec<Condition> = view.summary.cells.iter().map(near).collect();
    let names = labels(&conditions);
    let mut rows = Vec::new();
    for (threads, keys) in view.loads() {
        let exact: Vec<Vec<&CellSummary>> =
            all.iter().map(|&rtt_us| view.summary.exact_over(threads, keys, rtt_us)).collect();
        let mut by_strategy: BTreeMap<Condition, Vec<Option<&CellSummary>>> = BTreeMap::new();
        for (_, cell, _) in view.at(threads, keys) {
            let Some(at) = all.iter().position(|&rtt_us| rtt_us == cell.condition.rtt_us) else { continue };
            by_strategy.entry(near(cell)).or_insert_with(|| vec![None; all.len()])[at] = Some(cell);
        }
        let measured = |(at, cell): (usize, &Option<&CellSummary>)| {
            let Some(cell) = cell else { return Measured::default() };
            let place = exact[at].iter().position(|other| other.condition == cell.condition);
            Measured {
                rate: words::rate(cell.surviving_per_s.median),
                fate: fate(cell),
                place: place.map_or_else(String::new, |place| (place + 1).to_string()),
            }
        };
        let mut sorted: Vec<_> = by_strategy.into_iter().collect();
        let rate = |cells: &[Option<&CellSummary>]| cells[0].map_or(0.0, |cell| cell.surviving_per_s.median);
        sorted.sort_by(|a, b| rate(&b.1).total_cmp(&rate(&a.1)));
        for (condition, cells) in sorted {
            rows.push(Row {
                scope: scope(threads, keys),
                name: name(names.get(&condition).map_or(condition.strategy.as_str(), String::as_str)),
                cells: cells.iter().enumerate().map(measured).collect(),
            });
        }
    }
    rows
}
