//! SQL of sweeps and of the decisions about them. Trials are in [`super::trials`].

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::Visible;
use wire::sweep::record::{BestTrial, DecisionKind, Sweep, SweepDecision, SweepState, TrialCounts, TrialState};
use wire::sweep::spec::{Direction, SweepSpec};

use super::json::{from_json, from_word, to_json, to_word};
use super::run_table::seen;
use crate::error::StoreError;
use crate::sweep_records::{NewDecision, NewSweep};

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, project, spec, trials, creator, created_ms, ended_ms, state, revision, changes, message FROM sweeps ",
            $rest
        )
    };
}

/// Whose rights a sweep uses.
pub(crate) struct SweepOwner {
    pub(crate) project: String,
    pub(crate) person: Option<i64>,
    pub(crate) token: Option<i64>,
}

/// Inserts a running sweep. Returns its id.
pub(crate) async fn insert(connection: &mut SqliteConnection, new: &NewSweep) -> Result<i64, StoreError> {
    let sql = "INSERT INTO sweeps (project, spec, trials, creator, person, token, created_ms, state) \
               VALUES (?, ?, ?, ?, ?, ?, ?, 'running') RETURNING id";
    let id = sqlx::query_scalar(sql)
        .bind(&new.project)
        .bind(to_json(&new.spec)?)
        .bind(new.trials as i64)
        .bind(&new.creator)
        .bind(new.person)
        .bind(new.token)
        .bind(new.created_ms);
    Ok(id.fetch_one(connection).await?)
}

/// Number of sweeps that run or are paused.
pub(crate) async fn unfinished(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM sweeps WHERE state IN ('running', 'paused')";
    let found: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(found as u64)
}

/// The ids of the sweeps that run or have trials that have not ended.
pub(crate) async fn active(connection: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM sweeps WHERE state = 'running' \
               UNION SELECT sweep FROM trials WHERE state IN ('queued', 'running') ORDER BY 1";
    Ok(sqlx::query_scalar(sql).fetch_all(connection).await?)
}

/// A sweep.
pub(crate) async fn get(connection: &mut SqliteConnection, id: i64) -> Result<Option<Sweep>, StoreError> {
    let row = sqlx::query(columns!("WHERE id = ?")).bind(id).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => read(connection, &row).await.map(Some),
        None => Ok(None),
    }
}

/// The newest sweeps that may be seen with ids below `before`, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    visible: &Visible,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Sweep>, StoreError> {
    let (projects, _) = seen(visible)?;
    let rows = sqlx::query(columns!(
        "WHERE (?1 IS NULL OR project IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    ))
    .bind(projects)
    .bind(before)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let mut sweeps = vec![];
    for row in rows {
        sweeps.push(read(connection, &row).await?);
    }
    Ok(sweeps)
}

async fn read(connection: &mut SqliteConnection, row: &SqliteRow) -> Result<Sweep, StoreError> {
    let id: i64 = row.try_get("id")?;
    let spec: SweepSpec = from_json("the specification of a sweep", row.try_get("spec")?)?;
    let counts = counts(connection, id).await?;
    let best = best(connection, id, spec.metric.direction).await?;
    Ok(Sweep {
        id,
        spec,
        project: row.try_get("project")?,
        creator: row.try_get("creator")?,
        created_ms: row.try_get("created_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        state: from_word("the state of a sweep", row.try_get("state")?)?,
        revision: row.try_get::<i64, _>("revision")? as u64,
        message: row.try_get("message")?,
        trials: row.try_get::<i64, _>("trials")? as u64,
        counts,
        best,
        changes: row.try_get::<i64, _>("changes")? as u64,
    })
}

async fn counts(connection: &mut SqliteConnection, id: i64) -> Result<TrialCounts, StoreError> {
    let sql = "SELECT state, COUNT(*) FROM trials WHERE sweep = ? GROUP BY state";
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).bind(id).fetch_all(connection).await?;
    let mut counts = TrialCounts::default();
    for (state, count) in rows {
        let place = match from_word("the state of a trial", &state)? {
            TrialState::Queued => &mut counts.queued,
            TrialState::Running => &mut counts.running,
            TrialState::Finished => &mut counts.finished,
            TrialState::Stopped => &mut counts.stopped,
            TrialState::Failed => &mut counts.failed,
        };
        *place = count as u64;
    }
    Ok(counts)
}

async fn best(
    connection: &mut SqliteConnection,
    id: i64,
    direction: Direction,
) -> Result<Option<BestTrial>, StoreError> {
    let finished = "SELECT number, last FROM trials WHERE sweep = ? AND state = 'finished' AND last IS NOT NULL";
    let sql = match direction {
        Direction::Lower => format!("{finished} ORDER BY last, number LIMIT 1"),
        Direction::Higher => format!("{finished} ORDER BY last DESC, number LIMIT 1"),
    };
    // Both texts are constants of this function.
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id);
    let found: Option<(i64, f64)> = query.fetch_optional(connection).await?;
    Ok(found.map(|(number, value)| BestTrial { trial: number as u64, value }))
}

