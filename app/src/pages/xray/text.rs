//! The text that a look reads, token by token: tinted, pointed at, walked through with the arrow keys.

use figure::number;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::sight::Sight;

use super::Inside;
use super::seat::Seat;
use crate::parts::shows;
use crate::xray::tokens::{mean, nats, visible};

/// Tokens with a tint each, 0 to 1, or none where it is no number. The chosen one is shared by all views.
pub(super) fn token_text(
    inside: Inside,
    label: &'static str,
    tokens: Signal<Vec<String>>,
    tints: Signal<Vec<f32>>,
) -> AnyView {
    let words = Memo::new(move |_| tokens.get());
    let tints = Memo::new(move |_| tints.get());
    let field = NodeRef::<html::Div>::new();
    let token = inside.token;
    let look = move |event: &web_sys::Event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let at = target.and_then(|target| target.get_attribute("data-at")).and_then(|at| at.parse::<usize>().ok());
        if at.is_some() && token.get_untracked() != at {
            token.set(at);
        }
    };
    let go = move |event: leptos::ev::KeyboardEvent| {
        let last = words.with_untracked(Vec::len).saturating_sub(1);
        let at = token.get_untracked();
        let next = match event.key().as_str() {
            "ArrowRight" => at.map_or(0, |at| (at + 1).min(last)),
            "ArrowLeft" => at.map_or(last, |at| at.saturating_sub(1)),
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        token.set(Some(next));
    };
    view! {
        <div class="token-text" node_ref=field tabindex="0" role="group" aria-label=format!("{label}; left and right arrows go through its tokens")
            on:pointerover=move |event| look(&event) on:click=move |event| look(&event) on:keydown=go>
            {shows(move || words.get().into_iter().enumerate().map(|(at, word)| {
                let heat = Memo::new(move |_| tints.read().get(at).copied().filter(|tint| tint.is_finite()).unwrap_or(0.0));
                let is_chosen = Memo::new(move |_| token.get() == Some(at));
                let breaks = word.contains('\n');
                view! {
                    <span class="t" class:here=is_chosen class:hot=move || { heat.get() > 0.5 } data-at=at.to_string() style:--heat=move || format!("{:.3}", heat.get())>{visible_inline(&word)}</span>
                    {breaks.then(|| view! { <br /> })}
                }
            }).collect_view())}
        </div>
    }
    .into_any()
}

/// As in running text: blanks stay blanks, breaks are shown.
fn visible_inline(text: &str) -> String {
    if text.is_empty() { visible(text) } else { text.replace('\n', "⏎").replace('\t', "⇥") }
}

/// The text of a lens, painted by the loss of saying each token.
pub(super) fn loss_text(inside: Inside, seat: Seat) -> AnyView {
    let tokens = Signal::derive(move || lens(seat).map_or(vec![], |(tokens, _)| tokens));
    // A token is painted by how hard it was to say: the loss at the place before it.
    let losses = Memo::new(move |_| {
        lens(seat).map_or(vec![], |(_, losses)| {
            let before = losses.iter().copied();
            std::iter::once(f32::NAN).chain(before).take(losses.len()).collect::<Vec<f32>>()
        })
    });
    let most = inside.ln_vocab as f32;
    let tints = Signal::derive(move || losses.read().iter().map(|loss| (loss / most).clamp(0.0, 1.0)).collect());
    let told = move || {
        let all = mean(losses.read().iter().copied())?;
        let chosen = inside.token.get().and_then(|at| Some((tokens.read().get(at).cloned()?, *losses.read().get(at)?)));
        let chosen = chosen.map(|(word, loss)| match loss.is_nan() {
            true => format!("“{}” is the first token: nothing foretells it", visible(&word)),
            false => format!("“{}” cost {}", visible(&word), nats(loss)),
        });
        Some(format!(
            "mean loss {} · {}",
            number::with_unit(all, "nats"),
            chosen.unwrap_or_else(|| "point at a token, or use the arrow keys".into())
        ))
    };
    view! {
        {token_text(inside, "The text, painted by loss", tokens, tints)}
        <p class="row small dim">
            <span class="loss-scale" title="Loss of saying each token, from 0 to that of knowing nothing, ln V">"0 "<i></i>{format!(" {} nats", number::short(inside.ln_vocab))}</span>
            <span role="status">{told}</span>
        </p>
    }
    .into_any()
}

fn lens(seat: Seat) -> Option<(Vec<String>, Vec<f32>)> {
    match &seat.shown.get()?.sight {
        Sight::Lens { tokens, losses, .. } => Some((tokens.clone(), losses.clone())),
        _ => None,
    }
}
