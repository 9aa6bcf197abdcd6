//! SQL of research loops, their rounds and their journals.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::Author;
use wire::access::Visible;
use wire::research_loop::record::{LoopEvent, LoopHints, LoopProposal, LoopRound, LoopState, LoopSummary};

use super::json::{from_json, from_word, to_json, to_word};
use super::records::{self, Line};
use super::run_table::seen;
use crate::error::StoreError;
use crate::new_loop::NewLoop;

/// A loop as it is stored, without its rounds.
pub(crate) struct LoopRow {
    pub(crate) summary: LoopSummary,
    pub(crate) person: Option<i64>,
    pub(crate) token: Option<i64>,
}

/// Which events of the journal of a loop are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopEventPart {
    /// Only later events, and the first ones of them.
    pub since: Option<u32>,
    /// Only earlier events.
    pub before: Option<u32>,
    /// Maximum number.
    pub limit: u32,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project, author, person, token, goal, start, hints, queued, state, reason, created_ms, ended_ms ",
            "FROM research_loops ",
            $rest
        )
    };
}

fn read(row: &SqliteRow) -> Result<LoopRow, StoreError> {
    let queued: Option<&str> = row.try_get("queued")?;
    let summary = LoopSummary {
        id: row.try_get::<i64, _>("id")? as u64,
        project: row.try_get("project")?,
        author: from_json("the author of a research loop", row.try_get("author")?)?,
        goal: from_json("the goal of a research loop", row.try_get("goal")?)?,
        start: from_json("the start of a research loop", row.try_get("start")?)?,
        hints: from_json("the hints of a research loop", row.try_get("hints")?)?,
        queued: queued.map(|queued| from_json("a proposal", queued)).transpose()?,
        state: from_word("the state of a research loop", row.try_get("state")?)?,
        reason: row.try_get("reason")?,
        created_ms: row.try_get("created_ms")?,
        ended_ms: row.try_get("ended_ms")?,
    };
    Ok(LoopRow { summary, person: row.try_get("person")?, token: row.try_get("token")? })
}

/// Adds a loop that is running, and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewLoop,
    created_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "INSERT INTO research_loops (project, author, person, token, goal, start, hints, state, created_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(&new.project)
        .bind(to_json(&new.author)?)
        .bind(new.person)
        .bind(new.token)
        .bind(to_json(&new.goal)?)
        .bind(to_json(&new.start)?)
        .bind(to_json(&LoopHints::default())?)
        .bind(to_word(&LoopState::Running)?)
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid() as u64)
}

/// Number of loops that have not ended.
pub(crate) async fn count_open(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM research_loops WHERE state IN ('running', 'paused')";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(count as u64)
}

/// A loop.
pub(crate) async fn get(connection: &mut SqliteConnection, id: u64) -> Result<Option<LoopRow>, StoreError> {
    let row = sqlx::query(select!("WHERE id = ?")).bind(id as i64).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The project of a loop.
pub(crate) async fn project(connection: &mut SqliteConnection, id: u64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT project FROM research_loops WHERE id = ?";
    Ok(sqlx::query_scalar(sql).bind(id as i64).fetch_optional(connection).await?)
}

/// The newest loops of the projects that may be seen, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    visible: &Visible,
    limit: u32,
) -> Result<Vec<LoopSummary>, StoreError> {
    let (projects, _) = seen(visible)?;
    let sql = select!("WHERE ?1 IS NULL OR project IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2");
    let rows = sqlx::query(sql).bind(projects).bind(limit).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(read(row)?.summary)).collect()
}

/// Ids of the loops that are running or have a round that is not decided, oldest first.
pub(crate) async fn active(connection: &mut SqliteConnection) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT id FROM research_loops WHERE state = 'running' \
               UNION SELECT loop FROM research_rounds WHERE is_open = 1 ORDER BY 1";
    records::ids(connection, sql).await
}

/// Changes the state of a loop and the reason. Returns whether it had the state `from`.
pub(crate) async fn set_state(
    connection: &mut SqliteConnection,
    id: u64,
    from: LoopState,
    to: LoopState,
    reason: Option<&str>,
    ended_ms: Option<i64>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE research_loops SET state = ?1, reason = ?2, ended_ms = ?3 WHERE id = ?4 AND state = ?5";
    records::set_state(connection, sql, id, [from, to], reason, ended_ms).await
}

/// Stores the hints.
pub(crate) async fn set_hints(connection: &mut SqliteConnection, id: u64, hints: &LoopHints) -> Result<(), StoreError> {
    let sql = "UPDATE research_loops SET hints = ? WHERE id = ?";
    sqlx::query(sql).bind(to_json(hints)?).bind(id as i64).execute(connection).await?;
    Ok(())
}

