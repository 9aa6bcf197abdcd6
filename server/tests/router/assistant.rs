//! The assistant against stubs of both programming interfaces of providers, and without one.
//!
//! - here: helpers, and answers without a model; `stub`: the provider; `rounds`: streaming, tools, images, acts; `failures`: errors, limits,
//!   stopping, long conversations; `protection`: datasets and keys that are never sent.

mod failures;
mod protection;
mod rounds;
mod stub;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::lab::model_provider::ModelProvider;
use server::lab::model_provider::secret::Secret;
use wire::assistant::ProviderKind;

use crate::lab::{Lab, WITHIN, ask};
use crate::reach::invite;
use crate::run_table::run;
use stub::Stub;

/// The key of the provider.
const KEY: &str = "sk-test-5f2c9e71a0";

/// A provider with a key and prices.
fn provider(kind: ProviderKind, stub: &Stub) -> ModelProvider {
    let path = if kind == ProviderKind::Openai { "/v1" } else { "" };
    ModelProvider {
        key: Secret::new(KEY),
        input_price: Some(3.0),
        output_price: Some(15.0),
        ..ModelProvider::new(kind, format!("{}{path}", stub.url), "test-model".into())
    }
}

/// A lab whose assistant asks this provider.
async fn lab_with(provider: ModelProvider) -> Lab {
    Lab::open_with(|settings| settings.assistant = Some(provider)).await
}

async fn begin(lab: &Lab, token: &str) -> i64 {
    let begun = lab.post("/api/v1/conversations", token, "{}").await;
    assert_eq!(begun.status, StatusCode::CREATED, "{begun:?}");
    begun.json()["summary"]["id"].as_i64().unwrap()
}

async fn send(lab: &Lab, token: &str, id: i64, message: Value) -> Value {
    let sent = lab.post(&format!("/api/v1/conversations/{id}/messages"), token, &message.to_string()).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{sent:?}");
    sent.json()
}

/// Waits until a conversation meets a condition.
async fn until(lab: &Lab, token: &str, id: i64, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = lab.get(&format!("/api/v1/conversations/{id}"), token).await.json();
        if is_so(&found) {
            return found;
        }
        assert!(began.elapsed() < WITHIN, "the conversation stayed {found:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The conversation when its answer is complete.
async fn answered(lab: &Lab, token: &str, id: i64) -> Value {
    until(lab, token, id, |found| found["is_answering"] == false).await
}

/// Begins a conversation with a text, and returns it when it is answered.
async fn talk(lab: &Lab, token: &str, text: &str) -> Value {
    let id = begin(lab, token).await;
    send(lab, token, id, json!({ "text": text })).await;
    answered(lab, token, id).await
}

#[tokio::test]
async fn without_a_provider_rules_answer_and_say_that_no_model_does() {
    let lab = Lab::open().await;
    for (id, at) in [("amber", 0), ("birch", 1)] {
        lab.state.store().create_run(&run(id, at)).await.unwrap();
    }
    let info = lab.get("/api/v1/assistant", &lab.view).await.json();
    assert_eq!((&info["provider"], &info["protected"]), (&Value::Null, &json!([])));
    let acts = |tool: &&Value| tool["acts"] == true;
    assert!(info["tools"].as_array().unwrap().iter().filter(acts).any(|tool| tool["name"] == "stop"), "{info:#}");

    let id = begin(&lab, &lab.view).await;
    let two = json!({ "page": "/compare", "runs": ["amber", "birch"], "step": null });
    for (message, beginning) in [
        (
            json!({ "question": "triage" }),
            "No run has an alert, has failed or was lost. 0 runs on a device, 2 in the queue",
        ),
        (json!({ "question": "is_healthy" }), "Open the page of a run first"),
        (json!({ "text": "Is this run healthy?", "context": two }), "amber (amber) is queued at step 0."),
        (json!({ "text": "why so slow", "context": two }), "amber (amber):\n- It does not train: it is queued"),
        (
            json!({ "question": "what_changed", "context": two }),
            "From amber (amber) to birch (birch):\n- the plans are equal",
        ),
        (json!({ "question": "what_next", "context": two }), "amber (amber): no active finding suggests a change."),
        (json!({ "text": "write a poem" }), "No model is configured, so only these questions can be answered"),
    ] {
        let sent = send(&lab, &lab.view, id, message.clone()).await;
        let answer = &sent["entries"][1];
        assert_eq!(answer["kind"], "answered", "{message}: {sent:#}");
        assert!(answer["text"].as_str().unwrap().starts_with(beginning), "{message}: {answer:#}");
        assert_eq!(sent["is_answering"], false);
    }
    let kept = lab.get(&format!("/api/v1/conversations/{id}?from=12"), &lab.view).await.json();
    assert_eq!((&kept["total"], kept["entries"].as_array().unwrap().len()), (&json!(14), 2));
    assert_eq!(kept["summary"]["title"], "Which runs need attention?");
    for (message, field) in [
        (json!({ "text": "" }), "text"),
        (json!({ "text": "x".repeat(8_001) }), "text"),
        (json!({ "text": "a", "context": { "runs": vec!["amber"; 9] } }), "context.runs"),
    ] {
        let path = format!("/api/v1/conversations/{id}/messages");
        let refused = lab.post(&path, &lab.view, &message.to_string()).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["field"]), (422, &json!(field)), "{message}");
    }
}

