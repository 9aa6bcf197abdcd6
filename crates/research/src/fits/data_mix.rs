//! Data mix: the loss of a target over the weights of datasets, and the mix with the least predicted loss.
//!
//! ```text
//! ln L(w) = b_0 + sum_i b_i w_i                              linear
//! ln L(w) = b_0 + sum_i b_i w_i + sum_{i<j} b_ij w_i w_j     quadratic
//! ```
//!
//! w is on the simplex. The coefficients are those of ridge regression, b = (X'X + λ I)⁻¹ X'y with centered terms X; b_0 is not shrunk. Order and λ
//! are those with the least error of fits without one mix, which has a closed form: e_i + h_ii s / (1 - m h_ii), where s is the sum of the errors
//! of the m runs of the mix, and H = 11'/n + X (X'X + λ I)⁻¹ X'. All runs of a mix are left out at once: its other seeds would predict its loss,
//! whatever the fit. The fit is refused if this error is not below that of the mean of the runs of the other mixes. The best mix moves weight
//! between two datasets at a time, each time to the minimum of the parabola between them, from each dataset alone, equal weights and the best
//! run. Intervals: refits with resampled residuals.
//!
//! Sources: RegMix (Liu et al. 2024, arXiv 2407.01492): regression over short runs on Dirichlet mixes; the polynomials on the simplex are Scheffé's
//! (Experiments with Mixtures, 1958); ridge regression with its leave-one-out error: Golub, Heath, Wahba 1979.

use serde::{Deserialize, Serialize};

use super::{Estimate, Refusal, widening};
use crate::statistics::sample::mean;

/// Minimum number of different mixes, and the minimum for each dataset.
const FEWEST: usize = 8;
const FEWEST_PER_DATASET: usize = 2;
/// λ as fractions of the number of runs.
const PENALTIES: [f64; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Number of fits with resampled residuals.
const RESAMPLES: usize = 200;
/// Rounds over all pairs of datasets, and the improvement of ln L below which the search ends.
const ROUNDS: usize = 200;
const IMPROVEMENT: f64 = 1e-12;
/// Two mixes whose weights differ by less count as the same mix.
const SAME: f64 = 1e-6;
/// Fraction of the variance below which a fit predicts nothing but rounding errors.
const LEAST_EXPLAINED: f64 = 1e-9;

/// A run: the weights of the datasets, which sum to 1, and the loss of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct MixRun {
    pub weights: Vec<f64>,
    /// Nats per token.
    pub loss: f64,
}

/// The terms of the regression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MixOrder))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Linear,
    /// With the products of two weights.
    Quadratic,
}

impl Order {
    /// Its word in sentences.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Quadratic => "quadratic",
        }
    }
}

/// A fitted mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MixLaw))]
pub struct DataMix {
    pub order: Order,
    /// Runs that were fitted.
    pub runs: usize,
    /// The weight of each dataset in the best mix, 0 to 1.
    pub weights: Vec<Estimate>,
    /// Loss at the best mix, nats per token.
    pub loss: Estimate,
    /// Loss at equal weights, nats per token.
    pub uniform_loss: Estimate,
    /// Fraction of the variance of ln L that the fit predicts of the runs of a mix that it has not seen, at most 1.
    pub explained: f64,
    /// Relative error of the prediction of a run of a mix that the fit has not seen (root mean square of the error of ln L).
    pub error: f64,
    /// Predicted loss of each run, in their order, nats per token.
    pub predicted: Vec<f64>,
}

