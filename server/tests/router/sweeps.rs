//! Sweeps over HTTP: checked, previewed, started, commanded and exported; and whole sweeps with a trainer that does not compute.

use axum::http::StatusCode;
use serde_json::{Value, json};
use server::runs::sweeps;
use store::NewSweep;
use wire::RunId;
use wire::sweep::spec::SweepSpec;

use crate::lab::{Answer, Lab};
use crate::reach::{invite, open_link};
use crate::scenarios::LabWithWorker;

/// A sweep of a project, whose specification is not checked against the lab.
pub(crate) fn new_sweep(project: &str) -> NewSweep {
    let mut spec: SweepSpec = serde_json::from_value(spec(3, json!({}))).unwrap();
    spec.base.project = Some(project.to_owned());
    NewSweep {
        spec,
        project: project.to_owned(),
        trials: 3,
        creator: "ada".into(),
        person: None,
        token: None,
        created_ms: 1,
    }
}

fn spec(steps: u64, change: Value) -> Value {
    let mut whole = json!({
        "name": "rates", "trials": 4, "metric": { "name": "loss.train" },
        "base": { "preset": "tiny", "corpus": "play", "steps": steps, "overrides": { "model.seq": 16 } },
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
    });
    whole.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    whole
}

async fn with_dataset() -> Lab {
    let lab = Lab::open().await;
    lab.upload("name=play", "to be or not to be that is the question\n".repeat(200).as_bytes()).await;
    lab
}

