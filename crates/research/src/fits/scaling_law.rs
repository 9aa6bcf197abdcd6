//! The scaling law L(N, D) = E + A / N^α + B / D^β over runs with N parameters, D tokens and last loss L.
//!
//! For given α and β the law is linear in E, A and B; these are the non-negative values with the least Σ huber(L(N, D) / L - 1), by iteratively
//! reweighted least squares. α and β are those with the least such sum: on a grid of 0.1, and then by the simplex method. The width of the
//! Huber loss is 1.345 times the scale of the residuals (median absolute deviation), which keeps 95 % of the efficiency of least squares for
//! normal residuals; Hoffmann et al. use 1e-3, near the scale of theirs.
//!
//! Intervals: residuals, widened for the five fitted values ([`super::widening`]), are drawn with replacement, added to the fitted losses, and
//! fitted again. N counts parameters without embeddings, D tokens of training.
//!
//! Source: Hoffmann et al. 2022 (arXiv 2203.15556), approach 3; Besiroglu et al. 2024 (arXiv 2404.10102) on its intervals; Wu 1986 on drawing
//! residuals.

use serde::{Deserialize, Serialize};

use super::simplex::minimize;
use super::{Estimate, Refusal, widening};
use crate::statistics::sample::median;

/// Fits of drawn residuals.
const RESAMPLES: usize = 200;
/// Fitted values.
const PARAMETERS: usize = 5;
/// Fewest sizes and fewest numbers of tokens.
const FEWEST: usize = 3;
/// Rounds of reweighted least squares.
const REWEIGHTED: usize = 2;
/// Range of α and β.
const EXPONENTS: (f64, f64) = (0.02, 2.0);
/// Largest quotient of the ends of the interval of an exponent with which the law may be extrapolated.
const WIDEST: f64 = 4.0;
/// Part of the runs, those with the most compute, on which the error of an extrapolation is measured.
const HELD_OUT: usize = 5;
/// N and D are divided by these, so that A and B have the size of losses.
const UNITS: (f64, f64) = (1e6, 1e9);

/// A run of the fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingRun {
    /// Parameters without embeddings.
    pub parameters: f64,
    /// Training tokens.
    pub tokens: f64,
    /// Last loss, in any unit.
    pub loss: f64,
}

/// The values of the law, with N in millions and D in billions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ScalingLawValues))]
struct Law {
    /// E, A and B.
    linear: [f64; 3],
    alpha: f64,
    beta: f64,
}

/// A fitted law, with the fits of drawn residuals from which its intervals come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingLaw {
    law: Law,
    resampled: Vec<Law>,
    /// Number of runs of the fit.
    pub runs: usize,
    /// Relative standard deviation of the residuals.
    pub residual: f64,
}

/// The error of an extrapolation: of the law without the runs with the most compute, on those runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldOut {
    /// Runs that were left out of the fit.
    pub runs: usize,
    /// Root mean square of predicted loss / loss - 1.
    pub error: f64,
}

impl Law {
    fn loss(&self, parameters: f64, tokens: f64) -> f64 {
        let [e, a, b] = self.linear;
        e + a * (parameters / UNITS.0).powf(-self.alpha) + b * (tokens / UNITS.1).powf(-self.beta)
    }
}

impl ScalingLaw {
    /// Fits the law. `seed` decides the intervals: equal arguments give equal intervals.
    ///
    /// # Errors
    /// Fewer than 3 sizes or 3 numbers of tokens, fewer than 8 runs, or an exponent whose interval is too wide.
    pub fn fit(runs: &[ScalingRun], seed: u64) -> Result<Self, Refusal> {
        let runs = usable(runs);
        suffice(&runs)?;
        let law = fitted(&runs, None);
        let residuals: Vec<f64> =
            runs.iter().map(|run| run.loss / law.loss(run.parameters, run.tokens) - 1.0).collect();
        let count = runs.len() as f64;
        let widening = widening(runs.len(), PARAMETERS);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut resample = || {
            let drawn = |run: &ScalingRun| {
                let residual = widening * residuals[random.usize(..residuals.len())];
                ScalingRun { loss: law.loss(run.parameters, run.tokens) * (1.0 + residual), ..*run }
            };
            fitted(&runs.iter().map(drawn).collect::<Vec<_>>(), Some(&law))
        };
        let resampled: Vec<Law> = (0..RESAMPLES).map(|_| resample()).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let residual = (squares / (count - PARAMETERS as f64)).sqrt();
        let found = Self { law, resampled, runs: runs.len(), residual };
        narrow("alpha, the exponent of the model size,", found.alpha(), "train more sizes, or sizes further apart")?;
        narrow(
            "beta, the exponent of the training tokens,",
            found.beta(),
            "train with more numbers of tokens, or further apart",
        )?;
        Ok(found)
    }

