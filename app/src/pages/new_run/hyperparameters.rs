//! All hyperparameters, made from the table: label, unit, meaning and control of each row, the value of the preset, and
//! whether it was changed.

use leptos::prelude::*;
use serde_json::Value;
use wire::hyperparameters::table::{Hyperparameter, TABLE, Values};

use super::draft::Draft;
use super::field::FieldError;
use crate::components::Icon;
use crate::components::hyperparameters::{group_title, written};

/// The form.
#[component]
pub(super) fn AllHyperparameters() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let preset = Memo::new(move |_| {
        draft.preset().and_then(|preset| serde_json::to_value(preset.recipe).ok()).unwrap_or_default()
    });
    let changed = move || draft.spec.read().overrides.len();
    let is_open = RwSignal::new(draft.spec.with_untracked(|spec| !spec.overrides.is_empty()));
    view! {
        <section class="stack part">
            <details class="hyperparameters" prop:open=is_open>
                <summary>
                    <h2>"All hyperparameters"</h2>
                    <span class="small dim">{move || match changed() {
                        0 => "values of the preset".to_owned(),
                        1 => "1 changed".to_owned(),
                        many => format!("{many} changed"),
                    }}</span>
                </summary>
                {move || (changed() > 0).then(|| view! {
                    <button title="Discards all changes" on:click=move |_| draft.set(|spec| spec.overrides.clear())>
                        <Icon name="undo" />
                        "Reset all to the preset"
                    </button>
                })}
                {groups().into_iter().map(|(group, rows)| view! {
                    <fieldset>
                        <legend><h3>{group_title(group)}</h3></legend>
                        <div class="hyperparameter-grid">
                            {rows.into_iter().map(|row| view! { <HyperparameterField row preset /> }).collect_view()}
                        </div>
                    </fieldset>
                }).collect_view()}
            </details>
            <FieldError field="overrides" />
        </section>
    }
}

/// The rows of the table by group, in the order of the table.
fn groups() -> Vec<(&'static str, Vec<&'static Hyperparameter>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Hyperparameter>)> = vec![];
    for row in TABLE {
        match groups.iter_mut().find(|(group, _)| *group == row.group()) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((row.group(), vec![row])),
        }
    }
    groups
}

#[component]
fn HyperparameterField(row: &'static Hyperparameter, preset: Memo<Value>) -> impl IntoView {
    // The tokenizer sets the vocabulary size, so that it is shown and cannot be changed.
    if row.path == "model.vocab" {
        return view! { <VocabularySize row /> }.into_any();
    }
    let draft = expect_context::<Draft>();
    let planned = Memo::new(move |_| row.value_in(&preset.read()).cloned().unwrap_or_default());
    let typed = Memo::new(move |_| draft.spec.read().overrides.get(row.path).cloned());
    let set = Callback::new(move |value: Option<Value>| {
        let changed = value.filter(|value| !same(value, &planned.read_untracked()));
        draft.set(|spec| {
            match changed {
                Some(value) => spec.overrides.insert(row.path.to_owned(), value),
                None => spec.overrides.remove(row.path),
            };
        });
    });
    let value = Signal::derive(move || typed.get().unwrap_or_else(|| planned.get()));
    let is_changed = move || typed.read().is_some();
    view! {
        <div class="hyperparameter-field" class:changed=is_changed title=tooltip(row)>
            <label class="label" for=row.path>{row.label}" "<span class="dim">{row.unit}</span></label>
            <Control row value set />
            <span class="small dim preset-value">
                {move || if is_changed() {
                    view! {
                        <button class="quiet" title="Reset to the value of the preset" on:click=move |_| set.run(None)>
                            <Icon name="undo" />
                            {format!("preset: {}", written(&planned.read()))}
                        </button>
                    }.into_any()
                } else {
                    view! { "preset" }.into_any()
                }}
            </span>
            <FieldError field=row.path />
        </div>
    }
    .into_any()
}

/// Meaning and accepted values.
fn tooltip(row: &Hyperparameter) -> String {
    match row.values {
        Values::Number { .. } | Values::Integer { .. } => {
            format!("{} Accepts {}. ({})", row.meaning, row.values, row.path)
        }
        _ => format!("{} ({})", row.meaning, row.path),
    }
}

#[component]
fn VocabularySize(row: &'static Hyperparameter) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let vocab = move || match &*draft.outcome.read() {
        Some(Ok(view)) => view.plan.recipe.model.vocab.to_string(),
        _ => "–".to_owned(),
    };
    view! {
        <div class="hyperparameter-field" title=tooltip(row)>
            <span class="label">{row.label}" "<span class="dim">{row.unit}</span></span>
            <output class="mono">{vocab}</output>
            <span class="small dim preset-value">"set by the tokenizer"</span>
        </div>
    }
}

