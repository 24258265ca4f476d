//! The result files: their rows and column names. The measuring half of this crate writes them, the reading half reads
//! them, and the two share nothing else.
//!
//! A result folder contains `trials.csv` (one [`Record`] per trial), `latency.csv` (one [`Bucket`] per row) and
//! `machine.csv` (one [`Fact`] per row). Measurements are stored as integers with the unit in the column's name; everything
//! else is derived on reading. Empty is not zero: a cell that could not be measured is empty. Every row is written whole
//! and flushed at once, and the latency rows of a trial precede its row in `trials.csv`, so an interrupted run leaves valid
//! files. `results/README.md` explains every column.

mod cell;
mod check;
mod estimate;
mod facts;
mod fault;
mod folder;
pub mod lab;
mod latency;
pub mod lost_reply;
mod read;
mod rows;
mod standing;
mod warning;
mod witness;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::verdict::{Ledger, Promise, Verdict};

pub use check::Row;
pub use estimate::Estimate;
pub use facts::{Fact, Machine};
pub use fault::Fault;
pub use folder::{ESTIMATES, FAULTS, Folder, HISTORY, LATENCY, MACHINE, PAGE, SUMMARY, TRIALS, WITNESS};
pub use latency::{Bucket, Clock};
pub use read::Run;
pub(crate) use rows::rows_of;
pub use rows::{csv_bytes, read_csv, write_whole};
pub use warning::WarningKind;
pub use witness::Step;

/// One trial: one measured race and its verdict, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it was measured under; these columns come first.
    #[serde(skip)]
    pub condition: Condition,
    /// Its number in its folder, from 1.
    #[serde(default)]
    pub trial: u32,
    /// Which pass over all cells, from 1; 0 for a warm-up that was judged (benches only) and is left out of speeds.
    pub round: u32,
    /// What the strategy promises under this condition.
    pub promise: Promise,
    /// Updates asked for.
    pub attempted: Option<u64>,
    /// Updates reported as applied.
    pub acked: Option<u64>,
    /// Updates that were given up; nothing changed.
    pub refused: Option<u64>,
    /// Updates that ended in an error: they may or may not have happened.
    pub unknown: Option<u64>,
    /// Updates that were due but not yet sent when the schedule of an open loop ended.
    pub backlog: Option<u64>,
    /// Of these, the ones that were never sent.
    pub unsent: Option<u64>,
    /// Protocol-level attempts.
    pub tries: Option<u64>,
    /// What the counters gained, read back by a separate connection.
    pub found: Option<i64>,
    /// Acknowledged updates missing from the counters.
    pub lost: Option<u64>,
    /// Increments applied more than once.
    pub doubled: Option<u64>,
    /// Increments only refused updates can explain.
    pub phantom: Option<u64>,
    /// Acknowledged updates that returned the same value as another.
    pub repeated: Option<u64>,
    /// The part of `lost` where another update wrote the same value.
    pub overwritten: Option<u64>,
    /// The part of `lost` that a late write of an old value took back at the end.
    pub rolled_back: Option<u64>,
    /// Values that the counter passed but no acknowledged update returned.
    pub gaps: Option<u64>,
    /// Updates that returned a smaller value than an update that had ended before they began.
    pub stale: Option<u64>,
    /// Whether the increments are linearizable: `linearizable`, `violated`, `undecided`.
    pub order: Option<String>,
    /// Last end minus first start.
    pub span_ns: Option<u64>,
    /// The part of the span in which all clients were running, 0 to 1.
    pub overlap: Option<f64>,
    /// The slowest client's rate as a fraction of the fastest client's, 0 to 1.
    pub slowest_share: Option<f64>,
    /// Jain's fairness index of the clients' rates, 1/threads to 1.
    pub jain: Option<f64>,
    /// CPU time of all client threads together, or of the one thread that drives all clients. Excludes a client
    /// library's own threads.
    pub client_cpu_ns: Option<u64>,
    /// CPU time of the server process.
    pub server_cpu_us: Option<u64>,
    /// Commands the server executed.
    pub server_calls: Option<u64>,
    /// Commands that ended in an error.
    pub server_failed: Option<u64>,
    /// Commands refused before they ran.
    pub server_rejected: Option<u64>,
    /// Time the server spent inside commands.
    pub server_usec: Option<u64>,
    /// Bytes the server received.
    pub server_in_bytes: Option<u64>,
    /// Bytes the server sent.
    pub server_out_bytes: Option<u64>,
    /// Updates by the server's own count of the command that makes one; empty if no single command does.
    pub server_applied: Option<u64>,
    /// The verdict; empty if nothing was measured.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict, or why a lossy strategy could not show its fault here.
    pub note: Option<String>,
    /// The first error or refusal in the trial.
    pub error: Option<String>,
    /// Milliseconds from the end of the race until the counters could be read, including a wait for a crashed server or
    /// a failover.
    #[serde(default)]
    pub read_back_ms: Option<u64>,
    /// How often a node of a cluster said that a slot has moved (MOVED); empty without a cluster.
    #[serde(default)]
    pub moved: Option<u64>,
    /// How often a node of a cluster redirected a command while a slot was moving (ASK).
    #[serde(default)]
    pub asked: Option<u64>,
    /// Commands that each node executed, in the order of the nodes' slots: `1200+1190+1230`; empty if there is only
    /// one.
    #[serde(default)]
    pub node_calls: Option<String>,
    /// CPU time of each node's process, in microseconds.
    #[serde(default)]
    pub node_cpu_us: Option<String>,
    /// Commands that each replica executed, its primary's writes included, in the order of their primaries; empty if there
    /// is none, or if one could not be asked.
    #[serde(default)]
    pub replica_calls: Option<String>,
    /// CPU time of each replica's process, in microseconds.
    #[serde(default)]
    pub replica_cpu_us: Option<String>,
    /// The runtime of the client library's language, as its worker reports it; empty if the clients are in this
    /// process.
    #[serde(default)]
    pub runtime: Option<String>,
    /// The retry and timeout settings in effect, as the worker read them from the library.
    #[serde(default)]
    pub effective_settings: Option<String>,
    /// How far the times in a worker's rows may be off from our clock.
    #[serde(default)]
    pub clock_error_ns: Option<u64>,
    /// Updates per second that the same number of this worker's clients acknowledge without sending anything: the limit
    /// set by the worker and the protocol. Empty if the worker does not offer that.
    #[serde(default)]
    pub no_op_per_s: Option<u64>,
}

