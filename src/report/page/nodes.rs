//! The servers of a topology: each one's share of a strategy's commands, and which of them was the limit.

use super::view::{View, fate, name, scope};
use crate::report::markup::{Markup, html, num};
use crate::report::words;
use crate::summary::{CellSummary, Node};

/// One strategy at one load.
pub(super) struct Row {
    pub(super) scope: String,
    pub(super) classes: String,
    pub(super) name: Markup,
    pub(super) surviving: String,
    pub(super) fate: String,
    /// A segment for each server, side by side: the primaries, then the replicas.
    pub(super) svg: Markup,
    /// Commands per second of each primary.
    pub(super) rates: String,
    /// The same of each replica.
    pub(super) copies: String,
    /// Which server was the limit.
    pub(super) limit: String,
}

/// A row for every judged cell that was measured on several servers.
pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for (t, k) in view.loads() {
        for (_, cell, member) in view.at(t, k).filter(|(_, cell, _)| !cell.nodes.is_empty()) {
            rows.push(Row {
                scope: scope(t, k),
                classes: member.classes(),
                name: name(&member.name),
                surviving: words::rate(cell.surviving_per_s.median),
                fate: fate(cell),
                svg: svg(cell),
                rates: rates(&cell.nodes),
                copies: rates(&cell.replica_nodes),
                limit: limit(cell),
            });
        }
    }
    rows
}

/// What the rows show, in words.
pub(super) fn about(view: &View) -> String {
    let (mut is_cluster, mut has_replicas) = (false, false);
    for cell in &view.summary.cells {
        is_cluster |= cell.nodes.len() > 1;
        has_replicas |= !cell.replica_nodes.is_empty();
    }
    let mut said = "How the commands of each strategy were spread over the servers.".to_owned();
    if is_cluster {
        said += " Nodes are in the order of their slots. One key is on one node: only more keys, or a counter in several \
                 parts, use them all.";
    }
    if has_replicas {
        said += " A replica, drawn paler, also executes every write of its primary; a busy one slows down only what reads from \
                 it, waits for it or shares its CPU.";
    }
    said + " A server executes commands on one CPU; a primary that is busy all the time is the limit, however idle the others are."
}

fn rates(nodes: &[Node]) -> String {
    nodes.iter().map(|node| words::rate(node.calls_per_s)).collect::<Vec<_>>().join(" + ")
}

/// Which server was the limit, in words.
fn limit(cell: &CellSummary) -> String {
    let numbered = |kind: &str, alone: &str, nodes: &[Node]| -> Vec<(String, f64)> {
        let name = |at: usize| if nodes.len() == 1 { alone.to_owned() } else { format!("{kind} {}", at + 1) };
        nodes.iter().enumerate().map(|(at, node)| (name(at), node.cpus)).collect()
    };
    let mut all = numbered("node", "the primary", &cell.nodes);
    all.extend(numbered("replica", "the replica", &cell.replica_nodes));
    let Some((who, cpus)) = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { return String::new() };
    let busy = format!("busiest: {who}, {cpus:.2}");
    match (cell.nodes.iter().any(Node::is_limit), cell.limit) {
        (true, _) => format!("{who}: {cpus:.2} CPUs"),
        (false, Some(limit)) => {
            let together: f64 = cell.server_cpus + cell.replica_nodes.iter().map(|replica| replica.cpus).sum::<f64>();
            format!("{limit}; all servers {together:.2} CPUs, {busy}")
        }
        (false, None) => format!("no server; {busy} CPUs"),
    }
}

/// One bar, divided among the servers.
fn svg(cell: &CellSummary) -> Markup {
    let all: f64 = cell.nodes.iter().chain(&cell.replica_nodes).map(|node| node.calls_per_s).sum();
    let mut out = Markup::ours("<svg width=\"100%\" height=\"22\" aria-hidden=\"true\">");
    let mut from = 0.0;
    let kinds = [("node", &cell.nodes), ("node copy", &cell.replica_nodes)];
    for (class, node) in kinds.into_iter().flat_map(|(class, nodes)| nodes.iter().map(move |node| (class, node))) {
        let part = if all > 0.0 { node.calls_per_s / all } else { 0.0 };
        // A gap between two segments, or they would look like one.
        let wide = (part * 100.0 - 0.4).max(0.0);
        out += html!("<rect class=\"{}\" x=\"{}%\" y=\"3\" width=\"{}%\" height=\"16\"/>", class, num(from), num(wide));
        from += part * 100.0;
    }
    out + Markup::ours("</svg>")
}
