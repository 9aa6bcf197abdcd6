//! What open pages receive, and what they lose with a right.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use wire::access::{Role, TokenKind};
use wire::encode;
use wire::run::Cursor;
use wire::transport::live::{FromPage, Poll, ToPage};

use super::{Crowd, PROJECT, RUN};
use crate::lab::ask;

#[tokio::test(flavor = "multi_thread")]
async fn sockets_send_only_what_their_sender_sees() {
    let crowd = Crowd::gather().await;
    let inspection: wire::inspect::request::Inspection = serde_json::from_value(json!({ "overview": {} })).unwrap();
    for (page, sender) in (1..).zip(crowd.senders.iter().filter(|sender| sender.name != "worker")) {
        let run: wire::RunId = RUN.parse().unwrap();
        let messages = vec![
            FromPage::WatchLab,
            FromPage::WatchRun { run: run.clone(), since: Cursor::default() },
            FromPage::Inspect { run: run.clone(), inspections: vec![inspection.clone()] },
        ];
        let poll = encode::to_bytes(&Poll { page, begins: true, messages }).unwrap();
        let (name, value) = &sender.header;
        let request = ask("POST", "/api/v1/live/poll", None).header(*name, value).body(Body::from(poll)).unwrap();
        let answer = crowd.lab.send(request).await;
        let received: Vec<ToPage> = encode::from_bytes(&answer.body).unwrap();
        let sees = sender.on_run().is_some();
        let refused = received.iter().filter(|message| matches!(message, ToPage::Refused { .. })).count();
        assert_eq!(refused, if sees { 0 } else { 2 }, "{}: {received:?}", sender.name);
        let labs: Vec<_> = received
            .iter()
            .filter_map(|message| if let ToPage::Lab(lab) = message { Some(lab) } else { None })
            .collect();
        assert!(!labs.is_empty(), "{}: {received:?}", sender.name);
        for lab in labs {
            assert_eq!(lab.runs.iter().any(|seen| seen.id == run), sees, "{}", sender.name);
            assert_eq!(lab.disk.is_some(), sender.lab.is_some(), "{}", sender.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_loses_what_its_sender_may_no_longer_see() {
    let crowd = Crowd::gather().await;
    let (lab, run): (_, wire::RunId) = (&crowd.lab, RUN.parse().unwrap());
    let sender = crowd.senders.iter().find(|one| one.name == "viewer of alpha").unwrap();
    let poll = async |begins: bool, messages: Vec<FromPage>| {
        let body = encode::to_bytes(&Poll { page: 7, begins, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(sender.header.0, &sender.header.1);
        let answer = lab.send(request.body(Body::from(body)).unwrap()).await;
        (answer.status, encode::from_bytes::<Vec<ToPage>>(&answer.body).unwrap_or_default())
    };
    let watch = vec![FromPage::WatchRun { run: run.clone(), since: Cursor::default() }];
    let (_, first) = poll(true, watch).await;
    assert!(!first.iter().any(|message| matches!(message, ToPage::Refused { .. })), "{first:?}");
    let people = lab.get("/api/v1/people", &lab.admin).await.json();
    let by_name: BTreeMap<String, i64> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["id"].as_i64().unwrap()))
        .collect();
    let id = by_name["viewer of alpha"];
    let removed = lab.delete(&format!("/api/v1/projects/{PROJECT}/members/{id}"), &lab.admin).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    let (_, then) = poll(false, vec![]).await;
    assert!(then.iter().any(|message| matches!(message, ToPage::Refused { .. })), "{then:?}");
    assert!(then.contains(&ToPage::Rights), "the page fetches what it may do: {then:?}");
    let removed = lab.delete(&format!("/api/v1/people/{id}"), &lab.admin).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    assert_eq!(poll(false, vec![]).await.0, StatusCode::UNAUTHORIZED);
    let kept = lab.state.store().summary(&run).await.unwrap();
    assert!(kept.is_some(), "the runs of a person who is removed stay");
    let sign_in = lab.state.store().add_token("x", Role::View, TokenKind::SignIn, None).await.unwrap();
    assert!(lab.state.store().identify(&sign_in).await.unwrap().is_none());
}
