//! `kindling evaluate`: scores a checkpoint on tasks, in this process. It reads the folder of a lab, also while a server uses it, or the
//! archive of a run.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use engine::EngineError;
use engine::data::tokenizer::save_imported;
use engine::optim::checkpoint::{self, Checkpoint};
use engine::task::built_in::built_in;
use engine::task::{TaskModel, file};
use serde::Serialize;
use store::{Store, StoreError};
use tempfile::TempDir;
use wire::number::{brief, counted, grouped};
use wire::task::result::{TaskResult, describe};
use wire::task::{BUILT_IN, Task};
use wire::{CheckpointId, RunId};

use super::data::{DataArgs, UnusedFolder};
use super::run_name::{RunNameError, run_named};
use super::subprocess::lower_priority;
use crate::error::ApiError;
use crate::export::unpack::unpack;
use crate::output::{self, OutputError};
use crate::runs::completion::{checkpoints_dir, checkpoints_in};

const EXAMPLES: &str = "\
Examples:
  Score the newest checkpoint of a run on the built-in task of the dataset Tales:
    kindling evaluate amber-fox --task tales-holder
  Score an earlier checkpoint on two tasks, one of them a file, for a program:
    kindling evaluate amber-fox --checkpoint 0-1200 --task tales-holder --task capitals.toml --json
  Score a run that another lab has exported:
    kindling evaluate amber-fox.tar --task capitals.toml

