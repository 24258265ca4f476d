//! Comparisons made by hand, at the edges: which part of a bench run is compared, what fails a gate by a hair and what
//! passes by one, how much a gate could have stopped, and every change of verdict there is.

use redis_lost_updates::compare::{
    Alarm, AlarmKind, CellComparison, Change, Comparison, Design, FLOOR, Gate, Options, Outcome, Shift,
    StrategyComparison, part,
};
use redis_lost_updates::condition::{Condition, Transport};
use redis_lost_updates::record::{Clock, Estimate, Record, Run};
use redis_lost_updates::stats::Contrast;
use redis_lost_updates::verdict::{Promise, Verdict};

fn estimate(baseline: &str, strategy: &str, mean_ns: f64) -> Estimate {
    Estimate {
        bench_id: format!("{strategy}/4"),
        baseline: baseline.to_owned(),
        strategy: strategy.to_owned(),
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
    }
}

/// A bench run with its own estimates and two saved baselines.
fn benched() -> Run {
    let mut run = Run { records: vec![trial(1, "incr", Some(Verdict::Exact), 10_000)], ..Run::default() };
    for (fact, value) in [("cpu", "a"), ("transport", "unix")] {
        run.machine.add(fact, value);
    }
    for (baseline, mean_ns) in [("this run", 10_000.0), ("main", 20_000.0), ("this run", 11_000.0), ("dev", 30_000.0)] {
        run.estimates.push(estimate(baseline, "incr", mean_ns));
    }
    run
}

fn trial(round: u32, strategy: &str, verdict: Option<Verdict>, rate: u64) -> Record {
    let promise = if strategy == "get-set" { Promise::Lossy } else { Promise::Exact };
    Record {
        trial: round,
        round,
        acked: Some(rate),
        lost: Some(0),
        span_ns: Some(1_000_000_000),
        verdict,
        ..Record::blank(Condition::of(strategy, 4, 1), promise)
    }
}

#[test]
fn a_part_is_one_baselines_estimates_and_nothing_that_they_were_not_made_on() {
    let means = |run: &Run| run.estimates.iter().map(|estimate| estimate.mean_ns).collect::<Vec<_>>();
    let own = part(benched(), None).unwrap();
    assert_eq!((means(&own), own.machine.get("cpu")), (vec![10_000.0, 11_000.0], Some("a")));
    assert_eq!(own, part(benched(), Some("this run")).unwrap(), "its own by name");
    assert_eq!((&own.records, &own.machine), (&benched().records, &benched().machine));
    let main = part(benched(), Some("main")).unwrap();
    assert_eq!((means(&main), main.records.len()), (vec![20_000.0], 1));
    let facts: Vec<_> = main.machine.0.iter().map(|fact| (fact.fact.as_str(), fact.value.as_str())).collect();
    assert_eq!(facts, [("baseline", "main"), ("transport", "unix")], "what it was made on is not known");
    // Such a run names itself, where the other says what it was made on.
    let compared = Comparison::of(("main", &main), ("own", &own), Options::default());
    assert_eq!(compared.differences.len(), 1);
    assert_eq!(compared.differences[0].before, "not recorded with the baseline main");
    assert_eq!(compared.differences[0].after, "recorded");
    assert_eq!(compared.cells[0].condition.transport, Transport::Unix);
    // Trials have no baselines: they are compared whole.
    let trials = Run { estimates: Vec::new(), ..benched() };
    assert_eq!(part(trials.clone(), None).unwrap(), trials);
}

#[test]
fn a_baseline_that_is_not_there_is_refused_with_those_that_are() {
    let said = |run: Run, baseline| part(run, baseline).unwrap_err().to_string();
    assert_eq!(said(benched(), Some("old")), "no baseline 'old' in it; available: dev, main, this run");
    let saved = Run { estimates: vec![estimate("main", "incr", 1e4), estimate("main", "lua", 1e4)], ..Run::default() };
    assert_eq!(said(saved.clone(), None), "no baseline 'this run' in it; available: main");
    assert_eq!(said(saved, Some("this run")), "no baseline 'this run' in it; available: main");
    assert_eq!(said(Run::default(), Some("main")), "no baseline 'main' in it; available: none");
}

fn change(outcome: Outcome, low: f64, ratio: f64, high: f64) -> Change {
    Change { contrast: Contrast { ratio, low, high, p: 0.001 }, outcome, finds: Some(1.0 - low) }
}

fn whole(name: &str, surviving: Change) -> StrategyComparison {
    StrategyComparison { strategy: name.to_owned(), cells: 1, surviving }
}

