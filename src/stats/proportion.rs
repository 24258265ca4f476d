//! The exact interval of a proportion: `hits` of `n`, for any n, in a fixed number of steps.
//!
//! The ends of the Clopper-Pearson interval are quantiles of beta distributions. Iterations that start from a guess and
//! stop on convergence (Newton's method, continued fractions) may not stop for few hits in many trials, so none is used
//! here. The density is integrated once, in panels of at most one standard deviation out to forty of them, and the
//! quantile is found by bisection inside its panel. Only ratios of integrals are needed, so the gamma function, which
//! cancels badly for large counts, does not occur.

/// Panels out to forty standard deviations on either side of the mean: beyond them lies less than 1e-16 of any beta
/// distribution with both parameters at least one.
const PANELS: usize = 80;
const REACH: f64 = 40.0;

/// Bisections inside one panel: each gives a bit.
const BISECTIONS: usize = 50;

/// Gauss-Legendre nodes and weights for five points on -1 to 1; exact for polynomials of degree nine.
const GAUSS: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];

/// The exact (Clopper-Pearson) interval of a proportion at 95 %: `hits` of `n`.
///
/// For no hit it is one-sided, so that "0 of n" gives the bound below which the proportion lies with 95 % confidence
/// (about 3/n); likewise if all are hits. More hits than `n` count as `n`. (Clopper and Pearson, Biometrika 26, 1934.)
///
/// ```
/// # use redis_lost_updates::stats::proportion_interval;
/// let (low, high) = proportion_interval(0, 2_000_000);
/// assert_eq!(low, 0.0);
/// assert!(high < 1.5e-6);
/// ```
pub fn proportion_interval(hits: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    // exp_m1 and not 1 - powf, which loses all digits if n is large.
    let none_of_n = (0.05_f64.ln() / n as f64).exp();
    if hits == 0 {
        return (0.0, -(0.05_f64.ln() / n as f64).exp_m1());
    }
    if hits >= n {
        return (none_of_n, 1.0);
    }
    let (k, rest) = (hits as f64, (n - hits) as f64);
    (beta_quantile(k, rest + 1.0, 0.025), beta_quantile(k + 1.0, rest, 0.975))
}

/// The value below which the fraction `q` of the beta distribution of `a` and `b` lies; both are at least one.
fn beta_quantile(a: f64, b: f64, q: f64) -> f64 {
    let whole = a + b;
    let (mean, rest) = (a / whole, b / whole);
    let deviation = (mean * rest / (whole + 1.0)).sqrt();
    // Everything is measured from the mean: near 0 and 1, absolute values lose the digits.
    let (from, to) = (-(REACH * deviation).min(mean), (REACH * deviation).min(rest));
    let density = |d: f64| ((a - 1.0) * (d / mean).ln_1p() + (b - 1.0) * (-d / rest).ln_1p()).exp();
    let width = (to - from) / PANELS as f64;
    let panels: [f64; PANELS] = std::array::from_fn(|i| {
        let low = from + i as f64 * width;
        integral(&density, low, low + width)
    });
    let wanted = q * panels.iter().sum::<f64>();
    let (mut below, mut at) = (0.0, 0);
    while at + 1 < PANELS && below + panels[at] < wanted {
        below += panels[at];
        at += 1;
    }
    let start = from + at as f64 * width;
    let (mut low, mut high) = (start, start + width);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if below + integral(&density, start, middle) < wanted { low = middle } else { high = middle }
    }
    (mean + f64::midpoint(low, high)).clamp(0.0, 1.0)
}

