//! A completion while it is generated: each token is coloured by its probability, and the most likely tokens at the
//! position of the selected token are listed below.

use figure::number::{self, THIN};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::completion::{CompletionEnd, CompletionToken};

use super::generation::{Generation, Status};
use super::source::{NoWeights, Source};
use crate::components::number::counted;
use crate::components::{CopyButton, Failure, show_nearest};

/// Tokens with a lower probability are also underlined, so that it is not shown by colour alone.
const UNLIKELY: f64 = 0.1;

/// Cividis (Nuñez, Anderton and Renslow 2018) at five places, dark blue for 0 and yellow for 1.
const CIVIDIS: [[f64; 3]; 5] =
    [[0.0, 34.0, 78.0], [66.0, 78.0, 108.0], [124.0, 123.0, 120.0], [188.0, 175.0, 111.0], [254.0, 232.0, 56.0]];

fn cividis(fraction: f64) -> String {
    let position = fraction.clamp(0.0, 1.0) * (CIVIDIS.len() - 1) as f64;
    let at = (position as usize).min(CIVIDIS.len() - 2);
    let part = |channel: usize| {
        let (a, b) = (CIVIDIS[at][channel], CIVIDIS[at + 1][channel]);
        (a + (b - a) * (position - at as f64)).round()
    };
    format!("rgb({} {} {})", part(0), part(1), part(2))
}

/// `4.31 %`
fn percent(fraction: f64) -> String {
    match fraction * 100.0 {
        percent if percent < 0.01 => format!("< 0.01{THIN}%"),
        percent => format!("{}{THIN}%", number::short(percent)),
    }
}

/// A token with visible white space.
fn visible(text: &str) -> String {
    let shown = crate::components::visible(text).replace('\n', "⏎").replace('\t', "⇥");
    if shown.chars().all(char::is_whitespace) { shown.replace(' ', "␣") } else { shown }
}

/// The colour scale.
#[component]
pub(super) fn ProbabilityScale() -> impl IntoView {
    let stops: Vec<String> = (0..=4).map(|i| cividis(f64::from(i) / 4.0)).collect();
    view! {
        <div
            class="tint-scale small dim"
            title="Probability of each token under the model, before temperature, top-k and top-p; tokens below 10 % \
                   are underlined"
        >
            <span>"0 %"</span>
            <i style:background=format!("linear-gradient(90deg, {})", stops.join(", "))></i>
            <span>"100 % probability"</span>
        </div>
    }
}

/// The completion, its state, and the selected token.
#[component]
pub(super) fn CompletionText(generation: Generation, source: Source) -> impl IntoView {
    let selected = RwSignal::new(None::<usize>);
    Effect::new(move |_| {
        if generation.tokens.read().is_empty() {
            selected.set(None);
        }
    });
    let stage = Memo::new(move |_| match &*generation.status.read() {
        Status::Idle => 0,
        Status::Loading => 1,
        _ if generation.tokens.read().is_empty() => 2,
        _ => 3,
    });
    view! {
        {move || match (stage.get(), source.without_weights()) {
            (0, Some(run)) => view! { <NoWeights run source /> }.into_any(),
            (0, None) => view! {
                <p class="completion-text idle dim">
                    "No completion yet. Press Generate to complete the prompt."
                </p>
            }.into_any(),
            (1, _) => view! {
                <p class="completion-text idle dim" role="status">"Loading the checkpoint …"</p>
            }.into_any(),
            (2, _) => ().into_any(),
            _ => view! { <Tokens generation selected /> }.into_any(),
        }}
        {move || match &*generation.status.read() {
            Status::Failed(failure) => view! {
                <Failure what="The completion failed" failure=failure.clone() />
            }.into_any(),
            _ => ().into_any(),
        }}
        <Show when=move || stage.get() == 3>
            <Footer generation />
            {move || selected.get().and_then(|at| generation.tokens.read().get(at).cloned()).map(|token| view! {
                <TokenDetails token />
            })}
        </Show>
    }
}

