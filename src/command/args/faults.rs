//! The options of `report faults`.

use std::path::PathBuf;

use clap::Args;

use super::table::TableArgs;

#[derive(Args)]
pub(in crate::command) struct FaultsArgs {
    /// Faults: names, each with a form or a time after a colon (reply-lost:silence, failover-lagging:200ms), or all
    /// [default: a selection; with --protections, every fault in its first form]
    #[arg(long, value_delimiter = ',', value_name = "NAME[:PARAM],...")]
    pub(in crate::command) faults: Vec<String>,
    /// Protections: names, or all; client libraries by name or path, with +SETTINGS (redis-py+safe), or libraries for every
    /// one of ours [default: a selection; with --faults, all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub(in crate::command) protections: Vec<String>,
    /// How often each cell is measured [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(in crate::command) rounds: Option<u32>,
    /// Seed of the order and of every trial [default: random, and recorded]
    #[arg(long, value_name = "N")]
    pub(in crate::command) seed: Option<u64>,
    /// Clients in each trial
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(in crate::command) clients: u16,
    /// The cells that matter most, in less than a minute
    #[arg(long, conflicts_with_all = ["full", "faults", "protections"])]
    pub(in crate::command) quick: bool,
    /// Every protection under every fault in all its forms, however long that takes
    #[arg(long, conflicts_with_all = ["faults", "protections"])]
    pub(in crate::command) full: bool,
    /// Describe every fault and protection, and the limits of each
    #[arg(long)]
    pub(in crate::command) list: bool,
    /// Exit with 1 if a cell is not as expected
    #[arg(long)]
    pub(in crate::command) expect: bool,
    #[command(flatten)]
    pub(in crate::command) table: TableArgs,
    /// Do not report each trial on stderr
    #[arg(long, short)]
    pub(in crate::command) quiet: bool,
    /// Write the rows and the page into this folder [default: a new one in results/]
    #[arg(long, value_name = "DIR")]
    pub(in crate::command) out: Option<PathBuf>,
}
