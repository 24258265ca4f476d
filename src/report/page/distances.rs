//! How the strategies rank over each round trip.

use std::collections::BTreeMap;

use super::tables::{Row, Table, blank, head, number, word};
use super::view::{View, fate, name, scope};
use crate::condition::Condition;
use crate::report::words;
use crate::summary::CellSummary;

/// A row for each strategy and load, in the order of the shortest round trip; `None` unless there are several.
pub(super) fn distances(view: &View) -> Option<Table> {
    let all = view.summary.round_trips();
    if all.len() < 2 {
        return None;
    }
    let names = view.summary.names_over_round_trips();
    let mut rows = Vec::new();
    for (threads, keys) in view.loads() {
        let places: Vec<Vec<&CellSummary>> =
            all.iter().map(|&rtt_us| view.summary.places(&view.run.machine, threads, keys, rtt_us)).collect();
        let mut by_strategy: BTreeMap<Condition, (&str, Vec<Option<&CellSummary>>)> = BTreeMap::new();
        for (_, cell, member) in view.at(threads, keys) {
            let Some(at) = all.iter().position(|&rtt_us| rtt_us == cell.condition.rtt_us) else { continue };
            let (_, cells) = by_strategy
                .entry(cell.condition.without_round_trip())
                .or_insert_with(|| (member.class.as_str(), vec![None; all.len()]));
            cells[at] = Some(cell);
        }
        let mut sorted: Vec<_> = by_strategy.into_iter().collect();
        let rate = |cells: &[Option<&CellSummary>]| cells[0].map_or(0.0, |cell| cell.surviving_per_s.median);
        sorted.sort_by(|(_, (_, a)), (_, (_, b))| rate(b).total_cmp(&rate(a)));
        for (condition, (class, measured)) in sorted {
            let label = names[&condition].as_str();
            let mut cells = vec![word(label, name(label))];
            for (cell, places) in measured.iter().zip(&places) {
                let Some(cell) = cell else {
                    cells.extend([blank(), blank(), blank()]);
                    continue;
                };
                let (rate, lost) = (cell.surviving_per_s.median, fate(cell));
                let place = places.iter().position(|other| other.condition == cell.condition);
                cells.push(number(rate, words::rate(rate)));
                cells.push(word(&lost, lost.clone()));
                cells.push(place.map_or_else(blank, |place| number(place as f64 + 1.0, (place + 1).to_string())));
            }
            rows.push(Row { classes: format!("{} {class}", scope(threads, keys)), cells });
        }
    }
    Some(Table { heads: heads(&all), rows })
}

fn heads(all: &[Option<u64>]) -> Vec<(String, String, bool)> {
    let mut heads = vec![head("strategy", "One way to add one to a counter.", false)];
    for rtt_us in all {
        let over = rtt_us.map_or_else(|| "direct".to_owned(), |us| words::time(us.saturating_mul(1_000)));
        heads.push(head(&format!("{over}, /s"), "Surviving updates per second over this round trip.", true));
        heads.push(head(&format!("{over}, lost"), "What was lost.", false));
        let place = "Its place among the exact strategies over this round trip, batches included: by the rate, or in an open \
                     loop by the p99 of those that kept up.";
        heads.push(head(&format!("{over}, place"), place, true));
    }
    heads
}
