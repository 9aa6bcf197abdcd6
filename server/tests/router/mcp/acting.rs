//! Tools that change something: each act once, with a reason, by senders with the role, and with a plan first.

use serde_json::{Value, json};
use server::Lab as State;
use store::AgentAct;
use wire::RunId;

use super::{at, call, code, refused};
use crate::lab::Lab;
use crate::scenarios::LabWithWorker;

/// Arguments with a reason and a key.
pub(super) fn with(arguments: Value, key: &str) -> Value {
    let mut whole = json!({ "reason": "the loss is flat", "idempotency_key": key });
    whole.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
    whole
}

/// Arguments of a call that only plans.
pub(super) fn dry(arguments: Value) -> Value {
    let mut whole = with(arguments, "only-a-plan");
    whole["dry_run"] = json!(true);
    whole
}

async fn events(lab: &Lab, run: &RunId) -> Vec<Value> {
    let events = lab.get(&format!("/api/v1/runs/{run}/events"), &lab.view).await.json();
    events.as_array().unwrap().clone()
}

pub(super) async fn of_kind(lab: &Lab, run: &RunId, kind: &str) -> Vec<Value> {
    events(lab, run).await.into_iter().filter(|record| record["event"]["kind"] == kind).collect()
}

pub(super) async fn runs(lab: &Lab) -> usize {
    lab.get("/api/v1/runs", &lab.view).await.json().as_array().unwrap().len()
}

