//! What became of INCRs whose replies were lost: as a table for a terminal, as markdown, as a page.

use std::collections::BTreeMap;

use askama::Template;
use serde::Serialize;

use super::document::facts;
use crate::record::Machine;
use crate::record::lost_reply::{LossWay, LostReply};

/// The version of the JSON document.
const SCHEMA: &str = "redis-lost-updates/lost-reply/1";

/// What `report lost-reply --json` prints; `docs/lost-reply.schema.json` describes it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    /// The facts of the run, as machine.csv has them.
    facts: BTreeMap<&'a str, &'a str>,
    rows: &'a [LostReply],
}

impl<'a> Document<'a> {
    /// The document of these rows, measured with these facts.
    pub fn of(rows: &'a [LostReply], machine: &'a Machine) -> Self {
        Self { schema: SCHEMA, facts: facts(machine), rows }
    }
}

/// The columns of every form of the table.
const COLUMNS: [&str; 9] =
    ["library", "settings", "reply lost by", "acked", "errors", "executions/acked", "doubled", "recovered", "outcome"];

/// What the ratio means.
const RATIO: &str = "\nexecutions/acked: what the counter holds for each acknowledged update. Above 1.00 some \
                     increments\nran twice (doubled), or ran although the client got an error.\n";

/// Seconds in three characters or so: `0.02 s`, `12 s`.
fn seconds(ns: u64) -> String {
    let s = ns as f64 / 1e9;
    if s < 0.0995 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 9.95 {
        format!("{s:.1} s")
    } else {
        format!("{s:.0} s")
    }
}

/// The cell in words.
fn outcome(row: &LostReply) -> String {
    if let Some(note) = &row.note {
        return note.clone();
    }
    // A wait no longer than others before it that ended is no news: the cell's time was over, that is all.
    let is_new = row.waiting_ns > row.recovery_ns.or(Some(0));
    let waiting = row.waiting_ns.filter(|_| is_new).map(|ns| {
        let errors = match row.errors().unwrap_or(0) {
            0 => String::new(),
            1 => "1 error, then ".to_owned(),
            errors => format!("{errors} errors, then "),
        };
        format!("{errors}still waiting after {}", seconds(ns))
    });
    let counted = match (row.lost.unwrap_or(0), row.doubled.unwrap_or(0)) {
        (0, 0) if row.errors() == Some(0) && row.waiting_ns.is_none() => Some("exactly once".to_owned()),
        (0, 0) if row.waiting_ns.is_none() => Some("once, or an error".to_owned()),
        (0, 0) => None,
        (0, doubled) => Some(format!("doubled {doubled}")),
        (lost, _) => Some(format!("lost {lost}")),
    };
    let stuck = (row.is_stuck == Some(true)).then(|| "stuck: never usable again".to_owned());
    let cut = (!is_new && row.attempted < Some(row.updates))
        .then(|| format!("out of time after {} of {}", row.attempted.unwrap_or(0), row.updates));
    [counted, stuck, waiting, cut].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Whether its client was of no use any more, or still waited for a reply, when the time was over.
fn is_hung(row: &LostReply) -> bool {
    row.is_stuck == Some(true) || row.waiting_ns > row.recovery_ns.or(Some(0))
}

/// The longest time between two acknowledgements, as far as it ended.
fn recovered(row: &LostReply) -> String {
    if is_hung(row) { "never".to_owned() } else { row.recovery_ns.map_or_else(String::new, seconds) }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn cells(row: &LostReply) -> [String; 9] {
    [
        row.library.clone(),
        row.settings.clone(),
        row.way.to_string(),
        number(row.acked),
        number(row.errors()),
        row.executions_per_ack().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        number(row.doubled),
        recovered(row),
        outcome(row),
    ]
}

/// Whether a library's settings let no INCR be executed twice, nor be acknowledged and missing, in any way measured.
fn is_safe(rows: &[&LostReply]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.is_exactly_once_or_error())
}

/// The recipes: of each library the settings that held, and that somebody has to write. The second list is of those whose
/// client was of no use any more after some way of losing a reply.
fn recipes(rows: &[LostReply]) -> (Vec<&LostReply>, Vec<&LostReply>) {
    let mut by_name: BTreeMap<(&str, &str), Vec<&LostReply>> = BTreeMap::new();
    for row in rows {
        by_name.entry((&row.library, &row.settings)).or_default().push(row);
    }
    let safe = by_name.values().filter(|rows| is_safe(rows) && !rows[0].recipe.is_empty());
    let (hung, held): (Vec<_>, Vec<_>) = safe.partition(|rows| rows.iter().any(|row| is_hung(row)));
    (held.iter().map(|rows| rows[0]).collect(), hung.iter().map(|rows| rows[0]).collect())
}

/// The table, the effective settings, where a prediction failed, and the recipes.
pub fn terminal(rows: &[LostReply]) -> String {
    let lines: Vec<[String; 9]> = rows.iter().map(cells).collect();
    let mut widths = COLUMNS.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 9]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            3..=7 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&COLUMNS.map(str::to_owned));
    for cells in &lines {
        text += &line(cells);
    }
    text += RATIO;
    let mut said = Vec::new();
    for row in rows.iter().filter(|row| !row.effective.is_empty()) {
        let settings = format!("  {} {}, {}: {}\n", row.library, row.version, row.settings, row.effective);
        if !said.contains(&settings) {
            said.push(settings);
        }
    }
    if !said.is_empty() {
        text += &format!("\nSettings in effect, as read from the client:\n{}", said.concat());
    }
    let differing: String = rows
        .iter()
        .filter_map(|row| Some(format!("  {} {}, {}: {}\n", row.library, row.settings, row.way, row.differs()?)))
        .collect();
    if !differing.is_empty() {
        text += &format!("\nNot as predicted:\n{differing}");
    }
    let (held, hung) = recipes(rows);
    let but = "; but after a lost reply the client stays unusable: connect again";
    for (row, but) in held.into_iter().map(|row| (row, "")).chain(hung.into_iter().map(|row| (row, but))) {
        let recipe: String = row.recipe.lines().map(|line| format!("  {line}\n")).collect();
        text += &format!(
            "\n{}: with these settings an INCR is executed once, or an error says so{but}:\n{recipe}",
            row.library
        );
    }
    text
}

