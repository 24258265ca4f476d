//! Each server's share of a cell's work, and which of them was the limit.

use serde::Serialize;

use crate::record::Record;

/// From this part of the CPU time that there was, somebody was busy all the time that mattered.
pub(super) const SATURATED: f64 = 0.9;

/// A file that names more servers than this is not of a real topology.
const MOST: usize = 1_000;

/// One server's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Node {
    /// Commands that it executed per second.
    pub calls_per_s: f64,
    /// Its share of the commands of all primaries, or of all replicas, 0 to 1.
    pub part: f64,
    /// CPUs' worth of its process that were busy, in the trials in which it executed most; in all, if there are none. The
    /// counter of a trial lies on one node, another one in each trial, so an average over all hides who was busy.
    pub cpus: f64,
}

impl Node {
    /// Whether its CPU had no time left: a node executes commands on one.
    pub fn is_limit(&self) -> bool {
        self.cpus > SATURATED
    }
}

/// One trial: calls and CPU time of each server, and the span.
struct Share {
    calls: Vec<f64>,
    cpu_us: Vec<f64>,
    span_ns: f64,
}

/// Every primary's share of these trials, in the order of the slots; empty if there is one server alone, or if the trials
/// had different nodes.
pub(super) fn primaries(records: &[&Record]) -> Vec<Node> {
    let share = |record: &&Record| match &record.node_calls {
        // One primary has its figures in columns of their own; it is worth a row where it has replicas.
        None => {
            record.replica_calls.as_ref()?;
            let calls = vec![record.server_calls? as f64];
            Some(Share { calls, cpu_us: vec![record.server_cpu_us? as f64], span_ns: record.span_ns? as f64 })
        }
        Some(calls) => {
            let calls = read(calls).filter(|calls| calls.len() > 1)?;
            Some(Share { cpu_us: times(record.node_cpu_us.as_deref(), &calls), calls, span_ns: record.span_ns? as f64 })
        }
    };
    of(&records.iter().filter_map(share).collect::<Vec<_>>())
}

/// The same of every replica, in the order of their primaries.
pub(super) fn replicas(records: &[&Record]) -> Vec<Node> {
    let share = |record: &&Record| {
        let calls = read(record.replica_calls.as_deref()?)?;
        Some(Share { cpu_us: times(record.replica_cpu_us.as_deref(), &calls), calls, span_ns: record.span_ns? as f64 })
    };
    of(&records.iter().filter_map(share).collect::<Vec<_>>())
}

fn of(trials: &[Share]) -> Vec<Node> {
    let Some(first) = trials.first() else { return Vec::new() };
    let span_ns: f64 = trials.iter().map(|trial| trial.span_ns).sum();
    if span_ns <= 0.0 || trials.iter().any(|trial| trial.calls.len() != first.calls.len()) {
        return Vec::new();
    }
    let all: f64 = trials.iter().flat_map(|trial| &trial.calls).sum();
    let node = |number: usize| {
        let calls: f64 = trials.iter().map(|trial| trial.calls[number]).sum();
        let is_first = |trial: &&Share| trial.calls.iter().all(|&other| other <= trial.calls[number]);
        let leads: Vec<_> = trials.iter().filter(is_first).collect();
        let own = if leads.is_empty() { trials.iter().collect() } else { leads };
        let (cpu_us, own_ns) =
            own.iter().fold((0.0, 0.0), |sum, trial| (sum.0 + trial.cpu_us[number], sum.1 + trial.span_ns));
        Node {
            calls_per_s: calls * 1e9 / span_ns,
            part: if all > 0.0 { calls / all } else { 0.0 },
            cpus: if own_ns > 0.0 { cpu_us * 1e3 / own_ns } else { 0.0 },
        }
    };
    (0..first.calls.len()).map(node).collect()
}

/// Reads `1200+1190+1230`.
fn read(text: &str) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> =
        text.split('+').take(MOST + 1).map(|n| n.parse::<u64>().ok().map(|n| n as f64)).collect();
    numbers.filter(|numbers| numbers.len() <= MOST)
}

/// The CPU times of as many servers as there are calls; zero if they were not recorded.
fn times(text: Option<&str>, calls: &[f64]) -> Vec<f64> {
    let read = text.and_then(read).filter(|times| times.len() == calls.len());
    read.unwrap_or_else(|| vec![0.0; calls.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Condition;
    use crate::verdict::Promise;

    fn row(calls: &str, cpu_us: &str) -> Record {
        Record {
            span_ns: Some(1_000_000_000),
            node_calls: Some(calls.to_owned()),
            node_cpu_us: Some(cpu_us.to_owned()),
            ..Record::blank(Condition::of("incr", 4, 1), Promise::Exact)
        }
    }

    #[test]
    fn parts_are_summed_over_the_trials_and_the_busy_node_is_the_limit() {
        let rows = [row("100+300", "100000+950000"), row("200+400", "100000+990000")];
        let nodes = primaries(&rows.iter().collect::<Vec<_>>());
        assert_eq!(nodes[0], Node { calls_per_s: 150.0, part: 0.3, cpus: 0.1 });
        assert_eq!((nodes[1].part, nodes[1].cpus, nodes[1].is_limit()), (0.7, 0.97, true));
        assert!(!nodes[0].is_limit());
    }

    #[test]
    fn a_node_that_has_the_only_counter_of_a_trial_is_judged_by_that_trial() {
        let rows = [row("0+900", "1000+960000"), row("900+0", "960000+1000"), row("0+900", "1000+960000")];
        let nodes = primaries(&rows.iter().collect::<Vec<_>>());
        assert_eq!((nodes[0].cpus, nodes[1].cpus), (0.96, 0.96));
        assert!(nodes[0].is_limit() && nodes[1].is_limit());
        assert_eq!((nodes[0].calls_per_s, nodes[1].calls_per_s), (300.0, 600.0));
    }

    #[test]
    fn what_is_no_nodes_gives_none() {
        for (calls, cpu) in [("5", "5"), ("", ""), ("a+b", "1+2"), ("-1+2", "1+2"), (&"1+".repeat(5_000), "1")] {
            assert_eq!(primaries(&[&row(calls, cpu)]), [], "{calls}");
        }
        assert_eq!(primaries(&[&row("1+2", "1+2"), &row("1+2+3", "1+2+3")]), [], "not the same nodes");
        let still = Record { span_ns: Some(0), ..row("1+2", "1+2") };
        assert_eq!(primaries(&[&still]), []);
    }

    #[test]
    fn a_primary_with_replicas_has_a_row_and_its_replicas_have_theirs() {
        let alone = Record {
            span_ns: Some(1_000_000_000),
            server_calls: Some(400),
            server_cpu_us: Some(200_000),
            ..Record::blank(Condition::of("incr", 4, 1), Promise::Exact)
        };
        assert_eq!((primaries(&[&alone]), replicas(&[&alone])), (Vec::new(), Vec::new()));
        let (calls, cpu_us) = (Some("100+300".to_owned()), Some("50000+950000".to_owned()));
        let copied = Record { replica_calls: calls, replica_cpu_us: cpu_us, ..alone };
        assert_eq!(primaries(&[&copied]), [Node { calls_per_s: 400.0, part: 1.0, cpus: 0.2 }]);
        let seen = replicas(&[&copied]);
        assert_eq!((seen[0].part, seen[1].calls_per_s, seen[1].is_limit()), (0.25, 300.0, true));
    }
}
