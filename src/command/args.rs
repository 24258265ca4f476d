//! The command line's options and subcommands.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::condition::NO_FAULT;
use crate::error::{Error, Result};
use crate::fault;
use crate::interchange::Decimal;
use crate::lost_reply::Trial;
use crate::pace::Pace;
use crate::record::lost_reply::LossWay;
use crate::report;
use crate::strategy::{self, Strategy};
use crate::target::compose::Service;
use crate::target::{Layout, Placement, ServerSpec, Target, TlsFiles};
use crate::until::{FEWEST, Goal};
use crate::worker::Manifest;
use crate::workload::{DriverKind, Plan, Size, Skew};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::libraries::default_strategies;
use super::signals::{InOrder, STOP};

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
    /// What acknowledged updates are worth when something breaks: protections under faults, on private servers
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

#[derive(Args)]
pub(super) struct LostReplyArgs {
    /// Client libraries: names, or paths to a library.toml [default: all of libraries/]
    #[arg(long, value_delimiter = ',', value_name = "NAME|PATH,...")]
    pub(super) libraries: Vec<String>,
    /// Settings of the libraries [default: all that each library has: default and safe]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub(super) settings: Vec<String>,
    /// How replies are lost: fin, rst, silence, or dropped (the request is lost) [default: all]
    #[arg(long, value_delimiter = ',', value_name = "WAY,...")]
    pub(super) ways: Vec<LossWay>,
    /// Updates in each cell, one after another
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    updates: u64,
    /// Lose one reply in every N commands
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    every: u64,
    /// Time limit of a cell; a client that is still waiting for a reply then is reported as waiting
    #[arg(long, default_value = "65s", value_name = "TIME", value_parser = duration)]
    cap: Duration,
    /// Print the rows as JSON
    #[arg(long, conflicts_with_all = ["csv", "markdown"])]
    pub(super) json: bool,
    /// Print the rows as CSV
    #[arg(long, conflicts_with = "markdown")]
    pub(super) csv: bool,
    /// Print the table as markdown
    #[arg(long)]
    pub(super) markdown: bool,
    /// Write the rows and a page into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

impl LostReplyArgs {
    pub(super) fn trial(&self) -> Trial {
        Trial { updates: self.updates, every: self.every, cap: self.cap, ..Trial::default() }
    }
}

#[derive(Args)]
pub(super) struct FaultsArgs {
    /// Faults: names, each with a form or a time after a colon (reply-lost:silence, failover-lagging:200ms), or all
    /// [default: a selection; with --protections, every fault in its first form]
    #[arg(long, value_delimiter = ',', value_name = "NAME[:PARAM],...")]
    pub(super) faults: Vec<String>,
    /// Protections: names, or all; client libraries by name or path, with +SETTINGS (redis-py+safe), or libraries for every
    /// one of ours [default: a selection; with --faults, all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub(super) protections: Vec<String>,
    /// How often each cell is measured [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) rounds: Option<u32>,
    /// Seed of the order and of every trial [default: random, and recorded]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Clients in each trial
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) clients: u16,
    /// The cells that matter most, in less than a minute
    #[arg(long, conflicts_with_all = ["full", "faults", "protections"])]
    pub(super) quick: bool,
    /// Every protection under every fault in all its forms, however long that takes
    #[arg(long, conflicts_with_all = ["faults", "protections"])]
    pub(super) full: bool,
    /// Print every fault and protection: what it is, and what it is not
    #[arg(long)]
    pub(super) list: bool,
    /// Exit with 1 if a cell is not as expected
    #[arg(long)]
    pub(super) expect: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with_all = ["csv", "markdown"])]
    pub(super) json: bool,
    /// Print the trials as CSV
    #[arg(long, conflicts_with = "markdown")]
    pub(super) csv: bool,
    /// Print the cells as a markdown table
    #[arg(long)]
    pub(super) markdown: bool,
    /// Do not report each trial on stderr
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Write the rows and the page into this folder [default: a new one in results/]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Threads in each phase [default: 4; with --slow 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    /// Updates by every thread [default: 100; with --slow 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) updates: Option<u64>,
    /// Slow enough to follow: a line for every command, and a pause before it
    #[arg(long)]
    pub(super) slow: bool,
}

