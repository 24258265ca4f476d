//! The answer in one sentence, with its uncertainty. [`summary`](crate::summary) decides what it is.

use super::cast::Member;
use super::facts::is_imported;
use super::view::{View, fate, interval, keys, name, scope, since_send};
use crate::record::Estimate;
use crate::report::headline::{over_round_trips, ratios, under_faults};
use crate::report::markup::{Markup, html, list};
use crate::report::words;
use crate::summary::{self, CellSummary, What};
use crate::verdict::{Role, Verdict};

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
    let scope = scope(at_threads, at_keys);
    if let Some((sentence, support)) = benched(view, at_threads) {
        return Some(Answer { scope, sentence, support });
    }
    if is_imported(&view.run.machine) {
        let (sentence, support) = judged(view, at_threads, at_keys)?;
        return Some(Answer { scope, sentence, support });
    }
    let Some(found) = view.summary.answer(&view.run.machine, at_threads, at_keys) else {
        view.at(at_threads, at_keys).next()?;
        let sentence = html!("At {} no strategy was shown to keep its promise.", load(view, at_threads, at_keys));
        return Some(Answer { scope, sentence, support: unacknowledged(view, at_threads) });
    };
    let (sentence, mut support) = match words::offered(view.summary) {
        Some(per_s) => offered(view, &found, per_s),
        None => closed(view, &found),
    };
    let faults = under_faults(view.summary).into_iter().map(|said| html!("<b>{}</b>", said));
    support.splice(0..0, faults);
    support.extend(over_keys(view, &found));
    let farther = over_round_trips(view.summary, &view.run.machine, at_threads, at_keys);
    support.extend(farther.into_iter().map(|said| html!("{}", said)));
    support.extend(unacknowledged(view, at_threads));
    Some(Answer { scope, sentence, support })
}

/// Which exact strategies had no update acknowledged at a load, and why.
fn unacknowledged(view: &View, at_threads: usize) -> Vec<Markup> {
    let causes = view.summary.causes.iter();
    let here = causes.filter(|cause| cause.what == What::NothingAcknowledged && cause.threads.contains(&at_threads));
    here.map(|cause| html!("{}.", cause.to_string().trim_end_matches('.'))).collect()
}

/// Whether each history of another program is valid, and what shows that one is not.
fn judged(view: &View, at_threads: usize, at_keys: usize) -> Option<(Markup, Vec<Markup>)> {
    let mut cells = view.at(at_threads, at_keys).map(|(_, cell, _)| cell);
    let (first, others): (_, Vec<_>) = (cells.next()?, cells.collect());
    let support = others.iter().map(|cell| validity(cell) + Markup::ours(".")).chain(
        std::iter::once(first)
            .chain(others.iter().copied())
            .filter_map(|cell| Some(html!("{}: {}", name(&cell.label), cell.note.as_deref()?))),
    );
    Some((validity(first) + Markup::ours("."), support.collect()))
}

/// `racy is not valid: lost 20 of 500 acknowledged updates`.
fn validity(cell: &CellSummary) -> Markup {
    let (label, acked) = (name(&cell.label), words::count(cell.acked));
    match cell.verdict {
        Some(Verdict::Exact) => html!("{} is valid: each of {} acknowledged updates was counted once", label, acked),
        Some(Verdict::Unproven) | None => html!("{} does not say enough to be judged", label),
        Some(Verdict::Lost) => html!(
            "{} is not valid: <b class=\"loss\">{}</b> of {} acknowledged updates were lost",
            label,
            words::count(cell.lost),
            acked
        ),
        Some(other) => html!("{} is not valid: <b class=\"loss\">{}</b>", label, other),
    }
}

/// `16 threads`, `16 threads on 4 keys`.
fn load(view: &View, threads: usize, at_keys: usize) -> String {
    let racers = view.racers(threads);
    if view.keys.len() > 1 { format!("{racers} on {}", keys(at_keys)) } else { racers }
}

