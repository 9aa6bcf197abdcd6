//! Stores, runs and reports for tests.

use std::path::Path;

use store::{NewRun, Store};
use wire::series::Row;
use wire::transport::link::{Item, Report};
use wire::{Author, Event, RunId, RunState};

/// A run on `device`, planned as the server does.
pub(crate) fn new_run(id: &str, device: &str) -> NewRun {
    let corpora = r#"[{"id":"tales","name":"Tales","source":{"kind":"generated","generator":"tales","seed":1},"documents":1000,"text_bytes":1000000,
        "chars":1000000,"alphabet":"abc","sample":"Once","valid_share":0.1,"content_hash":"00","entropy_nats":1.0,"created_ms":0,"datasets":[]}]"#;
    let devices = format!(
        r#"[{{"id":"{device}","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,"flops_per_sec":1e11}}]"#
    );
    let (corpora, devices): (Vec<_>, Vec<_>) =
        (serde_json::from_str(corpora).unwrap(), serde_json::from_str(&devices).unwrap());
    let spec: wire::RunSpec = serde_json::from_str(r#"{"corpus":"tales"}"#).unwrap();
    let view = wire::run::plan::resolve(&spec, &corpora, &devices).unwrap();
    NewRun {
        id: id.parse().unwrap(),
        name: id.into(),
        corpus: "Tales".into(),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        references: Default::default(),
        device_name: "a device".into(),
        created_ms: 1000,
        author: ada(),
    }
}

pub(crate) fn ada() -> Author {
    Author::Person("ada".into())
}

/// A store with one run.
pub(crate) async fn store_with_run(dir: &Path) -> (Store, RunId) {
    let store = Store::open(dir).await.unwrap();
    let run = new_run("amber-fox-7k2q", "cpu");
    store.create_run(&run).await.unwrap();
    (store, run.id)
}

pub(crate) fn row(step: u64, values: &[(&str, f64)]) -> Item {
    Item::Row(Row {
        segment: 0,
        step,
        values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    })
}

pub(crate) fn report(step: u64, event: Event, state: Option<RunState>) -> Report {
    Report { segment: 0, step, at_ms: 2000 + step as i64, author: ada(), command_id: None, reason: None, event, state }
}
