//! The sampling parameters.

use figure::number::short;
use leptos::prelude::*;
use wire::completion::{CompletionRequest, TOKENS};
use wire::{CheckpointId, RunId};

/// Temperature, top-k, top-p, seed and length.
#[derive(Clone, Copy)]
pub(super) struct SamplingParameters {
    temperature: RwSignal<f64>,
    top_k: RwSignal<f64>,
    top_p: RwSignal<f64>,
    seed: RwSignal<f64>,
    tokens: RwSignal<f64>,
}

impl SamplingParameters {
    /// The defaults.
    pub(super) fn new() -> Self {
        Self {
            temperature: RwSignal::new(0.8),
            top_k: RwSignal::new(0.0),
            top_p: RwSignal::new(1.0),
            seed: RwSignal::new(1.0),
            tokens: RwSignal::new(200.0),
        }
    }

    /// The request for a completion.
    pub(super) fn request(self, run: RunId, checkpoint: Option<CheckpointId>, prompt: String) -> CompletionRequest {
        CompletionRequest {
            run,
            checkpoint,
            prompt,
            tokens: self.tokens.get_untracked() as u32,
            temperature: self.temperature.get_untracked(),
            top_k: self.top_k.get_untracked() as u32,
            top_p: self.top_p.get_untracked(),
            seed: self.seed.get_untracked() as u64,
        }
    }
}

#[component]
pub(super) fn SamplingForm(parameters: SamplingParameters) -> impl IntoView {
    let longest = f64::from(TOKENS);
    view! {
        <div class="sampling">
            <ParameterField
                label="Temperature"
                note="0 = greedy"
                meaning="Logits are divided by the temperature before the softmax; 0 always takes the most likely \
                         token. Default 0.8."
                value=parameters.temperature
                low=0.0
                high=10.0
                step="0.05"
            />
            <ParameterField
                label="Top-k"
                note="0 = off"
                meaning="Only the k most likely tokens can be sampled; 0 allows all."
                value=parameters.top_k
                low=0.0
                high=1e6
                step="1"
            />
            <ParameterField
                label="Top-p"
                note="1 = off"
                meaning="Only the most likely tokens whose probabilities sum to p can be sampled; 1 allows all."
                value=parameters.top_p
                low=0.01
                high=1.0
                step="0.01"
            />
            <ParameterField
                label="Seed"
                note=""
                meaning="The same seed with the same parameters gives the same completion."
                value=parameters.seed
                low=0.0
                high=9e15
                step="1"
            />
            <ParameterField
                label="Length"
                note="tokens"
                meaning="Maximum number of tokens to generate; the model can end the document earlier."
                value=parameters.tokens
                low=1.0
                high=longest
                step="1"
            />
        </div>
    }
}

#[component]
fn ParameterField(
    label: &'static str,
    note: &'static str,
    meaning: &'static str,
    value: RwSignal<f64>,
    low: f64,
    high: f64,
    step: &'static str,
) -> impl IntoView {
    // Whether the typed text is invalid; the parameter then keeps its last valid value.
    let is_invalid = RwSignal::new(false);
    let is_whole = step == "1";
    let read = move |text: String| match text.trim().parse::<f64>() {
        Ok(number) if (low..=high).contains(&number) && !(is_whole && number.fract() != 0.0) => {
            is_invalid.set(false);
            value.set(number);
        }
        _ => is_invalid.set(true),
    };
    view! {
        <label class="field" title=meaning>
            <span class="label">{label}<span class="unit">{format!(" {note}")}</span></span>
            <input
                type="number"
                step=step
                min=low
                max=high
                prop:value=move || value.get().to_string()
                aria-invalid=move || is_invalid.get().then_some("true")
                on:input:target=move |event| read(event.target().value())
            />
            <span class="field-error" role="alert">
                {move || is_invalid.get().then(|| format!("Give a value from {} to {}.", short(low), short(high)))}
            </span>
        </label>
    }
}
