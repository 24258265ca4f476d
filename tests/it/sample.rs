//! A run made by hand, with everything a page must be able to show: losses, retries, a skipped strategy, warnings of
//! every kind, a witness. The same for the tests of the page here and those in a browser.

use redis_lost_updates::condition::Condition;
use redis_lost_updates::record::{Clock, Estimate, Machine, Record, Run, Step};
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::DriverKind;

/// How large a run is, and what is wrong with it.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) strategies: usize,
    pub(crate) keys: &'static [usize],
    pub(crate) broken: bool,
}

/// A run like the default one.
pub(crate) const USUAL: Shape = Shape { strategies: 10, keys: &[1], broken: false };

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
const ROUNDS: u32 = 5;

/// Name, whether it loses, updates per second alone, and how that grows with threads (as a power).
const KNOWN: [(&str, bool, f64, f64); 10] = [
    ("get-set", true, 8_400.0, 0.85),
    ("watch", false, 5_600.0, -0.4),
    ("mutex", false, 8_300.0, -0.1),
    ("mutex-batch", false, 8_500.0, -0.05),
    ("pooled-incr", false, 16_500.0, 0.8),
    ("pooled-incr-ping", false, 8_300.0, 0.75),
    ("incr", false, 16_800.0, 0.84),
    ("lua", false, 15_200.0, 0.8),
    ("multiplexed-incr", false, 13_000.0, 1.1),
    ("watch-ignore-nil", true, 5_500.0, 0.6),
];

/// The run.
pub(crate) fn run(shape: Shape) -> Run {
    let mut run = Run { machine: machine(shape), witness: witness(), ..Run::default() };
    // A noise that is the same on every machine.
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    };
    for round in 1..=ROUNDS {
        for (name, lossy, alone, power) in strategies(shape.strategies) {
            for &keys in shape.keys {
                for threads in THREADS {
                    let rate = alone * (threads as f64).powf(power) * (1.0 + 0.12 * noise());
                    let t = threads as f64;
                    let collide = t / keys as f64;
                    let part =
                        if lossy { (collide - 1.0).max(0.0) / (collide + 1.2) * (1.0 + 0.04 * noise()) } else { 0.0 };
                    one(&mut run, shape, (round, &name, lossy, threads, keys), rate, part);
                }
            }
        }
        let skipped = Record::blank(Condition::of("cas", 4, 1), Promise::Exact);
        let note = Some("skipped: the server does not know SET IFEQ <yet>".to_owned());
        run.records.push(Record { round, note, ..skipped });
    }
    run
}

/// Markup of every kind that would run, if anything of it were taken for markup: out of text, attributes, style, script,
/// comments and templates.
pub(crate) const HOSTILE: &str = "x\"'></style></script></title><script>window.ran=1</script><img src=x onerror=\"window.ran=1\">\
                                  <svg onload='window.ran=1'><a href=\"javascript:window.ran=1\">y</a>{{7*7}}{}<!--&lt;script&gt;";

/// The same run with markup in every text of every file.
#[allow(dead_code)]
pub(crate) fn hostile(mut run: Run) -> Run {
    let spoil = |text: &mut String| *text += HOSTILE;
    let strategies: Vec<String> = run.records.iter().map(|record| record.condition.strategy.clone()).collect();
    for fact in &mut run.machine.0 {
        let is_of_a_strategy = strategies.iter().any(|name| fact.fact.ends_with(&format!(".{name}")));
        if is_of_a_strategy {
            spoil(&mut fact.fact);
        }
        spoil(&mut fact.value);
    }
    let facts: Vec<_> = run.machine.0.iter().map(|fact| (fact.fact.clone() + HOSTILE, fact.value.clone())).collect();
    facts.iter().for_each(|(fact, value)| run.machine.add(fact, value.as_str()));
    for record in &mut run.records {
        let of = &mut record.condition;
        for text in [&mut of.strategy, &mut of.library, &mut of.settings, &mut of.server, &mut of.server_settings] {
            spoil(text);
        }
        for text in [&mut record.order, &mut record.note, &mut record.error] {
            spoil(text.get_or_insert_default());
        }
    }
    run.latency.iter_mut().for_each(|bucket| spoil(&mut bucket.strategy));
    for step in &mut run.witness {
        for text in [&mut step.strategy, &mut step.client, &mut step.command, &mut step.mark, &mut step.note] {
            spoil(text);
        }
        spoil(step.value.get_or_insert_default());
    }
    let verdict = Some(Verdict::Lost);
    let (bench_id, baseline, strategy) = (HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned());
    run.estimates.push(Estimate {
        bench_id,
        baseline,
        strategy,
        threads: 4,
        mean_ns: 1e5,
        mean_low_ns: 9e4,
        mean_high_ns: 2e5,
        median_ns: 1e5,
        confidence: 0.95,
        acked: 9,
        lost: 1,
        doubled: 0,
        verdict,
    });
    run
}

fn strategies(count: usize) -> Vec<(String, bool, f64, f64)> {
    let known = KNOWN.iter().map(|&(name, lossy, alone, power)| (name.to_owned(), lossy, alone, power));
    let more =
        (10..count).map(|i| (format!("another-way-{i}"), i % 4 == 0, 2_000.0 + 777.0 * i as f64, 0.02 * i as f64));
    known.chain(more).take(count).collect()
}

