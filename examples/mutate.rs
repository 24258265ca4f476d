//! Result folders and histories, broken in every way that edits, cut disks and hostile people break them, read and
//! rendered in process: each must end in a value or an error, without a panic and in time.
//!
//! ```sh
//! cargo run --example mutate -- --seconds 60            # both kinds by turns
//! cargo run --example mutate -- --inputs 100000         # so many of each
//! cargo run --example mutate -- --seed 7 --only 1234    # one input again, which is left in a folder
//! ```
//!
//! Inputs are numbered, and each is made from its seed and number alone, so that whatever fails can be had again. Memory
//! is for the caller to bound (`ulimit -v`): an allocation that is refused ends the program. A line every 10,000 inputs says
//! how far it has come, so that a run that is stopped has said what it did.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use redis_lost_updates::compare::{Comparison, Options, part};
use redis_lost_updates::error::{Error, Result};
use redis_lost_updates::interchange;
use redis_lost_updates::record::{ESTIMATES, LATENCY, MACHINE, Run, TRIALS, WITNESS};
use redis_lost_updates::report::{self, comparison};
use redis_lost_updates::summary::Summary;
use redis_lost_updates::until::Precision;

#[derive(Parser)]
struct Args {
    /// For so long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// So many inputs of each kind, instead of a time
    #[arg(long)]
    inputs: Option<u64>,
    /// What the inputs are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nothing but the input of this number, with its files left behind
    #[arg(long)]
    only: Option<u64>,
}

/// The CPU time that one input may take: ordinary ones take milliseconds. Wall-clock time depends more on what else
/// this machine does, so it only ends inputs that have come to a standstill.
const LIMIT: Duration = Duration::from_secs(20);
const STANDSTILL: Duration = Duration::from_secs(1_200);

/// After so many inputs it says how far it has come.
const PROGRESS: u64 = 10_000;

/// What a count is replaced with.
const COUNTS: [&str; 12] = [
    "",
    "0",
    "1",
    "2",
    "3",
    "255",
    "16384",
    "20000",
    "4294967295",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
];

/// What any cell is replaced with.
const EXTREMES: [&str; 28] = [
    "",
    "0",
    "1",
    "-1",
    "2",
    "255",
    "16384",
    "16385",
    "20000",
    "1000000007",
    "4294967295",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "NaN",
    "inf",
    "-0.0",
    "0.5",
    "1e308",
    "5e-324",
    "exact",
    "lost",
    "ok",
    "unknown",
    "</script>",
    "\u{1f980}\u{0}",
];

/// A bench's estimates, which the example run has none of.
const BENCH: &str = "\
bench_id,baseline,strategy,threads,mean_ns,mean_low_ns,mean_high_ns,median_ns,confidence,acked,lost,doubled,verdict
incr/4,this run,incr,4,40000.0,39000.0,41000.0,40000.0,0.95,4000,0,0,exact
incr/4,before,incr,4,42000.0,41000.0,43000.0,42000.0,0.95,4000,0,0,exact
get-set/4,this run,get-set,4,50000.0,49000.0,51000.0,50000.0,0.95,4000,2600,0,lost
";

/// A history with a repeated value, an update of unknown outcome and two counters.
const HISTORY: &str = "\
# redis-lost-updates history v1
worker,begin_ns,end_ns,outcome,value,key
a,100,180,ok,1,x
b,120,250,ok,2,x
a,180,260,fail,,x
b,250,,unknown,,x
c,300,340,ok,3,x
a,310,350,ok,3,x
c,340,400,ok,,y
a,360,420,ok,1,y
b,400,460,ok,2,y
# initial 0
# final 3 x
# final 3 y
";

