//! `kindling complete`: reads one question from standard input, writes the text to standard output, a JSON line for each token.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::checkpoint::{self, Saved};
use engine::device::EngineDevice;
use engine::params::Weights;
use engine::sample::{self, Cut, Draw, Drawn, Reader, Stopped};
use engine::tokenizer::TextTokenizer;
use engine::{DataError, EngineError, dataset};
use wire::complete::{Alternative, CompleteAsk, CompleteLine, Completed, CompletedToken, CompletionEnd};
use wire::{ApiErrorBody, CheckpointId, RunId};

/// Longest question, bytes.
const QUESTION_BYTES: u64 = 1_000_000;

/// Answers one question. A refusal is a line too; `false` says that there was one.
pub fn answer(data: &Path, question: impl Read, mut out: impl Write) -> bool {
    let Err(error) = write(data, question, &mut out) else { return true };
    // Nobody listens any more where this fails.
    let _ = say(&mut out, &CompleteLine::Failed { error });
    false
}

fn write(data: &Path, question: impl Read, out: &mut impl Write) -> Result<(), ApiErrorBody> {
    let ask: CompleteAsk = serde_json::from_reader(question.take(QUESTION_BYTES))
        .map_err(|source| refusal("body_invalid", source, "GET /api/v1/openapi.json describes it"))?;
    ask.check().map_err(|(field, message)| ApiErrorBody {
        field: Some(field.into()),
        ..refusal("value_invalid", message, "change it, or leave it out")
    })?;
    let (id, saved) = open(data, &ask)?;
    let tokenizer = tokenizer_of(data, &saved)?;
    let prompt = encode(&tokenizer, &ask.prompt)?;
    let device = EngineDevice::processor().burn;
    let flat = saved.weights(&device).map_err(|source| refusal("checkpoint_damaged", source, "choose another"))?;
    let weights = Weights::new(saved.specs(), flat);
    let model = &saved.manifest.plan.recipe.model;
    let mut reader = Reader::new(model, &weights, &prompt, tokenizer.eot(), &device);
    let mut speech = Speech { out, tokenizer: &tokenizer, waiting: vec![], lines: 0 };
    let draw = Draw { tokens: ask.tokens, temperature: ask.temperature, seed: ask.seed, eot: tokenizer.eot() };
    let began = Instant::now();
    let stopped =
        sample::generate(&mut reader, draw, Cut { top_k: ask.top_k, top_p: ask.top_p }, |drawn| speech.tell(drawn))
            .map_err(|source: EngineError| refusal("internal", source, "the server's log may say more"))?;
    let done = Completed {
        done: true,
        tokens_per_sec: speech.lines as f64 / began.elapsed().as_secs_f64().max(1e-9),
        stopped: if stopped == Stopped::EndOfText { CompletionEnd::Eot } else { CompletionEnd::Length },
        checkpoint: id,
    };
    if stopped != Stopped::Listener {
        let _ = say(out, &CompleteLine::Done(done)); // likewise
    }
    Ok(())
}

fn say(out: &mut impl Write, line: &CompleteLine) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}

pub(crate) fn refusal(code: &str, message: impl ToString, hint: &str) -> ApiErrorBody {
    ApiErrorBody { code: code.into(), message: message.to_string(), field: None, hint: Some(hint.into()) }
}

/// Where a run's checkpoints lie.
pub fn folder(data: &Path, run: &RunId) -> PathBuf {
    data.join("checkpoints").join(run.as_str())
}

/// The checkpoints in a folder, newest first.
pub fn listed(folder: &Path) -> Vec<CheckpointId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut ids: Vec<CheckpointId> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_by(|a, b| b.cmp(a));
    ids
}

/// The checkpoint asked for, or the newest that is whole.
fn open(data: &Path, ask: &CompleteAsk) -> Result<(CheckpointId, Saved), ApiErrorBody> {
    let folder = folder(data, &ask.run);
    let open = |id: CheckpointId| checkpoint::open(&folder.join(id.to_string())).map(|saved| (id, saved));
    let damaged = |source| refusal("checkpoint_damaged", source, "choose an older checkpoint");
    if let Some(id) = ask.checkpoint {
        if !folder.join(id.to_string()).is_dir() {
            let message = format!("{} has no checkpoint {id}", ask.run);
            return Err(refusal("not_found", message, "it may have been pruned; choose another"));
        }
        return open(id).map_err(damaged);
    }
    let mut last = None;
    for id in listed(&folder) {
        match open(id) {
            Ok(found) => return Ok(found),
            Err(source) => last = last.or(Some(source)),
        }
    }
    Err(match last {
        Some(source) => damaged(source),
        None => refusal("not_found", format!("{} has no checkpoint yet", ask.run), "take one on its page"),
    })
}

