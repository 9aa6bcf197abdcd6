//! SQL of alerts, channels and messages.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::RunId;
use wire::alert::{AlertContent, AlertView, Channel, DeliveryState, DeliveryView};

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// An alert to raise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    /// What it is about; an alert with the source of an earlier one is dropped.
    pub source: String,
    /// Time, ms since 1970.
    pub at_ms: i64,
    pub run: Option<RunId>,
    pub content: AlertContent,
}

/// A channel with its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    pub id: i64,
    /// The person to whom it belongs; `None` for the lab.
    pub person: Option<i64>,
    pub channel: Channel,
    /// Name of its creator.
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
}

/// The result of an attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub state: DeliveryState,
    /// When it was made, ms since 1970.
    pub at_ms: i64,
    /// When the next one is made, for a message that still waits.
    pub due_ms: i64,
    /// What the receiver answered, or why there was no answer.
    pub answer: String,
}

/// An alert with the tags of its run.
pub(crate) struct RoutedAlert {
    pub(crate) view: AlertView,
    pub(crate) tags: Vec<String>,
}

/// A message that waits.
pub(crate) struct DeliveryRow {
    pub(crate) id: i64,
    pub(crate) delivery: String,
    pub(crate) channel: i64,
    pub(crate) attempts: u32,
    pub(crate) tried_ms: Option<i64>,
}

/// A query of the columns of [`alert_of`].
macro_rules! alerts {
    ($rest:literal) => {
        concat!(
            "SELECT alerts.id, alerts.at_ms, alerts.run, alerts.content, runs.name, runs.project ",
            "FROM alerts LEFT JOIN runs ON runs.id = alerts.run ",
            $rest
        )
    };
}

fn alert_of(row: &SqliteRow) -> Result<AlertView, StoreError> {
    let (name, project): (Option<String>, Option<String>) = (row.try_get("name")?, row.try_get("project")?);
    let run: Option<String> = row.try_get("run")?;
    let run = run.map(|run| run.parse::<RunId>().map_err(|source| StoreError::unreadable("an alert", source)));
    let content = from_json("an alert", row.try_get("content")?)?;
    Ok(AlertView::new(row.try_get("id")?, row.try_get("at_ms")?, run.transpose()?, name.zip(project), content))
}