fn one(run: &mut Run, shape: Shape, cell: (u32, &str, bool, usize, usize), rate: f64, part: f64) {
    let (round, name, lossy, threads, keys) = cell;
    let promise = if lossy { Promise::Lossy } else { Promise::Exact };
    let span_ns = 280_000_000_u64;
    let acked = (rate * 0.28) as u64;
    let mut lost = (acked as f64 * part) as u64;
    let is_broken = shape.broken && name == "lua" && threads == 8 && round == 3;
    if is_broken {
        lost = 17;
    }
    let tries = if name == "watch" { acked * threads as u64 * 2 / 3 + acked } else { acked };
    let calls = if name.contains("incr") || name == "lua" { tries } else { tries * 2 };
    let overlap = if name == "mutex-batch" && threads > 4 { 0.2 } else { 0.97 };
    let mut record = Record::blank(Condition::of(name, threads, keys), promise);
    record.condition.driver = if name == "multiplexed-incr" { DriverKind::Tasks } else { DriverKind::Threads };
    record.trial = run.records.len() as u32 + 1;
    record.round = round;
    (record.attempted, record.acked, record.refused, record.unknown) = (Some(acked), Some(acked), Some(0), Some(0));
    (record.tries, record.found, record.lost, record.doubled) =
        (Some(tries), Some((acked - lost) as i64), Some(lost), Some(0));
    (record.span_ns, record.overlap, record.jain) = (Some(span_ns), Some(overlap), Some(0.993));
    record.slowest_share = Some(0.9);
    (record.client_cpu_ns, record.server_cpu_us) =
        (Some(span_ns * if threads > 8 { 19 } else { 12 } / 20), Some(130_000));
    (record.server_calls, record.server_usec) = (Some(calls), Some(calls * 2));
    (record.server_in_bytes, record.server_out_bytes) = (Some(calls * 45), Some(calls * 9));
    record.verdict = Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact });
    // Two humps and a tail, as waiting for a turn makes them.
    let middle = threads as f64 * 1e9 / rate;
    for (times, count) in
        [(0.6, 8), (0.7, 20), (0.85, 40), (1.0, 60), (1.2, 30), (1.6, 10), (2.4, 14), (3.0, 7), (6.0, 2), (14.0, 1)]
    {
        let times = ((middle * times) as u64, (acked * count / 192).max(1));
        run.latency.push(record.bucket(Clock::Service, times));
    }
    run.records.push(record);
}

fn machine(shape: Shape) -> Machine {
    let mut machine = Machine::default();
    let keys: Vec<String> = shape.keys.iter().map(usize::to_string).collect();
    for (fact, value) in [
        ("server", "valkey"),
        ("server_version", "9.1.2"),
        ("server_redis_version", "7.2.4"),
        ("server_is_private", "yes"),
        ("transport", "tcp"),
        ("placement", "none"),
        ("server.maxmemory_policy", "allkeys-random"),
        ("server.save", ""),
        ("host", "a-host"),
        ("kernel", "Linux 6.1"),
        ("arch", "x86_64"),
        ("cpu", "An <Example> CPU"),
        ("cores", "2"),
        ("cpus_of_clients", "0"),
        ("version", "0.1.0"),
        ("commit", "0123456789ab"),
        ("profile", "debug"),
        ("opt_level", "3"),
        ("seed", "42"),
        ("rounds", "6"),
        ("threads", "1,2,4,8,16"),
        ("keys", &keys.join(",")),
        ("skew", "even"),
        ("trial_ms", "280"),
        ("started", "2026-11-25T00:00:00Z"),
        ("command", "report --out results/x --rounds 6"),
        ("warning.eviction", "the server may evict keys (allkeys-random): losses may be its doing"),
        ("warning.unoptimised", "this build is not optimised: its throughput says little about an optimised one"),
    ] {
        machine.add(fact, value);
    }
    for (name, ..) in strategies(shape.strategies) {
        machine.add(&format!("strategy.{name}"), "One way to add one & be told so, in a sentence of usual length.");
        machine.add(&format!("round_trips.{name}"), "2");
    }
    machine.add("parameters.mutex-batch", "batch=100");
    machine
}

fn witness() -> Vec<Step> {
    let step = |step, at_us, client: &str, command: &str, value: Option<&str>, mark: &str, note: &str| Step {
        strategy: "get-set".to_owned(),
        library: "redis-rs".to_owned(),
        threads: 2,
        step,
        at_us,
        client: client.to_owned(),
        command: command.to_owned(),
        value: value.map(str::to_owned),
        mark: mark.to_owned(),
        note: note.to_owned(),
    };
    vec![
        step(1, 0, "A", "GET", Some("41"), "read", "A reads 41."),
        step(2, 9, "B", "GET", Some("41"), "stale-read", "B reads 41 too."),
        step(3, 31, "A", "SET 42", Some("42"), "overwritten", "A writes 42: its update is in the counter."),
        step(4, 44, "B", "SET 42", Some("42"), "overwriting", "B writes 42 over it: A's update is lost."),
    ]
}
