//! `kindling complete`: completes a prompt with a checkpoint, in a separate process. Reads one request as JSON from standard input and
//! writes a JSON line for each token to standard output.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use clap::Args;
use engine::data::dataset;
use engine::device::EngineDevice;
use engine::model::params::Weights;
use engine::model::sample::{self, SampleArgs, SampledToken, StopReason, TokenContext, Truncation};
use engine::optim::checkpoint::{self, Checkpoint};
use engine::tokenizer::TextTokenizer;
use engine::{DataError, EngineError};
use wire::completion::{
    Alternative, CompletionEnd, CompletionLine, CompletionRequest, CompletionSummary, CompletionToken,
};
use wire::inspect::request::UNKNOWN_CHARACTERS;
use wire::{ApiErrorBody, CheckpointId};

use super::data::DataArgs;
use super::subprocess::{REQUEST_BYTES, Refused, lower_priority, refusal};
use crate::runs::completion::{checkpoints_dir, checkpoints_in};

const EXAMPLES: &str = "\
Examples:
  Complete the prompt of a request, {\"run\": \"amber-fox-7k2q\", \"prompt\": \"Once\"}:
    kindling complete < request.json";

/// Completes a prompt with a checkpoint: reads one request as JSON from standard input and prints a JSON line for each token.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompleteArgs {
    #[command(flatten)]
    data: DataArgs,
}

impl CompleteArgs {
    /// Answers one request.
    ///
    /// # Errors
    /// The request was refused; the last line printed says why.
    pub fn run(self) -> Result<(), Refused> {
        lower_priority();
        match answer(&self.data.folder, io::stdin().lock(), io::stdout().lock()) {
            true => Ok(()),
            false => Err(Refused),
        }
    }
}

/// Answers one request. An error is printed as a line, too; returns false then.
fn answer(data: &Path, request: impl Read, mut out: impl Write) -> bool {
    let Err(error) = write(data, request, &mut out) else { return true };
    // An error here means that the reader has closed its end, so no one needs the refusal.
    let _ = write_line(&mut out, &CompletionLine::Failed { error });
    false
}

fn write(data: &Path, request: impl Read, out: &mut impl Write) -> Result<(), ApiErrorBody> {
    let ask: CompletionRequest = serde_json::from_reader(request.take(REQUEST_BYTES))
        .map_err(|source| refusal("body_invalid", source, "GET /api/v1/openapi.json describes it"))?;
    ask.check().map_err(|error| ApiErrorBody {
        code: "value_invalid".into(),
        message: error.message,
        field: Some(error.field),
        hint: error.hint,
    })?;
    let (id, saved) = open(data, &ask)?;
    let tokenizer = tokenizer_of(data, &saved)?;
    let prompt = encode(&tokenizer, &ask.prompt)?;
    let device = EngineDevice::processor().burn;
    let flat =
        saved.weights(&device).map_err(|source| refusal("checkpoint_damaged", source, "choose another checkpoint"))?;
    let weights = Weights::new(saved.specs(), flat);
    let model = &saved.manifest.plan.recipe.model;
    let mut reader = TokenContext::new(model, &weights, &prompt, tokenizer.start(), &device);
    let prompt_dropped = reader.dropped() as u64;
    let mut writer = TokenWriter { out, tokenizer: &tokenizer, waiting: vec![], lines: 0 };
    let args = SampleArgs {
        tokens: ask.tokens,
        temperature: ask.temperature,
        seed: ask.seed,
        start: tokenizer.start(),
        ends: tokenizer.ends(),
    };
    let began = Instant::now();
    let stopped = sample::generate(&mut reader, args, Truncation { top_k: ask.top_k, top_p: ask.top_p }, |drawn| {
        writer.write(drawn)
    })
    .map_err(|source: EngineError| refusal("internal", source, "the server's log may say more"))?;
    let done = CompletionSummary {
        done: true,
        tokens_per_sec: writer.lines as f64 / began.elapsed().as_secs_f64().max(1e-9),
        prompt_dropped,
        stopped: if stopped == StopReason::EndOfText { CompletionEnd::Eot } else { CompletionEnd::Length },
        checkpoint: id,
    };
    if stopped != StopReason::Receiver {
        // An error here means that the reader has closed its end.
        let _ = write_line(out, &CompletionLine::Done(done));
    }
    Ok(())
}

