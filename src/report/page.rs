//! The page: one self-contained HTML file, complete without a script, and a pure function of the result files.
//!
//! `page.html` contains the structure, `page.css` the style, `page.js` what needs a script (readouts, sorting, copying).
//! Everything else works without one: every chart is SVG with both of its scales, every load has its own charts, and
//! `:has()` in the style sheet shows the selected ones. Each file of this folder draws one part from the same
//! [`View`](view::View).

mod answer;
mod bars;
pub(super) mod cast;
mod caveats;
mod costs;
mod criterion;
mod distances;
mod everything;
mod facts;
mod labels;
mod lanes;
mod latency;
mod lines;
mod nodes;
mod over_keys;
pub(super) mod plot;
pub(super) mod scale;
mod tables;
mod view;

use askama::Template;

use crate::record::Run;
use crate::report::markup::{Markup, html};
use crate::report::{policy, words};
use crate::summary::{Cause, CellSummary, Summary, What};
use crate::verdict::Verdict;
use caveats::{Caveat, Touches, touching};
use view::View;

/// How charts look, on every page that has some: the colours of strategies, lines, markers.
pub(super) const CHART_CSS: &str = include_str!("page/chart.css");

/// The shapes that charts are drawn with, which every page that has some begins with.
pub(super) const CHART_SHAPES: &str = include_str!("page/shapes.svg");

