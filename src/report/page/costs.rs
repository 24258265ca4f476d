//! The table of tries, fairness and cost.

use super::tables::{Cell, Row, Table, head, number, word};
use super::view::{View, name, scope};
use crate::report::markup::{Markup, html};
use crate::report::words;
use crate::summary::{CellSummary, Limit};

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
