//! The local workers: one process for each device of this machine, in a session of its own, so that it trains on when
//! this server stops. A new server finds it by its lock and starts none beside it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use store::{Role, TokenKind};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use wire::DeviceId;
use wire::device::DeviceInfo;

use crate::app_state::AppState;
use crate::clock::now_ms;

/// Pauses between a worker's death and the next one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that lived so long, or that was linked, had a good start.
const GOOD_LIFE: Duration = Duration::from_secs(60);
/// How often the lock of a worker of an earlier server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A log is begun anew beyond this size.
const LOG_BYTES: u64 = 10_000_000;
/// Set for workers which a server starts; they leave its session.
pub const OWN_SESSION: &str = "KINDLING_OWN_SESSION";

/// Why no worker could be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program or its log.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Its token.
    #[error("its token: {0}")]
    Token(#[from] store::StoreError),
    /// The devices' list.
    #[error("the devices could not be listed: {0}")]
    Devices(String),
}

/// Writes where the server is, for local workers to find; whole or not at all.
pub fn write_address(data: &Path, url: &str) -> io::Result<()> {
    let folder = data.join("workers");
    fs::create_dir_all(&folder)?;
    let aside = folder.join("server.json.new");
    fs::write(&aside, serde_json::json!({ "url": url, "pid": std::process::id() }).to_string())?;
    fs::rename(aside, folder.join("server.json"))
}

/// Where the last server said it was.
pub fn read_address(data: &Path) -> Option<String> {
    let text = fs::read(data.join("workers").join("server.json")).ok()?;
    serde_json::from_slice::<serde_json::Value>(&text).ok()?.get("url")?.as_str().map(str::to_owned)
}

/// Keeps one worker on each device of this machine until `stopping`.
pub async fn keep(state: AppState, stopping: watch::Receiver<bool>) {
    let devices = match list_devices().await {
        Ok(devices) => devices,
        Err(error) => {
            tracing::error!("no local worker is started: {error}");
            return;
        }
    };
    for device in devices {
        tokio::spawn(keep_one(state.clone(), device.id, stopping.clone()));
    }
}

/// Asks a process of its own: a driver that dies takes it and not the server.
async fn list_devices() -> Result<Vec<DeviceInfo>, SpawnError> {
    let program = program()?;
    let output =
        Command::new(&program).arg("devices").arg("--json").stdin(Stdio::null()).stderr(Stdio::null()).output().await;
    let output = output.map_err(|source| SpawnError::Disk { path: program, source })?;
    if !output.status.success() {
        return Err(SpawnError::Devices(format!("`kindling devices` ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|source| SpawnError::Devices(source.to_string()))
}

async fn keep_one(state: AppState, device: DeviceId, mut stopping: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    while !*stopping.borrow() {
        if worker::is_held(&state.settings.data, &device) {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => continue,
                _ = stopping.changed() => return,
            }
        }
        let (born, born_ms) = (Instant::now(), now_ms());
        match spawn(&state, &device).await {
            Ok(mut child) => {
                tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => tracing::warn!("the worker of {device} ended ({status}); its log: {}", log_path(&state.settings.data, &device).display()),
                        Err(error) => tracing::warn!("the worker of {device} cannot be followed: {error}"),
                    },
                    _ = stopping.changed() => return,
                }
            }
            Err(error) => tracing::error!("no worker could be started on {device}: {error}"),
        }
        let had_good_start = born.elapsed() > GOOD_LIFE || state.fleet.was_here_since(&device, born_ms);
        pause = if had_good_start { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => return,
        }
    }
}

async fn spawn(state: &AppState, device: &DeviceId) -> Result<Child, SpawnError> {
    let token = fresh_token(state, device).await?;
    let (program, data) = (program()?, &state.settings.data);
    let log = open_log(data, device)?;
    let path = log_path(data, device);
    let errors = log.try_clone().map_err(|source| SpawnError::Disk { path, source })?;
    let mut command = Command::new(&program);
    command.arg("worker").arg("--data").arg(data).arg("--device").arg(device.as_str());
    command.env("KINDLING_TOKEN", token).env(OWN_SESSION, "1");
    command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(false);
    command.spawn().map_err(|source| SpawnError::Disk { path: program, source })
}

/// A token for this worker alone; the one of its predecessor ends.
async fn fresh_token(state: &AppState, device: &DeviceId) -> Result<String, SpawnError> {
    let name = format!("local worker {device}");
    for old in state.store.tokens().await?.into_iter().filter(|token| token.name == name) {
        state.store.revoke(old.id).await?;
    }
    Ok(state.store.add_token(&name, Role::Worker, TokenKind::Api, None).await?)
}

fn program() -> Result<PathBuf, SpawnError> {
    std::env::current_exe().map_err(|source| SpawnError::Disk { path: "kindling".into(), source })
}

fn log_path(data: &Path, device: &DeviceId) -> PathBuf {
    data.join("workers").join(format!("{device}.log"))
}

fn open_log(data: &Path, device: &DeviceId) -> Result<File, SpawnError> {
    let path = log_path(data, device);
    let is_long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES);
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let file =
        made.and_then(|()| OpenOptions::new().create(true).append(!is_long).write(true).truncate(is_long).open(&path));
    file.map_err(|source| SpawnError::Disk { path, source })
}
