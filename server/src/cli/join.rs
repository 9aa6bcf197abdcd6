//! `kindling join`: makes this machine a worker of a lab.
//!
//! - `exchange`: the request that exchanges a join token for the token of the worker.

mod exchange;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use wire::DeviceId;
use wire::device::DeviceKind;
use wire::fingerprint::Fingerprint;
use wire::fleet::JoinRequest;
use wire::id::IdError;
use wire::slot::MAX_RUNS_AT_ONCE;
use worker::{Credentials, SlotProgram, WorkerConfig, WorkerError, WorkerLog};

use super::memory;
pub use exchange::ExchangeError;

const EXAMPLES: &str = "\
Examples:
  Join the pool gpu-lab with a token that the Fleet page created:
    kindling join https://lab.example.org --pool gpu-lab --token-file join-token
  Train on one device of several, under a name of its own:
    kindling join https://lab.example.org --pool gpu-lab --token-file join-token --device gpu-1 --name box-1
  Join a server with a self-signed certificate:
    kindling join https://lab:7878 --pool gpu --token-file f --fingerprint 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  Start again later, without a join token:
    kindling join https://lab.example.org --pool gpu-lab";

/// Makes this machine a worker of a lab: it connects to the server and trains the runs of a pool until the server or a signal ends it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct JoinArgs {
    /// Address of the server, as browsers open it
    #[arg(value_name = "URL")]
    server: String,
    /// Pool to join
    #[arg(long, value_name = "NAME")]
    pool: String,
    /// File with a join token of the pool; not needed once this machine has joined [default: none]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Fingerprint of the server's certificate if it is self-signed; the server prints it, and the Fleet page shows it [default: none]
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
    /// Device to train on, as `kindling devices` lists it [default: a GPU if there is one, else the CPU]
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Folder of this worker: its token, datasets, checkpoints and undelivered reports [default: kindling/worker in the data
    /// folder of this user]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Name of the worker in the lab [default: the name of this machine and the device]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Which of the processes of the device this is; `kindling join` starts those after the first by itself [default: the first]
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_RUNS_AT_ONCE)))]
    slot: Option<u32>,
}

/// Why a machine does not join, or its worker ended early.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("this machine has no device to train on: `kindling devices` lists none")]
    NoDevice,
    #[error("the data folder of this user is unknown: choose a folder with --data")]
    NoFolder,
    /// The folder is that of a lab, whose workers its server starts.
    #[error("{} is the folder of a lab: choose another one with --data", folder.display())]
    LabFolder { folder: PathBuf },
    #[error("{name:?} cannot name a worker: give at least one letter or digit")]
    Name { name: String, source: IdError },
    /// It has not joined this pool yet.
    #[error(
        "this machine has not joined the pool {pool} of {server} yet: create a join token on the Fleet page of the lab, and give it with \
         --token-file"
    )]
    NoToken { server: String, pool: String },
    #[error("the join token cannot be read from {}: {source}", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("{} contains no join token: it is empty", path.display())]
    EmptyFile { path: PathBuf },
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("joining was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl JoinArgs {
    /// Joins, and trains until the server or a signal ends the worker.
    ///
    /// # Errors
    /// The server is out of reach or refuses the token, or the worker fails.
    pub async fn run(self, log: WorkerLog) -> Result<(), JoinError> {
        memory::keep_private();
        let data = self.folder()?;
        let device = self.device.clone().or_else(best_device).ok_or(JoinError::NoDevice)?;
        if let Some(slot) = self.slot {
            let credentials = Credentials::load(&data, &device)?;
            let credentials = credentials.ok_or_else(|| JoinError::NoToken { server: self.server, pool: self.pool })?;
            let config = WorkerConfig::joined(credentials, data, device);
            worker::run(WorkerConfig { log, slot, ..config }).await?;
            return Ok(());
        }
        let (folder, of) = (data.clone(), device.clone());
        let credentials = tokio::task::spawn_blocking(move || self.credentials(&folder, &of)).await??;
        tracing::info!("{} of the pool {} of {}", credentials.device, credentials.pool, credentials.server);
        let slots = further_processes(&credentials, &data, &device);
        worker::run(WorkerConfig { log, slots, ..WorkerConfig::joined(credentials, data, device) }).await?;
        Ok(())
    }

    fn folder(&self) -> Result<PathBuf, JoinError> {
        let folder = self.data.clone().or_else(default_folder).ok_or(JoinError::NoFolder)?;
        match folder.join("lab.db").exists() {
            true => Err(JoinError::LabFolder { folder }),
            false => Ok(folder),
        }
    }

    /// The credentials of an earlier start, or else those that the join token is exchanged for.
    fn credentials(&self, data: &Path, device: &DeviceId) -> Result<Credentials, JoinError> {
        // A second worker must not exchange the token of the one that runs.
        if worker::is_held(data, device) {
            let path = worker::lock_path(data, device);
            return Err(WorkerError::DeviceTaken { device: device.to_string(), path }.into());
        }
        let server = exchange::base(&self.server)?;
        let lab_device = self.lab_device(device)?;
        let is_same = |found: &Credentials| {
            found.server == server && found.pool == self.pool && (self.name.is_none() || found.device == lab_device)
        };
        if let Some(found) = Credentials::load(data, device)?.filter(is_same) {
            // A server that has a new certificate keeps its workers.
            let found = Credentials { fingerprint: self.fingerprint.or(found.fingerprint), ..found };
            found.save(data, device)?;
            return Ok(found);
        }
        let pool = self.pool.clone();
        let Some(file) = &self.token_file else { return Err(JoinError::NoToken { server, pool }) };
        let token = read_token(file)?;
        let request = JoinRequest { pool, host: worker::host_name(), device: lab_device.clone() };
        let joined = exchange::exchange(&server, &token, &request, self.fingerprint)?;
        let credentials = Credentials {
            server,
            fingerprint: self.fingerprint,
            pool: request.pool,
            worker: joined.worker,
            device: lab_device,
            token: joined.token,
        };
        credentials.save(data, device)?;
        Ok(credentials)
    }

    fn lab_device(&self, device: &DeviceId) -> Result<DeviceId, JoinError> {
        let named = worker::lab_device_id(&worker::host_name(), device, self.name.as_deref());
        named.map_err(|source| JoinError::Name { name: self.name.clone().unwrap_or_default(), source })
    }
}

