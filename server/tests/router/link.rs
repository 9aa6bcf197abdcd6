//! The link to workers: a worker of another protocol version is refused with a message that names both versions; times are those of the
//! server's clock; what keeps a run from training is its message.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::live::clock::now_ms;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::control::author::Author;
use wire::control::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::device::{DeviceInfo, DeviceKind};
use wire::transport::link::{FromServer, FromWorker, Item, PROTOCOL, Report};
use wire::{Event, RunId, RunState, encode};

use crate::lab::WITHIN;
use crate::scenarios::LabWithWorker;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr, token: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{address}/api/v1/link").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

/// Sends the first message of a connection and returns the answer.
async fn first_answer(served: &LabWithWorker, message: Vec<u8>) -> FromServer {
    let mut socket = connect(served.address, &served.lab.worker).await.unwrap();
    socket.send(Message::binary(message)).await.unwrap();
    let answer = tokio::time::timeout(WITHIN, socket.next()).await.unwrap().unwrap().unwrap();
    encode::from_bytes(&answer.into_data()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_protocol_version_is_refused() {
    let served = LabWithWorker::open().await;
    for protocol in [PROTOCOL - 1, PROTOCOL + 1] {
        // Variant 0 (Hello) and the version, followed by fields that this version may not decode.
        let hello = [encode::to_bytes(&(0u32, protocol)).unwrap(), b"\x05other".to_vec()].concat();
        let FromServer::Refused { message } = first_answer(&served, hello).await else { panic!("not refused") };
        for words in [format!("version {protocol}"), format!("version {PROTOCOL}"), "same version".to_owned()] {
            assert!(message.contains(&words), "{words:?} is not in {message:?}");
        }
    }
    let FromServer::Refused { message } = first_answer(&served, vec![9]).await else { panic!("not refused") };
    assert!(message.contains("Hello"), "{message}");
    let devices = served.lab.get("/api/v1/devices", &served.lab.view).await.json();
    assert_eq!(devices.as_array().unwrap().len(), 1, "the refused workers are not listed");
}

/// A worker of another machine, whose messages the test writes.
pub(crate) struct FarWorker {
    socket: Socket,
    /// Its clock minus that of the server, ms.
    off_ms: i64,
    sent: u64,
}

impl FarWorker {
    pub(crate) async fn connect(served: &LabWithWorker, device: &str, off_ms: i64) -> Self {
        let token = served.lab.join("far", device).await;
        Self::with_token(served.address, &token, device, off_ms).await.unwrap()
    }

    /// A worker that sends Hello for a device with this token.
    pub(crate) async fn with_token(
        address: SocketAddr,
        token: &str,
        device: &str,
        off_ms: i64,
    ) -> Result<Self, tungstenite::Error> {
        Self::with_memory(address, token, device, off_ms, 0).await
    }

    /// As [`Self::with_token`], for a device with so much memory, bytes.
    pub(crate) async fn with_memory(
        address: SocketAddr,
        token: &str,
        device: &str,
        off_ms: i64,
        memory_bytes: u64,
    ) -> Result<Self, tungstenite::Error> {
        let mut worker = Self { socket: connect(address, token).await?, off_ms, sent: 0 };
        worker.note(json!({"clock_ms": worker.now(), "of a later version": 1})).await;
        let info = DeviceInfo {
            id: device.parse().unwrap(),
            name: device.to_owned(),
            kind: DeviceKind::Cpu,
            backend: "none".into(),
            cores: 1,
            memory_bytes,
            flops_per_sec: 1.0,
            rates: None,
        };
        worker
            .send(FromWorker::Hello {
                protocol: PROTOCOL,
                worker: format!("{device}-1").parse().unwrap(),
                host: "far".into(),
                pid: 1,
                device: info,
                training: None,
                unsent: vec![],
            })
            .await;
        Ok(worker)
    }

    /// The next message of the server; `None` once it has closed the connection.
    pub(crate) async fn received(&mut self) -> Option<FromServer> {
        loop {
            let message = tokio::time::timeout(WITHIN, self.socket.next()).await.unwrap()?;
            match message.ok()? {
                Message::Binary(bytes) => return Some(encode::from_bytes(&bytes).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) fn now(&self) -> i64 {
        now_ms() + self.off_ms
    }

    pub(crate) async fn note(&mut self, note: Value) {
        self.socket.send(Message::text(note.to_string())).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: FromWorker) {
        self.socket.send(Message::binary(encode::to_bytes(&message).unwrap())).await.unwrap();
    }

    /// The run that it is assigned.
    pub(crate) async fn assigned(&mut self) -> RunId {
        loop {
            let message = tokio::time::timeout(WITHIN, self.socket.next()).await.unwrap().unwrap().unwrap();
            if let Ok(FromServer::Assign { run, .. }) = encode::from_bytes(&message.into_data()) {
                return run;
            }
        }
    }

    /// Reports an event that happened some time ago.
    pub(crate) async fn report(&mut self, run: &RunId, event: Event, state: Option<RunState>, ago_ms: i64) {
        let (author, at_ms) = (Author::System, self.now() - ago_ms);
        let report = Report { segment: 0, step: 0, at_ms, author, command_id: None, reason: None, event, state };
        self.sent += 1;
        let (run, first_seq) = (run.clone(), self.sent);
        self.send(FromWorker::Items { run, first_seq, items: vec![Item::Event(report)] }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_clock_is_an_hour_off_does_not_shift_the_journal() {
    const HOUR: i64 = 3_600_000;
    let served = LabWithWorker::open().await;
    for (device, off_ms) in [("fast-cpu", HOUR), ("slow-cpu", -HOUR)] {
        let mut worker = FarWorker::connect(&served, device, off_ms).await;
        served.wait_until("/api/v1/devices", |devices| devices.to_string().contains(device)).await;
        let spec = json!({"corpus": "play", "steps": 10, "device": device}).to_string();
        let answer = served.lab.post("/api/v1/runs", &served.lab.steer, &spec).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        let run = worker.assigned().await;
        let before = now_ms();
        worker.report(&run, Event::Starting { device: device.to_owned() }, Some(RunState::Starting), 60_000).await;
        worker.report(&run, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
        let checkpoint = CheckpointInfo {
            id: CheckpointId { segment: 0, step: 0 },
            cause: Cause::Requested,
            at_ms: worker.now(),
            bytes: 1,
            hash: String::new(),
            changes: 0,
            loss_train: None,
            loss_valid: None,
            best_valid: None,
        };
        worker.report(&run, Event::Checkpointed { checkpoint }, None, 0).await;
        let events = format!("/api/v1/runs/{run}/events");
        served.wait_until(&events, |events| events.to_string().contains("checkpointed")).await;
        let events = served.lab.get(&events, &served.lab.view).await.json();
        let time = |kind: &str| {
            let found = events.as_array().unwrap().iter().find(|record| record["event"]["kind"] == kind);
            found.unwrap_or_else(|| panic!("no {kind} in {events}"))["at_ms"].as_i64().unwrap()
        };
        assert!((time("starting") - (before - 60_000)).abs() < 5000, "{device}: {events}");
        assert!((time("started") - before).abs() < 5000, "{device}: {events}");
        let saved = served.lab.get(&format!("/api/v1/runs/{run}/checkpoints"), &served.lab.view).await.json();
        assert!((saved[0]["info"]["at_ms"].as_i64().unwrap() - before).abs() < 5000, "{saved}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_run_from_training_is_its_message_until_it_is_done() {
    let served = LabWithWorker::open().await;
    let mut worker = FarWorker::connect(&served, "far-cpu", 0).await;
    served.wait_until("/api/v1/devices", |devices| devices.to_string().contains("far-cpu")).await;
    let spec = json!({"corpus": "play", "steps": 10, "device": "far-cpu"}).to_string();
    assert_eq!(served.lab.post("/api/v1/runs", &served.lab.steer, &spec).await.status, 201);
    let run = worker.assigned().await;
    worker.report(&run, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
    let path = format!("/api/v1/runs/{run}");
    served.wait_until(&path, |view| view["summary"]["state"] == "running").await;
    let shown = |text: Value| served.wait_until(&path, move |view| view["summary"]["message"] == text);
    for what in ["evaluating: batch 3 of 64", "evaluating: batch 40 of 64"] {
        worker.note(json!({"activity": {"run": run, "what": what}})).await;
        shown(what.into()).await;
    }
    worker.note(json!({"activity": {"run": run, "what": "x".repeat(1000)}})).await;
    shown(Value::Null).await;
    worker.note(json!({"activity": {"run": run, "what": "evaluating: batch 64 of 64"}})).await;
    shown("evaluating: batch 64 of 64".into()).await;
    worker.report(&run, Event::Finished, Some(RunState::Finished), 0).await;
    served.wait_until(&path, |view| view["summary"]["state"] == "finished").await;
    worker.note(json!({"activity": {"run": run, "what": "late"}})).await;
    worker.note(json!({"activity": null})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let view = served.lab.get(&path, &served.lab.view).await.json();
    assert_eq!((&view["summary"]["state"], &view["summary"]["message"]), (&json!("finished"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_that_is_lost_with_its_connection_is_made_again_and_no_worker_counts_as_lost() {
    let served = LabWithWorker::open().await;
    let token = served.lab.join("far", "box").await;
    let connect = || FarWorker::with_token(served.address, &token, "box", 0);
    let mut first = connect().await.unwrap();
    let spec = r#"{"preset": "tiny", "corpus": "play", "steps": 5, "pool": "far", "overrides": {"model.seq": 16}}"#;
    let created = served.lab.post("/api/v1/runs", &served.lab.steer, spec).await.json();
    let run: RunId = created["summary"]["id"].as_str().unwrap().parse().unwrap();
    let assigned = async |worker: &mut FarWorker| loop {
        match worker.received().await {
            Some(FromServer::Assign { run: assigned, .. }) => return assigned,
            Some(_) => {}
            None => panic!("the server closed the connection"),
        }
    };
    assert_eq!(assigned(&mut first).await, run);
    // It reports nothing of the run: the same process connects again and says that it trains nothing.
    drop(first);
    let mut second = connect().await.unwrap();
    assert_eq!(assigned(&mut second).await, run);
    let events = served.lab.get(&format!("/api/v1/runs/{run}/events"), &served.lab.view).await.json();
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|record| record["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["queued"], "{events:#}");
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    assert_eq!(view["summary"]["restarts"], 0);
}
