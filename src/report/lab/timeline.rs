//! One trial over time: acknowledgements per second, the fault's window shaded, and what was lost where it was acknowledged.

use std::collections::HashMap;

use super::cells::{Cell, Matrix, NO_FAULT, Protected, harm};
use super::names;
use crate::record::lab::{LabRow, LabRun, Moment};
use crate::report::markup::Markup;
use crate::report::page::plot::{Dot, Line, Plot};
use crate::report::page::scale::{Scale, rate_tick};
use crate::report::words::{self, count};

/// The most charts on a page, to keep it small.
const MOST: usize = 14;

/// The most buckets of a chart: a screen has no room for more.
const STRETCHES: usize = 200;

/// A chart with its words.
pub(super) struct Timeline {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) is_bad: bool,
    pub(super) chart: Markup,
    pub(super) caption: String,
    /// What was done: when, and what.
    pub(super) done: Vec<(String, String)>,
    /// The command that repeats the cell.
    pub(super) again: String,
}

/// For each fault, the cell that lost or doubled most, and beside it a protection that lost nothing. Those that lose without
/// a fault are left out.
pub(super) fn timelines(run: &LabRun, matrix: &Matrix<'_>) -> Vec<Timeline> {
    let mut chosen = Vec::new();
    for &column in &matrix.columns {
        let cells: Vec<(&Protected<'_>, &Cell<'_>)> =
            matrix.sound().flat_map(|row| row.at(column).map(move |cell| (row, cell))).collect();
        let damage = |(_, cell): &&(&Protected<'_>, &Cell<'_>)| {
            cell.spread(harm).map_or(0, |spread| spread.middle.max(spread.high.min(1)))
        };
        let worst = cells.iter().filter(|(_, cell)| !cell.is_clean()).max_by_key(damage);
        let is_there = |cell: &Cell<'_>| cell.count() > 0 && cell.is_clean();
        // Of the cells that held, one of a real protection says more than one that is unprotected.
        let held = cells.iter().filter(|(_, cell)| is_there(cell)).max_by_key(|(row, _)| row.family != "none");
        chosen.extend([worst, held].into_iter().flatten().copied());
    }
    let mut moments: HashMap<u32, Vec<Moment>> = HashMap::new();
    for moment in run.timeline.iter().filter(|moment| moment.for_ns > 0) {
        moments.entry(moment.trial).or_default().push(*moment);
    }
    let timelines = chosen.into_iter().filter_map(|(row, cell)| {
        let trial = cell.typical(|trial| moments.contains_key(&trial.trial))?;
        let mut moments = moments.get(&trial.trial)?.clone();
        moments.sort_by_key(|moment| moment.at_ns);
        Some(timeline(run, &matrix.title(row), cell, trial, &joined(&moments)))
    });
    timelines.take(MOST).collect()
}

fn timeline(run: &LabRun, protection: &str, cell: &Cell<'_>, trial: &LabRow, moments: &[Moment]) -> Timeline {
    let servers = names::servers(trial.topology, trial.shards, trial.replicas);
    Timeline {
        title: format!("{}: {protection}", names::title(&trial.fault)),
        about: format!(
            "{servers}, {}, trial {} of {}",
            words::counted(trial.clients as usize, "client"),
            trial.trial,
            run.rows.len()
        ),
        is_bad: !cell.is_clean(),
        chart: chart(trial, moments),
        caption: caption(trial),
        done: done(run, trial),
        again: again(run, trial, cell.trials.len()),
    }
}

/// Merges neighbouring buckets until all fit.
fn joined(moments: &[Moment]) -> Vec<Moment> {
    let each = moments.len().div_ceil(STRETCHES).max(1);
    let sum = |some: &[Moment], of: fn(&Moment) -> u64| some.iter().map(of).fold(0, u64::saturating_add);
    let join = |some: &[Moment]| Moment {
        for_ns: sum(some, |m| m.for_ns),
        acked: sum(some, |m| m.acked),
        lost: sum(some, |m| m.lost),
        unknown: sum(some, |m| m.unknown),
        refused: sum(some, |m| m.refused),
        ..some[0]
    };
    moments.chunks(each).map(join).collect()
}

fn per_s(count: u64, moment: &Moment) -> f64 {
    count as f64 * 1e9 / moment.for_ns as f64
}

