//! What the token of an agent permits. Every request passes [`admit`], over HTTP as over MCP, whose tools send requests to the same routes: its
//! mode, and for the listed routes its scopes. All other routes that change something are refused for agents: they delete nothing, and give
//! no rights to others. Budgets are checked by the store in the transaction that creates or continues a run.

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};
use store::Identity;
use wire::access::agent::{AgentCommand, AgentOrigin};
use wire::access::{AgentLimits, AgentMode, Role};
use wire::{Command, RunId, RunSpec};

use super::Approved;
use super::run::path_param;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::paths::{AGENTS, API};

/// Headers in which a program names its model and its conversation.
pub const MODEL: &str = "kindling-model";
pub const CONVERSATION: &str = "kindling-conversation";
/// The paths below the API with which agents may change something, and the command that their scopes must contain; `None` where the body says
/// it, which [`permit_command`] and [`permit_run`] read.
static ACTING: [(Method, &str, Option<AgentCommand>); 14] = [
    (Method::POST, "/runs", None),
    (Method::POST, "/runs/{id}/commands", None),
    (Method::PATCH, "/runs/{id}", Some(AgentCommand::ChangeRun)),
    (Method::PUT, "/runs/{id}/tasks", Some(AgentCommand::Score)),
    (Method::POST, "/runs/{id}/scores", Some(AgentCommand::Score)),
    (Method::POST, "/runs/{id}/seeds", Some(AgentCommand::StartRun)),
    (Method::POST, "/sweeps", Some(AgentCommand::StartSweep)),
    (Method::POST, "/sweeps/import", Some(AgentCommand::StartSweep)),
    (Method::POST, "/sweeps/{id}/commands", Some(AgentCommand::ChangeSweep)),
    (Method::POST, "/experiments", Some(AgentCommand::StartExperiment)),
    (Method::PATCH, "/experiments/{id}", Some(AgentCommand::ChangeExperiment)),
    (Method::POST, "/research-loops", Some(AgentCommand::StartResearchLoop)),
    (Method::PATCH, "/research-loops/{id}", Some(AgentCommand::ChangeResearchLoop)),
    (Method::POST, "/research-loops/{id}/proposals", Some(AgentCommand::ChangeResearchLoop)),
];
/// Paths below the API that only compute something.
const COMPUTING: [&str; 5] = ["/plan", "/sweeps/preview", "/completions", "/runs/{id}/inspections", "/live/poll"];

/// Checks a request of an agent before its route sees it, and sets the name under which the agent stands in journals.
///
/// # Errors
/// 403 for what its mode or its scopes do not permit; an error of the store.
pub(super) async fn admit(parts: &mut Parts, lab: &Lab, identity: &mut Identity) -> Result<(), ApiError> {
    if !identity.is_agent || reads(parts) {
        return Ok(());
    }
    if let Some(limits) = identity.limits.clone() {
        check(parts, lab, identity, &limits).await?;
    }
    let origin = origin_of(parts);
    identity.author_name = Some(lab.store().agent_author(identity.token_id, &identity.name, &origin).await?);
    Ok(())
}

async fn check(parts: &mut Parts, lab: &Lab, identity: &Identity, limits: &AgentLimits) -> Result<(), ApiError> {
    match limits.mode {
        AgentMode::Read => return Err(read_only(identity)),
        AgentMode::Propose if parts.extensions.get::<Approved>().is_none() => return Err(approval_needed(identity)),
        AgentMode::Propose | AgentMode::Act => {}
    }
    let path = route(parts);
    let found = ACTING.iter().find(|(method, acting, _)| parts.method == *method && path == *acting);
    let Some((_, path, command)) = found else {
        let message = format!("{} {path} is not permitted to agents, and {:?} is one", parts.method, identity.name);
        return Err(refused("agent_forbidden", message)
            .hint("agents delete nothing and give no rights; ask a person to do it on the page"));
    };
    if let Some(command) = command {
        permit(identity, limits, *command)?;
    }
    if path.starts_with("/runs/{id}") {
        let run = path_param(parts, lab, "id").await.and_then(|id| id.parse::<RunId>().ok());
        if let Some(run) = run {
            permit_change(lab, identity, limits, &run).await?;
        }
    }
    Ok(())
}

/// Checks that the scopes of an agent contain a command to a run.
///
/// # Errors
/// 403.
pub fn permit_command(identity: &Identity, command: &Command) -> Result<(), ApiError> {
    match &identity.limits {
        Some(limits) => permit(identity, limits, needed(command)),
        None => Ok(()),
    }
}

/// Checks that the scopes of an agent permit to create a run of a spec. A fork without a named checkpoint saves one of its parent, which is a
/// command to it.
///
/// # Errors
/// 403; an error of the store.
pub async fn permit_run(lab: &Lab, identity: &Identity, spec: &RunSpec) -> Result<(), ApiError> {
    let Some(limits) = &identity.limits else { return Ok(()) };
    let Some(parent) = &spec.parent else { return permit(identity, limits, AgentCommand::StartRun) };
    permit(identity, limits, AgentCommand::Fork)?;
    if parent.checkpoint.is_none() && parent.step.is_none() {
        permit(identity, limits, AgentCommand::Checkpoint)?;
        permit_change(lab, identity, limits, &parent.run).await?;
    }
    Ok(())
}

/// Checks that the scopes of an agent permit forks.
///
/// # Errors
/// 403.
pub fn permit_fork(identity: &Identity) -> Result<(), ApiError> {
    match &identity.limits {
        Some(limits) => permit(identity, limits, AgentCommand::Fork),
        None => Ok(()),
    }
}