/// Stores the proposal for the next round, or removes it.
pub(crate) async fn set_queued(
    connection: &mut SqliteConnection,
    id: u64,
    queued: Option<&LoopProposal>,
) -> Result<(), StoreError> {
    let sql = "UPDATE research_loops SET queued = ? WHERE id = ?";
    sqlx::query(sql).bind(queued.map(to_json).transpose()?).bind(id as i64).execute(connection).await?;
    Ok(())
}

/// The proposals for next rounds of the loops that have not ended, with the ids of the loops.
pub(crate) async fn queued(connection: &mut SqliteConnection) -> Result<Vec<(u64, LoopProposal)>, StoreError> {
    let sql = "SELECT id, queued FROM research_loops WHERE state IN ('running', 'paused') AND queued IS NOT NULL";
    let rows: Vec<(i64, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    rows.into_iter().map(|(id, queued)| Ok((id as u64, from_json("a proposal", &queued)?))).collect()
}

/// Removes the proposal for the next round, and says why in the journal.
pub(crate) async fn drop_queued(
    connection: &mut SqliteConnection,
    id: u64,
    proposal: &LoopProposal,
    why: &str,
    at_ms: i64,
) -> Result<(), StoreError> {
    set_queued(connection, id, None).await?;
    let text = format!("the proposal of {} was dropped: {why}", proposal.author.name());
    add_event(connection, id, at_ms, &Author::System, &text).await
}

/// Adds a round. Returns whether the loop had none of this number.
pub(crate) async fn insert_round(
    connection: &mut SqliteConnection,
    id: u64,
    round: &LoopRound,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO research_rounds (loop, number, is_open, round) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING";
    let done = sqlx::query(sql).bind(id as i64).bind(round.number).bind(to_json(round)?).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces a round that is not decided.
pub(crate) async fn set_round(connection: &mut SqliteConnection, id: u64, round: &LoopRound) -> Result<(), StoreError> {
    let sql = "UPDATE research_rounds SET is_open = ?, round = ? WHERE loop = ? AND number = ? AND is_open = 1";
    sqlx::query(sql)
        .bind(round.decision.is_none())
        .bind(to_json(round)?)
        .bind(id as i64)
        .bind(round.number)
        .execute(connection)
        .await?;
    Ok(())
}

/// The rounds of a loop after a number, in their order.
pub(crate) async fn rounds(
    connection: &mut SqliteConnection,
    id: u64,
    after: u32,
) -> Result<Vec<LoopRound>, StoreError> {
    let sql = "SELECT round FROM research_rounds WHERE loop = ? AND number > ? ORDER BY number";
    let found: Vec<String> = sqlx::query_scalar(sql).bind(id as i64).bind(after).fetch_all(connection).await?;
    found.iter().map(|round| from_json("a round of a research loop", round)).collect()
}

/// A round that is not decided.
pub(crate) async fn open_round(
    connection: &mut SqliteConnection,
    id: u64,
    number: u32,
) -> Result<Option<LoopRound>, StoreError> {
    let sql = "SELECT round FROM research_rounds WHERE loop = ? AND number = ? AND is_open = 1";
    let found: Option<String> = sqlx::query_scalar(sql).bind(id as i64).bind(number).fetch_optional(connection).await?;
    found.map(|round| from_json("a round of a research loop", &round)).transpose()
}

/// Adds a line to the journal of a loop.
pub(crate) async fn add_event(
    connection: &mut SqliteConnection,
    id: u64,
    at_ms: i64,
    author: &Author,
    text: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO research_loop_events (loop, number, at_ms, author, text) VALUES (?1, \
               (SELECT COALESCE(MAX(number), 0) + 1 FROM research_loop_events WHERE loop = ?1), ?2, ?3, ?4)";
    records::add_line(connection, sql, id, at_ms, author, text).await
}

/// Events of the journal of a loop in their order: with `since` the first ones after it, otherwise the newest, below `before` if it is given.
pub(crate) async fn events(
    connection: &mut SqliteConnection,
    id: u64,
    part: LoopEventPart,
) -> Result<Vec<LoopEvent>, StoreError> {
    let LoopEventPart { since, before, limit } = part;
    let sql = match since {
        Some(_) => {
            "SELECT number, at_ms, author, text FROM research_loop_events \
             WHERE loop = ?1 AND number > ?2 AND number < ?3 ORDER BY number LIMIT ?4"
        }
        None => {
            "SELECT * FROM (SELECT number, at_ms, author, text FROM research_loop_events \
             WHERE loop = ?1 AND number > ?2 AND number < ?3 ORDER BY number DESC LIMIT ?4) ORDER BY number"
        }
    };
    let query = sqlx::query_as(sql).bind(id as i64).bind(since.unwrap_or(0)).bind(before.unwrap_or(u32::MAX));
    let rows: Vec<(u32, i64, String, String)> = query.bind(limit).fetch_all(connection).await?;
    let event = |(number, at_ms, author, text): Line| LoopEvent { number, at_ms, author, text };
    rows.into_iter().map(|row| records::line(row).map(event)).collect()
}
