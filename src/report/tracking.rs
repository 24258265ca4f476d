//! A run in the formats of services that track a project's figures over weeks and months: Bencher, the GitHub action
//! github-action-benchmark, Apache Otava. `docs/tracking.md` shows each in use.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::record::{Machine, Run};
use crate::stats::Spread;
use crate::summary::Summary;

/// A format of such a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Bencher Metric Format: JSON, for `bencher run --adapter json`.
    Bmf,
    /// Throughput for github-action-benchmark: its `customBiggerIsBetter`.
    GithubActionBenchmark,
    /// Latency and loss for github-action-benchmark: its `customSmallerIsBetter`.
    GithubActionBenchmarkSmaller,
    /// CSV with a row for each run, for Apache Otava.
    Otava,
    /// The configuration by which Apache Otava reads that CSV.
    OtavaConfig,
}

/// One figure of one cell.
struct Metric {
    /// `incr at 16 threads`.
    cell: String,
    /// `throughput`, `latency-p99`, `lost`, or of a bench run `latency`.
    measure: &'static str,
    unit: &'static str,
    is_bigger_better: bool,
    value: f64,
    interval: Option<(f64, f64)>,
    /// `exact, 5 trials`.
    note: String,
}

/// Writes runs in a format. All but Otava's take one run.
///
/// # Errors
/// There is more than one run for a format that takes one; no figure is in all of them; or a run does not say when it
/// was started.
pub fn tracked(runs: &[Run], format: Format) -> Result<String> {
    let all: Vec<Vec<Metric>> = runs.iter().map(metrics).collect();
    if all.iter().any(Vec::is_empty) {
        return Err(Error::usage("a run without a figure that was judged: nothing to write"));
    }
    match (format, all.as_slice()) {
        (Format::Otava, _) => otava(runs, &all),
        (Format::OtavaConfig, _) => Ok(otava_config(&all)),
        (Format::Bmf, [metrics]) => pretty(&bmf(metrics)),
        (Format::GithubActionBenchmark, [metrics]) => pretty(&action(metrics, true)),
        (Format::GithubActionBenchmarkSmaller, [metrics]) => pretty(&action(metrics, false)),
        (_, several) => Err(Error::usage(format!("{} runs: this format takes one", several.len()))),
    }
}

fn pretty(document: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(document).map_err(|e| Error::broken(e.to_string()))?;
    Ok(text + "\n")
}

fn metrics(run: &Run) -> Vec<Metric> {
    if run.estimates.is_empty() { measured(&Summary::of(run)) } else { benched(run) }
}

fn measured(summary: &Summary) -> Vec<Metric> {
    let has_keys = summary.keys().len() > 1;
    let mut all = Vec::new();
    for cell in summary.cells.iter().filter(|cell| cell.trials > 0) {
        let keys = if has_keys { format!(", {} keys", cell.condition.keys) } else { String::new() };
        let place = format!("{} at {}{keys}", cell.label, cell.condition.racers());
        let verdict = cell.verdict.map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string());
        let note = format!("{verdict}, {} trials", cell.trials);
        let mut push = |measure, unit, is_bigger_better, value: f64, spread: Option<Spread>| {
            let interval = spread.filter(|spread| spread.n > 1).map(|spread| (spread.low, spread.high));
            let (cell, note) = (place.clone(), note.clone());
            all.push(Metric { cell, measure, unit, is_bigger_better, value, interval, note });
        };
        let rate = cell.surviving_per_s;
        push("throughput", "surviving updates/s", true, rate.median, Some(rate));
        if let Some(ns) = cell.p99_ns() {
            push("latency-p99", "ns", false, ns as f64, Some(cell.latency_spread[2]));
        }
        push("lost", "% of acknowledged updates", false, cell.lost_part() * 100.0, None);
    }
    all
}

