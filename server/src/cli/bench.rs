//! `kindling bench`: speed, loss, memory and operators of a training on this machine's CPU, by the lab's own loop, beside the ceiling of the
//! machine. Another program can be run after each round, so that both speeds are measured on the same machine at the same time.
//!
//! [`document`]: all figures; [`table`]: the figures as text; [`baseline`]: beside those of a stored bench; [`other_program`]: beside those of
//! another program; [`variants`]: the operators beside their references; [`growth`]: a step while the sizes of the plan double, with
//! [`growth_chart`]; [`largest`]: the largest models for a memory.

mod baseline;
mod document;
mod growth;
mod growth_chart;
mod largest;
mod other_program;
mod table;
#[cfg(test)]
mod tests;
mod variants;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use clap::Args;
use engine::device::{EngineDevice, process_bytes};
use engine::model::variant::Variant;
use engine::train::bench::ceiling;
use engine::train::bench::growth::Point;
use engine::train::bench::{self, Figures};
use engine::{DataError, EngineError};
use figure::error::FigureError;
use serde::Serialize;
use serde_json::json;
use wire::data::tokenizer::Tokenizer;
use wire::id::IdError;
use wire::run::plan::{PlanView, check_spec};
use wire::run::preset;
use wire::{CorpusId, PlanError, RunSpec};

use super::progress_bar::Line;
use super::train::spec::{Override, parse_override};
use crate::output::{self, OutputError};
use baseline::Comparison;
use document::{Document, Machine, Measured, Round, Settings};
use growth::Growth;

/// A size of the growth ends before a step that would take longer.
const MOST_STEP_SECS: f64 = 10.0;

const EXAMPLES: &str = "\
Examples:
  Three trainings of 200 steps of nanoGPT's CPU recipe:
    kindling bench
  Another preset and other sizes, on one thread:
    kindling bench --preset depth --set model.layers=2 --set batch.size=4 --threads 1 --steps 50
  Store the figures, and compare later ones with them:
    kindling bench --rounds 5 --json > before.json
    kindling bench --rounds 5 --baseline before.json
  Compare with another program on the same text, which prints {\"tokens_per_sec\": 1234, \"valid_loss_nats\": 1.9} as its last line:
    kindling bench --text input.txt --steps 150 --compare \"python train.py --steps 120\"
  Compare the losses with those of burn's autodiff over eight seeds, and measure what each operator saves:
    kindling bench --against reference --rounds 8 --steps 1000
    kindling bench --ablation --rounds 5
  Time and memory of a step while width, layers, context length, batch size and vocabulary double, drawn:
    kindling bench --growth --figure growth.svg
  The largest models that train in 24 GiB:
    kindling bench --largest 24";

/// Measures training on this machine's CPU: speed, loss, memory, and the time of each operator beside the ceiling of the machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Preset to train
    #[arg(long, value_name = "NAME", default_value = "nanogpt-cpu")]
    preset: String,
    /// Set a hyperparameter, such as a size, by its path in the plan; may be given several times [default: the preset's hyperparameters]
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    overrides: Vec<Override>,
    /// Tokenizer: byte, char, gpt2, or bpe-N with a vocabulary of N tokens [default: the preset's]
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<Tokenizer>,
    /// Text file to train on [default: the built-in dataset that the preset is made for, mostly tales]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Threads that compute; without batch.replicas, as many replicas [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Optimizer steps of each training; those after the first ten are measured
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Number of trainings; each uses its number as seed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Command of another program to run after each training and compare with; the last line it prints is JSON with
    /// tokens_per_sec and perhaps valid_loss_nats [default: none]
    #[arg(long, value_name = "COMMAND")]
    compare: Option<String>,
    /// Print one JSON document with all figures instead of tables
    #[arg(long)]
    json: bool,
    /// File with the document of an earlier bench with the same settings, to compare each figure with [default: none]
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Train each round again with these variants, and compare time and losses: reference (gradients by burn's autodiff), or a plain
    /// implementation of attention, norm, activation, head, sums, tiles, buffers, vectors, or all of them [default: none]
    #[arg(long, value_name = "NAME", value_delimiter = ',', hide_possible_values = true,
        value_parser = variants::names(), conflicts_with_all = ["compare", "baseline", "ablation", "growth", "largest"])]
    against: Vec<String>,
    /// Compare with each part of the step replaced by its plain implementation, and with all of them: the time that each part saves
    #[arg(long, conflicts_with_all = ["compare", "baseline", "growth", "largest"])]
    ablation: bool,
    /// Measure time and memory of a step while width, layers, context length, batch size and vocabulary double in turn, in each of the rounds, and
    /// fit the exponent of each
    #[arg(long, conflicts_with_all = ["steps", "compare", "baseline"])]
    growth: bool,
    /// How often each size doubles; values that do not fit the memory, or whose step would take too long, are left out
    #[arg(long, value_name = "N", default_value_t = 4, requires = "growth", value_parser = clap::value_parser!(u32).range(1..=16))]
    doublings: u32,
    /// SVG or PNG file that the growth is drawn into, by the ending of its name [default: none]
    #[arg(long, value_name = "FILE", requires = "growth")]
    figure: Option<PathBuf>,
    /// Print the largest models that train in this many GiB of memory, by the planner, and train nothing [default: the free memory of this
    /// machine]
    #[arg(long, value_name = "GIB", num_args = 0..=1, conflicts_with_all = ["growth", "compare", "baseline"])]
    largest: Option<Option<f64>>,
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
    /// The preset or a hyperparameter.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The training.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An internal id is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// There are fewer cores than threads, which would wait for each other.
    #[error("--threads {threads}: this machine has {cores} cores; give a number from 1 to {cores}")]
    Threads { threads: u32, cores: u32 },
    /// A training paused.
    #[error(
        "the training of round {round} was stopped: {why}. Change the hyperparameters that --set gives, such as the learning rate"
    )]
    Stopped {
        round: u64,
        /// The reason.
        why: String,
    },
    /// The baseline cannot be read.
    #[error("--baseline {}: the file cannot be read: {source}", path.display())]
    BaselineFile { path: PathBuf, source: io::Error },
    /// The baseline is another document.
    #[error(
        "--baseline {}: the file is not a document that kindling bench --json prints: {source}", path.display()
    )]
    BaselineForm { path: PathBuf, source: serde_json::Error },
    /// The baseline is of another version.
    #[error(
        "--baseline {}: the file has format {format} of Kindling {version}, which this version does not read; measure it again with \
         kindling bench --json",
        path.display()
    )]
    BaselineFormat {
        path: PathBuf,
        format: u32,
        /// The version that wrote it.
        version: String,
    },
    /// The baseline was measured with other settings.
    #[error(
        "--baseline {}: it was measured with {setting} {stored}, this bench has {now}; measure both with the same settings",
        path.display()
    )]
    BaselineSettings {
        path: PathBuf,
        /// The first one that differs.
        setting: &'static str,
        stored: String,
        now: String,
    },
    /// The figure is of another format.
    #[error("--figure {}: the name of the file ends neither in .svg nor in .png", path.display())]
    FigureFormat { path: PathBuf },
    /// The figure cannot be written.
    #[error("--figure {}: the file cannot be written: {source}", path.display())]
    FigureFile { path: PathBuf, source: io::Error },
    /// The figure cannot be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// A memory that no model fits.
    #[error("--largest {gib}: give a number of GiB above 0")]
    Memory { gib: f64 },
    /// The memory of this machine is unknown.
    #[error("the system does not report its free memory: give a number of GiB, such as --largest 24")]
    UnknownMemory,
    /// The document cannot be printed.
    #[error("the document cannot be written as JSON: {source}")]
    Json { source: serde_json::Error },
    #[error("{0}")]
    Output(#[from] OutputError),
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

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    document: &'a Document,
    /// With `--baseline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Vec<Comparison>>,
}

