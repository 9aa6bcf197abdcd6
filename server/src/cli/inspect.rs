//! `kindling inspect`: inspects a model with a checkpoint, in a separate process. Reads one request as JSON from standard input and
//! writes the result to standard output.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use clap::Args;
use engine::EngineError;
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::{ApiErrorBody, encode};

use super::data::DataArgs;
use super::subprocess::{REQUEST_BYTES, Refused, lower_priority, refusal};
use crate::runs::completion::checkpoints_dir;
use crate::runs::inspection::CheckpointInspection;

const EXAMPLES: &str = "\
Examples:
  Inspect a model by the request in a file, which names run, checkpoint and inspection:
    kindling inspect < request.json";

/// Inspects a model with a checkpoint: reads one request as JSON from standard input and prints the result.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Print the result in the binary format postcard, which keeps numbers exactly, instead of JSON
    #[arg(long)]
    postcard: bool,
    #[command(flatten)]
    data: DataArgs,
}

impl InspectArgs {
    /// Answers one request.
    ///
    /// # Errors
    /// The request was refused; what was printed says why, as JSON.
    pub fn run(self) -> Result<(), Refused> {
        lower_priority();
        match answer(&self.data.folder, io::stdin().lock(), io::stdout().lock(), self.postcard) {
            true => Ok(()),
            false => Err(Refused),
        }
    }
}

/// Answers one request: with an update, as JSON or in postcard. A refusal is always JSON; `false` says that there was one.
fn answer(data: &Path, request: impl Read, out: impl Write, is_postcard: bool) -> bool {
    let result = inspect(data, request).and_then(|update| match is_postcard {
        true => encode::to_bytes(&update).map_err(|source| refusal("internal", source, "please report this")),
        false => serde_json::to_vec(&update).map_err(|source| refusal("internal", source, "please report this")),
    });
    let (bytes, is_ok) = match result {
        Ok(bytes) => (bytes, true),
        Err(error) => (serde_json::to_vec(&error).unwrap_or_default(), false),
    };
    // An error here means that the reader has closed its end.
    let _ = write(out, &bytes);
    is_ok
}

fn write(mut out: impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

fn inspect(data: &Path, request: impl Read) -> Result<InspectionUpdate, ApiErrorBody> {
    let CheckpointInspection { run, checkpoint, inspection, hyperparameters } =
        serde_json::from_reader(request.take(REQUEST_BYTES))
            .map_err(|source| refusal("body_invalid", source, "GET /api/v1/openapi.json describes an inspection"))?;
    inspection.check().map_err(|error| ApiErrorBody { hint: error.hint, ..invalid(error.message) })?;
    let folder = checkpoints_dir(data, &run).join(checkpoint.to_string());
    if !folder.is_dir() {
        let message = format!("{run} has no checkpoint {checkpoint} on this machine");
        return Err(refusal(
            "not_found",
            message,
            "it may have been pruned, or be on its worker's machine: choose another checkpoint",
        ));
    }
    let began = Instant::now();
    match engine::inspect::inspect_checkpoint(&folder, &data.join("corpora"), &inspection, hyperparameters.as_ref()) {
        Ok((step, result)) => {
            let cost_ms = began.elapsed().as_secs_f64() * 1000.0;
            let overhead = InspectionOverhead { cost_ms, ..InspectionOverhead::default() };
            Ok(InspectionUpdate::Result { step, segment: checkpoint.segment, inspection, result, overhead })
        }
        Err(EngineError::Inspection(source)) => Err(invalid(source.to_string())),
        Err(source @ EngineError::Checkpoint { .. }) => {
            Err(refusal("checkpoint_damaged", source, "choose another checkpoint"))
        }
        Err(EngineError::Data(source)) => {
            Err(refusal("text_missing", source, "an inspection reads the run's dataset: add that dataset again"))
        }
        Err(source) => Err(refusal("internal", source, "the server's log may contain more details")),
    }
}

fn invalid(message: String) -> ApiErrorBody {
    ApiErrorBody { code: "inspection_invalid".into(), message, field: Some("inspection".into()), hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_json_with_the_reason_whatever_was_asked_for() {
        let data = tempfile::tempdir().unwrap();
        let ask = |question: &str, is_postcard| {
            let mut out = vec![];
            assert!(!answer(data.path(), question.as_bytes(), &mut out, is_postcard));
            serde_json::from_slice::<ApiErrorBody>(&out).unwrap()
        };
        for is_postcard in [false, true] {
            assert_eq!(ask("{", is_postcard).code, "body_invalid");
            let gone = ask(r#"{"run":"amber-fox","checkpoint":"0-10","inspection":{"overview":{}}}"#, is_postcard);
            assert_eq!((gone.code.as_str(), gone.hint.is_some()), ("not_found", true));
            let empty = r#"{"run":"amber-fox","checkpoint":"0-10","inspection":{"logit_lens":{"text":{"prompt":""}}}}"#;
            assert_eq!(ask(empty, is_postcard).field.as_deref(), Some("inspection"));
        }
        let broken = checkpoints_dir(data.path(), &"amber-fox".parse().unwrap()).join("0-10");
        std::fs::create_dir_all(&broken).unwrap();
        std::fs::write(broken.join("checkpoint.json"), "{").unwrap();
        let damaged = ask(r#"{"run":"amber-fox","checkpoint":"0-10","inspection":{"overview":{}}}"#, true);
        assert_eq!(damaged.code, "checkpoint_damaged", "{damaged:?}");
    }
}