async fn start(lab: &Lab, spec: Value) -> Value {
    let answer = lab.post("/api/v1/sweeps", &lab.steer, &spec.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    answer.json()
}

async fn command(lab: &Lab, id: &Value, revision: &Value, command: Value) -> Answer {
    let body = json!({ "revision": revision, "command": command }).to_string();
    lab.post(&format!("/api/v1/sweeps/{id}/commands"), &lab.steer, &body).await
}

#[tokio::test]
async fn a_preview_counts_without_expanding_and_an_invalid_spec_names_its_field() {
    let lab = with_dataset().await;
    let preview = lab.post("/api/v1/sweeps/preview", &lab.steer, &spec(10, json!({})).to_string()).await;
    assert_eq!(preview.status, StatusCode::OK, "{:?}", preview.json());
    let preview = preview.json();
    assert_eq!((preview["trials"].as_u64(), preview["configurations"].as_u64()), (Some(4), Some(4)));
    assert_eq!(preview["points"].as_array().unwrap().len(), 4);
    let first = preview["points"][0]["tokens"].as_u64().unwrap();
    assert_eq!(preview["tokens"].as_f64(), Some(4.0 * first as f64), "all trials have as many tokens");
    let huge = json!({ "sampler": "grid", "space": { "parameters": {
        "optimizer.learning_rate": { "log": [1e-4, 1e-2], "points": 1000 },
        "optimizer.weight_decay": { "float": [0, 1], "points": 1000 },
        "optimizer.beta2": { "float": [0, 0.9], "points": 1000 },
    } } });
    for (change, field) in [
        (huge, "space.parameters"),
        (json!({ "trials": 2001 }), "trials"),
        (json!({ "priority": 1001 }), "priority"),
        (json!({ "metric": { "name": "eval/capitals/accuracy", "direction": "higher" } }), "metric.name"),
        (json!({ "base": { "corpus": "play", "parent": { "run": "amber-fox" } } }), "base.parent"),
        (
            json!({ "space": { "parameters": { "optimizer.rate": { "log": [1e-4, 1e-2] } } } }),
            "space.parameters.optimizer.rate",
        ),
    ] {
        for path in ["/api/v1/sweeps", "/api/v1/sweeps/preview"] {
            let answer = lab.post(path, &lab.steer, &spec(10, change.clone()).to_string()).await;
            assert_eq!((answer.status.as_u16(), answer.json()["field"].as_str()), (422, Some(field)), "{change}");
        }
    }
    let impossible = json!({ "space": { "parameters": { "model.heads": { "choices": [3, 5, 7] } } } });
    let answer = lab.post("/api/v1/sweeps", &lab.steer, &spec(10, impossible.clone()).to_string()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "no point is valid: {:?}", answer.json());
    assert!(answer.json()["field"].as_str().unwrap().starts_with("base."), "{:?}", answer.json());
    let preview = lab.post("/api/v1/sweeps/preview", &lab.steer, &spec(10, impossible).to_string()).await.json();
    assert!(preview["points"][0]["error"]["message"].is_string() && preview["tokens"].is_null(), "{preview}");
    assert_eq!(lab.get("/api/v1/sweeps", &lab.view).await.json(), json!([]), "nothing was started");
}

#[tokio::test]
async fn previews_and_commands_need_the_role_steer_and_a_link_starts_no_sweep() {
    let lab = with_dataset().await;
    let body = spec(10, json!({})).to_string();
    let guest = open_link(&lab, &json!({ "scope": { "project": "default" }, "path": "/", "role": "steer" })).await;
    for path in ["/api/v1/sweeps", "/api/v1/sweeps/preview"] {
        assert_eq!(lab.post(path, &lab.view, &body).await.code(), "forbidden", "{path}");
        let request = crate::lab::ask("POST", path, None).header("cookie", &guest);
        let request = request.header("content-type", "application/json").body(body.clone().into()).unwrap();
        let refused = lab.send(request).await.json();
        assert!(refused["hint"].as_str().unwrap().starts_with("a share link does not"), "{path}: {refused}");
    }
    let sweep = start(&lab, spec(10, json!({ "priority": 3 }))).await;
    let pause = json!({ "revision": 1, "command": { "kind": "pause" } }).to_string();
    let path = format!("/api/v1/sweeps/{}", sweep["id"]);
    assert_eq!(lab.post(&format!("{path}/commands"), &lab.view, &pause).await.code(), "forbidden");
    assert_eq!(lab.get(&path, &lab.view).await.json()["sweep"]["state"], "running");
    assert_eq!(lab.get("/api/v1/sweeps/99", &lab.view).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_two_commands_for_one_revision_the_second_is_refused() {
    let lab = with_dataset().await;
    let sweep = start(&lab, spec(10, json!({}))).await;
    let (id, revision) = (&sweep["id"], &sweep["revision"]);
    let paused = command(&lab, id, revision, json!({ "kind": "pause" })).await;
    assert_eq!((paused.status, paused.json()["state"].as_str()), (StatusCode::OK, Some("paused")));
    let late = command(&lab, id, revision, json!({ "kind": "extend", "trials": 2 })).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "sweep_changed"));
    assert_eq!(late.json()["field"], "revision");
    let extended = command(&lab, id, &paused.json()["revision"], json!({ "kind": "extend", "trials": 2 })).await;
    assert_eq!(extended.json()["trials"], 6);
    let revision = &extended.json()["revision"];
    for (wrong, status, code) in [
        (json!({ "kind": "pause" }), 409, "sweep_state"),
        (json!({ "kind": "extend", "trials": 5000 }), 422, "value_invalid"),
        (json!({ "kind": "retry", "trial": 0 }), 404, "not_found"),
        (json!({ "kind": "resume_trial", "trial": 0 }), 404, "not_found"),
    ] {
        let refused = command(&lab, id, revision, wrong.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (status, code), "{wrong}");
    }
    let stopped = command(&lab, id, revision, json!({ "kind": "stop" })).await;
    assert!(stopped.json()["ended_ms"].is_number(), "no trial has to end first: {:?}", stopped.json());
    let decisions = lab.get(&format!("/api/v1/sweeps/{id}/decisions"), &lab.view).await.json();
    let said: Vec<&str> = decisions.as_array().unwrap().iter().map(|one| one["sentence"].as_str().unwrap()).collect();
    assert_eq!(said, ["ada paused the sweep.", "ada extended the sweep by 2 trials.", "ada stopped the sweep."]);
    for path in ["/api/v1/sweeps", &format!("/api/v1/sweeps/{id}/decisions")] {
        for (limit, status) in [(0, 422), (1, 200), (1_000, 200), (1_001, 422)] {
            let answer = lab.get(&format!("{path}?limit={limit}"), &lab.view).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {limit}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_trains_its_trials_one_by_one_and_is_exported() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    let sweep =
        start(lab, spec(30, json!({ "sampler": "random", "seeds_per_point": 2, "stopping": { "rule": "asha" } })))
            .await;
    let path = format!("/api/v1/sweeps/{}", sweep["id"]);
    let view = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
    assert_eq!(view["sweep"]["counts"]["finished"], 4, "{view:#}");
    let trials = view["trials"].as_array().unwrap();
    let rate = |at: usize| trials[at]["point"]["values"]["optimizer.learning_rate"].as_f64().unwrap();
    assert!(rate(0) == rate(1) && rate(1) != rate(2) && rate(2) == rate(3), "each point has two seeds: {view:#}");
    for (number, trial) in trials.iter().enumerate() {
        assert_eq!((trial["number"].as_u64(), trial["last_step"].as_u64()), (Some(number as u64), Some(30)));
        assert_eq!(trial["last"].as_f64(), Some(4.0 / 30.0), "the last value of the trainer");
        let run = lab.get(&format!("/api/v1/runs/{}", trial["run"].as_str().unwrap()), &lab.view).await.json();
        assert_eq!(run["summary"]["name"], format!("rates {number}"));
        assert_eq!(run["summary"]["tags"], json!([format!("sweep:{}", sweep["id"])]));
        assert_eq!(run["plan"]["seed"].as_u64(), trial["point"]["seed"].as_u64());
    }
    let runs = lab.get("/api/v1/runs", &lab.view).await.json();
    assert_eq!(runs.as_array().unwrap().len(), 4, "no run without a trial");
    let changes = view["sweep"]["changes"].as_u64().unwrap();
    let later = lab.get(&format!("{path}?since={changes}"), &lab.view).await.json();
    assert_eq!(later["trials"], json!([]), "nothing has changed since");
    let curves = lab.get(&format!("{path}/curves?points=10"), &lab.view).await.json();
    assert_eq!(curves.as_array().unwrap().len(), 4, "{curves:#}");
    assert!(curves[0]["steps"].as_array().unwrap().len() <= 10, "{curves:#}");
    let importance = lab.get(&format!("{path}/importance"), &lab.view).await.json();
    let few = json!({ "configurations": 2, "needed": 8, "explained": null, "parameters": [] });
    assert_eq!(importance, few, "two points of two seeds each");
    let list = format!("sweep:{}", sweep["id"]);
    let replayed = lab.get(&format!("/api/v1/replay?rule=asha&runs={list}"), &lab.view).await.json();
    assert_eq!((&replayed["metric"], &replayed["steps"]), (&json!("loss.train"), &json!(120)), "{replayed:#}");
    assert_eq!(replayed["refused"], Value::Null, "{replayed:#}");
    assert_eq!(replayed["runs"].as_array().unwrap().len(), 4, "{replayed:#}");
    let settings = replayed["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 45, "eta from 2 to 10 and five first rungs");
    assert!(settings.iter().all(|one| one["saved"] == 0.0), "all trials have the same values: {settings:#?}");
    let fitted = lab.get(&format!("/api/v1/fit?kind=scaling_law&runs={list}"), &lab.view).await.json();
    assert_eq!(fitted["result"]["value"]["reason"], "too_few", "{fitted:#}");
    let csv = String::from_utf8(lab.get(&format!("{path}/trials.csv"), &lab.view).await.body).unwrap();
    assert!(csv.starts_with("trial,attempt,run,state,loss.train,"), "{csv}");
    assert_eq!(csv.lines().count(), 5);
    let parquet = lab.get(&format!("{path}/trials.parquet"), &lab.view).await;
    assert_eq!((parquet.status, &parquet.body[..4]), (StatusCode::OK, b"PAR1".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_trial_is_resumed_or_begun_again_and_a_finished_sweep_is_extended() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    let sweep = start(lab, spec(1000, json!({ "trials": 1 }))).await;
    let (id, path) = (&sweep["id"], format!("/api/v1/sweeps/{}", sweep["id"]));
    let running = served.wait_until(&path, |view| view["trials"][0]["last_step"].as_u64() > Some(20)).await;
    let run = running["trials"][0]["run"].as_str().unwrap().parse().unwrap();
    assert_eq!(served.command(&run, r#"{"kind": "stop"}"#).await.status, StatusCode::OK);
    let stopped = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
    let trial = &stopped["trials"][0];
    assert_eq!((trial["state"].as_str(), trial["reason"].as_str()), (Some("stopped"), Some("Its run was stopped.")));
    let at = trial["last_step"].as_u64().unwrap();

    let revision = &stopped["sweep"]["revision"];
    let resumed = command(lab, id, revision, json!({ "kind": "resume_trial", "trial": 0 })).await;
    assert_eq!((resumed.status, resumed.json()["state"].as_str()), (StatusCode::OK, Some("running")));
    let finished = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
    let trial = &finished["trials"][0];
    assert_eq!((trial["state"].as_str(), trial["last_step"].as_u64()), (Some("finished"), Some(1000)));
    assert!(at < 1000 && trial["is_exempt"] == true && trial["attempt"] == 1, "{trial:#}");
    let refused = command(lab, id, &finished["sweep"]["revision"], json!({ "kind": "resume_trial", "trial": 0 })).await;
    assert_eq!(refused.code(), "trial_not_stopped");

    let again = command(lab, id, &finished["sweep"]["revision"], json!({ "kind": "retry", "trial": 0 })).await;
    assert_eq!(again.status, StatusCode::OK, "{:?}", again.json());
    let extended = command(lab, id, &again.json()["revision"], json!({ "kind": "extend", "trials": 1 })).await;
    assert_eq!(extended.json()["trials"], 2, "{:?}", extended.json());
    let finished = served.wait_until(&path, |view| view["sweep"]["counts"]["finished"] == 2).await;
    let trials = finished["trials"].as_array().unwrap();
    assert_eq!((trials[0]["attempt"].as_u64(), trials[1]["attempt"].as_u64()), (Some(2), Some(1)));
    assert!(trials[0]["run"] != run.to_string(), "a new run: {finished:#}");
    assert_eq!(lab.get("/api/v1/runs", &lab.view).await.json().as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_link_retries_no_trial_of_a_sweep_with_a_high_priority() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    let guest = open_link(lab, &json!({ "scope": { "project": "default" }, "path": "/", "role": "steer" })).await;
    for (priority, status) in [(3, StatusCode::FORBIDDEN), (0, StatusCode::OK)] {
        let sweep = start(lab, spec(5, json!({ "trials": 1, "priority": priority }))).await;
        let path = format!("/api/v1/sweeps/{}", sweep["id"]);
        let ended = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
        let retry = json!({ "revision": ended["sweep"]["revision"], "command": { "kind": "retry", "trial": 0 } });
        let request = crate::lab::ask("POST", &format!("{path}/commands"), None).header("cookie", &guest);
        let request = request.header("content-type", "application/json").body(retry.to_string().into()).unwrap();
        let answer = lab.send(request).await;
        assert_eq!(answer.status, status, "{priority}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_pauses_without_the_rights_of_its_creator_and_continues_with_those_of_who_resumes_it() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    let cookie = invite(lab, "grace", "steer", &json!([])).await;
    let body = spec(300, json!({ "trials": 3 })).to_string();
    let request = crate::lab::ask("POST", "/api/v1/sweeps", None).header("cookie", cookie);
    let request = request.header("content-type", "application/json").body(body.into()).unwrap();
    let answer = lab.send(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let path = format!("/api/v1/sweeps/{}", answer.json()["id"]);
    served.wait_until(&path, |view| view["sweep"]["counts"]["running"] == 1).await;
    let people = lab.get("/api/v1/people", &lab.admin).await.json();
    let grace = people.as_array().unwrap().iter().find(|one| one["name"] == "grace").unwrap()["id"].clone();
    assert_eq!(lab.delete(&format!("/api/v1/people/{grace}"), &lab.admin).await.status, StatusCode::NO_CONTENT);
    let paused = served.wait_until(&path, |view| view["sweep"]["state"] == "paused").await;
    assert_eq!(paused["sweep"]["message"], "grace may not train in the project default any more.");
    assert_eq!(paused["sweep"]["counts"]["finished"], 1, "the trial that trained has ended by itself");
    assert_eq!(paused["trials"].as_array().unwrap().len(), 1);
    let (id, revision) = (&paused["sweep"]["id"], &paused["sweep"]["revision"]);
    let resumed = command(lab, id, revision, json!({ "kind": "resume" })).await;
    assert_eq!((resumed.json()["creator"].as_str(), resumed.json()["state"].as_str()), (Some("ada"), Some("running")));
    served.wait_until(&path, |view| view["sweep"]["counts"]["finished"] == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_whose_run_was_moved_to_another_project_is_not_resumed_as_a_trial() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    lab.state.store().add_project("beta", &Default::default()).await.unwrap();
    let sweep = start(lab, spec(1000, json!({ "trials": 1 }))).await;
    let path = format!("/api/v1/sweeps/{}", sweep["id"]);
    let running = served.wait_until(&path, |view| view["trials"][0]["last_step"].as_u64() > Some(20)).await;
    let run = running["trials"][0]["run"].as_str().unwrap().parse().unwrap();
    assert_eq!(served.command(&run, r#"{"kind": "stop"}"#).await.status, StatusCode::OK);
    let stopped = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
    let moved = lab.patch(&format!("/api/v1/runs/{run}"), &lab.admin, r#"{ "project": "beta" }"#).await;
    assert_eq!(moved.status, StatusCode::OK, "{moved:?}");
    let (revision, resume) = (&stopped["sweep"]["revision"], json!({ "kind": "resume_trial", "trial": 0 }));

    let cookie = invite(lab, "grace", "none", &json!([{ "project": "default", "role": "steer" }])).await;
    let body = json!({ "revision": revision, "command": resume.clone() }).to_string();
    let request = crate::lab::ask("POST", &format!("{path}/commands"), None).header("cookie", cookie);
    let request = request.header("content-type", "application/json").body(body.into()).unwrap();
    let refused = lab.send(request).await;
    assert_eq!(refused.code(), "not_found", "grace does not see the run: {refused:?}");
    assert_eq!(refused.json()["message"], format!("unknown run {run}"));
    let refused = command(lab, &sweep["id"], revision, resume.clone()).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "trial_moved"), "{refused:?}");
    // The run itself can be resumed, and the trial stays as it ended.
    assert_eq!(served.command(&run, r#"{"kind": "resume"}"#).await.status, StatusCode::OK);
    served.reaches(&run, "finished").await;
    let view = lab.get(&path, &lab.view).await.json();
    assert_eq!((&view["sweep"]["state"], &view["trials"][0]["state"]), (&json!("finished"), &json!("stopped")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_moved_to_another_project_trains_on_and_its_trial_ends() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    lab.state.store().add_project("beta", &Default::default()).await.unwrap();
    // Its run is too long to end by itself.
    let sweep = start(lab, spec(100_000, json!({ "trials": 1 }))).await;
    let path = format!("/api/v1/sweeps/{}", sweep["id"]);
    let running = served.wait_until(&path, |view| view["trials"][0]["last_step"].as_u64() > Some(20)).await;
    let run: RunId = running["trials"][0]["run"].as_str().unwrap().parse().unwrap();
    let moved = lab.patch(&format!("/api/v1/runs/{run}"), &lab.admin, r#"{ "project": "beta" }"#).await;
    assert_eq!(moved.status, StatusCode::OK, "{moved:?}");
    let ended = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;
    let trial = &ended["trials"][0];
    let reason = "Its run was moved to another project.";
    assert_eq!((&trial["state"], &trial["reason"]), (&json!("stopped"), &json!(reason)));
    let summary = lab.get(&format!("/api/v1/runs/{run}"), &lab.view).await.json()["summary"].clone();
    assert_eq!(summary["state"], "running", "{summary}");
    assert_eq!(served.command(&run, r#"{"kind": "stop"}"#).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_stopping_rule_compares_a_trial_with_values_from_before_the_change() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(sweeps::serve::serve(lab.state.clone()));
    // The runs are too long to end by themselves.
    let sweep = start(lab, spec(100_000, json!({ "trials": 1 }))).await;
    let (id, path) = (&sweep["id"], format!("/api/v1/sweeps/{}", sweep["id"]));
    let running = served.wait_until(&path, |view| view["trials"][0]["last_step"].as_u64() > Some(20)).await;
    let run = running["trials"][0]["run"].as_str().unwrap().parse().unwrap();
    assert_eq!(served.command(&run, r#"{"kind": "stop"}"#).await.status, StatusCode::OK);
    let finished = served.wait_until(&path, |view| view["sweep"]["state"] == "finished").await;

    let revision = &finished["sweep"]["revision"];
    let rule =
        |eta: u32| json!({ "kind": "set_stopping", "stopping": { "rule": "asha", "eta": eta, "min_fraction": 1e-4 } });
    let refused = command(lab, id, revision, rule(1)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["field"].as_str()), (422, Some("command.stopping.eta")));
    let changed = command(lab, id, revision, rule(2)).await.json();
    assert_eq!(
        (&changed["state"], &changed["spec"]["stopping"]["eta"]),
        (&json!("finished"), &json!(2)),
        "{changed:#}"
    );
    let extended = command(lab, id, &changed["revision"], json!({ "kind": "extend", "trials": 1 })).await;
    assert_eq!(extended.status, StatusCode::OK, "{:?}", extended.json());
    // The first rung is step 10. Without the values of the first trial, there would be one trial.
    let compares = |decision: &Value| {
        decision["trial"] == 1
            && decision["sentence"].as_str().unwrap().contains("of the 2 trials that have reached step 10")
    };
    let decisions = format!("{path}/decisions");
    served.wait_until(&decisions, |all| all.as_array().unwrap().iter().any(compares)).await;
    let all = lab.get(&decisions, &lab.view).await.json();
    assert_eq!(all[0]["sentence"], "ada changed the stopping rule from none to ASHA, eta 2.");
    let view = lab.get(&path, &lab.view).await.json();
    let stopped = command(lab, id, &view["sweep"]["revision"], json!({ "kind": "stop" })).await;
    assert_eq!(stopped.status, StatusCode::OK, "{:?}", stopped.json());
}

#[tokio::test]
async fn a_study_of_optuna_is_imported_with_its_curves_and_takes_no_commands() {
    let lab = Lab::open().await;
    let file = include_bytes!("../../../crates/store/tests/fixtures/optuna-4.5.db");
    let import = async |query: &str, content: &[u8]| {
        let request = crate::lab::ask("POST", &format!("/api/v1/sweeps/import{query}"), Some(&lab.steer));
        lab.send(request.body(content.to_vec().into()).unwrap()).await
    };
    let imported = import("?study=learning%20rates", file).await;
    assert_eq!(imported.status, StatusCode::CREATED, "{imported:?}");
    let sweep = imported.json();
    assert_eq!((&sweep["state"], &sweep["counts"]["finished"]), (&json!("stopped"), &json!(7)));
    let path = format!("/api/v1/sweeps/{}", sweep["id"]);
    let curves = lab.get(&format!("{path}/curves?points=100"), &lab.view).await.json();
    assert_eq!((curves.as_array().unwrap().len(), &curves[0]["steps"]), (10, &json!([10, 20, 30])), "{curves:#}");
    assert!(curves[0]["values"][2].as_f64().unwrap() < 0.0, "as Optuna has them: {curves:#}");
    let csv = String::from_utf8(lab.get(&format!("{path}/trials.csv"), &lab.view).await.body).unwrap();
    assert_eq!(csv.lines().count(), 13, "{csv}");
    let refused = command(&lab, &sweep["id"], &sweep["revision"], json!({ "kind": "retry", "trial": 0 })).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "sweep_imported"));
    let started = lab.post("/api/v1/sweeps", &lab.steer, &sweep["spec"].to_string()).await;
    assert_eq!(started.json()["field"], "imported_from", "{started:?}");
    for (query, content) in [("", file.as_slice()), ("", b"text".as_slice()), ("?study=none", file)] {
        let refused = import(query, content).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "study_invalid"), "{query}");
    }
}
