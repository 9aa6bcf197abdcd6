//! Files and messages of earlier versions stay readable: specs and their plans, and one recorded message of every kind.
//!
//! `KINDLING_UPDATE_FIXTURES=1 cargo test --release --workspace --exclude app --exclude xtask --test formats` writes them again. Do so only
//! for a new version of the link ([`PROTOCOL`]), since workers and servers of one version must understand each other.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::control::checkpoint::{Cause, CheckpointInfo, CheckpointRef};
use wire::control::command::{NumberedCommand, ScheduleChange, UndoMethod};
use wire::control::intervention::{Component, Intervention};
use wire::data::corpus::{CorpusInfo, Source};
use wire::device::{DeviceInfo, DeviceKind, DeviceLoad};
use wire::hyperparameters::schedule::ScheduleCurve;
use wire::inspect::request::{Inspection, InspectionText, TensorValues};
use wire::inspect::result::{ComponentStats, HeadStats, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::run::history::Past;
use wire::run::plan::{PlanView, RunPlan, resolve};
use wire::series::Row;
use wire::transport::link::{FromServer, FromWorker, Item, PROTOCOL, Report};
use wire::transport::live::FromPage;
use wire::{Author, CheckpointId, Command, Event, EventRecord, LivePath, RunSpec, RunState, encode};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn is_update() -> bool {
    std::env::var_os("KINDLING_UPDATE_FIXTURES").is_some()
}

/// Compares a message with its recorded bytes, both ways.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &T) {
    let file = fixtures().join(format!("link-{PROTOCOL}")).join(format!("{name}.postcard"));
    let bytes = encode::to_bytes(message).unwrap();
    if is_update() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &bytes).unwrap();
    }
    let recorded = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(encode::from_bytes::<T>(&recorded).as_ref(), Ok(message), "{name}");
    assert_eq!(bytes, recorded, "{name} is written as it was recorded");
}

fn lab() -> (Vec<CorpusInfo>, Vec<DeviceInfo>) {
    let corpus = CorpusInfo {
        id: "tales".parse().unwrap(),
        name: "Tales".into(),
        source: Source::Generated { generator: "tales".into(), seed: 1 },
        documents: 1000,
        text_bytes: 1_000_000,
        chars: 1_000_000,
        alphabet: "abc".into(),
        sample: "Once upon a time".into(),
        valid_share: 0.1,
        content_hash: "00".into(),
        entropy_nats: Some(1.0),
        created_ms: 0,
        datasets: vec![],
        import: None,
        project: None,
    };
    (vec![corpus], vec![device()])
}

fn device() -> DeviceInfo {
    DeviceInfo {
        id: "cpu".parse().unwrap(),
        name: "A CPU".into(),
        kind: DeviceKind::Cpu,
        backend: "flex".into(),
        cores: 2,
        memory_bytes: 8_000_000_000,
        flops_per_sec: 1e11,
        rates: None,
    }
}

fn plan(spec: &str) -> PlanView {
    let (corpora, devices) = lab();
    let spec: RunSpec = serde_json::from_str(spec).unwrap();
    resolve(&spec, &corpora, &devices).unwrap()
}

fn commands() -> Vec<Command> {
    let reason = Some("the loss is flat".to_owned());
    let scaled = Intervention { component: Component::Head { layer: 0, head: 1 }, factor: 0.5 };
    vec![
        Command::Pause { reason: reason.clone() },
        Command::Resume { reason: None },
        Command::Step { steps: 3 },
        Command::Stop { reason: None },
        Command::Set { path: LivePath::LEARNING_RATE, value: 3e-4, reason: reason.clone() },
        Command::SetSchedule {
            schedule: ScheduleChange::LearningRate {
                curve: ScheduleCurve::Points(vec![(500, 1e-4)]),
                steps: Some(600),
            },
            reason: None,
        },
        Command::SetSchedule { schedule: ScheduleChange::Accumulation { changes: vec![(10, 2)] }, reason: None },
        Command::EditWeights { interventions: vec![scaled], reason: None },
        Command::Checkpoint { reason: None },
        Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 300 }, skip_batches: 7, reason },
        Command::Suspend { reason: None },
        Command::Undo { event: Some(4), method: UndoMethod::Rollback },
        Command::Evaluate,
        Command::Sample { prompt: Some("Once".into()), tokens: Some(20), temperature: Some(0.5) },
        Command::Annotate { text: "a note".into() },
    ]
}

