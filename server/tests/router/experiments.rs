//! Experiments: refused before they cost anything, led to a verdict, repeated after a failure, and only by those who may start runs.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::runs::experiments;
use store::NewExperiment;
use wire::{Author, RunId, RunState};

use crate::lab::{Lab, ask};
use crate::reach::invite;
use crate::scenarios::LabWithWorker;

const PATH: &str = "/api/v1/experiments";

/// An experiment of a project, as it is stored.
pub(crate) fn experiment_of(project: &str) -> NewExperiment {
    NewExperiment {
        project: project.to_owned(),
        author: Author::Person("ada".into()),
        person: None,
        token: None,
        spec: serde_json::from_value(spec()).unwrap(),
        baseline: Default::default(),
        variant: Default::default(),
        first_seed: 1,
    }
}

/// An experiment that the trainer without computations can carry out: it reports a training loss alone, which no change affects.
fn spec() -> Value {
    json!({
        "title": "Lower rate", "hypothesis": "The rate is too high.",
        "baseline": { "spec": { "preset": "tiny", "corpus": "play", "steps": 5, "seed": 3, "overrides": { "model.seq": 16 } } },
        "change": { "overrides": { "optimizer.learning_rate": 1e-4 } }, "metric": { "series": "loss.train" },
        "prediction": { "difference": -0.1, "probability": 0.7 }, "rule": { "effect": 0.1, "max_pairs": 3 },
        "budget": { "steps": 5, "device_hours": 1.0 }
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut spec = spec();
    let (parent, key) = path.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    spec
}

async fn create(lab: &Lab, spec: &Value) -> Value {
    let made = lab.post(PATH, &lab.steer, &spec.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_cannot_be_decided_is_refused_before_it_costs_anything() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    for (path, value, field) in [
        ("/title", json!(""), "title"),
        ("/rule/alpha", json!(0.9), "rule.alpha"),
        ("/change/overrides", json!({}), "change"),
        ("/change/overrides", json!({ "optimizer.beta1": 2.0 }), "change.overrides.optimizer.beta1"),
        ("/change/corpus", json!("absent"), "change.corpus"),
        ("/baseline/spec", json!({ "corpus": "absent", "steps": 5 }), "baseline.spec.corpus"),
        ("/baseline/spec/priority", json!(1_000_000), "baseline.spec.priority"),
        ("/budget/steps", json!(4), "budget.steps"),
        ("/metric", json!({ "series": "eval/capitals/accuracy" }), "metric.series"),
        ("/change/tokenizer", json!("byte"), "metric.series"),
    ] {
        let refused = lab.post(PATH, &lab.steer, &with(path, value.clone()).to_string()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {value}: {refused:?}");
        assert_eq!(refused.json()["field"], field, "{path} {value}: {refused:?}");
    }
    // With one tokenizer for both texts, the losses are in one unit, but not of one text.
    lab.upload("name=other", "the slings and arrows of outrageous fortune\n".repeat(200).as_bytes()).await;
    let mut of_two_texts = with("/change", json!({ "corpus": "other" }));
    of_two_texts["baseline"]["spec"]["tokenizer"] = json!("byte");
    let refused = lab.post(PATH, &lab.steer, &of_two_texts.to_string()).await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("metric.series")));
    assert!(refused.json()["message"].as_str().unwrap().contains("another text"), "{refused:?}");
    let project = lab.post(PATH, &lab.steer, &with("/project", json!("absent")).to_string()).await;
    assert_eq!(project.status, StatusCode::NOT_FOUND, "{project:?}");
    let run = lab.post(PATH, &lab.steer, &with("/baseline", json!({ "run": "absent" })).to_string()).await;
    assert_eq!(run.status, StatusCode::NOT_FOUND, "{run:?}");
    let tasks = json!([{ "task": "absent", "every": 1 }]);
    let task = lab.post(PATH, &lab.steer, &with("/baseline/spec/tasks", tasks).to_string()).await;
    assert_eq!(task.status, StatusCode::NOT_FOUND, "{task:?}");
    assert_eq!(lab.get(PATH, &lab.view).await.json(), json!([]));
    assert_eq!(lab.get("/api/v1/runs", &lab.view).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_trained_until_the_rule_gives_a_verdict() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(experiments::serve(lab.state.clone()));
    let made = create(lab, &spec()).await;
    assert_eq!((&made["state"], &made["runs"]), (&json!("running"), &json!([])));
    let path = format!("{PATH}/{}", made["id"]);
    let decided = served.wait_until(&path, |view| view["state"] == "decided").await;
    assert_eq!((&decided["pairs"], &decided["verdict"]["outcome"]), (&json!(3), &json!("inconclusive")));
    let sentence = decided["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("differences that are all equal have no interval"), "{sentence}");
    let runs = decided["runs"].as_array().unwrap();
    let seeds: Vec<u64> = runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [3, 3, 4, 4, 5, 5], "by pair and side");
    // The trainer reports 4 / (step + 1), and the last of 5 steps is step 4.
    assert!(runs.iter().all(|run| (run["value"].as_f64().unwrap() - 0.8).abs() < 1e-6), "{runs:?}");
    let first = runs[1]["run"].as_str().unwrap();
    let view = lab.get(&format!("/api/v1/runs/{first}"), &lab.view).await.json();
    assert_eq!(view["summary"]["name"], "Lower rate variant seed 3");
    assert_eq!(view["summary"]["tags"], json!([format!("experiment:{}", made["id"])]));
    assert_eq!(view["plan"]["recipe"]["optimizer"]["learning_rate"], json!(1e-4));
    let scores = lab.get(&format!("{PATH}/scores"), &lab.view).await.json();
    assert_eq!((&scores[0]["author"]["person"], &scores[0]["inconclusive"]), (&json!("ada"), &json!(1)));
    assert!((scores[0]["brier"].as_f64().unwrap() - 0.49).abs() < 1e-9, "{scores}");
    let late = lab.patch(&path, &lab.steer, r#"{"action":"pause"}"#).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "experiment_state"));
    let audit = lab.get("/api/v1/audit", &lab.admin).await.json().to_string();
    assert!(audit.contains("create experiment"), "{audit}");
}

/// The runs are too long to end by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_is_repeated_once_and_then_pauses_the_experiment() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(experiments::serve(lab.state.clone()));
    let mut long = spec();
    long["baseline"]["spec"]["steps"] = json!(100_000);
    long["budget"]["steps"] = json!(100_000);
    let id = create(lab, &long).await["id"].clone();
    let path = format!("{PATH}/{id}");
    for attempt in [1, 2] {
        let open = |view: &Value| -> Vec<String> {
            let runs = view["runs"].as_array().unwrap().iter();
            let open =
                runs.filter(|run| run["attempt"] == attempt && run["value"].is_null() && run["failure"].is_null());
            open.map(|run| run["run"].as_str().unwrap().to_owned()).collect()
        };
        let view = served.wait_until(&path, |view| open(view).len() == 2).await;
        for run in open(&view) {
            let stopped = served.command(&run.parse().unwrap(), r#"{"kind": "stop"}"#).await;
            assert_eq!(stopped.status, StatusCode::OK, "{stopped:?}");
        }
    }
    let paused = served.wait_until(&path, |view| view["state"] == "paused").await;
    assert!(paused["reason"].as_str().unwrap().starts_with("baseline of pair 1 failed again: "), "{paused}");
    assert_eq!(paused["runs"].as_array().unwrap().len(), 4);
    assert_eq!(lab.patch(&path, &lab.steer, r#"{"action":"resume"}"#).await.json()["state"], "running");
    served.wait_until(&path, |view| view["runs"].as_array().unwrap().len() == 6).await;
    let empty = lab.patch(&path, &lab.steer, r#"{"action":"stop","reason":" "}"#).await;
    assert_eq!((empty.status, &empty.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("reason")));
    let stopped = lab.patch(&path, &lab.steer, r#"{"action":"stop","reason":"no time"}"#).await.json();
    assert_eq!((&stopped["state"], &stopped["reason"]), (&json!("stopped"), &json!("no time")));
    for run in stopped["runs"].as_array().unwrap() {
        served.reaches(&run["run"].as_str().unwrap().parse().unwrap(), "stopped").await;
    }
    let is_settled = |run: &Value| run["failure"].is_string() && run["device_secs"].is_number();
    served.wait_until(&path, |view| view["runs"].as_array().unwrap().iter().all(is_settled)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_run_is_stopped_before_it_is_repeated() {
    let served = LabWithWorker::open().await;
    let (lab, store) = (&served.lab, served.lab.state.store());
    let mut long = spec();
    long["baseline"]["spec"]["steps"] = json!(100_000);
    long["budget"]["steps"] = json!(100_000);
    let id = create(lab, &long).await["id"].as_u64().unwrap();
    experiments::advance(&lab.state, id).await.unwrap();
    let path = format!("{PATH}/{id}");
    // One of them trains on the only device, and the other one waits.
    let view = served.wait_until(&path, |view| view["runs"][0]["state"] == "running").await;
    assert_eq!(view["runs"][1]["state"], "queued", "{view}");
    let lost: RunId = view["runs"][1]["run"].as_str().unwrap().parse().unwrap();
    store.set_state(&lost, RunState::Lost, Some("its worker is gone".into())).await.unwrap();
    experiments::advance(&lab.state, id).await.unwrap();
    let view = lab.get(&path, &lab.view).await.json();
    assert_eq!(view["runs"][1]["failure"], "was lost at step 0: its worker is gone");
    assert_eq!(store.summary(&lost).await.unwrap().unwrap().state, RunState::Stopped, "its worker cannot continue it");
    let reason = r#"{"action":"stop","reason":"no time"}"#;
    assert_eq!(lab.patch(&path, &lab.steer, reason).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_was_replaced_pauses_the_experiment_also_after_its_first_runs_were_deleted() {
    let served = LabWithWorker::open().await;
    let (lab, store) = (&served.lab, served.lab.state.store());
    let id = create(lab, &spec()).await["id"].as_u64().unwrap();
    let path = format!("{PATH}/{id}");
    let mut runs: Vec<RunId> = vec![];
    for pair in 1..=2 {
        experiments::advance(&lab.state, id).await.unwrap();
        let view = lab.get(&path, &lab.view).await.json();
        let of_pair = view["runs"].as_array().unwrap().iter().filter(|run| run["pair"] == pair);
        let of_pair: Vec<RunId> = of_pair.map(|run| run["run"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(of_pair.len(), 2, "{view:#}");
        for run in &of_pair {
            served.reaches(run, "finished").await;
        }
        runs.extend(of_pair);
    }
    for run in &runs[..2] {
        store.delete_run(run, 1).await.unwrap();
    }
    assert_eq!(store.purge_deleted(2).await.unwrap().len(), 2);
    assert_eq!(lab.delete("/api/v1/corpora/play", &lab.admin).await.status, StatusCode::NO_CONTENT);
    let other = lab.upload("name=play", "to be or not to be that is the question\n".repeat(300).as_bytes()).await;
    assert_eq!(other.json()["id"], "play", "{other:?}");
    experiments::advance(&lab.state, id).await.unwrap();
    let paused = lab.get(&path, &lab.view).await.json();
    assert_eq!(paused["state"], "paused", "{paused:#}");
    let reason = paused["reason"].as_str().unwrap();
    assert!(reason.contains("the plan of the baseline differs from that of the earlier pairs"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_of_somebody_who_lost_their_role_starts_no_run() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let cookie = invite(lab, "bo", "steer", &json!([])).await;
    let request = ask("POST", PATH, None).header("cookie", &cookie).header("content-type", "application/json");
    let made = lab.send(request.body(Body::from(spec().to_string())).unwrap()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let people = lab.get("/api/v1/people", &lab.admin).await.json();
    let bo = people.as_array().unwrap().iter().find(|person| person["name"] == "bo").unwrap()["id"].clone();
    let changed = lab.patch(&format!("/api/v1/people/{bo}"), &lab.admin, r#"{"role":"view"}"#).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let id = made.json()["id"].as_u64().unwrap();
    experiments::advance(&lab.state, id).await.unwrap();
    let paused = lab.get(&format!("{PATH}/{id}"), &lab.view).await.json();
    let reason = "its author may not start runs in the project default any more";
    assert_eq!((&paused["state"], &paused["reason"]), (&json!("paused"), &json!(reason)));
    assert_eq!(lab.get("/api/v1/runs", &lab.view).await.json(), json!([]));
}
