//! A score by an evaluator: its program gets the folder of the exported checkpoint as its argument and prints one JSON object of numbers,
//! `{"accuracy": 0.83}`. It runs without a shell, without the environment of the server, at low priority, and ends with its score: its
//! process group is killed when the score is done, cancelled or late.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use engine::data::dataset;
use engine::interop::export::Export;
use engine::optim::checkpoint;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use wire::task::result::{TaskMetric, TaskResult};
use wire::task::{TaskKind, TaskName};
use wire::{CheckpointId, RunId};

use crate::error::ApiError;
use crate::lab::evaluator::Evaluator;
use crate::lab::settings::Settings;

/// Longest output, bytes.
const OUTPUT_BYTES: u64 = 100_000;
/// The end of the error output that a message quotes, bytes.
const QUOTED_BYTES: usize = 600;
/// Maximum number of values.
const VALUES: usize = 20;
/// Variables of the server's environment that the program gets. Others may hold secrets.
const VARIABLES: [&str; 9] =
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES"];

/// Exports a checkpoint and runs the program on it.
///
/// # Errors
/// `transformers` does not know the architecture, the disk is full, the program could not be started or failed, or its output is not an object of
/// numbers.
pub async fn score(
    settings: &Settings,
    run: &RunId,
    checkpoint: CheckpointId,
    evaluator: &Evaluator,
) -> Result<TaskResult, ApiError> {
    let folder = export(settings, run, checkpoint).await?;
    let output = execute(evaluator, folder.path()).await?;
    let metrics = read(&output)?;
    Ok(TaskResult { task: evaluator.name.clone(), kind: TaskKind::Command, items: 1, correct: None, metrics })
}

/// Exports a checkpoint into a new folder, which is deleted when it is dropped.
async fn export(settings: &Settings, run: &RunId, id: CheckpointId) -> Result<TempDir, ApiError> {
    let (data, incoming, run) = (settings.data.clone(), settings.incoming(), run.clone());
    let export = move || {
        let folder = TempDir::new_in(incoming).map_err(|source| ApiError::internal("creating a folder", source))?;
        let saved = checkpoint::open(&checkpoint::folder(&data.join("checkpoints"), &run, id))?;
        let plan = &saved.manifest.plan;
        let tokenizer = dataset::open_tokenizer(&data.join("corpora"), &plan.corpora(), plan.tokenizer)?;
        Export::new(saved, &tokenizer)?.write_folder(folder.path())?;
        Ok(folder)
    };
    let exported = tokio::task::spawn_blocking(export).await;
    exported.map_err(|source| ApiError::internal("exporting a checkpoint", source))?
}

/// Runs the program to its end. Its process group is killed when the future is dropped. Errors name the evaluator and not its path, because
/// whoever may see the run sees them.
async fn execute(Evaluator { name, program }: &Evaluator, folder: &Path) -> Result<Vec<u8>, ApiError> {
    let mut command = Command::new(program);
    command.arg(folder).current_dir(folder).env_clear();
    command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child =
        command.spawn().map_err(|source| failed(format!("the program of {name} could not be started: {source}")))?;
    let _group = Group::of(child.id());
    let pipes = child.stdout.take().zip(child.stderr.take());
    let (output, errors) = pipes.ok_or_else(|| ApiError::internal("starting an evaluator", "it has no output"))?;
    let (output, errors) = tokio::try_join!(whole(output), end(errors))?;
    let status = child.wait().await.map_err(|source| ApiError::internal("waiting for an evaluator", source))?;
    match status.success() {
        true => Ok(output),
        false => {
            // A shell begins its messages with the path of the script.
            let said = String::from_utf8_lossy(&errors).replace(&*program.to_string_lossy(), name.as_str());
            Err(failed(format!("the program of {name} ended with {status}: {}", said.trim())))
        }
    }
}

/// An error of the program.
fn failed(message: String) -> ApiError {
    ApiError::invalid("evaluator_failed", message)
        .hint("run the program on the folder of `kindling export hf` and see what it prints")
}

