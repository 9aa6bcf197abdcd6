//! A Parzen estimator: the density of the points of a group of trials, as a mixture of one kernel per trial and one wide prior.
//!
//! Numbers: a normal distribution around the trial's place on the scale, truncated to the range; its standard deviation is the larger
//! distance to a neighbouring trial, at least range / min(100, kernels + 1); the prior is centred, with the range as standard deviation. Values
//! with steps have the probability of half a step on both sides. Choices: probability (1 + w) / (1 + C w) of the trial's own choice and
//! w / (1 + C w) of each of the other C - 1, w = 1 / kernels. The kernel of a point of several parameters is the product. The newest 25 trials
//! and the prior weigh 1; before them the weights fall linearly to 1 / n.
//!
//! Sources: Bergstra et al. 2011; Watanabe 2023 (arXiv 2304.11127); `_ParzenEstimator` of Optuna 5 with its default settings.

use serde_json::Value;
use wire::sweep::space::Values as Range;

use crate::statistics::distribution::{normal_probability, normal_quantile};

/// Newest trials that weigh the same.
const FLAT: usize = 25;

/// Kernels of one parameter, one for each trial and the prior last.
#[derive(Debug, Clone)]
enum Kernels {
    /// (mean, standard deviation) on the scale of the range.
    Normal(Vec<(f64, f64)>),
    /// The index of the trial's choice; `None` for the prior.
    Choice(Vec<Option<usize>>),
}

/// The density of points of several parameters.
#[derive(Debug, Clone)]
pub struct Parzen<'a> {
    ranges: Vec<&'a Range>,
    kernels: Vec<Kernels>,
    /// Logarithms of the weights of the kernels, which sum to 1.
    log_weights: Vec<f64>,
}

impl<'a> Parzen<'a> {
    /// The estimator over these ranges from observed points in the order of their trials; each has one value for each range.
    pub fn new(ranges: Vec<&'a Range>, points: &[Vec<&Value>]) -> Self {
        let places =
            |at: usize| points.iter().map(|point| ranges[at].place(point[at]).unwrap_or(0.0)).collect::<Vec<_>>();
        let kernels = ranges.iter().enumerate().map(|(at, range)| kernels(range, &places(at))).collect();
        let weights = weights(points.len());
        let total: f64 = weights.iter().sum();
        Self { ranges, kernels, log_weights: weights.iter().map(|weight| (weight / total).ln()).collect() }
    }

    /// A random point of the density.
    pub fn sample(&self, random: &mut fastrand::Rng) -> Vec<Value> {
        let mut rest = random.f64();
        let chosen = self.log_weights.iter().position(|weight| {
            rest -= weight.exp();
            rest < 0.0
        });
        let kernel = chosen.unwrap_or(self.log_weights.len() - 1);
        let draw = |(range, kernels): (&&Range, &Kernels)| range.at_scale(kernels.sample(range, kernel, random.f64()));
        self.ranges.iter().zip(&self.kernels).map(draw).collect()
    }

    /// The logarithm of the density of a point; of its probability where all parameters have steps or choices.
    pub fn log_density(&self, point: &[Value]) -> f64 {
        let of_kernel = |(kernel, weight): (usize, &f64)| {
            let parts = self.ranges.iter().zip(&self.kernels).zip(point);
            weight + parts.map(|((range, kernels), value)| kernels.log_density(range, kernel, value)).sum::<f64>()
        };
        log_sum(&self.log_weights.iter().enumerate().map(of_kernel).collect::<Vec<_>>())
    }
}

impl Kernels {
    /// The place on the scale at this quantile of a kernel.
    fn sample(&self, range: &Range, kernel: usize, quantile: f64) -> f64 {
        match self {
            Self::Normal(kernels) => {
                let (mean, deviation) = kernels[kernel];
                let (low, high) = range.scale();
                let probability = |place: f64| normal_probability((place - mean) / deviation);
                let p = probability(low) + quantile * (probability(high) - probability(low));
                // Rounding gives p = 0 or 1, whose quantile is infinite, far beyond the bound that replaces it.
                let place = mean + deviation * normal_quantile(p);
                if place.is_finite() { place.clamp(low, high) } else { mean }
            }
            Self::Choice(kernels) => {
                let count = range.count().unwrap_or(1);
                let own = kernels[kernel];
                let mut rest = quantile;
                let drawn = (0..count).position(|choice| {
                    rest -= choice_probability(own == Some(choice), own.is_none(), count, kernels.len());
                    rest < 0.0
                });
                drawn.unwrap_or(count - 1) as f64
            }
        }
    }

