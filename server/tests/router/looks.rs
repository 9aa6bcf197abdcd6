//! Looking inside: what pages watch and what they are refused, single looks, and what was kept along a run's way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use store::{Role, TokenKind};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::frame::{Frame, Pace};
use wire::link::Item;
use wire::live::{FromPage, Tick, ToPage};
use wire::look::{Look, MOST_CHARS, Passage};
use wire::run::Cursor;
use wire::sight::Sight;
use wire::{RunId, encode};

use crate::lab::{Lab, ask};
use crate::stories::Staffed;

fn attention(layer: u32) -> Look {
    Look::Attention { passage: Passage::default(), layer }
}

fn map() -> Look {
    Look::Map { passage: Passage::default() }
}

/// A page on its socket.
struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    /// Opens it, and watches a run from now on.
    async fn open(staffed: &Staffed, run: &RunId) -> Self {
        let mut page = Self::with_token(staffed, &staffed.lab.view).await;
        let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
        let since: Cursor = serde_json::from_value(view["cursor"].clone()).unwrap();
        page.say(FromPage::WatchRun { run: run.clone(), since }).await;
        page
    }

    async fn with_token(staffed: &Staffed, token: &str) -> Self {
        let mut request = format!("ws://{}/api/v1/live", staffed.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Self(tokio_tungstenite::connect_async(request).await.unwrap().0)
    }

    async fn say(&mut self, message: FromPage) {
        self.0.send(Message::binary(encode::to_bytes(&message).unwrap())).await.unwrap();
    }

    async fn want(&mut self, run: &RunId, looks: Vec<Look>) {
        self.say(FromPage::Probe { run: run.clone(), looks }).await;
    }

    async fn hear(&mut self) -> ToPage {
        let message = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.unwrap().unwrap().unwrap();
        encode::from_bytes(&message.into_data()).unwrap()
    }

    async fn tick(&mut self) -> Tick {
        loop {
            match self.hear().await {
                ToPage::Tick(tick) => return tick,
                ToPage::Beat { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next tick with a look in it.
    async fn frames(&mut self) -> Vec<Frame> {
        loop {
            let frames = self.tick().await.frames;
            if !frames.is_empty() {
                return frames;
            }
        }
    }

    async fn refusal(&mut self) -> String {
        loop {
            if let ToPage::Refused { message } = self.hear().await {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_the_token_that_opened_it() {
    let staffed = Staffed::open().await;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let soon = Some(now_ms + 1_500);
    let token = staffed.lab.state.store.add_token("brief", Role::View, TokenKind::Api, soon).await.unwrap();
    let (mut brief, mut other) =
        (Page::with_token(&staffed, &token).await, Page::with_token(&staffed, &staffed.lab.view).await);
    brief.hear().await;
    let end = async { while !matches!(brief.0.next().await, None | Some(Err(_) | Ok(Message::Close(_)))) {} };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("it is shut and not silent");
    for _ in 0..3 {
        assert!(matches!(other.hear().await, ToPage::Beat { .. }), "others go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sees_what_it_asks_for_and_the_next_page_nothing_of_it() {
    let staffed = Staffed::open().await;
    let run = staffed.start(1_000_000).await;
    staffed.stands(&run, "running").await;
    let (mut one, mut two) = (Page::open(&staffed, &run).await, Page::open(&staffed, &run).await);
    one.want(&run, vec![map(), attention(7)]).await;
    let mut steps = vec![];
    while steps.len() < 5 {
        let frames = one.frames().await;
        steps.extend(frames.iter().filter(|frame| frame.key() == map().key()).map(Frame::step));
        let refused = frames.iter().find(|frame| frame.key() == attention(7).key());
        assert!(
            refused.is_none_or(|frame| matches!(frame, Frame::Unseen { message, .. } if message.contains("block")))
        );
    }
    assert!(steps.is_sorted() && steps[0] < steps[4], "{steps:?}");
    for _ in 0..10 {
        assert!(two.tick().await.frames.is_empty(), "it did not ask");
    }
    two.want(&run, vec![attention(0)]).await;
    assert!(two.frames().await.iter().all(|frame| frame.key() == attention(0).key()));
    drop(one);
    let probes = &staffed.lab.state.probes;
    for _ in 0..200 {
        if !probes.is_wanted(&run, &map().key()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!probes.is_wanted(&run, &map().key()) && probes.is_wanted(&run, &attention(0).key()));
    two.say(FromPage::LeaveRun { run: run.clone() }).await;
    two.want(&"nobody".parse().unwrap(), vec![map()]).await;
    assert!(two.refusal().await.contains("no run nobody"));
    assert!(!probes.is_wanted(&run, &attention(0).key()));
}

/// A run that holds has nothing new to show, and still shows what it has to whoever comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_holds_is_seen_by_the_second_page_too() {
    let staffed = Staffed::open().await;
    let run = staffed.start(1_000_000).await;
    staffed.stands(&run, "running").await;
    staffed.command(&run, r#"{"kind": "pause"}"#).await;
    staffed.stands(&run, "paused").await;
    let mut one = Page::open(&staffed, &run).await;
    one.want(&run, vec![map()]).await;
    assert_eq!(one.frames().await.len(), 1);
    let mut two = Page::open(&staffed, &run).await;
    two.want(&run, vec![map()]).await;
    assert_eq!(two.frames().await[0].key(), map().key());
    let once =
        staffed.lab.post(&format!("/api/v1/runs/{run}/look"), &staffed.lab.view, r#"{"look": {"map": {}}}"#).await;
    assert_eq!(once.json()["Seen"]["look"]["map"]["passage"]["held"], 0, "{:?}", once.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_floods_is_refused_and_training_goes_on() {
    let staffed = Staffed::open().await;
    let run = staffed.start(1_000_000).await;
    staffed.stands(&run, "running").await;
    let mut page = Page::open(&staffed, &run).await;
    let before = page.tick().await.summary.step;
    for layer in 0..200 {
        page.want(&run, vec![attention(layer)]).await;
    }
    let (mut refusals, mut step) = (0, before);
    while refusals < 180 || step < before + 50 {
        match page.hear().await {
            ToPage::Refused { message } => {
                assert!(message.contains("wait a moment"), "{message}");
                refusals += 1;
            }
            ToPage::Tick(tick) => step = tick.summary.step,
            _ => {}
        }
    }
    let mut many = Page::open(&staffed, &run).await;
    many.want(&run, (0..9).map(attention).collect()).await;
    assert!(many.refusal().await.contains("8 are the most"));
    let long = Look::Lens { passage: Passage::Own("x".repeat(MOST_CHARS + 1)) };
    many.want(&run, vec![long]).await;
    assert!(many.refusal().await.contains("shorten it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_is_answered_by_the_worker_or_says_why_not() {
    let staffed = Staffed::open().await;
    let run = staffed.start(1_000_000).await;
    staffed.stands(&run, "running").await;
    let path = format!("/api/v1/runs/{run}/look");
    let seen = staffed.lab.post(&path, &staffed.lab.view, r#"{"look": {"attention": {"layer": 0}}}"#).await;
    assert_eq!(seen.json()["Seen"]["look"]["attention"]["layer"], 0, "{:?}", seen.json());
    let request = ask("POST", &path, Some(&staffed.lab.view)).header("accept", "application/octet-stream");
    let request =
        request.header("content-type", "application/json").body(Body::from(r#"{"look": {"map": {}}, "live": true}"#));
    let exact = staffed.lab.send(request.unwrap()).await;
    let frame: Frame = encode::from_bytes(&exact.body).unwrap();
    assert_eq!(frame.key(), map().key());
    for (body, status, code, words) in [
        (r#"{"look": {"attention": {"layer": 99}}}"#, 422, "look_invalid", "no such block"),
        (r#"{"look": {"map": {}}, "live": false}"#, 404, "not_found", "no checkpoint yet"),
        (r#"{"look": {"map": {}}, "step": 5}"#, 404, "not_found", "at or before step 5"),
        (r#"{"look": {"map": {}}, "checkpoint": "0-10"}"#, 404, "not_found", "no checkpoint 0-10"),
        (r#"{"look": {"map": {}}, "checkpoint": "0-10", "live": true}"#, 422, "value_invalid", "not both"),
    ] {
        let answer = staffed.lab.post(&path, &staffed.lab.view, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body}: {:?}", answer.json());
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{body}: {:?}", answer.json());
    }
    assert!(!staffed.lab.state.probes.is_wanted(&run, &map().key()), "who asks once wants nothing afterwards");
    let seats: Vec<_> = (0..4).map(|_| staffed.lab.state.seats.take().unwrap()).collect();
    staffed.command(&run, r#"{"kind": "checkpoint"}"#).await;
    let busy = staffed.lab.post(&path, &staffed.lab.view, r#"{"look": {"map": {}}, "live": false}"#).await;
    assert_eq!((busy.status, busy.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{:?}", busy.json());
    drop(seats);
    let mut seers: Vec<_> = (0..2).map(|_| staffed.lab.state.probes.seer()).collect();
    for (seer, from) in seers.iter_mut().zip([100, 200]) {
        seer.want(&run, (from..from + 8).map(attention).collect()).unwrap();
    }
    let full = staffed.lab.post(&path, &staffed.lab.view, r#"{"look": {"map": {}}}"#).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{:?}", full.json());
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_with_its_field() {
    let lab = Lab::open().await;
    let long = format!(r#"{{"look": {{"lens": {{"passage": {{"own": "{}"}}}}}}}}"#, "x".repeat(MOST_CHARS + 1));
    for (body, status, code, field) in [
        ("{", 400, "json_malformed", None),
        ("{}", 422, "body_invalid", Some("look")),
        (r#"{"look": {"mood": {}}}"#, 422, "body_invalid", None),
        (r#"{"look": {"attention": {}}}"#, 422, "body_invalid", Some("look.attention")),
        (r#"{"look": {"map": {}}, "checkpoint": "../1"}"#, 422, "body_invalid", None),
        (r#"{"look": {"map": {}}, "mood": 1}"#, 422, "body_invalid", Some("mood")),
        (r#"{"look": {"lens": {"passage": {"own": ""}}}}"#, 422, "look_invalid", Some("look")),
        (&long, 422, "look_invalid", Some("look")),
        (
            r#"{"look": {"hands": {"edits": [{"part": {"mlp": {"layer": 0}}, "factor": 1e9}]}}}"#,
            422,
            "look_invalid",
            Some("look"),
        ),
        (r#"{"look": {"map": {}}}"#, 404, "not_found", None),
    ] {
        let answer = lab.post("/api/v1/runs/nobody/look", &lab.view, body).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{shown}: {:?}", answer.json());
        if field.is_some() {
            assert_eq!(answer.json()["field"].as_str(), field, "{shown}: {:?}", answer.json());
        }
    }
    for (query, status, code) in [
        ("", 400, "query_invalid"),
        ("?look=map", 422, "query_invalid"),
        ("?look=%7B%22mood%22:%7B%7D%7D", 422, "query_invalid"),
        ("?look=%7B%22map%22:%7B%7D%7D&from=-1", 400, "query_invalid"),
        ("?look=%7B%22map%22:%7B%7D%7D", 404, "not_found"),
    ] {
        let answer = lab.get(&format!("/api/v1/runs/nobody/frames/kept{query}"), &lab.view).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{query}: {:?}", answer.json());
    }
    assert_eq!(lab.get("/api/v1/runs/nobody/frames/steps", &lab.view).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_given_in_json_and_to_the_last_bit_in_postcard() {
    let staffed = Staffed::open().await;
    let run = staffed.start(5).await;
    staffed.stands(&run, "finished").await;
    let store = &staffed.lab.state.store;
    let seen = |step: u64| {
        let (tokens, loss, parts) = (vec!["a".into()], step as f32 / 3.0, vec![]);
        Frame::Seen { step, segment: 0, look: map(), sight: Sight::Map { tokens, loss, parts }, pace: Pace::default() }
    };
    let next = store.stored_seq(&run).await.unwrap() + 1;
    let items = [0, 1, 2, 4].map(|step| Item::Kept(Box::new(seen(step))));
    store.ingest(&run, next, items.to_vec()).await.unwrap();
    let (view, base) = (&staffed.lab.view, format!("/api/v1/runs/{run}/frames"));
    assert_eq!(staffed.lab.get(&format!("{base}/steps"), view).await.json(), serde_json::json!([0, 1, 2, 4]));
    let path = format!("{base}/kept?look=%7B%22map%22:%7B%7D%7D&from=1&to=2");
    let frames = staffed.lab.get(&path, view).await.json();
    let steps: Vec<_> = frames.as_array().unwrap().iter().map(|frame| frame["Seen"]["step"].clone()).collect();
    assert_eq!(steps, [1, 2]);
    for accept in ["application/x-postcard", "application/octet-stream"] {
        let answer =
            staffed.lab.send(ask("GET", &path, Some(view)).header("accept", accept).body(Body::empty()).unwrap()).await;
        assert_eq!(encode::from_bytes::<Vec<Frame>>(&answer.body).unwrap(), [seen(1), seen(2)]);
    }
}