#[component]
fn Tokens(generation: Generation, selected: RwSignal<Option<usize>>) -> impl IntoView {
    let field = NodeRef::<html::Div>::new();
    let under = move |event: &web_sys::Event| {
        let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
        target.closest("[data-at]").ok()??.get_attribute("data-at")?.parse::<usize>().ok()
    };
    let go = move |event: leptos::ev::KeyboardEvent| {
        let last = generation.tokens.read_untracked().len().saturating_sub(1);
        let at = selected.get_untracked();
        let next = match event.key().as_str() {
            "ArrowRight" => at.map_or(0, |at| (at + 1).min(last)),
            "ArrowLeft" => at.map_or(last, |at| at.saturating_sub(1)),
            "Home" => 0,
            "End" => last,
            "Escape" => {
                selected.set(None);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        selected.set(Some(next));
        let shown =
            field.get_untracked().and_then(|field| field.query_selector(&format!("[data-at='{next}']")).ok()?);
        if let Some(shown) = shown {
            show_nearest(&shown);
        }
    };
    let pick = move |event: &web_sys::Event| {
        if let Some(at) = under(event) {
            selected.set(Some(at));
        }
    };
    view! {
        <div
            class="completion-text"
            node_ref=field
            tabindex="0"
            role="group"
            aria-label="Completion; the left and right arrow keys select a token"
            on:keydown=go
            on:pointerover=move |event| pick(&event)
            on:click=move |event| pick(&event)
        >
            <span class="prompt">{move || crate::components::visible(&generation.prompt.read()).into_owned()}</span>
            <For each=move || 0..generation.tokens.read().len() key=|at| *at let(at)>
                <Token generation at selected />
            </For>
        </div>
    }
}

#[component]
fn Token(generation: Generation, at: usize, selected: RwSignal<Option<usize>>) -> impl IntoView {
    let token = generation.tokens.with_untracked(|tokens| tokens.get(at).cloned());
    token.map(|token| {
        // The style sheet makes the colour lighter, so that the text has enough contrast.
        let tint = cividis(token.probability);
        let is_selected = Memo::new(move |_| selected.get() == Some(at));
        view! {
            <span
                class="generated"
                class:unlikely=token.probability < UNLIKELY
                class:selected=move || is_selected.get()
                data-at=at
                style:--tint=tint
            >
                {crate::components::visible(&token.text).into_owned()}
            </span>
        }
    })
}

/// That the beginning of the prompt was not used.
fn cropped(dropped: u64) -> String {
    let tokens = if dropped == 1 { "token".to_owned() } else { counted(dropped, "token") };
    format!("· The first {tokens} of the prompt were dropped: the prompt is longer than the context.")
}

/// Speed, reason of the end, and the copy button.
#[component]
fn Footer(generation: Generation) -> impl IntoView {
    let ending = move || match &*generation.status.read() {
        Status::Generating => " so far".to_owned(),
        Status::Stopped => " (stopped)".into(),
        Status::Failed(_) => " (failed)".into(),
        Status::Done(done) => {
            let why = match done.stopped {
                CompletionEnd::Length => "length reached",
                CompletionEnd::Eot => "stopped at end of document",
            };
            format!(" ({why}) · checkpoint of step {}", number::whole(done.checkpoint.step))
        }
        Status::Idle | Status::Loading => String::new(),
    };
    view! {
        <p class="row small completion-footer">
            <span role="status">
                {move || counted(generation.tokens.read().len() as u64, "token")}
                <span class="dim">{ending}</span>
            </span>
            {move || generation.prompt_dropped().map(|dropped| view! { <span>{cropped(dropped)}</span> })}
            {move || generation.tokens_per_sec().map(|speed| view! {
                <span class="dim" title="Generated tokens per second, not counting the time to load the checkpoint">
                    {format!("· {}", number::with_unit(speed, "tok/s"))}
                </span>
            })}
            <span class="grow"></span>
            <CopyButton
                text=move || generation.whole_text()
                title="Copy the prompt and the completion"
                done="The completion was copied"
            />
        </p>
    }
}

/// A token: its probability, and the most likely tokens at its position.
#[component]
fn TokenDetails(token: CompletionToken) -> impl IntoView {
    let CompletionToken { text, probability, alternatives, token } = token;
    let nats = -probability.max(1e-300).ln();
    let rows = alternatives.into_iter().map(|other| {
        let fraction = other.probability;
        view! {
            <tr>
                <td class="mono">{visible(&other.text)}</td>
                <td class="right">{percent(fraction)}</td>
                <td class="probability">
                    <i style:width=format!("{:.1}%", fraction * 100.0) style:background=cividis(fraction)></i>
                </td>
            </tr>
        }
    });
    view! {
        <div class="token-details" role="status">
            <p>
                <b class="mono">
                    {if text.is_empty() { "end of document, or part of a character".into() } else { visible(&text) }}
                </b>
                <span class="dim">{format!(" id {token} · ")}</span>
                {percent(probability)}
                <span class="dim" title="Loss of the token, −ln p">{format!(" · {} nats", number::short(nats))}</span>
            </p>
            <table>
                <thead>
                    <tr>
                        <th scope="col" title="The most likely tokens at this position">"Most likely"</th>
                        <th scope="col" class="right" title="Before temperature, top-k and top-p">"Probability"</th>
                        <th scope="col"><span class="unseen">"Probability as a bar"</span></th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}
