//! The answer of the server to a request for a fit: the runs that it read, and the fit or the reason for which there is none.
//!
//! A page draws it and extrapolates by itself: a [`ScalingLaw`] and an [`Isoflop`] have the fits of the drawn residuals, from which the
//! interval at any size follows.

use serde::{Deserialize, Serialize};

use super::batch_size::{BatchSize, batch_size};
use super::data_mix::{DataMix, MixRun, data_mix};
use super::isoflop::{Isoflop, IsoflopRun, isoflop};
use super::learning_rate::{RangeTest, range_test, smoothed};
use super::scaling_law::{HeldOut, ScalingLaw, ScalingRun, held_out};
use super::{Estimate, Refusal};
use crate::refused::Refused;

/// Maximum number of points of a series in a report.
const POINTS: usize = 400;

/// The fits of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FitKind {
    /// L = E + A / N^alpha + B / D^beta over model sizes and training tokens.
    ScalingLaw,
    /// The model size with the least loss for each amount of compute.
    Isoflop,
    /// The learning-rate range test of one run.
    LearningRate,
    /// The batch size that the gradient noise scale of one run suggests.
    BatchSize,
    /// The loss of a dataset, or the mean of all, over the weights of the mix.
    Mix,
}

impl FitKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::ScalingLaw, Self::Isoflop, Self::Mix, Self::LearningRate, Self::BatchSize];

    /// Its word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ScalingLaw => "scaling_law",
            Self::Isoflop => "isoflop",
            Self::LearningRate => "learning_rate",
            Self::BatchSize => "batch_size",
            Self::Mix => "mix",
        }
    }

    /// Whether it is a fit of the series of one run, and not of several runs.
    pub const fn is_of_one_run(self) -> bool {
        matches!(self, Self::LearningRate | Self::BatchSize)
    }
}

/// A run as a fit reads it: its last evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FittedRun {
    /// Id.
    pub run: String,
    pub name: String,
    /// Parameters without embeddings.
    pub parameters: f64,
    /// Training tokens until the evaluation.
    pub tokens: f64,
    /// Training FLOPs until the evaluation.
    pub flops: f64,
    /// Validation loss, nats per token; of a fit of mixes, that of the target.
    pub loss: f64,
}

/// A point of the series of one run: of a range test, the learning rate and the training loss; else steps done and the gradient noise scale,
/// tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FitPoint))]
pub struct SeriesPoint {
    pub x: f64,
    pub y: f64,
    /// The loss of a range test, smoothed.
    pub smoothed: Option<f64>,
}

/// Where a scaling law is extrapolated to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Target {
    /// Parameters without embeddings; 4 times the largest by default.
    pub parameters: Option<f64>,
    /// Training tokens; 4 times the most by default.
    pub tokens: Option<f64>,
    /// Training FLOPs for which the best size is computed; those of the extrapolation by default.
    pub flops: Option<f64>,
}

/// An extrapolation of a scaling law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extrapolation {
    /// Parameters without embeddings.
    pub parameters: f64,
    /// Training tokens.
    pub tokens: f64,
    /// Mean loss of runs of this size and number of tokens, nats per token.
    pub loss: Estimate,
    /// Training FLOPs, C = 6 N D.
    pub flops: f64,
    /// Number of parameters with the least loss for these FLOPs; `None` if the law has no such number.
    pub best_parameters: Option<Estimate>,
}

/// A fitted scaling law.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingLawFit {
    /// E: the loss that no size and no number of tokens gets below.
    pub irreducible: Estimate,
    /// A, for N in millions of parameters.
    pub a: Estimate,
    pub alpha: Estimate,
    /// B, for D in billions of tokens.
    pub b: Estimate,
    pub beta: Estimate,
    /// Relative standard deviation of the residuals.
    pub residual: f64,
    /// Error of an extrapolation to the runs with the most compute; `None` if the other runs do not suffice for a fit.
    pub held_out: Option<HeldOut>,
    pub extrapolation: Extrapolation,
    /// The law, with the fits of drawn residuals.
    pub law: ScalingLaw,
}

