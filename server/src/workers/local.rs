//! The local workers: for each device of this machine as many processes as its pool trains runs at once, each in a separate session, so that it continues training when this server
//! stops. A new server recognizes it by its lock and starts no second one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use wire::Slot;
use wire::device::DeviceInfo;
use wire::fleet::LOCAL_POOL;

use super::Workers;
use super::fleet::Limits;
use crate::live::clock::now_ms;

/// Pauses between the end of a worker and the start of the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After a worker that ran for so long, or that connected, the pause is short again.
const GOOD_RUN: Duration = Duration::from_secs(60);
/// How often the lock of an earlier server's worker is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// A log above this size is truncated when its worker starts.
const LOG_BYTES: u64 = 10_000_000;
/// Environment variable of workers that a server starts: they leave its session.
pub const OWN_SESSION: &str = "KINDLING_OWN_SESSION";

/// Errors of starting a worker.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program or its log.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    #[error("the worker's token could not be created: {0}")]
    Token(#[from] store::StoreError),
    /// The process that lists the devices.
    #[error("`kindling devices` ended with {0}")]
    DevicesProcess(ExitStatus),
    #[error("the output of `kindling devices` cannot be decoded: {0}")]
    DevicesOutput(#[from] serde_json::Error),
}

/// Writes the address of the server for local workers, and the one that browsers open, atomically.
pub fn write_address(data: &Path, url: &str, browser_url: &str) -> io::Result<()> {
    let folder = data.join("workers");
    fs::create_dir_all(&folder)?;
    let temporary = folder.join("server.json.new");
    fs::write(
        &temporary,
        serde_json::json!({ "url": url, "browser_url": browser_url, "pid": std::process::id() }).to_string(),
    )?;
    fs::rename(temporary, folder.join("server.json"))
}

/// A server that runs on a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProcess {
    pub pid: u32,
    /// Address that browsers open.
    pub url: String,
}

/// The server that holds a folder; `None` if none does.
pub fn server_of(data: &Path) -> Option<ServerProcess> {
    let pid = store::holder(data)?;
    Some(ServerProcess { pid, url: read_browser_address(data).unwrap_or_default() })
}

/// The address that browsers open, as the last server wrote it.
pub fn read_browser_address(data: &Path) -> Option<String> {
    let value = read_addresses(data)?;
    // Earlier versions wrote `url` alone.
    value.get("browser_url").or(value.get("url"))?.as_str().map(str::to_owned)
}

/// The address for programs on this machine of the server that holds a folder; `None` if none does.
pub fn address_of_server(data: &Path) -> Option<String> {
    store::holder(data)?;
    read_addresses(data)?.get("url")?.as_str().map(str::to_owned)
}

fn read_addresses(data: &Path) -> Option<serde_json::Value> {
    let text = fs::read(data.join("workers").join("server.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Keeps one worker running on each device of this machine until `stopping`.
pub async fn keep(workers: Workers, stopping: watch::Receiver<bool>) {
    let devices = match list_devices().await {
        Ok(devices) => devices,
        Err(error) => {
            tracing::error!("no local worker is started: {error}");
            return;
        }
    };
    for device in devices {
        for slot in Slot::all(&device.id) {
            tokio::spawn(keep_slot(workers.clone(), slot, stopping.clone()));
        }
    }
}

/// Lists the devices in another process, because a driver that crashes ends that process and not the server.
async fn list_devices() -> Result<Vec<DeviceInfo>, SpawnError> {
    let program = program()?;
    let output =
        Command::new(&program).arg("devices").arg("--json").stdin(Stdio::null()).stderr(Stdio::null()).output().await;
    let output = output.map_err(|source| SpawnError::Disk { path: program, source })?;
    if !output.status.success() {
        return Err(SpawnError::DevicesProcess(output.status));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Keeps the process of a slot running while the pool allows it. One that is idle and not allowed any more is shut down by the queue.
async fn keep_slot(workers: Workers, slot: Slot, mut stopping: watch::Receiver<bool>) {
    let mut limits = workers.fleet.limits();
    let mut pause = FIRST_PAUSE;
    while !*stopping.borrow() {
        let is_allowed = |limits: &Limits| slot.number <= limits.get(LOCAL_POOL).copied().unwrap_or(1);
        let is_known = tokio::select! {
            is_known = async { limits.wait_for(is_allowed).await.is_ok() } => is_known,
            _ = stopping.changed() => false,
        };
        if !is_known {
            return;
        }
        if worker::is_held(&workers.data, &slot) {
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => continue,
                _ = stopping.changed() => return,
            }
        }
        let (started, started_ms) = (Instant::now(), now_ms());
        match spawn(&workers, &slot).await {
            Ok(mut child) => {
                tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => {
                            let log = log_path(&workers.data, &slot);
                            // A slot that was given up ends by itself.
                            match status.success() && slot.number > workers.fleet.limit(LOCAL_POOL) {
                                true => tracing::info!("the worker of {slot} ended"),
                                false => tracing::warn!("the worker of {slot} ended ({status}); see its log: {}", log.display()),
                            }
                        }
                        Err(error) => tracing::warn!("waiting for the worker of {slot} failed: {error}"),
                    },
                    _ = stopping.changed() => return,
                }
            }
            Err(error) => tracing::error!("no worker could be started for {slot}: {error}"),
        }
        let ran_well = started.elapsed() > GOOD_RUN || workers.fleet.was_connected_since(&slot, started_ms);
        pause = if ran_well { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => return,
        }
    }
}

async fn spawn(workers: &Workers, slot: &Slot) -> Result<Child, SpawnError> {
    let token = workers.feed.store.local_slot_token(slot).await?;
    let (program, data) = (program()?, &workers.data);
    let log = open_log(data, slot)?;
    let path = log_path(data, slot);
    let errors = log.try_clone().map_err(|source| SpawnError::Disk { path, source })?;
    let mut command = Command::new(&program);
    command.arg("worker").arg("--data").arg(data).arg("--device").arg(slot.device.as_str());
    if !slot.is_first() {
        command.arg("--slot").arg(slot.number.to_string());
    }
    command.env(OWN_SESSION, "1").stdin(Stdio::piped()).stdout(log).stderr(errors).kill_on_drop(false);
    let failed = |source| SpawnError::Disk { path: program.clone(), source };
    let mut child = command.spawn().map_err(failed)?;
    // Other processes of this user can read a command line and an environment, but not a pipe.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("{token}\n").as_bytes()).await.map_err(failed)?;
    }
    Ok(child)
}

fn program() -> Result<PathBuf, SpawnError> {
    std::env::current_exe().map_err(|source| SpawnError::Disk { path: "kindling".into(), source })
}

fn log_path(data: &Path, slot: &Slot) -> PathBuf {
    data.join("workers").join(format!("{slot}.log"))
}

fn open_log(data: &Path, slot: &Slot) -> Result<File, SpawnError> {
    let path = log_path(data, slot);
    let is_long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES);
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let file =
        made.and_then(|()| OpenOptions::new().create(true).append(!is_long).write(true).truncate(is_long).open(&path));
    file.map_err(|source| SpawnError::Disk { path, source })
}