/// The table as markdown.
pub fn markdown(rows: &[LostReply]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    let mut text = line(&COLUMNS.map(str::to_owned));
    text += "|---|---|---|--:|--:|--:|--:|--:|---|\n";
    for row in rows {
        text += &line(&cells(row).map(|cell| cell.replace('|', "\\|")));
    }
    text
}

/// The README's short table: of each library what its default settings do when a reply is lost, and its safe ones.
pub fn summary_table(rows: &[LostReply]) -> String {
    let mut text =
        "| client library | acknowledged, default settings | in the counter | reply never comes | settings `safe` |\n\
                    |---|--:|--:|---|---|\n"
            .to_owned();
    let find = |library: &str, settings: &str, way| {
        rows.iter().find(|row| row.library == library && row.settings == settings && row.way == way)
    };
    for row in rows.iter().filter(|row| row.settings == "default" && row.way == LossWay::Fin && row.is_measured()) {
        let silent = find(&row.library, "default", LossWay::Silence).map(outcome).unwrap_or_default();
        let safe: Vec<&LostReply> =
            rows.iter().filter(|other| other.library == row.library && other.settings == "safe").collect();
        let safe = match (
            safe.is_empty(),
            is_safe(&safe),
            safe.iter().any(|row| row.is_stuck == Some(true) || row.waiting_ns.is_some()),
        ) {
            (true, ..) => "",
            (_, false, _) => "may double",
            (_, true, false) => "once, or an error",
            (_, true, true) => "once, or an error; stuck after silence",
        };
        let executions = row.executions.unwrap_or(0);
        let bold = if row.doubled > Some(0) { "**" } else { "" };
        text += &format!(
            "| {} {} ({}) | {} of {} | {bold}{executions}{bold} | {silent} | {safe} |\n",
            row.library,
            row.version,
            row.language,
            number(row.acked),
            row.updates
        );
    }
    text
}

/// One library with its settings, as the page shows it.
struct Band<'a> {
    first: &'a LostReply,
    rows: Vec<Strip<'a>>,
}

/// One way to lose replies.
struct Strip<'a> {
    row: &'a LostReply,
    outcome: String,
    recovered: String,
    differs: String,
    marks: Vec<(char, &'static str)>,
    is_bad: bool,
}