#[tokio::test]
async fn a_conversation_is_read_continued_and_deleted_by_its_author_alone() {
    let lab = Lab::open().await;
    let id = begin(&lab, &lab.view).await;
    send(&lab, &lab.view, id, json!({ "question": "triage" })).await;
    let other = invite(&lab, "bob", "view", &json!([])).await;
    let path = format!("/api/v1/conversations/{id}");
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/stop"))] {
        let foreign = ask(method, &path, None).header("cookie", &other).body(Body::empty()).unwrap();
        assert_eq!(lab.send(foreign).await.code(), "not_found", "{method} {path}");
    }
    let listed = ask("GET", "/api/v1/conversations", None).header("cookie", &other).body(Body::empty()).unwrap();
    assert_eq!(lab.send(listed).await.json(), json!([]));
    let listed = lab.get("/api/v1/conversations", &lab.view).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(id)));
    let new = json!({ "name": "reader", "role": "view", "limits": { "mode": "read" } }).to_string();
    let made = lab.post("/api/v1/tokens", &lab.admin, &new).await.json();
    let agent = made["text"].as_str().unwrap();
    for path in [&path, "/api/v1/conversations"] {
        assert_eq!(lab.get(path, agent).await.code(), "forbidden", "an agent reads no conversation, {path}");
    }
    // The research journal and its report have it for its author alone, and for no tool.
    let (journal, report) = ("/api/v1/projects/default/journal", "/api/v1/projects/default/report.md");
    let text = "Which runs need attention? (answered without a model)";
    let search = format!("{journal}?kinds=conversation&q=attention%20ada");
    let found = lab.get(&search, &lab.view).await.json();
    let subject = json!({ "of": "conversation", "id": id, "name": format!("Conversation {id}") });
    let [entry] = found["entries"].as_array().unwrap().as_slice() else { panic!("{found:#}") };
    assert_eq!(
        (&entry["subject"], &entry["author"], &entry["text"]),
        (&subject, &json!({ "person": "ada" }), &json!(text))
    );
    assert!(String::from_utf8(lab.get(report, &lab.view).await.body).unwrap().contains("Which runs need attention?"));
    for path in [journal, report] {
        let foreign = ask("GET", path, None).header("cookie", &other).body(Body::empty()).unwrap();
        let foreign = lab.send(foreign).await;
        assert_eq!(foreign.status, StatusCode::OK);
        assert!(!String::from_utf8(foreign.body).unwrap().contains("attention"), "{path}");
    }
    let read = crate::mcp::call(&lab, &lab.view, "get_journal", json!({ "project": "default" })).await;
    assert_eq!(read["data"]["entries"], json!([]), "{read:#}");
    assert_eq!(lab.delete(&path, &lab.view).await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.get(&path, &lab.view).await.code(), "not_found");
    assert_eq!(lab.get(&search, &lab.view).await.json()["entries"], json!([]), "deleted with it");
}
