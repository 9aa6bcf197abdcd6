//! Another program, run after each training and compared with: the last line that it prints is JSON with `tokens_per_sec` and perhaps
//! `valid_loss_nats`.

use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BenchError;

/// The result that it printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OtherResult {
    pub(super) tokens_per_sec: f64,
    /// Validation loss, nats per token.
    pub(super) valid_nats: Option<f64>,
}

pub(super) fn run(command: &str) -> Result<OtherResult, BenchError> {
    let mut words = command.split_whitespace();
    let command = command.to_owned();
    let Some(program) = words.next() else { return Err(BenchError::NoCommand { command }) };
    let output = match Command::new(program).args(words).output() {
        Ok(output) => output,
        Err(source) => return Err(BenchError::Start { command, source }),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Failed { command, status: output.status, stderr });
    }
    read(command, &String::from_utf8_lossy(&output.stdout))
}

fn read(command: String, stdout: &str) -> Result<OtherResult, BenchError> {
    let line = stdout.lines().last().unwrap_or_default().to_owned();
    let result: Value = match serde_json::from_str(&line) {
        Ok(result) => result,
        Err(source) => return Err(BenchError::NotJson { command, line, source }),
    };
    match result["tokens_per_sec"].as_f64() {
        Some(tokens_per_sec) => Ok(OtherResult { tokens_per_sec, valid_nats: result["valid_loss_nats"].as_f64() }),
        None => Err(BenchError::NoSpeed { command, line }),
    }
}
