//! Another program, run on the same device for comparison: its last line is JSON with `tokens_per_sec`, and perhaps `preset`, `dtype` and
//! `peak_memory_bytes`, as a benchmark in PyTorch prints.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wire::check::{Figure, Line};

use super::process::last_line;

/// The result that the other program printed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ComparedProgram {
    tokens_per_sec: f64,
    report: Value,
}

/// Runs the program until it ends or `limit` is over.
///
/// # Errors
/// A message: the program is missing, fails, does not end in time, or prints another last line.
pub(crate) fn run(command: &str, limit: Duration) -> Result<ComparedProgram, String> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("--compare is empty: give a command")?;
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
                // Killing fails only if the process has already ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {:.0} s; raise --seconds", limit.as_secs_f64()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (out, errors) = (text(out), text(errors));
    if !status.success() {
        return Err(format!("it failed, {status}: {}", last_line(&errors)));
    }
    read(&out)
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        // If the pipe breaks, the output read so far is used.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn read(out: &str) -> Result<ComparedProgram, String> {
    let last = last_line(out);
    let report: Value = serde_json::from_str(&last).map_err(|_| format!("its last line is not JSON: {last:?}"))?;
    let tokens_per_sec = report["tokens_per_sec"].as_f64().filter(|speed| *speed > 0.0);
    tokens_per_sec
        .map(|tokens_per_sec| ComparedProgram { tokens_per_sec, report })
        .ok_or(format!("its last line has no positive tokens_per_sec: {last}"))
}

impl ComparedProgram {
    /// Our preset of the same model, if it names one.
    pub(crate) fn preset(&self) -> Option<&'static str> {
        match self.report["preset"].as_str()? {
            "cpu" | "nanogpt-cpu" => Some("nanogpt-cpu"),
            "char" | "nanogpt-char" => Some("nanogpt-char"),
            "llama-small" => Some("llama-small"),
            "gpt2" => Some("gpt2"),
            _ => None,
        }
    }

    fn about(&self) -> String {
        let word = |key: &str| self.report[key].as_str().map(str::to_owned);
        let compiled = self.report["compile"].as_bool().map(|is| (if is { "compiled" } else { "eager" }).to_owned());
        let memory = self.report["peak_memory_bytes"].as_f64().map(|bytes| format!("{:.2} GB", bytes / 1e9));
        let words = [word("preset"), word("device"), word("dtype"), compiled, memory];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Its speed.
    pub(crate) fn figure(&self) -> Line {
        figure("other program", self.tokens_per_sec, "tokens/s", self.about())
    }

    /// Our speed divided by its speed.
    pub(crate) fn ratio(&self, preset: &str, ours: f64) -> Line {
        let note = format!("tokens/s of Kindling ({preset}, f32, no dropout) divided by those of {}", self.about());
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
    fn the_last_line_is_read_and_other_lines_are_errors() {
        let program = read("step 1\n{\"preset\": \"char\", \"compile\": true, \"tokens_per_sec\": 500}\n").unwrap();
        assert_eq!((program.preset(), program.about().as_str()), (Some("nanogpt-char"), "char, compiled"));
        let Line::Figure(ratio) = program.ratio("nanogpt-char", 250.0) else { panic!("a figure") };
        assert_eq!(ratio.value, 0.5);
        for bad in ["", "done", "{}", "{\"tokens_per_sec\": 0}"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_program_that_fails_or_hangs_is_an_error() {
        let limit = Duration::from_millis(300);
        assert!(run("", limit).is_err());
        assert!(run("no-such-program-here", limit).unwrap_err().contains("could not be started"));
        assert!(run("false", Duration::from_secs(20)).unwrap_err().contains("it failed"));
        assert!(run("sleep 60", limit).unwrap_err().contains("did not end"));
    }
}
