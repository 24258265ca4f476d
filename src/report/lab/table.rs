//! What became of a cell in a few words, and the README's short table.

use super::cells::{BASE, Cell, Column, Matrix};
use super::verdict;
use crate::record::lab::{LabRow, LabRun, why_unmeasured};
use crate::report::words::count;

/// What became of the updates of a cell, in a few words: `lost 48 (0 to 60)`, `doubled 11`, `none lost`.
pub(super) fn fate(cell: &Cell<'_>) -> String {
    if let Some(note) = cell.note() {
        return why_unmeasured(note);
    }
    let spread = |of: fn(&LabRow) -> Option<u64>| cell.spread(of).filter(|spread| spread.high > 0);
    let lost = spread(|trial| trial.lost).map(|spread| format!("lost {}", spread.text(count)));
    let doubled = spread(|trial| trial.doubled).map(|spread| format!("doubled {}", spread.text(count)));
    let said: Vec<String> = [lost, doubled].into_iter().flatten().collect();
    match (said.is_empty(), cell.spread(|trial| trial.acked).is_none_or(|acked| acked.high == 0)) {
        (true, true) => "nothing acknowledged".to_owned(),
        (true, false) => "none lost".to_owned(),
        (false, _) => said.join(", "),
    }
}

pub(super) fn figure(cell: &Cell<'_>, of: impl Fn(&LabRow) -> Option<u64>, word: impl Fn(u64) -> String) -> String {
    cell.spread(of).map_or_else(String::new, |spread| spread.text(word))
}

fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The README's short table: a row for each protection, what it lost or doubled under each of at most `MOST_COLUMNS` faults,
/// and what it costs.
pub fn summary_table(run: &LabRun) -> String {
    let matrix = Matrix::of(&run.rows);
    let columns = telling(&matrix);
    let mut head = vec!["protection".to_owned()];
    head.extend(columns.iter().map(|&column| matrix.column_title(column).to_lowercase()));
    head.push("speed without a fault".to_owned());
    let mut text = row(&head) + &format!("|---|{}--:|\n", "---|".repeat(columns.len()));
    for protected in &matrix.rows {
        let mut cells = vec![format!("`{}`", matrix.title(protected))];
        for &column in &columns {
            let fates: Vec<String> = protected.at(column).map(short).collect();
            cells.push(fates.join("; "));
        }
        cells.push(matrix.price(protected).map_or_else(String::new, verdict::share));
        if cells[1..cells.len() - 1].iter().any(|cell| !cell.is_empty()) {
            text += &row(&cells);
        }
    }
    text
}

/// A trial with fewer acknowledged updates than this shows little.
pub(super) const FEW: u64 = 1_000;

/// The most faults that fit beside each other in a README.
const MOST_COLUMNS: usize = 5;

/// The faults that tell protections apart: first those that damaged plain INCR or a protection, then those that most
/// protections met. What damages only an unprotected control tells nothing apart.
fn telling<'a>(matrix: &Matrix<'a>) -> Vec<Column<'a>> {
    let mut columns: Vec<_> = matrix
        .columns
        .iter()
        .copied()
        .map(|column| {
            let cells: Vec<&Cell<'_>> =
                matrix.rows.iter().flat_map(|row| row.at(column)).filter(|cell| cell.count() > 0).collect();
            let is_control = |cell: &Cell<'_>| cell.first().family == "none" && cell.first().protection != BASE;
            let hurt = cells.iter().any(|cell| !cell.is_clean() && !is_control(cell));
            (column, hurt, cells.len())
        })
        .filter(|&(.., cells)| cells > 0)
        .collect();
    // Stable, so that the run's own order decides between equals.
    columns.sort_by_key(|&(_, hurt, cells)| std::cmp::Reverse((hurt, cells)));
    columns.into_iter().take(MOST_COLUMNS).map(|(column, ..)| column).collect()
}

/// `**lost 48** in 10 of 10`, `0 in 10`.
fn short(cell: &Cell<'_>) -> String {
    let trials = cell.count();
    match (cell.note().is_some(), cell.is_clean()) {
        (true, _) if cell.first().is_skipped() => "skipped".to_owned(),
        (true, _) => "not measured".to_owned(),
        (false, true) => match cell.spread(|trial| trial.acked).filter(|acked| acked.high < FEW) {
            Some(acked) => format!("0 in {trials}, of {} acknowledged", acked.text(count)),
            None => format!("0 in {trials}"),
        },
        (false, false) => format!("**{}** in {} of {trials}", fate(cell), cell.losing().max(cell.doubling())),
    }
}
