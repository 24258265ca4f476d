//! Two runs against each other: noise is called noise, a slower strategy is found and no other, and what became wrong
//! comes first.

use std::path::Path;
use std::process::{Command, Output};

use redis_lost_updates::compare::{AlarmKind, Comparison, Design, Gate, Options, Outcome};
use redis_lost_updates::condition::{Condition, Transport};
use redis_lost_updates::interchange::check_file;
use redis_lost_updates::record::{Clock, Estimate, Folder, Machine, Record, Run, csv_bytes};
use redis_lost_updates::report::comparison::{markdown, page, terminal};
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::DriverKind;

const STRATEGIES: [&str; 12] = [
    "get-set",
    "mutex",
    "incr",
    "pooled-incr",
    "watch",
    "lua",
    "cas",
    "lock",
    "multiplexed-incr",
    "pipelined-incr",
    "sharded-incr",
    "local-sum",
];

/// How a made-up machine behaves.
#[derive(Clone, Copy)]
struct Noise {
    /// The standard deviation of a round's logarithm.
    spread: f64,
    /// How strongly a round resembles the one before.
    rho: f64,
    /// What everything is multiplied by.
    machine: f64,
}

const QUIET: Noise = Noise { spread: 0.04, rho: 0.0, machine: 1.0 };

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * rng.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A run of twelve strategies at five thread counts; `factor` is what a strategy's speed is multiplied by.
fn run(seed: u64, rounds: u32, noise: Noise, factor: impl Fn(&str) -> f64) -> Run {
    // Neighbouring seeds give this generator neighbouring streams: scattered, they are strangers.
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x1234_5678_9ABC_DEF1);
    let mut run = Run::default();
    for fact in [("server_version", "7.0.15"), ("transport", "tcp"), ("cpu", "a"), ("profile", "debug")] {
        run.machine.add(fact.0, fact.1);
    }
    for (i, name) in STRATEGIES.iter().enumerate() {
        for threads in [1_usize, 2, 4, 8, 16] {
            let mut drift = normal(&mut rng);
            for round in 1..=rounds {
                let noisy = (noise.spread * drift).exp() * noise.machine;
                let rate = 10_000.0 * (i + 1) as f64 * (threads as f64).sqrt() * factor(name) * noisy;
                let p99_ns = threads as f64 * 2e9 / rate * (0.1 * normal(&mut rng)).exp();
                push(&mut run, name, threads, round, rate, p99_ns as u64);
                drift = noise.rho * drift + (1.0 - noise.rho * noise.rho).sqrt() * normal(&mut rng);
            }
        }
    }
    run
}

fn push(run: &mut Run, name: &str, threads: usize, round: u32, rate: f64, p99_ns: u64) {
    let promise = if name == "get-set" { Promise::Lossy } else { Promise::Exact };
    let lost = if name == "get-set" && threads > 1 { 500 } else { 0 };
    let record = Record {
        trial: run.records.len() as u32 + 1,
        round,
        acked: Some(1_000),
        lost: Some(lost),
        span_ns: Some(((1_000 - lost) as f64 * 1e9 / rate) as u64),
        verdict: Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact }),
        ..Record::blank(Condition::of(name, threads, 1), promise)
    };
    run.latency.extend([(p99_ns / 2, 900), (p99_ns, 100)].map(|times| record.bucket(Clock::Service, times)));
    run.records.push(record);
}

fn same(_: &str) -> f64 {
    1.0
}

fn compared(before: &Run, after: &Run) -> Comparison {
    Comparison::of(("before", before), ("after", after), Options::default())
}

fn is_different(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Slower | Outcome::Faster)
}

fn count(comparison: &Comparison, outcome: Outcome) -> usize {
    comparison.cells.iter().filter(|cell| cell.outcome == outcome).count()
}

#[test]
fn two_runs_of_one_build_are_the_same_within_the_noise() {
    let kinds = [
        (5, QUIET),
        (2, QUIET),
        (5, Noise { rho: 0.5, ..QUIET }),
        (20, Noise { rho: 0.5, spread: 0.1, ..QUIET }),
        // A machine that was busy during the second run.
        (5, Noise { machine: 0.8, ..QUIET }),
    ];
    for (rounds, noise) in kinds {
        let (mut calm, mut cells, mut different) = (0, 0, 0);
        for seed in 0..40 {
            let before = run(2 * seed, rounds, Noise { machine: 1.0, ..noise }, same);
            let comparison = compared(&before, &run(2 * seed + 1, rounds, noise, same));
            let loud = count(&comparison, Outcome::Slower) + count(&comparison, Outcome::Faster);
            let whole = comparison.strategies.iter().any(|s| is_different(s.surviving.outcome));
            calm += usize::from(loud == 0 && !whole);
            (cells, different) = (cells + comparison.compared(), different + loud);
            assert!(comparison.alarms.is_empty());
        }
        let rho = noise.rho;
        assert_eq!(cells, 40 * 60);
        assert!(calm >= 36, "{rounds} rounds, rho {rho}: only {calm} of 40 pairs without a false alarm");
        assert!(different * 100 < cells, "{rounds} rounds, rho {rho}: {different} of {cells} cells");
    }
}

