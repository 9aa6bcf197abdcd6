//! Research loops: refused before they cost anything, steered by people and agents, and ended when nothing can be measured.

use axum::http::StatusCode;
use serde_json::{Value, json};
use server::runs::research_loops;
use server::runs::sweeps::serve::serve as serve_sweeps;
use store::{NewLoop, NewRoundRuns};
use wire::Author;
use wire::research_loop::record::LoopRound;

use crate::lab::{Lab, WITHIN};
use crate::scenarios::LabWithWorker;

const PATH: &str = "/api/v1/research-loops";

/// A loop of a project, as it is stored.
pub(crate) fn loop_of(project: &str) -> NewLoop {
    NewLoop {
        project: project.to_owned(),
        author: Author::Person("ada".into()),
        person: None,
        token: None,
        goal: serde_json::from_value(goal()).unwrap(),
        start: Default::default(),
    }
}

pub(crate) fn goal() -> Value {
    json!({
        "title": "Tune", "base": { "preset": "tiny", "corpus": "play", "steps": 20, "seed": 3, "overrides": { "model.seq": 16 } },
        "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-1] }, "optimizer.weight_decay": { "float": [0, 0.4] } },
        "budget": { "device_hours": 1.0 }, "screening": { "seeds": 2 }
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut goal = goal();
    let (parent, key) = path.rsplit_once('/').unwrap();
    goal.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    goal
}

async fn create(lab: &Lab, goal: &Value) -> String {
    let made = lab.post(PATH, &lab.steer, &goal.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    format!("{PATH}/{}", made.json()["id"])
}

async fn act(lab: &Lab, path: &str, action: Value) -> crate::lab::Answer {
    lab.patch(path, &lab.steer, &action.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_that_cannot_be_pursued_is_refused_before_it_costs_anything() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    for (path, value, field) in [
        ("/title", json!(""), "title"),
        ("/base/corpus", json!("absent"), "base.corpus"),
        ("/base/steps", json!(1), "base.steps"),
        ("/base/name", json!("mine"), "base.name"),
        ("/parameters", json!({}), "parameters"),
        ("/parameters", json!({ "steps": { "int": [1, 9] } }), "parameters.steps"),
        ("/budget/device_hours", json!(-1), "budget.device_hours"),
        ("/rule", json!({ "alpha": 0.9 }), "rule.alpha"),
    ] {
        let refused = lab.post(PATH, &lab.steer, &with(path, value.clone()).to_string()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {value}: {refused:?}");
        assert_eq!(refused.json()["field"], field, "{path} {value}: {refused:?}");
    }
    assert_eq!(lab.get(PATH, &lab.view).await.json(), json!([]));
    assert_eq!(lab.get("/api/v1/sweeps", &lab.view).await.json(), json!([]));
}

/// The trainer without computations reports no validation loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_loop_without_a_noise_floor_ends_and_can_be_replayed() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    tokio::spawn(serve_sweeps(lab.state.clone()));
    tokio::spawn(research_loops::serve(lab.state.clone()));
    let path = create(lab, &goal()).await;
    let ended = served.wait_until(&path, |view| view["state"] == "finished").await;
    assert_eq!(ended["reason"], "fewer than 2 runs of the default recipe have a validation loss");
    assert_eq!(ended["start"]["steps"], 20);
    assert_eq!(ended["start"]["short_steps"], 5);
    let rounds = ended["rounds"].as_array().unwrap();
    assert_eq!((rounds.len(), &rounds[0]["decision"]["outcome"]), (1, &json!("failed")));
    let seeds: Vec<u64> =
        rounds[0]["screened"].as_array().unwrap().iter().map(|trial| trial["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [3, 4]);
    let run = rounds[0]["screened"][0]["run"].as_str().unwrap();
    let view = lab.get(&format!("/api/v1/runs/{run}"), &lab.view).await.json();
    assert_eq!((&view["plan"]["steps"], &view["plan"]["recipe"]["intervals"]["eval_every"]), (&json!(5), &json!(1)));
    let replayed = lab.get(&format!("{path}/replay"), &lab.view).await.json();
    assert_eq!(replayed, json!({ "decisions": 2, "differences": [] }));
    let events = lab.get(&format!("{path}/events?since=1&limit=2"), &lab.view).await.json();
    assert_eq!(
        (events.as_array().unwrap().len(), &events[0]["number"], &events[1]["number"]),
        (2, &json!(2), &json!(3))
    );
    assert_eq!(events[0]["text"], "round 1: noise floor of the default recipe");
    let refused = lab.get(&format!("{path}/events?limit=501"), &lab.view).await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("limit")));
    let late = act(lab, &path, json!({ "action": "pause" })).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "loop_state"));
    let audit = lab.get("/api/v1/audit", &lab.admin).await.json().to_string();
    assert!(audit.contains("create research loop"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_and_proposals_stay_within_the_goal() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let path = create(lab, &with("/proposer", json!("agent"))).await;
    for proposer in ["builtin", "agent"] {
        let set = act(lab, &path, json!({ "action": "set_proposer", "proposer": proposer })).await.json();
        assert_eq!(set["hints"]["proposer"], proposer);
    }
    let pinned = act(lab, &path, json!({ "action": "pin", "parameter": "optimizer.weight_decay" })).await.json();
    assert_eq!(pinned["hints"]["pinned"], json!(["optimizer.weight_decay"]));
    for (action, field) in [
        (json!({ "action": "pin", "parameter": "model.layers" }), "parameter"),
        (json!({ "action": "suggest", "parameter": "model.layers", "value": 2 }), "parameter"),
        (json!({ "action": "suggest", "parameter": "optimizer.learning_rate", "value": 2 }), "value"),
        (json!({ "action": "suggest", "parameter": "optimizer.weight_decay", "value": 0.2 }), "parameter"),
        (json!({ "action": "stop", "reason": " " }), "reason"),
    ] {
        let refused = act(lab, &path, action.clone()).await;
        assert_eq!(
            (refused.status, &refused.json()["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{action}"
        );
    }
    let proposals = format!("{path}/proposals");
    let proposal = |parameter: &str, value: Value| {
        json!({ "parameter": parameter, "values": [value], "prediction": { "difference": -0.1, "probability": 0.6 },
            "reason": "Larger steps." })
    };
    for (parameter, value, field) in [
        ("model.layers", json!(2), "parameter"),
        ("optimizer.learning_rate", json!(2), "values"),
        ("optimizer.weight_decay", json!(0.2), "parameter"),
    ] {
        let refused = lab.post(&proposals, &lab.steer, &proposal(parameter, value).to_string()).await;
        let found = (refused.status, refused.json()["field"].clone());
        assert_eq!(found, (StatusCode::UNPROCESSABLE_ENTITY, json!(field)), "{parameter}");
    }
    let valid = proposal("optimizer.learning_rate", json!(0.02)).to_string();
    assert_eq!(lab.post(&proposals, &lab.view, &valid).await.status, StatusCode::FORBIDDEN);
    let queued = lab.post(&proposals, &lab.steer, &valid).await;
    assert_eq!((queued.status, &queued.json()["queued"]["values"]), (StatusCode::CREATED, &json!([0.02])));
    let again = lab.post(&proposals, &lab.steer, &valid).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "loop_state"));
    let builtin = create(lab, &goal()).await;
    let refused = lab.post(&format!("{builtin}/proposals"), &lab.steer, &valid).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "loop_proposer"));
}

/// A change that is screened with runs too long to end by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_vetoed_round_and_a_stopped_loop_train_no_more() {
    let served = LabWithWorker::open().await;
    let (lab, store) = (&served.lab, served.lab.state.store());
    tokio::spawn(serve_sweeps(lab.state.clone()));
    let path = create(lab, &with("/base/steps", json!(400_000))).await;
    let id: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
    research_loops::advance(&lab.state, id).await.unwrap();
    let begun = served.wait_until(&path, |view| view["rounds"][0]["sweep"].is_number()).await;
    let sweep = begun["rounds"][0]["sweep"].as_i64().unwrap();
    let sweep_path = format!("/api/v1/sweeps/{sweep}");
    served.wait_until(&sweep_path, |view| view["trials"][0]["state"] == "running").await;
    // Pausing pauses the sweep of the round, and resuming resumes it.
    assert_eq!(act(lab, &path, json!({ "action": "pause" })).await.json()["state"], "paused");
    research_loops::advance(&lab.state, id).await.unwrap();
    assert_eq!(lab.get(&sweep_path, &lab.view).await.json()["sweep"]["state"], "paused");
    assert_eq!(act(lab, &path, json!({ "action": "resume" })).await.json()["state"], "running");
    research_loops::advance(&lab.state, id).await.unwrap();
    assert_eq!(lab.get(&sweep_path, &lab.view).await.json()["sweep"]["state"], "running");
    // Only a change can be vetoed.
    let veto = json!({ "action": "veto", "round": 1, "reason": "Too slow." });
    assert_eq!(act(lab, &path, veto).await.code(), "loop_state");
    let second =
        store.begin_round(id, &round_after(&begun), &NewRoundRuns::Sweep(crate::sweeps::new_sweep("default"))).await;
    assert_eq!(second.unwrap(), None, "the first round is not decided");
    let stopped = act(lab, &path, json!({ "action": "stop", "reason": "no time" })).await.json();
    assert_eq!((&stopped["state"], &stopped["reason"]), (&json!("stopped"), &json!("no time")));
    // Time that deleted runs have used.
    store.set_round_secs(id, 1, 1e6).await.unwrap();
    let began = std::time::Instant::now();
    let decided = loop {
        research_loops::advance(&lab.state, id).await.unwrap();
        let view = lab.get(&path, &lab.view).await.json();
        if view["rounds"][0]["decision"].is_object() {
            break view;
        }
        assert!(began.elapsed() < WITHIN, "{view:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(decided["rounds"][0]["decision"]["outcome"], "failed");
    assert_eq!(decided["rounds"][0]["device_secs"], json!(1e6), "it stays used");
    let runs = lab.get("/api/v1/runs", &lab.view).await.json();
    let is_over = |run: &Value| run["state"] == "stopped";
    assert!(runs.as_array().unwrap().iter().all(is_over), "{runs:#}");
}

/// The round after the first of a loop.
fn round_after(view: &Value) -> LoopRound {
    let first: LoopRound = serde_json::from_value(view["rounds"][0].clone()).unwrap();
    LoopRound { number: 2, sweep: None, ..first }
}
