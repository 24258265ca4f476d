//! The options of `report lost-reply`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::lost_reply::Trial;
use crate::record::lost_reply::LossWay;

use super::table::TableArgs;
use super::values::duration;

#[derive(Args)]
pub(in crate::command) struct LostReplyArgs {
    /// Client libraries: names, or paths to a library.toml [default: all of libraries/]
    #[arg(long, value_delimiter = ',', value_name = "NAME|PATH,...")]
    pub(in crate::command) libraries: Vec<String>,
    /// Settings of the libraries [default: all that each library has: default and safe]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub(in crate::command) settings: Vec<String>,
    /// How replies are lost: fin, rst, silence, or dropped (the request is lost) [default: all]
    #[arg(long, value_delimiter = ',', value_name = "WAY,...")]
    pub(in crate::command) ways: Vec<LossWay>,
    /// Updates in each cell, one after another
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    updates: u64,
    /// Lose one reply in every N commands
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    every: u64,
    /// Time limit of a cell; a client that is still waiting for a reply then is reported as waiting
    #[arg(long, default_value = "65s", value_name = "TIME", value_parser = duration)]
    cap: Duration,
    #[command(flatten)]
    pub(in crate::command) table: TableArgs,
    /// Write the rows and a page into this folder
    #[arg(long, value_name = "DIR")]
    pub(in crate::command) out: Option<PathBuf>,
}

impl LostReplyArgs {
    pub(in crate::command) fn trial(&self) -> Trial {
        Trial { updates: self.updates, every: self.every, cap: self.cap, ..Trial::default() }
    }
}
