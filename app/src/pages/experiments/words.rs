//! States, authors and numbers of experiments in words.

use figure::number;
use leptos::prelude::*;
use wire::Author;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentState, Outcome, Verdict};

use crate::components::{Icon, isolated};

const SECS_PER_HOUR: f64 = 3600.0;

/// The verdict in a word, or the state of an experiment without one.
#[component]
pub(super) fn Mark(state: ExperimentState, outcome: Option<Outcome>) -> impl IntoView {
    let word = outcome.map_or(state.word(), Outcome::word);
    let icon = match state {
        ExperimentState::Running => "running",
        ExperimentState::Paused => "paused",
        ExperimentState::Decided => "finished",
        ExperimentState::Stopped => "stopped",
    };
    view! {
        <span class="state" data-state=icon title=meaning(state, outcome)>
            <Icon name=icon />
            {word}
        </span>
    }
}

fn meaning(state: ExperimentState, outcome: Option<Outcome>) -> &'static str {
    match (outcome, state) {
        (Some(Outcome::Confirmed), _) => "The difference has the predicted sign and is at least the smallest effect.",
        (Some(Outcome::Refuted), _) => {
            "An effect in the predicted direction, if there is one, is smaller than the smallest that counts."
        }
        (Some(Outcome::Inconclusive), _) => "The pairs and the budget did not suffice for another verdict.",
        (None, ExperimentState::Running) => "Pairs of runs are trained until the decision rule gives a verdict.",
        (None, ExperimentState::Paused) => "No further run starts until somebody resumes it.",
        (None, _) => "It was ended without a verdict.",
    }
}

/// The author of an experiment or of an event.
pub(super) fn author_name(author: &Author) -> String {
    match author {
        Author::Person(name) | Author::Rule(name) | Author::Agent(name) => isolated(name),
        Author::System => "system".to_owned(),
    }
}

/// A value in the unit of the metric of an experiment: `−0.05 bits/byte`.
pub(super) fn in_metric(spec: &ExperimentSpec, value: f64) -> String {
    let unit = spec.metric.unit();
    let value = number::short(value);
    if unit.is_empty() { value } else { format!("{value}{}{unit}", number::THIN) }
}

/// Most pairs that rule and budget allow: the budget has at most as many as the rule.
pub(super) fn most_pairs(spec: &ExperimentSpec) -> u32 {
    spec.budget.pairs.unwrap_or(spec.rule.max_pairs)
}

/// Device hours of a budget as a duration: `1 h 30 min`.
pub(super) fn budgeted_time(device_hours: f64) -> String {
    number::duration(device_hours * SECS_PER_HOUR)
}

/// `The prediction was −0.05 bits/byte; the measured difference is −0.031 bits/byte, and its interval contains the prediction.`, and what the
/// predicted probability adds to the Brier score.
pub(super) fn compared(spec: &ExperimentSpec, verdict: &Verdict) -> String {
    let predicted = in_metric(spec, spec.prediction.difference);
    let measured = verdict.difference.map_or_else(
        || "no difference was measured".to_owned(),
        |difference| format!("the measured difference is {}", in_metric(spec, difference)),
    );
    let interval = verdict.interval.map(|[low, high]| {
        let is_within = (low..=high).contains(&spec.prediction.difference);
        format!(", and its interval {} the prediction", if is_within { "contains" } else { "excludes" })
    });
    let result = f64::from(u8::from(verdict.outcome == Outcome::Confirmed));
    let probability = spec.prediction.probability;
    let squared = number::short((probability - result).powi(2));
    format!(
        "The prediction was {predicted}; {measured}{}. Confirmation was predicted with a probability of {}: this adds {squared} to the \
         author's Brier score (squared difference of probability and result; 0 is best).",
        interval.unwrap_or_default(),
        number::short(probability),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_hours_are_durations() {
        for (device_hours, text) in [(1.0, "1 h"), (1.5, "1 h 30 min"), (0.01, "36 s")] {
            assert_eq!(budgeted_time(device_hours).replace(number::THIN, " "), text);
        }
    }

    #[test]
    fn a_prediction_is_compared_with_the_verdict() {
        let spec: ExperimentSpec = serde_json::from_str(
            r#"{"title":"A","hypothesis":"B","baseline":{"spec":{"corpus":"tales"}},"change":{"overrides":{"model.layers":3}},
            "prediction":{"difference":-0.05,"probability":0.75},"rule":{"effect":0.02},"budget":{"steps":300,"device_hours":1.5}}"#,
        )
        .unwrap();
        let verdict = |interval: Option<[f64; 2]>| Verdict {
            outcome: Outcome::Confirmed,
            difference: interval.map(|[low, high]| (low + high) / 2.0),
            interval,
            level: 0.95,
            pairs: 4,
            sentence: String::new(),
        };
        let inside = compared(&spec, &verdict(Some([-0.06, -0.02])));
        assert!(
            inside.starts_with("The prediction was −0.05\u{202f}bits/byte; the measured difference is −0.04"),
            "{inside}"
        );
        assert!(inside.contains("contains the prediction") && inside.contains("adds 0.0625"), "{inside}");
        assert!(compared(&spec, &verdict(Some([-0.03, -0.02]))).contains("excludes the prediction"));
        assert!(compared(&spec, &verdict(None)).contains("no difference was measured."));
    }
}
