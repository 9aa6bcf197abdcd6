//! The sampling parameters.

use leptos::prelude::*;
use wire::completion::{CompletionRequest, TOKENS};
use wire::hyperparameters::table::Values;
use wire::{CheckpointId, RunId};

use crate::components::hyperparameters::with_comma;
use crate::components::{NumberField, SEEDS, TypedNumber};

/// Temperature, top-k, top-p, seed and length.
#[derive(Clone, Copy)]
pub(super) struct SamplingParameters {
    temperature: TypedNumber,
    top_k: TypedNumber,
    top_p: TypedNumber,
    seed: TypedNumber,
    tokens: TypedNumber,
}

impl SamplingParameters {
    /// The defaults.
    pub(super) fn new() -> Self {
        let integer =
            |min: u64, max: u32, default: u64| TypedNumber::new(Values::Integer { min, max: max.into() }, default);
        Self {
            temperature: TypedNumber::new(Values::Number { min: 0.0, max: 2.0 }, 0.8),
            top_k: integer(0, u32::MAX, 0),
            top_p: TypedNumber::new(Values::Number { min: Values::ABOVE_ZERO, max: 1.0 }, 1),
            seed: TypedNumber::new(SEEDS, 1),
            tokens: integer(1, TOKENS, 200),
        }
    }

    /// The request for a completion; `None` while a field has no number.
    pub(super) fn request(
        self,
        run: RunId,
        checkpoint: Option<CheckpointId>,
        prompt: String,
    ) -> Option<CompletionRequest> {
        Some(CompletionRequest {
            run,
            checkpoint,
            prompt,
            tokens: self.tokens.small_integer()?,
            temperature: self.temperature.number()?,
            top_k: self.top_k.small_integer()?,
            top_p: self.top_p.number()?,
            seed: self.seed.integer()?,
        })
    }

    /// Whether every field has a number.
    pub(super) fn are_readable(self) -> bool {
        [self.temperature, self.top_k, self.top_p, self.seed, self.tokens].into_iter().all(TypedNumber::is_readable)
    }
}

#[component]
pub(super) fn SamplingForm(parameters: SamplingParameters) -> impl IntoView {
    view! {
        <div class="sampling">
            <ParameterField
                label="Temperature"
                note="0 = greedy"
                meaning="Logits are divided by the temperature before the softmax; 0 always chooses the most likely \
                         token. From 0 to 2. Default: 0.8."
                number=parameters.temperature
            />
            <ParameterField
                label="Top-k"
                note="0 = off"
                meaning="Only the k most likely tokens can be sampled; 0 allows all."
                number=parameters.top_k
            />
            <ParameterField
                label="Top-p"
                note="1 = off"
                meaning="Only the most likely tokens whose probabilities sum to p can be sampled; 1 allows all."
                number=parameters.top_p
            />
            <ParameterField
                label="Seed"
                note=""
                meaning="The same seed with the same parameters gives the same completion."
                number=parameters.seed
            />
            <ParameterField
                label="Length"
                note="tokens"
                meaning="Maximum number of tokens to generate; the model can end the document earlier."
                number=parameters.tokens
            />
        </div>
    }
}

#[component]
fn ParameterField(
    label: &'static str,
    note: &'static str,
    meaning: &'static str,
    number: TypedNumber,
) -> impl IntoView {
    view! {
        <label class="field" title=meaning>
            <span class="label">{label}<span class="unit">{with_comma(note)}</span></span>
            <NumberField number />
        </label>
    }
}
