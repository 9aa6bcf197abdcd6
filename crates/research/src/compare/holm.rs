//! Several changes against one baseline: p-values adjusted so that the probability of any false difference stays at the level.
//!
//! Formula: the i-th smallest of m p-values becomes max over j ≤ i of min(1, (m - j + 1) p_j). Source: Holm 1979;
//! `statsmodels.stats.multitest.multipletests(method="holm")`.

/// Adjusted p-values, in the order of the given ones. NaN stays NaN and does not count.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|index| !p_values[*index].is_nan()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.iter().enumerate() {
        largest = largest.max((p_values[*index] * (order.len() - rank) as f64).min(1.0));
        adjusted[*index] = largest;
    }
    adjusted
}
