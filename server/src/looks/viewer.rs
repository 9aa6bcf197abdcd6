//! `kindling look`: reads one question from standard input, looks with a checkpoint, writes what is seen to standard output.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use engine::EngineError;
use wire::frame::{Frame, Pace};
use wire::{ApiErrorBody, encode};

use super::Question;
use crate::complete::writer::{folder, refusal};

/// Longest question, bytes.
const QUESTION_BYTES: u64 = 1_000_000;

/// Answers one question: with a frame, as JSON or (for programs that want every number as it is) in postcard. A refusal is JSON always;
/// `false` says that there was one.
pub fn answer(data: &Path, question: impl Read, out: impl Write, is_postcard: bool) -> bool {
    let seen = see(data, question).and_then(|frame| match is_postcard {
        true => encode::to_bytes(&frame).map_err(|source| refusal("internal", source, "please report this")),
        false => serde_json::to_vec(&frame).map_err(|source| refusal("internal", source, "please report this")),
    });
    let (bytes, is_seen) = match seen {
        Ok(bytes) => (bytes, true),
        Err(error) => (serde_json::to_vec(&error).unwrap_or_default(), false),
    };
    // Nobody listens any more where this fails.
    let _ = write(out, &bytes);
    is_seen
}

fn write(mut out: impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

fn see(data: &Path, question: impl Read) -> Result<Frame, ApiErrorBody> {
    let Question { run, checkpoint, look } = serde_json::from_reader(question.take(QUESTION_BYTES))
        .map_err(|source| refusal("body_invalid", source, "GET /api/v1/openapi.json describes a look"))?;
    look.check().map_err(|message| about_look("look_invalid", message))?;
    let folder = folder(data, &run).join(checkpoint.to_string());
    if !folder.is_dir() {
        let message = format!("{run} has no checkpoint {checkpoint} on this machine");
        return Err(refusal(
            "not_found",
            message,
            "it may have been pruned, or lie where its worker is; choose another",
        ));
    }
    let began = Instant::now();
    match engine::xray::look_at_checkpoint(&folder, &data.join("corpora"), &look) {
        Ok((step, sight)) => {
            let pace = Pace { cost_ms: began.elapsed().as_secs_f64() * 1000.0, ..Pace::default() };
            Ok(Frame::Seen { step, segment: checkpoint.segment, look, sight, pace })
        }
        Err(EngineError::Look(source)) => Err(about_look("look_invalid", source.to_string())),
        Err(source @ EngineError::Checkpoint { .. }) => {
            Err(refusal("checkpoint_damaged", source, "choose another checkpoint"))
        }
        Err(EngineError::Data(source)) => {
            Err(refusal("text_missing", source, "a look reads the run's text: bring it back"))
        }
        Err(source) => Err(refusal("internal", source, "the server's log may say more")),
    }
}

fn about_look(code: &str, message: String) -> ApiErrorBody {
    ApiErrorBody { code: code.into(), message, field: Some("look".into()), hint: None }
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
            let gone = ask(r#"{"run":"amber-fox","checkpoint":"0-10","look":{"map":{}}}"#, is_postcard);
            assert_eq!((gone.code.as_str(), gone.hint.is_some()), ("not_found", true));
            let empty = r#"{"run":"amber-fox","checkpoint":"0-10","look":{"lens":{"passage":{"own":""}}}}"#;
            assert_eq!(ask(empty, is_postcard).field.as_deref(), Some("look"));
        }
        let broken = folder(data.path(), &"amber-fox".parse().unwrap()).join("0-10");
        std::fs::create_dir_all(&broken).unwrap();
        std::fs::write(broken.join("checkpoint.json"), "{").unwrap();
        let damaged = ask(r#"{"run":"amber-fox","checkpoint":"0-10","look":{"map":{}}}"#, true);
        assert_eq!(damaged.code, "checkpoint_damaged", "{damaged:?}");
    }
}
