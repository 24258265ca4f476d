//! The mean of logarithms and its error, from one run's rounds, from several runs, or from pairs.
//!
//! Figures are compared as logarithms, so that a difference is a ratio. Every mean's standard error is widened by the
//! autocorrelation of the rounds ([`autocorrelation`](super::autocorrelation())). The benchmark `latte` corrects its
//! errors for the same reason, from the many samples that it has of one figure (<https://github.com/pkolaczk/latte>,
//! src/stats).

use statrs::distribution::{ContinuousCDF, Normal};

use super::autocorrelation::inflation;
use super::student::student_975;

/// The mean of some logarithms and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanLog {
    /// The mean.
    pub mean: f64,
    /// The square of its standard error.
    pub variance: f64,
    /// Degrees of freedom of that error.
    pub freedom: f64,
}

/// Degrees of freedom of an error that is practically known.
const MANY: f64 = 1_000.0;

impl MeanLog {
    /// The mean of `logs`, in the order they were measured in, each correlated with the one before by `rho`. `None` for
    /// fewer than two.
    ///
    /// For a first-order process the mean of n values varies as that of n / f independent ones, f being 1 + 2 sum (1 -
    /// k/n) rho^k; and their own variance is too small by a factor of (n - f) / (n - 1), which is corrected too.
    ///
    /// ```
    /// # use redis_lost_updates::stats::MeanLog;
    /// let independent = MeanLog::of(&[1.0, 2.0, 3.0], 0.0).unwrap();
    /// assert_eq!((independent.mean, independent.freedom), (2.0, 2.0));
    /// assert!(MeanLog::of(&[1.0, 2.0, 3.0], 0.5).unwrap().variance > 2.0 * independent.variance);
    /// ```
    pub fn of(logs: &[f64], rho: f64) -> Option<Self> {
        if logs.len() < 2 {
            return None;
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let squares: f64 = logs.iter().map(|x| (x - mean) * (x - mean)).sum();
        let f = inflation(logs.len(), rho);
        Some(Self { mean, variance: squares / (n - f) * f / n, freedom: (n / f - 1.0).max(1.0) })
    }

    /// Half the width of its 95 % interval, as a fraction of the figure whose logarithm it is: 0.02 is 2 % (upwards,
    /// the wider side).
    ///
    /// ```
    /// # use redis_lost_updates::stats::MeanLog;
    /// let mean = MeanLog::of(&[1.0, 1.1, 0.9, 1.0], 0.0).unwrap();
    /// // Student's t for three degrees of freedom is 3.182; the standard error 0.0408.
    /// assert!((mean.relative_error() - (3.182 * 0.0408_f64).exp_m1()).abs() < 1e-3);
    /// ```
    pub fn relative_error(&self) -> f64 {
        (student_975(self.freedom) * self.variance.sqrt()).exp_m1()
    }

    /// A mean of very many values that another program computed, from its confidence interval at `level` (0 to 1).
    pub fn of_interval(mean: f64, (low, high): (f64, f64), level: f64) -> Self {
        let errors = Normal::standard().inverse_cdf(0.5 + level.clamp(0.5, 0.9999) / 2.0);
        Self { mean, variance: ((high - low) / 2.0 / errors).powi(2), freedom: MANY }
    }

    /// The mean of several independent means.
    pub fn of_means(means: &[Self]) -> Option<Self> {
        let n = means.len() as f64;
        let freedom = means.iter().map(|mean| mean.freedom).reduce(f64::min)?;
        let mean = means.iter().map(|mean| mean.mean).sum::<f64>() / n;
        Some(Self { mean, variance: means.iter().map(|mean| mean.variance).sum::<f64>() / (n * n), freedom })
    }
}

/// The two sides of a comparison of several runs: the mean over runs, and the variance *between* runs of one build.
/// That variance includes the scatter of the trials within a run and their autocorrelation.
///
/// `before` and `after` have one logarithm for each run. A side with a single run is assumed to vary as the other
/// side's runs do. `None` if neither side has two runs, or one side has none.
///
/// ```
/// # use redis_lost_updates::stats::{between_runs, contrast};
/// let (before, after) = between_runs(&[1.0, 1.2, 1.1], &[0.9, 1.1, 1.0]).unwrap();
/// assert!((contrast(&before, &after, 0.0).ratio - (-0.1_f64).exp()).abs() < 1e-9);
/// assert_eq!(between_runs(&[1.0], &[2.0]), None);
/// ```
pub fn between_runs(before: &[f64], after: &[f64]) -> Option<(MeanLog, MeanLog)> {
    match (before, after) {
        ([one], several) | (several, [one]) => {
            let known = MeanLog::of(several, 0.0)?;
            // The difference has the variance S² (1 + 1/k), with k - 1 degrees of freedom; one side gets all of it.
            let total = known.variance * (several.len() as f64 + 1.0);
            let alone = MeanLog { mean: *one, variance: 0.0, freedom: MANY };
            let known = MeanLog { variance: total, ..known };
            Some(if before.len() == 1 { (alone, known) } else { (known, alone) })
        }
        _ => Some((MeanLog::of(before, 0.0)?, MeanLog::of(after, 0.0)?)),
    }
}

/// The two sides of a comparison of pairs, each (before, after) measured one right after the other, so what a pair has
/// in common cancels out. `rho` is the autocorrelation between the pairs' differences. `None` for fewer than two pairs.
pub fn paired(pairs: &[(f64, f64)], rho: f64) -> Option<(MeanLog, MeanLog)> {
    let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
    let difference = MeanLog::of(&differences, rho)?;
    let mean = pairs.iter().map(|(before, _)| before).sum::<f64>() / pairs.len() as f64;
    let before = MeanLog { mean, variance: 0.0, freedom: MANY };
    Some((before, MeanLog { mean: mean + difference.mean, ..difference }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::near;

    #[test]
    fn a_mean_has_the_variance_and_freedom_of_so_many_independent_values() {
        let logs = [1.0, 2.0, 3.0];
        let near = |found: f64, right: f64| assert!((found - right).abs() < 1e-12, "{found}, not {right}");
        let independent = MeanLog::of(&logs, 0.0).unwrap();
        near(independent.variance, 1.0 / 3.0);
        // f is 1 + 2 (2/3 x 0.2 + 1/3 x 0.04), worked out by hand.
        let f = 97.0 / 75.0;
        let correlated = MeanLog::of(&logs, 0.2).unwrap();
        near(correlated.variance, 2.0 / (3.0 - f) * f / 3.0);
        near(correlated.freedom, 3.0 / f - 1.0);
        assert_eq!(MeanLog::of(&logs, 0.9).unwrap().freedom, 1.0, "never less than one");
        assert_eq!((MeanLog::of(&[], 0.0), MeanLog::of(&[1.0], 0.0)), (None, None));
        near(MeanLog::of(&logs[..2], 0.0).unwrap().variance, 0.25);
    }

    #[test]
    fn an_interval_gives_back_the_error_it_was_made_from() {
        // The normal distribution's quantiles by mpmath: 1.960, 0.674, 3.891, 1.282.
        let of = |level| MeanLog::of_interval(5.0, (1.0, 3.0), level);
        assert_eq!((of(0.95).mean, of(0.95).freedom), (5.0, 1_000.0));
        near(of(0.95).variance, 0.260_317_771_627_005_67);
        near(of(0.8).variance, 0.608_874_560_377_744_7);
        near(of(0.5).variance, 2.198_109_338_317_732_4);
        near(of(0.9999).variance, 0.066_064_575_152_136_58);
        // A level below a half counts as a half, and one of 1 as 0.9999.
        assert_eq!((of(0.1), of(1.0)), (of(0.5), of(0.9999)));
        // Twice as wide is four times the variance.
        near(MeanLog::of_interval(5.0, (-1.0, 3.0), 0.95).variance, 4.0 * 0.260_317_771_627_005_67);
    }

    #[test]
    fn several_means_are_as_sure_as_the_least_of_them_and_vary_less() {
        let mean = |mean, variance, freedom| MeanLog { mean, variance, freedom };
        let [one, two, three] = [mean(1.0, 0.03, 9.0), mean(3.0, 0.06, 5.0), mean(8.0, 0.09, 7.0)];
        assert_eq!(MeanLog::of_means(&[]), None);
        assert_eq!(MeanLog::of_means(&[two]), Some(two));
        let all = MeanLog::of_means(&[one, two, three]).unwrap();
        assert_eq!((all.mean, all.freedom), (4.0, 5.0));
        near(all.variance, 0.02);
    }

    #[test]
    fn an_error_is_that_of_the_wider_side() {
        let mean = MeanLog { mean: 3.0, variance: 0.25, freedom: 10.0 };
        near(mean.relative_error(), (2.228_138_851_986_274_f64 / 2.0).exp() - 1.0);
        assert_eq!(MeanLog { variance: 0.0, ..mean }.relative_error(), 0.0);
    }

    #[test]
    fn pairs_are_told_by_their_differences_alone() {
        // Differences of 2, 0 and 4.
        let pairs = [(1.0, 3.0), (2.0, 2.0), (6.0, 10.0)];
        let (before, after) = paired(&pairs, 0.0).unwrap();
        assert_eq!((before.mean, before.variance, after.mean, after.freedom), (3.0, 0.0, 5.0, 2.0));
        near(after.variance, 4.0 / 3.0);
        let correlated = MeanLog::of(&[2.0, 0.0, 4.0], 0.2).unwrap();
        assert_eq!(paired(&pairs, 0.2).unwrap().1, MeanLog { mean: 5.0, ..correlated });
        assert_eq!((paired(&pairs[..1], 0.0), paired(&[], 0.0)), (None, None));
    }
}
