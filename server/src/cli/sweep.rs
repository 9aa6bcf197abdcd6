//! `kindling sweep`: starts a sweep of a file and follows it to its end. If no server uses the folder, this process is one until then.
//!
//! [`Client`] sends requests to the server, [`progress`] prints its progress.

mod progress;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use store::StoreError;
use tokio::task::JoinError;
use wire::data::corpus::{Job, JobState};
use wire::number::counted;
use wire::sweep::command::{SweepCommand, SweepRequest};
use wire::sweep::preview::SweepPreview;
use wire::sweep::record::{Sweep, SweepDecision, SweepState, SweepView};
use wire::sweep::space::WEIGHT;
use wire::sweep::spec::SweepSpec;
use wire::sweep::stopping::StoppingRule;
use wire::{CorpusId, PlanError, RunSpec};

use super::client::{Client, ClientError};
use super::data::{DataArgs, UnusedFolder};
use super::export::write_trials;
use super::own_server::{Ended, serve_during, with_own_token};
use super::train::split_tables;
use crate::lab::open::ServeError;
use crate::output::{self, OutputError};
use crate::workers::local;
use progress::Progress;

const EXAMPLES: &str = "\
Examples:
  Start a sweep and follow it to its end:
    kindling sweep rates.toml
  See how many trials and tokens it has, and start nothing:
    kindling sweep rates.toml --preview
  Write its trials to a file when it has ended:
    kindling sweep rates.toml --to rates.parquet
  Import a study of Optuna with its trials:
    kindling sweep study.db --optuna
  Give sweep 3 of the running server the stopping rule of the file:
    kindling sweep rates.toml --set-stopping 3

A sweep is a TOML file:
  name = \"rates\"
  sampler = \"tpe\"        # grid, random, quasi_random, tpe, cma_es or dirichlet
  trials = 40
  at_once = 2
  [base]
  preset = \"tiny\"
  corpus = \"tales\"
  [space.parameters]
  \"optimizer.learning_rate\" = { log = [1e-4, 1e-2] }
  \"model.d_model\" = { choices = [32, 64] }
  [stopping]
  rule = \"asha\"          # median, asha or hyperband; without it, all trials train to their end";

/// Time between two requests.
const EVERY: Duration = Duration::from_millis(500);

