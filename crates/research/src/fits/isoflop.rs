//! The isoFLOP profile: the model size with the least loss for each amount of compute.
//!
//! Runs whose training FLOPs differ by at most 10 % form a profile. A parabola through (ln N, L) has its minimum at ln N_opt, which must lie
//! among the sizes of the profile. N_opt = k C^a by the least-squares line through (ln C, ln N_opt).
//!
//! Intervals: the residuals of each profile, widened for the three fitted values ([`super::widening`]), are drawn with replacement and fitted
//! again.
//!
//! Source: Hoffmann et al. 2022 (arXiv 2203.15556), approach 2.

use super::quadratic::Parabola;
use super::{Estimate, Refusal, widening};
use crate::statistics::line::Line;

/// Fits of drawn residuals.
const RESAMPLES: usize = 400;
/// Fewest sizes of a profile.
const FEWEST: usize = 4;
/// Largest quotient of the compute of two runs of a profile.
const TOLERANCE: f64 = 1.1;

/// A run of a profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsoflopRun {
    /// Parameters without embeddings.
    pub parameters: f64,
    /// Training FLOPs.
    pub flops: f64,
    /// Last loss.
    pub loss: f64,
}

/// The runs of one amount of compute, and the best size.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Geometric mean of the training FLOPs.
    pub flops: f64,
    /// Sizes and losses, in increasing sizes.
    pub points: Vec<(f64, f64)>,
    /// Number of parameters with the least loss.
    pub best_parameters: Estimate,
    /// Loss at that number.
    pub best_loss: f64,
}

/// All profiles, and the power law through their minima.
#[derive(Debug, Clone, PartialEq)]
pub struct Isoflop {
    /// In increasing compute.
    pub profiles: Vec<Profile>,
    /// a of N_opt = k C^a; `None` for a single profile.
    pub exponent: Option<Estimate>,
}

/// Fits the profiles of runs. `seed` decides the intervals.
///
/// # Errors
/// No profile has 4 sizes; the minimum of one is outside of its sizes.
pub fn isoflop(runs: &[IsoflopRun], seed: u64) -> Result<Isoflop, Refusal> {
    let groups = groups(runs);
    let most = groups.iter().map(|(_, points)| points.len()).max().unwrap_or(0);
    if most < FEWEST {
        return Err(Refusal::TooFew { what: "model sizes at equal compute", found: most, needed: FEWEST });
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let usable = groups.into_iter().filter(|(_, points)| points.len() >= FEWEST);
    let fitted = usable.map(|(flops, points)| profile(flops, points, &mut random)).collect::<Result<Vec<_>, _>>()?;
    let exponent = exponent(&fitted);
    Ok(Isoflop { profiles: fitted.into_iter().map(|(profile, _)| profile).collect(), exponent })
}

/// Mean compute and points of each profile.
fn groups(runs: &[IsoflopRun]) -> Vec<(f64, Vec<(f64, f64)>)> {
    let is_usable =
        |run: &&IsoflopRun| [run.parameters, run.flops, run.loss].iter().all(|value| value.is_finite() && *value > 0.0);
    let mut runs: Vec<&IsoflopRun> = runs.iter().filter(is_usable).collect();
    runs.sort_by(|a, b| a.flops.total_cmp(&b.flops));
    let mut groups: Vec<Vec<&IsoflopRun>> = vec![];
    for run in runs {
        match groups.last_mut().filter(|group| run.flops <= TOLERANCE * group[0].flops) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let described = |group: Vec<&IsoflopRun>| {
        let log = group.iter().map(|run| run.flops.ln()).sum::<f64>() / group.len() as f64;
        let mut points: Vec<(f64, f64)> = group.iter().map(|run| (run.parameters, run.loss)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (log.exp(), points)
    };
    groups.into_iter().map(described).collect()
}

/// A profile, and ln N_opt of its resamples.
fn profile(flops: f64, points: Vec<(f64, f64)>, random: &mut fastrand::Rng) -> Result<(Profile, Vec<f64>), Refusal> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(size, loss)| (size.ln(), *loss)).collect();
    let (first, last) = (logs[0].0, logs[logs.len() - 1].0);
    let outside = || Refusal::NoOptimum {
        what: format!("the loss at {flops:.2e} FLOPs has no minimum between the sizes that were trained"),
        remedy: "train smaller or larger models with this compute",
    };
    let parabola = Parabola::fit(&logs).ok_or_else(outside)?;
    let best = parabola.minimum().filter(|at| (first..=last).contains(at)).ok_or_else(outside)?;
    let widening = widening(logs.len(), 3);
    let residuals: Vec<f64> = logs.iter().map(|(x, y)| widening * (y - parabola.at(*x))).collect();
    let mut resample = || {
        let drawn = logs.iter().map(|(x, _)| (*x, parabola.at(*x) + residuals[random.usize(..residuals.len())]));
        // A resample without a minimum is one at the end that it falls towards.
        let fitted = Parabola::fit(&drawn.collect::<Vec<_>>())?;
        let end = if fitted.at(first) < fitted.at(last) { first } else { last };
        Some(fitted.minimum().unwrap_or(end).clamp(first, last))
    };
    let resampled: Vec<f64> = (0..RESAMPLES).filter_map(|_| resample()).collect();
    let best_parameters = Estimate::of(best.exp(), resampled.iter().map(|log| log.exp()).collect());
    Ok((Profile { flops, points, best_parameters, best_loss: parabola.at(best) }, resampled))
}

/// The slope of ln N_opt over ln C.
fn exponent(fitted: &[(Profile, Vec<f64>)]) -> Option<Estimate> {
    let slope = |of: &dyn Fn(&(Profile, Vec<f64>)) -> f64| {
        let points: Vec<(f64, f64)> = fitted.iter().map(|one| (one.0.flops.ln(), of(one))).collect();
        Line::fit(points.into_iter()).map(|line| line.slope)
    };
    let value = slope(&|(profile, _)| profile.best_parameters.value.ln())?;
    let resampled =
        (0..RESAMPLES).filter_map(|at| slope(&|(_, resampled)| resampled.get(at).copied().unwrap_or(f64::NAN)));
    Some(Estimate::of(value, resampled.filter(|slope| slope.is_finite()).collect()))
}
