//! The model: a card for each preset with its cost on the device, and the depth slider.

use leptos::prelude::*;
use wire::run::preset::{DEPTHS, PresetInfo, presets};

use super::draft::Draft;
use super::field::{FieldError, FormSection};
use crate::components::number::{about, grouped, short, small};
use crate::components::{Number, Toasts, hint_sentence, sentence};

/// Training times from here on, 90 days, are marked on the card.
const TOO_SLOW_SECS: f64 = 90.0 * 86_400.0;

/// The presets.
#[component]
pub(super) fn ModelChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let has_depth = move || draft.spec.read().preset.as_deref() == Some("depth");
    view! {
        <FormSection title="Model" note="Preset for the architecture and the hyperparameters. Change any of them below.">
            <div class="cards" role="radiogroup" aria-label="Preset">
                {presets().into_iter().map(|preset| view! { <PresetCard preset /> }).collect_view()}
            </div>
            <FieldError field="preset" />
            <Show when=has_depth><DepthSlider /></Show>
        </FormSection>
    }
}

#[component]
fn PresetCard(preset: PresetInfo) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let toasts = expect_context::<Toasts>();
    let PresetInfo { name, size, about: purpose, .. } = preset;
    let name = StoredValue::new(name);
    let is_chosen = move || draft.spec.read().preset == Some(name.get_value());
    // The cost of this card: the current draft with the hyperparameters of this preset.
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
            let changes = if cleared == 1 {
                "1 changed hyperparameter was".to_owned()
            } else {
                format!("{cleared} changed hyperparameters were")
            };
            toasts.undoable(format!("{changes} reset to the preset"), move || draft.set(|spec| *spec = before.clone()));
        }
    };
    view! {
        <label class="card preset" title=format!("Preset {}. Size: {size}. Sets all hyperparameters; the dataset stays selected.", name.get_value())>
            <input type="radio" name="preset" prop:checked=is_chosen on:change=choose />
            <span class="card-title mono">{name.get_value()}</span>
            <span class="small dim">{purpose}</span>
            <span class="small card-foot">
                {move || match cost.get() {
                    None => ().into_any(),
                    Some(Ok(view)) => {
                        let exact = format!("{} parameters, all of which are \
                            trained. Time at the measured speed of the device.", grouped(view.estimate.parameters));
                        let is_slow = view.estimate.secs.is_some_and(|secs| secs > TOO_SLOW_SECS);
                        let wait = view.estimate.secs.map_or("unknown time".to_owned(), about);
                        view! {
                            <Number text=short(view.estimate.parameters as f64) unit="parameters" meaning=exact />
                            " · "
                            {match is_slow { false => view! { {wait} }.into_any(), true => view! {
                                <span class="over">{format!("too slow on {} ({wait})", view.plan.device)}</span>
                            }.into_any() }}
                        }.into_any()
                    }
                    // Said once, at the device or the dataset.
                    Some(Err(error)) if ["device", "corpus", "mix"].contains(&error.field.as_str()) => ().into_any(),
                    Some(Err(error)) => view! {
                        <span class="over" title=error.hint.as_deref().and_then(hint_sentence)>{sentence(&error.message)}</span>
                    }.into_any(),
                }}
            </span>
        </label>
    }
}

/// One slider for the size of the model.
#[component]
fn DepthSlider() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let recipe = Memo::new(move |_| draft.preset().map(|preset| preset.recipe));
    let depth = move || recipe.read().as_ref().map_or(4, |recipe| recipe.model.layers as u32);
    let set_depth = move |typed: &str| {
        if let Ok(depth) = typed.parse() {
            draft.set(|spec| spec.depth = Some(depth));
        }
    };
    let derived = move || {
        recipe.read().as_ref().map(|recipe| {
            let model = &recipe.model;
            format!(
                "model width {}, {} heads, context length {}, learning rate {}",
                grouped(model.d_model as u64),
                model.heads,
                grouped(model.seq as u64),
                small(recipe.optimizer.learning_rate)
            )
        })
    };
    view! {
        <label class="field depth" title="Number of layers, 1 to 64. Width, heads and learning rate follow from it. Default: 4.">
            <span class="label">"Depth"</span>
            <span class="row">
                <input
                    type="range"
                    class="grow"
                    min=DEPTHS.start().to_string()
                    max=DEPTHS.end().to_string()
                    step="1"
                    prop:value=move || depth().to_string()
                    aria-valuetext=move || format!("{} layers", depth())
                    on:input:target=move |event| set_depth(&event.target().value())
                />
                <output class="mono">{depth}" layers"</output>
            </span>
            <span class="small dim">{derived}</span>
            <FieldError field="depth" />
        </label>
    }
}