fn cell(name: &str, keys: usize, surviving: Option<Change>) -> CellComparison {
    CellComparison {
        condition: Condition::of(name, 4, keys),
        label: name.to_owned(),
        promise: Promise::Exact,
        before: None,
        after: None,
        surviving,
        p99: None,
        outcome: surviving.map_or(Outcome::NotComparable, |change| change.outcome),
        across: None,
        why: None,
    }
}

fn by_hand(strategies: Vec<StrategyComparison>, cells: Vec<CellComparison>) -> Comparison {
    Comparison {
        before: "before".to_owned(),
        after: "after".to_owned(),
        design: Design::OneRun,
        bound: 0.125,
        facts: Vec::new(),
        in_sequence: false,
        alarms: Vec::new(),
        differences: Vec::new(),
        shift: None,
        autocorrelation: 0.0,
        strategies,
        cells,
    }
}

#[test]
fn only_a_whole_interval_beyond_the_bound_fails() {
    let edge = 1.0 - 0.125;
    let [beyond, on] = [edge - 1e-9, edge].map(|high| change(Outcome::Slower, 0.7, 0.75, high));
    let said = |strategies, cells| by_hand(strategies, cells).failures(0.125);
    assert_eq!(said(vec![whole("lua", on)], vec![cell("lua", 1, Some(on))]), Vec::<String>::new());
    let failures = said(
        vec![whole("incr", on), whole("lua", beyond)],
        vec![
            cell("cas", 1, None),
            cell("incr", 1, Some(on)),
            cell("lua", 1, Some(beyond)),
            cell("lua", 16, Some(beyond)),
        ],
    );
    let by = "is slower by 25 % (13 to 30), more than 12.5 %";
    assert_eq!(
        failures,
        [format!("lua {by}"), format!("lua at 4 threads {by}"), format!("lua at 4 threads, 16 keys {by}")]
    );
    // What is the same within the noise, or faster, is no slowdown wherever its interval lies.
    for outcome in [Outcome::Same, Outcome::Faster, Outcome::NotComparable] {
        let calm = change(outcome, 0.1, 0.2, 0.3);
        assert!(said(vec![whole("lua", calm)], vec![cell("lua", 1, Some(calm))]).is_empty(), "{outcome:?}");
    }
}

#[test]
fn broken_promises_fail_first_and_no_other_alarm_does() {
    let alarm = |kind| Alarm {
        condition: Condition::of("watch", 1, 16),
        before: Some(Verdict::Exact),
        after: Some(Verdict::Lost),
        kind,
    };
    let mut compared = by_hand(vec![whole("lua", change(Outcome::Slower, 0.4, 0.5, 0.6))], Vec::new());
    let kinds = [AlarmKind::Changed, AlarmKind::Mended, AlarmKind::Vanished, AlarmKind::StillBroken, AlarmKind::Broken];
    compared.alarms = kinds.map(alarm).to_vec();
    let at = "watch at 1 thread, 16 keys";
    assert_eq!(
        compared.failures(0.05),
        [
            format!("{at} broke its promise in both runs: lost, was exact"),
            format!("{at} broke its promise: lost, was exact"),
            "lua is slower by 50 % (40 to 60), more than 5 %".to_owned(),
        ]
    );
    let said = |kind| Alarm { after: None, ..alarm(kind) }.sentence();
    assert_eq!(said(AlarmKind::Vanished), format!("{at} no longer has a verdict, was exact"));
    assert_eq!(said(AlarmKind::Mended), format!("{at} keeps its promise again: no verdict, was exact"));
    assert_eq!(said(AlarmKind::Changed), format!("{at}: no verdict, was exact"));
}

