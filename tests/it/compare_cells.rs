//! Which cells of two sides are compared with each other, what is said of those that are not, and which of their rows count.

use redis_lost_updates::compare::{Comparison, Design, Options, Outcome};
use redis_lost_updates::condition::{Condition, Transport};
use redis_lost_updates::record::{Clock, Estimate, Record, Run};
use redis_lost_updates::verdict::{Promise, Verdict};
use redis_lost_updates::workload::DriverKind;

fn incr(threads: usize) -> Condition {
    Condition::of("incr", threads, 1)
}

/// A trial of one second, so that what it acknowledged is its rate.
fn trial(condition: &Condition, round: u32, acked: u64) -> Record {
    let blank = Record::blank(condition.clone(), Promise::Exact);
    let (lost, span_ns, verdict) = (Some(0), Some(1_000_000_000), Some(Verdict::Exact));
    Record { round, acked: Some(acked), lost, span_ns, verdict, ..blank }
}

/// A run of these conditions with these rates, each in three rounds that hardly differ.
fn run(cells: &[(Condition, u64)]) -> Run {
    let rounds = |(condition, rate): &(Condition, u64)| [0, 1, 3].map(|more| (condition.clone(), rate + more));
    let rows = cells.iter().flat_map(|cell| rounds(cell).into_iter().zip(1..));
    of_records(rows.map(|((condition, rate), round)| trial(&condition, round, rate)).collect())
}

/// Rounds of one cell with these rates.
fn rounds(condition: &Condition, rates: &[u64]) -> Run {
    of_records(rates.iter().zip(1..).map(|(&rate, round)| trial(condition, round, rate)).collect())
}

fn of_records(mut records: Vec<Record>) -> Run {
    records.iter_mut().zip(1..).for_each(|(record, number)| record.trial = number);
    Run { records, ..Run::default() }
}

fn compared(before: &Run, after: &Run) -> Comparison {
    Comparison::of(("before", before), ("after", after), Options::default())
}

fn of_runs(before: &[Run], after: &[Run]) -> Comparison {
    let sides = [before, after].map(|side| side.iter().collect::<Vec<_>>());
    Comparison::of_runs(("before", &sides[0]), ("after", &sides[1]), Options::default())
}

fn of_pairs(before: &[Run], after: &[Run]) -> Comparison {
    let sides = [before, after].map(|side| side.iter().collect::<Vec<_>>());
    Comparison::of_pairs(("before", &sides[0]), ("after", &sides[1]), Options::default()).unwrap()
}

/// What is said of the only cell that is not compared.
fn why(compared: &Comparison) -> String {
    assert_eq!((compared.cells.len(), compared.compared()), (1, 0), "{:?}", compared.cells);
    compared.cells[0].why.clone().unwrap()
}

fn near(found: f64, right: f64) {
    assert!((found - right).abs() < 1e-3 * right, "{found}, not {right}");
}

#[test]
fn what_only_one_side_has_is_named_and_stands_with_its_strategy() {
    let lua = (Condition::of("lua", 4, 1), 10_000);
    let short = run(&[(incr(1), 10_000), (incr(4), 10_000), lua.clone()]);
    let long = run(&[(incr(1), 10_000), (incr(4), 10_000), (incr(16), 10_000), lua]);
    let told = |compared: &Comparison| {
        let cells = compared.cells.iter();
        let said = cells.map(|cell| (cell.label.clone(), cell.condition.threads, cell.why.clone().unwrap_or_default()));
        said.collect::<Vec<_>>()
    };
    let expected = |why: &str| {
        [("incr", 1, ""), ("incr", 4, ""), ("incr", 16, why), ("lua", 4, "")]
            .map(|(name, threads, why)| (name.to_owned(), threads, why.to_owned()))
    };
    assert_eq!(told(&compared(&short, &long)), expected("not in the first run"));
    assert_eq!(told(&compared(&long, &short)), expected("not in the second run"));
    let twice = |run: &Run| [run.clone(), run.clone()];
    assert_eq!(told(&of_runs(&twice(&short), &twice(&long))), expected("not in the first side"));
    assert_eq!(told(&of_runs(&twice(&long), &twice(&short))), expected("not in the second side"));
}

