//! Whole runs, over real sockets, with a worker that pretends to train.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use server::workers::write_address;
use server::{scheduler, vigil};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wire::checkpoint::{Cause, CheckpointInfo};
use wire::command::{Command, CommandOrder};
use wire::device::{DeviceInfo, DeviceKind};
use wire::event::Author;
use wire::frame::{Frame, Pace};
use wire::link::Report;
use wire::live::{FromPage, ToPage};
use wire::look::Look;
use wire::run::Cursor;
use wire::series::{Row, name};
use wire::sight::Sight;
use wire::{CheckpointId, Dials, Event, RunId, RunState, encode};
use worker::{RunReporter, Trainer, Work, WorkerConfig};

use crate::lab::Lab;

/// Takes a step each few milliseconds and obeys, without any arithmetic.
struct Pretender;

impl Trainer for Pretender {
    fn device(&self) -> DeviceInfo {
        let id = "cpu".parse().unwrap();
        DeviceInfo {
            id,
            name: "Pretender".into(),
            kind: DeviceKind::Cpu,
            backend: "none".into(),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 1e9,
        }
    }

    fn train(&self, work: &Work, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Result<(), String> {
        let Work { plan, past, .. } = work;
        let (mut step, mut segment, mut is_held) = (past.recorded, past.last_segment, past.is_paused);
        let mut dials = Dials::new(plan);
        past.changes.iter().for_each(|record| dials.apply(&record.event, record.step));
        let began = match step > plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step) {
            true => Event::Continued { checkpoint: None, recorded: step, damaged: vec![] },
            false => Event::Started { parameters: 1 },
        };
        out.report(Report { segment, ..report(step, began, Some(RunState::Running)) });
        let mut eyes = Eyes::default();
        while step < dials.steps {
            eyes.look(segment, step, is_held, out);
            let order = match is_held {
                true => match orders.recv_timeout(Duration::from_millis(5)) {
                    Ok(order) => Some(order),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Err("nobody gives orders any more".into()),
                },
                false => match orders.try_recv() {
                    Ok(order) => Some(order),
                    Err(TryRecvError::Empty) => None,
                    // Its process is dead: it says nothing more.
                    Err(TryRecvError::Disconnected) => loop {
                        std::thread::park();
                    },
                },
            };
            if let Some(CommandOrder { command_id, author, command }) = order {
                let reason = command.reason().map(str::to_owned);
                let told_at = step;
                let (event, state) = match &command {
                    Command::Pause { .. } => (Event::Paused, Some(RunState::Paused)),
                    Command::Resume { .. } => (Event::Resumed, Some(RunState::Running)),
                    Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
                    Command::Release { .. } => (Event::Released, Some(RunState::Parked)),
                    Command::Checkpoint { .. } => {
                        let checkpoint = saved(CheckpointId { segment, step }, dials.changes);
                        (Event::Checkpointed { checkpoint }, None)
                    }
                    Command::Rollback { checkpoint, skip_batches, .. } => {
                        let (from_segment, from_step) = (segment, step);
                        (segment, step) = (segment + 1, checkpoint.step);
                        let (checkpoint, skip_batches, best_valid) = (*checkpoint, *skip_batches, None);
                        (Event::RolledBack { checkpoint, from_segment, from_step, skip_batches, best_valid }, None)
                    }
                    other => match dials.change(other, step) {
                        Ok(Some(event)) => (event, None),
                        Ok(None) => (Event::Refused { command, message: "a pretender cannot".into() }, None),
                        Err(message) => (Event::Refused { command, message }, None),
                    },
                };
                dials.apply(&event, step);
                let at = if matches!(event, Event::RolledBack { .. }) { step } else { told_at };
                let line = Report { segment, author, command_id: Some(command_id), reason, ..report(at, event, state) };
                out.report(line);
                match state {
                    Some(RunState::Stopped | RunState::Parked) => return Ok(()),
                    Some(state) => is_held = state == RunState::Paused,
                    None => {}
                }
                continue;
            }
            out.row(Row {
                segment,
                step,
                values: vec![(name::TRAIN.into(), 4.0 / (step + 1) as f64), (name::TOKENS.into(), (step + 1) as f64)],
            });
            step += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        out.report(Report { segment, ..report(step, Event::Finished, Some(RunState::Finished)) });
        Ok(())
    }
}

/// Looks a few times a second, and at once while it holds; of all layers it can see the first.
#[derive(Default)]
struct Eyes {
    wanted: Vec<Look>,
    looked: Option<Instant>,
}

impl Eyes {
    fn look(&mut self, segment: u32, step: u64, is_held: bool, out: &mut RunReporter) {
        let is_new = out.wanted().map(|wanted| self.wanted = wanted).is_some();
        let is_due = !is_held && self.looked.is_none_or(|at| at.elapsed() > Duration::from_millis(20));
        if !is_new && !is_due {
            return;
        }
        self.looked = Some(Instant::now());
        for look in self.wanted.clone() {
            out.look(match look {
                Look::Attention { layer: 1.., .. } => {
                    Frame::Unseen { step, look, message: "there is no such block".into() }
                }
                look => {
                    let (matrices, pace) = (vec![], Pace::default());
                    Frame::Seen { step, segment, look, sight: Sight::Gallery { matrices }, pace }
                }
            });
        }
    }
}

fn saved(id: CheckpointId, changes: u32) -> CheckpointInfo {
    let (cause, hash) = (Cause::Asked, String::new());
    CheckpointInfo {
        id,
        cause,
        at_ms: 1,
        bytes: 1,
        hash,
        changes,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
    }
}

fn report(step: u64, event: Event, state: Option<RunState>) -> Report {
    Report { segment: 0, step, at_ms: 1, author: Author::Lab, command_id: None, reason: None, event, state }
}

/// A lab with a text, an address, and a worker on it.
pub(crate) struct Staffed {
    pub(crate) lab: Lab,
    pub(crate) address: std::net::SocketAddr,
    worker: tokio::task::JoinHandle<Result<(), worker::WorkerError>>,
}

impl Staffed {
    pub(crate) async fn open() -> Self {
        let lab = Lab::open().await;
        lab.upload("name=play", "to be or not to be that is the question\n".repeat(200).as_bytes()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        lab.state.set_port(address.port());
        write_address(lab.folder.path(), &format!("http://{address}")).unwrap();
        let router = lab.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        tokio::spawn(scheduler::schedule(lab.state.clone()));
        tokio::spawn(vigil::keep(lab.state.clone()));
        let worker = hire(&lab);
        let staffed = Self { lab, address, worker };
        staffed.when("/api/v1/devices", |devices| devices[0]["is_connected"] == true).await;
        staffed
    }

    pub(crate) async fn start(&self, steps: u64) -> RunId {
        self.start_with(steps, "").await
    }

    /// A run with other overrides, each written with a comma before it.
    pub(crate) async fn start_with(&self, steps: u64, overrides: &str) -> RunId {
        let overrides = format!(r#"{{"model.seq": 16{overrides}}}"#);
        let spec = format!(r#"{{"preset": "tiny", "corpus": "play", "steps": {steps}, "overrides": {overrides}}}"#);
        let answer = self.lab.post("/api/v1/runs", &self.lab.steer, &spec).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
        answer.json()["summary"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Waits until an answer is as it should be.
    pub(crate) async fn when(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.lab.get(path, &self.lab.view).await.json();
            if is_so(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} stayed {last:#}");
    }

    pub(crate) async fn stands(&self, run: &RunId, state: &str) -> Value {
        self.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["state"] == state).await
    }

    pub(crate) async fn command(&self, run: &RunId, body: &str) -> crate::lab::Answer {
        self.lab.post(&format!("/api/v1/runs/{run}/commands"), &self.lab.steer, body).await
    }
}

fn hire(lab: &Lab) -> tokio::task::JoinHandle<Result<(), worker::WorkerError>> {
    let config = WorkerConfig::new(None, lab.folder.path().to_owned(), "cpu".parse().unwrap(), lab.worker.clone());
    tokio::spawn(worker::run_with(config, Arc::new(Pretender)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_queued_trained_steered_and_finished() {
    let staffed = Staffed::open().await;
    let run = staffed.start(300).await;
    staffed.stands(&run, "running").await;
    let paused = staffed.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!(
        (paused.status, paused.json()["event"]["kind"].as_str()),
        (StatusCode::OK, Some("paused")),
        "{:?}",
        paused.json()
    );
    assert_eq!(paused.json()["author"]["person"], "ada");
    let step = paused.json()["step"].as_u64().unwrap();
    staffed.stands(&run, "paused").await;
    assert_eq!(staffed.command(&run, r#"{"kind": "evaluate"}"#).await.code(), "command_refused");
    assert_eq!(
        staffed.command(&run, r#"{"kind": "resume"}"#).await.json()["step"].as_u64(),
        Some(step),
        "nothing was trained meanwhile"
    );
    let view = staffed.stands(&run, "finished").await;
    assert!(view["references"]["unigram"].is_number(), "the lines to read against are known: {view:#}");
    let windows =
        staffed.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &staffed.lab.view).await.json();
    assert_eq!(windows[0]["total"].as_u64(), Some(300));
    let events = staffed.lab.get(&format!("/api/v1/runs/{run}/events"), &staffed.lab.view).await.json();
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|record| record["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["queued", "starting", "started", "paused", "refused", "resumed", "finished"]);
    let over = staffed.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!((over.status, over.code().as_str()), (StatusCode::CONFLICT, "run_over"));
    let picture = staffed.lab.get(&format!("/api/v1/runs/{run}/figures/loss.svg"), &staffed.lab.view).await;
    assert!(picture.status == StatusCode::OK && picture.body.starts_with(b"<svg"), "{picture:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_beyond_the_devices_wait_and_can_be_moved_stopped_and_deleted() {
    let staffed = Staffed::open().await;
    let first = staffed.start(1_000_000).await;
    staffed.stands(&first, "running").await;
    let (second, third) = (staffed.start(5).await, staffed.start(5).await);
    let moved =
        axum::http::Request::builder().method("PATCH").uri(format!("/api/v1/runs/{third}")).header("host", "localhost");
    let moved = moved
        .header("authorization", format!("Bearer {}", staffed.lab.steer))
        .header("content-type", "application/json");
    let moved = staffed.lab.send(moved.body(r#"{"queue_place": 1, "name": "first of all"}"#.into()).unwrap()).await;
    assert_eq!(
        (moved.json()["queue_place"].as_u64(), moved.json()["name"].as_str()),
        (Some(1), Some("first of all")),
        "{:?}",
        moved.json()
    );
    assert_eq!(staffed.command(&second, r#"{"kind": "pause"}"#).await.code(), "run_queued");
    assert_eq!(staffed.command(&second, r#"{"kind": "stop"}"#).await.json()["event"]["kind"], "stopped");
    let delete = |run: &RunId| {
        staffed.lab.send(
            crate::lab::ask("DELETE", &format!("/api/v1/runs/{run}"), Some(&staffed.lab.steer))
                .body(axum::body::Body::empty())
                .unwrap(),
        )
    };
    assert_eq!(delete(&first).await.code(), "run_live");
    assert!(delete(&second).await.json()["deleted_ms"].is_number());
    assert!(
        staffed.lab.post(&format!("/api/v1/runs/{second}/restore"), &staffed.lab.steer, "").await.json()["deleted_ms"]
            .is_null()
    );
    assert_eq!(staffed.command(&first, r#"{"kind": "stop", "reason": "enough"}"#).await.json()["reason"], "enough");
    staffed.stands(&third, "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_a_run_without_a_gap() {
    let staffed = Staffed::open().await;
    let run = staffed.start(200).await;
    let mut request = format!("ws://{}/api/v1/live", staffed.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", staffed.lab.view).parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let say = |message: FromPage| Message::binary(encode::to_bytes(&message).unwrap());
    socket.send(say(FromPage::WatchLab)).await.unwrap();
    let view = staffed.lab.get(&format!("/api/v1/runs/{run}"), &staffed.lab.view).await.json();
    let mut cursor: Cursor = serde_json::from_value(view["cursor"].clone()).unwrap();
    let known = staffed.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &staffed.lab.view).await.json();
    let mut next = known[0]["total"].as_u64().unwrap_or(0);
    socket.send(say(FromPage::WatchRun { run: run.clone(), since: cursor })).await.unwrap();
    let (mut has_lab, mut is_over) = (false, false);
    while !(has_lab && is_over) {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap().unwrap().unwrap();
        match encode::from_bytes::<ToPage>(&message.into_data()).unwrap() {
            ToPage::Lab(lab) => has_lab |= lab.runs.iter().any(|summary| summary.id == run) && lab.devices.len() == 1,
            ToPage::Tick(tick) => {
                assert_eq!(tick.cursor.tick, cursor.tick + 1, "no tick is left out");
                cursor = tick.cursor;
                for row in &tick.rows {
                    assert!(row.step <= next, "step {} came after {next}", row.step);
                    next = next.max(row.step + 1);
                }
                is_over = tick.summary.state == RunState::Finished;
            }
            ToPage::Beat { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, 200);
    let stale = Cursor { epoch: cursor.epoch - 1, tick: 1 };
    socket.send(say(FromPage::WatchRun { run: run.clone(), since: stale })).await.unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if encode::from_bytes::<ToPage>(&message.into_data()).unwrap() == (ToPage::Resync { run: run.clone() }) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_dies_is_lost_and_the_next_worker_takes_the_next_run() {
    let staffed = Staffed::open().await;
    let run = staffed.start_with(1_000_000, r#", "keep.restarts": 0"#).await;
    staffed.stands(&run, "running").await;
    staffed.worker.abort();
    let view = staffed.stands(&run, "lost").await;
    assert!(view["summary"]["message"].as_str().unwrap().contains("died"), "{view:#}");
    let away = staffed.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!(away.status, StatusCode::CONFLICT);
    let next = staffed.start(5).await;
    let _worker = hire(&staffed.lab);
    staffed.stands(&next, "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_dies_starts_again_by_itself_where_it_was() {
    let mut staffed = Staffed::open().await;
    let run = staffed.start(600).await;
    staffed.when(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(20)).await;
    staffed.worker.abort();
    let view = staffed.stands(&run, "queued").await;
    assert!(view["summary"]["message"].as_str().unwrap().contains("starts again by itself (1 of 3)"), "{view:#}");
    let step = view["summary"]["step"].as_u64().unwrap();
    staffed.worker = hire(&staffed.lab);
    let view = staffed.stands(&run, "finished").await;
    assert_eq!((view["summary"]["restarts"].as_u64(), view["summary"]["step"].as_u64()), (Some(1), Some(600)));
    let windows =
        staffed.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &staffed.lab.view).await.json();
    assert_eq!(windows[0]["total"].as_u64(), Some(600), "each step once; it had been at {step}");
}
