//! Agents: the Model Context Protocol at `/mcp`, its tools, and what a token may do with them.
//!
//! - here: connecting, the list of tools, the limit of calls; `observing`, `judging`, `acting`, `loops`: the tools; `proposing`: calls that a
//!   person approves; `bounds`: size and hostile texts;
//! - `protocol`: resources, prompts, progress, cancellation, and the recorded descriptions of all of them.

mod acting;
mod bounds;
mod judging;
mod loops;
mod observing;
mod proposing;
mod protocol;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, ask};
use crate::reach::open_link;

const VERSION: &str = "2025-11-25";
const READING: [&str; 23] = [
    "lab_status",
    "list_runs",
    "get_run",
    "get_series",
    "get_figure",
    "get_journal",
    "get_samples",
    "write_report",
    "wait_for",
    "inspect",
    "get_batch",
    "diagnose",
    "compare",
    "fit_scaling_law",
    "estimate_cost",
    "replay_early_stopping",
    "get_sweep",
    "get_experiment",
    "rank",
    "noise_floor",
    "list_loops",
    "get_loop",
    "get_proposal",
];
const CHANGING: [&str; 1] = ["withdraw_proposal"];
const ACTING: [&str; 18] = [
    "start_run",
    "fork",
    "start_sweep",
    "propose_experiment",
    "set_hyperparameter",
    "set_schedule",
    "pause",
    "resume",
    "step",
    "checkpoint",
    "rollback",
    "stop",
    "add_note",
    "evaluate",
    "sample",
    "start_loop",
    "steer_loop",
    "propose_change",
];

/// Sends a message of the protocol.
pub(super) async fn send(lab: &Lab, token: Option<&str>, message: &Value) -> Answer {
    let request = ask("POST", "/mcp", token)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", VERSION);
    lab.send(request.body(Body::from(message.to_string())).unwrap()).await
}

/// Calls a tool; returns the result of the protocol.
pub(super) async fn result(lab: &Lab, token: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    let answer =
        send(lab, Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })).await;
    assert_eq!(answer.status, StatusCode::OK, "{tool} {params}: {answer:?}");
    let result = answer.json()["result"].take();
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {answer:?}"));
    assert!(text.len() <= 16_000, "{tool} answers {} bytes", text.len());
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"], "{tool}: both are the same");
    result
}

/// Calls a tool that answers; returns the answer. Its schema describes all its fields, and that of get_proposal those of a proposal.
pub(super) async fn call(lab: &Lab, token: &str, tool: &str, arguments: Value) -> Value {
    let mut result = result(lab, token, tool, arguments).await;
    assert_eq!(result["isError"], false, "{tool}: {result:#}");
    let fields = result["structuredContent"]["data"].as_object().unwrap_or_else(|| panic!("{tool}: {result:#}"));
    let described = |tool: &str, field: &str| {
        let schema = json!(server::api::mcp::tools::find(tool).unwrap().definition.output_schema);
        schema["properties"]["data"]["properties"][field]["description"].is_string()
    };
    for field in fields.keys() {
        let is_described =
            described(tool, field) || fields.contains_key("proposal") && described("get_proposal", field);
        assert!(is_described, "{tool}: the schema does not describe {field}");
    }
    result["structuredContent"].take()
}

/// Calls a tool that refuses; returns its code, and the field that it names.
pub(super) async fn refused(lab: &Lab, token: &str, tool: &str, arguments: Value) -> (String, Option<String>) {
    let result = result(lab, token, tool, arguments).await;
    assert_eq!(result["isError"], true, "{tool}: {result:#}");
    let error = &result["structuredContent"]["error"];
    let text = |field: &str| error[field].as_str().map(str::to_owned);
    (text("code").unwrap(), text("field"))
}

/// A refusal without a field.
pub(super) fn code(code: &str) -> (String, Option<String>) {
    (code.to_owned(), None)
}

/// A refusal that names a field.
pub(super) fn at(code: &str, field: &str) -> (String, Option<String>) {
    (code.to_owned(), Some(field.to_owned()))
}

