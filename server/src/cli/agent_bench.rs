//! `kindling agent-bench`: scores what an agent does in labs in known states. Each lab is the real server on a temporary folder with
//! simulated devices, and the agent acts through the tools of the Model Context Protocol.
//!
//! - [`scenarios`]: the labs, their goals and scores; [`scenario`]: what a scenario is; [`setup`]: what a lab contains;
//! - [`simulation`]: how simulated runs train; [`device`]: the device that trains them; [`lab`]: the lab around it;
//! - [`gate`]: the address of the lab for the agent, with limits and transcript; [`baselines`], which call the [`tools`] through it;
//! - [`facts`]: what is in the store afterwards; [`score`]: its score; [`attempt`]: one agent in one lab; [`table`]: the table of results.

mod attempt;
mod baselines;
mod device;
mod error;
mod facts;
mod gate;
mod lab;
mod scenario;
mod scenarios;
mod score;
mod setup;
mod simulation;
mod table;
mod tools;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use attempt::{Agent, Attempt, run_attempt};
pub use error::AgentBenchError;
use scenario::Scenario;

use crate::api::leaving::wait_for_signal;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  Score the built-in strategy, random acts and no act in all scenarios:
    kindling agent-bench --seeds 3 --json scores.json
  List the scenarios with their goals, limits and scoring:
    kindling agent-bench --list
  Let a client of the Model Context Protocol act in one scenario; its address and a token are printed:
    kindling agent-bench --scenario bad-batch --agent mcp
  Let a program act in all scenarios; it gets KINDLING_MCP_URL, KINDLING_TOKEN and KINDLING_GOAL in its environment:
    kindling agent-bench --command \"python agent.py\" --transcripts calls.jsonl";

/// Scores what agents do in labs in known states, such as a run with loss spikes or a leak of validation data.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AgentBenchArgs {
    /// Scenario [default: all]
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Number of labs for each scenario, with seeds from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Agent [default: builtin, random and nothing]
    #[arg(long, value_enum)]
    agent: Option<AgentArg>,
    /// Command of a program that acts as the agent, started once for each lab [default: none]
    #[arg(long, value_name = "COMMAND", conflicts_with = "agent")]
    command: Option<String>,
    /// JSON file to write the scores with their parts to [default: none]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// JSON Lines file to write every call with its answer to [default: none]
    #[arg(long, value_name = "FILE")]
    transcripts: Option<PathBuf>,
    /// Print the scenarios as JSON, and run none
    #[arg(long)]
    list: bool,
}

/// An agent on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AgentArg {
    /// Carries out remedies of findings, and compares runs
    Builtin,
    /// Makes valid random acts
    Random,
    /// Does nothing
    Nothing,
    /// A client that you connect
    Mcp,
}

impl AgentBenchArgs {
    /// Runs the scenarios, and prints a table of scores.
    ///
    /// # Errors
    /// The scenario is unknown, a lab cannot be built, the program cannot be started, or a file cannot be written.
    pub async fn run(self) -> Result<(), AgentBenchError> {
        let scenarios = chosen(self.scenario.as_deref())?;
        if self.list {
            let described: Vec<_> = scenarios.iter().map(described).collect();
            return Ok(output::line(serde_json::to_string_pretty(&described)?)?);
        }
        let mut transcripts = self.transcripts.as_deref().map(TranscriptFile::create).transpose()?;
        let mut attempts = vec![];
        for scenario in &scenarios {
            for seed in 1..=self.seeds {
                for agent in self.agents() {
                    let attempt = tokio::select! {
                        attempt = run_attempt(scenario, seed, &agent) => attempt?,
                        // The workers in this process handle signals, so they do not end the process by themselves.
                        _ = wait_for_signal() => return Err(AgentBenchError::Interrupted),
                    };
                    output::notice(line(&attempt));
                    if let Some(file) = &mut transcripts {
                        file.add(&attempt)?;
                    }
                    attempts.push(attempt);
                    if let Some(path) = &self.json {
                        write_scores(path, &scenarios, &attempts)?;
                    }
                }
            }
        }
        Ok(output::line(table::table(&attempts))?)
    }

