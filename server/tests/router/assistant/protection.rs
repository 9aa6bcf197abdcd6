//! What never leaves the lab: the key, except in the header of its provider, and the text of protected datasets.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use wire::assistant::ProviderKind;

use super::stub::{Scripted, Stub, anthropic, openai};
use super::{KEY, answered, begin, lab_with, provider, send, talk};
use crate::lab::{Answer, Lab, ask};
use crate::mcp::result;
use crate::scenarios::{LabWithWorker, SAMPLED};

async fn protect(lab: &Lab, token: &str, is_protected: bool) -> Answer {
    let request = ask("PUT", "/api/v1/corpora/play/protection", Some(token)).header("content-type", "application/json");
    lab.send(request.body(Body::from(json!({ "protected": is_protected }).to_string())).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_only_in_the_header_of_its_provider() {
    for (kind, header, value) in [
        (ProviderKind::Anthropic, "x-api-key", KEY.to_owned()),
        (ProviderKind::Openai, "authorization", format!("Bearer {KEY}")),
    ] {
        let call = [("c1", "lab_status", "{}")];
        let script = match kind {
            ProviderKind::Anthropic => [anthropic("I look.", &call), anthropic("Done.", &[])],
            ProviderKind::Openai => [openai("I look.", &call), openai("Done.", &[])],
        };
        let stub = Stub::start(script.into_iter().map(Scripted::Events).collect()).await;
        let lab = lab_with(provider(kind, &stub)).await;
        let found = talk(&lab, &lab.admin, "What runs?").await;
        assert_eq!(found["entries"][2]["text"], "Done.", "{found:#}");
        for seen in stub.seen() {
            assert_eq!(seen.header(header), Some(value.as_str()));
            let others = seen.headers.iter().filter(|(name, _)| name.as_str() != header);
            assert!(others.into_iter().all(|(_, value)| !value.to_str().unwrap().contains(KEY)), "{seen:?}");
            assert!(!seen.text.contains(KEY) && !seen.path.contains(KEY), "{seen:?}");
            assert!(!seen.text.contains(&lab.admin), "the token of the person stays in the lab");
        }
        for path in ["/api/v1/assistant", "/api/v1/conversations", "/api/v1/audit", "/metrics", "/api/v1/openapi.json"]
        {
            let answer = lab.get(path, &lab.admin).await;
            assert!(!String::from_utf8_lossy(&answer.body).contains(KEY), "{path}");
        }
        assert!(!format!("{:?}", lab.state.settings).contains(KEY));
        assert!(!files_contain(lab.folder.path(), KEY), "the folder of the lab");
    }
}

/// Whether any file below a folder contains a text.
fn files_contain(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return files_contain(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_protected_dataset_is_sent_to_no_provider() {
    let stub = Stub::start(vec![]).await;
    let with_provider = provider(ProviderKind::Openai, &stub);
    let served = LabWithWorker::open_with(|settings| settings.assistant = Some(with_provider)).await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let sampled = served.command(&run, r#"{"kind": "sample"}"#).await;
    assert_eq!(sampled.json()["event"]["text"], SAMPLED, "people read it");
    let samples = json!({ "run": run });
    let batch = json!({ "run": run, "inspection": { "batch": { "step": 1 } } });
    let journal = json!({ "run": run, "limit": 50 });
    let (samples_text, batch_text, journal_text) = (samples.to_string(), batch.to_string(), journal.to_string());
    let round = || {
        let calls = [
            ("c1", "get_samples", &*samples_text),
            ("c2", "inspect", &*batch_text),
            ("c3", "get_journal", &*journal_text),
        ];
        stub.add(Scripted::Events(openai("I read.", &calls)));
        stub.add(Scripted::Events(openai("Read.", &[])));
    };

    assert_eq!(protect(lab, &lab.view, true).await.code(), "forbidden");
    assert_eq!(protect(lab, &lab.steer, true).await.status, StatusCode::NO_CONTENT);
    round();
    let found = talk(lab, &lab.steer, "What does it write?").await;
    assert_eq!(found["entries"][2]["text"], "Read.", "{found:#}");
    assert!(found.to_string().contains("withheld"), "{found:#}");
    assert!(!found.to_string().contains(SAMPLED), "{found:#}");
    assert!(stub.seen().iter().all(|seen| !seen.text.contains(SAMPLED)), "no request has the text");
    assert!(stub.seen()[1].text.contains("withheld"), "the placeholder says so");
    for (tool, arguments) in [("get_samples", samples.clone()), ("inspect", batch.clone())] {
        let answer = result(lab, &lab.steer, tool, arguments).await;
        assert!(answer["isError"] == false && !answer.to_string().contains(SAMPLED), "agents over MCP: {answer:#}");
    }
    let info = lab.get("/api/v1/assistant", &lab.view).await.json();
    assert_eq!(info["protected"], json!(["play"]));

    // A conversation that has read the text is not sent any more once the dataset is protected.
    assert_eq!(protect(lab, &lab.steer, false).await.code(), "forbidden");
    assert_eq!(protect(lab, &lab.admin, false).await.status, StatusCode::NO_CONTENT);
    round();
    let id = begin(lab, &lab.steer).await;
    send(lab, &lab.steer, id, json!({ "text": "What does it write?" })).await;
    let found = answered(lab, &lab.steer, id).await;
    assert!(found.to_string().contains(SAMPLED), "{found:#}");
    protect(lab, &lab.steer, true).await;
    let sent = stub.seen().len();
    send(lab, &lab.steer, id, json!({ "text": "And now?" })).await;
    let found = answered(lab, &lab.steer, id).await;
    let last = found["entries"].as_array().unwrap().last().unwrap();
    assert!(last["message"].as_str().unwrap().contains("dataset play, which is protected now"), "{last:#}");
    assert_eq!(stub.seen().len(), sent);
}
