//! The rows of `report faults`: what happened to a counter under one protection and one fault.
//!
//! The folder holds `lab.csv` (one [`LabRow`] for each cell and round), `timeline.csv` (one [`Moment`] for each bucket
//! of a trial), `lab-witness.csv` (a few [`Evidence`] rows for each trial that lost or doubled something), `faults.csv`
//! (what was done when, [`Fault`]), and `machine.csv`. All refer to a trial by its number. All times are nanoseconds.
//! An instant is counted from the trial's *zero*, when its clients start, on one clock for clients and fault. Empty is
//! not zero. A trial's other rows are appended before its row in `lab.csv`, so an interrupted run leaves valid files.
//!
//! A *window* is the time from a fault's first action to its last: from the kill to the promotion, from the cut to its
//! healing. Losses are counted by when the update was acknowledged: before, during or after the window.

mod evidence;
mod moment;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::check::Row;
use super::folder::{FAULTS, MACHINE, Rows};
use super::{Fault, Machine, read_csv};
use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::verdict::Verdict;
use crate::workload::MAX_CLIENTS;

pub use evidence::{Evidence, EvidenceKind};
pub use moment::Moment;

/// The note of a trial begins with this if the servers lack what the trial needs.
pub const SKIPPED: &str = "skipped: ";

/// The note of a trial without a verdict, as shown to a reader.
pub fn why_unmeasured(note: &str) -> String {
    if note.starts_with(SKIPPED) { note.to_owned() } else { format!("not measured: {note}") }
}

/// The file of cells in the lab's result folder.
pub const LAB: &str = "lab.csv";
/// The file of acknowledgements over time.
pub const TIMELINE: &str = "timeline.csv";
/// The file of witnesses.
pub const LAB_WITNESS: &str = "lab-witness.csv";

/// Whether a kind of damage is expected in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// In every trial: the cell is a control, and is broken if nothing is damaged.
    Must,
    /// In some trials, by chance.
    May,
    /// In none.
    Never,
}

impl Expected {
    /// Whether this many damaged updates agree with it.
    pub fn allows(self, damaged: u64) -> bool {
        match self {
            Self::Must => damaged > 0,
            Self::May => true,
            Self::Never => damaged == 0,
        }
    }

    /// The same as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::May => "may",
            Self::Never => "never",
        }
    }
}