impl BenchArgs {
    /// Measures, and prints a line for each round and the tables, or a JSON document.
    ///
    /// # Errors
    /// The options do not fit, or the dataset, the training or the command of the other program fails.
    pub fn run(self) -> Result<(), BenchError> {
        if let Some(gib) = self.largest {
            return self.print_largest(gib);
        }
        let settings = self.settings()?;
        if !self.variants().is_empty() {
            return self.print_variants(settings);
        }
        if self.growth {
            return self.print_growth(settings);
        }
        let baseline = self.baseline.as_deref().map(|path| read_baseline(path, &settings)).transpose()?;
        let array_bytes = ceiling::array_bytes(EngineDevice::processor().info.memory_bytes);
        let document = self.measure(settings, array_bytes, &mut |line| {
            if self.json { Ok(()) } else { output::line(line) }
        })?;
        let comparison = baseline.map(|baseline| baseline::compare(&baseline, &document));
        if self.json {
            return print_json(&Printed { document: &document, comparison });
        }
        let comparison = comparison.map_or_else(String::new, |all| table::comparison(&all));
        Ok(output::bytes(format!("{}{comparison}", table::summary(&document)).as_bytes())?)
    }

    fn print_largest(&self, gib: Option<f64>) -> Result<(), BenchError> {
        let (room, found) = largest::find(gib)?;
        if self.json { print_json(&found) } else { Ok(output::bytes(largest::table(room, &found).as_bytes())?) }
    }

    fn print_growth(&self, settings: Settings) -> Result<(), BenchError> {
        self.figure.as_deref().map(growth_chart::format_of).transpose()?;
        let growth = self.measure_growth(settings)?;
        if let Some(path) = &self.figure {
            growth_chart::write(path, &growth)?;
        }
        if self.json { print_json(&growth) } else { Ok(output::bytes(growth.table().as_bytes())?) }
    }

