//! The summary as CSV, one row per cell: for a spreadsheet, or for `cut` and `awk`.

use serde::Serialize;

use crate::condition::Condition;
use crate::error::Result;
use crate::record::{Clock, csv_bytes};
use crate::summary::{CellSummary, Limit, Summary};
use crate::verdict::{Promise, Verdict};

/// What stands in a cell's row behind its condition. The unit is in the column's name; empty is not zero.
#[derive(Serialize)]
struct Row<'a> {
    promise: Promise,
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
    backlog: Option<u64>,
    unsent: Option<u64>,
    acked_per_s: Option<f64>,
    surviving_per_s: Option<f64>,
    surviving_per_s_low: Option<f64>,
    surviving_per_s_high: Option<f64>,
    latency_clock: Clock,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    p9999_ns: Option<u64>,
    service_p50_ns: Option<u64>,
    service_p90_ns: Option<u64>,
    service_p99_ns: Option<u64>,
    service_p999_ns: Option<u64>,
    service_p9999_ns: Option<u64>,
    pool_wait_p50_ns: Option<u64>,
    pool_wait_p99_ns: Option<u64>,
    tries_per_update: Option<f64>,
    overlap: Option<f64>,
    jain: Option<f64>,
    client_cpus: Option<f64>,
    server_cpus: Option<f64>,
    limit: Option<Limit>,
    no_op_per_s: Option<u64>,
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

fn row(cell: &CellSummary) -> (&Condition, Row<'_>) {
    let told = |figure: f64| (cell.trials > 0).then_some(figure);
    let [p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns] = cell.latency_ns;
    let service = cell.service_ns.unwrap_or_default();
    let waits = cell.pool_wait_ns.unwrap_or_default();
    let row = Row {
        promise: cell.promise,
        trials: cell.trials,
        verdict: cell.verdict,
        acked: cell.acked,
        lost: cell.lost,
        doubled: cell.doubled,
        refused: cell.refused,
        unknown: cell.unknown,
        lost_part: told(cell.lost_part()),
        lost_part_low: told(cell.lost_interval.0),
        lost_part_high: told(cell.lost_interval.1),
        backlog: cell.backlog,
        unsent: cell.unsent,
        acked_per_s: told(cell.acked_per_s.median),
        surviving_per_s: told(cell.surviving_per_s.median),
        surviving_per_s_low: told(cell.surviving_per_s.low),
        surviving_per_s_high: told(cell.surviving_per_s.high),
        latency_clock: cell.latency_clock,
        p50_ns,
        p90_ns,
        p99_ns,
        p999_ns,
        p9999_ns,
        service_p50_ns: service[0],
        service_p90_ns: service[1],
        service_p99_ns: service[2],
        service_p999_ns: service[3],
        service_p9999_ns: service[4],
        pool_wait_p50_ns: waits[0],
        pool_wait_p99_ns: waits[2],
        tries_per_update: told(cell.tries_per_update),
        overlap: told(cell.overlap),
        jain: told(cell.jain),
        client_cpus: told(cell.client_cpus),
        server_cpus: told(cell.server_cpus),
        limit: cell.limit,
        no_op_per_s: cell.no_op_per_s,
        note: cell.note.as_deref(),
        error: cell.error.as_deref(),
    };
    (&cell.condition, row)
}
