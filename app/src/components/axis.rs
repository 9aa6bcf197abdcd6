//! The x axes of charts.

use leptos::prelude::*;
use wire::series::Axis;

const AXES: [(Axis, &str, &str); 4] = [
    (Axis::Step, "steps", "Optimizer steps"),
    (Axis::Tokens, "tokens", "Tokens trained on"),
    (Axis::Secs, "time", "Training time, without pauses"),
    (Axis::Flops, "FLOPs", "Floating-point operations"),
];

/// The word of an axis in addresses.
pub(crate) fn axis_word(axis: Axis) -> &'static str {
    match axis {
        Axis::Step => "step",
        Axis::Tokens => "tokens",
        Axis::Secs => "secs",
        Axis::Flops => "flops",
    }
}

/// Reads [`axis_word`]; an unknown word is that of steps.
pub(crate) fn axis_of(word: &str) -> Axis {
    AXES.into_iter().map(|(axis, ..)| axis).find(|axis| axis_word(*axis) == word).unwrap_or_default()
}

/// The choice of an x axis.
#[component]
pub(crate) fn AxisPick(
    /// The current axis.
    #[prop(into)]
    axis: Signal<Axis>,
    /// Sets another one.
    choose: impl Fn(Axis) + 'static,
) -> impl IntoView {
    let take = move |word: String| {
        if let Some((axis, ..)) = AXES.into_iter().find(|(_, name, _)| *name == word) {
            choose(axis);
        }
    };
    view! {
        <label class="pick" title="Quantity on the x axis">
            <span class="unseen">"x axis"</span>
            <select on:change:target=move |event| take(event.target().value())>
                {AXES.map(|(of, word, meaning)| view! {
                    <option value=word title=meaning selected=move || axis.get() == of>{word}</option>
                })}
            </select>
        </label>
    }
}
