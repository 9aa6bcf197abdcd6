//! Every number of the recipe, made from the recipe's own JSON: the preset's value beside each, changed ones marked and
//! one click from the preset's. A number that the table of words does not know is shown all the same.

mod words;

use leptos::prelude::*;
use serde_json::Value;

use super::draft::Draft;
use super::field::FieldError;
use crate::parts::Icon;
use words::{SECTIONS, Word, word_of};

/// Paths and values of the leaves of a recipe; a schedule's shape is one leaf, whatever its form.
fn leaves(recipe: &Value) -> Vec<(String, Value)> {
    let sections = recipe.as_object().into_iter().flatten();
    sections
        .flat_map(|(section, fields)| {
            fields
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(field, value)| (format!("{section}.{field}"), value.clone()))
        })
        .collect()
}

/// The form.
#[component]
pub(super) fn Numbers() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let base = Memo::new(move |_| {
        draft.preset().and_then(|preset| serde_json::to_value(preset.recipe).ok()).unwrap_or_default()
    });
    let paths = Memo::new(move |_| leaves(&base.read()).into_iter().map(|(path, _)| path).collect::<Vec<_>>());
    let changed = move || draft.spec.read().overrides.len();
    let is_open = RwSignal::new(draft.spec.with_untracked(|spec| !spec.overrides.is_empty()));
    view! {
        <section class="stack part">
            <details class="numbers" prop:open=is_open>
                <summary>
                    <h2>"Every number"</h2>
                    <span class="small dim">{move || match changed() {
                        0 => "all as the preset has them".to_owned(),
                        1 => "1 changed".to_owned(),
                        many => format!("{many} changed"),
                    }}</span>
                </summary>
                {move || (changed() > 0).then(|| view! {
                    <button on:click=move |_| draft.set(|spec| spec.overrides.clear())><Icon name="undo" />"All back to the preset's"</button>
                })}
                {SECTIONS.map(|(section, title)| view! { <Section section title paths base /> })}
            </details>
            <FieldError field="overrides" />
        </section>
    }
}

#[component]
fn Section(section: &'static str, title: &'static str, paths: Memo<Vec<String>>, base: Memo<Value>) -> impl IntoView {
    let mine = Memo::new(move |_| {
        let mut mine: Vec<String> =
            paths.read().iter().filter(|path| path.split('.').next() == Some(section)).cloned().collect();
        mine.sort_by_key(|path| word_of(path).map_or(usize::MAX, |(place, _)| place));
        mine
    });
    view! {
        <fieldset>
            <legend><h3>{title}</h3></legend>
            <div class="number-grid">
                <For each=move || mine.get() key=Clone::clone let(path)><NumberField path base /></For>
            </div>
        </fieldset>
    }
}

#[component]
fn NumberField(path: String, base: Memo<Value>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let pointer = format!("/{}", path.replace('.', "/"));
    let usual = Memo::new(move |_| base.read().pointer(&pointer).cloned().unwrap_or_default());
    let word = word_of(&path).map(|(_, word)| *word);
    let (label, unit, meaning) = word
        .map_or_else(|| (path.clone(), "", ""), |Word { label, unit, meaning, .. }| (label.to_owned(), unit, meaning));
    let path = StoredValue::new(path);
    let typed = Memo::new(move |_| draft.spec.read().overrides.get(&path.get_value()).cloned());
    let set = Callback::new(move |value: Option<Value>| {
        let changed = value.filter(|value| !same(value, &usual.read_untracked()));
        draft.set(|spec| {
            match changed {
                Some(value) => spec.overrides.insert(path.get_value(), value),
                None => spec.overrides.remove(&path.get_value()),
            };
        });
    });
    let value = Signal::derive(move || typed.get().unwrap_or_else(|| usual.get()));
    let is_changed = move || typed.read().is_some();
    // The tokenizer decides the vocabulary; it is shown, not asked for.
    if path.get_value() == "model.vocab" {
        return view! { <Vocabulary /> }.into_any();
    }
    view! {
        <div class="number-field" class:changed=is_changed title=meaning>
            <label class="label" for=path.get_value()>{label}" "<span class="dim">{unit}</span></label>
            <Control id=path.get_value() value set choices=word.map(|word| word.choices).unwrap_or_default() />
            <span class="small dim usual">
                {move || if is_changed() {
                    view! { <button class="quiet" title="Back to the preset's value" on:click=move |_| set.run(None)><Icon name="undo" />{format!("preset {}", written(&usual.read()))}</button> }.into_any()
                } else {
                    view! { "as the preset" }.into_any()
                }}
            </span>
            <FieldError field=path.get_value() />
        </div>
    }
    .into_any()
}

