//! What the runs of an experiment gave: the last value of the metric of a run that trained all its steps, or why there is none.

use research::compare::bits_per_byte;
use wire::control::author::Author;
use wire::experiment::Metric;
use wire::experiment::record::ExperimentView;
use wire::series::name;
use wire::transport::link::Report;
use wire::{Event, RunState, RunSummary, RunView};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::feed::report;
use crate::runs::measured::points;

/// Stores the results of the runs that have ended.
///
/// # Errors
/// An error of the store.
pub(super) async fn settle(lab: &Lab, view: &ExperimentView) -> Result<(), ApiError> {
    for run in view.runs.iter().filter(|run| run.is_open()) {
        let summary = lab.store().summary(&run.run).await?;
        let secs = summary.as_ref().map_or(0.0, |summary| summary.elapsed_secs);
        let result = match summary {
            None => Err("was deleted for good".to_owned()),
            Some(summary) if summary.deleted_ms.is_some() => Err("was deleted".to_owned()),
            Some(summary) if summary.state.is_over() => {
                let result = value(lab, &view.summary.spec.metric, lab.feed.view(&run.run).await?).await?;
                if summary.state == RunState::Lost && !end_lost(lab, &summary).await? {
                    continue;
                }
                result
            }
            Some(_) => continue,
        };
        let result = result.as_ref().map(|value| *value).map_err(String::as_str);
        lab.store().settle_experiment_run(&run.run, result, secs).await?;
    }
    Ok(())
}

/// Stops a lost run: its worker may reconnect and continue to train beside the run that repeats it. Returns false if it has reconnected.
async fn end_lost(lab: &Lab, lost: &RunSummary) -> Result<bool, ApiError> {
    let reason = Some("Its experiment counts a lost run as failed.".to_owned());
    let stopped = report(Author::System, lost.step, Event::Stopped, Some(RunState::Stopped));
    let is_lost = |now: &RunSummary| now.state == RunState::Lost;
    Ok(lab.feed.append_if(&lost.id, is_lost, Report { reason, ..stopped }).await?.is_some())
}

/// The value of a run that has ended, or why it has none.
async fn value(lab: &Lab, metric: &Metric, view: RunView) -> Result<Result<f64, String>, ApiError> {
    if view.summary.state != RunState::Finished {
        return Ok(Err(ended(&view)));
    }
    if view.hyperparameters.changes != view.plan.live().changes {
        return Ok(Err("was changed while it trained, so it is not a run of the plan".to_owned()));
    }
    let series = metric.series.as_deref().unwrap_or(name::VALID);
    let Some(last) = points(lab.store(), &view.summary.id, series).await?.pop() else {
        return Ok(Err(format!("has no value of {series}")));
    };
    let value = match (&metric.series, view.references.bytes_per_token) {
        (Some(_), _) => last.value,
        (None, Some(bytes)) => bits_per_byte(last.value, bytes),
        (None, None) => return Ok(Err("has a dataset whose bytes per token are unknown".to_owned())),
    };
    Ok(if value.is_finite() { Ok(value) } else { Err(format!("has the value {value} of {series}")) })
}

/// How a run ended that did not train all its steps.
fn ended(view: &RunView) -> String {
    let summary = &view.summary;
    let how = match summary.state {
        RunState::Failed => "failed",
        RunState::Lost => "was lost",
        _ => "was stopped",
    };
    match &summary.message {
        Some(message) => format!("{how} at step {}: {message}", summary.step),
        None => format!("{how} at step {}", summary.step),
    }
}
