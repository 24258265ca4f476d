//! One way to hammer a hot key, theirs or ours, and one reading of how fast it was.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::{Topology, Transport};
use redis_lost_updates::error::{Error, Result};
use redis_lost_updates::strategy;
use redis_lost_updates::target::{Counts, Session, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::workload::{DriverKind, Workload};
use rustix::time::{ClockId, clock_gettime};

/// How fast it was, once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Updates per second: the tool's own figure, or ours by the clients' own clocks.
    pub(crate) per_s: f64,
    /// Its ratio to the baseline around it.
    pub(crate) ratio: Option<f64>,
    /// CPUs' worth of client busy.
    pub(crate) client_cpus: f64,
    /// CPUs' worth of server busy.
    pub(crate) server_cpus: f64,
    /// Updates lost, where the contender can tell.
    pub(crate) lost: Option<u64>,
}

/// One contender.
pub(crate) enum Contender {
    /// `redis-benchmark` or `valkey-benchmark`.
    Benchmark(&'static str),
    /// `memtier_benchmark`, one thread.
    Memtier,
    /// A strategy of ours, with this many clients for each connection to a node.
    Ours(&'static str, DriverKind, u32),
}

/// The number of our counters on a cluster, enough for every node to have its share. A single server has one.
const CLUSTER_KEYS: usize = 64;

/// What ratios are to.
pub(crate) const BASELINE: &str = "redis-benchmark";
const VALKEY: &str = "valkey-benchmark";
const MEMTIER: &str = "memtier_benchmark";

/// Every contender available here for this server at this pipeline depth.
pub(crate) fn all(server: &Target, depth: usize) -> Vec<Contender> {
    let mut all: Vec<Contender> =
        [BASELINE, VALKEY].into_iter().filter(|tool| is_there(tool)).map(Contender::Benchmark).collect();
    if is_there(MEMTIER) {
        all.push(Contender::Memtier);
    }
    let ours: [(DriverKind, &[&str]); 3] = match depth {
        1 => [
            (DriverKind::Threads, &["incr", "pooled-incr", "multiplexed-incr"]),
            (DriverKind::Tasks, &["multiplexed-incr"]),
            (DriverKind::Events, &["incr", "multiplexed-incr"]),
        ],
        _ => [
            (DriverKind::Threads, &["pipelined-incr"]),
            (DriverKind::Tasks, &[]),
            (DriverKind::Events, &["pipelined-incr"]),
        ],
    };
    if server.topology() == Topology::Cluster {
        let (name, shards) = (if depth == 1 { "incr" } else { "pipelined-incr" }, server.shards());
        for driver in [DriverKind::Threads, DriverKind::Tasks, DriverKind::Events] {
            // As many connections to each node as the peers have, and as many commands in flight.
            all.extend([1, shards].map(|times| Contender::Ours(name, driver, times)));
        }
        return all;
    }
    for (driver, names) in ours {
        all.extend(names.iter().map(|name| Contender::Ours(name, driver, 1)));
    }
    all
}

/// The peers' own words for their versions.
pub(crate) fn versions() -> Vec<String> {
    let say = |tool: &str| {
        let out = Command::new(tool).arg("--version").output().ok()?;
        String::from_utf8_lossy(&out.stdout).lines().next().map(str::to_owned)
    };
    [BASELINE, VALKEY, MEMTIER].into_iter().filter_map(say).collect()
}

fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Contender {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Benchmark(tool) => (*tool).to_owned(),
            Self::Memtier => MEMTIER.to_owned(),
            Self::Ours(name, driver, 1) => format!("{name} ({driver})"),
            Self::Ours(name, driver, times) => format!("{name} ({driver}, {times} × the clients)"),
        }
    }