#[test]
fn what_is_told_has_both_its_interval_and_its_power_within_the_bound() {
    let gate = |changes: &[Change]| {
        let wholes = changes.iter().enumerate().map(|(i, &change)| whole(&format!("s{i}"), change)).collect();
        by_hand(wholes, vec![cell("s0", 1, Some(changes[0]))])
    };
    let told = |outcome, low, finds| Change { finds, ..change(outcome, low, 1.0, 1.01) };
    let [on, inside] = [0.875, 0.875 + 1e-9];
    for (change, passes) in [
        (told(Outcome::Same, inside, Some(0.125)), true),
        (told(Outcome::Same, on, Some(0.125)), false),
        (told(Outcome::Same, inside, Some(0.125 + 1e-9)), false),
        (told(Outcome::Same, inside, None), false),
        // Surely slower, and surely by less than the limit.
        (told(Outcome::Slower, inside, Some(0.01)), true),
        // Surely slower, and perhaps by the limit or more.
        (told(Outcome::Slower, on, Some(0.01)), false),
        // A faster strategy is not slower, however uncertain the size of the change.
        (told(Outcome::Faster, 0.5, Some(0.9)), true),
    ] {
        let compared = gate(&[change]);
        assert_eq!(compared.untold().is_empty(), passes, "{change:?}");
        assert_eq!(compared.gate() == Gate::Passes, passes, "{change:?}");
    }
    let unsure = gate(&[
        told(Outcome::Same, inside, Some(0.01)),
        told(Outcome::CannotTell, 0.8, Some(0.15)),
        told(Outcome::CannotTell, 0.7, Some(0.25)),
    ]);
    let names: Vec<&str> = unsure.untold().iter().map(|untold| untold.strategy.as_str()).collect();
    assert_eq!(names, ["s2", "s1"], "the least sure first");
    assert_eq!(unsure.power(), Some([(0.01, "s0"), (0.25, "s2")]));
    let Gate::CannotTell(why) = unsure.gate() else { panic!("{:?}", unsure.gate()) };
    assert_eq!(
        why,
        "cannot tell whether s2, s1 became slower by more than 12.5 %: with 80 % power this comparison would find a slowdown of at least \
         1.0 % (s0) to 25.0 % (s2); more rounds, and several runs a side (A1,A2,A3 B1,B2,B3) would find smaller ones"
    );
    // What finds nothing says so, and no slowdown of 100 %.
    let hopeless = gate(&[told(Outcome::CannotTell, 0.8, Some(0.97)), told(Outcome::CannotTell, 0.7, Some(1.0))]);
    let said = hopeless.power_in_words().unwrap();
    assert_eq!(said, "these runs scatter so much that no slowdown would be found with 80 % power");
    let partly = gate(&[told(Outcome::CannotTell, 0.8, Some(0.1)), told(Outcome::CannotTell, 0.7, Some(1.0))]);
    assert!(partly.power_in_words().unwrap().ends_with("at least 10.0 % (s0); for s1 none is large enough"));
    assert_eq!(by_hand(Vec::new(), Vec::new()).power(), None);
    assert!(matches!(by_hand(Vec::new(), Vec::new()).gate(), Gate::Nothing(_)));
    // Cells without a whole are compared, but not sure.
    let cells = vec![cell("lua", 1, Some(told(Outcome::Same, inside, Some(0.01))))];
    assert!(matches!(by_hand(Vec::new(), cells).gate(), Gate::CannotTell(_)));
}

#[test]
fn a_gate_names_three_strategies_and_counts_the_others() {
    let said = |count: usize| {
        let unsure = change(Outcome::CannotTell, 0.7, 0.9, 1.1);
        let cells = vec![cell("s0", 1, Some(unsure))];
        let compared = by_hand((0..count).map(|i| whole(&format!("s{i}"), unsure)).collect(), cells);
        let Gate::CannotTell(why) = compared.gate() else { panic!("{:?}", compared.gate()) };
        why.split(" became").next().unwrap().to_owned()
    };
    assert_eq!(said(3), "cannot tell whether s0, s1, s2");
    assert_eq!(said(5), "cannot tell whether s0, s1, s2 and 2 more");
}

#[test]
fn every_outcome_has_its_words() {
    let all = [Outcome::Faster, Outcome::Slower, Outcome::Same, Outcome::CannotTell, Outcome::NotComparable];
    let words = ["faster", "slower", "same", "cannot tell", "not comparable"];
    assert_eq!(all.map(Outcome::words), words);
}

#[test]
fn what_all_have_in_common_is_a_landslide_from_three_quarters_on() {
    let at = |ratio, trusted| Comparison { shift: Some(Shift { ratio, trusted }), ..by_hand(Vec::new(), Vec::new()) };
    assert_eq!(at(0.75, false).landslide(), Some(0.75));
    assert_eq!(at(0.3, false).landslide(), Some(0.3));
    assert_eq!(at(0.750_001, false).landslide(), None);
    assert_eq!(at(2.0, false).landslide(), None);
    assert_eq!(at(0.3, true).landslide(), None);
    assert_eq!(by_hand(Vec::new(), Vec::new()).landslide(), None);
}

