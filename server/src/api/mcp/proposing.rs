//! Proposals: calls of a token in the mode propose. A call that acts is stored with its dry run, and a person decides about it
//! ([`super::deciding`]). The agent reads the decision with get_proposal or waits for it.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{NewProposal, ProposalRecord};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::number::grouped;
use wire::proposal::{Proposal, ProposalPreview, ProposalState};
use wire::research_loop::record::LoopView;
use wire::{RunId, RunView};

use super::acts::ExpectedEffect;
use super::answer::Answer;
use super::brief::given;
use super::caller::{Caller, encoded};
use super::shrink::shrink;
use super::tool::Tool;
use crate::auth::{agent, project};
use crate::error::ApiError;
use crate::live::clock::now_ms;

/// How long a person can decide about a proposal, ms: seven days.
const OPEN_MS: i64 = 7 * 24 * 3600 * 1000;
/// Longest arguments of a proposal, bytes of JSON.
const ARGUMENTS_BYTES: usize = 50_000;
/// Longest plan that is kept with a proposal, and longest answer of a tool, bytes of JSON.
pub(super) const KEPT_BYTES: usize = 16_000;

/// Where the arguments of a tool name a project, and where a run whose project holds without it.
const PROJECTS: [&str; 2] = ["/spec/project", "/spec/base/project"];
const RUNS: [&str; 4] = ["/run", "/spec/baseline/run", "/spec/parent/run", "/spec/base/parent/run"];

/// Calls a tool for an agent. A call that acts becomes a proposal if the token of the agent has the mode propose.
///
/// # Errors
/// Those of the tool, and of [`propose`].
pub(super) async fn call(tool: &Tool, caller: Caller, arguments: JsonObject) -> Result<Answer, ApiError> {
    match caller.proposes() && tool.acts(&arguments) {
        true => propose(tool, caller, arguments).await,
        false => tool.call(caller, arguments).await,
    }
}

/// Stores a call that acts as a proposal, with its plan. A call that is repeated with the same key returns the first proposal.
///
/// # Errors
/// Those of a dry run; 403 where the token may not act; 409 for a key of another call, and if too many proposals wait.
async fn propose(tool: &Tool, caller: Caller, mut arguments: JsonObject) -> Result<Answer, ApiError> {
    // They say how the call is answered and not what is done.
    arguments.retain(|field, _| !matches!(field.as_str(), "dry_run" | "timeout_s"));
    let (model, conversation) = (take_text(&mut arguments, "model"), take_text(&mut arguments, "conversation"));
    let caller = caller.with_origin(model.as_deref(), conversation.as_deref());
    let name = &*tool.definition.name;
    let hash = blake3::hash(format!("{name}\n{}", json!(arguments)).as_bytes()).to_hex().to_string();
    let key = text_in(&arguments, "idempotency_key");
    if let Some(known) = caller.store().proposal_of_key(caller.token(), &key).await? {
        return again(&known, &hash);
    }
    if caller.store().agent_act(caller.token(), &key).await?.is_some() {
        // The token acted by itself at that time. The stored result is returned, and nothing is done.
        return tool.call(caller, arguments).await;
    }
    let (run, project) = place(&caller, &arguments).await?;
    project::check(caller.identity(), &project, Role::Steer)?;
    agent::permit_tool(caller.lab(), caller.identity(), name, &arguments, run.as_ref()).await?;
    check_size(&arguments)?;
    let preview = preview(tool, &caller, &arguments, run.as_ref()).await?;
    // The dry run has checked them.
    let expected = arguments.get("expected_effect").and_then(|value| ExpectedEffect::deserialize(value).ok());
    let now_ms = now_ms();
    let new = NewProposal {
        token: caller.token(),
        key,
        hash: hash.clone(),
        agent: caller.name().to_owned(),
        origin: caller.origin().clone(),
        tool: name.to_owned(),
        project,
        run,
        reason: text_in(&arguments, "reason"),
        expected: expected.map(|expected| expected.phrase()),
        arguments,
        preview,
        created_ms: now_ms,
        expires_ms: now_ms + OPEN_MS,
    };
    let (stored, is_new) = caller.store().propose(&new).await?;
    caller.lab().feed.lab_changed();
    if is_new { Ok(standing(&stored.proposal)) } else { again(&stored, &hash) }
}

/// Checks that arguments are short enough for a person to read.
///
/// # Errors
/// 422.
pub(super) fn check_size(arguments: &JsonObject) -> Result<(), ApiError> {
    let bytes = json!(arguments).to_string().len();
    if bytes <= ARGUMENTS_BYTES {
        return Ok(());
    }
    let message = format!("the arguments have {} bytes, and a person has to read them", grouped(bytes as u64));
    Err(ApiError::invalid("arguments_invalid", message)
        .hint(format!("send at most {} bytes", grouped(ARGUMENTS_BYTES as u64))))
}

