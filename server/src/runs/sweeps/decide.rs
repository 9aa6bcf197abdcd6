//! Whether new values of a trial stop it. Pure: the same values give the same decision again after a restart.

use research::stopping::{Curve, Decision, Stop, decisions, keep};
use store::{NewDecision, TrialRecord, TrialValues};
use wire::number::{grouped, in_sentence};
use wire::sweep::record::{DecisionKind, TrialState};
use wire::sweep::spec::{Direction, SweepSpec};
use wire::sweep::stopping::StoppingRule;

/// What new values of a trial change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) values: Option<TrialValues>,
    /// Decisions of the rule that let the trial go on.
    pub(super) continued: Vec<NewDecision>,
    pub(super) stop: Option<(NewDecision, TrialState)>,
}

/// Reads new values, (steps done, value) in order, of a trial of `steps` steps. The rule decides at each of them, as if they had arrived
/// one by one. `others` are the curves of the other trials of the sweep. `may_stop` is false for a trial whose run has ended.
pub(super) fn read(
    spec: &SweepSpec,
    record: &TrialRecord,
    steps: u64,
    may_stop: bool,
    others: &[&Curve],
    new: &[(u64, f64)],
) -> Seen {
    let direction = spec.metric.direction;
    let number = record.trial.number;
    let mut may_stop = may_stop && !record.trial.is_exempt && record.stop_as.is_none();
    let mut own = Curve { number, steps, points: record.kept.clone(), is_finished: false };
    let (mut previous, mut best, mut seen) = (record.trial.last_step, record.trial.best, Seen::default());
    for &(step, value) in new {
        if previous.is_some_and(|seen| step <= seen) || !value.is_finite() {
            continue;
        }
        best = Some(best.map_or(value, |best: f64| direction.better(best, value)));
        if let Some(rule) = &spec.stopping {
            let point = (step, direction.as_lower_is_better(value));
            let may_decide = keep(rule, number, steps, has_equal_steps(spec), previous, &mut own.points, point);
            let made = if may_stop && may_decide { decisions(rule, &own, others) } else { vec![] };
            for Decision { stops, rung, at } in made {
                may_stop = !stops;
                let made = NewDecision { rung, ..decision(rule, direction, number, stops, at) };
                match stops {
                    true => seen.stop = Some((made, TrialState::Stopped)),
                    false => seen.continued.push(made),
                }
            }
        }
        previous = Some(step);
        seen.values = Some(TrialValues { last: value, last_step: step, best: best.unwrap_or(value), kept: vec![] });
    }
    if let Some(values) = &mut seen.values {
        values.kept = own.points;
    }
    seen
}

/// A trial in the form in which rules compare other trials with it.
pub(super) fn curve(other: &TrialRecord) -> Curve {
    Curve {
        number: other.trial.number,
        steps: 0,
        points: other.kept.clone(),
        is_finished: other.trial.state == TrialState::Finished,
    }
}

/// Whether all trials have as many steps.
pub(super) fn has_equal_steps(spec: &SweepSpec) -> bool {
    !["steps", "depth"].iter().any(|name| spec.space.parameters.contains_key(*name))
}

