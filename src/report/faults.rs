//! What faults did to which protection: as a table for a terminal, as markdown, in words.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::record::lab::{SKIPPED, why_unmeasured};
use crate::report::words::{count, time};
use crate::summary::lab::{LabCell, Matrix, NO_FAULT};

/// The result of one cell in words: what was lost and doubled, in how many trials, and what that proves.
pub fn outcome(cell: &LabCell) -> String {
    if cell.trials == 0 {
        return cell.unmeasured.first().map_or_else(|| "not measured".to_owned(), |why| why_unmeasured(why));
    }
    let mut said = Vec::new();
    if cell.trials_lost > 0 {
        said.push(format!("lost {} of {} acknowledged", count(cell.lost.total), count(cell.acked)));
    }
    if cell.trials_doubled > 0 {
        said.push(format!("counted {} twice", count(cell.doubled.total)));
    }
    if said.is_empty() {
        return format!("lost nothing in {}", bound(cell.trials));
    }
    let most = cell.trials_lost.max(cell.trials_doubled);
    format!("{} (in {most} of {} trials)", said.join(" and "), cell.trials)
}

/// The number of trials without a loss, and what it proves: `20 trials, so in fewer than 1 of 7 at 95 %`.
pub fn bound(trials: u64) -> String {
    let (_, most) = crate::stats::proportion_interval(0, trials);
    let trials_said = if trials == 1 { "1 trial".to_owned() } else { format!("{} trials", count(trials)) };
    match (1.0 / most).floor() as u64 {
        0 | 1 => format!("{trials_said}, which proves little"),
        parts => format!("{trials_said}, so in fewer than 1 of {} at 95 %", count(parts)),
    }
}

/// A cell of the matrix: `lost 2,341`, `doubled 40`, `12 unknown`, `down 0.4 s`, each on a line of its own.
fn lines_of(cell: &LabCell) -> String {
    if cell.trials == 0 {
        let is_skipped = cell.unmeasured.iter().any(|why| why.starts_with(SKIPPED));
        return if is_skipped { "skipped" } else { "not measured" }.to_owned();
    }
    let several = |damaged: u64| match cell.trials {
        1 => String::new(),
        trials => format!(" ({damaged}/{trials})"),
    };
    let mut lines = vec![match cell.trials_lost {
        0 => "lost 0".to_owned(),
        damaged => format!("LOST {}{}", count(cell.lost.total), several(damaged)),
    }];
    if cell.trials_doubled > 0 {
        lines.push(format!("DOUBLED {}{}", count(cell.doubled.total), several(cell.trials_doubled)));
    }
    if cell.unknown.total > 0 {
        lines.push(format!("{} unknown", count(cell.unknown.total)));
    }
    lines.extend(cell.downtime_ns.map(|ns| format!("down {}", time(ns))));
    lines.join("\n")
}

/// The width of a column of the matrix, and of the one that names the protections.
const COLUMN: usize = 20;
const NAMES: usize = 26;

/// The matrix in blocks of as many faults as fit side by side, with the prices first, and what was not as expected last.
pub fn terminal(matrix: &Matrix, width: usize) -> String {
    let mut text = String::new();
    let faults: Vec<&String> = matrix.faults.iter().filter(|fault| *fault != NO_FAULT).collect();
    let at_once = (width.saturating_sub(NAMES) / COLUMN).max(1);
    for block in faults.chunks(at_once) {
        text += &block_of(matrix, block);
        text.push('\n');
    }
    text += &prices(matrix);
    text += &predictions(matrix);
    text += &surprises(matrix);
    text + &unmeasured(matrix)
}

fn block_of(matrix: &Matrix, faults: &[&String]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let header = std::iter::once(Cell::new("protection")).chain(faults.iter().map(Cell::new));
    table.set_header(header);
    for line in &matrix.lines {
        let cells: Vec<Option<&LabCell>> = faults.iter().map(|fault| line.cell(fault)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells = cells.into_iter().map(|cell| Cell::new(cell.map(lines_of).unwrap_or_default()));
        table.add_row(std::iter::once(Cell::new(&line.protection)).chain(cells));
    }
    trimmed(&table)
}

/// What each protection costs without a fault.
fn prices(matrix: &Matrix) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["protection", "without a fault: surviving/s", "price"]);
    for line in &matrix.lines {
        let Some(rate) = line.surviving_per_s else { continue };
        let price = line.price.map_or_else(String::new, |price| format!("{price:.2}"));
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([Cell::new(&line.protection), right(crate::report::words::rate(rate)), right(price)]);
    }
    trimmed(&table)
}

