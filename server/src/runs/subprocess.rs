//! Processes with a model: this program with another subcommand, which reads one request as JSON. The server holds no model itself, and a
//! model that is too large for the memory ends only its own process.

use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use wire::ApiErrorBody;

use crate::error::ApiError;

/// Starts `kindling SUBCOMMAND... --data DATA` and writes the request to its standard input. Its standard output can be read. It is killed
/// when it is dropped.
///
/// # Errors
/// The process could not be started, or ended before it had read the request.
pub async fn start(subcommand: &[&str], data: &Path, request: &impl Serialize) -> Result<Child, ApiError> {
    let failed = |source: std::io::Error| ApiError::internal("starting a process with a model", source);
    let program = std::env::current_exe().map_err(failed)?;
    let mut process = Command::new(program)
        .args(subcommand)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut input = process.stdin.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    let request = serde_json::to_vec(request).map_err(|source| failed(source.into()))?;
    input.write_all(&request).await.map_err(failed)?;
    Ok(process)
}

/// Runs such a process to its end and returns what it printed. It is killed when the future is dropped. `action` is what it does, as in
/// "scoring a checkpoint".
///
/// # Errors
/// Those of [`start`]; the error that the process printed; it ended without one.
pub async fn output(
    subcommand: &[&str],
    data: &Path,
    request: &impl Serialize,
    action: &str,
) -> Result<Vec<u8>, ApiError> {
    let process = start(subcommand, data, request).await?;
    let output = process.wait_with_output().await;
    let output = output.map_err(|source| ApiError::internal("waiting for a process with a model", source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    match serde_json::from_slice::<ApiErrorBody>(&output.stdout) {
        Ok(body) => Err(ApiError::from_process(body)),
        Err(_) => {
            let ended = format!("its process ended with {}", output.status);
            Err(ApiError::internal(action, ended)
                .hint("too little memory is the usual cause; see the log of the server"))
        }
    }
}
