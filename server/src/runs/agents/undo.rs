//! "Undo everything this agent did". The preview reads the journals; applying carries out the first entry that can be reverted with an ordinary
//! command of the person, reads the journals again, and goes on until nothing is left. What was reverted is then changed by the person, so a
//! second call reverts nothing again.

use std::collections::{BTreeMap, BTreeSet};

use store::{AgentGroups, AgentRecord, Identity};
use wire::access::Role;
use wire::agent::{AgentAction, AgentUndo};
use wire::experiment::record::ExperimentAction;
use wire::research_loop::record::LoopAction;
use wire::sweep::command::{SweepCommand, SweepRequest};
use wire::{Command, RunId};

use super::plan::{Planned, Seen, plan};
use crate::auth::{author, run as permission};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::research_loops::{self, steer};
use crate::runs::sweeps::command;
use crate::runs::{commands, experiments};

/// Newest events of an agent that are read.
const MOST: u32 = 2_000;
/// Commands of one call.
const MOST_COMMANDS: usize = 500;
/// Why an experiment or a research loop is stopped.
const UNDONE: &str = "what its agent did is undone";

/// An entry of the preview with its command.
struct Entry {
    shown: AgentUndo,
    revert: Option<Revert>,
}

/// A reversal.
enum Revert {
    Run(RunId, Command),
    Sweep(i64),
    Experiment(u64),
    Loop(u64),
}

/// What an agent did, newest first, and what would revert it.
///
/// # Errors
/// An error of the store.
pub async fn preview(lab: &Lab, by: &Identity, agent: &AgentRecord) -> Result<Vec<AgentUndo>, ApiError> {
    Ok(entries(lab, by, agent).await?.into_iter().map(|entry| entry.shown).collect())
}

/// Reverts what an agent did. Returns the preview as it was carried out.
///
/// # Errors
/// 409 while another call does it; an error of the store. What could not be reverted is named in the answer.
pub async fn apply(lab: &Lab, by: &Identity, agent: &AgentRecord) -> Result<Vec<AgentUndo>, ApiError> {
    let Some(_under_way) = lab.agents.begin(agent.token, "undo everything") else {
        let message = format!("what the agent {:?} did is being undone already", agent.name);
        return Err(ApiError::conflict("undo_under_way", message).hint("read the preview again in a few seconds"));
    };
    let (mut done, mut tried) = (vec![], BTreeSet::new());
    for _ in 0..MOST_COMMANDS {
        let found = entries(lab, by, agent).await?;
        let next = found.into_iter().find(|entry| entry.revert.is_some() && !tried.contains(&key(&entry.shown)));
        let Some(Entry { mut shown, revert: Some(revert) }) = next else { break };
        tried.insert(key(&shown));
        let outcome = carry_out(lab, by, revert).await;
        shown.is_done = Some(outcome.is_ok());
        if let Err(error) = outcome {
            shown.note = Some(error.to_string());
        }
        done.push(shown);
    }
    let left = entries(lab, by, agent).await?.into_iter().map(|entry| entry.shown);
    let left = left.filter(|shown| !tried.contains(&key(shown)));
    done.extend(left.map(|shown| AgentUndo { is_done: Some(false), ..shown }));
    Ok(done)
}

fn key(shown: &AgentUndo) -> (Option<RunId>, String, Option<u64>) {
    (shown.run.clone(), shown.name.clone(), shown.event)
}

async fn carry_out(lab: &Lab, by: &Identity, revert: Revert) -> Result<(), ApiError> {
    match revert {
        Revert::Run(id, command) => {
            permission::check(lab, by, &id, Role::Steer).await?;
            let summary = lab.feed.summary(&id).await?;
            commands::carry_out(lab, &summary, author(by), command).await.map(drop)
        }
        Revert::Sweep(id) => {
            let sweep = lab.store().sweep(id).await?.ok_or(store::StoreError::UnknownSweep { id })?;
            let request = SweepRequest { revision: sweep.revision, command: SweepCommand::Stop };
            command::carry_out(lab, by, id, request).await.map(drop)
        }
        Revert::Experiment(id) => {
            let action = ExperimentAction::Stop { reason: UNDONE.to_owned() };
            experiments::change(lab, id, author(by), action).await.map(drop)
        }
        Revert::Loop(id) => {
            let action = LoopAction::Stop { reason: UNDONE.to_owned() };
            steer::change(lab, id, author(by), action).await.map(drop)
        }
    }
}