fn decision(rule: &StoppingRule, direction: Direction, trial: u64, stops: bool, at: Stop) -> NewDecision {
    let sentence = match (direction, at.value, at.threshold) {
        // The sentence of the rule is about values of which a lower one is better.
        (Direction::Higher, Some(value), Some(threshold)) => format!(
            "Its value {} is {} {}, the threshold of {} at step {}.",
            in_sentence(-value),
            if stops { "below" } else { "not below" },
            in_sentence(-threshold),
            rule.label(),
            grouped(at.step)
        ),
        _ => at.reason,
    };
    NewDecision {
        kind: if stops { DecisionKind::Stopped } else { DecisionKind::Continued },
        by: rule.label(),
        trial: Some(trial),
        step: Some(at.step),
        rung: None,
        sentence,
        value: at.value.map(|value| direction.as_lower_is_better(value)),
        threshold: at.threshold.map(|value| direction.as_lower_is_better(value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::sweep::record::Trial;
    use wire::sweep::space::Point;

    use super::*;

    fn spec(direction: &str) -> SweepSpec {
        serde_json::from_value(json!({
            "name": "rates", "trials": 9, "metric": { "name": "score", "direction": direction },
            "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
            "stopping": { "rule": "asha", "eta": 2, "min_fraction": 0.1 },
        }))
        .unwrap()
    }

    fn trial(number: u64, kept: &[(u64, f64)]) -> TrialRecord {
        let trial = Trial {
            number,
            point: Point::default(),
            run: None,
            attempt: 1,
            state: TrialState::Running,
            last: None,
            last_step: None,
            best: None,
            reason: None,
            is_exempt: false,
            created_ms: 0,
            ended_ms: None,
        };
        TrialRecord { trial, stop_as: None, kept: kept.to_vec(), is_unread: false }
    }

    #[test]
    fn a_report_with_several_steps_is_decided_at_each_rung_in_order() {
        // Rungs of 100 steps: 10, 20, 40, 80. The other trial is worse at 10 and better at 20.
        let other = curve(&trial(0, &[(10, 3.0), (20, 1.0), (40, 1.0)]));
        let others = [&other];
        let new = [(10, 2.0), (20, 1.5), (40, 0.5), (45, 0.4)];
        let seen = read(&spec("lower"), &trial(1, &[]), 100, true, &others, &new);
        let (decision, stop_as) = seen.stop.unwrap();
        assert_eq!((decision.step, decision.value, decision.threshold), (Some(20), Some(1.5), Some(1.0)));
        assert_eq!((stop_as, decision.by.as_str()), (TrialState::Stopped, "ASHA, eta 2"));
        let continued: Vec<_> = seen.continued.iter().map(|one| (one.rung, one.step, one.value)).collect();
        assert_eq!((decision.rung, continued), (Some(20), vec![(Some(10), Some(10), Some(2.0))]));
        let values = seen.values.unwrap();
        assert_eq!((values.last, values.last_step, values.best), (0.4, 45, 0.4), "later values are kept all the same");
        assert_eq!(values.kept, [(10, 2.0), (20, 1.5), (40, 0.5)], "of these, those at rungs");
        // One by one gives the same.
        let mut record = trial(1, &[]);
        for point in &new[..2] {
            let seen = read(&spec("lower"), &record, 100, true, &others, std::slice::from_ref(point));
            assert_eq!(seen.stop.is_some(), point.0 == 20);
            let values = seen.values.unwrap();
            (record.trial.last_step, record.kept) = (Some(values.last_step), values.kept);
        }
        assert_eq!(read(&spec("lower"), &record, 100, true, &others, &new[..2]), Seen::default(), "known values");
    }

    #[test]
    fn higher_values_are_better_if_the_metric_says_so() {
        let other = curve(&trial(0, &[(10, -0.9)]));
        let others = [&other];
        let seen = read(&spec("higher"), &trial(1, &[]), 100, true, &others, &[(10, 0.5)]);
        let (decision, _) = seen.stop.unwrap();
        assert_eq!(decision.sentence, "Its value 0.5 is below 0.9, the threshold of ASHA, eta 2 at step 10.");
        assert_eq!((decision.value, decision.threshold, seen.values.unwrap().best), (Some(0.5), Some(0.9), 0.5));
        assert_eq!(read(&spec("higher"), &trial(1, &[]), 100, true, &others, &[(10, 0.95)]).stop, None);
    }

    #[test]
    fn a_trial_that_was_resumed_has_ended_or_is_to_be_stopped_is_not_stopped() {
        let other = curve(&trial(0, &[(10, 1.0)]));
        let others = [&other];
        let bad = [(10, 5.0)];
        let stop = |record: &TrialRecord, may_stop: bool| {
            read(&spec("lower"), record, 100, may_stop, &others, &bad).stop.is_some()
        };
        let own = trial(1, &[]);
        assert!(stop(&own, true) && !stop(&own, false));
        let exempt = TrialRecord { trial: Trial { is_exempt: true, ..own.trial.clone() }, ..own.clone() };
        let stopping = TrialRecord { stop_as: Some(TrialState::Stopped), ..own };
        assert!(!stop(&exempt, true) && !stop(&stopping, true));
    }
}
