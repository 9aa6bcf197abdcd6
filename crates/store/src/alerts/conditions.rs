//! Conditions on metrics. They are checked in the transaction that stores the values, so that a value that is stored twice raises no second
//! alert and a kill loses none. A condition raises one alert when a run begins to meet it, and the next after the run has recovered.

use std::collections::BTreeSet;

use wire::RunId;
use wire::alert::condition::values_to_recover;
use wire::alert::{AlertContent, AlertKind, ConditionView, NewCondition};
use wire::number::{grouped, in_sentence};
use wire::series::{Row, name};

use crate::access::check_project;
use crate::clock::now_ms;
use crate::database::alerts::NewAlert;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

/// Conditions of a lab at most.
const MOST: u64 = 500;

impl Store {
    /// Creates a condition, which was checked. It concerns the values that are stored from now on.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::UnknownProject`], [`StoreError::TooManyConditions`].
    pub async fn add_condition(&self, condition: NewCondition, created_by: &str) -> Result<ConditionView, StoreError> {
        let mut transaction = self.database().write().await?;
        let mut run_name = None;
        let mut project = condition.project.clone();
        if let Some(run) = &condition.run {
            let summary = self.summary_in(&mut transaction, run).await?;
            (run_name, project) = (Some(summary.name), Some(summary.project));
        }
        if let Some(named) = &condition.project {
            check_project(&mut transaction, named).await?;
        }
        if database::conditions::count(&mut transaction).await? >= MOST {
            return Err(StoreError::TooManyConditions { most: MOST });
        }
        let created_ms = now_ms();
        let id = database::conditions::insert(&mut transaction, &condition, created_by, created_ms).await?;
        // Before the commit: values that are stored after it are checked.
        self.watched_series().insert(condition.series.clone());
        commit(transaction).await?;
        let NewCondition { run, series, side, threshold, is_urgent, .. } = condition;
        let created_by = created_by.to_owned();
        Ok(ConditionView { id, run, run_name, project, series, side, threshold, is_urgent, created_by, created_ms })
    }

    /// All conditions, oldest first.
    pub async fn conditions(&self) -> Result<Vec<ConditionView>, StoreError> {
        database::conditions::list(&mut *self.database().read().await?).await
    }

    /// The conditions that hold for a run, oldest first.
    pub async fn conditions_of(&self, run: &RunId) -> Result<Vec<ConditionView>, StoreError> {
        let found = database::conditions::of_run(&mut *self.database().read().await?, run).await?;
        Ok(found.into_iter().map(|(condition, _)| condition).collect())
    }

