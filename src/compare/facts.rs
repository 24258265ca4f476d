//! What two runs were made on and with, where it is not the same.

use serde::Serialize;

use crate::record::Machine;

/// A fact with another value in the second run.
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
    of_a_strategy.iter().any(|prefix| fact.starts_with(prefix)) || ["threads", "keys", "rounds"].contains(&fact)
}

fn differs(before: &Machine, after: &Machine, fact: &str) -> bool {
    before.get(fact) != after.get(fact)
}

/// The name of the saved baseline that a run is; what it was made on is not recorded.
pub(super) const BASELINE: &str = "baseline";

/// Every fact that differs, in the first run's order.
pub(super) fn differences(before: &Machine, after: &Machine) -> Vec<Difference> {
    if before.get(BASELINE).is_some() || after.get(BASELINE).is_some() {
        let told = |machine: &Machine| match machine.get(BASELINE) {
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
    for fact in before.0.iter().chain(&after.0) {
        if !names.contains(&fact.fact.as_str()) {
            names.push(&fact.fact);
        }
    }
    let value = |machine: &Machine, fact: &str| machine.all(fact).collect::<Vec<_>>().join("; ");
    names
        .into_iter()
        .filter(|fact| !OWN.contains(fact) && !is_told_elsewhere(fact))
        // Cargo's name for a build says nothing where both were optimised alike: here its debug build is optimised too.
        .filter(|fact| *fact != "profile" || before.get("opt_level").is_none() || differs(before, after, "opt_level"))
        // A strategy that only one run raced has its parameters there alone.
        .filter(|fact| !fact.starts_with("parameters.") || (before.get(fact).is_some() && after.get(fact).is_some()))
        .map(|fact| Difference { fact: fact.to_owned(), before: value(before, fact), after: value(after, fact) })
        .filter(|difference| difference.before != difference.after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_build_differs_only_where_its_optimisation_does() {
        let built = |profile: &str, level: &str| {
            let mut machine = Machine::default();
            machine.add("profile", profile);
            if !level.is_empty() {
                machine.add("opt_level", level);
            }
            machine
        };
        let told = |before: &Machine, after: &Machine| {
            differences(before, after).into_iter().map(|difference| difference.fact).collect::<Vec<_>>()
        };
        assert!(told(&built("debug", "3"), &built("release", "3")).is_empty());
        assert_eq!(told(&built("debug", "0"), &built("release", "3")), ["profile", "opt_level"]);
        assert_eq!(told(&built("debug", ""), &built("release", "")), ["profile"], "nobody says how it was optimised");
    }
}