    fn estimate(&self, of: impl Fn(&Law) -> f64) -> Estimate {
        Estimate::of(of(&self.law), self.resampled.iter().map(of).collect())
    }

    /// E: the loss that no size and no number of tokens gets below.
    pub fn irreducible(&self) -> Estimate {
        self.estimate(|law| law.linear[0])
    }

    /// A, for N in millions of parameters.
    pub fn a(&self) -> Estimate {
        self.estimate(|law| law.linear[1])
    }

    /// B, for D in billions of tokens.
    pub fn b(&self) -> Estimate {
        self.estimate(|law| law.linear[2])
    }

    /// α.
    pub fn alpha(&self) -> Estimate {
        self.estimate(|law| law.alpha)
    }

    /// β.
    pub fn beta(&self) -> Estimate {
        self.estimate(|law| law.beta)
    }

    /// The mean loss of runs of this size and number of tokens.
    pub fn loss(&self, parameters: f64, tokens: f64) -> Estimate {
        self.estimate(|law| law.loss(parameters, tokens))
    }

    /// The number of parameters with the least loss for C = 6 N D FLOPs: N = G (C / 6)^(β / (α + β)), G = (α A / (β B))^(1 / (α + β)).
    pub fn best_parameters(&self, flops: f64) -> Estimate {
        self.estimate(|law| {
            let [_, a, b] = law.linear;
            let sum = law.alpha + law.beta;
            let factor = (law.alpha * a / (law.beta * b)).powf(1.0 / sum);
            UNITS.0 * factor * (flops / (6.0 * UNITS.0 * UNITS.1)).powf(law.beta / sum)
        })
    }
}

/// Fits the law without the fifth of the runs that has the most compute N D, and measures its error on them. `None` if the others do not
/// suffice for a fit.
pub fn held_out(runs: &[ScalingRun]) -> Option<HeldOut> {
    let mut runs = usable(runs);
    runs.sort_by(|a, b| (a.parameters * a.tokens).total_cmp(&(b.parameters * b.tokens)));
    let (rest, largest) = runs.split_at(runs.len() - runs.len().div_ceil(HELD_OUT));
    suffice(rest).ok()?;
    let law = fitted(rest, None);
    let squares = largest.iter().map(|run| (law.loss(run.parameters, run.tokens) / run.loss - 1.0).powi(2));
    Some(HeldOut { runs: largest.len(), error: (squares.sum::<f64>() / largest.len() as f64).sqrt() })
}

/// The runs whose values are finite and above 0.
fn usable(runs: &[ScalingRun]) -> Vec<ScalingRun> {
    let is_usable = |run: &&ScalingRun| {
        [run.parameters, run.tokens, run.loss].iter().all(|value| value.is_finite() && *value > 0.0)
    };
    runs.iter().filter(is_usable).copied().collect()
}

/// Whether runs have enough sizes and numbers of tokens.
fn suffice(runs: &[ScalingRun]) -> Result<(), Refusal> {
    enough("model sizes", distinct(runs.iter().map(|run| run.parameters)), FEWEST)?;
    enough("numbers of training tokens", distinct(runs.iter().map(|run| run.tokens)), FEWEST)?;
    enough("runs", runs.len(), PARAMETERS + 3)
}

fn distinct(values: impl Iterator<Item = f64>) -> usize {
    values.map(f64::to_bits).collect::<std::collections::BTreeSet<_>>().len()
}

fn enough(what: &'static str, found: usize, needed: usize) -> Result<(), Refusal> {
    if found >= needed { Ok(()) } else { Err(Refusal::TooFew { what, found, needed }) }
}

fn narrow(what: &'static str, Estimate { low, high, .. }: Estimate, remedy: &'static str) -> Result<(), Refusal> {
    let is_inside = low > 1.01 * EXPONENTS.0 && high < 0.99 * EXPONENTS.1;
    if is_inside && high / low <= WIDEST { Ok(()) } else { Err(Refusal::TooWide { what, low, high, remedy }) }
}