#[test]
fn a_strategy_that_sleeps_a_fifth_of_its_time_is_found_and_no_other() {
    let slow = |name: &str| if name == "lua" { 0.8 } else { 1.0 };
    let (mut found, mut cells, mut others) = (0, 0, 0);
    for seed in 0..40 {
        let after = run(2 * seed + 1, 5, Noise { machine: 0.95, ..QUIET }, slow);
        let comparison = compared(&run(2 * seed, 5, QUIET, same), &after);
        for whole in &comparison.strategies {
            match whole.strategy.as_str() {
                "lua" => found += usize::from(whole.surviving.outcome == Outcome::Slower),
                _ => others += usize::from(is_different(whole.surviving.outcome)),
            }
        }
        let loud = comparison.cells.iter().filter(|cell| is_different(cell.outcome));
        loud.for_each(|cell| if cell.condition.strategy == "lua" { cells += 1 } else { others += 1 });
        let failures = comparison.failures(0.05);
        assert!(failures.iter().all(|failure| failure.starts_with("lua ")), "{failures:?}");
    }
    assert!(found >= 39, "found as a whole in {found} of 40");
    assert!(others <= 4, "{others} others");
    assert!(cells > 0);
}

#[test]
fn what_all_have_in_common_is_real_only_if_trusted() {
    let (before, after) = (run(1, 5, QUIET, same), run(2, 5, QUIET, |_| 0.7));
    let comparison = compared(&before, &after);
    assert!((comparison.shift.unwrap().ratio - 0.7).abs() < 0.03);
    assert_eq!((count(&comparison, Outcome::Slower), comparison.failures(0.05).len()), (0, 0));
    assert!(terminal(&comparison, false).contains("--trust-shift"));
    let trusted = Comparison::of(("a", &before), ("b", &after), Options { trust_shift: true, ..Options::default() });
    assert!(trusted.strategies.iter().all(|whole| whole.surviving.outcome == Outcome::Slower));
    assert!(trusted.failures(0.05).len() >= STRATEGIES.len());
    // A bound beyond the difference lets it pass.
    assert_eq!(trusted.failures(0.5).len(), 0);
    // A gate does not pass what it cannot decide, and never an avalanche.
    assert!(compared(&before, &run(2, 5, QUIET, |_| 0.9)).landslide().is_none());
    assert!(matches!(compared(&before, &run(2, 5, QUIET, |_| 0.9)).gate(), Gate::CannotTell(_)));
    assert!(matches!(comparison.gate(), Gate::AllSlower(_)), "all of it is slower by three tenths");
    let ruined = run(2, 5, QUIET, |_| 0.1);
    assert!(compared(&before, &ruined).landslide().is_some_and(|ratio| (ratio - 0.1).abs() < 0.01));
    let trusted = Comparison::of(("a", &before), ("b", &ruined), Options { trust_shift: true, ..Options::default() });
    assert!(trusted.landslide().is_none() && !trusted.failures(0.05).is_empty());
}

#[test]
fn a_broken_promise_is_first_and_fails_the_gate_however_fast() {
    let before = run(1, 5, QUIET, same);
    let mut after = run(2, 5, QUIET, |_| 1.5);
    let at = after.records.iter().position(|r| r.condition.strategy == "watch" && r.condition.threads == 8).unwrap();
    (after.records[at].lost, after.records[at].verdict) = (Some(1), Some(Verdict::Lost));
    let lossy = after.records.iter_mut().filter(|r| r.condition.strategy == "get-set" && r.condition.threads == 2);
    lossy.for_each(|r| (r.lost, r.verdict) = (Some(0), Some(Verdict::Exact)));
    let comparison = compared(&before, &after);
    let kinds: Vec<AlarmKind> = comparison.alarms.iter().map(|alarm| alarm.kind).collect();
    assert_eq!(kinds, [AlarmKind::Broken, AlarmKind::Changed]);
    let failures = comparison.failures(0.05);
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("watch at 8 threads") && failures[0].contains("lost"), "{failures:?}");
    assert!(terminal(&comparison, false).starts_with("WRONG: watch at 8 threads"));
    assert!(markdown(&comparison).lines().nth(2).unwrap().starts_with("- **WRONG:** watch at 8 threads"));
    let html = page(&comparison);
    assert!(html.find("A promise was broken").unwrap() < html.find("Cell by cell").unwrap());
    // The other way round, a mended promise fails nothing.
    assert_eq!(compared(&after, &before).failures(0.9), Vec::<String>::new());
}

