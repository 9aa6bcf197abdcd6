//! SQL of experiments, their runs and their journals.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::Visible;
use wire::experiment::record::{ExperimentEvent, ExperimentRun, ExperimentState, ExperimentSummary, Side, Verdict};
use wire::{Author, RunId, RunSpec};

use super::json::{from_json, from_word, to_json, to_word};
use super::records::{self, Line};
use super::run_table::seen;
use crate::error::StoreError;
use crate::new_experiment::NewExperiment;

/// Runs of one side of a pair that are started without a person: the first, and its repetition.
const ATTEMPTS: u32 = 2;

/// An experiment as it is stored, without its runs.
pub(crate) struct ExperimentRow {
    pub(crate) summary: ExperimentSummary,
    pub(crate) baseline: RunSpec,
    pub(crate) variant: RunSpec,
    pub(crate) first_seed: u64,
    /// Runs of one side of the present pair that may be started.
    pub(crate) attempts: u32,
    pub(crate) person: Option<i64>,
    pub(crate) token: Option<i64>,
}

/// A query of the columns of [`summary_of`].
macro_rules! select {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, project, author, spec, state, reason, verdict, created_ms, ended_ms, (SELECT COUNT(*) FROM ",
            "(SELECT 1 FROM experiment_runs AS ended WHERE ended.experiment = experiments.id AND ended.value IS NOT NULL ",
            "GROUP BY ended.pair HAVING COUNT(*) = 2)) AS pairs",
            $more,
            " FROM experiments ",
            $rest
        )
    };
}

fn summary_of(row: &SqliteRow) -> Result<ExperimentSummary, StoreError> {
    let verdict: Option<&str> = row.try_get("verdict")?;
    let pairs: i64 = row.try_get("pairs")?;
    let id: i64 = row.try_get("id")?;
    Ok(ExperimentSummary {
        id: id as u64,
        project: row.try_get("project")?,
        author: from_json("the author of an experiment", row.try_get("author")?)?,
        spec: from_json("an experiment", row.try_get("spec")?)?,
        state: from_word("the state of an experiment", row.try_get("state")?)?,
        reason: row.try_get("reason")?,
        verdict: verdict.map(|verdict| from_json("a verdict", verdict)).transpose()?,
        pairs: pairs as u32,
        created_ms: row.try_get("created_ms")?,
        ended_ms: row.try_get("ended_ms")?,
    })
}

/// Adds an experiment that is running, and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewExperiment,
    created_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "INSERT INTO experiments (project, author, person, token, spec, baseline, variant, first_seed, attempts, state, created_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(&new.project)
        .bind(to_json(&new.author)?)
        .bind(new.person)
        .bind(new.token)
        .bind(to_json(&new.spec)?)
        .bind(to_json(&new.baseline)?)
        .bind(to_json(&new.variant)?)
        .bind(new.first_seed as i64)
        .bind(ATTEMPTS)
        .bind(to_word(&ExperimentState::Running)?)
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid() as u64)
}

/// Number of experiments that have not ended.
pub(crate) async fn count_open(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM experiments WHERE state IN ('running', 'paused')";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(count as u64)
}

/// An experiment.
pub(crate) async fn get(connection: &mut SqliteConnection, id: u64) -> Result<Option<ExperimentRow>, StoreError> {
    let sql = select!(", baseline, variant, first_seed, attempts, person, token", "WHERE id = ?");
    let Some(row) = sqlx::query(sql).bind(id as i64).fetch_optional(connection).await? else { return Ok(None) };
    let first_seed: i64 = row.try_get("first_seed")?;
    Ok(Some(ExperimentRow {
        summary: summary_of(&row)?,
        baseline: from_json("the baseline of an experiment", row.try_get("baseline")?)?,
        variant: from_json("the variant of an experiment", row.try_get("variant")?)?,
        first_seed: first_seed as u64,
        attempts: row.try_get("attempts")?,
        person: row.try_get("person")?,
        token: row.try_get("token")?,
    }))
}

/// The project of an experiment.
pub(crate) async fn project(connection: &mut SqliteConnection, id: u64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT project FROM experiments WHERE id = ?";
    Ok(sqlx::query_scalar(sql).bind(id as i64).fetch_optional(connection).await?)
}

/// The newest experiments of the projects that may be seen, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    visible: &Visible,
    limit: u32,
) -> Result<Vec<ExperimentSummary>, StoreError> {
    let (projects, _) = seen(visible)?;
    let sql = select!("", "WHERE ?1 IS NULL OR project IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2");
    let rows = sqlx::query(sql).bind(projects).bind(limit).fetch_all(connection).await?;
    rows.iter().map(summary_of).collect()
}

