//! Finished runs as fits and replays read them: the validation loss at each evaluation, on the path of the run.

use research::compare::{Evaluation, MeasuredRun};
use research::fits::report::FittedRun;
use research::stopping::Curve;
use store::{CurvePoint, Store, StoreError};
use wire::series::name;
use wire::{RunId, RunState, RunView};

use super::measured::{measure, points};

/// Two runs that differ in tokenizer or datasets, so that their losses cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the losses of {first} and {other} cannot be compared: the first is trained on {of_first}, the other on {of_other}"
)]
pub struct Unlike {
    first: String,
    of_first: String,
    other: String,
    of_other: String,
}

/// Refuses runs whose losses cannot be compared.
///
/// # Errors
/// Two of the runs differ in tokenizer or datasets.
pub fn alike(runs: &[TrialRun]) -> Result<(), Unlike> {
    let Some((first, rest)) = runs.split_first() else { return Ok(()) };
    let (of_first, name) = (first.text(), |run: &TrialRun| run.view.summary.name.clone());
    match rest.iter().find(|run| run.text() != of_first) {
        Some(other) => Err(Unlike { first: name(first), of_first, other: name(other), of_other: other.text() }),
        None => Ok(()),
    }
}

/// A run with its evaluations.
pub struct TrialRun {
    pub view: RunView,
    pub measured: MeasuredRun,
}

impl TrialRun {
    /// Reads a run; `None` for an unknown one.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn read(store: &Store, run: &RunId) -> Result<Option<Self>, StoreError> {
        let (view, measured) = (store.run(run).await?, measure(store, run).await?);
        Ok(view.zip(measured).map(|(view, measured)| Self { view, measured }))
    }

    /// Its validation loss over steps, as trial `number`.
    pub fn curve(&self, number: u64) -> Curve {
        let point = |evaluation: &Evaluation| (evaluation.step, evaluation.loss);
        Curve {
            number,
            steps: self.view.hyperparameters.steps,
            points: self.measured.evaluations.iter().map(point).collect(),
            is_finished: self.view.summary.state == RunState::Finished,
        }
    }

    /// Its last evaluation.
    pub fn last(&self) -> Option<&Evaluation> {
        self.measured.evaluations.last()
    }

    /// Its last evaluation as a fit reads it; `None` without one.
    pub fn fitted(&self) -> Option<FittedRun> {
        let (last, summary) = (self.last()?, &self.view.summary);
        Some(FittedRun {
            run: summary.id.to_string(),
            name: summary.name.clone(),
            parameters: self.view.plan.recipe.model.body_parameters() as f64,
            tokens: last.tokens,
            flops: last.flops,
            loss: last.loss,
        })
    }

    /// What runs must share for their losses to be compared: tokenizer and datasets.
    pub fn text(&self) -> String {
        let datasets: Vec<&str> = self.measured.datasets.iter().map(|(dataset, _)| dataset.as_str()).collect();
        format!("{} of {}", self.measured.tokenizer, datasets.join(" + "))
    }
}

/// (learning rate, training loss) at each step that has both.
///
/// # Errors
/// An error of the store.
pub async fn learning_rates(store: &Store, run: &RunId) -> Result<Vec<(f64, f64)>, StoreError> {
    let rates = points(store, run, name::LEARNING_RATE).await?;
    let losses = points(store, run, name::TRAIN).await?;
    // Up to a million values: not on a thread of requests.
    let joined = tokio::task::spawn_blocking(move || joined(&rates, &losses)).await;
    joined.map_err(|source| StoreError::Aborted { path: store.dir().to_owned(), source })
}

/// The values of two series at the steps that both have.
fn joined(rates: &[CurvePoint], losses: &[CurvePoint]) -> Vec<(f64, f64)> {
    let loss_at = |step: u64| losses.binary_search_by_key(&step, |point| point.step).ok().map(|at| losses[at].value);
    rates.iter().filter_map(|rate| Some((rate.value, loss_at(rate.step)?))).collect()
}

/// (steps done, gradient noise scale in tokens) of each step that has one.
///
/// # Errors
/// An error of the store.
pub async fn noise_scales(store: &Store, run: &RunId) -> Result<Vec<(u64, f64)>, StoreError> {
    let value = |point: CurvePoint| (point.step + 1, point.value);
    Ok(points(store, run, name::NOISE_SCALE).await?.into_iter().map(value).collect())
}