/// The law with the least sum, near `start` if there is one.
fn fitted(runs: &[ScalingRun], start: Option<&Law>) -> Law {
    let score = |alpha: f64, beta: f64| linear_part(runs, alpha, beta).1;
    let (alpha, beta) = start.map(|law| (law.alpha, law.beta)).unwrap_or_else(|| {
        let steps = || (1..=15).map(|at| 0.1 * f64::from(at));
        let all = steps().flat_map(|alpha| steps().map(move |beta| (alpha, beta)));
        all.min_by(|a, b| score(a.0, a.1).total_cmp(&score(b.0, b.1))).unwrap_or((0.5, 0.5))
    });
    let inside = |exponent: f64| exponent.exp().clamp(EXPONENTS.0, EXPONENTS.1);
    // Intervals need no more digits than this.
    let tolerance = if start.is_some() { 2e-3 } else { 1e-5 };
    let (best, _) = minimize(|[a, b]| score(inside(*a), inside(*b)), [alpha.ln(), beta.ln()], 0.05, tolerance);
    let (alpha, beta) = (inside(best[0]), inside(best[1]));
    Law { linear: linear_part(runs, alpha, beta).0, alpha, beta }
}

/// E, A and B for these exponents, and the sum of the Huber losses, which is 0 for runs on a law.
fn linear_part(runs: &[ScalingRun], alpha: f64, beta: f64) -> ([f64; 3], f64) {
    // Divided by the loss, so that residuals are relative and the target is 1.
    let row = |run: &ScalingRun| {
        [1.0, (run.parameters / UNITS.0).powf(-alpha), (run.tokens / UNITS.1).powf(-beta)].map(|value| value / run.loss)
    };
    let rows: Vec<[f64; 3]> = runs.iter().map(row).collect();
    let residual = |row: &[f64; 3], law: &[f64; 3]| row.iter().zip(law).map(|(x, value)| x * value).sum::<f64>() - 1.0;
    let mut law = non_negative(&rows, &vec![1.0; rows.len()]);
    let mut sizes: Vec<f64> = rows.iter().map(|row| residual(row, &law).abs()).collect();
    let width = (1.345 * median(&mut sizes) / crate::statistics::sample::MAD_OF_NORMAL).max(1e-9);
    for _ in 0..REWEIGHTED {
        let weight = |row: &[f64; 3]| (width / residual(row, &law).abs().max(1e-300)).min(1.0);
        let weights: Vec<f64> = rows.iter().map(weight).collect();
        law = non_negative(&rows, &weights);
    }
    let huber = |size: f64| if size <= width { 0.5 * size * size } else { width * (size - 0.5 * width) };
    let sum = rows.iter().map(|row| huber(residual(row, &law).abs())).sum();
    (law, sum)
}

/// The non-negative x with the least Σ w (row · x - 1)²: of the solutions with every subset of values at 0, the best that is not negative.
fn non_negative(rows: &[[f64; 3]], weights: &[f64]) -> [f64; 3] {
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (row, weight) in rows.iter().zip(weights) {
        for i in 0..3 {
            right[i] += weight * row[i];
            for j in 0..3 {
                normal[i][j] += weight * row[i] * row[j];
            }
        }
    }
    let gain = |x: &[f64; 3]| {
        let product = |i: usize| (0..3).map(|j| normal[i][j] * x[j]).sum::<f64>();
        (0..3).map(|i| x[i] * (2.0 * right[i] - product(i))).sum::<f64>()
    };
    // The least squares without bounds are the answer where they are not negative, which is the common case.
    if let Some(all) = solve(&normal, &right, 7).filter(|x| x.iter().all(|value| *value >= 0.0)) {
        return all;
    }
    let solutions =
        (1..7_usize).filter_map(|kept| solve(&normal, &right, kept)).filter(|x| x.iter().all(|value| *value >= 0.0));
    solutions.max_by(|a, b| gain(a).total_cmp(&gain(b))).unwrap_or([0.0; 3])
}

/// The solution of the normal equations with the values of the bits of `kept`, the others 0, by Gauss's elimination. `None` if there is none.
fn solve(normal: &[[f64; 3]; 3], right: &[f64; 3], kept: usize) -> Option<[f64; 3]> {
    let is_kept = |at: usize| kept >> at & 1 == 1;
    let entry = |i: usize, j: usize| if is_kept(i) && is_kept(j) { normal[i][j] } else { f64::from(u8::from(i == j)) };
    let mut rows: [[f64; 4]; 3] =
        std::array::from_fn(|i| [entry(i, 0), entry(i, 1), entry(i, 2), if is_kept(i) { right[i] } else { 0.0 }]);
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        if rows[column][column].abs() < 1e-14 {
            return None;
        }
        for row in 0..3 {
            if row != column {
                let factor = rows[row][column] / rows[column][column];
                rows[row] = std::array::from_fn(|at| rows[row][at] - factor * rows[column][at]);
            }
        }
    }
    Some(std::array::from_fn(|at| rows[at][3] / rows[at][at]))
}
