//! A text as it is written: each token tinted by the probability the model gave it, and under the pointer or the arrow keys what it
//! would rather have written.

use figure::number;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::complete::{CompletedToken, CompletionEnd};

use super::source::{NoWeights, Source};
use super::writing::{Standing, Writing};
use crate::parts::{CopyButton, Failure};

/// Below this a token is underlined too, so that surprise is not told by colour alone.
const RARE: f64 = 0.1;

/// Cividis (Nuñez, Anderton and Renslow 2018) at five places, dark blue for 0 and yellow for 1.
const CIVIDIS: [[f64; 3]; 5] =
    [[0.0, 34.0, 78.0], [66.0, 78.0, 108.0], [124.0, 123.0, 120.0], [188.0, 175.0, 111.0], [254.0, 232.0, 56.0]];

fn cividis(share: f64) -> String {
    let place = share.clamp(0.0, 1.0) * (CIVIDIS.len() - 1) as f64;
    let at = (place as usize).min(CIVIDIS.len() - 2);
    let part = |channel: usize| {
        let (a, b) = (CIVIDIS[at][channel], CIVIDIS[at + 1][channel]);
        (a + (b - a) * (place - at as f64)).round()
    };
    format!("rgb({} {} {})", part(0), part(1), part(2))
}

/// `4.31 %`
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 0.01 => "under 0.01 %".into(),
        percent => format!("{} %", number::short(percent)),
    }
}

/// What can be seen of a token that may be white space.
fn visible(text: &str) -> String {
    let shown = text.replace('\n', "⏎").replace('\t', "⇥");
    if shown.chars().all(char::is_whitespace) { shown.replace(' ', "␣") } else { shown }
}

/// What the tints mean.
#[component]
pub(super) fn TintScale() -> impl IntoView {
    let stops: Vec<String> = (0..=4).map(|i| cividis(f64::from(i) / 4.0)).collect();
    view! {
        <div class="tint-scale small dim" title="How likely the model thought each token, before temperature and cuts; tokens under 10 % are underlined">
            <span>"0 %"</span>
            <i style:background=format!("linear-gradient(90deg, {})", stops.join(", "))></i>
            <span>"100 % probability"</span>
        </div>
    }
}

/// The text, how it stands, and the token that is looked at.
#[component]
pub(super) fn Text(writing: Writing, source: Source) -> impl IntoView {
    let looked_at = RwSignal::new(None::<usize>);
    Effect::new(move |_| {
        if writing.tokens.read().is_empty() {
            looked_at.set(None);
        }
    });
    let stage = Memo::new(move |_| match &*writing.standing.read() {
        Standing::Idle => 0,
        Standing::Loading => 1,
        _ if writing.tokens.read().is_empty() => 2,
        _ => 3,
    });
    view! {
        {move || match (stage.get(), source.without_weights()) {
            (0, Some(run)) => view! { <NoWeights run source /> }.into_any(),
            (0, None) => view! { <p class="written idle dim">"Nothing written yet: Write completes the prompt, token by token."</p> }.into_any(),
            (1, _) => view! { <p class="written idle dim" role="status">"Loading the checkpoint …"</p> }.into_any(),
            (2, _) => ().into_any(),
            _ => view! { <Tokens writing looked_at /> }.into_any(),
        }}
        {move || match &*writing.standing.read() {
            Standing::Failed(failure) => view! { <Failure what="The text could not be written" failure=failure.clone() /> }.into_any(),
            _ => ().into_any(),
        }}
        <Show when=move || stage.get() == 3>
            <Foot writing />
            {move || looked_at.get().and_then(|at| writing.tokens.read().get(at).cloned()).map(|token| view! { <Look token /> })}
        </Show>
    }
}

