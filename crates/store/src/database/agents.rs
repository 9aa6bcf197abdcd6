//! SQL of agents: their limits, their names in journals, the runs that count for them, and their events.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::AgentLimits;
use wire::{EventRecord, RunId};

use super::json::{from_json, to_json};
use crate::error::StoreError;

/// An agent as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRecord {
    /// Id of its token.
    pub token: i64,
    /// Name of its token.
    pub name: String,
    /// The person to whom the token belongs.
    pub person: Option<i64>,
    pub limits: AgentLimits,
    /// Program of its last MCP session.
    pub client: Option<String>,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// When it was stopped, ms since 1970.
    pub stopped_ms: Option<i64>,
    /// Name of the person.
    pub stopped_by: Option<String>,
}

/// What was created with a token and has not ended, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentGroups {
    pub sweeps: Vec<i64>,
    pub experiments: Vec<u64>,
    pub research_loops: Vec<u64>,
}

/// What the runs of an agent have used, and what is reserved for those that have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct AgentUsage {
    /// Training time, seconds.
    pub(crate) used_secs: f64,
    pub(crate) reserved_secs: f64,
    pub(crate) used_steps: u64,
    pub(crate) reserved_steps: u64,
    /// Runs that are queued or on a device.
    pub(crate) unfinished: u32,
    /// Runs that were created since the time that was asked for.
    pub(crate) created: u32,
}

/// A run that begins to count for an agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedRun<'a> {
    pub(crate) token: i64,
    pub(crate) run: &'a RunId,
    /// Whether the agent creates it.
    pub(crate) is_new: bool,
    pub(crate) at_ms: i64,
    /// Training time that is reserved for it from now on, seconds.
    pub(crate) reserved_secs: f64,
    pub(crate) reserved_steps: u64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT token, name, person, limits, client, created_ms, stopped_ms, stopped_by FROM agents ", $rest)
    };
}

fn record_of(row: &SqliteRow) -> Result<AgentRecord, StoreError> {
    Ok(AgentRecord {
        token: row.try_get("token")?,
        name: row.try_get("name")?,
        person: row.try_get("person")?,
        limits: from_json("the limits of an agent", row.try_get("limits")?)?,
        client: row.try_get("client")?,
        created_ms: row.try_get("created_ms")?,
        stopped_ms: row.try_get("stopped_ms")?,
        stopped_by: row.try_get("stopped_by")?,
    })
}

/// Stores the agent of a new token.
pub(crate) async fn insert(connection: &mut SqliteConnection, agent: &AgentRecord) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO agents (token, name, person, limits, created_ms) VALUES (?, ?, ?, ?, ?)")
        .bind(agent.token)
        .bind(&agent.name)
        .bind(agent.person)
        .bind(to_json(&agent.limits)?)
        .bind(agent.created_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// The agent of a token.
pub(crate) async fn get(connection: &mut SqliteConnection, token: i64) -> Result<Option<AgentRecord>, StoreError> {
    let row = sqlx::query(select!("WHERE token = ?")).bind(token).fetch_optional(connection).await?;
    row.as_ref().map(record_of).transpose()
}

/// The newest agents, newest first.
pub(crate) async fn list(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
    let rows = sqlx::query(select!("ORDER BY token DESC LIMIT ?")).bind(limit).fetch_all(connection).await?;
    rows.iter().map(record_of).collect()
}

/// Agents of this name and owner.
pub(crate) async fn same(
    connection: &mut SqliteConnection,
    name: &str,
    person: Option<i64>,
) -> Result<Vec<AgentRecord>, StoreError> {
    let rows =
        sqlx::query(select!("WHERE name = ? AND person IS ?")).bind(name).bind(person).fetch_all(connection).await?;
    rows.iter().map(record_of).collect()
}

/// Sets the limits of an agent.
pub(crate) async fn set_limits(
    connection: &mut SqliteConnection,
    token: i64,
    limits: &AgentLimits,
) -> Result<(), StoreError> {
    let text = to_json(limits)?;
    sqlx::query("UPDATE agents SET limits = ? WHERE token = ?").bind(text).bind(token).execute(connection).await?;
    Ok(())
}

/// Sets the program of the last MCP session of an agent.
pub(crate) async fn set_client(connection: &mut SqliteConnection, token: i64, client: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE agents SET client = ? WHERE token = ?").bind(client).bind(token).execute(connection).await?;
    Ok(())
}

/// Marks an agent as stopped, unless it is.
pub(crate) async fn set_stopped(
    connection: &mut SqliteConnection,
    token: i64,
    at_ms: i64,
    by: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE agents SET stopped_ms = ?, stopped_by = ? WHERE token = ? AND stopped_ms IS NULL";
    sqlx::query(sql).bind(at_ms).bind(by).bind(token).execute(connection).await?;
    Ok(())
}

/// The token to which a name of journals belongs.
pub(crate) async fn token_of_name(connection: &mut SqliteConnection, name: &str) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar("SELECT token FROM agent_authors WHERE name = ?")
        .bind(name)
        .fetch_optional(connection)
        .await?)
}

