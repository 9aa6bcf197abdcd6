//! `kindling bench`: speed and quality of nanoGPT's CPU recipe on this machine, by the lab's own loop, as a table. A second program can be
//! run in turn with it, so that the ratio of speeds is taken on one machine in one sitting.

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
    kindling bench --text input.txt --steps 150 --beside \"python train.py --steps 120\"";

/// Measures training on this machine's CPU with nanoGPT's CPU recipe: speed, and validation loss.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Text file to train on [default: the built-in dataset tales]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Optimizer steps of one training
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Trainings; each has the number of its round as seed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Command to run after each training and compare with; the last line it prints is JSON with tokens_per_sec and perhaps
    /// valid_loss_nats [default: none]
    #[arg(long, value_name = "COMMAND")]
    beside: Option<String>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No place for the dataset.
    #[error("no temporary folder for the dataset: {source}")]
    Folder { source: io::Error },
    /// The dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The training.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An id of the bench's own.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The command is empty.
    #[error("--beside {command:?} names no program: give a command, such as --beside \"python train.py\"")]
    NoCommand {
        /// As given.
        command: String,
    },
    /// The command does not run.
    #[error("--beside {command:?} could not be started: {source}")]
    Start {
        /// As given.
        command: String,
        source: io::Error,
    },
    /// The command fails.
    #[error("--beside {command:?} failed with {status}: {stderr}")]
    Failed {
        /// As given.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed on standard error.
        stderr: String,
    },
    /// The command prints no result.
    #[error("the last line that --beside {command:?} printed is not JSON: {line:?}: {source}")]
    NotJson {
        /// As given.
        command: String,
        /// Its last line.
        line: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The result has no speed.
    #[error("the last line that --beside {command:?} printed has no number tokens_per_sec: {line:?}")]
    NoSpeed {
        /// As given.
        command: String,
        /// Its last line.
        line: String,
    },
}

impl BenchArgs {
    /// Measures, and prints a line for each round.
    ///
    /// # Errors
    /// The dataset, the training or the command beside it fails.
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
            "{:>5} {:>9} {:>11} {:>11} {:>9} {:>9}  beside",
            "round", "tok/s", "valid nats", "train nats", "not step", "secs"
        );
        let mut totals = Totals::default();
        for round in 1..=self.rounds {
            let figures = train(folder.path(), &corpus, self.steps, round)?;
            let beside = self.beside.as_deref().map(run_beside).transpose()?;
            println!("{}", line(round, &figures, beside.as_ref()));
            totals.add(&figures, beside.as_ref());
        }
        totals.print();
        Ok(())
    }
}

/// What the rounds have in common.
#[derive(Default)]
struct Totals {
    ratios: Vec<f64>,
    valid_nats: Vec<f64>,
    valid_nats_beside: Vec<f64>,
}

impl Totals {
    fn add(&mut self, figures: &Figures, beside: Option<&Beside>) {
        self.valid_nats.extend(figures.valid_nats);
        if let Some(beside) = beside {
            self.ratios.push(figures.tokens_per_sec / beside.tokens_per_sec);
            self.valid_nats_beside.extend(beside.valid_nats);
        }
    }

    fn print(mut self) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        for (whose, values) in [("", &self.valid_nats), (" beside", &self.valid_nats_beside)] {
            if !values.is_empty() {
                println!("validation{whose}, mean of {}: {:.4} nats", values.len(), mean(values));
            }
        }
        self.ratios.sort_by(f64::total_cmp);
        if let Some(median) = self.ratios.get(self.ratios.len() / 2) {
            println!("speed as a share of the command beside: median {median:.2} of {:.2?}", self.ratios);
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

fn line(round: u64, figures: &Figures, beside: Option<&Beside>) -> String {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let beside = beside.map_or(String::new(), |beside| {
        format!("{:.0} tok/s, {} nats", beside.tokens_per_sec, number(beside.valid_nats))
    });
    format!(
        "{round:>5} {:>9.0} {:>11} {:>11} {:>8.2}% {:>9.1}  {beside}",
        figures.tokens_per_sec,
        number(figures.valid_nats),
        number(figures.train_nats),
        figures.other_share * 100.0,
        figures.secs
    )
}

/// What the other program printed about itself.
struct Beside {
    tokens_per_sec: f64,
    valid_nats: Option<f64>,
}

fn run_beside(command: &str) -> Result<Beside, BenchError> {
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
    read_beside(command, &String::from_utf8_lossy(&output.stdout))
}

fn read_beside(command: String, stdout: &str) -> Result<Beside, BenchError> {
    let line = stdout.lines().last().unwrap_or_default().to_owned();
    let result: Value = match serde_json::from_str(&line) {
        Ok(result) => result,
        Err(source) => return Err(BenchError::NotJson { command, line, source }),
    };
    match result["tokens_per_sec"].as_f64() {
        Some(tokens_per_sec) => Ok(Beside { tokens_per_sec, valid_nats: result["valid_loss_nats"].as_f64() }),
        None => Err(BenchError::NoSpeed { command, line }),
    }
}