#[derive(Args)]
pub(super) struct CompareArgs {
    /// The first side: one run, or several as A1,A2,A3; with --live, a command
    pub(super) before: String,
    /// The second side
    pub(super) after: String,
    /// Measure two commands in short turns: 'report --strategies incr', or any program that calls this crate's run.
    /// Each turn gets --out, --quiet and --seed, and --rounds 1 and --duration 50ms if the command does not say
    /// otherwise. Name a running server with REDIS_URL
    #[arg(long)]
    pub(super) live: bool,
    /// How long to measure in turns; always at least five pairs [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "live")]
    time: Option<Duration>,
    /// Number of pairs of turns, however long they take
    #[arg(long, value_name = "N", requires = "live", conflicts_with = "time",
          value_parser = clap::value_parser!(u16).range(5..=200))]
    pairs: Option<u16>,
    /// Keep the folders of all turns here
    #[arg(long, value_name = "DIR", requires = "live")]
    pub(super) out: Option<PathBuf>,
    /// Print markdown, fit for a pull request
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Also write a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(super) page: Option<PathBuf>,
    /// A gate: exit with 1 if anything is slower by more than this with its whole interval, or if an exact strategy
    /// lost an update; exit with 2 if a slowdown of this size would be found with less than 80 % power
    #[arg(long, value_name = "PERCENT", value_parser = precision)]
    pub(super) fail_if_slower: Option<f64>,
    /// Exit with 0 where the gate cannot tell
    #[arg(long, requires = "fail_if_slower")]
    pub(super) allow_weak: bool,
    /// Count a change common to all strategies as real, not as the machine's doing; always so with several runs a side
    /// and in turns
    #[arg(long)]
    pub(super) trust_shift: bool,
}

impl CompareArgs {
    pub(super) fn time(&self) -> Duration {
        self.time.unwrap_or(Duration::from_secs(60))
    }

    pub(super) fn pairs(&self) -> Option<usize> {
        self.pairs.map(usize::from)
    }
}

