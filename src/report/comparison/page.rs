//! A comparison as one self-contained page: no script, no request, light and dark; a picture of every interval on an axis
//! that fits them, the charts of both sides as the page of a run draws them, and what they were measured on.

use askama::Template;

use crate::compare::{CellComparison, Change, Comparison, Difference, Outcome, Side};
use crate::report::comparison::{answer, interval, legend, load, maybe, several_keys, verdict, warnings};
use crate::report::markup::{Markup, html, num};
use crate::report::page::cast::look;
use crate::report::page::plot::{Dot, Line, Plot};
use crate::report::page::scale::{Scale, across, rate_tick};
use crate::report::page::{CHART_CSS, CHART_SHAPES};
use crate::report::{policy, words};

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    /// What may style it: its own style sheet, by its hash.
    policy: Markup,
    css: Markup,
    shapes: Markup,
    comparison: &'a Comparison,
    answer: Vec<String>,
    warnings: Vec<String>,
    legend: Vec<String>,
    axis: Markup,
    wholes: Vec<Row>,
    panels: Vec<Panel>,
    groups: Vec<(String, Vec<Row>)>,
    facts: Vec<Fact<'a>>,
}

/// One line of a table.
struct Row {
    name: String,
    class: &'static str,
    before: String,
    after: String,
    rate: String,
    whisker: Markup,
    p99: String,
    verdict: String,
    finds: String,
}

/// One strategy's chart.
struct Panel {
    name: String,
    classes: String,
    marker: usize,
    chart: Markup,
}

/// A fact of both sides.
struct Fact<'a> {
    fact: String,
    both: &'a Difference,
    differs: bool,
}

/// A horizontal axis of ratios, equal steps for equal ratios, with 1 in its middle.
struct Axis {
    /// The logarithm of the ratio at its right end.
    reach: f64,
    bound: f64,
}

/// Its width and height as SVG coordinates.
const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 18.0;

impl Axis {
    /// An axis that all these intervals fit on, and the bound.
    fn of<'a>(changes: impl Iterator<Item = &'a Change>, bound: f64) -> Self {
        let ends = changes.flat_map(|change| [change.contrast.low, change.contrast.high]);
        let far = ends.filter(|end| end.is_finite() && *end > 0.0).map(|end| end.ln().abs()).fold(0.0, f64::max);
        Self { reach: (far * 1.05).clamp(-1.5 * (1.0 - bound).ln(), 10_f64.ln()), bound }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = ratio.clamp(1e-9, 1e9).ln() / self.reach;
        WIDTH / 2.0 * (1.0 + 0.98 * part.clamp(-1.0, 1.0))
    }

    /// The ratio written at its right, and upside down at its left: the largest of some round ones that fits.
    fn tick(&self) -> f64 {
        let round: [f64; 9] = [1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0];
        round.into_iter().rfind(|tick| tick.ln() <= self.reach * 0.9).unwrap_or(1.01)
    }

    /// Its head: three ticks.
    fn head(&self) -> Markup {
        let tick = self.tick();
        let text = |ratio: f64| {
            html!(
                "<text x=\"{}\" y=\"12\" text-anchor=\"middle\">{}</text>",
                num(self.x(ratio)),
                format!("{}", (ratio * 100.0).round() / 100.0)
            )
        };
        let all: Markup = [1.0 / tick, 1.0, tick].map(text).into_iter().collect();
        html!("<svg class=\"whisker\" viewBox=\"0 0 {} 16\" aria-hidden=\"true\">{}</svg>", num(WIDTH), all)
    }

    /// An interval, over the band of what is the same and the lines of its ticks.
    fn whisker(&self, change: &Change) -> Markup {
        let (c, tick) = (&change.contrast, self.tick());
        let (low, high) = (self.x(1.0 - self.bound), self.x(1.0 / (1.0 - self.bound)));
        let lines: Markup = [1.0 / tick, 1.0, tick]
            .map(|ratio| html!("<path class=\"one\" d=\"M{} 0V{}\"/>", num(self.x(ratio)), num(HEIGHT)))
            .into_iter()
            .collect();
        html!(
            "<svg class=\"whisker\" viewBox=\"0 0 {} {}\" aria-hidden=\"true\"><rect class=\"band\" x=\"{}\" width=\"{}\" height=\"{}\"/>{}<path class=\"i\" d=\"M{} 9H{}\"/><circle cx=\"{}\" cy=\"9\" r=\"3.4\"/></svg>",
            num(WIDTH),
            num(HEIGHT),
            num(low),
            num(high - low),
            num(HEIGHT),
            lines,
            num(self.x(c.low)),
            num(self.x(c.high)),
            num(self.x(c.ratio))
        )
    }
}

