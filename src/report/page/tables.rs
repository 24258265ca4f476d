//! The full table, and the table of tries, fairness and cost.

use std::collections::BTreeSet;

use super::facts::is_imported;
use super::view::{View, is_broken, name, scope, since_send, waiting};
use crate::report::markup::{Markup, html};
use crate::report::words;
use crate::stats::Spread;
use crate::summary::{CellSummary, Limit, Summary};

/// A table that can be sorted and copied.
pub(super) struct Table {
    /// Heads: name, what it means, and whether its cells are numbers.
    pub(super) heads: Vec<(String, String, bool)>,
    pub(super) rows: Vec<Row>,
}

/// A row.
pub(super) struct Row {
    pub(super) classes: String,
    pub(super) cells: Vec<Cell>,
}

/// A cell of a table: what to sort and copy by, and what to read (as HTML).
pub(super) struct Cell {
    pub(super) value: String,
    pub(super) html: Markup,
    pub(super) number: bool,
}

pub(super) fn word(value: &str, html: impl Into<Markup>) -> Cell {
    Cell { value: value.to_owned(), html: html.into(), number: false }
}

pub(super) fn number(value: f64, html: impl Into<Markup>) -> Cell {
    // Five digits behind the first are more than any figure here is worth.
    let value = if value == value.trunc() && value.abs() < 1e15 {
        format!("{value}")
    } else {
        format!("{value:.5e}").parse::<f64>().map_or_else(|_| String::new(), |v| v.to_string())
    };
    Cell { value, html: html.into(), number: true }
}

pub(super) fn head(name: &str, meaning: &str, number: bool) -> (String, String, bool) {
    (name.to_owned(), meaning.to_owned(), number)
}

/// Every cell with everything that was derived for it; rows that could not be measured say why.
pub(super) fn everything(view: &View) -> Table {
    let (several_keys, mixed) = (view.keys.len() > 1, view.has_mixed_drivers());
    let mut heads = vec![
        head("strategy", "One way to add one to a counter.", false),
        head("promise", "exact: must not lose or double an update; lossy: known to lose updates.", false),
        head(&format!("{}s", view.racer()), "Clients racing at once.", true),
    ];
    if several_keys {
        heads.push(head("keys", "Counters the updates were spread over.", true));
    }
    if mixed {
        heads.push(head("driver", "What drove the clients.", false));
    }
    let servers = view.summary.cells.iter().any(|cell| cell.condition.server != view.summary.cells[0].condition.server);
    if servers {
        heads.push(head("server", "The server's product and version.", false));
    }
    let offered = words::offered(view.summary).is_some();
    if offered {
        heads.push(head("offered/s", "Updates per second that all clients together were to send.", true));
        heads.push(head(
            "backlog",
            "Updates due but not yet sent at the end of the timetable, in the worst trial.",
            true,
        ));
        heads.push(head("service time", "Latency from sending to acknowledgement.", false));
    }
    let waits = view.summary.cells.iter().any(|cell| cell.pool_wait_ns.is_some());
    if waits {
        heads.push(head("pool", "Connections of the pool that the clients shared.", true));
        heads.push(head(
            "waiting for one",
            "The part of the latency until a client had a connection of the pool.",
            false,
        ));
    }
    heads.extend([
        head("verdict", "The worst verdict of all trials: exact or ok, or what is wrong.", false),
        head("acked/s", "Acknowledged updates per second, median of the trials.", true),
        head("surviving/s", "Acknowledged minus lost, per second, with the interval of the median.", true),
        head("lost, %", "The lost share of the acknowledged updates, in percent.", true),
        head("at most, %", "The lost share that this many updates leave possible, at 95 % confidence.", true),
        head("lost", "Lost updates of all trials.", true),
        head("acked", "Acknowledged updates of all trials.", true),
    ]);
    let rare = rare(view.summary);
    heads.extend(rare.iter().map(|(name, meaning, _)| head(name, meaning, true)));
    heads.extend(["p50", "p90", "p99", "p99.9", "p99.99"].map(|p| {
        let note = if p == "p50" { ", retries included. Empty: fewer than ten took longer." } else { "." };
        head(&format!("{p}, µs"), &format!("{} % of updates took no longer{note}", &p[1..]), true)
    }));
    let external = view.summary.cells.iter().any(|cell| cell.no_op_per_s.is_some());
    if external {
        heads.push(head(
            "no-op/s",
            "Updates per second of the same worker with as many clients that send nothing: the cost of the protocol.",
            true,
        ));
    }
    let overlaps = view.summary.cells.iter().any(CellSummary::is_hardly_a_race);
    if overlaps {
        heads.push(head("overlap, %", "The share of the time in which all clients were running.", true));
    }
    // Where all have the same number, the sentence about the environment says it.
    let trials: BTreeSet<usize> = view.summary.cells.iter().map(|cell| cell.trials).filter(|&n| n > 0).collect();
    if trials.len() > 1 {
        heads.push(head("trials", "Trials with a verdict.", true));
    }
    heads.push(head("note", "Why it was skipped or failed, or why a fault could not show.", false));
    let rows = view.summary.cells.iter().map(|cell| {
        let classes = view.cast.iter().find(|m| m.name == cell.label).map_or_else(String::new, |m| m.class.clone());
        let mut cells = vec![
            word(&cell.label, name(&cell.label)),
            word(&cell.promise.to_string(), cell.promise.to_string()),
            number(cell.condition.threads as f64, cell.condition.threads.to_string()),
        ];
        if several_keys {
            cells.push(number(cell.condition.keys as f64, cell.condition.keys.to_string()));
        }
        if mixed {
            let driver = cell.condition.driver.to_string();
            cells.push(word(&driver, &*driver));
        }
        if servers {
            cells.push(word(&cell.condition.server, &*cell.condition.server));
        }
        if offered {
            let count = |count: Option<u64>| match count.filter(|_| cell.trials > 0) {
                Some(count) => number(count as f64, words::count(count)),
                None => word("", ""),
            };
            let sent = since_send(cell).unwrap_or_default();
            cells.extend([count(cell.condition.offered_per_s), count(cell.backlog), word(&sent, sent.clone())]);
        }
        if waits {
            let size = cell.condition.pool_size;
            cells.push(size.map_or_else(|| word("", ""), |size| number(size as f64, size.to_string())));
            let waited = waiting(cell).unwrap_or_default();
            cells.push(word(&waited, waited.clone()));
        }
        cells.extend(figures(cell, &rare, external));
        if overlaps && cell.trials > 0 {
            cells.push(number(cell.overlap, format!("{:.0}", cell.overlap * 100.0)));
        }
        if trials.len() > 1 && cell.trials > 0 {
            cells.push(number(cell.trials as f64, cell.trials.to_string()));
        }
        cells.resize_with(heads.len() - 1, || word("", ""));
        // Of an imported history the page says it first.
        let note = cell.note.as_ref().filter(|_| !is_imported(&view.run.machine));
        let said: Vec<String> = [note, cell.error.as_ref()].into_iter().flatten().cloned().collect();
        cells.push(word(&said.join("; "), said.join("; ")));
        let broken = if is_broken(cell) { " broken" } else { "" };
        let state = if cell.trials == 0 { " unjudged" } else { "" };
        Row {
            classes: format!("row t{} k{} {classes}{broken}{state}", cell.condition.threads, cell.condition.keys),
            cells,
        }
    });
    let rows = rows.collect();
    Table { heads, rows }
}

