//! The full table: every cell with everything that was derived for it.

use std::collections::BTreeSet;

use super::facts::is_imported;
use super::tables::{Cell, Row, Table, blank, head, micros, number, word};
use super::view::{View, is_broken, name, since_send, waiting};
use crate::report::markup::html;
use crate::report::words;
use crate::stats::Spread;
use crate::summary::CellSummary;

/// What a column shows of a row, if that row has such a figure.
type Shown<'a> = dyn Fn(&CellSummary) -> Option<Cell> + 'a;

/// A count that most runs have none of: its head, what it means, and the count.
type Rare = (&'static str, &'static str, fn(&CellSummary) -> u64);

/// A column: its head and its cells.
struct Column<'a> {
    head: (String, String, bool),
    cell: Box<Shown<'a>>,
}

fn column<'a>(name: &str, meaning: &str, cell: impl Fn(&CellSummary) -> Option<Cell> + 'a) -> Column<'a> {
    Column { head: head(name, meaning, false), cell: Box::new(cell) }
}

/// A column of numbers.
fn numbers<'a>(name: &str, meaning: &str, cell: impl Fn(&CellSummary) -> Option<Cell> + 'a) -> Column<'a> {
    Column { head: head(name, meaning, true), cell: Box::new(cell) }
}

/// A column of numbers that only a trial with a verdict has.
fn judged<'a>(name: &str, meaning: &str, cell: impl Fn(&CellSummary) -> Cell + 'a) -> Column<'a> {
    numbers(name, meaning, move |c| c.verdict.map(|_| cell(c)))
}

/// The table; rows that could not be measured say why.
pub(super) fn everything(view: &View) -> Table {
    let columns: Vec<Column<'_>> =
        [conditions(view), losses(view), times(view), trials(view)].into_iter().flatten().collect();
    let rows = view.summary.cells.iter().map(|cell| Row {
        classes: classes(view, cell),
        cells: columns.iter().map(|column| (column.cell)(cell).unwrap_or_else(blank)).collect(),
    });
    let rows = rows.collect();
    Table { heads: columns.into_iter().map(|column| column.head).collect(), rows }
}

fn classes(view: &View, cell: &CellSummary) -> String {
    let member = view.cast.iter().find(|m| m.name == cell.label).map_or_else(String::new, |m| m.class.clone());
    let broken = if is_broken(cell) { " broken" } else { "" };
    let state = if cell.trials == 0 { " unjudged" } else { "" };
    format!("row t{} k{} {member}{broken}{state}", cell.condition.threads, cell.condition.keys)
}

/// What was measured: a condition that all rows share is left out.
fn conditions<'a>(view: &'a View<'_>) -> Vec<Column<'a>> {
    let cells = &view.summary.cells;
    let mut columns = vec![
        column("strategy", "One way to add one to a counter.", |c| Some(word(&c.label, name(&c.label)))),
        column("promise", "exact: must not lose or double an update; lossy: known to lose updates.", |c| {
            Some(word(&c.promise.to_string(), c.promise.to_string()))
        }),
        numbers(&format!("{}s", view.racer()), "Clients racing at once.", |c| Some(whole(c.condition.threads))),
    ];
    if view.keys.len() > 1 {
        columns.push(numbers("keys", "Counters the updates were spread over.", |c| Some(whole(c.condition.keys))));
    }
    if view.has_mixed_drivers() {
        columns.push(column("driver", "What drove the clients.", |c| {
            let driver = c.condition.driver.to_string();
            Some(word(&driver, &*driver))
        }));
    }
    if cells.iter().any(|cell| cell.condition.server != cells[0].condition.server) {
        columns.push(column("server", "The server's product and version.", |c| {
            Some(word(&c.condition.server, &*c.condition.server))
        }));
    }
    columns.extend(offered(view));
    if cells.iter().any(|cell| cell.pool_wait_ns.is_some()) {
        columns.push(numbers("pool", "Connections of the pool that the clients shared.", |c| {
            c.condition.pool_size.map(whole)
        }));
        columns.push(column(
            "waiting for one",
            "The part of the latency until a client had a connection of the pool.",
            |c| waiting(c).map(|waited| word(&waited, waited.clone())),
        ));
    }
    columns
}

/// What an open loop has: the rate that was offered, and how far behind it was.
fn offered<'a>(view: &'a View<'_>) -> Vec<Column<'a>> {
    if words::offered(view.summary).is_none() {
        return Vec::new();
    }
    let count = |cell: &CellSummary, count: Option<u64>| count.filter(|_| cell.trials > 0).map(counted);
    vec![
        numbers("offered/s", "Updates per second that all clients together were to send.", move |c| {
            count(c, c.condition.offered_per_s)
        }),
        numbers("backlog", "Updates due but not yet sent at the end of the schedule, in the worst trial.", move |c| {
            count(c, c.backlog)
        }),
        column("service time", "Latency from sending to acknowledgement.", |c| {
            since_send(c).map(|sent| word(&sent, sent.clone()))
        }),
    ]
}

