//! Whether a run shows that every exact strategy kept its promise, and if not, why: the exit code and its causes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::record::Record;
use crate::verdict::{Promise, Verdict};
use crate::workload::DriverKind;

/// What a run amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every exact strategy kept its promise wherever it was raced.
    Kept,
    /// An exact strategy broke its promise, whatever else could not be judged.
    Broken,
    /// Something could not be judged: an error, or not one update was acknowledged, or every trial was skipped.
    Unjudged,
}

/// Why a run is not [`Outcome::Kept`]: all trials of one strategy with one thing wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The strategy's name.
    pub strategy: String,
    /// What is wrong.
    pub what: What,
    /// In how many trials.
    pub trials: usize,
    /// Of how many at these loads.
    pub of: usize,
    /// Client counts of these trials.
    pub threads: Vec<usize>,
    /// What drove them.
    pub driver: DriverKind,
    /// Acknowledged updates of these trials.
    pub acked: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Increments applied more than once.
    pub doubled: u64,
    /// The first error of these trials, or why they were skipped.
    pub error: Option<String>,
}

/// What is wrong with a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An exact strategy broke its promise: the verdict.
    Broken(Verdict),
    /// The race was judged, but not one of its updates was acknowledged.
    NothingAcknowledged,
    /// There is no verdict.
    NoVerdict,
}

impl What {
    /// What is wrong with this trial, if anything is. A lossy strategy may lose, and a trial that was skipped with a reason
    /// is neither right nor wrong, unless the whole run shows nothing else.
    fn of(record: &Record, is_all_skipped: bool) -> Option<Self> {
        let acked = record.acked.unwrap_or(0);
        match record.verdict {
            None => (record.error.is_some() || record.note.is_none() || is_all_skipped).then_some(Self::NoVerdict),
            Some(verdict) if record.promise == Promise::Exact && verdict.breaks_exactness() => {
                Some(Self::Broken(verdict))
            }
            Some(Verdict::Unproven) if acked == 0 => Some(Self::NothingAcknowledged),
            Some(_) => None,
        }
    }
}

/// What is wrong with these trials, broken promises first.
pub(super) fn causes(records: &[Record]) -> Vec<Cause> {
    let mut causes: BTreeMap<(What, &str, DriverKind), Vec<&Record>> = BTreeMap::new();
    let is_all_skipped = records.iter().all(|record| record.verdict.is_none());
    for record in records {
        if let Some(what) = What::of(record, is_all_skipped) {
            causes.entry((what, &record.condition.strategy, record.condition.driver)).or_default().push(record);
        }
    }
    let cause = |((what, strategy, driver), wrong): ((What, &str, DriverKind), Vec<&Record>)| {
        let threads = super::distinct(wrong.iter().map(|record| record.condition.threads));
        let is_of = |record: &&Record| {
            let of = &record.condition;
            of.strategy == strategy && of.driver == driver && threads.contains(&of.threads)
        };
        let sum = |figure: fn(&Record) -> Option<u64>| {
            wrong.iter().filter_map(|record| figure(record)).fold(0, u64::saturating_add)
        };
        Cause {
            strategy: strategy.to_owned(),
            what,
            trials: wrong.len(),
            of: records.iter().filter(is_of).count(),
            driver,
            acked: sum(|record| record.acked),
            lost: sum(|record| record.lost),
            doubled: sum(|record| record.doubled),
            error: wrong.iter().find_map(|record| record.error.clone().or_else(|| record.note.clone())),
            threads,
        }
    };
    causes.into_iter().map(cause).collect()
}

