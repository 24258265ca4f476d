//! The waist of the house: the rows that measuring writes and reading reads, and the only place that knows their
//! column names.
//!
//! A result folder holds `trials.csv` (one [`Record`] a trial), `latency.csv` (one [`Bucket`] a row) and `machine.csv`
//! (one [`Fact`] a row). What was measured is stored as integers with the unit in the column's name, and the rest is
//! derived when read. Empty is not zero: a cell that could not be measured is empty. Every row is written whole and
//! flushed at once, the latency rows of a trial before its row in `trials.csv`, so that whatever ends a run leaves
//! valid files. `results/README.md` explains every column.

mod standing;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::verdict::{Promise, Verdict};

/// One trial: one measured race and its verdict, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which pass over all cells, from 1; 0 for a warm-up that was judged (benches only) and counts for no speed.
    pub round: u32,
    /// The strategy's name.
    pub strategy: String,
    /// What it promises.
    pub promise: Promise,
    /// What drove the clients: `threads` (a thread each), `events` (one event loop for all), `tasks` (a task each, of
    /// one async runtime).
    pub driver: String,
    /// How they reached the server.
    pub transport: String,
    /// Clients racing at once.
    pub threads: usize,
    /// Counters the updates were spread over.
    pub keys: usize,
    /// How they were spread: `even`, `zipf:S`.
    pub skew: String,
    /// Updates per second that the clients were to send, together; empty in a closed loop.
    pub offered_per_s: Option<u64>,
    /// Updates asked.
    pub attempted: Option<u64>,
    /// Updates reported applied.
    pub acked: Option<u64>,
    /// Updates given up, nothing changed.
    pub refused: Option<u64>,
    /// Updates that ended in an error: they may or may not have happened.
    pub unknown: Option<u64>,
    /// Updates that were due but not yet sent when the timetable of an open loop was over.
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
    /// Acknowledged updates told a value another was told too.
    pub repeated: Option<u64>,
    /// The part of `lost` that another update wrote over with the same value.
    pub overwritten: Option<u64>,
    /// The part of `lost` that a late write of an old value took back at the end.
    pub rolled_back: Option<u64>,
    /// Values passed that no acknowledged update was told.
    pub gaps: Option<u64>,
    /// Updates told a smaller value than one that had ended before they began.
    pub stale: Option<u64>,
    /// Whether the increments are linearizable: `linearizable`, `violated`, `undecided`.
    pub order: Option<String>,
    /// Last end minus first start.
    pub span_ns: Option<u64>,
    /// The part of the span in which every client was at it, 0 to 1.
    pub overlap: Option<f64>,
    /// The slowest client's rate as a part of the fastest client's, 0 to 1.
    pub slowest_share: Option<f64>,
    /// Jain's fairness index of the clients' rates, 1/threads to 1.
    pub jain: Option<f64>,
    /// CPU time of all client threads together, or of the one that drives them all. Threads of a client library are not in it.
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
    /// Updates by the server's own count of the commands that make one; empty where no command tells.
    pub server_applied: Option<u64>,
    /// The word for it; empty if nothing was measured.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict, or why a lossy strategy could not show its fault here.
    pub note: Option<String>,
    /// The first error or refusal in the trial.
    pub error: Option<String>,
}

impl Record {
    /// A row that so far says only what was asked.
    pub fn blank(strategy: &str, promise: Promise, transport: &str, threads: usize, keys: usize, skew: String) -> Self {
        Self {
            round: 0,
            strategy: strategy.to_owned(),
            promise,
            driver: "threads".to_owned(),
            transport: transport.to_owned(),
            threads,
            keys,
            skew,
            offered_per_s: None,
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
        }
    }

    /// A row of this trial's latencies: up to how many nanoseconds, and how many updates.
    pub fn bucket(&self, clock: Clock, (up_to_ns, count): (u64, u64)) -> Bucket {
        let Self { round, threads, keys, .. } = *self;
        Bucket { round, strategy: self.strategy.clone(), threads, keys, clock, up_to_ns, count }
    }

    /// The clock by which this trial's latency is told: in an open loop, from the intended instant.
    pub fn clock(&self) -> Clock {
        if self.offered_per_s.is_some() { Clock::Response } else { Clock::Service }
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

    /// Whether the clients' ledger and the server's own count tell the same; `None` where the server cannot tell.
    pub fn sources_agree(&self) -> Option<bool> {
        let (applied, acked) = (self.server_applied?, self.acked?);
        Some(applied >= acked && applied <= acked + self.unknown?)
    }

    /// Whether an exact strategy broke its promise here.
    pub fn is_broken_promise(&self) -> bool {
        self.promise == Promise::Exact && self.verdict.is_some_and(Verdict::breaks_exactness)
    }
}

/// Since when the time of an update is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Since it was sent: what the server and the strategy took.
    #[default]
    Service,
    /// Since the instant it was intended for, in an open loop: what somebody who asked then would have waited.
    Response,
}

