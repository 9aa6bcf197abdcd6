//! Opens the folder of a lab, for a server and for commands that work without one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use store::{Store, StoreError};

use super::certificate::CertificateError;
use super::evaluator::EvaluatorNameError;
use super::settings::Settings;
use crate::workers::local;

/// Why the server does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process has the folder.
    #[error("{} is in use by process {pid}, most likely another `kindling serve`. Use that server{}, stop it with `kill {pid}`, or choose another folder with --data", dir.display(), at(url))]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Process that uses it.
        pid: u32,
        /// Address of that server.
        url: Option<String>,
    },
    /// The folder cannot be used.
    #[error("the folder {} cannot be used: {source}. Choose another folder with --data", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on {listen}: {source}. Choose another address with --listen, such as --listen 127.0.0.1:{}", listen.port().saturating_add(1))]
    Listen {
        /// The address.
        listen: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Evaluators(#[from] EvaluatorNameError),
    /// The listener failed.
    #[error("the server failed: {0}")]
    Serve(#[source] io::Error),
}

fn at(url: &Option<String>) -> String {
    url.as_ref().map_or(String::new(), |url| format!(" at {url}"))
}

/// Opens the store of a folder.
///
/// # Errors
/// Another process uses the folder; an IO error; a store of another version.
pub async fn open_store(settings: &Settings) -> Result<Store, ServeError> {
    let dir = settings.data.clone();
    let store = Store::open(&dir).await.map_err(|error| match error {
        StoreError::Locked { dir, pid } => {
            let url = local::read_browser_address(&dir);
            ServeError::InUse { dir, pid, url }
        }
        StoreError::File { source, .. } => ServeError::Folder { dir: dir.clone(), source },
        other => other.into(),
    })?;
    // After the store has accepted the folder: one of another version stays as it is.
    std::fs::create_dir_all(settings.incoming()).map_err(|source| ServeError::Folder { dir, source })?;
    Ok(store)
}
