//! SQL of the proposals of agents.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::RunId;
use wire::access::Visible;
use wire::proposal::{Decided, Proposal, ProposalOutcome, ProposalPreview, ProposalState};

use super::json::{from_json, from_word, to_json, to_word};
use super::run_table::seen;
use crate::error::StoreError;
use crate::proposal_records::{DecisionRecord, NewProposal, ProposalRecord};

/// Limits a list of proposals to some.
#[derive(Default)]
pub(crate) struct Filter<'a> {
    /// Those of projects that may be seen; all without it.
    pub(crate) visible: Option<&'a Visible>,
    /// Id of the token that made them.
    pub(crate) token: Option<i64>,
    pub(crate) run: Option<&'a RunId>,
    /// Whether a person can still decide about them.
    pub(crate) is_pending: Option<bool>,
    /// Only smaller ids.
    pub(crate) before: Option<i64>,
    pub(crate) limit: u32,
}

/// Whether a person can decide about a proposal at a time (`?1`): its agent must still have its token.
macro_rules! pending {
    () => {
        "(state = 'pending' AND expires_ms > ?1 AND EXISTS (SELECT 1 FROM tokens WHERE tokens.id = proposals.token))"
    };
}

/// The project that a proposal is about: that of its run, which may have moved.
macro_rules! project {
    () => {
        "COALESCE((SELECT runs.project FROM runs WHERE runs.id = proposals.run), proposals.project)"
    };
}

/// Number of commands that change the run of a waiting proposal, and of notes, that others have given since its preview: the names of its agent
/// are those of its token, and the lab itself gives none.
macro_rules! newer_events {
    () => {
        "(SELECT COUNT(*) FROM events WHERE events.run = proposals.run AND events.number > json_extract(proposals.preview, '$.event') \
         AND proposals.state = 'pending' AND json_extract(record, '$.event.kind') IN ('queued', 'paused', 'resumed', 'stepping', \
         'changed', 'schedule_changed', 'weights_edited', 'rules_changed', 'rolled_back', 'suspended', 'stopped', 'annotated') \
         AND json_extract(record, '$.author') <> 'system' AND NOT EXISTS (SELECT 1 FROM agent_authors \
         WHERE agent_authors.name = json_extract(record, '$.author.agent') AND agent_authors.token = proposals.token))"
    };
}

/// A query of the columns of [`record_of`]; the first parameter is the time.
macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT id, token, key, hash, agent, origin, tool, arguments, edited, ",
            project!(),
            " AS project, run, reason, expected, preview, created_ms, expires_ms, state, decided_token, decided_by, decided_ms, ",
            "decided_reason, outcome, ",
            pending!(),
            " AS is_pending, ",
            newer_events!(),
            " AS newer_events FROM proposals ",
            $rest
        )
    };
}

fn record_of(row: &SqliteRow) -> Result<ProposalRecord, StoreError> {
    let preview: ProposalPreview = from_json("the preview of a proposal", row.try_get("preview")?)?;
    let state = match from_word("the state of a proposal", row.try_get("state")?)? {
        ProposalState::Pending if !row.try_get::<bool, _>("is_pending")? => ProposalState::Expired,
        state => state,
    };
    let run: Option<String> = row.try_get("run")?;
    let run = run.map(|run| run.parse::<RunId>().map_err(|source| StoreError::unreadable("a proposal", source)));
    let decided_ms: Option<i64> = row.try_get("decided_ms")?;
    let (by, reason): (Option<String>, Option<String>) = (row.try_get("decided_by")?, row.try_get("decided_reason")?);
    let edited: Option<String> = row.try_get("edited")?;
    let outcome: Option<String> = row.try_get("outcome")?;
    let outcome = outcome.map(|text| from_json::<ProposalOutcome>("the outcome of a proposal", &text)).transpose()?;
    Ok(ProposalRecord {
        token: row.try_get("token")?,
        key: row.try_get("key")?,
        hash: row.try_get("hash")?,
        decided_token: row.try_get("decided_token")?,
        proposal: Proposal {
            id: row.try_get("id")?,
            state,
            agent: row.try_get("agent")?,
            origin: from_json("the origin of a proposal", row.try_get("origin")?)?,
            tool: row.try_get("tool")?,
            arguments: from_json("the arguments of a proposal", row.try_get("arguments")?)?,
            edited: edited.map(|text| from_json("the arguments of a proposal", &text)).transpose()?,
            project: row.try_get("project")?,
            run: run.transpose()?,
            reason: row.try_get("reason")?,
            expected: row.try_get("expected")?,
            newer_events: row.try_get::<i64, _>("newer_events")?.max(0) as u64,
            preview,
            created_ms: row.try_get("created_ms")?,
            expires_ms: row.try_get("expires_ms")?,
            decided: by.zip(decided_ms).map(|(by, at_ms)| Decided { by, at_ms, reason }),
            outcome,
        },
    })
}

/// Stores a pending proposal. Returns its id.
pub(crate) async fn insert(connection: &mut SqliteConnection, new: &NewProposal) -> Result<i64, StoreError> {
    let sql = "INSERT INTO proposals (token, key, hash, agent, origin, tool, arguments, project, run, reason, expected, preview, \
               created_ms, expires_ms, state, changes) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', (SELECT COALESCE(MAX(changes), 0) + 1 FROM proposals)) \
               RETURNING id";
    let id = sqlx::query_scalar(sql)
        .bind(new.token)
        .bind(&new.key)
        .bind(&new.hash)
        .bind(&new.agent)
        .bind(to_json(&new.origin)?)
        .bind(&new.tool)
        .bind(to_json(&new.arguments)?)
        .bind(&new.project)
        .bind(new.run.as_ref().map(RunId::as_str))
        .bind(&new.reason)
        .bind(&new.expected)
        .bind(to_json(&new.preview)?)
        .bind(new.created_ms)
        .bind(new.expires_ms);
    Ok(id.fetch_one(connection).await?)
}

