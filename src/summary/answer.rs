//! The answer of a run at one load: which strategy to choose, which are as good, how the others compare, and what a
//! race loses. Decided once, as data; page, terminal and JSON put it into words.

use std::collections::BTreeMap;

use super::{CellSummary, Summary};
use crate::condition::{Condition, NO_FAULT, labels};
use crate::record::Machine;
use crate::verdict::{Promise, Role, Verdict};

/// The answer at one load. All lists are of strategies that promise to lose nothing and were seen to keep that, and the
/// first of each is the fastest, unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<'a> {
    /// Clients racing at once.
    pub threads: usize,
    /// Counters they spread over.
    pub keys: usize,
    /// The race itself if it was measured, or else the lossy strategy that lost most.
    pub lossy: Option<&'a CellSummary>,
    /// The fastest, of those that take one update at a time if any was measured.
    pub best: Option<&'a CellSummary>,
    /// Those that the intervals cannot tell from the best one: one update at a time.
    pub rivals: Vec<&'a CellSummary>,
    /// The others that take one update at a time.
    pub slower: Vec<&'a CellSummary>,
    /// Those that are faster than the best one because they hand over many updates at once.
    pub batchers: Vec<&'a CellSummary>,
    /// Where a rate was offered: those that kept up with it, the lowest p99 first.
    pub prompt: Vec<&'a CellSummary>,
    /// Where a rate was offered: those that kept up, with too few updates for a p99.
    pub unranked: Vec<&'a CellSummary>,
    /// Where a rate was offered: those that did not keep up.
    pub behind: Vec<&'a CellSummary>,
}

impl Answer<'_> {
    /// Whether a rate was offered.
    pub fn is_offered(&self) -> bool {
        [&self.prompt, &self.unranked, &self.behind].into_iter().any(|cells| !cells.is_empty())
    }
}

