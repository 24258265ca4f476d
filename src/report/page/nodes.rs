//! The nodes of a cluster: each one's share of a strategy's commands, and which of them was the limit.

use super::view::{View, fate, name, scope};
use crate::report::markup::{Markup, html, num};
use crate::report::words;
use crate::summary::CellSummary;

/// One strategy at one load.
pub(super) struct Row {
    pub(super) scope: String,
    pub(super) classes: String,
    pub(super) name: Markup,
    pub(super) surviving: String,
    pub(super) fate: String,
    /// A segment for each node, side by side.
    pub(super) svg: Markup,
    /// Commands per second of each node.
    pub(super) rates: String,
    /// Which node was the limit.
    pub(super) limit: String,
}

/// A row for every judged cell that was measured on several nodes.
pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for (t, k) in view.loads() {
        for (_, cell, member) in view.at(t, k).filter(|(_, cell, _)| !cell.nodes.is_empty()) {
            let rates: Vec<String> = cell.nodes.iter().map(|node| words::rate(node.calls_per_s)).collect();
            rows.push(Row {
                scope: scope(t, k),
                classes: member.classes(),
                name: name(&member.name),
                surviving: words::rate(cell.surviving_per_s.median),
                fate: fate(cell),
                svg: svg(cell),
                rates: rates.join(" + "),
                limit: limit(cell),
            });
        }
    }
    rows
}

/// Which node was the limit, in words.
fn limit(cell: &CellSummary) -> String {
    let busiest = cell.nodes.iter().enumerate().max_by(|a, b| a.1.cpus.total_cmp(&b.1.cpus));
    let Some((number, node)) = busiest else { return String::new() };
    let busy = format!("node {} was busiest, {:.2} CPUs", number + 1, node.cpus);
    match (node.is_limit(), cell.limit) {
        (true, _) => format!("node {}: {:.2} CPUs", number + 1, node.cpus),
        (false, Some(limit)) => format!("{limit}, all nodes together {:.2} CPUs; {busy}", cell.server_cpus),
        (false, None) => format!("no node; {busy}"),
    }
}

/// One bar, divided among the nodes.
fn svg(cell: &CellSummary) -> Markup {
    let mut out = Markup::ours("<svg width=\"100%\" height=\"22\" aria-hidden=\"true\">");
    let mut from = 0.0;
    for node in &cell.nodes {
        // A gap between two segments, or they would look like one.
        let wide = (node.part * 100.0 - 0.4).max(0.0);
        out += html!("<rect class=\"node\" x=\"{}%\" y=\"3\" width=\"{}%\" height=\"16\"/>", num(from), num(wide));
        from += node.part * 100.0;
    }
    out + Markup::ours("</svg>")
}
