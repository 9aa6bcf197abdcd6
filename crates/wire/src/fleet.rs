//! Pools, the workers in them, and the tokens with which machines join, as pages and programs list them.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, RunId};

/// The pool of the devices of the server's own machine.
pub const LOCAL_POOL: &str = "local";

/// A pool: a named group of workers that take runs from one queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolView {
    /// Name: 1 to 40 lower-case letters, digits and dashes.
    pub name: String,
    /// Workers that belong to it.
    pub workers: u32,
    /// Of these, the connected ones.
    pub connected: u32,
    /// Runs that wait for it.
    pub queued: u32,
    /// Runs that each of its devices trains at once, at most, where they fit in its memory.
    #[serde(default = "one")]
    pub runs_at_once: u32,
}

fn one() -> u32 {
    1
}

/// A change of a pool; a field that is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PoolChange {
    /// Runs that each of its devices trains at once, at most, 1 to 16. A further run starts on a device only if the memory estimates of
    /// all its runs together fit in the memory of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_at_once: Option<u32>,
}

/// A pool to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// Name: 1 to 40 lower-case letters, digits and dashes, the first no dash.
    pub name: String,
}

/// A worker that has joined, connected or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerView {
    /// Id, to change or remove it.
    pub id: i64,
    /// Name that people see; the device's id unless it was renamed.
    pub name: String,
    pub pool: String,
    /// Words that people have attached to it.
    pub labels: Vec<String>,
    /// Whether it takes no new run.
    pub is_draining: bool,
    pub is_connected: bool,
    /// Id of its device in the lab.
    pub device: DeviceId,
    /// Name of its machine.
    pub host: String,
    /// The run that it trains.
    pub run: Option<RunId>,
    /// Time at which it joined, ms since 1970.
    pub joined_ms: i64,
    /// Time of its last heartbeat, ms since 1970; `None` before the first.
    pub seen_ms: Option<i64>,
}

/// A change of a worker; a field that is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct WorkerChange {
    /// New name, 1 to 80 characters.
    pub name: Option<String>,
    /// All of its labels, at most 20 of 1 to 40 characters.
    pub labels: Option<Vec<String>>,
    /// Whether it takes no new run; the run that it trains continues.
    pub is_draining: Option<bool>,
}

/// The end of a worker's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerLog {
    /// Its last lines, oldest first, at most 200. None before it has connected to this start of the server.
    pub lines: Vec<String>,
}

/// A join token in a list, without its secret text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinTokenView {
    /// Id, to revoke it.
    pub id: i64,
    pub pool: String,
    /// Name of the admin who created it.
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
    /// How many more workers may join with it; `None` for any number.
    pub uses_left: Option<u32>,
    /// Workers that have joined with it.
    pub used: u32,
}

/// A join token to create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NewJoinToken {
    /// Validity in hours, 1 to 87,600; 24 by default.
    pub hours: Option<u32>,
    /// How many workers may join with it, 1 to 10,000; any number by default.
    pub uses: Option<u32>,
}

/// A join token that was just created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedJoinToken {
    /// As lists will show it.
    pub token: JoinTokenView,
    /// The secret text. It is shown once: the server keeps only its hash.
    pub text: String,
    /// Fingerprint of the server's certificate, where that is self-signed: `sha256:...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// What a machine sends to join, with a join token as bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The pool that it means to join: that of the token.
    pub pool: String,
    /// Name of the machine.
    pub host: String,
    /// Id of the device in the lab.
    pub device: DeviceId,
}

/// The answer to a [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Joined {
    /// Id of the worker.
    pub worker: i64,
    /// The worker's own token, which opens the link for its device alone. The server keeps only its hash.
    pub token: String,
}
