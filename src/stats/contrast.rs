//! How two runs differ in one figure: a ratio with an interval that allows for autocorrelation, and when to believe one
//! of many such differences.
//!
//! Figures are compared as logarithms, so that a difference is a ratio. Consecutive rounds of a run resemble each other
//! (a machine heats up, another job wakes), and treating them as independent makes intervals too narrow. Five rounds
//! are too few to say by how much. But the cause is one machine and the same in all cells, so it is estimated once,
//! from all of them ([`autocorrelation`]), and every mean's standard error is widened accordingly ([`MeanLog::of`]).
//! The benchmark `latte` corrects its errors for the same reason, from the many samples that it has of one figure
//! (<https://github.com/pkolaczk/latte>, src/stats). The interval is Welch's (Biometrika 34, 1947).

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

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

/// A ratio and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Contrast {
    /// After divided by before.
    pub ratio: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// How likely a difference this large would be if there were none.
    pub p: f64,
}

/// The strongest autocorrelation that is assumed: beyond it, a handful of rounds says nothing at all.
const MOST: f64 = 0.9;

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

fn student(freedom: f64) -> Option<StudentsT> {
    // Beyond a billion it is the normal distribution to nine digits, and the crate's cdf has none left.
    StudentsT::new(0.0, 1.0, if freedom > 1e9 { 1e9 } else { freedom }).ok()
}

/// Student's t beyond which 2.5 % lie on each side; infinite if there is no such distribution.
fn student_975(freedom: f64) -> f64 {
    student_quantile(freedom, 0.975)
}

/// The quantile of Student's t at `part` (over a half); infinite if there is no such distribution.
///
/// By bisection, one bit per step: the crate's own inverse iterates without bound for many degrees of freedom.
fn student_quantile(freedom: f64, part: f64) -> f64 {
    let Some(student) = student(freedom) else { return f64::INFINITY };
    let (mut low, mut high) = (0.0, 1.0);
    while student.cdf(high) < part && high < f64::MAX / 2.0 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..36 {
        let middle = f64::midpoint(low, high);
        if student.cdf(middle) < part { low = middle } else { high = middle }
    }
    high
}

/// The standard error of the difference of two means, and its degrees of freedom (Welch).
fn welch(before: &MeanLog, after: &MeanLog) -> (f64, f64) {
    let variance = before.variance + after.variance;
    let spent = before.variance.powi(2) / before.freedom + after.variance.powi(2) / after.freedom;
    (variance.sqrt(), if spent > 0.0 { variance.powi(2) / spent } else { before.freedom + after.freedom })
}

/// The smallest slowdown, as a fraction (0.05 is 5 %), that a comparison finds with 80 % power if its errors are those
/// of these two means. It is found if its `p` is below 0.05 as one of `tests` comparisons, and if its ratio is further
/// from 1 than `floor`: a smaller difference never counts, however certain.
///
/// The errors are estimates too. If chance makes them too small, a slowdown computed from them alone would be found
/// less often, and with few runs the cases where they are too large do not make up for it. So the result is large
/// enough for a power of 80 % on average over both.
///
/// ```
/// # use redis_lost_updates::stats::{MeanLog, smallest_found};
/// let side = MeanLog { mean: 0.0, variance: 0.0001, freedom: 1_000.0 };
/// // (1.96 + 0.84) standard errors of 1.4 %.
/// assert!((smallest_found(&side, &side, 1, 0.0) - (1.0 - (-2.804 * 0.0002_f64.sqrt()).exp())).abs() < 1e-4);
/// assert!(smallest_found(&side, &side, 60, 0.0) > smallest_found(&side, &side, 1, 0.0));
/// ```
pub fn smallest_found(before: &MeanLog, after: &MeanLog, tests: usize, floor: f64) -> f64 {
    let (error, freedom) = welch(before, after);
    if error == 0.0 {
        return 1.0 - (-floor.ln_1p()).exp();
    }
    // Holm's correction asks this much of the first of `tests` comparisons.
    let sure = student_quantile(freedom, 1.0 - 0.025 / tests.max(1) as f64);
    let errors = errors_found(sure.max(floor.ln_1p() / error), freedom);
    1.0 - (-errors * error).exp()
}

/// How many estimated standard errors a difference must have to exceed `sure` times another estimate of that error in
/// 80 % of comparisons. This is the normal approximation to a noncentral t whose noncentrality is also estimated,
/// solved by iteration.
fn errors_found(sure: f64, freedom: f64) -> f64 {
    // An estimated standard error over the true one has a mean of about `mean` and a variance of about 1 / (2 freedom).
    let mean = 1.0 - 1.0 / (4.0 * freedom.max(1.0));
    let mut errors = sure;
    for _ in 0..100 {
        let variance = 1.0 + (sure * sure + errors * errors) / (2.0 * freedom.max(1.0));
        errors = sure + NORMAL_80 * variance.sqrt() / mean;
    }
    errors
}

