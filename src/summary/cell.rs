//! All trials of one condition, summed up.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::Condition;
use crate::record::{Clock, Record};
use crate::stats::{Spread, proportion_interval, quantile};
use crate::verdict::{Promise, Verdict};

use super::latency::{Latencies, PERCENTILES, percentiles, pooled};
use super::modes::modes;
use super::{Limit, Node, named, nodes};

/// All trials of one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSummary {
    /// What they were measured under.
    #[serde(flatten)]
    pub condition: Condition,
    /// What it is called in this run: its strategy, and what else tells it from other conditions of that strategy.
    pub label: String,
    /// What the strategy promises under it.
    pub promise: Promise,
    /// Trials that ended in a verdict.
    pub trials: usize,
    /// Updates that were due but not yet sent when the schedule was over, in the worst trial; `None` in a closed loop.
    pub backlog: Option<u64>,
    /// Updates that were due and never sent, in the worst trial; `None` in a closed loop.
    pub unsent: Option<u64>,
    /// Trials that did not keep up with the rate offered.
    pub trials_behind: usize,
    /// Acknowledged updates per second: what was achieved, where a rate was offered.
    pub acked_per_s: Spread,
    /// Acknowledged minus lost, per second: the goodput.
    pub surviving_per_s: Spread,
    /// Acknowledged updates of all trials.
    pub acked: u64,
    /// Lost updates of all trials.
    pub lost: u64,
    /// Doubled updates of all trials.
    pub doubled: u64,
    /// Refused updates of all trials.
    pub refused: u64,
    /// Updates of unknown outcome of all trials.
    pub unknown: u64,
    /// The lost part of the acknowledged updates, 0 to 1.
    pub lost_fraction: f64,
    /// Its exact 95 % interval; for no loss, the upper end is the bound below which it lies. It takes updates for
    /// independent, which losses that come in bursts are not; the spread between trials is in `lost_spread`.
    #[serde(serialize_with = "named::interval")]
    pub lost_interval: (f64, f64),
    /// The lost part, trial by trial.
    pub lost_spread: Spread,
    /// Since when latencies are taken: in an open loop from the intended instant.
    pub latency_clock: Clock,
    /// Latency percentiles in nanoseconds: p50, p90, p99, p99.9, p99.99; `None` where fewer than ten updates lie beyond.
    #[serde(serialize_with = "named::percentiles")]
    pub latency_ns: [Option<u64>; 5],
    /// The same from the send, in an open loop: what the server and the strategy took, without the waiting for a turn.
    #[serde(serialize_with = "named::percentiles_if_any")]
    pub service_ns: Option<[Option<u64>; 5]>,
    /// The part of it spent waiting for a connection from the pool, if `--pool-size` was given.
    #[serde(serialize_with = "named::percentiles_if_any")]
    pub pool_wait_ns: Option<[Option<u64>; 5]>,
    /// The percentiles of `latency_ns`, trial by trial.
    #[serde(serialize_with = "named::spreads")]
    pub latency_spread: [Spread; 5],
    /// The latency buckets of all trials: (upper bound in ns, count).
    #[serde(skip)]
    pub buckets: Vec<(u64, u64)>,
    /// Attempts per attempted update.
    pub tries_per_update: f64,
    /// The median overlap, 0 to 1.
    pub overlap: f64,
    /// The median of Jain's fairness index.
    pub jain: f64,
    /// The slowest client's rate as a part of the fastest one's, median over trials.
    pub slowest_share: f64,
    /// CPUs' worth of client threads busy over the span, median.
    pub client_cpus: f64,
    /// Updates per second that as many clients of the same worker acknowledge when they send nothing; `None` where the
    /// clients are in this process.
    pub no_op_per_s: Option<u64>,
    /// CPUs' worth of server process busy over the span, median.
    pub server_cpus: f64,
    /// Who had no CPU time left; `None` if nobody, or if that is not known.
    pub limit: Option<Limit>,
    /// Each primary's share of the work, in the order of the slots; empty if there is one server.
    pub nodes: Vec<Node>,
    /// Each replica's share, its primary's writes included, in the order of their primaries.
    pub replica_nodes: Vec<Node>,
    /// Server CPU microseconds per surviving update.
    pub server_cpu_us_per_surviving: Option<f64>,
    /// Microseconds inside server commands per acknowledged update.
    pub server_us_per_update: f64,
    /// Server commands per acknowledged update.
    pub calls_per_update: f64,
    /// Bytes the server received and sent per acknowledged update.
    #[serde(serialize_with = "named::traffic")]
    pub bytes_per_update: (f64, f64),
    /// The worst verdict of all trials.
    pub verdict: Option<Verdict>,
    /// Trials in which the server's own count does not agree with the clients' ledger.
    pub disagreements: usize,
    /// The two modes (acked/s), if the trials fall into two that are far apart.
    #[serde(serialize_with = "named::interval_if_any")]
    pub modes: Option<(f64, f64)>,
    /// Why there is no verdict, or why a fault could not show.
    pub note: Option<String>,
    /// The first error.
    pub error: Option<String>,
    /// Whether a sum was too large for 64 bits and stands for "at least that many".
    pub capped: bool,
}