/// In a closed loop the fastest that lost nothing wins.
fn closed(view: &View, found: &summary::Answer) -> (Markup, Vec<Markup>) {
    let (lossy, best) = (found.lossy, found.best);
    let mut sentence: Markup = format!("At {}", load(view, found.threads, found.keys)).into();
    let mut support = Vec::new();
    if let Some(cell) = lossy {
        sentence += html!(" {} acknowledged {}", name(&cell.label), raced(cell, found.threads));
    }
    let Some(cell) = best else {
        return (sentence + none_kept(view, lossy.is_some()), support);
    };
    let joint = if lossy.is_some() { ";" } else { "," };
    let (label, rate) = (name(&cell.label), words::rate(cell.surviving_per_s.median));
    sentence += html!("{} the fastest strategy without loss, {}, kept <b>{}</b> per second.", joint, label, rate);
    support.push(sure_of(cell).into());
    let race = lossy.filter(|lossy| lossy.surviving_per_s.median > 0.0).map(|lossy| {
        let ratio = cell.surviving_per_s.median / lossy.surviving_per_s.median;
        format!("{} {}", words::times(ratio), lossy.label)
    });
    let usual = view.cast.iter().filter(|member| matches!(member.role, Role::Baseline | Role::Alternative));
    let usual: Vec<&str> = usual.map(|member| member.name.as_str()).collect();
    let others = Some(ratios(found, &usual, RATIOS)).filter(|ratios| !ratios.is_empty());
    let ratios: Vec<String> = race.into_iter().chain(others).collect();
    if !ratios.is_empty() {
        support.push(html!("{} is {}.", name(&cell.label), ratios.join(", ")));
    }
    if !found.rivals.is_empty() {
        support.push(html!("Within its noise: {}.", list(&named(&found.rivals))));
    }
    if !found.batchers.is_empty() {
        let batchers = list(&named(&found.batchers));
        support.push(html!("Faster in batches: {}.", batchers));
    }
    (sentence, support)
}

/// How many of the slower strategies are compared with the fastest in words; the bars have all.
const RATIOS: usize = 3;

/// What became of the updates of one that does not protect them.
fn raced(cell: &CellSummary, threads: usize) -> Markup {
    let acked = words::rate(cell.acked_per_s.median);
    match (cell.lost, threads) {
        (0, 1) => html!("<b>{}</b> updates per second and had no competitor, so it lost none", acked),
        (0, _) => html!("<b>{}</b> updates per second and showed no loss", acked),
        _ => html!(
            "<b>{}</b> updates per second and <b class=\"loss\">lost {}</b> of them, leaving {}",
            acked,
            words::lost(cell),
            words::rate(cell.surviving_per_s.median)
        ),
    }
}

fn none_kept(view: &View, is_more: bool) -> Markup {
    let joint = if is_more { "; " } else { " " };
    html!("{}no exact strategy {}.", joint, view.summary.what_none_did())
}

/// At an offered rate all that keep up achieve the same, so their p99 tells them apart.
fn offered(view: &View, found: &summary::Answer, per_s: u64) -> (Markup, Vec<Markup>) {
    let place = load(view, found.threads, found.keys);
    let mut sentence = html!("Offered <b>{}</b> updates per second, at {} ", words::count(per_s), place);
    let mut support = Vec::new();
    if let Some((best, others)) = found.prompt.split_first() {
        let (label, time) = (name(&best.label), p99(best));
        sentence +=
            html!("{} had the lowest 99th percentile of those that kept up: <b>{}</b>, {}", label, time, fate(best));
        support = prompt(best, others);
    } else if !found.unranked.is_empty() {
        sentence += Markup::ours("too few updates were sent for a 99th percentile");
    } else {
        sentence += Markup::ours("no exact strategy kept up");
    }
    if let Some(cell) = found.lossy.filter(|cell| cell.lost > 0) {
        sentence += html!("; {} <b class=\"loss\">lost {}</b>", name(&cell.label), words::lost(cell));
    }
    if !found.behind.is_empty() {
        let one = |cell: &&CellSummary| {
            html!("{} ({}/s, {})", name(&cell.label), words::rate(cell.acked_per_s.median), fate(cell))
        };
        let behind: Vec<Markup> = found.behind.iter().map(one).collect();
        support.push(html!("Could not keep up: {}.", list(&behind)));
    }
    (sentence + Markup::ours("."), support)
}

fn p99(cell: &CellSummary) -> String {
    cell.p99_ns().map_or_else(|| "?".to_owned(), words::time)
}

/// What the lowest p99 rests on, and the p99 of the others that kept up.
fn prompt(best: &CellSummary, others: &[&CellSummary]) -> Vec<Markup> {
    let spread = &best.latency_spread[2];
    let range = match spread.n {
        ..2 => "One trial only, so without a range.".to_owned(),
        n => format!(
            "Between {} and {} over {}.",
            words::time(spread.low as u64),
            words::time(spread.high as u64),
            words::counted(n, "trial")
        ),
    };
    let mut support = vec![html!("{} Lost {}.", range, words::bound(best))];
    support.extend(waited(best).map(Markup::from));
    let is_close = |cell: &&&CellSummary| spread.n > 1 && cell.latency_spread[2].low <= spread.high;
    let (close, higher): (Vec<_>, Vec<_>) = others.iter().partition(is_close);
    for (what, cells) in [("Within its noise", close), ("Kept up with a higher percentile", higher)] {
        let one = |cell: &&CellSummary| html!("{} ({}, {})", name(&cell.label), p99(cell), fate(cell));
        if !cells.is_empty() {
            support.push(html!("{}: {}.", what, list(&cells.into_iter().map(one).collect::<Vec<_>>())));
        }
    }
    support
}

