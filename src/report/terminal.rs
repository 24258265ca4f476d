//! The result tables for a terminal, 80 columns wide, with colours only if wanted: all loads, or one screen.

use std::collections::BTreeSet;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::plain;
use crate::record::Machine;
use crate::report::headline::{headline, load, place};
use crate::report::words;
use crate::report::words::{WIDTH, wrap};
use crate::summary::{CellSummary, Limit, Summary};
use crate::verdict::{Promise, Verdict};
use crate::workload::DriverKind;

/// The lines of a [`screen`]: below them a terminal of 24 has the path of the page and the prompt.
const LINES: usize = 22;

/// However much there is to say, so many rows stay.
const FEWEST_ROWS: usize = 6;

/// Of these, what lossy strategies may take from exact ones.
const LOSSY_ROWS: usize = 4;

/// How a run ends on a terminal of 80 by 24: the headline, and the table of the load that it is of.
/// [`headline`] says what `known` is.
pub fn screen(summary: &Summary, machine: &Machine, known: &[&str], coloured: bool) -> String {
    let mut text = headline(summary, machine, known);
    let Some(at) = load(summary) else {
        // Interrupted before the first trial.
        if summary.cells.is_empty() {
            return text;
        }
        return text + "\n" + &table(summary, coloured);
    };
    // Of several round trips the shortest; the headline says who leads over the others.
    let shortest = summary.shortest(at.0, at.1);
    let all = ranked(summary, at);
    let ranked: Vec<&CellSummary> = all.iter().copied().filter(|cell| cell.condition.rtt_us == shortest).collect();
    let distance = if all.len() > ranked.len() { String::new() } else { distance(summary) };
    let after = [drivers(summary), distance, waits(&ranked), unmeasured(&ranked), cautions_in_brief(&ranked)].concat();
    // A blank line, a heading and the header stand between.
    let said = text.lines().count() + 3 + after.lines().count();
    let shown = shortened(&ranked, LINES.saturating_sub(said).max(FEWEST_ROWS));
    let hidden = ranked.len() - shown.len();
    let more = match (all.len() > ranked.len(), loads(summary).len() > 1) {
        (true, _) => "; all round trips and loads with --table".to_owned(),
        (false, true) if hidden > 0 => format!("; {hidden} more strategies and all loads with --table"),
        (false, true) => "; all loads with --table".to_owned(),
        (false, false) if hidden > 0 => format!("; {hidden} more strategies with --table"),
        (false, false) => String::new(),
    };
    let pace = if words::offered(summary).is_some() { "Open loop" } else { "Closed loop" };
    text += &format!("\n{pace}, {}{more}\n", place(summary, at.0, at.1));
    text += &tables(summary, &[(None, shown)], coloured);
    text + &after
}

/// The tables of every load: throughput never without its verdict.
pub fn table(summary: &Summary, coloured: bool) -> String {
    if summary.cells.is_empty() {
        return String::new();
    }
    let loads = loads(summary);
    let of = |&at: &(usize, usize)| (Some(place(summary, at.0, at.1)), ranked(summary, at));
    let mut text = tables(summary, &loads.iter().map(of).collect::<Vec<_>>(), coloured);
    text += &pace(summary);
    text += &drivers(summary);
    text += &distance(summary);
    text += &waits(&summary.cells.iter().collect::<Vec<_>>());
    text += &unmeasured(&summary.cells.iter().collect::<Vec<_>>());
    text += &cautions(summary);
    if summary.cells.iter().any(limited) {
        text += "* Limited by the clients' CPUs: with more of them, this could be faster.\n";
    }
    text
}

/// Every load, thread counts within key counts.
fn loads(summary: &Summary) -> Vec<(usize, usize)> {
    let (keys, threads) = (summary.keys(), summary.threads());
    let has_cells = |&(threads, keys): &(usize, usize)| !at(summary, (threads, keys)).is_empty();
    keys.iter().flat_map(|&keys| threads.iter().map(move |&threads| (threads, keys))).filter(has_cells).collect()
}

fn at(summary: &Summary, (threads, keys): (usize, usize)) -> Vec<&CellSummary> {
    let is_there = |cell: &&CellSummary| (cell.condition.threads, cell.condition.keys) == (threads, keys);
    summary.cells.iter().filter(is_there).collect()
}