#[component]
fn Tokens(writing: Writing, looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let field = NodeRef::<html::Div>::new();
    let under = move |event: &web_sys::Event| {
        let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
        target.closest("[data-at]").ok()??.get_attribute("data-at")?.parse::<usize>().ok()
    };
    let go = move |event: leptos::ev::KeyboardEvent| {
        let last = writing.tokens.read_untracked().len().saturating_sub(1);
        let at = looked_at.get_untracked();
        let next = match event.key().as_str() {
            "ArrowRight" => at.map_or(0, |at| (at + 1).min(last)),
            "ArrowLeft" => at.map_or(last, |at| at.saturating_sub(1)),
            "Home" => 0,
            "End" => last,
            "Escape" => {
                looked_at.set(None);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        looked_at.set(Some(next));
        let shown =
            field.get_untracked().and_then(|field| field.query_selector(&format!("[data-at='{next}']")).ok()?);
        if let Some(shown) = shown {
            let near = web_sys::ScrollIntoViewOptions::new();
            near.set_block(web_sys::ScrollLogicalPosition::Nearest);
            shown.scroll_into_view_with_scroll_into_view_options(&near);
        }
    };
    let look = move |event: &web_sys::Event| {
        if let Some(at) = under(event) {
            looked_at.set(Some(at));
        }
    };
    view! {
        <div
            class="written"
            node_ref=field
            tabindex="0"
            role="group"
            aria-label="The text; left and right arrows go through its tokens"
            on:keydown=go
            on:pointerover=move |event| look(&event)
            on:click=move |event| look(&event)
        >
            <span class="prompt">{move || writing.prompt.get()}</span>
            <For each=move || 0..writing.tokens.read().len() key=|at| *at let(at)>
                <Token writing at looked_at />
            </For>
        </div>
    }
}

#[component]
fn Token(writing: Writing, at: usize, looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let token = writing.tokens.with_untracked(|tokens| tokens.get(at).cloned());
    token.map(|token| {
        // The style sheet thins the tint, so that the ink stands out from every one of them.
        let tint = cividis(token.probability);
        let is_looked_at = Memo::new(move |_| looked_at.get() == Some(at));
        view! { <span class="drawn" class:rare=token.probability < RARE class:looked=move || is_looked_at.get() data-at=at style:--tint=tint>{token.text}</span> }
    })
}

/// Speed, why it ended, and the copy button.
#[component]
fn Foot(writing: Writing) -> impl IntoView {
    let ending = move || match &*writing.standing.read() {
        Standing::Writing => "writing".to_owned(),
        Standing::Stopped => "stopped here".into(),
        Standing::Failed(_) => "broke off here".into(),
        Standing::Done(done) => {
            let why = match done.stopped {
                CompletionEnd::Length => "the length asked for",
                CompletionEnd::Eot => "the model ended the text",
            };
            format!("{why} · step {}", number::whole(done.checkpoint.step))
        }
        Standing::Idle | Standing::Loading => String::new(),
    };
    view! {
        <p class="row small written-foot">
            <span role="status">{move || format!("{} tokens", number::whole(writing.tokens.read().len() as u64))}<span class="dim">{move || format!(" · {}", ending())}</span></span>
            {move || writing.tokens_per_sec().map(|speed| view! { <span class="dim" title="Tokens written per second, loading left out">{format!("{} tok/s", number::short(speed))}</span> })}
            <span class="grow"></span>
            <CopyButton text=move || writing.whole_text() title="The prompt and the text" done="The text is on the clipboard" />
        </p>
    }
}

/// One token: its probability, and what else could have come.
#[component]
fn Look(token: CompletedToken) -> impl IntoView {
    let CompletedToken { text, probability, alternatives, token } = token;
    let nats = -probability.max(1e-300).ln();
    let rows = alternatives.into_iter().map(|other| {
        let share = other.probability;
        view! {
            <tr>
                <td class="mono">{visible(&other.text)}</td>
                <td class="right">{percent(share)}</td>
                <td class="likely"><i style:width=format!("{:.1}%", share * 100.0) style:background=cividis(share)></i></td>
            </tr>
        }
    });
    view! {
        <div class="look" role="status">
            <p>
                <b class="mono">{if text.is_empty() { "end, or a part of a character".into() } else { visible(&text) }}</b>
                <span class="dim">{format!(" token {token} · ")}</span>
                {percent(probability)}
                <span class="dim" title="-ln of its probability">{format!(" · {} nats", number::short(nats))}</span>
            </p>
            <table>
                <thead><tr><th scope="col">"Likeliest"</th><th scope="col" class="right">"Probability"</th><th scope="col"><span class="unseen">"As a bar"</span></th></tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}
