//! The distribution of CMA-ES: a normal distribution N(m, σ² C) that each generation of λ points moves.
//!
//! With the points sorted by value, y_k = (x_k - m) / σ, and weights w_k ∝ ln((λ + 1) / 2) - ln k, the best half summing to 1:
//! m ← m + σ y_w with y_w = Σ w_k y_k over the best half;
//! p_σ ← (1 - c_σ) p_σ + sqrt(c_σ (2 - c_σ) μ_eff) C^(-1/2) y_w; σ ← σ exp(c_σ / d_σ (|p_σ| / E|N(0, I)| - 1));
//! p_c ← (1 - c_c) p_c + h sqrt(c_c (2 - c_c) μ_eff) y_w;
//! C ← (1 + c_1 δ - c_1 - c_μ Σ w) C + c_1 p_c p_cᵀ + c_μ Σ w_k y_k y_kᵀ, with negative weights for the worse half (active CMA).
//!
//! Source: Hansen 2016, The CMA Evolution Strategy: A Tutorial (arXiv 1604.00772), equations 37 to 58 with the default constants; checked
//! against the Python package `cmaes`, which Optuna uses. The crate `cmaes` cannot be told results of points that it did not draw, and
//! depends on threads and a linear algebra library that the browser would load.

use super::eigen::{Matrix, eigen, identity};

/// The constants of a number of dimensions.
#[derive(Debug, Clone)]
struct Constants {
    /// λ.
    population: usize,
    weights: Vec<f64>,
    mu_eff: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// E|N(0, I)|.
    chi: f64,
}

/// The normal distribution and its evolution paths.
#[derive(Debug, Clone)]
pub struct Distribution {
    constants: Constants,
    generation: i32,
    mean: Vec<f64>,
    sigma: f64,
    covariance: Matrix,
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
    /// B of C = B D² Bᵀ.
    axes: Matrix,
    /// The diagonal of D.
    lengths: Vec<f64>,
}

impl Constants {
    fn new(dimensions: usize) -> Self {
        let n = dimensions as f64;
        let population = 4 + (3.0 * n.ln()).floor() as usize;
        let half = population / 2;
        let raw: Vec<f64> =
            (1..=population).map(|rank| ((population as f64 + 1.0) / 2.0).ln() - (rank as f64).ln()).collect();
        let effective =
            |part: &[f64]| part.iter().sum::<f64>().powi(2) / part.iter().map(|weight| weight * weight).sum::<f64>();
        let (mu_eff, mu_eff_minus) = (effective(&raw[..half]), effective(&raw[half..]));
        let c_1 = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let c_mu = (1.0 - c_1 - 1e-8).min(2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0).powi(2) + mu_eff));
        let alpha =
            (1.0 + c_1 / c_mu).min(1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0)).min((1.0 - c_1 - c_mu) / (n * c_mu));
        let positive: f64 = raw.iter().filter(|weight| **weight > 0.0).sum();
        let negative: f64 = -raw.iter().filter(|weight| **weight < 0.0).sum::<f64>();
        let scale = |weight: &f64| if *weight >= 0.0 { weight / positive } else { alpha * weight / negative };
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        Self {
            population,
            weights: raw.iter().map(scale).collect(),
            mu_eff,
            c_sigma,
            d_sigma: 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma,
            c_c: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_1,
            c_mu,
            chi: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }
}

impl Distribution {
    /// The distribution N(mean, sigma² I); `mean` is not empty.
    pub fn new(mean: Vec<f64>, sigma: f64) -> Self {
        let size = mean.len();
        Self {
            constants: Constants::new(size),
            generation: 0,
            sigma,
            covariance: identity(size),
            path_sigma: vec![0.0; size],
            path_c: vec![0.0; size],
            axes: identity(size),
            lengths: vec![1.0; size],
            mean,
        }
    }

    /// λ: points of a generation.
    pub fn population(&self) -> usize {
        self.constants.population
    }

    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// C, by rows.
    pub fn covariance(&self) -> &[Vec<f64>] {
        &self.covariance
    }

    /// The point m + σ B D z of a vector of standard normal values.
    pub fn point(&self, normal: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = normal.iter().zip(&self.lengths).map(|(z, length)| z * length).collect();
        self.axes.iter().zip(&self.mean).map(|(row, mean)| mean + self.sigma * dot(row, &scaled)).collect()
    }

