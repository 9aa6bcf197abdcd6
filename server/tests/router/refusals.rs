//! What cannot be done is refused in the API's own words, with the field and the way out.

use axum::body::Body;
use axum::http::StatusCode;

use crate::lab::{Lab, ask};

#[tokio::test]
async fn a_bad_spec_names_its_field_and_the_way_out() {
    let lab = Lab::open().await;
    for path in ["/api/v1/plan", "/api/v1/runs"] {
        for (body, status, code, field) in [
            ("{", 400, "json_malformed", None),
            (r#"{"presett": "tiny"}"#, 422, "body_invalid", Some("presett")),
            (r#"{"steps": "many"}"#, 422, "body_invalid", Some("steps")),
            (r#"{"corpus": "../etc"}"#, 422, "body_invalid", Some("corpus")),
            (r#"{"corpus": "nope"}"#, 422, "plan_invalid", Some("device")),
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
async fn a_bad_command_names_its_field() {
    let lab = Lab::open().await;
    for (body, code, field) in [
        (r#"{"kind": "explode"}"#, "body_invalid", None),
        (r#"{"kind": "set", "field": "rate", "value": -1}"#, "value_invalid", Some("value")),
        (r#"{"kind": "set", "field": "rate"}"#, "body_invalid", Some("value")),
        (r#"{"kind": "step", "steps": 0}"#, "value_invalid", Some("steps")),
        (r#"{"kind": "pause", "why": 1}"#, "body_invalid", Some("why")),
    ] {
        let answer = lab.post("/api/v1/runs/nobody/commands", &lab.steer, body).await;
        assert_eq!(answer.code(), code, "{body}: {:?}", answer.json());
        if field.is_some() {
            assert_eq!(answer.json()["field"].as_str(), field, "{body}: {:?}", answer.json());
        }
    }
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
async fn unknown_addresses_of_the_api_are_refused_in_json() {
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
async fn the_description_is_served_and_names_the_errors_form() {
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
    for name in ["ApiErrorBody", "RunSpec", "RunView", "Command", "EventRecord", "SeriesWindow"] {
        assert!(tree["components"]["schemas"][name].is_object(), "{name}");
    }
}
