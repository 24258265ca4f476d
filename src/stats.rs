//! Numbers in, numbers out: medians with their intervals, quantiles of buckets, intervals of proportions, and how two
//! samples differ.

mod contrast;

use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

pub use contrast::{Contrast, MeanLog, autocorrelation, contrast, holm, median};

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
    /// 95 % confidence, or the whole range where that many values do not give as much. `None` for no value.
    ///
    /// It assumes nothing about the distribution but independence of the values: the k-th smallest of n lies above the
    /// median with a probability that is binomial. (Conover, Practical Nonparametric Statistics, chapter 3.)
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
        // Leave out the `cut` smallest and largest while what stays still holds the median surely enough.
        let (mut cut, mut tail) = (0, 0.5_f64.powi(n as i32));
        let mut term = tail;
        while cut + 1 < n / 2 {
            term *= (n - cut) as f64 / (cut + 1) as f64;
            if 1.0 - 2.0 * (tail + term) < 0.95 {
                break;
            }
            (tail, cut) = (tail + term, cut + 1);
        }
        let confidence = if n < 2 { 0.0 } else { 1.0 - 2.0 * tail };
        Some(Self { median, low: sorted[cut], high: sorted[n - 1 - cut], n, confidence })
    }

    /// Half the interval's width as a part of the median.
    pub fn relative(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.high - self.low) / 2.0 / self.median }
    }
}

/// The exact (Clopper-Pearson) interval of a proportion at 95 %: `hits` of `n`.
///
/// For no hit it is one-sided, so that "0 of n" gives the bound below which the proportion lies with 95 % confidence
/// (about 3/n). (Clopper and Pearson, Biometrika 26, 1934.)
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
    if hits == 0 {
        return (0.0, 1.0 - 0.05_f64.powf(1.0 / n as f64));
    }
    if hits >= n {
        return (0.05_f64.powf(1.0 / n as f64), 1.0);
    }
    let (k, n) = (hits as f64, n as f64);
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    (quantile(k, n - k + 1.0, 0.025), quantile(k + 1.0, n - k, 0.975))
}

/// The value below or at which the part `q` of all counts lies; `buckets` are (upper bound, count), in order.
pub fn quantile(buckets: &[(u64, u64)], q: f64) -> Option<u64> {
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    let rank = ((total as f64 * q).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0;
    buckets.iter().find_map(|&(up_to, count)| {
        seen += count;
        (seen >= rank && total > 0).then_some(up_to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn proportions_agree_with_the_published_table() {
        // Clopper-Pearson for 5 of 20: 0.0866 to 0.4910.
        let (low, high) = proportion_interval(5, 20);
        assert!((low - 0.0866).abs() < 1e-4 && (high - 0.4910).abs() < 1e-4, "{low} {high}");
        let (low, high) = proportion_interval(890_000, 1_000_000);
        assert!((low - 0.88938).abs() < 1e-4 && (high - 0.89061).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn quantiles_walk_the_buckets() {
        let buckets = [(10, 50), (20, 49), (1_000, 1)];
        assert_eq!(quantile(&buckets, 0.5), Some(10));
        assert_eq!(quantile(&buckets, 0.99), Some(20));
        assert_eq!(quantile(&buckets, 0.9999), Some(1_000));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
