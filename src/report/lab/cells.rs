//! The trials as a matrix: a row for each protection, a column for each fault, a cell for all trials of one in the other.

use std::cmp::Reverse;

use super::names;
use crate::condition::Topology;
use crate::record::lab::LabRow;
use crate::stats::{median, middle};
pub(super) use crate::summary::lab::{NO_FAULT, UNPROTECTED as BASE};

/// What tells one row from another: the protection, and the server that it was measured on.
type Protection<'a> = (&'a str, &'a str);

/// What tells one column from another: the fault, and how the servers are arranged.
pub(super) type Column<'a> = (&'a str, Topology, u32, u32);

/// The whole matrix.
pub(super) struct Matrix<'a> {
    /// Protections, by their kind.
    pub(super) rows: Vec<Protected<'a>>,
    /// Faults, with those that most protections met first; `none` is not among them.
    pub(super) columns: Vec<Column<'a>>,
    /// Whether several servers were measured, so that a protection's name alone does not tell which row it is.
    pub(super) has_servers: bool,
}

/// A protection under all faults.
pub(super) struct Protected<'a> {
    pub(super) name: &'a str,
    pub(super) family: &'a str,
    pub(super) server: &'a str,
    /// Its cells, in the order of the run.
    pub(super) cells: Vec<Cell<'a>>,
}

/// All trials of a protection under a fault. There is at least one.
pub(super) struct Cell<'a> {
    pub(super) trials: Vec<&'a LabRow>,
}

/// What was lost and doubled in a trial.
pub(super) fn harm(trial: &LabRow) -> Option<u64> {
    Some(trial.lost?.saturating_add(trial.doubled?))
}

fn protection(row: &LabRow) -> Protection<'_> {
    (&row.protection, &row.server)
}

fn column(row: &LabRow) -> Column<'_> {
    (&row.fault, row.topology, row.shards, row.replicas)
}

/// The order of the kinds of protection, starting with none.
const FAMILIES: [&str; 5] = ["none", "retry", "fencing", "durability", "library"];

fn family_rank(family: &str) -> usize {
    FAMILIES.iter().position(|known| *known == family).unwrap_or(FAMILIES.len())
}

impl<'a> Matrix<'a> {
    pub(super) fn of(trials: &'a [LabRow]) -> Self {
        let mut rows: Vec<Protected<'a>> = Vec::new();
        let mut columns = Vec::new();
        for trial in trials {
            if trial.fault != NO_FAULT && !columns.contains(&column(trial)) {
                columns.push(column(trial));
            }
            let at = rows.iter().position(|row| (row.name, row.server) == protection(trial)).unwrap_or_else(|| {
                let (name, server) = protection(trial);
                rows.push(Protected { name, family: &trial.family, server, cells: Vec::new() });
                rows.len() - 1
            });
            let cells = &mut rows[at].cells;
            // Trials with another number of clients or another server setting are another condition, and never pooled.
            match cells.iter_mut().find(|cell| cell.is_of(trial)) {
                Some(cell) => cell.trials.push(trial),
                None => cells.push(Cell { trials: vec![trial] }),
            }
        }
        // Trials are measured in shuffled order; here those that belong together are put together.
        // Faults that more protections met come first: of a wide matrix only the left part is visible.
        let met = |wanted| rows.iter().filter(|row| row.at(wanted).next().is_some()).count();
        columns.sort_by_cached_key(|&wanted| (Reverse(met(wanted)), names::rank(wanted.0), wanted));
        rows.sort_by_key(|row| (family_rank(row.family), row.name != BASE, row.name, row.server));
        let mut servers: Vec<&str> = rows.iter().map(|row| row.server).filter(|server| !server.is_empty()).collect();
        servers.sort_unstable();
        servers.dedup();
        let has_servers = servers.len() > 1;
        Self { rows, columns, has_servers }
    }

    /// The rows of protections that lose nothing as long as nothing breaks: what the others lose says little of a fault.
    pub(super) fn sound(&self) -> impl Iterator<Item = &Protected<'a>> {
        self.rows.iter().filter(|row| row.healthy().all(|cell| cell.losing() == 0))
    }

    /// The rows of protections that met a fault.
    pub(super) fn tested(&self) -> impl Iterator<Item = &Protected<'a>> {
        self.rows.iter().filter(|row| row.cells.iter().any(|cell| cell.fault() != NO_FAULT))
    }

    /// All cells in which there was a fault.
    pub(super) fn faulted(&self) -> impl Iterator<Item = (&Protected<'a>, &Cell<'a>)> {
        let all = self.rows.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
        all.filter(|(_, cell)| cell.fault() != NO_FAULT)
    }

    /// The row's name, with its server if that is needed.
    pub(super) fn title(&self, row: &Protected<'_>) -> String {
        if self.has_servers { format!("{} on {}", row.name, row.server) } else { row.name.to_owned() }
    }

    /// The column's fault, with its servers if that fault was met on several arrangements.
    pub(super) fn column_title(&self, (fault, topology, shards, replicas): Column<'_>) -> String {
        let is_alone = self.columns.iter().filter(|column| column.0 == fault).count() == 1;
        let title = names::title(fault);
        if is_alone { title } else { format!("{title} ({})", names::servers(topology, shards, replicas)) }
    }

    /// The surviving updates per second of a protection without a fault, as a fraction of those of the unprotected
    /// `incr` on the same servers: what it costs. `None` if one of the two was not measured.
    pub(super) fn price(&self, row: &Protected<'_>) -> Option<f64> {
        row.healthy().find_map(|cell| {
            let unprotected = |base: &&Protected<'_>| base.name == BASE && base.server == row.server;
            let base = self.rows.iter().find(unprotected)?;
            let base = base.cells.iter().find(|other| other.is_healthy_twin_of(cell))?;
            let base = base.surviving_per_s().filter(|&rate| rate > 0.0)?;
            Some(cell.surviving_per_s()? / base)
        })
    }
}

