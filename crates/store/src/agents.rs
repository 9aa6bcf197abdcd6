//! Agents: tokens with limits. Budgets are counted from what the runs of an agent really used plus what is reserved for those that have not
//! ended, and checked in the transaction that creates or continues a run: calls that are sent in parallel or repeated cannot exceed them.
//!
//! A reservation is the rest of a run's plan as it was admitted. It shrinks as the run trains, and ends with the run: a run that is shortened
//! or stopped early gives back what it did not use when it ends.

use wire::access::agent::{AgentBudget, AgentBudgets, AgentLimits, AgentMode, AgentOrigin, BudgetUse};
use wire::access::{Role, TokenKind};
use wire::agent::AgentAction;
use wire::{Author, Event, EventRecord, RunId, RunSummary};

use crate::clock::now_ms;
use crate::database::agents::{AgentGroups, AgentRecord, AgentUsage, CountedRun};
use crate::database::runs::RunDefinition;
use crate::database::tokens::TokenInfo;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::new_run::NewRun;
use crate::people::check_count;
use crate::store::Store;
use crate::tokens::{TokenOwner, insert_owned};

/// The time over which created runs are counted, ms.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Seconds in an hour.
const HOUR_SECS: f64 = 3600.0;
/// Names of an agent in journals, at most; further conversations have the name without program, model and conversation.
const MAX_NAMES: u64 = 10_000;
/// Agents in a list, at most.
const MAX_LISTED: u32 = 200;

/// Training that an agent begins or continues.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AgentTraining {
    /// Step from which the run trains; its current one by default.
    pub from: Option<u64>,
    /// Step at which the run ends; that of its plan by default.
    pub until: Option<u64>,
}

/// What a call needs of the budgets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Demand {
    secs: f64,
    steps: u64,
    runs: u32,
    created: u32,
}

/// A run whose agent has used up a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct ExhaustedRun {
    pub run: RunId,
    /// Why it is to be paused, as a sentence without a full stop.
    pub reason: String,
}

impl Store {
    /// Creates the token of an agent, of a person or of the lab.
    ///
    /// # Errors
    /// [`StoreError::TooManyTokens`] of a person.
    pub async fn issue_agent_token(
        &self,
        person: Option<i64>,
        name: &str,
        role: Role,
        limits: AgentLimits,
        expires_ms: Option<i64>,
    ) -> Result<(String, TokenInfo), StoreError> {
        let mut transaction = self.database().write().await?;
        if let Some(person) = person {
            check_count(&mut transaction, person).await?;
        }
        let owner = TokenOwner { person, limits: Some(limits), ..TokenOwner::default() };
        let issued = insert_owned(&mut transaction, name, role, TokenKind::Api, expires_ms, owner).await?;
        commit(transaction).await?;
        Ok(issued)
    }

