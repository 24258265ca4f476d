//! Labels at the ends of lines, moved apart so that they do not overlap.

/// Heights for labels that would like to stand at `wanted`: in the same order, at least `gap` apart, within 0 to
/// `height` if that many fit, and otherwise moved as little as can be (least squares, by pooling neighbours that touch).
pub(super) fn apart(wanted: &[f64], gap: f64, height: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
    // A block is a run of labels that touch: (sum of where they want its first label, how many).
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let top = |&(sum, n): &(f64, usize)| (sum / n as f64).min(height - gap * (n - 1) as f64).max(0.0);
    for &at in &order {
        blocks.push((wanted[at], 1));
        while let [.., before, last] = blocks.as_slice() {
            if top(before) + gap * before.1 as f64 <= top(last) {
                break;
            }
            let joined = (before.0 + last.0 - gap * (before.1 * last.1) as f64, before.1 + last.1);
            blocks.truncate(blocks.len() - 2);
            blocks.push(joined);
        }
    }
    let mut placed = vec![0.0; wanted.len()];
    let mut order = order.into_iter();
    for block in &blocks {
        for (i, at) in order.by_ref().take(block.1).enumerate() {
            placed[at] = top(block) + gap * i as f64;
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_far_apart_stay_and_labels_that_touch_share_the_way() {
        assert_eq!(apart(&[10.0, 90.0], 15.0, 100.0), [10.0, 90.0]);
        assert_eq!(apart(&[50.0, 50.0], 20.0, 100.0), [40.0, 60.0]);
        assert_eq!(apart(&[99.0, 98.0], 10.0, 100.0), [100.0, 90.0]);
    }

    proptest! {
        #[test]
        fn no_label_covers_another(wanted in prop::collection::vec(0.0..300.0_f64, 0..20)) {
            let placed = apart(&wanted, 15.0, 300.0);
            let mut order: Vec<usize> = (0..wanted.len()).collect();
            order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
            for pair in order.windows(2) {
                prop_assert!(placed[pair[1]] - placed[pair[0]] > 15.0 - 1e-6, "{placed:?}");
            }
            prop_assert!(placed.iter().all(|&at| (-1e-6..=300.0 + 1e-6).contains(&at)), "{placed:?}");
        }
    }
}