/// The page's template: everything in it is either a field here or a loop over one.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    view: &'a View<'a>,
    title: String,
    /// What may run and style: our own, by its hash.
    policy: Markup,
    css: Markup,
    js: Markup,
    shapes: Markup,
    readouts: Markup,
    most_threads: usize,
    first_keys: usize,
    broken: Vec<Markup>,
    failed: Vec<Unjudged>,
    skipped: Vec<Unjudged>,
    /// Why nothing at all was judged.
    nothing: Option<Unjudged>,
    answers: Vec<answer::Answer>,
    /// Whether other programs measured, of which only their histories are known.
    imported: bool,
    caveats: &'a [Caveat],
    rate_caveats: Vec<usize>,
    loss_caveats: Vec<usize>,
    latency_caveats: Vec<usize>,
    has_quiet: bool,
    /// Whether there is one load alone, of which no line can be drawn.
    is_one_load: bool,
    starts_log: bool,
    by_keys: Vec<ByKeys>,
    over_keys: Markup,
    rates_over_keys: Markup,
    predicts: bool,
    groups: Vec<bars::Group>,
    /// The rate that was offered, in an open loop.
    offered: Option<String>,
    /// What measuring adds to every time.
    overhead: Option<String>,
    percentiles: Markup,
    percentile_names: [(usize, &'static str); 2],
    latency_ticks: Markup,
    latency_rows: Vec<latency::Row>,
    estimates: tables::Table,
    costs: tables::Table,
    lanes: Vec<lanes::Lanes>,
    distances: Option<tables::Table>,
    nodes: Vec<nodes::Row>,
    nodes_lede: String,
    has_replicas: bool,
    losers: bool,
    everything: tables::Table,
    in_words: String,
    in_brief: String,
    facts: Vec<facts::Group>,
    parameters: Vec<(String, String)>,
    recipe: Vec<(String, String)>,
    version: String,
}

/// The charts over threads at one key count.
struct ByKeys {
    keys: usize,
    /// `, 4 keys`, where there are several numbers of them.
    on: String,
    rates: Markup,
    panels: Markup,
    losses: Markup,
}

/// One self-contained HTML page.
pub fn render(summary: &Summary, run: &Run) -> String {
    let view = View::new(summary, run);
    let caveats = caveats::caveats(&view);
    let page = page(&view, &caveats);
    // Rendering fails only where writing to a String or one of our own fields' Display does, which neither can.
    page.render().unwrap_or_else(|_| "<!doctype html><title>no page</title>".to_owned())
}

fn page<'a>(view: &'a View<'a>, caveats: &'a [Caveat]) -> Page<'a> {
    let (summary, run) = (view.summary, view.run);
    let mut failed = unjudged(view, true);
    // Of a run without any verdict, the most frequent reason is the headline.
    let nothing = (summary.trials == 0 && !failed.is_empty()).then(|| failed.remove(0));
    let answers = answer::answers(view);
    let js = Markup::ours(include_str!("page/page.js"));
    let css = Markup::ours(CHART_CSS) + Markup::ours(include_str!("page/page.css")) + selected_css(view) + widths();
    let title = "Redis counters under contention: how fast, and how many updates are lost?".to_owned();
    let parameters = run
        .machine
        .0
        .iter()
        .filter_map(|fact| Some((fact.fact.strip_prefix("parameters.")?.to_owned(), fact.value.clone())));
    Page {
        view,
        title,
        policy: policy::of(&css, Some(&js)),
        css,
        js,
        shapes: Markup::ours(CHART_SHAPES),
        readouts: readouts(view),
        most_threads: view.threads.last().copied().unwrap_or(1),
        first_keys: view.keys.first().copied().unwrap_or(1),
        broken: broken(view),
        failed,
        skipped: unjudged(view, false),
        nothing,
        answers,
        imported: facts::is_imported(&run.machine),
        caveats,
        rate_caveats: touching(caveats, Touches::Rates),
        loss_caveats: touching(caveats, Touches::Losses),
        latency_caveats: touching(caveats, Touches::Latency),
        starts_log: lines::starts_logarithmic(view),
        is_one_load: view.threads.len() * view.keys.len() < 2,
        has_quiet: view.cast.iter().any(|member| !member.is_lead()),
        by_keys: view
            .keys
            .iter()
            .map(|&keys| ByKeys {
                keys,
                on: if view.keys.len() > 1 { format!(", {}", view::keys(keys)) } else { String::new() },
                rates: lines::rates(view, keys),
                panels: lines::panels(view, keys),
                losses: lines::losses(view, keys),
            })
            .collect(),
        over_keys: over_keys::losses(view),
        rates_over_keys: over_keys::rates(view),
        predicts: view.is_predictable() && view.threads.len() > 1,
        groups: bars::groups(view),
        offered: words::offered(summary).map(words::count),
        overhead: facts::overhead(&run.machine),
        percentiles: latency::percentiles(view),
        percentile_names: latency::SHOWN,
        latency_ticks: latency::ticks(view),
        latency_rows: latency::rows(view),
        estimates: criterion::estimates(&run.estimates),
        costs: costs::costs(view),
        lanes: lanes::lanes(run),
        distances: distances::distances(view),
        nodes: nodes::rows(view),
        nodes_lede: nodes::about(view),
        has_replicas: view.summary.cells.iter().any(|cell| !cell.replica_nodes.is_empty()),
        losers: summary.cells.iter().any(|cell| cell.lost > 0),
        everything: everything::everything(view),
        in_words: facts::in_words(view),
        in_brief: facts::in_brief(view),
        facts: facts::groups(&run.machine),
        parameters: parameters.collect(),
        recipe: facts::recipe(&run.machine),
        version: run.machine.get("version").unwrap_or_default().to_owned(),
    }
}

/// Cells without a verdict that have their reason in common.
struct Unjudged {
    cells: usize,
    /// Their strategies and loads.
    what: String,
    why: String,
}

