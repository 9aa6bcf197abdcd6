//! SQL of runs: one row each.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::Visible;
use wire::diagnosis::Health;
use wire::run::plan::Estimate;
use wire::run::{Parentage, References, Revision};
use wire::{RunId, RunPlan, RunSpec, RunState, RunSummary, Slot};

use super::json::{from_json, from_word, to_json, to_word};
use super::run_table::seen;
use crate::error::StoreError;
use crate::new_run::NewRun;
use crate::status::{Progress, RunStatus};

/// The place in the queue is counted rather than stored, so that it cannot be inconsistent.
macro_rules! place {
    () => {
        "(SELECT COUNT(*) FROM runs AS other WHERE other.state = 'queued' AND other.deleted_ms IS NULL AND other.pool IS runs.pool \
         AND (runs.pool IS NOT NULL OR other.device = runs.device OR other.any_of = runs.any_of) AND (other.priority > runs.priority \
         OR (other.priority = runs.priority AND other.queue_order <= runs.queue_order)))"
    };
}
pub(super) use place;

macro_rules! summaries {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, preset, corpus, device, parameters, steps, created_ms, state, message, started_ms, ended_ms, progress, \
             is_archived, deleted_ms, priority, restarts, slot, parent, parent_checkpoint, control_of, project, \
             health_checks, health_notes, health_alerts, (SELECT json_group_array(tag) FROM tags WHERE tags.run = runs.id) AS tags, \
             CASE WHEN state = 'queued' THEN pool END AS queue_pool, CASE WHEN state = 'queued' THEN waits END AS waits, \
             CASE WHEN state = 'queued' AND deleted_ms IS NULL THEN ",
            place!(),
            " END AS queue_place, (SELECT number FROM revision) AS revision FROM runs ",
            $rest
        )
    };
}

/// Spec, plan, estimate, reference losses and device of a run.
pub(crate) struct RunDefinition {
    pub(crate) spec: RunSpec,
    pub(crate) plan: RunPlan,
    pub(crate) estimate: Estimate,
    pub(crate) references: References,
    pub(crate) device_name: String,
}