#[test]
fn cells_stand_in_the_order_of_the_plan() {
    let mut before = run(&[(incr(4), 10_000), (Condition::of("watch", 4, 1), 10_000)]);
    for name in ["strategy.watch", "strategy.incr"] {
        before.machine.add(name, "what it is");
    }
    let compared = compared(&before, &before);
    assert_eq!(compared.cells.iter().map(|cell| cell.label.as_str()).collect::<Vec<_>>(), ["watch", "incr"]);
}

#[test]
fn what_has_too_few_figures_says_which() {
    let good = rounds(&incr(4), &[10_000, 10_010, 10_020]);
    let edited = |edit: fn(&mut Record)| {
        let mut run = good.clone();
        run.records.iter_mut().for_each(edit);
        run
    };
    let skipped = edited(|row| (row.verdict, row.note) = (None, Some("skipped: no such command".to_owned())));
    let refused = edited(|row| (row.verdict, row.error) = (None, Some("refused".to_owned())));
    for (bad, said) in [
        (edited(|row| row.verdict = None), "no verdict"),
        (skipped, "no verdict (skipped: no such command)"),
        (refused, "no verdict (refused)"),
        (edited(|row| row.lost = row.acked), "nothing survived"),
        (edited(|row| row.acked = Some(0)), "nothing was acknowledged"),
        (rounds(&incr(4), &[10_000]), "a single round, which has no spread"),
    ] {
        assert_eq!(why(&compared(&bad, &good)), format!("{said} in the first run"));
        assert_eq!(why(&compared(&good, &bad)), format!("{said} in the second run"));
    }
    let single = [rounds(&incr(4), &[10_000]), Run::default()];
    assert_eq!(why(&of_runs(&single, &single)), "in one run of each side, which have no spread");
    assert_eq!(why(&of_pairs(&single, &single)), "in fewer than two pairs");
}

#[test]
fn rounds_in_which_nothing_survived_and_warm_ups_count_for_no_speed() {
    let good = rounds(&incr(4), &[10_000, 10_000, 10_000]);
    let mut odd = good.clone();
    let warm_up = Record { verdict: Some(Verdict::Lost), ..trial(&incr(4), 0, 77) };
    let all_lost = Record { lost: Some(500), ..trial(&incr(4), 4, 500) };
    let unjudged = Record { verdict: None, ..trial(&incr(4), 5, 900) };
    odd.records.extend([warm_up, all_lost, unjudged]);
    let odd = of_records(odd.records);
    let side = compared(&good, &odd).cells[0].after.clone().unwrap();
    assert_eq!(side.verdict, Some(Verdict::Lost), "a warm-up is judged");
    assert_eq!((side.rounds, side.acked, side.lost), (4, 30_500, 500));
    near(side.surviving_per_s.unwrap(), 10_000.0);
}

#[test]
fn the_p99_is_of_measured_rounds_and_of_times_that_can_be() {
    let with_times = |times: &[(u32, u64)], updates: u64| {
        let mut run = of_records(times.iter().map(|&(round, _)| trial(&incr(4), round, 10_000)).collect());
        let buckets = run.records.iter().zip(times).map(|(row, &(_, ns))| row.bucket(Clock::Service, (ns, updates)));
        run.latency = buckets.collect();
        run
    };
    let p99 = |run: &Run| compared(run, run).cells[0].after.clone().unwrap().p99_ns;
    near(p99(&with_times(&[(0, 8_000_000), (1, 1_000), (2, 4_000)], 500)).unwrap(), 2_000.0);
    assert_eq!(p99(&with_times(&[(1, 0), (2, 0)], 500)), None);
    // Of 998 updates fewer than ten lie beyond it.
    assert_eq!(p99(&with_times(&[(1, 1_000), (2, 4_000)], 499)), None);
}