#[test]
fn a_cell_alone_beyond_the_floor_is_chance_and_one_on_it_is_not() {
    let chance = |outcome, low, high| {
        by_hand(Vec::new(), vec![cell("cas", 1, None), cell("incr", 1, Some(change(outcome, low, 1.0, high)))])
            .by_chance()
    };
    assert_eq!(chance(Outcome::Same, 1.0 + FLOOR, 1.5), 0);
    assert_eq!(chance(Outcome::Same, 1.0 + FLOOR + 1e-9, 1.5), 1);
    assert_eq!(chance(Outcome::Same, 0.5, 1.0 - FLOOR), 0);
    assert_eq!(chance(Outcome::Same, 0.5, 1.0 - FLOOR - 1e-9), 1);
    assert_eq!(chance(Outcome::Same, 0.5, 1.5), 0);
    assert_eq!(chance(Outcome::Slower, 0.5, 0.6) + chance(Outcome::Faster, 1.5, 1.6), 0);
}

/// The alarms of a cell that had these verdicts, one a round, or was not there at all.
fn alarms(strategy: &str, before: Option<&[Option<Verdict>]>, after: Option<&[Option<Verdict>]>) -> Vec<AlarmKind> {
    let run = |verdicts: Option<&[Option<Verdict>]>| {
        let rounds = verdicts.unwrap_or_default().iter().zip(1..);
        Run {
            records: rounds.map(|(&verdict, round)| trial(round, strategy, verdict, 10_000)).collect(),
            ..Run::default()
        }
    };
    let compared = Comparison::of(("a", &run(before)), ("b", &run(after)), Options::default());
    assert_eq!(compared.cells.len(), 1);
    compared.alarms.iter().map(|alarm| alarm.kind).collect()
}

#[test]
fn every_change_of_verdict_has_its_alarm() {
    use AlarmKind::{Broken, Changed, Mended, StillBroken, Vanished};
    use Verdict::{Exact, Excess, Lost, Unproven};
    let (exact, lost, excess) = ([Some(Exact); 2], [Some(Exact), Some(Lost)], [Some(Excess), Some(Exact)]);
    let (unproven, none) = ([Some(Unproven); 2], [None; 2]);
    let told = |before: [Option<Verdict>; 2], after: [Option<Verdict>; 2]| alarms("incr", Some(&before), Some(&after));
    assert_eq!(told(exact, exact), []);
    assert_eq!(told(exact, lost), [Broken], "the worst of all rounds counts");
    assert_eq!(told(lost, excess), [StillBroken]);
    assert_eq!(told(lost, exact), [Mended]);
    assert_eq!(told(lost, unproven), [Mended]);
    assert_eq!(told(exact, unproven), [Changed]);
    assert_eq!(told(exact, none), [Vanished]);
    assert_eq!(told(lost, none), [Vanished]);
    assert_eq!(told(none, exact), []);
    assert_eq!(told(none, lost), [Broken]);
    assert_eq!(told(none, none), []);
    // A cell that one run was not asked for.
    assert_eq!(alarms("incr", Some(&exact), None), []);
    assert_eq!(alarms("incr", Some(&lost), None), []);
    assert_eq!(alarms("incr", None, Some(&exact)), []);
    assert_eq!(alarms("incr", None, Some(&lost)), [Broken]);
    // A control breaks no promise.
    assert_eq!(alarms("get-set", Some(&exact), Some(&lost)), [Changed]);
    assert_eq!(alarms("get-set", Some(&lost), Some(&lost)), []);
}

/// This many strategies, each with `before` nanoseconds per update in one run and `after` in the other, with hardly any
/// noise.
fn near(count: usize, before: f64, after: f64) -> [Run; 2] {
    [before, after].map(|mean_ns| {
        let mut run = Run::default();
        for i in 0..count {
            for round in 1..=4 {
                let noise = 1.0 + 1e-5 * f64::from(round % 2);
                let rate = (1e15 / (mean_ns * (i + 1) as f64) * noise) as u64;
                run.records.push(trial(round, &format!("s{i}"), Some(Verdict::Exact), rate));
            }
        }
        run
    })
}

#[test]
fn it_takes_four_strategies_to_tell_what_all_have_in_common() {
    for (count, is_shift) in [(1, false), (3, false), (4, true), (9, true)] {
        let [before, after] = near(count, 10_000.0, 12_500.0);
        let compared = Comparison::of(("a", &before), ("b", &after), Options::default());
        let shift = compared.shift.map(|shift| ((shift.ratio * 1e4).round() / 1e4, shift.trusted));
        assert_eq!(shift, is_shift.then_some((0.8, false)), "{count} strategies");
        let outcome = if is_shift { Outcome::CannotTell } else { Outcome::Slower };
        assert!(compared.strategies.iter().all(|whole| whole.surviving.outcome == outcome && whole.cells == 1));
        assert!(compared.cells.iter().all(|cell| cell.outcome == outcome), "{count} strategies");
        assert_eq!((compared.strategies.len(), compared.compared()), (count, count));
    }
}