#[derive(Args)]
#[command(next_help_heading = "Measurement")]
pub(super) struct PlanArgs {
    /// Strategies to race: names, or all, exact, lossy [default: a selection of a dozen; report list prints all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    strategies: Vec<String>,
    /// Race every strategy at the default trial time, however long that takes
    #[arg(long, conflicts_with_all = ["strategies", "quick"])]
    full: bool,
    /// Thread counts, which are client counts with the other drivers [default: 1,2,4,8,16]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    threads: Vec<usize>,
    /// What runs the clients: threads (one per client, up to 1024), events (one event loop for all, up to 20000) or tasks (one
    /// async runtime for all, through the redis crate's multiplexed connections)
    #[arg(long, value_name = "threads|events|tasks", default_value = "threads")]
    driver: DriverKind,
    /// Race client libraries as worker processes: names of libraries/, all, or paths to a library.toml
    #[arg(long, value_delimiter = ',', value_name = "NAME|PATH,...", conflicts_with = "driver")]
    pub(super) libraries: Vec<String>,
    /// Settings of the libraries: default, safe, or others that their library.toml names [default: default]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", requires = "libraries")]
    pub(super) settings: Vec<String>,
    /// Numbers of counters to spread the updates over
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "1")]
    keys: Vec<usize>,
    /// Connections in the pool of pooled-incr and pooled-incr-ping; how long clients wait for one is then shown
    /// separately [default: as many as threads, and nobody waits]
    #[arg(long, value_name = "N")]
    pool_size: Option<usize>,
    /// How updates choose among keys: even, or zipf:S
    #[arg(long, value_name = "even|zipf:S", default_value = "even")]
    skew: Skew,
    /// Updates per thread and trial, instead of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    updates: Option<u64>,
    /// Duration of a trial, such as 300ms or 2s [default: chosen so that the run takes less than a minute,
    /// three times as long at the highest thread count]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Open loop: this many updates per second in total, on a timetable [default: closed loop, each client sends its
    /// next update when the last one is acknowledged]
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Emulate a round trip of this time between clients and server, such as 0.5ms, by a proxy in this process that
    /// delays each direction
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) rtt: Option<Duration>,
    /// Race every strategy also under these faults, each as long as the fault takes: names of report faults --list, each
    /// with a form or a time after a colon (reply-lost:rst, failover-lagging:200ms), or all
    #[arg(long, value_delimiter = ',', value_name = "NAME[:PARAM],...", conflicts_with_all = ["libraries", "rate", "rtt", "pool_size", "until"])]
    pub(super) faults: Vec<String>,
    /// Permit --faults on a server that is not private: a proxy in front of this run's clients loses their commands or
    /// replies, and nothing else is done
    #[arg(long, requires = "faults")]
    pub(super) allow_faults: bool,
    /// Passes over all cells, each in a new shuffled order [default: 5; with --until at most 100]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Add rounds until the 95 % interval of surviving updates per second is within this for every exact strategy at every
    /// load, such as 2%; stops at --rounds or after ten minutes
    #[arg(long, value_name = "PERCENT", value_parser = precision)]
    pub(super) until: Option<f64>,
    /// Seed of the shuffles [default: random, and recorded]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A smaller plan that takes at most ten seconds: threads 1,2,4,8 and 2 rounds
    #[arg(long)]
    pub(super) quick: bool,
    /// Run --quick even if other options make it longer than a minute
    #[arg(long)]
    pub(super) yes: bool,
}

/// Formats of services that track figures over time.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum TrackingFormat {
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
pub(super) struct OutputArgs {
    /// Folder to write into [default: results/<UTC date-time>-<host>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Print only the summary on stdout, as one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Print only the summary on stdout, as CSV with one row per cell
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
    /// Print only the figures, for a service that tracks them over time: docs/tracking.md
    #[arg(long, value_enum, conflicts_with_all = ["json", "csv"])]
    pub(super) format: Option<TrackingFormat>,
    /// Print the table of every load, not only that of the headline
    #[arg(long, conflicts_with_all = ["json", "csv", "format", "quiet"])]
    pub(super) table: bool,
    /// No table and no progress bar: only warnings and the path of the page
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Print every trial on stderr when it ends
    #[arg(long, short, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Show throughput and loss of every strategy live, if stderr is a terminal
    #[arg(long, conflicts_with_all = ["quiet", "no_progress"])]
    pub(super) watch: bool,
    /// Also write the history of every trial, for report check: about 35 bytes per update
    #[arg(long)]
    pub(super) history: bool,
    /// No progress bar
    #[arg(long)]
    pub(super) no_progress: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    /// A running server: redis://[user:password@]host:port[/db] or unix:///path.sock; redis-cluster://host:port,host:port;
    /// redis-sentinel://host:port,host:port/db?sentinelMasterId=NAME; each with rediss for TLS
    #[arg(long, global = true, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<String>,
    /// A server binary to run as a private child process; several are measured in turn, within each round, and compared
    #[arg(long, global = true, value_name = "PATH,...", value_delimiter = ',', conflicts_with = "redis_url")]
    server_bin: Vec<PathBuf>,
    /// A server that Docker Compose starts and removes again: redis or valkey; or servers: sentinel or cluster
    #[arg(long, global = true, value_name = "SERVICE", num_args = 0..=1, default_missing_value = "redis", conflicts_with_all = ["redis_url", "server_bin"])]
    docker: Option<Service>,
    /// How to reach a private server
    #[arg(long, global = true, value_enum, default_value = "tcp")]
    transport: TransportArg,
    /// How private servers are arranged: single, tls, replicated, sentinel or cluster
    #[arg(long, global = true, value_name = "TOPOLOGY", default_value = "single")]
    topology: Layout,
    /// Primaries of a private cluster [default: 3]
    #[arg(long, global = true, value_name = "N")]
    shards: Option<u32>,
    /// Replicas of each private primary [default: 1 for replicated and sentinel, 0 for cluster]
    #[arg(long, global = true, value_name = "N")]
    replicas: Option<u32>,
    /// Certificates of the authorities to trust over TLS, in PEM [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Client certificate for TLS, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Accept any certificate over TLS: others may be able to read and change everything
    #[arg(long, global = true)]
    insecure: bool,
    /// Never fetch anything: no server, no client library
    #[arg(long, global = true)]
    offline: bool,
    /// Let strategies change settings of a running server for a while (they restore them)
    #[arg(long, global = true)]
    allow_config: bool,
    /// CPUs of server and clients: auto, none, or server=0,client=1 (several: 1+2+3)
    #[arg(long, global = true, value_name = "PLACEMENT", default_value = "auto")]
    pin: Placement,
}

