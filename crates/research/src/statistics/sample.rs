//! Descriptions of a sample: mean, variance, median, quantile, median absolute deviation.

/// The factor by which the median absolute deviation of normal values is divided to estimate their standard deviation: the third
/// quartile of the standard normal distribution (Rousseeuw, Croux 1993).
pub const MAD_OF_NORMAL: f64 = 0.674_489_750_196_081_7;

/// Mean; NaN without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance with n - 1 in the denominator; NaN for fewer than 2 values.
pub fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// Median; reorders the values. NaN without values.
pub fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return f64::NAN;
    }
    let is_odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd { upper } else { 0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + upper) }
}

/// Median and median absolute deviation from it, not scaled; overwrites the values.
pub fn median_and_mad(values: &mut [f64]) -> (f64, f64) {
    let center = median(values);
    values.iter_mut().for_each(|value| *value = (*value - center).abs());
    (center, median(values))
}

/// The quantile at probability `p` of sorted values, linear between neighbours (NumPy's default). NaN without values.
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_small_samples() {
        for (values, expected) in
            [(vec![], f64::NAN), (vec![3.0], 3.0), (vec![9.0, 1.0], 5.0), (vec![5.0, 9.0, 1.0], 5.0)]
        {
            let found = median(&mut values.clone());
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{values:?}: {found}");
        }
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(variance(&[1.0]).is_nan() && mean(&[]).is_nan() && quantile(&[], 0.5).is_nan());
        assert_eq!(variance(&[1.0, 3.0]), 2.0);
        assert_eq!(median_and_mad(&mut [1.0, 2.0, 3.0, 4.0, 100.0]), (3.0, 1.0));
        assert_eq!((quantile(&[1.0, 2.0, 4.0], 0.75), quantile(&[1.0, 2.0, 4.0], 1.0)), (3.0, 4.0));
    }
}