/// A count that most runs have none of: its head, what it means, and the count.
type Rare = (&'static str, &'static str, fn(&CellSummary) -> u64);

/// Those of which there is any: a column of zeros says nothing.
fn rare(summary: &Summary) -> Vec<Rare> {
    let all: [Rare; 3] = [
        ("doubled", "Increments applied more than once.", |cell| cell.doubled),
        ("refused", "Updates that failed with nothing changed.", |cell| cell.refused),
        ("unknown", "Updates that ended in an error: they may or may not have happened.", |cell| cell.unknown),
    ];
    all.into_iter().filter(|(.., count)| summary.cells.iter().any(|cell| count(cell) > 0)).collect()
}

fn figures(cell: &CellSummary, rare: &[Rare], external: bool) -> Vec<Cell> {
    let Some(verdict) = cell.verdict else {
        let state = if cell.error.is_some() { "failed" } else { "skipped" };
        return vec![word(state, state.to_owned())];
    };
    let shown = verdict.shown(cell.promise);
    let mut cells = vec![word(&shown, html!("<b class=v-{}>{}</b>", verdict, &shown))];
    cells.push(number(cell.acked_per_s.median, words::rate(cell.acked_per_s.median)));
    cells.push(number(
        cell.surviving_per_s.median,
        html!("<b>{}</b> <small>{}</small>", words::rate(cell.surviving_per_s.median), range(&cell.surviving_per_s)),
    ));
    cells.push(percent(cell.lost_part()));
    cells.push(percent(cell.lost_interval.1));
    cells.push(number(cell.lost as f64, words::count(cell.lost)));
    cells.push(number(cell.acked as f64, words::count(cell.acked)));
    cells.extend(rare.iter().map(|(.., count)| number(count(cell) as f64, words::count(count(cell)))));
    for percentile in cell.latency_ns {
        cells.push(percentile.map_or_else(|| word("", ""), |ns| number(ns as f64, micros(ns))));
    }
    if external {
        cells.push(cell.no_op_per_s.map_or_else(|| word("", ""), |rate| number(rate as f64, words::rate(rate as f64))));
    }
    cells
}

