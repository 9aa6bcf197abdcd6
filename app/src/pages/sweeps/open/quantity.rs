//! What a trial has on an axis: a parameter, its seed, or its value of the metric; and the axis, from 0 at its lower end to 1.

use figure::{Scale, ScaleKind};
use serde_json::Value;
use wire::sweep::record::{Trial, TrialState};
use wire::sweep::space::Parameter;
use wire::sweep::spec::{Metric, SweepSpec};

use crate::pages::sweeps::words::{
    metric_label, metric_unit, parameter_label, parameter_unit, parameter_value, value_text,
};

/// A quantity of a trial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Quantity {
    /// The value of a parameter.
    Parameter(String),
    /// The seed of its run.
    Seed,
    /// Its last value of the metric.
    Value,
}

impl Quantity {
    /// Its value in a trial; `None` for a parameter whose condition does not hold, and for a trial without a result.
    pub(super) fn of(&self, trial: &Trial) -> Option<Value> {
        match self {
            Self::Parameter(name) => trial.point.values.get(name).cloned(),
            Self::Seed => trial.point.seed.map(Value::from),
            Self::Value => trial.last.filter(|value| value.is_finite()).map(Value::from),
        }
    }
}

/// A continuous scale, or a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AxisValues {
    Numbers(Scale),
    /// At equal distances, in this order.
    Choices(Vec<Value>),
}

/// A quantity with its label and the scale on which trials have places.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QuantityAxis {
    pub(super) quantity: Quantity,
    pub(super) label: String,
    pub(super) unit: &'static str,
    pub(super) values: AxisValues,
    /// Of the axis of values.
    metric: Option<Metric>,
}

impl QuantityAxis {
    /// The place of a value, 0 to 1; `None` for one that is not on the axis.
    pub(super) fn place(&self, value: &Value) -> Option<f64> {
        match &self.values {
            AxisValues::Numbers(scale) => {
                let place = scale.position(value.as_f64()?);
                place.is_finite().then(|| place.clamp(0.0, 1.0))
            }
            AxisValues::Choices(choices) => {
                let at = choices.iter().position(|choice| is_equal(choice, value))?;
                Some((at as f64 + 0.5) / choices.len() as f64)
            }
        }
    }

    /// The place of a trial.
    pub(super) fn place_of(&self, trial: &Trial) -> Option<f64> {
        self.quantity.of(trial).and_then(|value| self.place(&value))
    }

    /// The value at a place.
    pub(super) fn at(&self, place: f64) -> Value {
        match &self.values {
            AxisValues::Numbers(scale) => Value::from(scale.value(place)),
            AxisValues::Choices(choices) => {
                let at = (place * choices.len() as f64).floor().clamp(0.0, choices.len() as f64 - 1.0);
                choices[at as usize].clone()
            }
        }
    }

    /// A value of the axis as text, without its unit.
    pub(super) fn text(&self, value: &Value) -> String {
        match (&self.metric, value.as_f64()) {
            (Some(metric), Some(number)) => value_text(metric, number),
            _ => parameter_value(value),
        }
    }

    /// The ticks: place and label.
    pub(super) fn ticks(&self, target: usize) -> Vec<(f64, String)> {
        match &self.values {
            AxisValues::Numbers(scale) => figure::axis::ticks(scale, target, "")
                .into_iter()
                .map(|tick| (scale.position(tick.value), tick.label))
                .collect(),
            AxisValues::Choices(choices) => {
                let place = |at: usize| (at as f64 + 0.5) / choices.len() as f64;
                let stride = choices.len().div_ceil(target * 2).max(1);
                let shown = choices.iter().enumerate().step_by(stride);
                shown.map(|(at, choice)| (place(at), self.text(choice))).collect()
            }
        }
    }
}

fn is_equal(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|number| Some(number) == b.as_f64())
}

/// The axes of a sweep: its parameters by name, the seed if points have one, and the value.
pub(super) fn axes(spec: &SweepSpec, trials: &[Trial]) -> Vec<QuantityAxis> {
    let of_parameter = |(name, parameter): (&String, &Parameter)| QuantityAxis {
        quantity: Quantity::Parameter(name.clone()),
        label: parameter_label(name),
        unit: parameter_unit(name),
        values: values(parameter),
        metric: None,
    };
    let parameters = spec.space.parameters.iter().map(of_parameter);
    parameters.chain(seeds(trials)).chain([value_axis(&spec.metric, trials)]).collect()
}

