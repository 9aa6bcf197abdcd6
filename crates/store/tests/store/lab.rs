//! A lab in a folder of its own, and the pieces that stories are made of.

use std::path::Path;

use store::{NewRun, Store};
use wire::link::{Item, Report};
use wire::series::Row;
use wire::{Author, Event, RunId, RunState};

/// A run on `device`, planned as the server would.
pub(crate) fn new_run(id: &str, device: &str) -> NewRun {
    let corpora = r#"[{"id":"tales","name":"Tales","source":{"kind":"generated","generator":"tales","seed":1},"documents":1000,"text_bytes":1000000,
        "chars":1000000,"alphabet":"abc","sample":"Once","valid_share":0.1,"content_hash":"00","entropy_nats":1.0,"created_ms":0,"datasets":[]}]"#;
    let devices = format!(
        r#"[{{"id":"{device}","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,"flops_per_sec":1e11}}]"#
    );
    let (corpora, devices): (Vec<_>, Vec<_>) =
        (serde_json::from_str(corpora).unwrap(), serde_json::from_str(&devices).unwrap());
    let spec: wire::RunSpec = serde_json::from_str(r#"{"corpus":"tales"}"#).unwrap();
    let view = wire::plan::resolve(&spec, &corpora, &devices).unwrap();
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

/// A lab with one run in it.
pub(crate) async fn open_with_run(dir: &Path) -> (Store, RunId) {
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

/// Numbers without a pattern, the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 up to `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// 0 up to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
