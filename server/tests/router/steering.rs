//! A hand on the dial: checkpoints, rollbacks, forks, twins, undo and the queue, as the API answers them.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::RunId;

use crate::lab::{Answer, ask};
use crate::stories::Staffed;

impl Staffed {
    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = ask(method, &format!("/api/v1{path}"), Some(&self.lab.steer));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        self.lab.send(request.unwrap()).await
    }

    async fn tell(&self, run: &RunId, command: Value) -> Value {
        let answer = self.command(run, &command.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{command}: {:?}", answer.json());
        answer.json()
    }

    async fn refused(&self, run: &RunId, command: Value, code: &str, words: &[&str]) {
        refusal(&self.command(run, &command.to_string()).await, code, words);
    }

    async fn paused(&self, steps: u64) -> RunId {
        let run = self.start(steps).await;
        self.stands(&run, "running").await;
        self.tell(&run, json!({"kind": "pause"})).await;
        self.stands(&run, "paused").await;
        run
    }
}

fn refusal(answer: &Answer, code: &str, words: &[&str]) {
    let said = answer.json();
    assert_eq!(said["code"].as_str(), Some(code), "{said:#}");
    for word in words {
        assert!(said.to_string().contains(word), "{word:?} is not in {said:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_taken_pinned_gone_back_to_and_deleted() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    let path = format!("/runs/{run}/checkpoints");
    let list = async || staffed.lab.get(&format!("/api/v1{path}"), &staffed.lab.view).await.json();
    assert_eq!(list().await, json!([]));
    staffed.refused(&run, json!({"kind": "rollback", "checkpoint": "0-1"}), "checkpoint_gone", &["none yet"]).await;
    let taken = staffed.tell(&run, json!({"kind": "checkpoint", "reason": "before lunch"})).await;
    let id = taken["event"]["checkpoint"]["id"].as_str().unwrap().to_owned();
    let step = taken["step"].as_u64().unwrap();
    assert_eq!(
        (list().await[0]["info"]["id"].as_str(), taken["reason"].as_str()),
        (Some(id.as_str()), Some("before lunch"))
    );
    let pinned = staffed.send("PATCH", &format!("{path}/{id}"), &json!({"pinned": true})).await;
    assert_eq!(pinned.json()["is_pinned"], true, "{:?}", pinned.json());
    refusal(
        &staffed.send("PATCH", &format!("{path}/0-999999"), &json!({"pinned": true})).await,
        "not_found",
        &["lists"],
    );
    refusal(&staffed.send("DELETE", &format!("{path}/{id}"), &json!({})).await, "checkpoint_needed", &["only one"]);

    staffed.tell(&run, json!({"kind": "resume"})).await;
    staffed.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(step + 20)).await;
    let missing = json!({"kind": "rollback", "checkpoint": "0-999999"});
    staffed.refused(&run, missing, "checkpoint_gone", &[&id, "nothing was changed"]).await;
    let too_many = json!({"kind": "rollback", "checkpoint": id, "skip_batches": 2_000_000_000u64});
    staffed.refused(&run, too_many, "value_invalid", &["skip_batches"]).await;
    let back = staffed.tell(&run, json!({"kind": "rollback", "checkpoint": id, "skip_batches": 9})).await;
    assert_eq!(
        (back["event"]["kind"].as_str(), back["segment"].as_u64(), back["step"].as_u64()),
        (Some("rolled_back"), Some(1), Some(step))
    );
    staffed.tell(&run, json!({"kind": "stop"})).await;
    let view = staffed.stands(&run, "stopped").await;
    assert_eq!(
        (view["segments"].as_array().unwrap().len(), view["lineage"].as_array().unwrap().len()),
        (2, 2),
        "{view:#}"
    );
    assert_eq!(view["dials"]["skipped"], 9);
    assert_eq!(staffed.send("DELETE", &format!("{path}/{id}"), &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(list().await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_travels_as_the_change_it_stands_for() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    staffed.refused(&run, json!({"kind": "undo"}), "nothing_to_undo", &[]).await;
    let set = staffed.tell(&run, json!({"kind": "set", "field": "clip", "value": 0.25})).await;
    let number = set["number"].as_u64().unwrap();
    let undone = staffed.tell(&run, json!({"kind": "undo"})).await;
    assert_eq!((&undone["event"]["field"], &undone["event"]["new"]), (&json!("clip"), &set["event"]["old"]));
    assert!(undone["reason"].as_str().unwrap().starts_with(&format!("undoes #{number}: clip")), "{undone:#}");
    staffed.refused(&run, json!({"kind": "undo", "event": 1}), "nothing_to_undo", &["one of"]).await;
    let way = json!({"kind": "undo", "event": number, "way": "rollback"});
    staffed.refused(&run, way, "checkpoint_gone", &["just before", "opposite"]).await;

    // With a checkpoint from just before, there is a way back.
    let kept = staffed.tell(&run, json!({"kind": "checkpoint"})).await["event"]["checkpoint"]["id"].clone();
    let set = staffed.tell(&run, json!({"kind": "set", "field": "clip", "value": 0.125})).await;
    let back = staffed.tell(&run, json!({"kind": "undo", "event": set["number"], "way": "rollback"})).await;
    assert_eq!((back["event"]["kind"].as_str(), &back["event"]["checkpoint"]), (Some("rolled_back"), &kept));
    let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
    assert_eq!(view["dials"]["clip"], undone["event"]["new"]);
    staffed.refused(&run, json!({"kind": "undo", "event": back["number"]}), "no_inverse", &["rollback"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_course_that_cannot_be_followed_is_refused_before_it_travels() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    let before = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json()["dials"].clone();
    for (course, words) in [
        (json!({"rate": {"bend": {"points": []}}}), "at least one point"),
        (json!({"rate": {"bend": {"points": [[0, 1e-3]]}}}), "past"),
        (json!({"rate": {"bend": {"points": [[900_000, -1.0]]}}}), "-1"),
        (json!({"mix": {"points": [{"step": 900_000, "weights": [0.0]}]}}), "are 0"),
        (json!({"mix": {"points": [{"step": 900_000, "weights": [1.0, 1.0]}]}}), "1 texts"),
        (json!({"passes": {"stairs": [[900_000, 0]]}}), "0 passes"),
    ] {
        staffed.refused(&run, json!({"kind": "redraw", "course": course}), "value_invalid", &[words, "course"]).await;
    }
    let nan = r#"{"kind": "redraw", "course": {"rate": {"bend": {"points": [[900000, NaN]]}}}}"#;
    refusal(&staffed.command(&run, nan).await, "json_malformed", &[]);
    let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
    assert_eq!(view["dials"], before, "nothing changed");
    let longer = json!({"kind": "redraw", "course": {"rate": {"bend": {"cosine": {"to_step": 2_000_000, "rate": 1e-5}}, "steps": 2_000_000}}});
    staffed.tell(&run, longer).await;
    let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
    assert_eq!(view["summary"]["steps"], 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_on_what_the_model_does_not_have_are_refused_before_they_travel() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    let edit = |part: Value, factor: f64| json!({"kind": "edit", "edits": [{"part": part, "factor": factor}]});
    for (command, words) in [
        (edit(json!({"head": {"layer": 99, "head": 0}}), 0.0), "no block 99"),
        (edit(json!({"unit": {"layer": 0, "unit": 999_999}}), 0.0), "no unit 999999"),
        (edit(json!({"position": {"at": 0}}), 0.0), "of a text"),
        (edit(json!({"mlp": {"layer": 0}}), 1e9), "factor"),
        (edit(json!({"mlp": {"layer": 0}}), 1.0), "changes nothing"),
        (json!({"kind": "edit", "edits": []}), "changes nothing"),
    ] {
        staffed.refused(&run, command, "value_invalid", &[words, "edits"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_refused_with_its_field_and_made_with_its_changes() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    let taken = staffed.tell(&run, json!({"kind": "checkpoint"})).await;
    let (id, step) = (taken["event"]["checkpoint"]["id"].clone(), taken["step"].as_u64().unwrap());
    for (spec, field, words) in [
        (json!({"parent": {"run": "nobody"}}), "parent.run", "nobody"),
        (json!({"parent": {"run": run, "checkpoint": "0-777777"}}), "parent.checkpoint", id.as_str().unwrap()),
        (json!({"parent": {"run": run, "step": 777_777}}), "parent.step", id.as_str().unwrap()),
        (json!({"parent": {"run": run, "step": step + 1, "checkpoint": id}}), "parent.step", "one of them"),
        (json!({"parent": {"run": run, "checkpoint": id}, "preset": "tiny"}), "preset", "carries"),
        (
            json!({"parent": {"run": run, "checkpoint": id}, "overrides": {"optimizer.rate": 1}}),
            "overrides.optimizer.rate",
            "changes",
        ),
        (
            json!({"parent": {"run": run, "checkpoint": id, "changes": [{"kind": "pause"}]}}),
            "parent.changes[0]",
            "set, redraw and edit",
        ),
        (
            json!({"parent": {"run": run, "checkpoint": id, "changes": [{"kind": "set", "field": "clip", "value": -1}]}}),
            "parent.changes[0]",
            "-1",
        ),
        (json!({"parent": {"run": run, "checkpoint": id}, "steps": 0}), "steps", "begins at step"),
        (json!({"parent": {"run": run, "checkpoint": id}, "device": "nowhere"}), "device", "nowhere"),
    ] {
        for path in ["/runs", "/plan"] {
            let answer = staffed.send("POST", path, &spec).await;
            assert_eq!(
                (answer.status.as_u16(), answer.json()["field"].as_str()),
                (422, Some(field)),
                "{spec}: {:#}",
                answer.json()
            );
            assert!(answer.json().to_string().contains(words), "{spec}: {:#}", answer.json());
        }
    }
    let runs = staffed.lab.get("/api/v1/runs", &staffed.lab.view).await.json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "nothing is made");

    let spec = json!({"name": "bolder", "priority": 4, "steps": step + 40, "parent": {"run": run, "step": step,
        "changes": [{"kind": "set", "field": "clip", "value": 0.5, "reason": "tighter"}]}});
    let view = staffed.send("POST", "/runs", &spec).await.json();
    let fork: RunId = view["summary"]["id"].as_str().unwrap_or_else(|| panic!("{view:#}")).parse().unwrap();
    assert_eq!(
        (view["summary"]["step"].as_u64(), view["summary"]["priority"].as_i64(), &view["dials"]["clip"]),
        (Some(step), Some(4), &json!(0.5))
    );
    assert_eq!((&view["summary"]["parent"]["run"], &view["summary"]["parent"]["checkpoint"]), (&json!(run), &id));
    assert_eq!(view["lineage"][0]["run"], json!(run));
    refusal(
        &staffed.send("DELETE", &format!("/runs/{run}/checkpoints/{}", id.as_str().unwrap()), &json!({})).await,
        "checkpoint_needed",
        &[fork.as_str()],
    );

    // A run at work of which no checkpoint is named gives one at once.
    let now = staffed.send("POST", "/runs", &json!({"parent": {"run": run}})).await.json();
    assert_eq!(now["summary"]["step"].as_u64(), Some(step), "{now:#}");
    staffed.tell(&run, json!({"kind": "stop"})).await;
    let done = staffed.stands(&fork, "finished").await;
    assert_eq!(done["summary"]["step"].as_u64(), Some(step + 40));
    let compared = staffed.lab.get(&format!("/api/v1/runs/{fork}/compare?with={run}"), &staffed.lab.view).await.json();
    assert_eq!(compared["common_from"], Value::Null, "the parent has trained no further: {compared:#}");
    refusal(
        &staffed.lab.get(&format!("/api/v1/runs/{fork}/compare?with=nobody"), &staffed.lab.view).await,
        "not_found",
        &[],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_not_told_of_the_command() {
    let staffed = Staffed::open().await;
    let run = staffed.paused(1_000_000).await;
    let pause = staffed.send("POST", &format!("/runs/{run}/commands?twin=true"), &json!({"kind": "evaluate"})).await;
    refusal(&pause, "no_twin", &["set, redraw"]);
    let body = json!({"kind": "set", "field": "clip", "value": 0.125});
    let answer = staffed.send("POST", &format!("/runs/{run}/commands?twin=true"), &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.json());
    let twin = answer.headers["kindling-twin"].to_str().unwrap().to_owned();
    let view = staffed.lab.get(&format!("/api/v1/runs/{twin}"), &staffed.lab.view).await.json();
    assert_eq!(view["summary"]["parent"]["twin_of"], answer.json()["number"]);
    assert!(view["summary"]["name"].as_str().unwrap().ends_with(" twin"), "{view:#}");
    assert_eq!(view["dials"]["clip"], answer.json()["event"]["old"]);
    let events = staffed.lab.get(&format!("/api/v1/runs/{run}/events"), &staffed.lab.view).await.json();
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|record| record["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["checkpointed", "changed"]);
    let viewer =
        staffed.lab.post(&format!("/api/v1/runs/{run}/commands?twin=true"), &staffed.lab.view, &body.to_string()).await;
    assert_eq!(viewer.code(), "forbidden");
    let viewer =
        staffed.lab.post("/api/v1/runs", &staffed.lab.view, &json!({"parent": {"run": run}}).to_string()).await;
    assert_eq!(viewer.code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_lets_go_of_its_device_takes_it_back_and_goes_on_after_a_stop() {
    let staffed = Staffed::open().await;
    let run = staffed.start(1_000_000).await;
    staffed.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(10)).await;
    staffed.tell(&run, json!({"kind": "checkpoint"})).await;
    assert_eq!(staffed.tell(&run, json!({"kind": "release"})).await["event"]["kind"], "released");
    let parked = staffed.stands(&run, "parked").await["summary"]["step"].as_u64().unwrap();
    staffed.refused(&run, json!({"kind": "set", "field": "clip", "value": 1}), "run_parked", &["resume"]).await;
    let other = staffed.start(5).await;
    staffed.stands(&other, "finished").await;
    assert_eq!(staffed.tell(&run, json!({"kind": "resume"})).await["event"]["kind"], "resumed");
    staffed.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(parked + 10)).await;
    staffed.tell(&run, json!({"kind": "stop"})).await;
    let stopped = staffed.stands(&run, "stopped").await["summary"]["step"].as_u64().unwrap();
    // At once: its worker may still be letting go.
    staffed.tell(&run, json!({"kind": "resume", "reason": "on second thoughts"})).await;
    staffed.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(stopped + 10)).await;
    staffed.tell(&run, json!({"kind": "release"})).await;
    staffed.stands(&run, "parked").await;
    staffed.tell(&run, json!({"kind": "stop"})).await;
    staffed.stands(&run, "stopped").await;
    let total = staffed.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &staffed.lab.view).await.json();
    let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
    assert_eq!(total[0]["total"], view["summary"]["step"], "each step once");
    staffed.refused(&other, json!({"kind": "resume"}), "run_over", &["fork"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_has_priorities_kinds_and_an_end() {
    let staffed = Staffed::open().await;
    let first = staffed.start(1_000_000).await;
    staffed.stands(&first, "running").await;
    let spec = |device: Option<&str>, priority: i64| {
        let mut spec = json!({"preset": "tiny", "corpus": "play", "steps": 5, "priority": priority, "overrides": {"model.seq": 16}});
        device.into_iter().for_each(|device| spec["device"] = json!(device));
        spec
    };
    let make = async |spec: Value| {
        let view = staffed.send("POST", "/runs", &spec).await.json();
        view["summary"]["id"].as_str().unwrap_or_else(|| panic!("{view:#}")).to_owned()
    };
    let place = async |run: &str| {
        staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json()["summary"]["queue_place"]
            .clone()
    };
    let (plain, urgent) = (make(spec(None, 0)).await, make(spec(Some("cpu"), 7)).await);
    assert_eq!((place(&urgent).await, place(&plain).await), (json!(1), json!(2)));
    let patched = staffed.send("PATCH", &format!("/runs/{plain}"), &json!({"priority": 8})).await;
    assert_eq!((patched.json()["priority"].as_i64(), place(&plain).await), (Some(8), json!(1)));
    refusal(
        &staffed.send("PATCH", &format!("/runs/{plain}"), &json!({"priority": 5000})).await,
        "value_invalid",
        &["priority"],
    );
    let waiting = staffed.send("POST", "/plan", &spec(Some("gpu"), 0)).await.json();
    assert!(waiting["notes"].to_string().contains("No GPU has reported yet"), "{waiting:#}");
    let unseen = make(spec(Some("gpu"), 0)).await;
    for _ in 2..100 {
        make(spec(None, 0)).await;
    }
    refusal(&staffed.send("POST", "/runs", &spec(None, 0)).await, "queue_full", &["100 runs wait", "--queue-limit"]);
    staffed.tell(&first, json!({"kind": "stop"})).await;
    staffed.stands(&urgent.parse().unwrap(), "finished").await;
    assert_eq!(place(&unseen).await, json!(1), "it still waits");
}