/// One trial of one cell: a protection under a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabRow {
    /// Its number in its folder, from 1.
    pub trial: u32,
    /// Which pass over all cells, from 1.
    pub round: u32,
    /// The protection's name: a strategy, or one with a setting of the server: `incr`, `incr-wait`, `incr+aof-always`.
    pub protection: String,
    /// What kind of protection it is: `none`, `retry`, `fencing`, `durability`, `library`.
    pub family: String,
    /// The fault's name with its parameter: `reply-lost:fin`; `none` for the trials that give prices and controls.
    pub fault: String,
    /// How the servers are arranged.
    pub topology: Topology,
    /// Primaries.
    pub shards: u32,
    /// Replicas of each primary.
    pub replicas: u32,
    /// The server's product and version: `redis 7.0.15`.
    pub server: String,
    /// Its settings that matter here: `appendonly=yes appendfsync=always`; empty if there are none.
    #[serde(default)]
    pub server_settings: String,
    /// Clients at once.
    pub clients: u32,
    /// The client library that sent the commands; empty if it was the redis crate of this program.
    #[serde(default)]
    pub library: String,
    /// Its version.
    #[serde(default)]
    pub library_version: String,
    /// The name of its settings: `default`, `safe`.
    #[serde(default)]
    pub library_settings: String,
    /// The retry and timeout settings in effect, as the library says: `retries=3; timeout=none`.
    #[serde(default)]
    pub library_effective: String,
    /// The seed of the trial's random numbers.
    pub seed: u64,
    /// Whether acknowledged updates are expected to be lost; empty if nothing was written down in advance.
    pub expected_lost: Option<Expected>,
    /// Whether updates are expected to be counted twice.
    pub expected_doubled: Option<Expected>,
    /// Why, in a sentence.
    #[serde(default)]
    pub expected_why: String,
    /// Updates begun.
    pub attempted: Option<u64>,
    /// Updates acknowledged.
    pub acked: Option<u64>,
    /// Updates that certainly did not happen.
    pub refused: Option<u64>,
    /// Updates that ended in an error after which they may have happened, including those in flight at the fault.
    pub unknown: Option<u64>,
    /// What the counter gained, read over a new connection once the servers were stable.
    pub found: Option<i64>,
    /// Acknowledged updates that are not in the counter.
    pub lost: Option<u64>,
    /// Of these, those acknowledged before the fault's window. Empty, like the next two, if updates were told no
    /// values.
    pub lost_before: Option<u64>,
    /// Those acknowledged within it.
    pub lost_during: Option<u64>,
    /// Those acknowledged after it.
    pub lost_after: Option<u64>,
    /// Increments beyond what the updates explain.
    pub doubled: Option<u64>,
    /// Acknowledged updates that were told the same value as another.
    pub repeated: Option<u64>,
    /// The verdict; empty if nothing was measured.
    pub verdict: Option<Verdict>,
    /// The losses that a model predicts (rate of acknowledgements x imposed delay); empty if there is none.
    pub predicted_lost: Option<u64>,
    /// Commands whose reply or request the proxy lost; empty if the clients had no proxy.
    pub commands_lost: Option<u64>,
    /// How often clients reconnected.
    pub reconnects: Option<u64>,
    /// Last end minus first start of the clients.
    pub span_ns: Option<u64>,
    /// The beginning of the fault's window; empty if there was no fault.
    pub fault_begin_ns: Option<u64>,
    /// Its end.
    pub fault_end_ns: Option<u64>,
    /// The longest time in which no client got an acknowledgement, with the trial's beginning and end counted as ones.
    pub downtime_ns: Option<u64>,
    /// From the fault's beginning to the end of the longest time without an acknowledgement that overlaps its window;
    /// empty if there was no fault, or nothing was acknowledged after it.
    pub recover_ns: Option<u64>,
    /// From the clients' end until the servers were stable and the counter could be read.
    pub stable_ns: Option<u64>,
    /// The first error or refusal that a client met.
    pub error: Option<String>,
    /// Why the cell was not measured; it begins with [`SKIPPED`] if these servers cannot run it at all.
    pub note: Option<String>,
}

