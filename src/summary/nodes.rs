//! Each cluster node's share of a cell's work, and which of them was the limit.

use serde::Serialize;

use super::limit::SATURATED;
use crate::record::Record;

/// A file that names more nodes than this is not of a real cluster.
const MOST: usize = 1_000;

/// One node's share, in the order of the slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Node {
    /// Commands that it executed per second.
    pub calls_per_s: f64,
    /// Its share of the commands of all nodes, 0 to 1.
    pub part: f64,
    /// CPUs' worth of its process busy over the span.
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
    let mut sums: Vec<(f64, f64)> = Vec::new();
    let mut span_ns = 0.0;
    for record in records {
        let (Some(calls), Some(span)) = (read(record.node_calls.as_deref()), record.span_ns) else { continue };
        let cpu_us = read(record.node_cpu_us.as_deref()).filter(|cpu| cpu.len() == calls.len());
        let cpu_us = cpu_us.unwrap_or_else(|| vec![0.0; calls.len()]);
        if sums.is_empty() {
            sums = vec![(0.0, 0.0); calls.len()];
        }
        if sums.len() != calls.len() {
            return Vec::new();
        }
        span_ns += span as f64;
        for (sum, (calls, cpu)) in sums.iter_mut().zip(calls.into_iter().zip(cpu_us)) {
            *sum = (sum.0 + calls, sum.1 + cpu);
        }
    }
    if span_ns <= 0.0 {
        return Vec::new();
    }
    let all: f64 = sums.iter().map(|(calls, _)| calls).sum();
    let node = |(calls, cpu_us): (f64, f64)| Node {
        calls_per_s: calls * 1e9 / span_ns,
        part: if all > 0.0 { calls / all } else { 0.0 },
        cpus: cpu_us * 1e3 / span_ns,
    };
    sums.into_iter().map(node).collect()
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
    fn what_is_no_nodes_gives_none() {
        for (calls, cpu) in [("5", "5"), ("", ""), ("a+b", "1+2"), ("-1+2", "1+2"), (&"1+".repeat(5_000), "1")] {
            assert_eq!(of(&[&row(calls, cpu)]), [], "{calls}");
        }
        assert_eq!(of(&[&row("1+2", "1+2"), &row("1+2+3", "1+2+3")]), [], "not the same nodes");
        let still = Record { span_ns: Some(0), ..row("1+2", "1+2") };
        assert_eq!(of(&[&still]), []);
    }
}
