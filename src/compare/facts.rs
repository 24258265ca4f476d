//! How the two sides' runs differ in what they were made on and with, and in which order they were made.

use serde::Serialize;

use crate::record::Run;

/// A fact that has another value in the second run, or on the second side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub fact: String,
    /// Its value in the first run; empty if it is not there.
    pub before: String,
    /// Its value in the second run; empty if it is not there.
    pub after: String,
}

/// Facts that may differ between any two runs and say nothing about their speed, or are what is being compared.
const OWN: [&str; 21] = [
    "format",
    "server_address",
    "server.tcp_port",
    "server.connected_clients",
    "started",
    "command",
    "seed",
    "load_before",
    "recording_ns_per_update",
    "clock_ns_per_read",
    "until",
    "until_outcome",
    "rtt_seen_us",
    "proxy_added_p50_us",
    "proxy_added_p99_us",
    "proxy_commands_per_s",
    "proxy_commands_per_s_without",
    "proxy_share",
    "strategies",
    "commit",
    "version",
];

/// Facts of one strategy that are only words, and the plan's lists of cells: what of them matters shows in the cells.
fn is_told_elsewhere(fact: &str) -> bool {
    let of_a_strategy = ["strategy.", "round_trips.", "batch.", "role."];
    of_a_strategy.iter().any(|prefix| fact.starts_with(prefix))
        || ["threads", "keys", "rounds", "rtt_us", "planned_trials"].contains(&fact)
}

/// The name of the saved baseline that a run is; what it was made on is not recorded.
pub(super) const BASELINE: &str = "baseline";

/// Every value of a fact on a side, each once.
fn value(side: &[&Run], fact: &str) -> String {
    let mut values: Vec<String> = Vec::new();
    for run in side {
        let value = run.machine.all(fact).collect::<Vec<_>>().join("; ");
        if !value.is_empty() && !values.contains(&value) {
            values.push(value);
        }
    }
    values.sort_unstable();
    values.join("; ")
}

fn first<'a>(side: &[&'a Run], fact: &str) -> Option<&'a str> {
    side.iter().find_map(|run| run.machine.get(fact))
}

/// Every fact that differs, in the first side's order.
pub(super) fn differences(before: &[&Run], after: &[&Run]) -> Vec<Difference> {
    if first(before, BASELINE).is_some() || first(after, BASELINE).is_some() {
        let told = |side: &[&Run]| match first(side, BASELINE) {
            Some(name) => format!("not recorded with the baseline {name}"),
            None => "recorded".to_owned(),
        };
        return vec![Difference {
            fact: "what they were measured on".to_owned(),
            before: told(before),
            after: told(after),
        }];
    }
    let mut names: Vec<&str> = Vec::new();
    for fact in before.iter().chain(after).flat_map(|run| &run.machine.0) {
        if !names.contains(&fact.fact.as_str()) {
            names.push(&fact.fact);
        }
    }
    let is_optimised_otherwise =
        first(before, "opt_level").is_none() || value(before, "opt_level") != value(after, "opt_level");
    names
        .into_iter()
        .filter(|fact| !OWN.contains(fact) && !is_told_elsewhere(fact))
        // Cargo's name for a build says nothing where both were optimised alike: here its debug build is optimised too.
        .filter(|fact| *fact != "profile" || is_optimised_otherwise)
        // A warning that both sides have is not a difference, whatever figure it contains.
        .filter(|fact| !fact.starts_with("warning") || first(before, fact).is_none() || first(after, fact).is_none())
        // If only one side raced a strategy, only that side has its parameters.
        .filter(|fact| {
            !fact.starts_with("parameters.") || (first(before, fact).is_some() && first(after, fact).is_some())
        })
        .map(|fact| Difference { fact: fact.to_owned(), before: value(before, fact), after: value(after, fact) })
        .filter(|difference| difference.before != difference.after)
        .collect()
}

/// What a reader asks first of two sides: what they are, with both values.
const ASKED: [&str; 14] = [
    "server",
    "server_version",
    "transport",
    "topology",
    "cpu",
    "cores",
    "kernel",
    "placement",
    "driver",
    "trial_ms",
    "rounds",
    "version",
    "commit",
    "started",
];

/// The facts that are asked for first, of both sides.
pub(super) fn asked(before: &[&Run], after: &[&Run]) -> Vec<Difference> {
    let both = ASKED.iter().map(|fact| Difference {
        fact: (*fact).to_owned(),
        before: value(before, fact),
        after: value(after, fact),
    });
    both.filter(|both| !both.before.is_empty() || !both.after.is_empty()).collect()
}

