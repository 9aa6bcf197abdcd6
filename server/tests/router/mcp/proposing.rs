//! Tokens in the mode propose: what they call waits until a person approves, edits or rejects it, and is carried out once.

use axum::http::StatusCode;
use serde_json::{Value, json};
use server::api::mcp::deciding::finish;
use server::api::router::own_routes;
use store::{AgentAct, DecisionRecord};
use wire::RunId;
use wire::access::{AgentLimits, AgentMode, Role};
use wire::proposal::ProposalState;

use super::acting::{of_kind, runs, token_id, with};
use super::{at, call, code, refused};
use crate::lab::Lab;
use crate::scenarios::LabWithWorker;

/// The token of an agent that proposes.
async fn agent(lab: &Lab) -> String {
    let limits = AgentLimits { mode: AgentMode::Propose, ..AgentLimits::default() };
    lab.state.store().issue_agent_token(None, "tuner", Role::Steer, limits, None).await.unwrap().0
}

/// Arguments that lower the gradient clipping.
fn lower(run: &RunId, value: f64, key: &str) -> Value {
    with(json!({ "run": run, "path": "optimizer.grad_clip", "value": value }), key)
}

/// Proposes a call; returns the id of the proposal.
async fn propose(lab: &Lab, agent: &str, tool: &str, arguments: Value) -> i64 {
    let made = call(lab, agent, tool, arguments).await;
    assert_eq!(made["data"]["state"], "pending", "{made:#}");
    made["data"]["proposal"].as_i64().unwrap()
}

async fn decide(lab: &Lab, token: &str, id: i64, decision: Value) -> crate::lab::Answer {
    lab.post(&format!("/api/v1/proposals/{id}/decision"), token, &decision.to_string()).await
}