/// The verdict, the rates and what was lost.
fn losses<'a>(view: &'a View<'_>) -> Vec<Column<'a>> {
    let mut columns = vec![
        column("verdict", "The worst verdict of all trials: exact or ok, or what is wrong.", |c| {
            let Some(verdict) = c.verdict else {
                let state = if c.error.is_some() { "failed" } else { "skipped" };
                return Some(word(state, state));
            };
            let shown = verdict.shown(c.promise);
            Some(word(&shown, html!("<b class=v-{}>{}</b>", verdict, &shown)))
        }),
        judged("acked/s", "Acknowledged updates per second, median of the trials.", |c| {
            number(c.acked_per_s.median, words::rate(c.acked_per_s.median))
        }),
        judged("surviving/s", "Acknowledged minus lost, per second, with the interval of the median.", |c| {
            let rate = words::rate(c.surviving_per_s.median);
            number(c.surviving_per_s.median, html!("<b>{}</b> <small>{}</small>", rate, range(&c.surviving_per_s)))
        }),
        judged("lost, %", "The lost share of the acknowledged updates, in percent.", |c| percent(c.lost_part())),
        judged("at most, %", "The lost share that this many updates leave possible, at 95 % confidence.", |c| {
            percent(c.lost_interval.1)
        }),
        judged("lost", "Lost updates of all trials.", |c| counted(c.lost)),
        judged("acked", "Acknowledged updates of all trials.", |c| counted(c.acked)),
    ];
    // A column of zeros says nothing.
    let rare: [Rare; 3] = [
        ("doubled", "Increments applied more than once.", |c| c.doubled),
        ("refused", "Updates that failed with nothing changed.", |c| c.refused),
        ("unknown", "Updates that ended in an error: they may or may not have happened.", |c| c.unknown),
    ];
    let rare = rare.into_iter().filter(|(.., count)| view.summary.cells.iter().any(|cell| count(cell) > 0));
    columns.extend(rare.map(|(name, meaning, count)| judged(name, meaning, move |c| counted(count(c)))));
    columns
}

fn times<'a>(view: &'a View<'_>) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    for (place, p) in ["p50", "p90", "p99", "p99.9", "p99.99"].into_iter().enumerate() {
        let note = if p == "p50" { ", retries included. Empty: fewer than ten took longer." } else { "." };
        let meaning = format!("{} % of updates took no longer{note}", &p[1..]);
        columns.push(judged(&format!("{p}, µs"), &meaning, move |c| {
            c.latency_ns[place].map_or_else(blank, |ns| number(ns as f64, micros(ns)))
        }));
    }
    if view.summary.cells.iter().any(|cell| cell.no_op_per_s.is_some()) {
        columns.push(judged(
            "no-op/s",
            "Updates per second of the same worker with as many clients that send nothing: the cost of the protocol.",
            |c| c.no_op_per_s.map_or_else(blank, |rate| number(rate as f64, words::rate(rate as f64))),
        ));
    }
    columns
}

/// How much a row rests on, and what there is to say about it.
fn trials<'a>(view: &'a View<'_>) -> Vec<Column<'a>> {
    let cells = &view.summary.cells;
    let mut columns = Vec::new();
    if cells.iter().any(CellSummary::is_hardly_a_race) {
        columns.push(numbers("overlap, %", "The share of the time in which all clients were running.", |c| {
            (c.trials > 0).then(|| number(c.overlap, format!("{:.0}", c.overlap * 100.0)))
        }));
    }
    // Where all have the same number, the sentence about the environment says it.
    let numbers_of_trials: BTreeSet<usize> = cells.iter().map(|cell| cell.trials).filter(|&n| n > 0).collect();
    if numbers_of_trials.len() > 1 {
        columns.push(numbers("trials", "Trials with a verdict.", |c| (c.trials > 0).then(|| whole(c.trials))));
    }
    // Of an imported history the page says it first.
    let is_imported = is_imported(&view.run.machine);
    columns.push(column("note", "Why it was skipped or failed, or why a fault could not show.", move |c| {
        let note = c.note.as_ref().filter(|_| !is_imported);
        let said = [note, c.error.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join("; ");
        Some(word(&said, said.clone()))
    }));
    columns
}

/// A small whole number as it is.
fn whole(n: usize) -> Cell {
    number(n as f64, n.to_string())
}

/// A count with separators.
fn counted(count: u64) -> Cell {
    number(count as f64, words::count(count))
}

/// A part of one under a head that says percent.
fn percent(part: f64) -> Cell {
    number(part, words::percent(part).trim_end_matches(" %").to_owned())
}

/// `99,100–104,000`
fn range(spread: &Spread) -> String {
    if spread.n < 2 { String::new() } else { format!("{}–{}", words::rate(spread.low), words::rate(spread.high)) }
}
