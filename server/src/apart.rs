//! Work in a process of its own: this program with another subcommand, asked one question in JSON. No model lives in the server, and one
//! that is too large takes only its own process with it.

use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::api_error::ApiError;

/// Starts `kindling SUBCOMMAND... --data DATA` and asks it. Its standard output is there to be read; dropped, it is killed.
///
/// # Errors
/// The system starts no process, or it went away before it had heard the question.
pub async fn ask(subcommand: &[&str], data: &Path, question: &impl Serialize) -> Result<Child, ApiError> {
    let failed = |source: &dyn std::fmt::Display| ApiError::internal("starting a process with a model", source);
    let program = std::env::current_exe().map_err(|source| failed(&source))?;
    let mut process = Command::new(program)
        .args(subcommand)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| failed(&source))?;
    let Some(mut input) = process.stdin.take() else { return Err(failed(&"it has no pipes")) };
    let question = serde_json::to_vec(question).map_err(|source| failed(&source))?;
    input.write_all(&question).await.map_err(|source| failed(&source))?;
    Ok(process)
}
