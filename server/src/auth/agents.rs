//! Agents: listed with what their budgets have left, and their limits changed, by the people who manage their tokens: the person to whom the
//! token belongs, signed in with a browser, and admins of the lab.

use std::collections::HashMap;

use store::{AgentRecord, Identity, StoreError, TokenInfo};
use wire::RunId;
use wire::access::agent::{AgentBudgets, AgentLimits, MAX_AGENT_PROJECTS, MAX_AGENT_RUNS};
use wire::access::{Role, TokenKind};
use wire::agent::{AgentAction, AgentState, AgentView};

use super::run;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::PROJECT_CHARS;

/// Last actions of each agent in a list.
const ACTIONS: u32 = 10;

/// The agents that the sender manages, newest first.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<AgentView>, ApiError> {
    lab.audit.write(lab.store()).await;
    let known = Known::read(lab).await?;
    let mut views = vec![];
    for agent in lab.store().agents().await?.into_iter().filter(|agent| manages(own, agent)) {
        views.push(view(lab, own, &known, agent).await?);
    }
    Ok(views)
}

/// An agent that the sender manages, by the id of its token.
///
/// # Errors
/// 404 for another one; an error of the store.
pub async fn managed(lab: &Lab, own: &Identity, id: i64) -> Result<AgentRecord, ApiError> {
    let agent = lab.store().agent(id).await?;
    if manages(own, &agent) { Ok(agent) } else { Err(StoreError::UnknownAgent { id }.into()) }
}

/// Sets the limits of an agent.
///
/// # Errors
/// 404 for an agent that the sender does not manage or whose token has ended, 422 for invalid limits; an error of the store.
pub async fn set_limits(lab: &Lab, own: &Identity, id: i64, limits: AgentLimits) -> Result<AgentView, ApiError> {
    managed(lab, own, id).await?;
    check(&limits)?;
    let agent = lab.store().set_agent_limits(id, &limits).await?;
    lab.access_changed();
    tracing::info!("{} changed the limits of the agent {:?}", own.name, agent.name);
    view(lab, own, &Known::read(lab).await?, agent).await
}

/// Checks that limits can be limits.
///
/// # Errors
/// 422.
pub fn check(limits: &AgentLimits) -> Result<(), ApiError> {
    let invalid = |field: &str, message: String| Err(ApiError::invalid("limits_invalid", message).field(field));
    let AgentLimits { projects, runs, budgets, .. } = limits;
    match projects {
        Some(projects) if !(1..=MAX_AGENT_PROJECTS).contains(&projects.len()) => {
            let message = format!("{} projects were given, and 1 to {MAX_AGENT_PROJECTS} are possible", projects.len());
            return invalid("projects", message);
        }
        Some(projects) if projects.iter().any(|name| name.chars().count() > PROJECT_CHARS) => {
            return invalid("projects", format!("the name of a project has at most {PROJECT_CHARS} characters"));
        }
        _ => {}
    }
    if let Some(count) = runs.as_ref().map(Vec::len).filter(|count| *count > MAX_AGENT_RUNS) {
        return invalid("runs", format!("{count} runs were given, and at most {MAX_AGENT_RUNS} are possible"));
    }
    let AgentBudgets { device_hours, .. } = budgets;
    match device_hours {
        Some(hours) if !(hours.is_finite() && *hours >= 0.0) => {
            invalid("budgets.device_hours", format!("the device hours must be 0 or more; got {hours}"))
        }
        _ => Ok(()),
    }
}

/// Whether somebody manages the token of an agent. A token of a program manages none of its person: it may be limited itself.
fn manages(own: &Identity, agent: &AgentRecord) -> bool {
    let is_own = agent.person.is_some() && agent.person == own.person && own.kind == TokenKind::Session;
    is_own || own.limits.is_none() && own.grants.has_lab(Role::Admin)
}

/// Names of people, and the tokens that are valid.
struct Known {
    people: HashMap<i64, String>,
    tokens: HashMap<i64, TokenInfo>,
}

impl Known {
    async fn read(lab: &Lab) -> Result<Self, ApiError> {
        let people = lab.store().people().await?.into_iter().map(|person| (person.id, person.name)).collect();
        let tokens = lab.store().tokens().await?.into_iter().map(|token| (token.id, token)).collect();
        Ok(Self { people, tokens })
    }
}

async fn view(lab: &Lab, own: &Identity, known: &Known, agent: AgentRecord) -> Result<AgentView, ApiError> {
    let AgentRecord { token: id, name, person, mut limits, client, created_ms, stopped_ms, stopped_by } = agent;
    let (uses, unfinished) = lab.store().agent_uses(id).await?;
    let token = known.tokens.get(&id);
    if let Some(token) = token {
        limits.projects.clone_from(&token.projects);
    }
    let state = match (stopped_ms, token) {
        (Some(_), _) => AgentState::Stopped,
        (None, Some(_)) => AgentState::Active,
        (None, None) => AgentState::Ended,
    };
    Ok(AgentView {
        id,
        name,
        owner: person.and_then(|person| known.people.get(&person).cloned()),
        state,
        limits,
        uses,
        client,
        created_ms,
        used_ms: token.and_then(|token| token.used_ms),
        expires_ms: token.and_then(|token| token.expires_ms),
        stopped_ms,
        stopped_by,
        unfinished,
        actions: actions(lab, own, id).await?,
    })
}

/// The last actions of an agent in runs that the sender may see.
async fn actions(lab: &Lab, own: &Identity, id: i64) -> Result<Vec<AgentAction>, ApiError> {
    let found = lab.store().agent_actions(id, ACTIONS).await?;
    if own.grants.has_lab(Role::View) {
        return Ok(found);
    }
    let mut visible: HashMap<RunId, bool> = HashMap::new();
    for action in &found {
        if !visible.contains_key(&action.run) {
            let is_visible = run::check(lab, own, &action.run, Role::View).await.is_ok();
            visible.insert(action.run.clone(), is_visible);
        }
    }
    Ok(found.into_iter().filter(|action| visible.get(&action.run).copied().unwrap_or(false)).collect())
}