#[test]
fn what_differs_is_named_and_what_cannot_be_compared_says_why() {
    let (before, mut after) = (run(1, 5, QUIET, same), run(2, 5, QUIET, same));
    after.machine = Machine::default();
    for fact in [("server_version", "8.0.1"), ("transport", "unix"), ("cpu", "a"), ("profile", "debug")] {
        after.machine.add(fact.0, fact.1);
    }
    after.records.retain(|r| r.condition.strategy != "cas");
    for r in &mut after.records {
        match r.condition.strategy.as_str() {
            "mutex" => r.condition.transport = Transport::Unix,
            "lua" => (r.verdict, r.note) = (None, Some("skipped: no such command".to_owned())),
            "lock" => r.round = 1,
            _ => {}
        }
    }
    let comparison = compared(&before, &after);
    let differ: Vec<&str> = comparison.differences.iter().map(|d| d.fact.as_str()).collect();
    assert_eq!(differ, ["server_version", "transport"]);
    let why = |name: &str| {
        let cell = comparison.cells.iter().find(|cell| cell.condition.strategy == name).unwrap();
        assert_eq!(cell.outcome, Outcome::NotComparable);
        cell.why.clone().unwrap()
    };
    assert_eq!(why("cas"), "not in the second run");
    assert_eq!(why("lua"), "no verdict (skipped: no such command) in the second run");
    assert_eq!(why("lock"), "a single round, which has no spread in the second run");
    assert!(
        comparison.alarms.iter().all(|alarm| alarm.kind == AlarmKind::Vanished && alarm.condition.strategy == "lua")
    );
    // Another transport is compared, and named.
    let mutex = comparison.cells.iter().find(|cell| cell.condition.strategy == "mutex").unwrap();
    assert_eq!(mutex.across.as_deref(), Some("transport: tcp before, unix after"));
    assert!(!is_different(mutex.outcome) && mutex.why.is_none());
    let text = terminal(&comparison, false);
    assert!(text.contains("the runs differ in server_version: 7.0.15 before, 8.0.1 after"), "{text}");
    assert!(text.contains("the runs differ in transport: tcp before, unix after"), "{text}");
}

#[test]
fn every_rendering_fits_and_nothing_in_a_file_becomes_markup() {
    let before = run(1, 5, QUIET, same);
    let mut after = run(2, 5, QUIET, |name| if name == "lua" { 0.3 } else { 1.0 });
    after.machine.add("cpu", "<script>|");
    let comparison = Comparison::of(("a|<b>", &before), ("c", &after), Options::default());
    let text = terminal(&comparison, false);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("Slower overall: lua 0.3") && !text.contains('\u{1b}'), "{text}");
    assert!(terminal(&comparison, true).contains("\u{1b}[31mslower"));
    let md = markdown(&comparison);
    assert!(md.starts_with("### a\\|&lt;b> → c\n") && md.contains("| **slower** |"), "{md}");
    let html = page(&comparison);
    assert!(!html.contains("<script") && html.contains("default-src 'none'"));
    assert!(html.len() < 150_000, "{}", html.len());
    // An axis with ticks, the charts of both sides in the strategies' own colours, and what was measured.
    assert!(
        html.matches("class=\"whisker\"").count() > 60
            && html.matches("<article class=\"panel ").count() == STRATEGIES.len()
    );
    assert!(
        html.contains("panel warm0 lossy") && html.contains("panel cool0 exact") && html.contains("What was measured")
    );
    assert!(html.contains("<th scope=\"row\">server version</th><td>7.0.15</td>"), "{html}");
}

