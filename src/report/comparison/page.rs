//! A comparison as one self-contained page: no script, no request, light and dark, a picture of every interval.

use askama::Template;

use crate::compare::{CellComparison, Change, Comparison, Outcome};
use crate::report::comparison::{answer, interval, legend, load, maybe, several_keys, verdict, warnings};
use crate::report::markup::Markup;
use crate::report::{policy, words};

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    /// What may style it: its own style sheet, by its hash.
    policy: Markup,
    css: Markup,
    comparison: &'a Comparison,
    answer: Vec<String>,
    warnings: Vec<String>,
    legend: Vec<String>,
    wholes: Vec<Row>,
    groups: Vec<(String, Vec<Row>)>,
}

/// One line of a table.
struct Row {
    name: String,
    class: &'static str,
    before: String,
    after: String,
    rate: String,
    whisker: Option<Whisker>,
    p99: String,
    verdict: String,
}

/// An interval on a scale from a third to three times, its middle 1, as SVG coordinates in a box 120 wide.
struct Whisker {
    low: f64,
    at: f64,
    high: f64,
}

impl Whisker {
    fn of(change: &Change) -> Self {
        let x = |ratio: f64| {
            let part = ratio.max(1e-9).ln() / 3_f64.ln();
            ((60.0 + 58.0 * part.clamp(-1.0, 1.0)) * 10.0).round() / 10.0
        };
        let c = &change.contrast;
        Self { low: x(c.low), at: x(c.ratio), high: x(c.high) }
    }
}

/// The comparison as HTML: a pure function of it.
pub fn page(comparison: &Comparison) -> String {
    let wholes = comparison.strategies.iter().map(|whole| Row {
        name: whole.strategy.clone(),
        class: class(whole.surviving.outcome),
        before: String::new(),
        after: String::new(),
        rate: interval(&whole.surviving),
        whisker: Some(Whisker::of(&whole.surviving)),
        p99: String::new(),
        verdict: whole.surviving.outcome.words().to_owned(),
    });
    let keys = several_keys(comparison);
    let mut groups: Vec<(String, Vec<Row>)> = Vec::new();
    for cell in &comparison.cells {
        if groups.last().is_none_or(|(name, _)| *name != cell.label) {
            groups.push((cell.label.clone(), Vec::new()));
        }
        if let Some((_, rows)) = groups.last_mut() {
            rows.push(row(cell, keys));
        }
    }
    let css = Markup::ours(include_str!("comparison.css"));
    let page = Page {
        policy: policy::of(&css, None),
        css,
        wholes: wholes.collect(),
        groups,
        answer: answer(comparison),
        warnings: warnings(comparison),
        legend: legend(comparison),
        comparison,
    };
    // Rendering into memory can only fail where formatting can, and nothing here formats with errors of its own.
    page.render().expect("the template writes to memory")
}

fn row(cell: &CellComparison, keys: bool) -> Row {
    let side = |side: &Option<crate::compare::Side>| {
        let told = side.as_ref().and_then(|side| Some((side.surviving_per_s?, side.verdict?)));
        told.map_or_else(|| "–".to_owned(), |(rate, verdict)| format!("{} {verdict}", words::rate(rate)))
    };
    Row {
        name: load(cell, keys),
        class: class(cell.outcome),
        before: side(&cell.before),
        after: side(&cell.after),
        rate: maybe(cell.surviving.as_ref()),
        whisker: cell.surviving.as_ref().map(Whisker::of),
        p99: maybe(cell.p99.as_ref()),
        verdict: cell.why.as_ref().map_or_else(|| verdict(cell), |why| format!("not comparable: {why}")),
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