/// Everything that is read, if it is not too long.
async fn whole(from: impl AsyncRead + Unpin) -> Result<Vec<u8>, ApiError> {
    let mut bytes = vec![];
    let read = from.take(OUTPUT_BYTES + 1).read_to_end(&mut bytes).await;
    read.map_err(|source| ApiError::internal("reading the output of an evaluator", source))?;
    match bytes.len() as u64 > OUTPUT_BYTES {
        true => Err(failed(format!("the program printed more than {OUTPUT_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

/// The last [`QUOTED_BYTES`] that are read.
async fn end(mut from: impl AsyncRead + Unpin) -> Result<Vec<u8>, ApiError> {
    let (mut last, mut part) = (vec![], [0; 4096]);
    loop {
        let read = from.read(&mut part).await;
        let count = read.map_err(|source| ApiError::internal("reading the errors of an evaluator", source))?;
        if count == 0 {
            return Ok(last);
        }
        last.extend_from_slice(&part[..count]);
        let surplus = last.len().saturating_sub(QUOTED_BYTES);
        last.drain(..surplus);
    }
}

/// The values of the output, in its order.
fn read(output: &[u8]) -> Result<Vec<TaskMetric>, ApiError> {
    let shown = || String::from_utf8_lossy(&output[..output.len().min(QUOTED_BYTES)]).trim().to_owned();
    let Pairs(pairs) = serde_json::from_slice(output)
        .map_err(|error| failed(format!("the output is not a JSON object of numbers: {error}; it is {:?}", shown())))?;
    if pairs.is_empty() || pairs.len() > VALUES {
        return Err(failed(format!("the output has {} values; print 1 to {VALUES}", pairs.len())));
    }
    for (at, (name, _)) in pairs.iter().enumerate() {
        // A part of a series name, as the name of a task is.
        if name.parse::<TaskName>().is_err() {
            return Err(failed(format!(
                "{name:?} cannot name a value: use 1 to 40 lower-case letters, digits, - and _"
            )));
        }
        if pairs[..at].iter().any(|(other, _)| other == name) {
            return Err(failed(format!("the output has {name:?} twice")));
        }
    }
    Ok(pairs.iter().map(|(name, value)| TaskMetric::new(name, *value)).collect())
}

/// The numbers of a JSON object, in its order.
struct Pairs(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = vec![];
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// The process group of the program: also the processes that it started end with it.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        // Without a process, this would set the priority of the server.
        let lowered = leader.map(|leader| rustix::process::setpriority_process(Some(leader), 10));
        if let Some(Err(error)) = lowered {
            tracing::debug!("an evaluator runs at normal priority: {error}");
        }
        Self { leader }
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_: Option<u32>) -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // All may have ended.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_one_object_of_numbers() {
        let values = read(br#" {"zeta": 0.5, "alpha-2": 3, "nll": 1e400} "#);
        assert!(values.is_err(), "a number that is too large for 64 bits");
        let values = read(br#"{"zeta": 0.5, "alpha-2": 3}"#).unwrap();
        let pairs: Vec<(&str, Option<f64>)> = values.iter().map(|one| (one.name.as_str(), one.value)).collect();
        assert_eq!(pairs, [("zeta", Some(0.5)), ("alpha-2", Some(3.0))], "in its order: the first is the main one");
        let many: Vec<String> = (0..21).map(|at| format!("\"a{at}\": 1")).collect();
        let many = format!("{{{}}}", many.join(","));
        for (bad, word) in [
            ("", "not a JSON object"),
            ("0.5", "object of numbers"),
            ("{}", "0 values"),
            (many.as_str(), "21 values"),
            (r#"{"a": "b"}"#, "not a JSON object"),
            (r#"{"a": 1, "a": 2}"#, "twice"),
            (r#"{"acc,none": 1}"#, "acc,none"),
            (r#"{"a": 1} and more"#, "not a JSON object"),
        ] {
            let message = read(bad.as_bytes()).unwrap_err().body.message;
            assert!(message.contains(word), "{bad}: {message}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_ends_with_its_score() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let named = |program| Evaluator { name: "my-test".parse().unwrap(), program };
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            named(path)
        };
        let message = async |evaluator: &Evaluator| {
            let message = execute(evaluator, folder.path()).await.unwrap_err().body.message;
            assert!(!message.contains(&*folder.path().to_string_lossy()), "{message}");
            message
        };
        let printed = execute(&script("good", "echo \"{\\\"files\\\": $#}\""), folder.path()).await.unwrap();
        assert_eq!(read(&printed).unwrap()[0].value, Some(1.0), "one argument");
        let bad = message(&script("bad", "echo $0: nothing to read >&2; exit 3")).await;
        assert!(bad.ends_with("3: my-test: nothing to read"), "{bad}");
        assert!(message(&script("long", "yes")).await.contains("more than"));
        let missing = message(&named(folder.path().join("missing"))).await;
        assert!(missing.starts_with("the program of my-test could not be started"), "{missing}");
        // A process that the program leaves behind ends with it, and it has no variable that is not named above.
        let mark = folder.path().join("mark");
        let left = format!(
            "(sleep 1; touch {}) > /dev/null 2>&1 &\necho \"{{\\\"a\\\": $(env | grep -c CARGO)}}\"",
            mark.display()
        );
        let printed = execute(&script("left", &left), folder.path()).await.unwrap();
        assert_eq!(read(&printed).unwrap()[0].value, Some(0.0));
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert!(!mark.exists());
    }
}