/// The noise scale of a run with the length of its sequences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchSizeFit {
    pub suggested: BatchSize,
    /// Tokens of a sequence.
    pub seq: usize,
    /// The noise scale in sequences, at least 1: the batch size that it suggests.
    pub sequences: f64,
}

/// The best mix, with what was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DataMixFit))]
pub struct MixFit {
    /// The datasets, in the order of all weights.
    pub datasets: Vec<String>,
    /// The dataset whose loss is fitted; `None` for the mean of the losses of all datasets.
    pub target: Option<String>,
    /// Weights of each run, in the order of the runs.
    pub mixes: Vec<Vec<f64>>,
    pub fit: DataMix,
}

/// The mixes of the runs that are fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mixes {
    pub datasets: Vec<String>,
    /// The dataset whose loss is fitted; `None` for the mean of all.
    pub target: Option<String>,
    /// Weights of each run, which sum to 1.
    pub weights: Vec<Vec<f64>>,
}

/// A fit, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum FitResult {
    ScalingLaw(Box<ScalingLawFit>),
    Isoflop(Isoflop),
    LearningRate(RangeTest),
    BatchSize(BatchSizeFit),
    Mix(Box<MixFit>),
    Refused(Refused),
}

/// What was read, and the fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FitReport {
    /// The runs, in the order of their creation; empty for a fit of the series of one run.
    pub runs: Vec<FittedRun>,
    /// Names of runs that were left out, because they have no evaluation.
    pub left_out: Vec<String>,
    /// The series of one run, at most 400 points; empty for a fit of several runs.
    pub series: Vec<SeriesPoint>,
    pub result: FitResult,
}

impl FitReport {
    /// A report without a fit.
    pub fn refused(runs: Vec<FittedRun>, left_out: Vec<String>, refused: Refused) -> Self {
        Self { runs, left_out, series: vec![], result: FitResult::Refused(refused) }
    }

    /// The scaling law of runs, extrapolated. `seed` decides the intervals.
    pub fn scaling_law(runs: Vec<FittedRun>, left_out: Vec<String>, target: Target, seed: u64) -> Self {
        let points: Vec<ScalingRun> = runs.iter().map(FittedRun::scaling_run).collect();
        let result = match ScalingLaw::fit(&points, seed) {
            Ok(law) => FitResult::ScalingLaw(Box::new(ScalingLawFit::new(law, &points, target))),
            Err(refusal) => FitResult::Refused(refusal.into()),
        };
        Self { runs, left_out, series: vec![], result }
    }

    /// The isoFLOP profiles of runs. `seed` decides the intervals.
    pub fn isoflop(runs: Vec<FittedRun>, left_out: Vec<String>, seed: u64) -> Self {
        let points: Vec<IsoflopRun> = runs.iter().map(FittedRun::isoflop_run).collect();
        let result =
            isoflop(&points, seed).map_or_else(|refusal| FitResult::Refused(refusal.into()), FitResult::Isoflop);
        Self { runs, left_out, series: vec![], result }
    }

    /// The best mix of runs, whose losses are those of the target. `seed` decides the intervals.
    pub fn mix(runs: Vec<FittedRun>, mixes: Mixes, left_out: Vec<String>, seed: u64) -> Self {
        let result = mixes.fit(&runs, seed);
        let result =
            result.map_or_else(|refusal| FitResult::Refused(refusal.into()), |fit| FitResult::Mix(Box::new(fit)));
        Self { runs, left_out, series: vec![], result }
    }

    /// The range test of (learning rate, training loss) at consecutive steps.
    pub fn learning_rate(points: &[(f64, f64)]) -> Self {
        let usable: Vec<(f64, f64)> =
            points.iter().copied().filter(|(rate, loss)| *rate > 0.0 && loss.is_finite()).collect();
        let smooth = smoothed(&usable);
        let point = |((rate, loss), (_, smooth)): (&(f64, f64), &(f64, f64))| SeriesPoint {
            x: *rate,
            y: *loss,
            smoothed: Some(*smooth),
        };
        let series = thinned(usable.iter().zip(&smooth).map(point).collect());
        Self::of_series(series, range_test(points).map(FitResult::LearningRate))
    }

