//! `kindling replay`: stopping rules over finished runs of a lab, whether or not a server holds the folder.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use research::stopping::settings::WINNERS;
use research::stopping::{Curve, Replay, replay};
use serde_json::Value;
use store::{Store, StoreError};
use wire::PlanError;
use wire::number::{brief, counted, grouped};
use wire::sweep::stopping::StoppingRule;

use super::data::{DataArgs, UnusedFolder};
use super::run_group::{RunGroupArgs, RunGroupError};
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Compare the rules on the finished runs with the tag sweep-3:
    kindling replay --tag sweep-3
  Show which runs ASHA would have stopped, at which step and why:
    kindling replay --tag sweep-3 --rule asha
  Try a threshold, as if two runs had trained at a time, for a program:
    kindling replay --tag sweep-3 --rule median --set percentile=25 --parallel 2 --json";

/// Replays early stopping over finished runs: the compute that each rule would have saved, and the loss that it would have cost.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    #[command(flatten)]
    runs: RunGroupArgs,
    /// One rule, with each run that it stops [default: a table of all, with several thresholds]
    #[arg(long, value_enum, value_name = "RULE")]
    rule: Option<RuleName>,
    /// Threshold of the rule, such as percentile=25 or eta=3; repeat it for several thresholds [default: those of the rule]
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "rule")]
    thresholds: Vec<Threshold>,
    /// Number of runs that train at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    parallel: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling replay`.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Runs(#[from] RunGroupError),
    #[error("{found} of these runs have evaluations; a replay needs at least 2")]
    TooFew { found: usize },
    #[error("the rule {rule} has no such threshold or value: {source}")]
    Threshold { rule: &'static str, source: serde_json::Error },
    #[error(transparent)]
    OutOfRange(#[from] PlanError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// A rule by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuleName {
    Median,
    Asha,
    Hyperband,
}

impl RuleName {
    fn word(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Asha => "asha",
            Self::Hyperband => "hyperband",
        }
    }
}

/// A threshold as `eta=3`.
#[derive(Debug, Clone, PartialEq)]
struct Threshold {
    name: String,
    value: Value,
}

/// A text that is no threshold.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a threshold; write for example eta=3")]
struct ThresholdError {
    text: String,
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let error = || ThresholdError { text: text.to_owned() };
        let (name, value) = text.split_once('=').ok_or_else(error)?;
        let value: Value = value.parse().map_err(|_| error())?;
        if value.is_number() { Ok(Self { name: name.to_owned(), value }) } else { Err(error()) }
    }
}

/// A rule with its default thresholds but these.
fn rule(name: RuleName, thresholds: &[Threshold]) -> Result<StoppingRule, ReplayError> {
    let mut fields = serde_json::Map::from_iter([("rule".to_owned(), Value::from(name.word()))]);
    fields.extend(thresholds.iter().map(|threshold| (threshold.name.clone(), threshold.value.clone())));
    let rule: StoppingRule = serde_json::from_value(Value::Object(fields))
        .map_err(|source| ReplayError::Threshold { rule: name.word(), source })?;
    rule.check()?;
    Ok(rule)
}

/// The rules of the table: each with several thresholds, from the one that stops fewest to the one that stops most.
fn table() -> Vec<StoppingRule> {
    let percentile = |wanted: f64| match StoppingRule::median() {
        StoppingRule::Median { min_trials, from, until, protect, .. } => {
            StoppingRule::Median { percentile: wanted, min_trials, from, until, protect }
        }
        other => other,
    };
    let asha = |eta: u32| match StoppingRule::asha() {
        StoppingRule::Asha { min_fraction, .. } => StoppingRule::Asha { eta, min_fraction },
        other => other,
    };
    let hyperband = |brackets: u32| match StoppingRule::hyperband() {
        StoppingRule::Hyperband { eta, .. } => StoppingRule::Hyperband { eta, brackets },
        other => other,
    };
    let rules = [75.0, 50.0, 25.0, 10.0].map(percentile).into_iter();
    rules.chain([2, 3, 4].map(asha)).chain([4, 5, 6].map(hyperband)).collect()
}