impl<'a> Protected<'a> {
    /// Its cells in this column.
    pub(super) fn at(&self, wanted: Column<'_>) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(move |cell| column(cell.trials[0]) == wanted)
    }

    /// Its cells without a fault.
    pub(super) fn healthy(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(|cell| cell.fault() == NO_FAULT)
    }

    /// Its cells under a fault that were measured.
    pub(super) fn faulted(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(|cell| cell.fault() != NO_FAULT && cell.count() > 0)
    }
}

impl<'a> Cell<'a> {
    fn is_of(&self, trial: &LabRow) -> bool {
        let own = self.trials[0];
        (column(own), own.clients, &own.server_settings) == (column(trial), trial.clients, &trial.server_settings)
    }

    /// Whether both have no fault, and the same servers and clients but for the settings that protect.
    fn is_healthy_twin_of(&self, other: &Cell<'_>) -> bool {
        let (one, two) = (self.trials[0], other.trials[0]);
        (column(one), one.clients) == (column(two), two.clients)
    }

    pub(super) fn first(&self) -> &'a LabRow {
        self.trials[0]
    }

    pub(super) fn fault(&self) -> &'a str {
        &self.trials[0].fault
    }

    /// Trials that have a verdict.
    pub(super) fn measured(&self) -> impl Iterator<Item = &'a LabRow> {
        self.trials.iter().copied().filter(|trial| trial.is_measured())
    }

    /// The number of trials that have a verdict.
    pub(super) fn count(&self) -> u64 {
        self.measured().count() as u64
    }

    /// Trials in which something was lost.
    pub(super) fn losing(&self) -> u64 {
        self.measured().filter(|trial| trial.lost > Some(0)).count() as u64
    }

    /// Trials in which something was counted twice.
    pub(super) fn doubling(&self) -> u64 {
        self.measured().filter(|trial| trial.doubled > Some(0)).count() as u64
    }

    /// Whether no trial lost or doubled anything.
    pub(super) fn is_clean(&self) -> bool {
        self.losing() == 0 && self.doubling() == 0
    }

    /// The median and the range of a figure over the measured trials that have it.
    pub(super) fn spread(&self, of: impl Fn(&LabRow) -> Option<u64>) -> Option<Spread> {
        let mut values: Vec<u64> = self.measured().filter_map(of).collect();
        values.sort_unstable();
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Spread { low, middle: middle(&values), high, are_two: values.len() == 2 })
    }

    /// What the worst trial lost and doubled.
    pub(super) fn worst(&self) -> u64 {
        self.spread(harm).map_or(0, |spread| spread.high)
    }

    /// The median of the trials' surviving updates per second.
    pub(super) fn surviving_per_s(&self) -> Option<f64> {
        let rates: Vec<f64> = self.measured().filter_map(LabRow::surviving_per_s).collect();
        median(&rates)
    }

    /// What was not as expected, in any of its trials.
    pub(super) fn surprise(&self) -> Option<String> {
        self.measured().find_map(LabRow::surprise)
    }

    /// Why it was not measured, if no trial was.
    pub(super) fn note(&self) -> Option<&'a str> {
        if self.count() > 0 {
            return None;
        }
        Some(self.trials.iter().find_map(|trial| trial.note.as_deref()).unwrap_or("no trial of it has a verdict"))
    }

    /// The trial that is shown for all: the median one by what it lost and doubled.
    pub(super) fn typical(&self, has: impl Fn(&LabRow) -> bool) -> Option<&'a LabRow> {
        let mut trials: Vec<&LabRow> = self.measured().filter(|trial| has(trial)).collect();
        trials.sort_by_key(|trial| (trial.lost.unwrap_or(0).saturating_add(trial.doubled.unwrap_or(0)), trial.trial));
        // The upper median: if half of the trials lost nothing, one that lost something shows more.
        trials.get(trials.len() / 2).copied()
    }
}

/// The median of a figure, and its range.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) low: u64,
    pub(super) middle: u64,
    pub(super) high: u64,
    /// Whether there are but two, which no median stands for.
    are_two: bool,
}

impl Spread {
    /// `48`, `2 and 15` of two trials, `6 (2 to 15)` of more, or `up to 15` if their median is zero.
    pub(super) fn text(&self, word: impl Fn(u64) -> String) -> String {
        match (self.low == self.high, self.middle) {
            (true, _) => word(self.middle),
            (false, _) if self.are_two => format!("{} and {}", word(self.low), word(self.high)),
            (false, 0) => format!("up to {}", word(self.high)),
            (false, _) => format!("{} ({} to {})", word(self.middle), word(self.low), word(self.high)),
        }
    }
}