/// The answer to a call whose key has a proposal.
fn again(known: &ProposalRecord, hash: &str) -> Result<Answer, ApiError> {
    if known.hash != hash {
        let message = format!("this key was used for a proposal to call {} with other arguments", known.proposal.tool);
        return Err(ApiError::conflict("key_reused", message)
            .field("idempotency_key")
            .hint("give a new key for a different call, or the same arguments to read the earlier proposal"));
    }
    Ok(standing(&known.proposal).note("this call is repeated: it was proposed before"))
}

/// The plan of a call, with the number of the run's last event before it was computed.
///
/// # Errors
/// Those of a dry run.
pub(super) async fn preview(
    tool: &Tool,
    caller: &Caller,
    arguments: &JsonObject,
    run: Option<&RunId>,
) -> Result<ProposalPreview, ApiError> {
    let event = match run {
        Some(run) => caller.last_event(run.as_str()).await?,
        None => 0,
    };
    let mut dry = arguments.clone();
    dry.insert("dry_run".to_owned(), true.into());
    let Answer { mut data, units, .. } = tool.call(caller.clone(), dry).await?;
    if let Some(fields) = data.as_object_mut() {
        fields.remove("dry_run");
    }
    let (data, _) = shrink(data, KEPT_BYTES);
    Ok(ProposalPreview { data, units, at_ms: now_ms(), event })
}

/// The run that a call is about, and its project.
async fn place(caller: &Caller, arguments: &JsonObject) -> Result<(Option<RunId>, String), ApiError> {
    let arguments = Value::Object(arguments.clone());
    let text = |pointer: &str| arguments.pointer(pointer).and_then(Value::as_str);
    // The dry run refuses what is no id.
    let run = text("/run").and_then(|run| run.parse().ok());
    let named = PROJECTS.into_iter().find_map(text).map(str::to_owned);
    let of_loop = arguments.pointer("/loop").and_then(Value::as_u64);
    let project = match (named, RUNS.into_iter().find_map(text), of_loop) {
        (Some(project), ..) => project,
        (None, Some(of_run), _) => {
            let view: RunView = caller.get(&format!("/runs/{}", encoded(of_run))).await?;
            view.summary.project
        }
        (None, None, Some(id)) => {
            let view: LoopView = caller.get(&format!("/research-loops/{id}")).await?;
            view.summary.project
        }
        (None, None, None) => DEFAULT_PROJECT.to_owned(),
    };
    Ok((run, project))
}

/// Removes a text, which says who calls and not what is done. The dry run refuses what is no text.
fn take_text(arguments: &mut JsonObject, field: &str) -> Option<String> {
    let text = arguments.get(field)?.as_str()?.to_owned();
    arguments.remove(field);
    Some(text)
}

fn text_in(arguments: &JsonObject, field: &str) -> String {
    arguments.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A proposal as its agent reads it.
pub(super) fn standing(proposal: &Proposal) -> Answer {
    let Proposal { id, state, .. } = proposal;
    let mut data = brief(proposal);
    if *state == ProposalState::Pending {
        data["preview"] = proposal.preview.data.clone();
    }
    let answer = Answer::new(data)
        .units(&[("created_ms, expires_ms, at_ms", "ms since 1970, UTC")])
        .more("get_run and get_journal show what has happened since");
    match state {
        ProposalState::Pending => answer
            .note("nothing was changed: a person decides about this proposal")
            .next(format!("wait_for with proposal {id}"))
            .next(format!("withdraw_proposal with proposal {id}, if it is not right any more")),
        ProposalState::Approved | ProposalState::Edited if proposal.outcome.is_none() => {
            answer.note("it is being carried out").next(format!("wait_for with proposal {id}"))
        }
        ProposalState::Edited => {
            answer.note("a person has changed the arguments: edited_arguments has those of the act")
        }
        ProposalState::Rejected => answer.note("it was not carried out; decided.reason is the reason of the person"),
        ProposalState::Expired => answer.note("nobody decided in time, and it was not carried out"),
        ProposalState::Approved | ProposalState::Withdrawn => answer,
    }
}

/// A proposal in a list.
pub(super) fn brief(proposal: &Proposal) -> Value {
    given(json!({
        "proposal": proposal.id,
        "state": proposal.state,
        "tool": proposal.tool,
        "run": proposal.run,
        "project": proposal.project,
        "reason": proposal.reason,
        "expected_effect": proposal.expected,
        "created_ms": proposal.created_ms,
        "expires_ms": (proposal.state == ProposalState::Pending).then_some(proposal.expires_ms),
        "edited_arguments": proposal.edited,
        "decided": proposal.decided,
        "outcome": proposal.outcome,
    }))
}