/// A proposal.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    id: i64,
    now_ms: i64,
) -> Result<Option<ProposalRecord>, StoreError> {
    let row = sqlx::query(select!("WHERE id = ?2")).bind(now_ms).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(record_of).transpose()
}

/// The proposal of a token with this key.
pub(crate) async fn of_key(
    connection: &mut SqliteConnection,
    token: i64,
    key: &str,
    now_ms: i64,
) -> Result<Option<ProposalRecord>, StoreError> {
    let query = sqlx::query(select!("WHERE token = ?2 AND key = ?3")).bind(now_ms).bind(token).bind(key);
    query.fetch_optional(connection).await?.as_ref().map(record_of).transpose()
}

/// Proposals, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    filter: &Filter<'_>,
    now_ms: i64,
) -> Result<Vec<ProposalRecord>, StoreError> {
    let projects = filter.visible.map(seen).transpose()?.and_then(|(projects, _)| projects);
    let sql = select!(concat!(
        "WHERE (?2 IS NULL OR ",
        project!(),
        " IN (SELECT value FROM json_each(?2))) AND (?3 IS NULL OR token = ?3) AND (?4 IS NULL OR run = ?4) AND (?5 IS NULL OR ?5 = ",
        pending!(),
        ") AND (?6 IS NULL OR id < ?6) ORDER BY id DESC LIMIT ?7"
    ));
    let rows = sqlx::query(sql)
        .bind(now_ms)
        .bind(projects)
        .bind(filter.token)
        .bind(filter.run.map(RunId::as_str))
        .bind(filter.is_pending)
        .bind(filter.before)
        .bind(filter.limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(record_of).collect()
}

/// Number of proposals of a token that wait for a decision.
pub(crate) async fn count_of_token(
    connection: &mut SqliteConnection,
    token: i64,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let sql = concat!("SELECT COUNT(*) FROM proposals WHERE token = ?2 AND ", pending!());
    let count: i64 = sqlx::query_scalar(sql).bind(now_ms).bind(token).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Number of proposals that may be seen and wait for a decision.
pub(crate) async fn count_visible(
    connection: &mut SqliteConnection,
    visible: &Visible,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let (projects, _) = seen(visible)?;
    let sql = concat!(
        "SELECT COUNT(*) FROM proposals WHERE ",
        pending!(),
        " AND (?2 IS NULL OR ",
        project!(),
        " IN (SELECT value FROM json_each(?2)))"
    );
    let count: i64 = sqlx::query_scalar(sql).bind(now_ms).bind(projects).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Number of changes of all proposals.
pub(crate) async fn changes(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "SELECT COALESCE(MAX(changes), 0) FROM proposals";
    let changes: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(changes.max(0) as u64)
}

/// Stores a decision about a proposal that waits for one. Returns whether it did.
pub(crate) async fn decide(
    connection: &mut SqliteConnection,
    id: i64,
    decision: &DecisionRecord,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = concat!(
        "UPDATE proposals SET state = ?3, edited = ?4, decided_token = ?5, decided_by = ?6, decided_ms = ?1, decided_reason = ?7, ",
        "changes = (SELECT MAX(changes) + 1 FROM proposals) WHERE id = ?2 AND ",
        pending!()
    );
    let done = sqlx::query(sql)
        .bind(now_ms)
        .bind(id)
        .bind(to_word(&decision.state)?)
        .bind(decision.edited.as_ref().map(to_json).transpose()?)
        .bind(decision.token)
        .bind(&decision.by)
        .bind(&decision.reason)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores what came of an approved proposal. The first outcome stays.
pub(crate) async fn set_outcome(
    connection: &mut SqliteConnection,
    id: i64,
    outcome: &ProposalOutcome,
) -> Result<(), StoreError> {
    let sql = "UPDATE proposals SET outcome = ?, changes = (SELECT MAX(changes) + 1 FROM proposals) \
               WHERE id = ? AND outcome IS NULL AND state IN ('approved', 'edited')";
    sqlx::query(sql).bind(to_json(outcome)?).bind(id).execute(connection).await?;
    Ok(())
}

/// Replaces the preview of a proposal that nobody has decided about.
pub(crate) async fn set_preview(
    connection: &mut SqliteConnection,
    id: i64,
    preview: &ProposalPreview,
) -> Result<(), StoreError> {
    let sql = "UPDATE proposals SET preview = ?, changes = (SELECT MAX(changes) + 1 FROM proposals) \
               WHERE id = ? AND state = 'pending'";
    sqlx::query(sql).bind(to_json(preview)?).bind(id).execute(connection).await?;
    Ok(())
}

/// The approved proposals without an outcome, oldest first.
pub(crate) async fn unfinished(
    connection: &mut SqliteConnection,
    now_ms: i64,
) -> Result<Vec<ProposalRecord>, StoreError> {
    let sql = select!("WHERE state IN ('approved', 'edited') AND outcome IS NULL ORDER BY decided_ms, id");
    let rows = sqlx::query(sql).bind(now_ms).fetch_all(connection).await?;
    rows.iter().map(record_of).collect()
}

/// Deletes the proposals from before a time.
pub(crate) async fn prune(connection: &mut SqliteConnection, before_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM proposals WHERE created_ms < ?").bind(before_ms).execute(connection).await?;
    Ok(())
}