    /// The newest agents, newest first.
    pub async fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        database::agents::list(&mut *self.database().read().await?, MAX_LISTED).await
    }

    /// An agent, by the id of its token, which may have ended.
    ///
    /// # Errors
    /// [`StoreError::UnknownAgent`].
    pub async fn agent(&self, token: i64) -> Result<AgentRecord, StoreError> {
        let found = database::agents::get(&mut *self.database().read().await?, token).await?;
        found.ok_or(StoreError::UnknownAgent { id: token })
    }

    /// What the budgets of an agent have left, in the order of [`AgentBudget::ALL`], and the number of its runs that are queued or on a device.
    ///
    /// # Errors
    /// [`StoreError::UnknownAgent`].
    pub async fn agent_uses(&self, token: i64) -> Result<(Vec<BudgetUse>, u32), StoreError> {
        let mut connection = self.database().snapshot().await?;
        let found = database::agents::get(&mut connection, token).await?;
        let agent = found.ok_or(StoreError::UnknownAgent { id: token })?;
        let usage = database::agents::usage(&mut connection, token, now_ms() - DAY_MS, None).await?;
        let uses = AgentBudget::ALL.map(|budget| use_of(budget, &agent.limits.budgets, &usage));
        Ok((uses.to_vec(), usage.unfinished))
    }

    /// The last events of an agent in the journals of runs, newest first.
    pub async fn agent_actions(&self, token: i64, limit: u32) -> Result<Vec<AgentAction>, StoreError> {
        let found = database::agents::events(&mut *self.database().read().await?, token, limit).await?;
        let action = |(run, run_name, record)| AgentAction { run, run_name, record };
        Ok(found.into_iter().map(action).collect())
    }

    /// Numbers of the events of an agent in the journal of a run, in order.
    pub async fn agent_event_numbers(&self, token: i64, run: &RunId) -> Result<Vec<u64>, StoreError> {
        database::agents::event_numbers(&mut *self.database().read().await?, token, run).await
    }

    /// The runs that count for an agent, newest first. One that a person lets train on counts for none.
    pub async fn agent_runs(&self, token: i64) -> Result<Vec<RunId>, StoreError> {
        database::agents::runs(&mut *self.database().read().await?, token).await
    }

    /// The runs that an agent has created, newest first.
    pub async fn runs_created_by_agent(&self, token: i64) -> Result<Vec<RunId>, StoreError> {
        database::agents::created(&mut *self.database().read().await?, token).await
    }

    /// Whether an agent has created a run.
    pub async fn is_run_of_agent(&self, token: i64, run: &RunId) -> Result<bool, StoreError> {
        database::agents::has_run(&mut *self.database().read().await?, token, run).await
    }

    /// The tokens of an agent: those with its name and owner, whether they have ended or not.
    pub async fn agent_tokens(&self, agent: &AgentRecord) -> Result<Vec<i64>, StoreError> {
        let mut connection = self.database().read().await?;
        let same = database::agents::same(&mut connection, &agent.name, agent.person).await?;
        Ok(same.into_iter().map(|same| same.token).collect())
    }

    /// Ids of the sweeps, experiments and research loops that an agent has created and that have not ended.
    pub async fn agent_groups(&self, token: i64) -> Result<AgentGroups, StoreError> {
        database::agents::groups(&mut *self.database().read().await?, token).await
    }

    /// Sets the limits of an agent. They hold for its next request.
    ///
    /// # Errors
    /// [`StoreError::UnknownAgent`], also where the token has ended.
    pub async fn set_agent_limits(&self, token: i64, limits: &AgentLimits) -> Result<AgentRecord, StoreError> {
        let mut transaction = self.database().write().await?;
        let known = database::agents::get(&mut transaction, token).await?;
        let is_valid = database::tokens::get(&mut transaction, token, now_ms()).await?.is_some();
        let mut agent = known.filter(|_| is_valid).ok_or(StoreError::UnknownAgent { id: token })?;
        database::agents::set_limits(&mut transaction, token, limits).await?;
        database::tokens::set_projects(&mut transaction, token, limits.projects.as_deref()).await?;
        commit(transaction).await?;
        agent.limits = limits.clone();
        Ok(agent)
    }

    /// Marks an agent as stopped and revokes its tokens: those of agents with its name and owner, and the codes of OAuth that it has not
    /// exchanged for one. Its proposals for next rounds of research loops are dropped. From then on it starts no run. Returns the tokens of the
    /// agent; of these, those that had ended before are not counted in the second value.
    ///
    /// # Errors
    /// [`StoreError::UnknownAgent`].
    pub async fn stop_agent(&self, token: i64, by: &str) -> Result<(Vec<i64>, u32), StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::agents::get(&mut transaction, token).await?;
        let agent = found.ok_or(StoreError::UnknownAgent { id: token })?;
        let (now_ms, mut tokens, mut revoked) = (now_ms(), vec![], 0);
        for same in database::agents::same(&mut transaction, &agent.name, agent.person).await? {
            database::agents::set_stopped(&mut transaction, same.token, now_ms, by).await?;
            revoked += u32::from(database::tokens::remove(&mut transaction, same.token).await?);
            tokens.push(same.token);
        }
        database::oauth::remove_codes(&mut transaction, &agent.name, agent.person).await?;
        drop_proposals(&mut transaction, &tokens).await?;
        commit(transaction).await?;
        Ok((tokens, revoked))
    }

    /// Sets the program of an agent's last MCP session.
    pub async fn set_agent_client(&self, token: i64, client: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::agents::set_client(&mut transaction, token, client).await?;
        commit(transaction).await
    }

    /// The name under which an agent stands in journals. It belongs to its token alone: the name that another token has gets the number of
    /// the token. The token of an agent keeps the name, so that its events count for it.
    pub async fn agent_author(&self, token: i64, agent: &str, origin: &AgentOrigin) -> Result<String, StoreError> {
        let origin = origin.cleaned();
        let mut connection = self.database().read().await?;
        let numbered = format!("{agent} ({token})");
        let with_origin = [origin.name(agent), origin.name(&numbered)];
        for name in &with_origin {
            if database::agents::token_of_name(&mut connection, name).await? == Some(token) {
                return Ok(name.clone());
            }
        }
        if database::agents::get(&mut connection, token).await?.is_none() {
            let [name, other] = with_origin;
            let is_free = database::agents::token_of_name(&mut connection, &name).await?.is_none();
            return Ok(if is_free { name } else { other });
        }
        drop(connection);
        let mut transaction = self.database().write().await?;
        let is_full = database::agents::count_names(&mut transaction, token).await? >= MAX_NAMES;
        let names = if is_full { [agent.to_owned(), numbered] } else { with_origin };
        let [name, other] = names;
        let owner = database::agents::token_of_name(&mut transaction, &name).await?;
        let chosen = if owner.is_none_or(|owner| owner == token) { name } else { other };
        database::agents::add_name(&mut transaction, &chosen, token).await?;
        commit(transaction).await?;
        Ok(chosen)
    }

    /// Checks that the agent that an author is may train a run, and lets the run count for it from then on. `None` for another author, and for a
    /// run that counts already; otherwise the token, for [`Self::release_agent_run`] if the training does not begin.
    ///
    /// # Errors
    /// [`StoreError::AgentBudget`], [`StoreError::AgentEnded`], [`StoreError::UnknownRun`].
    pub async fn admit_agent_training(
        &self,
        author: &Author,
        run: &RunId,
        training: AgentTraining,
    ) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.database().write().await?;
        let summary = self.summary_in(&mut transaction, run).await?;
        let counted = count_training(&mut transaction, author, &summary, training).await?;
        commit(transaction).await?;
        Ok(counted)
    }

    /// A run counts for an agent no more: its training did not begin.
    pub async fn release_agent_run(&self, token: i64, run: &RunId) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::agents::settle(&mut transaction, run, Some(token)).await?;
        commit(transaction).await
    }

    /// Those of `among` that train and whose agent has used up a budget.
    pub async fn exhausted_agent_runs(&self, among: &[RunId]) -> Result<Vec<ExhaustedRun>, StoreError> {
        if among.is_empty() {
            return Ok(vec![]);
        }
        let mut connection = self.database().snapshot().await?;
        let (mut found, mut last): (Vec<ExhaustedRun>, Option<(i64, Option<String>)>) = (vec![], None);
        for (token, run) in database::agents::training(&mut connection, among).await? {
            if last.as_ref().is_none_or(|(known, _)| *known != token) {
                last = Some((token, reason_to_pause(&mut connection, token).await?));
            }
            let reason = last.as_ref().and_then(|(_, reason)| reason.clone());
            found.extend(reason.map(|reason| ExhaustedRun { run, reason }));
        }
        Ok(found)
    }
}

