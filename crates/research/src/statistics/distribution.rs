//! Quantiles and tail probabilities of the normal, Student's t and the chi-squared distribution.
//!
//! Probabilities outside (0, 1) and degrees of freedom that are not positive give NaN instead of a panic.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// Degrees of freedom from which on Student's t is computed as the normal distribution; the quantiles differ by less than 1e-6.
const NORMAL_FREEDOM: f64 = 1e7;

/// The quantile of the standard normal distribution at probability `p`.
pub fn normal_quantile(p: f64) -> f64 {
    if is_probability(p) { Normal::standard().inverse_cdf(p) } else { f64::NAN }
}

/// The probability that a standard normal value is at most `x`.
pub fn normal_probability(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { Normal::standard().cdf(x) }
}

/// The quantile of Student's t distribution with `freedom` degrees of freedom, which need not be an integer, at probability `p`.
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, freedom) {
        _ if freedom >= NORMAL_FREEDOM => normal_quantile(p),
        Ok(_) if p == 0.5 => 0.0,
        Ok(distribution) if is_probability(p) => distribution.inverse_cdf(p),
        _ => f64::NAN,
    }
}

/// The probability that |t| is at least `|t|`: the two-sided p-value of a t statistic.
pub fn t_two_sided(t: f64, freedom: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(distribution) if !t.is_nan() => (2.0 * distribution.sf(t.abs())).min(1.0),
        _ => f64::NAN,
    }
}

/// The quantile of the chi-squared distribution with `freedom` degrees of freedom at probability `p`.
pub fn chi_squared_quantile(p: f64, freedom: f64) -> f64 {
    match ChiSquared::new(freedom) {
        Ok(distribution) if is_probability(p) => distribution.inverse_cdf(p),
        _ => f64::NAN,
    }
}

fn is_probability(p: f64) -> bool {
    p > 0.0 && p < 1.0
}