/// How many updates of one trial took up to how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The trial's round.
    pub round: u32,
    /// The trial's strategy.
    pub strategy: String,
    /// The trial's threads.
    pub threads: usize,
    /// The trial's keys.
    pub keys: usize,
    /// Since when the time was taken.
    #[serde(default)]
    pub clock: Clock,
    /// The longest time of this bucket.
    pub up_to_ns: u64,
    /// Updates in it.
    pub count: u64,
}

/// One command of a witness: the shortest run of commands, in the server's own order, that shows an update being lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The strategy that lost it.
    pub strategy: String,
    /// The clients that raced.
    pub threads: usize,
    /// Its place in the witness, from 1.
    pub step: u32,
    /// When the server executed it, in microseconds since the witness's first command, by the server's own clock.
    pub at_us: u64,
    /// Which client: `A`, `B`, ... in order of appearance.
    pub client: String,
    /// The command as the server saw it, without the key: `GET`, `SET 42`.
    pub command: String,
    /// What it read or wrote, as the order of commands implies.
    pub value: Option<String>,
    /// What a picture shows it as: `read`, `stale-read` (will be overwritten from), `write`, `overwritten` (this write is
    /// the lost update), `overwriting` (the write that loses it), `other`.
    pub mark: String,
    /// The step in words: `B reads 41 too`.
    pub note: String,
}

/// One thing that is true of the run: the server, the machine, the build, the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub fact: String,
    /// Its value; several facts may share a name (`warning`).
    pub value: String,
}

/// One bench id of a `cargo bench` run: criterion's estimate of the time one update by every thread takes, and the
/// ledger of all its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Criterion's id: `strategy/threads`.
    pub bench_id: String,
    /// `this run`, or the name of the saved baseline it is.
    pub baseline: String,
    /// The strategy's name.
    pub strategy: String,
    /// Clients racing at once; an iteration is one update by each.
    pub threads: usize,
    /// Criterion's estimate of the mean time of an iteration.
    pub mean_ns: f64,
    /// The lower end of its confidence interval.
    pub mean_low_ns: f64,
    /// The upper end.
    pub mean_high_ns: f64,
    /// Criterion's estimate of the median time of an iteration.
    pub median_ns: f64,
    /// The level of the interval, 0 to 1.
    pub confidence: f64,
    /// Acknowledged updates of all calls, warm-up included.
    pub acked: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Increments applied more than once.
    pub doubled: u64,
    /// The worst verdict of all calls.
    pub verdict: Option<Verdict>,
}

/// All that is true of a run: see [`Fact`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine(pub Vec<Fact>);

impl Machine {
    /// Adds a fact.
    pub fn add(&mut self, fact: &str, value: impl Into<String>) {
        self.0.push(Fact { fact: fact.to_owned(), value: value.into() });
    }

    /// The first value of a fact.
    pub fn get(&self, fact: &str) -> Option<&str> {
        self.0.iter().find(|f| f.fact == fact).map(|f| f.value.as_str())
    }

    /// Writes it into a result folder, in place of the one that is there.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_whole(&folder.join(MACHINE), &csv_bytes(&self.0)?)
    }

    /// Every value of a fact.
    pub fn all<'a>(&'a self, fact: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |f| f.fact == fact).map(|f| f.value.as_str())
    }
}

/// The file of trials in a result folder.
pub const TRIALS: &str = "trials.csv";
/// The file of latencies in a result folder.
pub const LATENCY: &str = "latency.csv";
/// The file of criterion's estimates in a bench run's folder.
pub const ESTIMATES: &str = "estimates.csv";
/// The file of witnesses in a result folder; absent where nothing was lost.
pub const WITNESS: &str = "witness.csv";
/// The file of facts in a result folder.
pub const MACHINE: &str = "machine.csv";

/// A result folder being written.
pub struct Folder {
    trials: Rows,
    latency: Rows,
    path: PathBuf,
}

