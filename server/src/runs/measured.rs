//! What a fair comparison needs of a run, read from the store: its evaluations with their budgets and window losses, and its scores on tasks.

use std::collections::BTreeMap;

use research::compare::{Evaluation, MeasuredRun, ScoredRun};
use store::{Curve, CurvePoint, Store, StoreError};
use wire::evaluation::WindowLosses;
use wire::run::plan::MixPart;
use wire::series::name;
use wire::{CheckpointId, RunId, RunPlan, RunSummary, RunView};

/// Beginning of the tag of runs that differ in the seed only; the id of the first of them follows.
pub const FAMILY: &str = "seeds:";
/// Characters of a content hash that tell two datasets of one name apart.
const HASH_CHARS: usize = 6;

/// Reads a run with its evaluations. Of a fork these are its own, after its origin. `None` for an unknown run.
///
/// # Errors
/// An error of the store.
pub async fn measure(store: &Store, run: &RunId) -> Result<Option<MeasuredRun>, StoreError> {
    let Some(view) = store.run(run).await? else { return Ok(None) };
    let points = points(store, run, name::VALID).await?;
    let losses = store.window_losses(run).await?;
    let mut windows: BTreeMap<u64, WindowLosses> =
        losses.into_iter().map(|stored| (stored.step, stored.losses)).collect();
    let evaluation = |point: CurvePoint| {
        let step = point.step + 1;
        let windows = windows.remove(&step);
        // Without window losses (a run of an earlier version) it is the one after all steps.
        let is_last = windows.as_ref().map_or(step >= view.hyperparameters.steps, |windows| windows.is_last);
        Evaluation {
            step,
            tokens: point.tokens,
            flops: point.flops,
            secs: point.secs,
            learning_rate_fraction: view.hyperparameters.schedule.phase(point.step),
            loss: point.value,
            is_last,
            windows,
        }
    };
    let evaluations = points.into_iter().map(evaluation).collect();
    Ok(Some(described(view, evaluations)))
}

/// Reads the scores of a run on evaluation tasks, those of checkpoints on its path. `None` for an unknown run.
///
/// # Errors
/// An error of the store.
pub async fn scored(store: &Store, run: &RunId) -> Result<Option<ScoredRun>, StoreError> {
    let Some(view) = store.run(run).await? else { return Ok(None) };
    let mut results = store.task_results(run).await?;
    if !results.is_empty() {
        let path = store.history(run).await?.spans();
        // The weights of a checkpoint are those after the update of the step before.
        let is_on_path = |id: CheckpointId| {
            let updated = id.step.saturating_sub(1);
            path.iter().any(|(segment, from, to)| {
                *segment == id.segment && *from <= updated && to.is_none_or(|to| updated < to)
            })
        };
        results.retain(|stored| is_on_path(stored.checkpoint));
    }
    Ok(Some(ScoredRun { run: run.to_string(), name: view.summary.name, seed: view.plan.seed, results }))
}

/// The points of a series on the path of a run, in increasing steps.
///
/// # Errors
/// An error of the store.
pub async fn points(store: &Store, run: &RunId, name: &str) -> Result<Vec<CurvePoint>, StoreError> {
    let curves = store.curves(run, Some(vec![name.to_owned()])).await?;
    let read = tokio::task::spawn_blocking(move || on_path(curves)).await;
    read.map_err(|source| StoreError::Aborted { path: store.dir().to_owned(), source })?
}

fn on_path(curves: Vec<Curve>) -> Result<Vec<CurvePoint>, StoreError> {
    let mut found = BTreeMap::new();
    for mut curve in curves {
        loop {
            let points = curve.read()?;
            if points.is_empty() {
                break;
            }
            let kept = points.into_iter().filter(|point| !point.is_abandoned);
            found.extend(kept.map(|point| (point.step, point)));
        }
    }
    Ok(found.into_values().collect())
}

fn described(view: RunView, evaluations: Vec<Evaluation>) -> MeasuredRun {
    let RunView { summary, plan, references, .. } = view;
    let named =
        |part: &MixPart| format!("{}@{}", part.corpus, part.content_hash.chars().take(HASH_CHARS).collect::<String>());
    let datasets = plan.mix.iter().map(named).collect::<Vec<_>>().join(" + ");
    let tokenizer = match plan.tokenizer.is_trained_on_corpus() {
        true => format!("{} of {datasets}", plan.tokenizer),
        false => plan.tokenizer.to_string(),
    };
    let windows = plan.recipe.intervals.eval_batches.saturating_mul(plan.recipe.batch.size as u64);
    MeasuredRun {
        run: summary.id.to_string(),
        name: summary.name,
        seed: plan.seed,
        evaluated: format!("{datasets}: {windows} windows of {} tokens of {tokenizer}", plan.recipe.model.seq),
        tokenizer,
        bytes_per_token: references.bytes_per_token,
        datasets: plan.mix.into_iter().map(|part| (part.corpus.to_string(), part.content_hash)).collect(),
        evaluations,
    }
}

/// The tag of the family of a run; `None` if it has none.
pub fn family_of(summary: &RunSummary) -> Option<&str> {
    summary.tags.iter().map(String::as_str).find(|tag| tag.starts_with(FAMILY))
}

/// Whether two runs differ in the seed only, and neither was changed while it trained.
pub fn differ_in_seed_only(one: &RunView, other: &RunView) -> bool {
    let unchanged = |view: &RunView| view.hyperparameters.changes == view.plan.live().changes;
    let as_one = RunPlan { seed: one.plan.seed, device: one.plan.device.clone(), ..other.plan.clone() };
    one.plan.seed != other.plan.seed && as_one == one.plan && unchanged(one) && unchanged(other)
}