/// The cells of a load as a reader wants them: broken promises, exact ones by what survived, lossy ones likewise, and what
/// was not judged.
fn ranked(summary: &Summary, load: (usize, usize)) -> Vec<&CellSummary> {
    let mut cells = at(summary, load);
    cells.sort_by(|a, b| {
        let rates = b.surviving_per_s.median.total_cmp(&a.surviving_per_s.median);
        group(a).cmp(&group(b)).then(rates)
    });
    cells
}

fn group(cell: &CellSummary) -> u8 {
    match (cell.verdict, cell.promise) {
        (None, _) => 3,
        (Some(verdict), Promise::Exact) => u8::from(!verdict.breaks_exactness()),
        (Some(_), Promise::Lossy) => 2,
    }
}

/// Of more cells than a screen has rows for: the first of each group. What was not judged goes first: it is said in words.
fn shortened<'a>(ranked: &[&'a CellSummary], rows: usize) -> Vec<&'a CellSummary> {
    if ranked.len() <= rows {
        return ranked.to_vec();
    }
    let of = |groups: std::ops::Range<u8>| ranked.iter().copied().filter(move |cell| groups.contains(&group(cell)));
    let (exact, lossy) = (of(0..2).count(), of(2..3).count());
    let lossy_rows = lossy.min(LOSSY_ROWS.min(rows / 3).max(rows.saturating_sub(exact)));
    let exact_rows = exact.min(rows - lossy_rows);
    let rest = rows - lossy_rows - exact_rows;
    of(0..2).take(exact_rows).chain(of(2..3).take(lossy_rows)).chain(of(3..4).take(rest)).collect()
}

/// Cells under one header, with a heading above those of each load.
fn tables(summary: &Summary, groups: &[(Option<String>, Vec<&CellSummary>)], coloured: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    // In an open loop the median says the least, so the latency from the send takes its place. For worker processes,
    // their no-op rate does.
    let external = has_no_op(summary);
    table.set_header(match (words::offered(summary), external) {
        (None, false) => ["strategy", "acked/s", "surviving/s", "lost", "p50", "p99", "verdict"],
        (None, true) => ["strategy", "acked/s", "surviving/s", "lost", "no-op/s", "p99", "verdict"],
        (Some(_), _) => ["strategy", "achieved/s", "surviving/s", "lost", "p99", "svc p99", "verdict"],
    });
    let marks = groups.iter().flat_map(|(_, cells)| cells).any(|cell| limited(cell));
    for cell in groups.iter().flat_map(|(_, cells)| cells) {
        let mark = match (marks, limited(cell)) {
            (true, true) => "*",
            (true, false) => " ",
            (false, _) => "",
        };
        table.add_row(row(cell, mark, external, coloured));
    }
    for column in 1..=5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text =
        if coloured { table.force_no_tty().enforce_styling().to_string() } else { table.force_no_tty().to_string() };
    let mut lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
    let mut text = lines.next().unwrap_or_default();
    for (heading, cells) in groups {
        text.extend(heading.iter().map(|heading| format!("\n{heading}\n")));
        text.extend(lines.by_ref().take(cells.len()));
    }
    text
}

/// Whether any cell has the no-op rate of its worker.
fn has_no_op(summary: &Summary) -> bool {
    summary.cells.iter().any(|cell| cell.no_op_per_s.is_some())
}

/// What drove the clients, where it was not a thread each: such figures are not to be mixed with others.
fn drivers(summary: &Summary) -> String {
    let drivers: BTreeSet<DriverKind> = summary.cells.iter().map(|cell| cell.condition.driver).collect();
    let mut kinds = drivers.iter().map(|kind| kind.info());
    match (kinds.next(), kinds.next()) {
        (Some(info), None) if info.name == DriverKind::External.info().name => external(summary),
        (Some(info), None) if info.is_one_thread => format!("Driver {}: {}.\n", info.name, info.about),
        (_, None) => String::new(),
        _ => "Rows of several drivers (threads, events, tasks): do not compare them.\n".to_owned(),
    }
}