impl LabRow {
    /// Whether these servers lack what it needs: neither a result nor a failure.
    pub fn is_skipped(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.starts_with(SKIPPED))
    }

    /// Whether it was measured.
    pub fn is_measured(&self) -> bool {
        self.verdict.is_some()
    }

    /// Acknowledged updates that are in the counter, per second.
    pub fn surviving_per_s(&self) -> Option<f64> {
        let surviving = self.acked?.saturating_sub(self.lost?);
        Some(surviving as f64 * 1e9 / self.span_ns.filter(|&span| span > 0)? as f64)
    }

    /// The verdict, if nothing is missing and yet some of the values returned fit no order.
    pub(crate) fn disorder(&self) -> Option<Verdict> {
        self.verdict.filter(|verdict| matches!(verdict, Verdict::Repeated | Verdict::Misordered))
    }

    /// What differs from what was expected, if anything: `lost 3, expected never`.
    pub fn surprise(&self) -> Option<String> {
        let pairs = [("lost", self.lost, self.expected_lost), ("doubled", self.doubled, self.expected_doubled)];
        let mut said: Vec<String> = pairs
            .into_iter()
            .filter_map(|(what, count, expected)| {
                let (count, expected) = (count?, expected?);
                (!expected.allows(count)).then(|| format!("{what} {count}, expected {}", expected.word()))
            })
            .collect();
        // Where nothing is lost or doubled, the values returned must have an order too.
        let is_sound = [self.expected_lost, self.expected_doubled] == [Some(Expected::Never); 2];
        if let (true, true, Some(verdict)) = (is_sound, said.is_empty(), self.disorder()) {
            said.push(format!("{verdict}, expected an order that explains every value"));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

impl Row for LabRow {
    fn flaw(&self) -> Option<String> {
        let clients = self.clients as usize;
        if self.trial == 0 || self.round == 0 {
            return Some("trial and round are counted from 1".to_owned());
        }
        if !(1..=MAX_CLIENTS).contains(&clients) {
            return Some(format!("clients {clients}: from 1 to {MAX_CLIENTS}"));
        }
        let times = [self.span_ns, self.fault_begin_ns, self.fault_end_ns, self.downtime_ns, self.stable_ns];
        moment::too_late(times.into_iter().flatten().chain(self.recover_ns))
    }
}

/// A folder of the lab as it was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabRun {
    /// Facts about the whole run.
    pub machine: Machine,
    /// Its trials.
    pub rows: Vec<LabRow>,
    /// What happened over time, trial by trial.
    pub timeline: Vec<Moment>,
    /// Witnesses.
    pub evidence: Vec<Evidence>,
    /// What was done when.
    pub faults: Vec<Fault>,
}

impl LabRun {
    /// Reads a folder; `None` if it is not one of the lab's.
    ///
    /// # Errors
    /// A row does not fit the columns, or holds a figure that no run can have; names file and line.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        if !folder.join(LAB).is_file() {
            return Ok(None);
        }
        let rows: Vec<LabRow> = read_csv(&folder.join(LAB))?;
        if rows.len() > MOST_TRIALS {
            return Err(Error::file(&folder.join(LAB), format!("has {} trials, of at most {MOST_TRIALS}", rows.len())));
        }
        Ok(Some(Self {
            machine: Machine(read_csv(&folder.join(MACHINE))?),
            rows,
            timeline: optional(&folder.join(TIMELINE))?,
            evidence: optional(&folder.join(LAB_WITNESS))?,
            faults: optional(&folder.join(FAULTS))?,
        }))
    }
}

/// The most trials of one run: more than anybody waits for, and a page cannot show more.
pub(crate) const MOST_TRIALS: usize = 20_000;

fn optional<T: Row>(path: &Path) -> Result<Vec<T>> {
    if path.exists() { read_csv(path) } else { Ok(Vec::new()) }
}

/// A folder of the lab that grows trial by trial.
pub struct LabFolder {
    rows: Rows,
    timeline: Rows,
    evidence: Option<Rows>,
    faults: Option<Rows>,
    path: std::path::PathBuf,
}