/// Checks that the scopes of an agent contain the command of a tool and the run that it changes.
///
/// # Errors
/// 403; an error of the store.
pub async fn permit_tool(
    lab: &Lab,
    identity: &Identity,
    tool: &str,
    arguments: &Map<String, Value>,
    run: Option<&RunId>,
) -> Result<(), ApiError> {
    let Some(limits) = &identity.limits else { return Ok(()) };
    let command = match tool {
        "propose_experiment" => Some(AgentCommand::StartExperiment),
        "start_loop" => Some(AgentCommand::StartResearchLoop),
        "steer_loop" | "propose_change" => Some(AgentCommand::ChangeResearchLoop),
        "evaluate" if arguments.get("task").is_some_and(|task| !task.is_null()) => Some(AgentCommand::Score),
        // The other tools have the names of their commands.
        _ => AgentCommand::of_word(tool),
    };
    if let Some(command) = command {
        permit(identity, limits, command)?;
    }
    match run {
        Some(run) if command != Some(AgentCommand::Fork) => permit_change(lab, identity, limits, run).await,
        _ => Ok(()),
    }
}

/// Checks that a role may be that of an agent's token.
///
/// # Errors
/// 422.
pub fn check_role(role: Role) -> Result<(), ApiError> {
    match role {
        Role::View | Role::Steer => Ok(()),
        Role::Admin | Role::Worker => {
            let message = format!("an agent cannot have the role {}", role.name());
            Err(ApiError::invalid("role_invalid", message).field("role").hint("choose view or steer"))
        }
    }
}

fn permit(identity: &Identity, limits: &AgentLimits, command: AgentCommand) -> Result<(), ApiError> {
    if limits.permits(command) {
        return Ok(());
    }
    let allowed = limits.commands.iter().flatten().map(|command| command.word()).collect::<Vec<_>>().join(", ");
    let allowed = if allowed.is_empty() { "none" } else { allowed.as_str() };
    let message = format!("the agent {:?} may not use {}; its commands are: {allowed}", identity.name, command.word());
    Err(refused("agent_scope", message).hint(MANAGED))
}

/// Checks that an agent may change a run: its scopes name it, or it has started it.
async fn permit_change(lab: &Lab, identity: &Identity, limits: &AgentLimits, run: &RunId) -> Result<(), ApiError> {
    let Some(runs) = &limits.runs else { return Ok(()) };
    if runs.contains(run) || lab.store().is_run_of_agent(identity.token_id, run).await? {
        return Ok(());
    }
    let named = runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let also = if named.is_empty() { String::new() } else { format!(" and {named}") };
    let name = &identity.name;
    let message =
        format!("the agent {name:?} may change only the runs that it has started{also}. It may not change {run}");
    Err(refused("agent_scope", message).hint(MANAGED))
}

const MANAGED: &str = "a person who manages the token changes its limits on Settings, under Agents";

fn read_only(identity: &Identity) -> ApiError {
    let message = format!("the token of the agent {:?} is read only: its mode is read", identity.name);
    refused("agent_read_only", message).hint(MANAGED)
}

fn approval_needed(identity: &Identity) -> ApiError {
    let message = format!("the agent {:?} may only propose, and no person has approved this request", identity.name);
    refused("approval_needed", message).hint(MANAGED)
}

fn refused(code: &str, message: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, code, message)
}

/// The command that scopes name for a command to a run.
fn needed(command: &Command) -> AgentCommand {
    match command {
        Command::Pause { .. } => AgentCommand::Pause,
        Command::Resume { .. } => AgentCommand::Resume,
        Command::Step { .. } => AgentCommand::Step,
        Command::Stop { .. } => AgentCommand::Stop,
        Command::Set { .. } => AgentCommand::SetHyperparameter,
        Command::SetSchedule { .. } => AgentCommand::SetSchedule,
        Command::EditWeights { .. } => AgentCommand::EditWeights,
        Command::Checkpoint { .. } => AgentCommand::Checkpoint,
        Command::Rollback { .. } => AgentCommand::Rollback,
        Command::Suspend { .. } => AgentCommand::Suspend,
        Command::Undo { .. } => AgentCommand::Undo,
        Command::Evaluate => AgentCommand::Evaluate,
        Command::Sample { .. } => AgentCommand::Sample,
        Command::Annotate { .. } => AgentCommand::AddNote,
    }
}

/// Whether a request changes nothing. The tools of MCP send their changes as requests of their own.
fn reads(parts: &Parts) -> bool {
    let path = route(parts);
    matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        || parts.uri.path() == AGENTS
        || parts.method == Method::POST && COMPUTING.contains(&path.as_str())
}

/// The route of a request below the API, with its parameters in braces.
fn route(parts: &Parts) -> String {
    let matched = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    matched.strip_prefix(API).unwrap_or(matched).to_owned()
}

/// Program, model and conversation: those that a tool has noted, else those of the headers.
fn origin_of(parts: &Parts) -> AgentOrigin {
    let noted = parts.extensions.get::<AgentOrigin>().cloned();
    noted.unwrap_or_else(|| AgentOrigin { client: text(&parts.headers, "user-agent"), ..named(&parts.headers) })
}

/// Model and conversation of the headers of a request.
pub fn named(headers: &HeaderMap) -> AgentOrigin {
    let (model, conversation) = (text(headers, MODEL), text(headers, CONVERSATION));
    AgentOrigin { model, conversation, ..AgentOrigin::default() }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
