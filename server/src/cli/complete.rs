//! `kindling complete`: completes a prompt with a checkpoint, in a separate process. Reads one request as JSON from standard input and
//! writes a JSON line for each token to standard output.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use clap::Args;
use engine::data::dataset;
use engine::data::tokenizer::TextTokenizer;
use engine::device::EngineDevice;
use engine::model::params::Weights;
use engine::model::sample::{self, SampleArgs, SampledToken, StopReason, TokenContext, Truncation};
use engine::optim::checkpoint::{self, Checkpoint};
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
    let mut writer = TokenWriter { out, tokenizer: &tokenizer, waiting: vec![], left: ask.tokens, lines: 0 };
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
    .map_err(|source: EngineError| refusal("internal", source, "the server's log may contain more details"))?;
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

/// Writes a line for each token. A character of several bytes may be several tokens; its text is written with the last of them. Bytes that
/// are no character become U+FFFD, also those of a character that the end of the text cuts.
struct TokenWriter<'a, W> {
    out: &'a mut W,
    tokenizer: &'a TextTokenizer,
    /// Bytes that begin a character.
    waiting: Vec<u8>,
    /// Tokens that are still to come.
    left: u32,
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
        self.left = self.left.saturating_sub(1);
        let is_end = self.tokenizer.ends().contains(&token);
        if !is_end {
            self.tokenizer.append_bytes(token, &mut self.waiting);
        }
        let kept = if is_end || self.left == 0 { 0 } else { unfinished(&self.waiting) };
        let rest = self.waiting.split_off(self.waiting.len() - kept);
        String::from_utf8_lossy(&std::mem::replace(&mut self.waiting, rest)).into_owned()
    }
}

/// Number of bytes at the end that begin a character and do not end it.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map(|chunk| chunk.invalid()).unwrap_or_default();
    let is_cut = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if is_cut { last.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_of_several_tokens_is_written_whole() {
        let tokenizer = TextTokenizer::byte();
        let written = |bytes: &[u8], tokens: usize| -> Vec<String> {
            let (waiting, left) = (vec![], tokens as u32);
            let mut writer = TokenWriter { out: &mut Vec::new(), tokenizer: &tokenizer, waiting, left, lines: 0 };
            bytes.iter().map(|byte| writer.text(u32::from(*byte))).collect()
        };
        assert_eq!(written("a中é".as_bytes(), 9), ["a", "", "", "中", "", "é"]);
        assert_eq!(written(&[0xff, 0xfe, 0xff, 0xfe], 9).concat(), "\u{fffd}".repeat(4));
        assert_eq!(
            written(b"\xff\xff\xe4\xb8\xad", 9).concat(),
            "\u{fffd}\u{fffd}中",
            "bytes before a character do not cut it"
        );
        assert_eq!(written("\u{fffd}a".as_bytes(), 9).concat(), "\u{fffd}a", "a model may write U+FFFD itself");
    }

    #[test]
    fn bytes_of_a_character_that_the_end_cuts_are_shown() {
        let tokenizer = TextTokenizer::byte();
        let text = |tokens: &[u32], length: u32| -> String {
            let mut writer =
                TokenWriter { out: &mut Vec::new(), tokenizer: &tokenizer, waiting: vec![], left: length, lines: 0 };
            tokens.iter().map(|token| writer.text(*token)).collect()
        };
        for cut in ["\u{e9}", "中", "\u{1f98a}"] {
            let bytes: Vec<u32> = cut.bytes().map(u32::from).collect();
            for count in 1..bytes.len() {
                let cut = &bytes[..count];
                assert_eq!(text(cut, count as u32), "\u{fffd}", "the number of tokens ends the text");
                assert_eq!(text(&[cut, &[256]].concat(), 99), "\u{fffd}", "the end of the document ends it");
                let all: Vec<u8> = cut.iter().map(|byte| *byte as u8).collect();
                assert_eq!(text(&[cut, &[97]].concat(), 99), format!("{}a", String::from_utf8_lossy(&all)));
            }
            assert_eq!(tokenizer.decode(&bytes[..1]), "\u{fffd}", "samples of a run show them too");
        }
        assert_eq!(text(&[97, 256], 99), "a", "the end of a document adds no text");
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