fn integral(density: &impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    let (middle, half) = (f64::midpoint(low, high), (high - low) / 2.0);
    half * GAUSS.iter().map(|(node, weight)| weight * density(middle + half * node)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability that a binomial variable of n and p is at or above `k` (`above`), or at or below it: its terms
    /// added up, each computed from its neighbour, over the sum of all. No integral, no gamma function.
    fn tail(k: u64, n: u64, p: f64, above: bool) -> f64 {
        let (odds, total) = (p / (1.0 - p), n as f64);
        let up = |i: f64| (total - i) / (i + 1.0) * odds; // the next term as a part of this one
        let (mut upper, mut term, mut i) = (0.0, 1.0, k as f64);
        while i < total && term > 1e-18 * (1.0 + upper) {
            term *= up(i);
            i += 1.0;
            upper += term;
        }
        let (mut lower, mut term, mut i) = (0.0, 1.0, k as f64);
        while i > 0.0 && (term > 1e-18 * (1.0 + lower) || up(i - 1.0) < 1.0) {
            i -= 1.0;
            term /= up(i);
            lower += term;
        }
        (1.0 + if above { upper } else { lower }) / (1.0 + upper + lower)
    }

    /// Checks with a second method that the ends are right to within 1e-6.
    fn agrees(k: u64, n: u64) {
        let (low, high) = proportion_interval(k, n);
        assert!(0.0 <= low && low <= k as f64 / n as f64 && k as f64 / n as f64 <= high && high <= 1.0, "{k} of {n}");
        // Relative to the distance from the nearer of 0 and 1, so that ends near 1 are checked as strictly as those
        // near 0, as far as the digits go.
        let near = |p: f64| [-1.0, 1.0].map(|side| p + side * (1e-6 * p.min(1.0 - p) + f64::EPSILON * p));
        if k > 0 && k < n {
            let [under, over] = near(low).map(|p| tail(k, n, p, true));
            assert!(under < 0.025 && 0.025 < over, "{k} of {n}: {low} {under} {over}");
            let [under, over] = near(high).map(|p| tail(k, n, p, false));
            assert!(over < 0.025 && 0.025 < under, "{k} of {n}: {high} {under} {over}");
        }
    }

    #[test]
    fn the_ends_agree_with_sums_of_the_binomial_distribution() {
        for n in (0..=12).map(|power| 10_u64.pow(power)) {
            let ends = (0..6).flat_map(|i| [i, n.saturating_sub(i)]);
            let middles = (1..=12).map(|power| n / 10_u64.pow(power).max(1));
            for k in ends.chain(middles).chain([n / 2, n / 3]).filter(|&k| k <= n) {
                // Sums of more terms than these take long, and are done for a few below.
                if k.min(n - k) <= 10_u64.pow(8) {
                    agrees(k, n);
                }
            }
        }
        for n in 1..=60 {
            (0..=n).for_each(|k| agrees(k, n));
        }
    }

    /// k, n and the interval's ends by SciPy 1.17 (Boost's inverse incomplete beta function).
    const TABLE: [(u64, u64, f64, f64); 13] = [
        (5, 20, 0.086_571_469_101_434_61, 0.491_045_871_707_957_44),
        (1, 2, 0.012_579_117_093_425_05, 0.987_420_882_906_574_9),
        (890_000, 1_000_000, 0.889_385_117_471_945_6, 0.890_612_622_530_796_6),
        (3, 7_300_000, 8.474_961_389_439_825e-8, 1.200_995_836_434_794_2e-6),
        (1, 8_000_000, 3.164_725_993_028_489e-9, 6.964_552_249_253_28e-7),
        (7_999_999, 8_000_000, 0.999_999_303_544_775_1, 0.999_999_996_835_274),
        (1, 20_000_000, 1.265_890_398_413_254_6e-9, 2.785_821_377_262_201_3e-7),
        (2, 1_000_000_000, 2.422_092_786_357_368e-10, 7.224_687_707_825_08e-9),
        (1, 1_000_000_000_000, 2.531_780_798_428_955_4e-14, 5.571_643_390_926_162_5e-12),
        (12_345, 1_000_000_000_000, 1.212_818_090_920_782_6e-8, 1.256_472_220_553_295_6e-8),
        (500_000_000_000, 1_000_000_000_000, 0.499_999_020_017_507_8, 0.500_000_979_982_492_3),
        (999_000_000_000, 1_000_000_000_000, 0.998_999_938_049_55, 0.999_000_061_947_561_4),
        (999_999_999_999, 1_000_000_000_000, 0.999_999_999_994_428_3, 0.999_999_999_999_974_7),
    ];

    #[test]
    fn what_hung_before_has_its_right_values() {
        for (k, n, low, high) in TABLE {
            let found = proportion_interval(k, n);
            let is_near = |x: f64, y: f64| (x - y).abs() <= 1e-6 * y;
            assert!(is_near(found.0, low) && is_near(found.1, high), "{k} of {n}: {found:?}, not {low} {high}");
        }
    }

    #[test]
    fn no_loss_and_nothing_but_loss_are_one_sided() {
        for n in [1, 7, 1_000_000, 1_000_000_000_000, u64::MAX] {
            let (none, all) = (proportion_interval(0, n), proportion_interval(n, n));
            // The chance of none in n is to be 5 %.
            let chance = (n as f64 * (-none.1).ln_1p()).exp();
            assert!(none.0 == 0.0 && (chance - 0.05).abs() < 1e-9, "{n}: {none:?} {chance}");
            assert!(all.1 == 1.0 && (all.0 - (1.0 - none.1)).abs() < 1e-12, "{n}: {all:?}");
        }
        assert_eq!(proportion_interval(0, 0), (0.0, 1.0));
        assert_eq!(proportion_interval(9, 4), proportion_interval(4, 4));
        let (low, high) = proportion_interval(1, u64::MAX);
        assert!(0.0 < low && low < high && high < 1e-18, "{low} {high}");
    }
}