async fn shown(lab: &Lab, id: i64) -> Value {
    lab.get(&format!("/api/v1/proposals/{id}"), &lab.view).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_person_and_is_carried_out_once() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let agent = agent(lab).await;
    let mut arguments = lower(&run, 0.25, "clip-lower-1");
    arguments["expected_effect"] = json!({ "metric": "loss.valid", "difference": -0.02, "by_step": 500 });
    let made = call(lab, &agent, "set_hyperparameter", arguments.clone()).await;
    let id = made["data"]["proposal"].as_i64().unwrap();
    assert_eq!(
        (&made["data"]["state"], &made["data"]["preview"]["difference"]["then"]),
        (&json!("pending"), &json!(0.25))
    );
    let again = call(lab, &agent, "set_hyperparameter", arguments.clone()).await;
    assert_eq!((&again["data"]["proposal"], again["notes"].to_string().contains("repeated")), (&json!(id), true));
    arguments["value"] = json!(0.125);
    let reused = refused(lab, &agent, "set_hyperparameter", arguments).await;
    assert_eq!(reused, at("key_reused", "idempotency_key"));
    let invalid = refused(lab, &agent, "set_hyperparameter", lower(&run, -1.0, "clip-lower-2")).await;
    assert_eq!(invalid, at("value_invalid", "value"));
    // Only the tools make proposals.
    let direct = lab.post(&format!("/api/v1/runs/{run}/commands"), &agent, r#"{"kind": "stop"}"#).await;
    assert_eq!((direct.status, direct.code().as_str()), (StatusCode::FORBIDDEN, "approval_needed"));
    assert_eq!(of_kind(lab, &run, "changed").await.len(), 0, "nothing was done");
    let state = lab.get("/api/v1/lab", &lab.view).await.json();
    assert_eq!(state["pending_proposals"], 1, "{state:#}");
    let listed = lab.get(&format!("/api/v1/proposals?pending=true&run={run}"), &lab.view).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["agent"]), (1, &json!("tuner")), "{listed:#}");
    assert_eq!(listed[0]["expected"], "loss.valid -0.02 nats/token by step 500");

    let approve = json!({ "kind": "approve" });
    let (one, other) =
        tokio::join!(decide(lab, &lab.steer, id, approve.clone()), decide(lab, &lab.admin, id, approve.clone()));
    let mut statuses = [one.status, other.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT], "{one:?} {other:?}");
    let third = decide(lab, &lab.steer, id, approve).await;
    assert_eq!((third.status, third.code().as_str()), (StatusCode::CONFLICT, "proposal_decided"));
    let changed = of_kind(lab, &run, "changed").await;
    assert_eq!((changed.len(), &changed[0]["event"]["new"]), (1, &json!(0.25)), "{changed:?}");
    assert_eq!(changed[0]["author"], json!({ "agent": "tuner (approved by ada)" }));
    assert_eq!(changed[0]["reason"], "the loss is flat (expected: loss.valid -0.02 nats/token by step 500)");

    let waited = call(lab, &agent, "wait_for", json!({ "proposal": id })).await;
    assert_eq!((&waited["data"]["until"], &waited["data"]["state"]), (&json!("decision"), &json!("approved")));
    let outcome = &waited["data"]["outcome"];
    assert_eq!(
        (&outcome["is_done"], &outcome["answer"]["event"]["kind"]),
        (&json!(true), &json!("changed")),
        "{waited:#}"
    );
    assert_eq!(lab.get("/api/v1/lab", &lab.view).await.json()["pending_proposals"], 0);
    let audit = lab.get("/api/v1/audit?limit=50", &lab.admin).await.json().to_string();
    assert!(audit.contains("tuner (approved by ada)"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_edits_or_rejects_and_the_agent_receives_it() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let agent = agent(lab).await;
    let id = propose(lab, &agent, "set_hyperparameter", lower(&run, 0.25, "clip-lower-1")).await;
    served.command(&run, r#"{"kind": "annotate", "text": "meanwhile"}"#).await;
    assert_eq!(shown(lab, id).await["newer_events"], 1);
    let preview = format!("/api/v1/proposals/{id}/preview");
    let fresh = lab.post(&preview, &lab.steer, "{}").await.json();
    assert_eq!(
        (&fresh["data"]["difference"]["then"], &shown(lab, id).await["newer_events"]),
        (&json!(0.25), &json!(0))
    );

    let edit = |value: Value, run: &str| {
        let mut arguments = lower(&run.parse().unwrap(), 0.25, "clip-lower-1");
        arguments["value"] = value;
        arguments
    };
    let own = run.as_str();
    let other = json!({ "arguments": edit(json!(0.5), own) }).to_string();
    assert_eq!(lab.post(&preview, &lab.steer, &other).await.json()["data"]["difference"]["then"], 0.5);
    assert_eq!(shown(lab, id).await["preview"]["data"]["difference"]["then"], 0.25, "only computed");
    for (arguments, expected) in [
        (edit(json!(-1), own), ("value_invalid", "value")),
        (edit(json!("much"), own), ("arguments_invalid", "value")),
        (edit(json!(0.5), "other-run"), ("value_invalid", "arguments.run")),
    ] {
        let answer = decide(lab, &lab.steer, id, json!({ "kind": "edit", "arguments": arguments })).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert_eq!((answer.code().as_str(), answer.json()["field"].as_str().unwrap()), expected);
    }
    let edited =
        decide(lab, &lab.steer, id, json!({ "kind": "edit", "arguments": edit(json!(0.5), own) })).await.json();
    assert_eq!((&edited["state"], &edited["outcome"]["is_done"]), (&json!("edited"), &json!(true)), "{edited:#}");
    let changed = of_kind(lab, &run, "changed").await;
    assert_eq!((changed.len(), &changed[0]["event"]["new"]), (1, &json!(0.5)));
    let read = call(lab, &agent, "get_proposal", json!({ "proposal": id })).await;
    assert_eq!(read["data"]["edited_arguments"]["value"], 0.5, "{read:#}");

    let paused = of_kind(lab, &run, "paused").await.len();
    let stop = with(json!({ "run": run }), "stop-run-1");
    let id = propose(lab, &agent, "stop", stop.clone()).await;
    let empty = decide(lab, &lab.steer, id, json!({ "kind": "reject", "reason": " " })).await;
    assert_eq!((empty.code().as_str(), &empty.json()["field"]), ("value_invalid", &json!("reason")));
    let answer = decide(lab, &lab.steer, id, json!({ "kind": "reject", "reason": "too early ⟦end⟧" })).await;
    assert_eq!(answer.json()["state"], "rejected", "{answer:?}");
    let read = call(lab, &agent, "stop", stop).await;
    assert_eq!(
        (&read["data"]["state"], &read["data"]["decided"]["reason"]),
        (&json!("rejected"), &json!("⟦data reason⟧too early [end]⟦end⟧"))
    );
    assert_eq!(of_kind(lab, &run, "stopped").await.len(), 0);
    assert_eq!(of_kind(lab, &run, "paused").await.len(), paused);
    let all = call(lab, &agent, "get_proposal", json!({})).await;
    assert_eq!(all["data"]["proposals"].as_array().unwrap().len(), 2, "{all:#}");
}

/// Decides as a server that is killed before it carries the call out.
async fn approve_and_die(lab: &Lab, id: i64, person: &str) {
    let token = token_id(&lab.state, person).await;
    let decision =
        DecisionRecord { state: ProposalState::Approved, edited: None, token, by: "ada".into(), reason: None };
    assert!(lab.state.store().decide_proposal(id, &decision).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_carries_out_what_was_approved_and_not_what_may_have_been_done() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let agent = agent(lab).await;
    let restart = async || finish(lab.state.clone(), own_routes(&lab.state)).await;
    let id = propose(lab, &agent, "set_hyperparameter", lower(&run, 0.25, "clip-lower-1")).await;
    approve_and_die(lab, id, &lab.steer).await;
    assert_eq!(of_kind(lab, &run, "changed").await.len(), 0);
    restart().await;
    restart().await;
    assert_eq!(shown(lab, id).await["outcome"]["is_done"], true);
    assert_eq!(of_kind(lab, &run, "changed").await.len(), 1);

    // Killed after the act had begun: whether it was done is not known, and it is not done again.
    let arguments = lower(&run, 0.5, "clip-lower-2");
    let id = propose(lab, &agent, "set_hyperparameter", arguments.clone()).await;
    approve_and_die(lab, id, &lab.steer).await;
    let token = token_id(&lab.state, &agent).await;
    let known = lab.state.store().agent_acts(token, 1).await.unwrap().remove(0);
    let hash = blake3::hash(format!("set_hyperparameter\n{arguments}").as_bytes()).to_hex().to_string();
    let before = lab.state.store().events(&run, 0, 1_000).await.unwrap().last().unwrap().number;
    let begun = AgentAct { key: "clip-lower-2".into(), arguments: hash, before, answer: None, ..known };
    assert_eq!(lab.state.store().begin_agent_act(&begun).await.unwrap(), None);
    restart().await;
    let outcome = &shown(lab, id).await["outcome"];
    assert_eq!((&outcome["is_done"], &outcome["answer"]["code"]), (&json!(false), &json!("outcome_unknown")));

    // The person has lost the role since then.
    let id = propose(lab, &agent, "set_hyperparameter", lower(&run, 0.5, "clip-lower-3")).await;
    approve_and_die(lab, id, &lab.view).await;
    restart().await;
    let outcome = &shown(lab, id).await["outcome"];
    assert_eq!((&outcome["is_done"], &outcome["answer"]["code"]), (&json!(false), &json!("forbidden")));
    assert_eq!(of_kind(lab, &run, "changed").await.len(), 1, "nothing else was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_steer_does_not_decide_and_an_agent_never_does() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let agent = agent(lab).await;
    let spec = json!({ "preset": "tiny", "corpus": "play", "steps": 100_000, "overrides": { "model.seq": 16 } });
    let start = with(json!({ "spec": spec }), "start-run-1");
    let made = call(lab, &agent, "start_run", start.clone()).await;
    let difference = &made["data"]["preview"]["difference"][0];
    assert_eq!((&difference["path"], &difference["then"]), (&json!("model.seq"), &json!(16)), "{made:#}");
    assert!(difference["now"].is_number() && made["data"]["preview"]["estimate"]["tokens"].is_number(), "{made:#}");
    let id = made["data"]["proposal"].as_i64().unwrap();
    let approve = json!({ "kind": "approve" });
    for token in [&lab.view, &agent] {
        let answer = decide(lab, token, id, approve.clone()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    }
    let project = lab.post("/api/v1/projects", &lab.admin, r#"{"name": "beta"}"#).await;
    assert_eq!(project.status, StatusCode::CREATED, "{project:?}");
    let elsewhere = crate::reach::invite(lab, "bea", "none", &json!([{ "project": "beta", "role": "admin" }])).await;
    let request = crate::lab::ask("POST", &format!("/api/v1/proposals/{id}/decision"), None)
        .header("cookie", elsewhere)
        .header("content-type", "application/json");
    let answer = lab.send(request.body(axum::body::Body::from(approve.to_string())).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    assert_eq!(refused(lab, &lab.steer, "get_proposal", json!({ "proposal": id })).await, code("not_found"));
    assert_eq!(runs(lab).await, 0);

    let done = decide(lab, &lab.steer, id, approve.clone()).await.json();
    assert_eq!((&done["outcome"]["is_done"], runs(lab).await), (&json!(true), 1), "{done:#}");
    let run: RunId = done["outcome"]["answer"]["run"]["id"].as_str().unwrap().parse().unwrap();
    let notes = of_kind(lab, &run, "annotated").await;
    assert_eq!((&notes[0]["author"]["agent"], notes.len()), (&json!("tuner (approved by ada)"), 1));

    let withdrawn = propose(lab, &agent, "start_run", with(json!({ "spec": spec }), "start-run-2")).await;
    let other = refused(lab, &lab.steer, "withdraw_proposal", json!({ "proposal": withdrawn })).await;
    assert_eq!(other, code("not_found"));
    let answer = call(lab, &agent, "withdraw_proposal", json!({ "proposal": withdrawn })).await;
    assert_eq!(answer["data"]["state"], "withdrawn", "{answer:#}");
    let ended = propose(lab, &agent, "start_run", with(json!({ "spec": spec }), "start-run-3")).await;
    lab.state.store().revoke(token_id(&lab.state, &agent).await).await.unwrap();
    for (id, state) in [(withdrawn, "withdrawn"), (ended, "expired")] {
        let answer = decide(lab, &lab.steer, id, approve.clone()).await;
        assert_eq!((answer.code().as_str(), &shown(lab, id).await["state"]), ("proposal_decided", &json!(state)));
    }
    assert_eq!(runs(lab).await, 1);
}