/// The part of an offered rate that must be achieved to have kept up: the last updates end after the schedule does.
const KEPT_UP: f64 = 0.99;

/// Below this part of the span with every client at it, a race was hardly one.
const LOW_OVERLAP: f64 = 0.5;

/// From this part of its updates refused, a cell is worth a word.
const REFUSED: f64 = 0.001;

/// Above this half-width relative to the median, an interval is worth a word.
const WIDE: f64 = 0.3;

/// Whether a trial did not keep up with its rate. A last update that was sent in time and took long is no such thing,
/// though it lowers the rate of a short trial.
fn fell_behind(record: &Record) -> bool {
    let is_behind = record.backlog.is_some_and(|backlog| backlog > 0);
    let achieved = record.acked_per_s().zip(record.condition.offered_per_s);
    is_behind && achieved.is_some_and(|(achieved, offered)| achieved < offered as f64 * KEPT_UP)
}

impl CellSummary {
    /// The 99th percentile of the latency, if enough updates were measured for one.
    pub fn p99_ns(&self) -> Option<u64> {
        self.latency_ns[2]
    }

    /// The part of the acknowledged updates that was lost, as the median of the trials, like the rates beside it; of all
    /// trials together where most lost nothing.
    pub fn lost_part(&self) -> f64 {
        match (self.lost, self.lost_spread.median) {
            (0, _) => 0.0,
            (_, median) if median > 0.0 => median,
            _ => self.lost_fraction,
        }
    }

    /// Whether a rate was offered that at least one trial did not reach: what was achieved then says how much the strategy
    /// can do.
    pub fn fell_behind(&self) -> bool {
        self.trials_behind > 0
    }

    /// Whether all clients were at it together for less than half of the time: hardly a race of so many.
    pub fn is_hardly_a_race(&self) -> bool {
        self.trials > 0 && self.condition.threads > 1 && self.overlap < LOW_OVERLAP
    }

    /// Whether its trials scatter so far that small differences mean nothing.
    pub fn is_scattered(&self) -> bool {
        self.trials > 0 && self.acked_per_s.relative() > WIDE
    }

    /// Whether so many of its updates were refused that it is worth a word.
    pub fn is_refusing(&self) -> bool {
        self.trials > 0 && self.refused_part() >= REFUSED
    }

    /// The part of its updates that were given up with nothing changed.
    pub fn refused_part(&self) -> f64 {
        match self.acked.saturating_add(self.refused).saturating_add(self.unknown) {
            0 => 0.0,
            attempted => self.refused as f64 / attempted as f64,
        }
    }

