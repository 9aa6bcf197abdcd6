//! Computes inspections of a checkpoint and prints one line of JSON for each:
//! `cargo run --release -p engine --example xray -- CHECKPOINT_FOLDER CORPORA_FOLDER < INSPECTIONS`, one inspection in JSON on each line.
//!
//! `tests/measure/xray.py` compares these with an independent computation.

use std::io::BufRead;
use std::path::PathBuf;

use engine::inspect;
use wire::inspect::request::Inspection;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1).map(PathBuf::from);
    let (Some(dir), Some(corpora)) = (words.next(), words.next()) else {
        return Err("give the folder of a checkpoint and the folder of corpora".into());
    };
    for line in std::io::stdin().lock().lines() {
        let inspection: Inspection = serde_json::from_str(&line?)?;
        let (step, result) = inspect::inspect_checkpoint(&dir, &corpora, &inspection, None)?;
        println!("{}", serde_json::json!({ "step": step, "inspection": inspection, "result": result }));
    }
    Ok(())
}
