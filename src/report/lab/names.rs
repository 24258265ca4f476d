//! Faults in words. A fault's own name is what the command line takes; a column of a table and a sentence need others.

use crate::condition::Topology;

/// A fault's name, its column heading, and the words for one and for several trials of it in a sentence.
struct Words(&'static str, &'static str, [&'static str; 2]);

const WORDS: [Words; 20] = [
    Words("reply-lost", "Reply lost", ["trial with lost replies", "trials with lost replies"]),
    Words("request-lost", "Request lost", ["trial with lost requests", "trials with lost requests"]),
    Words(
        "connections-killed",
        "Connections killed",
        ["trial with killed connections", "trials with killed connections"],
    ),
    Words("pause", "Server paused", ["pause", "pauses"]),
    Words("crash-restart", "Crash and restart", ["crash", "crashes"]),
    Words("failover-planned", "Planned failover", ["planned failover", "planned failovers"]),
    Words("failover-crash", "Primary killed", ["kill of the primary", "kills of the primary"]),
    Words(
        "failover-lagging",
        "Primary killed, replica behind",
        ["kill with a replica behind", "kills with a replica behind"],
    ),
    Words("split-brain", "Split brain", ["split", "splits"]),
    Words("replica-lag", "Replica lags", ["trial with a lagging replica", "trials with a lagging replica"]),
    Words("replica-frozen", "Replica frozen", ["trial with a frozen replica", "trials with a frozen replica"]),
    Words("one-way-cut", "Cut to the replica", ["one-way cut", "one-way cuts"]),
    Words("slot-move", "Slot moved", ["move of the slot", "moves of the slot"]),
    Words("eviction", "Eviction", ["eviction", "evictions"]),
    Words("out-of-memory", "Out of memory", ["trial out of memory", "trials out of memory"]),
    Words("expiry", "Key expires", ["expiry", "expiries"]),
    Words("flush", "Everything deleted", ["deletion of everything", "deletions of everything"]),
    Words("script-flush", "Scripts forgotten", ["loss of the scripts", "losses of the scripts"]),
    Words("read-only", "Primary demoted", ["demotion", "demotions"]),
    Words("client-crash", "Client killed", ["killed client", "killed clients"]),
];

fn words(fault: &str) -> (Option<&'static Words>, Option<&str>) {
    let (name, parameter) = fault.split_once(':').map_or((fault, None), |(name, parameter)| (name, Some(parameter)));
    (WORDS.iter().find(|words| words.0 == name), parameter)
}

/// Its place among the faults.
pub(super) fn rank(fault: &str) -> usize {
    WORDS.iter().position(|words| words.0 == base(fault)).unwrap_or(WORDS.len())
}

/// Its name without a parameter.
pub(super) fn base(fault: &str) -> &str {
    fault.split(':').next().unwrap_or(fault)
}

/// Its column heading: `Reply lost (fin)`.
pub(super) fn title(fault: &str) -> String {
    match words(fault) {
        (Some(words), Some(parameter)) => format!("{} ({parameter})", words.1),
        (Some(words), None) => words.1.to_owned(),
        (None, _) => fault.to_owned(),
    }
}

/// This many trials of it: `20 planned failovers`, `1 trial with lost replies (fin)`.
pub(super) fn trials(fault: &str, count: u64) -> String {
    let (words, parameter) = words(fault);
    let parameter = parameter.map_or_else(String::new, |parameter| format!(" ({parameter})"));
    match words {
        Some(words) => format!("{count} {}{parameter}", words.2[usize::from(count != 1)]),
        None if count == 1 => format!("1 trial with {fault}"),
        None => format!("{count} trials with {fault}"),
    }
}

/// How the servers are arranged: `one server`, `cluster of 3`.
pub(super) fn servers(topology: Topology, shards: u32, replicas: u32) -> String {
    let replicas = match replicas {
        0 => String::new(),
        1 => ", 1 replica".to_owned(),
        more => format!(", {more} replicas"),
    };
    match topology {
        Topology::Single => "one server".to_owned(),
        Topology::Cluster if shards > 1 => format!("cluster of {shards}{replicas}"),
        other => format!("{other}{replicas}"),
    }
}
