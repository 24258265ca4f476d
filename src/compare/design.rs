//! What an interval is computed from: the rounds of one run, several runs, or pairs of turns.

use serde::Serialize;

use crate::compare::Pair;
use crate::compare::series::{Cell, Figure, all_rounds};
use crate::stats::{MeanLog, autocorrelation, between_runs, paired};

/// How the runs of the two sides relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Design {
    /// One run a side: the interval is computed from the rounds within a run. It does not include how much two runs of
    /// one build differ.
    OneRun,
    /// Several runs on at least one side: the interval is computed from runs.
    Runs {
        /// Runs of the first side.
        before: usize,
        /// Runs of the second side.
        after: usize,
    },
    /// Turns of both builds, one right after the other: the interval is computed from the differences within pairs.
    Pairs {
        /// Number of pairs.
        pairs: usize,
    },
}

impl Design {
    /// Whether the interval includes how much runs of one build differ.
    pub fn knows_runs(self) -> bool {
        self != Self::OneRun
    }

    /// The autocorrelation of the values that the interval is computed from.
    pub(super) fn autocorrelation(self, pairs: &[Pair]) -> f64 {
        match self {
            Self::OneRun => autocorrelation(&all_rounds(pairs)),
            // Runs are made separately, and their order is not known.
            Self::Runs { .. } => 0.0,
            Self::Pairs { .. } => {
                let both = pairs.iter().filter_map(|(before, after)| Some((before.as_ref()?, after.as_ref()?)));
                let differences = |(before, after): (&Cell, &Cell)| {
                    let logs = in_pairs(&before.surviving, &after.surviving);
                    logs.iter().map(|(before, after)| after - before).collect()
                };
                autocorrelation(&both.map(differences).collect::<Vec<_>>())
            }
        }
    }

    /// Both sides' means of one figure with their errors; `None` if there are too few values.
    pub(super) fn means(self, before: &[Figure], after: &[Figure], rho: f64) -> Option<(MeanLog, MeanLog)> {
        let logs = |runs: &[Figure]| runs.iter().filter_map(Figure::log).collect::<Vec<_>>();
        match self {
            Self::OneRun => Some((before.first()?.mean(rho)?, after.first()?.mean(rho)?)),
            Self::Runs { .. } => between_runs(&logs(before), &logs(after)),
            Self::Pairs { .. } => paired(&in_pairs(before, after), rho),
        }
    }
}

/// The logarithms of every pair that has both.
fn in_pairs(before: &[Figure], after: &[Figure]) -> Vec<(f64, f64)> {
    before.iter().zip(after).filter_map(|(before, after)| Some((before.log()?, after.log()?))).collect()
}
