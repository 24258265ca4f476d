//! Each cluster node's share of a cell's work, and which of them was the limit.

use serde::Serialize;

use crate::record::Record;

/// From this part of the CPU time that there was, somebody was busy all the time that mattered.
pub(super) const SATURATED: f64 = 0.9;

/// A file that names more nodes than this is not of a real cluster.
const MOST: usize = 1_000;

/// One node's share, in the order of the slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Node {
    /// Commands that it executed per second.
    pub calls_per_s: f64,
    /// Its share of the commands of all nodes, 0 to 1.
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

/// Every node's share of these trials; empty if there is one server, or if the trials had different nodes.
pub(super) fn of(records: &[&Record]) -> Vec<Node> {
    let mut trials: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for record in records {
        let (Some(calls), Some(span)) = (read(record.node_calls.as_deref()), record.span_ns) else { continue };
        let cpu_us = read(record.node_cpu_us.as_deref()).filter(|cpu| cpu.len() == calls.len());
        let cpu_us = cpu_us.unwrap_or_else(|| vec![0.0; calls.len()]);
        if trials.first().is_some_and(|(first, ..)| first.len() != calls.len()) {
            return Vec::new();
        }
        trials.push((calls, cpu_us, span as f64));
    }
    let span_ns: f64 = trials.iter().map(|(.., span)| span).sum();
    let Some(nodes) = trials.first().map(|(calls, ..)| calls.len()).filter(|_| span_ns > 0.0) else {
        return Vec::new();
    };
    let all: f64 = trials.iter().flat_map(|(calls, ..)| calls).sum();
    let node = |number: usize| {
        let calls: f64 = trials.iter().map(|(calls, ..)| calls[number]).sum();
        let is_first = |calls: &[f64]| calls.iter().all(|&other| other <= calls[number]);
        let leads: Vec<_> = trials.iter().filter(|(calls, ..)| is_first(calls)).collect();
        let own = if leads.is_empty() { trials.iter().collect() } else { leads };
        let (cpu_us, own_ns) = own.iter().fold((0.0, 0.0), |sum, (_, cpu, span)| (sum.0 + cpu[number], sum.1 + span));
        Node {
            calls_per_s: calls * 1e9 / span_ns,
            part: if all > 0.0 { calls / all } else { 0.0 },
            cpus: if own_ns > 0.0 { cpu_us * 1e3 / own_ns } else { 0.0 },
        }
    };
    (0..nodes).map(node).collect()
}

/// Reads `1200+1190+1230`.
fn read(text: Option<&str>) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> =
        text?.split('+').take(MOST + 1).map(|n| n.parse::<u64>().ok().map(|n| n as f64)).collect();
    numbers.filter(|numbers| (2..=MOST).contains(&numbers.len()))
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
        let nodes = of(&rows.iter().collect::<Vec<_>>());
        assert_eq!(nodes[0], Node { calls_per_s: 150.0, part: 0.3, cpus: 0.1 });
        assert_eq!((nodes[1].part, nodes[1].cpus, nodes[1].is_limit()), (0.7, 0.97, true));
        assert!(!nodes[0].is_limit());
    }

    #[test]
    fn a_node_that_has_the_only_counter_of_a_trial_is_judged_by_that_trial() {
        let rows = [row("0+900", "1000+960000"), row("900+0", "960000+1000"), row("0+900", "1000+960000")];
        let nodes = of(&rows.iter().collect::<Vec<_>>());
        assert_eq!((nodes[0].cpus, nodes[1].cpus), (0.96, 0.96));
        assert!(nodes[0].is_limit() && nodes[1].is_limit());
        assert_eq!((nodes[0].calls_per_s, nodes[1].calls_per_s), (300.0, 600.0));
    }

    #[test]
    fn what_is_no_nodes_gives_none() {
        for (calls, cpu) in [("5", "5"), ("", ""), ("a+b", "1+2"), ("-1+2", "1+2"), (&"1+".repeat(5_000), "1")] {
            assert_eq!(of(&[&row(calls, cpu)]), [], "{calls}");
        }
        assert_eq!(of(&[&row("1+2", "1+2"), &row("1+2+3", "1+2+3")]), [], "not the same nodes");
        let still = Record { span_ns: Some(0), ..row("1+2", "1+2") };
        assert_eq!(of(&[&still]), []);
    }
}
