//! Agents over HTTP and MCP: mode, scopes and budgets, the stop button, and undoing what an agent did.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::RunId;

use crate::lab::{Answer, Lab, ask};
use crate::mcp;
use crate::reach::{filled, routes};
use crate::run_table::run;
use crate::scenarios::LabWithWorker;

/// Requests that only compute something.
const COMPUTING: [&str; 5] = ["/plan", "/sweeps/preview", "/completions", "/runs/{id}/inspections", "/live/poll"];
/// Requests that need no token, and those of browsers and machines.
const OTHERS: [&str; 5] = ["/session", "/session/password", "/invitations/accept", "/join", "/transfer/"];

/// Creates an agent; returns the id and the text of its token.
async fn agent(lab: &Lab, name: &str, limits: &Value) -> (i64, String) {
    let role = if limits["mode"] == "read" { "view" } else { "steer" };
    let new = json!({ "name": name, "role": role, "limits": limits }).to_string();
    let made = lab.post("/api/v1/tokens", &lab.admin, &new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    (made["token"]["id"].as_i64().unwrap(), made["text"].as_str().unwrap().to_owned())
}

async fn put(lab: &Lab, path: &str, body: &Value) -> Answer {
    let request = ask("PUT", path, Some(&lab.admin)).header("content-type", "application/json");
    lab.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn command(lab: &Lab, token: &str, run: &RunId, body: &Value) -> Answer {
    lab.post(&format!("/api/v1/runs/{run}/commands"), token, &body.to_string()).await
}

async fn events(lab: &Lab, run: &RunId) -> Vec<Value> {
    lab.get(&format!("/api/v1/runs/{run}/events"), &lab.view).await.json().as_array().unwrap().clone()
}

/// Starts a run with a token.
async fn start(lab: &Lab, token: &str, steps: u64) -> Answer {
    let spec = json!({ "preset": "tiny", "corpus": "play", "steps": steps, "overrides": { "model.seq": 16 } });
    lab.post("/api/v1/runs", token, &spec.to_string()).await
}

fn id_of(started: &Answer) -> RunId {
    assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
    started.json()["summary"]["id"].as_str().unwrap().parse().unwrap()
}

/// Code and field of a refusal.
fn refusal(answer: &Answer) -> (String, Value) {
    (answer.code(), answer.json()["field"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_agent_changes_nothing_by_any_route_and_one_that_proposes_needs_approval() {
    let lab = Lab::open().await;
    let (_, reads) = agent(&lab, "reader", &json!({ "mode": "read" })).await;
    let (_, proposes) = agent(&lab, "proposer", &json!({ "mode": "propose" })).await;
    let mut checked = 0;
    for (method, pattern) in routes() {
        let below = pattern.strip_prefix("/api/v1").unwrap_or(&pattern);
        let is_other = OTHERS.iter().any(|other| below == *other || other.ends_with('/') && below.starts_with(other));
        if method == "GET" || is_other || method == "POST" && COMPUTING.contains(&below) {
            continue;
        }
        for (token, code) in [(&reads, "agent_read_only"), (&proposes, "approval_needed")] {
            let answer = lab.send(ask(&method, &filled(&pattern), Some(token)).body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, code.to_owned()), "{method} {pattern}");
        }
        checked += 1;
    }
    assert!(checked > 50, "{checked} routes");
    assert_eq!(lab.get("/api/v1/runs", &reads).await.status, StatusCode::OK, "it reads");
    lab.state.store().create_run(&run("amber-fox", 1)).await.unwrap();
    let tool = json!({ "run": "amber-fox", "reason": "flat", "idempotency_key": "pause-it-1" });
    assert_eq!(mcp::refused(&lab, &reads, "pause", tool).await, mcp::code("agent_read_only"));
    for (role, limits) in [("admin", json!({})), ("steer", json!({ "budgets": { "device_hours": -1.0 } }))] {
        let new = json!({ "name": "bad", "role": role, "limits": limits }).to_string();
        assert_eq!(lab.post("/api/v1/tokens", &lab.admin, &new).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_acts_within_its_scopes_and_budgets_and_the_journal_names_it() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let limits = json!({
        "mode": "act", "commands": ["add_note", "start_run", "resume"], "budgets": { "steps": 100, "runs_at_once": 1 },
    });
    let (id, token) = agent(lab, "tuner", &limits).await;

    let pause = command(lab, &token, &run, &json!({ "kind": "pause" })).await;
    assert_eq!((pause.status, pause.code()), (StatusCode::FORBIDDEN, "agent_scope".to_owned()));
    assert!(pause.json()["message"].as_str().unwrap().contains("add_note, start_run, resume"), "{pause:?}");
    let deleted = lab.delete(&format!("/api/v1/runs/{run}"), &token).await;
    assert_eq!((deleted.status, deleted.code()), (StatusCode::FORBIDDEN, "agent_forbidden".to_owned()));
    let request = ask("POST", &format!("/api/v1/runs/{run}/commands"), Some(&token))
        .header("content-type", "application/json")
        .header("kindling-model", "opus) by ada")
        .header("kindling-conversation", "7f3a");
    let note = json!({ "kind": "annotate", "text": "flat" }).to_string();
    let noted = lab.send(request.body(Body::from(note)).unwrap()).await;
    assert_eq!(noted.json()["author"], json!({ "agent": "tuner (model opus by ada, conversation 7f3a)" }), "{noted:?}");
    let tool = json!({
        "run": run, "text": "flat too", "reason": "for the record", "idempotency_key": "note-it-1", "model": "haiku",
    });
    mcp::call(lab, &token, "add_note", tool).await;
    let journal = events(lab, &run).await;
    assert_eq!(journal.last().unwrap()["author"], json!({ "agent": "tuner (model haiku)" }), "{journal:#?}");

    let long = start(lab, &token, 200).await;
    assert_eq!((long.status, refusal(&long)), (StatusCode::CONFLICT, ("agent_budget".to_owned(), json!("steps"))));
    let message = long.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("100 steps are left, and this needs 200 steps"), "{message}");
    // The person's run trains a million steps.
    let resumed = command(lab, &token, &run, &json!({ "kind": "resume" })).await;
    assert_eq!(refusal(&resumed), ("agent_budget".to_owned(), json!("steps")));
    let spec = json!({ "preset": "tiny", "corpus": "play", "steps": 101, "overrides": { "model.seq": 16 } });
    let tool = json!({ "spec": spec, "reason": "try it", "idempotency_key": "start-it-1" });
    assert_eq!(mcp::refused(lab, &token, "start_run", tool).await, mcp::at("agent_budget", "steps"));
    // The device is taken by the paused run.
    let queued = id_of(&start(lab, &token, 60).await);
    let second = start(lab, &token, 30).await;
    assert_eq!(refusal(&second), ("agent_budget".to_owned(), json!("runs_at_once")));

    let listed = lab.get("/api/v1/agents", &lab.admin).await.json();
    let shown = &listed[0];
    assert_eq!((shown["id"].as_i64(), &shown["state"], &shown["unfinished"]), (Some(id), &json!("active"), &json!(1)));
    assert_eq!(shown["uses"][1], json!({ "budget": "steps", "used": 0.0, "reserved": 60.0, "most": 100.0 }));
    assert_eq!(shown["actions"].as_array().unwrap().len(), 3, "two notes and a run: {shown:#}");
    assert_eq!(lab.get("/api/v1/agents", &lab.steer).await.json(), json!([]), "only who manages it sees it");

    // Scopes of runs: its own and those that are named.
    let changed = json!({ "mode": "act", "runs": [], "budgets": {} });
    let path = format!("/api/v1/agents/{id}/limits");
    assert_eq!(put(lab, &path, &changed).await.status, StatusCode::OK);
    let note = json!({ "kind": "annotate", "text": "mine" });
    let refused = command(lab, &token, &run, &note).await;
    let expected = format!("the agent \"tuner\" may change only the runs that it has started. It may not change {run}");
    assert_eq!((refused.code().as_str(), refused.json()["message"].as_str()), ("agent_scope", Some(expected.as_str())));
    assert_eq!(command(lab, &token, &queued, &note).await.status, StatusCode::OK);
    // An agent cannot change its own limits.
    let own = ask("PUT", &path, Some(&token)).header("content-type", "application/json");
    let own = lab.send(own.body(Body::from(changed.to_string())).unwrap()).await;
    assert_eq!(own.code(), "agent_forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_stopped_its_runs_are_paused_and_what_it_did_is_undone_once() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(server::runs::agents::budgets::serve(lab.state.clone()));
    let run = served.paused(1_000_000).await;
    let (id, token) = agent(lab, "tuner", &json!({ "mode": "act" })).await;
    let set = async |token: &str, value: f64| {
        let change = json!({ "kind": "set", "path": "optimizer.grad_clip", "value": value });
        let answer = command(lab, token, &run, &change).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()["event"]["old"].as_f64().unwrap()
    };
    let before = set(&token, 0.25).await;
    set(&token, 0.125).await;
    command(lab, &token, &run, &json!({ "kind": "annotate", "text": "lower" })).await;

    let undo = format!("/api/v1/agents/{id}/undo");
    let preview = lab.get(&undo, &lab.admin).await.json();
    let reverts = |entries: &Value| -> Vec<Value> {
        entries.as_array().unwrap().iter().map(|entry| entry["revert"].clone()).collect()
    };
    assert_eq!(
        reverts(&preview),
        [Value::Null, Value::Null, json!("undo")],
        "note, second and first change: {preview:#}"
    );
    assert_eq!(lab.get(&undo, &lab.steer).await.status, StatusCode::NOT_FOUND);
    let done = lab.post(&undo, &lab.admin, "").await.json();
    let count = |done: &Value| done.as_array().unwrap().iter().filter(|entry| entry["is_done"] == true).count();
    assert_eq!(count(&done), 1, "{done:#}");
    let changed = |events: &[Value]| -> Vec<Value> {
        events.iter().filter(|record| record["event"]["kind"] == "changed").cloned().collect()
    };
    let journal = changed(&events(lab, &run).await);
    let last = journal.last().unwrap();
    assert_eq!(
        (journal.len(), &last["author"], &last["event"]["new"]),
        (3, &json!({ "person": "ada" }), &json!(before))
    );
    assert_eq!(count(&lab.post(&undo, &lab.admin, "").await.json()), 0, "it is undone once");
    assert_eq!(changed(&events(lab, &run).await).len(), 3);
    // What a person has changed since stays.
    set(&token, 0.5).await;
    set(&lab.steer, 0.75).await;
    let preview = lab.get(&undo, &lab.admin).await.json();
    assert!(reverts(&preview).iter().all(Value::is_null), "{preview:#}");
    assert!(preview.to_string().contains("ada changed it again"), "{preview:#}");

    // The device is free for the run of the agent.
    command(lab, &lab.steer, &run, &json!({ "kind": "stop" })).await;
    let own = id_of(&start(lab, &token, 1_000_000).await);
    served.reaches(&own, "running").await;
    let stopped = lab.post(&format!("/api/v1/agents/{id}/stop"), &lab.admin, "").await.json();
    assert_eq!(
        (&stopped["revoked"], &stopped["paused"], &stopped["failed"]),
        (&json!(1), &json!([own]), &json!([])),
        "{stopped:#}"
    );
    assert_eq!(lab.get("/api/v1/me", &token).await.status, StatusCode::UNAUTHORIZED);
    served.reaches(&own, "paused").await;
    let journal = events(lab, &own).await;
    let paused = journal.iter().find(|record| record["event"]["kind"] == "paused").unwrap();
    assert_eq!(
        (&paused["author"], &paused["reason"]),
        (&json!({ "person": "ada" }), &json!("stops the agent \"tuner\""))
    );
    assert_eq!(lab.get("/api/v1/agents", &lab.admin).await.json()[0]["state"], "stopped");
    let done = lab.post(&undo, &lab.admin, "").await.json();
    assert_eq!((count(&done), &done[0]["revert"]), (1, &json!("stop")), "{done:#}");
    served.reaches(&own, "stopped").await;

    // A run whose budget is used up is paused by the server.
    let (id, token) = agent(lab, "tuner", &json!({ "mode": "act" })).await;
    let own = id_of(&start(lab, &token, 1_000_000).await);
    served.wait_until(&format!("/api/v1/runs/{own}"), |view| view["summary"]["step"].as_u64() > Some(1)).await;
    let least = json!({ "mode": "act", "budgets": { "steps": 1 } });
    assert_eq!(put(lab, &format!("/api/v1/agents/{id}/limits"), &least).await.status, StatusCode::OK);
    served.reaches(&own, "paused").await;
    let journal = events(lab, &own).await;
    let paused = journal.iter().find(|record| record["event"]["kind"] == "paused").unwrap();
    assert_eq!(paused["author"], "system");
    let reason = paused["reason"].as_str().unwrap();
    assert!(reason.starts_with("the agent \"tuner\" has used up its budget"), "{reason}");
}
