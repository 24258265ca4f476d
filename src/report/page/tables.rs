//! A table that can be sorted and copied: its heads, its rows and their cells.

use crate::report::markup::Markup;
use crate::report::words;

/// Heads and rows, which have as many cells.
pub(super) struct Table {
    /// Heads: name, what it means, and whether its cells are numbers.
    pub(super) heads: Vec<(String, String, bool)>,
    pub(super) rows: Vec<Row>,
}

/// A row.
pub(super) struct Row {
    pub(super) classes: String,
    pub(super) cells: Vec<Cell>,
}

/// A cell of a table: what to sort and copy by, and what to read (as HTML).
pub(super) struct Cell {
    pub(super) value: String,
    pub(super) html: Markup,
    pub(super) number: bool,
}

pub(super) fn word(value: &str, html: impl Into<Markup>) -> Cell {
    Cell { value: value.to_owned(), html: html.into(), number: false }
}

/// A cell without a figure.
pub(super) fn blank() -> Cell {
    word("", "")
}

pub(super) fn number(value: f64, html: impl Into<Markup>) -> Cell {
    // Five digits behind the first are more than any figure here is worth.
    let value = if value == value.trunc() && value.abs() < 1e15 {
        format!("{value}")
    } else {
        format!("{value:.5e}").parse::<f64>().map_or_else(|_| String::new(), |v| v.to_string())
    };
    Cell { value, html: html.into(), number: true }
}

pub(super) fn head(name: &str, meaning: &str, number: bool) -> (String, String, bool) {
    (name.to_owned(), meaning.to_owned(), number)
}

/// A time under a head that says microseconds: all rows in one unit compare at a glance.
pub(super) fn micros(ns: u64) -> String {
    words::rate(ns as f64 / 1e3)
}
