//! The page: one self-contained HTML file, complete without a script, and a pure function of the result files.
//!
//! `page.html` contains the structure, `page.css` the style, `page.js` what needs a script (readouts, sorting, copying).
//! Everything else works without one: every chart is SVG with both of its scales, every load has its own charts, and
//! `:has()` in the style sheet shows the selected ones. Each file of this folder draws one part from the same
//! [`View`](view::View).

mod answer;
mod bars;
mod cast;
mod caveats;
mod criterion;
mod facts;
mod labels;
mod lanes;
mod latency;
mod lines;
mod nodes;
pub(super) mod plot;
pub(super) mod scale;
mod tables;
mod view;

use askama::Template;

use crate::record::Run;
use crate::report::markup::{Markup, html};
use crate::report::{policy, words};
use crate::summary::{BrokenPromise, Summary};
use caveats::{Caveat, Touches, touching};
use view::View;

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
    readouts: Markup,
    most_threads: usize,
    first_keys: usize,
    broken: Vec<Markup>,
    failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    answers: Vec<answer::Answer>,
    caveats: &'a [Caveat],
    rate_caveats: Vec<&'a Caveat>,
    loss_caveats: Vec<&'a Caveat>,
    latency_caveats: Vec<&'a Caveat>,
    has_greys: bool,
    starts_log: bool,
    by_keys: Vec<ByKeys>,
    over_keys: Markup,
    predicts: bool,
    groups: Vec<bars::Group>,
    /// The rate that was offered, in an open loop.
    offered: Option<String>,
    /// What measuring adds to every time.
    overhead: Option<String>,
    percentiles: Markup,
    percentile_names: [(f64, &'static str); 5],
    latency_ticks: Markup,
    latency_rows: Vec<latency::Row>,
    estimates: tables::Table,
    costs: tables::Table,
    lanes: Vec<lanes::Lanes>,
    nodes: Vec<nodes::Row>,
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
    let unjudged = |failed: bool| {
        let cells = summary.cells.iter().filter(move |cell| cell.trials == 0 && cell.error.is_some() == failed);
        let why = cells.filter_map(|cell| Some((cell, cell.error.as_ref().or(cell.note.as_ref())?)));
        let mut rows: Vec<(String, String)> = Vec::new();
        for (cell, why) in why {
            let threads = view.racers(cell.condition.threads);
            match rows.iter_mut().find(|(what, known)| known == why && what.starts_with(&format!("{} at", cell.label)))
            {
                Some((what, _)) => {
                    let (one, many) = (format!(" {}", view.racer()), format!(" {}s", view.racer()));
                    *what = format!("{}, {threads}", what.trim_end_matches(&many).trim_end_matches(&one));
                }
                None => rows.push((format!("{} at {threads}", cell.label), why.clone())),
            }
        }
        rows
    };
    let answers = answer::answers(view);
    let js = Markup::ours(include_str!("page/page.js"));
    let css = Markup::ours(include_str!("page/page.css")) + selected_css(view) + widths();
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
        readouts: readouts(view),
        most_threads: view.threads.last().copied().unwrap_or(1),
        first_keys: view.keys.first().copied().unwrap_or(1),
        broken: broken(view),
        failed: unjudged(true),
        skipped: unjudged(false),
        answers,
        caveats,
        rate_caveats: touching(caveats, Touches::Rates),
        loss_caveats: touching(caveats, Touches::Losses),
        latency_caveats: touching(caveats, Touches::Latency),
        starts_log: lines::starts_logarithmic(view),
        has_greys: view.cast.iter().any(|member| !member.is_lead()),
        by_keys: view
            .keys
            .iter()
            .map(|&keys| ByKeys {
                keys,
                rates: lines::rates(view, keys),
                panels: lines::panels(view, keys),
                losses: lines::losses(view, keys),
            })
            .collect(),
        over_keys: lines::losses_over_keys(view),
        predicts: view.is_predictable() && view.threads.len() > 1,
        groups: bars::groups(view),
        offered: words::offered(summary).map(words::count),
        overhead: facts::overhead(&run.machine),
        percentiles: latency::percentiles(view),
        percentile_names: latency::PERCENTILES,
        latency_ticks: latency::ticks(view),
        latency_rows: latency::rows(view),
        estimates: criterion::estimates(&run.estimates),
        costs: tables::costs(view),
        lanes: lanes::lanes(run),
        nodes: nodes::rows(view),
        losers: summary.cells.iter().any(|cell| cell.lost > 0),
        everything: tables::everything(view),
        in_words: facts::in_words(view),
        in_brief: facts::in_brief(view),
        facts: facts::groups(&run.machine),
        parameters: parameters.collect(),
        recipe: facts::recipe(&run.machine),
        version: run.machine.get("version").unwrap_or_default().to_owned(),
    }
}

/// Every broken promise in words, the loudest thing a page can say.
fn broken(view: &View) -> Vec<Markup> {
    let mut rows: Vec<Markup> = Vec::new();
    for BrokenPromise { round, condition, verdict } in &view.summary.broken {
        let strategy = view::name(&condition.strategy);
        let (threads, keys) = (view.racers(condition.threads), view::keys(condition.keys));
        rows.push(html!(
            "{} broke its promise: verdict <b>{}</b> in round {}, {} on {}",
            strategy,
            verdict,
            round,
            threads,
            keys
        ));
    }
    rows
}

/// Rules that hide what is not selected: they name this run's thread counts, key counts and strategies.
fn selected_css(view: &View) -> Markup {
    let mut css = Markup::default();
    for &t in &view.threads {
        css += html!(":root:has(#t{}:checked) .by-t:not(.t{}){display:none}", t, t);
        css += html!(":root:has(#t{}:checked) .tick.t{}{--at:1}", t, t);
        css += html!(":root:has(#t{}:checked):has(#only:checked) .row:not(.t{}){display:none}", t, t);
    }
    for &k in &view.keys {
        css += html!(":root:has(#k{}:checked) .by-k:not(.k{}){display:none}", k, k);
        css += html!(":root:has(#k{}:checked) .tick.k{}{--at:1}", k, k);
        css += html!(":root:has(#k{}:checked):has(#only:checked) .row:not(.k{}){display:none}", k, k);
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