/// Removes the proposals of a stopped agent for next rounds of research loops, by its tokens.
async fn drop_proposals(connection: &mut Connection, tokens: &[i64]) -> Result<(), StoreError> {
    for (id, proposal) in database::research_loops::queued(connection).await? {
        let Author::Agent(name) = &proposal.author else { continue };
        let token = database::agents::token_of_name(connection, name).await?;
        if token.is_some_and(|token| tokens.contains(&token)) {
            let why = "its agent was stopped";
            database::research_loops::drop_queued(connection, id, &proposal, why, now_ms()).await?;
        }
    }
    Ok(())
}

/// Lets a run that was just created count for the agent that its author is, if its budgets suffice.
///
/// # Errors
/// [`StoreError::AgentBudget`], [`StoreError::AgentEnded`].
pub(crate) async fn count_created(connection: &mut Connection, run: &NewRun) -> Result<(), StoreError> {
    let Author::Agent(name) = &run.author else { return Ok(()) };
    match database::agents::token_of_name(connection, name).await? {
        Some(token) => count_for(connection, token, run).await,
        None => Ok(()),
    }
}

/// Lets a run that was just created count for a token, if it is that of an agent and its budgets suffice.
///
/// # Errors
/// [`StoreError::AgentBudget`], [`StoreError::AgentEnded`].
pub(crate) async fn count_for(connection: &mut Connection, token: i64, run: &NewRun) -> Result<(), StoreError> {
    let Some(agent) = database::agents::get(connection, token).await? else { return Ok(()) };
    let first = run.plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    let (secs, steps) = (run.estimate.secs.unwrap_or(0.0).max(0.0), run.plan.steps.saturating_sub(first));
    admit(connection, &agent, Demand { secs, steps, runs: 1, created: 1 }, Some(&run.id)).await?;
    let at_ms = now_ms();
    let counted = CountedRun { token, run: &run.id, is_new: true, at_ms, reserved_secs: secs, reserved_steps: steps };
    database::agents::count_run(connection, counted).await
}