/// Gives a name of journals to a token, unless it belongs to one.
pub(crate) async fn add_name(connection: &mut SqliteConnection, name: &str, token: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO agent_authors (name, token) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
    sqlx::query(sql).bind(name).bind(token).execute(connection).await?;
    Ok(())
}

/// Number of names of a token.
pub(crate) async fn count_names(connection: &mut SqliteConnection, token: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM agent_authors WHERE token = ?";
    let count: i64 = sqlx::query_scalar(sql).bind(token).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Lets a run count for an agent from now on. One that counts already stays as it is; one that counted before goes on from what it had used.
pub(crate) async fn count_run(connection: &mut SqliteConnection, counted: CountedRun<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO agent_runs (token, run, is_new, at_ms, from_secs, from_steps, reserved_secs, reserved_steps) \
               SELECT ?1, id, ?3, ?4, coalesce(progress ->> '$.elapsed_secs', 0.0), coalesce(progress ->> '$.trained_steps', 0), ?5, ?6 \
               FROM runs WHERE id = ?2 \
               ON CONFLICT (token, run) DO UPDATE SET \
               from_secs = CASE WHEN used_secs IS NULL THEN from_secs ELSE excluded.from_secs - used_secs END, \
               from_steps = CASE WHEN used_steps IS NULL THEN from_steps ELSE excluded.from_steps - used_steps END, \
               reserved_secs = CASE WHEN used_secs IS NULL \
               THEN max(reserved_secs, excluded.from_secs - from_secs + excluded.reserved_secs) \
               ELSE used_secs + excluded.reserved_secs END, \
               reserved_steps = CASE WHEN used_steps IS NULL \
               THEN max(reserved_steps, excluded.from_steps - from_steps + excluded.reserved_steps) \
               ELSE used_steps + excluded.reserved_steps END, \
               used_secs = NULL, used_steps = NULL";
    sqlx::query(sql)
        .bind(counted.token)
        .bind(counted.run.as_str())
        .bind(counted.is_new)
        .bind(counted.at_ms)
        .bind(counted.reserved_secs)
        .bind(counted.reserved_steps.min(i64::MAX as u64) as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// A run counts for a token no more, for none by default; what it has used stays.
pub(crate) async fn settle(
    connection: &mut SqliteConnection,
    run: &RunId,
    token: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE agent_runs SET \
               used_secs = max(0.0, coalesce((SELECT progress ->> '$.elapsed_secs' FROM runs WHERE id = run), from_secs) - from_secs), \
               used_steps = max(0, coalesce((SELECT progress ->> '$.trained_steps' FROM runs WHERE id = run), from_steps) - from_steps) \
               WHERE run = ?1 AND used_secs IS NULL AND (?2 IS NULL OR token = ?2)";
    sqlx::query(sql).bind(run.as_str()).bind(token).execute(connection).await?;
    Ok(())
}

/// Whether an agent has created a run.
pub(crate) async fn has_run(connection: &mut SqliteConnection, token: i64, run: &RunId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM agent_runs WHERE token = ? AND run = ? AND is_new = 1)";
    Ok(sqlx::query_scalar(sql).bind(token).bind(run.as_str()).fetch_one(connection).await?)
}

/// The runs that count for a token, newest first.
pub(crate) async fn runs(connection: &mut SqliteConnection, token: i64) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT run FROM agent_runs WHERE token = ? AND used_secs IS NULL ORDER BY at_ms DESC, run";
    let ids: Vec<String> = sqlx::query_scalar(sql).bind(token).fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// The runs that an agent has created and that were not purged, newest first.
pub(crate) async fn created(connection: &mut SqliteConnection, token: i64) -> Result<Vec<RunId>, StoreError> {
    let sql =
        "SELECT run FROM agent_runs JOIN runs ON runs.id = run WHERE token = ? AND is_new = 1 ORDER BY at_ms DESC, run";
    let ids: Vec<String> = sqlx::query_scalar(sql).bind(token).fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// What the runs of a token have used and reserved; `created` counts those since `since_ms`, and `without` leaves the reservation of one
/// run out.
pub(crate) async fn usage(
    connection: &mut SqliteConnection,
    token: i64,
    since_ms: i64,
    without: Option<&RunId>,
) -> Result<AgentUsage, StoreError> {
    let sql = "WITH counted AS (SELECT agent_runs.run, is_new, at_ms, used_secs IS NULL AS is_open, reserved_secs, reserved_steps, \
               coalesce(used_secs, max(0.0, (runs.progress ->> '$.elapsed_secs') - from_secs), 0.0) AS secs, \
               coalesce(used_steps, max(0, coalesce(runs.progress ->> '$.trained_steps', 0) - from_steps), 0) AS steps, \
               max(0, runs.steps - (runs.progress ->> '$.step')) AS left_steps, \
               coalesce(runs.deleted_ms IS NULL AND runs.state IN ('queued', 'starting', 'running', 'paused', 'suspended'), 0) AS goes_on, \
               coalesce(runs.deleted_ms IS NULL AND runs.state IN ('queued', 'starting', 'running', 'paused'), 0) AS is_loaded \
               FROM agent_runs LEFT JOIN runs ON runs.id = agent_runs.run WHERE token = ?1) \
               SELECT total(secs), \
               total(CASE WHEN is_open AND goes_on AND run IS NOT ?3 THEN max(0.0, reserved_secs - secs) END), \
               CAST(total(steps) AS INTEGER), \
               CAST(total(CASE WHEN is_open AND goes_on AND run IS NOT ?3 THEN max(left_steps, reserved_steps - steps) END) AS INTEGER), \
               count(CASE WHEN is_open AND is_loaded AND run IS NOT ?3 THEN 1 END), \
               count(CASE WHEN is_new AND at_ms > ?2 THEN 1 END) FROM counted";
    let (used_secs, reserved_secs, used_steps, reserved_steps, unfinished, created): (f64, f64, i64, i64, i64, i64) =
        sqlx::query_as(sql).bind(token).bind(since_ms).bind(without.map(RunId::as_str)).fetch_one(connection).await?;
    Ok(AgentUsage {
        used_secs,
        reserved_secs,
        used_steps: used_steps.max(0) as u64,
        reserved_steps: reserved_steps.max(0) as u64,
        unfinished: unfinished.max(0) as u32,
        created: created.max(0) as u32,
    })
}

/// Those of `among` that train and count for a token, with the token.
pub(crate) async fn training(
    connection: &mut SqliteConnection,
    among: &[RunId],
) -> Result<Vec<(i64, RunId)>, StoreError> {
    let sql = "SELECT token, runs.id FROM agent_runs JOIN runs ON runs.id = agent_runs.run \
               WHERE agent_runs.run IN (SELECT value FROM json_each(?)) AND used_secs IS NULL AND runs.state = 'running' \
               AND runs.deleted_ms IS NULL AND runs.steps > (runs.progress ->> '$.step') ORDER BY token, runs.id";
    let rows: Vec<(i64, String)> = sqlx::query_as(sql).bind(to_json(&among)?).fetch_all(connection).await?;
    let parsed = |(token, id): (i64, String)| match id.parse() {
        Ok(run) => Ok((token, run)),
        Err(source) => Err(StoreError::unreadable("a run's id", source)),
    };
    rows.into_iter().map(parsed).collect()
}

/// Notes an event of an agent.
pub(crate) async fn add_event(
    connection: &mut SqliteConnection,
    token: i64,
    run: &RunId,
    record: &EventRecord,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO agent_events (token, at_ms, run, number) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(token)
        .bind(record.at_ms)
        .bind(run.as_str())
        .bind(record.number as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// The events of an agent with the names of their runs, newest first, at most `limit`.
pub(crate) async fn events(
    connection: &mut SqliteConnection,
    token: i64,
    limit: u32,
) -> Result<Vec<(RunId, String, EventRecord)>, StoreError> {
    let sql = "SELECT agent_events.run, runs.name, events.record FROM agent_events \
               JOIN events ON events.run = agent_events.run AND events.number = agent_events.number \
               JOIN runs ON runs.id = agent_events.run \
               WHERE token = ? ORDER BY agent_events.at_ms DESC, agent_events.run, agent_events.number DESC LIMIT ?";
    let rows: Vec<(String, String, String)> = sqlx::query_as(sql).bind(token).bind(limit).fetch_all(connection).await?;
    let parsed = |(run, name, record): (String, String, String)| {
        let run = run.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
        Ok((run, name, from_json("an event of the journal", &record)?))
    };
    rows.into_iter().map(parsed).collect()
}

/// Numbers of the events of an agent in a run.
pub(crate) async fn event_numbers(
    connection: &mut SqliteConnection,
    token: i64,
    run: &RunId,
) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT number FROM agent_events WHERE run = ? AND token = ? ORDER BY number";
    let numbers: Vec<i64> = sqlx::query_scalar(sql).bind(run.as_str()).bind(token).fetch_all(connection).await?;
    Ok(numbers.into_iter().map(|number| number.max(0) as u64).collect())
}

/// The sweeps, experiments and research loops that were created with a token and have not ended.
pub(crate) async fn groups(connection: &mut SqliteConnection, token: i64) -> Result<AgentGroups, StoreError> {
    let sweeps = "SELECT id FROM sweeps WHERE token = ? AND state IN ('running', 'paused') ORDER BY id DESC";
    let experiments = "SELECT id FROM experiments WHERE token = ? AND state IN ('running', 'paused') ORDER BY id DESC";
    let loops = "SELECT id FROM research_loops WHERE token = ? AND state IN ('running', 'paused') ORDER BY id DESC";
    let sweeps: Vec<i64> = sqlx::query_scalar(sweeps).bind(token).fetch_all(&mut *connection).await?;
    let experiments: Vec<i64> = sqlx::query_scalar(experiments).bind(token).fetch_all(&mut *connection).await?;
    let loops: Vec<i64> = sqlx::query_scalar(loops).bind(token).fetch_all(connection).await?;
    let positive = |ids: Vec<i64>| ids.into_iter().map(|id| id.max(0) as u64).collect();
    Ok(AgentGroups { sweeps, experiments: positive(experiments), research_loops: positive(loops) })
}