impl Summary {
    /// The answer at a load, over the shortest round trip; `None` if nothing that was judged there answers anything.
    pub fn answer(&self, machine: &Machine, threads: usize, keys: usize) -> Option<Answer<'_>> {
        self.answer_over(machine, threads, keys, self.shortest(threads, keys))
    }

    /// The same over this round trip.
    pub fn answer_over(
        &self,
        machine: &Machine,
        threads: usize,
        keys: usize,
        rtt_us: Option<u64>,
    ) -> Option<Answer<'_>> {
        let exact = self.exact(threads, keys, rtt_us);
        let (lossy, best) = (self.worst(machine, threads, keys, rtt_us), fastest(machine, &exact));
        if lossy.is_none() && best.is_none() {
            return None;
        }
        let alone = |cell: &&CellSummary| !is_batching(machine, cell);
        let is_best = |cell: &CellSummary| best.is_some_and(|best| best.label == cell.label);
        let is_close =
            |cell: &CellSummary| best.is_some_and(|best| cell.surviving_per_s.high >= best.surviving_per_s.low);
        let others = || exact.iter().copied().filter(alone).filter(|cell| !is_best(cell));
        let beats = |cell: &CellSummary| {
            best.is_some_and(|best| {
                !is_batching(machine, best) && cell.surviving_per_s.median > best.surviving_per_s.median
            })
        };
        let offered = || exact.iter().copied().filter(|cell| cell.condition.offered_per_s.is_some());
        let (mut prompt, unranked): (Vec<_>, Vec<_>) =
            offered().filter(|cell| !cell.fell_behind()).partition(|cell| cell.p99_ns().is_some());
        prompt.sort_by_key(|cell| cell.p99_ns());
        Some(Answer {
            threads,
            keys,
            lossy,
            best,
            rivals: others().filter(|cell| is_close(cell)).collect(),
            slower: others().filter(|cell| !is_close(cell)).collect(),
            batchers: exact.iter().copied().filter(|cell| is_batching(machine, cell) && beats(cell)).collect(),
            prompt,
            unranked,
            behind: offered().filter(|cell| cell.fell_behind()).collect(),
        })
    }

    /// The fastest exact strategy at a load, of those that take one update at a time if any was measured: what others are
    /// held against.
    pub fn fastest(&self, machine: &Machine, threads: usize, keys: usize) -> Option<&CellSummary> {
        fastest(machine, &self.exact(threads, keys, self.shortest(threads, keys)))
    }

    /// The round trips that were measured over, the shortest first; `None` is without a proxy.
    pub fn round_trips(&self) -> Vec<Option<u64>> {
        let mut all: Vec<Option<u64>> = self.cells.iter().map(|cell| cell.condition.rtt_us).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A name for every condition [without its round trip](Condition::without_round_trip): one for all that a strategy was
    /// measured over.
    pub fn names_over_round_trips(&self) -> BTreeMap<Condition, String> {
        let conditions: Vec<Condition> = self.cells.iter().map(|cell| cell.condition.without_round_trip()).collect();
        labels(&conditions).into_iter().map(|(condition, label)| (condition.clone(), label)).collect()
    }

    /// The shortest round trip over which an exact strategy was judged at a load, or else any strategy.
    pub fn shortest(&self, threads: usize, keys: usize) -> Option<u64> {
        let ranked = self.ranking(threads, keys).into_iter().map(|cell| cell.condition.rtt_us).min();
        let judged = || {
            let there = self.cells.iter().filter(|cell| cell.trials > 0).map(|cell| &cell.condition);
            there.filter(|at| (at.threads, at.keys) == (threads, keys)).map(|at| at.rtt_us).min()
        };
        ranked.or_else(judged).flatten()
    }

    /// Those of the [ranking](Summary::ranking) over a round trip that nothing speaks against.
    fn exact(&self, threads: usize, keys: usize, rtt_us: Option<u64>) -> Vec<&CellSummary> {
        let ranking = self.ranking(threads, keys).into_iter().filter(|cell| cell.condition.rtt_us == rtt_us);
        ranking.filter(|cell| cell.verdict == Some(Verdict::Exact) && is_healthy(cell)).collect()
    }

    /// The exact strategies at a load over a round trip, the best first: by what survived, or, where a rate was offered, by
    /// the p99 of those that kept up.
    pub fn places(&self, machine: &Machine, threads: usize, keys: usize, rtt_us: Option<u64>) -> Vec<&CellSummary> {
        match self.answer_over(machine, threads, keys, rtt_us) {
            Some(answer) if answer.is_offered() => answer.prompt,
            _ => self.exact(threads, keys, rtt_us),
        }
    }

    /// What no exact strategy did, for a sentence where none is the best: `kept its promise`.
    pub fn what_none_did(&self) -> &'static str {
        let mut exact = self.cells.iter().filter(|cell| cell.promise == Promise::Exact && is_healthy(cell)).peekable();
        if exact.peek().is_none() {
            "was measured"
        } else if exact.any(|cell| cell.verdict.is_some_and(Verdict::breaks_exactness)) {
            "kept its promise"
        } else {
            "could be judged"
        }
    }

    fn worst(&self, machine: &Machine, threads: usize, keys: usize, rtt_us: Option<u64>) -> Option<&CellSummary> {
        let lossy = || {
            let judged =
                self.cells.iter().filter(|cell| cell.acked > 0 && cell.promise == Promise::Lossy && is_healthy(cell));
            let at = move |condition: &Condition| (condition.threads, condition.keys, condition.rtt_us);
            judged.filter(move |cell| at(&cell.condition) == (threads, keys, rtt_us))
        };
        let race = lossy().find(|cell| machine.role(&cell.condition.strategy, cell.promise) == Role::Race);
        race.or_else(|| lossy().max_by(|a, b| a.lost_part().total_cmp(&b.lost_part())))
    }
}

/// The first that takes one update at a time, or else the first.
fn fastest<'a>(machine: &Machine, exact: &[&'a CellSummary]) -> Option<&'a CellSummary> {
    exact.iter().copied().find(|cell| !is_batching(machine, cell)).or_else(|| exact.first().copied())
}

/// Strategies are compared where nothing is broken.
fn is_healthy(cell: &CellSummary) -> bool {
    cell.condition.fault == NO_FAULT
}