pub(super) async fn token_id(state: &State, token: &str) -> i64 {
    state.store().identify(token).await.unwrap().unwrap().token_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_planned_made_once_and_written_to_the_journal() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let change = json!({ "run": run, "path": "optimizer.grad_clip", "value": 0.25 });
    let plan = call(lab, &lab.view, "set_hyperparameter", dry(change.clone())).await;
    assert_eq!(
        (&plan["data"]["dry_run"], &plan["data"]["difference"]["then"]),
        (&json!(true), &json!(0.25)),
        "{plan:#}"
    );
    assert!(plan["data"]["difference"]["now"].is_number() && plan["data"]["obstacle"].is_null(), "{plan:#}");
    assert_eq!(of_kind(lab, &run, "changed").await.len(), 0, "nothing was done");

    let mut arguments = with(change, "clip-lower-1");
    arguments["expected_effect"] = json!({ "metric": "loss.valid", "difference": -0.02, "by_step": 500 });
    let done = call(lab, &lab.steer, "set_hyperparameter", arguments.clone()).await;
    assert_eq!(done["data"]["event"]["kind"], "changed", "{done:#}");
    let again = call(lab, &lab.steer, "set_hyperparameter", arguments.clone()).await;
    assert_eq!(again["data"], done["data"]);
    assert!(again["notes"].to_string().contains("repeated"), "{again:#}");
    // As after a restart of the server.
    let restarted = Lab { router: server::router(lab.state.clone()), ..Lab::open().await };
    let later = call(&restarted, &lab.steer, "set_hyperparameter", arguments.clone()).await;
    assert_eq!(later["data"], done["data"]);

    let changed = of_kind(lab, &run, "changed").await;
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["author"], json!({ "agent": "ada" }));
    assert_eq!(changed[0]["reason"], "the loss is flat (expected: loss.valid -0.02 nats/token by step 500)");
    let own = call(lab, &lab.steer, "get_journal", json!({})).await;
    let act = &own["data"]["acts"][0];
    assert_eq!(
        (&act["tool"], &act["run"], &act["has_result"]),
        (&json!("set_hyperparameter"), &json!(run), &json!(true))
    );
    assert_eq!(act["expected_effect"]["difference"], -0.02);

    arguments["value"] = json!(0.125);
    let reused = refused(lab, &lab.steer, "set_hyperparameter", arguments).await;
    assert_eq!(reused, at("key_reused", "idempotency_key"));
    let audit = lab.get("/api/v1/audit?limit=50", &lab.admin).await.json().to_string();
    assert!(audit.contains("command: set gradient clipping"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_without_a_stored_result_is_looked_up_in_the_journal_and_never_repeated() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let arguments = with(json!({ "run": run, "text": "flat since step 3" }), "note-flat-1");
    call(lab, &lab.steer, "add_note", arguments.clone()).await;
    let (steer, admin) = (token_id(&lab.state, &lab.steer).await, token_id(&lab.state, &lab.admin).await);
    let known = lab.state.store().agent_acts(steer, 1).await.unwrap().remove(0);
    let note = of_kind(lab, &run, "annotated").await.remove(0);
    assert_eq!(note["event"]["text"], "flat since step 3\nReason: the loss is flat");
    let note = note["number"].as_u64().unwrap();
    // The server was killed after the other token had begun the same act: before the event, and after it.
    for (before, expected) in [(note, None), (note - 1, Some(note))] {
        let begun = AgentAct { token: admin, before, answer: None, ..known.clone() };
        assert_eq!(lab.state.store().begin_agent_act(&begun).await.unwrap(), None);
        match expected {
            None => {
                let unknown = refused(lab, &lab.admin, "add_note", arguments.clone()).await;
                assert_eq!(unknown, at("outcome_unknown", "idempotency_key"));
                lab.state.store().forget_agent_act(admin, &known.key).await.unwrap();
            }
            Some(number) => {
                let found = call(lab, &lab.admin, "add_note", arguments.clone()).await;
                assert_eq!(found["data"]["event"]["number"], number, "{found:#}");
            }
        }
    }
    assert_eq!(of_kind(lab, &run, "annotated").await.len(), 1, "it was not added again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_only_view_cannot_act() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let before = events(lab, &run).await;
    let spec = json!({ "preset": "tiny", "corpus": "play", "steps": 5, "overrides": { "model.seq": 16 } });
    let sweep = json!({ "name": "rates", "trials": 2, "base": spec, "metric": { "name": "loss.train" },
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } } });
    for (tool, arguments) in [
        ("set_hyperparameter", json!({ "run": run, "path": "optimizer.grad_clip", "value": 0.5 })),
        ("pause", json!({ "run": run })),
        ("resume", json!({ "run": run })),
        ("checkpoint", json!({ "run": run })),
        ("rollback", json!({ "run": run, "checkpoint": "0-1" })),
        ("stop", json!({ "run": run })),
        ("add_note", json!({ "run": run, "text": "a" })),
        ("set_schedule", json!({ "run": run, "schedule": { "accumulation": { "changes": [[1_000_000, 2]] } } })),
        ("step", json!({ "run": run })),
        ("evaluate", json!({ "run": run })),
        ("evaluate", json!({ "run": run, "task": "absent" })),
        ("sample", json!({ "run": run })),
        ("start_run", json!({ "spec": spec })),
        ("fork", json!({ "run": run })),
        ("start_sweep", json!({ "spec": sweep })),
        ("propose_experiment", json!({ "spec": experiment() })),
    ] {
        assert_eq!(refused(lab, &lab.view, tool, with(arguments, "viewer-key-1")).await, code("forbidden"), "{tool}");
    }
    assert_eq!((events(lab, &run).await, runs(lab).await), (before, 1));
    let view = token_id(&lab.state, &lab.view).await;
    assert!(lab.state.store().agent_acts(view, 10).await.unwrap().is_empty(), "a refused call frees its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_call_names_its_argument() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let key = "invalid-call-1";
    for (tool, arguments, expected) in [
        ("pause", json!({ "run": run, "idempotency_key": key }), at("arguments_invalid", "reason")),
        ("pause", json!({ "run": run, "reason": "a" }), at("arguments_invalid", "idempotency_key")),
        ("pause", json!({ "run": run, "reason": " ", "idempotency_key": key }), at("arguments_invalid", "reason")),
        ("pause", with(json!({ "run": run }), "short"), at("arguments_invalid", "idempotency_key")),
        ("pause", with(json!({ "run": 3 }), key), at("arguments_invalid", "run")),
        ("pause", with(json!({ "run": run, "force": true }), key), at("arguments_invalid", "force")),
        ("pause", with(json!({ "run": "nobody" }), key), code("not_found")),
        (
            "set_hyperparameter",
            with(json!({ "run": run, "path": "optimizer.grad_clip", "value": -1 }), key),
            at("value_invalid", "value"),
        ),
        ("rollback", with(json!({ "run": run, "checkpoint": "0-777777" }), key), at("checkpoint_gone", "checkpoint")),
        ("start_run", with(json!({ "spec": { "corpus": "absent" } }), key), at("plan_invalid", "corpus")),
        ("start_run", with(json!({ "spec": { "presett": "tiny" } }), key), at("body_invalid", "spec.presett")),
        ("fork", with(json!({ "run": "nobody" }), key), at("plan_invalid", "parent.run")),
    ] {
        let refusal = refused(lab, &lab.steer, tool, arguments.clone()).await;
        assert_eq!(refusal, expected, "{tool} {arguments}");
    }
    let mut effect = with(json!({ "run": run }), key);
    effect["expected_effect"] = json!({ "metric": "loss.valid", "difference": -0.1, "probability": 2 });
    let refusal = refused(lab, &lab.steer, "pause", effect).await;
    assert_eq!(refusal, at("arguments_invalid", "expected_effect.probability"));
    let blank = with(json!({ "run": run, "text": " " }), key);
    assert_eq!(refused(lab, &lab.steer, "add_note", blank).await, at("value_invalid", "text"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_steered_from_its_checkpoint_to_its_end() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let act =
        |tool: &'static str, arguments: Value, key: &'static str| call(lab, &lab.steer, tool, with(arguments, key));
    let saved = act("checkpoint", json!({ "run": run }), "save-before-1").await;
    assert_eq!(saved["data"]["event"]["kind"], "checkpointed", "{saved:#}");
    let one = call(lab, &lab.view, "get_run", json!({ "run": run })).await;
    let (checkpoint, step) =
        (&one["data"]["checkpoints"]["newest"][0]["id"], one["data"]["run"]["step"].as_u64().unwrap());

    let fork =
        json!({ "run": run, "checkpoint": checkpoint, "steps": step + 40, "set": { "optimizer.grad_clip": 0.5 } });
    let plan = call(lab, &lab.view, "fork", dry(fork.clone())).await;
    assert_eq!((&plan["data"]["plan"]["parent"]["run"], runs(lab).await), (&json!(run), 1), "{plan:#}");
    let made = act("fork", fork.clone(), "fork-clip-1").await;
    let repeated = act("fork", fork, "fork-clip-1").await;
    assert_eq!((&made["data"]["run"]["id"], runs(lab).await), (&repeated["data"]["run"]["id"], 2));
    let forked: RunId = made["data"]["run"]["id"].as_str().unwrap().parse().unwrap();
    let view = lab.get(&format!("/api/v1/runs/{forked}"), &lab.view).await.json();
    assert_eq!(view["hyperparameters"]["optimizer"]["grad_clip"], 0.5);

    assert_eq!(act("resume", json!({ "run": run }), "go-on-11").await["data"]["event"]["kind"], "resumed");
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(step + 20)).await;
    let back = act("rollback", json!({ "run": run, "checkpoint": checkpoint }), "roll-back-1").await;
    assert_eq!((&back["data"]["event"]["kind"], &back["data"]["event"]["step"]), (&json!("rolled_back"), &json!(step)));
    assert_eq!(act("pause", json!({ "run": run }), "pause-11").await["data"]["event"]["kind"], "paused");
    let plan = call(lab, &lab.view, "stop", dry(json!({ "run": run }))).await;
    assert_eq!(plan["data"]["difference"]["state"], json!({ "now": "paused", "then": "stopped" }));
    assert_eq!(act("stop", json!({ "run": run }), "stop-it-1").await["data"]["event"]["kind"], "stopped");
    served.reaches(&run, "stopped").await;
    let plan = call(lab, &lab.view, "pause", dry(json!({ "run": run }))).await;
    assert!(plan["data"]["obstacle"].as_str().unwrap().contains("is stopped"), "{plan:#}");
    served.reaches(&forked, "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_trains_some_steps_with_another_schedule() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let step = call(lab, &lab.view, "get_run", json!({ "run": run })).await["data"]["run"]["step"].as_u64().unwrap();
    let schedule = json!({ "run": run, "schedule": { "learning_rate": { "curve": { "scaled": 1e-4 } } } });
    let plan = call(lab, &lab.view, "set_schedule", dry(schedule.clone())).await;
    assert_eq!(plan["data"]["difference"]["then"]["learning_rate"]["curve"]["scaled"], 1e-4, "{plan:#}");
    let changed = call(lab, &lab.steer, "set_schedule", with(schedule, "scale-lr-1")).await;
    assert_eq!(changed["data"]["event"]["kind"], "schedule_changed", "{changed:#}");

    let steps = json!({ "run": run, "steps": 5 });
    let plan = call(lab, &lab.view, "step", dry(steps.clone())).await;
    assert_eq!(plan["data"]["difference"]["step"], json!({ "now": step, "then": step + 5 }), "{plan:#}");
    let begun = call(lab, &lab.steer, "step", with(steps.clone(), "five-steps-1")).await;
    assert_eq!(begun["data"]["event"]["kind"], "stepping", "{begun:#}");
    let ends = json!({ "run": run, "since": begun["data"]["event"]["number"], "kinds": ["paused"], "timeout_s": 50 });
    assert_eq!(call(lab, &lab.view, "wait_for", ends).await["data"]["until"], "event");
    call(lab, &lab.steer, "step", with(steps, "five-steps-1")).await;
    let paused = call(lab, &lab.view, "get_run", json!({ "run": run })).await;
    assert_eq!(paused["data"]["run"]["step"], step + 5, "a repeated call trains no further steps");
    let notes = of_kind(lab, &run, "annotated").await;
    assert_eq!((notes.len(), &notes[0]["event"]["text"]), (1, &json!("the loss is flat")));

    let plan = call(lab, &lab.view, "evaluate", dry(json!({ "run": run }))).await;
    assert!(plan["data"]["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()), "{plan:#}");
    let absent = with(json!({ "run": run, "task": "absent" }), "absent-task-1");
    assert_eq!(refused(lab, &lab.steer, "evaluate", absent).await, at("not_found", "task"));
    let alone = with(json!({ "run": run, "checkpoint": "0-1" }), "no-task-11");
    assert_eq!(refused(lab, &lab.steer, "evaluate", alone).await, at("arguments_invalid", "task"));
    let sampled = call(lab, &lab.steer, "sample", with(json!({ "run": run }), "sample-now-1")).await;
    assert_eq!(sampled["data"]["event"]["kind"], "sampled", "{sampled:#}");
    // The trainer of the tests computes no validation loss.
    let refusal = refused(lab, &lab.steer, "evaluate", with(json!({ "run": run }), "cannot-do-1")).await;
    assert_eq!(refusal, code("command_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_planned_started_once_and_has_its_reason_in_the_journal() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let spec =
        json!({ "spec": { "preset": "tiny", "corpus": "play", "steps": 100_000, "overrides": { "model.seq": 16 } } });
    let plan = call(lab, &lab.view, "start_run", dry(spec.clone())).await;
    assert_eq!((&plan["data"]["plan"]["steps"], runs(lab).await), (&json!(100_000), 0), "{plan:#}");
    let arguments = with(spec, "first-run-1");
    let (one, other) = tokio::join!(
        super::result(lab, &lab.steer, "start_run", arguments.clone()),
        super::result(lab, &lab.steer, "start_run", arguments.clone())
    );
    // One of two concurrent calls may be asked to try again.
    assert!(one["isError"] == false || other["isError"] == false, "{one:#} {other:#}");
    let made = call(lab, &lab.steer, "start_run", arguments).await;
    assert_eq!(runs(lab).await, 1);
    let run: RunId = made["data"]["run"]["id"].as_str().unwrap().parse().unwrap();
    let notes = of_kind(lab, &run, "annotated").await;
    assert_eq!((notes.len(), &notes[0]["event"]["text"]), (1, &json!("the loss is flat")));
    assert_eq!(events(lab, &run).await[0]["author"], json!({ "agent": "ada" }));
}

fn experiment() -> Value {
    json!({
        "title": "Lower rate", "hypothesis": "The rate is too high.",
        "baseline": { "spec": { "preset": "tiny", "corpus": "play", "steps": 5, "seed": 3, "overrides": { "model.seq": 16 } } },
        "change": { "overrides": { "optimizer.learning_rate": 1e-4 } }, "metric": { "series": "loss.train" },
        "prediction": { "difference": -0.1, "probability": 0.7 }, "rule": { "effect": 0.1, "max_pairs": 3 },
        "budget": { "steps": 5, "device_hours": 1.0 }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_and_experiments_are_planned_and_started_once() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let base = json!({ "preset": "tiny", "corpus": "play", "steps": 5, "overrides": { "model.seq": 16 } });
    let sweep = json!({ "spec": { "name": "rates", "trials": 2, "base": base, "metric": { "name": "loss.train" },
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } } } });
    let plan = call(lab, &lab.steer, "start_sweep", dry(sweep.clone())).await;
    assert_eq!(plan["data"]["preview"]["trials"], 2, "{plan:#}");
    let started = call(lab, &lab.steer, "start_sweep", with(sweep.clone(), "sweep-rates-1")).await;
    let again = call(lab, &lab.steer, "start_sweep", with(sweep.clone(), "sweep-rates-1")).await;
    assert_eq!((&started["data"]["sweep"], &started["data"]["trials"]), (&again["data"]["sweep"], &json!(2)));
    assert_eq!(lab.get("/api/v1/sweeps", &lab.view).await.json().as_array().unwrap().len(), 1);
    // The server was killed after it had stored another call with equal arguments: the sweep is the result of the first one.
    let steer = token_id(&lab.state, &lab.steer).await;
    let known = lab.state.store().agent_acts(steer, 1).await.unwrap().remove(0);
    let arguments = with(sweep, "sweep-rates-2");
    let hash = blake3::hash(format!("start_sweep\n{arguments}").as_bytes()).to_hex().to_string();
    let begun = AgentAct { key: "sweep-rates-2".into(), arguments: hash, answer: None, ..known };
    assert_eq!(lab.state.store().begin_agent_act(&begun).await.unwrap(), None);
    let unknown = refused(lab, &lab.steer, "start_sweep", arguments).await;
    assert_eq!(unknown, at("outcome_unknown", "idempotency_key"));
    let sweep = call(lab, &lab.view, "get_sweep", json!({ "sweep": started["data"]["sweep"] })).await;
    assert_eq!((&sweep["data"]["state"], &sweep["data"]["trials"]), (&json!("running"), &json!(2)));
    assert_eq!(refused(lab, &lab.view, "get_sweep", json!({ "sweep": 777 })).await, code("not_found"));

    let spec = json!({ "spec": experiment() });
    let plan = call(lab, &lab.view, "propose_experiment", dry(spec.clone())).await;
    assert_eq!((&plan["data"]["most_pairs"], &plan["data"]["budget"]["steps"]), (&json!(3), &json!(5)), "{plan:#}");
    let made = call(lab, &lab.steer, "propose_experiment", with(spec.clone(), "lower-rate-1")).await;
    let again = call(lab, &lab.steer, "propose_experiment", with(spec, "lower-rate-1")).await;
    assert_eq!(made["data"]["experiment"], again["data"]["experiment"]);
    let all = lab.get("/api/v1/experiments", &lab.view).await.json();
    assert_eq!((all.as_array().unwrap().len(), &all[0]["author"]), (1, &json!({ "agent": "ada" })));
    let shown = call(lab, &lab.view, "get_experiment", json!({ "experiment": made["data"]["experiment"] })).await;
    assert_eq!(
        (&shown["data"]["state"], &shown["data"]["prediction"]["difference"]),
        (&json!("running"), &json!(-0.1))
    );
    let mut wrong = experiment();
    wrong["title"] = json!("");
    let refusal = refused(lab, &lab.steer, "propose_experiment", with(json!({ "spec": wrong }), "empty-title-1")).await;
    assert_eq!(refusal, at("plan_invalid", "title"));
}