#[test]
fn other_settings_are_compared_and_named_but_no_load_that_is_made_otherwise() {
    let before = run(&[(incr(4), 10_000)]);
    let unix = Condition { transport: Transport::Unix, ..incr(4) };
    let far = Condition { rtt_us: Some(500), ..incr(4) };
    let across = compared(&before, &run(&[(unix.clone(), 10_000)]));
    assert_eq!((across.compared(), across.cells[0].why.as_deref()), (1, None));
    assert_eq!(across.cells[0].across.as_deref(), Some("transport: tcp before, unix after"));
    assert_eq!(compared(&before, &before).cells[0].across, None);
    // Two settings there are one too many: nobody knows which is meant.
    let two = compared(&before, &run(&[(unix.clone(), 10_000), (far, 10_000)]));
    assert_eq!((two.compared(), two.cells.len()), (0, 2), "{:?}", two.cells);
    // Neither another strategy nor another load is another setting.
    for other in [Condition::of("lua", 4, 1), incr(5), Condition::of("incr", 4, 2)] {
        let lone = compared(&before, &run(&[(other, 10_000)]));
        assert_eq!((lone.compared(), lone.cells.len()), (0, 2));
        assert_eq!(lone.cells[0].why.as_deref(), Some("not in the second run"));
    }
    let tasks = Condition { driver: DriverKind::Tasks, ..unix.clone() };
    let said = why(&compared(&before, &run(&[(tasks, 10_000)])));
    assert_eq!(said, "by threads in the first run, by tasks in the second");
    let offered = Condition { offered_per_s: Some(2_000), ..unix };
    let said = why(&compared(&run(&[(offered, 10_000)]), &before));
    assert_eq!(said, "by threads at 2000/s in the first run, by threads in the second");
}

/// The cell's label, and the servers of its two sides by their rates.
fn servers(before: &[(&str, u64)], after: &[(&str, u64)]) -> Vec<(String, u64, u64)> {
    let side = |servers: &[(&str, u64)]| {
        let on = |&(server, rate): &(&str, u64)| (Condition { server: server.to_owned(), ..incr(4) }, rate);
        run(&servers.iter().map(on).collect::<Vec<_>>())
    };
    let compared = compared(&side(before), &side(after));
    let rate = |side: &Option<redis_lost_updates::compare::Side>| {
        side.as_ref().and_then(|side| side.surviving_per_s).map_or(0, |rate| (rate / 1e3).round() as u64)
    };
    compared.cells.iter().map(|cell| (cell.label.clone(), rate(&cell.before), rate(&cell.after))).collect()
}

#[test]
fn each_server_is_compared_with_itself_or_with_its_next_version() {
    let cell = |label: &str, before, after| (label.to_owned(), before, after);
    // Products tell them apart, wherever they stand in the alphabet.
    assert_eq!(
        servers(
            &[("dragonfly 1.0", 10_000), ("valkey 9.0", 20_000)],
            &[("redis 8.0", 40_000), ("valkey 9.1", 50_000), ("dragonfly 1.1", 60_000)]
        ),
        [cell("incr dragonfly", 10, 60), cell("incr valkey", 20, 50), cell("incr redis", 0, 40)]
    );
    // The same version first, then another version of the product.
    assert_eq!(
        servers(&[("valkey 9.0", 10_000), ("valkey 9.1", 20_000)], &[("valkey 9.1", 40_000), ("valkey 9.2", 50_000)]),
        [cell("incr valkey 9.0", 10, 50), cell("incr valkey 9.1", 20, 40)]
    );
    // One server needs no name, and another product is compared all the same.
    assert_eq!(servers(&[("valkey 9.0", 10_000)], &[("redis 8.0", 40_000)]), [cell("incr", 10, 40)]);
}

