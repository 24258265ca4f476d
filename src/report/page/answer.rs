//! The answer in one sentence, with its uncertainty. [`summary`](crate::summary) decides what it is.

use super::view::{View, fate, interval, keys, name, scope, since_send};
use crate::report::markup::{Markup, html, list};
use crate::report::words;
use crate::summary::CellSummary;
use crate::verdict::Promise;

/// The answer at one load, in words.
pub(super) struct Answer {
    /// Classes that show it while its load is selected.
    pub(super) scope: String,
    /// The sentence, as HTML.
    pub(super) sentence: Markup,
    /// What it rests on, as HTML.
    pub(super) support: Vec<Markup>,
}

/// One answer for every load that was measured.
pub(super) fn answers(view: &View) -> Vec<Answer> {
    view.loads().filter_map(|(t, k)| answer(view, t, k)).collect()
}

fn answer(view: &View, at_threads: usize, at_keys: usize) -> Option<Answer> {
    let found = view.summary.answer(&view.run.machine, at_threads, at_keys)?;
    let (lossy, best) = (found.lossy, found.best);
    let mut load = format!("At {}", view.racers(at_threads));
    if view.keys.len() > 1 {
        load += &format!(" on {}", keys(at_keys));
    }
    let offered = words::offered(view.summary);
    let mut sentence = match offered {
        Some(per_s) => html!("Offered <b>{}</b> updates per second, a{}", words::count(per_s), &load[1..]),
        None => load.into(),
    };
    let fastest = if offered.is_some() {
        "the strategy with the most surviving updates and no loss"
    } else {
        "the fastest strategy without loss"
    };
    let mut support = Vec::new();
    if let Some(cell) = lossy {
        let acked = words::rate(cell.acked_per_s.median);
        if cell.lost == 0 {
            sentence += html!(
                " {} acknowledged <b>{}</b> updates per second and {}",
                name(&cell.label),
                acked,
                if at_threads == 1 { "had no competitor, so it lost none" } else { "showed no loss" }
            );
        } else {
            sentence += html!(
                " {} acknowledged <b>{}</b> updates per second and <b class=\"loss\">lost {}</b> of them, leaving {}",
                name(&cell.label),
                acked,
                words::lost(cell),
                words::rate(cell.surviving_per_s.median)
            );
        }
    }
    if let Some(cell) = best {
        let joint = if lossy.is_some() { format!("; {fastest},") } else { format!(", {fastest} was") };
        let comma = if lossy.is_some() { "," } else { ":" };
        sentence += html!(
            "{} {}{} kept <b>{}</b> per second",
            joint,
            name(&cell.label),
            comma,
            words::rate(cell.surviving_per_s.median)
        );
        support.push(sure_of(cell).into());
        support.extend(waited(cell).map(Markup::from));
        if let Some(lossy) = lossy.filter(|lossy| lossy.surviving_per_s.median > 0.0) {
            let ratio = cell.surviving_per_s.median / lossy.surviving_per_s.median;
            support.push(html!("That is {} the surviving rate of {}.", words::times(ratio), name(&lossy.label)));
        }
        if !found.rivals.is_empty() {
            support.push(html!("Not distinguishable from it: {}.", list(&named(&found.rivals))));
        }
        if !found.batchers.is_empty() {
            let batchers = list(&named(&found.batchers));
            support.push(html!("Faster if a client can submit many updates at once: {}.", batchers));
        }
    } else {
        sentence += Markup::ours(if view.cast.iter().any(|member| member.promise == Promise::Exact) {
            "; no exact strategy kept its promise here"
        } else {
            "; no exact strategy was measured"
        });
    }
    Some(Answer { scope: scope(at_threads, at_keys), sentence: sentence + Markup::ours("."), support })
}

fn sure_of(cell: &CellSummary) -> String {
    let rate = &cell.surviving_per_s;
    let trials = words::counted(rate.n, "trial");
    let range = if rate.n < 2 {
        "One trial only, so without an interval.".to_owned()
    } else {
        format!(
            "Between {} per second ({:.0} % confidence, {trials}).",
            interval(rate).replace(" to ", " and "),
            rate.confidence * 100.0
        )
    };
    format!("{range} Lost {}.", words::bound(cell))
}

/// How long updates took in an open loop, by both clocks.
fn waited(cell: &CellSummary) -> Option<String> {
    let [p50, _, p99, ..] = cell.latency_ns;
    let sent = since_send(cell)?;
    let behind =
        if cell.fell_behind() { format!(" It could not keep up: {}.", words::behind(cell)) } else { String::new() };
    Some(format!("Response time: {}; service time: {sent}.{behind}", words::within(p50, p99)))
}

/// Strategies with their rates and fates.
fn named(cells: &[&CellSummary]) -> Vec<Markup> {
    let one = |cell: &&CellSummary| {
        html!("{} ({}/s, {})", name(&cell.label), words::rate(cell.surviving_per_s.median), fate(cell))
    };
    cells.iter().map(one).collect()
}
