//! `kindling bench`: speed and quality of nanoGPT's CPU recipe on this machine, by the lab's own loop, as a table. Another program can be
//! run after each round, so that both speeds are measured on the same machine at the same time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use clap::Args;
use engine::train::bench::{self, Figures};
use engine::{DataError, EngineError};
use serde_json::{Value, json};
use wire::data::tokenizer::Tokenizer;
use wire::id::IdError;
use wire::{CorpusId, RunSpec};

const EXAMPLES: &str = "\
Examples:
  Three trainings of 200 steps:
    kindling bench
  Compare with another program on the same text, which prints {\"tokens_per_sec\": 1234, \"valid_loss_nats\": 1.9} as its last line:
    kindling bench --text input.txt --steps 150 --compare \"python train.py --steps 120\"";

/// Measures training on this machine's CPU with nanoGPT's CPU recipe: speed, and validation loss.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Text file to train on [default: the built-in dataset tales]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Optimizer steps of each training
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Number of trainings; each uses its number as seed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Command of another program to run after each training and compare with; the last line it prints is JSON with
    /// tokens_per_sec and perhaps valid_loss_nats [default: none]
    #[arg(long, value_name = "COMMAND")]
    compare: Option<String>,
}

/// The errors of `kindling bench`.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The folder for the dataset cannot be created.
    #[error("no temporary folder for the dataset: {source}")]
    Folder { source: io::Error },
    /// The dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The training.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An internal id is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The command is empty.
    #[error("--compare {command:?} names no program: give a command, such as --compare \"python train.py\"")]
    NoCommand {
        /// The command as given.
        command: String,
    },
    /// The command does not run.
    #[error("--compare {command:?} could not be started: {source}")]
    Start {
        /// The command as given.
        command: String,
        source: io::Error,
    },
    /// The command fails.
    #[error("--compare {command:?} failed with {status}: {stderr}")]
    Failed {
        /// The command as given.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// Its standard error.
        stderr: String,
    },
    /// The command prints no result.
    #[error("the last line that --compare {command:?} printed is not JSON: {line:?}: {source}")]
    NotJson {
        /// The command as given.
        command: String,
        /// Its last line.
        line: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The result has no speed.
    #[error("the last line that --compare {command:?} printed has no number tokens_per_sec: {line:?}")]
    NoSpeed {
        /// The command as given.
        command: String,
        /// Its last line.
        line: String,
    },
}

impl BenchArgs {
    /// Measures, and prints a line for each round.
    ///
    /// # Errors
    /// The dataset, the training or the command of the other program fails.
    pub fn run(self) -> Result<(), BenchError> {
        let folder = tempfile::tempdir().map_err(|source| BenchError::Folder { source })?;
        let corpus: CorpusId = "bench".parse()?;
        match &self.text {
            Some(file) => bench::import_text(folder.path(), &corpus, file)?,
            None => drop(engine::data::generators::generate(folder.path(), &corpus, "tales", 1, &mut |_, _, _| true)?),
        }
        let text = self.text.as_deref().map_or("tales".into(), Path::to_string_lossy);
        println!("nanogpt-cpu, {} steps, {text}", self.steps);
        println!(
            "{:>5} {:>9} {:>11} {:>11} {:>9} {:>9}  other program",
            "round", "tok/s", "valid loss", "train loss", "overhead", "secs"
        );
        let mut totals = Totals::default();
        for round in 1..=self.rounds {
            let figures = train(folder.path(), &corpus, self.steps, round)?;
            let other = self.compare.as_deref().map(run_other).transpose()?;
            println!("{}", line(round, &figures, other.as_ref()));
            totals.add(&figures, other.as_ref());
        }
        totals.print();
        Ok(())
    }
}

/// Results of all rounds.
#[derive(Default)]
struct Totals {
    ratios: Vec<f64>,
    valid_nats: Vec<f64>,
    other_valid_nats: Vec<f64>,
}

impl Totals {
    fn add(&mut self, figures: &Figures, other: Option<&OtherResult>) {
        self.valid_nats.extend(figures.valid_nats);
        if let Some(other) = other {
            self.ratios.push(figures.tokens_per_sec / other.tokens_per_sec);
            self.other_valid_nats.extend(other.valid_nats);
        }
    }

    fn print(mut self) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        for (whose, values) in [("", &self.valid_nats), (" of the other program", &self.other_valid_nats)] {
            if !values.is_empty() {
                println!("validation{whose}, mean of {}: {:.4} nats", values.len(), mean(values));
            }
        }
        self.ratios.sort_by(f64::total_cmp);
        if let Some(median) = self.ratios.get(self.ratios.len() / 2) {
            println!("speed divided by that of the other program: median {median:.2} of {:.2?}", self.ratios);
        }
    }
}

fn train(corpora: &Path, corpus: &CorpusId, steps: u64, seed: u64) -> Result<Figures, BenchError> {
    let spec = RunSpec {
        preset: Some("nanogpt-cpu".into()),
        corpus: Some(corpus.clone()),
        tokenizer: Some(Tokenizer::Char),
        steps: Some(steps),
        seed: Some(seed),
        device: Some("cpu".parse()?),
        overrides: BTreeMap::from([("intervals.sample_every".into(), json!(0))]),
        ..RunSpec::default()
    };
    Ok(bench::train(&spec, corpora)?)
}

fn line(round: u64, figures: &Figures, other: Option<&OtherResult>) -> String {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let other = other
        .map_or(String::new(), |other| format!("{:.0} tok/s, {} nats", other.tokens_per_sec, number(other.valid_nats)));
    format!(
        "{round:>5} {:>9.0} {:>11} {:>11} {:>8.2}% {:>9.1}  {other}",
        figures.tokens_per_sec,
        number(figures.valid_nats),
        number(figures.train_nats),
        figures.other_fraction * 100.0,
        figures.secs
    )
}

/// The result that the other program printed.
struct OtherResult {
    tokens_per_sec: f64,
    valid_nats: Option<f64>,
}

fn run_other(command: &str) -> Result<OtherResult, BenchError> {
    let mut words = command.split_whitespace();
    let command = command.to_owned();
    let Some(program) = words.next() else { return Err(BenchError::NoCommand { command }) };
    let output = match Command::new(program).args(words).output() {
        Ok(output) => output,
        Err(source) => return Err(BenchError::Start { command, source }),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Failed { command, status: output.status, stderr });
    }
    read_other(command, &String::from_utf8_lossy(&output.stdout))
}

fn read_other(command: String, stdout: &str) -> Result<OtherResult, BenchError> {
    let line = stdout.lines().last().unwrap_or_default().to_owned();
    let result: Value = match serde_json::from_str(&line) {
        Ok(result) => result,
        Err(source) => return Err(BenchError::NotJson { command, line, source }),
    };
    match result["tokens_per_sec"].as_f64() {
        Some(tokens_per_sec) => Ok(OtherResult { tokens_per_sec, valid_nats: result["valid_loss_nats"].as_f64() }),
        None => Err(BenchError::NoSpeed { command, line }),
    }
}
