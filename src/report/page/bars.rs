//! The cost of correctness: exact strategies ranked by surviving updates, lossy ones next to them but not ranked.

use super::cast::Member;
use super::view::{View, fate, is_broken, name, scope};
use crate::condition::NO_FAULT;
use crate::report::markup::{Markup, html, num};
use crate::report::words;
use crate::summary::CellSummary;
use crate::verdict::Role;

/// One chart of bars: the strategies of one kind at one load.
pub(super) struct Group {
    /// Classes that show it while its load is selected.
    pub(super) scope: String,
    /// Its heading.
    pub(super) title: &'static str,
    /// Whether its order is a ranking.
    pub(super) ranked: bool,
    /// Whether its strategies broke their promise.
    pub(super) broken: bool,
    /// What stands over the last two columns.
    pub(super) heads: [Markup; 2],
    /// Its bars.
    pub(super) bars: Vec<Bar>,
}

/// One bar.
pub(super) struct Bar {
    pub(super) classes: String,
    pub(super) name: Markup,
    pub(super) cell: usize,
    pub(super) svg: Markup,
    pub(super) rate: String,
    pub(super) fate: String,
    /// How many times as fast it is as the fastest exact strategy, and as the race; at an offered rate its p99 and nothing.
    pub(super) ratios: [String; 2],
}

/// Bars for every load: ranked exact strategies, then lossy ones, then any that broke their promise.
pub(super) fn groups(view: &View) -> Vec<Group> {
    view.loads().flat_map(|(t, k)| groups_at(view, t, k)).filter(|group| !group.bars.is_empty()).collect()
}

/// The headings of the groups; only the first is a ranking.
const TITLES: [&str; 5] = [
    "Exact, ranked",
    "Exact, but did not keep up: not ranked",
    "Lossy, not ranked",
    "Broke their promise to be exact: not ranked",
    "Under a fault: not ranked",
];

/// Which of them a cell belongs to.
fn group(cell: &CellSummary, member: &Member) -> usize {
    match () {
        () if cell.condition.fault != NO_FAULT => 4,
        () if member.is_lossy() => 2,
        () if is_broken(cell) => 3,
        () => usize::from(cell.fell_behind()),
    }
}

fn groups_at(view: &View, at_threads: usize, at_keys: usize) -> [Group; 5] {
    // Where nothing was acknowledged there is nothing to rank; the answer says why.
    // Other round trips have a table of their own.
    let shortest = view.summary.shortest(at_threads, at_keys);
    let is_shown = |cell: &CellSummary| cell.acked > 0 && cell.condition.rtt_us == shortest;
    let mut cells: Vec<_> = view.at(at_threads, at_keys).filter(|(_, cell, _)| is_shown(cell)).collect();
    cells.sort_by(|a, b| b.1.surviving_per_s.median.total_cmp(&a.1.surviving_per_s.median));
    let is_offered = words::offered(view.summary).is_some();
    if is_offered {
        // All that kept up achieved the same, so their p99 ranks them.
        cells.sort_by_key(|(_, cell, _)| match cell.fell_behind() {
            false => (0, cell.p99_ns().unwrap_or(u64::MAX)),
            true => (1, 0),
        });
    }
    let longest = cells.iter().map(|(_, cell, _)| cell.acked_per_s.high).fold(f64::MIN_POSITIVE, f64::max);
    let best = view.fastest(at_threads, at_keys);
    let race = cells.iter().find(|(.., member)| member.role == Role::Race).map(|(_, cell, _)| *cell);
    let mut groups = TITLES.map(|title| Group {
        scope: scope(at_threads, at_keys),
        title,
        ranked: title == TITLES[0],
        broken: title.starts_with("Broke"),
        heads: match is_offered {
            _ if title == TITLES[4] => Default::default(),
            true => [Markup::ours("99 % within"), Markup::default()],
            false => {
                [best, race].map(|cell| cell.map_or_else(Markup::default, |cell| html!("vs. {}", name(&cell.label))))
            }
        },
        bars: Vec::new(),
    });
    for (i, cell, member) in cells {
        let ratio = |to: Option<&CellSummary>| match to.filter(|to| to.surviving_per_s.median > 0.0) {
            Some(to) if to.label == cell.label => "1×".to_owned(),
            Some(to) => words::times(cell.surviving_per_s.median / to.surviving_per_s.median),
            None => String::new(),
        };
        let mut ratios = match is_offered {
            true => [cell.p99_ns().map_or_else(String::new, words::time), String::new()],
            false => [best, race].map(ratio),
        };
        let group = group(cell, member);
        if group == 4 {
            // A trial under a fault is as long as the fault takes: its rate compares with no other.
            ratios = Default::default();
        }
        if member.is_batching() {
            ratios[0] += " in batches";
        }
        groups[group].bars.push(Bar {
            classes: member.classes(),
            name: name(&member.name),
            cell: i,
            svg: svg(cell, longest),
            rate: words::rate(cell.surviving_per_s.median),
            fate: fate(cell),
            ratios,
        });
    }
    groups
}

/// The bar of what survives, the hatched rest of what was acknowledged, and the interval.
fn svg(cell: &CellSummary, longest: f64) -> Markup {
    let part = |rate: f64| format!("{}%", num(rate / longest * 100.0));
    let (kept, acked) = (&cell.surviving_per_s, &cell.acked_per_s);
    let mut out = Markup::ours("<svg width=\"100%\" height=\"22\" aria-hidden=\"true\">");
    if cell.lost > 0 {
        out += html!("<rect class=\"lost\" y=\"3\" height=\"16\" width=\"{}\"/>", part(acked.median));
    }
    out += html!("<rect class=\"kept\" y=\"3\" height=\"16\" width=\"{}\"/>", part(kept.median));
    if kept.n > 1 {
        let (low, high) = (num(kept.low / longest * 1000.0), num(kept.high / longest * 1000.0));
        out += html!(
            "<svg viewBox=\"0 0 1000 22\" preserveAspectRatio=\"none\" width=\"100%\" height=\"22\"><path class=\"ci\" d=\"M{} 11H{}M{} 6v10M{} 6v10\"/></svg>",
            low,
            high,
            low,
            high
        );
    }
    out + Markup::ours("</svg>")
}
