//! Inspections of a checkpoint: reads one in JSON from each line of the input, and prints a line of JSON for each.
//!
//! `tests/measure/xray.py` compares these with an independent computation.

use std::io::BufRead;
use std::path::Path;

use engine::inspect;
use wire::inspect::request::Inspection;

use crate::Outcome;

/// Computes the inspections with the folder of a checkpoint and the folder of corpora.
pub(crate) fn run(checkpoint: &Path, corpora: &Path) -> Outcome<()> {
    for line in std::io::stdin().lock().lines() {
        let inspection: Inspection = serde_json::from_str(&line?)?;
        let (step, result) = inspect::inspect_checkpoint(checkpoint, corpora, &inspection, None)?;
        println!("{}", serde_json::json!({ "step": step, "inspection": inspection, "result": result }));
    }
    Ok(())
}
