//! The isoFLOP profile: the model size with the least loss for each amount of compute.
//!
//! Runs whose training FLOPs differ by at most 10 % form a profile. A parabola through (ln N, L) has its minimum at ln N_opt, which must lie
//! among the sizes of the profile. N_opt = k C^a by the least-squares line through (ln C, ln N_opt).
//!
//! Intervals: the residuals of each profile, widened for the three fitted values ([`super::widening`]), are drawn with replacement and fitted
//! again.
//!
//! Source: Hoffmann et al. 2022 (arXiv 2203.15556), approach 2.

use serde::{Deserialize, Serialize};

use super::quadratic::Parabola;
use super::{Estimate, Refusal, widening};
use crate::statistics::line::Line;

/// Fits of drawn residuals.
const RESAMPLES: usize = 400;
/// Fewest sizes of a profile.
const FEWEST: usize = 4;
/// Largest quotient of the compute of two runs of a profile.
const TOLERANCE: f64 = 1.1;
/// Sizes at which the curve of a profile is given.
const CURVE: usize = 33;

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

/// The loss of a run of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = IsoflopPoint))]
pub struct ProfilePoint {
    /// Parameters without embeddings.
    pub parameters: f64,
    pub loss: f64,
}

/// The loss of a fitted profile at a size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = IsoflopCurvePoint))]
pub struct CurvePoint {
    /// Parameters without embeddings.
    pub parameters: f64,
    pub loss: Estimate,
}

/// The runs of one amount of compute, and the best size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = IsoflopProfile))]
pub struct Profile {
    /// Geometric mean of the training FLOPs.
    pub flops: f64,
    /// Sizes and losses, in increasing sizes.
    pub points: Vec<ProfilePoint>,
    /// The fitted parabola from the smallest to the largest size.
    pub curve: Vec<CurvePoint>,
    /// Number of parameters with the least loss.
    pub best_parameters: Estimate,
    /// Loss at that number.
    pub best_loss: f64,
}

/// All profiles, and the power law through their minima.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = IsoflopFit))]
pub struct Isoflop {
    /// In increasing compute.
    pub profiles: Vec<Profile>,
    /// a of N_opt = k C^a; `None` for a single profile.
    pub exponent: Option<Estimate>,
    /// N_opt = k C^a; `None` for a single profile.
    pub best_size: Option<BestSize>,
}

/// The power law of the best size, with those of the drawn residuals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BestSize {
    law: LogLine,
    resampled: Vec<LogLine>,
}

/// The line ln N = `mean_parameters` + `slope` (ln C - `mean_flops`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BestSizeLine))]
struct LogLine {
    mean_flops: f64,
    mean_parameters: f64,
    slope: f64,
}

impl LogLine {
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        let Line { mean_x, mean_y, slope, .. } = Line::fit(points.iter().copied())?;
        Some(Self { mean_flops: mean_x, mean_parameters: mean_y, slope })
    }

    fn parameters(&self, flops: f64) -> f64 {
        (self.mean_parameters + self.slope * (flops.ln() - self.mean_flops)).exp()
    }
}

impl BestSize {
    /// The number of parameters with the least loss for this compute, FLOPs.
    pub fn parameters(&self, flops: f64) -> Estimate {
        let resampled = self.resampled.iter().map(|line| line.parameters(flops)).collect();
        Estimate::of(self.law.parameters(flops), resampled)
    }

    fn exponent(&self) -> Estimate {
        Estimate::of(self.law.slope, self.resampled.iter().map(|line| line.slope).collect())
    }
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
    let best_size = best_size(&fitted);
    let exponent = best_size.as_ref().map(BestSize::exponent);
    Ok(Isoflop { profiles: fitted.into_iter().map(|(profile, _)| profile).collect(), exponent, best_size })
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
        Parabola::fit(&drawn.collect::<Vec<_>>())
    };
    let resampled: Vec<Parabola> = (0..RESAMPLES).filter_map(|_| resample()).collect();
    let minimum = |fitted: &Parabola| {
        // A resample without a minimum is one at the end that it falls towards.
        let end = if fitted.at(first) < fitted.at(last) { first } else { last };
        fitted.minimum().unwrap_or(end).clamp(first, last)
    };
    let minima: Vec<f64> = resampled.iter().map(minimum).collect();
    let best_parameters = Estimate::of(best.exp(), minima.iter().map(|log| log.exp()).collect());
    let curve = (0..CURVE).map(|at| {
        let log = first + (last - first) * at as f64 / (CURVE - 1) as f64;
        let loss = Estimate::of(parabola.at(log), resampled.iter().map(|fitted| fitted.at(log)).collect());
        CurvePoint { parameters: log.exp(), loss }
    });
    let point = |(parameters, loss): (f64, f64)| ProfilePoint { parameters, loss };
    let (points, curve) = (points.into_iter().map(point).collect(), curve.collect());
    Ok((Profile { flops, points, curve, best_parameters, best_loss: parabola.at(best) }, minima))
}

/// The line through (ln C, ln N_opt); `None` for a single profile.
fn best_size(fitted: &[(Profile, Vec<f64>)]) -> Option<BestSize> {
    let line = |of: &dyn Fn(&(Profile, Vec<f64>)) -> f64| {
        let points: Vec<(f64, f64)> = fitted.iter().map(|one| (one.0.flops.ln(), of(one))).collect();
        LogLine::through(&points)
    };
    let law = line(&|(profile, _)| profile.best_parameters.value.ln())?;
    let resampled = (0..RESAMPLES).filter_map(|at| line(&|(_, minima)| minima.get(at).copied().unwrap_or(f64::NAN)));
    Some(BestSize { law, resampled: resampled.filter(|line| line.slope.is_finite()).collect() })
}
