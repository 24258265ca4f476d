//! The answer: one sentence made from the data, and how sure it is.

use super::view::{View, fate, interval, keys, name, scope, since_send, within};
use crate::report::markup::{Markup, html, list};
use crate::report::words;
use crate::summary::CellSummary;
use crate::verdict::{Promise, Role, Verdict};

/// The answer at one load.
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
    let lossy = worst(view, at_threads, at_keys);
    let exact: Vec<&CellSummary> = view.summary.ranking(at_threads, at_keys);
    let best = view.fastest(at_threads, at_keys);
    if lossy.is_none() && best.is_none() {
        return None;
    }
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
        support.extend(rivals(view, cell, &exact));
        support.extend(batchers(view, cell, &exact));
    } else {
        sentence += Markup::ours(if view.cast.iter().any(|member| member.promise == Promise::Exact) {
            "; no strategy that promises exactness was seen to keep it here"
        } else {
            "; no strategy that promises exactness was measured"
        });
    }
    Some(Answer { scope: scope(at_threads, at_keys), sentence: sentence + Markup::ours("."), support })
}

/// The race itself if it was measured, or else the lossy strategy that lost most.
fn worst<'a>(view: &View<'a>, at_threads: usize, at_keys: usize) -> Option<&'a CellSummary> {
    let lossy = || view.at(at_threads, at_keys).filter(|(_, cell, _)| cell.promise == Promise::Lossy);
    let race = lossy().find(|(.., member)| member.role == Role::Race);
    race.or_else(|| lossy().max_by(|(_, a, _), (_, b, _)| a.lost_part().total_cmp(&b.lost_part())))
        .map(|(_, cell, _)| cell)
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
    Some(format!("Response time: {}; service time: {sent}.{behind}", within(p50, p99)))
}

/// The exact strategies that the intervals cannot tell from the fastest.
fn rivals(view: &View, best: &CellSummary, exact: &[&CellSummary]) -> Option<Markup> {
    let overlaps = |cell: &&&CellSummary| {
        cell.label != best.label
            && !view.is_batching(cell)
            && cell.surviving_per_s.high >= best.surviving_per_s.low
            && cell.verdict == Some(Verdict::Exact)
    };
    let close = named(exact.iter().filter(overlaps));
    (!close.is_empty()).then(|| html!("Not distinguishable from it: {}.", list(&close)))
}

/// The exact strategies that are faster, by handing over many updates at once.
fn batchers(view: &View, best: &CellSummary, exact: &[&CellSummary]) -> Option<Markup> {
    let is_faster = |cell: &&&CellSummary| {
        view.is_batching(cell) && !view.is_batching(best) && cell.surviving_per_s.median > best.surviving_per_s.median
    };
    let faster = named(exact.iter().filter(is_faster));
    (!faster.is_empty()).then(|| html!("Faster if a client can submit many updates at once: {}.", list(&faster)))
}

/// Strategies with their rates and fates.
fn named<'a>(cells: impl Iterator<Item = &'a &'a CellSummary>) -> Vec<Markup> {
    let one = |cell: &&CellSummary| {
        html!("{} ({}/s, {})", name(&cell.label), words::rate(cell.surviving_per_s.median), fate(cell))
    };
    cells.map(one).collect()
}
