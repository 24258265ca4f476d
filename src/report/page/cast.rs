//! How each strategy is drawn: its colour, marker and class, the same on the whole page.
//!
//! A strategy has one colour and one marker in every page, whatever else is on it: a reader who has learnt that `incr` is
//! blue finds it blue. Eyes are few, so the strategies that answer a reader's question are drawn boldly (the fastest exact
//! ones, the baseline, the worst lossy ones), and the others quietly until pointed at. Cool colours keep their promise,
//! warm ones are known to lose; markers are filled for exact and hollow for lossy, so that no one needs the colours.

use crate::condition::Condition;
use crate::record::Run;
use crate::summary::{CellSummary, Summary};
use crate::verdict::{Promise, Role};
use crate::workload::DriverKind;

/// A strategy on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its class, `s0`, `s1`, ...: what shows and hides it.
    pub(super) class: String,
    /// Its label.
    pub(super) name: String,
    /// Its sentence, if the run recorded it.
    pub(super) about: String,
    /// What it promises.
    pub(super) promise: Promise,
    /// The class of its colour: `cool0` to `cool9`, or `warm0` to `warm4`.
    pub(super) tone: String,
    /// Which of the [`MARKERS`] it has.
    pub(super) marker: usize,
    /// Whether it is one of those drawn boldly.
    is_lead: bool,
    /// Round trips of an update without retries, as the strategy states them.
    pub(super) round_trips: Option<String>,
    /// Updates its clients hand over at once.
    pub(super) batch: usize,
    /// What it is there for.
    pub(super) role: Role,
    /// What drives its clients.
    pub(super) driver: DriverKind,
}

/// How many shapes of markers there are.
pub(super) const MARKERS: usize = 8;
const COOL: usize = 10;
const WARM: usize = 5;

/// How many exact and lossy strategies are drawn boldly.
const LEADS: (usize, usize) = (5, 3);

/// The colour and the marker of this crate's strategies, which never change: no two that promise the same look the same,
/// and those of the default plan have different colours. Strategies of other programs get what their names hash to.
const KNOWN: [(&str, usize, usize); 43] = [
    ("pooled-incr", 1, 1),
    ("pooled-incr-ping", 9, 1),
    ("incr", 0, 0),
    ("connect-per-update", 1, 5),
    ("incr-retry", 0, 4),
    ("multiplexed-incr", 2, 2),
    ("connection-manager-incr", 2, 6),
    ("pipelined-incr", 7, 7),
    ("local-sum", 7, 3),
    ("sharded-incr", 9, 2),
    ("cluster-incr", 0, 2),
    ("cluster-incr-no-retry", 8, 6),
    ("incr-wait", 4, 7),
    ("incr-wait-ignored", 6, 1),
    ("incr-waitaof", 2, 7),
    ("lua-incr", 3, 3),
    ("lua-get-set", 3, 0),
    ("function", 1, 4),
    ("idempotent-lua", 3, 7),
    ("cas", 9, 5),
    ("watch", 5, 5),
    ("watch-pipelined", 5, 2),
    ("mutex", 4, 4),
    ("mutex-batch", 8, 0),
    ("lock", 6, 6),
    ("fenced-lock", 6, 3),
    ("get-set", 0, 0),
    ("get-set-multiplexed", 3, 3),
    ("get-replica-set-primary", 2, 3),
    ("get-prefer-replica", 3, 4),
    ("mutex-two-processes", 4, 5),
    ("lock-expired", 2, 0),
    ("lock-plain-del", 4, 0),
    ("watch-after-get", 1, 1),
    ("watch-shared", 4, 4),
    ("watch-ignore-nil", 2, 2),
    ("pool-leaks-watch", 0, 5),
    ("local-sum-early-ack", 0, 2),
    ("pipeline-unread", 1, 6),
    ("errors-ignored", 1, 3),
    ("incrbyfloat-large", 0, 6),
    ("lua-tonumber-large", 2, 7),
    ("bitfield-saturate", 3, 0),
];

/// The class of a strategy's colour, and its marker: a function of its name and promise alone.
pub(in crate::report) fn look(name: &str, promise: Promise) -> (String, usize) {
    // FNV-1a: the same for ever, on every machine.
    let mixed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let (family, tones) = if promise == Promise::Exact { ("cool", COOL) } else { ("warm", WARM) };
    let known = KNOWN.iter().find(|(known, ..)| *known == name).map(|&(_, tone, marker)| (tone, marker));
    let (tone, marker) = known.unwrap_or(((mixed % 1_009) as usize, (mixed / 1_009 % MARKERS as u64) as usize));
    (format!("{family}{}", tone % tones), marker)
}

