//! Criterion over the same races that `report` runs: one iteration is one update by every thread, timed by the clients'
//! own clocks, and every call is judged, warm-up included. An exact strategy that loses an update fails the bench.
//!
//! Criterion has one number for each measurement; the other half, the ledger, goes into a result folder of its own
//! under `results/`, which `report render` turns into one page with both.
//!
//! `cargo bench -- --quick '^(get-set|pooled-incr)/4$'`

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod estimates;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, PlottingBackend, SamplingMode, Throughput};
use redis_lost_updates::error::Result;
use redis_lost_updates::pace::Pace;
use redis_lost_updates::record::{Bucket, Clock, Folder, Machine, Record};
use redis_lost_updates::report::words;
use redis_lost_updates::strategy::{ALL, Strategy};
use redis_lost_updates::target::{ServerSpec, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::workload::{DriverKind, Plan, Size, Skew, Workload};

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
const SEED: u64 = 1;
/// No call is planned to take nearly as long; a server that hangs ends here.
const DEADLINE: Duration = Duration::from_secs(60);
const MEASUREMENT: Duration = Duration::from_millis(1_000);
/// With `--quick` criterion stops early where it can; where it cannot, 160 ids must still fit into two minutes.
const QUICK_MEASUREMENT: Duration = Duration::from_millis(400);

static NEVER: AtomicBool = AtomicBool::new(false);

/// One bench id's crew, and what became of every call.
struct Cell<'a> {
    crew: Crew<'a>,
    strategy: &'a dyn Strategy,
    server: &'a Target,
    workload: Workload,
    calls: Vec<Call>,
}

struct Call {
    iterations: u64,
    record: Record,
    latency: Vec<(u64, u64)>,
}

impl<'a> Cell<'a> {
    fn open(server: &'a Target, strategy: &'a dyn Strategy, threads: usize) -> Result<Self> {
        let workload = Workload::one_key(threads);
        let crew = Crew::open(server, strategy, workload, SEED, &NEVER)?;
        Ok(Self { crew, strategy, server, workload, calls: Vec::new() })
    }

    /// Races `iterations` updates by every thread and gives the span.
    fn call(&mut self, iterations: u64) -> Duration {
        let (name, threads) = (self.strategy.info().name, self.workload.threads);
        let trial = self.crew.trial(iterations, DEADLINE).unwrap_or_else(|e| panic!("{name}/{threads}: {e}"));
        let record = trial.record(self.strategy, self.server, &self.workload);
        assert!(
            !record.is_broken_promise(),
            "{name}/{threads} broke its promise to be exact: {}, {:?} lost and {:?} doubled of {:?}",
            trial.verdict,
            record.lost,
            record.doubled,
            record.acked
        );
        let span = Duration::from_nanos(trial.log.span_ns().max(1));
        self.calls.push(Call { iterations, record, latency: trial.latency() });
        span
    }

    /// Appends every call to the folder, the measured ones numbered from 1, those of the warm-up as round 0.
    fn close(self, folder: &mut Folder) -> Result<Vec<Record>> {
        self.crew.close()?;
        let most = self.calls.iter().map(|call| call.iterations).max().unwrap_or(0);
        let mut records = Vec::with_capacity(self.calls.len());
        let mut round = 0;
        for call in self.calls {
            // Flat sampling: every measured sample has the same number of iterations, and warm-up calls have fewer.
            let is_measured = call.iterations == most;
            round += u32::from(is_measured);
            let (trial, round) = (folder.next_trial(), if is_measured { round } else { 0 });
            let record = Record { trial, round, ..call.record };
            let bucket = |times| record.bucket(Clock::Service, times);
            let latency: Vec<Bucket> =
                if is_measured { call.latency.into_iter().map(bucket).collect() } else { Vec::new() };
            folder.append(&record, &latency)?;
            records.push(record);
        }
        Ok(records)
    }
}

