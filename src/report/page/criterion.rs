//! Criterion's estimates of a bench run with their confidence intervals, next to what was lost; and saved baselines, each
//! with its own verdict.

use super::tables::{Cell, Row, Table, head, number, word};
use super::view::name;
use crate::record::Estimate;
use crate::report::markup::html;
use crate::report::words;

/// The table of estimates; no rows if this is no bench run.
pub(super) fn estimates(estimates: &[Estimate]) -> Table {
    let heads = vec![
        head("bench id", "Criterion's name for it: strategy/threads.", false),
        head("of", "This run, or the baseline saved under that name.", false),
        head(
            "lost",
            "The lost share of the updates acknowledged in all of criterion's calls, including warm-up.",
            true,
        ),
        head("verdict", "The worst of all calls.", false),
        head("updates/s", "Acknowledged updates per second, from criterion's estimate of the mean.", true),
        head("time", "Criterion's estimate of the mean time for one update by every thread.", true),
        head("interval", "Its confidence interval.", false),
        head("against this run", "This run's time as a multiple of the baseline's: below 1 is faster now.", true),
    ];
    let mut rows: Vec<Row> = Vec::with_capacity(estimates.len());
    let mut this_run = 0.0;
    for estimate in estimates {
        let is_this_run = estimate.baseline == "this run";
        if is_this_run {
            this_run = estimate.mean_ns;
        }
        rows.push(Row { classes: String::new(), cells: row(estimate, (!is_this_run).then_some(this_run)) });
    }
    Table { heads, rows }
}

fn row(estimate: &Estimate, this_run: Option<f64>) -> Vec<Cell> {
    let lost = if estimate.acked == 0 { 0.0 } else { estimate.lost as f64 / estimate.acked as f64 };
    let verdict = estimate.verdict.map_or_else(|| "none".to_owned(), |verdict| verdict.to_string());
    let per_second = estimate.threads as f64 * 1e9 / estimate.mean_ns;
    let time = |ns: f64| words::time(ns.round() as u64);
    let interval = format!(
        "{} to {} at {:.0} %",
        time(estimate.mean_low_ns),
        time(estimate.mean_high_ns),
        estimate.confidence * 100.0
    );
    let ratio = this_run.map(|this_run| this_run / estimate.mean_ns);
    vec![
        word(&estimate.bench_id, name(&estimate.bench_id)),
        word(&estimate.baseline, &*estimate.baseline),
        number(lost, words::percent(lost)),
        word(&verdict, html!("<span class=\"verdict v-{}\">{}</span>", verdict, verdict)),
        number(per_second, words::rate(per_second)),
        number(estimate.mean_ns, time(estimate.mean_ns)),
        word(&interval, interval.clone()),
        ratio.map_or_else(|| word("", ""), |ratio| number(ratio, format!("{ratio:.2}×"))),
    ]
}