/// A bench run's own estimates: those of other baselines were reported by the runs that saved them.
fn benched(run: &Run) -> Vec<Metric> {
    let own = run.estimates.iter().filter(|estimate| estimate.baseline == "this run");
    own.map(|estimate| Metric {
        cell: estimate.bench_id.clone(),
        measure: "latency",
        unit: "ns for an update by each thread",
        is_bigger_better: false,
        value: estimate.mean_ns,
        interval: Some((estimate.mean_low_ns, estimate.mean_high_ns)),
        note: estimate.verdict.map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string()),
    })
    .collect()
}

fn bmf(metrics: &[Metric]) -> BTreeMap<&str, BTreeMap<&str, Value>> {
    let mut document: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    for metric in metrics {
        let mut value = json!({ "value": metric.value });
        if let Some((low, high)) = metric.interval {
            (value["lower_value"], value["upper_value"]) = (json!(low), json!(high));
        }
        document.entry(&metric.cell).or_default().insert(metric.measure, value);
    }
    document
}

fn action(metrics: &[Metric], is_bigger_better: bool) -> Vec<Value> {
    let entry = |metric: &Metric| {
        let mut value = json!({
            "name": format!("{}, {}", metric.cell, metric.measure),
            "unit": metric.unit,
            "value": metric.value,
            "extra": metric.note,
        });
        if let Some((low, high)) = metric.interval {
            value["range"] = json!(format!("± {:.0}", (high - low) / 2.0));
        }
        value
    };
    metrics.iter().filter(|metric| metric.is_bigger_better == is_bigger_better).map(entry).collect()
}

/// A column's name: letters, digits and underscores alone.
fn column(metric: &Metric) -> String {
    let name: String = format!("{} {}", metric.cell, metric.measure)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    name.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The columns that every run has, in the first run's order: Otava reads no row with an empty one.
fn common(all: &[Vec<Metric>]) -> Vec<(String, bool)> {
    let names: Vec<BTreeSet<String>> = all.iter().map(|metrics| metrics.iter().map(column).collect()).collect();
    let first = all.first().map(Vec::as_slice).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let columns = first.iter().map(|metric| (column(metric), metric.is_bigger_better));
    columns.filter(|(name, _)| names.iter().all(|names| names.contains(name)) && seen.insert(name.clone())).collect()
}

fn otava(runs: &[Run], all: &[Vec<Metric>]) -> Result<String> {
    let columns = common(all);
    if columns.is_empty() {
        return Err(Error::usage("the runs have no figure in common"));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (run, metrics) in runs.iter().zip(all) {
        let fact = |name: &str| Machine::get(&run.machine, name).map(str::to_owned);
        let started = fact("started").ok_or_else(|| Error::usage("a run does not say when it was started"))?;
        let by_name: BTreeMap<String, f64> = metrics.iter().map(|metric| (column(metric), metric.value)).collect();
        let values = columns.iter().filter_map(|(name, _)| by_name.get(name)).map(|value| format!("{value:.3}"));
        let facts = ["commit", "server_version"].map(|name| fact(name).unwrap_or_default());
        rows.push(std::iter::once(started).chain(facts).chain(values).collect());
    }
    rows.sort();
    let head = ["time", "commit", "server_version"].map(str::to_owned).into_iter();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |e: csv::Error| Error::broken(e.to_string());
    writer.write_record(head.chain(columns.into_iter().map(|(name, _)| name))).map_err(wrong)?;
    for row in rows {
        writer.write_record(row).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::broken(e.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn otava_config(all: &[Vec<Metric>]) -> String {
    let mut text = "tests:\n  lost-updates:\n    type: csv\n    file: lost-updates.csv\n    time_column: time\n    \
                    attributes: [commit, server_version]\n    csv_options:\n      delimiter: ','\n      \
                    quote_char: '\"'\n    metrics:\n"
        .to_owned();
    for (name, is_bigger_better) in common(all) {
        let direction = if is_bigger_better { 1 } else { -1 };
        text += &format!("      {name}:\n        column: {name}\n        direction: {direction}\n");
    }
    text
}