fn events() -> Vec<Event> {
    let checkpoint = CheckpointInfo {
        id: CheckpointId { segment: 0, step: 300 },
        cause: Cause::BeforeChange,
        at_ms: 5,
        bytes: 1000,
        hash: "ab".into(),
        changes: 2,
        loss_train: Some(2.0),
        loss_valid: Some(2.1),
        best_valid: Some(2.1),
    };
    let from = CheckpointRef { run: "amber-fox".parse().unwrap(), checkpoint: checkpoint.id };
    vec![
        Event::Queued,
        Event::Started { parameters: 804_096 },
        Event::Paused,
        Event::Changed { path: LivePath::GRAD_CLIP, old: 1.0, new: 0.5 },
        Event::Checkpointed { checkpoint },
        Event::RolledBack {
            checkpoint: from.checkpoint,
            from_segment: 0,
            from_step: 400,
            skip_batches: 7,
            best_valid: None,
        },
        Event::Forked { from },
        Event::Suspended,
        Event::Evaluated { loss_nats: 2.0, bits_per_byte: 1.5, windows: None },
        Event::NonFinite { what: "loss".into() },
        Event::Refused { command: Command::Step { steps: 0 }, message: "no".into() },
        Event::Finished,
    ]
}

fn inspections() -> Vec<InspectionUpdate> {
    let inspection = Inspection::Overview { text: InspectionText::Validation(0) };
    let head = HeadStats { entropy: 0.5, distance: 3.0, previous: 0.1, induction: 0.9, top_logit: 4.0 };
    let component = ComponentStats {
        name: "block.0.attention".into(),
        rms: 0.5,
        stream_rms: 1.0,
        non_finite: 0,
        dead: None,
        heads: vec![head],
    };
    let result = InspectionResult::Overview { tokens: vec!["a".into()], loss: 2.0, components: vec![component] };
    let overhead = InspectionOverhead { cost_ms: 2.0, every_ms: 500.0, share: 0.004 };
    vec![
        InspectionUpdate::Result { step: 12, segment: 0, inspection: inspection.clone(), result, overhead },
        InspectionUpdate::Failed { step: 12, inspection, message: "the text is empty".into() },
    ]
}

#[test]
fn recorded_link_messages_are_understood() {
    let run = || "amber-fox".parse().unwrap();
    let hello = FromWorker::Hello {
        protocol: PROTOCOL,
        worker: "cpu-1".parse().unwrap(),
        host: "box".into(),
        pid: 7,
        device: device(),
        training: Some(run()),
        unsent: vec![(run(), 9)],
    };
    check("hello", &hello);
    check("heartbeat", &FromWorker::Heartbeat { load: DeviceLoad { cpu_share: 0.5, ..DeviceLoad::default() } });
    let report = |event| {
        Item::Event(Report {
            segment: 0,
            step: 300,
            at_ms: 5,
            author: Author::System,
            command_id: Some(3),
            reason: None,
            event,
            state: Some(RunState::Paused),
        })
    };
    let row = Item::Row(Row { segment: 0, step: 12, values: vec![("loss.train".into(), 2.5)] });
    let snapshots = inspections().into_iter().map(|update| Item::Snapshot(Box::new(update)));
    let items = std::iter::once(row).chain(events().into_iter().map(report)).chain(snapshots).collect();
    check("items", &FromWorker::Items { run: run(), first_seq: 4, items });
    check("welcome", &FromServer::Welcome { stored: vec![(run(), 9)], release: true });
    let plan = Box::new(plan(r#"{"corpus":"tales","overrides":{"breakpoints":[100]}}"#).plan);
    check("assign", &FromServer::Assign { run: run(), plan, past: Box::new(Past::default()) });
    let inspections = vec![
        Inspection::Attention { text: InspectionText::Prompt("Once".into()), layer: 1 },
        Inspection::Matrix { tensor: "block.0.attention.query".into(), values: TensorValues::Gradient, window: None },
    ];
    check("inspect", &FromServer::Inspect { run: run(), inspections: inspections.clone() });
    check("page-inspect", &FromPage::Inspect { run: run(), inspections });
    for (number, command) in commands().into_iter().enumerate() {
        let command = NumberedCommand { command_id: number as u64, author: Author::Person("ada".into()), command };
        check(&format!("command-{number:02}"), &FromServer::Command { run: run(), command });
    }
}

#[test]
fn recorded_specs_resolve_to_their_recorded_plans() {
    for file in fs::read_dir(fixtures().join("specs")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        let recorded = fixtures().join("plans").join(file.file_name().unwrap());
        let resolved = plan(&text).plan;
        if is_update() {
            fs::create_dir_all(recorded.parent().unwrap()).unwrap();
            fs::write(&recorded, serde_json::to_string_pretty(&resolved).unwrap() + "\n").unwrap();
        }
        let expected: RunPlan = serde_json::from_str(&fs::read_to_string(&recorded).unwrap()).unwrap();
        assert_eq!(resolved, expected, "{}", file.display());
    }
}

#[test]
fn a_recorded_journal_is_understood() {
    let file = fixtures().join("journal.json");
    let records: Vec<EventRecord> = events()
        .into_iter()
        .zip(1..)
        .map(|(event, number)| EventRecord {
            number,
            segment: 0,
            step: 300,
            at_ms: 5,
            author: Author::Agent("reader".into()),
            command_id: None,
            reason: Some("a reason".into()),
            event,
        })
        .collect();
    if is_update() {
        fs::write(&file, serde_json::to_string_pretty(&records).unwrap() + "\n").unwrap();
    }
    let recorded: Vec<EventRecord> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(recorded, records);
}