impl ReplayArgs {
    /// Prints the replays on standard output.
    ///
    /// # Errors
    /// There is no lab in the folder, the runs cannot be compared, fewer than 2 have evaluations, or the store fails.
    pub async fn run(self) -> Result<(), ReplayError> {
        let rules = match self.rule {
            Some(name) => vec![rule(name, &self.thresholds)?],
            None => table(),
        };
        let store = Store::open_access(self.data.used()?).await?;
        let runs = self.runs.read(&store).await?;
        let used: Vec<_> = runs.iter().filter(|run| run.last().is_some()).collect();
        if used.len() < 2 {
            return Err(ReplayError::TooFew { found: used.len() });
        }
        let names: Vec<&str> = used.iter().map(|run| run.view.summary.name.as_str()).collect();
        let curves: Vec<Curve> = used.iter().enumerate().map(|(number, run)| run.curve(number as u64)).collect();
        let parallel = usize::from(self.parallel);
        let replays: Vec<Replay> = rules.iter().map(|rule| replay(rule, &curves, parallel)).collect();
        if self.json {
            return Ok(output::line(serde_json::to_string_pretty(&replays)?)?);
        }
        let stops = self.rule.map(|_| stops(&replays[0], &names)).unwrap_or_default();
        let text = heading(&replays, &curves, parallel) + &rows(&replays) + &stops;
        Ok(output::bytes(text.as_bytes())?)
    }
}

fn heading(replays: &[Replay], curves: &[Curve], parallel: usize) -> String {
    let steps = counted(replays.first().map_or(0, |replay| replay.steps), "step");
    let best = replays.first().and_then(|replay| replay.best).map_or("none".to_owned(), |best| format!("{best:.4}"));
    format!(
        "{}, {steps}, {parallel} at a time. Best last validation loss: {best} nats/token.\n\n",
        counted(curves.len() as u64, "run")
    )
}

fn rows(replays: &[Replay]) -> String {
    let best = format!("of the best {WINNERS} stopped");
    let mut lines = format!("{:<32}{:>8}{:>9}{:>10}  {best}\n", "rule", "saved", "stopped", "regret");
    for replay in replays {
        let saved = format!("{:.0} %", 100.0 * replay.saved());
        let regret = replay.regret().map_or("-".to_owned(), brief);
        let (stopped, lost) = (replay.stopped.len(), replay.winners_lost(WINNERS));
        lines += &format!("{:<32}{saved:>8}{stopped:>9}{regret:>10}  {lost}\n", replay.label);
    }
    lines
}

fn stops(replay: &Replay, names: &[&str]) -> String {
    let stop = |stopped: &research::stopping::ReplayedStop| {
        let name = names.get(stopped.number as usize).copied().unwrap_or_default();
        let rank = stopped
            .rank
            .map_or("it ended without a finite loss".to_owned(), |rank| format!("it ended in place {rank}"));
        format!("{name} at step {} ({rank}): {}\n", grouped(stopped.stop.step), stopped.stop.reason)
    };
    std::iter::once("\n".to_owned()).chain(replay.stopped.iter().map(stop)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_of_rules() {
        let with = |name: RuleName, texts: &[&str]| {
            rule(name, &texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(with(RuleName::Asha, &[]).unwrap(), StoppingRule::asha());
        assert_eq!(with(RuleName::Asha, &["eta=4", "min_fraction=0.01"]).unwrap(), StoppingRule::asha());
        assert!(matches!(with(RuleName::Asha, &["eta=1"]), Err(ReplayError::OutOfRange(_))));
        let unknown = with(RuleName::Median, &["eta=2"]).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `eta`"), "{unknown}");
        for bad in ["eta", "eta=", "eta=x", "=", "eta=[1]"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
        assert!(table().iter().all(|rule| rule.check().is_ok()));
    }

    #[test]
    fn a_replay_as_text() {
        let curve = |number: u64| Curve {
            number,
            steps: 1000,
            points: (1..=10).map(|at| (100 * at, 2.0 + 0.1 * number as f64 - 0.01 * at as f64)).collect(),
            is_finished: true,
        };
        let curves: Vec<Curve> = (0..8).map(curve).collect();
        let replays: Vec<Replay> = [StoppingRule::median()].iter().map(|rule| replay(rule, &curves, 1)).collect();
        let text = heading(&replays, &curves, 1)
            + &rows(&replays)
            + &stops(&replays[0], &["a", "b", "c", "d", "e", "f", "g", "h"]);
        assert!(
            text.starts_with("8 runs, 8\u{202f}000 steps, 1 at a time. Best last validation loss: 1.9000 nats/token."),
            "{text}"
        );
        assert!(
            text.contains("\nd at step 200 (it ended in place 4): Its best value 2.28 is above 2.08, the median of 3"),
            "{text}"
        );
        assert!(text.contains(&format!("{:<32}{:>8}{:>9}{:>10}  0", "median", "50 %", 5, 0)), "{text}");
    }
}
