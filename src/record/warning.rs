//! Warnings about a whole run, by kind: facts `warning.KIND` of `machine.csv`, with the sentence as their value.
//!
//! A reader decides by the kind what a warning affects; the sentence is for people. Folders of version 0.1.0 have facts
//! `warning` without a kind.

use super::Machine;

/// Why a run's figures need care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// The server may evict keys: a counter can vanish.
    Eviction,
    /// The server is a replica.
    Replica,
    /// The server syncs its log to disk on every write.
    DiskSync,
    /// Others used the machine before the run.
    BusyMachine,
    /// This build of the harness is not optimised.
    Unoptimised,
    /// The emulated round trip is not the one asked for.
    RoundTrip,
    /// The proxy that emulates the network is slower than the server.
    ProxyLimit,
}

impl WarningKind {
    const ALL: [Self; 7] = [
        Self::Eviction,
        Self::Replica,
        Self::DiskSync,
        Self::BusyMachine,
        Self::Unoptimised,
        Self::RoundTrip,
        Self::ProxyLimit,
    ];

    /// The name of its fact.
    fn fact(self) -> &'static str {
        match self {
            Self::Eviction => "warning.eviction",
            Self::Replica => "warning.replica",
            Self::DiskSync => "warning.disk-sync",
            Self::BusyMachine => "warning.busy-machine",
            Self::Unoptimised => "warning.unoptimised",
            Self::RoundTrip => "warning.round-trip",
            Self::ProxyLimit => "warning.proxy-limit",
        }
    }
}

impl Machine {
    /// Adds a warning: one sentence without a full stop.
    pub fn warn(&mut self, kind: WarningKind, sentence: impl Into<String>) {
        self.add(kind.fact(), sentence);
    }

    /// Every warning with its kind; `None` if an older folder does not say it.
    pub fn warnings(&self) -> impl Iterator<Item = (Option<WarningKind>, &str)> {
        self.0.iter().filter(|fact| fact.fact == "warning" || fact.fact.starts_with("warning.")).map(|fact| {
            let kind = WarningKind::ALL.into_iter().find(|kind| kind.fact() == fact.fact);
            (kind, fact.value.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_keeps_its_kind_and_an_older_one_has_none() {
        let mut machine = Machine::default();
        machine.warn(WarningKind::DiskSync, "slow");
        machine.add("warning", "older");
        machine.add("warning.of-tomorrow", "newer");
        let seen: Vec<_> = machine.warnings().collect();
        assert_eq!(seen, [(Some(WarningKind::DiskSync), "slow"), (None, "older"), (None, "newer")]);
    }
}