    /// Measures once, for about `time`; `last` is the rate it had before, if there is one.
    pub(crate) fn read(
        &self,
        server: &Target,
        connections: usize,
        depth: usize,
        time: Duration,
        last: Option<f64>,
    ) -> Result<Reading> {
        match self {
            Self::Benchmark(tool) => benchmark(tool, server, connections, depth, time, last),
            Self::Memtier => memtier(server, connections, depth, time),
            Self::Ours(name, driver, times) => ours(name, *driver, server, connections * *times as usize, time),
        }
    }
}

/// A tool that runs for a number of requests: the number that its last rate says fits, and its own figure is believed.
fn benchmark(
    tool: &str,
    server: &Target,
    connections: usize,
    depth: usize,
    time: Duration,
    last: Option<f64>,
) -> Result<Reading> {
    let run = |requests: u64| {
        let mut command = Command::new(tool);
        // On a cluster each of its clients is connected to one node.
        let clients = connections * server.shards() as usize;
        command.args(["-t", "incr", "--csv", "-n", &requests.to_string(), "-c", &clients.to_string()]);
        if server.topology() == Topology::Cluster {
            command.arg("--cluster");
        }
        command.args(["-P", &depth.to_string(), "-a", OPEN_WORD]);
        aim(&mut command, server, "-s", "-h")?;
        let (out, reading) = watched(&mut command, server)?;
        let rate = out.lines().find_map(|line| line.strip_prefix("\"INCR\",\"")?.split('"').next()?.parse().ok());
        let per_s = rate.ok_or_else(|| Error::broken(format!("{tool} printed no figure for INCR: {out:?}")))?;
        Ok(Reading { per_s, ..reading })
    };
    let last = match last {
        Some(last) => last,
        None => run(10_000)?.per_s,
    };
    run((last * time.as_secs_f64()) as u64)
}

/// Counted by the server over wall time: its own figure is not to be trusted on a short run.
fn memtier(server: &Target, connections: usize, depth: usize, time: Duration) -> Result<Reading> {
    let mut command = Command::new(MEMTIER);
    command.args([
        "--authenticate",
        OPEN_WORD,
        "--threads",
        "1",
        "--clients",
        &connections.to_string(),
        "--pipeline",
        &depth.to_string(),
    ]);
    command.args(["--hide-histogram", "--test-time", &time.as_secs_f64().ceil().to_string()]);
    match server.topology() {
        // It makes its own keys; otherwise all of them would be on one node.
        Topology::Cluster => command.args(["--cluster-mode", "--command", "INCR __key__"]),
        _ => command.args(["--command", &format!("INCR {}memtier", server.prefix())]),
    };
    aim(&mut command, server, "-S", "-s")?;
    watched(&mut command, server).map(|(_, reading)| reading)
}

/// What the tools log in with. They take it among their arguments, where every process list shows it.
const OPEN_WORD: &str = "peers";

/// Gives the tools a second password, which is no secret: with it, anybody on this machine may count, and nothing else.
pub(crate) fn let_in(server: &Target) -> Result<()> {
    let rules =
        ">peers ~* -@all +cluster +incr +incrby +get +set +del +scan +ping +echo +select +client +info +config|get";
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("default").arg(rules.split(' ').collect::<Vec<_>>());
    let refused = |e: redis::RedisError| Error::server(format!("peers cannot be let in (ACL SETUSER): {e}"));
    if server.topology() != Topology::Cluster {
        return command.exec(&mut server.connect()?).map_err(refused);
    }
    // Each node has users of its own.
    let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(&mut server.connect()?).map_err(refused)?;
    // ID HOST:PORT@BUS ...
    let addresses = nodes.lines().filter_map(|line| line.split([' ', '@']).nth(1)?.rsplit_once(':'));
    for (host, port) in addresses.filter_map(|(host, port)| Some((host, port.parse().ok()?))) {
        let node = redis::Client::open(server.secret_url_at(host, port)).and_then(|node| node.get_connection());
        command.exec(&mut node.map_err(refused)?).map_err(refused)?;
    }
    Ok(())
}

