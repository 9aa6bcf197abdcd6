//! Pools, the workers in them, and how machines join.
//!
//! - [`tokens`]: join tokens and their exchange for the token of a worker; [`members`]: workers listed, changed and removed.

pub mod members;
pub mod tokens;

use store::{PoolRecord, StoreError};
use wire::fleet::{PoolChange, PoolView};
use wire::slot::MAX_RUNS_AT_ONCE;

use crate::error::ApiError;
use crate::lab::Lab;

/// Longest name of a pool, characters.
const MAX_NAME: usize = 40;

/// All pools: `local` first, then by name.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab) -> Result<Vec<PoolView>, ApiError> {
    Ok(lab.store().pools().await?.into_iter().map(|pool| view(lab, pool)).collect())
}

fn view(lab: &Lab, pool: PoolRecord) -> PoolView {
    let PoolRecord { name, workers, queued, runs_at_once } = pool;
    let connected = lab.workers.fleet.connected_in(&name);
    PoolView { name, workers, connected, queued, runs_at_once }
}

/// Creates a pool.
///
/// # Errors
/// 422 for an invalid name, 409 for one that is taken; an error of the store.
pub async fn create(lab: &Lab, name: &str) -> Result<PoolView, ApiError> {
    let is_valid = (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_valid {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(ApiError::invalid("name_invalid", format!("{shown:?} cannot name a pool"))
            .field("name")
            .hint(format!("1 to {MAX_NAME} lower-case letters, digits and dashes, beginning with a letter or digit")));
    }
    lab.store().add_pool(name).await?;
    lab.feed.wake_queue();
    Ok(view(lab, lab.store().pool(name).await?))
}

/// Sets how many runs each device of a pool trains at once. A process that is not needed any more ends when its run has ended.
///
/// # Errors
/// 404 for an unknown pool, 422 for a number out of range; an error of the store.
pub async fn change(lab: &Lab, by: &str, name: &str, change: PoolChange) -> Result<PoolView, ApiError> {
    let PoolChange { runs_at_once } = change;
    if let Some(number) = runs_at_once {
        if !(1..=MAX_RUNS_AT_ONCE).contains(&number) {
            let message = format!("a device trains 1 to {MAX_RUNS_AT_ONCE} runs at once; got {number}");
            return Err(ApiError::invalid("runs_at_once_invalid", message).field("runs_at_once"));
        }
        lab.store().set_runs_at_once(name, number).await?;
        tracing::info!("{by} lets each device of the pool {name} train {number} runs at once");
        lab.workers.fleet.set_limit(name, number);
        lab.feed.wake_queue();
    }
    Ok(view(lab, lab.store().pool(name).await?))
}

/// Reads how many runs the devices of each pool train at once, when the server starts.
///
/// # Errors
/// An error of the store.
pub async fn load_limits(lab: &Lab) -> Result<(), StoreError> {
    let pools = lab.store().pools().await?.into_iter();
    lab.workers.fleet.set_limits(pools.map(|pool| (pool.name, pool.runs_at_once)).collect());
    Ok(())
}

/// Deletes an empty pool, with its join tokens.
///
/// # Errors
/// 404 for an unknown pool, 409 for one in use; an error of the store.
pub async fn remove(lab: &Lab, name: &str) -> Result<(), ApiError> {
    lab.store().remove_pool(name).await?;
    lab.feed.lab_changed();
    Ok(())
}
