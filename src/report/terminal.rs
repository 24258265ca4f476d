//! The result table for a terminal: 80 columns, colours only where they are wanted.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::report::words;
use crate::summary::{CellSummary, Summary};
use crate::verdict::{Promise, Verdict};

/// The table of every cell: strategy by threads, throughput never without its verdict.
pub fn table(summary: &Summary, coloured: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let several_keys = summary.keys().len() > 1;
    let mut header = vec!["strategy", "thr", "acked/s", "surviving/s", "lost", "p50", "p99", "verdict"];
    if several_keys {
        header.insert(2, "keys");
    }
    table.set_header(header);
    for (i, cell) in summary.cells.iter().enumerate() {
        let is_first = i == 0 || summary.cells[i - 1].strategy != cell.strategy;
        table.add_row(row(cell, is_first, several_keys, coloured));
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
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn row(cell: &CellSummary, is_first: bool, several_keys: bool, coloured: bool) -> Vec<Cell> {
    let name = if is_first { cell.strategy.clone() } else { String::new() };
    let mut row = vec![Cell::new(name), Cell::new(cell.threads)];
    if several_keys {
        row.push(Cell::new(cell.keys));
    }
    let Some(verdict) = cell.verdict else {
        row.extend(["", "", "", "", ""].map(Cell::new));
        row.push(Cell::new(if cell.note.is_some() { "skipped" } else { "failed" }));
        return row;
    };
    let time = |at: usize| cell.latency_ns[at].map_or_else(String::new, words::time);
    row.extend([
        Cell::new(words::rate(cell.acked_per_s.median)),
        Cell::new(words::rate(cell.surviving_per_s.median)),
        Cell::new(words::lost(cell)),
        Cell::new(time(0)),
        Cell::new(time(2)),
    ]);
    let mut word = Cell::new(verdict);
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