impl Folder {
    /// Makes the folder and its files, the facts first.
    ///
    /// # Errors
    /// It cannot be written, or holds a run already: results are never written over.
    pub fn create(path: &Path, machine: &Machine) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|e| Error::file(path, format!("cannot make this folder for the results: {e}")))?;
        if path.join(TRIALS).exists() {
            return Err(Error::file(path, "holds a run already: give another folder with --out"));
        }
        machine.write(path)?;
        let blank = Record::blank("", Promise::Exact, "", 0, 0, String::new());
        let blank_bucket = Record::bucket(&blank, Clock::Service, (0, 0));
        Ok(Self {
            latency: Rows::create(&path.join(LATENCY), &blank_bucket)?,
            trials: Rows::create(&path.join(TRIALS), &blank)?,
            path: path.to_owned(),
        })
    }

    /// Appends one trial and flushes it.
    ///
    /// # Errors
    /// The disk is full, or the folder is gone; names the file.
    pub fn append(&mut self, record: &Record, latency: &[Bucket]) -> Result<()> {
        self.latency.append(latency)?;
        self.trials.append(std::slice::from_ref(record))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A CSV file that grows by whole rows.
struct Rows {
    file: File,
    path: PathBuf,
}

impl Rows {
    /// Creates the file with the header that rows like `example` have.
    fn create(path: &Path, example: &impl Serialize) -> Result<Self> {
        let bytes = rows_of(std::slice::from_ref(example), true).map_err(|e| Error::file(path, e))?;
        let header = bytes.iter().position(|&b| b == b'\n').map_or(bytes.len(), |end| end + 1);
        let mut file = File::create_new(path).map_err(|e| Error::file(path, e))?;
        file.write_all(&bytes[..header]).map_err(|e| Error::file(path, e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends all rows in one write; a write that fails half-way (disk full) is taken back, so that every row is whole.
    fn append(&mut self, rows: &[impl Serialize]) -> Result<()> {
        let bytes = rows_of(rows, false).map_err(|e| Error::file(&self.path, e))?;
        let before = self.file.metadata().map_err(|e| Error::file(&self.path, e))?.len();
        self.file.write_all(&bytes).map_err(|e| {
            // If even this fails, the reader still refuses nothing but the last, short row.
            let _ = self.file.set_len(before);
            Error::file(&self.path, e)
        })
    }
}

/// Rows as the bytes of a CSV file.
pub(crate) fn rows_of(rows: &[impl Serialize], headers: bool) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = csv::WriterBuilder::new().has_headers(headers).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// The folder cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| Error::file(path, e))?;
    file.write_all(bytes).map_err(|e| Error::file(path, e))?;
    #[cfg(unix)]
    {
        // Temporary files are private; results are as readable as any other file.
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(open).map_err(|e| Error::file(path, e))?;
    }
    file.persist(path).map(drop).map_err(|e| Error::file(path, e.error))
}

/// A run as it was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What is true of it.
    pub machine: Machine,
    /// Its trials.
    pub records: Vec<Record>,
    /// Their latencies.
    pub latency: Vec<Bucket>,
    /// A witness for every strategy that lost something, where one was recorded.
    pub witness: Vec<Step>,
    /// Criterion's estimates, if this is a bench run.
    pub estimates: Vec<Estimate>,
}

impl Run {
    /// Reads a result folder.
    ///
    /// # Errors
    /// A file is missing or has a row that is not of its columns: the message names file and line. A last line cut
    /// short (a full disk) is left out.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.join(TRIALS).is_file() {
            return Err(Error::file(
                folder,
                "is no result folder: give one that holds trials.csv, such as results/example",
            ));
        }
        Ok(Self {
            machine: Machine(read_csv(&folder.join(MACHINE))?),
            records: read_csv(&folder.join(TRIALS))?,
            latency: read_csv(&folder.join(LATENCY))?,
            witness: read_optional(&folder.join(WITNESS))?,
            estimates: read_optional(&folder.join(ESTIMATES))?,
        })
    }
}

/// Reads a CSV file of rows; a last line cut short is left out.
///
/// # Errors
/// The file is missing, or a row is not of its columns: names file and line.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut bytes = std::fs::read(path).map_err(|e| Error::file(path, e))?;
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    csv::Reader::from_reader(bytes.as_slice()).deserialize().map(|row| row.map_err(|e| Error::file(path, e))).collect()
}

fn read_optional<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    if path.exists() { read_csv(path) } else { Ok(Vec::new()) }
}

/// Rows as the bytes of a CSV file, header first.
///
/// # Errors
/// A row cannot be written as CSV.
pub fn csv_bytes(rows: &[impl Serialize]) -> Result<Vec<u8>> {
    rows_of(rows, true).map_err(|e| Error::broken(format!("a row cannot be written as CSV: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_written_and_a_short_last_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let mut machine = Machine::default();
        machine.add("host", "a, \"quoted\" one");
        let mut folder = Folder::create(&path, &machine).unwrap();
        let mut record = Record::blank("get-set", Promise::Lossy, "tcp", 4, 1, "even".to_owned());
        (record.acked, record.lost, record.overlap) = (Some(10), Some(0), Some(0.25));
        (record.verdict, record.error) = (Some(Verdict::Lost), Some("two\nlines".to_owned()));
        let bucket = record.bucket(Clock::Response, (1_007, 10));
        folder.append(&record, std::slice::from_ref(&bucket)).unwrap();
        let trials = path.join(TRIALS);
        let mut cut = std::fs::read(&trials).unwrap();
        cut.extend_from_slice(b"2,get-set,los");
        std::fs::write(&trials, cut).unwrap();
        let run = Run::read(&path).unwrap();
        assert_eq!((run.machine, run.records, run.latency), (machine, vec![record], vec![bucket]));
        assert!(Folder::create(&path, &Machine::default()).is_err(), "a run is never written over");
    }
}
