//! The line charts over threads: acknowledged against surviving updates, and the lost share.

use super::cast::Member;
use super::plot::{Dot, Line, Plot};
use super::scale::{Scale, across, rate_tick};
use super::view::{View, fate, name};
use crate::law::predict_keys;
use crate::report::markup::{Markup, html};
use crate::report::words;
use crate::stats::Spread;
use crate::summary::CellSummary;

/// A chart in both scales; which one shows is the reader's choice.
pub(super) fn both(lin: Markup, log: Markup) -> Markup {
    html!("<div class=\"lin\">{}</div><div class=\"log\">{}</div>", lin, log)
}

/// Straight and logarithmic scale for every throughput of the run, the same on all charts so that they compare.
pub(super) fn rate_scales(view: &View) -> [Scale; 2] {
    let cells = || view.summary.cells.iter().filter(|cell| cell.trials > 0);
    let highest = cells().map(|cell| cell.acked_per_s.high).fold(1.0, f64::max);
    let lowest =
        |figure: fn(&CellSummary) -> f64| cells().map(figure).filter(|&rate| rate > 0.0).fold(highest, f64::min);
    let median = lowest(|cell| cell.surviving_per_s.median).max(highest / 1e6);
    // An interval that reaches far below all medians is cut off: it would press them together at the top.
    let lowest = lowest(|cell| cell.surviving_per_s.low).max(median / 3.0);
    [Scale::linear(highest, &rate_tick), Scale::log(lowest, highest, &rate_tick)]
}

/// The spread of medians from which a straight scale would press most of them onto its bottom.
const WIDE: f64 = 30.0;

/// Whether the medians of all strategies and loads are spread too far for a straight scale.
pub(super) fn starts_logarithmic(view: &View) -> bool {
    let medians = || {
        let judged = view.summary.cells.iter().filter(|cell| cell.trials > 0);
        judged.map(|cell| cell.surviving_per_s.median).filter(|&median| median > 0.0)
    };
    medians().fold(0.0, f64::max) > WIDE * medians().fold(f64::INFINITY, f64::min)
}

/// What the axis of loads is.
fn racing(view: &View) -> String {
    format!("{}s racing", view.racer())
}

fn thread_ticks(view: &View) -> Vec<(f64, String, String)> {
    view.threads.iter().map(|&t| (across(&view.threads, t), t.to_string(), format!("t{t}"))).collect()
}

pub(super) fn dot(x: f64, spread: &Spread, cell: usize) -> Dot {
    let interval = (spread.n > 1).then_some((spread.low, spread.high));
    Dot { x, value: spread.median, interval, cell: Some(cell) }
}

/// The lines of one strategy: the area of what it lost, the dashed line of what it acknowledged, the solid line of what
/// survived. One that lost nothing has the solid line alone, for the two are one.
fn rate_lines(view: &View, member: &Member, at_keys: usize, labelled: bool) -> Vec<Line> {
    let cells: Vec<(usize, &CellSummary)> = view.curve(&member.name, at_keys).collect();
    let Some((_, last)) = cells.last() else { return Vec::new() };
    let classes = member.classes();
    let x = |cell: &CellSummary| across(&view.threads, cell.condition.threads);
    let surviving: Vec<Dot> = cells.iter().map(|(i, c)| dot(x(c), &c.surviving_per_s, *i)).collect();
    // A line that ends early says where, or its figure would be taken for one of the last load.
    let early = if view.threads.last() == Some(&last.condition.threads) {
        String::new()
    } else {
        format!(" at {}", last.condition.threads)
    };
    let label = |more: String| labelled.then(|| (member.name.clone(), more + &early));
    let mut lines = Vec::new();
    if cells.iter().any(|(_, cell)| cell.lost > 0) {
        lines.push(Line {
            class: format!("gap {classes}"),
            dots: surviving.iter().map(|dot| Dot { interval: None, ..*dot }).collect(),
            up_to: cells.iter().map(|(_, cell)| cell.acked_per_s.median).collect(),
            ..Line::default()
        });
        let acked = words::rate(last.acked_per_s.median);
        lines.push(Line {
            class: format!("acked {classes}"),
            dots: cells.iter().map(|(i, c)| Dot { cell: Some(*i), ..dot(x(c), &c.acked_per_s, *i) }).collect(),
            label: label(format!("{acked}/s acked, {} lost", words::lost(last))),
            marker: Some(member.marker),
            ..Line::default()
        });
    }
    let at_last = label(format!("{}/s, {}", words::rate(last.surviving_per_s.median), fate(last)));
    lines.push(kept(member, surviving, at_last));
    lines
}