/// How the further processes of a device are started; they read its token from the folder. `None` if the path of this program is unknown.
fn further_processes(credentials: &Credentials, data: &Path, device: &DeviceId) -> Option<SlotProgram> {
    let program = std::env::current_exe();
    let program = program.inspect_err(|source| tracing::warn!("one run at once: this program is not found: {source}"));
    let Credentials { server, pool, .. } = credentials;
    let texts = ["join", server, "--pool", pool, "--device", device.as_str(), "--data"].map(OsString::from);
    let arguments = texts.into_iter().chain([data.as_os_str().to_owned(), "--slot".into()]).collect();
    Some(SlotProgram { program: program.ok()?, arguments })
}

fn best_device() -> Option<DeviceId> {
    let found = engine::device::list();
    let gpu = found.iter().find(|device| device.kind == DeviceKind::Gpu);
    gpu.or(found.first()).map(|device| device.id.clone())
}

/// `kindling/worker` in the folder that the system gives a user's programs for their data.
fn default_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| home.join(".local").join("share"));
    let base = variable("XDG_DATA_HOME").or_else(|| variable("LOCALAPPDATA")).or_else(home)?;
    Some(base.join("kindling").join("worker"))
}

fn read_token(path: &Path) -> Result<String, JoinError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| JoinError::TokenFile { path: path.to_owned(), source })?;
    warn_if_shared(path);
    match text.trim() {
        "" => Err(JoinError::EmptyFile { path: path.to_owned() }),
        token => Ok(token.to_owned()),
    }
}

#[cfg(unix)]
fn warn_if_shared(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let is_file = |data: &std::fs::Metadata| data.is_file() && data.permissions().mode() & 0o077 != 0;
    if std::fs::metadata(path).is_ok_and(|data| is_file(&data)) {
        let path = path.display();
        tracing::warn!("other users of this machine can read the join token in {path}: chmod 600 {path}");
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_lab_and_an_empty_token_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let args = |data: &Path, token_file: Option<PathBuf>| JoinArgs {
            server: "lab.example:1".into(),
            pool: "gpu-lab".into(),
            token_file,
            fingerprint: None,
            device: None,
            data: Some(data.to_owned()),
            name: None,
            slot: None,
        };
        let device: DeviceId = "cpu".parse().unwrap();
        assert_eq!(args(folder.path(), None).folder().unwrap(), folder.path());
        let message = args(folder.path(), None).credentials(folder.path(), &device).unwrap_err().to_string();
        assert!(message.contains("has not joined the pool gpu-lab of http://lab.example:1"), "{message}");
        let file = folder.path().join("token");
        let refused = args(folder.path(), Some(file.clone())).credentials(folder.path(), &device);
        assert!(matches!(refused, Err(JoinError::TokenFile { .. })));
        std::fs::write(&file, " \n").unwrap();
        let refused = args(folder.path(), Some(file)).credentials(folder.path(), &device);
        assert!(matches!(refused, Err(JoinError::EmptyFile { .. })));
        std::fs::write(folder.path().join("lab.db"), "").unwrap();
        assert!(matches!(args(folder.path(), None).folder(), Err(JoinError::LabFolder { .. })));
    }
}
