//! The row of a trial, and the figures computed from its clients' logs.

use crate::condition::Condition;
use crate::driver::Library;
use crate::pace::Schedule;
use crate::plain::one_line;
use crate::race::ClientLog;
use crate::record::Record;
use crate::strategy::Strategy;
use crate::target::{Spent, Target};
use crate::verdict::Verdict;
use crate::workload::Workload;

use super::Trial;

impl Trial {
    /// The row of this trial.
    pub fn record(&self, strategy: &dyn Strategy, server: &Target, workload: &Workload) -> Record {
        let ledger = &self.judgement.ledger;
        let hidden = if self.verdict == Verdict::Exact { strategy.hidden(workload) } else { None };
        // A server that is alone has these figures in columns of their own.
        let nodes = if self.nodes.len() > 1 { self.nodes.as_slice() } else { &[] };
        let trouble = self.log.clients.iter().find_map(|lane| lane.trouble.as_deref());
        Record {
            backlog: self.backlog(),
            unsent: self.unsent(),
            order: Some(self.judgement.order.word().to_owned()),
            span_ns: Some(self.span_ns()),
            overlap: Some((self.log.overlap() * 1e4).round() / 1e4),
            slowest_share: Some((self.slowest_share() * 1e4).round() / 1e4),
            jain: Some((self.jain() * 1e4).round() / 1e4),
            // Zero means unknown, as it may be for another process.
            client_cpu_ns: Some(self.log.clients.iter().map(|lane| lane.cpu_ns).sum()).filter(|&ns: &u64| ns > 0),
            server_cpu_us: self.spent.map(|spent| spent.cpu_us),
            server_calls: self.spent.map(|spent| spent.calls),
            server_failed: self.spent.map(|spent| spent.failed),
            server_rejected: self.spent.map(|spent| spent.rejected),
            server_usec: self.spent.map(|spent| spent.usec),
            server_in_bytes: self.spent.map(|spent| spent.bytes_in),
            server_out_bytes: self.spent.map(|spent| spent.bytes_out),
            server_applied: self.applied,
            moved: self.redirects.map(|(moved, _)| moved),
            asked: self.redirects.map(|(_, asked)| asked),
            node_calls: each(nodes, |node| node.calls),
            node_cpu_us: each(nodes, |node| node.cpu_us),
            replica_calls: each(&self.replicas, |replica| replica.calls),
            replica_cpu_us: each(&self.replicas, |replica| replica.cpu_us),
            verdict: Some(self.verdict),
            note: hidden.map(str::to_owned),
            error: trouble.map(one_line),
            read_back_ms: Some(self.waited.as_millis() as u64),
            runtime: self.process.as_ref().map(|process| process.runtime.clone()),
            effective_settings: self.process.as_ref().map(|process| process.effective.clone()),
            clock_error_ns: self.process.as_ref().map(|process| process.clock_error_ns),
            no_op_per_s: self.process.as_ref().and_then(|process| process.no_op_per_s),
            ..blank(strategy, server, workload, &self.library).with(ledger)
        }
    }

    /// Last end minus first start. With a schedule it is at least the schedule's length, even if all clients stopped before, so
    /// that the achieved rate never exceeds the offered one.
    fn span_ns(&self) -> u64 {
        self.log.span_ns().max(self.schedule.as_ref().map_or(0, Schedule::length_ns))
    }

    /// Jain's index of the clients' rates: 1 when all are equally fast, 1/n when one does everything.
    /// (Jain, Chiu, Hawe: A quantitative measure of fairness, DEC-TR-301, 1984.)
    fn jain(&self) -> f64 {
        let rates = self.rates();
        let (sum, squares) = rates.iter().fold((0.0, 0.0), |(sum, squares), rate| (sum + rate, squares + rate * rate));
        if squares == 0.0 { 1.0 } else { sum * sum / (rates.len() as f64 * squares) }
    }

    /// The slowest client's rate as a fraction of the fastest client's.
    fn slowest_share(&self) -> f64 {
        let rates = self.rates();
        let (slowest, fastest) =
            rates.iter().fold((f64::INFINITY, 0.0_f64), |(s, f), &rate| (s.min(rate), f.max(rate)));
        if fastest == 0.0 { 1.0 } else { slowest / fastest }
    }

    /// Each client's updates over its own time.
    fn rates(&self) -> Vec<f64> {
        let rate = |lane: &ClientLog| lane.events.len() as f64 / (lane.end_ns - lane.start_ns).max(1) as f64;
        self.log.clients.iter().map(rate).collect()
    }
}

/// A figure of each of several servers, in the notation of a row.
fn each(servers: &[Spent], figure: impl Fn(&Spent) -> u64) -> Option<String> {
    let figures: Vec<String> = servers.iter().map(|server| figure(server).to_string()).collect();
    (!figures.is_empty()).then(|| figures.join("+"))
}

/// A row for this condition, without results.
pub(super) fn blank(strategy: &dyn Strategy, server: &Target, workload: &Workload, library: &Library) -> Record {
    let condition = Condition {
        library: library.name.clone(),
        settings: library.settings.clone(),
        driver: workload.driver,
        transport: server.transport(),
        topology: server.topology(),
        shards: server.shards(),
        replicas: server.replicas(),
        tls: server.is_tls(),
        skew: workload.skew,
        offered_per_s: workload.pace.offered_per_s(),
        pool_size: strategy.pools().and(workload.pool_size),
        rtt_us: server.rtt_us(),
        server: server.product().to_owned(),
        library_version: library.version.clone(),
        ..Condition::of(strategy.info().name, workload.threads, workload.keys)
    };
    Record::blank(condition, strategy.info().promise)
}
