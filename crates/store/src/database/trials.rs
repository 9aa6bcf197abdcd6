//! SQL of the trials of sweeps.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::RunId;
use wire::sweep::record::{Trial, TrialState};
use wire::sweep::space::Point;

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;
use crate::sweep_records::{DecidedTrials, TrialRecord, TrialValues};

macro_rules! trials {
    ($rest:literal) => {
        concat!(
            "SELECT number, point, run, attempt, state, last, last_step, best, reason, stop_as, is_exempt, created_ms, ended_ms, kept \
             FROM trials WHERE sweep = ? ",
            $rest
        )
    };
}

/// Inserts a trial. Returns whether its number was free.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    sweep: i64,
    trial: &Trial,
    changed: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO trials (sweep, number, point, run, attempt, state, reason, created_ms, ended_ms, changed) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sweep, number) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(sweep)
        .bind(trial.number as i64)
        .bind(to_json(&trial.point)?)
        .bind(trial.run.as_ref().map(RunId::as_str))
        .bind(trial.attempt)
        .bind(to_word(&trial.state)?)
        .bind(&trial.reason)
        .bind(trial.created_ms)
        .bind(trial.ended_ms)
        .bind(changed)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Inserts a trial that has ended, with its values; `kept` as [`TrialRecord::kept`].
pub(crate) async fn insert_ended(
    connection: &mut SqliteConnection,
    sweep: i64,
    trial: &Trial,
    kept: &[(u64, f64)],
) -> Result<(), StoreError> {
    insert(connection, sweep, trial, 1).await?;
    let sql = "UPDATE trials SET last = ?, last_step = ?, best = ?, kept = ? WHERE sweep = ? AND number = ?";
    sqlx::query(sql)
        .bind(trial.last)
        .bind(trial.last_step.map(|step| step as i64))
        .bind(trial.best)
        .bind(to_json(&kept)?)
        .bind(sweep)
        .bind(trial.number as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Begins a trial again with another run.
pub(crate) async fn begin_again(
    connection: &mut SqliteConnection,
    sweep: i64,
    number: u64,
    run: &RunId,
    changed: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE trials SET run = ?, attempt = attempt + 1, state = 'queued', last = NULL, last_step = NULL, best = NULL, \
               reason = NULL, stop_as = NULL, is_exempt = 0, ended_ms = NULL, kept = '[]', changed = ? WHERE sweep = ? AND number = ?";
    sqlx::query(sql).bind(run.as_str()).bind(changed).bind(sweep).bind(number as i64).execute(connection).await?;
    Ok(())
}

/// The runs of earlier attempts of the trials of a sweep, with their training time, seconds. A run keeps the tag of its sweep when its trial
/// begins again with another run.
pub(crate) async fn earlier_attempts(
    connection: &mut SqliteConnection,
    sweep: i64,
) -> Result<Vec<(RunId, f64)>, StoreError> {
    let sql = "SELECT id, CAST(coalesce(progress ->> '$.elapsed_secs', 0.0) AS REAL) AS secs FROM runs \
               WHERE id IN (SELECT run FROM tags WHERE tag = ?) AND id NOT IN (SELECT run FROM trials WHERE run IS NOT NULL) ORDER BY id";
    let rows: Vec<(String, f64)> = sqlx::query_as(sql).bind(format!("sweep:{sweep}")).fetch_all(connection).await?;
    let unreadable = |source| StoreError::unreadable("the run of a trial", source);
    rows.into_iter().map(|(run, secs)| Ok((run.parse().map_err(unreadable)?, secs))).collect()
}

/// All trials of a sweep, or those that changed after a count, by number.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    sweep: i64,
    since: Option<u64>,
) -> Result<Vec<TrialRecord>, StoreError> {
    let rows = match since {
        Some(since) => {
            let changed = sqlx::query(trials!("AND changed > ? ORDER BY number")).bind(sweep).bind(since as i64);
            changed.fetch_all(connection).await?
        }
        None => sqlx::query(trials!("ORDER BY number")).bind(sweep).fetch_all(connection).await?,
    };
    rows.iter().map(record_of).collect()
}

/// The trials of a sweep that have not ended, by number.
pub(crate) async fn unfinished(connection: &mut SqliteConnection, sweep: i64) -> Result<Vec<TrialRecord>, StoreError> {
    let rows = sqlx::query(trials!("AND state IN ('queued', 'running') ORDER BY number"));
    rows.bind(sweep).fetch_all(connection).await?.iter().map(record_of).collect()
}

/// Which trials of a sweep have ended.
pub(crate) async fn decided(connection: &mut SqliteConnection, sweep: i64) -> Result<DecidedTrials, StoreError> {
    let sql = "SELECT coalesce(max(changed) FILTER (WHERE state NOT IN ('queued', 'running')), 0), \
               count(*) FILTER (WHERE state NOT IN ('queued', 'running')), count(*) FROM trials WHERE sweep = ?";
    let (newest, decided, created): (i64, i64, i64) = sqlx::query_as(sql).bind(sweep).fetch_one(connection).await?;
    Ok(DecidedTrials { newest: newest as u64, decided: decided as u64, created: created as u64 })
}

/// A trial.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    sweep: i64,
    number: u64,
) -> Result<Option<TrialRecord>, StoreError> {
    let row = sqlx::query(trials!("AND number = ?")).bind(sweep).bind(number as i64).fetch_optional(connection).await?;
    row.as_ref().map(record_of).transpose()
}

