//! The matrix at a glance: one short figure for each protection under each fault, so that all faults fit beside each other.

use super::cells::{Cell, Matrix, Protected};
use super::table::fate;
use super::verdict;
use crate::report::page::scale::rate_tick;

/// Up to this many columns the matrix itself is narrow enough.
const NARROW: usize = 6;

/// The table.
pub(super) struct Glance {
    /// The faults, starting with none.
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Line>,
}

/// What became of a protection.
pub(super) struct Line {
    pub(super) name: String,
    /// Its speed without a fault, as a multiple of INCR's.
    pub(super) price: String,
    /// One for each head; `None` where nothing was tested.
    pub(super) marks: Vec<Option<Mark>>,
}

/// What became of it under one fault, in the worst trial.
pub(super) struct Mark {
    pub(super) class: &'static str,
    /// `0`, `9.2k` lost, `+41` doubled, `–` not measured.
    pub(super) said: String,
    /// The same in words, as the cell's tooltip.
    pub(super) whole: String,
}

/// The table; `None` if the matrix itself is narrow enough.
pub(super) fn glance(matrix: &Matrix<'_>) -> Option<Glance> {
    if matrix.columns.len() <= NARROW {
        return None;
    }
    let named = matrix.columns.iter().map(|&column| matrix.column_title(column));
    let heads: Vec<String> = std::iter::once("No fault".to_owned()).chain(named).collect();
    let rows = matrix
        .tested()
        .map(|row| Line {
            name: matrix.title(row),
            price: matrix.price(row).map_or_else(String::new, verdict::share),
            marks: marks(matrix, row, &heads),
        })
        .collect();
    Some(Glance { heads, rows })
}

fn marks(matrix: &Matrix<'_>, row: &Protected<'_>, heads: &[String]) -> Vec<Option<Mark>> {
    let faulted = matrix.columns.iter().map(|&column| row.at(column).max_by_key(|cell| cell.worst()));
    let cells = std::iter::once(row.healthy().max_by_key(|cell| cell.worst())).chain(faulted);
    cells.zip(heads).map(|(cell, head)| cell.map(|cell| mark(cell, &format!("{}, {head}", row.name)))).collect()
}

/// The most that a trial lost, and the most that one doubled.
fn most(cell: &Cell<'_>) -> [u64; 2] {
    [cell.spread(|trial| trial.lost), cell.spread(|trial| trial.doubled)].map(|spread| spread.map_or(0, |s| s.high))
}

fn mark(cell: &Cell<'_>, of: &str) -> Mark {
    // Two digits are enough at a glance, and narrow.
    let short = |count: u64| match count {
        10_000..1_000_000 => format!("{}k", (count as f64 / 1e3).round()),
        _ => rate_tick(count as f64),
    };
    let (class, said) = match (cell.note().is_some(), most(cell)) {
        (true, _) => ("blank", "–".to_owned()),
        (false, [0, 0]) => ("held", "0".to_owned()),
        (false, [lost, 0]) => ("hurt", short(lost)),
        (false, [0, doubled]) => ("hurt", format!("+{}", short(doubled))),
        (false, [lost, doubled]) => ("hurt", format!("{} +{}", short(lost), short(doubled))),
    };
    Mark { class, said, whole: format!("{of}: {}", fate(cell)) }
}