/// A bench run; `factor` is what a strategy's time is multiplied by, and `offset` that of all of them.
fn bench(offset: f64, factor: impl Fn(&str) -> f64) -> Run {
    let mut run = Run::default();
    run.machine.add("transport", "tcp");
    for (i, name) in STRATEGIES.iter().enumerate() {
        let mean_ns = 10_000.0 * (i + 1) as f64 * factor(name) * offset;
        run.estimates.push(Estimate {
            bench_id: format!("{name}/4"),
            baseline: "this run".to_owned(),
            strategy: (*name).to_owned(),
            threads: 4,
            mean_ns,
            mean_low_ns: mean_ns * 0.999,
            mean_high_ns: mean_ns * 1.001,
            median_ns: mean_ns,
            confidence: 0.95,
            acked: 1_000,
            lost: 0,
            doubled: 0,
            verdict: Some(Verdict::Exact),
        });
    }
    run
}

#[test]
fn criterions_interval_of_one_process_decides_nothing_and_several_processes_do() {
    let lua = |name: &str| if name == "lua" { 1.25 } else { 1.0 };
    let comparison = compared(&bench(1.0, same), &bench(1.0, lua));
    assert_eq!((count(&comparison, Outcome::CannotTell), comparison.compared()), (12, 12));
    assert!(comparison.cells.iter().all(|cell| cell.surviving.unwrap().finds.is_none()));
    let Gate::CannotTell(why) = comparison.gate() else { panic!("{:?}", comparison.gate()) };
    assert!(why.contains("one process"), "{why}");
    // Its rate is of updates: one by each of four threads in an iteration.
    let incr = comparison.cells.iter().find(|cell| cell.condition.strategy == "incr").unwrap();
    assert!((incr.before.as_ref().unwrap().surviving_per_s.unwrap() - 4e9 / 30_000.0).abs() < 1.0);
    let mixed = compared(&bench(1.0, same), &run(1, 5, QUIET, same));
    assert_eq!(mixed.compared(), 0);
    // Five processes of each: the interval includes how they differ.
    let offsets = [1.0, 1.01, 0.99, 1.005, 0.995];
    let (before, after) = (offsets.map(|offset| bench(offset, same)), offsets.map(|offset| bench(offset, lua)));
    let sides = [&before, &after].map(|side| side.iter().collect::<Vec<&Run>>());
    let several = Comparison::of_runs(("a", &sides[0]), ("b", &sides[1]), Options::default());
    let slower: Vec<&str> =
        several.cells.iter().filter(|c| c.outcome == Outcome::Slower).map(|c| c.condition.strategy.as_str()).collect();
    assert_eq!((slower, count(&several, Outcome::Same)), (vec!["lua"], 11));
    assert!(matches!(several.gate(), Gate::Fails(_)));
}

/// `count` runs, each as a whole faster or slower by a normal deviate of `offset`.
fn runs(seed: u64, count: u64, offset: f64, factor: impl Fn(&str) -> f64 + Copy) -> Vec<Run> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|at| {
            let machine = (offset * normal(&mut rng)).exp();
            run(seed * 1_000 + at, 5, Noise { machine, ..QUIET }, factor)
        })
        .collect()
}

fn several(before: &[Run], after: &[Run], options: Options) -> Comparison {
    let sides = [before, after].map(|side| side.iter().collect::<Vec<&Run>>());
    Comparison::of_runs(("before", &sides[0]), ("after", &sides[1]), options)
}

#[test]
fn several_runs_a_side_tell_a_slower_build_from_a_busier_machine() {
    // On a machine whose runs differ by 3 %, one pair of runs often calls that a difference; five pairs do not.
    let mut alarms = 0;
    for seed in 0..20 {
        let compared =
            several(&runs(2 * seed + 1, 5, 0.03, same), &runs(2 * seed + 2, 5, 0.03, same), Options::default());
        alarms += usize::from(compared.strategies.iter().any(|s| is_different(s.surviving.outcome)));
        assert_eq!(compared.design, Design::Runs { before: 5, after: 5 });
    }
    assert!(alarms <= 4, "{alarms} of 20 pairs of one build with a false alarm");
    // If all strategies are slower by 40 %, the build is slower: the runs of both sides show how much the machine
    // varies by itself.
    let slower = several(&runs(1, 5, 0.02, same), &runs(2, 5, 0.02, |_| 0.6), Options::default());
    assert!(slower.strategies.iter().all(|s| s.surviving.outcome == Outcome::Slower));
    assert!(slower.shift.unwrap().trusted && matches!(slower.gate(), Gate::Fails(_)));
    // A single run compared with several is given their spread.
    let one = several(&runs(1, 1, 0.02, same), &runs(2, 5, 0.02, |_| 0.6), Options::default());
    assert!(one.strategies.iter().all(|s| s.surviving.outcome == Outcome::Slower), "{:?}", one.strategies);
    // A strategy missing from some runs is judged by the others; one that is in a single run of each side has no
    // spread.
    let (mut before, mut after) = (runs(1, 3, 0.01, same), runs(2, 3, 0.01, same));
    for side in [&mut before, &mut after] {
        side[0].records.retain(|r| r.condition.strategy != "cas");
        side[1..].iter_mut().for_each(|run| run.records.retain(|r| r.condition.strategy != "lock"));
    }
    let partly = several(&before, &after, Options::default());
    assert!(partly.strategies.iter().any(|s| s.strategy == "cas") && partly.cells.len() == 60);
    let lock: Vec<_> = partly.cells.iter().filter(|cell| cell.condition.strategy == "lock").collect();
    assert!(lock.iter().all(|cell| cell.why.as_deref() == Some("in one run of each side, which have no spread")));
}