/// Whether all runs of one side were started before all of the other; false for one run a side or unknown times.
pub(super) fn in_sequence(before: &[&Run], after: &[&Run]) -> bool {
    let started = |side: &[&Run]| {
        let mut times: Vec<String> =
            side.iter().map(|run| run.machine.get("started").map(str::to_owned)).collect::<Option<_>>()?;
        times.sort_unstable();
        Some((times.first()?.clone(), times.last()?.clone()))
    };
    let is_several = before.len() + after.len() > 2;
    started(before).zip(started(after)).is_some_and(|(one, other)| is_several && (one.1 < other.0 || other.1 < one.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Machine;

    #[test]
    fn runs_in_turns_are_not_in_sequence() {
        let started = |times: &[&str]| -> Vec<Run> {
            let run = |time: &&str| {
                let mut machine = Machine::default();
                machine.add("started", *time);
                Run { machine, ..Run::default() }
            };
            times.iter().map(run).collect()
        };
        let told = |before: &[&str], after: &[&str]| {
            let (before, after) = (started(before), started(after));
            in_sequence(&before.iter().collect::<Vec<_>>(), &after.iter().collect::<Vec<_>>())
        };
        let [one, two, three, four] = [1, 2, 3, 4].map(|minute| format!("2026-11-26T00:0{minute}:00Z"));
        assert!(told(&[&one, &two], &[&three, &four]) && told(&[&four, &three], &[&one]));
        assert!(!told(&[&one, &three], &[&two, &four]));
        assert!(!told(&[&one], &[&two]), "of one run a side it goes without saying");
        // Two of the same second: which was first is not known.
        assert!(!told(&[&one, &two], &[&two, &three]) && !told(&[&two, &three], &[&one, &two]));
        assert!(!in_sequence(&[&Run::default(), &Run::default()], &[&Run::default()]), "nobody says when");
    }

    fn of_facts(facts: &[(&str, &str)]) -> Run {
        let mut machine = Machine::default();
        facts.iter().for_each(|&(fact, value)| machine.add(fact, value));
        Run { machine, ..Run::default() }
    }

    fn differing(before: &[Run], after: &[Run]) -> Vec<(String, String, String)> {
        let all = differences(&before.iter().collect::<Vec<_>>(), &after.iter().collect::<Vec<_>>());
        all.into_iter().map(|difference| (difference.fact, difference.before, difference.after)).collect()
    }

    #[test]
    fn what_two_runs_may_differ_in_or_is_told_elsewhere_is_no_difference() {
        for fact in ["seed", "started", "commit", "strategy.incr", "round_trips.incr", "role.incr", "threads", "rounds"]
        {
            assert_eq!(differing(&[of_facts(&[(fact, "a")])], &[of_facts(&[(fact, "b")])]), [], "{fact}");
        }
        let told = differing(&[of_facts(&[("cpu", "a"), ("os", "c")])], &[of_facts(&[("os", "c"), ("cpu", "b")])]);
        assert_eq!(told, [("cpu".to_owned(), "a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn a_side_has_each_value_of_its_runs_once() {
        let [a, b] = ["a", "b"].map(|cpu| of_facts(&[("cpu", cpu)]));
        assert_eq!(differing(&[a.clone(), a.clone()], std::slice::from_ref(&a)), []);
        let told = differing(&[b.clone(), a.clone(), b, Run::default()], &[a]);
        assert_eq!(told, [("cpu".to_owned(), "a; b".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn a_warning_differs_if_one_side_lacks_it_and_a_parameter_if_both_have_it() {
        let [few, many, none] = [
            of_facts(&[("warning.load", "0.5"), ("parameters.lock", "ttl 1 s")]),
            of_facts(&[("warning.load", "7.5"), ("parameters.lock", "ttl 9 s")]),
            Run::default(),
        ]
        .map(|run| [run]);
        let names = |before: &[Run], after: &[Run]| {
            differing(before, after).into_iter().map(|(fact, ..)| fact).collect::<Vec<_>>()
        };
        assert_eq!(names(&few, &many), ["parameters.lock"]);
        assert_eq!(names(&few, &none), ["warning.load"]);
        assert_eq!(names(&none, &few), ["warning.load"]);
    }

    #[test]
    fn the_name_of_a_build_differs_only_where_its_optimisation_does() {
        let built = |profile: &str, level: &str| {
            let mut machine = Machine::default();
            machine.add("profile", profile);
            if !level.is_empty() {
                machine.add("opt_level", level);
            }
            Run { machine, ..Run::default() }
        };
        let told = |before: &Run, after: &Run| {
            differences(&[before], &[after]).into_iter().map(|difference| difference.fact).collect::<Vec<_>>()
        };
        assert!(told(&built("debug", "3"), &built("release", "3")).is_empty());
        assert_eq!(told(&built("debug", "0"), &built("release", "3")), ["profile", "opt_level"]);
        assert_eq!(told(&built("debug", ""), &built("release", "")), ["profile"], "nobody says how it was optimised");
    }
}