/// What more keys do to throughput and loss, where several numbers of them were measured.
fn over_keys(view: &View, found: &summary::Answer) -> Vec<Markup> {
    let (Some(&first), Some(&last)) = (view.keys.first(), view.keys.last()) else { return Vec::new() };
    let ends = |label: &str| {
        let cell = |at: usize| {
            let mut cells = view.summary.cells.iter().filter(|cell| cell.trials > 0 && cell.label == label);
            cells.find(|cell| (cell.condition.threads, cell.condition.keys) == (found.threads, at))
        };
        cell(first).zip(cell(last)).filter(|_| first != last)
    };
    let span = format!("From {} to {}", keys(first), keys(last));
    let loss = found.lossy.and_then(|cell| ends(&cell.label)).map(|(one, many)| {
        let label = name(&one.label);
        html!("{}, the loss of {} changes from {} to {}.", &span, label, words::lost(one), words::lost(many))
    });
    let rate = found.best.and_then(|cell| ends(&cell.label)).map(|(one, many)| {
        html!(
            "{}, the surviving updates per second of {} change from {} to {}.",
            &span,
            name(&one.label),
            words::rate(one.surviving_per_s.median),
            words::rate(many.surviving_per_s.median)
        )
    });
    loss.into_iter().chain(rate).collect()
}

/// A bench run's answer, by criterion's estimates; `None` if there are none at this load.
fn benched(view: &View, threads: usize) -> Option<(Markup, Vec<Markup>)> {
    let own = view.run.estimates.iter().filter(|one| one.baseline == "this run" && one.threads == threads);
    let mut own: Vec<&Estimate> = own.collect();
    own.sort_by(|a, b| a.mean_ns.total_cmp(&b.mean_ns));
    own.first()?;
    let is = |one: &Estimate, what: fn(&Member) -> bool| view.cast.iter().any(|m| m.name == one.strategy && what(m));
    let keeps = |one: &&Estimate| one.verdict == Some(Verdict::Exact) && !is(one, Member::is_lossy);
    let exact: Vec<&Estimate> = own.iter().copied().filter(keeps).collect();
    let (batchers, kept): (Vec<&Estimate>, Vec<&Estimate>) =
        exact.into_iter().partition(|one| is(one, Member::is_batching));
    let mut sentence = html!("At {} ", view.racers(threads));
    let mut support = Vec::new();
    if let Some((best, others)) = kept.split_first() {
        sentence += html!(
            "{} was the fastest that lost nothing: <b>{}</b> (criterion: {}) for an update by every {}",
            name(&best.strategy),
            mean(best),
            span(best),
            view.racer()
        );
        support = estimated(best, others, &batchers);
    } else {
        sentence += Markup::ours("no strategy was shown to keep its promise");
    }
    if let Some(worst) = own.iter().filter(|one| one.lost > 0).max_by(|a, b| part(a).total_cmp(&part(b))) {
        let (label, lost) = (name(&worst.strategy), words::percent(part(worst)));
        sentence += html!("; {} took {} and <b class=\"loss\">lost {}</b>", label, mean(worst), lost);
    }
    Some((sentence + Markup::ours("."), support))
}

fn mean(one: &Estimate) -> String {
    words::time(one.mean_ns.round() as u64)
}

fn span(one: &Estimate) -> String {
    format!("{} to {}", words::time(one.mean_low_ns.round() as u64), words::time(one.mean_high_ns.round() as u64))
}

fn part(one: &Estimate) -> f64 {
    one.lost as f64 / one.acked.max(1) as f64
}

/// The other estimates beside the best one, and what their intervals are of.
fn estimated(best: &Estimate, others: &[&Estimate], batchers: &[&Estimate]) -> Vec<Markup> {
    let (close, slower): (Vec<&Estimate>, Vec<&Estimate>) =
        others.iter().partition(|one| one.mean_low_ns <= best.mean_high_ns);
    let faster = batchers.iter().copied().filter(|one| one.mean_ns < best.mean_ns).collect();
    let lists = [("Within its noise", close), ("Slower", slower), ("Faster in batches", faster)];
    let one = |one: &&Estimate| html!("{} ({})", name(&one.strategy), span(one));
    let filled = lists.into_iter().filter(|(_, estimates)| !estimates.is_empty());
    let said =
        filled.map(|(what, estimates)| html!("{}: {}.", what, list(&estimates.iter().map(one).collect::<Vec<_>>())));
    let confidence = format!("{:.0} %", best.confidence * 100.0);
    let warning = html!(
        "Criterion's {} intervals are of one process; two runs of the same build usually differ by more.",
        confidence
    );
    said.chain([warning]).collect()
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
    Some(format!("Response time: {}; service time: {sent}.", words::within(p50, p99)))
}

/// Strategies with their rates and fates.
fn named(cells: &[&CellSummary]) -> Vec<Markup> {
    let one = |cell: &&CellSummary| {
        html!("{} ({}/s, {})", name(&cell.label), words::rate(cell.surviving_per_s.median), fate(cell))
    };
    cells.iter().map(one).collect()
}
