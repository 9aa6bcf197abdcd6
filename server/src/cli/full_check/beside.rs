//! Another program, run in turn with ours on the same device: its last line is JSON with `tokens_per_sec`, and perhaps `preset`, `dtype` and
//! `peak_memory_bytes`, as a benchmark in PyTorch prints.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wire::check::{Figure, Line};

use super::process::last_words;

/// What the other program said of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theirs {
    tokens_per_sec: f64,
    said: Value,
}

/// Runs it to its end, or until `limit` is over.
///
/// # Errors
/// In words: a program that is not there, fails, does not end, or ends with another line.
pub(crate) fn run(command: &str, limit: Duration) -> Result<Theirs, String> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("--beside is empty: give a command")?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| format!("{program} could not be started: {source}"))?;
    let (out, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let ends = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|source| source.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= ends => {
                // One that has just ended cannot be killed and need not be.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {:.0} s; --seconds gives more", limit.as_secs_f64()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (out, errors) = (text(out), text(errors));
    if !status.success() {
        return Err(format!("it failed, {status}: {}", last_words(&errors)));
    }
    read(&out)
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        // What was read before a pipe broke is what there is.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn read(out: &str) -> Result<Theirs, String> {
    let last = last_words(out);
    let said: Value = serde_json::from_str(&last).map_err(|_| format!("its last line is no JSON: {last:?}"))?;
    let tokens_per_sec = said["tokens_per_sec"].as_f64().filter(|speed| *speed > 0.0);
    tokens_per_sec.map(|tokens_per_sec| Theirs { tokens_per_sec, said }).ok_or(format!("{last} has no tokens_per_sec"))
}

impl Theirs {
    /// Our preset of the same model, where it names one.
    pub(crate) fn preset(&self) -> Option<&'static str> {
        match self.said["preset"].as_str()? {
            "cpu" | "nanogpt-cpu" => Some("nanogpt-cpu"),
            "char" | "nanogpt-char" => Some("nanogpt-char"),
            "llama-small" => Some("llama-small"),
            "gpt2" => Some("gpt2"),
            _ => None,
        }
    }

    fn about(&self) -> String {
        let word = |key: &str| self.said[key].as_str().map(str::to_owned);
        let compiled = self.said["compile"].as_bool().map(|is| (if is { "compiled" } else { "eager" }).to_owned());
        let memory = self.said["peak_memory_bytes"].as_f64().map(|bytes| format!("{:.2} GB", bytes / 1e9));
        let words = [word("preset"), word("device"), word("dtype"), compiled, memory];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Its speed.
    pub(crate) fn figure(&self) -> Line {
        figure("program beside", self.tokens_per_sec, "tokens/s", self.about())
    }

    /// Our speed as a share of its.
    pub(crate) fn ratio(&self, preset: &str, ours: f64) -> Line {
        let note = format!("ours over theirs, {preset} in f32 without dropout beside: {}", self.about());
        figure("ratio", ours / self.tokens_per_sec, "x", note)
    }
}

fn figure(name: &str, value: f64, unit: &str, note: String) -> Line {
    Line::Figure(Figure { name: name.to_owned(), value, unit: unit.to_owned(), note })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read_and_what_is_no_result_is_told() {
        let theirs = read("step 1\n{\"preset\": \"char\", \"compile\": true, \"tokens_per_sec\": 500}\n").unwrap();
        assert_eq!((theirs.preset(), theirs.about().as_str()), (Some("nanogpt-char"), "char, compiled"));
        let Line::Figure(ratio) = theirs.ratio("nanogpt-char", 250.0) else { panic!("a figure") };
        assert_eq!(ratio.value, 0.5);
        for bad in ["", "done", "{}", "{\"tokens_per_sec\": 0}"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_program_that_fails_or_hangs_is_told_in_words() {
        let limit = Duration::from_millis(300);
        assert!(run("", limit).is_err());
        assert!(run("no-such-program-here", limit).unwrap_err().contains("could not be started"));
        assert!(run("false", Duration::from_secs(20)).unwrap_err().contains("it failed"));
        assert!(run("sleep 60", limit).unwrap_err().contains("did not end"));
    }
}
