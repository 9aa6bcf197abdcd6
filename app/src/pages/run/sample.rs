//! A sample now: the prompt, the temperature and the length of the text that the current weights generate.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::{Command, RunState};

use super::RunContext;
use super::command::step_now;
use super::drawer::focus_on;
use crate::components::{NumberField, TypedNumber};

/// Maximum number of tokens of a sample.
const MAX_TOKENS: u64 = 4096;

/// Prompt, temperature and length of a sample.
#[component]
pub(super) fn SampleForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let (planned, length) =
        context.run.with_untracked(|run| (run.view.plan.prompt.clone(), run.view.plan.recipe.intervals.sample_tokens));
    let prompt = RwSignal::new(planned);
    let temperature = RwSignal::new(0.8);
    let tokens = TypedNumber::new(Values::Integer { min: 1, max: MAX_TOKENS }, length);
    let field = NodeRef::new();
    focus_on(field);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(tokens) = untrack(|| tokens.small_integer()) else { return };
        context.drawer.set(None);
        context.send(Command::Sample {
            prompt: Some(prompt.get_untracked()),
            tokens: Some(tokens),
            temperature: Some(temperature.get_untracked()),
        });
    };
    view! {
        <form on:submit=submit>
            <label title="Text that the model continues. Default: the prompt of the plan.">
                "Prompt"
                <input
                    node_ref=field
                    type="text"
                    prop:value=prompt
                    on:input:target=move |event| prompt.set(event.target().value())
                />
            </label>
            <label
                title="Divisor of the logits before the softmax, 0 to 2. Higher values give more varied text; 0 always \
                       chooses the most likely token. Default: 0.8."
            >
                "Temperature "<output class="mono">{move || number::short(temperature.get())}</output>
                <input type="range" min="0" max="2" step="0.05" prop:value=move || temperature.get().to_string()
                    on:input:target=move |event| temperature.set(event.target().value().parse().unwrap_or(0.8)) />
            </label>
            <label title="Number of tokens to generate, 1 to 4\u{202f}096. Default: the sample length of the plan.">
                "Length"<span class="unit">", tokens"</span>
                <NumberField number=tokens />
            </label>
            <p class="effect">{move || match temperature.get() {
                0.0 => "At temperature 0, the model always chooses the most likely token.".to_owned(),
                _ => {
                    let then = match context.state.get() {
                        RunState::Paused => "The run stays paused.",
                        _ => "Training waits until the sample is finished.",
                    };
                    format!("Generated before step {}. {then}", step_now(context))
                }
            }}</p>
            <div class="row end">
                <button class="primary" type="submit" disabled=move || !tokens.is_readable()>"Generate"</button>
            </div>
        </form>
    }
}