/// When the current input was begun, in milliseconds of CPU time and in milliseconds since the start, and its number.
static BEGUN_CPU: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);
static INPUT: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let base = base()?;
    // In memory, where the system has such a folder: a disk would be most of the time.
    let memory = Path::new("/dev/shm");
    let work = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let work = work.map_err(|e| Error::broken(format!("no folder to work in: {e}")))?;
    let whole = work.path().join("whole");
    write(&whole, &base)?;
    let before = Run::read(&whole)?;
    let start = Instant::now();
    let seed = args.seed;
    std::thread::spawn(move || watch(start, seed));
    let enough = |done: u64| match args.inputs {
        Some(inputs) => done >= inputs,
        None => start.elapsed().as_secs() >= args.seconds,
    };
    let (mut number, mut read) = (args.only.unwrap_or(0), 0_u64);
    loop {
        INPUT.store(number, Ordering::Relaxed);
        BEGUN.store(start.elapsed().as_millis() as u64, Ordering::Relaxed);
        BEGUN_CPU.store(cpu_ms(), Ordering::Relaxed);
        let mut rng = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (folder, history) = (work.path().join("folder"), mutated(HISTORY, &mut rng));
        let files = mutated_files(&base, &mut rng);
        write(&folder, &files)?;
        let outcome = catch_unwind(|| (judge(&folder, &before), check(&history)));
        match outcome {
            Ok((is_read, ())) => read += u64::from(is_read),
            Err(_) => {
                let kept = keep(work, &history)?;
                eprintln!("mutate: input {number} of seed {seed} panics; it is in {}", kept.display());
                return Ok(ExitCode::FAILURE);
            }
        }
        number += 1;
        if args.only.is_some() {
            println!("mutate: input {} is in {}", number - 1, keep(work, &history)?.display());
            return Ok(ExitCode::SUCCESS);
        }
        if enough(number) {
            break;
        }
        if number.is_multiple_of(PROGRESS) {
            println!("mutate: {number} so far ({read} folders readable), seed {seed}, {} s", start.elapsed().as_secs());
        }
    }
    // If none could be read, nothing but the reader's refusals was tried.
    println!("mutate: {number} folders ({read} of them readable) and {number} histories: a value or an error each");
    Ok(if read > number / 10 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The CPU time of this process so far, in milliseconds. It is that of the inputs, because the watcher sleeps.
fn cpu_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}

/// Ends everything when one input takes too long.
fn watch(start: Instant, seed: u64) {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let is_over = |now: u64, begun: &AtomicU64, limit: Duration| {
            now.saturating_sub(begun.load(Ordering::Relaxed)) > limit.as_millis() as u64
        };
        let now = start.elapsed().as_millis() as u64;
        if is_over(cpu_ms(), &BEGUN_CPU, LIMIT) || is_over(now, &BEGUN, STANDSTILL) {
            eprintln!(
                "mutate: input {} of seed {seed} takes over {} s of CPU time, or stands still: cargo run --example mutate \
                 -- --seed {seed} --only {0}",
                INPUT.load(Ordering::Relaxed),
                LIMIT.as_secs()
            );
            std::process::exit(1);
        }
    }
}

/// The files of a small run: the committed example's, thinned out, and a bench's estimates.
fn base() -> Result<Vec<(&'static str, String)>> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/example");
    let thinned = |name: &'static str, nth: usize| {
        let path = example.join(name);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
        let rows = text.lines().enumerate().filter(|(i, _)| i % nth == 0).map(|(_, line)| format!("{line}\n"));
        Ok::<_, Error>((name, rows.collect::<String>()))
    };
    let mut files = vec![thinned(TRIALS, 29)?, thinned(LATENCY, 499)?, thinned(MACHINE, 1)?, thinned(WITNESS, 1)?];
    files.push((ESTIMATES, BENCH.to_owned()));
    Ok(files)
}

/// Each file whole, changed or, rarely, missing.
fn mutated_files<'a>(base: &[(&'a str, String)], rng: &mut fastrand::Rng) -> Vec<(&'a str, Vec<u8>)> {
    let mut files = Vec::new();
    for (name, text) in base {
        match rng.u8(..100) {
            0 => {}
            1..35 => files.push((*name, mutated(text, rng))),
            _ => files.push((*name, text.clone().into_bytes())),
        }
    }
    files
}

