//! Numbers in, numbers out: medians with their intervals, quantiles of buckets, intervals of proportions, and how two
//! samples differ.

mod autocorrelation;
mod contrast;
mod mean_log;
mod proportion;
mod student;

use serde::Serialize;

pub use autocorrelation::autocorrelation;
pub use contrast::{Contrast, contrast, holm, smallest_found};
pub use mean_log::{MeanLog, between_runs, paired};
pub use proportion::proportion_interval;

/// The median of some values; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// The median of integers in ascending order, rounded down where it lies between two; 0 if there are none.
pub(crate) fn middle(sorted: &[u64]) -> u64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0);
    lower.midpoint(upper)
}

/// A median with an interval around it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// How many values it was made from.
    pub n: usize,
    /// How sure it is that the interval holds the true median, 0 to 1; 0 for fewer than two values.
    pub confidence: f64,
}

impl Spread {
    /// The median of `values` and the narrowest interval between two of them that holds the true median with at least
    /// 95 % confidence, or the whole range if there are too few values for that. `None` without values.
    ///
    /// It assumes nothing about the distribution except that the values are independent: the k-th smallest of n lies
    /// above the median with a probability that is binomial. (Conover, Practical Nonparametric Statistics, chapter 3.)
    ///
    /// ```
    /// # use redis_lost_updates::stats::Spread;
    /// let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
    /// assert_eq!((spread.median, spread.low, spread.high, spread.n), (3.0, 1.0, 5.0, 5));
    /// assert_eq!(spread.confidence, 0.9375); // 1 - 2 / 2^5
    /// ```
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let middle = *sorted.get(n / 2)?;
        let median = if n % 2 == 1 { middle } else { (sorted[n / 2 - 1] + middle) / 2.0 };
        let (cut, confidence) = cut(n);
        Some(Self { median, low: sorted[cut], high: sorted[n - 1 - cut], n, confidence })
    }

    /// Half the interval's width as a fraction of the median.
    pub fn relative(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.high - self.low) / 2.0 / self.median }
    }
}

/// How many of the smallest and of the largest of n values may be left out so that the rest still spans the median with
/// at least 95 % confidence, and that confidence; 0 for fewer than two values.
fn cut(n: usize) -> (usize, f64) {
    // The binomial distribution's terms and their sum, as multiples of 2^-scale: 2^-n itself is 0 from n = 1075 on.
    let (mut term, mut tail, mut scale) = (1.0_f64, 1.0_f64, n);
    let part = |tail: f64, scale: usize| tail * 0.5_f64.powi(i32::try_from(scale).unwrap_or(i32::MAX));
    let mut cut = 0;
    while cut + 1 < n / 2 {
        term *= (n - cut) as f64 / (cut + 1) as f64;
        if 1.0 - 2.0 * part(tail + term, scale) < 0.95 {
            break;
        }
        (tail, cut) = (tail + term, cut + 1);
        if tail > LARGE {
            (term, tail, scale) = (term / LARGE, tail / LARGE, scale - LARGE_POWER);
        }
    }
    (cut, if n < 2 { 0.0 } else { 1.0 - 2.0 * part(tail, scale) })
}

/// 2^512, so that what is scaled by it stays exact.
const LARGE: f64 = f64::from_bits((1023 + LARGE_POWER as u64) << 52);
const LARGE_POWER: usize = 512;

