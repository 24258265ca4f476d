//! What a run prints, and where it writes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::report;

/// Formats of services that track figures over time.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::command) enum TrackingFormat {
    /// Bencher Metric Format, JSON
    Bmf,
    /// Throughput, JSON: customBiggerIsBetter
    GithubActionBenchmark,
    /// Latency and loss, JSON: customSmallerIsBetter
    GithubActionBenchmarkSmaller,
    /// Apache Otava, CSV with a row for each run
    Otava,
    /// The configuration by which Otava reads that CSV, YAML
    OtavaConfig,
}

impl From<TrackingFormat> for report::Format {
    fn from(format: TrackingFormat) -> Self {
        match format {
            TrackingFormat::Bmf => Self::Bmf,
            TrackingFormat::GithubActionBenchmark => Self::GithubActionBenchmark,
            TrackingFormat::GithubActionBenchmarkSmaller => Self::GithubActionBenchmarkSmaller,
            TrackingFormat::Otava => Self::Otava,
            TrackingFormat::OtavaConfig => Self::OtavaConfig,
        }
    }
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
pub(in crate::command) struct OutputArgs {
    /// Folder to write into [default: results/<UTC date-time>-<host>]
    #[arg(long, value_name = "DIR")]
    pub(in crate::command) out: Option<PathBuf>,
    /// Print only the summary on stdout, as one JSON document
    #[arg(long)]
    pub(in crate::command) json: bool,
    /// Print only the summary on stdout, as CSV with one row per cell
    #[arg(long, conflicts_with = "json")]
    pub(in crate::command) csv: bool,
    /// Print only the figures, for a service that tracks them over time: docs/tracking.md
    #[arg(long, value_enum, conflicts_with_all = ["json", "csv"])]
    pub(in crate::command) format: Option<TrackingFormat>,
    /// Print the table of every load, not only that of the headline
    #[arg(long, conflicts_with_all = ["json", "csv", "format", "quiet"])]
    pub(in crate::command) table: bool,
    /// No table and no progress bar: only warnings and the path of the page
    #[arg(long, short)]
    pub(in crate::command) quiet: bool,
    /// Print every trial on stderr when it ends
    #[arg(long, short, conflicts_with = "quiet")]
    pub(in crate::command) verbose: bool,
    /// Show throughput and loss of every strategy live, if stderr is a terminal
    #[arg(long, conflicts_with_all = ["quiet", "no_progress"])]
    pub(in crate::command) watch: bool,
    /// Also write the history of every trial, for report check: about 35 bytes per update
    #[arg(long)]
    pub(in crate::command) history: bool,
    /// No progress bar
    #[arg(long)]
    pub(in crate::command) no_progress: bool,
}
