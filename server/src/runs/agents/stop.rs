//! The stop button: the tokens of an agent are revoked first, so that it starts nothing more, then everything that it has started is paused.

use futures_util::StreamExt;
use futures_util::stream::iter;
use store::{AgentGroups, AgentRecord, Identity};
use wire::access::Role;
use wire::agent::AgentStopped;
use wire::experiment::record::{ExperimentAction, ExperimentState};
use wire::research_loop::record::LoopState;
use wire::sweep::command::{SweepCommand, SweepRequest};
use wire::sweep::record::SweepState;
use wire::{Command, RunId, RunState};

use crate::auth::{author, run as permission};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::sweeps::command;
use crate::runs::{commands, experiments};

/// Runs that are paused at a time.
const AT_ONCE: usize = 16;

/// Revokes the tokens of an agent, pauses its research loops, sweeps, experiments and runs, and stops the runs that are queued.
///
/// # Errors
/// An error of the store. What cannot be paused is named in the answer.
pub async fn stop(lab: &Lab, by: &Identity, agent: &AgentRecord) -> Result<AgentStopped, ApiError> {
    let (tokens, revoked) = lab.store().stop_agent(agent.token, &by.name).await?;
    lab.access_changed();
    tracing::info!("{} stopped the agent {:?}", by.name, agent.name);
    let mut stopped = AgentStopped { revoked, paused: vec![], paused_groups: vec![], failed: vec![] };
    for token in &tokens {
        pause_groups(lab, by, *token, &mut stopped).await?;
    }
    let mut runs: Vec<RunId> = vec![];
    for token in tokens {
        runs.extend(lab.store().agent_runs(token).await?);
    }
    runs.sort();
    runs.dedup();
    let reason = format!("stops the agent {:?}", agent.name);
    let paused = iter(runs).map(|id| pause(lab, by, id, &reason)).buffer_unordered(AT_ONCE);
    for outcome in paused.collect::<Vec<_>>().await {
        match outcome {
            Ok(run) => stopped.paused.extend(run),
            Err((run, error)) => stopped.failed.push(format!("{run}: {error}")),
        }
    }
    stopped.paused.sort();
    stopped.failed.sort();
    Ok(stopped)
}

async fn pause_groups(lab: &Lab, by: &Identity, token: i64, stopped: &mut AgentStopped) -> Result<(), ApiError> {
    let AgentGroups { sweeps, experiments, research_loops } = lab.store().agent_groups(token).await?;
    for id in research_loops {
        let (from, reason) = ([LoopState::Running], "its agent was stopped");
        if lab.store().move_loop(id, &from, LoopState::Paused, &author(by), Some(reason)).await? {
            stopped.paused_groups.push(format!("research loop {id}"));
        }
    }
    for id in sweeps {
        let Some(sweep) = lab.store().sweep(id).await?.filter(|sweep| sweep.state == SweepState::Running) else {
            continue;
        };
        let request = SweepRequest { revision: sweep.revision, command: SweepCommand::Pause };
        let name = format!("sweep {}", sweep.spec.name);
        match command::carry_out(lab, by, id, request).await {
            Ok(_) => stopped.paused_groups.push(name),
            Err(error) => stopped.failed.push(format!("{name}: {error}")),
        }
    }
    for id in experiments {
        let view = experiments::view(lab, id).await?;
        if view.summary.state != ExperimentState::Running {
            continue;
        }
        let name = format!("experiment {}", view.summary.spec.title);
        match experiments::change(lab, id, author(by), ExperimentAction::Pause).await {
            Ok(_) => stopped.paused_groups.push(name),
            Err(error) => stopped.failed.push(format!("{name}: {error}")),
        }
    }
    Ok(())
}

/// Pauses a run that trains and stops a queued one; `None` for another one.
async fn pause(lab: &Lab, by: &Identity, id: RunId, reason: &str) -> Result<Option<RunId>, (RunId, ApiError)> {
    let done = async {
        let Some(summary) = lab.store().summary(&id).await? else { return Ok(false) };
        let reason = Some(reason.to_owned());
        let command = match summary.state {
            _ if summary.deleted_ms.is_some() => return Ok(false),
            RunState::Queued => Command::Stop { reason },
            RunState::Starting | RunState::Running => Command::Pause { reason },
            _ => return Ok(false),
        };
        permission::check(lab, by, &id, Role::Steer).await?;
        commands::carry_out(lab, &summary, author(by), command).await.map(|_| true)
    };
    match done.await {
        Ok(is_paused) => Ok(is_paused.then_some(id)),
        Err(error) => Err((id, error)),
    }
}