/// Inserts a run. Returns whether its id was free.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &NewRun,
    progress: &Progress,
) -> Result<bool, StoreError> {
    let origin = run.plan.origin.as_ref().map(|origin| &origin.from);
    let done = sqlx::query(
        "INSERT INTO runs (id, name, preset, corpus, device, device_name, parameters, steps, created_ms, spec, plan, estimate, \
         reference_losses, state, progress, priority, any_of, pool, parent, parent_checkpoint, control_of, project, queue_order) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, \
         (SELECT COALESCE(MAX(queue_order), 0) + 1 FROM runs)) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(run.id.as_str())
    .bind(&run.name)
    .bind(&run.plan.preset)
    .bind(&run.corpus)
    .bind(run.plan.device.as_str())
    .bind(&run.device_name)
    .bind(run.estimate.parameters as i64)
    .bind(run.plan.steps as i64)
    .bind(run.created_ms)
    .bind(to_json(&run.spec)?)
    .bind(to_json(&run.plan)?)
    .bind(to_json(&run.estimate)?)
    .bind(to_json(&run.references)?)
    .bind(to_json(progress)?)
    .bind(run.spec.priority.unwrap_or(0))
    .bind(run.any_of().map(|kind| to_word(&kind)).transpose()?)
    .bind(&run.spec.pool)
    .bind(origin.map(|from| from.run.as_str()))
    .bind(origin.map(|from| from.checkpoint.to_string()))
    .bind(run.spec.parent.as_ref().and_then(|parent| parent.control_of).map(|number| number as i64))
    .bind(run.project())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Summaries of all runs, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    include_deleted: bool,
) -> Result<Vec<RunSummary>, StoreError> {
    let rows = sqlx::query(summaries!("WHERE ? OR deleted_ms IS NULL ORDER BY created_ms DESC, rowid DESC"))
        .bind(include_deleted)
        .fetch_all(connection)
        .await?;
    rows.iter().map(summary_of).collect()
}

/// Summaries of the runs of these ids, in any order.
pub(crate) async fn of(connection: &mut SqliteConnection, ids: &[RunId]) -> Result<Vec<RunSummary>, StoreError> {
    let rows = sqlx::query(summaries!("WHERE id IN (SELECT value FROM json_each(?))"))
        .bind(to_json(&ids)?)
        .fetch_all(connection)
        .await?;
    rows.iter().map(summary_of).collect()
}

/// Of the runs that may be seen, summaries of those that are queued or loaded by a worker, and of the newest `newest` others, newest first.
pub(crate) async fn current(
    connection: &mut SqliteConnection,
    newest: u32,
    visible: &Visible,
) -> Result<Vec<RunSummary>, StoreError> {
    let (projects, runs) = seen(visible)?;
    let rows = sqlx::query(summaries!(
        "WHERE (?2 IS NULL OR project IN (SELECT value FROM json_each(?2)) OR id IN (SELECT value FROM json_each(?3))) \
         AND ((state IN ('queued', 'starting', 'running', 'paused') AND deleted_ms IS NULL) \
         OR rowid IN (SELECT rowid FROM runs WHERE ?2 IS NULL OR project IN (SELECT value FROM json_each(?2)) \
         OR id IN (SELECT value FROM json_each(?3)) ORDER BY created_ms DESC, rowid DESC LIMIT ?1)) \
         ORDER BY created_ms DESC, rowid DESC"
    ))
    .bind(newest)
    .bind(projects)
    .bind(runs)
    .fetch_all(connection)
    .await?;
    rows.iter().map(summary_of).collect()
}

/// Summary of a run.
pub(crate) async fn summary(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
    let row = sqlx::query(summaries!("WHERE id = ?")).bind(run.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(summary_of).transpose()
}

fn summary_of(row: &SqliteRow) -> Result<RunSummary, StoreError> {
    let id: RunId =
        row.try_get::<String, _>("id")?.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
    let status = status_of(row)?;
    let progress = status.progress;
    Ok(RunSummary {
        name: row.try_get("name")?,
        state: status.state,
        preset: row.try_get("preset")?,
        corpus: row.try_get("corpus")?,
        device: row
            .try_get::<String, _>("device")?
            .parse()
            .map_err(|source| StoreError::unreadable("a run's device", source))?,
        parameters: row.try_get::<i64, _>("parameters")? as u64,
        step: progress.step,
        steps: row.try_get::<i64, _>("steps")? as u64,
        loss_train: progress.loss_train,
        loss_valid: progress.loss_valid,
        best_valid: progress.best_valid,
        tokens_per_sec: progress.tokens_per_sec,
        elapsed_secs: progress.elapsed_secs,
        secs_per_step: progress.secs_per_step,
        created_ms: row.try_get("created_ms")?,
        started_ms: status.started_ms,
        ended_ms: status.ended_ms,
        queue_place: row.try_get::<Option<i64>, _>("queue_place")?.map(|position| position as u32),
        message: status.message,
        sparkline: progress.sparkline.points(),
        is_archived: row.try_get("is_archived")?,
        deleted_ms: row.try_get("deleted_ms")?,
        parent: parentage(row)?,
        priority: row.try_get::<i64, _>("priority")? as i32,
        restarts: row.try_get::<i64, _>("restarts")? as u32,
        pool: row.try_get("queue_pool")?,
        waits: row.try_get("waits")?,
        tags: from_json("the tags of a run", row.try_get("tags")?)?,
        slot: row.try_get("slot")?,
        project: row.try_get("project")?,
        health: health_of(row)?,
        revision: Revision(row.try_get::<i64, _>("revision")? as u64),
        id,
    })
}

fn health_of(row: &SqliteRow) -> Result<Health, StoreError> {
    Ok(Health {
        checks: row.try_get("health_checks")?,
        notes: row.try_get("health_notes")?,
        alerts: row.try_get("health_alerts")?,
    })
}

fn parentage(row: &SqliteRow) -> Result<Option<Parentage>, StoreError> {
    let (Some(run), Some(checkpoint)) =
        (row.try_get::<Option<String>, _>("parent")?, row.try_get::<Option<String>, _>("parent_checkpoint")?)
    else {
        return Ok(None);
    };
    Ok(Some(Parentage {
        run: run.parse().map_err(|source| StoreError::unreadable("a run's parent", source))?,
        checkpoint: checkpoint.parse().map_err(|source| StoreError::unreadable("a fork's origin", source))?,
        control_of: row.try_get::<Option<i64>, _>("control_of")?.map(|number| number as u64),
    }))
}

fn status_of(row: &SqliteRow) -> Result<RunStatus, StoreError> {
    Ok(RunStatus {
        state: from_word("a run's state", row.try_get("state")?)?,
        message: row.try_get("message")?,
        started_ms: row.try_get("started_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        progress: from_json("a run's progress", row.try_get("progress")?)?,
    })
}

/// The status of a run, with the number of its last stored report and the length of its journal.
pub(crate) async fn status(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<(RunStatus, u64, u64)>, StoreError> {
    let found = sqlx::query(
        "SELECT state, message, started_ms, ended_ms, progress, stored_seq, event_count FROM runs WHERE id = ?",
    )
    .bind(run.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some((
        status_of(&row)?,
        row.try_get::<i64, _>("stored_seq")? as u64,
        row.try_get::<i64, _>("event_count")? as u64,
    )))
}

/// Stores the values that [`status`] reads.
pub(crate) async fn save_status(
    connection: &mut SqliteConnection,
    run: &RunId,
    status: &RunStatus,
    stored_seq: u64,
    event_count: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET state = ?, message = ?, started_ms = ?, ended_ms = ?, progress = ?, stored_seq = ?, event_count = ?, \
         waits = CASE WHEN ? = 'queued' THEN waits END WHERE id = ?")
        .bind(to_word(&status.state)?)
        .bind(&status.message)
        .bind(status.started_ms)
        .bind(status.ended_ms)
        .bind(to_json(&status.progress)?)
        .bind(stored_seq as i64)
        .bind(event_count as i64)
        .bind(to_word(&status.state)?)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores the numbers of a run's findings.
pub(crate) async fn set_health(
    connection: &mut SqliteConnection,
    run: &RunId,
    health: Health,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET health_checks = ?, health_notes = ?, health_alerts = ? WHERE id = ?")
        .bind(health.checks)
        .bind(health.notes)
        .bind(health.alerts)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The definition of a run.
pub(crate) async fn definition(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<RunDefinition>, StoreError> {
    let found = sqlx::query("SELECT spec, plan, estimate, reference_losses, device_name FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(RunDefinition {
        spec: from_json("a run's spec", row.try_get("spec")?)?,
        plan: from_json("a run's plan", row.try_get("plan")?)?,
        estimate: from_json("a run's estimate", row.try_get("estimate")?)?,
        references: from_json("a run's reference losses", row.try_get("reference_losses")?)?,
        device_name: row.try_get("device_name")?,
    }))
}

/// Number of the last stored report of a run.
pub(crate) async fn stored_seq(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<u64>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT stored_seq FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|seq| seq as u64))
}

/// Renames a run. Returns whether it exists.
pub(crate) async fn rename(connection: &mut SqliteConnection, run: &RunId, name: &str) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE runs SET name = ? WHERE id = ?").bind(name).bind(run.as_str()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Moves a run to a project. Returns whether it exists.
pub(crate) async fn set_project(
    connection: &mut SqliteConnection,
    run: &RunId,
    project: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE runs SET project = ? WHERE id = ?";
    Ok(sqlx::query(sql).bind(project).bind(run.as_str()).execute(connection).await?.rows_affected() == 1)
}

/// Sets whether a run is archived. Returns whether the run exists.
pub(crate) async fn set_archived(
    connection: &mut SqliteConnection,
    run: &RunId,
    is_archived: bool,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE runs SET is_archived = ? WHERE id = ?")
        .bind(is_archived)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the time of deletion, or clears it. Returns whether the run exists.
pub(crate) async fn set_deleted(
    connection: &mut SqliteConnection,
    run: &RunId,
    deleted_ms: Option<i64>,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE runs SET deleted_ms = ? WHERE id = ?")
        .bind(deleted_ms)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the reference losses. Returns whether the run exists.
pub(crate) async fn set_references(
    connection: &mut SqliteConnection,
    run: &RunId,
    references: &References,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE runs SET reference_losses = ? WHERE id = ?")
        .bind(to_json(references)?)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Runs deleted before a time.
pub(crate) async fn deleted_before(
    connection: &mut SqliteConnection,
    before_ms: i64,
) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM runs WHERE deleted_ms < ? ORDER BY id")
        .bind(before_ms)
        .fetch_all(connection)
        .await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// Deletes a run with its journal, checkpoints and snapshots.
pub(crate) async fn remove(connection: &mut SqliteConnection, run: &RunId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM runs WHERE id = ?").bind(run.as_str()).execute(connection).await?;
    Ok(())
}

/// State and device of a run that is not deleted.
pub(crate) async fn state_and_device(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<(RunState, String)>, StoreError> {
    let found: Option<(String, String)> = sqlx::query_as("SELECT state, device FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    found.map(|(state, device)| Ok((from_word("a run's state", &state)?, device))).transpose()
}

/// The worker process that trains a run, or trained it last.
pub(crate) async fn trained_by(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<Slot>, StoreError> {
    let found: Option<(String, u32)> = sqlx::query_as("SELECT device, slot FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    let slot = |(device, number): (String, u32)| {
        let device = device.parse().map_err(|source| StoreError::unreadable("a run's device", source))?;
        Ok(Slot { device, number })
    };
    found.map(slot).transpose()
}

/// The estimate of a run.
pub(crate) async fn estimate(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<Estimate>, StoreError> {
    let found: Option<String> = sqlx::query_scalar("SELECT estimate FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    found.map(|text| from_json("a run's estimate", &text)).transpose()
}

/// The parent of a fork.
pub(crate) async fn parent(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<RunId>, StoreError> {
    let found: Option<Option<String>> = sqlx::query_scalar("SELECT parent FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    let id = found.flatten().map(|id| id.parse());
    id.transpose().map_err(|source| StoreError::unreadable("a run's parent", source))
}

/// Sets the step at which a run ends.
pub(crate) async fn set_steps(connection: &mut SqliteConnection, run: &RunId, steps: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET steps = ? WHERE id = ?")
        .bind(steps as i64)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the number of restarts.
pub(crate) async fn set_restarts(
    connection: &mut SqliteConnection,
    run: &RunId,
    restarts: u32,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET restarts = ? WHERE id = ?")
        .bind(restarts)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ids and states of all runs, deleted ones included.
pub(crate) async fn states(connection: &mut SqliteConnection) -> Result<Vec<(String, RunState)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT id, state FROM runs").fetch_all(connection).await?;
    rows.into_iter().map(|(id, state)| Ok((id, from_word("a run's state", &state)?))).collect()
}