/// Tells a tool where the server is, by the names it has for a socket's path and for a host.
fn aim(command: &mut Command, server: &Target, socket: &str, host: &str) -> Result<()> {
    let foreign = || Error::server("peers are raced on a private server alone");
    let child = server.child();
    if let (Transport::Unix, Some(child)) = (server.transport(), child) {
        command.arg(socket).arg(child.socket());
        return Ok(());
    }
    let address = server.address();
    let (_, port) = address.rsplit_once(':').filter(|_| server.is_private()).ok_or_else(foreign)?;
    command.args([host, "127.0.0.1", "-p", port]);
    if server.is_tls() {
        let (_, authority) = child.and_then(|child| child.encrypted()).ok_or_else(foreign)?;
        command.arg("--tls").arg("--cacert").arg(authority);
    }
    Ok(())
}

/// Runs a tool to its end: what it printed, and the rate and the CPUs that the server and the system counted.
fn watched(command: &mut Command, server: &Target) -> Result<(String, Reading)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let broken = |why: String| Error::broken(format!("{name}: {why}"));
    let mut db = server.connect()?;
    let read = |db: &mut Session| Counts::read(db).map_err(|e| broken(e.to_string()));
    let (before, cpu_before, start) = (read(&mut db)?, children_cpu_s(), Instant::now());
    let out = command.stdin(Stdio::null()).output().map_err(|e| broken(e.to_string()))?;
    let wall = start.elapsed().as_secs_f64();
    let spent = read(&mut db)?.since(&before).unwrap_or_default();
    if !out.status.success() {
        return Err(broken(format!("{}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim())));
    }
    let reading = Reading {
        per_s: spent.calls as f64 / wall,
        ratio: None,
        client_cpus: (children_cpu_s() - cpu_before) / wall,
        server_cpus: spent.cpu_us as f64 / 1e6 / wall,
        lost: None,
    };
    Ok((String::from_utf8_lossy(&out.stdout).into_owned(), reading))
}

/// One trial of ours, judged; its rate is of surviving updates over the clients' own span.
fn ours(name: &str, driver: DriverKind, server: &Target, connections: usize, time: Duration) -> Result<Reading> {
    let stop = AtomicBool::new(false);
    let strategy = strategy::find(&[name])?[0];
    let keys = if server.topology() == Topology::Cluster { CLUSTER_KEYS } else { 1 };
    let workload = Workload { keys, ..Workload::one_key(connections).driven_by(driver) };
    let mut crew = Crew::open(server, strategy, workload, 1, &stop)?;
    let fits = crew.warm_up(time)?;
    let cpu_before = other_threads_cpu_s();
    let trial = crew.timed_trial(fits, time)?;
    // Judging is on this thread, and so is the event loop's race: of the one nothing may count, of the other all.
    let cpu = match driver {
        DriverKind::Threads => other_threads_cpu_s() - cpu_before,
        DriverKind::Events | DriverKind::Tasks | DriverKind::External => {
            trial.log.clients.iter().map(|lane| lane.cpu_ns).sum::<u64>() as f64 / 1e9
        }
    };
    let record = trial.record(strategy, server, &workload);
    crew.close()?;
    let span = trial.log.span_ns().max(1) as f64 / 1e9;
    Ok(Reading {
        per_s: record.surviving_per_s().unwrap_or(0.0),
        ratio: None,
        client_cpus: cpu / span,
        server_cpus: trial.spent.map_or(0.0, |spent| spent.cpu_us as f64 / 1e6 / span),
        lost: record.lost,
    })
}

/// CPU time of this process but for the calling thread: of racing threads, and of those a client library starts.
fn other_threads_cpu_s() -> f64 {
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    read(ClockId::ProcessCPUTime) - read(ClockId::ThreadCPUTime)
}

/// CPU time of children that have ended, by the system's clock of hundredths.
fn children_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = after_name.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