impl Record {
    /// The same row with these accounts.
    pub(crate) fn with(self, ledger: &Ledger) -> Self {
        Self {
            attempted: Some(ledger.attempted),
            acked: Some(ledger.acked),
            refused: Some(ledger.refused),
            unknown: Some(ledger.unknown),
            tries: Some(ledger.tries),
            found: Some(ledger.found),
            lost: Some(ledger.lost),
            doubled: Some(ledger.doubled),
            phantom: Some(ledger.phantom),
            repeated: Some(ledger.repeated),
            overwritten: Some(ledger.overwritten),
            rolled_back: Some(ledger.rolled_back),
            gaps: Some(ledger.gaps),
            stale: Some(ledger.stale),
            ..self
        }
    }

    /// A row with a condition and a promise, and no measurement yet.
    pub fn blank(condition: Condition, promise: Promise) -> Self {
        Self {
            condition,
            trial: 0,
            round: 0,
            promise,
            attempted: None,
            acked: None,
            refused: None,
            unknown: None,
            backlog: None,
            unsent: None,
            tries: None,
            found: None,
            lost: None,
            doubled: None,
            phantom: None,
            repeated: None,
            overwritten: None,
            rolled_back: None,
            gaps: None,
            stale: None,
            order: None,
            span_ns: None,
            overlap: None,
            slowest_share: None,
            jain: None,
            client_cpu_ns: None,
            server_cpu_us: None,
            server_calls: None,
            server_failed: None,
            server_rejected: None,
            server_usec: None,
            server_in_bytes: None,
            server_out_bytes: None,
            server_applied: None,
            verdict: None,
            note: None,
            error: None,
            read_back_ms: None,
            moved: None,
            asked: None,
            node_calls: None,
            replica_calls: None,
            replica_cpu_us: None,
            node_cpu_us: None,
            runtime: None,
            effective_settings: None,
            clock_error_ns: None,
            no_op_per_s: None,
        }
    }

