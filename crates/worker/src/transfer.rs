//! Files between this machine and the server, for a worker of another machine: nothing has to be copied there by hand.
//!
//! - `client`: HTTP requests with the worker's token;
//! - `download`: one file, continued after an interruption and checked by its hash; `preparation`: the dataset and the checkpoint that a run
//!   needs before it trains;
//! - `uploads`: a thread that sends the checkpoints of this machine to the server.
//!
//! A dataset is kept in `datasets/<key>`, by the hashes of its texts: it never changes, and datasets with one name do not mix. A folder gets
//! its name when all of its files are there and have been checked.

pub(crate) mod client;
pub(crate) mod download;
pub(crate) mod preparation;
pub(crate) mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use wire::RunId;
use wire::control::checkpoint::CheckpointId;

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use client::Client;

/// The server's files and the folders for them; cloning shares the connection.
#[derive(Clone)]
pub struct Transfer {
    pub(crate) client: Arc<Client>,
    /// The folder of the worker.
    pub(crate) data: PathBuf,
}

impl Transfer {
    /// The files of the server; `None` for a worker that uses the server's own folder.
    ///
    /// # Errors
    /// The address of the server is invalid; TLS cannot be used.
    pub fn of(config: &WorkerConfig) -> Result<Option<Self>, WorkerError> {
        if config.is_local() {
            return Ok(None);
        }
        let url = config.link_url()?;
        let client = Client::new(&url, &config.token, config.fingerprint);
        let client = Arc::new(client.map_err(|source| WorkerError::Link { url, source: source.into() })?);
        Ok(Some(Self { client, data: config.data.clone() }))
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.data.join("checkpoints")
    }

    /// Whether a checkpoint is on this machine.
    pub(crate) fn has(&self, run: &RunId, id: CheckpointId) -> bool {
        engine::optim::checkpoint::folder(&self.checkpoints(), run, id).is_dir()
    }
}