/// The comparison as HTML: a pure function of it.
pub fn page(comparison: &Comparison) -> String {
    let cells = comparison.cells.iter().filter_map(|cell| cell.surviving.as_ref());
    let axis = Axis::of(comparison.strategies.iter().map(|whole| &whole.surviving).chain(cells), comparison.bound);
    let wholes = comparison.strategies.iter().map(|whole| Row {
        name: whole.strategy.clone(),
        class: class(whole.surviving.outcome),
        before: String::new(),
        after: String::new(),
        rate: interval(&whole.surviving),
        whisker: axis.whisker(&whole.surviving),
        p99: String::new(),
        verdict: whole.surviving.outcome.words().to_owned(),
        finds: whole.surviving.finds.map_or_else(|| "unknown".to_owned(), |part| format!("{:.1} %", part * 100.0)),
    });
    let keys = several_keys(comparison);
    let mut groups: Vec<(String, Vec<Row>)> = Vec::new();
    for cell in &comparison.cells {
        if groups.last().is_none_or(|(name, _)| *name != cell.label) {
            groups.push((cell.label.clone(), Vec::new()));
        }
        if let Some((_, rows)) = groups.last_mut() {
            rows.push(row(cell, keys, &axis));
        }
    }
    let css = Markup::ours(CHART_CSS) + Markup::ours(include_str!("comparison.css"));
    let page = Page {
        policy: policy::of(&css, None),
        css,
        shapes: Markup::ours(CHART_SHAPES),
        axis: axis.head(),
        wholes: wholes.collect(),
        panels: panels(comparison),
        groups,
        answer: answer(comparison),
        warnings: warnings(comparison),
        legend: legend(comparison),
        facts: comparison.facts.iter().map(fact).collect(),
        comparison,
    };
    // Rendering into memory can only fail where formatting can, and nothing here formats with errors of its own.
    page.render().expect("the template writes to memory")
}

fn fact(both: &Difference) -> Fact<'_> {
    // When a run was made differs by itself.
    let differs = both.before != both.after && both.fact != "started";
    Fact { fact: both.fact.replace('_', " "), both, differs }
}

fn row(cell: &CellComparison, keys: bool, axis: &Axis) -> Row {
    let side = |side: &Option<Side>| {
        let told = side.as_ref().and_then(|side| Some((side.surviving_per_s?, side.verdict?)));
        told.map_or_else(
            || "–".to_owned(),
            |(rate, verdict)| format!("{} {}", words::rate(rate), verdict.shown(cell.promise)),
        )
    };
    Row {
        name: load(cell, keys),
        class: class(cell.outcome),
        before: side(&cell.before),
        after: side(&cell.after),
        rate: maybe(cell.surviving.as_ref()),
        whisker: cell.surviving.as_ref().map_or_else(Markup::default, |change| axis.whisker(change)),
        p99: maybe(cell.p99.as_ref()),
        verdict: cell.why.as_ref().map_or_else(|| verdict(cell), |why| format!("not comparable: {why}")),
        finds: String::new(),
    }
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Faster => "faster",
        Outcome::Slower => "slower",
        Outcome::Same => "same",
        Outcome::CannotTell => "open",
        Outcome::NotComparable => "none",
    }
}

/// A chart of both sides for every strategy on the fewest keys, all to the same scale; none where there is one load, of
/// which no line can be drawn.
fn panels(comparison: &Comparison) -> Vec<Panel> {
    let Some(keys) = comparison.cells.iter().map(|cell| cell.condition.keys).min() else { return Vec::new() };
    let cells = || comparison.cells.iter().filter(|cell| cell.condition.keys == keys);
    let mut threads: Vec<usize> = cells().map(|cell| cell.condition.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let rate = |side: &Option<Side>| side.as_ref().and_then(|side| side.surviving_per_s);
    let rates: Vec<f64> = cells().flat_map(|cell| [rate(&cell.before), rate(&cell.after)]).flatten().collect();
    if threads.len() < 2 || rates.is_empty() {
        return Vec::new();
    }
    let (low, high) = (rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max));
    let scale = if high > 30.0 * low { Scale::log(low, high, &rate_tick) } else { Scale::linear(high, &rate_tick) };
    let ticks: Vec<(f64, String, String)> =
        threads.iter().map(|&t| (across(&threads, t), t.to_string(), String::new())).collect();
    let mut labels: Vec<&str> = cells().map(|cell| cell.label.as_str()).collect();
    labels.dedup();
    let panel = |label: &str| {
        let own: Vec<&CellComparison> = cells().filter(|cell| cell.label == label).collect();
        let promise = own.first()?.promise;
        let (tone, marker) = look(label, promise);
        let classes = format!("{tone} {promise}");
        let line = |kind: &str, side: &dyn Fn(&CellComparison) -> Option<f64>| Line {
            class: format!("{kind} {classes}"),
            dots: own
                .iter()
                .filter_map(|cell| {
                    let x = across(&threads, cell.condition.threads);
                    Some(Dot { x, value: side(cell)?, interval: None, cell: None })
                })
                .collect(),
            marker: Some(marker),
            ..Line::default()
        };
        let lines = vec![line("acked", &|cell| rate(&cell.before)), line("kept", &|cell| rate(&cell.after))];
        let alternative = format!("{label}: surviving updates per second before (dashed) and after (solid), by load");
        let plot = Plot { height: 90.0, scale: &scale, across: &ticks, across_title: "", lines, alternative };
        Some(Panel { name: label.to_owned(), chart: plot.html(), classes, marker })
    };
    labels.into_iter().filter_map(panel).collect()
}
