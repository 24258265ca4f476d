//! A short name for a condition among others: its strategy, and whatever else differs between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Condition, NO_FAULT};

/// Columns that are axes of tables and charts, or that other columns imply.
const AXES: [&str; 5] = ["strategy", "threads", "keys", "library_version", "server_settings"];

/// The column of the fault.
const FAULT: &str = "fault";

/// Columns that a plan varies for all strategies alike. If a run ends early, a strategy may have been measured under one
/// value only, and has to say which.
const ALIKE: [&str; 3] = ["server", "rtt_us", FAULT];

/// A condition's columns: their names and values.
type Columns = Vec<(String, String)>;

/// A name for each condition: its strategy, followed by those of its columns in which the conditions of that strategy
/// differ, and by its server, round trip and fault if any conditions differ in them. The number of clients and of counters
/// is never part of it.
///
/// ```
/// use redis_lost_updates::condition::{Condition, labels};
/// let ours = Condition::of("incr", 1, 1);
/// let theirs = Condition { library: "redis-py".to_owned(), ..ours.clone() };
/// let race = Condition::of("get-set", 1, 1);
/// let labels = labels([&ours, &theirs, &race]);
/// assert_eq!(labels[&ours], "incr redis-rs");
/// assert_eq!(labels[&theirs], "incr redis-py");
/// assert_eq!(labels[&race], "get-set");
/// ```
pub fn labels<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> BTreeMap<&'a Condition, String> {
    let mut strategies: BTreeMap<&str, BTreeMap<&Condition, Columns>> = BTreeMap::new();
    for condition in conditions {
        let strategy = strategies.entry(&condition.strategy).or_default();
        strategy.entry(condition).or_insert_with(|| condition.columns());
    }
    let mut alike: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in strategies.values().flat_map(BTreeMap::values).flatten() {
        if ALIKE.contains(&name.as_str()) {
            alike.entry(name).or_default().insert(value);
        }
    }
    let mut labels = BTreeMap::new();
    for (strategy, columns) in &strategies {
        let varies = |at: usize, name: &str| {
            // A fault has servers of its own: its name implies how they are arranged.
            let differ = |(one, values): (&&Condition, &Columns)| {
                let is_like = |other: &Condition| one.fault == other.fault;
                columns.iter().any(|(other, others)| is_like(other) && values[at].1 != others[at].1)
            };
            match alike.get(name) {
                Some(values) => values.len() > 1,
                None => !AXES.contains(&name) && columns.iter().any(differ),
            }
        };
        let names = columns.values().next().into_iter().flatten().enumerate();
        let telling: Vec<usize> = names.filter(|(at, (name, _))| varies(*at, name)).map(|(at, _)| at).collect();
        for (condition, values) in columns {
            let words = telling.iter().filter_map(|&at| words(&values[at].0, &values[at].1));
            let label = std::iter::once((*strategy).to_owned()).chain(words).collect::<Vec<_>>().join(" ");
            labels.insert(*condition, label);
        }
    }
    labels
}

/// One column's value in words; `None` if there is nothing to say.
fn words(column: &str, value: &str) -> Option<String> {
    match (column, value) {
        (_, "") | ("tls", "false") => None,
        ("tls", _) => Some("TLS".to_owned()),
        ("pool_size", n) => Some(format!("pool of {n}")),
        ("offered_per_s", n) => Some(format!("at {n}/s")),
        ("shards", n) => Some(format!("{n} shards")),
        ("replicas", n) => Some(format!("{n} replicas")),
        ("rtt_us", us) => Some(match us.strip_suffix("000") {
            Some(ms) => format!("rtt {ms} ms"),
            None => format!("rtt {us} µs"),
        }),
        (FAULT, NO_FAULT) => None,
        (FAULT, fault) => Some(format!("under {fault}")),
        (_, value) => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_no_part_of_a_name_and_neither_is_what_only_other_strategies_differ_in() {
        let far = Condition { rtt_us: Some(500), ..Condition::of("incr", 4, 1) };
        let all = [Condition::of("incr", 1, 1), Condition::of("incr", 4, 16), far, Condition::of("watch", 4, 1)];
        let labels = labels(&all);
        let seen: Vec<&str> = all.iter().map(|condition| labels[condition].as_str()).collect();
        assert_eq!(seen, ["incr", "incr", "incr rtt 500 µs", "watch"]);
    }

    #[test]
    fn a_strategy_that_was_measured_over_one_of_two_round_trips_says_which() {
        let far = |strategy| Condition { rtt_us: Some(2_000), ..Condition::of(strategy, 4, 1) };
        let all = [Condition::of("incr", 4, 1), far("incr"), far("watch"), Condition::of("mutex", 4, 1)];
        let labels = labels(&all);
        let seen: Vec<&str> = all.iter().map(|condition| labels[condition].as_str()).collect();
        assert_eq!(seen, ["incr", "incr rtt 2 ms", "watch rtt 2 ms", "mutex"]);
        // Where nothing differs there is nothing to say.
        assert_eq!(super::labels([&all[1]])[&all[1]], "incr");
    }

    #[test]
    fn a_fault_is_named_and_its_servers_are_not() {
        let (fault, topology) = ("failover-crash".to_owned(), crate::condition::Topology::Replicated);
        let broken = Condition { fault, topology, replicas: 1, ..Condition::of("incr", 4, 1) };
        let all = [Condition::of("incr", 4, 1), broken];
        let labels = labels(&all);
        let seen: Vec<&str> = all.iter().map(|condition| labels[condition].as_str()).collect();
        assert_eq!(seen, ["incr", "incr under failover-crash"]);
    }
}
