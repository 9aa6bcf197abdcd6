//! `kindling compare`: a fair comparison of runs or groups of runs of a lab, whether or not a server holds the folder.

use clap::{Args, ValueEnum};
use research::compare::{ComparedRun, ComparedScore, FairComparison};
use store::{Store, StoreError};
use wire::number::brief;
use wire::series::Axis;
use wire::{RunId, RunSummary};

use super::data::{DataArgs, UnusedFolder};
use super::run_name::{RunNameError, run_named};
use crate::output::{self, OutputError};
use crate::runs::comparison::{self, Wanted};

const EXAMPLES: &str = "\
Examples:
  Compare a run with the baseline amber-fox, both by name or id:
    kindling compare amber-fox brisk-owl
  Compare three seeds with three others:
    kindling compare amber-fox,amber-elk,amber-jay brisk-owl,brisk-emu,brisk-cat
  Compare the finished runs with the tag warmup with those with the tag base, at equal training time, for a program:
    kindling compare base warmup --groups --equal time --json";

/// Compares runs by their validation loss at an equal budget: the difference, its confidence interval, and a conclusion.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// Runs that the others are compared with: names or ids, separated by commas
    #[arg(value_name = "BASELINE")]
    baseline: String,
    /// Runs that are compared with the baseline; repeat it for several groups
    #[arg(value_name = "CHANGE", required = true)]
    changes: Vec<String>,
    /// Read BASELINE and CHANGE as tags of finished runs
    #[arg(long)]
    groups: bool,
    /// Quantity that is equal in the comparison
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Equal::Tokens)]
    equal: Equal,
    /// Amount of this quantity: tokens, FLOPs or seconds [default: the largest that all runs have reached]
    #[arg(long, value_name = "BUDGET")]
    at: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// The quantity that is equal for all runs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Equal {
    Tokens,
    Flops,
    Time,
}

impl From<Equal> for Axis {
    fn from(equal: Equal) -> Self {
        match equal {
            Equal::Tokens => Self::Tokens,
            Equal::Flops => Self::Flops,
            Equal::Time => Self::Secs,
        }
    }
}

/// Errors of `kindling compare`.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunNameError),
    #[error("no finished run has the tag {tag:?}; tag runs on the Lab page, or give names of runs without --groups")]
    NoGroup { tag: String },
    #[error("the budget {at} is not a positive number")]
    Budget { at: f64 },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl CompareArgs {
    /// Prints the comparison on standard output.
    ///
    /// # Errors
    /// There is no lab in the folder; a name names no run or several; the store fails.
    pub async fn run(self) -> Result<(), CompareError> {
        if let Some(at) = self.at.filter(|at| !(at.is_finite() && *at > 0.0)) {
            return Err(CompareError::Budget { at });
        }
        let store = Store::open_access(self.data.used()?).await?;
        let runs = store.runs(false).await?;
        let group = |text: &String| if self.groups { tagged(text, &runs) } else { named(text, &runs) };
        let changes = self.changes.iter().map(group).collect::<Result<_, _>>()?;
        let wanted = Wanted { baseline: group(&self.baseline)?, changes };
        let found = comparison::compare(&store, &wanted, &runs, self.equal.into(), self.at).await?;
        Ok(output::line(if self.json { serde_json::to_string_pretty(&found)? } else { described(&found) })?)
    }
}

fn tagged(tag: &str, runs: &[RunSummary]) -> Result<Vec<RunId>, CompareError> {
    let found = comparison::tagged(tag, runs);
    if found.is_empty() { Err(CompareError::NoGroup { tag: tag.to_owned() }) } else { Ok(found) }
}

fn named(text: &str, runs: &[RunSummary]) -> Result<Vec<RunId>, CompareError> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(names.map(|name| run_named(name, runs)).collect::<Result<_, _>>()?)
}

fn described(found: &FairComparison) -> String {
    let unit = found.unit.word();
    let run = |run: &ComparedRun| {
        let loss = run.loss.map_or("no loss".to_owned(), |loss| format!("{loss:.4} {unit}"));
        format!("  {} (seed {}): {loss} after step {}", run.name, run.seed, run.step)
    };
    let mut lines = vec![];
    if let Some(budget) = found.budget {
        lines.push(format!("Equal: {} {}", brief(budget), amount(found.equal)));
    }
    lines.extend(found.validation.as_ref().map(|text| format!("Validation text: {text}")));
    let adjusted = found.changes.iter().filter(|change| change.adjusted_p.is_some()).count();
    lines.push("Baseline:".to_owned());
    lines.extend(found.baseline.iter().map(run));
    for change in &found.changes {
        lines.push("Change:".to_owned());
        lines.extend(change.runs.iter().map(run));
        lines.push(change.sentence.clone());
        lines.extend(change.over_seeds.sequential.map(|found| {
            format!(
                "Valid also if seeds are added after a look at the result: {} % interval {} to {} {unit} (confidence sequence).",
                brief(100.0 * found.level),
                brief(found.low),
                brief(found.high),
            )
        }));
        lines.extend(
            change
                .adjusted_p
                .map(|p| format!("p = {}, adjusted for {adjusted} comparisons (Holm's method).", brief(p))),
        );
    }
    for task in &found.tasks {
        let place = task.step.map_or_else(|| "newest scores".to_owned(), |step| format!("step {step}"));
        lines.push(format!("Task {}, {}, {place}:", task.task, task.metric.replace('_', " ")));
        lines.extend(std::iter::once(&task.baseline).chain(&task.changes).flat_map(|group| &group.runs).map(score));
        lines.extend(task.changes.iter().map(|change| change.sentence.clone()));
    }
    lines.extend(found.noise.map(|noise| {
        format!(
            "Noise floor: standard deviation {} {unit} over {} runs that differ only in the seed, 95 % interval {} to {}.",
            brief(noise.sigma),
            found.noise_runs.len(),
            brief(noise.low),
            brief(noise.high),
        )
    }));
    lines.join("\n")
}

/// `  amber-fox (seed 1): 0.71 [0.644 to 0.768] after step 400`
fn score(score: &ComparedScore) -> String {
    let value = score.value.map_or_else(|| "not finite".to_owned(), brief);
    let interval =
        score.interval.map(|(low, high)| format!(" [{} to {}]", brief(low), brief(high))).unwrap_or_default();
    format!("  {} (seed {}): {value}{interval} after step {}", score.name, score.seed, score.step)
}

fn amount(axis: Axis) -> &'static str {
    match axis {
        Axis::Step | Axis::Tokens => "tokens",
        Axis::Flops => "FLOPs",
        Axis::Secs => "s of training",
    }
}