    /// All its columns, as rows are written.
    pub(crate) fn row(&self) -> (&Condition, &Self) {
        (&self.condition, self)
    }

    /// A row of this trial's latencies: the upper bound in nanoseconds, and the count of updates.
    pub fn bucket(&self, clock: Clock, (up_to_ns, count): (u64, u64)) -> Bucket {
        let Condition { strategy, threads, keys, .. } = &self.condition;
        let (strategy, threads, keys) = (strategy.clone(), *threads, *keys);
        Bucket { trial: self.trial, round: self.round, strategy, threads, keys, clock, up_to_ns, count }
    }

    /// A row of what was done during this trial.
    pub fn fault(&self, at_ns: i64, what: impl ToString) -> Fault {
        Fault { trial: self.trial, at_ns, connection: None, command: None, name: None, what: what.to_string() }
    }

    /// The clock of this trial's latency: in an open loop, it starts at the intended instant.
    pub fn clock(&self) -> Clock {
        if self.condition.offered_per_s.is_some() { Clock::Response } else { Clock::Service }
    }

    /// Acknowledged updates per second.
    pub fn acked_per_s(&self) -> Option<f64> {
        Some(self.acked? as f64 * 1e9 / self.span_ns.filter(|&span| span > 0)? as f64)
    }

    /// Acknowledged minus lost, per second: the goodput, the headline figure.
    pub fn surviving_per_s(&self) -> Option<f64> {
        let surviving = self.acked?.saturating_sub(self.lost?);
        Some(surviving as f64 * 1e9 / self.span_ns.filter(|&span| span > 0)? as f64)
    }

    /// Whether the clients' ledger and the server's own count agree; `None` if the server cannot tell.
    pub fn sources_agree(&self) -> Option<bool> {
        let (applied, acked) = (self.server_applied?, self.acked?);
        Some(applied >= acked && applied <= acked.saturating_add(self.unknown?))
    }

    /// Whether an exact strategy broke its promise here.
    pub fn is_broken_promise(&self) -> bool {
        self.promise == Promise::Exact && self.verdict.is_some_and(Verdict::breaks_exactness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Topology, Transport};
    use crate::workload::{DriverKind, Skew};

    #[test]
    fn rows_come_back_as_they_were_written_and_a_short_last_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let mut machine = Machine::default();
        machine.add("host", "a, \"quoted\" one");
        let mut folder = Folder::create(&path, &machine).unwrap();
        let condition = Condition {
            driver: DriverKind::Events,
            transport: Transport::DockerTcp,
            pool_size: Some(3),
            skew: Skew::Zipf(1.5),
            offered_per_s: Some(1_000),
            server: "valkey 9.1.2".to_owned(),
            topology: Topology::Cluster,
            tls: true,
            ..Condition::of("get-set", 4, 2)
        };
        let mut record = Record { trial: 1, ..Record::blank(condition, Promise::Lossy) };
        (record.acked, record.lost, record.overlap) = (Some(10), Some(0), Some(0.25));
        (record.verdict, record.error) = (Some(Verdict::Lost), Some("two\nlines".to_owned()));
        let bucket = record.bucket(Clock::Response, (1_007, 10));
        folder.append(&record, std::slice::from_ref(&bucket)).unwrap();
        let trials = path.join(TRIALS);
        let mut cut = std::fs::read(&trials).unwrap();
        cut.extend_from_slice(b"get-set,los");
        std::fs::write(&trials, cut).unwrap();
        let run = Run::read(&path).unwrap();
        assert_eq!((run.machine, run.records, run.latency), (machine, vec![record], vec![bucket]));
        assert!(Folder::create(&path, &Machine::default()).is_err(), "a run is never written over");
    }
}
