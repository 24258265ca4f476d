//! The result table for a terminal: 80 columns, colours only where they are wanted.

use std::collections::BTreeSet;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::report::words;
use crate::report::words::{WIDTH, wrap};
use crate::summary::{CellSummary, Limit, Summary};
use crate::verdict::{Promise, Verdict};
use crate::workload::DriverKind;

/// The table of every cell: strategy by threads, throughput never without its verdict.
pub fn table(summary: &Summary, coloured: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let several_keys = summary.keys().len() > 1;
    // In an open loop the median says the least: the latency from the send takes its place.
    let racers = if summary.driver().info().racer == "thread" { "thr" } else { "clients" };
    let mut header = match words::offered(summary) {
        None => vec!["strategy", racers, "acked/s", "surviving/s", "lost", "p50", "p99", "verdict"],
        Some(_) => vec!["strategy", racers, "achieved/s", "surviving/s", "lost", "p99", "svc p99", "verdict"],
    };
    if several_keys {
        header.insert(2, "keys");
    }
    table.set_header(header);
    let marks = summary.cells.iter().any(limited);
    for (i, cell) in summary.cells.iter().enumerate() {
        let is_first = i == 0 || summary.cells[i - 1].label != cell.label;
        let mark = match (marks, limited(cell)) {
            (true, true) => "*",
            (true, false) => " ",
            (false, _) => "",
        };
        table.add_row(row(cell, is_first, several_keys, mark, coloured));
    }
    for column in 1..=6 + usize::from(several_keys) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text =
        if coloured { table.force_no_tty().enforce_styling().to_string() } else { table.force_no_tty().to_string() };
    let mut text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    text += &pace(summary);
    text += &drivers(summary);
    text += &distance(summary);
    text += &cautions(summary);
    if marks {
        text += "* Limited by the clients' CPUs: with more of them, this could be faster.\n";
    }
    text
}

/// What drove the clients, where it was not a thread each: such figures are not to be mixed with others.
fn drivers(summary: &Summary) -> String {
    let drivers: BTreeSet<DriverKind> = summary.cells.iter().map(|cell| cell.condition.driver).collect();
    let mut kinds = drivers.iter().map(|kind| kind.info());
    match (kinds.next(), kinds.next()) {
        (Some(info), None) if info.is_one_thread => format!("Driver {}: {}.\n", info.name, info.about),
        (_, None) => String::new(),
        _ => "Rows of several drivers (threads, events, tasks): do not compare them.\n".to_owned(),
    }
}

/// The round trip between clients and server, where one was emulated.
fn distance(summary: &Summary) -> String {
    let mut all: Vec<Option<u64>> = summary.cells.iter().map(|cell| cell.condition.rtt_us).collect();
    all.sort_unstable();
    all.dedup();
    match all[..] {
        [] | [None] => String::new(),
        [Some(us)] => format!("Over an emulated round trip of {}.\n", words::time(us * 1_000)),
        _ => "Rows over several emulated round trips: do not compare them.\n".to_owned(),
    }
}

/// What decided when updates were sent, and which cells could not follow.
fn pace(summary: &Summary) -> String {
    let Some(offered) = words::offered(summary) else {
        return "\nClosed loop: each client sends its next update when the last is acknowledged.\n".to_owned();
    };
    let mut text = format!(
        "\nOpen loop: {} updates/s offered on a timetable.\np99: response time, from the intended instant; svc p99: service time.\n",
        words::count(offered)
    );
    for cell in summary.cells.iter().filter(|cell| cell.trials > 0 && cell.fell_behind()) {
        text += &format!("{} x{}: {}\n", cell.label, cell.condition.threads, words::behind(cell));
    }
    text
}

/// How many cells a caution names before it only counts.
const NAMED: usize = 4;

/// Which cells are to be read with care; the page says more.
fn cautions(summary: &Summary) -> String {
    let list = |what: &str, is: &dyn Fn(&CellSummary) -> bool, figure: &dyn Fn(&CellSummary) -> String| {
        let cells: Vec<&CellSummary> = summary.cells.iter().filter(|cell| is(cell)).collect();
        let named = cells.iter().take(NAMED).map(|c| format!("{} x{} ({})", c.label, c.condition.threads, figure(c)));
        let more = match cells.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let lines = wrap(&format!("{what}: {}{more}", named.collect::<Vec<_>>().join(", ")), WIDTH);
        if cells.is_empty() { String::new() } else { lines.into_iter().map(|line| line + "\n").collect() }
    };
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let mut unmeasured: Vec<(&str, Vec<&str>)> = Vec::new();
    for cell in summary.cells.iter().filter(|cell| cell.trials == 0) {
        let why = cell.error.as_deref().or(cell.note.as_deref()).unwrap_or("no trial");
        match unmeasured.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) if names.contains(&cell.label.as_str()) => {}
            Some((_, names)) => names.push(&cell.label),
            None => unmeasured.push((why, vec![&cell.label])),
        }
    }
    let unmeasured = unmeasured.iter().flat_map(|(why, names)| wrap(&format!("{}: {why}", names.join(", ")), WIDTH));
    let unmeasured: String = unmeasured.map(|line| line + "\n").collect();
    [
        unmeasured,
        list("Sums capped at 64 bits", &|c| c.capped, &|c| format!("{} acked", words::count(c.acked))),
        list("Refused, nothing changed", &CellSummary::is_refusing, &words::refused),
        list("Low overlap of the clients", &CellSummary::is_hardly_a_race, &|c| percent(c.overlap)),
        list("Wide intervals", &CellSummary::is_scattered, &|c| format!("±{}", percent(c.acked_per_s.relative()))),
    ]
    .concat()
}

/// Whether a cell's rate is to be read as a lower bound.
fn limited(cell: &CellSummary) -> bool {
    cell.trials > 0 && cell.limit.is_some_and(Limit::is_of_clients)
}

fn row(cell: &CellSummary, is_first: bool, several_keys: bool, mark: &str, coloured: bool) -> Vec<Cell> {
    let name = if is_first { cell.label.clone() } else { String::new() };
    let mut row = vec![Cell::new(name), Cell::new(cell.condition.threads)];
    if several_keys {
        row.push(Cell::new(cell.condition.keys));
    }
    let Some(verdict) = cell.verdict else {
        row.extend(["", "", "", "", ""].map(Cell::new));
        row.push(Cell::new(if cell.note.is_some() { "skipped" } else { "failed" }));
        return row;
    };
    let time = |ns: Option<u64>| ns.map_or_else(String::new, words::time);
    let times = match cell.service_ns {
        Some(service) => [cell.latency_ns[2], service[2]],
        None => [cell.latency_ns[0], cell.latency_ns[2]],
    };
    row.extend([
        Cell::new(format!("{}{mark}", words::rate(cell.acked_per_s.median))),
        Cell::new(words::rate(cell.surviving_per_s.median)),
        Cell::new(words::lost(cell)),
        Cell::new(time(times[0])),
        Cell::new(time(times[1])),
    ]);
    let shown = verdict.shown(cell.promise);
    let mut word = Cell::new(shown);
    if coloured {
        word = match verdict {
            Verdict::Exact => word.fg(Color::Green),
            Verdict::Unproven => word.fg(Color::Yellow),
            _ if cell.promise == Promise::Lossy => word.fg(Color::Yellow),
            _ => word.fg(Color::Red).add_attribute(Attribute::Bold),
        };
    }
    row.push(word);
    row
}
