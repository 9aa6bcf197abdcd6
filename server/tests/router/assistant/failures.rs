//! What providers refuse, limits, silence, broken streams, the stop button, and conversations of 200 messages.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::assistant::{CallState, Entry, LeftOut, PageContext, ProviderKind, ToolCall};

use super::stub::{Scripted, Stub, anthropic, anthropic_begin, open_stream, openai};
use super::{KEY, answered, begin, lab_with, provider, send, talk, until};

/// The message with which an answer ended early.
fn ending(found: &Value) -> &str {
    let last = found["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(last["kind"], "ended", "{found:#}");
    last["message"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_provider_is_asked_again_after_the_time_that_it_names() {
    let busy = |after| Scripted::Error(429, Some(after), r#"{"error":{"message":"slow down"}}"#.into());
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let overloaded = Scripted::Events(format!("event: error\ndata: {overloaded}\n\n"));
    let stub = Stub::start(vec![busy("0"), overloaded, Scripted::Events(anthropic("Hello.", &[])), busy("3600")]).await;
    let lab = lab_with(provider(ProviderKind::Anthropic, &stub)).await;
    let found = talk(&lab, &lab.view, "Hello").await;
    assert_eq!(found["entries"][1]["text"], "Hello.", "{found:#}");
    assert_eq!(stub.seen().len(), 3);
    let found = talk(&lab, &lab.view, "Hello").await;
    assert!(ending(&found).contains("status 429: slow down. Try again later."), "{found:#}");
    assert_eq!(stub.seen().len(), 4, "an hour is not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_shown_without_the_key() {
    let repeated = json!({ "error": { "message": format!("the key {KEY} is invalid") } }).to_string();
    let cut = format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": "Half an" } }] }));
    let script = vec![
        Scripted::Error(401, None, repeated),
        Scripted::Events("<html>not a stream</html>".into()),
        Scripted::Events("data: {no json\n\n".into()),
        Scripted::Events(cut),
    ];
    let stub = Stub::start(script).await;
    let lab = lab_with(provider(ProviderKind::Openai, &stub)).await;
    for expected in [
        "status 401: the key [key] is invalid. Check the key of the server's settings.",
        "did not answer with a stream of events",
        "did not answer with a stream of events",
        "ended its answer early",
    ] {
        let found = talk(&lab, &lab.view, "Hello").await;
        assert!(ending(&found).contains(expected), "{expected}: {found:#}");
        assert!(!found.to_string().contains(KEY), "{found:#}");
    }
    assert_eq!(stub.seen().len(), 4, "none of them is asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_provider_is_given_up_and_an_answer_can_be_stopped() {
    let (parts, open) = open_stream();
    let stub = Stub::start(vec![Scripted::Silence, open]).await;
    let mut silent = provider(ProviderKind::Anthropic, &stub);
    silent.silent = Duration::from_secs(1);
    let lab = lab_with(silent).await;
    let found = talk(&lab, &lab.view, "Hello").await;
    assert!(ending(&found).contains("has sent nothing for 1 s"), "{found:#}");

    let patient = provider(ProviderKind::Anthropic, &stub);
    let lab = lab_with(patient).await;
    let id = begin(&lab, &lab.view).await;
    send(&lab, &lab.view, id, json!({ "text": "Hello" })).await;
    parts.send(anthropic_begin("Once upon a time")).unwrap();
    until(&lab, &lab.view, id, |found| found["partial"] == "Once upon a time").await;
    let stopped = lab.post(&format!("/api/v1/conversations/{id}/stop"), &lab.view, "").await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT);
    let found = answered(&lab, &lab.view, id).await;
    assert_eq!(found["entries"][1]["text"], "Once upon a time", "{found:#}");
    assert_eq!(ending(&found), "You stopped the answer.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rounds_of_tools_have_a_bound() {
    let round = || Scripted::Events(openai("Again.", &[("c", "lab_status", "{}")]));
    let stub = Stub::start((0..20).map(|_| round()).collect()).await;
    let lab = lab_with(provider(ProviderKind::Openai, &stub)).await;
    let found = talk(&lab, &lab.view, "Hello").await;
    assert!(ending(&found).contains("12 rounds of tools"), "{found:#}");
    assert_eq!(stub.seen().len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_answers_of_a_long_conversation_are_left_out_and_after_200_messages_it_is_full() {
    let stub = Stub::start(vec![Scripted::Events(openai("So.", &[]))]).await;
    let mut small = provider(ProviderKind::Openai, &stub);
    small.context_tokens = 50_000;
    let lab = lab_with(small).await;
    let id = begin(&lab, &lab.view).await;
    let store = lab.state.store();
    let mut stored = store.conversation("token:ada", id, 0).await.unwrap().unwrap();
    let turn = |at: i64| {
        let call = ToolCall {
            id: format!("c{at}"),
            tool: "get_run".into(),
            arguments: "{}".into(),
            state: CallState::Done,
            answer: format!("{{\"data\":\"{}\"}}", "x".repeat(4_000)),
            image: None,
        };
        let said = |text: &str, calls| Entry::Said { text: text.into(), calls, left_out: LeftOut::default() };
        let asked = Entry::Asked { text: format!("question {at}"), context: PageContext::default(), at_ms: at };
        [asked, said("I look.", vec![call]), said("So.", vec![])]
    };
    let entries: Vec<Entry> = (0..199).flat_map(turn).collect();
    stored.summary.title = "long".into();
    assert!(store.save_conversation(&stored.summary, &stored.datasets, 0, &entries).await.unwrap());

    send(&lab, &lab.view, id, json!({ "text": "And now?" })).await;
    let found = answered(&lab, &lab.view, id).await;
    let last = found["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(last["text"], "So.", "{last:#}");
    assert!(last["left_out"]["answers"].as_u64().unwrap() > 100, "{last:#}");
    assert_eq!(last["left_out"]["messages"], 0);
    let sent = stub.seen()[0].json();
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1 + 199 * 4 + 1, "all messages of people are sent");
    let bytes: usize = messages[1..].iter().filter_map(|message| message["content"].as_str()).map(str::len).sum();
    assert!(bytes <= 4 * 50_000, "{bytes} bytes");
    let path = format!("/api/v1/conversations/{id}/messages");
    assert_eq!(lab.post(&path, &lab.view, r#"{"text": "and?"}"#).await.code(), "conversation_full");
}