#[derive(Template)]
#[template(path = "lost_reply.html")]
struct Page<'a> {
    machine: &'a Machine,
    answer: String,
    hung: String,
    updates: u64,
    bands: Vec<Band<'a>>,
    missing: Vec<&'a LostReply>,
    held: Vec<&'a LostReply>,
    stuck: Vec<&'a LostReply>,
    differing: Vec<(&'a LostReply, String)>,
}

/// How a mark looks, and the element it is in: bold for what went wrong without an error.
fn mark(mark: char) -> (char, &'static str) {
    match mark {
        '.' => ('\u{b7}', "span"),
        '2'..='9' | '+' | '!' => (mark, "b"),
        'w' => ('\u{2026}', "i"),
        other => (other, "i"),
    }
}

/// The libraries that have such a row, each once.
fn libraries(rows: &[LostReply], is: impl Fn(&LostReply) -> bool) -> Vec<&str> {
    let mut names: Vec<&str> =
        rows.iter().filter(|row| row.is_measured() && is(row)).map(|row| row.library.as_str()).collect();
    names.dedup();
    names
}

fn is_default(row: &LostReply) -> bool {
    row.settings == "default"
}

/// A library that doubles with its default settings, and where it does not: `lettuce (only fin)`.
fn doubling(rows: &[LostReply], library: &str) -> String {
    let own = || rows.iter().filter(|row| row.library == library && row.is_measured());
    let replies = || own().filter(|row| is_default(row) && row.way != LossWay::Dropped);
    let ways: Vec<String> = replies().filter(|row| row.doubled > Some(0)).map(|row| row.way.to_string()).collect();
    let mut limits = Vec::new();
    if ways.len() < replies().count() {
        limits.push(format!("only {}", ways.join(", ")));
    }
    let mut others: Vec<&str> =
        own().map(|row| row.settings.as_str()).filter(|name| !["default", "safe"].contains(name)).collect();
    others.dedup();
    let holds = |name: &&str| own().filter(|row| row.settings == *name).all(|row| row.doubled == Some(0));
    limits.extend(others.into_iter().filter(holds).map(|name| format!("not {name}")));
    if limits.is_empty() { library.to_owned() } else { format!("{library} ({})", limits.join("; ")) }
}

/// What the page says second: whose client does not come back.
fn hung(rows: &[LostReply]) -> String {
    let names = libraries(rows, |row| is_default(row) && is_hung(row));
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            "With default settings {} were still waiting at the time limit, or never usable again, after some lost reply: {}.",
            names.len(),
            names.join(", ")
        ),
    }
}

/// What the page says first.
fn answer(rows: &[LostReply]) -> String {
    let all = libraries(rows, is_default);
    let doubled = libraries(rows, |row| is_default(row) && row.doubled > Some(0));
    let doubling: Vec<String> = doubled.into_iter().map(|library| doubling(rows, library)).collect();
    match (all.len(), doubling.len()) {
        (0, _) => "Nothing was measured with default settings.".to_owned(),
        (all, 0) => format!("None of {all} client libraries counted an INCR twice with its default settings."),
        (all, some) => format!(
            "{some} of {all} client libraries counted INCRs twice with their default settings, without an error: {}.",
            doubling.join(", ")
        ),
    }
}

/// The page: one self-contained HTML file, a pure function of the rows.
pub fn page(rows: &[LostReply], machine: &Machine) -> String {
    let mut bands: Vec<Band<'_>> = Vec::new();
    for row in rows.iter().filter(|row| row.is_measured()) {
        let strip = Strip {
            row,
            outcome: outcome(row),
            recovered: recovered(row),
            differs: row.differs().unwrap_or_default(),
            marks: row.marks.chars().map(mark).collect(),
            is_bad: !row.is_exactly_once_or_error(),
        };
        match bands.last_mut() {
            Some(band) if (&band.first.library, &band.first.settings) == (&row.library, &row.settings) => {
                band.rows.push(strip);
            }
            _ => bands.push(Band { first: row, rows: vec![strip] }),
        }
    }
    let (held, stuck) = recipes(rows);
    let page = Page {
        machine,
        answer: answer(rows),
        hung: hung(rows),
        updates: rows.first().map_or(0, |row| row.updates),
        bands,
        missing: rows.iter().filter(|row| !row.is_measured()).collect(),
        held,
        stuck,
        differing: rows.iter().filter_map(|row| Some((row, row.differs()?))).collect(),
    };
    // Writing to a string fails only where a field's own Display does, and ours do not.
    page.render().unwrap_or_default()
}
