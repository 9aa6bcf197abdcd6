//! Changed stopping rules. Each rule reads other values of a trial, so those of the new rule are read from the series again. A rule decides about
//! a value once, when it is reported, so the new rule decides only about later values.

use research::stopping::keep;
use store::TrialRecord;
use wire::sweep::record::Sweep;
use wire::sweep::stopping::StoppingRule;

use super::decide::has_equal_steps;
use super::follow::{NewValues, new_values};
use crate::error::ApiError;
use crate::lab::Lab;

/// Reads the values of the trials again after a change of the rule. If the server is killed in between, the next check reads the rest.
///
/// # Errors
/// An error of the store.
pub(super) async fn read_again(lab: &Lab, sweep: &Sweep) -> Result<(), ApiError> {
    let rule = sweep.spec.stopping;
    for record in lab.store().unread_trials(sweep.id).await? {
        let kept = match &rule {
            Some(rule) => kept(lab, sweep, &record, rule).await?,
            None => vec![],
        };
        lab.store().set_kept(sweep.id, (record.trial.number, record.trial.attempt), rule, &kept).await?;
    }
    Ok(())
}

/// The values that a rule reads of a trial, up to the last one that the trial shows.
async fn kept(
    lab: &Lab,
    sweep: &Sweep,
    TrialRecord { trial, .. }: &TrialRecord,
    rule: &StoppingRule,
) -> Result<Vec<(u64, f64)>, ApiError> {
    let (Some(run), Some(last)) = (&trial.run, trial.last_step) else { return Ok(vec![]) };
    let Some(summary) = lab.store().summary(run).await? else { return Ok(vec![]) };
    let (metric, has_equal_steps) = (&sweep.spec.metric, has_equal_steps(&sweep.spec));
    let (mut kept, mut previous) = (vec![], None);
    loop {
        let NewValues { values, has_more } = new_values(lab.store(), run, &metric.name, previous, last).await?;
        for (step, value) in values.into_iter().filter(|(step, value)| *step <= last && value.is_finite()) {
            let point = (step, metric.direction.as_lower_is_better(value));
            keep(rule, trial.number, summary.steps, has_equal_steps, previous, &mut kept, point);
            previous = Some(step);
        }
        if !has_more {
            return Ok(kept);
        }
    }
}
