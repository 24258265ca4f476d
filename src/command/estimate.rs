//! How long a plan will take, announced before it begins: trials, and for each the warm-up, opening and judging.

use std::time::Duration;

use crate::pace::Pace;
use crate::workload::{DriverKind, Plan, Size};

/// Opening, removing and judging take so long beside a trial, by and large.
const BESIDE: Duration = Duration::from_millis(15);

/// Starting the processes of a client library adds 0.1 to 2 seconds, depending on its language's runtime.
const START: Duration = Duration::from_millis(700);

/// How long a plan takes for so many strategies; `None` where only a trial can tell, as its size is a number of updates.
pub(super) fn time(plan: &Plan, strategies: usize) -> Option<Duration> {
    let mut each_round = Duration::ZERO;
    for &threads in &plan.threads {
        let trial = match (plan.size_at(threads), plan.pace) {
            (Size::Duration(trial), _) => trial,
            (Size::Updates(updates), Pace::Rate(per_s)) => {
                Duration::try_from_secs_f64(updates as f64 * threads as f64 / per_s.max(1) as f64).ok()?
            }
            (Size::Updates(_), Pace::Closed) => return None,
        };
        // A warm-up ends between a tenth of the trial and twice that, and sooner for long ones.
        let warm_up = (trial / 10).min(Duration::from_millis(50)) * 2;
        let beside = if plan.driver == DriverKind::External { BESIDE + START } else { BESIDE };
        each_round = each_round.checked_add(trial.checked_add(warm_up + beside)?)?;
    }
    let cells = u32::try_from(strategies.checked_mul(plan.keys.len())?).ok()?;
    each_round.checked_mul(cells)?.checked_mul(plan.rounds)
}

/// `about 3 min 20 s: 3 strategies x 3 loads x 5 rounds`, for so many servers and round trips.
pub(super) fn said(plan: &Plan, strategies: usize, (servers, distances): (usize, usize)) -> String {
    let count = |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    let what = format!(
        "{}{}{} x {} x {}",
        if servers > 1 { format!("{servers} servers x ") } else { String::new() },
        if distances > 1 { format!("{distances} round trips x ") } else { String::new() },
        count(strategies, "strategy", "strategies"),
        count(plan.threads.len() * plan.keys.len(), "load", "loads"),
        count(plan.rounds as usize, "round", "rounds")
    );
    match (time(plan, strategies * servers * distances), plan.size) {
        (Some(time), _) => format!("about {}: {what}", in_words(time)),
        (None, Size::Updates(updates)) => {
            format!("{what}, {updates} updates by every client: the first trials tell how long")
        }
        (None, Size::Duration(_)) => what,
    }
}

/// `12 s`, `3 min 20 s`, `2 h 5 min`
pub(super) fn in_words(time: Duration) -> String {
    match time.as_secs_f64().round() as u64 {
        0 => "1 s".to_owned(),
        s @ 1..60 => format!("{s} s"),
        s @ 60..3_600 if s % 60 == 0 => format!("{} min", s / 60),
        s @ 60..3_600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
    }
}

/// What is left: as planned at first, and by what the trials so far took in the end.
pub(super) fn left(planned: Option<Duration>, spent: Duration, done: u64, all: u64) -> Option<Duration> {
    let part = if all == 0 { 1.0 } else { (done as f64 / all as f64).clamp(0.0, 1.0) };
    let planned = planned.map(|planned| planned.as_secs_f64() * (1.0 - part));
    let seen = (part > 0.0).then(|| spent.as_secs_f64() * (1.0 - part) / part);
    let left = match (planned, seen) {
        (Some(planned), Some(seen)) => planned * (1.0 - part) + seen * part,
        (planned, seen) => planned.or(seen)?,
    };
    Duration::try_from_secs_f64(left).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Skew;

    fn plan(size: Size, pace: Pace) -> Plan {
        let (threads, keys, skew, driver) = (vec![1, 4, 16], vec![1], Skew::Even, DriverKind::Threads);
        Plan { threads, keys, skew, pace, driver, pool_size: None, size, emphasis: 1, rounds: 5, seed: 1 }
    }

    #[test]
    fn a_plans_time_is_its_trials_and_a_little_more() {
        let long = plan(Size::Duration(Duration::from_secs(4)), Pace::Closed);
        assert_eq!(said(&long, 3, (1, 1)), "about 3 min 5 s: 3 strategies x 3 loads x 5 rounds");
        let counted = plan(Size::Updates(100), Pace::Closed);
        assert_eq!(
            said(&counted, 1, (1, 1)),
            "1 strategy x 3 loads x 5 rounds, 100 updates by every client: the first trials tell how long"
        );
        // 21 clients' 100 updates at 100 a second, five times.
        let offered = time(&plan(Size::Updates(100), Pace::Rate(100)), 1).unwrap();
        assert!((105..110).contains(&offered.as_secs()), "{offered:?}");
        assert_eq!(time(&plan(Size::Duration(Duration::MAX), Pace::Closed), usize::MAX), None);
        // 15 trials, each of which first starts its processes.
        let external =
            Plan { driver: DriverKind::External, ..plan(Size::Duration(Duration::from_secs(4)), Pace::Closed) };
        assert_eq!(time(&external, 1).unwrap() - time(&long, 1).unwrap(), Duration::from_millis(15 * 700));
    }

    #[test]
    fn what_is_left_begins_as_planned_and_ends_as_seen() {
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(left(seconds(100), Duration::ZERO, 0, 10), seconds(100));
        assert_eq!(left(seconds(100), Duration::from_secs(100), 5, 10), seconds(75));
        assert_eq!(left(seconds(100), Duration::from_secs(300), 10, 10), seconds(0));
        assert_eq!(left(None, Duration::from_secs(30), 5, 10), seconds(30));
        assert_eq!(left(None, Duration::ZERO, 0, 10), None);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0, 59, 60, 200, 3_600, 7_500].map(|s| in_words(Duration::from_secs(s)));
        assert_eq!(said, ["1 s", "59 s", "1 min", "3 min 20 s", "1 h 0 min", "2 h 5 min"]);
    }
}