/// Starts a sweep over hyperparameters and follows it to its end, on the server of the folder or without one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// TOML file with the specification of the sweep; with --optuna the SQLite file of an Optuna study
    #[arg(value_name = "SPEC.toml")]
    spec: PathBuf,
    /// Import an Optuna 4 study as a stopped sweep whose trials have ended, and start nothing
    #[arg(long, conflicts_with_all = ["preview", "detach", "to", "json", "set_stopping"])]
    optuna: bool,
    /// Name of the study to import [default: the only one in the file]
    #[arg(long, value_name = "NAME", requires = "optuna")]
    study: Option<String>,
    /// Project of the imported sweep [default: default]
    #[arg(long, value_name = "PROJECT", requires = "optuna")]
    project: Option<String>,
    /// Print what the sweep would train as JSON, and start nothing
    #[arg(long, conflicts_with_all = ["detach", "to"])]
    preview: bool,
    /// Return once the sweep has started on the server of the folder
    #[arg(long, conflicts_with = "to")]
    detach: bool,
    /// Give this sweep the stopping rule of the file, or none if the file has none, and start nothing; needs a running server
    /// [default: start a new sweep]
    #[arg(long, value_name = "ID", conflicts_with_all = ["preview", "detach", "to", "json"])]
    set_stopping: Option<i64>,
    /// File to write the trials to when the sweep has ended; Parquet if its name ends in .parquet, else CSV [default: none]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Print the sweep with its trials as JSON when it has ended
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling sweep`.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("{} cannot be read or written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a valid sweep: {}", path.display(), wire::error::in_words(source))]
    Spec {
        /// The file.
        path: PathBuf,
        /// Where and why; boxed for its size.
        source: Box<toml::de::Error>,
    },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Refused {
        /// The answer to the specification; no sweep was started.
        source: ClientError,
    },
    #[error("no server uses {}: start one with `kindling serve --data {}`; --detach and --set-stopping need a running server", data.display(), data.display())]
    NoServer {
        /// The folder.
        data: PathBuf,
    },
    #[error("sweep {id} was paused: {message} Resume it on the page of the lab")]
    Paused { id: i64, message: String },
    #[error(
        "the server ended before the sweep; the sweep continues when a server starts: kindling serve --data {}",
        data.display()
    )]
    Interrupted {
        /// The folder.
        data: PathBuf,
    },
    #[error("the sweep could not be followed: {source}")]
    Followed {
        #[from]
        source: JoinError,
    },
    #[error("the result cannot be printed: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// What the program sends to the server.
enum Work {
    /// The specification of a sweep.
    Spec(Box<SweepSpec>),
    /// The file of a study.
    Study(Vec<u8>),
}

impl Work {
    /// Name of the token with which it is sent.
    fn token_name(&self) -> String {
        match self {
            Self::Spec(spec) => format!("sweep {}", spec.name),
            Self::Study(_) => "import of a study".to_owned(),
        }
    }
}

impl SweepArgs {
    /// Starts the sweep and follows it to its end.
    ///
    /// # Errors
    /// The file or the specification is invalid, the server refuses it, ends, or pauses the sweep.
    pub async fn run(self) -> Result<(), SweepError> {
        let work = self.read()?;
        let folder = self.data.folder.clone();
        match local::address_of_server(&folder) {
            Some(url) => self.on(url, work, Arc::default()).await,
            None if self.detach || self.set_stopping.is_some() => Err(SweepError::NoServer { data: folder }),
            None => self.with_own_server(work).await,
        }
    }

    fn read(&self) -> Result<Work, SweepError> {
        if self.optuna {
            let failed = |source| SweepError::File { path: self.spec.clone(), source };
            return Ok(Work::Study(std::fs::read(&self.spec).map_err(failed)?));
        }
        let spec = read_spec(&self.spec)?;
        spec.check()?;
        Ok(Work::Spec(Box::new(spec)))
    }

    /// Serves the folder until the sweep has ended.
    async fn with_own_server(self, work: Work) -> Result<(), SweepError> {
        let data = self.data.folder.clone();
        let served: Result<_, SweepError> = serve_during(&data, |url, has_ended| self.on(url, work, has_ended)).await;
        match served? {
            None | Some((Err(SweepError::Client(ClientError::Unreachable { .. })), true)) => {
                Err(SweepError::Interrupted { data })
            }
            Some((followed, _)) => followed,
        }
    }

    /// Sends the work to a server, and follows the sweep that it starts; `has_ended` becomes true when a server in this process ends.
    async fn on(self, url: String, work: Work, has_ended: Arc<AtomicBool>) -> Result<(), SweepError> {
        let (folder, name) = (self.data.used()?.to_owned(), work.token_name());
        // A sweep that continues without this program needs the token.
        let is_needed = |error: &SweepError| match error {
            SweepError::Paused { .. } => true,
            SweepError::Client(error) => !error.is_refusal(),
            _ => false,
        };
        let carry_out = move |client: &Client| self.carry_out(client, &work);
        with_own_token(&folder, &name, (url, has_ended), carry_out, is_needed).await
    }

    fn carry_out(self, client: &Client, work: &Work) -> Result<Ended, SweepError> {
        let spec = match work {
            Work::Spec(spec) => spec.as_ref(),
            Work::Study(file) => {
                self.import(client, file)?;
                return Ok(Ended::Whole);
            }
        };
        if let Some(id) = self.set_stopping {
            set_stopping(client, id, spec.stopping)?;
            return Ok(Ended::Whole);
        }
        wait_for_datasets(client, &spec.base, spec.space.parameters.keys())?;
        if self.preview {
            let preview: SweepPreview = client.post("/sweeps/preview", spec).map_err(of_specification)?;
            output::line(serde_json::to_string_pretty(&preview)?)?;
            return Ok(Ended::Whole);
        }
        let sweep: Sweep = client.post("/sweeps", spec).map_err(of_specification)?;
        if self.detach {
            return Ok(Ended::Detached(sweep.id.to_string()));
        }
        output::notice(format_args!("Sweep {} ({}): {}.", sweep.id, spec.name, counted(sweep.trials, "trial")));
        let view = follow(client, sweep.id)?;
        if let Some(to) = &self.to {
            let failed = |source| SweepError::File { path: to.clone(), source };
            write_trials(&view.sweep, &view.trials, to).map_err(failed)?;
        }
        match self.json {
            true => output::line(serde_json::to_string_pretty(&view)?)?,
            false => output::line(progress::outcome(&view))?,
        }
        Ok(Ended::Whole)
    }
}

impl SweepArgs {
    /// Imports the study of a file, and prints its sweep.
    fn import(&self, client: &Client, file: &[u8]) -> Result<(), SweepError> {
        let encoded = |(name, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        };
        let query: Vec<String> =
            [("study", &self.study), ("project", &self.project)].into_iter().filter_map(encoded).collect();
        let sweep: Sweep = client.post_file(&format!("/sweeps/import?{}", query.join("&")), file)?;
        output::line(format_args!("Sweep {} ({}): {}.", sweep.id, sweep.spec.name, counted(sweep.trials, "trial")))?;
        Ok(())
    }
}

/// Changes the stopping rule of a sweep, and prints the new rule.
fn set_stopping(client: &Client, id: i64, stopping: Option<StoppingRule>) -> Result<(), SweepError> {
    // No trial changes after the last change of any sweep, so the answer has none.
    let known: SweepView = client.get(&format!("/sweeps/{id}?since={}", i64::MAX))?;
    let (revision, command) = (known.sweep.revision, SweepCommand::SetStopping { stopping });
    let sweep: Sweep = client.post(&format!("/sweeps/{id}/commands"), &SweepRequest { revision, command })?;
    let rule = sweep.spec.stopping.map_or_else(|| "none".to_owned(), |rule| rule.label());
    output::line(format_args!("Sweep {id} ({}): stopping rule {rule}.", sweep.spec.name))?;
    Ok(())
}

/// The error of a request with a specification. If the server has refused it, no sweep needs the token.
fn of_specification(error: ClientError) -> SweepError {
    match error {
        ClientError::Refused { .. } => SweepError::Refused { source: error },
        other => SweepError::Client(other),
    }
}

/// Reads a specification. Overrides of the base may be written by path or as tables.
fn read_spec(path: &Path) -> Result<SweepSpec, SweepError> {
    let text = std::fs::read_to_string(path).map_err(|source| SweepError::File { path: path.to_owned(), source })?;
    let mut spec: SweepSpec =
        toml::from_str(&text).map_err(|source| SweepError::Spec { path: path.to_owned(), source: Box::new(source) })?;
    split_tables(&mut spec.base.overrides);
    Ok(spec)
}

/// Waits until the datasets that a specification names are ready: a new lab generates the built-in ones. `parameters` are the names of those
/// that vary; each weight names a dataset.
pub(super) fn wait_for_datasets<'a>(
    client: &Client,
    base: &RunSpec,
    parameters: impl Iterator<Item = &'a String>,
) -> Result<(), ClientError> {
    let of_mix = base.mix.iter().flat_map(|mix| mix.keys());
    let named: Vec<&str> = base
        .corpus
        .iter()
        .chain(of_mix)
        .map(CorpusId::as_str)
        .chain(parameters.filter_map(|name| name.strip_prefix(WEIGHT)))
        .collect();
    let is_awaited = |job: &&Job| {
        job.state == JobState::Running && job.corpus.as_ref().is_some_and(|corpus| named.contains(&corpus.as_str()))
    };
    let mut is_said = false;
    loop {
        let jobs: Vec<Job> = client.get("/jobs")?;
        let Some(job) = jobs.iter().find(is_awaited) else { return Ok(()) };
        if !is_said {
            output::notice(format_args!("Waiting for a job of the server: {}", job.title));
            is_said = true;
        }
        std::thread::sleep(EVERY);
    }
}

/// Shows what happens to a sweep until it has ended. Returns it with its trials.
fn follow(client: &Client, id: i64) -> Result<SweepView, SweepError> {
    let mut progress = Progress::default();
    loop {
        let view: SweepView = client.get_patiently(&format!("/sweeps/{id}?since={}", progress.changes()))?;
        let decisions: Vec<SweepDecision> =
            client.get_patiently(&format!("/sweeps/{id}/decisions?after={}", progress.decisions()))?;
        let (state, message) = (view.sweep.state, view.sweep.message.clone());
        let has_ended = view.sweep.ended_ms.is_some() && matches!(state, SweepState::Finished | SweepState::Stopped);
        progress.show(view, &decisions);
        if has_ended {
            progress.end();
            return Ok(client.get_patiently(&format!("/sweeps/{id}"))?);
        }
        if let (SweepState::Paused, Some(message)) = (state, message) {
            progress.end();
            return Err(SweepError::Paused { id, message });
        }
        std::thread::sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_of_the_help_is_a_valid_sweep() {
        let example: String = EXAMPLES
            .lines()
            .skip_while(|line| !line.starts_with("  name"))
            .fold(String::new(), |text, line| text + line + "\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates.toml");
        std::fs::write(&path, example.replace("[base]", "[base]\noverrides = { model = { layers = 2 } }")).unwrap();
        let spec = read_spec(&path).unwrap();
        let space = spec.check().unwrap();
        assert_eq!((spec.planned_trials(&space), spec.at_once), (Ok(40), 2));
        assert_eq!(spec.base.overrides.get("model.layers"), Some(&json!(2)), "overrides may be tables");
        std::fs::write(&path, "name = \"a\"\ntrails = 4\n").unwrap();
        assert!(matches!(read_spec(&path), Err(SweepError::Spec { .. })));
    }
}
