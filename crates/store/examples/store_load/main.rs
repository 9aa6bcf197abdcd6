//! Loads of the store: how fast it is, and a lab with much in it.
//!
//! ```sh
//! cargo run --release -p store --example store_load -- series [curves] [points] [folder]
//! cargo run --release -p store --example store_load -- many-runs [runs] [steps/s] [metrics] [seconds]
//! cargo run --release -p store --example store_load -- crowded-lab FOLDER [RUNS]
//! ```
//!
//! They are one program, because the code of the store's asynchronous functions is generated in each program that awaits them.

mod crowded_lab;
mod many_runs;
mod series;

use store::NewRun;
use wire::Author;

/// Whatever goes wrong ends the command with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (load, rest) = args.split_first().ok_or("enter series, many-runs or crowded-lab")?;
    match load.as_str() {
        "series" => series::run(rest).await,
        "many-runs" => many_runs::run(rest).await,
        "crowded-lab" => crowded_lab::run(rest).await,
        other => Err(format!("unknown load {other:?}: enter series, many-runs or crowded-lab").into()),
    }
}

/// A run on a dataset and a device that exist only here, with this specification.
fn new_run(id: &str, spec: serde_json::Value) -> Outcome<NewRun> {
    let corpora = r#"[{"id":"tales","name":"Tales","source":{"kind":"generated","generator":"tales","seed":1},"documents":1000,"text_bytes":1000000,
        "chars":1000000,"alphabet":"abc","sample":"Once","valid_share":0.1,"content_hash":"00","entropy_nats":1.0,"created_ms":0,"datasets":[]}]"#;
    let devices = r#"[{"id":"cpu","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,"flops_per_sec":1e11}]"#;
    let (corpora, devices): (Vec<_>, Vec<_>) = (serde_json::from_str(corpora)?, serde_json::from_str(devices)?);
    let spec: wire::RunSpec = serde_json::from_value(spec)?;
    let view = wire::run::plan::resolve(&spec, &corpora, &devices)?;
    Ok(NewRun {
        id: id.parse()?,
        name: id.to_owned(),
        corpus: "Tales".into(),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        references: Default::default(),
        device_name: "a device".into(),
        created_ms: 0,
        author: Author::System,
    })
}
