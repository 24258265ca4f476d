//! Faults in words. A fault's own name is what the command line takes; a column of a table and a sentence need others.

use crate::condition::Topology;
use crate::fault::{self, Words};

/// The words for a fault, and its parameter. `None`: a fault of another version.
fn words(fault: &str) -> (Option<Words>, Option<&str>) {
    let (name, parameter) = fault.split_once(':').map_or((fault, None), |(name, parameter)| (name, Some(parameter)));
    (fault::ALL.iter().map(|fault| fault.info()).find(|info| info.name == name).map(|info| info.words), parameter)
}

/// Its place among the faults.
pub(super) fn rank(fault: &str) -> usize {
    fault::ALL.iter().position(|known| known.info().name == base(fault)).unwrap_or(fault::ALL.len())
}

/// Its name without a parameter.
pub(super) fn base(fault: &str) -> &str {
    fault.split(':').next().unwrap_or(fault)
}

/// Its column heading: `Reply lost (fin)`.
pub(super) fn title(fault: &str) -> String {
    match words(fault) {
        (Some(words), Some(parameter)) => format!("{} ({parameter})", words.title),
        (Some(words), None) => words.title.to_owned(),
        (None, _) => fault.to_owned(),
    }
}

/// This many trials of it: `20 planned failovers`, `1 trial with lost replies (fin)`.
pub(super) fn trials(fault: &str, count: u64) -> String {
    let (words, parameter) = words(fault);
    let parameter = parameter.map_or_else(String::new, |parameter| format!(" ({parameter})"));
    match words {
        Some(words) => format!("{count} {}{parameter}", if count == 1 { words.one } else { words.many }),
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
