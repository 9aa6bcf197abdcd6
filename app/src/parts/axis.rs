//! What can stand on the x axis of curves, as people call it.

use leptos::prelude::*;
use wire::series::Axis;

const AXES: [(Axis, &str, &str); 4] = [
    (Axis::Step, "steps", "Optimizer steps"),
    (Axis::Tokens, "tokens", "Tokens trained on"),
    (Axis::Secs, "time", "Seconds at work, pauses left out"),
    (Axis::Flops, "FLOPs", "Arithmetic done"),
];

/// The choice of one.
#[component]
pub(crate) fn AxisPick(
    /// The present one.
    #[prop(into)]
    axis: Signal<Axis>,
    /// Takes another.
    choose: impl Fn(Axis) + 'static,
) -> impl IntoView {
    let take = move |word: String| {
        if let Some((axis, ..)) = AXES.into_iter().find(|(_, name, _)| *name == word) {
            choose(axis);
        }
    };
    view! {
        <label class="pick" title="What stands on the x axis">
            <span class="unseen">"x axis"</span>
            <select on:change:target=move |event| take(event.target().value())>
                {AXES.map(|(of, word, meaning)| view! { <option value=word title=meaning selected=move || axis.get() == of>{word}</option> })}
            </select>
        </label>
    }
}