/// Fits the loss over mixes. `seed` decides the intervals.
///
/// # Errors
/// Fewer than 2 datasets, or fewer than 8 different mixes, or 2 for each dataset; a loss that the mix does not predict.
pub fn data_mix(runs: &[MixRun], seed: u64) -> Result<DataMix, Refusal> {
    let runs: Vec<&MixRun> = runs.iter().filter(|run| run.loss.is_finite() && run.loss > 0.0).collect();
    let datasets = runs.first().map_or(0, |run| run.weights.len());
    if datasets < 2 {
        return Err(Refusal::TooFew { what: "datasets in the mix", found: datasets, needed: 2 });
    }
    let needed = FEWEST.max(FEWEST_PER_DATASET * datasets);
    let weights: Vec<&[f64]> = runs.iter().map(|run| run.weights.as_slice()).collect();
    let found = first_of_mix(&weights).iter().enumerate().filter(|(at, first)| at == *first).count();
    if found < needed {
        return Err(Refusal::TooFew { what: "runs with different mixes", found, needed });
    }
    let logs: Vec<f64> = runs.iter().map(|run| run.loss.ln()).collect();
    let ridge = Ridge::best(&weights, &logs).ok_or_else(unpredicted)?;
    let explained = 1.0 - ridge.error().powi(2) / error_of_mean(&weights, &logs).powi(2);
    if !(explained > LEAST_EXPLAINED) {
        return Err(unpredicted());
    }
    Ok(described(&ridge, &weights, &logs, explained, seed))
}

fn unpredicted() -> Refusal {
    Refusal::NoOptimum {
        what: "the mix does not predict the loss of runs that were left out of the fit".to_owned(),
        remedy: "train longer runs, or more of them",
    }
}

/// For each run the first one with its mix.
fn first_of_mix(weights: &[&[f64]]) -> Vec<usize> {
    let is_same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(one, other)| (one - other).abs() < SAME);
    let first = |at: usize| (0..at).find(|earlier| is_same(weights[*earlier], weights[at])).unwrap_or(at);
    (0..weights.len()).map(first).collect()
}

/// For each run the sum of the values of the runs with its mix, and their number.
fn over_mix(weights: &[&[f64]], values: &[f64]) -> Vec<(f64, f64)> {
    let first = first_of_mix(weights);
    let mut sums = vec![(0.0, 0.0); values.len()];
    for (at, value) in first.iter().zip(values) {
        sums[*at] = (sums[*at].0 + value, sums[*at].1 + 1.0);
    }
    first.iter().map(|at| sums[*at]).collect()
}

/// The error of the mean of the values of the other mixes.
fn error_of_mean(weights: &[&[f64]], values: &[f64]) -> f64 {
    let (count, total) = (values.len() as f64, values.iter().sum::<f64>());
    let of_mix = over_mix(weights, values);
    root_mean_square(values.iter().zip(&of_mix).map(|(value, (sum, runs))| value - (total - sum) / (count - runs)))
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}

/// The terms of a mix: its weights, and the products of two of them.
fn terms(weights: &[f64], order: Order) -> Vec<f64> {
    let mut terms = weights.to_vec();
    if order == Order::Quadratic {
        for (at, one) in weights.iter().enumerate() {
            terms.extend(weights[at + 1..].iter().map(|other| one * other));
        }
    }
    terms
}

/// A ridge regression.
struct Ridge {
    order: Order,
    /// Means of the terms over the runs.
    center: Vec<f64>,
    /// X: the terms of each run minus their means.
    rows: Vec<Vec<f64>>,
    /// The Cholesky factor of X'X + λ I, lower triangle by rows.
    factor: Vec<Vec<f64>>,
    law: Polynomial,
    /// The trace of H, including that of the mean: the effective number of parameters.
    freedom: f64,
    /// The error of the prediction of each run by the fit without its mix.
    left_out: Vec<f64>,
}

/// Fitted values: ln L = `mean` + `coefficients` (terms - their means).
struct Polynomial {
    mean: f64,
    coefficients: Vec<f64>,
}

impl Ridge {
    /// The order and λ with the least leave-one-out error; `None` if no fit leaves two degrees of freedom.
    fn best(weights: &[&[f64]], values: &[f64]) -> Option<Self> {
        let orders = [Order::Linear, Order::Quadratic];
        let each = orders.into_iter().flat_map(|order| PENALTIES.map(|penalty| (order, penalty * values.len() as f64)));
        let fits = each.filter_map(|(order, lambda)| Self::fit(weights, values, order, lambda));
        fits.filter(|fit| fit.freedom <= values.len() as f64 - 2.0 && fit.error().is_finite())
            .min_by(|a, b| a.error().total_cmp(&b.error()))
    }

