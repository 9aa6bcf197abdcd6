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