/// 80 % of the standard normal distribution lie below it.
const NORMAL_80: f64 = 0.841_621_233_572_914_3;

/// The factor by which the variance of a mean of n values exceeds that of independent ones.
fn inflation(n: usize, rho: f64) -> f64 {
    1.0 + 2.0 * (1..n).map(|k| (1.0 - k as f64 / n as f64) * rho.powi(k as i32)).sum::<f64>()
}

/// How strongly neighbours in these series are correlated, 0 to 0.9: one figure for all of them. Series of fewer than
/// four values do not tell, and are left out.
///
/// The usual estimate, deviations times their neighbours' over squared deviations, is far too low in short series: for
/// independent values it is -1/n. So its average over all series is compared with its expectation at each rho, and the
/// rho that fits is the answer. In series of five this still finds only about two thirds of the correlation, which the
/// few degrees of freedom left make up for. Negative correlation counts as none, because it would narrow intervals.
pub fn autocorrelation(series: &[Vec<f64>]) -> f64 {
    let told: Vec<(usize, f64)> = series.iter().filter_map(|logs| Some((logs.len(), neighbours(logs)?))).collect();
    let total: f64 = told.iter().map(|&(n, _)| n as f64).sum();
    let seen = told.iter().map(|&(n, r)| n as f64 * r).sum::<f64>() / total;
    let expected = |rho: f64| told.iter().map(|&(n, _)| n as f64 * expected_neighbours(n, rho)).sum::<f64>() / total;
    if told.is_empty() || seen <= expected(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, MOST);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if expected(middle) < seen { low = middle } else { high = middle }
    }
    high
}

/// The usual estimate of lag-1 autocorrelation; `None` if it tells nothing.
fn neighbours(logs: &[f64]) -> Option<f64> {
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let squares: f64 = logs.iter().map(|x| (x - mean) * (x - mean)).sum();
    let products: f64 = logs.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    (logs.len() >= 4 && squares > 0.0).then(|| products / squares)
}

/// Its expectation for a first-order process: the expectation of one of its sums over that of the other.
fn expected_neighbours(n: usize, rho: f64) -> f64 {
    let f = inflation(n, rho);
    let powers: f64 = (0..n).map(|k| rho.powi(k as i32)).sum();
    let n = n as f64;
    ((n - 1.0) * rho - (n + 1.0) * f / n + 2.0 * powers / n) / (n - f)
}

/// How `after` differs from `before`, with Welch's interval.
///
/// `shift` (a logarithm) is a difference that everything measured has in common. One pair of runs cannot tell whether
/// it is real or caused by the machine, so the interval covers both: the ratio as it is, and the ratio without the
/// shift.
///
/// ```
/// # use redis_lost_updates::stats::{MeanLog, contrast};
/// let run = |rate: f64| MeanLog::of(&[rate.ln() - 0.01, rate.ln(), rate.ln() + 0.01], 0.0).unwrap();
/// let slower = contrast(&run(100.0), &run(80.0), 0.0);
/// assert!((slower.ratio - 0.8).abs() < 1e-9 && slower.high < 0.85);
/// // All else fell by a fifth too: no longer a difference.
/// assert!(contrast(&run(100.0), &run(80.0), 0.8_f64.ln()).high > 1.0);
/// ```
pub fn contrast(before: &MeanLog, after: &MeanLog, shift: f64) -> Contrast {
    let difference = after.mean - before.mean;
    let (error, freedom) = welch(before, after);
    let half = student_975(freedom) * error;
    let (least, most) = (difference.min(difference - shift), difference.max(difference - shift));
    // The one nearer to no difference; no difference at all if the two lie on either side of it.
    let nearest = if least > 0.0 { least } else { most.min(0.0) };
    let p = match (nearest == 0.0, error > 0.0) {
        (true, _) => 1.0,
        (false, false) => 0.0,
        (false, true) => student(freedom).map_or(1.0, |t| 2.0 * t.cdf(-nearest.abs() / error)),
    };
    Contrast { ratio: difference.exp(), low: (least - half).exp(), high: (most + half).exp(), p }
}