fn write_line(out: &mut impl Write, line: &CompletionLine) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The requested checkpoint, or the newest intact one.
fn open(data: &Path, ask: &CompletionRequest) -> Result<(CheckpointId, Checkpoint), ApiErrorBody> {
    let folder = checkpoints_dir(data, &ask.run);
    let open = |id: CheckpointId| checkpoint::open(&folder.join(id.to_string())).map(|saved| (id, saved));
    let damaged = |source| refusal("checkpoint_damaged", source, "choose an older checkpoint");
    if let Some(id) = ask.checkpoint {
        if !folder.join(id.to_string()).is_dir() {
            let message = format!("{} has no checkpoint {id}", ask.run);
            return Err(refusal("not_found", message, "it may have been pruned: choose another checkpoint"));
        }
        return open(id).map_err(damaged);
    }
    let mut last = None;
    for id in checkpoints_in(&folder) {
        match open(id) {
            Ok(found) => return Ok(found),
            Err(source) => last = last.or(Some(source)),
        }
    }
    Err(match last {
        Some(source) => damaged(source),
        None => refusal(
            "not_found",
            format!("{} has no checkpoint yet", ask.run),
            "save one on the Run page, or wait for the first",
        ),
    })
}

fn tokenizer_of(data: &Path, saved: &Checkpoint) -> Result<TextTokenizer, ApiErrorBody> {
    let plan = &saved.manifest.plan;
    let found = dataset::open_tokenizer(&data.join("corpora"), &plan.corpora(), plan.tokenizer);
    found.map_err(|source: DataError| {
        refusal("text_missing", source, "the tokenizer was made from the run's dataset: add that dataset again")
    })
}

/// Tokens of the prompt; the refusal names characters that are not in the vocabulary.
fn encode(tokenizer: &TextTokenizer, prompt: &str) -> Result<Vec<u32>, ApiErrorBody> {
    let (tokens, unknown) = tokenizer.encode_prompt(prompt);
    if unknown.is_empty() {
        return Ok(tokens);
    }
    let named: Vec<String> = unknown.iter().take(20).map(|c| format!("{c:?}")).collect();
    let message = format!("{UNKNOWN_CHARACTERS}: {}", named.join(", "));
    Err(ApiErrorBody {
        field: Some("prompt".into()),
        ..refusal("prompt_unknown", message, "remove them from the prompt")
    })
}

/// Writes a line for each token. A character of several bytes may be several tokens; its text is written with the last of them.
struct TokenWriter<'a, W> {
    out: &'a mut W,
    tokenizer: &'a TextTokenizer,
    waiting: Vec<u32>,
    lines: u32,
}

impl<W: Write> TokenWriter<'_, W> {
    /// Writes one token; `false` if the reader has closed its end.
    fn write(&mut self, drawn: &SampledToken) -> bool {
        let likely = drawn.alternatives.iter();
        let alternatives = likely.map(|(token, probability)| Alternative {
            text: self.tokenizer.decode_token(*token),
            probability: *probability,
        });
        let line = CompletionToken {
            token: drawn.token,
            probability: drawn.probability,
            alternatives: alternatives.collect(),
            text: self.text(drawn.token),
        };
        self.lines += 1;
        write_line(self.out, &CompletionLine::Token(line)).is_ok()
    }

    fn text(&mut self, token: u32) -> String {
        if self.tokenizer.ends().contains(&token) {
            return String::new();
        }
        self.waiting.push(token);
        let text = self.tokenizer.decode(&self.waiting);
        // No character has more than four bytes.
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.waiting.len() < 4 {
            return String::new();
        }
        self.waiting.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_of_several_tokens_is_written_whole() {
        let tokenizer = TextTokenizer::byte();
        let mut writer = TokenWriter { out: &mut Vec::new(), tokenizer: &tokenizer, waiting: vec![], lines: 0 };
        let written: Vec<String> = "a中é".bytes().map(|byte| writer.text(u32::from(byte))).collect();
        assert_eq!(written, ["a", "", "", "中", "", "é"]);
        let broken: String = [0xff, 0xfe, 0xff, 0xfe].map(|byte| writer.text(byte)).concat();
        assert_eq!(broken, "\u{fffd}".repeat(4));
        assert_eq!(writer.text(256), "", "the end of a document adds no text");
    }

    #[test]
    fn a_refusal_is_a_line_with_the_reason() {
        let data = tempfile::tempdir().unwrap();
        let ask = |question: &str| {
            let mut out = vec![];
            assert!(!answer(data.path(), question.as_bytes(), &mut out));
            let Ok(CompletionLine::Failed { error }) = serde_json::from_slice(&out) else { panic!("{out:?}") };
            error.code
        };
        assert_eq!(ask("{"), "body_invalid");
        assert_eq!(ask(r#"{"run":"amber-fox","tokens":0}"#), "value_invalid");
        assert_eq!(ask(r#"{"run":"amber-fox"}"#), "not_found");
        assert_eq!(ask(r#"{"run":"amber-fox","checkpoint":"0-10"}"#), "not_found");
        let broken = checkpoints_dir(data.path(), &"amber-fox".parse().unwrap()).join("0-10");
        std::fs::create_dir_all(&broken).unwrap();
        std::fs::write(broken.join("checkpoint.json"), "{").unwrap();
        assert_eq!(ask(r#"{"run":"amber-fox"}"#), "checkpoint_damaged");
    }
}
