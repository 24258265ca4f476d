//! The result of a run in a few lines for a terminal: the winner with its interval, the strategies within its noise, its
//! ratio to the other usual choices, and what the race lost.

use crate::condition::NO_FAULT;
use crate::record::Machine;
use crate::report::words::{self, WIDTH, wrap};
use crate::summary::{Answer, CellSummary, Summary, What};
use crate::verdict::Verdict;

/// The load that a run's headline is of: the highest that was judged, on the fewest keys.
pub(super) fn load(summary: &Summary) -> Option<(usize, usize)> {
    let judged = summary.cells.iter().filter(|cell| cell.trials > 0).map(|cell| &cell.condition);
    let keys = judged.clone().map(|condition| condition.keys).min()?;
    judged.filter(|condition| condition.keys == keys).map(|condition| (condition.threads, keys)).max()
}

/// The most lines that the answer of a closed loop takes.
const LINES: usize = 3;

/// The lines, each of at most 80 columns. Of the slower strategies those of `known` names come first, as many as fit.
pub fn headline(summary: &Summary, machine: &Machine, known: &[&str]) -> String {
    let mut said = broken(summary);
    said.extend(under_faults(summary));
    let answer = load(summary).and_then(|(threads, keys)| summary.answer(machine, threads, keys));
    match answer {
        Some(answer) if answer.is_offered() => said.extend(offered(summary, &answer)),
        Some(answer) => said.push(closed(summary, &answer, known)),
        None => said.push(nothing(summary)),
    }
    said.extend(over_keys(summary, machine));
    if let Some((threads, keys)) = load(summary) {
        said.extend(over_round_trips(summary, machine, threads, keys));
    }
    let lines = said.iter().filter(|said| !said.is_empty()).flat_map(|said| wrap(said, WIDTH));
    lines.map(|line| line + "\n").collect()
}

/// Where: `At 16 threads`, `At 16 threads on 4 keys`.
pub(super) fn place(summary: &Summary, threads: usize, keys: usize) -> String {
    let racers = summary.driver().racers(threads);
    if summary.keys().len() > 1 { format!("{racers} on {}", words::counted(keys, "key")) } else { racers }
}

/// A broken promise comes before everything else.
fn broken(summary: &Summary) -> Vec<String> {
    let broken = summary.causes.iter().filter(|cause| matches!(cause.what, What::Broken(_)));
    broken
        .map(|cause| {
            let part = if cause.acked == 0 { 0.0 } else { cause.lost as f64 / cause.acked as f64 };
            let doubled =
                if cause.doubled > 0 { format!(", {} doubled", words::count(cause.doubled)) } else { String::new() };
            format!(
                "BROKEN PROMISE: {} lost {}{doubled} in {} of {}.",
                cause.strategy,
                words::percent(part),
                cause.trials,
                words::counted(cause.of, "trial")
            )
        })
        .collect()
}

/// What each fault did to the updates, at the highest load.
pub(super) fn under_faults(summary: &Summary) -> Vec<String> {
    let is_there = |cell: &&CellSummary| cell.trials > 0 && cell.condition.fault != NO_FAULT;
    let most = summary.cells.iter().filter(is_there).map(|cell| cell.condition.threads).max();
    let cells: Vec<&CellSummary> =
        summary.cells.iter().filter(is_there).filter(|cell| Some(cell.condition.threads) == most).collect();
    let mut faults: Vec<&str> = cells.iter().map(|cell| cell.condition.fault.as_str()).collect();
    faults.sort_unstable();
    faults.dedup();
    let line = |fault: &str| {
        let own = || cells.iter().filter(|cell| cell.condition.fault == fault);
        let hurt = own().filter(|cell| cell.lost > 0 || cell.doubled > 0).map(|cell| damage(cell));
        let unharmed: Vec<String> =
            own().filter(|cell| cell.lost == 0 && cell.doubled == 0).map(|cell| unharmed(cell)).collect();
        let rest = (!unharmed.is_empty()).then(|| format!("nothing lost or doubled by {}", unharmed.join(", ")));
        format!("Under {fault}: {}.", hurt.chain(rest).collect::<Vec<_>>().join("; "))
    };
    faults.into_iter().map(line).collect()
}

