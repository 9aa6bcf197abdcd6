//! One unit: the held-out contexts that make it fire most.

use figure::number;
use leptos::prelude::*;
use wire::look::Look;
use wire::sight::{Context, Histogram, Sight};

use super::seat::stand;
use super::{Inside, units};
use crate::parts::shows;
use crate::xray::clock::When;
use crate::xray::place::Place;
use crate::xray::tokens::visible;

/// Tokens shown on each side of the strongest.
const AROUND: usize = 24;

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let chosen = Memo::new(move |_| match *inside.place.read() {
        Place::Mlp { layer, unit: Some(unit) } => (layer, unit),
        _ => (0, 0),
    });
    let seat = inside.seat(when, move |_| {
        let (layer, unit) = chosen.get();
        Some(Look::Unit { layer, unit })
    });
    let seen = Memo::new(move |_| match &seat.shown.get()?.sight {
        Sight::Unit { contexts, read, .. } => Some((contexts.clone(), *read)),
        _ => None,
    });
    view! {
        <h2>{shows(move || format!("Unit {} of block {}", chosen.get().1, chosen.get().0))}</h2>
        {stand(inside, seat, move || view! {
            <p class="dim">{shows(move || seen.get().map(|(contexts, read)| format!("The {} held-out contexts, of {}, in which it fires most; deeper is stronger.", contexts.len(), number::with_unit(read as f64, "tokens"))))}</p>
            <ol class="contexts">{shows(move || seen.get().map(|(contexts, _)| contexts.into_iter().map(context).collect_view()))}</ol>
            {units::sizes(Signal::derive(move || match seat.shown.get().map(|shown| shown.sight.clone()) {
                Some(Sight::Unit { histogram, .. }) => histogram,
                _ => Histogram::default(),
            }), "Sizes of its activations")}
        }.into_any())}
    }
    .into_any()
}

fn context(context: Context) -> impl IntoView {
    let Context { window, tokens, activations, at } = context;
    let at = at as usize;
    let most = activations.iter().copied().fold(1e-9, f32::max);
    let strongest = activations.get(at).copied().unwrap_or(0.0);
    let words = tokens.into_iter().zip(activations).enumerate().skip(at.saturating_sub(AROUND)).take(2 * AROUND);
    let words = words.map(|(place, (word, value))| {
        let heat = (value / most).clamp(0.0, 1.0);
        let title = format!("“{}”: {}", visible(&word), number::short(f64::from(value)));
        view! { <span class="t" class:here=place == at class:hot={heat > 0.5} title=title style:--heat=format!("{heat:.3}")>{word.replace('\n', "⏎")}</span> }
    });
    view! {
        <li>
            <span class="small dim mono">{format!("{} · window {window}", number::short(f64::from(strongest)))}</span>
            <p class="token-text">{words.collect_view()}</p>
        </li>
    }
}