/// The control for the values of a row.
#[component]
fn Control(row: &'static Hyperparameter, value: Signal<Value>, set: Callback<Option<Value>>) -> impl IntoView {
    match row.values {
        Values::Switch => view! {
            <span class="tick">
                <input
                    id=row.path
                    type="checkbox"
                    prop:checked=move || *value.read() == Value::Bool(true)
                    on:change:target=move |event| set.run(Some(Value::Bool(event.target().checked())))
                />
            </span>
        }
        .into_any(),
        Values::Choice(choices) => view! {
            <select id=row.path on:change:target=move |event| set.run(Some(Value::String(event.target().value())))>
                {choices.iter().map(|choice| view! {
                    <option value=*choice selected=move || value.read().as_str() == Some(choice)>{*choice}</option>
                }).collect_view()}
            </select>
        }
        .into_any(),
        Values::Shape => view! { <ShapeControl row value set /> }.into_any(),
        Values::Steps => view! { <TextControl row value set read=read_list /> }.into_any(),
        Values::Number { .. } | Values::Integer { .. } => view! { <TextControl row value set read=read /> }.into_any(),
    }
}

/// A number or a list as text. Text that is not a number is kept, and the plan says what is wrong with it.
#[component]
fn TextControl(
    row: &'static Hyperparameter,
    value: Signal<Value>,
    set: Callback<Option<Value>>,
    read: fn(&str) -> Option<Value>,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let text = RwSignal::new(String::new());
    Effect::new(move || {
        let value = value.get();
        let is_same = read(&text.read_untracked()).is_some_and(|typed| same(&typed, &value));
        if !is_same {
            text.set(written(&value));
        }
    });
    view! {
        <input
            id=row.path
            class="mono"
            inputmode="decimal"
            autocomplete="off"
            aria-invalid=move || draft.error_at(row.path).map(|_| "true")
            prop:value=text
            on:input:target=move |event| {
                let typed = event.target().value();
                text.set(typed.clone());
                set.run(read(&typed));
            }
        />
    }
}

/// The shapes of the learning-rate schedule by name; warm-up, stable, decay also has the length of the decay.
#[component]
fn ShapeControl(row: &'static Hyperparameter, value: Signal<Value>, set: Callback<Option<Value>>) -> impl IntoView {
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
            // A drawn schedule comes from a copied run; it cannot be selected, only replaced.
            "points" => {}
            _ => set.run(Some(Value::String(chosen))),
        }
    };
    let set_decay = move |typed: &str| {
        if let Ok(steps) = typed.trim().parse() {
            set.run(Some(wsd(steps)));
        }
    };
    let names = move || {
        let drawn = (name.get() == "points").then_some(("points", "drawn"));
        [("cosine", "cosine"), ("linear", "linear"), ("wsd", "warm-up, stable, decay"), ("constant", "constant")]
            .into_iter()
            .chain(drawn)
    };
    view! {
        <span class="shape">
            <select id=row.path on:change:target=move |event| choose(event.target().value())>
                {move || names().map(|(value, word)| view! {
                    <option value=value selected=move || name.get() == value>{word}</option>
                }).collect_view()}
            </select>
            {move || decay.get().map(|steps| view! {
                <input
                    class="mono"
                    inputmode="numeric"
                    aria-label="Length of the decay in steps"
                    title="Length of the decay in steps"
                    prop:value=steps.to_string()
                    on:change:target=move |event| set_decay(&event.target().value())
                />
            })}
        </span>
    }
}

/// A typed value: a number if it is one; `None` for an empty text.
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

/// Several values with commas between them; a space can be part of a number.
fn read_list(text: &str) -> Option<Value> {
    Some(text.split(',').filter_map(read).collect())
}

/// Whether two values are equal; 1 and 1.0 are.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_has_every_row_of_the_table_once() {
        let mut shown: Vec<&str> = groups().iter().flat_map(|(_, rows)| rows).map(|row| row.path).collect();
        shown.sort_unstable();
        let mut all: Vec<&str> = TABLE.iter().map(|row| row.path).collect();
        all.sort_unstable();
        assert_eq!(shown, all);
    }

    #[test]
    fn typed_values_are_read_as_json() {
        assert_eq!(read("3e-4"), Some(Value::from(3e-4)));
        assert_eq!(read(" 12 "), Some(Value::from(12)));
        assert_eq!(read("many"), Some(Value::from("many")));
        assert_eq!(read(""), None);
        assert_eq!(read_list("0, 100"), Some(serde_json::json!([0, 100])));
        assert!(same(&Value::from(1), &Value::from(1.0)) && !same(&Value::from(1), &Value::from("1")));
    }
}