/// The client libraries, and the cost of their workers.
fn external(summary: &Summary) -> String {
    let libraries: BTreeSet<String> = summary
        .cells
        .iter()
        .map(|cell| format!("{} {}", cell.condition.library, cell.condition.library_version))
        .collect();
    let cost = match has_no_op(summary) {
        true => "; no-op/s: the same worker with clients that send nothing, which is the cost of the protocol",
        false => "",
    };
    let list: Vec<&str> = libraries.iter().map(String::as_str).collect();
    let said = format!("Client libraries as worker processes: {}{cost}.", list.join(", "));
    wrap(&plain::on_one_line(&said), WIDTH).into_iter().map(|line| line + "\n").collect()
}

/// The round trip between clients and server, where one was emulated.
fn distance(summary: &Summary) -> String {
    match summary.round_trips()[..] {
        [] | [None] => String::new(),
        [Some(us)] => format!("Over an emulated round trip of {}.\n", words::time(us * 1_000)),
        _ => "rtt: over an emulated round trip; compare only rows with the same rtt.\n".to_owned(),
    }
}

/// How long clients waited for a connection from the pool, if it did not have one for each client.
fn waits(cells: &[&CellSummary]) -> String {
    let said = cells.iter().filter_map(|cell| {
        let (size, [p50, _, p99, ..]) = (cell.condition.pool_size?, cell.pool_wait_ns?);
        let at = words::counted(size, "connection");
        Some(format!(
            "{} x{}, pool of {at}: of the latency, waiting for one {}",
            cell.label,
            cell.condition.threads,
            words::within(p50, p99)
        ))
    });
    said.flat_map(|said| wrap(&said, WIDTH)).map(|line| line + "\n").collect()
}

/// What decided when updates were sent, and which cells could not follow.
fn pace(summary: &Summary) -> String {
    let Some(offered) = words::offered(summary) else {
        return "\nClosed loop: each client sends its next update when the last is acknowledged.\n".to_owned();
    };
    let mut text = format!(
        "\nOpen loop: {} updates/s offered on a schedule.\np99: response time, from the intended instant; svc p99: service time.\n",
        words::count(offered)
    );
    for cell in summary.cells.iter().filter(|cell| cell.trials > 0 && cell.fell_behind()) {
        let said = format!("{} x{}: {}", cell.label, cell.condition.threads, words::behind(cell));
        text.extend(wrap(&said, WIDTH).into_iter().map(|line| line + "\n"));
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
    [
        list("Sums capped at 64 bits", &|c| c.capped, &|c| format!("{} acked", words::count(c.acked))),
        list("Refused, nothing changed", &CellSummary::is_refusing, &words::refused),
        list("Low overlap of the clients", &CellSummary::is_hardly_a_race, &|c| percent(c.overlap)),
        list("Wide intervals", &CellSummary::is_scattered, &|c| format!("±{}", percent(c.acked_per_s.relative()))),
    ]
    .concat()
}

/// Why cells have no verdict, each reason once with the strategies that have it.
fn unmeasured(cells: &[&CellSummary]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.trials == 0) {
        let why = cell.error.as_deref().or(cell.note.as_deref()).unwrap_or("no trial");
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) if names.contains(&cell.label.as_str()) => {}
            Some((_, names)) => names.push(&cell.label),
            None => reasons.push((why, vec![&cell.label])),
        }
    }
    let said = reasons.iter().flat_map(|(why, names)| wrap(&format!("{}: {why}", names.join(", ")), WIDTH));
    said.map(|line| line + "\n").collect()
}