#[derive(Clone, Copy, ValueEnum)]
enum TransportArg {
    Tcp,
    Unix,
}

impl ServerArgs {
    /// Whether a particular server was asked for, and not just any.
    pub(super) fn is_particular(&self) -> bool {
        self.redis_url.is_some() || !self.server_bin.is_empty()
    }

    /// Whether the server is one that outlives us.
    pub(super) fn is_running(&self) -> bool {
        self.redis_url.as_ref().is_some_and(|url| !url.is_empty())
    }

    /// Whether nothing may be fetched.
    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The server that was asked for. A signal ends at once whatever nobody has to clean up after; fetching one and waiting
    /// for containers end in order.
    pub(super) fn resolve(&self, say: &mut dyn FnMut(&str)) -> Result<Target> {
        if self.servers() > 1 {
            let named = self.servers();
            return Err(Error::usage(format!("--server-bin: one server is expected here, and {named} are named")));
        }
        self.resolved(self.spec(), say)
    }

    /// How many servers are to be measured.
    pub(super) fn servers(&self) -> usize {
        self.server_bin.len().max(1)
    }

    /// Every server that was asked for.
    pub(super) fn resolve_all(&self, say: &mut dyn FnMut(&str)) -> Result<Vec<Target>> {
        if self.servers() == 1 {
            return Ok(vec![self.resolve(say)?]);
        }
        let _looking = InOrder::begin();
        let servers = self.spec().resolve_each(&self.server_bin, &STOP, say)?;
        if STOP.load(Ordering::SeqCst) { Err(Error::interrupted()) } else { Ok(servers) }
    }

    /// The same, if there is one without fetching it.
    pub(super) fn resolve_offline(&self) -> Result<Target> {
        self.resolved(ServerSpec { offline: true, ..self.spec() }, &mut |_| ())
    }

    fn resolved(&self, spec: ServerSpec, say: &mut dyn FnMut(&str)) -> Result<Target> {
        let _looking = spec.url.is_none().then(InOrder::begin);
        let server = spec.resolve(&STOP, say)?;
        if STOP.load(Ordering::SeqCst) { Err(Error::interrupted()) } else { Ok(server) }
    }

    /// The program to start private servers from, for commands that break servers; a running server is refused.
    pub(super) fn binary(&self, say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        let wanted = self.spec();
        if wanted.url.is_some() || wanted.docker.is_some() {
            return Err(Error::usage(
                "faults are made on private servers only: leave out --redis-url (and REDIS_URL) and --docker",
            ));
        }
        wanted.find(say)
    }

    /// Whether anybody may pretend to be the server.
    pub(super) fn is_insecure(&self) -> bool {
        self.insecure
    }