/// Ids of the experiments that are running or have runs with neither a value nor a failure, oldest first.
pub(crate) async fn active(connection: &mut SqliteConnection) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT id FROM experiments WHERE state = 'running' OR state IN ('paused', 'stopped') AND EXISTS \
               (SELECT 1 FROM experiment_runs AS run WHERE run.experiment = experiments.id AND run.value IS NULL AND run.failure IS NULL) \
               ORDER BY id";
    records::ids(connection, sql).await
}

/// Changes the state of an experiment, and the reason. Returns whether it had the state `from`.
pub(crate) async fn set_state(
    connection: &mut SqliteConnection,
    id: u64,
    from: ExperimentState,
    to: ExperimentState,
    reason: Option<&str>,
    ended_ms: Option<i64>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE experiments SET state = ?1, reason = ?2, ended_ms = ?3 WHERE id = ?4 AND state = ?5";
    records::set_state(connection, sql, id, [from, to], reason, ended_ms).await
}

/// Stores the verdict.
pub(crate) async fn set_verdict(
    connection: &mut SqliteConnection,
    id: u64,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE experiments SET verdict = ? WHERE id = ?")
        .bind(to_json(verdict)?)
        .bind(id as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Allows as many runs of one side of a pair as for a new pair, counted from `from` runs on.
pub(crate) async fn set_attempts(connection: &mut SqliteConnection, id: u64, from: u32) -> Result<(), StoreError> {
    sqlx::query("UPDATE experiments SET attempts = ? WHERE id = ?")
        .bind(from + ATTEMPTS)
        .bind(id as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds a run. Returns whether the experiment had none of this pair, side and attempt.
pub(crate) async fn insert_run(
    connection: &mut SqliteConnection,
    experiment: u64,
    run: &ExperimentRun,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO experiment_runs (experiment, pair, side, attempt, seed, run) VALUES (?, ?, ?, ?, ?, ?) \
               ON CONFLICT (experiment, pair, side, attempt) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(experiment as i64)
        .bind(run.pair)
        .bind(to_word(&run.side)?)
        .bind(run.attempt)
        .bind(run.seed as i64)
        .bind(run.run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores the value or the failure of a run that has neither. Returns its experiment.
pub(crate) async fn settle_run(
    connection: &mut SqliteConnection,
    run: &RunId,
    result: Result<f64, &str>,
    device_secs: f64,
) -> Result<Option<u64>, StoreError> {
    let sql = "UPDATE experiment_runs SET value = ?, failure = ?, device_secs = ? WHERE run = ? AND value IS NULL AND failure IS NULL \
               RETURNING experiment";
    let found: Option<i64> = sqlx::query_scalar(sql)
        .bind(result.ok())
        .bind(result.err())
        .bind(device_secs)
        .bind(run.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|id| id as u64))
}

type RunColumns = (u32, String, u32, i64, String, Option<f64>, Option<String>, Option<f64>);

/// The runs of an experiment, by pair, side and attempt.
pub(crate) async fn runs(connection: &mut SqliteConnection, experiment: u64) -> Result<Vec<ExperimentRun>, StoreError> {
    let sql = "SELECT pair, side, attempt, seed, run, value, failure, device_secs FROM experiment_runs WHERE experiment = ? \
               ORDER BY pair, side, attempt";
    let rows: Vec<RunColumns> = sqlx::query_as(sql).bind(experiment as i64).fetch_all(connection).await?;
    let read = |(pair, side, attempt, seed, run, value, failure, device_secs): RunColumns| {
        let side: Side = from_word("the side of a run", &side)?;
        let run = run.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
        let (seed, state, progress) = (seed as u64, None, 0.0);
        Ok(ExperimentRun { pair, side, attempt, seed, run, value, failure, device_secs, state, progress })
    };
    rows.into_iter().map(read).collect()
}

/// Adds a line to the journal of an experiment.
pub(crate) async fn add_event(
    connection: &mut SqliteConnection,
    experiment: u64,
    at_ms: i64,
    author: &Author,
    text: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO experiment_events (experiment, number, at_ms, author, text) VALUES (?1, \
               (SELECT COALESCE(MAX(number), 0) + 1 FROM experiment_events WHERE experiment = ?1), ?2, ?3, ?4)";
    records::add_line(connection, sql, experiment, at_ms, author, text).await
}

/// The journal of an experiment, oldest first.
pub(crate) async fn events(
    connection: &mut SqliteConnection,
    experiment: u64,
) -> Result<Vec<ExperimentEvent>, StoreError> {
    let sql = "SELECT number, at_ms, author, text FROM experiment_events WHERE experiment = ? ORDER BY number";
    let rows: Vec<(u32, i64, String, String)> =
        sqlx::query_as(sql).bind(experiment as i64).fetch_all(connection).await?;
    let event = |(number, at_ms, author, text): Line| ExperimentEvent { number, at_ms, author, text };
    rows.into_iter().map(|row| records::line(row).map(event)).collect()
}