    /// Measures the growth, and shows its progress on standard error.
    fn measure_growth(&self, settings: Settings) -> Result<Growth, BenchError> {
        let folder = tempfile::tempdir().map_err(|source| BenchError::Folder { source })?;
        let spec = self.spec(&settings, self.dataset(folder.path())?, 1)?;
        let resolved = bench::resolve_on_device(&spec, folder.path(), settings.threads)?;
        let (mut points, left_out) =
            bench::growth::points(&resolved.view.plan, self.doublings, &resolved.device, MOST_STEP_SECS);
        let total = points.len() as u64 * self.rounds;
        let mut line = Line::new("growth".to_owned());
        let mut progress = |visit: usize, _: &Point| {
            line.show(visit as u64, Some(total), "measurements");
            Ok::<_, BenchError>(())
        };
        bench::growth::measure(&mut points, self.rounds, folder.path(), settings.threads, &mut progress)?;
        line.end();
        let machine = Machine::this();
        Ok(Growth::new(machine, settings, self.rounds, &points, left_out))
    }

    /// Writes the dataset into `folder`.
    fn dataset(&self, folder: &Path) -> Result<CorpusId, BenchError> {
        let corpus: CorpusId = "bench".parse()?;
        match &self.text {
            Some(file) => bench::import_text(folder, &corpus, file)?,
            None => {
                let generator = self.generator();
                engine::data::generators::generate(folder, &corpus, generator, 1, &mut |_, _, _| true)?;
            }
        }
        Ok(corpus)
    }

    /// The settings, after a check of the options.
    fn settings(&self) -> Result<Settings, BenchError> {
        let cores = EngineDevice::processor().info.cores;
        let threads = self.threads.unwrap_or(cores);
        if threads > cores {
            return Err(BenchError::Threads { threads, cores });
        }
        let preset = preset::find(&self.preset, None)?;
        let mut settings = Settings {
            preset: self.preset.clone(),
            overrides: self.overrides.iter().cloned().flat_map(Override::entries).collect(),
            tokenizer: self.tokenizer.unwrap_or(preset.tokenizer).to_string(),
            dataset: self.text.as_deref().map_or(self.generator().into(), Path::to_string_lossy).into_owned(),
            steps: self.steps,
            precision: String::new(),
            threads: threads as usize,
        };
        let recipe = check_spec(&self.spec(&settings, "bench".parse()?, 1)?)?;
        settings.precision = recipe.compute.precision.name().to_owned();
        Ok(settings)
    }

    /// The built-in dataset.
    fn generator(&self) -> &'static str {
        preset::intended_dataset(&self.preset).map_or("tales", |(id, _)| id)
    }

    fn spec(&self, settings: &Settings, corpus: CorpusId, seed: u64) -> Result<RunSpec, BenchError> {
        let mut overrides = BTreeMap::from([("intervals.sample_every".into(), json!(0))]);
        overrides.extend(settings.overrides.clone());
        Ok(RunSpec {
            preset: Some(settings.preset.clone()),
            corpus: Some(corpus),
            tokenizer: self.tokenizer,
            steps: Some(settings.steps),
            seed: Some(seed),
            device: Some("cpu".parse()?),
            overrides,
            ..RunSpec::default()
        })
    }

    /// Trains the rounds, then measures the ceiling over arrays of `array_bytes`. `print` gets the lines of the rounds.
    fn measure(
        &self,
        settings: Settings,
        array_bytes: u64,
        print: &mut dyn FnMut(&str) -> Result<(), OutputError>,
    ) -> Result<Document, BenchError> {
        let bytes_at_start = process_bytes();
        let folder = tempfile::tempdir().map_err(|source| BenchError::Folder { source })?;
        let corpus = self.dataset(folder.path())?;
        let view = bench::resolve(&self.spec(&settings, corpus, 1)?, folder.path(), settings.threads)?;
        print(&table::title(&settings))?;
        print(&table::rounds_header())?;
        let (mut rounds, mut memory_bytes) = (vec![], None);
        for seed in 1..=self.rounds {
            let figures = train(&view, seed, folder.path(), settings.threads, Variant::default())?;
            memory_bytes = memory_bytes.or(Some(figures.peak_bytes - bytes_at_start));
            let other = self.compare.as_deref().map(other_program::run).transpose()?;
            let round = Round::new(seed, figures, other);
            print(&table::round(&round))?;
            rounds.push(round);
        }
        let measured = Measured {
            ceiling: ceiling::measure(settings.threads, view.plan.recipe.compute.precision, array_bytes)?,
            machine: Machine::this(),
            settings,
            view: &view,
            array_bytes,
            memory_bytes: memory_bytes.filter(|bytes| *bytes > 0.0),
        };
        Ok(Document::new(measured, rounds))
    }
}

fn print_json(document: &impl Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(document).map_err(|source| BenchError::Json { source })?;
    Ok(output::line(text)?)
}

fn train(view: &PlanView, seed: u64, corpora: &Path, threads: usize, variant: Variant) -> Result<Figures, BenchError> {
    let mut plan = view.plan.clone();
    plan.seed = seed;
    let figures = bench::train_variant(&plan, corpora, threads, variant)?;
    match figures.stopped_by {
        Some(why) => Err(BenchError::Stopped { round: seed, why }),
        None => Ok(figures),
    }
}

fn read_baseline(path: &Path, settings: &Settings) -> Result<Document, BenchError> {
    let document = Document::read(path)?;
    baseline::check(path, &document, settings)?;
    Ok(document)
}
