//! Whether trials fall into two groups that are far apart.

use crate::stats::Spread;

/// The medians of the two groups that `values` fall into, if the gap between the groups is wider than both together
/// and the upper lies at least half above the lower: one machine, two different experiments.
pub(super) fn modes(values: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let split = (2..sorted.len().saturating_sub(1))
        .max_by(|&a, &b| (sorted[a] - sorted[a - 1]).total_cmp(&(sorted[b] - sorted[b - 1])))?;
    let (low, high) = sorted.split_at(split);
    let width = |group: &[f64]| group[group.len() - 1] - group[0];
    let (below, above) = (Spread::of(low)?.median, Spread::of(high)?.median);
    (high[0] - low[low.len() - 1] > width(low) + width(high) && above > below * 1.5).then_some((below, above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_modes_are_two_groups_far_apart() {
        assert_eq!(modes(&[10.0, 11.0, 100.0, 104.0, 102.0]), Some((10.5, 102.0)));
        assert_eq!(modes(&[10.0, 11.0, 12.0, 13.0, 14.0]), None);
        assert_eq!(modes(&[10.0, 100.0]), None);
    }
}