/// What these causes amount to.
pub(super) fn outcome(causes: &[Cause]) -> Outcome {
    match causes {
        [] => Outcome::Kept,
        causes if causes.iter().any(|cause| matches!(cause.what, What::Broken(_))) => Outcome::Broken,
        _ => Outcome::Unjudged,
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, trials, of, acked, lost, doubled, .. } = self;
        match self.what {
            What::Broken(verdict) => write!(f, "{strategy} broke its promise to be exact: {verdict}")?,
            What::NothingAcknowledged => write!(f, "{strategy} cannot be judged: no update was acknowledged")?,
            What::NoVerdict => write!(f, "{strategy} cannot be judged")?,
        }
        let threads: Vec<String> = self.threads.iter().map(usize::to_string).collect();
        let one = matches!(self.threads[..], [1]);
        write!(f, " in {trials} of {of} trial{} at ", if *of == 1 { "" } else { "s" })?;
        write!(f, "{} {}{}", threads.join(", "), self.driver.info().racer, if one { "" } else { "s" })?;
        if matches!(self.what, What::Broken(_)) {
            write!(f, ", {lost} of {acked} acknowledged updates lost")?;
            if *doubled > 0 {
                write!(f, ", {doubled} doubled")?;
            }
        }
        self.error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Condition;

    fn row(promise: Promise, verdict: Option<Verdict>, acked: u64) -> Record {
        let name = if promise == Promise::Exact { "incr" } else { "get-set" };
        Record { verdict, acked: Some(acked), ..Record::blank(Condition::of(name, 4, 1), promise) }
    }

    fn amounts_to(records: &[Record]) -> (Outcome, Vec<String>) {
        let causes = causes(records);
        (outcome(&causes), causes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_broken_promise_outweighs_what_could_not_be_judged_and_that_outweighs_the_rest() {
        let fine = row(Promise::Exact, Some(Verdict::Exact), 9);
        let loses = row(Promise::Lossy, Some(Verdict::Lost), 9);
        assert_eq!(amounts_to(&[fine.clone(), loses.clone()]), (Outcome::Kept, vec![]));
        let full = Record { error: Some("OOM".to_owned()), ..row(Promise::Exact, Some(Verdict::Unproven), 0) };
        let said = "incr cannot be judged: no update was acknowledged in 2 of 3 trials at 4 threads: OOM".to_owned();
        assert_eq!(amounts_to(&[fine.clone(), full.clone(), full.clone()]), (Outcome::Unjudged, vec![said.clone()]));
        let broken = Record { lost: Some(3), ..row(Promise::Exact, Some(Verdict::Lost), 9) };
        let causes = vec![
            "incr broke its promise to be exact: lost in 1 of 3 trials at 4 threads, 3 of 9 acknowledged updates lost"
                .to_owned(),
            said,
        ];
        assert_eq!(amounts_to(&[broken, full.clone(), full]), (Outcome::Broken, causes));
        assert_eq!(amounts_to(&[]), (Outcome::Kept, vec![]));
    }

    #[test]
    fn errors_count_whoever_made_them_and_skipping_with_a_reason_does_not() {
        let blank = |promise| Record { acked: None, ..row(promise, None, 0) };
        let skipped = Record { note: Some("skipped: no SET IFEQ".to_owned()), ..blank(Promise::Exact) };
        let fine = row(Promise::Exact, Some(Verdict::Exact), 9);
        assert_eq!(amounts_to(&[skipped.clone(), fine.clone()]).0, Outcome::Kept);
        // A run of nothing but skipped trials shows nothing.
        let said = "incr cannot be judged in 1 of 1 trial at 4 threads: skipped: no SET IFEQ".to_owned();
        assert_eq!(amounts_to(std::slice::from_ref(&skipped)), (Outcome::Unjudged, vec![said]));
        let failed = Record { error: Some("Broken pipe".to_owned()), ..blank(Promise::Lossy) };
        let said = "get-set cannot be judged in 1 of 1 trial at 4 threads: Broken pipe".to_owned();
        assert_eq!(amounts_to(&[skipped, failed, fine]), (Outcome::Unjudged, vec![said]));
        // Nobody says why there is no verdict.
        assert_eq!(amounts_to(&[blank(Promise::Exact)]).0, Outcome::Unjudged);
        // Some acknowledged, some unknown: left open, but not nothing.
        assert_eq!(amounts_to(&[row(Promise::Exact, Some(Verdict::Unproven), 5)]).0, Outcome::Kept);
        // Nothing acknowledged, and yet the counter moved.
        assert_eq!(amounts_to(&[row(Promise::Exact, Some(Verdict::Excess), 0)]).0, Outcome::Broken);
    }
}