#[test]
fn what_a_pair_of_turns_has_in_common_is_in_neither() {
    // The machine halves and doubles its speed between pairs, but not within a pair.
    let pairs = |factor: fn(&str) -> f64| -> [Vec<Run>; 2] {
        let side = |seed: u64, factor: fn(&str) -> f64| {
            let machine = |at: u64| if at.is_multiple_of(3) { 0.5 } else { 1.0 };
            (0..8).map(|at| run(seed + at, 1, Noise { machine: machine(at), ..QUIET }, factor)).collect()
        };
        [side(100, same), side(200, factor)]
    };
    let of_pairs = |[before, after]: [Vec<Run>; 2]| {
        let sides = [&before, &after].map(|side| side.iter().collect::<Vec<&Run>>());
        Comparison::of_pairs(("a", &sides[0]), ("b", &sides[1]), Options::default()).unwrap()
    };
    let compared = of_pairs(pairs(|name| if name == "lua" { 0.85 } else { 1.0 }));
    assert_eq!(compared.design, Design::Pairs { pairs: 8 });
    let lua = compared.strategies.iter().find(|s| s.strategy == "lua").unwrap().surviving;
    assert_eq!(lua.outcome, Outcome::Slower);
    assert!((lua.contrast.ratio - 0.85).abs() < 0.05 && lua.contrast.high - lua.contrast.low < 0.15, "{lua:?}");
    assert_eq!(compared.strategies.iter().filter(|s| is_different(s.surviving.outcome)).count(), 1);
    // The same runs without the pairing: the machine's jumps hide the difference.
    let [before, after] = pairs(|name| if name == "lua" { 0.85 } else { 1.0 });
    assert!(several(&before, &after, Options::default()).strategies.iter().all(|s| !is_different(s.surviving.outcome)));
    let run = Run::default();
    assert!(Comparison::of_pairs(("a", &[&run]), ("b", &[]), Options::default()).is_err());
}

#[test]
fn the_same_is_only_what_lies_within_the_bound_and_a_gate_without_power_says_so() {
    let noisy = Noise { spread: 0.3, ..QUIET };
    let comparison = compared(&run(1, 5, noisy, same), &run(2, 5, noisy, same));
    assert!(count(&comparison, Outcome::CannotTell) > 30, "{}", count(&comparison, Outcome::CannotTell));
    let Gate::CannotTell(why) = comparison.gate() else { panic!("{:?}", comparison.gate()) };
    assert!(why.contains("with 80 % power this comparison would find a slowdown of at least"), "{why}");
    let [(least, _), (most, _)] = comparison.power().unwrap();
    assert!(0.05 < least && least < most);
    for change in comparison.cells.iter().filter_map(|cell| cell.surviving.as_ref()) {
        let is_within = change.contrast.low > 0.95 && change.contrast.high < 1.0 / 0.95;
        assert!(change.outcome != Outcome::Same || is_within, "{change:?}");
    }
    let calm = Noise { spread: 0.004, ..QUIET };
    assert_eq!(compared(&run(1, 5, calm, same), &run(2, 5, calm, same)).gate(), Gate::Passes);
}

fn report(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report")).args(args).env_remove("REDIS_URL").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(run: &Run, path: &Path) -> String {
    let mut folder = Folder::create(path, &run.machine).unwrap();
    for record in &run.records {
        let key = (record.round, &record.condition.strategy, record.condition.threads);
        let own = run.latency.iter().filter(|b| (b.round, &b.strategy, b.threads) == key);
        folder.append(record, &own.cloned().collect::<Vec<_>>()).unwrap();
    }
    if !run.estimates.is_empty() {
        std::fs::write(path.join("estimates.csv"), csv_bytes(&run.estimates).unwrap()).unwrap();
    }
    path.display().to_string()
}

