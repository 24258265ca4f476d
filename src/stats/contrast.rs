//! How two runs differ in one figure: a ratio with Welch's interval (Biometrika 34, 1947), the smallest difference that
//! would be found, and when to believe one of many.

use serde::Serialize;
use statrs::distribution::ContinuousCDF;

use super::mean_log::MeanLog;
use super::student::{student, student_975, student_quantile};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::autocorrelation::tests::process;
    use crate::stats::{autocorrelation, between_runs, near};

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