/// Stores an alert. Returns whether it has a new source.
pub(crate) async fn insert(connection: &mut SqliteConnection, alert: &NewAlert) -> Result<bool, StoreError> {
    let sql = "INSERT INTO alerts (source, at_ms, run, content) VALUES (?, ?, ?, ?) ON CONFLICT (source) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(&alert.source)
        .bind(alert.at_ms)
        .bind(alert.run.as_ref().map(RunId::as_str))
        .bind(to_json(&alert.content)?)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The newest alerts above a number, newest first.
pub(crate) async fn newest(
    connection: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<AlertView>, StoreError> {
    let sql = alerts!("WHERE alerts.id > ? ORDER BY alerts.id DESC LIMIT ?");
    let rows = sqlx::query(sql).bind(after).bind(limit).fetch_all(connection).await?;
    rows.iter().map(alert_of).collect()
}

/// Number of the newest alert; 0 before the first.
pub(crate) async fn newest_id(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM alerts").fetch_one(connection).await?)
}

/// The oldest alerts that have no messages yet.
pub(crate) async fn unrouted(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<RoutedAlert>, StoreError> {
    let sql = alerts!("WHERE alerts.is_routed = 0 ORDER BY alerts.id LIMIT ?");
    let rows = sqlx::query(sql).bind(limit).fetch_all(&mut *connection).await?;
    let mut alerts = vec![];
    for row in &rows {
        let view = alert_of(row)?;
        let tags = sqlx::query_scalar("SELECT tag FROM tags WHERE run = ?").bind(view.run.as_ref().map(RunId::as_str));
        let tags = tags.fetch_all(&mut *connection).await?;
        alerts.push(RoutedAlert { view, tags });
    }
    Ok(alerts)
}

/// Notes that all alerts up to a number are routed.
pub(crate) async fn set_routed(connection: &mut SqliteConnection, newest: i64) -> Result<(), StoreError> {
    let sql = "UPDATE alerts SET is_routed = 1 WHERE is_routed = 0 AND id <= ?";
    sqlx::query(sql).bind(newest).execute(connection).await?;
    Ok(())
}

/// Deletes alerts from before a time, and then messages from before it that do not wait.
pub(crate) async fn prune(connection: &mut SqliteConnection, before_ms: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM alert_deliveries WHERE created_ms < ? AND state <> 'waiting'";
    sqlx::query(sql).bind(before_ms).execute(&mut *connection).await?;
    let sql = "DELETE FROM alerts WHERE at_ms < ? AND is_routed = 1 AND id NOT IN (SELECT alert FROM delivered_alerts)";
    sqlx::query(sql).bind(before_ms).execute(connection).await?;
    Ok(())
}

fn channel_of(row: &SqliteRow) -> Result<ChannelRecord, StoreError> {
    Ok(ChannelRecord {
        id: row.try_get("id")?,
        person: row.try_get("person")?,
        channel: from_json("an alert channel", row.try_get("channel")?)?,
        created_by: row.try_get("created_by")?,
        created_ms: row.try_get("created_ms")?,
    })
}

/// All channels, oldest first.
pub(crate) async fn channels(connection: &mut SqliteConnection) -> Result<Vec<ChannelRecord>, StoreError> {
    let sql = "SELECT id, person, channel, created_by, created_ms FROM alert_channels ORDER BY id";
    sqlx::query(sql).fetch_all(connection).await?.iter().map(channel_of).collect()
}

/// Number of channels of a person, or of the lab.
pub(crate) async fn count_channels(connection: &mut SqliteConnection, person: Option<i64>) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM alert_channels WHERE person IS ?";
    let count: i64 = sqlx::query_scalar(sql).bind(person).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Stores a channel and returns its id.
pub(crate) async fn insert_channel(
    connection: &mut SqliteConnection,
    record: &ChannelRecord,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO alert_channels (person, channel, created_by, created_ms) VALUES (?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(record.person)
        .bind(to_json(&record.channel)?)
        .bind(&record.created_by)
        .bind(record.created_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// A channel; `None` if it does not exist.
pub(crate) async fn channel(connection: &mut SqliteConnection, id: i64) -> Result<Option<ChannelRecord>, StoreError> {
    let sql = "SELECT id, person, channel, created_by, created_ms FROM alert_channels WHERE id = ?";
    sqlx::query(sql).bind(id).fetch_optional(connection).await?.as_ref().map(channel_of).transpose()
}

/// Replaces what a channel does.
pub(crate) async fn set_channel(
    connection: &mut SqliteConnection,
    id: i64,
    channel: &Channel,
) -> Result<(), StoreError> {
    let change = sqlx::query("UPDATE alert_channels SET channel = ? WHERE id = ?").bind(to_json(channel)?).bind(id);
    change.execute(connection).await?;
    Ok(())
}

/// Deletes a channel with its messages. Returns whether it existed.
pub(crate) async fn remove_channel(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM alert_channels WHERE id = ?").bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Marks the messages that wait for a channel as failed.
pub(crate) async fn give_up_waiting(
    connection: &mut SqliteConnection,
    id: i64,
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE alert_deliveries SET state = 'failed', answer = ? WHERE channel = ? AND state = 'waiting'";
    sqlx::query(sql).bind(reason).bind(id).execute(connection).await?;
    Ok(())
}

/// Number of messages of a channel after one time and up to another.
pub(crate) async fn count_between(
    connection: &mut SqliteConnection,
    channel: i64,
    after_ms: i64,
    to_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM alert_deliveries WHERE channel = ? AND created_ms > ? AND created_ms <= ?";
    let count: i64 = sqlx::query_scalar(sql).bind(channel).bind(after_ms).bind(to_ms).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Whether a message waits that was created or tried after now.
pub(crate) async fn is_ahead(connection: &mut SqliteConnection, now_ms: i64) -> Result<bool, StoreError> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM alert_deliveries WHERE state = 'waiting' AND (created_ms > ?1 OR tried_ms > ?1))";
    Ok(sqlx::query_scalar(sql).bind(now_ms).fetch_one(connection).await?)
}

/// Moves messages that wait and were created after now: they wait as long as if they were created now. Those that were tried after now are due.
pub(crate) async fn set_back(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    let sql = "UPDATE alert_deliveries SET due_ms = ?1 + CASE WHEN attempts = 0 THEN MAX(due_ms - created_ms, 0) ELSE 0 END, \
               created_ms = MIN(created_ms, ?1), tried_ms = MIN(tried_ms, ?1) \
               WHERE state = 'waiting' AND (created_ms > ?1 OR tried_ms > ?1)";
    sqlx::query(sql).bind(now_ms).execute(connection).await?;
    Ok(())
}

/// The message of a channel to which an alert that is due at `due_ms` is added: one that is due after now, not later than the alert, and
/// was not tried. Of several the last one.
pub(crate) async fn open_delivery(
    connection: &mut SqliteConnection,
    channel: i64,
    now_ms: i64,
    due_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM alert_deliveries WHERE channel = ? AND state = 'waiting' AND attempts = 0 AND due_ms > ? \
               AND due_ms <= ? ORDER BY due_ms DESC, id DESC LIMIT 1";
    Ok(sqlx::query_scalar(sql).bind(channel).bind(now_ms).bind(due_ms).fetch_optional(connection).await?)
}

/// Stores a message without alerts and returns its row.
pub(crate) async fn insert_delivery(
    connection: &mut SqliteConnection,
    delivery: &str,
    channel: i64,
    created_ms: i64,
    due_ms: i64,
) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO alert_deliveries (delivery, channel, state, created_ms, due_ms) VALUES (?, ?, 'waiting', ?, ?)";
    let done = sqlx::query(sql).bind(delivery).bind(channel).bind(created_ms).bind(due_ms).execute(connection).await?;
    Ok(done.last_insert_rowid())
}

/// Adds an alert to a message.
pub(crate) async fn add_to_delivery(
    connection: &mut SqliteConnection,
    delivery: i64,
    alert: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO delivered_alerts (delivery, alert) VALUES (?, ?)";
    sqlx::query(sql).bind(delivery).bind(alert).execute(connection).await?;
    Ok(())
}

/// The message of each channel that is due for the longest time, and of these the longest due first.
pub(crate) async fn due(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = "SELECT id, delivery, channel, attempts, tried_ms FROM \
               (SELECT *, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY due_ms, id) AS place FROM alert_deliveries \
               WHERE state = 'waiting' AND due_ms <= ?) WHERE place = 1 ORDER BY due_ms, id";
    let rows = sqlx::query(sql).bind(now_ms).fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let attempts: i64 = row.try_get("attempts")?;
        Ok(DeliveryRow {
            id: row.try_get("id")?,
            delivery: row.try_get("delivery")?,
            channel: row.try_get("channel")?,
            attempts: u32::try_from(attempts).unwrap_or_default(),
            tried_ms: row.try_get("tried_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// When the next message is due.
pub(crate) async fn next_due(connection: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT MIN(due_ms) FROM alert_deliveries WHERE state = 'waiting'";
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

/// The first alerts of a message, oldest first, and the number of all.
pub(crate) async fn of_delivery(
    connection: &mut SqliteConnection,
    delivery: i64,
    limit: u32,
) -> Result<(Vec<AlertView>, u64), StoreError> {
    let sql = alerts!(
        "WHERE alerts.id IN (SELECT alert FROM delivered_alerts WHERE delivery = ?) ORDER BY alerts.id LIMIT ?"
    );
    let rows = sqlx::query(sql).bind(delivery).bind(limit).fetch_all(&mut *connection).await?;
    let sql = "SELECT COUNT(*) FROM delivered_alerts WHERE delivery = ?";
    let total: i64 = sqlx::query_scalar(sql).bind(delivery).fetch_one(connection).await?;
    Ok((rows.iter().map(alert_of).collect::<Result<_, _>>()?, total.max(0) as u64))
}

/// Notes the result of an attempt to send a message that waits.
pub(crate) async fn close_delivery(
    connection: &mut SqliteConnection,
    id: i64,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    let sql = "UPDATE alert_deliveries SET state = ?1, due_ms = ?2, answer = ?3, attempts = attempts + 1, \
               tried_ms = COALESCE(tried_ms, ?4) WHERE id = ?5 AND state = 'waiting'";
    sqlx::query(sql)
        .bind(to_word(&attempt.state)?)
        .bind(attempt.due_ms)
        .bind(&attempt.answer)
        .bind(attempt.at_ms)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest messages of a channel, newest first, without their titles, each with its first alert.
pub(crate) async fn deliveries(
    connection: &mut SqliteConnection,
    channel: i64,
    limit: u32,
) -> Result<Vec<(DeliveryView, Option<AlertView>)>, StoreError> {
    let sql = "SELECT id, delivery, state, created_ms, due_ms, attempts, answer FROM alert_deliveries \
               WHERE channel = ? ORDER BY id DESC LIMIT ?";
    let rows = sqlx::query(sql).bind(channel).bind(limit).fetch_all(&mut *connection).await?;
    let mut deliveries = vec![];
    for row in &rows {
        let (first, alerts) = of_delivery(connection, row.try_get("id")?, 1).await?;
        let attempts: i64 = row.try_get("attempts")?;
        let state: String = row.try_get("state")?;
        let view = DeliveryView {
            delivery: row.try_get("delivery")?,
            state: from_word("the state of a message", &state)?,
            created_ms: row.try_get("created_ms")?,
            due_ms: row.try_get("due_ms")?,
            attempts: u32::try_from(attempts).unwrap_or_default(),
            answer: row.try_get("answer")?,
            alerts,
            title: String::new(),
        };
        deliveries.push((view, first.into_iter().next()));
    }
    Ok(deliveries)
}
