//! How sweeps, trials, parameters and values are written.

use figure::number::in_unit;
use leptos::prelude::*;
use research::stopping::settings::RuleKind;
use serde_json::Value;
use wire::hyperparameters::table;
use wire::series::{describe, name};
use wire::sweep::record::{Sweep, SweepState, TrialState};
use wire::sweep::space::IMPORTED;
use wire::sweep::spec::Metric;

use crate::components::Icon;
use crate::components::hyperparameters::shown;

/// Whether the server may change a sweep by itself.
pub(super) fn can_change(sweep: &Sweep) -> bool {
    sweep.state == SweepState::Running || sweep.counts.unfinished() > 0
}

/// What a stopping rule does; `None` is no rule.
pub(super) const fn rule_meaning(rule: Option<RuleKind>) -> &'static str {
    match rule {
        None => "Each trial trains all its steps.",
        Some(RuleKind::Median) => {
            "Stops a trial whose best value is worse than a percentile of the others at the same step."
        }
        Some(RuleKind::Asha) => {
            "Of the trials that reach a rung, the best 1 / eta go on. Each rung has eta times the steps of the one below."
        }
        Some(RuleKind::Hyperband) => {
            "Several ASHA with first rungs at different steps; each trial belongs to one of them."
        }
    }
}

/// The label of a parameter of a search space.
pub(super) fn parameter_label(name: &str) -> String {
    match (name, table::find(name), name.strip_prefix("mix.")) {
        ("steps", ..) => "Steps".to_owned(),
        ("depth", ..) => "Depth".to_owned(),
        (_, Some(row), _) => row.label.to_owned(),
        (_, None, Some(dataset)) => format!("Weight of {dataset}"),
        (other, None, None) => other.strip_prefix(IMPORTED).unwrap_or(other).to_owned(),
    }
}

/// The unit of a parameter; empty if it has none.
pub(super) fn parameter_unit(name: &str) -> &'static str {
    table::find(name).map_or("", |row| row.unit)
}

/// A value of a parameter; of a number, four significant digits.
pub(super) fn parameter_value(value: &Value) -> String {
    match value.as_f64().filter(|number| number.fract() != 0.0) {
        Some(number) => brief(number),
        None => shown(value),
    }
}

/// Four significant digits, with an exponent below 0.01.
fn brief(number: f64) -> String {
    let size = number.abs();
    if size < 1e-2 {
        let text = format!("{number:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The name of a metric: `Validation loss`.
pub(super) fn metric_label(metric: &Metric) -> String {
    match metric.name.as_str() {
        name::VALID => "Validation loss".to_owned(),
        name::TRAIN => "Training loss".to_owned(),
        name => describe(name).label,
    }
}

/// The unit of a metric; empty if it has none.
pub(super) fn metric_unit(metric: &Metric) -> &'static str {
    describe(&metric.name).unit
}

/// A value of the metric, without its unit.
pub(super) fn value_text(metric: &Metric, value: f64) -> String {
    if value.is_finite() { in_unit(value, metric_unit(metric)) } else { "not finite".to_owned() }
}

/// The state of a sweep: icon and word.
#[component]
pub(super) fn SweepMark(state: SweepState) -> impl IntoView {
    let meaning = match state {
        SweepState::Running => "Trials are started until all are.",
        SweepState::Paused => "No further trial is started. Trials that train or wait in the queue continue.",
        SweepState::Finished => "All trials have ended. The sweep can be extended.",
        SweepState::Stopped => "The sweep was stopped by a command. It can be extended.",
    };
    let word = state.label();
    view! { <span class="state" data-state=word title=meaning><Icon name=word />{word}</span> }
}

/// The state of a trial: icon and word.
#[component]
pub(super) fn TrialMark(state: TrialState) -> impl IntoView {
    let meaning = match state {
        TrialState::Queued => "The run of the trial waits in the queue.",
        TrialState::Running => "The run of the trial trains, is paused or suspended.",
        TrialState::Finished => "The trial has trained all its steps.",
        TrialState::Stopped => "A rule or a person stopped the trial.",
        TrialState::Failed => "The trial diverged, its run failed, or its point makes no valid run.",
    };
    let word = state.label();
    view! { <span class="state" data-state=word title=meaning><Icon name=word />{word}</span> }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_have_labels_and_short_values() {
        for (name, label) in [
            ("optimizer.learning_rate", "Learning rate"),
            ("mix.tales", "Weight of tales"),
            ("steps", "Steps"),
            ("depth", "Depth"),
        ] {
            assert_eq!(parameter_label(name), label);
        }
        for (value, text) in [
            (json!(0.000_123_456), "1.235e-4"),
            (json!(0.001), "1e-3"),
            (json!(0.123_456), "0.1235"),
            (json!(12.5), "12.5"),
            (json!(1234.5678), "1235"),
            (json!(64), "64"),
            (json!(true), "on"),
            (json!("rotary"), "RoPE"),
        ] {
            assert_eq!(parameter_value(&value), text, "{value}");
        }
    }
}