impl LabFolder {
    /// Creates the folder and its files, the facts first.
    ///
    /// # Errors
    /// It cannot be written, or holds a run already: nothing is ever overwritten.
    pub fn create(path: &Path, machine: &Machine) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|e| Error::file(path, format!("cannot create the results folder: {e}")))?;
        for name in [LAB, TIMELINE, LAB_WITNESS, FAULTS, MACHINE, super::TRIALS, super::PAGE] {
            if path.join(name).symlink_metadata().is_ok() {
                let why = format!("already contains {name}: choose another folder with --out");
                return Err(Error::file(path, why));
            }
        }
        machine.write(path)?;
        Ok(Self {
            timeline: Rows::create(&path.join(TIMELINE), &Moment::default())?,
            rows: Rows::create(&path.join(LAB), &LabRow::blank())?,
            evidence: None,
            faults: None,
            path: path.to_owned(),
        })
    }

    /// Appends one trial and flushes it.
    ///
    /// # Errors
    /// The disk is full, or the folder is gone; names the file.
    pub fn append(&mut self, row: &LabRow, timeline: &[Moment], evidence: &[Evidence], faults: &[Fault]) -> Result<()> {
        self.timeline.append(timeline)?;
        Rows::append_to(&mut self.evidence, &self.path.join(LAB_WITNESS), evidence)?;
        Rows::append_to(&mut self.faults, &self.path.join(FAULTS), faults)?;
        self.rows.append(std::slice::from_ref(row))
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl LabRow {
    /// A row without any figures.
    pub fn blank() -> Self {
        Self {
            trial: 1,
            round: 1,
            protection: String::new(),
            family: String::new(),
            fault: "none".to_owned(),
            topology: Topology::Single,
            shards: 1,
            replicas: 0,
            server: String::new(),
            server_settings: String::new(),
            clients: 1,
            library: String::new(),
            library_version: String::new(),
            library_settings: String::new(),
            library_effective: String::new(),
            seed: 0,
            expected_lost: None,
            expected_doubled: None,
            expected_why: String::new(),
            attempted: None,
            acked: None,
            refused: None,
            unknown: None,
            found: None,
            lost: None,
            lost_before: None,
            lost_during: None,
            lost_after: None,
            doubled: None,
            repeated: None,
            verdict: None,
            predicted_lost: None,
            commands_lost: None,
            reconnects: None,
            span_ns: None,
            fault_begin_ns: None,
            fault_end_ns: None,
            downtime_ns: None,
            recover_ns: None,
            stable_ns: None,
            error: None,
            note: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LabRow {
        LabRow {
            protection: "incr".to_owned(),
            family: "none".to_owned(),
            fault: "failover-lagging:200ms".to_owned(),
            topology: Topology::Replicated,
            replicas: 1,
            clients: 8,
            expected_lost: Some(Expected::Must),
            expected_doubled: Some(Expected::Never),
            lost: Some(3),
            doubled: Some(0),
            verdict: Some(Verdict::Lost),
            error: Some("=a formula".to_owned()),
            ..LabRow::blank()
        }
    }

    #[test]
    fn a_trial_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab");
        let mut machine = Machine::default();
        machine.add("host", "here");
        let mut folder = LabFolder::create(&path, &machine).unwrap();
        let moment = Moment { at_ns: 50, for_ns: 50, acked: 7, ..Moment::default() };
        let evidence = Evidence::of(1, 1, EvidenceKind::Lost, "told 3, found 2".to_owned()).at(60);
        let fault = Fault { trial: 1, at_ns: 40, connection: None, command: None, name: None, what: "killed".into() };
        folder.append(&row(), &[moment], std::slice::from_ref(&evidence), std::slice::from_ref(&fault)).unwrap();
        let run = LabRun::read(&path).unwrap().unwrap();
        let (rows, timeline, evidence, faults) = (vec![row()], vec![moment], vec![evidence], vec![fault]);
        assert_eq!(run, LabRun { machine, rows, timeline, evidence, faults });
        assert!(LabFolder::create(&path, &Machine::default()).is_err(), "a run is never written over");
        assert_eq!(LabRun::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn what_was_not_expected_is_said() {
        assert_eq!(row().surprise(), None);
        assert_eq!(LabRow { lost: Some(0), ..row() }.surprise().as_deref(), Some("lost 0, expected must"));
        assert_eq!(LabRow { doubled: Some(2), ..row() }.surprise().as_deref(), Some("doubled 2, expected never"));
        assert_eq!(LabRow { lost: None, doubled: None, ..row() }.surprise(), None);
    }

    #[test]
    fn figures_that_no_run_can_have_are_refused() {
        assert_eq!(row().flaw(), None);
        assert!(LabRow { clients: 0, ..row() }.flaw().unwrap().contains("clients 0"));
        assert!(LabRow { round: 0, ..row() }.flaw().unwrap().contains("from 1"));
        assert!(LabRow { span_ns: Some(u64::MAX), ..row() }.flaw().unwrap().contains("at most"));
    }
}
