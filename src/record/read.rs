//! Reads a result folder written by this version or an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::record::check::{Row, excess};
use crate::record::folder::{ESTIMATES, FAULTS, LATENCY, MACHINE, TRIALS, WITNESS};
use crate::record::rows::{flawed, read_csv, read_rows};
use crate::record::{Bucket, Estimate, Fault, Machine, Record, Step};

/// A run as it was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Facts about it.
    pub machine: Machine,
    /// Its trials.
    pub records: Vec<Record>,
    /// Their latencies.
    pub latency: Vec<Bucket>,
    /// A witness for every strategy that lost something, where one was recorded.
    pub witness: Vec<Step>,
    /// What was done to the system on purpose; empty if nothing was.
    pub faults: Vec<Fault>,
    /// Criterion's estimates, if this is a bench run.
    pub estimates: Vec<Estimate>,
}

impl Run {
    #[cfg(feature = "cli")]
    /// The buckets of each trial, by its number.
    pub(crate) fn latencies(&self) -> BTreeMap<u32, Vec<&Bucket>> {
        let mut trials: BTreeMap<u32, Vec<&Bucket>> = BTreeMap::new();
        for bucket in &self.latency {
            trials.entry(bucket.trial).or_default().push(bucket);
        }
        trials
    }

    /// Reads a result folder.
    ///
    /// # Errors
    /// A file is missing, or has a row that does not fit its columns or a figure that no run can have: the message
    /// names file and line. Or there is more than a page can show. An incomplete last line (a full disk) is left out.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.join(TRIALS).is_file() {
            return Err(Error::file(
                folder,
                "is not a result folder: expected one that contains trials.csv, such as results/example",
            ));
        }
        let records = read_records(&folder.join(TRIALS))?;
        let run = Self {
            machine: Machine(read_csv(&folder.join(MACHINE))?),
            latency: numbered(&records, read_csv(&folder.join(LATENCY))?),
            records,
            witness: read_optional(&folder.join(WITNESS))?,
            faults: read_optional(&folder.join(FAULTS))?,
            estimates: read_optional(&folder.join(ESTIMATES))?,
        };
        match excess(&run) {
            Some(why) => Err(Error::file(folder, format!("{why}: split it into several folders"))),
            None => Ok(run),
        }
    }
}

fn read_optional<T: Row>(path: &Path) -> Result<Vec<T>> {
    if path.exists() { read_csv(path) } else { Ok(Vec::new()) }
}

/// Reads the trials. A row is a [`Condition`] and a [`Record`] side by side.
fn read_records(path: &Path) -> Result<Vec<Record>> {
    let wrong = |e: csv::Error| Error::file(path, e);
    let (headers, rows) = read_rows(path)?;
    let mut records: Vec<Record> = Vec::new();
    for row in rows {
        let condition: Condition = row.deserialize(Some(&headers)).map_err(wrong)?;
        let record: Record = row.deserialize(Some(&headers)).map_err(wrong)?;
        // Older folders do not number their trials: a row's position is the number.
        let trial = if record.trial == 0 { records.len() as u32 + 1 } else { record.trial };
        let record = Record { condition, trial, ..record };
        if let Some(flaw) = record.flaw() {
            return Err(flawed(path, &row, &flaw));
        }
        records.push(record);
    }
    Ok(records)
}

/// Gives each bucket the number of its trial if an older folder lacks it. Drops buckets whose trial is ambiguous,
/// because two conditions (two drivers, say) share all that such a folder says about a trial.
fn numbered(records: &[Record], buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut trials: BTreeMap<(u32, &str, usize, usize), Option<u32>> = BTreeMap::new();
    for record in records {
        let Condition { strategy, threads, keys, .. } = &record.condition;
        let place = (record.round, strategy.as_str(), *threads, *keys);
        trials.entry(place).and_modify(|trial| *trial = None).or_insert(Some(record.trial));
    }
    let number = |bucket: Bucket| {
        let place = (bucket.round, bucket.strategy.as_str(), bucket.threads, bucket.keys);
        let trial = if bucket.trial == 0 { trials.get(&place).copied().flatten()? } else { bucket.trial };
        Some(Bucket { trial, ..bucket })
    };
    buckets.into_iter().filter_map(number).collect()
}
