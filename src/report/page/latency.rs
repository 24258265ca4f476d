//! Latency: percentiles as lines, and for every strategy the whole distribution.
//!
//! A percentile beyond which fewer than ten updates lie depends on chance. The summary has none, so it is not drawn, and
//! tables mark it.

use super::plot::{Dot, Line, Plot};
use super::scale::Scale;
use super::tables::micros;
use super::view::{View, fate, name, scope};
use crate::report::markup::{Markup, html, num};
use crate::report::words;
use crate::summary::CellSummary;

/// The percentiles a summary holds, and how a tick names them.
pub(super) const PERCENTILES: [(f64, &str); 5] =
    [(0.5, "median"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];

/// Those that stand beside a distribution: their places among all, and their heads. The others are in the full table.
pub(super) const SHOWN: [(usize, &str); 2] = [(0, "median, µs"), (2, "99 %, µs")];

/// Percentiles over how many updates they cover, one chart for each load, on a logarithmic scale.
pub(super) fn percentiles(view: &View) -> Markup {
    let mut out = Markup::default();
    let ticks: Vec<(f64, String, String)> = PERCENTILES
        .iter()
        .enumerate()
        .map(|(i, (q, _))| (i as f64 / 4.0, format!("p{}", (q * 1e4).round() / 1e2), String::new()))
        .collect();
    for (t, k) in view.loads() {
        let mut lines = Vec::new();
        let mut alternative = "Line chart of latency over percentiles.".to_owned();
        let mut members: Vec<_> = view.at(t, k).collect();
        members.sort_by_key(|(_, _, member)| member.is_lead());
        for (i, cell, member) in members {
            let dots: Vec<Dot> = PERCENTILES
                .iter()
                .enumerate()
                .filter_map(|(p, _)| {
                    let spread = cell.latency_spread[p];
                    let interval = (spread.n > 1).then_some((spread.low, spread.high));
                    Some(Dot { x: p as f64 / 4.0, value: cell.latency_ns[p]? as f64, interval, cell: Some(i) })
                })
                .collect();
            let Some(last) = dots.last() else { continue };
            alternative += &format!(" {} ({}):", member.name, fate(cell));
            for (p, (_, text)) in PERCENTILES.iter().enumerate().take(dots.len()) {
                alternative += &format!(" {text} within {};", cell.latency_ns[p].map_or_else(String::new, words::time));
            }
            let labelled = view.cast.len() <= 16 || member.is_lead();
            let more = words::time(last.value as u64);
            lines.push(Line {
                class: format!("kept {}", member.classes()),
                label: labelled.then(|| (member.name.clone(), more)),
                marker: Some(member.marker),
                dots,
                ..Line::default()
            });
        }
        if lines.is_empty() {
            continue;
        }
        mark_short(&mut lines, &ticks);
        let values = || lines.iter().flat_map(|line| &line.dots).map(|dot| dot.value);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(1.0, f64::max));
        let tick = |ns: f64| time_tick(ns);
        let (scale, title) = (Scale::log(low, high, &tick), "share of updates that took no longer");
        let plot = Plot { height: 260.0, scale: &scale, across: &ticks, across_title: title, lines, alternative };
        out += html!("<div class=\"{}\">{}</div>", scope(t, k), plot.html());
    }
    out
}

/// A line that ends at a lower percentile than others says at which: its last time is not to be compared with theirs.
fn mark_short(lines: &mut [Line], ticks: &[(f64, String, String)]) {
    let end = |line: &Line| line.dots.last().map_or(0.0, |last| last.x);
    let furthest = lines.iter().map(end).fold(0.0, f64::max);
    for line in lines.iter_mut().filter(|line| end(line) < furthest) {
        let percentile = ticks.iter().rfind(|(x, ..)| *x <= end(line)).map_or("", |(_, name, _)| name);
        if let Some((_, more)) = &mut line.label {
            *more = format!("{percentile} {more}");
        }
    }
}

/// A time as a tick says it: `50 µs`, without a digit behind the point unless there is need.
fn time_tick(ns: f64) -> String {
    if ns <= 0.0 { "0".to_owned() } else { words::time(ns as u64).replace(".0 ", " ") }
}

