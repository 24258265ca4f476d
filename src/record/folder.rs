//! A result folder that grows trial by trial: every row is written whole and flushed at once.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::record::rows::rows_of;
use crate::record::{Bucket, Clock, Fault, Machine, Record};
use crate::verdict::Promise;

/// The file of trials in a result folder.
pub const TRIALS: &str = "trials.csv";
/// The file of latencies in a result folder.
pub const LATENCY: &str = "latency.csv";
/// The file of criterion's estimates in a bench run's folder.
pub const ESTIMATES: &str = "estimates.csv";
/// The file of witnesses in a result folder; absent where nothing was lost.
pub const WITNESS: &str = "witness.csv";
/// The file of faults in a result folder; absent if there were none.
pub const FAULTS: &str = "faults.csv";
/// The file of facts in a result folder.
pub const MACHINE: &str = "machine.csv";

/// The page in a result folder.
pub const PAGE: &str = "index.html";
/// What a run printed, in its folder.
pub const SUMMARY: &str = "summary.txt";
/// The folder of histories in a result folder, if they were kept.
pub const HISTORY: &str = "history";

/// Everything that a run may write into its folder.
const WRITTEN: [&str; 9] = [TRIALS, LATENCY, ESTIMATES, WITNESS, FAULTS, MACHINE, PAGE, SUMMARY, HISTORY];

/// A result folder being written.
pub struct Folder {
    trials: Rows,
    latency: Rows,
    faults: Option<Rows>,
    path: PathBuf,
    kept: u32,
}

impl Folder {
    /// Creates the folder and its files, the facts first.
    ///
    /// # Errors
    /// It cannot be written, or holds a file with a name that a run writes: a run overwrites only its own files.
    pub fn create(path: &Path, machine: &Machine) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|e| Error::file(path, format!("cannot create the results folder: {e}")))?;
        Self::check_free(path)?;
        machine.write(path)?;
        let blank = Record::blank(Condition::default(), Promise::Exact);
        let blank_bucket = Record::bucket(&blank, Clock::Service, (0, 0));
        Ok(Self {
            latency: Rows::create(&path.join(LATENCY), &blank_bucket)?,
            trials: Rows::create(&path.join(TRIALS), &blank.row())?,
            faults: None,
            path: path.to_owned(),
            kept: 0,
        })
    }

    /// Checks that a run can be written there without overwriting anything.
    ///
    /// # Errors
    /// The folder holds a file with a name that a run writes.
    pub fn check_free(path: &Path) -> Result<()> {
        // Even a dangling link may be somebody else's.
        match WRITTEN.iter().find(|name| path.join(name).symlink_metadata().is_ok()) {
            None => Ok(()),
            Some(name) => {
                let why =
                    format!("already contains {name}, which this run did not write: choose another folder with --out");
                Err(Error::file(path, why))
            }
        }
    }

    /// The number of the trial that is appended next, from 1.
    pub fn next_trial(&self) -> u32 {
        self.kept + 1
    }

    /// Appends one trial and flushes it.
    ///
    /// # Errors
    /// The disk is full, or the folder is gone; names the file.
    pub fn append(&mut self, record: &Record, latency: &[Bucket]) -> Result<()> {
        self.latency.append(latency)?;
        self.trials.append(&[record.row()])?;
        self.kept += 1;
        Ok(())
    }

    /// Appends what was done during a trial; the first row creates the file.
    ///
    /// # Errors
    /// As [`Folder::append`].
    pub fn append_faults(&mut self, faults: &[Fault]) -> Result<()> {
        Rows::append_to(&mut self.faults, &self.path.join(FAULTS), faults)
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A CSV file that grows by whole rows.
pub(super) struct Rows {
    file: File,
    path: PathBuf,
}

impl Rows {
    /// Creates the file with the header that rows like `example` have.
    pub(super) fn create(path: &Path, example: &impl Serialize) -> Result<Self> {
        let bytes = rows_of(std::slice::from_ref(example), true).map_err(|e| Error::file(path, e))?;
        let header = bytes.iter().position(|&b| b == b'\n').map_or(bytes.len(), |end| end + 1);
        let mut file = File::create_new(path).map_err(|e| Error::file(path, e))?;
        file.write_all(&bytes[..header]).map_err(|e| Error::file(path, e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends to a file that is created with its first row.
    pub(super) fn append_to(file: &mut Option<Self>, path: &Path, rows: &[impl Serialize]) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let mut open = match file.take() {
            Some(open) => open,
            None => Self::create(path, first)?,
        };
        let appended = open.append(rows);
        *file = Some(open);
        appended
    }

    /// Appends all rows in one write; a write that fails half-way (disk full) is undone, so that every row is whole.
    pub(super) fn append(&mut self, rows: &[impl Serialize]) -> Result<()> {
        let bytes = rows_of(rows, false).map_err(|e| Error::file(&self.path, e))?;
        let before = self.file.metadata().map_err(|e| Error::file(&self.path, e))?.len();
        self.file.write_all(&bytes).map_err(|e| {
            // If even this fails, the reader drops only the last, incomplete row.
            let _ = self.file.set_len(before);
            Error::file(&self.path, e)
        })
    }
}
