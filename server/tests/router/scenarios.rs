//! Whole runs over real sockets, with a trainer that takes steps without computing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use server::lab::settings::Settings;
use server::runs::queue;
use server::workers::{liveness, local};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wire::control::author::Author;
use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::control::command::{Command, NumberedCommand};
use wire::device::{DeviceInfo, DeviceKind};
use wire::inspect::request::Inspection;
use wire::inspect::result::{BatchSequence, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::run::Cursor;
use wire::series::{Row, name};
use wire::transport::link::Report;
use wire::transport::live::{FromPage, ToPage};
use wire::{CheckpointId, Event, RunId, RunState, encode};
use worker::{Assignment, RunReporter, TrainError, Trainer, WorkerConfig};

use crate::lab::{Lab, WITHIN};

/// Text of the dataset, which samples and batches repeat.
pub(crate) const SAMPLED: &str = "that is the question";

/// Takes a step every few milliseconds and carries out commands, without computing.
struct FakeTrainer;

impl Trainer for FakeTrainer {
    fn device(&self) -> DeviceInfo {
        let id = "cpu".parse().unwrap();
        DeviceInfo {
            id,
            name: "Fake".into(),
            kind: DeviceKind::Cpu,
            backend: "none".into(),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 1e9,
            rates: None,
        }
    }

    fn train(
        &self,
        assignment: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<(), TrainError> {
        let Assignment { plan, past, .. } = assignment;
        let (mut step, mut segment, mut is_paused) = (past.recorded, past.last_segment, past.is_paused);
        let mut hyperparameters = plan.live();
        past.changes.iter().for_each(|record| hyperparameters.apply(&record.event, record.step));
        let began = match step > plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step) {
            true => Event::Continued { checkpoint: None, recorded: step, damaged: vec![] },
            false => Event::Started { parameters: 1 },
        };
        out.report(Report { segment, ..report(step, began, Some(RunState::Running)) });
        let mut inspector = Inspector::default();
        let mut pauses_at = None;
        while step < hyperparameters.steps {
            if pauses_at.take_if(|at| *at <= step).is_some() {
                is_paused = true;
                out.report(Report { segment, ..report(step, Event::Paused, Some(RunState::Paused)) });
            }
            inspector.inspect(segment, step, is_paused, out);
            let received = match is_paused {
                true => match commands.recv_timeout(Duration::from_millis(5)) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(TrainError::engine("the channel of commands is closed"));
                    }
                },
                false => match commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    // The worker was aborted: its process would be dead and report nothing more.
                    Err(TryRecvError::Disconnected) => loop {
                        std::thread::park();
                    },
                },
            };
            if let Some(NumberedCommand { command_id, author, command }) = received {
                let reason = command.reason().map(str::to_owned);
                let received_at = step;
                let (event, state) = match &command {
                    Command::Pause { .. } => (Event::Paused, Some(RunState::Paused)),
                    Command::Resume { .. } => (Event::Resumed, Some(RunState::Running)),
                    Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
                    Command::Suspend { .. } => (Event::Suspended, Some(RunState::Suspended)),
                    Command::Checkpoint { .. } => {
                        let checkpoint = saved(CheckpointId { segment, step }, hyperparameters.changes);
                        (Event::Checkpointed { checkpoint }, None)
                    }
                    Command::Rollback { checkpoint, skip_batches, .. } => {
                        let (from_segment, from_step) = (segment, step);
                        (segment, step) = (segment + 1, checkpoint.step);
                        let (checkpoint, skip_batches, best_valid) = (*checkpoint, *skip_batches, None);
                        (Event::RolledBack { checkpoint, from_segment, from_step, skip_batches, best_valid }, None)
                    }
                    Command::Sample { .. } => {
                        let text = || SAMPLED.to_owned();
                        (Event::Sampled { prompt: text(), text: text(), temperature: 0.8 }, None)
                    }
                    Command::Annotate { text } => (Event::Annotated { text: text.clone() }, None),
                    Command::Step { steps } => {
                        pauses_at = Some(step + steps);
                        (Event::Stepping { steps: *steps }, Some(RunState::Running))
                    }
                    other => match hyperparameters.change(other, step) {
                        Ok(Some(event)) => (event, None),
                        Ok(None) => {
                            (Event::Refused { command, message: "the fake trainer cannot do this".into() }, None)
                        }
                        Err(error) => (Event::Refused { command, message: error.to_string() }, None),
                    },
                };
                hyperparameters.apply(&event, step);
                let at = if matches!(event, Event::RolledBack { .. }) { step } else { received_at };
                let answer =
                    Report { segment, author, command_id: Some(command_id), reason, ..report(at, event, state) };
                out.report(answer);
                match state {
                    Some(RunState::Stopped | RunState::Suspended) => return Ok(()),
                    Some(state) => is_paused = state == RunState::Paused,
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

/// Answers inspections a few times a second, and new ones at once while the run is paused. The model has one block.
#[derive(Default)]
struct Inspector {
    requested: Vec<Inspection>,
    answered: Option<Instant>,
}

impl Inspector {
    fn inspect(&mut self, segment: u32, step: u64, is_paused: bool, out: &mut RunReporter) {
        let is_new = out.requested_inspections().map(|requested| self.requested = requested).is_some();
        let is_due = !is_paused && self.answered.is_none_or(|at| at.elapsed() > Duration::from_millis(20));
        if !is_new && !is_due {
            return;
        }
        self.answered = Some(Instant::now());
        for inspection in self.requested.clone() {
            out.inspection(match inspection {
                Inspection::Attention { layer: 1.., .. } => {
                    InspectionUpdate::Failed { step, inspection, message: "there is no such block".into() }
                }
                inspection => {
                    let result = match inspection {
                        Inspection::Batch { .. } => batch(),
                        _ => InspectionResult::Weights { matrices: vec![] },
                    };
                    let overhead = InspectionOverhead::default();
                    InspectionUpdate::Result { step, segment, inspection, result, overhead }
                }
            });
        }
    }
}

fn batch() -> InspectionResult {
    let sequence =
        BatchSequence { corpus: "play".into(), row: 0, tokens: vec![SAMPLED.into()], losses: vec![1.0], mean: 1.0 };
    InspectionResult::Batch { rows: vec![sequence], total: 1, gradients: vec![("embedding".into(), 0.5)] }
}

fn saved(id: CheckpointId, changes: u32) -> CheckpointInfo {
    let (cause, hash) = (Cause::Requested, String::new());
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
    Report { segment: 0, step, at_ms: 1, author: Author::System, command_id: None, reason: None, event, state }
}

/// A lab with a dataset, an address, and a worker.
pub(crate) struct LabWithWorker {
    pub(crate) lab: Lab,
    pub(crate) address: std::net::SocketAddr,
    worker: tokio::task::JoinHandle<Result<(), worker::WorkerError>>,
}

impl LabWithWorker {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// As [`Self::open`], with other settings than the usual ones.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let (lab, address) = Self::without_worker(Lab::open_with(change).await).await;
        Self::with_worker(lab, address).await
    }

    /// A lab with a dataset and an address, whose device has not reported.
    async fn without_worker(lab: Lab) -> (Lab, std::net::SocketAddr) {
        lab.upload("name=play", "to be or not to be that is the question\n".repeat(200).as_bytes()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        local::write_address(lab.folder.path(), &format!("http://{address}"), &format!("http://{address}")).unwrap();
        let router = lab.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        tokio::spawn(queue::serve(lab.state.clone()));
        tokio::spawn(liveness::watch(lab.state.workers.clone()));
        (lab, address)
    }

    async fn with_worker(lab: Lab, address: std::net::SocketAddr) -> Self {
        let worker = start_worker(&lab);
        let served = Self { lab, address, worker };
        served.wait_until("/api/v1/devices", |devices| devices[0]["is_connected"] == true).await;
        served
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

    /// Waits until an answer meets a condition.
    pub(crate) async fn wait_until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let last = self.lab.get(path, &self.lab.view).await.json();
            if is_so(&last) {
                return last;
            }
            assert!(began.elapsed() < WITHIN, "{path} stayed {last:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn reaches(&self, run: &RunId, state: &str) -> Value {
        self.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["state"] == state).await
    }

    /// A run that has begun and is paused.
    pub(crate) async fn paused(&self, steps: u64) -> RunId {
        let run = self.start(steps).await;
        self.reaches(&run, "running").await;
        let answer = self.command(&run, r#"{"kind": "pause"}"#).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.reaches(&run, "paused").await;
        run
    }

    pub(crate) async fn command(&self, run: &RunId, body: &str) -> crate::lab::Answer {
        self.lab.post(&format!("/api/v1/runs/{run}/commands"), &self.lab.steer, body).await
    }
}

fn start_worker(lab: &Lab) -> tokio::task::JoinHandle<Result<(), worker::WorkerError>> {
    let config = WorkerConfig::new(None, lab.folder.path().to_owned(), "cpu".parse().unwrap(), lab.worker.clone());
    tokio::spawn(worker::run_with(config, Arc::new(FakeTrainer)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_posted_before_its_device_has_reported_waits_for_it_and_starts() {
    let (lab, address) = LabWithWorker::without_worker(Lab::open().await).await;
    let spec = |device: &str| {
        format!(r#"{{"preset": "tiny", "corpus": "play", "steps": 20, "overrides": {{"model.seq": 16}}{device}}}"#)
    };
    let mut runs = vec![];
    for (device, reason) in [
        ("", "waits for the first device to report"),
        (r#", "device": "cpu""#, "waits for the first cpu to report"),
        (r#", "device": "gpu""#, "waits for the first gpu to report"),
        (r#", "device": "vulkan-0""#, "waits for the device vulkan-0 to report"),
        (r#", "priority": 5"#, "waits for the first device to report"),
    ] {
        let planned = lab.post("/api/v1/plan", &lab.steer, &spec(device)).await;
        assert_eq!(planned.status, StatusCode::OK, "{:?}", planned.json());
        let answer = lab.post("/api/v1/runs", &lab.steer, &spec(device)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
        let summary = &answer.json()["summary"];
        assert_eq!((summary["state"].as_str(), summary["message"].as_str()), (Some("queued"), Some(reason)));
        runs.push(summary["id"].as_str().unwrap().parse::<RunId>().unwrap());
    }
    // Everything else of a spec is still checked at once.
    for wrong in [r#", "tokenizer": "runes""#, r#", "seed": -1"#] {
        assert_eq!(lab.post("/api/v1/runs", &lab.steer, &spec(wrong)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let stopped = lab.post("/api/v1/runs", &lab.steer, &spec("")).await.json()["summary"]["id"].clone();
    let command = format!("/api/v1/runs/{}/commands", stopped.as_str().unwrap());
    assert_eq!(lab.post(&command, &lab.steer, r#"{"kind": "stop"}"#).await.status, StatusCode::OK);

    let served = LabWithWorker::with_worker(lab, address).await;
    for run in [&runs[4], &runs[0], &runs[1]] {
        let view = served.reaches(run, "finished").await;
        assert_eq!((view["plan"]["device"].as_str(), &view["summary"]["message"]), (Some("cpu"), &Value::Null));
    }
    for (run, word) in [(&runs[2], "gpu"), (&runs[3], "vulkan-0")] {
        let view = served.reaches(run, "queued").await;
        assert!(view["summary"]["message"].as_str().unwrap().contains(word), "{view:#}");
    }
    let view = served.reaches(&stopped.as_str().unwrap().parse().unwrap(), "stopped").await;
    assert_eq!(view["summary"]["step"], 0, "a stopped run is not started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_queued_trained_steered_and_finished() {
    let served = LabWithWorker::open().await;
    let run = served.start(300).await;
    served.reaches(&run, "running").await;
    let paused = served.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!(
        (paused.status, paused.json()["event"]["kind"].as_str()),
        (StatusCode::OK, Some("paused")),
        "{:?}",
        paused.json()
    );
    assert_eq!(paused.json()["author"]["person"], "ada");
    let step = paused.json()["step"].as_u64().unwrap();
    served.reaches(&run, "paused").await;
    assert_eq!(served.command(&run, r#"{"kind": "evaluate"}"#).await.code(), "command_refused");
    assert_eq!(
        served.command(&run, r#"{"kind": "resume"}"#).await.json()["step"].as_u64(),
        Some(step),
        "no step was taken meanwhile"
    );
    let view = served.reaches(&run, "finished").await;
    assert!(view["references"]["unigram"].is_number(), "the reference losses are known: {view:#}");
    let windows = served.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &served.lab.view).await.json();
    assert_eq!(windows[0]["total"].as_u64(), Some(300));
    let events = served.lab.get(&format!("/api/v1/runs/{run}/events"), &served.lab.view).await.json();
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|record| record["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["queued", "starting", "started", "paused", "refused", "resumed", "finished"]);
    let over = served.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!((over.status, over.code().as_str()), (StatusCode::CONFLICT, "run_over"));
    let figure = served.lab.get(&format!("/api/v1/runs/{run}/figures/loss.svg"), &served.lab.view).await;
    assert!(figure.status == StatusCode::OK && figure.body.starts_with(b"<svg"), "{figure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_runs_can_be_moved_stopped_and_deleted() {
    let served = LabWithWorker::open().await;
    let first = served.start(1_000_000).await;
    served.reaches(&first, "running").await;
    let (second, third) = (served.start(5).await, served.start(5).await);
    let moved =
        axum::http::Request::builder().method("PATCH").uri(format!("/api/v1/runs/{third}")).header("host", "localhost");
    let moved = moved
        .header("authorization", format!("Bearer {}", served.lab.steer))
        .header("content-type", "application/json");
    let moved = served.lab.send(moved.body(r#"{"queue_place": 1, "name": "first of all"}"#.into()).unwrap()).await;
    assert_eq!(
        (moved.json()["queue_place"].as_u64(), moved.json()["name"].as_str()),
        (Some(1), Some("first of all")),
        "{:?}",
        moved.json()
    );
    assert_eq!(served.command(&second, r#"{"kind": "pause"}"#).await.code(), "run_queued");
    assert_eq!(served.command(&second, r#"{"kind": "stop"}"#).await.json()["event"]["kind"], "stopped");
    let delete = |run: &RunId| {
        served.lab.send(
            crate::lab::ask("DELETE", &format!("/api/v1/runs/{run}"), Some(&served.lab.steer))
                .body(axum::body::Body::empty())
                .unwrap(),
        )
    };
    assert_eq!(delete(&first).await.code(), "run_live");
    assert!(delete(&second).await.json()["deleted_ms"].is_number());
    assert!(
        served.lab.post(&format!("/api/v1/runs/{second}/restore"), &served.lab.steer, "").await.json()["deleted_ms"]
            .is_null()
    );
    assert_eq!(served.command(&first, r#"{"kind": "stop", "reason": "enough"}"#).await.json()["reason"], "enough");
    served.reaches(&third, "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_receives_every_tick_of_a_run() {
    let served = LabWithWorker::open().await;
    let run = served.start(200).await;
    let mut request = format!("ws://{}/api/v1/live", served.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", served.lab.view).parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let encoded = |message: FromPage| Message::binary(encode::to_bytes(&message).unwrap());
    socket.send(encoded(FromPage::WatchLab)).await.unwrap();
    let view = served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    let mut cursor: Cursor = serde_json::from_value(view["cursor"].clone()).unwrap();
    let known = served.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &served.lab.view).await.json();
    let mut next = known[0]["total"].as_u64().unwrap_or(0);
    socket.send(encoded(FromPage::WatchRun { run: run.clone(), since: cursor })).await.unwrap();
    let (mut has_lab, mut is_over) = (false, false);
    while !(has_lab && is_over) {
        let message = tokio::time::timeout(WITHIN, socket.next()).await.unwrap().unwrap().unwrap();
        match encode::from_bytes::<ToPage>(&message.into_data()).unwrap() {
            ToPage::Lab(lab) => has_lab |= lab.runs.iter().any(|summary| summary.id == run) && lab.devices.len() == 1,
            ToPage::Tick(tick) => {
                assert_eq!(tick.cursor.tick, cursor.tick + 1, "no tick is missing");
                cursor = tick.cursor;
                for row in &tick.rows {
                    assert!(row.step <= next, "step {} came after {next}", row.step);
                    next = next.max(row.step + 1);
                }
                is_over = tick.summary.state == RunState::Finished;
            }
            ToPage::Heartbeat { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, 200);
    let stale = Cursor { epoch: cursor.epoch - 1, tick: 1 };
    socket.send(encoded(FromPage::WatchRun { run: run.clone(), since: stale })).await.unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if encode::from_bytes::<ToPage>(&message.into_data()).unwrap() == (ToPage::Resync { run: run.clone() }) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_dies_is_lost_and_the_next_worker_trains_the_next_run() {
    let served = LabWithWorker::open().await;
    let run = served.start_with(1_000_000, r#", "budget.restarts": 0"#).await;
    served.reaches(&run, "running").await;
    served.worker.abort();
    let view = served.reaches(&run, "lost").await;
    assert!(view["summary"]["message"].as_str().unwrap().contains("died"), "{view:#}");
    let away = served.command(&run, r#"{"kind": "pause"}"#).await;
    assert_eq!(away.status, StatusCode::CONFLICT);
    let next = served.start(5).await;
    let _worker = start_worker(&served.lab);
    served.reaches(&next, "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_dies_restarts_by_itself() {
    let mut served = LabWithWorker::open().await;
    let run = served.start(600).await;
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(20)).await;
    served.worker.abort();
    let view = served.reaches(&run, "queued").await;
    assert!(
        view["summary"]["message"].as_str().unwrap().contains("restarts from its newest checkpoint (1 of 3)"),
        "{view:#}"
    );
    let step = view["summary"]["step"].as_u64().unwrap();
    served.worker = start_worker(&served.lab);
    let view = served.reaches(&run, "finished").await;
    assert_eq!((view["summary"]["restarts"].as_u64(), view["summary"]["step"].as_u64()), (Some(1), Some(600)));
    let windows = served.lab.get(&format!("/api/v1/runs/{run}/series?names=loss.train"), &served.lab.view).await.json();
    assert_eq!(windows[0]["total"].as_u64(), Some(600), "each step once; the worker died at step {step}");
}