/// One row of the distributions.
pub(super) struct Row {
    pub(super) scope: String,
    pub(super) classes: String,
    pub(super) name: Markup,
    pub(super) cell: usize,
    pub(super) svg: Markup,
    /// The median and 99 %: what to sort by, what to read, and what the trials ranged over; empty if unknown.
    pub(super) times: Vec<(String, String, String)>,
    /// 99 % from the send, in an open loop: what to sort by, and what to read.
    pub(super) sent: Option<(u64, String)>,
}

/// The ticks of the scale that all distributions share, as an SVG for the head of their column.
pub(super) fn ticks(view: &View) -> Markup {
    let Some(scale) = shared_scale(view) else { return Markup::default() };
    let marks = scale.ticks.iter().map(|(at, text)| {
        let x = scale.part(*at);
        let anchor = if x < 0.05 {
            "start"
        } else if x > 0.95 {
            "end"
        } else {
            "middle"
        };
        html!("<text x=\"{}%\" y=\"11\" text-anchor=\"{}\">{}</text>", num(x * 100.0), anchor, text)
    });
    html!("<svg width=\"100%\" height=\"14\" aria-hidden=\"true\">{}</svg>", marks.collect::<Markup>())
}

/// A logarithmic scale from the shortest to the longest time of the run.
fn shared_scale(view: &View) -> Option<Scale> {
    let times = || view.summary.cells.iter().flat_map(|cell| &cell.buckets).map(|(up_to, _)| *up_to as f64);
    let (low, high) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    (high > 0.0).then(|| Scale::log(low.max(100.0), high.max(200.0), &time_tick))
}

/// A row for every judged cell that has latencies.
pub(super) fn rows(view: &View) -> Vec<Row> {
    let Some(scale) = shared_scale(view) else { return Vec::new() };
    let mut rows = Vec::new();
    for (t, k) in view.loads() {
        for (i, cell, member) in view.at(t, k).filter(|(_, cell, _)| !cell.buckets.is_empty()) {
            let times = SHOWN.iter().map(|&(at, _)| {
                let (ns, spread) = (cell.latency_ns[at], cell.latency_spread[at]);
                let Some(ns) = ns else { return (String::new(), String::new(), String::new()) };
                let range = format!("trials {} to {}", words::time(spread.low as u64), words::time(spread.high as u64));
                (ns.to_string(), micros(ns), if spread.n > 1 { range } else { String::new() })
            });
            rows.push(Row {
                scope: scope(t, k),
                classes: member.classes(),
                name: name(&member.name),
                cell: i,
                svg: distribution(cell, &scale),
                times: times.collect(),
                sent: cell.service_ns.and_then(|service| Some((service[2]?, micros(service[2]?)))),
            });
        }
    }
    rows
}

/// Steps across a distribution: fine enough for its shape, coarse enough for few bytes.
const STEPS: usize = 96;

/// How often which time was taken, over the shared scale, with marks where half and 99 % were done.
fn distribution(cell: &CellSummary, scale: &Scale) -> Markup {
    let mut counts = [0_u64; STEPS];
    for &(up_to, count) in &cell.buckets {
        let step = &mut counts[((scale.part(up_to as f64) * STEPS as f64) as usize).min(STEPS - 1)];
        *step = step.saturating_add(count);
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    // Square roots, or a tail of one in a thousand could not be seen.
    let height = |count: u64| ((count as f64 / most).sqrt() * 24.0).round() as i64;
    let from = counts.iter().position(|&c| c > 0).unwrap_or(0);
    let to = counts.iter().rposition(|&c| c > 0).unwrap_or(0);
    let (mut path, mut at, mut run) = (format!("M{from} 26"), 0, 0);
    // A run of steps of the same height is one line across.
    for &count in &counts[from..=to] {
        let next = height(count);
        if next != at && run > 0 {
            path += &format!("h{run}");
            run = 0;
        }
        if next != at {
            path += &format!("v{}", at - next);
        }
        (at, run) = (next, run + 1);
    }
    path += &format!("h{run}V26Z");
    let mark = |p: usize, class: &str| {
        cell.latency_ns[p].map_or_else(Markup::default, |ns| {
            html!("<path class=\"{}\" d=\"M{} 2v28\"/>", class, num(scale.part(ns as f64) * STEPS as f64))
        })
    };
    html!(
        "<svg viewBox=\"0 0 {} 30\" preserveAspectRatio=\"none\" height=\"30\" aria-hidden=\"true\"><path d=\"{}\"/>{}{}</svg>",
        STEPS,
        path,
        mark(0, "p50"),
        mark(2, "p99")
    )
}