#[test]
fn the_gate_passes_noise_stops_what_is_slower_or_wrong_and_never_looks_open_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let slow = |name: &str| if name == "lua" { 0.8 } else { 1.0 };
    let calm = Noise { spread: 0.004, ..QUIET };
    let good = written(&run(1, 5, calm, same), &dir.path().join("good"));
    let again = written(&run(2, 5, calm, same), &dir.path().join("again"));
    let noisy = written(&run(2, 5, Noise { spread: 0.3, ..QUIET }, same), &dir.path().join("noisy"));
    let slow = written(&run(3, 5, QUIET, slow), &dir.path().join("slow"));
    let mut lossy = run(4, 5, calm, same);
    let watch = lossy.records.iter_mut().find(|r| r.condition.strategy == "watch" && r.condition.threads == 8).unwrap();
    (watch.lost, watch.verdict) = (Some(1), Some(Verdict::Lost));
    let lossy = written(&lossy, &dir.path().join("lossy"));
    let mut alone = run(5, 1, QUIET, same);
    alone.records.retain(|r| r.condition.strategy == "incr");
    let alone = written(&alone, &dir.path().join("alone"));
    let code = |args: &[&str]| report(&[&["compare"], args].concat()).status.code();
    assert_eq!(code(&[&good, &again, "--fail-if-slower", "5%"]), Some(0));
    assert_eq!(code(&[&good, &slow, "--fail-if-slower", "5%"]), Some(1));
    let open = text(&report(&["compare", &good, &again, "--fail-if-slower", "5%"]).stderr);
    assert!(open.contains("find a slowdown of at least"), "an open gate says what it could have stopped: {open}");
    assert_eq!(code(&[&good, &slow]), Some(0), "without a gate nothing fails");
    assert_eq!(code(&[&good, &slow, "--fail-if-slower", "60%"]), Some(0));
    assert_eq!(code(&[&good, &lossy, "--fail-if-slower", "60%"]), Some(1));
    assert_eq!(code(&[&good, &alone, "--fail-if-slower", "5%"]), Some(2), "nothing was compared");
    assert_eq!(code(&[&good, &alone, "--fail-if-slower", "5%", "--allow-weak"]), Some(2), "nor is that weak");
    // What it cannot decide does not pass, unless that is requested.
    let weak = report(&["compare", &good, &noisy, "--fail-if-slower", "5%"]);
    assert_eq!(weak.status.code(), Some(2));
    let said = text(&weak.stderr);
    assert!(said.contains("cannot tell whether") && said.contains("find a slowdown of at least"), "{said}");
    assert_eq!(code(&[&good, &noisy, "--fail-if-slower", "5%", "--allow-weak"]), Some(0));
    let ruined = written(&run(6, 5, calm, |_| 0.6), &dir.path().join("ruined"));
    assert_eq!(code(&[&good, &ruined, "--fail-if-slower", "5%"]), Some(2), "all of it is slower by four tenths");
    assert_eq!(code(&[&good, &ruined, "--fail-if-slower", "5%", "--allow-weak"]), Some(2), "which is not weak");
    assert_eq!(code(&[&good, &ruined, "--fail-if-slower", "5%", "--trust-shift"]), Some(1));
    // Several runs a side.
    let both = format!("{good},{again}");
    assert_eq!(code(&[&both, &format!("{ruined},{slow}"), "--fail-if-slower", "5%", "--allow-weak"]), Some(0));
    assert_eq!(code(&[&both, &format!("{good},{good}")]), Some(2), "one run twice is not two");
    assert_eq!(code(&[&format!("{both},/nonexistent"), &both]), Some(2));
    assert_eq!(code(&[&good, &again, "--allow-weak"]), Some(2), "there is no gate to weaken");
    assert_eq!(code(&[&good, "/nonexistent"]), Some(2));
    assert_eq!(code(&[&good, &again, "--fail-if-slower", "fast"]), Some(2));
    assert_eq!(code(&[&good, &again, "--fail-if-slower", "0%"]), Some(2), "nothing would ever pass");
    let said = text(&report(&["compare", &good, &format!("{again}@main")]).stderr);
    assert!(said.contains("no baseline 'main' in it; available: none"), "{said}");
}

