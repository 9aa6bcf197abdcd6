//! A run as the server would describe it just after its start, for tests of several pages.

use wire::data::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::data::tokenizer::Tokenizer;
use wire::device::{DeviceInfo, DeviceKind};
use wire::run::{Cursor, References};
use wire::{RunSpec, RunState, RunSummary, RunView};

/// The view of the run.
pub(crate) fn view() -> RunView {
    let corpus = CorpusInfo {
        id: "tales".parse().unwrap(),
        name: "Tales".into(),
        source: Source::Generated { generator: "tales".into(), seed: 1 },
        documents: 1000,
        text_bytes: 1_000_000,
        chars: 1_000_000,
        alphabet: "abc".into(),
        sample: "Once".into(),
        valid_share: 0.1,
        content_hash: String::new(),
        entropy_nats: None,
        created_ms: 0,
        datasets: vec![DatasetInfo {
            tokenizer: Tokenizer::Char,
            vocab: 4,
            unused: 0,
            train_tokens: 900_000,
            valid_tokens: 100_000,
            bytes_per_token: 2.0,
            unigram_nats: 1.2,
            floor_nats: None,
            sample: vec![],
        }],
        import: None,
        project: None,
    };
    let device = DeviceInfo {
        id: "cpu".parse().unwrap(),
        name: "CPU".into(),
        kind: DeviceKind::Cpu,
        backend: "flex".into(),
        cores: 2,
        memory_bytes: 0,
        flops_per_sec: 1e9,
        rates: None,
    };
    let spec = RunSpec { corpus: Some("tales".parse().unwrap()), steps: Some(1000), ..RunSpec::default() };
    let resolved = wire::run::plan::resolve(&spec, std::slice::from_ref(&corpus), &[device]).unwrap();
    let references = References::new(4, corpus.datasets.first());
    let summary = RunSummary {
        id: "amber-fox-7k2q".parse().unwrap(),
        name: "amber-fox".into(),
        state: RunState::Running,
        preset: resolved.plan.preset.clone(),
        corpus: "Tales".into(),
        device: "cpu".parse().unwrap(),
        parameters: 1,
        step: 0,
        steps: 1000,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
        tokens_per_sec: None,
        elapsed_secs: 0.0,
        secs_per_step: None,
        created_ms: 0,
        started_ms: None,
        ended_ms: None,
        queue_place: None,
        message: None,
        sparkline: vec![],
        is_archived: false,
        deleted_ms: None,
        parent: None,
        priority: 0,
        restarts: 0,
        pool: None,
        waits: None,
        tags: vec![],
        slot: 1,
        project: wire::access::project::default_project(),
        health: wire::diagnosis::Health::default(),
        revision: Default::default(),
    };
    let hyperparameters = resolved.plan.live();
    RunView {
        summary,
        spec,
        plan: resolved.plan,
        estimate: resolved.estimate,
        hyperparameters,
        references,
        device_name: "CPU".into(),
        segments: vec![],
        lineage: vec![],
        cursor: Cursor { epoch: 1, tick: 0 },
    }
}
