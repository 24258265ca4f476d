//! What the server itself counted: calls per command, CPU time, bytes. It is the third source, besides the clients'
//! ledger and the counter's value.

use std::collections::HashMap;

use redis::RedisResult;

use crate::target::{Connection, Session};

/// One reading of the server's counters.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    commands: HashMap<String, Calls>,
    cpu_us: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// The size of the last reply this was read from, which the server counts only after producing it, and the size of
    /// the replies before it.
    own_reply: u64,
    own_before: u64,
    /// The server's run id: after a restart it counts from zero again.
    run_id: String,
    /// The same for each node, if there are several.
    nodes: Vec<Self>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Calls {
    calls: u64,
    usec: u64,
    rejected: u64,
    failed: u64,
}

/// What the server did between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Commands executed, without our own readings.
    pub calls: u64,
    /// Commands that ran and ended in an error.
    pub failed: u64,
    /// Commands refused before they ran (out of memory, wrong state, no permission).
    pub rejected: u64,
    /// Time inside commands, in microseconds. Commands that a script calls are counted in addition to the script.
    pub usec: u64,
    /// The server process's CPU time, user and system, in microseconds.
    pub cpu_us: u64,
    /// Bytes it received.
    pub bytes_in: u64,
    /// Bytes it sent.
    pub bytes_out: u64,
}

/// What our own readings and every new connection send, left out of the sums.
const OURS: [&str; 6] = ["info", "client|setinfo", "hello", "auth", "select", "scan"];

impl Counts {
    /// Reads the counters; for a cluster, those of every node.
    ///
    /// # Errors
    /// A server does not answer or does not allow INFO.
    pub fn read(db: &mut Session) -> RedisResult<Self> {
        let nodes = db.on_each(Self::of_one)?;
        let mut counts = Self::default();
        nodes.iter().for_each(|node| counts.add(node));
        counts.nodes = nodes;
        Ok(counts)
    }

    /// Those of one server.
    pub(super) fn of_one(db: &mut Connection) -> RedisResult<Self> {
        // One section at a time: servers before 7.0 do not accept a list of sections.
        let mut counts = Self::default();
        for section in ["server", "cpu", "commandstats", "stats"] {
            let text: String = redis::cmd("INFO").arg(section).query(db)?;
            text.lines().for_each(|line| counts.take(line));
            counts.own_before = counts.own_before.saturating_add(counts.own_reply);
            counts.own_reply = text.len() as u64;
        }
        Ok(counts)
    }

    fn add(&mut self, node: &Self) {
        for (name, calls) in &node.commands {
            let sum = self.commands.entry(name.clone()).or_default();
            sum.calls = sum.calls.saturating_add(calls.calls);
            sum.usec = sum.usec.saturating_add(calls.usec);
            sum.rejected = sum.rejected.saturating_add(calls.rejected);
            sum.failed = sum.failed.saturating_add(calls.failed);
        }
        self.cpu_us = self.cpu_us.saturating_add(node.cpu_us);
        self.bytes_in = self.bytes_in.saturating_add(node.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(node.bytes_out);
        self.own_reply = self.own_reply.saturating_add(node.own_reply);
        self.own_before = self.own_before.saturating_add(node.own_before);
        self.run_id += &node.run_id;
    }

    fn take(&mut self, line: &str) {
        let Some((name, value)) = line.trim_end().split_once(':') else { return };
        match name {
            "run_id" => value.clone_into(&mut self.run_id),
            // Two lines, in fractional seconds; their sum is the process's CPU time.
            "used_cpu_sys" | "used_cpu_user" => {
                let us = (value.parse::<f64>().unwrap_or(0.0) * 1e6) as u64;
                self.cpu_us = self.cpu_us.saturating_add(us);
            }
            "total_net_input_bytes" => self.bytes_in = value.parse().unwrap_or(0),
            "total_net_output_bytes" => self.bytes_out = value.parse().unwrap_or(0),
            _ => {
                if let Some(command) = name.strip_prefix("cmdstat_") {
                    self.commands.insert(command.to_ascii_lowercase(), Calls::parse(value));
                }
            }
        }
    }

    /// What happened since `earlier`; `None` if the server restarted in between, or is a different one.
    pub fn since(&self, earlier: &Self) -> Option<Spent> {
        if self.run_id != earlier.run_id {
            return None;
        }
        let own = earlier.own_reply.saturating_add(self.own_before);
        let mut spent = Spent {
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out).saturating_sub(own),
            ..Spent::default()
        };
        for (name, now) in self.commands.iter().filter(|(name, _)| !OURS.contains(&name.as_str())) {
            let before = earlier.commands.get(name).copied().unwrap_or_default();
            spent.calls = spent.calls.saturating_add(now.calls.saturating_sub(before.calls));
            spent.usec = spent.usec.saturating_add(now.usec.saturating_sub(before.usec));
            spent.rejected = spent.rejected.saturating_add(now.rejected.saturating_sub(before.rejected));
            spent.failed = spent.failed.saturating_add(now.failed.saturating_sub(before.failed));
        }
        Some(spent)
    }

