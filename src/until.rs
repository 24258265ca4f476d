//! When to stop: rounds continue until every exact cell is known precisely enough, or it is clear that it will not be.
//!
//! A cell's figure is the mean of the logarithms of its surviving throughput, with the error that [`stats`](crate::stats)
//! estimates, widened for the autocorrelation between rounds. Checking after each round and stopping at the first interval
//! that is narrow enough is valid: its coverage tends to the nominal one as the requested width shrinks (Chow and Robbins,
//! Annals of Mathematical Statistics 36, 1965). For few rounds it is optimistic, because an error that is small by chance
//! ends the run; [`FEWEST`] guards against that. Pure: it reads no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::condition::Condition;
use crate::record::Record;
use crate::stats::{MeanLog, autocorrelation};
use crate::verdict::Promise;

/// No goal is reached before this many rounds: fewer do not give a reliable error.
pub const FEWEST: u32 = 5;

/// How precise is precise enough, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Half the width of the 95 % interval, as a fraction of the figure: 0.02 is 2 %.
    pub within: f64,
    /// The most rounds.
    pub rounds: u32,
    /// The longest time; a round that would not fit into it any more is not begun.
    pub time: Duration,
}

/// How precisely the exact cells are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Precision {
    /// Rounds so far.
    pub rounds: u32,
    /// The cell that is known least precisely; `None` if there is no exact cell with a figure.
    pub worst: Option<Worst>,
}

/// A cell and its error.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// What it was measured under.
    pub condition: Condition,
    /// Half the width of its 95 % interval, as a fraction of the figure; infinite if there are too few rounds.
    pub error: f64,
}

/// Whether to go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// One more round.
    GoOn,
    /// Every exact cell is known well enough, with a sentence that says so.
    Reached(String),
    /// A limit was hit first, with a sentence that says so.
    NotReached(String),
}

