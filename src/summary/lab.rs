//! The failure lab's trials grouped by cell: what was lost, doubled and how long nothing was acknowledged, and the price.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::Topology;
use crate::record::lab::{Expected, LabRow};
use crate::stats::{middle, proportion_interval};

pub use crate::condition::NO_FAULT;

/// The protection that prices are relative to.
pub const UNPROTECTED: &str = "incr";

/// All trials of one protection under one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabCell {
    /// The fault.
    pub fault: String,
    /// How the servers were arranged.
    pub topology: Topology,
    /// Trials that ended in a verdict.
    pub trials: u64,
    /// Why others did not, each reason once.
    pub unmeasured: Vec<String>,
    /// Trials that lost something.
    pub trials_lost: u64,
    /// Trials that doubled something.
    pub trials_doubled: u64,
    /// The fraction of trials that lose something, as an interval at 95 %.
    pub lost_trials_interval: (f64, f64),
    /// Acknowledged updates of all trials.
    pub acked: u64,
    /// Lost ones of all trials, and the fewest and the most of one trial.
    pub lost: Sum,
    /// Of these, acknowledged before, during and after the fault's window, where that is known.
    pub lost_when: Option<(u64, u64, u64)>,
    /// What a model predicts for all trials together, if there is a model.
    pub predicted_lost: Option<u64>,
    /// Doubled updates.
    pub doubled: Sum,
    /// Updates that may or may not have happened.
    pub unknown: Sum,
    /// Updates that certainly did not happen.
    pub refused: Sum,
    /// Commands that the proxy lost.
    pub commands_lost: Option<u64>,
    /// The longest time without an acknowledgement, the median over the trials.
    pub downtime_ns: Option<u64>,
    /// From the fault's beginning until acknowledgements came again, the median; empty if they never did in some trial.
    pub recover_ns: Option<u64>,
    /// What was expected.
    pub expected_lost: Option<Expected>,
    /// What was expected.
    pub expected_doubled: Option<Expected>,
    /// Why.
    pub why: String,
    /// What was not as expected, trial by trial.
    pub surprises: Vec<String>,
}

/// A count over several trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Of all trials together.
    pub total: u64,
    /// Of the trial with the fewest.
    pub least: u64,
    /// Of the trial with the most.
    pub most: u64,
}

impl Sum {
    fn of(counts: impl Iterator<Item = u64> + Clone) -> Self {
        let total = counts.clone().fold(0, u64::saturating_add);
        Self { total, least: counts.clone().min().unwrap_or(0), most: counts.max().unwrap_or(0) }
    }
}

/// One protection on one server: its price, and its cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabLine {
    /// The protection.
    pub protection: String,
    /// What kind it is.
    pub family: String,
    /// The server's product and version.
    pub server: String,
    /// Settings of it.
    pub server_settings: String,
    /// Clients at once.
    pub clients: u32,
    /// Surviving updates per second without a fault: the median.
    pub surviving_per_s: Option<f64>,
    /// The same as a fraction of unprotected INCR's on the same server.
    pub price: Option<f64>,
    /// Its cells by fault, in the order of [`Matrix::faults`].
    pub cells: Vec<LabCell>,
}

/// The whole table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Matrix {
    /// The columns: every fault that occurs, in the order given to [`Matrix::of`].
    pub faults: Vec<String>,
    /// The lines.
    pub lines: Vec<LabLine>,
}

impl LabLine {
    /// The cell of a fault, if it was measured or tried.
    pub fn cell(&self, fault: &str) -> Option<&LabCell> {
        self.cells.iter().find(|cell| cell.fault == fault)
    }
}

impl Matrix {
    /// Groups the rows. Protections and faults stand in the order in which `protections` and `faults` name them; any
    /// others follow by name.
    pub fn of(rows: &[LabRow], protections: &[String], faults: &[String]) -> Self {
        let rank = |known: &[String], name: &str| known.iter().position(|known| known == name).unwrap_or(known.len());
        let mut columns: Vec<String> = Vec::new();
        let mut grouped: BTreeMap<(String, u32, usize, String), Vec<&LabRow>> = BTreeMap::new();
        for row in rows {
            if !columns.contains(&row.fault) {
                columns.push(row.fault.clone());
            }
            let place = rank(protections, &row.protection);
            grouped.entry((row.server.clone(), row.clients, place, row.protection.clone())).or_default().push(row);
        }
        columns.sort_by_key(|fault| (rank(faults, fault), fault.clone()));
        let mut lines: Vec<LabLine> = grouped.into_values().map(|rows| line(&rows, &columns)).collect();
        let base: Vec<(String, u32, Option<f64>)> = lines
            .iter()
            .filter(|line| line.protection == UNPROTECTED)
            .map(|line| (line.server.clone(), line.clients, line.surviving_per_s))
            .collect();
        for line in &mut lines {
            let base = base.iter().find(|(server, clients, _)| (server, clients) == (&line.server, &line.clients));
            let base = base.and_then(|(.., surviving)| surviving.filter(|&rate| rate > 0.0));
            line.price = line.surviving_per_s.zip(base).map(|(own, base)| own / base);
        }
        Self { faults: columns, lines }
    }

    /// All cells with their lines.
    pub fn cells(&self) -> impl Iterator<Item = (&LabLine, &LabCell)> {
        self.lines.iter().flat_map(|line| line.cells.iter().map(move |cell| (line, cell)))
    }
}