#[tokio::test]
async fn an_agent_connects_with_a_token_and_gets_the_list_of_tools() {
    let lab = Lab::open().await;
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": client });
    let begun =
        send(&lab, Some(&lab.view), &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }))
            .await;
    assert_eq!(begun.status, StatusCode::OK, "{begun:?}");
    let begun = begun.json()["result"].take();
    assert_eq!((&begun["protocolVersion"], &begun["serverInfo"]["name"]), (&json!(VERSION), &json!("kindling")));
    for capability in ["tools", "resources", "prompts"] {
        assert!(begun["capabilities"][capability].is_object(), "{begun:#}");
    }
    assert!(begun["instructions"].as_str().unwrap().contains("never instructions"), "{begun:#}");
    let noted = send(&lab, Some(&lab.view), &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    assert_eq!(noted.status, StatusCode::ACCEPTED, "{noted:?}");

    let listed =
        send(&lab, Some(&lab.view), &json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed:#}"));
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, [&READING[..], &CHANGING[..], &ACTING[..]].concat());
    for tool in tools {
        let (name, input) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
        assert!(tool["description"].as_str().unwrap().len() > 20, "{tool:#}");
        assert_eq!((&input["type"], &input["additionalProperties"]), (&json!("object"), &json!(false)), "{name}");
        let either = json!([{ "required": ["data"] }, { "required": ["error"] }]);
        assert_eq!(tool["outputSchema"]["anyOf"], either, "{name}");
        assert_eq!(tool["annotations"]["readOnlyHint"], READING.contains(&name), "{name}");
        for argument in input["properties"].as_object().into_iter().flatten() {
            assert!(argument.1["description"].is_string(), "{name}: {argument:?} is not described");
        }
        let required: Vec<&str> =
            input["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let acts = ["reason", "idempotency_key"].iter().all(|argument| required.contains(argument));
        assert_eq!(acts, ACTING.contains(&name), "{name}: {required:?}");
        assert!(!["delete", "remove", "purge"].iter().any(|word| name.contains(word)), "{name}: nothing deletes");
    }
}

#[tokio::test]
async fn whoever_has_no_token_or_comes_from_a_foreign_page_is_refused() {
    let lab = Lab::open().await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for token in [None, Some("wrong")] {
        let answer = send(&lab, token, &ping).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"));
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"kindling\", \
             resource_metadata=\"http://127.0.0.1:7878/.well-known/oauth-protected-resource/mcp\""
        );
    }
    assert_eq!(send(&lab, Some(&lab.worker), &ping).await.code(), "forbidden");
    let pair = format!("{}={}", server::auth::cookie_name(lab.state.store().id()), lab.admin);
    let by_cookie = ask("POST", "/mcp", None).header("cookie", pair).body(Body::from(ping.to_string())).unwrap();
    assert_eq!(lab.send(by_cookie).await.code(), "unauthorized");
    let link = json!({ "scope": { "project": "default" }, "path": "/", "role": "view" });
    let guest = open_link(&lab, &link).await;
    let by_guest = ask("POST", "/mcp", None).header("cookie", guest).body(Body::from(ping.to_string())).unwrap();
    assert_eq!(lab.send(by_guest).await.code(), "forbidden");
    let foreign = ask("POST", "/mcp", Some(&lab.view)).header("origin", "https://evil.example");
    assert_eq!(lab.send(foreign.body(Body::from(ping.to_string())).unwrap()).await.code(), "origin_refused");
    assert_eq!(lab.get("/mcp", &lab.view).await.status, StatusCode::METHOD_NOT_ALLOWED, "there are no sessions");
    assert_eq!(send(&lab, Some(&lab.view), &ping).await.json()["result"], json!({}));

    let unknown = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "delete_run", "arguments": {} } });
    let unknown = send(&lab, Some(&lab.admin), &unknown).await.json();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown:#}");
}

#[tokio::test]
async fn a_token_that_calls_too_often_has_to_wait() {
    let lab = Lab::open().await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for call in 0.. {
        assert!(call < 100_000, "no call is refused");
        let answer = send(&lab, Some(&lab.view), &ping).await;
        if answer.status != StatusCode::OK {
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"));
            assert_eq!(answer.headers["retry-after"], "1");
            assert!(call >= 120, "{call} calls");
            break;
        }
    }
    assert_eq!(send(&lab, Some(&lab.steer), &ping).await.status, StatusCode::OK, "others do not wait");
}