/// A table without the blanks at the ends of its lines.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Losses against what a model predicts.
fn predictions(matrix: &Matrix) -> String {
    let said = matrix.cells().filter_map(|(line, cell)| {
        let predicted = cell.predicted_lost.filter(|&predicted| predicted > 0 && cell.lost.total > 0)?;
        let ratio = cell.lost.total as f64 / predicted as f64;
        Some(format!(
            "  {} under {}: {} lost, {} predicted by rate × delay (ratio {ratio:.2})\n",
            line.protection,
            cell.fault,
            count(cell.lost.total),
            count(predicted)
        ))
    });
    headed("\nLosses against the prediction:\n", said)
}

fn surprises(matrix: &Matrix) -> String {
    let said = matrix.cells().flat_map(|(line, cell)| {
        cell.surprises.iter().map(move |what| format!("  {} under {}: {what}\n", line.protection, cell.fault))
    });
    headed("\nNot as expected:\n", said)
}

fn unmeasured(matrix: &Matrix) -> String {
    let said = matrix.cells().flat_map(|(line, cell)| {
        cell.unmeasured.iter().map(move |why| format!("  {} under {}: {why}\n", line.protection, cell.fault))
    });
    headed("\nNot measured:\n", said)
}

fn headed(head: &str, said: impl Iterator<Item = String>) -> String {
    let said: String = said.collect();
    if said.is_empty() { said } else { head.to_owned() + &said }
}

/// Every cell as a line of a markdown table.
pub fn markdown(matrix: &Matrix) -> String {
    let mut text = "| protection | fault | lost | doubled | unknown | downtime | recovered after | outcome |\n\
                    |---|---|--:|--:|--:|--:|--:|---|\n"
        .to_owned();
    for (line, cell) in matrix.cells() {
        let number = |total: u64| if cell.trials == 0 { String::new() } else { count(total) };
        let ns = |ns: Option<u64>| ns.map_or_else(String::new, time);
        let bold = |text: String, is: bool| if is { format!("**{text}**") } else { text };
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {} |\n",
            line.protection,
            cell.fault,
            bold(number(cell.lost.total), cell.trials_lost > 0),
            bold(number(cell.doubled.total), cell.trials_doubled > 0),
            number(cell.unknown.total),
            ns(cell.downtime_ns),
            ns(cell.recover_ns),
            outcome(cell).replace('|', "\\|"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::lab::{Expected, LabRow};
    use crate::verdict::Verdict;

    fn row(protection: &str, fault: &str, lost: u64, doubled: u64) -> LabRow {
        LabRow {
            protection: protection.to_owned(),
            fault: fault.to_owned(),
            acked: Some(1_000),
            lost: Some(lost),
            doubled: Some(doubled),
            unknown: Some(4),
            span_ns: Some(1_000_000_000),
            downtime_ns: Some(400_000_000),
            predicted_lost: (lost > 0).then_some(lost * 2),
            expected_lost: Some(Expected::Never),
            verdict: Some(Verdict::Exact),
            ..LabRow::blank()
        }
    }

    fn matrix() -> Matrix {
        let gone = LabRow { verdict: None, note: Some("no port".to_owned()), ..row("incr", "flush", 0, 0) };
        let rows = [row("incr", "none", 0, 0), row("incr", "kill", 900, 0), row("incr-retry", "kill", 0, 7), gone];
        Matrix::of(&rows, &[], &[])
    }

    #[test]
    fn the_table_says_what_was_lost_doubled_unexpected_and_not_measured() {
        let text = terminal(&matrix(), 80);
        for words in [
            "LOST 900",
            "DOUBLED 7",
            "4 unknown",
            "down 400 ms",
            "incr under kill: round 1: lost 900, expected never",
            "1,800 predicted by rate × delay (ratio 0.50)",
            "incr under flush: no port",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let text = markdown(&matrix());
        assert!(text.contains("| `incr` | kill | **900** | 0 | 4 | 400 ms |"), "{text}");
        assert!(text.contains("counted 7 twice (in 1 of 1 trials)"), "{text}");
    }

    #[test]
    fn trials_without_a_loss_prove_so_much() {
        assert_eq!(bound(20), "20 trials, so in fewer than 1 of 7 at 95 %");
        assert_eq!(bound(1), "1 trial, which proves little");
    }
}
