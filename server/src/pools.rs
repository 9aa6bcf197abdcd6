//! Pools, the workers in them, and how machines join.
//!
//! - [`tokens`]: join tokens and their exchange for the token of a worker; [`members`]: workers listed, changed and removed.

pub mod members;
pub mod tokens;

use store::PoolRecord;
use wire::fleet::PoolView;

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
    let PoolRecord { name, workers, queued } = pool;
    let connected = lab.workers.fleet.connected_in(&name);
    PoolView { name, workers, connected, queued }
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

/// Deletes an empty pool, with its join tokens.
///
/// # Errors
/// 404 for an unknown pool, 409 for one in use; an error of the store.
pub async fn remove(lab: &Lab, name: &str) -> Result<(), ApiError> {
    lab.store().remove_pool(name).await?;
    lab.feed.lab_changed();
    Ok(())
}
