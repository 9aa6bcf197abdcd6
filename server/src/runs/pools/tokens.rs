//! Join tokens: created, listed and revoked by admins, exchanged by machines.

use store::Identity;
use wire::fleet::{CreatedJoinToken, JoinRequest, JoinTokenView, Joined, LOCAL_POOL, NewJoinToken};

use crate::auth::not_a_program;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

const HOUR_MS: i64 = 3600 * 1000;
/// Default validity, hours.
const DEFAULT_HOURS: u32 = 24;
/// Maximum validity, hours: ten years.
const MAX_HOURS: u32 = 87_600;
/// Maximum number of workers that one token admits.
const MAX_USES: u32 = 10_000;
/// Names that stand for any device in specs.
const RESERVED: [&str; 3] = ["any", "cpu", "gpu"];

/// The join tokens of a pool that are neither revoked nor expired, oldest first.
///
/// # Errors
/// 404 for an unknown pool; an error of the store.
pub async fn list(lab: &Lab, pool: &str) -> Result<Vec<JoinTokenView>, ApiError> {
    lab.store().pool(pool).await?;
    Ok(lab.store().join_tokens(pool).await?)
}

/// Creates a join token.
///
/// # Errors
/// 404 for an unknown pool, 409 for `local` and for a person's token of a program, 422 for an invalid validity or number of uses; an error of the store.
pub async fn create(lab: &Lab, own: &Identity, pool: &str, new: NewJoinToken) -> Result<CreatedJoinToken, ApiError> {
    // A worker has a token of its own, which would outlive that of the program.
    not_a_program(own)?;
    if pool == LOCAL_POOL {
        let message = "the pool local holds the devices of the server's own machine, and no other machine joins it";
        return Err(ApiError::conflict("pool_local", message).hint("create another pool: POST /api/v1/pools"));
    }
    let hours = new.hours.unwrap_or(DEFAULT_HOURS);
    if !(1..=MAX_HOURS).contains(&hours) {
        let message = format!("the validity must be 1 to {MAX_HOURS} hours; got {hours}");
        return Err(ApiError::invalid("hours_invalid", message).field("hours"));
    }
    if let Some(uses) = new.uses.filter(|uses| !(1..=MAX_USES).contains(uses)) {
        let message = format!("the number of workers must be 1 to {MAX_USES}; got {uses}");
        return Err(ApiError::invalid("uses_invalid", message).field("uses"));
    }
    let expires_ms = Some(now_ms() + i64::from(hours) * HOUR_MS);
    let (text, token) = lab.store().issue_join_token(pool, &own.name, expires_ms, new.uses).await?;
    tracing::info!("{} created join token {} of the pool {pool}", own.name, token.id);
    Ok(CreatedJoinToken { token, text, fingerprint: lab.fingerprint.map(|fingerprint| fingerprint.to_string()) })
}

/// Revokes a join token. Workers that have joined with it stay.
///
/// # Errors
/// 404 for an unknown or revoked token; an error of the store.
pub async fn revoke(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    if !lab.store().revoke_join_token(id).await? {
        return Err(ApiError::not_found(format!("unknown join token {id}"))
            .hint("GET /api/v1/pools/{name}/join-tokens lists the valid ones"));
    }
    tracing::info!("{} revoked join token {id}", own.name);
    Ok(())
}

/// Exchanges a join token for the token of a worker.
///
/// # Errors
/// 401, 403 or 410 for a token that cannot be used, 409 for a device that is in use; an error of the store.
pub async fn join(lab: &Lab, token: &str, request: &JoinRequest) -> Result<Joined, ApiError> {
    let JoinRequest { pool, host, device } = request;
    // The token is checked first, so that one that is refused learns nothing about devices.
    if lab.store().pool_of_join_token(token).await?.as_ref() == Some(pool) {
        if RESERVED.contains(&device.as_str()) {
            let message = format!("{device} cannot name a device: in specs it stands for any device of its kind");
            return Err(ApiError::invalid("device_invalid", message)
                .field("device")
                .hint("join under another name: --name NAME"));
        }
        if lab.workers.fleet.is_connected(device) {
            let message = format!("the device {device} has already joined, and its worker is connected");
            return Err(ApiError::conflict("device_joined", message)
                .field("device")
                .hint("stop that worker, or join under another name: --name NAME"));
        }
    }
    let joined = lab.store().join(token, request).await?;
    tracing::info!("{device} on {host:?} joined the pool {pool} as worker {}", joined.worker);
    lab.feed.lab_changed();
    Ok(joined)
}