    /// C^(-1/2) y.
    fn whitened(&self, y: &[f64]) -> Vec<f64> {
        let size = y.len();
        let along = |axis: usize| (0..size).map(|row| self.axes[row][axis] * y[row]).sum::<f64>() / self.lengths[axis];
        let along: Vec<f64> = (0..size).map(along).collect();
        self.axes.iter().map(|row| dot(row, &along)).collect()
    }

    /// [`Self::update`] with points of any origin: steps longer than those that are likely are shortened.
    pub fn update_with(&mut self, points: &[Vec<f64>]) {
        let n = self.mean.len() as f64;
        let longest = n.sqrt() + 2.0 * n / (n + 2.0);
        let shortened = |point: &Vec<f64>| {
            let step = mixed(point, 1.0, &self.mean, -1.0);
            let turned = self.whitened(&step);
            let length = dot(&turned, &turned).sqrt() / self.sigma;
            if length > longest { add(&self.mean, &step, longest / length) } else { point.clone() }
        };
        let points: Vec<Vec<f64>> = points.iter().map(shortened).collect();
        self.update(&points);
    }

    /// Moves the distribution by a generation of λ points, best first.
    pub fn update(&mut self, points: &[Vec<f64>]) {
        let constants = self.constants.clone();
        let Constants { weights, mu_eff, c_sigma, d_sigma, c_c, chi, .. } = &constants;
        self.generation += 1;
        let steps: Vec<Vec<f64>> = points
            .iter()
            .map(|point| point.iter().zip(&self.mean).map(|(x, m)| (x - m) / self.sigma).collect())
            .collect();
        let best = weights.iter().zip(&steps).take(constants.population / 2);
        let mean_step = best.fold(vec![0.0; self.mean.len()], |sum, (weight, step)| add(&sum, step, *weight));
        self.mean = add(&self.mean, &mean_step, self.sigma);

        let turned = self.whitened(&mean_step);
        self.path_sigma = mixed(&self.path_sigma, 1.0 - c_sigma, &turned, (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt());
        let length = dot(&self.path_sigma, &self.path_sigma).sqrt();
        let expected = (1.0 - (1.0 - c_sigma).powi(2 * (self.generation + 1))).sqrt();
        let is_short = length / expected < (1.4 + 2.0 / (self.mean.len() as f64 + 1.0)) * chi;
        let h = f64::from(u8::from(is_short));
        self.path_c = mixed(&self.path_c, 1.0 - c_c, &mean_step, h * (c_c * (2.0 - c_c) * mu_eff).sqrt());
        self.adapt_covariance(&constants, &steps, h);
        self.sigma *= (c_sigma / d_sigma * (length / chi - 1.0)).exp();
        self.decompose();
    }

    fn adapt_covariance(&mut self, constants: &Constants, steps: &[Vec<f64>], h: f64) {
        let Constants { weights, c_c, c_1, c_mu, .. } = constants;
        let size = self.mean.len();
        let damped = |(weight, step): (&f64, &Vec<f64>)| {
            let turned = self.whitened(step);
            if *weight >= 0.0 { *weight } else { weight * size as f64 / (dot(&turned, &turned) + 1e-8) }
        };
        let own: Vec<f64> = weights.iter().zip(steps).map(damped).collect();
        let kept = 1.0 + c_1 * (1.0 - h) * c_c * (2.0 - c_c) - c_1 - c_mu * weights.iter().sum::<f64>();
        let entry = |row: usize, column: usize| {
            let rank_mu: f64 = own.iter().zip(steps).map(|(weight, step)| weight * step[row] * step[column]).sum();
            kept * self.covariance[row][column] + c_1 * self.path_c[row] * self.path_c[column] + c_mu * rank_mu
        };
        self.covariance = (0..size).map(|row| (0..size).map(|column| entry(row, column)).collect()).collect();
    }

    /// B and D of C; an eigenvalue that rounding made negative becomes small.
    fn decompose(&mut self) {
        let (values, axes) = eigen(&self.covariance);
        self.lengths = values.iter().map(|value| if *value > 0.0 { value.sqrt() } else { 1e-4 }).collect();
        self.axes = axes;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a + factor b.
fn add(a: &[f64], b: &[f64], factor: f64) -> Vec<f64> {
    mixed(a, 1.0, b, factor)
}

fn mixed(a: &[f64], of_a: f64, b: &[f64], of_b: f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| of_a * a + of_b * b).collect()
}