impl Member {
    /// Whether it is known to be wrong.
    pub(super) fn is_lossy(&self) -> bool {
        self.promise == Promise::Lossy
    }

    /// Whether it needs many updates at hand to share a round trip among: not what a request handler has.
    pub(super) fn is_batching(&self) -> bool {
        self.batch > 1
    }

    /// Whether it is drawn boldly.
    pub(super) fn is_lead(&self) -> bool {
        self.is_lead
    }

    /// All classes of what is drawn of it.
    pub(super) fn classes(&self) -> String {
        format!("{} {} {}{}", self.class, self.tone, self.promise, if self.is_lead { "" } else { " quiet" })
    }
}

/// All strategies of a run, in the summary's order.
pub(super) fn cast(summary: &Summary, run: &Run) -> Vec<Member> {
    let (exact, lossy) = (lead_exact(summary, run), lead_lossy(summary, run));
    let is_few = summary.labels().len() <= LEADS.0 + LEADS.1;
    let cells = summary.labels().into_iter().filter_map(|name| summary.cells.iter().find(|c| c.label == name));
    cells
        .enumerate()
        .map(|(i, CellSummary { condition: Condition { strategy: name, driver, .. }, label, promise, .. })| {
            let (tone, marker) = look(label, *promise);
            Member {
                class: format!("s{i}"),
                name: label.clone(),
                about: run.machine.get(&format!("strategy.{name}")).unwrap_or_default().to_owned(),
                promise: *promise,
                tone,
                marker,
                is_lead: is_few || exact.contains(&label.as_str()) || lossy.contains(&label.as_str()),
                round_trips: run.machine.get(&format!("round_trips.{name}")).map(str::to_owned),
                batch: run.machine.batch(name),
                role: run.machine.role(name, *promise),
                driver: *driver,
            }
        })
        .collect()
}

/// The fastest exact strategies at the highest load, and the baseline.
fn lead_exact<'a>(summary: &'a Summary, run: &Run) -> Vec<&'a str> {
    let (Some(&threads), Some(&keys)) = (summary.threads().last(), summary.keys().first()) else { return Vec::new() };
    let ranking = summary.ranking(threads, keys);
    let mut leads: Vec<&str> = ranking.iter().map(|cell| cell.label.as_str()).collect();
    let baseline =
        ranking.iter().position(|c| run.machine.role(&c.condition.strategy, Promise::Exact) == Role::Baseline);
    if let Some(at) = baseline.filter(|&at| at >= LEADS.0) {
        leads.swap(at, LEADS.0 - 1);
    }
    leads.truncate(LEADS.0);
    leads
}

/// The race itself, then the lossy strategies that lose most.
fn lead_lossy<'a>(summary: &'a Summary, run: &Run) -> Vec<&'a str> {
    let worst = |name: &str| {
        let cells = || summary.cells.iter().filter(|c| c.label == name);
        let is_race = |c: &CellSummary| run.machine.role(&c.condition.strategy, Promise::Lossy) == Role::Race;
        let parts = cells().filter(|c| c.trials > 0).map(CellSummary::lost_part);
        if cells().any(is_race) { 2.0 } else { parts.fold(0.0, f64::max) }
    };
    let lossy = |name: &&str| summary.cells.iter().any(|c| c.label == *name && c.promise == Promise::Lossy);
    let mut leads: Vec<&str> = summary.labels().into_iter().filter(lossy).collect();
    leads.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    leads.truncate(LEADS.1);
    leads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_looks_the_same_whatever_else_there_is() {
        assert_eq!(look("incr", Promise::Exact), ("cool0".to_owned(), 0));
        assert_eq!(look("my-own", Promise::Exact), look("my-own", Promise::Exact));
        for name in ["a", "another-way", "häh", ""] {
            let ((exact, marker), (lossy, _)) = (look(name, Promise::Exact), look(name, Promise::Lossy));
            assert!(
                exact.starts_with("cool") && lossy.starts_with("warm") && marker < MARKERS,
                "{name}: {exact}, {lossy}"
            );
        }
    }
}