/// The solid line of a strategy.
pub(super) fn kept(member: &Member, dots: Vec<Dot>, label: Option<(String, String)>) -> Line {
    Line { class: format!("kept {}", member.classes()), dots, marker: Some(member.marker), label, ..Line::default() }
}

/// What the law of the race predicts, and the part that it predicts at the right end.
pub(super) fn predicted(dots: Vec<Dot>, at_last: f64) -> Line {
    let label = Some(("predicted".to_owned(), format!("{:.1} %", at_last * 100.0)));
    Line { class: "predicted".to_owned(), dots, label, ..Line::default() }
}

/// Acknowledged against surviving updates per second over threads, all strategies on one chart; grey ones lie below.
pub(super) fn rates(view: &View, at_keys: usize) -> Markup {
    let ticks = thread_ticks(view);
    let mut members: Vec<&Member> = view.cast.iter().collect();
    members.sort_by_key(|member| member.is_lead());
    // More labels than lines fit in would push each other far from what they name.
    let all_labelled = view.cast.len() <= 16;
    let lines: Vec<Line> =
        members.iter().flat_map(|m| rate_lines(view, m, at_keys, all_labelled || m.is_lead())).collect();
    let alternative = rates_in_words(view, at_keys);
    let [lin, log] = rate_scales(view).map(|scale| {
        let (lines, alternative) = (lines.clone(), alternative.clone());
        Plot { height: 380.0, scale: &scale, across: &ticks, across_title: &racing(view), lines, alternative }.html()
    });
    both(lin, log)
}

fn rates_in_words(view: &View, at_keys: usize) -> String {
    let mut text = format!("Line chart of updates per second over {}s.", view.racer());
    let Some(&most) = view.threads.last() else { return text };
    text += &format!(" At {}:", view.racers(most));
    for (_, cell, member) in view.at(most, at_keys) {
        let (acked, kept) = (words::rate(cell.acked_per_s.median), words::rate(cell.surviving_per_s.median));
        text += &if cell.lost == 0 {
            format!(" {} {kept} with none lost;", member.name)
        } else {
            format!(" {} {acked} acknowledged, {kept} surviving, {} lost;", member.name, words::lost(cell))
        };
    }
    text + " every figure is in the table below."
}

/// One small chart for every strategy, all to the same scale.
pub(super) fn panels(view: &View, at_keys: usize) -> Markup {
    let scales = rate_scales(view);
    let ticks = thread_ticks(view);
    let mut out = Markup::default();
    for member in &view.cast {
        let lines = rate_lines(view, member, at_keys, false);
        if lines.is_empty() {
            continue;
        }
        let [lin, log] = scales.clone().map(|mut scale| {
            // A small chart has room for few lines across.
            let last = scale.ticks.len() - 1;
            let keep = |i: usize| i == 0 || i == last || (last % 2 == 0 && i == last / 2);
            let mut i = 0;
            scale.ticks.retain(|_| {
                i += 1;
                keep(i - 1)
            });
            let alternative = format!("{}: updates per second over {}s", member.name, view.racer());
            Plot { height: 90.0, scale: &scale, across: &ticks, across_title: "", lines: lines.clone(), alternative }
                .html()
        });
        let trips = member
            .round_trips
            .as_ref()
            .map_or_else(String::new, |n| format!(", {n} round trip{}", if n == "1" { "" } else { "s" }));
        out += html!(
            "<article class=\"panel {}\"><h3><svg class=\"key\" aria-hidden=\"true\"><use href=\"#m{}\"/></svg>{}</h3><p class=\"tag\">{}{}</p>{}<p class=\"about\">{}</p></article>",
            member.classes(),
            member.marker,
            name(&member.name),
            member.promise,
            trips,
            both(lin, log),
            &member.about
        );
    }
    out
}

