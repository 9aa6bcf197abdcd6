//! Inspections: those that pages request and are refused, single ones, and snapshots.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use server::live::clock::now_ms;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::access::{Role, TokenKind};
use wire::inspect::request::{Inspection, InspectionText, MAX_PROMPT_CHARS};
use wire::inspect::result::InspectionResult;
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::run::Cursor;
use wire::transport::link::Item;
use wire::transport::live::{FromPage, Tick, ToPage};
use wire::{RunId, encode};

use crate::lab::{Lab, WITHIN, ask};
use crate::scenarios::LabWithWorker;

fn attention(layer: u32) -> Inspection {
    Inspection::Attention { text: InspectionText::default(), layer }
}

fn overview() -> Inspection {
    Inspection::Overview { text: InspectionText::default() }
}

/// A page with its socket.
struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    /// Opens a page that watches a run from now on.
    async fn open(served: &LabWithWorker, run: &RunId) -> Self {
        let mut page = Self::with_token(served, &served.lab.view).await;
        let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
        let since: Cursor = serde_json::from_value(view["cursor"].clone()).unwrap();
        page.send(FromPage::WatchRun { run: run.clone(), since }).await;
        page
    }

    async fn with_token(served: &LabWithWorker, token: &str) -> Self {
        let mut request = format!("ws://{}/api/v1/live", served.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Self(tokio_tungstenite::connect_async(request).await.unwrap().0)
    }

    async fn send(&mut self, message: FromPage) {
        self.0.send(Message::binary(encode::to_bytes(&message).unwrap())).await.unwrap();
    }

    async fn request(&mut self, run: &RunId, inspections: Vec<Inspection>) {
        self.send(FromPage::Inspect { run: run.clone(), inspections }).await;
    }

    async fn receive(&mut self) -> ToPage {
        let message = tokio::time::timeout(WITHIN, self.0.next()).await.unwrap().unwrap().unwrap();
        encode::from_bytes(&message.into_data()).unwrap()
    }

    async fn tick(&mut self) -> Tick {
        loop {
            match self.receive().await {
                ToPage::Tick(tick) => return tick,
                ToPage::Heartbeat { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The updates of the next tick that has some.
    async fn updates(&mut self) -> Vec<InspectionUpdate> {
        loop {
            let updates = self.tick().await.updates;
            if !updates.is_empty() {
                return updates;
            }
        }
    }

    async fn refusal(&mut self) -> String {
        loop {
            if let ToPage::Refused { message } = self.receive().await {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_the_token_that_opened_it() {
    let served = LabWithWorker::open().await;
    // Late enough for both sockets to be open by then.
    let soon = Some(now_ms() + 5_000);
    let token = served.lab.state.store().add_token("brief", Role::View, TokenKind::Api, soon).await.unwrap();
    let (mut brief, mut other) =
        (Page::with_token(&served, &token).await, Page::with_token(&served, &served.lab.view).await);
    brief.receive().await;
    let end = async { while !matches!(brief.0.next().await, None | Some(Err(_) | Ok(Message::Close(_)))) {} };
    tokio::time::timeout(WITHIN, end).await.expect("the socket is closed");
    for _ in 0..3 {
        assert!(matches!(other.receive().await, ToPage::Heartbeat { .. }), "other sockets stay open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_receives_only_the_inspections_that_it_requested() {
    let served = LabWithWorker::open().await;
    let run = served.start(1_000_000).await;
    served.reaches(&run, "running").await;
    let (mut one, mut two) = (Page::open(&served, &run).await, Page::open(&served, &run).await);
    one.request(&run, vec![overview(), attention(7)]).await;
    let mut steps = vec![];
    while steps.len() < 5 {
        let updates = one.updates().await;
        steps.extend(updates.iter().filter(|update| update.key() == overview().key()).map(InspectionUpdate::step));
        let refused = updates.iter().find(|update| update.key() == attention(7).key());
        assert!(refused.is_none_or(
            |update| matches!(update, InspectionUpdate::Failed { message, .. } if message.contains("block"))
        ));
    }
    assert!(steps.is_sorted() && steps[0] < steps[4], "{steps:?}");
    for _ in 0..10 {
        assert!(two.tick().await.updates.is_empty(), "it requested nothing");
    }
    two.request(&run, vec![attention(0)]).await;
    assert!(two.updates().await.iter().all(|update| update.key() == attention(0).key()));
    drop(one);
    let subscriptions = &served.lab.state.workers.subscriptions;
    let began = Instant::now();
    while subscriptions.is_requested(&run, &overview().key()) {
        assert!(began.elapsed() < WITHIN, "the request of a closed page stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(subscriptions.is_requested(&run, &attention(0).key()));
    two.send(FromPage::LeaveRun { run: run.clone() }).await;
    two.request(&"nobody".parse().unwrap(), vec![overview()]).await;
    assert!(two.refusal().await.contains("unknown run nobody"));
    assert!(!subscriptions.is_requested(&run, &attention(0).key()));
}

/// A paused run computes nothing new, so the second page receives the last updates.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_page_receives_the_updates_of_a_paused_run() {
    let served = LabWithWorker::open().await;
    let run = served.start(1_000_000).await;
    served.reaches(&run, "running").await;
    served.command(&run, r#"{"kind": "pause"}"#).await;
    served.reaches(&run, "paused").await;
    let mut one = Page::open(&served, &run).await;
    one.request(&run, vec![overview()]).await;
    assert_eq!(one.updates().await.len(), 1);
    let mut two = Page::open(&served, &run).await;
    two.request(&run, vec![overview()]).await;
    assert_eq!(two.updates().await[0].key(), overview().key());
    let once = served
        .lab
        .post(&format!("/api/v1/runs/{run}/inspections"), &served.lab.view, r#"{"inspection": {"overview": {}}}"#)
        .await;
    assert_eq!(once.json()["Result"]["inspection"]["overview"]["text"]["validation"], 0, "{:?}", once.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_changes_its_requests_too_often_is_refused_and_training_continues() {
    let served = LabWithWorker::open().await;
    let run = served.start(1_000_000).await;
    served.reaches(&run, "running").await;
    let mut page = Page::open(&served, &run).await;
    let before = page.tick().await.summary.step;
    for layer in 0..200 {
        page.request(&run, vec![attention(layer)]).await;
    }
    let (mut refusals, mut step) = (0, before);
    while refusals < 180 || step < before + 50 {
        match page.receive().await {
            ToPage::Refused { message } => {
                assert!(message.contains("try again in a moment"), "{message}");
                refusals += 1;
            }
            ToPage::Tick(tick) => step = tick.summary.step,
            _ => {}
        }
    }
    let mut many = Page::open(&served, &run).await;
    many.request(&run, (0..9).map(attention).collect()).await;
    assert!(many.refusal().await.contains("the maximum for one page is 8"));
    let long = Inspection::LogitLens { text: InspectionText::Prompt("x".repeat(MAX_PROMPT_CHARS + 1)) };
    many.request(&run, vec![long]).await;
    assert!(many.refusal().await.contains("characters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_inspection_is_answered_by_the_worker_or_refused_with_a_reason() {
    let served = LabWithWorker::open().await;
    let run = served.start(1_000_000).await;
    served.reaches(&run, "running").await;
    let path = format!("/api/v1/runs/{run}/inspections");
    let answer = served.lab.post(&path, &served.lab.view, r#"{"inspection": {"attention": {"layer": 0}}}"#).await;
    assert_eq!(answer.json()["Result"]["inspection"]["attention"]["layer"], 0, "{:?}", answer.json());
    let request = ask("POST", &path, Some(&served.lab.view)).header("accept", "application/octet-stream");
    let request = request
        .header("content-type", "application/json")
        .body(Body::from(r#"{"inspection": {"overview": {}}, "live": true}"#));
    let exact = served.lab.send(request.unwrap()).await;
    let update: InspectionUpdate = encode::from_bytes(&exact.body).unwrap();
    assert_eq!(update.key(), overview().key());
    for (body, status, code, words) in [
        (r#"{"inspection": {"attention": {"layer": 99}}}"#, 422, "inspection_invalid", "no such block"),
        (r#"{"inspection": {"overview": {}}, "live": false}"#, 404, "not_found", "no checkpoint yet"),
        (r#"{"inspection": {"overview": {}}, "step": 5}"#, 404, "not_found", "at or before step 5"),
        (r#"{"inspection": {"overview": {}}, "checkpoint": "0-10"}"#, 404, "not_found", "(0-10) does not exist"),
        (
            r#"{"inspection": {"overview": {}}, "checkpoint": "0-10", "live": true}"#,
            422,
            "value_invalid",
            "together with",
        ),
    ] {
        let answer = served.lab.post(&path, &served.lab.view, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body}: {:?}", answer.json());
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{body}: {:?}", answer.json());
    }
    assert!(
        !served.lab.state.workers.subscriptions.is_requested(&run, &overview().key()),
        "a single inspection leaves no request"
    );
    let slots: Vec<_> = (0..4).map(|_| served.lab.state.slots.take().unwrap()).collect();
    served.command(&run, r#"{"kind": "checkpoint"}"#).await;
    let busy = served.lab.post(&path, &served.lab.view, r#"{"inspection": {"overview": {}}, "live": false}"#).await;
    assert_eq!((busy.status, busy.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{:?}", busy.json());
    drop(slots);
    let mut pages: Vec<_> = (0..2).map(|_| served.lab.state.workers.subscriptions.subscriber()).collect();
    for (page, from) in pages.iter_mut().zip([100, 200]) {
        page.request(&run, (from..from + 8).map(attention).collect()).unwrap();
    }
    let full = served.lab.post(&path, &served.lab.view, r#"{"inspection": {"overview": {}}}"#).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{:?}", full.json());
}

#[tokio::test]
async fn an_invalid_inspection_is_refused_with_its_field() {
    let lab = Lab::open().await;
    let long = format!(
        r#"{{"inspection": {{"logit_lens": {{"text": {{"prompt": "{}"}}}}}}}}"#,
        "x".repeat(MAX_PROMPT_CHARS + 1)
    );
    for (body, status, code, field) in [
        ("{", 400, "json_malformed", None),
        ("{}", 422, "body_invalid", Some("inspection")),
        (r#"{"inspection": {"mood": {}}}"#, 422, "body_invalid", None),
        (r#"{"inspection": {"attention": {}}}"#, 422, "body_invalid", Some("inspection.attention")),
        (r#"{"inspection": {"overview": {}}, "checkpoint": "../1"}"#, 422, "body_invalid", None),
        (r#"{"inspection": {"overview": {}}, "mood": 1}"#, 422, "body_invalid", Some("mood")),
        (r#"{"inspection": {"logit_lens": {"text": {"prompt": ""}}}}"#, 422, "inspection_invalid", Some("inspection")),
        (&long, 422, "inspection_invalid", Some("inspection")),
        (
            r#"{"inspection": {"interventions": {"interventions": [{"component": {"mlp": {"layer": 0}}, "factor": 1e9}]}}}"#,
            422,
            "inspection_invalid",
            Some("inspection"),
        ),
        (r#"{"inspection": {"overview": {}}}"#, 404, "not_found", None),
    ] {
        let answer = lab.post("/api/v1/runs/nobody/inspections", &lab.view, body).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{shown}: {:?}", answer.json());
        if field.is_some() {
            assert_eq!(answer.json()["field"].as_str(), field, "{shown}: {:?}", answer.json());
        }
    }
    for (query, status, code) in [
        ("", 400, "query_invalid"),
        ("?inspection=overview", 422, "query_invalid"),
        ("?inspection=%7B%22mood%22:%7B%7D%7D", 422, "query_invalid"),
        ("?inspection=%7B%22overview%22:%7B%7D%7D&from=-1", 400, "query_invalid"),
        ("?inspection=%7B%22overview%22:%7B%7D%7D", 404, "not_found"),
    ] {
        let answer = lab.get(&format!("/api/v1/runs/nobody/snapshots{query}"), &lab.view).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{query}: {:?}", answer.json());
    }
    assert_eq!(lab.get("/api/v1/runs/nobody/snapshots/steps", &lab.view).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_returned_as_json_and_exactly_as_postcard() {
    let served = LabWithWorker::open().await;
    let run = served.start(5).await;
    served.reaches(&run, "finished").await;
    let store = served.lab.state.store();
    let snapshot = |step: u64| {
        let (tokens, loss, components) = (vec!["a".into()], step as f32 / 3.0, vec![]);
        let (result, overhead) =
            (InspectionResult::Overview { tokens, loss, components }, InspectionOverhead::default());
        InspectionUpdate::Result { step, segment: 0, inspection: overview(), result, overhead }
    };
    let next = store.stored_seq(&run).await.unwrap() + 1;
    let items = [0, 1, 2, 4].map(|step| Item::Snapshot(Box::new(snapshot(step))));
    store.ingest(&run, next, items.to_vec()).await.unwrap();
    let (view, base) = (&served.lab.view, format!("/api/v1/runs/{run}/snapshots"));
    assert_eq!(served.lab.get(&format!("{base}/steps"), view).await.json(), serde_json::json!([0, 1, 2, 4]));
    let path = format!("{base}?inspection=%7B%22overview%22:%7B%7D%7D&from=1&to=2");
    let snapshots = served.lab.get(&path, view).await.json();
    let steps: Vec<_> = snapshots.as_array().unwrap().iter().map(|update| update["Result"]["step"].clone()).collect();
    assert_eq!(steps, [1, 2]);
    for accept in ["application/x-postcard", "application/octet-stream"] {
        let answer =
            served.lab.send(ask("GET", &path, Some(view)).header("accept", accept).body(Body::empty()).unwrap()).await;
        assert_eq!(encode::from_bytes::<Vec<InspectionUpdate>>(&answer.body).unwrap(), [snapshot(1), snapshot(2)]);
    }
}
