//! An attempt: one agent in one lab of a scenario, from building the lab to the score.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use super::baselines::{act_at_random, act_by_strategy};
use super::error::AgentBenchError;
use super::facts::Facts;
use super::gate::{Called, Gate, Transcript};
use super::lab::BenchLab;
use super::scenario::Scenario;
use super::score::{Part, exceeded, total};
use super::tools::Tools;
use crate::output;

/// How long a program may take to end after it has finished the scenario.
const PROGRAM_WITHIN: Duration = Duration::from_secs(5);

/// Acts in the lab of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Agent {
    /// The built-in strategy.
    Builtin,
    /// Valid random acts.
    Random,
    /// No act.
    Nothing,
    /// A client of the Model Context Protocol that a person connects.
    Mcp,
    /// A program that is started for each attempt.
    Program(String),
}

impl Agent {
    /// Its name in results.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Random => "random",
            Self::Nothing => "nothing",
            Self::Mcp => "mcp",
            Self::Program(_) => "command",
        }
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Attempt {
    pub(super) scenario: &'static str,
    pub(super) seed: u64,
    pub(super) agent: &'static str,
    /// 0 to 1.
    pub(super) score: f64,
    /// The terms of the score.
    pub(super) parts: Vec<Part>,
    /// Calls of tools.
    pub(super) calls: usize,
    /// Time of the agent, s, and of the whole attempt.
    pub(super) agent_secs: f64,
    pub(super) secs: f64,
    #[serde(skip)]
    pub(super) transcript: Vec<Called>,
}

/// Lets an agent act in a lab of a scenario, and scores what it did.
///
/// # Errors
/// The lab cannot be built, or the program of the agent cannot be started.
pub(super) async fn run_attempt(scenario: &Scenario, seed: u64, agent: &Agent) -> Result<Attempt, AgentBenchError> {
    let began = Instant::now();
    let lab = BenchLab::open(&(scenario.setup)(seed)).await?;
    let gate = Gate::new(lab.router.clone(), Arc::clone(&lab.simulation), scenario.limits, &lab.token, scenario.goal);
    let acted = Instant::now();
    let within = Duration::from_secs(scenario.limits.secs);
    if let Ok(result) = timeout(within, let_act(agent, scenario, seed, &gate, &lab.token)).await {
        result?;
    }
    let transcript = gate.close();
    let agent_secs = acted.elapsed().as_secs_f64();
    if scenario.trains_on
        && let Err(error) = lab.train_on().await
    {
        // The score is that of the lab as it is.
        tracing::warn!("{}: {error}", scenario.name);
    }
    let result = score(scenario, &lab, &transcript).await;
    lab.close().await;
    let (score, parts) = result?;
    let calls = transcript.calls;
    Ok(Attempt {
        scenario: scenario.name,
        seed,
        agent: agent.name(),
        score,
        parts,
        calls: calls.len(),
        agent_secs,
        secs: began.elapsed().as_secs_f64(),
        transcript: calls,
    })
}

async fn score(
    scenario: &Scenario,
    lab: &BenchLab,
    transcript: &Transcript,
) -> Result<(f64, Vec<Part>), AgentBenchError> {
    let facts = Facts { is_exceeded: transcript.is_exceeded, ..Facts::read(lab.store(), &lab.runs).await? };
    let parts: Vec<Part> = (scenario.score)(&facts).into_iter().chain(exceeded(&facts)).collect();
    Ok((total(&parts), parts))
}

/// Lets the agent act until it has finished.
async fn let_act(
    agent: &Agent,
    scenario: &Scenario,
    seed: u64,
    gate: &Arc<Gate>,
    token: &str,
) -> Result<(), AgentBenchError> {
    let tools = || Tools::new(gate.router(), token);
    match agent {
        Agent::Nothing => {}
        Agent::Builtin => act_by_strategy(&tools()).await,
        Agent::Random => act_at_random(&tools(), seed).await,
        Agent::Mcp => {
            let served = Served::start(gate).await?;
            output::notice(format_args!("\n{}, seed {seed}: {}", scenario.name, scenario.goal));
            output::notice(format_args!("KINDLING_MCP_URL={}\nKINDLING_TOKEN={token}", served.url));
            gate.wait().await;
        }
        Agent::Program(command) => {
            let served = Served::start(gate).await?;
            let program = run_program(command, &served.url, token, scenario.goal);
            tokio::pin!(program);
            tokio::select! {
                ended = &mut program => return ended,
                () = gate.wait() => {}
            }
            // After that it is killed.
            if let Ok(ended) = timeout(PROGRAM_WITHIN, program).await {
                ended?;
            }
        }
    }
    Ok(())
}

/// The gate at an address of this machine, until it is dropped.
struct Served {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(gate: &Arc<Gate>) -> Result<Self, AgentBenchError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(AgentBenchError::Listen)?;
        let url = format!("http://{}/mcp", listener.local_addr().map_err(AgentBenchError::Listen)?);
        let router = gate.router();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("the address of the scenario failed: {error}");
            }
        });
        Ok(Self { url, task })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs the program of an agent to its end. Its output goes to standard error, because standard output is for the results.
async fn run_program(command: &str, url: &str, token: &str, goal: &str) -> Result<(), AgentBenchError> {
    let failed = |source| AgentBenchError::Command { command: command.to_owned(), source };
    let mut words = command.split_whitespace();
    let program = words.next().ok_or(AgentBenchError::NoCommand)?;
    let mut started = Command::new(program);
    started.args(words).env("KINDLING_MCP_URL", url).env("KINDLING_TOKEN", token).env("KINDLING_GOAL", goal);
    started.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr())).kill_on_drop(true);
    let status = started.status().await.map_err(failed)?;
    if !status.success() {
        output::notice(format_args!("{command}: {status}"));
    }
    Ok(())
}
