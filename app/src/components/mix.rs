//! The weights of a dataset mix, as sliders change them.

/// The weights with one of them set and the others scaled, so that the sum stays 1.
pub(crate) fn rebalanced(weights: &[f64], at: usize, weight: f64) -> Vec<f64> {
    let weight = weight.clamp(0.0, 1.0);
    let others: f64 = weights.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, weight)| weight).sum();
    let count = weights.len().saturating_sub(1).max(1) as f64;
    let scaled = |(place, old): (usize, &f64)| match (place == at, others > 0.0) {
        (true, _) => weight,
        (false, true) => old / others * (1.0 - weight),
        (false, false) => (1.0 - weight) / count,
    };
    weights.iter().enumerate().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::rebalanced;

    #[test]
    fn the_weights_sum_to_one_after_a_change() {
        for (weights, at, weight) in [
            (vec![0.5, 0.5], 0, 0.9),
            (vec![0.2, 0.3, 0.5], 1, 0.0),
            (vec![1.0, 0.0, 0.0], 0, 0.4),
            (vec![0.3, 0.7], 1, 7.0),
        ] {
            let after = rebalanced(&weights, at, weight);
            assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{after:?}");
            assert_eq!(after[at], weight.clamp(0.0, 1.0));
        }
        assert_eq!(rebalanced(&[0.5, 0.25, 0.25], 0, 0.0), [0.0, 0.5, 0.5]);
    }
}
