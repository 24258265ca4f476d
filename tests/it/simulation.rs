//! How often a comparison's interval contains the truth, and how often it finds a slowdown, on simulated machines where
//! the truth is known. METHODOLOGY.md has the table; `UPDATE_DOCS=1 cargo test --test it simulation` rewrites it.

use rayon::prelude::*;
use redis_lost_updates::compare::{Comparison, Options, Outcome};
use redis_lost_updates::condition::Condition;
use redis_lost_updates::record::{Record, Run};
use redis_lost_updates::verdict::{Promise, Verdict};

/// Pairs of sides in each setting.
const PAIRS: u64 = 2_000;
/// Pairs with a slowdown in each setting, for the power.
const SLOWER_PAIRS: u64 = 500;
/// Rounds of a run.
const ROUNDS: u32 = 5;
/// The standard deviation of a round's logarithm.
const SPREAD: f64 = 0.05;
/// The planted slowdown.
const SLOWDOWN: f64 = 0.10;

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * rng.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// One run of one strategy: rounds with autocorrelation `rho`, around the run's own level.
fn run(rng: &mut fastrand::Rng, rounds: u32, rho: f64, level: f64) -> Run {
    let mut drift = normal(rng);
    let mut run = Run::default();
    for round in 1..=rounds {
        let rate = 1e9 * (level + SPREAD * drift).exp();
        drift = rho * drift + (1.0 - rho * rho).sqrt() * normal(rng);
        run.records.push(Record {
            trial: round,
            round,
            acked: Some(rate as u64),
            lost: Some(0),
            span_ns: Some(1_000_000_000),
            verdict: Some(Verdict::Exact),
            ..Record::blank(Condition::of("incr", 4, 1), Promise::Exact)
        });
    }
    run
}

/// How two builds are compared.
#[derive(Clone, Copy)]
enum Plan {
    /// This many runs of each.
    Runs(usize),
    /// This many pairs of turns, of one round each; both turns of a pair share the machine's drift.
    Pairs(usize),
}

/// Compares a build with one that is slower by the fraction `slowdown`, on a machine whose runs differ by `offset`.
fn compared(rng: &mut fastrand::Rng, plan: Plan, rho: f64, offset: f64, slowdown: f64) -> Comparison {
    let slower = (1.0 - slowdown).ln();
    match plan {
        Plan::Runs(count) => {
            let mut side = |shift: f64| -> Vec<Run> {
                (0..count)
                    .map(|_| {
                        let level = shift + offset * normal(rng);
                        run(rng, ROUNDS, rho, level)
                    })
                    .collect()
            };
            let (before, after) = (side(0.0), side(slower));
            let [before, after] = [&before, &after].map(|side| side.iter().collect::<Vec<&Run>>());
            Comparison::of_runs(("before", &before), ("after", &after), Options::default())
        }
        Plan::Pairs(count) => {
            let (mut before, mut after, mut drift) = (Vec::new(), Vec::new(), normal(rng));
            for _ in 0..count {
                for (side, shift) in [(&mut before, 0.0), (&mut after, slower)] {
                    let level = shift + SPREAD * drift + offset * normal(rng);
                    side.push(run(rng, 1, 0.0, level));
                }
                drift = rho * drift + (1.0 - rho * rho).sqrt() * normal(rng);
            }
            let [before, after] = [&before, &after].map(|side| side.iter().collect::<Vec<&Run>>());
            Comparison::of_pairs(("before", &before), ("after", &after), Options::default()).unwrap()
        }
    }
}

/// The results of one setting.
struct Seen {
    /// The fraction of intervals that contain the truth.
    coverage: f64,
    /// The fraction of pairs of equal builds that are called different.
    alarms: f64,
    /// The fraction of pairs with the slowdown that are called slower.
    power: f64,
    /// The same for pairs with the slowdown that the comparison claims to find with 80 % power.
    stated: f64,
}