/// Research loops, sweeps and experiments first: while they run, they create runs.
async fn entries(lab: &Lab, by: &Identity, agent: &AgentRecord) -> Result<Vec<Entry>, ApiError> {
    let (mut all, mut actions, mut created) = (vec![], vec![], BTreeSet::new());
    for token in lab.store().agent_tokens(agent).await? {
        all.extend(groups(lab, token).await?);
        actions.extend(lab.store().agent_actions(token, MOST).await?);
        created.extend(lab.store().runs_created_by_agent(token).await?);
    }
    let mut own: BTreeMap<RunId, BTreeSet<u64>> = BTreeMap::new();
    for AgentAction { run, record, .. } in actions {
        own.entry(run).or_default().insert(record.number);
    }
    for run in &created {
        own.entry(run.clone()).or_default();
    }
    let mut in_runs = vec![];
    for (run, numbers) in own {
        // The project of the run may not be the person's any more.
        if permission::check(lab, by, &run, Role::View).await.is_err() {
            continue;
        }
        in_runs.extend(of_run(lab, agent, &run, &numbers, created.contains(&run)).await?);
    }
    in_runs.sort_by_key(|entry| std::cmp::Reverse((entry.shown.at_ms, entry.shown.event)));
    all.extend(in_runs);
    Ok(all)
}

async fn groups(lab: &Lab, token: i64) -> Result<Vec<Entry>, ApiError> {
    let AgentGroups { sweeps, experiments, research_loops } = lab.store().agent_groups(token).await?;
    let mut found = vec![];
    for id in research_loops {
        let created_ms = research_loops::view(lab, id).await?.summary.created_ms;
        found.push(group(format!("research loop {id}"), created_ms, Revert::Loop(id)));
    }
    for id in sweeps {
        let Some(sweep) = lab.store().sweep(id).await? else { continue };
        found.push(group(format!("sweep {}", sweep.spec.name), sweep.created_ms, Revert::Sweep(id)));
    }
    for id in experiments {
        let summary = experiments::view(lab, id).await?.summary;
        found.push(group(format!("experiment {}", summary.spec.title), summary.created_ms, Revert::Experiment(id)));
    }
    Ok(found)
}

fn group(name: String, at_ms: i64, revert: Revert) -> Entry {
    let shown = AgentUndo {
        run: None,
        did: format!("started the {name}"),
        name,
        event: None,
        at_ms,
        revert: Some("stop".to_owned()),
        note: Some("its finished runs stay".to_owned()),
        is_done: None,
    };
    Entry { shown, revert: Some(revert) }
}

async fn of_run(
    lab: &Lab,
    agent: &AgentRecord,
    id: &RunId,
    own: &BTreeSet<u64>,
    is_created: bool,
) -> Result<Vec<Entry>, ApiError> {
    let store = lab.store();
    let Some(summary) = store.summary(id).await?.filter(|summary| summary.deleted_ms.is_none()) else {
        return Ok(vec![]);
    };
    let (events, history) = (store.events(id, 0, u32::MAX).await?, store.history(id).await?);
    let (kept, reason) = (store.checkpoint_ids(id).await?, format!("undoes what the agent {:?} did", agent.name));
    let seen =
        Seen { summary: &summary, events: &events, history: &history, kept: &kept, own, is_created, reason: &reason };
    let entry = |planned: Planned| {
        let Planned { event, at_ms, did, command, note } = planned;
        let shown = AgentUndo {
            run: Some(id.clone()),
            name: summary.name.clone(),
            event: Some(event),
            at_ms,
            did,
            revert: command.as_ref().map(Command::label),
            note,
            is_done: None,
        };
        Entry { shown, revert: command.map(|command| Revert::Run(id.clone(), command)) }
    };
    Ok(plan(&seen).into_iter().map(entry).collect())
}
