//! Completions: requests that are refused before a process is started.

use axum::http::StatusCode;

use crate::lab::Lab;

#[tokio::test]
async fn an_invalid_completion_is_refused_with_its_field() {
    let lab = Lab::open().await;
    for (body, status, code, field) in [
        ("{".to_owned(), 400, "json_malformed", None),
        ("{}".to_owned(), 422, "body_invalid", Some("run")),
        (r#"{"run": "../etc"}"#.to_owned(), 422, "body_invalid", Some("run")),
        (r#"{"run": "nobody", "checkpoint": "../1"}"#.to_owned(), 422, "body_invalid", Some("checkpoint")),
        (r#"{"run": "nobody", "tokens": 0}"#.to_owned(), 422, "value_invalid", Some("tokens")),
        (r#"{"run": "nobody", "tokens": 100000}"#.to_owned(), 422, "value_invalid", Some("tokens")),
        (r#"{"run": "nobody", "temperature": -1}"#.to_owned(), 422, "value_invalid", Some("temperature")),
        (r#"{"run": "nobody", "top_p": 1.5}"#.to_owned(), 422, "value_invalid", Some("top_p")),
        (r#"{"run": "nobody", "mood": "good"}"#.to_owned(), 422, "body_invalid", Some("mood")),
        (format!(r#"{{"run": "nobody", "prompt": "{}"}}"#, "x".repeat(40_000)), 422, "value_invalid", Some("prompt")),
        (r#"{"run": "nobody"}"#.to_owned(), 404, "not_found", None),
    ] {
        let answer = lab.post("/api/v1/completions", &lab.view, &body).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{shown}: {:?}", answer.json());
        assert_eq!(answer.json()["field"].as_str(), field, "{shown}: {:?}", answer.json());
    }
    let large = format!(r#"{{"run": "nobody", "prompt": "{}"}}"#, "x".repeat(2_000_000));
    assert_eq!(lab.post("/api/v1/completions", &lab.view, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        lab.post("/api/v1/completions", &lab.worker, r#"{"run": "nobody"}"#).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_number_of_inference_slots_is_limited() {
    let lab = Lab::open().await;
    let mut slots: Vec<_> = (0..4).map(|_| lab.state.slots.take().unwrap()).collect();
    let refused = lab.state.slots.take().unwrap_err();
    assert_eq!((refused.status, refused.body.code.as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"));
    assert!(refused.body.hint.is_some());
    slots.pop();
    assert!(lab.state.slots.take().is_ok(), "a slot is free again when it is dropped");
}