fn main() {
    let output = estimates::output_directory();
    let is_quick = std::env::args().any(|arg| arg == "--quick");
    let measurement = if is_quick { QUICK_MEASUREMENT } else { MEASUREMENT };
    let mut criterion = Criterion::default()
        .plotting_backend(PlottingBackend::Plotters)
        .output_directory(&output)
        .sample_size(10)
        .warm_up_time(measurement / 5)
        .measurement_time(measurement)
        // Of ten samples; criterion's 100,000 take longer than the measurement and move no digit that is shown.
        .nresamples(10_000)
        .configure_from_args();
    if std::env::args().any(|arg| arg == "--list") {
        return list();
    }
    let outcome = run(&mut criterion, &output);
    criterion.final_summary();
    if let Err(error) = outcome {
        eprintln!("bench: {error}");
        std::process::exit(2);
    }
}

/// What criterion's throughput of one id is worth, in a line under it: what was lost in all calls, and the verdict.
fn fate(records: &[Record]) -> String {
    let sum = |figure: fn(&Record) -> Option<u64>| records.iter().filter_map(figure).fold(0, u64::saturating_add);
    let (acked, lost) = (sum(|record| record.acked), sum(|record| record.lost));
    let verdict = records.iter().filter_map(|record| record.verdict).max();
    let verdict = verdict.map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string());
    let part = words::percent(if acked == 0 { 0.0 } else { lost as f64 / acked as f64 });
    format!("{:24}lost:   {part}, {} of {}: {verdict}", "", words::count(lost), words::count(acked))
}

fn list() {
    for (strategy, threads) in ALL.iter().flat_map(|strategy| THREADS.map(|threads| (strategy, threads))) {
        println!("{}/{threads}: benchmark", strategy.info().name);
    }
}

fn run(criterion: &mut Criterion, output: &Path) -> Result<()> {
    let server = ServerSpec::from_env()?.resolve(&NEVER, &mut |line| eprintln!("bench: {line}"))?;
    let mut folder = estimates::new_folder(&machine(&server)?)?;
    let mut rows = Vec::new();
    for &strategy in ALL {
        if let Some(why) = strategy.unavailable(&server)? {
            eprintln!("{}: skipped: {why}", strategy.info().name);
            continue;
        }
        let mut group = criterion.benchmark_group(strategy.info().name);
        group.sampling_mode(SamplingMode::Flat);
        for threads in THREADS {
            // Criterion calls the closure for every sample; threads and connections are made at the first call, outside
            // the timed part, and stay for all.
            let mut cell: Option<Cell<'_>> = None;
            group.throughput(Throughput::Elements(threads as u64));
            group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
                let cell = cell.get_or_insert_with(|| {
                    Cell::open(&server, strategy, threads)
                        .unwrap_or_else(|e| panic!("{}/{threads}: {e}", strategy.info().name))
                });
                bencher.iter_custom(|iterations| cell.call(iterations));
            });
            // A filtered id never opened.
            let Some(cell) = cell else { continue };
            let records = cell.close(&mut folder)?;
            println!("{}", fate(&records));
            rows.extend(estimates::join(output, strategy.info().name, threads, &records)?);
        }
        group.finish();
    }
    estimates::write(folder.path(), &rows)
}

fn machine(server: &Target) -> Result<Machine> {
    let plan = Plan {
        driver: DriverKind::Threads,
        pool_size: None,
        emphasis: 1,
        threads: THREADS.to_vec(),
        keys: vec![1],
        skew: Skew::Even,
        pace: Pace::Closed,
        size: Size::Duration(MEASUREMENT),
        rounds: 10,
        seed: SEED,
    };
    let mut machine = Machine::gather(std::slice::from_ref(server), &plan, ALL)?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    machine.add("command", format!("cargo bench -- {}", args.join(" ")).trim_end_matches(" --").trim_end());
    machine.add("measured_by", "criterion");
    Ok(machine)
}
