//! SQL of the queue: higher priority first, then in queue order.

use sqlx::SqliteConnection;
use wire::device::DeviceKind;
use wire::run::plan::PlanView;
use wire::{DeviceId, RunId, RunPlan};

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// A queued run.
pub(crate) struct Queued {
    pub(crate) id: String,
    pub(crate) order: i64,
    pub(crate) priority: i32,
}

/// The queued runs that compete with this one for a device, first to start first.
pub(crate) async fn competing_with(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Queued>, StoreError> {
    let sql = "SELECT other.id, other.queue_order, other.priority FROM runs AS other, runs AS own WHERE own.id = ? AND other.state = 'queued' \
               AND other.deleted_ms IS NULL AND other.pool IS own.pool \
               AND (own.pool IS NOT NULL OR other.device = own.device OR other.any_of = own.any_of) \
               ORDER BY other.priority DESC, other.queue_order";
    let rows: Vec<(String, i64, i32)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id, order, priority)| Queued { id, order, priority }).collect())
}

/// The queued runs that a device may train, first to start first.
pub(crate) async fn for_device(
    connection: &mut SqliteConnection,
    device: &DeviceId,
    kind: DeviceKind,
    pool: &str,
    full_projects: &[String],
    limit: u32,
) -> Result<Vec<(RunId, RunPlan)>, StoreError> {
    let sql = "SELECT id, plan FROM runs WHERE state = 'queued' AND deleted_ms IS NULL \
               AND project NOT IN (SELECT value FROM json_each(?)) \
               AND ((any_of IS NULL AND pool IS NULL AND device = ?) OR any_of = ? OR pool = ?) \
               ORDER BY priority DESC, queue_order LIMIT ?";
    let rows: Vec<(String, String)> = sqlx::query_as(sql)
        .bind(to_json(&full_projects)?)
        .bind(device.as_str())
        .bind(to_word(&kind)?)
        .bind(pool)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(id, plan)| {
            let id = id.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
            Ok((id, from_json("a run's plan", &plan)?))
        })
        .collect()
}

/// Number of runs queued for a pool, or else for a device or any of a kind.
pub(crate) async fn length(
    connection: &mut SqliteConnection,
    device: &DeviceId,
    any_of: Option<DeviceKind>,
    pool: Option<&str>,
) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM runs WHERE state = 'queued' AND deleted_ms IS NULL AND pool IS ?1 \
               AND (?1 IS NOT NULL OR device = ?2 OR any_of = ?3)";
    let kind = any_of.map(|kind| to_word(&kind)).transpose()?;
    let found: i64 = sqlx::query_scalar(sql).bind(pool).bind(device.as_str()).bind(kind).fetch_one(connection).await?;
    Ok(found as u64)
}

/// Sets the queue order and priority of a run.
pub(crate) async fn set_order(
    connection: &mut SqliteConnection,
    run: &str,
    order: i64,
    priority: i32,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET queue_order = ?, priority = ? WHERE id = ?")
        .bind(order)
        .bind(priority)
        .bind(run)
        .execute(connection)
        .await?;
    Ok(())
}

/// Moves a run behind all others of its priority.
pub(crate) async fn set_last(connection: &mut SqliteConnection, run: &RunId) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET queue_order = (SELECT MAX(queue_order) + 1 FROM runs) WHERE id = ?")
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the priority of a run. Returns whether it exists.
pub(crate) async fn set_priority(
    connection: &mut SqliteConnection,
    run: &RunId,
    priority: i32,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE runs SET priority = ? WHERE id = ?")
        .bind(priority)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ids of the runs that are queued for a device by its id, first to start first.
pub(crate) async fn waiting_for(
    connection: &mut SqliteConnection,
    device: &DeviceId,
) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT id FROM runs WHERE state = 'queued' AND deleted_ms IS NULL AND device = ? ORDER BY priority DESC, queue_order";
    let ids: Vec<String> = sqlx::query_scalar(sql).bind(device.as_str()).fetch_all(connection).await?;
    ids.into_iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// A run in the queue, and why it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRun {
    pub run: RunId,
    /// The device that it is planned for.
    pub device: DeviceId,
    /// The kind of device of which the first free one trains it.
    pub any_of: Option<DeviceKind>,
    /// The pool of which the first free device trains it.
    pub pool: Option<String>,
    pub project: String,
    /// Position in its queue, from 1.
    pub place: u32,
    /// The reason that is stored with it.
    pub waits: Option<String>,
}

/// All queued runs.
pub(crate) async fn waiting(connection: &mut SqliteConnection) -> Result<Vec<WaitingRun>, StoreError> {
    let sql = concat!(
        "SELECT id, device, any_of, pool, project, waits, ",
        super::runs::place!(),
        " AS place FROM runs WHERE state = 'queued' AND deleted_ms IS NULL"
    );
    type Row = (String, String, Option<String>, Option<String>, String, Option<String>, i64);
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(connection).await?;
    let waiting = |(run, device, any_of, pool, project, waits, place): Row| {
        Ok(WaitingRun {
            run: run.parse().map_err(|source| StoreError::unreadable("a run's id", source))?,
            device: device.parse().map_err(|source| StoreError::unreadable("a run's device", source))?,
            any_of: any_of.map(|kind| from_word("a kind of device", &kind)).transpose()?,
            pool,
            project,
            place: place as u32,
            waits,
        })
    };
    rows.into_iter().map(waiting).collect()
}

/// Stores why a queued run waits.
pub(crate) async fn set_waits(connection: &mut SqliteConnection, run: &RunId, waits: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET waits = ? WHERE id = ? AND state = 'queued'")
        .bind(waits)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the plan of a queued run; whether it was still queued.
pub(crate) async fn set_plan(
    connection: &mut SqliteConnection,
    run: &RunId,
    view: &PlanView,
    device_name: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE runs SET device = ?, device_name = ?, plan = ?, estimate = ? WHERE id = ? AND state = 'queued'";
    let done = sqlx::query(sql)
        .bind(view.plan.device.as_str())
        .bind(device_name)
        .bind(to_json(&view.plan)?)
        .bind(to_json(&view.estimate)?)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the pool, or else the kind, of which any device may train a run.
pub(crate) async fn set_successor(
    connection: &mut SqliteConnection,
    run: &RunId,
    pool: Option<&str>,
    any_of: Option<DeviceKind>,
) -> Result<(), StoreError> {
    let kind = any_of.map(|kind| to_word(&kind)).transpose()?;
    let sql = "UPDATE runs SET any_of = ?, pool = ? WHERE id = ?";
    sqlx::query(sql).bind(kind).bind(pool).bind(run.as_str()).execute(connection).await?;
    Ok(())
}

/// Sets the number of the last stored report of a run.
pub(crate) async fn set_stored_seq(
    connection: &mut SqliteConnection,
    run: &RunId,
    stored_seq: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET stored_seq = ? WHERE id = ?")
        .bind(stored_seq as i64)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the device of a run, and the process that trains it there.
pub(crate) async fn set_device(
    connection: &mut SqliteConnection,
    run: &RunId,
    plan: &RunPlan,
    slot: u32,
    device_name: &str,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE runs SET device = ?, slot = ?, device_name = ?, plan = ?, any_of = NULL, pool = NULL WHERE id = ?";
    sqlx::query(sql)
        .bind(plan.device.as_str())
        .bind(slot)
        .bind(device_name)
        .bind(to_json(plan)?)
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