    fn agents(&self) -> Vec<Agent> {
        match (&self.command, self.agent) {
            (Some(command), _) => vec![Agent::Program(command.clone())],
            (None, None) => vec![Agent::Builtin, Agent::Random, Agent::Nothing],
            (None, Some(AgentArg::Builtin)) => vec![Agent::Builtin],
            (None, Some(AgentArg::Random)) => vec![Agent::Random],
            (None, Some(AgentArg::Nothing)) => vec![Agent::Nothing],
            (None, Some(AgentArg::Mcp)) => vec![Agent::Mcp],
        }
    }
}

/// The scenario of this name, or all of them.
fn chosen(name: Option<&str>) -> Result<Vec<Scenario>, AgentBenchError> {
    let mut all = scenarios::all();
    let Some(name) = name else { return Ok(all) };
    let known = all.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    all.retain(|scenario| scenario.name == name);
    match all.is_empty() {
        true => Err(AgentBenchError::UnknownScenario { name: name.to_owned(), known }),
        false => Ok(all),
    }
}

fn described(scenario: &Scenario) -> serde_json::Value {
    let Scenario { name, goal, made, scoring, limits, .. } = scenario;
    json!({ "name": name, "goal": goal, "lab": made, "scoring": scoring, "limits": limits })
}

/// An attempt on one line: `bad-batch seed 1 builtin: 0.98 in 4 calls, 2.1 s`.
fn line(attempt: &Attempt) -> String {
    let Attempt { scenario, seed, agent, score, calls, secs, .. } = attempt;
    format!("{scenario} seed {seed} {agent}: {score:.2} in {calls} calls, {secs:.1} s")
}

fn write_scores(path: &Path, scenarios: &[Scenario], attempts: &[Attempt]) -> Result<(), AgentBenchError> {
    let all = json!({ "scenarios": scenarios.iter().map(described).collect::<Vec<_>>(), "attempts": attempts });
    let text = serde_json::to_string_pretty(&all)?;
    std::fs::write(path, text).map_err(|source| AgentBenchError::File { path: path.to_owned(), source })
}

/// The file of the transcripts: one line for each call.
struct TranscriptFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl TranscriptFile {
    fn create(path: &Path) -> Result<Self, AgentBenchError> {
        let file = File::create(path).map_err(|source| AgentBenchError::File { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn add(&mut self, attempt: &Attempt) -> Result<(), AgentBenchError> {
        let Attempt { scenario, seed, agent, transcript, .. } = attempt;
        for call in transcript {
            let mut line = json!({ "scenario": scenario, "seed": seed, "agent": agent });
            if let (Some(line), serde_json::Value::Object(call)) = (line.as_object_mut(), json!(call)) {
                line.extend(call);
            }
            writeln!(self.file, "{line}").map_err(|source| self.failed(source))?;
        }
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> AgentBenchError {
        AgentBenchError::File { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn scored(name: &str, agent: &Agent) -> Attempt {
        let scenario = chosen(Some(name)).unwrap().remove(0);
        run_attempt(&scenario, 1, agent).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_built_in_strategy_keeps_the_baseline_of_equal_runs_and_doing_nothing_gives_no_points() {
        let built_in = scored("equal-runs", &Agent::Builtin).await;
        assert_eq!(built_in.score, 1.0, "{built_in:#?}");
        let tools: Vec<&str> = built_in.transcript.iter().map(|call| call.tool.as_str()).collect();
        assert_eq!(tools, ["list_runs", "compare", "get_run", "start_run"]);
        assert!(built_in.transcript.iter().all(|call| call.answer["data"].is_object()), "{built_in:#?}");
        let nothing = scored("equal-runs", &Agent::Nothing).await;
        assert_eq!((nothing.score, nothing.calls), (0.0, 0), "{nothing:#?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_trains_takes_remedies_and_is_scored_by_its_loss() {
        let built_in = scored("learning-rate-low", &Agent::Builtin).await;
        assert!(built_in.score > 0.3, "{built_in:#?}");
        assert!(built_in.transcript.iter().any(|call| call.tool == "set_hyperparameter"), "{built_in:#?}");
        let nothing = scored("learning-rate-low", &Agent::Nothing).await;
        assert!(nothing.score < 0.02, "{nothing:#?}");
    }

    #[test]
    fn an_unknown_scenario_is_refused_with_the_known_ones() {
        let error = chosen(Some("bad-bach")).err().unwrap().to_string();
        assert!(error.contains("\"bad-bach\"") && error.contains("bad-batch, "), "{error}");
        assert_eq!(chosen(None).unwrap().len(), scenarios::all().len());
    }
}