    fn spec(&self) -> ServerSpec {
        ServerSpec {
            url: self.redis_url.clone().filter(|url| !url.is_empty()),
            binary: self.server_bin.first().cloned(),
            unix: matches!(self.transport, TransportArg::Unix),
            offline: self.offline,
            docker: self.docker,
            allow_config: self.allow_config,
            layout: Layout { shards: self.shards, replicas: self.replicas, ..self.topology },
            tls: TlsFiles {
                cacert: self.cacert.clone(),
                cert: self.cert.clone(),
                key: self.key.clone(),
                insecure: self.insecure,
            },
            placement: self.pin.clone(),
        }
    }
}

impl PlanArgs {
    /// What drives the clients.
    fn driver(&self) -> DriverKind {
        if self.libraries.is_empty() { self.driver } else { DriverKind::External }
    }

    /// The strategies asked for; by default `own` ones and then the default plan's, or with client libraries those of
    /// the default plan that one of them has.
    pub(super) fn strategies(&self, own: &[&dyn Strategy], libraries: &[Manifest]) -> Vec<String> {
        match (self.full, self.strategies.is_empty()) {
            (_, true) if !libraries.is_empty() => default_strategies(libraries),
            (true, _) => vec!["all".to_owned()],
            (false, true) => {
                let is_one_thread = self.driver.info().is_one_thread;
                let default = if is_one_thread { strategy::DEFAULT_OF_ONE_THREAD } else { strategy::DEFAULT };
                let drives = |own: &&&dyn Strategy| !is_one_thread || own.machines().is_some();
                let own = own.iter().filter(drives).map(|own| own.info().name);
                own.chain(default.iter().copied()).map(str::to_owned).collect()
            }
            (false, false) => self.strategies.clone(),
        }
    }

    /// The plan for this many entrants and servers; `strategies` are the entrants' own, out of the `known` ones.
    pub(super) fn plan(
        &self,
        strategies: &[&dyn Strategy],
        entrants: usize,
        servers: usize,
        known: &[&dyn Strategy],
    ) -> Result<Plan> {
        let default_threads: &[usize] = if self.quick { &[1, 2, 4, 8] } else { &[1, 2, 4, 8, 16] };
        let mut plan = Plan {
            threads: if self.threads.is_empty() { default_threads.to_vec() } else { self.threads.clone() },
            keys: self.keys.clone(),
            skew: self.skew,
            pace: self.rate.map_or(Pace::Closed, Pace::Rate),
            driver: self.driver(),
            pool_size: self.pool_size,
            size: Size::Updates(1),
            emphasis: 1,
            rounds: self.rounds.filter(|_| self.until.is_none()).unwrap_or(if self.quick { 2 } else { 5 }),
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        };
        // Three quarters of the promised time: opening, warming up and judging take the rest.
        let budget = if self.quick { Duration::from_millis(3_500) } else { Duration::from_secs(40) };
        plan.size = match (self.updates, self.duration) {
            (Some(updates), _) => Size::Updates(updates),
            (None, Some(duration)) => Size::Duration(duration),
            (None, None) if self.full => Size::Duration(FULL_TRIAL),
            (None, None) => {
                plan.emphasis = if self.quick { 1 } else { EMPHASIS };
                plan.fit(budget, entrants * servers)
            }
        };
        // After the trials have been given the time they have without it.
        if self.until.is_some() {
            plan.rounds = self.rounds.unwrap_or(UNTIL_ROUNDS);
            if plan.rounds < FEWEST {
                return Err(Error::usage(format!(
                    "rounds: --until needs at least {FEWEST}, to estimate its precision"
                )));
            }
        }
        plan.validate()?;
        self.asks_only_what_there_is(known)?;
        self.has_a_pool(strategies)?;
        Ok(plan)
    }

    /// The faults that strategies are raced under, beside none.
    pub(super) fn faults(&self) -> Result<Vec<fault::Chosen>> {
        if self.faults.is_empty() {
            return Ok(Vec::new());
        }
        if self.driver != DriverKind::Threads {
            let driver = self.driver;
            return Err(Error::usage(format!("--faults is not supported by --driver {driver}: expected threads")));
        }
        if self.keys != [1] {
            return Err(Error::usage("--faults races on one counter: leave out --keys"));
        }
        let chosen = fault::find(&self.faults)?;
        // Without a fault everything is measured anyway.
        Ok(chosen.into_iter().filter(|chosen| chosen.to_string() != NO_FAULT).collect())
    }