/// Whether a cell's strategy needs many updates at hand to share a round trip among: not what a request handler has.
pub fn is_batching(machine: &Machine, cell: &CellSummary) -> bool {
    machine.batch(&cell.condition.strategy) > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Clock, Record, Run};

    fn rows(name: &str, promise: Promise, rates: [u64; 3], lost: u64) -> impl Iterator<Item = Record> {
        (1..).zip(rates).map(move |(round, acked)| Record {
            round,
            trial: round + 10 * u32::from(name.as_bytes()[0]),
            acked: Some(acked),
            lost: Some(lost),
            span_ns: Some(1_000_000_000),
            verdict: Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact }),
            ..Record::blank(Condition::of(name, 4, 1), promise)
        })
    }

    fn names(cells: &[&CellSummary]) -> Vec<String> {
        cells.iter().map(|cell| cell.label.clone()).collect()
    }

    #[test]
    fn everything_within_the_noise_is_named_and_batches_do_not_win() {
        let mut run = Run::default();
        run.machine.add("batch.pipelined", "16");
        run.records.extend(rows("pipelined", Promise::Exact, [900, 910, 920], 0));
        run.records.extend(rows("incr", Promise::Exact, [100, 110, 120], 0));
        run.records.extend(rows("lua", Promise::Exact, [90, 95, 101], 0));
        run.records.extend(rows("mutex", Promise::Exact, [9, 10, 11], 0));
        run.records.extend(rows("broken", Promise::Exact, [200, 200, 200], 1));
        run.records.extend(rows("get-set", Promise::Lossy, [50, 50, 50], 20));
        run.records.extend(rows("worse", Promise::Lossy, [50, 50, 50], 40));
        let summary = Summary::of(&run);
        let answer = summary.answer(&run.machine, 4, 1).unwrap();
        assert_eq!(answer.best.unwrap().label, "incr");
        assert_eq!(names(&answer.rivals), ["lua"]);
        assert_eq!(names(&answer.slower), ["mutex"]);
        assert_eq!(names(&answer.batchers), ["pipelined"]);
        assert_eq!(answer.lossy.unwrap().label, "get-set", "the race, though another lost more");
        assert!(summary.answer(&run.machine, 8, 1).is_none());
    }

    fn over(rtt_us: u64, rows: impl Iterator<Item = Record>) -> impl Iterator<Item = Record> {
        rows.map(move |mut row| {
            (row.condition.rtt_us, row.trial) = (Some(rtt_us), row.trial + 1_000_000 + rtt_us as u32);
            row
        })
    }

    #[test]
    fn each_round_trip_has_an_answer_of_its_own_and_the_shortest_is_the_runs() {
        let mut run = Run::default();
        run.records.extend(rows("incr", Promise::Exact, [100, 110, 120], 0));
        run.records.extend(rows("mutex", Promise::Exact, [50, 51, 52], 0));
        run.records.extend(rows("watch", Promise::Exact, [20, 21, 22], 0));
        run.records.extend(over(500, rows("incr", Promise::Exact, [40, 41, 42], 0)));
        run.records.extend(over(500, rows("mutex", Promise::Exact, [1, 2, 3], 0)));
        run.records.extend(over(500, rows("watch", Promise::Exact, [5, 6, 7], 0)));
        let summary = Summary::of(&run);
        assert_eq!(summary.round_trips(), [None, Some(500)]);
        let near = summary.answer(&run.machine, 4, 1).unwrap();
        assert_eq!((near.best.unwrap().condition.rtt_us, near.slower.len()), (None, 2));
        let order = |rtt_us| -> Vec<String> {
            let places = summary.places(&run.machine, 4, 1, rtt_us).into_iter();
            places.map(|cell| cell.condition.strategy.clone()).collect()
        };
        assert_eq!(order(None), ["incr", "mutex", "watch"]);
        assert_eq!(order(Some(500)), ["incr", "watch", "mutex"], "its waiting clients wait in turn");
    }

    #[test]
    fn a_run_cut_short_is_answered_over_the_round_trip_that_was_judged() {
        let mut run = Run::default();
        run.records.extend(rows("get-set", Promise::Lossy, [50, 50, 50], 20));
        run.records.extend(over(2_000, rows("incr", Promise::Exact, [40, 41, 42], 0)));
        let summary = Summary::of(&run);
        assert_eq!(summary.shortest(4, 1), Some(2_000));
        assert_eq!(summary.answer(&run.machine, 4, 1).unwrap().best.unwrap().condition.strategy, "incr");
    }

    #[test]
    fn at_a_rate_those_that_kept_up_are_told_by_their_p99() {
        let mut run = Run::default();
        for (name, acked, backlog, p99) in [("incr", 100, 0, 900), ("lua", 99, 0, 300), ("mutex", 40, 60, 100)] {
            for row in rows(name, Promise::Exact, [acked; 3], 0) {
                let mut row = Record { backlog: Some(backlog), ..row };
                row.condition.offered_per_s = Some(100);
                run.latency.push(row.bucket(Clock::Response, (p99, 2_000)));
                run.records.push(row);
            }
        }
        let summary = Summary::of(&run);
        let answer = summary.answer(&run.machine, 4, 1).unwrap();
        assert_eq!(
            (names(&answer.prompt), names(&answer.behind)),
            (vec!["lua".to_owned(), "incr".to_owned()], vec!["mutex".to_owned()])
        );
    }
}
