//! What follows from where an experiment stands. Pure: the same standing gives the same answer, also after a restart.

use figure::number::duration;
use research::experiment::{conclude, decide};
use store::ExperimentStanding;
use wire::access::Role;
use wire::experiment::record::{ExperimentRun, ExperimentView, Side, Verdict, complete_pairs};

const SECS_PER_HOUR: f64 = 3600.0;

/// A run that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WantedRun {
    pub(super) pair: u32,
    pub(super) side: Side,
    pub(super) attempt: u32,
    pub(super) seed: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// A run has not ended.
    Wait,
    Start(Vec<WantedRun>),
    Pause(String),
    Decide(Verdict),
}

/// What follows, once all runs that have ended are settled.
pub(super) fn next(standing: &ExperimentStanding) -> Next {
    let ExperimentStanding { view, attempts, .. } = standing;
    if view.runs.iter().any(ExperimentRun::is_open) {
        return Next::Wait;
    }
    let pair = view.runs.iter().map(|run| run.pair).max().unwrap_or(0);
    let failed: Vec<&ExperimentRun> = Side::BOTH.iter().filter_map(|side| failure(view, pair, *side)).collect();
    if let Some(run) = failed.iter().find(|run| run.attempt >= *attempts) {
        let reason = run.failure.as_deref().unwrap_or_default();
        return Next::Pause(format!("{} of pair {pair} failed again: {} {reason}", run.side.word(), run.run));
    }
    let pairs = complete_pairs(&view.runs);
    let verdict = match failed.is_empty() {
        true => decide(&view.summary.spec, &pairs).or_else(|| without_budget(view, &pairs, pair)),
        false => used_up(view, &pairs, 0.0),
    };
    if let Some(verdict) = verdict {
        return Next::Decide(verdict);
    }
    let project = &view.summary.project;
    if !standing.grants.in_project(project).is_some_and(|role| role.includes(Role::Steer)) {
        return Next::Pause(format!("its author may not start runs in the project {project} any more"));
    }
    Next::Start(match failed.as_slice() {
        [] => Side::BOTH.map(|side| wanted(standing, pair + 1, side, 1)).to_vec(),
        failed => failed.iter().map(|run| wanted(standing, pair, run.side, run.attempt + 1)).collect(),
    })
}

fn wanted(standing: &ExperimentStanding, pair: u32, side: Side, attempt: u32) -> WantedRun {
    let seed = standing.first_seed.wrapping_add(u64::from(pair).saturating_sub(1));
    WantedRun { pair, side, attempt, seed }
}

/// The newest run of a side that has no value.
fn failure(view: &ExperimentView, pair: u32, side: Side) -> Option<&ExperimentRun> {
    let newest = view.runs.iter().filter(|run| run.pair == pair && run.side == side).max_by_key(|run| run.attempt);
    newest.filter(|run| run.value.is_none())
}

/// The verdict if the budget allows no further pair.
fn without_budget(view: &ExperimentView, pairs: &[(f64, f64)], last_pair: u32) -> Option<Verdict> {
    if let Some(most) = view.summary.spec.budget.pairs.filter(|most| last_pair >= *most) {
        return Some(conclude(&view.summary.spec, pairs, &format!("{most} pairs are the most of the budget")));
    }
    let mean_secs = view.device_secs() / f64::from(last_pair.max(1));
    used_up(view, pairs, mean_secs)
}

/// The verdict if fewer device hours remain than the next pair takes; `next_secs` is 0 for the repetition of a run.
fn used_up(view: &ExperimentView, pairs: &[(f64, f64)], next_secs: f64) -> Option<Verdict> {
    let (used, most) = (view.device_secs(), view.summary.spec.budget.device_hours);
    let is_used_up = used >= most * SECS_PER_HOUR || used + next_secs > most * SECS_PER_HOUR;
    is_used_up.then(|| {
        let pair = if next_secs > 0.0 { format!(", and a pair takes {}", duration(next_secs)) } else { String::new() };
        let (used, most) = (duration(used), duration(most * SECS_PER_HOUR));
        let why = format!("{used} of the {most} of device time in the budget are used{pair}");
        conclude(&view.summary.spec, pairs, &why)
    })
}

#[cfg(test)]
mod tests {
    use wire::access::Grants;
    use wire::control::author::Author;
    use wire::experiment::record::{ExperimentState, ExperimentSummary, Outcome};

    use super::*;

    /// An experiment of 3 to 4 pairs with these runs: pair, side, attempt, value or failure.
    fn standing(runs: &[(u32, Side, u32, Option<Result<f64, &str>>)]) -> ExperimentStanding {
        let spec = serde_json::json!({
            "title": "A", "hypothesis": "B", "baseline": {"spec": {"corpus": "tales"}},
            "change": {"overrides": {"model.layers": 3}}, "prediction": {"difference": -0.1, "probability": 0.6},
            "rule": {"effect": 0.1, "max_pairs": 4}, "budget": {"steps": 100, "device_hours": 1.0}
        });
        let summary = ExperimentSummary {
            id: 1,
            project: "default".into(),
            author: Author::Person("ada".into()),
            spec: serde_json::from_value(spec).unwrap(),
            state: ExperimentState::Running,
            reason: None,
            verdict: None,
            pairs: 0,
            created_ms: 0,
            ended_ms: None,
        };
        let run = |(pair, side, attempt, result): &(u32, Side, u32, Option<Result<f64, &str>>)| ExperimentRun {
            pair: *pair,
            side: *side,
            attempt: *attempt,
            seed: 7,
            run: format!("run-{pair}-{attempt}").parse().unwrap(),
            value: result.and_then(Result::ok),
            failure: result.and_then(|result| result.err().map(str::to_owned)),
            device_secs: result.map(|_| 60.0),
            state: None,
            progress: 0.0,
        };
        let runs = runs.iter().map(run).collect();
        let (baseline, variant, events) = (Default::default(), Default::default(), vec![]);
        let view = ExperimentView { summary, baseline, variant, runs, events };
        ExperimentStanding { view, first_seed: 7, attempts: 2, grants: Grants::of_lab(Role::Steer) }
    }