fn values(parameter: &Parameter) -> AxisValues {
    let numbers = |kind, low: f64, high: f64| AxisValues::Numbers(Scale::new(kind, low, high));
    match parameter {
        Parameter { log: Some([low, high]), .. } => numbers(ScaleKind::Log, *low, *high),
        Parameter { float: Some([low, high]), .. } => numbers(ScaleKind::Linear, *low, *high),
        Parameter { log_int: Some([low, high]), .. } => numbers(ScaleKind::Log, *low as f64, *high as f64),
        Parameter { int: Some([low, high]), .. } => numbers(ScaleKind::Linear, *low as f64, *high as f64),
        Parameter { choices, .. } => AxisValues::Choices(choices.clone().unwrap_or_default()),
    }
}

fn seeds(trials: &[Trial]) -> Option<QuantityAxis> {
    let mut seeds: Vec<u64> = trials.iter().filter_map(|trial| trial.point.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let values = AxisValues::Choices(seeds.iter().map(|seed| (*seed).into()).collect());
    (!seeds.is_empty()).then(|| QuantityAxis {
        quantity: Quantity::Seed,
        label: "Seed".to_owned(),
        unit: "",
        values,
        metric: None,
    })
}

/// The lowest and the highest value of some trials.
fn ends<'a>(trials: impl Iterator<Item = &'a Trial>) -> Option<(f64, f64)> {
    let finite = trials.filter_map(|trial| trial.last).filter(|value| value.is_finite());
    finite.fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

/// From the lowest to the highest value of the trials that did not fail: one that diverged would leave no room for the others, and stands at
/// the end of the axis.
fn value_axis(metric: &Metric, trials: &[Trial]) -> QuantityAxis {
    let (low, high) = ends(trials.iter().filter(|trial| trial.state != TrialState::Failed))
        .or_else(|| ends(trials.iter()))
        .unwrap_or((f64::NAN, f64::NAN));
    QuantityAxis {
        quantity: Quantity::Value,
        label: metric_label(metric),
        unit: metric_unit(metric),
        values: AxisValues::Numbers(Scale::new(ScaleKind::Linear, low, high)),
        metric: Some(metric.clone()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use wire::sweep::space::Point;

    use super::*;

    /// A finished trial.
    pub(in super::super) fn trial(number: u64, values: &[(&str, Value)], last: Option<f64>) -> Trial {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Trial {
            number,
            point: Point { values, seed: None },
            run: None,
            attempt: 1,
            state: TrialState::Finished,
            last,
            last_step: Some(10),
            best: last,
            reason: None,
            is_exempt: false,
            created_ms: 0,
            ended_ms: None,
        }
    }

    /// A sweep over a learning rate and a width.
    pub(in super::super) fn spec() -> SweepSpec {
        serde_json::from_value(json!({
            "name": "rates", "trials": 4,
            "space": { "parameters": {
                "optimizer.learning_rate": { "log": [1e-4, 1e-2] }, "model.d_model": { "choices": [32, 64] },
            } },
        }))
        .unwrap()
    }

    #[test]
    fn axes_place_parameters_and_values() {
        let trials = [
            trial(0, &[("optimizer.learning_rate", json!(1e-3)), ("model.d_model", json!(64))], Some(2.0)),
            trial(1, &[("optimizer.learning_rate", json!(1e-2))], Some(4.0)),
        ];
        let axes = axes(&spec(), &trials);
        let labels: Vec<&str> = axes.iter().map(|axis| axis.label.as_str()).collect();
        assert_eq!(labels, ["Model width", "Learning rate", "Validation loss"]);
        let places = |trial: &Trial| axes.iter().map(|axis| axis.place_of(trial)).collect::<Vec<_>>();
        let [width, rate, value] = places(&trials[0])[..] else { panic!("three axes") };
        assert_eq!((width, value), (Some(0.75), Some(0.0)));
        assert!((rate.unwrap() - 0.5).abs() < 1e-9, "the middle of a logarithmic range");
        assert_eq!(places(&trials[1]), [None, Some(1.0), Some(1.0)]);
        assert_eq!(axes[0].at(0.9), json!(64));
        let diverged = Trial { state: TrialState::Failed, ..trial(2, &[], Some(900.0)) };
        let with_failed = super::axes(&spec(), &[trials[0].clone(), trials[1].clone(), diverged]);
        assert_eq!(with_failed[2], axes[2], "a trial that failed does not stretch the axis");
        assert_eq!(axes[0].ticks(4), [(0.25, "32".to_owned()), (0.75, "64".to_owned())]);
    }
}
