//! The reasons for a trial's verdict, in a few rows.

use serde::{Deserialize, Serialize};

use crate::record::check::Row;

/// What a row of a witness is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// An update that was acknowledged and is in the counter.
    Acked,
    /// An update that was acknowledged and is not.
    Lost,
    /// An update that ended in an error, and may have happened.
    Unknown,
    /// An increment that no update explains.
    Doubled,
    /// Something that the fault did.
    Fault,
    /// The counter, read at the end.
    ReadBack,
}

/// One row of a witness: the shortest account that shows what was lost or doubled, in chronological order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The trial's number.
    pub trial: u32,
    /// Its place in the witness, from 1.
    pub step: u32,
    /// When, since the trial's zero.
    pub at_ns: u64,
    /// Which client, from 1; empty if none is involved.
    pub client: Option<u32>,
    /// What the row is about.
    pub what: EvidenceKind,
    /// The value that was told or read, if one was.
    pub value: Option<i64>,
    /// The step in words: `client 3 is told 341`.
    pub note: String,
}

impl Evidence {
    /// A row with these words.
    pub fn of(trial: u32, step: u32, what: EvidenceKind, note: String) -> Self {
        Self { trial, step, at_ns: 0, client: None, what, value: None, note }
    }

    /// The same row, at this instant.
    #[must_use]
    pub fn at(self, at_ns: u64) -> Self {
        Self { at_ns, ..self }
    }
}

impl Row for Evidence {
    fn flaw(&self) -> Option<String> {
        super::moment::too_late([self.at_ns])
    }
}
