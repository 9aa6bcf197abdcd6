//! A stopping rule over finished runs for a range of its thresholds, in one answer: a page moves between the settings without a request.

use serde::{Deserialize, Serialize};
use wire::sweep::spec::Direction;
use wire::sweep::stopping::StoppingRule;

use super::replay::{Replay, rank, ranked, replay};
use super::{Curve, ReplayedStop};
use crate::refused::Refused;

/// Number of winners: the runs with the best last values, which a rule should not stop.
pub const WINNERS: usize = 3;

/// Percentiles of the median rule.
const PERCENTILES: std::ops::RangeInclusive<u32> = 1..=19;
/// First rungs of ASHA, fractions of the steps.
const FIRST_RUNGS: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// A rule without its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    Median,
    Asha,
    Hyperband,
}

impl RuleKind {
    /// All rules.
    pub const ALL: [Self; 3] = [Self::Median, Self::Asha, Self::Hyperband];

    /// The kind of a rule.
    pub const fn of(rule: &StoppingRule) -> Self {
        match rule {
            StoppingRule::Median { .. } => Self::Median,
            StoppingRule::Asha { .. } => Self::Asha,
            StoppingRule::Hyperband { .. } => Self::Hyperband,
        }
    }

    /// The rule with its default thresholds.
    pub fn rule(self) -> StoppingRule {
        match self {
            Self::Median => StoppingRule::median(),
            Self::Asha => StoppingRule::asha(),
            Self::Hyperband => StoppingRule::hyperband(),
        }
    }

    /// Its word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Asha => "asha",
            Self::Hyperband => "hyperband",
        }
    }

    /// Its name on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Median => "Median",
            Self::Asha => "ASHA",
            Self::Hyperband => "Hyperband",
        }
    }
}

/// A run of a replay, with the values that the rule read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayedRun {
    /// Number of the trial; of other runs, the place in the order of their creation, from 0.
    pub number: u64,
    /// Id.
    pub run: String,
    pub name: String,
    /// Steps done at its values, in increasing order.
    pub steps: Vec<u64>,
    /// The value of the metric at each of them.
    pub values: Vec<f64>,
    /// Its rank among all runs by their last value, from 1; `None` without one.
    pub rank: Option<usize>,
}

/// The step at which a setting stops a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingStop {
    /// Number of the run.
    pub number: u64,
    /// Steps done.
    pub step: u64,
}

/// The effect that a rule with these thresholds would have had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayedSetting {
    pub rule: StoppingRule,
    /// Its name with its threshold.
    pub label: String,
    /// Fraction of the steps that it saves, 0 to 1.
    pub saved: f64,
    /// How much worse the last value of the best run that it leaves is than that of the best run, in the unit of the metric; 0 if the best is
    /// left.
    pub regret: Option<f64>,
    /// How many of the best 3 runs it stops.
    pub winners_lost: usize,
    /// In the order in which they would have been stopped.
    pub stops: Vec<SettingStop>,
}

/// Replays of a rule for a range of its thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayReport {
    pub rule: RuleKind,
    /// Name of the series whose values the rule reads.
    pub metric: String,
    pub direction: Direction,
    /// Number of runs that train at the same time.
    pub parallel: usize,
    /// Steps that all runs trained.
    pub steps: u64,
    pub runs: Vec<ReplayedRun>,
    /// In increasing thresholds: of the median rule by percentile, of ASHA by eta and then by the first rung, of Hyperband by brackets and
    /// then by eta. Empty if there is no replay.
    pub settings: Vec<ReplayedSetting>,
    /// The reason, if there is no replay.
    pub refused: Option<Refused>,
}

/// The values of a run with its id and name.
#[derive(Debug, Clone, PartialEq)]
pub struct RunToReplay {
    /// Id.
    pub run: String,
    pub name: String,
    /// Its values, a lower one is better.
    pub curve: Curve,
}

/// A rule, the metric that it reads, and how many runs train at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayRequest {
    /// The rule, whose thresholds are varied; the others stay.
    pub rule: StoppingRule,
    /// Name of the series.
    pub metric: String,
    pub direction: Direction,
    pub parallel: usize,
}

impl ReplayReport {
    /// A report without replays.
    pub fn refused(request: ReplayRequest, refused: Refused) -> Self {
        let ReplayRequest { rule, metric, direction, parallel } = request;
        let rule = RuleKind::of(&rule);
        Self { rule, metric, direction, parallel, steps: 0, runs: vec![], settings: vec![], refused: Some(refused) }
    }