/// Probabilities corrected for their number: with 95 % confidence, none of those below 0.05 is an accident. (Holm,
/// Scandinavian Journal of Statistics 6, 1979.)
///
/// ```
/// # use redis_lost_updates::stats::holm;
/// assert_eq!(holm(&[0.02, 0.01]), [0.02, 0.02]);
/// assert_eq!(holm(&[0.9, 0.9]), [1.0, 1.0]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut worst) = (vec![0.0; p.len()], 0.0_f64);
    for (rank, &i) in order.iter().enumerate() {
        worst = worst.max(p[i] * (p.len() - rank) as f64).min(1.0);
        adjusted[i] = worst;
    }
    adjusted
}

/// The median of some values; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    super::Spread::of(values).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn students_t_is_found_for_any_degrees_of_freedom() {
        // SciPy 1.17.
        let table = [
            (1.0, 12.706_204_736_174_694),
            (1.5, 6.016_663_104_427_929),
            (2.0, 4.302_652_729_749_462),
            (3.0, 3.182_446_305_283_707_8),
            (4.0, 2.776_445_105_197_793_4),
            (10.0, 2.228_138_851_986_274),
            (99.5, 1.984_093_610_990_623_8),
            (1_000.0, 1.962_339_080_826_408_3),
            (1e5, 1.959_987_707_534_609_5),
            (1e7, 1.959_964_221_767_205),
        ];
        for (freedom, t) in table {
            assert!((student_975(freedom) - t).abs() < 1e-6 * t, "{freedom}: {}", student_975(freedom));
        }
        assert!((student_975(1e300) - 1.959_963_985).abs() < 1e-6);
        assert_eq!(student_975(f64::NAN), f64::INFINITY);
        assert_eq!(student_975(0.0), f64::INFINITY);
    }

    fn near(found: f64, right: f64) {
        assert!((found - right).abs() <= 1e-9 * right.abs().max(1e-3), "{found}, not {right}");
    }

    #[test]
    fn degrees_of_freedom_below_one_have_a_t_of_their_own() {
        // mpmath's incomplete beta function, inverted with 40 digits.
        for (freedom, t) in [(0.5, 164.557_673_480_488_5), (0.1, 1_682_362_288_745.028)] {
            assert!((student_975(freedom) - t).abs() < 1e-9 * t, "{freedom}: {}", student_975(freedom));
        }
        assert!(student(2e9).is_some() && student(-1.0).is_none());
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
    fn several_runs_vary_as_runs_do_and_a_run_alone_is_taken_to_vary_as_the_others() {
        let mean = |mean, variance, freedom| MeanLog { mean, variance, freedom };
        let (one, several) = between_runs(&[1.0, 2.0, 3.0], &[4.0, 8.0]).unwrap();
        assert_eq!((one.mean, one.freedom, several), (2.0, 2.0, mean(6.0, 4.0, 1.0)));
        near(one.variance, 1.0 / 3.0);
        // S² is 1, so the difference has the variance 1 + 1/3, with two degrees of freedom.
        let difference = |(before, after): (MeanLog, MeanLog)| {
            let (error, freedom) = welch(&before, &after);
            near(error, (4.0_f64 / 3.0).sqrt());
            near(freedom, 2.0);
            (before.mean, after.mean)
        };
        assert_eq!(difference(between_runs(&[5.0], &[1.0, 2.0, 3.0]).unwrap()), (5.0, 2.0));
        assert_eq!(difference(between_runs(&[1.0, 2.0, 3.0], &[5.0]).unwrap()), (2.0, 5.0));
        for (before, after) in [(&[1.0][..], &[2.0][..]), (&[], &[1.0, 2.0]), (&[1.0, 2.0], &[]), (&[1.0], &[])] {
            assert_eq!(between_runs(before, after), None, "{before:?} {after:?}");
        }
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

    #[test]
    fn the_smallest_slowdown_found_is_the_root_of_its_equation() {
        let mean = |variance, freedom| MeanLog { mean: 7.0, variance, freedom };
        let (one, two) = (mean(0.0004, 4.0), mean(0.0009, 6.0));
        // mpmath with 40 digits: Student's quantile from the incomplete beta function, and the equation that the iteration
        // solves, as a quadratic one.
        for (before, after, tests, floor, right) in [
            (one, two, 1, 0.0, 0.115_969_009_825_585_6),
            (one, two, 0, 0.0, 0.115_969_009_825_585_6),
            (one, two, 12, 0.0, 0.172_821_006_863_839_5),
            // The floor is more than what chance alone asks for.
            (one, two, 1, 0.5, 0.418_507_151_601_152_9),
            (mean(1e-6, 1_000.0), mean(3e-6, 1_000.0), 60, 0.02, 0.021_311_164_066_154_93),
            (mean(1e-4, 2.0), mean(1e-4, 1.0), 1, 0.02, 0.088_135_630_420_126_44),
            // Without any error, whatever is beyond the floor is found: 1 - 1/1.25.
            (mean(0.0, 4.0), mean(0.0, 6.0), 12, 0.25, 0.2),
        ] {
            let found = smallest_found(&before, &after, tests, floor);
            assert!((found - right).abs() < 1e-8, "{tests} tests, {floor}: {found}, not {right}");
        }
    }

    /// The covariance of two values `apart` places from each other.
    fn covariance(rho: f64, apart: usize) -> f64 {
        (0..apart).fold(1.0, |product, _| product * rho)
    }

    /// The expected sum of products of neighbouring deviations, divided by that of squared deviations: computed by
    /// summing every covariance, which the formula does in closed form.
    fn neighbours_by_sums(n: usize, rho: f64) -> f64 {
        let of = |i: usize, j: usize| covariance(rho, i.abs_diff(j));
        let with_mean = |i: usize| (0..n).map(|j| of(i, j)).sum::<f64>() / n as f64;
        let of_mean = (0..n).map(with_mean).sum::<f64>() / n as f64;
        let deviations = |i: usize, j: usize| of(i, j) - with_mean(i) - with_mean(j) + of_mean;
        let products: f64 = (1..n).map(|i| deviations(i - 1, i)).sum();
        products / (0..n).map(|i| deviations(i, i)).sum::<f64>()
    }

    #[test]
    fn what_is_expected_of_correlated_values_is_what_their_covariances_say() {
        for n in [2_usize, 3, 4, 5, 20] {
            for rho in [0.0, 0.2, 0.5, 0.9] {
                let of_mean: f64 = (0..n * n).map(|ij| covariance(rho, (ij / n).abs_diff(ij % n))).sum();
                near(inflation(n, rho), of_mean / n as f64);
                near(expected_neighbours(n, rho), neighbours_by_sums(n, rho));
            }
        }
    }

    #[test]
    fn a_series_says_how_alike_neighbours_are_if_it_is_long_enough() {
        // Deviations -1.5, -0.5, 0.5, 1.5: 1.25 of 5.
        near(neighbours(&[1.0, 2.0, 3.0, 4.0]).unwrap(), 0.25);
        near(neighbours(&[5.0, 1.0, 5.0, 1.0, 5.0]).unwrap(), -0.8);
        assert_eq!((neighbours(&[1.0, 2.0, 3.0]), neighbours(&[7.0; 9]), neighbours(&[])), (None, None, None));
    }

    #[test]
    fn the_autocorrelation_is_the_one_that_explains_what_is_seen_in_all_series() {
        let trend: Vec<f64> = (0..200).map(f64::from).collect();
        near(autocorrelation(&[trend]), MOST);
        assert_eq!(autocorrelation(&[vec![5.0, 1.0, 5.0, 1.0, 5.0]]), 0.0, "negative is none");
        assert_eq!(autocorrelation(&[vec![7.0; 9], vec![1.0, 2.0]]), 0.0, "none that tells");
        // The observed value, about 0.25 and -0.1, with more weight on the longer series.
        let series = [vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 3.0, 2.0, 4.0, 3.0, 5.0, 4.0, 6.0]];
        let told = [neighbours(&series[0]).unwrap(), neighbours(&series[1]).unwrap()];
        let seen = (4.0 * told[0] + 8.0 * told[1]) / 12.0;
        let found = autocorrelation(&series);
        let explained = (4.0 * neighbours_by_sums(4, found) + 8.0 * neighbours_by_sums(8, found)) / 12.0;
        assert!(found > 0.1 && found < MOST, "{found}");
        near(explained, seen);
    }

    /// Variances of 0.04 and 0.09 with four and six degrees of freedom, and a difference.
    fn differing(difference: f64, shift: f64) -> Contrast {
        let before = MeanLog { mean: 7.0, variance: 0.04, freedom: 4.0 };
        let after = MeanLog { mean: 7.0 + difference, variance: 0.09, freedom: 6.0 };
        contrast(&before, &after, shift)
    }

    #[test]
    fn a_contrast_is_welchs_by_another_program() {
        // mpmath with 40 digits: 9.657 degrees of freedom by Welch and Satterthwaite; low, high, p.
        let table = [
            ((1.0, 0.0), (1.212_579_823_649_448_5, 6.093_665_715_706_972, 0.020_288_317_893_728_38)),
            // The shift explains part of it, all of it and more, or points the other way.
            ((1.0, 0.4), (0.812_816_563_210_585_7, 6.093_665_715_706_972, 0.128_149_619_644_268_5)),
            ((1.0, 2.0), (0.164_104_833_880_6, 6.093_665_715_706_972, 1.0)),
            ((-1.0, 0.0), (0.164_104_833_880_6, 0.824_687_975_584_439_2, 0.020_288_317_893_728_38)),
            ((-1.0, -0.75), (0.164_104_833_880_6, 1.745_864_458_012_531, 0.504_408_231_789_248_9)),
            ((-0.25, 0.75), (0.164_104_833_880_6, 1.745_864_458_012_531, 0.504_408_231_789_248_9)),
        ];
        for ((difference, shift), (low, high, p)) in table {
            let found = differing(difference, shift);
            near(found.ratio, difference.exp());
            near(found.low, low);
            near(found.high, high);
            near(found.p, p);
        }
        assert_eq!(differing(0.0, 0.0).p, 1.0);
    }

    #[test]
    fn without_any_error_every_difference_is_sure() {
        let known = |mean| MeanLog { mean, variance: 0.0, freedom: 4.0 };
        let differs = |after, shift| contrast(&known(1.0), &known(after), shift);
        assert_eq!(differs(1.0, 0.0), Contrast { ratio: 1.0, low: 1.0, high: 1.0, p: 1.0 });
        let half = 0.5_f64.ln();
        let slower = differs(1.0 + half, 0.0);
        assert_eq!(slower.p, 0.0);
        for ratio in [slower.ratio, slower.low, slower.high] {
            near(ratio, 0.5);
        }
        assert_eq!(differs(1.0 + half, half).p, 1.0, "all else fell as much");
        // One variance is zero: the degrees of freedom are the other's.
        let unsure = MeanLog { mean: 1.0, variance: 0.04, freedom: 10.0 };
        near(contrast(&known(1.0), &unsure, 0.0).high, (0.2 * 2.228_138_851_986_274_f64).exp());
    }

    #[test]
    fn many_probabilities_are_corrected_as_r_does_it() {
        // R: p.adjust(p, "holm").
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, right) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*found, right);
        }
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[0.6, 0.7, 0.8]), [1.0; 3], "no probability is above one");
    }

    #[test]
    fn the_middle_of_values_needs_no_order() {
        assert_eq!((median(&[]), median(&[4.0])), (None, Some(4.0)));
        assert_eq!((median(&[9.0, 1.0, 4.0]), median(&[9.0, 1.0, 4.0, 2.0])), (Some(4.0), Some(3.0)));
    }

    /// A first-order process with unit variance.
    fn process(rng: &mut fastrand::Rng, n: usize, rho: f64) -> Vec<f64> {
        let mut normal = || (-2.0 * rng.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
        let mut x = normal();
        let mut next = || {
            let now = x;
            x = rho * x + (1.0 - rho * rho).sqrt() * normal();
            now
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn autocorrelation_is_found_in_many_short_series() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (n, rho) in [(5, 0.0), (5, 0.3), (5, 0.6), (20, 0.6)] {
            let series: Vec<Vec<f64>> = (0..4_000).map(|_| process(&mut rng, n, rho)).collect();
            let found = autocorrelation(&series);
            let slack = if n == 5 { 0.25 } else { 0.1 };
            assert!((found - rho).abs() < slack, "{n} values, {rho}: {found}");
        }
        assert_eq!(autocorrelation(&[vec![1.0, 2.0], vec![]]), 0.0, "two values tell nothing");
    }

    /// The fraction of intervals that hold the true value, for sixty cells on one machine with this autocorrelation.
    fn coverage(n: usize, rho: f64) -> f64 {
        let mut rng = fastrand::Rng::with_seed(n as u64);
        let (mut held, mut all) = (0, 0);
        for _ in 0..50 {
            let series: Vec<Vec<f64>> = (0..120).map(|_| process(&mut rng, n, rho)).collect();
            let found = autocorrelation(&series);
            for pair in series.chunks(2) {
                let [a, b] = [&pair[0], &pair[1]].map(|logs| MeanLog::of(logs, found).unwrap());
                let contrast = contrast(&a, &b, 0.0);
                held += usize::from(contrast.low <= 1.0 && 1.0 <= contrast.high);
                all += 1;
            }
        }
        held as f64 / all as f64
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say_with_and_without_autocorrelation() {
        for (n, rho) in [(3, 0.0), (5, 0.0), (5, 0.3), (5, 0.6), (20, 0.0), (20, 0.6)] {
            let part = coverage(n, rho);
            assert!((0.93..=0.995).contains(&part), "{n} rounds, autocorrelation {rho}: {part}");
        }
    }
}