/// The value at or below which the fraction `q` of all counts lies; `buckets` are (upper bound, count), in order.
pub fn quantile(buckets: &[(u64, u64)], q: f64) -> Option<u64> {
    // Sums saturate: a file may say anything.
    let total = buckets.iter().fold(0_u64, |total, (_, count)| total.saturating_add(*count));
    let rank = ((total as f64 * q).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0;
    buckets.iter().find_map(|&(up_to, count)| {
        seen = u64::saturating_add(seen, count);
        // A rank is at least one, so that nothing is found where nothing was counted.
        (seen >= rank).then_some(up_to)
    })
}

/// Fails unless `found` is `right` to nine digits.
#[cfg(test)]
fn near(found: f64, right: f64) {
    assert!((found - right).abs() <= 1e-9 * right.abs().max(1e-3), "{found}, not {right}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_values_needs_no_order() {
        assert_eq!((median(&[]), median(&[4.0])), (None, Some(4.0)));
        assert_eq!((median(&[9.0, 1.0, 4.0]), median(&[9.0, 1.0, 4.0, 2.0])), (Some(4.0), Some(3.0)));
    }

    /// n, k and the confidence.
    const CUTS: [(u32, u32, f64); 11] = [
        (6, 1, 0.968_75),
        (20, 6, 0.958_610_534_667_968_8),
        (1_000, 469, 0.953_708_802_639_501_9),
        (1_074, 505, 0.952_728_117_567_383_2),
        (1_075, 505, 0.955_933_520_620_151_1),
        (1_076, 506, 0.952_521_829_252_105_6),
        (2_000, 956, 0.953_447_179_508_216_4),
        (4_096, 1_985, 0.952_799_163_036_254_9),
        (10_000, 4_902, 0.951_167_050_103_618_8),
        (100_000, 49_690, 0.950_444_285_330_477_6),
        (1_000_000, 499_020, 0.950_121_031_347_631_4),
    ];

    #[test]
    fn the_interval_narrows_once_there_are_values_enough() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        let spread = Spread::of(&values).unwrap();
        // The classic table: for n = 20 the 6th and the 15th hold the median with 95.9 %.
        assert_eq!((spread.median, spread.low, spread.high), (10.5, 6.0, 15.0));
        assert!((spread.confidence - 0.959).abs() < 0.001);
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn the_interval_of_thousands_of_values_is_as_narrow_as_it_should_be() {
        // k and the confidence of 1 - 2 P(X < k) for the binomial distribution of n and 1/2, by SciPy 1.17.
        for (n, k, confidence) in CUTS {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let spread = Spread::of(&values).unwrap();
            assert_eq!((spread.low, spread.high), (f64::from(k), f64::from(n + 1 - k)), "{n}");
            assert!((spread.confidence - confidence).abs() < 1e-9, "{n}: {}", spread.confidence);
        }
    }

    #[test]
    fn few_values_say_how_little_they_tell() {
        let [one, two] = [&[7.0][..], &[7.0, 9.0]].map(|values| Spread::of(values).unwrap());
        assert_eq!(one, Spread { median: 7.0, low: 7.0, high: 7.0, n: 1, confidence: 0.0 });
        assert_eq!(two, Spread { median: 8.0, low: 7.0, high: 9.0, n: 2, confidence: 0.5 });
        assert_eq!(two.relative(), 0.125);
        // One less than the whole range of three, four and five: 1 - 2 / 2^n.
        for (n, confidence) in [(3_u32, 0.75), (4, 0.875), (5, 0.937_5)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let spread = Spread::of(&values).unwrap();
            assert_eq!((spread.low, spread.high, spread.confidence), (1.0, f64::from(n), confidence));
        }
        assert_eq!(Spread { median: 0.0, ..two }.relative(), 0.0);
    }

    #[test]
    fn quantiles_walk_the_buckets() {
        let buckets = [(10, 50), (20, 49), (1_000, 1)];
        assert_eq!(quantile(&buckets, 0.5), Some(10));
        assert_eq!(quantile(&buckets, 0.99), Some(20));
        assert_eq!(quantile(&buckets, 0.9999), Some(1_000));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[(10, 0), (20, 0)], 0.5), None, "nothing was counted");
        // The smallest, the largest, and the border between two.
        let two = [(1, 0), (10, 1), (20, 1)];
        assert_eq!([0.0, 0.5, 0.500_1, 1.0].map(|q| quantile(&two, q)), [Some(10), Some(10), Some(20), Some(20)]);
        // Counts that overflow are capped at the largest number.
        let many = [(10, u64::MAX), (20, u64::MAX)];
        assert_eq!([0.1, 1.0].map(|q| quantile(&many, q)), [Some(10), Some(10)]);
    }
}
