//! SQL of findings and of the state of the rules.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::RunId;
use wire::diagnosis::{DiagnosisSettings, FindingCounts, Judgement, RunFinding, TakenAction};

use super::json::{from_json, from_word, to_json};
use crate::error::StoreError;

/// A finding with its place in the lab.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFinding {
    /// Number in the lab, increasing.
    pub sequence: u64,
    pub run: RunId,
    pub found: RunFinding,
    /// Number of the command with which its rule acts, once it is sent.
    pub command_id: Option<u64>,
}

/// The state of a run's rules after some of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// The path of the run then: (segment, first step, one past the last).
    pub path: Vec<(u32, u64, Option<u64>)>,
    /// The encoded state.
    pub bytes: Vec<u8>,
    /// The last step that the rules had read.
    pub checked_step: Option<u64>,
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT sequence, run, number, segment, finding, label, sentence, at_ms, ended_step, became, is_abandoned, is_dismissed, judgement, \
             action, command_id FROM findings ",
            $rest
        )
    };
}

/// The findings of a run, oldest first.
pub(crate) async fn of_run(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<StoredFinding>, StoreError> {
    let rows = sqlx::query(columns!("WHERE run = ? ORDER BY number")).bind(run.as_str()).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Findings of all runs after a sequence number, in order, at most `limit`.
pub(crate) async fn after(
    connection: &mut SqliteConnection,
    sequence: u64,
    limit: u32,
) -> Result<Vec<StoredFinding>, StoreError> {
    let rows = sqlx::query(columns!("WHERE sequence > ? ORDER BY sequence LIMIT ?"))
        .bind(sequence.min(i64::MAX as u64) as i64)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Numbers of the findings of each rule in the runs of a project, by rule.
pub(crate) async fn counts(connection: &mut SqliteConnection, project: &str) -> Result<Vec<FindingCounts>, StoreError> {
    let sql = "SELECT rule, MAX(label), COUNT(*), COUNT(*) FILTER (WHERE judgement = 'correct'), \
               COUNT(*) FILTER (WHERE judgement = 'wrong') FROM findings \
               JOIN runs ON runs.id = findings.run WHERE runs.project = ? AND runs.deleted_ms IS NULL AND became IS NULL \
               GROUP BY rule ORDER BY rule";
    let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(sql).bind(project).fetch_all(connection).await?;
    let read = |(rule, label, findings, correct, wrong): (String, String, i64, i64, i64)| FindingCounts {
        rule,
        label,
        findings: findings as u64,
        correct: correct as u64,
        wrong: wrong as u64,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Findings with an action that has neither an event nor a failure, oldest first.
pub(crate) async fn open_actions(connection: &mut SqliteConnection) -> Result<Vec<StoredFinding>, StoreError> {
    let sql = columns!(
        "WHERE action IS NOT NULL AND action ->> '$.event' IS NULL AND action ->> '$.failure' IS NULL ORDER BY sequence"
    );
    sqlx::query(sql).fetch_all(connection).await?.iter().map(read).collect()
}

/// Sets the number of the command of a finding's action, if it has none. Returns the number that it has; `None` for an unknown finding.
pub(crate) async fn put_command(
    connection: &mut SqliteConnection,
    run: &RunId,
    number: u64,
    command_id: u64,
) -> Result<Option<u64>, StoreError> {
    let sql =
        "UPDATE findings SET command_id = COALESCE(command_id, ?) WHERE run = ? AND number = ? RETURNING command_id";
    let stored: Option<i64> = sqlx::query_scalar(sql)
        .bind(command_id as i64)
        .bind(run.as_str())
        .bind(number as i64)
        .fetch_optional(connection)
        .await?;
    Ok(stored.map(|number| number as u64))
}

/// The newest sequence number; 0 without findings.
pub(crate) async fn last_sequence(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let found: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(sequence), 0) FROM findings").fetch_one(connection).await?;
    Ok(found as u64)
}

fn read(row: &SqliteRow) -> Result<StoredFinding, StoreError> {
    let action: Option<String> = row.try_get("action")?;
    let judgement: Option<&str> = row.try_get("judgement")?;
    let action = action.map(|text| from_json::<TakenAction>("the action of a rule", &text)).transpose()?;
    let number = |column| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(column)?.map(|number| number as u64));
    let run: String = row.try_get("run")?;
    Ok(StoredFinding {
        sequence: row.try_get::<i64, _>("sequence")? as u64,
        run: run.parse().map_err(|source| StoreError::unreadable("the run of a finding", source))?,
        command_id: number("command_id")?,
        found: RunFinding {
            id: row.try_get::<i64, _>("number")? as u64,
            segment: row.try_get("segment")?,
            at_ms: row.try_get("at_ms")?,
            finding: from_json("a finding", row.try_get("finding")?)?,
            label: row.try_get("label")?,
            text: row.try_get("sentence")?,
            ended_step: number("ended_step")?,
            became: number("became")?,
            is_abandoned: row.try_get("is_abandoned")?,
            is_dismissed: row.try_get("is_dismissed")?,
            judgement: judgement.map(|word| from_word("the judgement of a finding", word)).transpose()?,
            action,
        },
    })
}

/// Adds a finding, or replaces what changes of it.
pub(crate) async fn put(connection: &mut SqliteConnection, run: &RunId, found: &RunFinding) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO findings (run, number, segment, rule, subject, level, step, finding, label, sentence, at_ms, ended_step, \
         became, is_abandoned, is_dismissed, judgement, action) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (run, number) DO UPDATE SET ended_step = excluded.ended_step, became = excluded.became, \
         is_abandoned = excluded.is_abandoned, is_dismissed = excluded.is_dismissed, \
         judgement = excluded.judgement, action = excluded.action",
    )
    .bind(run.as_str())
    .bind(found.id as i64)
    .bind(found.segment)
    .bind(&found.finding.rule)
    .bind(&found.finding.subject)
    .bind(found.finding.level.word())
    .bind(found.finding.step as i64)
    .bind(to_json(&found.finding)?)
    .bind(&found.label)
    .bind(&found.text)
    .bind(found.at_ms)
    .bind(found.ended_step.map(|step| step as i64))
    .bind(found.became.map(|number| number as i64))
    .bind(found.is_abandoned)
    .bind(found.is_dismissed)
    .bind(found.judgement.map(Judgement::word))
    .bind(found.action.as_ref().map(to_json).transpose()?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives all findings the labels of their rules, by the ids of the rules. Returns how many labels were changed.
pub(crate) async fn set_labels(
    connection: &mut SqliteConnection,
    labels: &BTreeMap<&str, &str>,
) -> Result<u64, StoreError> {
    let sql = "UPDATE findings SET label = (SELECT value FROM json_each(?1) WHERE key = rule) \
               WHERE label <> (SELECT value FROM json_each(?1) WHERE key = rule)";
    Ok(sqlx::query(sql).bind(to_json(labels)?).execute(connection).await?.rows_affected())
}

/// The settings and the state of a run's rules; `None` if neither was stored.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<(DiagnosisSettings, Option<RuleState>)>, StoreError> {
    let sql = "SELECT settings, path, state, checked_step FROM diagnosis WHERE run = ?";
    let Some(row) = sqlx::query(sql).bind(run.as_str()).fetch_optional(connection).await? else { return Ok(None) };
    let (path, bytes): (Option<String>, Option<Vec<u8>>) = (row.try_get("path")?, row.try_get("state")?);
    let checked_step = row.try_get::<Option<i64>, _>("checked_step")?.map(|step| step as u64);
    let state = path.zip(bytes).map(|(path, bytes)| {
        let path = from_json("the path of the state of the rules", &path)?;
        Ok::<_, StoreError>(RuleState { path, bytes, checked_step })
    });
    Ok(Some((from_json("the settings of the rules", row.try_get("settings")?)?, state.transpose()?)))
}

/// Runs whose stored state of the rules is older than their last step.
pub(crate) async fn behind(connection: &mut SqliteConnection) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT run FROM diagnosis JOIN runs ON runs.id = run WHERE diagnosis.state IS NOT NULL \
               AND runs.deleted_ms IS NULL AND diagnosis.checked_step + 1 < runs.progress ->> '$.step'";
    let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    let run =
        |id: &String| id.parse().map_err(|source| StoreError::unreadable("the run of the state of the rules", source));
    found.iter().map(run).collect()
}

/// Stores the state of a run's rules.
pub(crate) async fn put_state(
    connection: &mut SqliteConnection,
    run: &RunId,
    state: &RuleState,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO diagnosis (run, path, state, checked_step) VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE \
         SET path = excluded.path, state = excluded.state, checked_step = excluded.checked_step",
    )
    .bind(run.as_str())
    .bind(to_json(&state.path)?)
    .bind(&state.bytes)
    .bind(state.checked_step.map(|step| step as i64))
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the settings of a run's rules.
pub(crate) async fn put_settings(
    connection: &mut SqliteConnection,
    run: &RunId,
    settings: &DiagnosisSettings,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO diagnosis (run, settings) VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET settings = excluded.settings";
    sqlx::query(sql).bind(run.as_str()).bind(to_json(settings)?).execute(connection).await?;
    Ok(())
}
