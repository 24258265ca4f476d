//! The cost of a proxy, measured before a run relies on it.
//!
//! PING in a closed loop, alternately direct and through a proxy that does nothing: over one connection for what it
//! adds to a round trip, over sixteen for its capacity. No key is touched. A server that requires a password refuses as
//! fast as it answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::placement::CpuSet;
use crate::proxy::{Address, Options, Proxy};

/// How many connections its capacity is measured over.
pub const CONNECTIONS: usize = 16;

/// A proxy that carries less than this fraction of what the server does without it is the bottleneck.
pub const ENOUGH: f64 = 0.5;

/// How often direct and proxied connections are each measured, alternately.
const ROUNDS: usize = 5;

/// How long each measurement takes.
const TIME: Duration = Duration::from_millis(40);

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The latency that a proxy adds, and its capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Added to the median round trip over one connection, in nanoseconds.
    pub added_p50_ns: u64,
    /// Added to the 99th percentile.
    pub added_p99_ns: u64,
    /// Commands per second over sixteen connections, without the proxy.
    pub direct_per_s: u64,
    /// Commands per second over sixteen connections, through the proxy.
    pub proxied_per_s: u64,
}

impl Cost {
    /// The proxy's capacity as a fraction of what the server does without it.
    pub fn share(&self) -> f64 {
        self.proxied_per_s as f64 / self.direct_per_s.max(1) as f64
    }

    /// Whether the proxy is the bottleneck, rather than the server.
    pub fn is_the_limit(&self) -> bool {
        self.share() < ENOUGH
    }
}

/// What a proxy costs between this thread and the server at `upstream`; the proxy's thread runs on `cpus`. Takes about
/// a second.
///
/// # Errors
/// Nothing answers there.
pub fn measure(upstream: &Address, cpus: Option<CpuSet>) -> Result<Cost> {
    let proxy = Proxy::start(upstream, Options { cpus, ..Options::default() })?;
    let (added_p50_ns, added_p99_ns) = added(upstream, proxy.address())?;
    let mut counts = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (counts, address) in counts.iter_mut().zip([upstream, proxy.address()]) {
            counts.push(per_second(&pings(address, CONNECTIONS).map_err(|e| failed(upstream, &e))?));
        }
    }
    let [direct_per_s, proxied_per_s] = counts.map(|mut counts| quantile(&mut counts, 0.5));
    Ok(Cost { added_p50_ns, added_p99_ns, direct_per_s, proxied_per_s })
}

/// What a proxy at `through` adds to a round trip over one connection to the server at `upstream`, in nanoseconds: to the
/// median, and to the 99th percentile.
///
/// # Errors
/// Nothing answers there.
pub fn added(upstream: &Address, through: &Address) -> Result<(u64, u64)> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, address) in times.iter_mut().zip([upstream, through]) {
            times.extend(pings(address, 1).map_err(|e| failed(upstream, &e))?.into_iter().flatten());
        }
    }
    let [mut direct, mut proxied] = times;
    let mut added = |q: f64| quantile(&mut proxied, q).saturating_sub(quantile(&mut direct, q));
    Ok((added(0.5), added(0.99)))
}

fn failed(upstream: &Address, error: &std::io::Error) -> Error {
    Error::server(format!("measuring the proxy before {upstream}: {error}"))
}

fn quantile(values: &mut [u64], q: f64) -> u64 {
    values.sort_unstable();
    let place = (values.len().saturating_sub(1) as f64 * q) as usize;
    values.get(place).copied().unwrap_or(0)
}

/// Commands per second: those of all connections, over the time that the slowest of them took.
fn per_second(times: &[Vec<u64>]) -> u64 {
    let commands: usize = times.iter().map(Vec::len).sum();
    let longest = times.iter().map(|one| one.iter().sum::<u64>()).max().unwrap_or(0);
    (commands as f64 * 1e9 / longest.max(1) as f64) as u64
}

/// Round trips of each of `connections` connections at once, in nanoseconds.
fn pings(address: &Address, connections: usize) -> std::io::Result<Vec<Vec<u64>>> {
    let streams: Vec<Box<dyn Stream>> = (0..connections).map(|_| connect(address)).collect::<std::io::Result<_>>()?;
    let barrier = Barrier::new(connections);
    std::thread::scope(|scope| {
        let run = |stream| {
            let barrier = &barrier;
            scope.spawn(move || ping(stream, barrier))
        };
        let threads: Vec<_> = streams.into_iter().map(run).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a measuring thread panicked"))));
        joined.collect()
    })
}

fn ping(stream: Box<dyn Stream>, barrier: &Barrier) -> std::io::Result<Vec<u64>> {
    let (mut reader, mut line) = (BufReader::new(stream), Vec::new());
    let mut one = || -> std::io::Result<()> {
        reader.get_mut().write_all(b"*1\r\n$4\r\nPING\r\n")?;
        line.clear();
        match reader.read_until(b'\n', &mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    };
    // The first round trip makes the connection; a thread that fails here still lets the others start.
    let first = one();
    barrier.wait();
    first?;
    let (start, mut times) = (Instant::now(), Vec::new());
    let mut last = start;
    while last - start < TIME {
        one()?;
        let now = Instant::now();
        times.push(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
        last = now;
    }
    Ok(times)
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn connect(address: &Address) -> std::io::Result<Box<dyn Stream>> {
    Ok(match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
    })
}