impl Precision {
    /// The precision after all rounds so far. A cell that could not be measured in any of them is left out: its rows
    /// say why.
    pub fn of(records: &[Record]) -> Self {
        let mut cells: BTreeMap<&Condition, Vec<f64>> = BTreeMap::new();
        for record in records.iter().filter(|r| r.promise == Promise::Exact && r.round > 0 && r.verdict.is_some()) {
            if let Some(rate) = record.surviving_per_s().filter(|&rate| rate > 0.0) {
                cells.entry(&record.condition).or_default().push(rate.ln());
            }
        }
        let rho = autocorrelation(&cells.values().cloned().collect::<Vec<_>>());
        let known = cells.into_iter().map(|(condition, logs)| Worst {
            condition: condition.clone(),
            error: MeanLog::of(&logs, rho).map_or(f64::INFINITY, |mean| mean.relative_error()),
        });
        Self {
            rounds: records.iter().map(|record| record.round).max().unwrap_or(0),
            worst: known.max_by(|a, b| a.error.total_cmp(&b.error)),
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Condition { strategy, threads, keys, .. } = &self.condition;
        write!(f, "{strategy} at {threads} client{}", if *threads == 1 { "" } else { "s" })?;
        if *keys > 1 {
            write!(f, " on {keys} keys")?;
        }
        if self.error > 1.0 && self.error.is_finite() {
            f.write_str(" is at over ±100 %")
        } else if self.error.is_finite() {
            write!(f, " is at ±{}", percent(self.error))
        } else {
            f.write_str(" has too few rounds")
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoOn => f.write_str("not reached yet"),
            Self::Reached(said) | Self::NotReached(said) => f.write_str(said),
        }
    }
}

fn counted(rounds: u32) -> String {
    if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") }
}

/// `2 %`, `4.1 %`, `0.25 %`.
pub fn percent(part: f64) -> String {
    let digits = if part < 0.01 { 100.0 } else { 10.0 };
    format!("{} %", (part * 100.0 * digits).round() / digits)
}

impl Goal {
    /// What to do with this precision after `elapsed`.
    pub fn decide(&self, precision: &Precision, elapsed: Duration) -> Decision {
        let Precision { rounds, worst } = precision;
        let within = percent(self.within);
        let Some(worst) = worst else {
            let why = format!("not reached: no exact strategy has a result after {}", counted(*rounds));
            return if *rounds < FEWEST { Decision::GoOn } else { Decision::NotReached(why) };
        };
        if *rounds >= FEWEST && worst.error <= self.within {
            let said = format!("reached after {rounds} rounds: every exact strategy is within ±{within} at every load");
            return Decision::Reached(said);
        }
        let next = elapsed + elapsed / (*rounds).max(1);
        let bound = match () {
            () if *rounds >= self.rounds => "the maximum",
            () if next > self.time => "and one more would take too long",
            () => return Decision::GoOn,
        };
        let why = if worst.error.is_finite() { "; the machine is noisy" } else { "" };
        let said = format!("not reached: {worst} after {}, {bound}{why}", counted(*rounds));
        Decision::NotReached(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    const GOAL: Goal = Goal { within: 0.02, rounds: 100, time: Duration::from_secs(600) };

    fn record(round: u32, strategy: &str, promise: Promise, rate: f64) -> Record {
        Record {
            round,
            acked: Some(rate as u64),
            lost: Some(0),
            span_ns: Some(1_000_000_000),
            verdict: Some(Verdict::Exact),
            ..Record::blank(Condition::of(strategy, 16, 1), promise)
        }
    }

    /// Runs rounds of a second each until a decision: how many it took, and how it ended.
    fn run(goal: Goal, spread: f64) -> (u32, Decision) {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut records = Vec::new();
        for round in 1..=1_000 {
            for (name, promise, part) in
                [("incr", Promise::Exact, 0.2), ("watch", Promise::Exact, 1.0), ("get-set", Promise::Lossy, 50.0)]
            {
                let noise = 1.0 + part * spread * (rng.f64() - 0.5);
                records.push(record(round, name, promise, 100_000.0 * noise.max(0.01)));
            }
            let decision = goal.decide(&Precision::of(&records), Duration::from_secs(round.into()));
            if decision != Decision::GoOn {
                return (round, decision);
            }
        }
        unreachable!("a thousand rounds, where {} are allowed", goal.rounds)
    }

    #[test]
    fn a_quiet_machine_is_done_soon_and_a_noisier_one_later() {
        let (rounds, decision) = run(GOAL, 0.02);
        assert_eq!(rounds, FEWEST);
        let said = "reached after 5 rounds: every exact strategy is within ±2 % at every load";
        assert_eq!(decision, Decision::Reached(said.to_owned()));
        let (rounds, decision) = run(GOAL, 0.2);
        // The standard deviation is 0.2 / sqrt(12) = 5.8 %; 1.96 times that over the square root of n is 2 % at n = 32.
        assert!((20..=60).contains(&rounds) && matches!(decision, Decision::Reached(_)), "{rounds} {decision:?}");
    }

    #[test]
    fn a_noisy_machine_is_told_so_with_its_worst_cell() {
        let (rounds, decision) = run(GOAL, 1.0);
        let Decision::NotReached(outcome) = decision else { panic!("{decision:?}") };
        let said = outcome;
        assert_eq!(rounds, 100);
        assert!(said.starts_with("not reached: watch at 16 clients is at ±"), "{said}");
        assert!(said.ends_with("after 100 rounds, the maximum; the machine is noisy"), "{said}");
        let (rounds, decision) = run(Goal { time: Duration::from_secs(30), ..GOAL }, 1.0);
        assert!(rounds == 30 && matches!(&decision, Decision::NotReached(o) if o.contains("too long")));
    }

    #[test]
    fn lossy_strategies_and_what_could_not_be_measured_are_not_waited_for() {
        let failed = Record { error: Some("gone".to_owned()), verdict: None, ..record(1, "cas", Promise::Exact, 0.0) };
        let mut records: Vec<Record> = (1..=5).map(|round| record(round, "incr", Promise::Exact, 50_000.0)).collect();
        records.push(failed.clone());
        assert!(matches!(GOAL.decide(&Precision::of(&records), Duration::ZERO), Decision::Reached(_)));
        let failed: Vec<Record> = (1..=5).map(|round| Record { round, ..failed.clone() }).collect();
        let decision = GOAL.decide(&Precision::of(&failed), Duration::ZERO);
        assert!(matches!(&decision, Decision::NotReached(o) if o.contains("no exact strategy has a result")));
        assert_eq!(GOAL.decide(&Precision::of(&failed[..1]), Duration::ZERO), Decision::GoOn);
    }

    #[test]
    fn warm_ups_and_rounds_that_nothing_survived_are_no_figures() {
        let quiet: Vec<Record> = (1..=5).map(|round| record(round, "incr", Promise::Exact, 50_000.0)).collect();
        let nothing = Record { acked: Some(9), lost: Some(9), ..record(6, "incr", Promise::Exact, 1.0) };
        for other in [record(0, "incr", Promise::Exact, 5.0), nothing] {
            let worst = Precision::of(&[&quiet[..], &[other]].concat()).worst.unwrap();
            assert_eq!(worst.error, 0.0, "{worst}");
        }
    }

    #[test]
    fn a_cell_and_its_error_are_said_in_words() {
        let said = |threads, keys, error| Worst { condition: Condition::of("incr", threads, keys), error }.to_string();
        assert_eq!(said(1, 1, 0.041), "incr at 1 client is at ±4.1 %");
        assert_eq!(said(2, 16, 0.0025), "incr at 2 clients on 16 keys is at ±0.25 %");
        assert_eq!(said(2, 1, 1.0), "incr at 2 clients is at ±100 %");
        assert_eq!(said(2, 1, 1.5), "incr at 2 clients is at over ±100 %");
        assert_eq!(said(2, 1, f64::INFINITY), "incr at 2 clients has too few rounds");
        assert_eq!(percent(0.041_2), "4.1 %");
        assert_eq!(Decision::GoOn.to_string(), "not reached yet");
        assert_eq!(Decision::Reached("so".to_owned()).to_string(), "so");
        assert_eq!(Decision::NotReached("not so".to_owned()).to_string(), "not so");
    }

    #[test]
    fn no_run_ends_before_an_error_can_be_told() {
        let one = [record(1, "incr", Promise::Exact, 50_000.0)];
        assert_eq!(GOAL.decide(&Precision::of(&one), Duration::ZERO), Decision::GoOn);
        let four: Vec<Record> = (1..=4).map(|round| record(round, "incr", Promise::Exact, 50_000.0)).collect();
        assert_eq!(GOAL.decide(&Precision::of(&four), Duration::ZERO), Decision::GoOn);
        // The limits apply all the same.
        let slow = GOAL.decide(&Precision::of(&one), Duration::from_secs(400));
        assert!(matches!(&slow, Decision::NotReached(o) if o.contains("has too few rounds") && !o.contains("noisy")));
    }
}
