//! Tools that read the state of the lab.

use serde_json::{Value, json};

use super::{at, call, code, refused, result};
use crate::scenarios::{LabWithWorker, SAMPLED};

#[tokio::test(flavor = "multi_thread")]
async fn the_lab_its_runs_and_one_run_are_shown() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let status = call(lab, &lab.view, "lab_status", json!({})).await;
    let data = &status["data"];
    assert_eq!(data["you"]["name"], "⟦data name⟧ada⟦end⟧");
    assert_eq!((&data["you"]["grants"]["lab"], &data["by_state"]), (&json!("view"), &json!({ "paused": 1 })));
    assert_eq!((&data["active"][0]["id"], &data["active"][0]["state"]), (&json!(run), &json!("paused")));
    assert_eq!((&data["devices"][0]["device"], &data["devices"][0]["run"]), (&json!("cpu"), &json!(run)));
    assert_eq!(status["next"][0], format!("get_run or diagnose with run {run}"));

    let listed =
        call(lab, &lab.view, "list_runs", json!({ "state": "paused", "columns": "optimizer.grad_clip" })).await;
    assert_eq!((&listed["data"]["total"], &listed["data"]["runs"][0]["id"]), (&json!(1), &json!(run)));
    assert!(listed["data"]["runs"][0]["columns"]["optimizer.grad_clip"].is_number(), "{listed:#}");
    assert_eq!(call(lab, &lab.view, "list_runs", json!({ "state": "finished" })).await["data"]["runs"], json!([]));
    assert_eq!(refused(lab, &lab.view, "list_runs", json!({ "limit": "x" })).await, at("arguments_invalid", "limit"));
    assert_eq!(refused(lab, &lab.view, "list_runs", json!({ "colour": 1 })).await, at("arguments_invalid", "colour"));

    let one = call(lab, &lab.view, "get_run", json!({ "run": run })).await;
    assert_eq!((&one["data"]["run"]["id"], &one["data"]["plan"]["steps"]), (&json!(run), &json!(1_000_000)));
    assert!(one["data"]["now"]["optimizer.learning_rate"].is_number(), "{one:#}");
    assert!(one["data"]["series"].as_array().unwrap().contains(&json!("loss.train")), "{one:#}");
    assert_eq!(refused(lab, &lab.view, "get_run", json!({ "run": "nobody" })).await, code("not_found"));
    assert_eq!(refused(lab, &lab.view, "get_run", json!({})).await, at("arguments_invalid", "run"));
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_summarized_shown_exactly_and_drawn() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.start(300).await);
    served.reaches(&run, "finished").await;
    let names = json!(["loss.train"]);
    let summary = call(lab, &lab.view, "get_series", json!({ "run": run, "series": names })).await;
    let loss = &summary["data"]["series"][0];
    assert_eq!(
        (&loss["series"], &loss["points"], &loss["unit"]),
        (&json!("loss.train"), &json!(300), &json!("nats/token"))
    );
    // The trainer reports 4 / (step + 1).
    assert_eq!((&loss["first"]["value"], &loss["maximum"]["value"]), (&json!(4.0), &json!(4.0)));
    assert_eq!((&loss["last"]["step"], &loss["last"]["value"]), (&json!(299), &json!(0.0133333)));
    assert_eq!(loss["curve"].as_array().unwrap().len(), 20, "{loss:#}");
    assert_eq!(summary["units"]["loss.train"], "nats/token");

    let exact = json!({ "run": run, "series": names, "mode": "exact", "from": 0, "to": 1 });
    let exact = call(lab, &lab.view, "get_series", exact).await;
    assert_eq!(exact["data"]["series"][0]["values"], json!([[0, 4.0], [1, 2.0]]));
    let whole = call(lab, &lab.view, "get_series", json!({ "run": run, "series": names, "mode": "exact" })).await;
    assert_eq!(whole["data"]["series"][0]["values"].as_array().unwrap().len(), 300);
    let none = json!({ "run": run, "series": [] });
    assert_eq!(refused(lab, &lab.view, "get_series", none).await, at("query_invalid", "names"));
    let wrong = json!({ "run": run, "series": names, "mode": "all" });
    assert_eq!(refused(lab, &lab.view, "get_series", wrong).await, at("arguments_invalid", "mode"));

    let figure = result(lab, &lab.view, "get_figure", json!({ "run": run })).await;
    let image = &figure["content"][1];
    assert_eq!((&image["type"], &image["mimeType"]), (&json!("image"), &json!("image/png")));
    assert!(image["data"].as_str().unwrap().starts_with("iVBORw0KGgo"), "the beginning of a PNG file");
    let unknown = json!({ "run": run, "series": "beauty" });
    assert_eq!(refused(lab, &lab.view, "get_figure", unknown).await, code("not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_read_and_events_are_waited_for() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.start(100_000).await);
    served.reaches(&run, "running").await;
    let paused = served.command(&run, r#"{"kind": "pause", "reason": "look"}"#).await;
    assert_eq!(paused.json()["event"]["kind"], "paused", "{paused:?}");
    served.reaches(&run, "paused").await;
    let journal = call(lab, &lab.view, "get_journal", json!({ "run": run })).await;
    let events = journal["data"]["events"].as_array().unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["queued", "starting", "started", "paused"]);
    assert_eq!(events[3]["author"], json!({ "person": "⟦data person⟧ada⟦end⟧" }));
    assert_eq!(events[3]["reason"], "⟦data reason⟧look⟦end⟧");
    assert_eq!((&journal["data"]["last_number"], &journal["data"]["left"]), (&json!(4), &json!(0)));
    let first = call(lab, &lab.view, "get_journal", json!({ "run": run, "since": 0, "limit": 1 })).await;
    assert_eq!((&first["data"]["events"][0]["kind"], &first["data"]["left"]), (&json!("queued"), &json!(3)));
    assert_eq!(call(lab, &lab.view, "get_journal", json!({})).await["data"]["acts"], json!([]));
    let samples = call(lab, &lab.view, "get_samples", json!({ "run": run })).await;
    assert_eq!((&samples["data"]["has_more"], &samples["data"]["samples"]), (&json!(false), &json!([])));
    let entries = call(lab, &lab.view, "get_journal", json!({ "project": "default", "limit": 50 })).await;
    let entries = entries["data"]["entries"].as_array().unwrap();
    assert!(
        entries.iter().any(|entry| entry["kind"] == "command" && entry["subject"]["id"] == json!(run)),
        "{entries:#?}"
    );
    let both = json!({ "run": run, "project": "default" });
    assert_eq!(refused(lab, &lab.view, "get_journal", both).await, at("arguments_invalid", "project"));
    let report = call(lab, &lab.view, "write_report", json!({})).await;
    assert!(report["data"]["report"][0].as_str().unwrap().starts_with("⟦data report⟧# "), "{report:#}");
    assert_eq!(refused(lab, &lab.view, "write_report", json!({ "project": "absent" })).await.0, "not_found");

    let late = call(lab, &lab.view, "wait_for", json!({ "run": run, "timeout_s": 0 })).await;
    assert_eq!((&late["data"]["until"], &late["data"]["last_number"]), (&json!("timeout"), &json!(4)));
    let known = call(lab, &lab.view, "wait_for", json!({ "run": run, "since": 0, "kinds": ["started"] })).await;
    assert_eq!((&known["data"]["until"], &known["data"]["events"][0]["kind"]), (&json!("event"), &json!("started")));
    let reached = call(lab, &lab.view, "wait_for", json!({ "run": run, "step": 0 })).await;
    assert_eq!(reached["data"]["until"], "step");
    let stop = async {
        let stopped = served.command(&run, r#"{"kind": "stop"}"#).await;
        assert_eq!(stopped.json()["event"]["kind"], "stopped", "{stopped:?}");
    };
    let wait =
        call(lab, &lab.view, "wait_for", json!({ "run": run, "since": 4, "kinds": ["stopped"], "timeout_s": 50 }));
    let (waited, ()) = tokio::join!(wait, stop);
    assert_eq!((&waited["data"]["until"], &waited["data"]["events"][0]["kind"]), (&json!("event"), &json!("stopped")));
    let over = call(lab, &lab.view, "wait_for", json!({ "run": run, "kinds": ["paused"], "timeout_s": 50 })).await;
    assert_eq!(over["data"]["until"], "end_of_the_run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_inspected() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let seen = call(lab, &lab.view, "inspect", json!({ "run": run, "inspection": { "overview": {} } })).await;
    assert!(seen["data"]["inspection"].is_object(), "{seen:#}");
    let args = |inspection: Value| json!({ "run": run, "inspection": inspection });
    let drawn =
        json!({ "run": run, "inspection": { "weights": {} }, "image": true, "tensor": "block.0.attention.query" });
    let drawn = result(lab, &lab.view, "inspect", drawn).await;
    assert_eq!(
        (&drawn["content"][1]["mimeType"], &drawn["isError"]),
        (&json!("image/png"), &json!(false)),
        "{drawn:#}"
    );
    for (inspection, field) in [(json!({ "weights": {} }), "tensor"), (json!({ "overview": {} }), "image")] {
        let mut wrong = args(inspection);
        wrong["image"] = json!(true);
        assert_eq!(refused(lab, &lab.view, "inspect", wrong).await, at("arguments_invalid", field));
    }
    let batch = call(lab, &lab.view, "get_batch", json!({ "run": run, "step": 3 })).await;
    assert_eq!(batch["data"]["sequences"][0]["text"], format!("⟦data text⟧{SAMPLED}⟦end⟧"), "{batch:#}");
    let (refusal, _) = refused(lab, &lab.view, "inspect", args(json!({ "mood": {} }))).await;
    assert_eq!(refusal, "body_invalid");
    let missing = json!({ "run": run, "inspection": { "overview": {} }, "checkpoint": "0-777777" });
    assert_eq!(refused(lab, &lab.view, "inspect", missing).await.0, "not_found");
}