    /// Deletes a condition; the alerts that it has raised stay. Returns whether it existed.
    pub async fn remove_condition(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::conditions::remove(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(existed)
    }

    /// At the start: reads which series have conditions.
    pub(crate) async fn load_watched_series(&self) -> Result<(), StoreError> {
        let found = database::conditions::series(&mut *self.database().read().await?).await?;
        self.watched_series().extend(found);
        Ok(())
    }

    /// Raises the alerts of the conditions that a run begins to meet with these values, which are in the order of its steps. Values of series
    /// without conditions cost no query.
    pub(crate) async fn check_conditions(
        &self,
        connection: &mut Connection,
        run: &RunId,
        rows: &[Row],
    ) -> Result<(), StoreError> {
        let is_watched = {
            let watched = self.watched_series();
            !watched.is_empty() && has_series(rows, &watched)
        };
        if !is_watched {
            return Ok(());
        }
        for (condition, before) in database::conditions::of_run(connection, run).await? {
            let (alerts, after) = read_values(run, &condition, before, rows, now_ms());
            for alert in &alerts {
                database::alerts::insert(connection, alert).await?;
            }
            if after != before {
                database::conditions::set_met(connection, run, condition.id, after).await?;
            }
        }
        Ok(())
    }
}

fn has_series(rows: &[Row], watched: &BTreeSet<String>) -> bool {
    rows.iter().flat_map(|row| &row.values).any(|(name, _)| watched.contains(name))
}

/// The alerts that values raise, and the state of the condition after them: how many values in a row have not met it since the last one that
/// did; `None` if it can raise an alert.
fn read_values(
    run: &RunId,
    condition: &ConditionView,
    mut met: Option<u32>,
    rows: &[Row],
    at_ms: i64,
) -> (Vec<NewAlert>, Option<u32>) {
    let mut alerts = vec![];
    for row in rows {
        let Some((_, value)) = row.values.iter().find(|(name, _)| *name == condition.series) else { continue };
        let is_met = condition.side.has(*value, condition.threshold);
        if is_met && met.is_none() {
            alerts.push(alert(run, condition, row, *value, at_ms));
        }
        met = match met {
            _ if is_met => Some(0),
            Some(recovered) if recovered + 1 < values_to_recover(&condition.series) => Some(recovered + 1),
            _ => None,
        };
    }
    (alerts, met)
}

fn alert(run: &RunId, condition: &ConditionView, row: &Row, value: f64, at_ms: i64) -> NewAlert {
    let ConditionView { id, series, side, threshold, is_urgent, created_by, .. } = condition;
    let (side, limit) = (side.word(), in_sentence(*threshold));
    // The value of a checkpoint is at the step whose update gave its weights.
    let place = match series.starts_with(name::EVAL) {
        true => format!("the checkpoint of step {}", grouped(row.step + 1)),
        false => format!("step {}", grouped(row.step)),
    };
    let text = format!(
        "{series} is {} at {place}, {side} the threshold {limit} that {created_by} has set.",
        in_sentence(value)
    );
    let content = AlertContent {
        kind: AlertKind::Metric,
        is_urgent: *is_urgent,
        phrase: format!("{series} {side} {limit}"),
        text,
        device: None,
        step: Some(row.step),
        project: None,
    };
    let source = format!("condition/{id}/{run}/{}/{}", row.segment, row.step);
    NewAlert { source, at_ms, run: Some(run.clone()), content }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::alert::Side;

    /// The steps at which values raise alerts, read in batches of different sizes.
    fn check(series: &str, values: &[f64], expected: &[u64]) {
        let condition = ConditionView {
            id: 7,
            run: None,
            run_name: None,
            project: None,
            series: series.to_owned(),
            side: Side::Above,
            threshold: 1.0,
            is_urgent: false,
            created_by: "ada".to_owned(),
            created_ms: 0,
        };
        let row = |(step, value): (usize, &f64)| {
            let values = vec![("tokens".to_owned(), 9.0), (series.to_owned(), *value)];
            Row { segment: 0, step: step as u64, values }
        };
        let (rows, run) = (values.iter().enumerate().map(row).collect::<Vec<_>>(), "r".parse().unwrap());
        for batch in [1, 3, values.len()] {
            let (mut met, mut steps) = (None, vec![]);
            for part in rows.chunks(batch) {
                let (alerts, after) = read_values(&run, &condition, met, part, 0);
                steps.extend(alerts.iter().filter_map(|alert| alert.content.step));
                met = after;
            }
            assert_eq!(steps, expected, "{series} in batches of {batch}");
        }
    }

    #[test]
    fn a_score_raises_one_alert_per_crossing() {
        check("eval/a/accuracy", &[0.5, 1.5, 1.6, 1.0, 0.9, 1.1], &[1, 5]);
        check("eval/a/accuracy", &[1.5, 1.5], &[0]);
        check("eval/a/accuracy", &[0.5, 0.5], &[]);
    }

    #[test]
    fn a_metric_of_each_step_must_stay_back_before_it_raises_another_alert() {
        let noisy: Vec<f64> = (0..40).map(|step| if step % 2 == 0 { 1.2 } else { 0.8 }).collect();
        check("loss.train", &noisy, &[0]);
        let recovers = [&[2.0][..], &[0.5; 9], &[2.0], &[0.5; 10], &[2.0]].concat();
        check("loss.train", &recovers, &[0, 21]);
    }

    #[test]
    fn the_alert_names_the_value_the_step_and_the_threshold() {
        let condition = ConditionView {
            id: 7,
            run: None,
            run_name: None,
            project: None,
            series: "eval/capitals/accuracy".to_owned(),
            side: Side::Below,
            threshold: 0.5,
            is_urgent: true,
            created_by: "ada".to_owned(),
            created_ms: 0,
        };
        let row = Row { segment: 1, step: 999, values: vec![] };
        let raised = alert(&"amber-fox".parse().unwrap(), &condition, &row, 0.25, 5);
        assert_eq!(raised.source, "condition/7/amber-fox/1/999");
        assert_eq!(raised.content.phrase, "eval/capitals/accuracy below 0.5");
        let text = "eval/capitals/accuracy is 0.25 at the checkpoint of step 1\u{202f}000, below the threshold 0.5 that ada has set.";
        assert_eq!(raised.content.text, text);
        assert!(raised.content.is_urgent);
    }
}
