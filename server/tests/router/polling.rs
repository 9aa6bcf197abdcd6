//! Pages behind a proxy that lets no WebSocket pass: the same messages in polls.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use server::live::access_changes::Concerned;
use wire::encode;
use wire::run::Cursor;
use wire::transport::live::{FromPage, Poll, ToPage};

use crate::lab::{Answer, Lab, ask};
use crate::scenarios::LabWithWorker;

async fn send(lab: &Lab, token: &str, body: Vec<u8>) -> Answer {
    lab.send(ask("POST", "/api/v1/live/poll", Some(token)).body(Body::from(body)).unwrap()).await
}

async fn poll(lab: &Lab, page: u64, begins: bool, messages: Vec<FromPage>) -> Vec<ToPage> {
    let answer = send(lab, &lab.view, encode::to_bytes(&Poll { page, begins, messages }).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    encode::from_bytes(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_receive_each_tick_of_a_run_once_and_the_state_of_the_lab() {
    let served = LabWithWorker::open().await;
    let run = served.start(200).await;
    let watch = vec![FromPage::WatchLab, FromPage::WatchRun { run: run.clone(), since: Cursor::default() }];
    let first = poll(&served.lab, 7, true, watch).await;
    let resync = first.iter().any(|message| matches!(message, ToPage::Resync { run: of } if *of == run));
    assert!(resync, "a cursor of no server is answered with a resync: {first:?}");
    let view: wire::RunView =
        serde_json::from_slice(&served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.body).unwrap();
    let mut messages = vec![FromPage::WatchRun { run: run.clone(), since: view.cursor }];
    let (mut last, mut labs, mut polls, mut is_over) = (view.cursor.tick, 0, 0, false);
    while !is_over && polls < 200 {
        polls += 1;
        for message in poll(&served.lab, 7, false, std::mem::take(&mut messages)).await {
            match message {
                ToPage::Tick(tick) => {
                    assert_eq!(tick.cursor.tick, last + 1, "ticks are consecutive");
                    last = tick.cursor.tick;
                    is_over = tick.summary.state.is_over();
                }
                ToPage::Lab(_) => labs += 1,
                ToPage::Heartbeat { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(is_over && labs > 0, "{polls} polls, {labs} states of the lab");
}

#[tokio::test]
async fn polls_are_answered_within_a_second_and_unknown_pages_begin_again() {
    let lab = Lab::open().await;
    let begun = Instant::now();
    let quiet = poll(&lab, 1, true, vec![]).await;
    assert!(matches!(quiet[..], [ToPage::Heartbeat { .. }]), "{quiet:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let refusals = vec![FromPage::WatchRun { run: "nobody".parse().unwrap(), since: Cursor::default() }; 30];
    let answers = poll(&lab, 1, false, refusals).await;
    let refused = answers.iter().filter(|message| matches!(message, ToPage::Refused { .. })).count();
    assert_eq!(refused, 30, "more answers than the channel holds");

    let of = |page, begins| encode::to_bytes(&Poll { page, begins, messages: vec![] }).unwrap();
    assert_eq!(send(&lab, &lab.view, of(2, false)).await.code(), "poll_unknown");
    assert_eq!(send(&lab, &lab.steer, of(1, false)).await.code(), "poll_unknown", "the page of another token");
    assert_eq!(send(&lab, &lab.worker, of(1, true)).await.code(), "forbidden");
    for body in [vec![], vec![0xff; 40], b"{}".to_vec()] {
        assert_eq!(send(&lab, &lab.view, body).await.code(), "body_unreadable");
    }
}

#[tokio::test]
async fn changes_of_rights_during_polls_lose_no_message() {
    let lab = Lab::open().await;
    poll(&lab, 5, true, vec![]).await;
    let access = lab.state.access.clone();
    let announcing = tokio::spawn(async move {
        loop {
            access.announce(Concerned::Everyone);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let watch = vec![FromPage::WatchRun { run: "nobody".parse().unwrap(), since: Cursor::default() }; 12];
    let mut answers = vec![];
    for _ in 0..10 {
        answers.extend(poll(&lab, 5, false, watch.clone()).await);
    }
    announcing.abort();
    answers.extend(poll(&lab, 5, false, vec![]).await);
    let refused = answers.iter().filter(|message| matches!(message, ToPage::Refused { .. })).count();
    assert_eq!(refused, 120);
}

#[tokio::test]
async fn a_poll_ends_when_its_token_is_revoked() {
    let lab = Lab::open().await;
    poll(&lab, 3, true, vec![]).await;
    let id = lab.state.store().identify(&lab.view).await.unwrap().unwrap().token_id;
    lab.state.revoke(id).await.unwrap();
    let body = encode::to_bytes(&Poll { page: 3, begins: false, messages: vec![] }).unwrap();
    assert_eq!(send(&lab, &lab.view, body).await.code(), "unauthorized");
}
