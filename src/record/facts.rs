//! Facts about a run as a whole, as rows of name and value.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::record::folder::MACHINE;
use crate::record::rows::{csv_bytes, write_whole};

/// One thing that is true of the run: the server, the machine, the build, the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name.
    pub fact: String,
    /// Its value; several facts may share a name (`warning`).
    pub value: String,
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

    /// Writes them to a result folder, replacing those that are there.
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