#[test]
fn each_form_is_alone_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(&run(1, 5, QUIET, same), &dir.path().join("a"));
    let b = written(&run(2, 5, QUIET, |name| if name == "lua" { 0.5 } else { 1.0 }), &dir.path().join("b"));
    let json: serde_json::Value = serde_json::from_slice(&report(&["compare", &a, &b, "--json"]).stdout).unwrap();
    let lua = json["strategies"].as_array().unwrap().iter().find(|s| s["strategy"] == "lua").unwrap();
    assert_eq!(lua["surviving"]["outcome"], "slower");
    assert!(lua["surviving"]["high"].as_f64().unwrap() < 0.6);
    let md = report(&["compare", &a, &b, "--markdown"]);
    assert!(text(&md.stdout).starts_with("### ") && md.stderr.is_empty());
    let html = dir.path().join("compare.html");
    let table = report(&["compare", &a, &b, "--page", &html.display().to_string()]);
    assert!(table.status.success() && text(&table.stdout).contains("Slower overall: lua"));
    assert!(std::fs::read_to_string(html).unwrap().starts_with("<!doctype html>"));
    assert_eq!(report(&["compare", &a, &b, "--json", "--markdown"]).status.code(), Some(2));
}

/// A small run with `more` flags into `out`.
fn small(out: &Path, more: &[&str]) -> Output {
    let out = out.display().to_string();
    let plan = ["--out", &out, "--updates", "200", "--rounds", "1", "--threads", "1,4", "--seed", "1"];
    report(&[&plan, more].concat())
}

#[test]
fn quiet_verbose_and_csv_say_what_they_are_for_and_the_folder_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let quiet = small(&at("quiet"), &["--strategies", "incr,get-set", "--quiet"]);
    assert_eq!(text(&quiet.stdout), format!("{}\n", at("quiet").join("index.html").display()));
    assert!(text(&quiet.stderr).lines().all(|line| line.contains("warning")), "{}", text(&quiet.stderr));
    let kept = std::fs::read_to_string(at("quiet").join("summary.txt")).unwrap();
    assert!(kept.contains("get-set") && kept.contains("surviving/s") && !kept.contains('\u{1b}'), "{kept}");
    let verbose = small(&at("verbose"), &["--strategies", "incr,get-set", "--verbose", "--watch"]);
    let rows = text(&verbose.stderr);
    assert_eq!(rows.lines().filter(|line| line.starts_with("round 1 ")).count(), 4, "{rows}");
    assert!(!rows.contains('\u{1b}'), "the live view is for terminals: {rows}");
    let csv = small(&at("csv"), &["--strategies", "incr,get-set", "--csv", "--no-progress"]);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_slice());
    let lost = reader.headers().unwrap().iter().position(|name| name == "lost_part").unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row[lost].parse::<f64>().is_ok()));
    assert_eq!(small(&at("both"), &["--csv", "--json"]).status.code(), Some(2));
}

#[test]
fn a_trials_history_is_judged_as_the_trial_was() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let strategies = "incr,get-set,pipelined-incr,local-sum,pipeline-unread,watch";
    let output = small(&out, &["--strategies", strategies, "--history", "--keys", "1,3", "--no-progress"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(&out).unwrap();
    assert_eq!(run.records.len(), 24);
    for r in &run.records {
        let path = out.join(format!(
            "history/{}-{}-{}-{}.csv",
            r.round, r.condition.strategy, r.condition.threads, r.condition.keys
        ));
        let checked = check_file(&path, None, None).unwrap();
        let ledger = &checked.judgement.ledger;
        assert_eq!(Some(checked.verdict), r.verdict, "{r:?}");
        assert_eq!((Some(ledger.acked), Some(ledger.lost)), (r.acked, r.lost), "{r:?}");
    }
    let incr = out.join("history/1-incr-4-1.csv").display().to_string();
    let get_set = out.join("history/1-get-set-4-1.csv").display().to_string();
    assert_eq!(report(&["check", &incr]).status.code(), Some(0));
    assert_eq!(report(&["check", &get_set]).status.code(), Some(1));
}

#[test]
fn completions_and_the_man_page_know_every_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let output = report(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("fail-if-slower"), "{shell}");
    }
    let man = text(&report(&["man"]).stdout);
    assert!(man.contains(".TH report") && man.contains("\\-\\-quiet"), "{man}");
}

#[test]
fn completions_know_the_values_of_options_with_a_list() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&report(&["completions", shell]).stdout);
        for value in ["tasks", "zipf", "valkey", "unix", "multiplexed-incr", "get-set-multiplexed", "lossy"] {
            assert!(script.contains(value), "{shell}: {value}");
        }
    }
}