    /// The batch size of (steps done, noise scale in tokens) in the order of the steps, for a run with `batch_tokens` tokens in a step, in
    /// sequences of `seq` tokens.
    pub fn batch_size(points: &[(f64, f64)], batch_tokens: f64, seq: usize) -> Self {
        let scales: Vec<f64> = points.iter().map(|(_, scale)| *scale).collect();
        let usable = points.iter().filter(|(_, scale)| scale.is_finite() && *scale > 0.0);
        let series = usable.map(|(step, scale)| SeriesPoint { x: *step, y: *scale, smoothed: None }).collect();
        let fit = batch_size(&scales, batch_tokens);
        Self::of_series(thinned(series), fit.map(|suggested| FitResult::BatchSize(BatchSizeFit::new(suggested, seq))))
    }

    fn of_series(series: Vec<SeriesPoint>, fit: Result<FitResult, Refusal>) -> Self {
        let result = fit.unwrap_or_else(|refusal| FitResult::Refused(refusal.into()));
        Self { runs: vec![], left_out: vec![], series, result }
    }
}

impl FittedRun {
    /// The run as [`ScalingLaw::fit`] reads it.
    pub fn scaling_run(&self) -> ScalingRun {
        ScalingRun { parameters: self.parameters, tokens: self.tokens, loss: self.loss }
    }

    /// The run as [`isoflop`] reads it.
    pub fn isoflop_run(&self) -> IsoflopRun {
        IsoflopRun { parameters: self.parameters, flops: self.flops, loss: self.loss }
    }
}

impl Mixes {
    /// Fits the losses of runs with these mixes, in the same order. `seed` decides the intervals.
    ///
    /// # Errors
    /// Those of [`data_mix`].
    pub fn fit(self, runs: &[FittedRun], seed: u64) -> Result<MixFit, Refusal> {
        let with_mix = runs.iter().zip(&self.weights);
        let points: Vec<MixRun> =
            with_mix.map(|(run, weights)| MixRun { weights: weights.clone(), loss: run.loss }).collect();
        let fit = data_mix(&points, seed)?;
        Ok(MixFit { datasets: self.datasets, target: self.target, mixes: self.weights, fit })
    }
}

impl Extrapolation {
    /// The loss at a size and a number of tokens, and the best size for a compute.
    pub fn of(law: &ScalingLaw, parameters: f64, tokens: f64, flops: f64) -> Self {
        let best = law.best_parameters(flops);
        let best_parameters = best.is_finite().then_some(best);
        Self { parameters, tokens, loss: law.loss(parameters, tokens), flops, best_parameters }
    }
}

impl ScalingLawFit {
    /// The law that was fitted to these runs, with its error on held-out runs and its extrapolation to a target.
    pub fn new(law: ScalingLaw, runs: &[ScalingRun], target: Target) -> Self {
        let largest =
            |of: fn(&ScalingRun) -> f64| runs.iter().map(of).filter(|value| value.is_finite()).fold(0.0, f64::max);
        let parameters = target.parameters.unwrap_or_else(|| 4.0 * largest(|run| run.parameters));
        let tokens = target.tokens.unwrap_or_else(|| 4.0 * largest(|run| run.tokens));
        let flops = target.flops.unwrap_or(6.0 * parameters * tokens);
        Self {
            irreducible: law.irreducible(),
            a: law.a(),
            alpha: law.alpha(),
            b: law.b(),
            beta: law.beta(),
            residual: law.residual,
            held_out: held_out(runs),
            extrapolation: Extrapolation::of(&law, parameters, tokens, flops),
            law,
        }
    }
}

impl BatchSizeFit {
    /// The suggestion in sequences of `seq` tokens.
    pub fn new(suggested: BatchSize, seq: usize) -> Self {
        let sequences = (suggested.noise_scale.value / seq.max(1) as f64).round().max(1.0);
        Self { suggested, seq, sequences }
    }
}

/// At most [`POINTS`] of the points, at equal distances, with the last one.
fn thinned(points: Vec<SeriesPoint>) -> Vec<SeriesPoint> {
    let stride = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(stride));
    kept.map(|(_, point)| point).collect()
}
