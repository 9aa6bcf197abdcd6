//! Guests beside others: whom they wake, what room they leave, and what of a shared lab they do not change.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::live::places::Owner;
use wire::encode;
use wire::transport::live::{FromPage, Poll};

use super::{create, fox, get, open, open_link, send, with};
use crate::lab::ask;

#[tokio::test]
async fn a_guest_of_a_deleted_project_does_not_reach_a_later_one_of_its_name() {
    let lab = open().await;
    let make = async || lab.post("/api/v1/projects", &lab.admin, r#"{"name":"vision"}"#).await.status;
    assert_eq!(make().await, StatusCode::CREATED);
    let (_, text) = create(&lab, &json!({ "scope": { "project": "vision" }, "path": "/", "role": "steer" })).await;
    let cookie = open_link(&lab, &text, None).await;
    let me = async || send(&lab, "GET", "/api/v1/me", Some(&cookie), "").await;
    assert_eq!(me().await.json()["grants"]["projects"], json!({ "vision": "steer" }));
    assert_eq!(lab.delete("/api/v1/projects/vision", &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(make().await, StatusCode::CREATED);
    assert_eq!(me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_new_guest_wakes_no_open_page_and_another_link_of_a_browser_does() {
    let lab = open().await;
    let (_, text) = create(&lab, &fox()).await;
    let (_, other) = create(&lab, &fox()).await;
    let token = async |cookie: &str| {
        let text = cookie.split_once('=').unwrap().1;
        lab.state.store().identify(text).await.unwrap().unwrap().token_id
    };
    let mut neighbour = lab.state.access.watch(token(&open_link(&lab, &text, None).await).await, None);
    let cookie = open_link(&lab, &text, None).await;
    let mut own = lab.state.access.watch(token(&cookie).await, None);
    assert!(!neighbour.has_changed(), "a new session has no page");
    open_link(&lab, &other, Some(&cookie)).await;
    assert!(own.has_changed() && !neighbour.has_changed(), "only the pages of this browser see more");
}

#[tokio::test]
async fn one_guest_leaves_room_for_the_pages_of_others() {
    let lab = open().await;
    let (_, text) = create(&lab, &fox()).await;
    let cookie = open_link(&lab, &text, None).await;
    let begin = async |header: (&'static str, &str), page: u64| {
        // It is answered at once, so that the poll does not wait for a message.
        let messages = vec![FromPage::Follow { presentation: 1 }];
        let body = encode::to_bytes(&Poll { page, begins: true, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(header.0, header.1).body(Body::from(body)).unwrap();
        lab.send(request).await
    };
    for page in 0..16 {
        assert_eq!(begin(("cookie", &cookie), page).await.status, StatusCode::OK, "page {page}");
    }
    let full = begin(("cookie", &cookie), 99).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{full:?}");
    assert_eq!(begin(("cookie", &cookie), 3).await.status, StatusCode::OK, "a page that begins again has its place");
    let bearer = format!("Bearer {}", lab.view);
    assert_eq!(begin(("authorization", &bearer), 1).await.status, StatusCode::OK);
    let owner = Owner::of(&lab.state.store().identify(cookie.split_once('=').unwrap().1).await.unwrap().unwrap());
    let sockets: Vec<_> = (0..100).filter_map(|_| lab.state.sockets.take(owner).ok()).collect();
    assert_eq!(sockets.len(), 64);
}

#[tokio::test]
async fn a_guest_does_not_change_the_order_of_the_queue() {
    let lab = open().await;
    let (_, of_run) = create(&lab, &with(fox(), json!({ "role": "steer" }))).await;
    let project = json!({ "scope": { "project": "default" }, "path": "/", "role": "steer" });
    let (_, of_project) = create(&lab, &project).await;
    let as_guest = async |cookie: &str, method: &str, path: &str, body: Value| {
        let request = ask(method, &format!("/api/v1{path}"), None).header("cookie", cookie);
        let request = request.header("content-type", "application/json");
        lab.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    for text in [of_run, of_project.clone()] {
        let cookie = open_link(&lab, &text, None).await;
        for change in [json!({ "queue_place": 1 }), json!({ "priority": 1000, "name": "first" })] {
            let refused = as_guest(&cookie, "PATCH", "/runs/fox", change).await;
            assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{refused:?}");
        }
        let renamed = as_guest(&cookie, "PATCH", "/runs/fox", json!({ "name": "red fox" })).await;
        assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    }
    let cookie = open_link(&lab, &of_project, None).await;
    let first = as_guest(&cookie, "POST", "/runs", json!({ "preset": "tiny", "corpus": "tales", "priority": 1 })).await;
    assert_eq!((first.status, first.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{first:?}");
    let plain = as_guest(&cookie, "POST", "/runs", json!({ "preset": "tiny", "corpus": "tales" })).await;
    assert_ne!(plain.status, StatusCode::FORBIDDEN, "{plain:?}");
    let patched = lab.patch("/api/v1/runs/fox", &lab.steer, r#"{"priority": 2, "queue_place": 1}"#).await;
    assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
}