#[test]
fn there_is_a_man_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man1");
    assert!(report(&["man", "--out", &out.display().to_string()]).status.success());
    let help = text(&report(&["--help"]).stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let mut seen = 0;
    for command in commands.filter(|name| *name != "help") {
        let page = std::fs::read_to_string(out.join(format!("report-{command}.1"))).unwrap();
        assert!(page.contains(".SH DESCRIPTION") || page.contains(".SH NAME"), "{command}");
        assert!(text(&report(&["man", command]).stdout).contains(".SH SYNOPSIS"), "{command}");
        seen += 1;
    }
    assert!(seen >= 10 && out.join("report.1").exists());
    assert_eq!(report(&["man", "nope"]).status.code(), Some(2));
}

#[test]
fn drivers_are_never_compared() {
    let before = run(1, 5, QUIET, same);
    let mut after = before.clone();
    after.records.iter_mut().for_each(|record| record.condition.driver = DriverKind::Tasks);
    let compared = Comparison::of(("before", &before), ("after", &after), Options::default());
    assert_eq!((compared.compared(), compared.cells.len()), (0, STRATEGIES.len() * 5));
    let why = "by threads in the first run, by tasks in the second";
    assert!(compared.cells.iter().all(|cell| cell.why.as_deref() == Some(why)));
    assert!(compared.shift.is_none() && compared.strategies.is_empty(), "nor does it pass for the machine's doing");
}

#[test]
fn an_offered_rate_is_never_compared_with_what_a_closed_loop_does() {
    let before = run(1, 5, QUIET, same);
    let mut after = before.clone();
    after.records.iter_mut().for_each(|record| record.condition.offered_per_s = Some(2_000));
    let compared = Comparison::of(("before", &before), ("after", &after), Options::default());
    assert_eq!((compared.compared(), compared.cells.len()), (0, STRATEGIES.len() * 5));
    let why = "by threads in the first run, by threads at 2000/s in the second";
    assert!(compared.cells.iter().all(|cell| cell.why.as_deref() == Some(why) && cell.after.is_some()));
    assert_eq!(
        Comparison::of(("after", &after), ("after", &after), Options::default()).compared(),
        STRATEGIES.len() * 5
    );
}

#[test]
fn two_commands_are_measured_in_turns_and_a_slower_one_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("turns").display().to_string();
    // Through a proxy that delays by a thousand times the duration of an update: slower on any machine.
    let near = format!("{} --strategies incr --threads 1 --updates 20", env!("CARGO_BIN_EXE_report"));
    let far = format!("{near} --rtt 30ms");
    let live = |commands: [&str; 2], more: &[&str]| {
        report(&[&["compare", "--live", commands[0], commands[1], "--pairs", "5"], more].concat())
    };
    let output = live([&near, &near], &["--json", "--out", &out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["design"], serde_json::json!({"kind": "pairs", "pairs": 5}));
    let turns: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(turns.len(), 10, "{turns:?}");
    let second = Run::read(&Path::new(&out).join("002-after")).unwrap();
    assert_eq!((second.records.len(), second.records[0].round), (1, 1));
    // Both in turns. The folders can be compared without --live, as runs.
    let side = |name: &str| (1..=5).map(|at| format!("{out}/{at:03}-{name}")).collect::<Vec<_>>().join(",");
    let again = report(&["compare", &side("before"), &side("after"), "--json"]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["design"]["kind"], "runs");
    // Another condition is another cell, but it is compared.
    let slower = live([&near, &far], &["--fail-if-slower", "20%", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&slower.stdout).unwrap();
    let ratio = json["strategies"][0]["surviving"]["ratio"].as_f64().unwrap();
    assert!(ratio < 0.5, "{ratio}");
    // Surely slower, or uncertain on a busy machine, but never the same.
    assert!([Some(1), Some(2)].contains(&slower.status.code()), "{}", text(&slower.stderr));
}

#[test]
fn a_turn_that_fails_is_named_with_its_last_word() {
    for (command, why) in [
        ("false", "a turn of 'false' failed: exit code 1"),
        ("echo no such luck >&2; exit 2 #", "no such luck"),
        ("kill -9 $$ #", "it was killed"),
        ("report --out somewhere", "leave --out out"),
        ("report --redis-url redis://:password@host", "a URL in the wrong place"),
    ] {
        let output = report(&["compare", "--live", command, "true"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && !said.contains("password@"), "{command}: {said}");
    }
    assert_eq!(report(&["compare", "a", "b", "--pairs", "5"]).status.code(), Some(2), "only with --live");
    assert_eq!(report(&["compare", "--live", "a", "b", "--pairs", "4"]).status.code(), Some(2));
}