    fn pairs(count: u32, variant: f64) -> Vec<(u32, Side, u32, Option<Result<f64, &'static str>>)> {
        let noise = |pair: u32| 0.001 * f64::from(pair);
        let both = |pair: u32| {
            let variant = Some(Ok(variant + noise(pair)));
            [(pair, Side::Baseline, 1, Some(Ok(1.5))), (pair, Side::Variant, 1, variant)]
        };
        (1..=count).flat_map(both).collect()
    }

    fn started(next: &Next) -> Vec<(u32, Side, u32, u64)> {
        let Next::Start(wanted) = next else { panic!("{next:?}") };
        wanted.iter().map(|run| (run.pair, run.side, run.attempt, run.seed)).collect()
    }

    #[test]
    fn pairs_follow_each_other_until_there_is_a_verdict() {
        let first = next(&standing(&[]));
        assert_eq!(started(&first), [(1, Side::Baseline, 1, 7), (1, Side::Variant, 1, 7)]);
        let open = standing(&[(1, Side::Baseline, 1, Some(Ok(1.5))), (1, Side::Variant, 1, None)]);
        assert_eq!(next(&open), Next::Wait);
        let second = next(&standing(&pairs(1, 1.3)));
        assert_eq!(started(&second), [(2, Side::Baseline, 1, 8), (2, Side::Variant, 1, 8)]);
        let check = |count: u32, variant: f64, expected: Outcome| {
            let Next::Decide(verdict) = next(&standing(&pairs(count, variant))) else { panic!("{count} {variant}") };
            assert_eq!((verdict.outcome, verdict.pairs), (expected, count));
        };
        check(3, 1.3, Outcome::Confirmed);
        check(3, 1.5, Outcome::Refuted);
        check(4, 1.4, Outcome::Inconclusive);
    }

    #[test]
    fn a_failed_run_is_repeated_once_with_its_seed() {
        let mut runs = vec![(1, Side::Baseline, 1, Some(Ok(1.5))), (1, Side::Variant, 1, Some(Err("it failed")))];
        assert_eq!(started(&next(&standing(&runs))), [(1, Side::Variant, 2, 7)]);
        runs.push((1, Side::Variant, 2, Some(Err("it failed"))));
        let again = "variant of pair 1 failed again: run-1-2 it failed";
        assert_eq!(next(&standing(&runs)), Next::Pause(again.into()));
        let resumed = ExperimentStanding { attempts: 4, ..standing(&runs) };
        assert_eq!(started(&next(&resumed)), [(1, Side::Variant, 3, 7)]);
        runs.push((1, Side::Variant, 3, Some(Ok(1.2))));
        assert_eq!(started(&next(&standing(&runs))), [(2, Side::Baseline, 1, 8), (2, Side::Variant, 1, 8)]);
    }

    #[test]
    fn a_used_budget_ends_it_and_lost_rights_pause_it() {
        let mut used = standing(&pairs(2, 1.3));
        // 240 s are used, and the next pair takes 120 s.
        used.view.summary.spec.budget.device_hours = 0.099;
        let Next::Decide(verdict) = next(&used) else { panic!("it goes on") };
        assert_eq!((verdict.outcome, verdict.pairs), (Outcome::Inconclusive, 2));
        let why =
            "4\u{202f}min of the 6\u{202f}min of device time in the budget are used, and a pair takes 2\u{202f}min";
        assert!(verdict.sentence.contains(why), "{verdict:?}");
        used.view.summary.spec.budget.device_hours = 0.101;
        assert_eq!(started(&next(&used)).len(), 2);
        let failed = [(1, Side::Baseline, 1, Some(Ok(1.5))), (1, Side::Variant, 1, Some(Err("it failed")))];
        let mut spent = standing(&failed);
        spent.view.summary.spec.budget.device_hours = 0.01;
        let Next::Decide(verdict) = next(&spent) else { panic!("it continues") };
        assert!(
            verdict.sentence.contains("in the budget are used, and the rule needs at least 3 pairs"),
            "{verdict:?}"
        );
        let mut few = standing(&pairs(3, 1.45));
        few.view.summary.spec.budget.pairs = Some(3);
        few.view.summary.spec.rule.effect = 0.05;
        let Next::Decide(verdict) = next(&few) else { panic!("it goes on") };
        assert!(verdict.sentence.contains("3 pairs are the most of the budget"), "{verdict:?}");
        let lost = ExperimentStanding { grants: Grants::of_lab(Role::View), ..standing(&pairs(1, 1.3)) };
        let reason = "its author may not start runs in the project default any more";
        assert_eq!(next(&lost), Next::Pause(reason.into()));
    }
}
