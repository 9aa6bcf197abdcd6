//! What the protocol has besides tools: resources, prompts, progress and cancellation; and the recorded descriptions of all of it.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{VERSION, send};
use crate::lab::{Lab, ask};
use crate::scenarios::LabWithWorker;

/// The answer to a request with an id.
async fn answer(lab: &Lab, method: &str, params: Value) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = send(lab, Some(&lab.view), &message).await;
    assert_eq!(answer.status, StatusCode::OK, "{method}: {answer:?}");
    answer.json()
}

/// The names, descriptions and schemas that a client reads. `KINDLING_UPDATE_FIXTURES=1` records them again: a change of them changes what
/// models do.
#[tokio::test]
async fn descriptions_and_schemas_of_tools_prompts_and_resources_are_those_recorded() {
    let lab = Lab::open().await;
    let info =
        json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let instructions = answer(&lab, "initialize", info).await["result"]["instructions"].take();
    let mut surface = json!({ "instructions": instructions });
    for (method, list) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        surface[list] = answer(&lab, method, json!({})).await["result"][list].take();
        assert!(surface[list].as_array().is_some_and(|all| !all.is_empty()), "{method}");
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/router/mcp/surface.json");
    let text = format!("{surface:#}\n");
    if std::env::var_os("KINDLING_UPDATE_FIXTURES").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let recorded = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (found, recorded) = (text.lines().collect::<Vec<_>>(), recorded.lines().collect::<Vec<_>>());
    let differs = found.iter().zip(&recorded).find(|(found, recorded)| found != recorded);
    assert_eq!((differs, found.len()), (None, recorded.len()), "set KINDLING_UPDATE_FIXTURES=1 to record it again");
}

#[tokio::test]
async fn resources_are_listed_and_read_by_their_uris() {
    let lab = Lab::open().await;
    lab.state.store().create_run(&crate::run_table::run("amber-fox", 1)).await.unwrap();
    let listed = answer(&lab, "resources/list", json!({})).await;
    let uris: Vec<&str> = listed["result"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["uri"].as_str().unwrap())
        .collect();
    assert_eq!(
        uris,
        [
            "kindling://rules",
            "kindling://glossary",
            "kindling://projects/default/journal",
            "kindling://projects/default/report"
        ]
    );
    for (uri, kind, part) in [
        ("kindling://rules", "text/markdown", "(loss_spike)"),
        ("kindling://glossary", "text/markdown", "# Glossary"),
        ("kindling://runs/amber-fox", "application/json", "\"id\":\"amber-fox\""),
        ("kindling://runs/amber-fox/journal", "application/json", "\"kind\":\"queued\""),
        ("kindling://projects/default/journal", "application/json", "\"entries\""),
        ("kindling://projects/default/report", "application/json", "⟦data report⟧"),
    ] {
        let read = answer(&lab, "resources/read", json!({ "uri": uri })).await;
        let content = &read["result"]["contents"][0];
        assert_eq!((&content["uri"], &content["mimeType"]), (&json!(uri), &json!(kind)), "{read:#}");
        assert!(content["text"].as_str().unwrap().contains(part), "{uri}: {read:#}");
    }
    for uri in ["kindling://runs/nobody", "kindling://moods/a", "file:///etc/passwd"] {
        let refused = answer(&lab, "resources/read", json!({ "uri": uri })).await;
        assert_eq!(
            (&refused["error"]["code"], &refused["error"]["data"]["code"]),
            (&json!(-32002), &json!("not_found"))
        );
    }
}

#[tokio::test]
async fn prompts_are_listed_and_filled_in() {
    let lab = Lab::open().await;
    let listed = answer(&lab, "prompts/list", json!({})).await;
    let prompts = listed["result"]["prompts"].as_array().unwrap();
    let names: Vec<&str> = prompts.iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["triage_lab", "read_curve", "plan_sweep", "write_it_up", "teach_me_this_run"]);
    let arguments = json!({ "name": "read_curve", "arguments": { "run": "amber-fox" } });
    let filled = answer(&lab, "prompts/get", arguments).await;
    let text = filled["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("the run \"amber-fox\""), "{text}");
    let missing = answer(&lab, "prompts/get", json!({ "name": "read_curve" })).await;
    assert_eq!(missing["error"]["code"], -32602, "{missing:#}");
}

/// Begins a call that asks for progress. Returns as soon as the first notification has come, with the rest of the stream.
async fn begin(lab: &Lab, id: u64, arguments: Value) -> Response {
    let params = json!({ "name": "wait_for", "arguments": arguments, "_meta": { "progressToken": "waiting" } });
    let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    let request = ask("POST", "/mcp", Some(&lab.view))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", VERSION);
    let response = lab.router.clone().oneshot(request.body(Body::from(message.to_string())).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response
}

/// The messages of a stream of events until its end.
async fn messages(response: Response) -> Vec<Value> {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.filter_map(|line| serde_json::from_str(line.trim()).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_sends_its_progress_and_can_be_cancelled() {
    let served = LabWithWorker::open().await;
    let (lab, run) = (&served.lab, served.paused(1_000_000).await);
    let waits = json!({ "run": run, "kinds": ["stopped"], "timeout_s": 50 });
    let waiting = begin(lab, 7, waits.clone()).await;
    let other = begin(lab, 8, waits).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    // That of another token does not cancel it.
    assert_eq!(send(lab, Some(&lab.steer), &cancel).await.status, StatusCode::ACCEPTED);
    assert_eq!(send(lab, Some(&lab.view), &cancel).await.status, StatusCode::ACCEPTED);
    let received = messages(waiting).await;
    let (last, before) = received.split_last().unwrap();
    assert_eq!(last["result"]["structuredContent"]["error"]["code"], "call_cancelled", "{last:#}");
    assert!(!before.is_empty());
    for note in before {
        assert_eq!(
            (&note["method"], &note["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("waiting"))
        );
        assert_eq!(note["params"]["total"], 50.0, "{note:#}");
        assert!(note["params"]["message"].as_str().unwrap().starts_with(&format!("{run}: ")), "{note:#}");
    }
    let stopped = served.command(&run, r#"{"kind": "stop"}"#).await;
    assert_eq!(stopped.json()["event"]["kind"], "stopped", "{stopped:?}");
    let received = messages(other).await;
    let answer = &received.last().unwrap()["result"]["structuredContent"];
    assert_eq!((&answer["data"]["until"], &answer["data"]["events"][0]["kind"]), (&json!("event"), &json!("stopped")));
}
