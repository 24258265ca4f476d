//! What the harness itself costs, with no server: recording an update, judging a million, rendering a page.

#![allow(missing_docs)] // criterion's macros make an undocumented function

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, PlottingBackend, Throughput, criterion_group, criterion_main};
use redis_lost_updates::condition::Condition;
use redis_lost_updates::driver::threads::{pool, race};
use redis_lost_updates::driver::{Limits, Work};
use redis_lost_updates::error::BoxError;
use redis_lost_updates::history;
use redis_lost_updates::record::{Record, Run};
use redis_lost_updates::report;
use redis_lost_updates::summary::Summary;
use redis_lost_updates::update::{Event, Outcome, Update, Updater};
use redis_lost_updates::verdict::{Promise, Verdict};

static NEVER: AtomicBool = AtomicBool::new(false);

struct Adder(Arc<AtomicI64>);

impl Updater for Adder {
    fn update(&mut self, _key: &str) -> Result<Update, BoxError> {
        Ok(Update::told(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

/// One recorded update over a counter in memory, against the same update with nothing recorded.
fn recording(c: &mut Criterion) {
    let mut group = c.benchmark_group("harness/record");
    let shared = Arc::new(AtomicI64::new(0));
    group.throughput(Throughput::Elements(1));
    group.bench_function("bare", |bencher| {
        let mut adder: Box<dyn Updater> = Box::new(Adder(shared.clone()));
        bencher.iter(|| adder.update(black_box("counter")).map(drop));
    });
    group.bench_function("recorded", |bencher| {
        let pool = pool(1).expect("a thread");
        let mut updaters: Vec<Box<dyn Updater>> = vec![Box::new(Adder(shared.clone()))];
        bencher.iter_custom(|updates| {
            let work = [Work::one_key("counter", updates)];
            let limits = Limits { stop: &NEVER, deadline: Duration::from_secs(600) };
            Duration::from_nanos(race(&pool, &mut updaters, &work, limits).expect("a race").span_ns())
        });
    });
    group.bench_function("clock", |bencher| bencher.iter(Instant::now));
    group.finish();
}

/// A history of `updates` exact increments by 16 clients, each value told once.
fn history_of(updates: u64) -> Vec<Vec<Event>> {
    let lane = |worker: u64| {
        (0..updates / 16).map(move |i| {
            let begin = i * 16_000 + worker * 1_000;
            Event::new(0, begin, begin + 15_000, 1, Outcome::Acked((i * 16 + worker + 1) as i64))
        })
    };
    (0..16).map(|worker| lane(worker).collect()).collect()
}

/// Judging a finished trial.
fn judging(c: &mut Criterion) {
    let mut group = c.benchmark_group("harness/judge");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    for updates in [1_000_000_u64, 10_000_000] {
        let lanes = history_of(updates);
        let lanes: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
        group.throughput(Throughput::Elements(updates));
        group.bench_function(format!("{updates}"), |bencher| {
            bencher.iter(|| history::check(black_box(&lanes), &[updates as i64]));
        });
    }
    group.finish();
}

/// A page from 100,000 rows: 20 strategies, 10 thread counts, 500 rounds.
fn rendering(c: &mut Criterion) {
    let mut run = Run::default();
    for (round, strategy, threads) in
        (1..=500).flat_map(|r| (0..20).flat_map(move |s| (1..=10).map(move |t| (r, s, t))))
    {
        run.records.push(Record {
            round,
            attempted: Some(1_000),
            acked: Some(1_000),
            lost: Some(0),
            span_ns: Some(1_000_000 + u64::from(round)),
            verdict: Some(Verdict::Exact),
            ..Record::blank(Condition::of(&format!("strategy-{strategy}"), threads, 1), Promise::Exact)
        });
    }
    let mut group = c.benchmark_group("harness/render");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(run.records.len() as u64));
    group.bench_function("100000 rows", |bencher| bencher.iter(|| report::render(&Summary::of(black_box(&run)), &run)));
    group.finish();
}

fn configured() -> Criterion {
    Criterion::default()
        .plotting_backend(PlottingBackend::Plotters)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
}

criterion_group! { name = harness; config = configured(); targets = recording, judging, rendering }
criterion_main!(harness);
