//! The cost of correctness: exact strategies ranked by surviving updates, lossy ones next to them but not ranked.

use super::view::{View, fate, is_broken, name, scope};
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
    /// How it compares.
    pub(super) ratios: Vec<Markup>,
}

/// Bars for every load: ranked exact strategies, then lossy ones, then any that broke their promise.
pub(super) fn groups(view: &View) -> Vec<Group> {
    view.loads().flat_map(|(t, k)| groups_at(view, t, k)).filter(|group| !group.bars.is_empty()).collect()
}

fn groups_at(view: &View, at_threads: usize, at_keys: usize) -> [Group; 3] {
    let mut cells: Vec<_> = view.at(at_threads, at_keys).collect();
    cells.sort_by(|a, b| b.1.surviving_per_s.median.total_cmp(&a.1.surviving_per_s.median));
    let longest = cells.iter().map(|(_, cell, _)| cell.acked_per_s.high).fold(f64::MIN_POSITIVE, f64::max);
    let best = view.fastest(at_threads, at_keys);
    let race = cells.iter().find(|(.., member)| member.role == Role::Race).map(|(_, cell, _)| *cell);
    let mut groups = [
        ("Exact, ranked by surviving updates per second", true),
        ("Lossy: known to lose updates; shown for comparison, not ranked", false),
        ("Broke their promise to be exact: not ranked", false),
    ]
    .map(|(title, ranked)| Group { scope: scope(at_threads, at_keys), title, ranked, bars: Vec::new() });
    for (i, cell, member) in cells {
        let ratio = |to: &CellSummary| words::times(cell.surviving_per_s.median / to.surviving_per_s.median);
        let mut ratios = Vec::new();
        match best {
            Some(best) if best.label == cell.label => ratios.push(Markup::ours("the fastest exact strategy")),
            Some(best) if member.is_batching() => {
                ratios.push(html!("{} the fastest exact strategy, in batches", ratio(best)))
            }
            Some(best) => ratios.push(html!("{} the fastest exact strategy", ratio(best))),
            None => {}
        }
        if let Some(race) = race.filter(|race| race.label != cell.label && race.surviving_per_s.median > 0.0) {
            ratios.push(html!("{} the surviving rate of {}", ratio(race), name(&race.label)));
        }
        let group = if member.is_lossy() { 1 } else { usize::from(is_broken(cell)) * 2 };
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