fn tokenizer_of(data: &Path, saved: &Saved) -> Result<TextTokenizer, ApiErrorBody> {
    let plan = &saved.manifest.plan;
    let found = dataset::open_tokenizer(&data.join("corpora"), &plan.corpora(), plan.tokenizer);
    found.map_err(|source: DataError| {
        refusal("text_missing", source, "its tokenizer came from the run's text: bring that text back")
    })
}

/// Tokens of the prompt; characters that the run's text never had are named.
fn encode(tokenizer: &TextTokenizer, prompt: &str) -> Result<Vec<u32>, ApiErrorBody> {
    let (tokens, strangers) = tokenizer.encode_known(prompt);
    if strangers.is_empty() {
        return Ok(tokens);
    }
    let named: Vec<String> = strangers.iter().take(20).map(|c| format!("{c:?}")).collect();
    let message = format!("the run's text never had {}", named.join(", "));
    Err(ApiErrorBody { field: Some("prompt".into()), ..refusal("prompt_unknown", message, "leave that out") })
}

/// Tells tokens as they come. A character of several bytes may be several tokens; its text is told with the last of them.
struct Speech<'a, W> {
    out: &'a mut W,
    tokenizer: &'a TextTokenizer,
    waiting: Vec<u32>,
    lines: u32,
}

impl<W: Write> Speech<'_, W> {
    /// Whether anyone still listens.
    fn tell(&mut self, drawn: &Drawn) -> bool {
        let likely = drawn.alternatives.iter();
        let alternatives = likely
            .map(|(token, probability)| Alternative { text: self.tokenizer.piece(*token), probability: *probability });
        let line = CompletedToken {
            token: drawn.token,
            probability: drawn.probability,
            alternatives: alternatives.collect(),
            text: self.text(drawn.token),
        };
        self.lines += 1;
        say(self.out, &CompleteLine::Token(line)).is_ok()
    }

    fn text(&mut self, token: u32) -> String {
        if self.tokenizer.eot() == Some(token) {
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
    fn a_character_of_several_tokens_is_told_whole() {
        let tokenizer = TextTokenizer::byte();
        let mut speech = Speech { out: &mut Vec::new(), tokenizer: &tokenizer, waiting: vec![], lines: 0 };
        let told: Vec<String> = "a中é".bytes().map(|byte| speech.text(u32::from(byte))).collect();
        assert_eq!(told, ["a", "", "", "中", "", "é"]);
        let broken: String = [0xff, 0xfe, 0xff, 0xfe].map(|byte| speech.text(byte)).concat();
        assert_eq!(broken, "\u{fffd}".repeat(4));
        assert_eq!(speech.text(256), "", "the end of a document adds no text");
    }

    #[test]
    fn a_refusal_is_a_line_with_the_reason() {
        let data = tempfile::tempdir().unwrap();
        let ask = |question: &str| {
            let mut out = vec![];
            assert!(!answer(data.path(), question.as_bytes(), &mut out));
            let Ok(CompleteLine::Failed { error }) = serde_json::from_slice(&out) else { panic!("{out:?}") };
            error.code
        };
        assert_eq!(ask("{"), "body_invalid");
        assert_eq!(ask(r#"{"run":"amber-fox","tokens":0}"#), "value_invalid");
        assert_eq!(ask(r#"{"run":"amber-fox"}"#), "not_found");
        assert_eq!(ask(r#"{"run":"amber-fox","checkpoint":"0-10"}"#), "not_found");
        let broken = folder(data.path(), &"amber-fox".parse().unwrap()).join("0-10");
        std::fs::create_dir_all(&broken).unwrap();
        std::fs::write(broken.join("checkpoint.json"), "{").unwrap();
        assert_eq!(ask(r#"{"run":"amber-fox"}"#), "checkpoint_damaged");
    }
}
