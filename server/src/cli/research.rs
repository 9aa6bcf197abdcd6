//! `kindling research`: starts the research loop of a file and follows it to its end. If no server uses the folder, this process serves it until
//! then. Listing, showing and replaying read the folder, whether or not a server uses it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{ArgGroup, Args};
use research::research_loop::{Replay, findings, replay};
use store::{Store, StoreError};
use tokio::task::JoinError;
use wire::PlanError;
use wire::access::Visible;
use wire::number::{brief, counted};
use wire::research_loop::LoopGoal;
use wire::research_loop::record::{LoopEvent, LoopRound, LoopState, LoopSummary, LoopView};

use super::client::{Client, ClientError};
use super::data::{DataArgs, UnusedFolder};
use super::own_server::{Ended, serve_during, with_own_token};
use super::sweep::wait_for_datasets;
use super::train::split_tables;
use crate::lab::open::ServeError;
use crate::output::{self, OutputError};
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Start a research loop and follow it to its end:
    kindling research goal.toml
  List the research loops of the lab:
    kindling research --list
  Compute the decisions of a research loop again from its stored rounds, and report differences:
    kindling research --replay 1

A goal is a TOML file:
  title = \"Tune the tiny preset\"
  [base]
  preset = \"tiny\"
  corpus = \"tales\"
  steps = 300
  [parameters]
  \"optimizer.learning_rate\" = { log = [1e-4, 1e-1] }
  \"optimizer.weight_decay\" = { float = [0, 0.3] }
  \"batch.size\" = { choices = [4, 8, 16] }
  [budget]
  device_hours = 0.5";

/// Time between two requests.
const EVERY: Duration = Duration::from_secs(1);
/// Loops that `--list` prints.
const LISTED: u32 = 1_000;

