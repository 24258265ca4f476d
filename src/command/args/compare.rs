//! The options of `report compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{duration, precision};

#[derive(Args)]
pub(in crate::command) struct CompareArgs {
    /// The first side: one run, or several as A1,A2,A3; with --live, a command
    pub(in crate::command) before: String,
    /// The second side
    pub(in crate::command) after: String,
    /// Measure two commands in short turns: 'report --strategies incr', or any program that calls this crate's run.
    /// Each turn gets --out, --quiet and --seed, and --rounds 1 and --duration 50ms if the command does not say
    /// otherwise. Name a running server with REDIS_URL
    #[arg(long)]
    pub(in crate::command) live: bool,
    /// How long to measure in turns; always at least five pairs [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "live")]
    time: Option<Duration>,
    /// Number of pairs of turns, however long they take
    #[arg(long, value_name = "N", requires = "live", conflicts_with = "time",
          value_parser = clap::value_parser!(u16).range(5..=200))]
    pairs: Option<u16>,
    /// Keep the folders of all turns here
    #[arg(long, value_name = "DIR", requires = "live")]
    pub(in crate::command) out: Option<PathBuf>,
    /// Print markdown, fit for a pull request
    #[arg(long, conflicts_with = "json")]
    pub(in crate::command) markdown: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(in crate::command) json: bool,
    /// Also write a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(in crate::command) page: Option<PathBuf>,
    /// A gate: exit with 1 if anything is slower by more than this with its whole interval, or if an exact strategy
    /// lost an update; exit with 2 if a slowdown of this size would be found with less than 80 % power
    #[arg(long, value_name = "PERCENT", value_parser = precision)]
    pub(in crate::command) fail_if_slower: Option<f64>,
    /// Exit with 0 where the gate cannot tell
    #[arg(long, requires = "fail_if_slower")]
    pub(in crate::command) allow_weak: bool,
    /// Treat a change that all strategies share as real, not as the machine's; always on with several runs per side and
    /// with --live
    #[arg(long)]
    pub(in crate::command) trust_shift: bool,
}

impl CompareArgs {
    pub(in crate::command) fn time(&self) -> Duration {
        self.time.unwrap_or(Duration::from_secs(60))
    }

    pub(in crate::command) fn pairs(&self) -> Option<usize> {
        self.pairs.map(usize::from)
    }
}