/// What could not be judged: each reason once, the most frequent first.
fn unjudged(view: &View, failed: bool) -> Vec<Unjudged> {
    let cells = view.summary.cells.iter().filter(|cell| cell.trials == 0 && cell.error.is_some() == failed);
    let mut reasons: Vec<(String, &str, Vec<&CellSummary>)> = Vec::new();
    for cell in cells {
        let Some(why) = cell.error.as_ref().or(cell.note.as_ref()) else { continue };
        // The same reason says "after 5 of 8 connections" of one load and "after 5 of 16" of another.
        let alike = why.replace(|c: char| c.is_ascii_digit(), "");
        match reasons.iter_mut().find(|(known, ..)| *known == alike) {
            Some((.., cells)) => cells.push(cell),
            None => reasons.push((alike, why, vec![cell])),
        }
    }
    reasons.sort_by_key(|(.., cells)| std::cmp::Reverse(cells.len()));
    let said = |(_, why, cells): (String, &str, Vec<&CellSummary>)| {
        let mut labels: Vec<&str> = cells.iter().map(|cell| cell.label.as_str()).collect();
        labels.dedup();
        let mut threads: Vec<usize> = cells.iter().map(|cell| cell.condition.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        let names = if labels.len() > NAMED { format!("{} strategies", labels.len()) } else { labels.join(", ") };
        Unjudged { cells: cells.len(), what: format!("{names} at {}", loads(view, &threads)), why: why.to_owned() }
    };
    reasons.into_iter().map(said).collect()
}

/// `1, 2, 4 threads`.
fn loads(view: &View, threads: &[usize]) -> String {
    let Some((&last, before)) = threads.split_last() else { return String::new() };
    let all: Vec<String> = before.iter().map(usize::to_string).chain([view.racers(last)]).collect();
    all.join(", ")
}

/// How many strategies a reason names before it only counts.
const NAMED: usize = 6;

/// Every strategy that broke its promise, with how much and how often: the loudest thing a page can say.
fn broken(view: &View) -> Vec<Markup> {
    let causes = view.summary.causes.iter();
    let broken = causes.filter_map(|cause| match cause.what {
        What::Broken(verdict) => Some((cause, verdict)),
        _ => None,
    });
    let said = |(cause, verdict): (&Cause, Verdict)| {
        html!(
            "{} promises to be exact and {} in <b>{} of {}</b>, at {}. Verdict: {}.",
            view::name(&cause.strategy),
            harm(cause),
            cause.trials.to_string(),
            words::counted(cause.of, "trial"),
            loads(view, &cause.threads),
            verdict
        )
    };
    broken.map(said).collect()
}

/// What became of the updates of a strategy that broke its promise.
fn harm(cause: &Cause) -> Markup {
    let (lost, acked, doubled) = (words::count(cause.lost), words::count(cause.acked), words::count(cause.doubled));
    match (cause.lost, cause.doubled) {
        (0, 0) => Markup::ours("was not"),
        (0, _) => html!("counted <b>{}</b> of {} updates more than once", doubled, acked),
        (_, more) => {
            let part = words::percent(cause.lost as f64 / cause.acked.max(1) as f64);
            let more = if more > 0 { format!(", and {doubled} counted more than once") } else { String::new() };
            html!("lost <b>{}</b> ({} of {}{})", part, lost, acked, more)
        }
    }
}

/// Rules that hide what is not selected: they name this run's thread counts, key counts and strategies.
fn selected_css(view: &View) -> Markup {
    let mut css = Markup::default();
    for &t in &view.threads {
        css += html!(":root:has(#t{}:checked) .by-t:not(.t{}){display:none}", t, t);
        css += html!(":root:has(#t{}:checked) .tick.t{}{--at:1}", t, t);
        css += html!(":root:has(#t{}:checked):has(#only:checked) .row:not(.t{}){display:none}", t, t);
        // On paper every load of every strategy would take half of the sheets.
        css += html!("@media print{:root:has(#t{}:checked) .row:not(.t{}){display:none}}", t, t);
    }
    for &k in &view.keys {
        css += html!(":root:has(#k{}:checked) .by-k:not(.k{}){display:none}", k, k);
        css += html!(":root:has(#k{}:checked) .tick.k{}{--at:1}", k, k);
        css += html!(":root:has(#k{}:checked):has(#only:checked) .row:not(.k{}){display:none}", k, k);
        css += html!("@media print{:root:has(#k{}:checked) .row:not(.k{}){display:none}}", k, k);
    }
    for member in &view.cast {
        css += html!(":root:has(#show-{}:not(:checked)) .{}{display:none}", member.class, member.class);
    }
    css
}

/// A rule for every width that a bar in a table can have: a style attribute would need a policy that allows any.
fn widths() -> Markup {
    (0..=100_u32).map(|part| html!(".b.w{}{width:{}%}", part, part)).collect()
}

/// The readouts of all cells as JSON, for the script: the names of their lines, then (threads, keys, lines) of each.
fn readouts(view: &View) -> Markup {
    let cells =
        view.summary.cells.iter().map(|cell| (cell.condition.threads, cell.condition.keys, view::readout(cell, view)));
    let cells = cells.map(|cell| html!(",\n{}", Markup::json(&cell)));
    html!("[{}{}]", Markup::json(&view::READOUT), cells.collect::<Markup>())
}