fn write(folder: &Path, files: &[(&str, impl AsRef<[u8]>)]) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|e| Error::file(folder, e))?;
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
    files.iter().try_for_each(|(name, bytes)| {
        std::fs::write(folder.join(name), bytes).map_err(|e| Error::file(&folder.join(name), e))
    })
}

fn keep(work: tempfile::TempDir, history: &[u8]) -> Result<PathBuf> {
    let path = work.keep();
    std::fs::write(path.join("history.csv"), history).map_err(|e| Error::file(&path, e))?;
    Ok(path)
}

/// A text with some of its cells, lines and bytes changed.
fn mutated(text: &str, rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..rng.usize(1..4) {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
        match rng.u8(..12) {
            0 => drop(lines.remove(at)),
            1 => lines.swap(at, other),
            2 => lines.insert(at, lines[other].clone()),
            // A cell from elsewhere in its column.
            3 => {
                let from: Vec<String> = lines[other].split(',').map(str::to_owned).collect();
                replace(&mut lines[at], rng, |column, _, _| from.get(column).cloned().unwrap_or_default());
            }
            _ => replace(&mut lines[at], rng, |_, old, rng| extreme(old, rng)),
        }
    }
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    if rng.u8(..24) == 0 {
        let at = rng.usize(..bytes.len());
        bytes[at] = rng.u8(..);
    }
    if rng.u8(..24) == 0 {
        bytes.truncate(rng.usize(..=bytes.len()));
    }
    bytes
}

fn replace(line: &mut String, rng: &mut fastrand::Rng, with: impl Fn(usize, &str, &mut fastrand::Rng) -> String) {
    let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
    let at = rng.usize(..cells.len());
    cells[at] = with(at, &cells[at], rng);
    *line = cells.join(",");
}

/// Something of the same kind as a rule, so that most of it gets past the reader.
fn extreme(old: &str, rng: &mut fastrand::Rng) -> String {
    let is_number = old.is_empty() || old.parse::<u64>().is_ok();
    let from: &[&str] = if is_number && rng.u8(..8) > 0 { &COUNTS } else { &EXTREMES };
    from[rng.usize(..from.len())].to_owned()
}

/// Everything that reads a result folder; whether it could be read.
fn judge(folder: &Path, before: &Run) -> bool {
    let Ok(run) = Run::read(folder) else { return false };
    let summary = Summary::of(&run);
    let page = report::render(&summary, &run);
    assert!(page.len() < 100_000_000, "a page of {} bytes", page.len());
    report::table(&summary, false);
    report::witness(&run.witness);
    drop(report::sheet(&summary));
    drop(Precision::of(&run.records).worst.map(|worst| worst.to_string()));
    for baseline in [None, Some("before")] {
        let (Ok(one), Ok(other)) = (part(before.clone(), baseline), part(run.clone(), baseline)) else { continue };
        compared(&one, &other);
    }
    // By their trials, too, which a bench's estimates stand before.
    let trials = |run: &Run| Run { estimates: Vec::new(), ..run.clone() };
    compared(&trials(&run), &trials(before));
    true
}

fn compared(before: &Run, after: &Run) {
    let compared = Comparison::of(("before", before), ("after", after), Options::default());
    drop((
        compared.failures(0.05),
        compared.gate(),
        compared.power_in_words(),
        compared.landslide(),
        compared.by_chance(),
    ));
    drop((comparison::markdown(&compared), comparison::terminal(&compared, true), comparison::page(&compared)));
}

fn check(history: &[u8]) {
    for (initial, last) in [(None, None), (Some(i64::MIN), Some(i64::MAX)), (Some(i64::MAX), Some(3))] {
        drop(interchange::check_reader(history, initial, last));
    }
}
