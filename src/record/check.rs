//! Limits on what a row, and a folder of rows, may contain: files get edited, truncated and merged, and whatever reads them
//! must terminate.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use crate::condition::Condition;
use crate::pace::MAX_RATE;
use crate::record::{Bucket, Estimate, Fact, Fault, Record, Run, Step};
use crate::update::Event;
use crate::workload::MAX_CLIENTS;

/// A row of a file, whose figures must be ones that a run can have.
pub trait Row: DeserializeOwned {
    /// The figure that no run can have, if there is one, as a sentence without a full stop.
    fn flaw(&self) -> Option<String>;
}

/// `threads 0: from 1 to 20000`; `None` if the number is in its range.
fn outside(name: &str, number: usize, most: usize) -> Option<String> {
    not_within(name, number as u64, 1..=most as u64)
}

fn not_within(name: &str, number: u64, range: RangeInclusive<u64>) -> Option<String> {
    (!range.contains(&number)).then(|| format!("{name} {number}: from {} to {}", range.start(), range.end()))
}

fn no_load(threads: usize, keys: usize) -> Option<String> {
    outside("threads", threads, MAX_CLIENTS).or_else(|| outside("keys", keys, Event::MAX_KEYS))
}

/// The first figure of a condition that no run can be made under.
fn no_condition(condition: &Condition) -> Option<String> {
    let Condition { threads, keys, pool_size, offered_per_s, shards, replicas, rtt_us, .. } = condition;
    no_load(*threads, *keys)
        .or_else(|| pool_size.and_then(|size| outside("pool_size", size, MAX_CLIENTS)))
        .or_else(|| offered_per_s.and_then(|per_s| not_within("offered_per_s", per_s, 1..=MAX_RATE)))
        .or_else(|| not_within("shards", (*shards).into(), 1..=MOST_SHARDS))
        .or_else(|| not_within("replicas", (*replicas).into(), 0..=MOST_REPLICAS))
        .or_else(|| rtt_us.and_then(|us| not_within("rtt_us", us, 1..=LONGEST_RTT_US)))
}

/// A shard owns at least one of a cluster's hash slots.
const MOST_SHARDS: u64 = 16_384;
/// No cluster has more nodes than this.
const MOST_REPLICAS: u64 = 1_000;
/// A minute: more than any network, or any proxy that stands for one, takes.
const LONGEST_RTT_US: u64 = 60_000_000;

impl Row for Record {
    fn flaw(&self) -> Option<String> {
        let parts = [("overlap", self.overlap), ("slowest_share", self.slowest_share), ("jain", self.jain)];
        // A mean of rates may round to a little over one.
        let is_part = |part: f64| (0.0..=1.0 + 1e-6).contains(&part);
        let wrong = parts.into_iter().find_map(|(name, part)| Some((name, part.filter(|&part| !is_part(part))?)));
        no_condition(&self.condition).or_else(|| wrong.map(|(name, part)| format!("{name} {part}: from 0 to 1")))
    }
}

impl Row for Bucket {
    fn flaw(&self) -> Option<String> {
        no_load(self.threads, self.keys)
    }
}

impl Row for Step {
    fn flaw(&self) -> Option<String> {
        outside("threads", self.threads, MAX_CLIENTS)
    }
}

impl Row for Fact {
    fn flaw(&self) -> Option<String> {
        None
    }
}

impl Row for Fault {
    fn flaw(&self) -> Option<String> {
        let numbers = [("trial", Some(self.trial.into())), ("connection", self.connection), ("command", self.command)];
        let zero = numbers.into_iter().find(|(_, number)| *number == Some(0));
        let is_in_time = self.at_ns.unsigned_abs() <= LONGEST_NS as u64;
        zero.map(|(name, _)| format!("{name} 0: counted from 1"))
            .or_else(|| (!is_in_time).then(|| format!("at_ns {}: at most {LONGEST_NS:e} either way", self.at_ns)))
            .or_else(|| self.what.is_empty().then(|| "what: empty".to_owned()))
    }
}

impl Row for Estimate {
    fn flaw(&self) -> Option<String> {
        let times = [
            ("mean_ns", self.mean_ns),
            ("mean_low_ns", self.mean_low_ns),
            ("mean_high_ns", self.mean_high_ns),
            ("median_ns", self.median_ns),
        ];
        let wrong = times.into_iter().find(|(_, ns)| !(0.0..=LONGEST_NS).contains(ns));
        outside("threads", self.threads, MAX_CLIENTS)
            .or_else(|| wrong.map(|(name, ns)| format!("{name} {ns}: from 0 to {LONGEST_NS:e}")))
            .or_else(|| {
                let is_level = (0.0..=1.0).contains(&self.confidence);
                (!is_level).then(|| format!("confidence {}: from 0 to 1", self.confidence))
            })
    }
}

/// Thirty years: no iteration of a benchmark, and no run, takes that long.
const LONGEST_NS: f64 = 1e18;

/// The most strategies, each under its own conditions, that one page can show.
const MOST_STRATEGIES: usize = 500;
/// The most loads: thread counts times key counts.
const MOST_LOADS: usize = 400;
/// The most cells, bench ids, or steps of witnesses.
const MOST_CELLS: usize = 10_000;

