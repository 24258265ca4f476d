//! How strongly consecutive rounds resemble each other, and by how much that widens the error of a mean.
//!
//! A machine heats up, another job wakes: treating rounds as independent makes intervals too narrow. Five rounds are too
//! few to say by how much. But the cause is one machine and the same in all cells, so it is estimated once, from all of
//! them.

/// The strongest autocorrelation that is assumed: beyond it, a handful of rounds says nothing at all.
const MOST: f64 = 0.9;

/// The factor by which the variance of a mean of n values exceeds that of independent ones.
pub(super) fn inflation(n: usize, rho: f64) -> f64 {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stats::near;

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

    /// A first-order process with unit variance.
    pub(in crate::stats) fn process(rng: &mut fastrand::Rng, n: usize, rho: f64) -> Vec<f64> {
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
}