/// Checks that the agent that an author is may train a run, and lets the run count for it. Returns the token of the agent if the run did not
/// count for it before.
///
/// # Errors
/// [`StoreError::AgentBudget`], [`StoreError::AgentEnded`].
pub(crate) async fn count_training(
    connection: &mut Connection,
    author: &Author,
    run: &RunSummary,
    training: AgentTraining,
) -> Result<Option<i64>, StoreError> {
    let Author::Agent(name) = author else { return Ok(None) };
    let Some(token) = database::agents::token_of_name(connection, name).await? else { return Ok(None) };
    let Some(agent) = database::agents::get(connection, token).await? else { return Ok(None) };
    let steps = training.until.unwrap_or(run.steps).saturating_sub(training.from.unwrap_or(run.step));
    let secs_per_step = match run.secs_per_step {
        Some(secs) => secs,
        None => database::runs::definition(connection, &run.id).await?.map_or(0.0, |of| estimated(&of)),
    };
    let secs = secs_per_step * steps as f64;
    admit(connection, &agent, Demand { secs, steps, runs: 1, created: 0 }, Some(&run.id)).await?;
    let is_counted = database::agents::runs(connection, token).await?.contains(&run.id);
    let (at_ms, is_new) = (now_ms(), false);
    let counted = CountedRun { token, run: &run.id, is_new, at_ms, reserved_secs: secs, reserved_steps: steps };
    database::agents::count_run(connection, counted).await?;
    Ok((!is_counted).then_some(token))
}

/// Notes an event whose author is an agent. A run that a person lets train on counts for no agent from then on.
pub(crate) async fn note_event(
    connection: &mut Connection,
    run: &RunId,
    record: &EventRecord,
) -> Result<(), StoreError> {
    match (&record.author, &record.event) {
        (Author::Agent(name), _) => match database::agents::token_of_name(connection, name).await? {
            Some(token) => database::agents::add_event(connection, token, run, record).await,
            None => Ok(()),
        },
        (Author::Person(_), Event::Resumed | Event::Stepping { .. }) => {
            database::agents::settle(connection, run, None).await
        }
        _ => Ok(()),
    }
}

