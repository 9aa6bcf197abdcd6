//! Tools that analyse runs.

use serde_json::{Value, json};

use super::{at, call, code, refused};
use crate::scenarios::LabWithWorker;

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_diagnosed_compared_and_fitted() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let (one, other) = (served.start(20).await, served.start_with(20, r#", "optimizer.grad_clip": 0.5"#).await);
    served.reaches(&one, "finished").await;
    served.reaches(&other, "finished").await;
    let found = call(lab, &lab.view, "diagnose", json!({ "run": one })).await;
    assert!(found["data"]["findings"].is_array() && found["data"]["run"] == json!(one), "{found:#}");
    assert_eq!(refused(lab, &lab.view, "diagnose", json!({ "run": "nobody" })).await, code("not_found"));

    // The trainer evaluates nothing, so the answer has reasons in place of a difference.
    let compared = call(lab, &lab.view, "compare", json!({ "baseline": [one], "changes": [[other]] })).await;
    assert_eq!(compared["data"]["baseline"][0]["run"], json!(one), "{compared:#}");
    assert_eq!(compared["data"]["changes"][0]["runs"][0]["run"], json!(other), "{compared:#}");
    let alone = json!({ "baseline": [one], "changes": [] });
    assert_eq!(refused(lab, &lab.view, "compare", alone).await, at("query_invalid", "change"));

    let fit = call(lab, &lab.view, "fit_scaling_law", json!({ "runs": [one, other], "parameters": 1e8 })).await;
    assert_eq!(fit["data"]["result"]["kind"], "refused", "two runs determine no law: {fit:#}");
    assert_eq!(refused(lab, &lab.view, "fit_scaling_law", json!({})).await, at("arguments_invalid", "runs"));
    let negative = json!({ "runs": [one], "tokens": -1 });
    assert_eq!(refused(lab, &lab.view, "fit_scaling_law", negative).await, at("query_invalid", "tokens"));
    assert_eq!(refused(lab, &lab.view, "fit_scaling_law", json!({ "runs": ["nobody"] })).await, code("not_found"));
    let replay = call(lab, &lab.view, "replay_early_stopping", json!({ "rule": "asha", "runs": [one, other] })).await;
    assert_eq!(replay["data"]["rule"], "asha", "{replay:#}");

    for scope in [json!({ "runs": [one, other] }), json!({ "project": "default" })] {
        let mut arguments = json!({ "metric": "loss.train" });
        arguments.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        let ranked = call(lab, &lab.view, "rank", arguments).await;
        let (data, first) = (&ranked["data"], &ranked["data"]["ranking"][0]);
        assert_eq!((&data["configurations"], &data["equal"], &data["at"]), (&json!(2), &json!("tokens"), &json!(20.0)));
        // The trainer reports 4 / (step + 1), and one token for each step.
        assert_eq!((&first["rank"], &first["mean"], &first["runs"][0]["step"]), (&json!(1), &json!(0.2), &json!(19)));
        assert!(ranked["notes"].to_string().contains("two seeds"), "one seed of each shows no noise: {ranked:#}");
    }
    let twice = call(lab, &lab.view, "rank", json!({ "runs": [one, one], "metric": "loss.train" })).await;
    assert_eq!(twice["data"]["ranking"][0]["seeds"], 1, "a run is no second seed: {twice:#}");
    let earlier = json!({ "runs": [one], "metric": "loss.train", "equal": "step", "at": 9 });
    let earlier = call(lab, &lab.view, "rank", earlier).await;
    assert_eq!(earlier["data"]["ranking"][0]["mean"], 0.4, "{earlier:#}");
    assert_eq!(refused(lab, &lab.view, "rank", json!({})).await, at("arguments_invalid", "runs"));
    assert_eq!(refused(lab, &lab.view, "rank", json!({ "sweep": 777 })).await, code("not_found"));
    let floor = call(lab, &lab.view, "noise_floor", json!({ "run": one })).await;
    assert_eq!((&floor["data"]["unit"], &floor["data"]["noise"]), (&json!("nats/token"), &Value::Null), "{floor:#}");
    let zero = json!({ "run": one, "difference": 0 });
    assert_eq!(refused(lab, &lab.view, "noise_floor", zero).await, at("arguments_invalid", "difference"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_runs_and_sweeps_is_estimated() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let spec = json!({ "preset": "tiny", "corpus": "play", "steps": 20, "overrides": { "model.seq": 16 } });
    let cost = call(lab, &lab.view, "estimate_cost", json!({ "spec": spec })).await;
    assert!(cost["data"]["estimate"]["parameters"].as_u64() > Some(1_000), "{cost:#}");
    assert_eq!((&cost["data"]["plan"]["steps"], &cost["data"]["plan"]["preset"]), (&json!(20), &json!("tiny")));
    let absent = json!({ "spec": { "corpus": "absent" } });
    assert_eq!(refused(lab, &lab.view, "estimate_cost", absent).await, at("plan_invalid", "corpus"));
    assert_eq!(refused(lab, &lab.view, "estimate_cost", json!({})).await, at("arguments_invalid", "spec"));
    let sweep = json!({ "name": "rates", "trials": 4, "metric": { "name": "loss.train" }, "base": spec,
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } } });
    let cost = call(lab, &lab.steer, "estimate_cost", json!({ "sweep": sweep })).await;
    assert_eq!(cost["data"]["preview"]["trials"], 4, "{cost:#}");
    assert_eq!(refused(lab, &lab.view, "estimate_cost", json!({ "sweep": sweep })).await, code("forbidden"));
}