/// `incr-retry counted 41 of 1,600 updates twice`.
fn damage(cell: &CellSummary) -> String {
    let (name, acked) = (&cell.condition.strategy, words::count(cell.acked));
    let lost = (cell.lost > 0).then(|| format!("lost {}", words::count(cell.lost)));
    let doubled = (cell.doubled > 0).then(|| format!("counted {} twice", words::count(cell.doubled)));
    let what: Vec<String> = lost.into_iter().chain(doubled).collect();
    format!("{name} {} ({acked} acknowledged)", what.join(" and "))
}

/// `incr (40 unknown)`.
fn unharmed(cell: &CellSummary) -> String {
    let name = &cell.condition.strategy;
    if cell.unknown > 0 { format!("{name} ({} unknown)", words::count(cell.unknown)) } else { name.clone() }
}

/// The answer for a closed loop: as many ratios as fit into its lines, and what is faster in batches if there is room
/// for it.
fn closed(summary: &Summary, answer: &Answer, known: &[&str]) -> String {
    let text = |(named, batches): (usize, bool)| {
        let batchers = if batches { batchers(answer) } else { String::new() };
        let ratios = ratios(answer, known, named);
        let ratios = if ratios.is_empty() { ratios } else { format!("It is {ratios}.") };
        let parts = [winner(summary, answer), ratios, batchers, race(answer)];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let fits = |form: &(usize, bool)| wrap(&text(*form), WIDTH).len() <= LINES;
    let with = (ENOUGH.min(answer.slower.len())..=NAMED).rev().map(|named| (named, true));
    let without = (0..=NAMED).rev().map(|named| (named, false));
    text(with.chain(without).find(fits).unwrap_or_default())
}

/// At least this many ratios are given beside what is faster in batches, which stands in the table above them all.
const ENOUGH: usize = 1;

fn winner(summary: &Summary, answer: &Answer) -> String {
    let place = place(summary, answer.threads, answer.keys);
    let Some(best) = answer.best else {
        return format!("At {place} no exact strategy {}.", summary.what_none_did());
    };
    let rate = &best.surviving_per_s;
    let rivals: Vec<&str> = answer.rivals.iter().map(|cell| cell.label.as_str()).collect();
    let is_sure = rate.confidence >= SURE;
    let verb = if is_sure && rivals.is_empty() { "wins" } else { "leads" };
    let said = format!("{} {verb} at {place}: {} surviving/s", best.label, words::rate(rate.median));
    if rate.n < 2 {
        return format!("{said} (one trial, so no interval), {}.", lost(best));
    }
    let noise = match &rivals[..] {
        [] if is_sure => "no other is within its noise".to_owned(),
        [] => "too few trials to be sure".to_owned(),
        rivals if rivals.len() > NAMED => format!("{} others are within its noise", rivals.len()),
        rivals => format!("within its noise: {}", rivals.join(", ")),
    };
    // An interval of few trials is narrower than it should be, so their number stands beside it.
    let of = if is_sure { String::new() } else { format!(" in {} trials", rate.n) };
    format!("{said} ({} to {}{of}), {}; {noise}.", words::rate(rate.low), words::rate(rate.high), lost(best))
}

/// The least confidence of an interval that stands without the number of its trials. Five trials give 94 %, four 88 %.
const SURE: f64 = 0.9;

/// How many strategies are named in a list; of more, none is (what is within the noise), or the rest is counted.
const NAMED: usize = 8;

fn lost(cell: &CellSummary) -> String {
    match (cell.lost, cell.verdict) {
        (0, Some(Verdict::Exact | Verdict::Lost)) => format!("0 of {} lost", words::count(cell.acked)),
        (0, Some(Verdict::Excess)) if cell.doubled > 0 => format!("0 lost, {} doubled", words::count(cell.doubled)),
        (0, Some(Verdict::Unproven)) if cell.unknown > 0 => format!("0 lost, {} unknown", words::count(cell.unknown)),
        (0, verdict) => format!("0 lost, {}", verdict.unwrap_or(Verdict::Unproven)),
        _ => format!("{} lost", words::lost(cell)),
    }
}

/// How many times as fast the best one is as each of the others, `most` of them at most: `1.2× watch, 6.9× mutex`.
pub(super) fn ratios(answer: &Answer, known: &[&str], most: usize) -> String {
    let Some(best) = answer.best.map(|best| best.surviving_per_s.median) else { return String::new() };
    let is_known = |cell: &&&CellSummary| known.contains(&cell.condition.strategy.as_str());
    let chosen = answer.slower.iter().filter(is_known).chain(answer.slower.iter().filter(|cell| !is_known(cell)));
    let mut named: Vec<&&CellSummary> = chosen.filter(|cell| cell.surviving_per_s.median > 0.0).take(most).collect();
    named.sort_by(|a, b| b.surviving_per_s.median.total_cmp(&a.surviving_per_s.median));
    let ratio = |cell: &&&CellSummary| format!("{} {}", words::times(best / cell.surviving_per_s.median), cell.label);
    let ratios: Vec<String> = named.iter().map(ratio).collect();
    ratios.join(", ")
}

/// The strategies that are faster in batches.
fn batchers(answer: &Answer) -> String {
    let names: Vec<&str> = answer.batchers.iter().take(2).map(|cell| cell.label.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("Faster in batches: {}.", names.join(", ")) }
}

/// What became of those who do not protect their updates.
fn race(answer: &Answer) -> String {
    let Some(cell) = answer.lossy else { return String::new() };
    let (name, acked) = (&cell.label, words::rate(cell.acked_per_s.median));
    match (cell.lost, answer.threads) {
        (0, 1) => format!("{name} ({acked}/s) had no competitor and lost none."),
        (0, _) => format!("{name} ({acked}/s) showed no loss."),
        _ => format!("{name} lost {} of {acked}/s.", words::lost(cell)),
    }
}

/// At an offered rate all that keep up achieve the same, so their times tell them apart.
fn offered(summary: &Summary, answer: &Answer) -> Vec<String> {
    let place = place(summary, answer.threads, answer.keys);
    let per_s = words::offered(summary).map_or_else(String::new, words::count);
    let p99 = |cell: &CellSummary| cell.p99_ns().map_or_else(|| "?".to_owned(), words::time);
    let mut said = vec![match answer.prompt.split_first() {
        None if !answer.unranked.is_empty() => {
            format!("Offered {per_s}/s, at {place} too few updates were sent for a p99.")
        }
        None => format!("Offered {per_s}/s, at {place} no exact strategy kept up."),
        Some((best, others)) => {
            let spread = &best.latency_spread[2];
            let range = match spread.n {
                ..2 => "one trial".to_owned(),
                _ => format!("{} to {}", words::time(spread.low as u64), words::time(spread.high as u64)),
            };
            let close = |cell: &&&CellSummary| spread.n > 1 && cell.latency_spread[2].low <= spread.high;
            let listed = |cells: Vec<&&CellSummary>| {
                let named = cells.iter().take(NAMED).map(|cell| format!("{} {}", cell.label, p99(cell)));
                let named: Vec<String> = named.collect();
                let more = cells.len() - named.len();
                named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
            };
            let rivals: Vec<_> = others.iter().filter(close).collect();
            let slower: Vec<_> = others.iter().filter(|cell| !close(cell)).collect();
            let mut said = format!(
                "Offered {per_s}/s, at {place} {} had the lowest p99 of those that kept up: {} ({range}), {}.",
                best.label,
                p99(best),
                lost(best)
            );
            if !rivals.is_empty() {
                said += &format!(" Within its noise: {}.", listed(rivals));
            }
            if !slower.is_empty() {
                said += &format!(" Higher: {}.", listed(slower));
            }
            said
        }
    }];
    if !answer.behind.is_empty() {
        let behind = answer.behind.iter().take(NAMED);
        let behind: Vec<String> =
            behind.map(|cell| format!("{} ({}/s)", cell.label, words::rate(cell.acked_per_s.median))).collect();
        said.push(format!("Did not keep up: {}.", behind.join(", ")));
    }
    said.push(race(answer));
    said
}

/// What more keys spare those who race.
fn over_keys(summary: &Summary, machine: &Machine) -> Option<String> {
    let (threads, first) = load(summary)?;
    let keys = summary.keys();
    let lossy = summary.answer(machine, threads, first)?.lossy.filter(|_| keys.len() > 1)?;
    let at = |keys: &usize| {
        let cell = summary.curve(&lossy.label, *keys).find(|cell| cell.condition.threads == threads)?;
        Some(format!("{} on {}", words::lost(cell), words::counted(*keys, "key")))
    };
    let parts: Vec<String> = keys.iter().filter_map(at).take(NAMED).collect();
    Some(format!("Over keys {} lost {}.", lossy.label, parts.join(", ")))
}

/// The best over each longer round trip, and what the best over the shortest does there.
pub(super) fn over_round_trips(summary: &Summary, machine: &Machine, threads: usize, keys: usize) -> Vec<String> {
    let near = |cell: &CellSummary| cell.condition.without_round_trip();
    let names = summary.names_over_round_trips();
    let name = |cell: &CellSummary| names[&near(cell)].as_str();
    let first = summary.answer(machine, threads, keys).and_then(|answer| {
        let best = if answer.is_offered() { answer.prompt.first().copied() } else { answer.best };
        best.map(near)
    });
    let shortest = summary.shortest(threads, keys);
    let line = |rtt_us: Option<u64>| {
        let answer = summary.answer_over(machine, threads, keys, rtt_us)?;
        let over = format!("Over a round trip of {}", words::time(rtt_us?.saturating_mul(1_000)));
        if answer.is_offered() {
            let best = answer.prompt.first()?;
            let p99 = words::time(best.p99_ns()?);
            return Some(format!("{over} {} has the lowest p99, {p99}, {}.", name(best), lost(best)));
        }
        let best = answer.best?;
        let is_first = |cell: &CellSummary| first.as_ref() == Some(&near(cell));
        let again = if is_first(best) { "again " } else { "" };
        let rivals: Vec<&str> = answer.rivals.iter().take(NAMED).map(|cell| name(cell)).collect();
        let noise = match &rivals[..] {
            [] if best.surviving_per_s.confidence >= SURE => String::new(),
            [] => "; too few trials to be sure".to_owned(),
            rivals => format!("; within its noise: {}", rivals.join(", ")),
        };
        let before = answer.slower.iter().find(|cell| is_first(cell)).map_or_else(String::new, |cell| {
            format!("; {} makes {}", name(cell), words::rate(cell.surviving_per_s.median))
        });
        let rate = words::rate(best.surviving_per_s.median);
        Some(format!("{over} {} {again}leads: {rate} surviving/s, {}{noise}{before}.", name(best), lost(best)))
    };
    summary.round_trips().into_iter().filter(|&rtt_us| rtt_us > shortest).filter_map(line).collect()
}

/// Why there is no answer: the reason that most cells have, once.
fn nothing(summary: &Summary) -> String {
    let why = |cell: &CellSummary| cell.error.clone().or_else(|| cell.note.clone());
    let reasons: Vec<String> = summary.cells.iter().filter_map(why).collect();
    let count = |reason: &String| reasons.iter().filter(|other| *other == reason).count();
    let what = if summary.cells.iter().any(|cell| cell.trials > 0) { "proven" } else { "measured" };
    match reasons.iter().max_by_key(|reason| count(reason)) {
        Some(reason) => {
            format!("Nothing was {what}. In {} of {} cells: {reason}.", count(reason), summary.cells.len())
        }
        None => format!("Nothing was {what}."),
    }
}