/// Sweep and number of the trial that a run belongs to.
pub(crate) async fn of_run(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<(i64, u64)>, StoreError> {
    let sql = "SELECT sweep, number FROM trials WHERE run = ?";
    let found: Option<(i64, i64)> = sqlx::query_as(sql).bind(run.as_str()).fetch_optional(connection).await?;
    Ok(found.map(|(sweep, number)| (sweep, number as u64)))
}

/// How many of the newest trials made no valid run.
pub(crate) async fn invalid_in_a_row(connection: &mut SqliteConnection, sweep: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM trials WHERE sweep = ?1 AND number > \
               (SELECT coalesce(max(number), -1) FROM trials WHERE sweep = ?1 AND (run IS NOT NULL OR state <> 'failed'))";
    let found: i64 = sqlx::query_scalar(sql).bind(sweep).fetch_one(connection).await?;
    Ok(found as u64)
}

/// Stores the values of a trial.
pub(crate) async fn set_values(
    connection: &mut SqliteConnection,
    sweep: i64,
    number: u64,
    values: &TrialValues,
    changed: i64,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE trials SET last = ?, last_step = ?, best = ?, kept = ?, changed = ? WHERE sweep = ? AND number = ?";
    sqlx::query(sql)
        .bind(values.last)
        .bind(values.last_step as i64)
        .bind(values.best)
        .bind(to_json(&values.kept)?)
        .bind(changed)
        .bind(sweep)
        .bind(number as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Marks the values that the stopping rule reads as unread, after the rule of a sweep has changed.
pub(crate) async fn read_again(connection: &mut SqliteConnection, sweep: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE trials SET kept = 'null' WHERE sweep = ?").bind(sweep).execute(connection).await?;
    Ok(())
}

/// The trials whose values are to be read again, by number.
pub(crate) async fn unread(connection: &mut SqliteConnection, sweep: i64) -> Result<Vec<TrialRecord>, StoreError> {
    let rows = sqlx::query(trials!("AND kept = 'null' ORDER BY number"));
    rows.bind(sweep).fetch_all(connection).await?.iter().map(record_of).collect()
}

/// Stores the values that the stopping rule reads of an attempt of a trial, up to the last one that is known.
pub(crate) async fn set_kept(
    connection: &mut SqliteConnection,
    sweep: i64,
    (number, attempt): (u64, u32),
    kept: &[(u64, f64)],
    changed: i64,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE trials SET kept = ?, changed = ? WHERE sweep = ? AND number = ? AND attempt = ? AND kept = 'null'";
    sqlx::query(sql)
        .bind(to_json(&kept)?)
        .bind(changed)
        .bind(sweep)
        .bind(number as i64)
        .bind(attempt)
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the state of a trial and, if it is given, its reason. One that trained all its steps was not stopped, whatever was decided.
pub(crate) async fn set_state(
    connection: &mut SqliteConnection,
    sweep: i64,
    number: u64,
    state: TrialState,
    reason: Option<&str>,
    ended_ms: Option<i64>,
    changed: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE trials SET state = ?1, reason = CASE WHEN ?1 = 'finished' THEN NULL ELSE coalesce(?2, reason) END, ended_ms = ?3, \
               changed = ?4 WHERE sweep = ?5 AND number = ?6";
    sqlx::query(sql)
        .bind(to_word(&state)?)
        .bind(reason)
        .bind(ended_ms)
        .bind(changed)
        .bind(sweep)
        .bind(number as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the state that a trial takes once its run has stopped, and why.
pub(crate) async fn set_stop(
    connection: &mut SqliteConnection,
    sweep: i64,
    number: u64,
    stop_as: TrialState,
    reason: &str,
    changed: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE trials SET stop_as = ?, reason = ?, changed = ? WHERE sweep = ? AND number = ?";
    sqlx::query(sql)
        .bind(to_word(&stop_as)?)
        .bind(reason)
        .bind(changed)
        .bind(sweep)
        .bind(number as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Decides for all trials of a sweep that have not ended, and are not to be stopped already, that they are stopped.
pub(crate) async fn stop_all(
    connection: &mut SqliteConnection,
    sweep: i64,
    reason: &str,
    changed: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE trials SET stop_as = 'stopped', reason = ?, changed = ? \
               WHERE sweep = ? AND state IN ('queued', 'running') AND stop_as IS NULL";
    sqlx::query(sql).bind(reason).bind(changed).bind(sweep).execute(connection).await?;
    Ok(())
}

/// The run of a trial was resumed: the trial continues, and rules can no longer stop it. Returns its sweep, if the run or the trial had
/// ended, or the trial was to be stopped. A run in another project than its sweep is no longer a trial.
pub(crate) async fn resumed(
    connection: &mut SqliteConnection,
    run: &RunId,
    had_ended: bool,
) -> Result<Option<i64>, StoreError> {
    let sql = "UPDATE trials SET state = 'queued', is_exempt = 1, stop_as = NULL, reason = NULL, ended_ms = NULL, \
               changed = (SELECT changes + 1 FROM sweeps WHERE id = sweep) \
               WHERE run = ? AND state <> 'finished' AND (? OR state IN ('stopped', 'failed') OR stop_as IS NOT NULL) \
               AND (SELECT project FROM runs WHERE id = run) = (SELECT project FROM sweeps WHERE id = sweep) RETURNING sweep";
    Ok(sqlx::query_scalar(sql).bind(run.as_str()).bind(had_ended).fetch_optional(connection).await?)
}

/// The worker of a lost run has reconnected: the trial that failed with it continues. Returns its sweep. A sweep that was stopped does not
/// take the trial back.
pub(crate) async fn reconnected(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<i64>, StoreError> {
    let sql = "UPDATE trials SET state = 'running', reason = NULL, ended_ms = NULL, \
               changed = (SELECT changes + 1 FROM sweeps WHERE id = sweep) \
               WHERE run = ? AND state = 'failed' AND stop_as IS NULL AND (SELECT project FROM runs WHERE id = run) = \
               (SELECT project FROM sweeps WHERE id = sweep AND state <> 'stopped') RETURNING sweep";
    Ok(sqlx::query_scalar(sql).bind(run.as_str()).fetch_optional(connection).await?)
}

fn record_of(row: &SqliteRow) -> Result<TrialRecord, StoreError> {
    let run: Option<String> = row.try_get("run")?;
    let run = run.map(|run| run.parse()).transpose();
    let stop_as: Option<String> = row.try_get("stop_as")?;
    let kept: Option<Vec<(u64, f64)>> = from_json("the values of a trial", row.try_get("kept")?)?;
    let trial = Trial {
        number: row.try_get::<i64, _>("number")? as u64,
        point: from_json::<Point>("the point of a trial", row.try_get("point")?)?,
        run: run.map_err(|source| StoreError::unreadable("the run of a trial", source))?,
        attempt: row.try_get("attempt")?,
        state: from_word("the state of a trial", row.try_get("state")?)?,
        last: row.try_get("last")?,
        last_step: row.try_get::<Option<i64>, _>("last_step")?.map(|step| step as u64),
        best: row.try_get("best")?,
        reason: row.try_get("reason")?,
        is_exempt: row.try_get("is_exempt")?,
        created_ms: row.try_get("created_ms")?,
        ended_ms: row.try_get("ended_ms")?,
    };
    Ok(TrialRecord {
        trial,
        stop_as: stop_as.map(|word| from_word("the state of a trial", &word)).transpose()?,
        is_unread: kept.is_none(),
        kept: kept.unwrap_or_default(),
    })
}
