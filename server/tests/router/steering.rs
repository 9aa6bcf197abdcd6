//! Checkpoints, rollbacks, forks, control runs, undo and the queue, through the API.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::RunId;

use crate::lab::{Answer, ask};
use crate::scenarios::LabWithWorker;

impl LabWithWorker {
    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = ask(method, &format!("/api/v1{path}"), Some(&self.lab.steer));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        self.lab.send(request.unwrap()).await
    }

    async fn accepted(&self, run: &RunId, command: Value) -> Value {
        let answer = self.command(run, &command.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{command}: {:?}", answer.json());
        answer.json()
    }

    async fn refused(&self, run: &RunId, command: Value, code: &str, words: &[&str]) {
        refusal(&self.command(run, &command.to_string()).await, code, words);
    }
}

fn refusal(answer: &Answer, code: &str, words: &[&str]) {
    let error = answer.json();
    assert_eq!(error["code"].as_str(), Some(code), "{error:#}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in {error:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_saved_pinned_rolled_back_to_and_deleted() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    let path = format!("/runs/{run}/checkpoints");
    let list = async || served.lab.get(&format!("/api/v1{path}"), &served.lab.view).await.json();
    assert_eq!(list().await, json!([]));
    let audit = served.lab.get("/api/v1/audit?limit=1", &served.lab.admin).await.json();
    assert_eq!(audit["entries"][0]["action"], "command: pause", "{audit}");
    served
        .refused(&run, json!({"kind": "rollback", "checkpoint": "0-1"}), "checkpoint_gone", &["no checkpoints yet"])
        .await;
    let taken = served.accepted(&run, json!({"kind": "checkpoint", "reason": "before a change"})).await;
    let id = taken["event"]["checkpoint"]["id"].as_str().unwrap().to_owned();
    let step = taken["step"].as_u64().unwrap();
    assert_eq!(
        (list().await[0]["info"]["id"].as_str(), taken["reason"].as_str()),
        (Some(id.as_str()), Some("before a change"))
    );
    let pinned = served.send("PATCH", &format!("{path}/{id}"), &json!({"pinned": true})).await;
    assert_eq!(pinned.json()["is_pinned"], true, "{:?}", pinned.json());
    refusal(
        &served.send("PATCH", &format!("{path}/0-999999"), &json!({"pinned": true})).await,
        "not_found",
        &["lists"],
    );
    refusal(&served.send("DELETE", &format!("{path}/{id}"), &json!({})).await, "checkpoint_needed", &["only one"]);

    served.accepted(&run, json!({"kind": "resume"})).await;
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(step + 20)).await;
    let missing = json!({"kind": "rollback", "checkpoint": "0-999999"});
    served.refused(&run, missing, "checkpoint_gone", &[&id, "nothing was changed"]).await;
    let too_many = json!({"kind": "rollback", "checkpoint": id, "skip_batches": 2_000_000_000u64});
    served.refused(&run, too_many, "value_invalid", &["skip_batches"]).await;
    let back = served.accepted(&run, json!({"kind": "rollback", "checkpoint": id, "skip_batches": 9})).await;
    assert_eq!(
        (back["event"]["kind"].as_str(), back["segment"].as_u64(), back["step"].as_u64()),
        (Some("rolled_back"), Some(1), Some(step))
    );
    served.accepted(&run, json!({"kind": "stop"})).await;
    let view = served.reaches(&run, "stopped").await;
    assert_eq!(
        (view["segments"].as_array().unwrap().len(), view["lineage"].as_array().unwrap().len()),
        (2, 2),
        "{view:#}"
    );
    assert_eq!(view["hyperparameters"]["skipped"], 9);
    assert_eq!(served.send("DELETE", &format!("{path}/{id}"), &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(list().await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_sent_as_the_change_that_it_stands_for() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    served.refused(&run, json!({"kind": "undo"}), "nothing_to_undo", &[]).await;
    let set = served.accepted(&run, json!({"kind": "set", "path": "optimizer.grad_clip", "value": 0.25})).await;
    let number = set["number"].as_u64().unwrap();
    let undone = served.accepted(&run, json!({"kind": "undo"})).await;
    assert_eq!(
        (&undone["event"]["path"], &undone["event"]["new"]),
        (&json!("optimizer.grad_clip"), &set["event"]["old"])
    );
    assert!(
        undone["reason"].as_str().unwrap().starts_with("undoes the change of gradient clipping at step "),
        "{undone:#}"
    );
    served.refused(&run, json!({"kind": "undo", "event": 1}), "nothing_to_undo", &["one of"]).await;
    let by_rollback = json!({"kind": "undo", "event": number, "method": "rollback"});
    // The worker has not reported the checkpoint before the change, and then only one of the state after it.
    served.refused(&run, by_rollback.clone(), "checkpoint_pending", &["being written", "in a moment"]).await;
    let kept = served.accepted(&run, json!({"kind": "checkpoint"})).await["event"]["checkpoint"]["id"].clone();
    served.refused(&run, by_rollback, "checkpoint_gone", &["no longer kept", "inverse"]).await;

    // With a checkpoint from just before the change, it can be undone by a rollback.
    let set = served.accepted(&run, json!({"kind": "set", "path": "optimizer.grad_clip", "value": 0.125})).await;
    let back = served.accepted(&run, json!({"kind": "undo", "event": set["number"], "method": "rollback"})).await;
    assert_eq!((back["event"]["kind"].as_str(), &back["event"]["checkpoint"]), (Some("rolled_back"), &kept));
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    assert_eq!(view["hyperparameters"]["optimizer"]["grad_clip"], undone["event"]["new"]);
    served.refused(&run, json!({"kind": "undo", "event": back["number"]}), "no_inverse", &["rollback"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_schedule_is_refused_before_it_is_sent() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    let before =
        served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json()["hyperparameters"].clone();
    for (schedule, words) in [
        (json!({"learning_rate": {"curve": {"points": []}}}), "at least one point"),
        (json!({"learning_rate": {"curve": {"points": [[0, 1e-3]]}}}), "past"),
        (json!({"learning_rate": {"curve": {"points": [[900_000, -1.0]]}}}), "-1"),
        (json!({"mix": {"points": [{"step": 900_000, "weights": [0.0]}]}}), "are 0"),
        (json!({"mix": {"points": [{"step": 900_000, "weights": [1.0, 1.0]}]}}), "1 dataset"),
        (json!({"accumulation": {"changes": [[900_000, 0]]}}), "0 micro-batches"),
    ] {
        served
            .refused(&run, json!({"kind": "set_schedule", "schedule": schedule}), "value_invalid", &[words, "schedule"])
            .await;
    }
    let nan = r#"{"kind": "set_schedule", "schedule": {"learning_rate": {"curve": {"points": [[900000, NaN]]}}}}"#;
    refusal(&served.command(&run, nan).await, "json_malformed", &[]);
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    assert_eq!(view["hyperparameters"], before, "nothing changed");
    let longer = json!({"kind": "set_schedule", "schedule": {"learning_rate": {
        "curve": {"cosine": {"to_step": 2_000_000, "learning_rate": 1e-5}}, "steps": 2_000_000}}});
    served.accepted(&run, longer).await;
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    assert_eq!(view["summary"]["steps"], 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_missing_component_is_refused_before_it_is_sent() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    let edit = |component: Value, factor: f64| json!({"kind": "edit_weights", "interventions": [{"component": component, "factor": factor}]});
    for (command, words) in [
        (edit(json!({"head": {"layer": 99, "head": 0}}), 0.0), "block 99 does not exist"),
        (edit(json!({"neuron": {"layer": 0, "neuron": 999_999}}), 0.0), "neuron 999999 does not exist"),
        (edit(json!({"position": {"at": 0}}), 0.0), "not in the weights"),
        (edit(json!({"mlp": {"layer": 0}}), 1e9), "factor"),
        (edit(json!({"mlp": {"layer": 0}}), 1.0), "changes nothing"),
        (json!({"kind": "edit_weights", "interventions": []}), "changes nothing"),
    ] {
        served.refused(&run, command, "value_invalid", &[words, "interventions"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_fork_is_refused_and_a_valid_one_begins_with_its_changes() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    let taken = served.accepted(&run, json!({"kind": "checkpoint"})).await;
    let (id, step) = (taken["event"]["checkpoint"]["id"].clone(), taken["step"].as_u64().unwrap());
    for (spec, field, words) in [
        (json!({"parent": {"run": "nobody"}}), "parent.run", "nobody"),
        (json!({"parent": {"run": run, "checkpoint": "0-777777"}}), "parent.checkpoint", id.as_str().unwrap()),
        (json!({"parent": {"run": run, "step": 777_777}}), "parent.step", id.as_str().unwrap()),
        (json!({"parent": {"run": run, "step": step + 1, "checkpoint": id}}), "parent.step", "not both"),
        (json!({"parent": {"run": run, "checkpoint": id}, "preset": "tiny"}), "preset", "keeps"),
        (
            json!({"parent": {"run": run, "checkpoint": id}, "overrides": {"optimizer.learning_rate": 1}}),
            "overrides.optimizer.learning_rate",
            "changes",
        ),
        (
            json!({"parent": {"run": run, "checkpoint": id, "changes": [{"kind": "pause"}]}}),
            "parent.changes[0]",
            "set, set_schedule and edit_weights",
        ),
        (
            json!({"parent": {"run": run, "checkpoint": id, "changes": [{"kind": "set", "path": "optimizer.grad_clip", "value": -1}]}}),
            "parent.changes[0]",
            "-1",
        ),
        (json!({"parent": {"run": run, "checkpoint": id}, "steps": 0}), "steps", "would train no steps"),
        (json!({"parent": {"run": run, "checkpoint": id}, "device": "nowhere"}), "device", "nowhere"),
    ] {
        for path in ["/runs", "/plan"] {
            let answer = served.send("POST", path, &spec).await;
            assert_eq!(
                (answer.status.as_u16(), answer.json()["field"].as_str()),
                (422, Some(field)),
                "{spec}: {:#}",
                answer.json()
            );
            assert!(answer.json().to_string().contains(words), "{spec}: {:#}", answer.json());
        }
    }
    let runs = served.lab.get("/api/v1/runs", &served.lab.view).await.json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "nothing was created");

    let spec = json!({"name": "other clipping", "priority": 4, "steps": step + 40, "parent": {"run": run, "step": step,
        "changes": [{"kind": "set", "path": "optimizer.grad_clip", "value": 0.5, "reason": "tighter"}]}});
    let view = served.send("POST", "/runs", &spec).await.json();
    let fork: RunId = view["summary"]["id"].as_str().unwrap_or_else(|| panic!("{view:#}")).parse().unwrap();
    assert_eq!(
        (
            view["summary"]["step"].as_u64(),
            view["summary"]["priority"].as_i64(),
            &view["hyperparameters"]["optimizer"]["grad_clip"]
        ),
        (Some(step), Some(4), &json!(0.5))
    );
    assert_eq!((&view["summary"]["parent"]["run"], &view["summary"]["parent"]["checkpoint"]), (&json!(run), &id));
    assert_eq!(view["lineage"][0]["run"], json!(run));
    refusal(
        &served.send("DELETE", &format!("/runs/{run}/checkpoints/{}", id.as_str().unwrap()), &json!({})).await,
        "checkpoint_needed",
        &[fork.as_str()],
    );

    // Of a run that is being trained, a checkpoint is saved where the spec names none.
    let now = served.send("POST", "/runs", &json!({"parent": {"run": run}})).await.json();
    assert_eq!(now["summary"]["step"].as_u64(), Some(step), "{now:#}");
    served.accepted(&run, json!({"kind": "stop"})).await;
    let done = served.reaches(&fork, "finished").await;
    assert_eq!(done["summary"]["step"].as_u64(), Some(step + 40));
    let compared = served.lab.get(&format!("/api/v1/runs/{fork}/compare?with={run}"), &served.lab.view).await.json();
    assert_eq!(compared["common_from"], Value::Null, "the parent has trained no further: {compared:#}");
    refusal(
        &served.lab.get(&format!("/api/v1/runs/{fork}/compare?with=nobody"), &served.lab.view).await,
        "not_found",
        &[],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_run_leaves_the_command_out() {
    let served = LabWithWorker::open().await;
    let run = served.paused(1_000_000).await;
    let pause = served.send("POST", &format!("/runs/{run}/commands?control=true"), &json!({"kind": "evaluate"})).await;
    refusal(&pause, "no_control", &["set, set_schedule"]);
    let body = json!({"kind": "set", "path": "optimizer.grad_clip", "value": 0.125});
    let answer = served.send("POST", &format!("/runs/{run}/commands?control=true"), &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.json());
    let control = answer.headers["kindling-control"].to_str().unwrap().to_owned();
    let view = served.lab.get(&format!("/api/v1/runs/{control}"), &served.lab.view).await.json();
    assert_eq!(view["summary"]["parent"]["control_of"], answer.json()["number"]);
    assert!(view["summary"]["name"].as_str().unwrap().ends_with(" control"), "{view:#}");
    assert_eq!(view["hyperparameters"]["optimizer"]["grad_clip"], answer.json()["event"]["old"]);
    let events = served.lab.get(&format!("/api/v1/runs/{run}/events"), &served.lab.view).await.json();
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|record| record["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["checkpointed", "changed"]);
    let viewer = served
        .lab
        .post(&format!("/api/v1/runs/{run}/commands?control=true"), &served.lab.view, &body.to_string())
        .await;
    assert_eq!(viewer.code(), "forbidden");
    let viewer = served.lab.post("/api/v1/runs", &served.lab.view, &json!({"parent": {"run": run}}).to_string()).await;
    assert_eq!(viewer.code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_suspended_resumed_and_continued_after_a_stop() {
    let served = LabWithWorker::open().await;
    let run = served.start(1_000_000).await;
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(10)).await;
    served.accepted(&run, json!({"kind": "checkpoint"})).await;
    assert_eq!(served.accepted(&run, json!({"kind": "suspend"})).await["event"]["kind"], "suspended");
    let suspended = served.reaches(&run, "suspended").await["summary"]["step"].as_u64().unwrap();
    served
        .refused(&run, json!({"kind": "set", "path": "optimizer.grad_clip", "value": 1}), "run_suspended", &["resume"])
        .await;
    let other = served.start(5).await;
    served.reaches(&other, "finished").await;
    assert_eq!(served.accepted(&run, json!({"kind": "resume"})).await["event"]["kind"], "resumed");
    served
        .wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(suspended + 10))
        .await;
    served.accepted(&run, json!({"kind": "stop"})).await;
    let stopped = served.reaches(&run, "stopped").await["summary"]["step"].as_u64().unwrap();
    // Resumed at once, while its worker may still be releasing it.
    served.accepted(&run, json!({"kind": "resume", "reason": "continue after all"})).await;
    served
        .wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(stopped + 10))
        .await;
    served.accepted(&run, json!({"kind": "suspend"})).await;
    served.reaches(&run, "suspended").await;
    served.accepted(&run, json!({"kind": "stop"})).await;
    served.reaches(&run, "stopped").await;
    let total = served.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &served.lab.view).await.json();
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    assert_eq!(total[0]["total"], view["summary"]["step"], "each step once");
    served.refused(&other, json!({"kind": "resume"}), "run_over", &["fork"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_orders_by_priority_and_is_limited() {
    let served = LabWithWorker::open().await;
    let first = served.start(1_000_000).await;
    served.reaches(&first, "running").await;
    let spec = |device: Option<&str>, priority: i64| {
        let mut spec = json!({"preset": "tiny", "corpus": "play", "steps": 5, "priority": priority, "overrides": {"model.seq": 16}});
        device.into_iter().for_each(|device| spec["device"] = json!(device));
        spec
    };
    let make = async |spec: Value| {
        let view = served.send("POST", "/runs", &spec).await.json();
        view["summary"]["id"].as_str().unwrap_or_else(|| panic!("{view:#}")).to_owned()
    };
    let place = async |run: &str| {
        served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json()["summary"]["queue_place"].clone()
    };
    let (plain, urgent) = (make(spec(None, 0)).await, make(spec(Some("cpu"), 7)).await);
    assert_eq!((place(&urgent).await, place(&plain).await), (json!(1), json!(2)));
    let patched = served.send("PATCH", &format!("/runs/{plain}"), &json!({"priority": 8})).await;
    assert_eq!((patched.json()["priority"].as_i64(), place(&plain).await), (Some(8), json!(1)));
    refusal(
        &served.send("PATCH", &format!("/runs/{plain}"), &json!({"priority": 5000})).await,
        "value_invalid",
        &["priority"],
    );
    let waiting = served.send("POST", "/plan", &spec(Some("gpu"), 0)).await.json();
    assert!(waiting["notes"].to_string().contains("No GPU has connected yet"), "{waiting:#}");
    let for_gpu = make(spec(Some("gpu"), 0)).await;
    for _ in 2..100 {
        make(spec(None, 0)).await;
    }
    refusal(
        &served.send("POST", "/runs", &spec(None, 0)).await,
        "queue_full",
        &["100 runs are queued", "--queue-limit"],
    );
    served.accepted(&first, json!({"kind": "stop"})).await;
    served.reaches(&urgent.parse().unwrap(), "finished").await;
    assert_eq!(place(&for_gpu).await, json!(1), "it waits for a GPU");
}