/// The same as [`cautions`] in a sentence: how many, and not which.
fn cautions_in_brief(cells: &[&CellSummary]) -> String {
    let count = |is: &dyn Fn(&CellSummary) -> bool| cells.iter().filter(|cell| is(cell)).count();
    let parts = [
        (count(&|cell| cell.capped), "with sums beyond 64 bits"),
        (count(&CellSummary::is_refusing), "with refused updates"),
        (count(&CellSummary::is_hardly_a_race), "with low overlap"),
        (count(&CellSummary::is_scattered), "with wide intervals"),
        (count(&limited), "limited by the clients' CPUs (*)"),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if parts.is_empty() {
        return String::new();
    }
    wrap(&format!("Read with care: {}.", parts.join(", ")), WIDTH).into_iter().map(|line| line + "\n").collect()
}

/// Whether a cell's rate is to be read as a lower bound.
fn limited(cell: &CellSummary) -> bool {
    cell.trials > 0 && cell.limit.is_some_and(Limit::is_of_clients)
}

fn row(cell: &CellSummary, mark: &str, external: bool, coloured: bool) -> Vec<Cell> {
    // A name out of somebody's file must not take two lines.
    let mut row = vec![Cell::new(plain::on_one_line(&cell.label))];
    let Some(verdict) = cell.verdict else {
        row.extend(["", "", "", "", ""].map(Cell::new));
        row.push(Cell::new(if cell.note.is_some() { "skipped" } else { "failed" }));
        return row;
    };
    let time = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), words::time);
    let times = match cell.service_ns {
        Some(service) => [time(cell.p99_ns()), time(service[2])],
        None if external => {
            [cell.no_op_per_s.map_or_else(String::new, |rate| words::rate(rate as f64)), time(cell.p99_ns())]
        }
        None => [time(cell.latency_ns[0]), time(cell.p99_ns())],
    };
    row.extend([
        Cell::new(format!("{}{mark}", words::rate(cell.acked_per_s.median))),
        Cell::new(words::rate(cell.surviving_per_s.median)),
        Cell::new(words::lost(cell)),
        Cell::new(&times[0]),
        Cell::new(&times[1]),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Condition;
    use crate::record::{Record, Run};

    fn run(exact: usize, lossy: usize, failed: usize) -> Run {
        let row = |name: String, promise, lost, threads| Record {
            round: 1,
            acked: Some(1_000),
            lost: Some(lost),
            span_ns: Some(1_000_000_000),
            verdict: Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact }),
            ..Record::blank(Condition::of(&name, threads, 1), promise)
        };
        let mut records = Vec::new();
        for threads in [1, 16] {
            records.extend((0..exact).map(|i| row(format!("exact-{i}"), Promise::Exact, 0, threads)));
            records.extend((0..lossy).map(|i| row(format!("lossy-{i}"), Promise::Lossy, 500, threads)));
            let blank = |i| Record::blank(Condition::of(&format!("failed-{i}"), threads, 1), Promise::Exact);
            records.extend((0..failed).map(|i| Record { error: Some("down".to_owned()), ..blank(i) }));
        }
        Run { records, ..Run::default() }
    }

    #[test]
    fn a_run_ends_on_one_screen_however_many_strategies_it_has() {
        for (exact, lossy, failed) in
            [(1, 0, 0), (10, 2, 0), (23, 16, 1), (40, 40, 40), (0, 30, 0), (0, 0, 3), (30, 0, 0)]
        {
            let run = run(exact, lossy, failed);
            let summary = Summary::of(&run);
            let screen = screen(&summary, &run.machine, &[], false);
            assert!(screen.lines().count() <= LINES, "{screen}");
            assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
            let is_row = |line: &str| line.ends_with("  exact") || line.ends_with("  ok") || line.ends_with("  lost");
            let rows = |kind: &str| screen.lines().filter(|line| line.starts_with(kind) && is_row(line)).count();
            if exact + lossy <= 12 {
                assert_eq!((rows("exact-"), rows("lossy-")), (exact, lossy), "{screen}");
            }
            assert_eq!((rows("exact-") > 0, rows("lossy-") > 0), (exact > 0, lossy > 0), "{screen}");
            let everything = table(&summary, false);
            let all = everything.lines().filter(|line| is_row(line)).count();
            assert_eq!(all, 2 * (exact + lossy), "{everything}");
        }
    }

    #[test]
    fn broken_promises_stand_first_and_the_reason_of_failures_once() {
        let mut run = run(3, 1, 3);
        run.records[1].condition.threads = 16;
        run.records[1].verdict = Some(Verdict::Lost);
        run.records[1].lost = Some(3);
        let summary = Summary::of(&run);
        let screen = screen(&summary, &run.machine, &[], false);
        assert!(screen.starts_with("BROKEN PROMISE: exact-1 lost 0.3 % in 1 of 2 trials."), "{screen}");
        let row = screen.lines().skip_while(|line| !line.starts_with("strategy ")).nth(1).unwrap();
        assert!(row.starts_with("exact-1 "), "{screen}");
        assert_eq!(screen.matches("failed-0, failed-1, failed-2: down").count(), 1, "{screen}");
    }
}