#[test]
fn differences_within_the_floor_are_the_same_however_sure() {
    let outcome = |after: f64| {
        let [before, after] = near(1, 10_000.0, after);
        Comparison::of(("a", &before), ("b", &after), Options::default()).cells[0].outcome
    };
    assert_eq!(outcome(10_000.0 * (1.0 + FLOOR + 0.001)), Outcome::Slower);
    assert_eq!(outcome(10_000.0 * (1.0 + FLOOR - 0.001)), Outcome::Same);
    assert_eq!(outcome(10_000.0 / (1.0 + FLOOR + 0.001)), Outcome::Faster);
    assert_eq!(outcome(10_000.0 / (1.0 + FLOOR - 0.001)), Outcome::Same);
}

#[test]
fn a_speed_up_that_all_have_in_common_hides_a_slowdown_of_its_size() {
    let finds = |before: f64, after: f64| {
        let [before, after] = near(4, before, after);
        let compared = Comparison::of(("a", &before), ("b", &after), Options::default());
        compared.strategies[0].surviving.finds.unwrap()
    };
    // A slowdown common to all hides nothing. Without noise, what is found is hardly more than the floor.
    let open = finds(10_000.0, 12_500.0);
    assert!(open > FLOOR / (1.0 + FLOOR) && open < 2.0 * FLOOR, "{open}");
    // If all are faster by a quarter, a strategy that fell behind by as much shows no change.
    let hidden = finds(12_500.0, 10_000.0);
    assert!((hidden - (1.0 - (1.0 - open) / 1.25)).abs() < 1e-6, "{hidden} {open}");
}

/// A run of these strategies, four rounds each, whose p99 is `p99_ns`.
fn latencies(names: &[&str], p99_ns: impl Fn(&str) -> f64) -> Run {
    let mut run = Run::default();
    for name in names {
        for round in 1..=4 {
            let trial = run.records.len() as u32 + 1;
            let record = Record { trial, ..self::trial(round, name, Some(Verdict::Exact), 10_000) };
            let noise = 1.0 + 0.002 * f64::from(round % 2);
            let times = [(1_000, 900), ((p99_ns(name) * noise) as u64, 100)];
            run.latency.extend(times.map(|times| record.bucket(Clock::Service, times)));
            run.records.push(record);
        }
    }
    run
}

#[test]
fn a_longer_p99_is_slower_unless_all_have_it_in_common() {
    let names = ["incr", "lua", "watch", "cas", "lock"];
    let before = latencies(&names, |_| 1e6);
    let outcomes = |names: &[&str], after: &Run, options| {
        let before = latencies(names, |_| 1e6);
        let compared = Comparison::of(("a", &before), ("b", after), options);
        let p99 = compared.cells.iter().map(|cell| cell.p99.unwrap());
        p99.map(|change| (change.outcome, (change.contrast.ratio * 100.0).round() / 100.0)).collect::<Vec<_>>()
    };
    let one = latencies(&names, |name| if name == "lua" { 2e6 } else { 1e6 });
    let mut told = vec![(Outcome::Same, 1.0); 5];
    // Cells stand in the order of their names.
    told[3] = (Outcome::Slower, 2.0);
    assert_eq!(outcomes(&names, &one, Options::default()), told);
    let quicker = latencies(&names, |name| if name == "lua" { 5e5 } else { 1e6 });
    told[3] = (Outcome::Faster, 0.5);
    assert_eq!(outcomes(&names, &quicker, Options::default()), told);
    let all = latencies(&names, |_| 2e6);
    assert_eq!(outcomes(&names, &all, Options::default()), [(Outcome::CannotTell, 2.0); 5]);
    assert_eq!(
        outcomes(&names, &all, Options { trust_shift: true, ..Options::default() }),
        [(Outcome::Slower, 2.0); 5]
    );
    // Four can tell, three cannot.
    assert_eq!(
        outcomes(&names[..4], &latencies(&names[..4], |_| 2e6), Options::default()),
        [(Outcome::CannotTell, 2.0); 4]
    );
    assert_eq!(
        outcomes(&names[..3], &latencies(&names[..3], |_| 2e6), Options::default()),
        [(Outcome::Slower, 2.0); 3]
    );
    let side = Comparison::of(("a", &before), ("b", &all), Options::default()).cells[0].after.clone().unwrap();
    assert!((side.p99_ns.unwrap() / 2e6 - 1.001).abs() < 1e-6, "{side:?}");
}
