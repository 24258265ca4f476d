//! The options of `report demo`.

use clap::Args;

#[derive(Args)]
pub(in crate::command) struct DemoArgs {
    /// Threads in each phase [default: 4; with --slow 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(in crate::command) threads: Option<u16>,
    /// Updates by every thread [default: 100; with --slow 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(in crate::command) updates: Option<u64>,
    /// Slow enough to follow: a line for every command, and a pause before it
    #[arg(long)]
    pub(in crate::command) slow: bool,
}
