//! The summary as CSV, one row a cell: for a spreadsheet, or for `cut` and `awk`.

use serde::Serialize;

use crate::error::Result;
use crate::record::csv_bytes;
use crate::summary::{CellSummary, Summary};
use crate::verdict::{Promise, Verdict};

/// A cell's row. The unit is in the column's name; empty is not zero.
#[derive(Serialize)]
struct Row<'a> {
    strategy: &'a str,
    promise: Promise,
    driver: &'a str,
    threads: usize,
    keys: usize,
    trials: usize,
    verdict: Option<Verdict>,
    acked: u64,
    lost: u64,
    doubled: u64,
    refused: u64,
    unknown: u64,
    lost_part: Option<f64>,
    lost_part_low: Option<f64>,
    lost_part_high: Option<f64>,
    acked_per_s: Option<f64>,
    surviving_per_s: Option<f64>,
    surviving_per_s_low: Option<f64>,
    surviving_per_s_high: Option<f64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    p9999_ns: Option<u64>,
    tries_per_update: Option<f64>,
    overlap: Option<f64>,
    jain: Option<f64>,
    note: Option<&'a str>,
    error: Option<&'a str>,
}

/// Every cell as a row of CSV, header first.
///
/// # Errors
/// A row cannot be written as CSV.
pub fn sheet(summary: &Summary) -> Result<Vec<u8>> {
    csv_bytes(&summary.cells.iter().map(row).collect::<Vec<_>>())
}

fn row(cell: &CellSummary) -> Row<'_> {
    let told = |figure: f64| (cell.trials > 0).then_some(figure);
    let [p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns] = cell.latency_ns;
    Row {
        strategy: &cell.strategy,
        promise: cell.promise,
        driver: &cell.driver,
        threads: cell.threads,
        keys: cell.keys,
        trials: cell.trials,
        verdict: cell.verdict,
        acked: cell.acked,
        lost: cell.lost,
        doubled: cell.doubled,
        refused: cell.refused,
        unknown: cell.unknown,
        lost_part: told(cell.lost_fraction),
        lost_part_low: told(cell.lost_interval.0),
        lost_part_high: told(cell.lost_interval.1),
        acked_per_s: told(cell.acked_per_s.median),
        surviving_per_s: told(cell.surviving_per_s.median),
        surviving_per_s_low: told(cell.surviving_per_s.low),
        surviving_per_s_high: told(cell.surviving_per_s.high),
        p50_ns,
        p90_ns,
        p99_ns,
        p999_ns,
        p9999_ns,
        tries_per_update: told(cell.tries_per_update),
        overlap: told(cell.overlap),
        jain: told(cell.jain),
        note: cell.note.as_deref(),
        error: cell.error.as_deref(),
    }
}