#[test]
fn two_versions_of_a_library_stay_two_cells_in_every_run() {
    let version = |version: &str| Condition { library_version: version.to_owned(), ..incr(4) };
    let both = |first: u64, second: u64| run(&[(version("1.0"), first), (version("2.0"), second)]);
    let compared = of_runs(&[both(10_000, 30_000), both(10_100, 30_300)], &[both(5_000, 30_000), both(5_050, 30_300)]);
    let ratios: Vec<f64> = compared.cells.iter().map(|cell| cell.surviving.unwrap().contrast.ratio).collect();
    assert_eq!(ratios.len(), 2);
    near(ratios[0], 0.5);
    near(ratios[1], 1.0);
}

#[test]
fn a_side_of_several_runs_is_all_of_them_together() {
    let mut last = rounds(&incr(4), &[40_000, 40_000]);
    last.records[1].verdict = Some(Verdict::Lost);
    last.records[1].lost = Some(1);
    let first = rounds(&incr(4), &[10_000, 10_000, 10_000]);
    let side = of_runs(&[first.clone(), last], &[first.clone(), first]).cells[0].before.clone().unwrap();
    assert_eq!((side.rounds, side.acked, side.lost, side.verdict), (5, 110_000, 1, Some(Verdict::Lost)));
    near(side.surviving_per_s.unwrap(), 20_000.0);
}

#[test]
fn what_runs_have_in_common_is_real() {
    let names = ["a", "b", "c", "d"];
    let side = |rate: u64| [0, 50].map(|more| run(&names.map(|name| (Condition::of(name, 4, 1), rate + more))));
    let compared = of_runs(&side(10_000), &side(6_000));
    assert_eq!(compared.design, Design::Runs { before: 2, after: 2 });
    assert!(compared.shift.unwrap().trusted);
    assert!(compared.cells.iter().all(|cell| cell.outcome == Outcome::Slower), "{:?}", compared.cells);
}

/// One run of one round for each rate; none where there is no rate.
fn turns(rates: &[Option<u64>]) -> Vec<Run> {
    rates.iter().map(|rate| rounds(&incr(4), rate.as_slice())).collect()
}

#[test]
fn a_pair_stays_a_pair_where_runs_miss_the_cell() {
    // The machine's speed differs between the pairs: only the right pairs show that all fell by a fifth.
    let before = [None, Some(10_000), Some(30_000), Some(70_000), Some(20_000)];
    let after = [Some(90_000), Some(8_000), None, Some(56_000), Some(16_000)];
    let change = of_pairs(&turns(&before), &turns(&after)).cells[0].surviving.unwrap();
    near(change.contrast.ratio, 0.8);
    near(change.contrast.low, 0.8);
    assert_eq!(change.outcome, Outcome::Slower);
    let runs = turns(&before);
    let refused = Comparison::of_pairs(("a", &[&runs[1], &runs[2]]), ("b", &[&runs[3]]), Options::default());
    assert_eq!(refused.unwrap_err().to_string(), "2 runs and 1 are no pairs");
    // Runs without the cell take no part in the mean of their side.
    let present = [Some(10_000), None, Some(10_000), Some(10_000)];
    near(of_runs(&turns(&present), &turns(&[Some(8_000); 3])).cells[0].surviving.unwrap().contrast.ratio, 0.8);
}

#[test]
fn autocorrelation_is_of_the_rounds_or_of_the_differences_within_pairs() {
    let rising = rounds(&incr(4), &[1, 2, 3, 4, 5, 6, 7, 8].map(|power| 1_000 << power));
    let by_turns = rounds(&incr(4), &[1, 2, 1, 2, 1, 2, 1, 2].map(|power| 1_000 << power));
    near(compared(&rising, &rising).autocorrelation, 0.9);
    assert_eq!(compared(&by_turns, &by_turns).autocorrelation, 0.0);
    let of_powers = |before: [u32; 6], after: [u32; 6]| {
        let [before, after] = [before, after].map(|powers| turns(&powers.map(|power| Some(1 << power))));
        of_pairs(&before, &after).autocorrelation
    };
    // The sides rise together, and what is between them goes to and fro.
    assert_eq!(of_powers([10, 12, 12, 14, 14, 16], [11, 11, 13, 13, 15, 15]), 0.0);
    // The sides go to and fro together, and what is between them rises.
    near(of_powers([10, 40, 10, 40, 10, 40], [10, 41, 12, 43, 14, 45]), 0.9);
}

