//! Answers of a model: streaming, several rounds of tools, images, and acts that wait for the person.

use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::assistant::ProviderKind;

use super::stub::{Scripted, Stub, anthropic, anthropic_begin, anthropic_end, open_stream, openai};
use super::{answered, begin, lab_with, provider, send, talk, until};
use crate::lab::Lab;
use crate::run_table::run;
use crate::scenarios::LabWithWorker;

#[tokio::test(flavor = "multi_thread")]
async fn text_arrives_in_parts_and_tools_are_called_in_several_rounds_with_images() {
    let (parts, first) = open_stream();
    let stub = Stub::start(vec![first]).await;
    let anthropic_provider = provider(ProviderKind::Anthropic, &stub);
    let served = LabWithWorker::open_with(|settings| settings.assistant = Some(anthropic_provider)).await;
    let (lab, run) = (&served.lab, served.start(30).await);
    served.reaches(&run, "finished").await;
    let id = begin(lab, &lab.view).await;
    let context = json!({ "page": format!("/runs/{run}"), "runs": [run], "step": 7 });
    let sent = send(lab, &lab.view, id, json!({ "text": "How did it go?", "context": context })).await;
    assert_eq!((&sent["is_answering"], &sent["total"]), (&json!(true), &json!(1)));
    parts.send(anthropic_begin("Let me look.")).unwrap();
    until(lab, &lab.view, id, |found| found["partial"] == "Let me look.").await;
    let path = format!("/api/v1/conversations/{id}/messages");
    assert_eq!(lab.post(&path, &lab.view, r#"{"text": "and?"}"#).await.code(), "answer_under_way");

    let figure = json!({ "run": run }).to_string();
    stub.add(Scripted::Events(anthropic("Again.", &[("t4", "get_run", "{\"run\":")])));
    stub.add(Scripted::Events(anthropic("It went well.", &[])));
    parts
        .send(anthropic_end(&[
            ("t1", "get_figure", &figure),
            ("t2", "get_run", r#"{"run": "nobody"}"#),
            ("t3", "delete_run", "{}"),
        ]))
        .unwrap();
    drop(parts);
    let found = answered(lab, &lab.view, id).await;
    let entries = found["entries"].as_array().unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["asked", "said", "said", "said"], "{found:#}");
    let calls = entries[1]["calls"].as_array().unwrap();
    let states: Vec<&str> = calls.iter().map(|call| call["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed", "failed"]);
    assert!(calls[0]["image"].as_str().unwrap().starts_with("iVBORw0KGgo"), "a PNG file");
    assert_eq!(entries[3]["text"], "It went well.");
    // Three requests of 1,000 and 100 tokens, at 3 and 15 dollars per million.
    let usage = &found["summary"]["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(3000), &json!(300)));
    assert!((usage["dollars"].as_f64().unwrap() - 0.0135).abs() < 1e-9, "{usage}");
    let journal = lab.get("/api/v1/projects/default/journal?kinds=conversation", &lab.view).await.json();
    let expected = "How did it go? (model test-model, 4 tool calls, 3\u{202f}000 input and 300 output tokens, $0.0135)";
    assert_eq!(journal["entries"][0]["text"], expected, "{journal:#}");

    let seen = stub.seen();
    assert_eq!(seen.len(), 3);
    let first = seen[0].json();
    assert_eq!(
        (seen[0].path.as_str(), &first["model"], &first["stream"]),
        ("/v1/messages", &json!("test-model"), &json!(true))
    );
    assert_eq!(seen[0].header("anthropic-version"), Some("2023-06-01"));
    let asked = first["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(
        asked.starts_with("The page shows: ") && asked.contains("\"step\":7") && asked.ends_with("How did it go?"),
        "{asked}"
    );
    let stop = first["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "stop").unwrap();
    assert!(stop["input_schema"]["properties"]["dry_run"].is_null(), "the server decides: {stop:#}");
    let second = seen[1].json();
    let results = second["messages"][2]["content"].as_array().unwrap();
    assert_eq!((&results[0]["tool_use_id"], &results[0]["is_error"]), (&json!("t1"), &json!(false)));
    assert_eq!(results[0]["content"][1]["source"]["media_type"], "image/png");
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(results[1]["is_error"] == true && text(&results[1]).contains("not_found"), "{results:?}");
    assert!(results[2]["is_error"] == true && text(&results[2]).contains("there is no tool"), "{results:?}");
    let third = seen[2].json();
    let malformed = &third["messages"][4]["content"][0];
    assert!(malformed["is_error"] == true && text(malformed).contains("not a JSON object"), "{malformed:#}");
    assert_eq!(third["messages"][3]["content"][1]["input"], json!({}), "malformed arguments are not repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_completions_stream_and_call_tools() {
    let script =
        [openai("I look.", &[("c1", "lab_status", "{}"), ("c2", "list_runs", "")]), openai("Nothing runs.", &[])];
    let stub = Stub::start(script.into_iter().map(Scripted::Events).collect()).await;
    let lab = lab_with(provider(ProviderKind::Openai, &stub)).await;
    let found = talk(&lab, &lab.view, "What runs?").await;
    assert_eq!(found["entries"][2]["text"], "Nothing runs.", "{found:#}");
    assert_eq!(found["summary"]["usage"]["input_tokens"], 2000);
    let seen = stub.seen();
    assert_eq!(seen[0].path, "/v1/chat/completions");
    let second = seen[1].json();
    let roles: Vec<&str> =
        second["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    assert_eq!(second["messages"][3]["tool_call_id"], "c1");
    assert!(second["messages"][3]["content"].as_str().unwrap().contains("\"by_state\""), "{second:#}");
    let system = second["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("never instructions"), "{system}");
}

/// A lab with a queued run, and a conversation in which the model proposes to stop it.
async fn proposing(token: fn(&Lab) -> &String) -> (Stub, Lab, i64) {
    let stop = json!({ "run": "amber", "reason": "it is not needed" }).to_string();
    let script = vec![anthropic("I would stop it.", &[("t1", "stop", &stop)]), anthropic("Understood.", &[])];
    let stub = Stub::start(script.into_iter().map(Scripted::Events).collect()).await;
    let lab = lab_with(provider(ProviderKind::Anthropic, &stub)).await;
    lab.state.store().create_run(&run("amber", 0)).await.unwrap();
    let found = talk(&lab, token(&lab), "Is it needed?").await;
    let call = &found["entries"][1]["calls"][0];
    assert_eq!(call["state"], "proposed", "{found:#}");
    let preview: Value = serde_json::from_str(call["answer"].as_str().unwrap()).unwrap();
    assert_eq!(preview["data"]["difference"]["state"], json!({ "now": "queued", "then": "stopped" }));
    assert_eq!(state(&lab).await, "queued", "nothing is done without a press");
    assert_eq!(stub.seen().len(), 1, "the model waits for the decision");
    let id = found["summary"]["id"].as_i64().unwrap();
    (stub, lab, id)
}

async fn state(lab: &Lab) -> String {
    lab.get("/api/v1/runs/amber", &lab.view).await.json()["summary"]["state"].as_str().unwrap().to_owned()
}

async fn decide(lab: &Lab, token: &str, id: i64, decision: Value) -> StatusCode {
    lab.post(&format!("/api/v1/conversations/{id}/calls/t1"), token, &decision.to_string()).await.status
}

/// The text of the result that the model received.
fn result(stub: &Stub) -> String {
    let request = stub.seen()[1].json();
    request["messages"][2]["content"][0]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_carried_out_when_the_person_confirms_it_and_only_once() {
    let (stub, lab, id) = proposing(|lab| &lab.steer).await;
    assert_eq!(decide(&lab, &lab.steer, id, json!({ "confirm": true })).await, StatusCode::ACCEPTED);
    let found = answered(&lab, &lab.steer, id).await;
    assert_eq!(found["entries"][1]["calls"][0]["state"], "done", "{found:#}");
    assert_eq!(found["entries"][2]["text"], "Understood.");
    assert_eq!(state(&lab).await, "stopped");
    assert!(result(&stub).contains("\"event\""), "{}", result(&stub));
    let events = lab.get("/api/v1/runs/amber/events", &lab.view).await.json();
    let stopped = events.as_array().unwrap().last().unwrap();
    assert_eq!(stopped["author"]["agent"], format!("ada (assistant, model test-model, conversation {id})"));
    assert_eq!(stopped["reason"], "it is not needed");
    assert_eq!(decide(&lab, &lab.steer, id, json!({ "confirm": true })).await, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_act_is_not_carried_out_and_the_model_receives_the_reason() {
    let (stub, lab, id) = proposing(|lab| &lab.steer).await;
    let rejected = json!({ "confirm": false, "reason": "I need it tomorrow" });
    assert_eq!(decide(&lab, &lab.steer, id, rejected).await, StatusCode::ACCEPTED);
    let found = answered(&lab, &lab.steer, id).await;
    assert_eq!(found["entries"][1]["calls"][0]["state"], "rejected", "{found:#}");
    assert!(result(&stub).contains("I need it tomorrow"), "{}", result(&stub));
    assert_eq!(state(&lab).await, "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_has_the_permissions_of_the_person_and_another_message_rejects_it() {
    let (stub, lab, id) = proposing(|lab| &lab.view).await;
    decide(&lab, &lab.view, id, json!({ "confirm": true })).await;
    let found = answered(&lab, &lab.view, id).await;
    assert_eq!(found["entries"][1]["calls"][0]["state"], "failed", "{found:#}");
    assert!(result(&stub).contains("forbidden"), "{}", result(&stub));
    assert_eq!(state(&lab).await, "queued");

    let (stub, lab, id) = proposing(|lab| &lab.steer).await;
    send(&lab, &lab.steer, id, json!({ "text": "Leave it." })).await;
    let found = answered(&lab, &lab.steer, id).await;
    assert_eq!(found["entries"][1]["calls"][0]["state"], "rejected", "{found:#}");
    assert!(result(&stub).contains("another message"), "{}", result(&stub));
    assert_eq!(state(&lab).await, "queued");
}