/// A part of one under a head that says percent.
fn percent(part: f64) -> Cell {
    number(part, words::percent(part).trim_end_matches(" %").to_owned())
}

/// A time under a head that says microseconds: all rows in one unit compare at a glance.
pub(super) fn micros(ns: u64) -> String {
    words::rate(ns as f64 / 1e3)
}

/// `99,100–104,000`
fn range(spread: &Spread) -> String {
    if spread.n < 2 { String::new() } else { format!("{}–{}", words::rate(spread.low), words::rate(spread.high)) }
}

/// What an update costs besides time: tries, fairness, CPU, commands, bytes.
pub(super) fn costs(view: &View) -> Table {
    let heads = vec![
        head("strategy", "One way to add one to a counter.", false),
        head("tries", "Attempts per update: 1 means that no retry was needed.", true),
        head(
            "fairness, %",
            "Jain's index: 100 % if all clients did equally much, 1/clients if one did everything.",
            true,
        ),
        head("slowest, %", "The slowest client's rate as a share of the fastest client's.", true),
        head("server µs", "Server CPU time per surviving update, in microseconds.", true),
        head("commands", "Commands the server executed per acknowledged update.", true),
        head("bytes", "Bytes to and from the server per acknowledged update.", true),
        head("server CPUs", "CPUs kept busy by the server; bold if it was the limit.", true),
        head(
            "client CPUs",
            "CPUs kept busy by all client threads; bold if they were the limit: the server could do more.",
            true,
        ),
    ];
    let mut rows = Vec::new();
    for (t, k) in view.loads() {
        let here: Vec<_> = view.at(t, k).collect();
        let most = |figure: &dyn Fn(&CellSummary) -> f64| here.iter().map(|(_, c, _)| figure(c)).fold(0.0, f64::max);
        let (most_tries, most_cpu) =
            (most(&|c| c.tries_per_update), most(&|c| c.server_cpu_us_per_surviving.unwrap_or(0.0)));
        let (most_calls, most_bytes) =
            (most(&|c| c.calls_per_update), most(&|c| c.bytes_per_update.0 + c.bytes_per_update.1));
        for (_, cell, member) in &here {
            let bytes = cell.bytes_per_update.0 + cell.bytes_per_update.1;
            let cpu = cell.server_cpu_us_per_surviving;
            let cells = vec![
                word(&cell.label, name(&cell.label)),
                number(cell.tries_per_update, barred(cell.tries_per_update, most_tries, &short(cell.tries_per_update))),
                number(cell.jain, barred(cell.jain, 1.0, &format!("{:.0}", cell.jain * 100.0))),
                number(
                    cell.slowest_share,
                    barred(cell.slowest_share, 1.0, &format!("{:.0}", cell.slowest_share * 100.0)),
                ),
                cpu.filter(|&us| us > 0.0)
                    .map_or_else(|| word("", "–".to_owned()), |us| number(us, barred(us, most_cpu, &short(us)))),
                known(cell.calls_per_update, |n| barred(n, most_calls, &short(n))),
                known(bytes, |n| barred(n, most_bytes, &words::rate(n))),
                known(cell.server_cpus, |n| limited(n, cell.limit.is_some_and(|l| l != Limit::Clients))),
                known(cell.client_cpus, |n| limited(n, cell.limit.is_some_and(|l| l != Limit::Server))),
            ];
            rows.push(Row { classes: format!("{} {}", scope(t, k), member.class), cells });
        }
    }
    Table { heads, rows }
}

/// Three digits at most.
fn short(value: f64) -> String {
    if value >= 100.0 { words::rate(value) } else { format!("{}", (value * 100.0).round() / 100.0) }
}

/// A figure of which zero means that it was not measured.
fn known(value: f64, html: impl Fn(f64) -> Markup) -> Cell {
    if value > 0.0 { number(value, html(value)) } else { word("", "–".to_owned()) }
}

/// CPUs' worth of work, and whether that was all there was.
fn limited(cpus: f64, is_limit: bool) -> Markup {
    if is_limit { html!("<b>{} (limit)</b>", short(cpus)) } else { short(cpus).into() }
}

/// A figure over a bar of its part of the largest.
fn barred(value: f64, most: f64, text: &str) -> Markup {
    let part = if most > 0.0 { value / most * 100.0 } else { 0.0 };
    html!("{}<i class=\"b w{}\"></i>", text, format!("{part:.0}"))
}