/// Lowers the validation loss on a dataset by changing hyperparameters within a budget: proposes changes, tests them, and keeps those that
/// help.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["goal", "list", "show", "replay"]))]
pub struct ResearchArgs {
    /// TOML file with the recipe, the hyperparameters that may change, and the budget [default: none, no loop is started]
    #[arg(value_name = "GOAL.toml")]
    goal: Option<PathBuf>,
    /// Return when the loop has started on the server of the folder
    #[arg(long, requires = "goal")]
    detach: bool,
    /// List the research loops of the lab, newest first
    #[arg(long)]
    list: bool,
    /// Show the research loop with this number [default: none]
    #[arg(long, value_name = "ID")]
    show: Option<u64>,
    /// Compute the decisions of the research loop with this number again, and report differences [default: none]
    #[arg(long, value_name = "ID")]
    replay: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling research`.
#[derive(Debug, thiserror::Error)]
pub enum ResearchError {
    #[error("the goal {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a valid goal: {}", path.display(), wire::error::in_words(source))]
    Goal {
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
        /// The answer to the goal; no loop was started.
        source: ClientError,
    },
    #[error("no server uses {}: start one with `kindling serve --data {}`, or leave out --detach", data.display(), data.display())]
    NoServer {
        /// The folder.
        data: PathBuf,
    },
    #[error("there is no research loop {id}; kindling research --list lists them")]
    Unknown { id: u64 },
    #[error("the replay of the research loop {id} differs from what is stored: {}", differences.join(" "))]
    Differs {
        id: u64,
        /// A sentence for each difference.
        differences: Vec<String>,
    },
    #[error("the research loop {id} is paused: {reason}; resume it on the page of the lab")]
    Paused { id: u64, reason: String },
    #[error(
        "the server ended before the research loop; the loop continues when a server starts: kindling serve --data {}",
        data.display()
    )]
    Interrupted {
        /// The folder.
        data: PathBuf,
    },
    #[error("the research loop could not be followed: {source}")]
    Followed {
        #[from]
        source: JoinError,
    },
    #[error("the result cannot be printed: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl ResearchArgs {
    /// Starts a loop and follows it to its end, or prints what is stored.
    ///
    /// # Errors
    /// The file or the goal is invalid; the server refuses it or ends; the loop is paused; a replay differs; there is no lab or no such loop.
    pub async fn run(self) -> Result<(), ResearchError> {
        if let Some(path) = &self.goal {
            let goal = read(path)?;
            goal.check()?;
            return self.start(goal).await;
        }
        let store = Store::open_access(self.data.used()?).await?;
        if let Some(id) = self.replay {
            return self.again(&known(&store, id).await?);
        }
        match self.show {
            Some(id) => print(self.json, &known(&store, id).await?, described),
            None => print(self.json, &store.research_loops(&Visible::All, LISTED).await?, |all| listed(all)),
        }
    }

    fn again(&self, view: &LoopView) -> Result<(), ResearchError> {
        let found = replay(&view.summary, &view.rounds);
        let decisions = |found: &Replay| counted(found.decisions.into(), "decision");
        print(self.json, &found, |found| match found.differences.as_slice() {
            [] => format!("{} computed again, all equal to what is stored.", decisions(found)),
            differences => format!("{} computed again:\n{}", decisions(found), differences.join("\n")),
        })?;
        match found.differences.is_empty() {
            true => Ok(()),
            false => Err(ResearchError::Differs { id: view.summary.id, differences: found.differences }),
        }
    }

    async fn start(self, goal: LoopGoal) -> Result<(), ResearchError> {
        let data = self.data.folder.clone();
        match local::address_of_server(&data) {
            Some(url) => return self.on(url, goal, Arc::default()).await,
            None if self.detach => return Err(ResearchError::NoServer { data }),
            None => {}
        }
        let served: Result<_, ResearchError> =
            serve_during(&data, |url, has_ended| self.on(url, goal, has_ended)).await;
        match served? {
            None | Some((Err(ResearchError::Client(ClientError::Unreachable { .. })), true)) => {
                Err(ResearchError::Interrupted { data })
            }
            Some((followed, _)) => followed,
        }
    }

    /// Starts and follows the loop on a server; `has_ended` becomes true when a server in this process ends.
    async fn on(self, url: String, goal: LoopGoal, has_ended: Arc<AtomicBool>) -> Result<(), ResearchError> {
        let (folder, name) = (self.data.used()?.to_owned(), format!("research {}", goal.title.trim()));
        // A loop that continues without this program needs the token.
        let is_needed = |error: &ResearchError| match error {
            ResearchError::Paused { .. } => true,
            ResearchError::Client(error) => !error.is_refusal(),
            _ => false,
        };
        let work = move |client: &Client| self.carry_out(client, &goal);
        with_own_token(&folder, &name, (url, has_ended), work, is_needed).await
    }

    fn carry_out(self, client: &Client, goal: &LoopGoal) -> Result<Ended, ResearchError> {
        wait_for_datasets(client, &goal.base, goal.parameters.keys())?;
        let made: LoopView = client.post("/research-loops", goal).map_err(|error| match error {
            ClientError::Refused { .. } => ResearchError::Refused { source: error },
            other => ResearchError::Client(other),
        })?;
        if self.detach {
            return Ok(Ended::Detached(made.summary.id.to_string()));
        }
        let view = follow(client, made)?;
        print(self.json, &view, described)?;
        Ok(Ended::Whole)
    }
}

fn print<T: serde::Serialize>(as_json: bool, value: &T, described: impl Fn(&T) -> String) -> Result<(), ResearchError> {
    Ok(output::line(if as_json { serde_json::to_string_pretty(value)? } else { described(value) })?)
}

async fn known(store: &Store, id: u64) -> Result<LoopView, ResearchError> {
    store.research_loop(id).await?.ok_or(ResearchError::Unknown { id })
}

/// Reads a goal. Overrides of the base may be written by path or as tables.
fn read(path: &Path) -> Result<LoopGoal, ResearchError> {
    let text = std::fs::read_to_string(path).map_err(|source| ResearchError::File { path: path.to_owned(), source })?;
    let invalid = |source| ResearchError::Goal { path: path.to_owned(), source: Box::new(source) };
    let mut goal: LoopGoal = toml::from_str(&text).map_err(invalid)?;
    split_tables(&mut goal.base.overrides);
    Ok(goal)
}

/// Prints the journal of a loop on standard error until it has ended.
fn follow(client: &Client, mut view: LoopView) -> Result<LoopView, ResearchError> {
    let id = view.summary.id;
    output::notice(format_args!("Research loop {id}: {}.", view.summary.goal.title.trim()));
    let mut shown = 0;
    loop {
        shown = print_events(client, &view, shown)?;
        match view.summary.state {
            LoopState::Finished => return Ok(view),
            LoopState::Stopped if view.current().is_none() => return Ok(view),
            LoopState::Paused => {
                let reason = view.summary.reason.clone().unwrap_or_default();
                return Err(ResearchError::Paused { id, reason });
            }
            LoopState::Running | LoopState::Stopped => {}
        }
        std::thread::sleep(EVERY);
        view = client.get_patiently(&format!("/research-loops/{id}"))?;
    }
}

/// Prints the events after a number, and returns the number of the last one. A loop is returned with its newest events; others are fetched.
fn print_events(client: &Client, view: &LoopView, mut shown: u32) -> Result<u32, ClientError> {
    while let Some(first) = view.events.first().map(|event| event.number).filter(|first| *first > shown + 1) {
        let path = format!("/research-loops/{}/events?since={shown}&before={first}", view.summary.id);
        let missed: Vec<LoopEvent> = client.get_patiently(&path)?;
        shown = missed.last().map_or(first - 1, |event| event.number);
        missed.iter().for_each(|event| output::notice(&event.text));
    }
    let new = view.events.iter().filter(|event| event.number > shown);
    new.for_each(|event| output::notice(&event.text));
    Ok(view.events.last().map_or(shown, |event| event.number))
}

fn listed(all: &[LoopSummary]) -> String {
    if all.is_empty() {
        return "The lab has no research loops.".to_owned();
    }
    let line = |one: &LoopSummary| format!("{}  {}  {}", one.id, one.state.word(), one.goal.title);
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn described(view: &LoopView) -> String {
    let LoopSummary { id, goal, state, reason, .. } = &view.summary;
    let state = reason.as_ref().map_or(state.word().to_owned(), |reason| format!("{}: {reason}", state.word()));
    let [used, budget] = [view.used_secs() / 60.0, goal.budget.device_hours * 60.0].map(brief);
    let mut lines = vec![
        format!("Research loop {id}: {}", goal.title),
        format!("State: {state}"),
        format!("Device time: {used} of {budget} min, without the confirmation"),
    ];
    lines.extend(view.rounds.iter().map(about_round));
    lines.push(findings(&view.rounds));
    lines.join("\n")
}

fn about_round(round: &LoopRound) -> String {
    let decision = match &round.decision {
        Some(decision) => format!("{}. {}", decision.outcome.word(), decision.sentence),
        None => "not decided".to_owned(),
    };
    format!("  round {}, {}: {decision}", round.number, round.phrase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_of_the_help_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("goal.toml");
        let (_, goal) = EXAMPLES.split_once("A goal is a TOML file:\n").unwrap();
        std::fs::write(&path, goal.replace("steps = 300", "steps = 300\noverrides = { model = { layers = 2 } }"))
            .unwrap();
        let goal = read(&path).unwrap();
        assert_eq!(goal.check().unwrap().dimensions.len(), 3);
        assert_eq!(goal.base.overrides["model.layers"], serde_json::json!(2));
        let example = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/tiny-goal.toml")).unwrap();
        assert_eq!((example.check().unwrap().dimensions.len(), example.budget.device_hours), (4, 0.5));
        std::fs::write(&path, "name = \"a\"\n").unwrap();
        assert!(matches!(read(&path), Err(ResearchError::Goal { .. })));
    }
}