    /// When rounds are enough, if that is not for the plan to say.
    pub(super) fn goal(&self, plan: &Plan) -> Option<Goal> {
        Some(Goal { within: self.until?, rounds: plan.rounds, time: UNTIL_TIME })
    }
}

/// At the highest thread count, which the headline is of, a default run's trials are so many times as long.
const EMPHASIS: u32 = 3;

/// The most rounds with `--until`, unless `--rounds` says another number.
const UNTIL_ROUNDS: u32 = 100;

/// The longest that `--until` measures.
pub(super) const UNTIL_TIME: Duration = Duration::from_secs(600);

impl PlanArgs {
    /// Refuses a pool size that no strategy would use, rather than ignoring it silently.
    fn has_a_pool(&self, strategies: &[&dyn Strategy]) -> Result<()> {
        if self.pool_size.is_none() {
            return Ok(());
        }
        let driver = self.driver();
        if driver != DriverKind::Threads {
            return Err(Error::usage(format!(
                "--pool-size is not supported by --driver {driver}: the clients of a pool block, as with --driver threads"
            )));
        }
        match strategies.iter().any(|strategy| strategy.pools().is_some()) {
            true => Ok(()),
            false => Err(Error::usage(
                "--pool-size needs a strategy that has a pool: pooled-incr or pooled-incr-ping; none is in --strategies",
            )),
        }
    }

    /// A strategy that was asked for by name is not skipped in silence.
    fn asks_only_what_there_is(&self, known: &[&dyn Strategy]) -> Result<()> {
        let driven = strategy::driven_by_one_thread(known);
        let is_unsupported = |name: &&String| {
            strategy::find_among(known, &[name]).is_ok_and(|found| found.len() == 1) && !driven.contains(&name.as_str())
        };
        match self.strategies.iter().find(is_unsupported) {
            Some(name) if self.driver.info().is_one_thread => Err(Error::usage(format!(
                "strategy {name}: {}; supported: {}",
                strategy::UNSUPPORTED,
                driven.join(", ")
            ))),
            _ => Ok(()),
        }
    }
}

/// Every trial's time with `--full`: as long as a default trial.
const FULL_TRIAL: Duration = Duration::from_millis(150);

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    number
        .filter(|p| (0.0..100.0).contains(p))
        .ok_or_else(|| "expected a percentage below 100, such as 5% or 7.5%".to_owned())
}

fn precision(text: &str) -> Result<f64, String> {
    let part = percent(text)? / 100.0;
    if part > 0.0 { Ok(part) } else { Err("expected a percentage above 0, such as 2% or 0.5%".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "expected a time such as 300ms, 2s or 1m".to_owned())?;
    Duration::try_from(span).map_err(|_| "expected a time above zero, such as 300ms".to_owned())
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// CSV of worker,begin_ns,end_ns,outcome,value[,key,op,amount], the same as JSON lines, or Jepsen's history.edn; also
    /// compressed with gzip or zstd; - for standard input. Each file is judged separately
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// The counter's initial value [default: the file's comment '# initial N', else 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) initial: Option<Decimal>,
    /// Its final value [default: the file's comment '# final N'; without one, only the values are judged]
    #[arg(long = "final", value_name = "N", allow_negative_numbers = true)]
    pub(super) last: Option<Decimal>,
    /// Print JSON instead of text; docs/check-json.md explains it
    #[arg(long)]
    pub(super) json: bool,
    /// Also write a result folder with a page and a row per file, which compare can read; files of the same name become rounds
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Refuse a history that takes more memory than this many MiB [default: 1024]
    #[arg(long, value_name = "MIB")]
    pub(super) memory: Option<u64>,
}
