//! The rows of `report lost-reply`: what one library did, with one of its settings, when replies were lost in one way.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::check::Row;
use super::{Machine, csv_bytes, read_csv, write_whole};
use crate::error::{Error, Result};

/// The file of these rows in a result folder.
pub const LOST_REPLY: &str = "lost-reply.csv";

/// The most updates of one cell.
pub const MOST_UPDATES: u64 = 100_000;

/// How an update's reply, or its request, is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossWay {
    /// The reply is lost, and the connection is closed normally (FIN).
    Fin,
    /// The reply is lost, and the connection is reset (RST).
    Rst,
    /// The reply is lost, and the connection falls silent.
    Silence,
    /// The request is lost, and the connection is closed normally.
    Dropped,
}

impl LossWay {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fin, Self::Rst, Self::Silence, Self::Dropped];

    /// The way in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Fin => "reply lost, connection closed (FIN)",
            Self::Rst => "reply lost, connection reset (RST)",
            Self::Silence => "reply lost, connection silent",
            Self::Dropped => "request lost, connection closed",
        }
    }
}

impl fmt::Display for LossWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Silence => "silence",
            Self::Dropped => "dropped",
        })
    }
}

impl FromStr for LossWay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|way| way.to_string() == text)
            .ok_or_else(|| Error::usage(format!("way '{text}': expected fin, rst, silence or dropped")))
    }
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LostReply {
    /// The library's name.
    pub library: String,
    /// Its language.
    pub language: String,
    /// Its version, as it says itself.
    pub version: String,
    /// The language's runtime.
    pub runtime: String,
    /// Its settings by name.
    pub settings: String,
    /// What they are.
    pub settings_about: String,
    /// The code that sets them.
    pub recipe: String,
    /// Retry and timeout settings in effect, as the worker read them: `name=value; ...`.
    pub effective: String,
    /// How replies were lost.
    pub way: LossWay,
    /// Updates that were to be made, one after the other.
    pub updates: u64,
    /// Updates that were begun.
    pub attempted: Option<u64>,
    /// Updates acknowledged.
    pub acked: Option<u64>,
    /// Updates that ended in an error after which they may have happened.
    pub unknown: Option<u64>,
    /// Updates that ended in an error that says that they did not happen.
    pub refused: Option<u64>,
    /// Commands whose reply or request was lost.
    pub commands_lost: Option<u64>,
    /// Increments that the server executed: the counter, read back by a separate connection.
    pub executions: Option<u64>,
    /// Executions beyond the first of each update.
    pub doubled: Option<u64>,
    /// Acknowledged updates that are not in the counter.
    pub lost: Option<u64>,
    /// Whether nothing more was acknowledged after an error, although the client kept trying.
    pub is_stuck: Option<bool>,
    /// How long the last update had been waiting when the cell's time was up.
    pub waiting_ns: Option<u64>,
    /// The longest time without an acknowledgement between two acknowledged updates.
    pub recovery_ns: Option<u64>,
    /// A mark for every update, in order: see [`crate::report`] for what they mean.
    pub marks: String,
    /// Acknowledged updates expected; empty, like the next two, if nothing was.
    pub predicted_acked: Option<u64>,
    /// Errors expected.
    pub predicted_errors: Option<u64>,
    /// Doubled updates expected.
    pub predicted_doubled: Option<u64>,
    /// Where the expectation comes from.
    pub predicted_by: String,
    /// The first error that the client met.
    pub error: Option<String>,
    /// Why it could not be measured.
    pub note: Option<String>,
}

impl LostReply {
    /// Updates that ended without an acknowledgement.
    pub fn errors(&self) -> Option<u64> {
        Some(self.unknown?.saturating_add(self.refused?))
    }

    /// Whether it was measured.
    pub fn is_measured(&self) -> bool {
        self.acked.is_some()
    }

    /// Whether no update was executed twice, and none that was acknowledged is missing.
    pub fn is_exactly_once_or_error(&self) -> bool {
        self.doubled == Some(0) && self.lost == Some(0)
    }

    /// Executions per acknowledged update.
    pub fn executions_per_ack(&self) -> Option<f64> {
        Some(self.executions? as f64 / self.acked.filter(|&acked| acked > 0)? as f64)
    }

    /// How the result differs from what was expected: `errors 9, expected 0`.
    pub fn differs(&self) -> Option<String> {
        if !self.is_measured() {
            return None;
        }
        let pairs = [
            ("acknowledged", self.acked, self.predicted_acked),
            ("errors", self.errors(), self.predicted_errors),
            ("doubled", self.doubled, self.predicted_doubled),
        ];
        let differing = pairs.into_iter().filter(|(_, measured, expected)| expected.is_some() && measured != expected);
        let words: Vec<String> = differing
            .map(|(what, measured, expected)| {
                format!("{what} {}, expected {}", measured.unwrap_or(0), expected.unwrap_or(0))
            })
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Row for LostReply {
    fn flaw(&self) -> Option<String> {
        let most = self.updates;
        if !(1..=MOST_UPDATES).contains(&most) {
            return Some(format!("updates {most}: from 1 to {MOST_UPDATES}"));
        }
        let counts = [("attempted", self.attempted), ("acked", self.acked), ("errors", self.errors())];
        let wrong = counts.into_iter().find_map(|(name, count)| Some((name, count.filter(|&count| count > most)?)));
        let marks = self.marks.chars().count() as u64;
        match wrong {
            Some((name, count)) => Some(format!("{name} {count}: at most the updates, {most}")),
            None if marks > most => Some(format!("{marks} marks: at most one for each of {most} updates")),
            None => None,
        }
    }
}

/// Writes the rows and the facts into a result folder.
///
/// # Errors
/// The folder cannot be written, or holds such rows already.
pub fn write(folder: &Path, rows: &[LostReply], machine: &Machine) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::file(folder, format!("cannot create the results folder: {e}")))?;
    if folder.join(LOST_REPLY).exists() {
        return Err(Error::file(folder, "already contains a run: choose another folder with --out"));
    }
    machine.write(folder)?;
    write_whole(&folder.join(LOST_REPLY), &csv_bytes(rows)?)
}

/// Reads them; `None` if the folder has none.
///
/// # Errors
/// A row of a file does not fit its columns: names file and line.
pub fn read(folder: &Path) -> Result<Option<(Machine, Vec<LostReply>)>> {
    let path = folder.join(LOST_REPLY);
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some((Machine(read_csv(&folder.join(super::MACHINE))?), read_csv(&path)?)))
}
