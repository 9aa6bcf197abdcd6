//! Files between the server and workers of other machines, over HTTP with the worker's token: `/api/v1/transfer/...`. Descriptions are JSON,
//! contents are bytes.
//!
//! A file is named by its part in a dataset or checkpoint (`train-0`, `state.safetensors`), never by a path. Both sides look the name up in
//! a fixed list.

use serde::{Deserialize, Serialize};

use crate::control::checkpoint::CheckpointId;

/// Largest part of a file in one request of an upload, bytes.
pub const MAX_PART_BYTES: usize = 8 << 20;

/// Checkpoints in one [`SavedCheckpoint`] list at most.
pub const MAX_SAVED: usize = 1000;

/// A file that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferFile {
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// BLAKE3, in hex.
    pub hash: String,
}

/// A checkpoint of a run, as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredCheckpoint {
    /// BLAKE3 of its tensors, in hex.
    pub hash: String,
    /// Its files; none while it has not been uploaded.
    pub files: Vec<TransferFile>,
}

/// A checkpoint on the disk of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SavedCheckpoint {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: CheckpointId,
    /// BLAKE3 of its tensors, in hex.
    pub hash: String,
}

/// What a worker does with a checkpoint on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UploadVerdict {
    /// Uploads it.
    Send,
    /// Nothing: the server has it.
    Stored,
    /// Removes it: the retention of the plan has dropped it, or a person has deleted it.
    Dropped,
    /// Asks again later: the journal does not mention it yet.
    Unreported,
}

/// What a worker of another machine needs of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerPool {
    /// Runs that each device of the pool trains at once, at most: the machine keeps this many worker processes.
    pub runs_at_once: u32,
}

/// The number of bytes of an uploaded file that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceivedBytes {
    pub bytes: u64,
}