#[component]
fn Vocabulary() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let vocab = move || match &*draft.outcome.read() {
        Some(Ok(view)) => view.plan.recipe.model.vocab.to_string(),
        _ => "–".to_owned(),
    };
    view! {
        <div class="number-field" title="Tokens of the vocabulary; set by the tokenizer.">
            <span class="label">"vocabulary "<span class="dim">"tokens"</span></span>
            <output class="mono">{vocab}</output>
            <span class="small dim usual">"the tokenizer's"</span>
        </div>
    }
}

/// The control that suits a value: a box to tick, a list, the schedule's shape, or text.
#[component]
fn Control(
    id: String,
    value: Signal<Value>,
    set: Callback<Option<Value>>,
    choices: &'static [&'static str],
) -> impl IntoView {
    if value.read_untracked().is_boolean() {
        return view! {
            <span class="tick"><input id=id type="checkbox" prop:checked=move || *value.read() == Value::Bool(true) on:change:target=move |event| set.run(Some(Value::Bool(event.target().checked()))) /></span>
        }
        .into_any();
    }
    if id == "schedule.shape" {
        return view! { <ShapeControl id value set /> }.into_any();
    }
    if !choices.is_empty() {
        return view! {
            <select id=id on:change:target=move |event| set.run(Some(Value::String(event.target().value())))>
                {choices.iter().map(|choice| view! { <option value=*choice selected=move || value.read().as_str() == Some(choice)>{*choice}</option> }).collect_view()}
            </select>
        }
        .into_any();
    }
    view! { <NumberText id value set /> }.into_any()
}

/// A number as text. What is no number is kept as typed, and the plan says what is wrong with it.
#[component]
fn NumberText(id: String, value: Signal<Value>, set: Callback<Option<Value>>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let text = RwSignal::new(String::new());
    let read = if value.read_untracked().is_array() { read_list } else { read };
    Effect::new(move || {
        let value = value.get();
        let is_said = read(&text.read_untracked()).is_some_and(|said| same(&said, &value));
        if !is_said {
            text.set(written(&value));
        }
    });
    let field = id.clone();
    view! {
        <input
            id=id
            class="mono"
            inputmode="decimal"
            autocomplete="off"
            aria-invalid=move || draft.error_at(&field).map(|_| "true")
            prop:value=text
            on:input:target=move |event| {
                let typed = event.target().value();
                text.set(typed.clone());
                set.run(read(&typed));
            }
        />
    }
}

/// The shapes by name; the one with a length of its own asks for it.
#[component]
fn ShapeControl(id: String, value: Signal<Value>, set: Callback<Option<Value>>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let name = Memo::new(move |_| match &*value.read() {
        Value::String(name) => name.clone(),
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    });
    let decay = Memo::new(move |_| value.read().pointer("/wsd/decay_steps").and_then(Value::as_u64));
    let wsd = move |steps: u64| serde_json::json!({ "wsd": { "decay_steps": steps } });
    let choose = move |chosen: String| {
        let steps = draft
            .outcome
            .read_untracked()
            .as_ref()
            .and_then(|outcome| outcome.as_ref().ok())
            .map_or(2000, |view| view.plan.steps);
        match chosen.as_str() {
            "wsd" => set.run(Some(wsd(steps / 5))),
            // A drawn curve comes only with a copied run; it cannot be chosen, only left.
            "points" => {}
            _ => set.run(Some(Value::String(chosen))),
        }
    };
    let names = move || {
        let drawn = (name.get() == "points").then_some(("points", "drawn by hand"));
        [("cosine", "cosine"), ("linear", "linear"), ("wsd", "warm-up, stable, decay"), ("constant", "constant")]
            .into_iter()
            .chain(drawn)
    };
    view! {
        <span class="shape">
            <select id=id on:change:target=move |event| choose(event.target().value())>
                {move || names().map(|(value, word)| view! { <option value=value selected=move || name.get() == value>{word}</option> }).collect_view()}
            </select>
            {move || decay.get().map(|steps| view! {
                <input
                    class="mono"
                    inputmode="numeric"
                    aria-label="Length of the decay, steps"
                    title="Length of the decay, steps"
                    prop:value=steps.to_string()
                    on:change:target=move |event| if let Ok(steps) = event.target().value().trim().parse() { set.run(Some(wsd(steps))) }
                />
            })}
        </span>
    }
}

/// A value as people write it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_f64().is_some_and(|number| number != 0.0 && number.abs() < 1e-2) => {
            format!("{:e}", number.as_f64().unwrap_or(0.0))
        }
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 1e15) => {
            format!("{:.0}", number.as_f64().unwrap_or(0.0))
        }
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A value as typed: a number where it is one; nothing where nothing is typed.
fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(number))),
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Several values, with commas between them; a space may be part of a number as people write it.
fn read_list(text: &str) -> Option<Value> {
    Some(text.split(',').filter_map(read).collect())
}

/// 1 and 1.0 are the same number.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}