    fn fit(weights: &[&[f64]], values: &[f64], order: Order, lambda: f64) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = weights.iter().map(|weights| terms(weights, order)).collect();
        let count = rows.len() as f64;
        let center: Vec<f64> =
            (0..rows.first()?.len()).map(|term| rows.iter().map(|row| row[term]).sum::<f64>() / count).collect();
        rows.iter_mut().for_each(|row| row.iter_mut().zip(&center).for_each(|(x, mean)| *x -= mean));
        let factor = cholesky(&rows, lambda)?;
        let law = Polynomial { mean: 0.0, coefficients: vec![] };
        let mut ridge = Self { order, center, rows, factor, law, freedom: 0.0, left_out: vec![] };
        ridge.law = ridge.law_of(values);
        let leverage = |row: &Vec<f64>| 1.0 / count + dot(row, &solve(&ridge.factor, row));
        let leverages: Vec<f64> = ridge.rows.iter().map(leverage).collect();
        let residuals: Vec<f64> = ridge.rows.iter().zip(values).map(|(row, y)| y - ridge.fitted(row)).collect();
        let of_mix = over_mix(weights, &residuals);
        let each = residuals.iter().zip(&leverages).zip(&of_mix);
        ridge.left_out = each.map(|((residual, h), (sum, runs))| residual + h * sum / (1.0 - runs * h)).collect();
        ridge.freedom = leverages.iter().sum();
        Some(ridge)
    }

    /// Root mean square of the errors of the fits without a mix.
    fn error(&self) -> f64 {
        root_mean_square(self.left_out.iter().copied())
    }

    /// b = (X'X + λ I)⁻¹ X'y, and the mean.
    fn law_of(&self, values: &[f64]) -> Polynomial {
        let mean = mean(values);
        let mut moments = vec![0.0; self.factor.len()];
        for (row, y) in self.rows.iter().zip(values) {
            moments.iter_mut().zip(row).for_each(|(moment, x)| *moment += x * (y - mean));
        }
        Polynomial { mean, coefficients: solve(&self.factor, &moments) }
    }

    /// ln L of a run of the fit.
    fn fitted(&self, row: &[f64]) -> f64 {
        self.law.mean + dot(row, &self.law.coefficients)
    }

    /// L of a mix by a law with these terms.
    fn loss(&self, law: &Polynomial, mix: &[f64]) -> f64 {
        (law.mean + value(&law.coefficients, mix) - dot(&self.center, &law.coefficients)).exp()
    }
}

/// The best mix of a fit, with intervals from resampled residuals.
fn described(ridge: &Ridge, weights: &[&[f64]], values: &[f64], explained: f64, seed: u64) -> DataMix {
    let datasets = weights[0].len();
    let uniform = vec![1.0 / datasets as f64; datasets];
    let best_run = (0..values.len()).min_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0);
    let alone = |at: usize| (0..datasets).map(|other| f64::from(u8::from(other == at))).collect();
    let starts: Vec<Vec<f64>> = (0..datasets).map(alone).chain([uniform.clone(), weights[best_run].to_vec()]).collect();
    let best = minimum(&ridge.law.coefficients, &starts);
    let fitted: Vec<f64> = ridge.rows.iter().map(|row| ridge.fitted(row)).collect();
    let widened = widening(values.len(), ridge.freedom.ceil() as usize);
    let residuals: Vec<f64> = values.iter().zip(&fitted).map(|(y, fit)| widened * (y - fit)).collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut resample = || {
        let drawn: Vec<f64> = fitted.iter().map(|fit| fit + residuals[random.usize(..residuals.len())]).collect();
        let law = ridge.law_of(&drawn);
        (minimum(&law.coefficients, &starts), law)
    };
    let drawn: Vec<(Vec<f64>, Polynomial)> = (0..RESAMPLES).map(|_| resample()).collect();
    let loss_at = |mix: &[f64]| {
        Estimate::of(ridge.loss(&ridge.law, mix), drawn.iter().map(|(_, law)| ridge.loss(law, mix)).collect())
    };
    let weight = |at: usize| Estimate::of(best[at], drawn.iter().map(|(mix, _)| mix[at]).collect());
    DataMix {
        order: ridge.order,
        runs: values.len(),
        weights: (0..datasets).map(weight).collect(),
        loss: loss_at(&best),
        uniform_loss: loss_at(&uniform),
        explained,
        error: ridge.error(),
        predicted: fitted.into_iter().map(f64::exp).collect(),
    }
}

