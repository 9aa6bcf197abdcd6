//! Invalid requests are refused with a code, the field and a hint.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::Value;

use crate::lab::{Lab, ask};

#[tokio::test]
async fn an_invalid_spec_is_refused_with_its_field_and_a_hint() {
    let lab = Lab::open().await;
    for path in ["/api/v1/plan", "/api/v1/runs"] {
        for (body, status, code, field) in [
            ("{", 400, "json_malformed", None),
            (r#"{"presett": "tiny"}"#, 422, "body_invalid", Some("presett")),
            (r#"{"steps": "many"}"#, 422, "body_invalid", Some("steps")),
            (r#"{"corpus": "../etc"}"#, 422, "body_invalid", Some("corpus")),
            (r#"{"corpus": "nope"}"#, 422, "plan_invalid", Some("corpus")),
        ] {
            let answer = lab.post(path, &lab.steer, body).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body}: {:?}", answer.json());
            assert_eq!(answer.json()["field"].as_str(), field, "{body}: {:?}", answer.json());
            assert!(answer.json()["hint"].is_string(), "{body}");
        }
    }
    let form = lab.send(ask("POST", "/api/v1/plan", Some(&lab.view)).body(Body::from("x=1")).unwrap()).await;
    assert_eq!(form.code(), "content_type");
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(2_000_000));
    assert_eq!(lab.post("/api/v1/plan", &lab.view, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_invalid_command_is_refused_with_its_field() {
    let lab = Lab::open().await;
    for (body, code, field) in [
        (r#"{"kind": "explode"}"#, "body_invalid", None),
        (r#"{"kind": "set", "path": "optimizer.learning_rate", "value": -1}"#, "value_invalid", Some("value")),
        (r#"{"kind": "set", "path": "optimizer.learning_rate"}"#, "body_invalid", Some("value")),
        (r#"{"kind": "step", "steps": 0}"#, "value_invalid", Some("steps")),
        (r#"{"kind": "sample", "tokens": 0}"#, "value_invalid", Some("tokens")),
        (r#"{"kind": "sample", "tokens": 4097}"#, "value_invalid", Some("tokens")),
        (r#"{"kind": "pause", "why": 1}"#, "body_invalid", Some("why")),
    ] {
        let answer = lab.post("/api/v1/runs/nobody/commands", &lab.steer, body).await;
        assert_eq!(answer.code(), code, "{body}: {:?}", answer.json());
        if field.is_some() {
            assert_eq!(answer.json()["field"].as_str(), field, "{body}: {:?}", answer.json());
        }
    }
    // The engine generates at most this many tokens, so the refusal names the same number.
    let long = lab.post("/api/v1/runs/nobody/commands", &lab.steer, r#"{"kind": "sample", "tokens": 4097}"#).await;
    assert_eq!(long.json()["hint"].as_str(), Some("enter 1 to 4\u{202f}096"), "{:?}", long.json());
}

/// Words that stand for types of Rust.
const TYPES: [&str; 20] = [
    "u8", "u16", "u32", "u64", "usize", "i32", "i64", "f32", "f64", "bool", "boolean", "string", "struct", "enum",
    "variant", "tuple", "sequence", "map", "option", "unit",
];

#[tokio::test]
async fn no_message_names_a_type_of_rust() {
    let lab = Lab::open().await;
    let command = "/api/v1/runs/nobody/commands";
    for (path, body, message) in [
        (
            "/api/v1/plan",
            r#"{"steps": "many"}"#,
            "steps: expected a whole number from 0 to 18446744073709551615, not the text \"many\"",
        ),
        ("/api/v1/plan", r#"{"steps": -1}"#, "steps: expected a whole number from 0 to 18446744073709551615, not -1"),
        ("/api/v1/plan", r#"{"steps": 1.5}"#, "steps: expected a whole number from 0 to 18446744073709551615, not 1.5"),
        (
            "/api/v1/plan",
            r#"{"depth": 4294967296}"#,
            "depth: expected a whole number from 0 to 4294967295, not 4294967296",
        ),
        ("/api/v1/plan", r#"{"mix": {"tales": "half"}}"#, "mix.tales: expected a number, not the text \"half\""),
        ("/api/v1/plan", r#"{"name": 5}"#, "name: expected a text, not 5"),
        ("/api/v1/plan", r#"{"overrides": [1]}"#, "overrides: expected an object, not a list"),
        ("/api/v1/plan", r#""tiny""#, "expected an object, not the text \"tiny\""),
        (
            command,
            r#"{"kind": "set", "path": "optimizer.learning_rate", "value": "fast"}"#,
            "expected a number, not the text \"fast\"",
        ),
        (command, r#"{"kind": "explode"}"#, "unknown value `explode`"),
        (command, r#"{"kind": "rollback", "checkpoint": "0-10", "skip_batches": true}"#, "not true"),
        (
            "/api/v1/completions",
            r#"{"run": "amber-fox", "tokens": null}"#,
            "tokens: expected a whole number from 0 to 4294967295, not null",
        ),
    ] {
        let answer = lab.post(path, &lab.steer, body).await;
        assert_eq!(answer.code(), "body_invalid", "{body}: {:?}", answer.json());
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(message), "{body}: {said}");
        let named = said.split(|c: char| !c.is_alphanumeric()).find(|word| TYPES.contains(word));
        assert_eq!(named, None, "{body}: {said}");
    }
    let answer = lab.get("/api/v1/runs/nobody/events?limit=many", &lab.view).await;
    assert!(answer.json()["message"].as_str().unwrap().contains("expected a whole number"), "{:?}", answer.json());
}

#[tokio::test]
async fn no_path_of_a_request_reaches_the_disk() {
    let lab = Lab::open().await;
    std::fs::write(lab.folder.path().join("secret"), "secret").unwrap();
    for path in [
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/assets/../../secret",
        "//etc/passwd",
        "/etc/passwd",
        "/api/v1/runs/..",
        "/api/v1/runs/..%2F..%2Fsecret",
        "/api/v1/corpora/%2e%2e",
        "/api/v1/corpora/..%2f..%2fsecret",
        "/api/v1/runs/a%00b",
        "/api/v1/runs/x/figures/..%2f..%2fsecret",
        "/api/v1/runs/x/series?names=../../secret",
    ] {
        let answer = lab.get(path, &lab.admin).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("root:") && text != "secret", "{path}: {text}");
        assert!(
            answer.status == StatusCode::NOT_FOUND || (answer.status == StatusCode::OK && text.contains("<html")),
            "{path}: {} {text}",
            answer.status
        );
    }
}

#[tokio::test]
async fn unknown_routes_are_refused_in_json() {
    let lab = Lab::open().await;
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v2/runs", 404),
        ("PUT", "/api/v1/runs", 405),
        ("POST", "/lab", 405),
    ] {
        let answer = lab.send(ask(method, path, Some(&lab.admin)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert!(answer.json()["message"].is_string());
    }
    let page = lab
        .send(ask("GET", "/runs/amber-fox-7k2q", None).header("accept", "text/html").body(Body::empty()).unwrap())
        .await;
    assert_eq!(page.status, StatusCode::OK, "an address of the page opens the page");
}

#[tokio::test]
async fn the_api_document_lists_routes_and_schemas() {
    let lab = Lab::open().await;
    let answer = lab.send(ask("GET", "/api/v1/openapi.json", None).body(Body::empty()).unwrap()).await;
    let tree = answer.json();
    for path in [
        "/api/v1/runs",
        "/api/v1/runs/{id}/commands",
        "/api/v1/runs/{id}/series",
        "/api/v1/corpora",
        "/api/v1/live",
        "/api/v1/link",
        "/api/v1/session",
    ] {
        assert!(tree["paths"][path].is_object(), "{path}");
    }
    for (path, operation) in operations(&tree) {
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')), "{path}: {operation:#}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(
            [
                "runs",
                "sweeps",
                "experiments",
                "inspect",
                "data",
                "access",
                "agents",
                "alerts",
                "assistant",
                "evaluation",
                "fleet",
                "lab",
                "transfer",
                "sockets"
            ]
            .contains(&tag),
            "{path}: {tag}"
        );
    }
    for name in ["ApiErrorBody", "RunSpec", "RunView", "Command", "EventRecord", "SeriesWindow"] {
        assert!(tree["components"]["schemas"][name].is_object(), "{name}");
    }
}

/// Every operation of the API document, with its path.
fn operations(tree: &Value) -> Vec<(&String, &Value)> {
    let paths = tree["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| methods.as_object().unwrap().values().map(move |operation| (path, operation)))
        .collect()
}

#[tokio::test]
async fn every_hyperparameter_is_listed_with_its_default() {
    let lab = Lab::open().await;
    let listed = lab.get("/api/v1/hyperparameters", &lab.view).await.json();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), wire::hyperparameters::table::TABLE.len());
    for row in rows {
        assert!(["path", "label", "unit", "meaning"].iter().all(|field| row[field].is_string()), "{row:#}");
        assert!(row["is_live"].is_boolean() && !row["values"].is_null() && !row["default"].is_null(), "{row:#}");
    }
    let rate = rows.iter().find(|row| row["path"] == "optimizer.learning_rate").unwrap();
    assert_eq!((&rate["is_live"], &rate["default"]), (&true.into(), &0.001.into()), "{rate:#}");
}