/// The lost part over threads, with what the law of the race predicts for GET and SET on one key.
pub(super) fn losses(view: &View, at_keys: usize) -> Markup {
    let ticks = thread_ticks(view);
    let x = |t: usize| across(&view.threads, t);
    let measured = view.cast.iter().filter(|m| view.curve(&m.name, at_keys).next().is_some());
    let (losing, clean): (Vec<&Member>, Vec<&Member>) =
        measured.partition(|m| view.curve(&m.name, at_keys).any(|(_, cell)| cell.lost > 0));
    let mut lines = Vec::new();
    if view.is_predictable() && view.threads.len() > 1 {
        let (first, last) = (view.threads[0], view.threads[view.threads.len() - 1]);
        let dots: Vec<Dot> = (first..=last)
            .filter(|t| last <= 64 || view.threads.contains(t))
            .map(|t| Dot { x: x(t), value: predict_keys(t, at_keys), interval: None, cell: None })
            .collect();
        lines.push(predicted(dots, predict_keys(last, at_keys)));
    }
    for member in &losing {
        let cells: Vec<(usize, &CellSummary)> = view.curve(&member.name, at_keys).collect();
        let dots =
            cells.iter().map(|(i, c)| Dot { value: c.lost_part(), ..dot(x(c.condition.threads), &c.lost_spread, *i) });
        let at_last = cells.last().map(|(_, cell)| words::lost(cell)).unwrap_or_default();
        lines.push(kept(member, dots.collect(), Some((member.name.clone(), at_last))));
    }
    if !clean.is_empty() {
        let is_measured = |t: &&usize| {
            clean.iter().any(|m| view.curve(&m.name, at_keys).any(|(_, cell)| cell.condition.threads == **t))
        };
        let dots =
            view.threads.iter().filter(is_measured).map(|&t| Dot { x: x(t), value: 0.0, interval: None, cell: None });
        let only = if clean.len() == 1 {
            clean[0].name.clone()
        } else {
            format!("{}{} strategies", if losing.is_empty() { "all " } else { "" }, clean.len())
        };
        let bounds = clean.iter().flat_map(|m| view.curve(&m.name, at_keys)).map(|(_, c)| c.lost_interval.1);
        let label = Some((only, format!("0 lost: {}", words::at_most(bounds.fold(0.0, f64::max)))));
        lines.push(Line { class: "none-lost".to_owned(), dots: dots.collect(), label, ..Line::default() });
    }
    let scale = Scale::percent(highest(&lines));
    let mut alternative = format!("Line chart of the lost share of acknowledged updates over {}s.", view.racer());
    for member in &losing {
        for (_, cell) in view.curve(&member.name, at_keys) {
            alternative +=
                &format!(" {} at {}: {}.", member.name, view.racers(cell.condition.threads), words::lost(cell));
        }
    }
    Plot { height: 260.0, scale: &scale, across: &ticks, across_title: &racing(view), lines, alternative }.html()
}

/// The highest figure of some lines, with its interval.
pub(super) fn highest(lines: &[Line]) -> f64 {
    let dots = lines.iter().flat_map(|line| &line.dots);
    dots.map(|dot| dot.interval.map_or(dot.value, |(_, high)| high)).fold(0.0, f64::max)
}
