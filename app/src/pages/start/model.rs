//! Which model: a card for each preset with what it costs on this device, and the depth dial.

use leptos::prelude::*;
use wire::preset::{PresetInfo, presets};

use super::draft::Draft;
use super::field::{FieldError, Part};
use crate::parts::number::{about, grouped, short, small};
use crate::parts::{Number, Toasts};

/// Layers that the dial reaches; more can be typed among the numbers.
const DIAL: std::ops::RangeInclusive<u32> = 1..=24;

/// The presets.
#[component]
pub(super) fn ModelChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let is_dial = move || draft.spec.read().preset.as_deref() == Some("depth");
    view! {
        <Part title="Model" note="a shape with a recipe that suits it; every number can be changed below">
            <div class="cards" role="radiogroup" aria-label="Preset">
                {presets().into_iter().map(|preset| view! { <PresetCard preset /> }).collect_view()}
            </div>
            <FieldError field="preset" />
            <Show when=is_dial><Dial /></Show>
        </Part>
    }
}

#[component]
fn PresetCard(preset: PresetInfo) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let toasts = expect_context::<Toasts>();
    let PresetInfo { name, size, about: purpose, .. } = preset;
    let name = StoredValue::new(name);
    let is_chosen = move || draft.spec.read().preset == Some(name.get_value());
    // What this card would cost: the draft as it is, with this preset's own numbers.
    let cost = Memo::new(move |_| {
        draft.resolve_with(|spec| {
            let is_this = spec.preset == Some(name.get_value());
            spec.preset = Some(name.get_value());
            if !is_this {
                (spec.depth, spec.overrides) = (None, Default::default());
            }
        })
    });
    let choose = move |_| {
        let before = draft.spec.get_untracked();
        draft.set(|spec| {
            spec.preset = Some(name.get_value());
            (spec.depth, spec.overrides) = (None, Default::default());
        });
        let cleared = before.overrides.len();
        if cleared > 0 {
            let numbers = if cleared == 1 {
                "1 changed number was".to_owned()
            } else {
                format!("{cleared} changed numbers were")
            };
            toasts.undoable(format!("{numbers} put back to the preset's"), move || {
                draft.set(|spec| *spec = before.clone())
            });
        }
    };
    view! {
        <label class="card preset">
            <input type="radio" name="preset" prop:checked=is_chosen on:change=choose />
            <span class="card-title mono">{name.get_value()}</span>
            <span class="small">{size}</span>
            <span class="small dim">{purpose}</span>
            <span class="small card-foot">
                {move || match cost.get() {
                    None => ().into_any(),
                    Some(Ok(view)) => {
                        let exact = format!("{} trained numbers", grouped(view.estimate.parameters));
                        let wait = view.estimate.secs.map_or("time not known yet".to_owned(), about);
                        view! { <Number text=short(view.estimate.parameters as f64) unit="parameters" meaning=exact />" · "{wait} }.into_any()
                    }
                    Some(Err(error)) if error.message.starts_with("needs about") => view! { <span class="over">{error.message}</span> }.into_any(),
                    Some(Err(_)) => view! { <span class="dim">"not with these settings"</span> }.into_any(),
                }}
            </span>
        </label>
    }
}

/// One dial for size.
#[component]
fn Dial() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let recipe = Memo::new(move |_| draft.preset().map(|preset| preset.recipe));
    let depth = move || recipe.read().as_ref().map_or(4, |recipe| recipe.model.layers as u32);
    let follows = move || {
        recipe.read().as_ref().map(|recipe| {
            let model = &recipe.model;
            format!(
                "{} wide, {} heads, {} tokens of context, rate {}",
                grouped(model.d_model as u64),
                model.heads,
                grouped(model.seq as u64),
                small(recipe.optimizer.rate)
            )
        })
    };
    view! {
        <label class="field dial">
            <span class="label">"Depth"</span>
            <span class="row">
                <input
                    type="range"
                    class="grow"
                    min=DIAL.start().to_string()
                    max=DIAL.end().to_string()
                    step="1"
                    prop:value=move || depth().to_string()
                    aria-valuetext=move || format!("{} layers", depth())
                    on:input:target=move |event| if let Ok(depth) = event.target().value().parse() { draft.set(|spec| spec.depth = Some(depth)) }
                />
                <output class="mono">{depth}" layers"</output>
            </span>
            <span class="small dim">{follows}</span>
            <FieldError field="depth" />
        </label>
    }
}