#[test]
fn a_strategy_as_a_whole_is_the_geometric_mean_of_its_cells() {
    let before = run(&[(incr(1), 10_000), (incr(4), 10_000)]);
    let after = run(&[(incr(1), 5_000), (incr(4), 8_000)]);
    let compared = compared(&before, &after);
    assert_eq!((compared.strategies.len(), compared.strategies[0].cells), (1, 2));
    near(compared.strategies[0].surviving.contrast.ratio, 0.4_f64.sqrt());
}

fn estimate(strategy: &str, threads: usize, mean_ns: f64) -> Estimate {
    Estimate {
        bench_id: format!("{strategy}/{threads}"),
        baseline: "this run".to_owned(),
        strategy: strategy.to_owned(),
        threads,
        mean_ns,
        mean_low_ns: mean_ns * 0.999,
        mean_high_ns: mean_ns * 1.001,
        median_ns: mean_ns,
        confidence: 0.95,
        acked: 1_000,
        lost: 0,
        doubled: 0,
        verdict: Some(Verdict::Exact),
    }
}

fn benched(estimates: Vec<Estimate>) -> Run {
    Run { estimates, ..Run::default() }
}

#[test]
fn criterions_interval_of_one_process_decides_nothing_and_those_of_several_do() {
    let of = |factor: f64| benched(vec![estimate("incr", 4, 1e4 * factor), estimate("incr", 8, 2e4 * factor)]);
    let one = compared(&of(1.0), &of(2.0));
    assert_eq!((one.strategies.len(), one.strategies[0].cells), (1, 2));
    near(one.strategies[0].surviving.contrast.ratio, 0.5);
    for change in one.cells.iter().map(|cell| cell.surviving.unwrap()).chain([one.strategies[0].surviving]) {
        assert_eq!((change.outcome, change.finds), (Outcome::CannotTell, None));
    }
    let several = of_runs(&[of(1.0), of(1.01)], &[of(2.0), of(2.02)]);
    assert!(several.cells.iter().all(|cell| cell.outcome == Outcome::Slower), "{:?}", several.cells);
    assert!(several.strategies[0].surviving.finds.is_some());
    // Trials are another way of measuring.
    let said = why(&compared(&benched(vec![estimate("incr", 4, 1e4)]), &run(&[(incr(4), 10_000)])));
    assert_eq!(said, "by criterion in the first run, by threads in the second");
}

#[test]
fn a_benchs_rate_is_of_the_updates_that_survived() {
    let lossy = Estimate { lost: 250, verdict: Some(Verdict::Lost), ..estimate("get-set", 4, 1e4) };
    let mut run = benched(vec![lossy, estimate("incr", 4, 1e4)]);
    // Its promise stands in the rows of its trials, as that of `incr` does.
    run.records =
        vec![trial(&incr(4), 0, 1), Record { promise: Promise::Lossy, ..trial(&Condition::of("get-set", 4, 1), 0, 1) }];
    let compared = compared(&run, &run);
    let rates: Vec<f64> = compared.cells.iter().filter_map(|cell| cell.after.as_ref()?.surviving_per_s).collect();
    // Four updates every 10 µs, of which three survive.
    near(rates[0], 300_000.0);
    near(rates[1], 400_000.0);
    assert_eq!(compared.cells.iter().map(|cell| cell.promise).collect::<Vec<_>>(), [Promise::Lossy, Promise::Exact]);
    assert!(compared.alarms.is_empty(), "{:?}", compared.alarms);
}