    /// Whether `one` is a reading of a server that this is a reading of.
    pub(super) fn includes(&self, one: &Self) -> bool {
        self.nodes.iter().any(|node| node.run_id == one.run_id)
    }

    /// What each node did since `earlier`: its calls and its CPU time; nothing if they are not the same nodes.
    pub fn nodes_since(&self, earlier: &Self) -> Vec<Spent> {
        Self::each_since(&self.nodes, &earlier.nodes)
    }

    /// What each of several servers did between two readings; nothing if they are not the same servers.
    pub(crate) fn each_since(now: &[Self], then: &[Self]) -> Vec<Spent> {
        let is_known = now.len() == then.len();
        let spent = now.iter().zip(then).map(|(now, then)| now.since(then)).collect::<Option<Vec<Spent>>>();
        spent.filter(|_| is_known).unwrap_or_default()
    }

    /// How many calls of these commands succeeded since `earlier`.
    pub fn succeeded(&self, earlier: &Self, commands: &[&str]) -> u64 {
        let good = |counts: &Self, name: &str| {
            counts.commands.get(name).map_or(0, |calls| calls.calls.saturating_sub(calls.failed))
        };
        commands.iter().map(|name| good(self, name).saturating_sub(good(earlier, name))).fold(0, u64::saturating_add)
    }
}

impl Calls {
    /// Reads `calls=3,usec=9,usec_per_call=3.00,rejected_calls=0,failed_calls=0`.
    fn parse(text: &str) -> Self {
        let field = |wanted: &str| {
            text.split(',').find_map(|part| part.strip_prefix(wanted)).and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        Self {
            calls: field("calls="),
            usec: field("usec="),
            rejected: field("rejected_calls="),
            failed: field("failed_calls="),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_the_difference_of_two_readings_without_our_own() {
        let read = |lines: &[&str]| {
            let mut counts = Counts::default();
            lines.iter().for_each(|line| counts.take(line));
            counts
        };
        let before = read(&["used_cpu_sys:1.0", "used_cpu_user:0.5", "cmdstat_get:calls=5,usec=10,failed_calls=0"]);
        let after = read(&[
            "used_cpu_sys:1.5",
            "used_cpu_user:0.5",
            "cmdstat_get:calls=9,usec=20,usec_per_call=2.2,rejected_calls=1,failed_calls=1",
            "cmdstat_info:calls=9,usec=900",
            "cmdstat_ping:calls=2,usec=0",
        ]);
        let spent = after.since(&before).unwrap();
        assert_eq!((spent.calls, spent.usec, spent.rejected, spent.failed, spent.cpu_us), (6, 10, 1, 1, 500_000));
        assert_eq!(after.succeeded(&before, &["get"]), 3);
        let liar = read(&["used_cpu_sys:1e300", "used_cpu_user:1e300", "cmdstat_get:calls=18446744073709551615"]);
        let mut twice = liar.clone();
        twice.add(&liar);
        assert_eq!((twice.cpu_us, twice.succeeded(&before, &["get", "get"])), (u64::MAX, u64::MAX), "no overflow");
        assert_eq!(read(&["run_id:b"]).since(&read(&["run_id:a"])), None, "a server that was started anew");
    }
}
