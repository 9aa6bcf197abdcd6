//! How fits are written: their names and meanings, values with intervals, and the fields of what a law is extrapolated to.

use figure::number::{THIN, in_unit, short, with_unit};
use leptos::prelude::*;
use research::fits::Estimate;
use research::fits::report::FitKind;
use wire::hyperparameters::table::Values;

use crate::components::number::short as prefixed;
use crate::components::{LabeledNumber, TypedNumber};

/// The unit of validation losses.
pub(super) const LOSS: &str = "nats/token";
/// Sizes, numbers of tokens and compute that a law is extrapolated to.
const COUNT: Values = Values::Number { min: 1.0, max: 1e30 };

/// The name of a fit.
pub(super) const fn label(kind: FitKind) -> &'static str {
    match kind {
        FitKind::ScalingLaw => "Scaling law",
        FitKind::Isoflop => "IsoFLOP profiles",
        FitKind::LearningRate => "Learning-rate range test",
        FitKind::BatchSize => "Batch size",
        FitKind::Mix => "Data mix",
    }
}

/// The question of a fit and its source, as a sentence for tooltips.
pub(super) const fn meaning(kind: FitKind) -> &'static str {
    match kind {
        FitKind::ScalingLaw => {
            "L(N, D) = E + A / (N / 1e6)^alpha + B / (D / 1e9)^beta over the validation loss L of the runs; N counts parameters without \
             embeddings, D training tokens (Hoffmann et al. 2022)"
        }
        FitKind::Isoflop => {
            "The model size with the least loss for each amount of compute that at least 4 sizes were trained with."
        }
        FitKind::Mix => {
            "From short runs on different mixes, such as a sweep with the sampler Dirichlet: the weights of datasets with the least predicted \
             validation loss (RegMix, Liu et al. 2024)"
        }
        FitKind::LearningRate => {
            "Of a run whose learning rate rises exponentially: where the loss falls fastest, and where it rises (Smith 2015)."
        }
        FitKind::BatchSize => {
            "The gradient noise scale of a run with several micro-batches or replicas: the batch that balances steps and tokens \
             (McCandlish et al. 2018)."
        }
    }
}

/// A value with its interval, in a unit: `1.316 (95 % interval 1.302 to 1.331) nats/token`.
pub(super) fn with_interval(estimate: Estimate, unit: &str) -> String {
    let text = |value: f64| in_unit(value, unit);
    let Estimate { value, low, high } = estimate;
    let unit = if unit.is_empty() { String::new() } else { format!("{THIN}{unit}") };
    format!("{}{unit} (95{THIN}% interval {} to {})", text(value), text(low), text(high))
}

/// The same for counts: `45 M parameters (95 % interval 40.1 M to 51 M)`.
pub(super) fn count_with_interval(estimate: Estimate, noun: &str) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{} {noun} (95{THIN}% interval {} to {})", count(value), count(low), count(high))
}

/// A count: `124 M`.
pub(super) fn count(value: f64) -> String {
    if value.is_finite() { prefixed(value) } else { short(value) }
}

/// Compute: `1.2 EFLOP`.
pub(super) fn compute(flops: f64) -> String {
    with_unit(flops, "FLOP")
}

/// The fields of what a law is extrapolated to; an empty one stands for its default.
#[derive(Clone, Copy)]
pub(super) struct Targets {
    pub(super) parameters: TypedNumber,
    pub(super) tokens: TypedNumber,
    pub(super) flops: TypedNumber,
}

impl Targets {
    pub(super) fn new() -> Self {
        let field = || TypedNumber::optional(COUNT);
        Self { parameters: field(), tokens: field(), flops: field() }
    }
}

/// The field of an optional number; its placeholder is the default.
#[component]
pub(super) fn TargetField(
    label: &'static str,
    meaning: &'static str,
    number: TypedNumber,
    /// The value of an empty field.
    #[prop(into)]
    usual: Signal<f64>,
) -> impl IntoView {
    view! {
        <LabeledNumber label meaning number placeholder=Signal::derive(move || format!("{:.2e}", usual.get())) />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_intervals() {
        let plain = |text: String| text.replace(THIN, " ");
        let loss = Estimate { value: 1.316, low: 1.302, high: 1.331 };
        assert_eq!(plain(with_interval(loss, LOSS)), "1.316 nats/token (95 % interval 1.302 to 1.331)");
        let exponent = Estimate { value: 0.5, low: 0.45, high: 0.55 };
        assert_eq!(plain(with_interval(exponent, "")), "0.5 (95 % interval 0.45 to 0.55)");
        let size = Estimate { value: 45e6, low: 40e6, high: 51e6 };
        assert_eq!(plain(count_with_interval(size, "parameters")), "45 M parameters (95 % interval 40 M to 51 M)");
        assert_eq!(plain(compute(1.2e18)), "1.2 EFLOP");
    }
}