    /// Summarises the records of one cell (at least one).
    pub(super) fn of(records: &[&Record], latencies: &Latencies) -> Self {
        let first = records[0];
        let (clock, none) = (first.clock(), BTreeMap::new());
        let latency = latencies.get(&clock).unwrap_or(&none);
        let buckets = pooled(latency);
        let service = latencies.get(&Clock::Service).filter(|_| clock == Clock::Response).map(pooled);
        let by_trial: Vec<Vec<(u64, u64)>> =
            latency.values().map(|counts| counts.iter().map(|(&up_to, &count)| (up_to, count)).collect()).collect();
        let between_trials = |q: f64| {
            let times: Vec<f64> = by_trial.iter().filter_map(|buckets| Some(quantile(buckets, q)? as f64)).collect();
            Spread::of(&times).unwrap_or_default()
        };
        let all_judged = || records.iter().copied().filter(|record| record.verdict.is_some());
        // Warm-ups (round 0) count for the verdict and for nothing else.
        let judged: Vec<&Record> = all_judged().filter(|record| record.round > 0).collect();
        let spread = |figure: &dyn Fn(&Record) -> Option<f64>| {
            Spread::of(&judged.iter().filter_map(|record| figure(record)).collect::<Vec<_>>()).unwrap_or_default()
        };
        let capped = Cell::new(false);
        let sum = |figure: &dyn Fn(&Record) -> Option<u64>| {
            let (whole, over) = judged.iter().filter_map(|r| figure(r)).fold((0_u64, false), |(sum, over), count| {
                let more = sum.checked_add(count);
                (more.unwrap_or(u64::MAX), over || more.is_none())
            });
            capped.set(capped.get() || over);
            whole
        };
        let (acked, lost) = (sum(&|r| r.acked), sum(&|r| r.lost));
        let per_acked = |total: u64| if acked == 0 { 0.0 } else { total as f64 / acked as f64 };
        let part_lost = |r: &Record| Some(r.lost? as f64 / r.acked.filter(|&acked| acked > 0)? as f64);
        let attempted = sum(&|r| r.attempted);
        let surviving = acked.saturating_sub(lost);
        let cpu = sum(&|r| r.server_cpu_us);
        Self {
            condition: first.condition.clone(),
            label: first.condition.strategy.clone(),
            promise: first.promise,
            trials: judged.len(),
            backlog: judged.iter().filter_map(|r| r.backlog).max(),
            unsent: judged.iter().filter_map(|r| r.unsent).max(),
            trials_behind: judged.iter().filter(|record| fell_behind(record)).count(),
            acked_per_s: spread(&Record::acked_per_s),
            surviving_per_s: spread(&Record::surviving_per_s),
            acked,
            lost,
            doubled: sum(&|r| r.doubled),
            refused: sum(&|r| r.refused),
            unknown: sum(&|r| r.unknown),
            lost_fraction: per_acked(lost),
            lost_interval: proportion_interval(lost, acked),
            lost_spread: spread(&part_lost),
            latency_clock: clock,
            service_ns: service.map(|buckets| percentiles(&buckets)),
            pool_wait_ns: latencies.get(&Clock::Pool).map(|waits| percentiles(&pooled(waits))),
            latency_ns: percentiles(&buckets),
            latency_spread: PERCENTILES.map(between_trials),
            buckets,
            tries_per_update: if attempted == 0 { 0.0 } else { sum(&|r| r.tries) as f64 / attempted as f64 },
            overlap: spread(&|r| r.overlap).median,
            jain: spread(&|r| r.jain).median,
            slowest_share: spread(&|r| r.slowest_share).median,
            client_cpus: spread(&|r| Some(r.client_cpu_ns? as f64 / r.span_ns.filter(|&ns| ns > 0)? as f64)).median,
            server_cpus: spread(&|r| Some(r.server_cpu_us? as f64 * 1e3 / r.span_ns.filter(|&ns| ns > 0)? as f64))
                .median,
            no_op_per_s: judged.iter().filter_map(|r| r.no_op_per_s).max(),
            limit: None,
            nodes: nodes::primaries(&judged),
            replica_nodes: nodes::replicas(&judged),
            server_cpu_us_per_surviving: (surviving > 0).then(|| cpu as f64 / surviving as f64),
            server_us_per_update: per_acked(sum(&|r| r.server_usec)),
            calls_per_update: per_acked(sum(&|r| r.server_calls)),
            bytes_per_update: (per_acked(sum(&|r| r.server_in_bytes)), per_acked(sum(&|r| r.server_out_bytes))),
            verdict: all_judged().filter_map(|record| record.verdict).max(),
            disagreements: judged.iter().filter(|record| record.sources_agree() == Some(false)).count(),
            modes: modes(&judged.iter().filter_map(|record| record.acked_per_s()).collect::<Vec<_>>()),
            note: records.iter().find_map(|record| record.note.clone()),
            error: records.iter().find_map(|record| record.error.clone()),
            capped: capped.get(),
        }
    }
}
