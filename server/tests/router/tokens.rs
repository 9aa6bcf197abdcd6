//! Tokens: their text is shown once, only hashes are stored, and a revoked token is invalid at once.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, ask};

const TOKENS: &str = "/api/v1/tokens";

async fn create(lab: &Lab, new: Value) -> Answer {
    lab.post(TOKENS, &lab.admin, &new.to_string()).await
}

async fn list(lab: &Lab, token: &str) -> Vec<Value> {
    lab.get(TOKENS, token).await.json().as_array().unwrap().clone()
}

async fn revoke(lab: &Lab, token: &str, id: i64, query: &str) -> Answer {
    lab.send(ask("DELETE", &format!("{TOKENS}/{id}{query}"), Some(token)).body(Body::empty()).unwrap()).await
}

fn id_of(token: &Value) -> i64 {
    token["id"].as_i64().unwrap()
}

/// Every byte in the folder of the lab.
pub(crate) fn bytes_on_disk(folder: &std::path::Path) -> Vec<u8> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        found.extend(if entry.path().is_dir() {
            bytes_on_disk(&entry.path())
        } else {
            std::fs::read(entry.path()).unwrap()
        });
    }
    found
}

#[tokio::test]
async fn a_token_is_shown_once_and_valid_until_it_is_revoked() {
    let lab = Lab::open().await;
    let answer = create(&lab, json!({"name": "  eve ", "role": "steer", "days": 7})).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let created = answer.json();
    let text = created["text"].as_str().unwrap().to_owned();
    let days =
        (created["token"]["expires_ms"].as_i64().unwrap() - created["token"]["created_ms"].as_i64().unwrap()) as f64;
    assert!((days / 86_400_000.0 - 7.0).abs() < 0.01, "{created:#}");
    let me = lab.get("/api/v1/me", &text).await.json();
    assert_eq!((me["name"].as_str(), me["grants"]["lab"].as_str()), (Some("eve"), Some("steer")));

    let listed = lab.get(TOKENS, &lab.admin).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&text), "a list never contains the text");
    let stored = bytes_on_disk(lab.folder.path());
    assert!(!stored.windows(text.len()).any(|part| part == text.as_bytes()), "only its hash is on disk");

    let tokens = list(&lab, &lab.admin).await;
    assert_eq!(tokens.len(), 5);
    assert_eq!(tokens.iter().filter(|token| token["is_own"] == true).count(), 1);
    let mut listed = tokens.iter().find(|token| token["id"] == created["token"]["id"]).cloned().unwrap();
    // It was used above.
    ["used_ms", "address", "agent"].iter().for_each(|field| listed[*field] = Value::Null);
    assert_eq!(listed, created["token"]);

    let id = id_of(&created["token"]);
    assert_eq!(revoke(&lab, &lab.admin, id, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.get("/api/v1/me", &text).await.status, StatusCode::UNAUTHORIZED, "it is invalid at once");
    assert_eq!(revoke(&lab, &lab.admin, id, "").await.code(), "not_found");
    assert_eq!(list(&lab, &lab.admin).await.len(), 4);
}

#[tokio::test]
async fn a_sign_in_link_of_an_admin_works_once() {
    let lab = Lab::open().await;
    let created = create(&lab, json!({"name": "eve", "role": "view", "sign_in": true})).await.json();
    assert_eq!(created["token"]["kind"], "sign_in");
    let text = created["text"].as_str().unwrap();
    let open =
        |method: &str| lab.send(ask(method, &format!("/signin?token={text}"), None).body(Body::empty()).unwrap());
    assert_eq!(open("GET").await.status, StatusCode::OK);
    assert_eq!(open("POST").await.status, StatusCode::SEE_OTHER);
    assert_eq!(open("POST").await.status, StatusCode::UNAUTHORIZED);
    let kinds: Vec<_> = list(&lab, &lab.admin).await.iter().map(|token| token["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "session").count(), 1, "the browser that signed in can be revoked");
    assert!(!kinds.contains(&json!("sign_in")), "the link is used");
}

#[tokio::test]
async fn only_admins_create_tokens_and_invalid_ones_are_refused() {
    let lab = Lab::open().await;
    let body = json!({"name": "eve", "role": "admin"}).to_string();
    for token in [&lab.view, &lab.steer] {
        assert_eq!(lab.post(TOKENS, token, &body).await.code(), "forbidden");
        assert_eq!(lab.get(TOKENS, token).await.code(), "forbidden");
        assert_eq!(revoke(&lab, token, 1, "?confirm=true").await.code(), "forbidden");
    }
    for (new, code) in [
        (json!({"name": " ", "role": "view"}), "name_invalid"),
        (json!({"name": "a\nb", "role": "view"}), "name_invalid"),
        (json!({"name": "eve", "role": "view", "days": 0}), "days_invalid"),
        (json!({"name": "eve", "role": "view", "days": 4_000}), "days_invalid"),
        (json!({"name": "eve", "role": "worker"}), "role_invalid"),
        (json!({"name": "eve", "role": "owner"}), "body_invalid"),
        (json!({"name": "eve", "role": "view", "text": "mine"}), "body_invalid"),
    ] {
        assert_eq!(create(&lab, new.clone()).await.code(), code, "{new}");
    }
    assert_eq!(list(&lab, &lab.admin).await.len(), 4, "nothing was created");
}

#[tokio::test]
async fn revoking_the_own_or_the_last_admin_token_needs_a_confirmation() {
    let lab = Lab::open().await;
    let own = |tokens: &[Value]| id_of(tokens.iter().find(|token| token["is_own"] == true).unwrap());
    let first = own(&list(&lab, &lab.admin).await);
    let refused = revoke(&lab, &lab.admin, first, "").await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "last_admin"));
    let created = create(&lab, json!({"name": "bob", "role": "admin"})).await.json();
    let other = created["text"].as_str().unwrap();
    assert_eq!(revoke(&lab, &lab.admin, first, "").await.code(), "own_token");
    assert_eq!(revoke(&lab, &lab.admin, first, "?confirm=true").await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.get(TOKENS, &lab.admin).await.status, StatusCode::UNAUTHORIZED);
    let second = own(&list(&lab, other).await);
    assert_eq!(revoke(&lab, other, second, "").await.code(), "last_admin");
    assert_eq!(revoke(&lab, other, second, "?confirm=true").await.status, StatusCode::NO_CONTENT);
}