fn seen(plan: Plan, rho: f64, offset: f64) -> Seen {
    let seed = (rho * 10.0) as u64 * 100 + (offset * 1_000.0) as u64;
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x1234_5678_9ABC_DEF1);
    let (mut held, mut alarms, mut power, mut stated) = (0_u64, 0_u64, 0_u64, 0_u64);
    let outcome = |comparison: &Comparison| comparison.strategies[0].surviving.outcome;
    for pair in 0..PAIRS {
        let equal = compared(&mut rng, plan, rho, offset, 0.0);
        let change = equal.strategies[0].surviving;
        held += u64::from(change.contrast.low <= 1.0 && 1.0 <= change.contrast.high);
        alarms += u64::from(matches!(outcome(&equal), Outcome::Slower | Outcome::Faster));
        if pair >= SLOWER_PAIRS {
            continue;
        }
        power += u64::from(outcome(&compared(&mut rng, plan, rho, offset, SLOWDOWN)) == Outcome::Slower);
        let finds = change.finds.unwrap().min(0.99);
        stated += u64::from(outcome(&compared(&mut rng, plan, rho, offset, finds)) == Outcome::Slower);
    }
    let part = |count: u64, of: u64| count as f64 / of as f64;
    Seen {
        coverage: part(held, PAIRS),
        alarms: part(alarms, PAIRS),
        power: part(power, SLOWER_PAIRS),
        stated: part(stated, SLOWER_PAIRS),
    }
}

const PLANS: [(&str, Plan); 4] = [
    ("one run a side", Plan::Runs(1)),
    ("three runs a side", Plan::Runs(3)),
    ("five runs a side", Plan::Runs(5)),
    ("20 pairs of turns", Plan::Pairs(20)),
];

const BEGIN: &str = "<!-- made by tests/it/simulation.rs -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn intervals_hold_the_truth_as_often_as_they_say_where_runs_differ() {
    let mut table =
        "| compared | autocorrelation | runs differ by | interval holds the truth | false alarms | 10 % found | as \
                     stated |\n|---|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    let settings: Vec<(&str, Plan, f64, f64)> = PLANS
        .into_iter()
        .flat_map(|(name, plan)| [0.0, 0.4, 0.8].map(|rho| (name, plan, rho)))
        .flat_map(|(name, plan, rho)| [0.0, 0.02, 0.05].map(|offset| (name, plan, rho, offset)))
        .collect();
    let all: Vec<Seen> = settings.par_iter().map(|&(_, plan, rho, offset)| seen(plan, rho, offset)).collect();
    for (&(name, plan, rho, offset), seen) in settings.iter().zip(&all) {
        let [coverage, alarms, power, stated] =
            [seen.coverage, seen.alarms, seen.power, seen.stated].map(|part| format!("{:.1} %", part * 100.0));
        let offset_percent = offset * 100.0;
        table += &format!("| {name} | {rho} | {offset_percent:.0} % | {coverage} | {alarms} | {power} | {stated} |\n");
        let at = format!("{name}, autocorrelation {rho}, offset {offset}: {coverage}, {alarms}, {stated}");
        if matches!(plan, Plan::Runs(5) | Plan::Pairs(_)) {
            assert!(seen.coverage >= 0.93 && seen.alarms <= 0.07 && seen.stated > 0.7, "{at}");
        }
        // With one run a side, the difference between runs is not measured, so it is unknown.
        if matches!(plan, Plan::Runs(1)) && offset == 0.05 {
            assert!(seen.coverage < 0.9, "{at}");
        }
    }
    let path = "METHODOLOGY.md";
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("METHODOLOGY.md has a place for the table");
    let (old, tail) = rest.split_once(END).expect("and an end of it");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(
            old, table,
            "METHODOLOGY.md is not what the simulation says: UPDATE_DOCS=1 cargo test --test it simulation"
        );
    }
}
