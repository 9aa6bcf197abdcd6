//! The inspected text, token by token: coloured, pointed at, and walked through with the arrow keys.

use figure::number;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::inspect::result::InspectionResult;

use super::state::XrayState;
use super::subscription::Subscription;
use super::tokens::{mean, nats, nats_per_token, visible, with_marks};
use crate::components::shows;

/// Above this a token is underlined too, so that colour is not the only sign.
const UNDERLINED: f32 = 0.5;

/// Tokens, each coloured by a tint from 0 to 1; a tint that is not finite leaves it without colour. All views share the
/// chosen token.
pub(super) fn token_text(
    xray: XrayState,
    label: &'static str,
    tokens: Signal<Vec<String>>,
    tints: Signal<Vec<f32>>,
) -> AnyView {
    let words = Memo::new(move |_| tokens.get());
    let tints = Memo::new(move |_| tints.get());
    let token = xray.token;
    let point = move |event: &web_sys::Event| {
        let at = pointed_at(event);
        if at.is_some() && token.get_untracked() != at {
            token.set(at);
        }
    };
    let press = move |event: leptos::ev::KeyboardEvent| {
        let last = words.with_untracked(Vec::len).saturating_sub(1);
        if let Some(next) = moved(&event.key(), token.get_untracked(), last) {
            event.prevent_default();
            token.set(Some(next));
        }
    };
    let spans = move || {
        let words = words.get().into_iter().enumerate();
        words.map(|(at, word)| token_span(xray, at, &word, tints)).collect_view()
    };
    view! {
        <div
            class="token-text"
            tabindex="0"
            role="group"
            aria-label=format!("{label}; left and right arrows move through the tokens")
            on:pointerover=move |event| point(&event)
            on:click=move |event| point(&event)
            on:keydown=press
        >
            {shows(spans)}
        </div>
    }
    .into_any()
}

fn pointed_at(event: &web_sys::Event) -> Option<usize> {
    let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    target.get_attribute("data-at")?.parse().ok()
}

fn moved(key: &str, at: Option<usize>, last: usize) -> Option<usize> {
    match key {
        "ArrowRight" => Some(at.map_or(0, |at| (at + 1).min(last))),
        "ArrowLeft" => Some(at.map_or(last, |at| at.saturating_sub(1))),
        "Home" => Some(0),
        "End" => Some(last),
        _ => None,
    }
}

fn token_span(xray: XrayState, at: usize, word: &str, tints: Memo<Vec<f32>>) -> AnyView {
    let heat = Memo::new(move |_| tints.read().get(at).copied().filter(|tint| tint.is_finite()).unwrap_or(0.0));
    let is_chosen = Memo::new(move |_| xray.token.get() == Some(at));
    let is_hot = move || heat.get() > UNDERLINED;
    let breaks = word.contains('\n');
    view! {
        <span
            class="t"
            class:here=is_chosen
            class:hot=is_hot
            data-at=at.to_string()
            style:--heat=move || format!("{:.3}", heat.get())
        >
            {in_text(word)}
        </span>
        {breaks.then(|| view! { <br /> })}
    }
    .into_any()
}

/// A token as part of a text: blanks stay blanks, line breaks are visible.
fn in_text(text: &str) -> String {
    if text.is_empty() { visible(text) } else { with_marks(text) }
}

/// A token with a fixed colour, for lists of texts.
pub(super) fn still_token(word: &str, heat: f32, is_chosen: bool, title: String) -> AnyView {
    let heat = if heat.is_finite() { heat.clamp(0.0, 1.0) } else { 0.0 };
    let is_hot = heat > UNDERLINED;
    view! {
        <span class="t" class:here=is_chosen class:hot=is_hot title=title style:--heat=format!("{heat:.3}")>
            {with_marks(word)}
        </span>
    }
    .into_any()
}

/// The text of a logit lens, each token coloured by the loss of predicting it.
pub(super) fn loss_text(xray: XrayState, subscription: Subscription) -> AnyView {
    let tokens = Signal::derive(move || tokens_and_losses(subscription).map_or(vec![], |(tokens, _)| tokens));
    // The loss of predicting a token stands at the position before it.
    let losses = Memo::new(move |_| {
        tokens_and_losses(subscription).map_or(vec![], |(_, losses)| {
            std::iter::once(f32::NAN).chain(losses.iter().copied()).take(losses.len()).collect::<Vec<f32>>()
        })
    });
    let most = xray.ln_vocab as f32;
    let tints = Signal::derive(move || losses.read().iter().map(|loss| (loss / most).clamp(0.0, 1.0)).collect());
    let summary = move || {
        // With the prediction after the last token, whose own token is not part of the text, as in all other means over the text.
        let all = mean(tokens_and_losses(subscription)?.1)?;
        let chosen = xray.token.get().and_then(|at| Some((tokens.read().get(at).cloned()?, *losses.read().get(at)?)));
        let chosen = chosen.map_or_else(
            || "tap or point at a token, or use the arrow keys".into(),
            |(word, loss)| loss_of(&word, loss),
        );
        Some(format!("mean loss {} · {chosen}", nats_per_token(all as f32)))
    };
    view! {
        {token_text(xray, "The text, colored by loss", tokens, tints)}
        <p class="row small dim">
            <span
                class="loss-scale"
                title="Color scale of the loss of each token, −ln p(token | tokens before it): from 0 to ln V, the \
                       loss of the uniform distribution over the vocabulary. Tokens above half of ln V are underlined."
            >
                "0 "
                <i></i>
                {format!(" {} nats", number::short(xray.ln_vocab))}
            </span>
            <span role="status">{summary}</span>
        </p>
    }
    .into_any()
}

fn loss_of(word: &str, loss: f32) -> String {
    match loss.is_nan() {
        true => format!("“{}” is the first token; no token before it predicts it", visible(word)),
        false => format!("loss of “{}”: {}", visible(word), nats(loss)),
    }
}

fn tokens_and_losses(subscription: Subscription) -> Option<(Vec<String>, Vec<f32>)> {
    match &subscription.result.get()?.result {
        InspectionResult::LogitLens { tokens, losses, .. } => Some((tokens.clone(), losses.clone())),
        _ => None,
    }
}