    /// Replays each setting over the runs, in the order in which they are given.
    pub fn new(request: ReplayRequest, runs: Vec<RunToReplay>) -> Self {
        let curves: Vec<Curve> = runs.iter().map(|run| run.curve.clone()).collect();
        let with_values = curves.iter().filter(|curve| !curve.points.is_empty()).count();
        if with_values < 2 {
            return Self::refused(request, Refused::too_few_for_replay(with_values));
        }
        let replays = settings(&request.rule).into_iter().map(|rule| replay(&rule, &curves, request.parallel));
        let replays: Vec<Replay> = replays.collect();
        let ReplayRequest { rule, metric, direction, parallel } = request;
        let ranked = ranked(&curves);
        let run = |(at, run): (usize, RunToReplay)| replayed(run, rank(&ranked, at), direction);
        Self {
            rule: RuleKind::of(&rule),
            metric,
            direction,
            parallel,
            steps: replays.first().map_or(0, |replay| replay.steps),
            runs: runs.into_iter().enumerate().map(run).collect(),
            settings: replays.into_iter().map(setting).collect(),
            refused: None,
        }
    }
}

fn replayed(RunToReplay { run, name, curve }: RunToReplay, rank: Option<usize>, direction: Direction) -> ReplayedRun {
    let finite = curve.points.into_iter().filter(|(_, value)| value.is_finite());
    let (steps, values) = finite.map(|(step, value)| (step, direction.as_lower_is_better(value))).unzip();
    ReplayedRun { number: curve.number, run, name, steps, values, rank }
}

fn setting(replay: Replay) -> ReplayedSetting {
    let stop = |ReplayedStop { number, stop, .. }: &ReplayedStop| SettingStop { number: *number, step: stop.step };
    ReplayedSetting {
        rule: replay.rule,
        saved: replay.saved(),
        regret: replay.regret(),
        winners_lost: replay.winners_lost(WINNERS),
        stops: replay.stopped.iter().map(stop).collect(),
        label: replay.label,
    }
}

/// The settings of a rule: its own, and those around it.
pub fn settings(rule: &StoppingRule) -> Vec<StoppingRule> {
    match *rule {
        StoppingRule::Median { percentile, min_trials, from, until, protect } => {
            let percentiles = PERCENTILES.map(|at| 5.0 * f64::from(at));
            let of = |percentile| StoppingRule::Median { percentile, min_trials, from, until, protect };
            with(percentiles, percentile).into_iter().map(of).collect()
        }
        StoppingRule::Asha { min_fraction, .. } => {
            let firsts = with(FIRST_RUNGS, min_fraction);
            let of = |eta| firsts.iter().map(move |first| StoppingRule::Asha { eta, min_fraction: *first });
            (2..=10).flat_map(of).collect()
        }
        StoppingRule::Hyperband { eta, .. } => {
            let mut etas = vec![2, 3, 4];
            etas.extend((eta > 4).then_some(eta));
            (2..=8)
                .flat_map(|brackets| etas.iter().map(move |eta| StoppingRule::Hyperband { eta: *eta, brackets }))
                .collect()
        }
    }
}

/// The values with another one, in increasing order.
fn with(values: impl IntoIterator<Item = f64>, own: f64) -> Vec<f64> {
    let mut all: Vec<f64> = values.into_iter().chain([own]).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_contain_the_rule_itself_and_are_valid() {
        let own = StoppingRule::Median { percentile: 33.0, min_trials: 5, from: 0.1, until: 0.9, protect: 1 };
        for rule in [own, StoppingRule::median(), StoppingRule::asha(), StoppingRule::hyperband()] {
            let all = settings(&rule);
            assert!(all.contains(&rule), "{rule:?}");
            assert!(all.iter().all(|one| one.check().is_ok()), "{rule:?}");
        }
        assert_eq!((settings(&own).len(), settings(&StoppingRule::median()).len()), (20, 19));
        assert_eq!((settings(&StoppingRule::asha()).len(), settings(&StoppingRule::hyperband()).len()), (45, 21));
        let rare = StoppingRule::Hyperband { eta: 7, brackets: 3 };
        assert!(settings(&rare).contains(&rare));
    }
}