    fn log_density(&self, range: &Range, kernel: usize, value: &Value) -> f64 {
        let place = range.place(value).unwrap_or(f64::NAN);
        match self {
            Self::Choice(kernels) => {
                let own = kernels[kernel];
                let is_own = own.is_some_and(|own| own as f64 == place);
                choice_probability(is_own, own.is_none(), range.count().unwrap_or(1), kernels.len()).ln()
            }
            Self::Normal(kernels) => {
                let (mean, deviation) = kernels[kernel];
                let (low, high) = range.scale();
                let standard = |place: f64| (place - mean) / deviation;
                let inside = mass(standard(low), standard(high)).ln();
                let density = match cell(range, value) {
                    Some((from, to)) => mass(standard(from), standard(to)).ln(),
                    None => -0.5 * standard(place).powi(2) - 0.5 * std::f64::consts::TAU.ln() - deviation.ln(),
                };
                density - inside
            }
        }
    }
}

/// The part of the scale that is rounded to a value; `None` for a continuous range.
fn cell(range: &Range, value: &Value) -> Option<(f64, f64)> {
    let number = value.as_f64()?;
    match range {
        Range::Integers { is_log: true, .. } => Some(((number - 0.5).ln(), (number + 0.5).ln())),
        Range::Integers { step, .. } => Some((number - 0.5 * *step as f64, number + 0.5 * *step as f64)),
        Range::Steps { step, .. } => Some((number - 0.5 * step, number + 0.5 * step)),
        Range::Numbers { .. } | Range::Choices(_) => None,
    }
}

/// The probability of a standard normal value between two; differences are taken in the lower tail, which has more digits.
fn mass(low: f64, high: f64) -> f64 {
    let (low, high) = if low > 0.0 { (-high, -low) } else { (low, high) };
    normal_probability(high) - normal_probability(low)
}

fn choice_probability(is_own: bool, is_prior: bool, count: usize, kernels: usize) -> f64 {
    let prior = 1.0 / kernels as f64;
    match is_prior {
        true => 1.0 / count as f64,
        false => (prior + f64::from(u8::from(is_own))) / (1.0 + prior * count as f64),
    }
}

fn kernels(range: &Range, places: &[f64]) -> Kernels {
    if range.is_unordered() {
        return Kernels::Choice(places.iter().map(|place| Some(*place as usize)).chain([None]).collect());
    }
    let (low, high) = range.scale();
    let narrowest = (high - low) / (2.0 + places.len() as f64).min(100.0);
    let deviations = distances(places, low, high).into_iter().map(|distance| distance.clamp(narrowest, high - low));
    let prior = (0.5 * (low + high), high - low);
    Kernels::Normal(places.iter().copied().zip(deviations).chain([prior]).collect())
}

/// The larger distance of each place to its neighbours. The bounds count as neighbours of a single place; the outermost of several places have
/// one neighbour.
fn distances(places: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    let mut found = vec![0.0; places.len()];
    for (rank, index) in order.iter().enumerate() {
        let neighbour = |rank: Option<usize>| rank.and_then(|rank| order.get(rank)).map(|index| places[*index]);
        let (below, above) = (neighbour(rank.checked_sub(1)), neighbour(Some(rank + 1)));
        let place = places[*index];
        found[*index] = match (below, above) {
            (None, None) => (place - low).max(high - place),
            (Some(below), None) => place - below,
            (None, Some(above)) => above - place,
            (Some(below), Some(above)) => (place - below).max(above - place),
        };
    }
    found
}

/// The weights of `count` trials from the oldest on, and of the prior, not yet summing to 1.
fn weights(count: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(FLAT);
    let rising = |at: usize| match ramp {
        1 => 1.0 / count as f64,
        _ => 1.0 / count as f64 + (1.0 - 1.0 / count as f64) * at as f64 / (ramp - 1) as f64,
    };
    (0..ramp).map(rising).chain(std::iter::repeat_n(1.0, count - ramp + 1)).collect()
}

/// ln Σ exp(x) without overflow.
fn log_sum(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shift = if largest.is_finite() { largest } else { 0.0 };
    values.iter().map(|value| (value - shift).exp()).sum::<f64>().ln() + shift
}