A task is a file of TOML or JSON:
  name = \"capitals\"
  kind = \"multiple_choice\"
  [[items]]
  prompt = \"The capital of France is\"
  choices = [\" Paris\", \" Rome\"]
  answer = 0
Other kinds are completion, whose items have prompt and answer, and perplexity, whose items have text.";

/// Scores a checkpoint on evaluation tasks: multiple choice by likelihood, exact completion, or perplexity of a text.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvaluateArgs {
    /// Run, by its name or id, or the archive of a run (a file whose name ends in .tar)
    #[arg(value_name = "RUN|ARCHIVE")]
    subject: String,
    /// Task: a file, or the name of a built-in one (tales-holder, modular-addition); repeat it for several tasks
    #[arg(long = "task", value_name = "FILE|NAME", required = true)]
    tasks: Vec<String>,
    /// Checkpoint, as segment and step: 0-1200 [default: the newest]
    #[arg(long, value_name = "ID")]
    checkpoint: Option<CheckpointId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling evaluate`.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunNameError),
    #[error("{task:?} is neither a file nor a built-in task; built-in tasks are {}", names())]
    NoTask { task: String },
    #[error("{task}: {source}")]
    Task { task: String, source: EngineError },
    #[error("{run} has no such checkpoint on this machine; it has {found}")]
    NoCheckpoint {
        run: RunId,
        /// The checkpoints that it has, as text.
        found: String,
    },
    #[error("{}: {source}", path.display())]
    Archive { path: PathBuf, source: ApiError },
    #[error("the model could not be opened: {source}")]
    Model { source: EngineError },
    #[error("a temporary folder could not be used: {source}")]
    Temporary { source: io::Error },
    #[error("the results cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(" and ")
}

/// The results, as `--json` prints them.
#[derive(Serialize)]
struct Report {
    run: RunId,
    checkpoint: CheckpointId,
    results: Vec<TaskResult>,
}

/// What is scored. Its temporary folder is deleted when it is dropped.
struct Subject {
    checkpoint: Checkpoint,
    /// Folder of the datasets, for the tokenizer.
    corpora: PathBuf,
    _temporary: Option<TempDir>,
}

impl EvaluateArgs {
    /// Prints the results on standard output.
    ///
    /// # Errors
    /// A task, the run or the checkpoint does not exist or is invalid; an item of a task does not fit the model.
    pub async fn run(self) -> Result<(), EvaluateError> {
        // A mistake in a task is reported before a model is loaded.
        let tasks = self.tasks.iter().map(|task| read_task(task)).collect::<Result<Vec<_>, _>>()?;
        lower_priority();
        let archive = Path::new(&self.subject);
        let subject = match archive.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar")) {
            true => open_archive(archive, self.checkpoint)?,
            false => open_run(self.data.used()?, &self.subject, self.checkpoint).await?,
        };
        let manifest = &subject.checkpoint.manifest;
        let mut report = Report { run: manifest.run.clone(), checkpoint: manifest.info.id, results: vec![] };
        let model = TaskModel::open(&subject.checkpoint, &subject.corpora);
        let model = model.map_err(|source| EvaluateError::Model { source })?;
        for task in &tasks {
            let result = model.score(task);
            report.results.push(result.map_err(|source| EvaluateError::Task { task: task.name.to_string(), source })?);
        }
        Ok(output::line(if self.json { serde_json::to_string_pretty(&report)? } else { described(&report) })?)
    }
}

/// A task from a file, or a built-in one. A file comes first: a name has no ending.
fn read_task(task: &str) -> Result<Task, EvaluateError> {
    let path = Path::new(task);
    if path.is_file() {
        return file::read(path).map_err(|source| EvaluateError::Task { task: task.to_owned(), source });
    }
    built_in(task).ok_or_else(|| EvaluateError::NoTask { task: task.to_owned() })
}

/// The checkpoint of a run of a lab. A fork without checkpoints of its own has the one from which it started.
async fn open_run(lab: &Path, name: &str, wanted: Option<CheckpointId>) -> Result<Subject, EvaluateError> {
    let store = Store::open_access(lab).await?;
    let run = run_named(name, &store.runs(false).await?)?;
    let origin = store.run(&run).await?.and_then(|view| view.plan.origin).map(|origin| origin.from);
    let own = checkpoints_in(&checkpoints_dir(lab, &run));
    let checkpoint = match (origin, wanted) {
        (Some(from), None) if own.is_empty() => {
            open_checkpoint(&checkpoints_dir(lab, &from.run), &from.run, Some(from.checkpoint))
        }
        (_, wanted) => open_checkpoint(&checkpoints_dir(lab, &run), &run, wanted),
    };
    Ok(Subject { checkpoint: checkpoint?, corpora: lab.join("corpora"), _temporary: None })
}

/// The checkpoint of an archive, which is unpacked into a temporary folder.
fn open_archive(path: &Path, wanted: Option<CheckpointId>) -> Result<Subject, EvaluateError> {
    let temporary = tempfile::tempdir().map_err(|source| EvaluateError::Temporary { source })?;
    let (folder, corpora) = (temporary.path().join("run"), temporary.path().join("corpora"));
    let archive = |source| EvaluateError::Archive { path: path.to_owned(), source };
    let unpacked = unpack(path, &folder).map_err(archive)?;
    let mut checkpoint = open_checkpoint(&unpacked.checkpoints, &unpacked.record.run, wanted)?;
    if let Some(file) = &unpacked.tokenizer {
        let kind = save_imported(&corpora, file);
        checkpoint.manifest.plan.tokenizer = kind.map_err(|source| EvaluateError::Model { source: source.into() })?;
    }
    Ok(Subject { checkpoint, corpora, _temporary: Some(temporary) })
}

/// A checkpoint in a folder with one folder for each: the wanted one, or else the newest.
fn open_checkpoint(folder: &Path, run: &RunId, wanted: Option<CheckpointId>) -> Result<Checkpoint, EvaluateError> {
    let kept = checkpoints_in(folder);
    let id = wanted.or(kept.first().copied()).filter(|id| kept.contains(id));
    let id = id.ok_or_else(|| {
        let found: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        EvaluateError::NoCheckpoint { run: run.clone(), found }
    })?;
    checkpoint::open(&folder.join(id.to_string())).map_err(|source| EvaluateError::Model { source })
}

fn described(Report { run, checkpoint, results }: &Report) -> String {
    let mut lines = vec![format!("{run}, checkpoint {checkpoint} after step {}", grouped(checkpoint.step))];
    for result in results {
        let correct = result.correct.map(|correct| format!(", {} correct", grouped(correct))).unwrap_or_default();
        let items = counted(result.items, "item");
        lines.push(format!("{} ({}): {items}{correct}", result.task, result.kind.phrase()));
        for metric in &result.metrics {
            let unit = describe(&metric.name).map_or("", |(unit, _)| unit);
            let value = metric.value.map_or("not a finite number".to_owned(), brief);
            lines.push(format!("  {:<22} {value} {unit}", metric.name));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_file_or_a_built_in_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capitals.toml");
        std::fs::write(&path, "name = \"a\"\nkind = \"perplexity\"\n[[items]]\ntext = 3\n").unwrap();
        let said = read_task(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(said.contains("capitals.toml") && said.contains("line 4"), "{said}");
        let said = read_task("tales-holdr").unwrap_err().to_string();
        assert!(said.contains("tales-holder and modular-addition"), "{said}");
        for (name, _) in BUILT_IN {
            assert_eq!(read_task(name).unwrap().name.as_str(), name);
        }
    }
}