/// Checks that an agent may act and that its budgets suffice. `run` is the run that the demand is for: what is reserved for it is part of
/// the demand.
async fn admit(
    connection: &mut Connection,
    agent: &AgentRecord,
    demand: Demand,
    run: Option<&RunId>,
) -> Result<(), StoreError> {
    let now_ms = now_ms();
    let is_valid = database::tokens::get(connection, agent.token, now_ms).await?.is_some();
    if !is_valid || agent.stopped_ms.is_some() || agent.limits.mode == AgentMode::Read {
        return Err(StoreError::AgentEnded { agent: agent.name.clone() });
    }
    let usage = database::agents::usage(connection, agent.token, now_ms - DAY_MS, run).await?;
    for budget in AgentBudget::ALL {
        let BudgetUse { used, reserved, most, .. } = use_of(budget, &agent.limits.budgets, &usage);
        let wanted = demand.of(budget);
        // A run whose time is not known needs some.
        let is_used_up = |most: f64| budget == AgentBudget::DeviceHours && used + reserved >= most;
        if let Some(most) = most.filter(|most| used + reserved + wanted > *most || is_used_up(*most)) {
            return Err(StoreError::AgentBudget { agent: agent.name.clone(), budget, most, used, reserved, wanted });
        }
    }
    Ok(())
}

impl Demand {
    fn of(&self, budget: AgentBudget) -> f64 {
        match budget {
            AgentBudget::DeviceHours => self.secs / HOUR_SECS,
            AgentBudget::Steps => self.steps as f64,
            AgentBudget::RunsAtOnce => f64::from(self.runs),
            AgentBudget::TrialsPerDay => f64::from(self.created),
        }
    }
}

/// Estimated time of a step of a run that has trained none, seconds; 0 where it is not known.
fn estimated(run: &RunDefinition) -> f64 {
    let first = run.plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    run.estimate.secs.map_or(0.0, |secs| secs / run.plan.steps.saturating_sub(first).max(1) as f64)
}

fn use_of(budget: AgentBudget, budgets: &AgentBudgets, usage: &AgentUsage) -> BudgetUse {
    let (used, reserved, most) = match budget {
        AgentBudget::DeviceHours => {
            (usage.used_secs / HOUR_SECS, usage.reserved_secs / HOUR_SECS, budgets.device_hours)
        }
        AgentBudget::Steps => {
            (usage.used_steps as f64, usage.reserved_steps as f64, budgets.steps.map(|steps| steps as f64))
        }
        AgentBudget::RunsAtOnce => (f64::from(usage.unfinished), 0.0, budgets.runs_at_once.map(f64::from)),
        AgentBudget::TrialsPerDay => (f64::from(usage.created), 0.0, budgets.trials_per_day.map(f64::from)),
    };
    BudgetUse { budget, used, reserved, most }
}

/// Why the runs of an agent are paused; `None` while its budgets are not used up. They hold after its token has ended, which a program can
/// do itself.
async fn reason_to_pause(connection: &mut Connection, token: i64) -> Result<Option<String>, StoreError> {
    let Some(agent) = database::agents::get(connection, token).await? else { return Ok(None) };
    let usage = database::agents::usage(connection, token, now_ms() - DAY_MS, None).await?;
    let reason = |budget: AgentBudget| {
        let BudgetUse { used, most, .. } = use_of(budget, &agent.limits.budgets, &usage);
        let most = most.filter(|most| used >= *most)?;
        let (name, most, used) = (&agent.name, budget.amount(most), budget.amount(used));
        Some(format!("the agent {name:?} has used up its budget: {used} of {most}"))
    };
    Ok([AgentBudget::DeviceHours, AgentBudget::Steps].into_iter().find_map(reason))
}
