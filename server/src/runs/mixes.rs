//! Runs as a fit of the data mix reads them: the weights of their datasets, and the last loss of each dataset.

use research::fits::report::{FittedRun, Mixes};
use store::{Store, StoreError};
use wire::hyperparameters::mix::MixSchedule;
use wire::series::name;

use super::measured::points;
use super::trial_curves::TrialRun;

/// Runs with their mixes.
#[derive(Default)]
pub struct RunsWithMixes {
    /// The runs, each with the loss of the target.
    pub runs: Vec<FittedRun>,
    pub mixes: Mixes,
    /// Names of the runs whose mix has changed, or that have no loss of the target.
    pub left_out: Vec<String>,
}

/// Whether one of the runs trains on a dataset.
pub fn is_in_a_mix(runs: &[TrialRun], dataset: &str) -> bool {
    runs.iter().any(|run| run.view.plan.mix.iter().any(|part| part.corpus.as_str() == dataset))
}

/// Reads the mixes of runs with equal datasets; `target` is the dataset whose loss is fitted, by default the mean of the losses of all.
///
/// # Errors
/// An error of the store.
pub async fn with_mixes(store: &Store, runs: &[TrialRun], target: Option<&str>) -> Result<RunsWithMixes, StoreError> {
    let mut found = RunsWithMixes::default();
    let Some(first) = runs.first() else { return Ok(found) };
    let datasets: Vec<String> = first.view.plan.corpora().iter().map(|corpus| corpus.to_string()).collect();
    for run in runs {
        match (run.fitted(), constant_weights(run), loss(store, run, &datasets, target).await?) {
            (Some(fitted), Some(weights), Some(loss)) => {
                found.runs.push(FittedRun { loss, ..fitted });
                found.mixes.weights.push(weights);
            }
            _ => found.left_out.push(run.view.summary.name.clone()),
        }
    }
    (found.mixes.datasets, found.mixes.target) = (datasets, target.map(str::to_owned));
    Ok(found)
}

/// The weights of a run; `None` if they have changed.
fn constant_weights(run: &TrialRun) -> Option<Vec<f64>> {
    let planned: Vec<f64> = run.view.plan.mix.iter().map(|part| part.weight).collect();
    let planned = MixSchedule::constant(planned).at(0);
    let is_same = |weights: &Vec<f64>| weights.iter().zip(&planned).all(|(now, planned)| (now - planned).abs() < 1e-9);
    let mix = &run.view.hyperparameters.mix;
    mix.points.iter().all(|point| is_same(&mix.at(point.step))).then_some(planned)
}

/// The last loss of the target, nats per token.
async fn loss(
    store: &Store,
    run: &TrialRun,
    datasets: &[String],
    target: Option<&str>,
) -> Result<Option<f64>, StoreError> {
    let (mut sum, mut count) = (0.0, 0.0);
    for dataset in datasets.iter().filter(|dataset| target.is_none_or(|target| target == *dataset)) {
        let read = points(store, &run.view.summary.id, &format!("{}{dataset}", name::VALID_OF)).await?;
        let Some(last) = read.iter().rev().find(|point| point.value.is_finite()) else { return Ok(None) };
        sum += last.value;
        count += 1.0;
    }
    Ok((count > 0.0).then(|| sum / count))
}