fn chart(trial: &LabRow, moments: &[Moment]) -> Markup {
    let end =
        moments.last().map_or(1, |last| last.at_ns.saturating_add(last.for_ns)).max(trial.fault_end_ns.unwrap_or(0));
    let seconds = |ns: u64| ns as f64 / 1e9;
    // As wide as the trial: a scale's own end would be a round figure beyond it.
    let place = |ns: u64| (seconds(ns) / seconds(end).max(1e-9)).clamp(0.0, 1.0);
    let ticks: Vec<(f64, String, String)> =
        Scale::linear(seconds(end), &|at| format!("{} s", (at * 1e3).round() / 1e3))
            .ticks
            .into_iter()
            .filter(|(at, _)| *at <= seconds(end))
            .map(|(at, name)| (at / seconds(end).max(1e-9), name, String::new()))
            .collect();
    let highest = moments.iter().map(|moment| per_s(moment.acked, moment)).fold(1.0, f64::max);
    let scale = Scale::linear(highest, &rate_tick);
    let top = scale.highest();
    let dot = |at: u64, value: f64| Dot { x: place(at), value, interval: None, cell: None };
    // A bucket is drawn flat, with two points.
    let steps = |of: fn(&Moment) -> u64| -> Vec<Dot> {
        let ends = |moment: &Moment| {
            let rate = per_s(of(moment), moment);
            [dot(moment.at_ns, rate), dot(moment.at_ns.saturating_add(moment.for_ns), rate)]
        };
        moments.iter().flat_map(ends).collect()
    };
    let mut lines = Vec::new();
    if let Some((from, to)) = trial.fault_begin_ns.zip(trial.fault_end_ns) {
        let (from, to) = (place(from), place(to).max(place(from) + 0.003));
        let edge = |x: f64| Dot { x, value: 0.0, interval: None, cell: None };
        lines.push(Line {
            class: "window".to_owned(),
            dots: vec![edge(from), edge(to)],
            up_to: vec![top; 2],
            ..Line::default()
        });
    }
    let acked = steps(|moment| moment.acked);
    lines.push(Line { class: "flow".to_owned(), dots: acked, ..Line::default() });
    if moments.iter().any(|moment| moment.lost > 0) {
        let lost = steps(|moment| moment.lost);
        let up_to = lost.iter().map(|dot| dot.value).collect();
        let floor = lost.iter().map(|dot| Dot { value: 0.0, ..*dot }).collect();
        lines.push(Line { class: "lost".to_owned(), dots: floor, up_to, ..Line::default() });
        // Even a few stay visible: there is a mark on the baseline wherever one was acknowledged.
        let middle = |moment: &Moment| dot(moment.at_ns.saturating_add(moment.for_ns / 2), 0.0);
        let marks = moments.iter().filter(|moment| moment.lost > 0).map(middle).collect();
        lines.push(Line { class: "lost".to_owned(), dots: marks, marker: Some(2), ..Line::default() });
    }
    let alternative = format!("Acknowledgements per second over {:.1} seconds. {}", seconds(end), caption(trial));
    Plot { height: 130.0, scale: &scale, across: &ticks, across_title: "", lines, alternative }.html()
}

/// `0.500 s`.
fn instant(ns: i64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

/// The chart in words.
fn caption(trial: &LabRow) -> String {
    let mut said = Vec::new();
    if let Some((from, to)) = trial.fault_begin_ns.zip(trial.fault_end_ns) {
        let [from, to] = [from, to].map(|at| instant(at as i64));
        said.push(if from == to {
            format!("The fault was at {from}.")
        } else {
            format!("The fault lasted from {from} to {to}.")
        });
    }
    said.push(match (trial.lost, trial.acked) {
        (Some(0), Some(acked)) => format!("None of {} acknowledged updates was lost.", count(acked)),
        (Some(lost), Some(acked)) => {
            let parts = [(trial.lost_before, "before"), (trial.lost_during, "during"), (trial.lost_after, "after")];
            let parts: Vec<String> =
                parts.into_iter().filter_map(|(lost, when)| Some(format!("{} {when}", count(lost?)))).collect();
            let parts = if parts.is_empty() { String::new() } else { format!(" ({} the fault)", parts.join(", ")) };
            format!("{} of {} acknowledged updates were lost{parts}.", count(lost), count(acked))
        }
        _ => "What was lost is not known.".to_owned(),
    });
    if let Some(doubled) = trial.doubled.filter(|&doubled| doubled > 0) {
        said.push(format!("{} were counted twice.", count(doubled)));
    }
    if let Some(unknown) = trial.unknown.filter(|&unknown| unknown > 0) {
        let were = if unknown == 1 { "was" } else { "were" };
        said.push(format!("{} {were} left without an answer.", words::counted(unknown as usize, "update")));
    }
    if let Some(downtime) = trial.downtime_ns.filter(|_| trial.fault != NO_FAULT) {
        said.push(format!("The longest time without any acknowledgement was {}.", words::time(downtime)));
    }
    said.join(" ")
}

/// What was done in the trial, in the order of time.
fn done(run: &LabRun, trial: &LabRow) -> Vec<(String, String)> {
    let mut steps: Vec<_> = run.faults.iter().filter(|fault| fault.trial == trial.trial).collect();
    steps.sort_by_key(|fault| fault.at_ns);
    let more = steps.len().saturating_sub(STEPS);
    steps.truncate(STEPS);
    let mut done: Vec<(String, String)> = steps
        .into_iter()
        .map(|fault| {
            let at = fault.connection.map_or_else(String::new, |number| format!(", connection {number}"));
            let command = fault.name.as_ref().map_or_else(String::new, |name| format!(", {name}"));
            (instant(fault.at_ns), format!("{}{at}{command}", fault.what))
        })
        .collect();
    if more > 0 {
        done.push((String::new(), format!("{more} more, in faults.csv")));
    }
    done
}

/// The most actions that are listed for one trial.
const STEPS: usize = 8;

/// The command that measures the cell again. A trial's random numbers depend on the run's seed, the cell and the round.
fn again(run: &LabRun, trial: &LabRow, rounds: usize) -> String {
    let LabRow { protection, fault, clients, .. } = trial;
    let seed = run.machine.get("seed").map_or_else(String::new, |seed| format!(" --seed {seed}"));
    format!("report faults --protections {protection} --faults {fault} --rounds {rounds} --clients {clients}{seed}")
}
