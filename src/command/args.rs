//! The command line's options and subcommands.

mod check;
mod compare;
mod demo;
mod faults;
mod lost_reply;
mod output;
mod plan;
mod server;
mod table;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(super) use check::CheckArgs;
pub(super) use compare::CompareArgs;
pub(super) use demo::DemoArgs;
pub(super) use faults::FaultsArgs;
pub(super) use lost_reply::LostReplyArgs;
pub(super) use output::{OutputArgs, TrackingFormat};
pub(super) use plan::{PlanArgs, UNTIL_TIME};
pub(super) use server::ServerArgs;
pub(super) use table::Form;

/// How fast is a way of updating a counter in Redis from many threads, and how many updates does it lose?
///
/// Without a command: races the strategies at several thread counts on a real server (yours, one found on PATH, or one
/// fetched once), counts the lost updates, and writes CSV files and an HTML page into a folder under results/.
///
/// Exit codes: 0 every exact strategy kept its promise; 1 one broke it, whatever else happened; 2 bad usage, no server, the
/// run could not finish, or a trial could not be judged (an error, or no update acknowledged). Each cause is named.
#[derive(Parser)]
#[command(name = "report", version, max_term_width = 100, args_conflicts_with_subcommands = false)]
#[command(after_help = "Examples:
  report                                     the default plan, at most a minute
  report --quick                             the same in ten seconds
  report --strategies get-set,incr --threads 1,8,64 --duration 1s
  report --strategies incr --threads 16 --rate 20000   an open loop: latency under a fixed load
  report --redis-url redis://127.0.0.1:6379  your own server; only keys under a random prefix are touched
  report render results/example              the page again, from its CSV files
  report compare results/before results/after  what became wrong, slower or faster between two runs")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Re-render the page of a result folder from its CSV files, or print its figures for a service that tracks them
    Render {
        /// The folder that holds trials.csv; several only with --format otava
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// Print the figures in this format instead: docs/tracking.md
        #[arg(long, value_enum)]
        format: Option<TrackingFormat>,
    },
    /// Compare two builds: what became wrong, and what is faster or slower beyond the noise
    ///
    /// A side is one run, or several separated by commas: A1,A2,A3 B1,B2,B3. Runs of one build differ by more than the
    /// rounds within a run, and only several runs show by how much. A run is a result folder, a bench folder, or
    /// FOLDER@BASELINE for a baseline that criterion has saved. With --live a side is a command, and the two are
    /// measured in turns.
    ///
    /// Exit code 0, or 2 if a run cannot be read or measured. With --fail-if-slower: 0 if nothing is slower by more
    /// than that, and a slowdown of that size would have been found with 80 % power; 1 if something is, or if an exact
    /// strategy lost an update; 2 if the comparison cannot tell.
    Compare(CompareArgs),
    /// Judge any program's history of a counter: exit code 0 valid, 1 invalid, 2 undecided, 3 not a history
    Check(CheckArgs),
    /// Print every strategy with its promise, cost and description
    List,
    /// Show an update being lost, command by command, in the order the server executed them
    Explain {
        /// The strategy that loses the update
        #[arg(long, value_name = "NAME", default_value = "get-set")]
        strategy: String,
        /// Clients racing at once
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
        threads: u16,
    },
    /// Print what GET and SET will lose, without a server
    Predict {
        /// Thread counts
        #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "2,4,8,16",
              value_parser = clap::value_parser!(u16).range(1..=20_000))]
        threads: Vec<u16>,
        /// Counters that the updates are spread over evenly
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16384))]
        keys: u16,
    },
    /// Run the original program: four racing threads, then four behind a mutex
    Demo(DemoArgs),
    /// Remove what killed or interrupted runs left on a server, and restore settings they changed
    ///
    /// Touches only keys that begin with lost-updates: and a run's number, in the database that --redis-url names. Runs that
    /// are still going are left alone.
    Clean,
    /// What your client library does when a reply is lost: does an INCR count twice, by default and with safe settings?
    ///
    /// Exit code 0 if every cell was measured, 2 if not (a toolchain is missing: the row says which).
    LostReply(LostReplyArgs),
    /// Do acknowledged updates survive crashes, failovers and lost replies? Protections under faults, on private servers
    ///
    /// Each cell is judged by the exact checker: what was lost, what was counted twice, how long nothing was
    /// acknowledged. Exit code 0 if every cell was measured, whatever was lost; 2 if one was not; with --expect, 1 if a
    /// cell differs from what METHODOLOGY.md expects.
    Faults(FaultsArgs),
    /// Print a completion script: report completions bash > /etc/bash_completion.d/report
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a man page: report man > report.1; report man --out DIR writes one for every command
    Man {
        /// The command to document [default: report itself]
        command: Option<String>,
        /// Write the man pages of report and of every command into this folder
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        out: Option<PathBuf>,
    },
    /// Internal: the second process of mutex-two-processes
    #[command(hide = true)]
    SecondProcess,
    /// A worker of a built-in library, by the protocol of docs/libraries.md
    #[command(hide = true)]
    Worker {
        /// redis-rs, or strategies: any strategy of this program
        library: String,
    },
}