fn line(rows: &[&LabRow], columns: &[String]) -> LabLine {
    let first = rows[0];
    let unharmed = rows.iter().filter(|row| row.fault == NO_FAULT);
    let rates: Vec<f64> = unharmed.filter_map(|row| row.surviving_per_s()).collect();
    let cells = columns.iter().filter_map(|fault| {
        let rows: Vec<&LabRow> = rows.iter().filter(|row| row.fault == *fault).copied().collect();
        (!rows.is_empty()).then(|| cell(&rows))
    });
    LabLine {
        protection: first.protection.clone(),
        family: first.family.clone(),
        server: first.server.clone(),
        server_settings: first.server_settings.clone(),
        clients: first.clients,
        surviving_per_s: crate::stats::Spread::of(&rates).map(|spread| spread.median),
        price: None,
        cells: cells.collect(),
    }
}

fn cell(rows: &[&LabRow]) -> LabCell {
    let first = rows[0];
    let measured: Vec<&LabRow> = rows.iter().filter(|row| row.is_measured()).copied().collect();
    let sum = |count: fn(&LabRow) -> Option<u64>| Sum::of(measured.iter().map(|row| count(row).unwrap_or(0)));
    let trials = measured.len() as u64;
    let damaged = |count: fn(&LabRow) -> Option<u64>| measured.iter().filter(|row| count(row) > Some(0)).count() as u64;
    let trials_lost = damaged(|row| row.lost);
    let mut unmeasured: Vec<String> = rows.iter().filter_map(|row| row.note.clone()).collect();
    unmeasured.dedup();
    let when = measured.iter().map(|row| Some((row.lost_before?, row.lost_during?, row.lost_after?)));
    let add = |sum: (u64, u64, u64), (before, during, after): (u64, u64, u64)| {
        (sum.0.saturating_add(before), sum.1.saturating_add(during), sum.2.saturating_add(after))
    };
    let all = |value: fn(&LabRow) -> Option<u64>| {
        measured.iter().map(|row| value(row)).collect::<Option<Vec<u64>>>().filter(|values| !values.is_empty())
    };
    let total = |value: fn(&LabRow) -> Option<u64>| Some(all(value)?.into_iter().fold(0, u64::saturating_add));
    let surprise = |row: &&LabRow| row.surprise().map(|what| format!("round {}: {what}", row.round));
    LabCell {
        fault: first.fault.clone(),
        topology: first.topology,
        trials,
        unmeasured,
        trials_lost,
        trials_doubled: damaged(|row| row.doubled),
        lost_trials_interval: proportion_interval(trials_lost, trials),
        acked: sum(|row| row.acked).total,
        lost: sum(|row| row.lost),
        lost_when: when.collect::<Option<Vec<_>>>().map(|all| all.into_iter().fold((0, 0, 0), add)),
        predicted_lost: total(|row| row.predicted_lost),
        doubled: sum(|row| row.doubled),
        unknown: sum(|row| row.unknown),
        refused: sum(|row| row.refused),
        commands_lost: total(|row| row.commands_lost),
        downtime_ns: all(|row| row.downtime_ns).map(median),
        recover_ns: all(|row| row.recover_ns).map(median),
        expected_lost: first.expected_lost,
        expected_doubled: first.expected_doubled,
        why: first.expected_why.clone(),
        surprises: measured.iter().filter_map(surprise).collect(),
    }
}

/// The median; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    middle(&values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn row(protection: &str, fault: &str, round: u32, acked: u64, lost: u64) -> LabRow {
        LabRow {
            protection: protection.to_owned(),
            fault: fault.to_owned(),
            round,
            acked: Some(acked),
            lost: Some(lost),
            lost_before: Some(lost),
            lost_during: Some(0),
            lost_after: Some(0),
            doubled: Some(0),
            unknown: Some(1),
            span_ns: Some(1_000_000_000),
            downtime_ns: Some(u64::from(round) * 10),
            expected_lost: Some(Expected::Never),
            verdict: Some(Verdict::Exact),
            ..LabRow::blank()
        }
    }

    #[test]
    fn trials_are_grouped_and_priced_against_unprotected_incr() {
        let rows = [
            row("incr-wait", "kill", 1, 50, 0),
            row("incr-wait", "none", 1, 40, 0),
            row("incr", "none", 1, 100, 0),
            row("incr", "kill", 1, 90, 3),
            row("incr", "kill", 2, 90, 5),
            LabRow { verdict: None, note: Some("no server".to_owned()), ..row("incr", "kill", 3, 0, 0) },
        ];
        let order = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let matrix = Matrix::of(&rows, &order(&["incr", "incr-wait"]), &order(&["none", "kill"]));
        assert_eq!(matrix.faults, ["none", "kill"]);
        let names: Vec<&str> = matrix.lines.iter().map(|line| line.protection.as_str()).collect();
        assert_eq!(names, ["incr", "incr-wait"]);
        assert_eq!(matrix.lines[1].price, Some(0.4));
        let kill = matrix.lines[0].cell("kill").unwrap();
        assert_eq!((kill.trials, kill.trials_lost, kill.lost), (2, 2, Sum { total: 8, least: 3, most: 5 }));
        assert_eq!((kill.lost_when, kill.downtime_ns), (Some((8, 0, 0)), Some(15)));
        assert_eq!(kill.unmeasured, ["no server"]);
        assert_eq!(kill.surprises, ["round 1: lost 3, expected never", "round 2: lost 5, expected never"]);
        let safe = matrix.lines[1].cell("kill").unwrap();
        assert!(safe.lost_trials_interval.1 > 0.9, "one trial proves little");
    }
}