/// The project of a sweep, and whose rights it uses.
pub(crate) async fn owner(connection: &mut SqliteConnection, id: i64) -> Result<Option<SweepOwner>, StoreError> {
    let sql = "SELECT project, person, token FROM sweeps WHERE id = ?";
    let found: Option<(String, Option<i64>, Option<i64>)> =
        sqlx::query_as(sql).bind(id).fetch_optional(connection).await?;
    Ok(found.map(|(project, person, token)| SweepOwner { project, person, token }))
}

/// Sets whose rights a sweep uses.
pub(crate) async fn set_owner(
    connection: &mut SqliteConnection,
    id: i64,
    name: &str,
    person: Option<i64>,
    token: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE sweeps SET creator = ?, person = ?, token = ? WHERE id = ?";
    sqlx::query(sql).bind(name).bind(person).bind(token).bind(id).execute(connection).await?;
    Ok(())
}

/// Counts a change of a sweep. Returns the count, which its changed trials get; 0 for an unknown sweep.
pub(crate) async fn count_change(connection: &mut SqliteConnection, id: i64) -> Result<i64, StoreError> {
    let sql = "UPDATE sweeps SET changes = changes + 1 WHERE id = ? RETURNING changes";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(id).fetch_optional(connection).await?;
    Ok(found.unwrap_or(0))
}

/// Sets state, message and planned trials of a sweep, and counts the revision.
pub(crate) async fn change(
    connection: &mut SqliteConnection,
    id: i64,
    state: SweepState,
    message: Option<&str>,
    trials: u64,
    ended_ms: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE sweeps SET state = ?, message = ?, trials = ?, ended_ms = ?, revision = revision + 1, changes = changes + 1 \
               WHERE id = ?";
    sqlx::query(sql)
        .bind(to_word(&state)?)
        .bind(message)
        .bind(trials as i64)
        .bind(ended_ms)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces the specification of a sweep.
pub(crate) async fn set_spec(connection: &mut SqliteConnection, id: i64, spec: &SweepSpec) -> Result<(), StoreError> {
    sqlx::query("UPDATE sweeps SET spec = ? WHERE id = ?").bind(to_json(spec)?).bind(id).execute(connection).await?;
    Ok(())
}

/// Sets why the next trial waits, without a new revision. Returns whether it changed.
pub(crate) async fn set_message(
    connection: &mut SqliteConnection,
    id: i64,
    message: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sweeps SET message = ?2, changes = changes + 1 WHERE id = ?1 AND state = 'running' AND message IS NOT ?2";
    Ok(sqlx::query(sql).bind(id).bind(message).execute(connection).await?.rows_affected() == 1)
}

/// Deletes the sweeps of a project.
pub(crate) async fn remove_of_project(connection: &mut SqliteConnection, project: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sweeps WHERE project = ?").bind(project).execute(connection).await?;
    Ok(())
}

/// Stores a decision. Returns whether it was not stored before.
pub(crate) async fn decide(
    connection: &mut SqliteConnection,
    id: i64,
    attempt: Option<u32>,
    decision: &NewDecision,
    at_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO sweep_decisions (sweep, number, at_ms, kind, decided_by, trial, attempt, step, rung, sentence, value, threshold) \
               SELECT id, decisions + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM sweeps WHERE id = ?1 ON CONFLICT DO NOTHING";
    let done = sqlx::query(sql)
        .bind(id)
        .bind(at_ms)
        .bind(to_word(&decision.kind)?)
        .bind(&decision.by)
        .bind(decision.trial.map(|trial| trial as i64))
        .bind(attempt)
        .bind(decision.step.map(|step| step as i64))
        .bind(decision.rung.map(|rung| rung as i64))
        .bind(&decision.sentence)
        .bind(decision.value)
        .bind(decision.threshold)
        .execute(&mut *connection)
        .await?;
    let is_new = done.rows_affected() == 1;
    if is_new {
        sqlx::query("UPDATE sweeps SET decisions = decisions + 1 WHERE id = ?").bind(id).execute(connection).await?;
    }
    Ok(is_new)
}

/// The decisions after a number, in order, at most `limit`.
pub(crate) async fn decisions(
    connection: &mut SqliteConnection,
    id: i64,
    after: u64,
    limit: u32,
) -> Result<Vec<SweepDecision>, StoreError> {
    let sql = "SELECT number, at_ms, kind, decided_by, trial, step, sentence, value, threshold FROM sweep_decisions \
               WHERE sweep = ? AND number > ? ORDER BY number LIMIT ?";
    let rows = sqlx::query(sql).bind(id).bind(after as i64).bind(limit).fetch_all(connection).await?;
    rows.iter().map(decision_of).collect()
}

fn decision_of(row: &SqliteRow) -> Result<SweepDecision, StoreError> {
    let kind: DecisionKind = from_word("the kind of a decision", row.try_get("kind")?)?;
    Ok(SweepDecision {
        number: row.try_get::<i64, _>("number")? as u64,
        at_ms: row.try_get("at_ms")?,
        kind,
        by: row.try_get("decided_by")?,
        trial: row.try_get::<Option<i64>, _>("trial")?.map(|trial| trial as u64),
        step: row.try_get::<Option<i64>, _>("step")?.map(|step| step as u64),
        sentence: row.try_get("sentence")?,
        value: row.try_get("value")?,
        threshold: row.try_get("threshold")?,
    })
}