/// What a run has too much of for one page, whose charts show every strategy at every load.
pub(super) fn excess(run: &Run) -> Option<String> {
    let count = |what: &str, n: usize, most: usize| (n > most).then(|| format!("has {n} {what}, of at most {most}"));
    let cells: HashSet<&Condition> = run.records.iter().map(|record| &record.condition).collect();
    let strategies: HashSet<Condition> =
        cells.iter().map(|&condition| Condition { threads: 1, keys: 1, ..condition.clone() }).collect();
    let (threads, keys): (HashSet<usize>, HashSet<usize>) = cells.iter().map(|c| (c.threads, c.keys)).unzip();
    count("strategies", strategies.len(), MOST_STRATEGIES)
        .or_else(|| count("thread counts times key counts", threads.len() * keys.len(), MOST_LOADS))
        .or_else(|| count("cells", cells.len(), MOST_CELLS))
        .or_else(|| count("estimates", run.estimates.len(), MOST_CELLS))
        .or_else(|| count("steps of witnesses", run.witness.len(), MOST_CELLS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Folder, Machine};
    use crate::verdict::Promise;

    /// The result of reading a folder with these rows, in words.
    fn said_of(records: &[Record]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::create(&dir.path().join("run"), &Machine::default()).unwrap();
        records.iter().for_each(|record| folder.append(record, &[]).unwrap());
        Run::read(folder.path()).map_or_else(|error| error.to_string(), |run| format!("{} rows", run.records.len()))
    }

    fn row(strategy: &str, threads: usize, keys: usize) -> Record {
        Record::blank(Condition::of(strategy, threads, keys), Promise::Lossy)
    }

    #[test]
    fn figures_that_no_run_can_have_are_refused_with_their_line() {
        let fine = row("get-set", 4, 1);
        let most = Record { acked: Some(u64::MAX), jain: Some(1.0), ..row("get-set", 20_000, 16_384) };
        assert_eq!(said_of(&[fine.clone(), most]), "2 rows");
        for (wrong, said) in [
            (row("get-set", 4, usize::MAX), "line 3: keys 18446744073709551615: from 1 to 16384"),
            (row("get-set", 0, 1), "line 3: threads 0: from 1 to 20000"),
            (Record { overlap: Some(f64::NAN), ..fine.clone() }, "line 3: overlap NaN: from 0 to 1"),
            (Record { jain: Some(-0.5), ..fine.clone() }, "line 3: jain -0.5: from 0 to 1"),
        ] {
            let found = said_of(&[fine.clone(), wrong]);
            assert!(found.contains("trials.csv") && found.ends_with(said), "{found}");
        }
    }

    /// Asserts that both ends of a figure's range can be read, and that values beyond give an error that names the
    /// figure.
    fn has_ends(name: &str, ends: (u64, u64), set: impl Fn(&mut Condition, u64)) {
        let with = |number: u64| {
            let mut record = row("incr", 4, 1);
            set(&mut record.condition, number);
            said_of(&[record])
        };
        let (least, most) = ends;
        assert_eq!((with(least), with(most)), ("1 rows".to_owned(), "1 rows".to_owned()), "{name}");
        for beyond in [least.checked_sub(1), most.checked_add(1)].into_iter().flatten() {
            let said = with(beyond);
            assert!(said.ends_with(&format!("line 2: {name} {beyond}: from {least} to {most}")), "{said}");
        }
    }

    #[test]
    fn every_figure_of_a_condition_has_a_range() {
        has_ends("threads", (1, 20_000), |condition, n| condition.threads = n as usize);
        has_ends("keys", (1, 16_384), |condition, n| condition.keys = n as usize);
        has_ends("pool_size", (1, 20_000), |condition, n| condition.pool_size = Some(n as usize));
        has_ends("offered_per_s", (1, 10_000_000), |condition, n| condition.offered_per_s = Some(n));
        has_ends("shards", (1, 16_384), |condition, n| condition.shards = n as u32);
        has_ends("replicas", (0, 1_000), |condition, n| condition.replicas = n as u32);
        has_ends("rtt_us", (1, 60_000_000), |condition, n| condition.rtt_us = Some(n));
    }

    #[test]
    fn a_fault_that_was_made_never_is_refused_with_its_line() {
        let said = |rows: &str| {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::create(&dir.path().join("run"), &Machine::default()).unwrap();
            let text = format!("trial,at_ns,connection,command,name,what\n1,-5,,,,cut-both\n{rows}\n");
            std::fs::write(folder.path().join("faults.csv"), text).unwrap();
            Run::read(folder.path()).map_or_else(|error| error.to_string(), |run| format!("{} rows", run.faults.len()))
        };
        assert_eq!(said("7,1000000000000000000,1,1,INCR,lost-reply-fin"), "2 rows");
        assert_eq!(said("7,-1000000000000000000,18446744073709551615,,,x"), "2 rows");
        for (row, flaw) in [
            ("0,1,,,,x", "line 3: trial 0: counted from 1"),
            ("1,1,0,,,x", "line 3: connection 0: counted from 1"),
            ("1,1,1,0,,x", "line 3: command 0: counted from 1"),
            ("1,1000000000000000001,,,,x", "line 3: at_ns 1000000000000000001: at most 1e18 either way"),
            ("1,-9223372036854775808,,,,x", "line 3: at_ns -9223372036854775808: at most 1e18 either way"),
            ("1,1,,,,", "line 3: what: empty"),
        ] {
            let found = said(row);
            assert!(found.contains("faults.csv") && found.ends_with(flaw), "{found}");
        }
    }

    #[test]
    fn more_than_a_page_can_show_is_refused() {
        let many: Vec<Record> = (0..20_000).map(|i| row(&format!("s{i}"), 4, 1)).collect();
        let said = said_of(&many);
        assert!(said.ends_with("has 20000 strategies, of at most 500: split it into several folders"), "{said}");
        let loads: Vec<Record> = (1..=21).map(|i| row("incr", i, i)).collect();
        let said = said_of(&loads);
        assert!(said.contains("has 441 thread counts times key counts, of at most 400"), "{said}");
    }
}
