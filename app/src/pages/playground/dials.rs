//! How tokens are drawn: five numbers, each with what it does.

use leptos::prelude::*;
use wire::complete::{CompleteAsk, TOKENS};
use wire::{CheckpointId, RunId};

/// The five numbers.
#[derive(Clone, Copy)]
pub(super) struct Dials {
    temperature: RwSignal<f64>,
    top_k: RwSignal<f64>,
    top_p: RwSignal<f64>,
    seed: RwSignal<f64>,
    tokens: RwSignal<f64>,
}

impl Dials {
    /// As usual.
    pub(super) fn new() -> Self {
        Self {
            temperature: RwSignal::new(0.8),
            top_k: RwSignal::new(0.0),
            top_p: RwSignal::new(1.0),
            seed: RwSignal::new(1.0),
            tokens: RwSignal::new(200.0),
        }
    }

    /// The question that they and a prompt are, to these weights.
    pub(super) fn ask(self, run: RunId, checkpoint: Option<CheckpointId>, prompt: String) -> CompleteAsk {
        CompleteAsk {
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

/// All five in a row.
#[component]
pub(super) fn DialRow(dials: Dials) -> impl IntoView {
    let longest = f64::from(TOKENS);
    view! {
        <div class="play-dials">
            <Dial label="Temperature" note="0: always the likeliest" value=dials.temperature low=0.0 high=10.0 step="0.05" />
            <Dial label="Top-k" note="0: all tokens" value=dials.top_k low=0.0 high=1e6 step="1" />
            <Dial label="Top-p" note="1: all tokens" value=dials.top_p low=0.01 high=1.0 step="0.01" />
            <Dial label="Seed" note="same seed, same text" value=dials.seed low=0.0 high=9e15 step="1" />
            <Dial label="Length" note="tokens" value=dials.tokens low=1.0 high=longest step="1" />
        </div>
    }
}

#[component]
fn Dial(
    label: &'static str,
    note: &'static str,
    value: RwSignal<f64>,
    low: f64,
    high: f64,
    step: &'static str,
) -> impl IntoView {
    // What was typed and cannot be used; the dial keeps its last good value.
    let bad = RwSignal::new(false);
    let is_whole = step == "1";
    let read = move |text: String| match text.trim().parse::<f64>() {
        Ok(number) if (low..=high).contains(&number) && !(is_whole && number.fract() != 0.0) => {
            bad.set(false);
            value.set(number);
        }
        _ => bad.set(true),
    };
    view! {
        <label class="field">
            <span class="label">{label}<span class="unit">{format!(" {note}")}</span></span>
            <input
                type="number"
                step=step
                min=low
                max=high
                prop:value=move || value.get().to_string()
                aria-invalid=move || bad.get().then_some("true")
                on:input:target=move |event| read(event.target().value())
            />
            <span class="field-error" role="alert">{move || bad.get().then(|| format!("{} to {}", figure::number::short(low), figure::number::short(high)))}</span>
        </label>
    }
}