/// The Cholesky factor of X'X + λ I; `None` if it is not positive definite.
fn cholesky(rows: &[Vec<f64>], penalty: f64) -> Option<Vec<Vec<f64>>> {
    let size = rows.first()?.len();
    let mut factor = vec![vec![0.0; size]; size];
    for row in rows {
        for (i, line) in factor.iter_mut().enumerate() {
            line[..=i].iter_mut().zip(row).for_each(|(sum, x)| *sum += row[i] * x);
        }
    }
    for i in 0..size {
        factor[i][i] += penalty;
        for j in 0..=i {
            let rest = factor[i][j] - dot(&factor[i][..j], &factor[j][..j]);
            if i == j && !(rest > 0.0) {
                return None;
            }
            factor[i][j] = if i == j { rest.sqrt() } else { rest / factor[j][j] };
        }
    }
    Some(factor)
}

/// The solution of L L' x = y.
fn solve(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let size = factor.len();
    let mut x = right.to_vec();
    for (i, line) in factor.iter().enumerate() {
        x[i] = (x[i] - dot(&line[..i], &x[..i])) / line[i];
    }
    for i in (0..size).rev() {
        let rest: f64 = (i + 1..size).map(|k| factor[k][i] * x[k]).sum();
        x[i] = (x[i] - rest) / factor[i][i];
    }
    x
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The value of the polynomial at a mix. Linear coefficients have no products.
fn value(coefficients: &[f64], mix: &[f64]) -> f64 {
    let order = if coefficients.len() > mix.len() { Order::Quadratic } else { Order::Linear };
    dot(coefficients, &terms(mix, order))
}

/// The mix with the least value that the search finds from these mixes.
fn minimum(coefficients: &[f64], starts: &[Vec<f64>]) -> Vec<f64> {
    let found = starts.iter().map(|start| descend(coefficients, start.clone()));
    let best = found.min_by(|a, b| value(coefficients, a).total_cmp(&value(coefficients, b)));
    best.unwrap_or_default()
}

/// Moves weight between pairs of datasets until no move lowers the value.
fn descend(coefficients: &[f64], mut mix: Vec<f64>) -> Vec<f64> {
    let size = mix.len();
    // The product of datasets i < j has this place among the coefficients.
    let product = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        coefficients.get(size + i * (2 * size - i - 1) / 2 + j - i - 1).copied().unwrap_or(0.0)
    };
    for _ in 0..ROUNDS {
        let mut improved = 0.0;
        for i in 0..size {
            for j in i + 1..size {
                let slope = |at: usize| {
                    let others = (0..size).filter(|other| *other != at);
                    coefficients[at] + others.map(|other| product(at, other) * mix[other]).sum::<f64>()
                };
                // Moving d from j to i changes the value by a d - q d².
                let (a, q) = (slope(i) - slope(j), product(i, j));
                let change = |d: f64| a * d - q * d * d;
                let inner = Some(a / (2.0 * q)).filter(|d| q < 0.0 && (-mix[i]..=mix[j]).contains(d));
                let ends = [-mix[i], mix[j]].into_iter().chain(inner);
                let Some(d) = ends.min_by(|a, b| change(*a).total_cmp(&change(*b))) else { continue };
                if change(d) < 0.0 {
                    improved -= change(d);
                    (mix[i], mix[j]) = ((mix[i] + d).max(0.0), (mix[j] - d).max(0.0));
                }
            }
        }
        if improved < IMPROVEMENT {
            break;
        }
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on evenly spread mixes of three datasets with this ln L.
    fn runs(log: impl Fn(&[f64]) -> f64) -> Vec<MixRun> {
        let mut found = vec![];
        for a in 0..=4_u32 {
            for b in 0..=4 - a {
                let weights = vec![f64::from(a) / 4.0, f64::from(b) / 4.0, f64::from(4 - a - b) / 4.0];
                found.push(MixRun { loss: log(&weights).exp(), weights });
            }
        }
        found
    }

    #[test]
    fn the_left_out_errors_in_closed_form_are_those_of_fits_without_the_run() {
        let runs =
            runs(|w| 0.5 + 0.3 * w[0] - 0.2 * w[1] + 0.4 * w[0] * w[2] + 0.05 * (20.0 * w[0] + 9.0 * w[1]).sin());
        let weights: Vec<&[f64]> = runs.iter().map(|run| run.weights.as_slice()).collect();
        let logs: Vec<f64> = runs.iter().map(|run| run.loss.ln()).collect();
        for (order, lambda) in [(Order::Linear, 0.1), (Order::Quadratic, 1e-3)] {
            let ridge = Ridge::fit(&weights, &logs, order, lambda).unwrap();
            for at in 0..runs.len() {
                let without = |all: &[f64]| -> Vec<f64> { [&all[..at], &all[at + 1..]].concat() };
                let others: Vec<&[f64]> = [&weights[..at], &weights[at + 1..]].concat();
                let other = Ridge::fit(&others, &without(&logs), order, lambda).unwrap();
                let error = logs[at] - other.loss(&other.law, weights[at]).ln();
                assert!((error - ridge.left_out[at]).abs() < 1e-9, "{order:?} {at}: {error} {}", ridge.left_out[at]);
            }
            // The coefficients solve the normal equations.
            let residual: Vec<f64> = ridge.rows.iter().zip(&logs).map(|(row, y)| y - ridge.fitted(row)).collect();
            for (term, coefficient) in ridge.law.coefficients.iter().enumerate() {
                let gradient: f64 = ridge.rows.iter().zip(&residual).map(|(row, e)| row[term] * e).sum();
                assert!((gradient - lambda * coefficient).abs() < 1e-9, "{order:?} {term}");
            }
        }
    }

    #[test]
    fn all_runs_of_a_mix_are_left_out_at_once() {
        let seeds =
            |run: MixRun| [-0.02, 0.0, 0.03].map(|more| MixRun { loss: run.loss * f64::exp(more), ..run.clone() });
        let of_mixes = runs(|w| 0.5 + 0.3 * w[0] + 0.05 * (20.0 * w[0] + 9.0 * w[1]).sin());
        let runs: Vec<MixRun> = of_mixes.into_iter().flat_map(seeds).collect();
        let weights: Vec<&[f64]> = runs.iter().map(|run| run.weights.as_slice()).collect();
        let logs: Vec<f64> = runs.iter().map(|run| run.loss.ln()).collect();
        let ridge = Ridge::fit(&weights, &logs, Order::Quadratic, 1e-3).unwrap();
        let of_mean = error_of_mean(&weights, &logs).powi(2) * logs.len() as f64;
        let mut of_means = 0.0;
        for mix in (0..runs.len()).step_by(3) {
            let others: Vec<&[f64]> = [&weights[..mix], &weights[mix + 3..]].concat();
            let of_others = [&logs[..mix], &logs[mix + 3..]].concat();
            let other = Ridge::fit(&others, &of_others, Order::Quadratic, 1e-3).unwrap();
            for at in mix..mix + 3 {
                let error = logs[at] - other.loss(&other.law, weights[at]).ln();
                assert!((error - ridge.left_out[at]).abs() < 1e-9, "{at}: {error} {}", ridge.left_out[at]);
                of_means += (logs[at] - mean(&of_others)).powi(2);
            }
        }
        assert!((of_mean - of_means).abs() < 1e-9, "{of_mean} {of_means}");
    }

    #[test]
    fn the_minimum_of_a_parabola_on_the_simplex_is_found() {
        // (w - c)² without its constant, with w_i² = w_i - sum of w_i w_j.
        let centre = [0.6, 0.3, 0.1];
        let linear = centre.map(|c| 1.0 - 2.0 * c);
        let coefficients = [linear[0], linear[1], linear[2], -2.0, -2.0, -2.0];
        let found = descend(&coefficients, vec![0.0, 0.0, 1.0]);
        assert!(found.iter().zip(centre).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
        assert_eq!(descend(&[0.2, 0.1, 0.3], vec![0.4, 0.3, 0.3]), [0.0, 1.0, 0.0], "linear: one dataset");
    }
}
