//! All hyperparameters, made from the table: label, unit, meaning and control of each row, the value of the preset, and
//! whether it was changed.

use figure::number;
use leptos::prelude::*;
use serde_json::Value;
use wire::hyperparameters::table::{Hyperparameter, TABLE, Values};
use wire::run::plan::MAX_STEPS;

use super::draft::Draft;
use super::field::{DraftNumber, DraftNumberField, FieldError};
use crate::components::hyperparameters::{choice_name, group_title, shown, with_comma, written};
use crate::components::{Icon, NumberError, NumberValue, TypedNumber, read_number, sentence};

/// The form.
#[component]
pub(super) fn AllHyperparameters() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let preset = Memo::new(move |_| {
        let steps = draft.spec.read().steps;
        let recipe = draft.preset().map(|preset| preset.recipe_for(steps.unwrap_or(preset.steps)));
        recipe.and_then(|recipe| serde_json::to_value(recipe).ok()).unwrap_or_default()
    });
    let changed = move || draft.spec.read().overrides.len();
    let is_open = RwSignal::new(draft.spec.with_untracked(|spec| !spec.overrides.is_empty()));
    view! {
        <section class="stack part">
            <details class="hyperparameters" prop:open=is_open>
                <summary>
                    <h2>"All hyperparameters"</h2>
                    <span class="small dim">{move || match (draft.faulty_count(), changed()) {
                        (0, 0) => "All have the values of the preset.".to_owned(),
                        (0, many) => format!("{many} changed"),
                        (1, _) => "1 field to correct".to_owned(),
                        (many, _) => format!("{many} fields to correct"),
                    }}</span>
                </summary>
                {move || (changed() > 0).then(|| view! {
                    <button
                        title="Set all hyperparameters to the values of the preset"
                        on:click=move |_| draft.reset_hyperparameters()
                    >
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
    let is_changed = move || typed.read().is_some() || draft.is_unreadable(row.path);
    let reset = move |_| {
        draft.set_readable(row.path, true);
        set.run(None);
    };
    view! {
        <div class="hyperparameter-field" class:changed=is_changed title=move || tooltip(row, Some(&planned.read()))>
            <label class="label" for=row.path>{row.label}<span class="dim">{with_comma(row.unit)}</span></label>
            <Control row typed value set />
            <span class="small dim preset-value">
                {move || if is_changed() {
                    view! {
                        <button class="quiet" title="Reset to the value of the preset" on:click=reset>
                            <Icon name="undo" />
                            {format!("preset: {}", Some(shown(&planned.read())).filter(|value| !value.is_empty()).unwrap_or("none".into()))}
                        </button>
                    }.into_any()
                } else {
                    ().into_any()
                }}
            </span>
            <FieldError field=row.path />
        </div>
    }
    .into_any()
}

/// Meaning, unit, accepted values, default and path.
fn tooltip(row: &Hyperparameter, preset: Option<&Value>) -> String {
    let unit = if row.unit.is_empty() { String::new() } else { format!(" Unit: {}.", row.unit) };
    let accepted = match row.values {
        Values::Number { .. } | Values::Integer { .. } => format!(" {}", sentence(&row.values.to_string())),
        _ => String::new(),
    };
    let default = match preset.map(shown) {
        None => String::new(),
        Some(value) if value.is_empty() => " Default: none.".to_owned(),
        Some(value) => format!(" Default (preset): {value}."),
    };
    format!("{}{unit}{accepted}{default}\nPath: {}", row.meaning, row.path)
}

#[component]
fn VocabularySize(row: &'static Hyperparameter) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let vocab = move || match &*draft.outcome.read() {
        Some(Ok(view)) => number::whole(view.plan.recipe.model.vocab as u64),
        _ => "–".to_owned(),
    };
    view! {
        <div class="hyperparameter-field" title=tooltip(row, None)>
            <span class="label">{row.label}<span class="dim">{with_comma(row.unit)}</span></span>
            <output class="mono">{vocab}</output>
            <span class="small dim preset-value">"set by the tokenizer"</span>
        </div>
    }
}

/// The control for the values of a row.
#[component]
fn Control(
    row: &'static Hyperparameter,
    /// The value in the draft, if it has one.
    typed: Memo<Option<Value>>,
    /// That, or the value of the preset.
    value: Signal<Value>,
    set: Callback<Option<Value>>,
) -> impl IntoView {
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
                    <option value=*choice selected=move || value.read().as_str() == Some(choice)>{choice_name(choice)}</option>
                }).collect_view()}
            </select>
        }
        .into_any(),
        Values::Shape => view! { <ShapeControl row value set /> }.into_any(),
        Values::Steps => view! { <StepsControl row value set /> }.into_any(),
        Values::Number { .. } | Values::Integer { .. } => {
            let own = Memo::new(move |_| typed.read().as_ref().and_then(|value| number_of(row, value)));
            let shown = Memo::new(move |_| number_of(row, &value.read()));
            let take = move |number: Option<NumberValue>| set.run(number.map(NumberValue::to_json));
            let number = DraftNumber::new(row.path, TypedNumber::optional(row.values), own, shown, take);
            let placeholder = Signal::derive(move || written(&value.read()));
            view! { <DraftNumberField number id=Some(row.path) placeholder /> }.into_any()
        }
    }
}

/// A list of steps as text, with commas between them.
#[component]
fn StepsControl(row: &'static Hyperparameter, value: Signal<Value>, set: Callback<Option<Value>>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let text = RwSignal::new(untrack(|| written(&value.read())));
    let is_unreadable = Memo::new(move |_| draft.is_unreadable(row.path));
    Effect::new(move || {
        let value = value.get();
        let is_same = read_steps(&text.read_untracked()).is_ok_and(|typed| typed == value);
        if !is_unreadable.get() && !is_same {
            text.set(written(&value));
        }
    });
    on_cleanup(move || draft.set_readable(row.path, true));
    let take = move |typed: String| {
        let read = read_steps(&typed);
        text.set(typed);
        draft.set_readable(row.path, read.is_ok());
        if let Ok(steps) = read {
            set.run(Some(steps));
        }
    };
    let problem = move || read_steps(&text.read()).err().map(|error| error.to_string());
    view! {
        <input
            id=row.path
            class="mono number-field"
            inputmode="text"
            autocomplete="off"
            aria-invalid=move || (problem().is_some() || draft.error_at(row.path).is_some()).then_some("true")
            prop:value=text
            on:input:target=move |event| take(event.target().value())
        />
        <span class="field-error" role="alert">{problem}</span>
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
    let has_decay = Memo::new(move |_| decay.get().is_some());
    let decay_field = move || {
        let shown = Memo::new(move |_| decay.get().map(NumberValue::Integer));
        let typed = TypedNumber::new(Values::Integer { min: 1, max: MAX_STEPS }, "");
        let take = move |number: Option<NumberValue>| {
            if let Some(steps) = number.and_then(NumberValue::as_integer) {
                set.run(Some(wsd(steps)));
            }
        };
        let number = DraftNumber::new(row.path, typed, shown, shown, take);
        view! {
            <label class="decay" title="Steps of the decay at the end of the run. Default: a fifth of the run.">
                <span class="small dim">"Decay, steps"</span>
                <DraftNumberField number />
            </label>
        }
    };
    let names = move || {
        let drawn = (name.get() == "points").then_some(("points", "points"));
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
            {move || has_decay.get().then(decay_field)}
        </span>
    }
}

/// The number of a row in JSON; `6.0` is the integer 6.
fn number_of(row: &Hyperparameter, value: &Value) -> Option<NumberValue> {
    match row.values {
        Values::Integer { .. } => read_number(&value.to_string(), ANY_INTEGER).ok(),
        _ => value.as_f64().map(NumberValue::Real),
    }
}

/// Used until the table gives the range.
const ANY_INTEGER: Values = Values::Integer { min: 0, max: u64::MAX };

/// Steps with commas between them.
fn read_steps(text: &str) -> Result<Value, NumberError> {
    let steps = text.split(',').map(str::trim).filter(|step| !step.is_empty());
    steps.map(|step| read_number(step, ANY_INTEGER).map(NumberValue::to_json)).collect()
}

/// Whether two values are equal; 1 and 1.0 are.
fn same(one: &Value, other: &Value) -> bool {
    let are_integers = one.is_u64() && other.is_u64();
    one == other || (one.is_number() && other.is_number() && !are_integers && one.as_f64() == other.as_f64())
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
    fn steps_are_read_as_integers() {
        assert_eq!(read_steps("0, 100,1_000"), Ok(serde_json::json!([0, 100, 1000])));
        assert_eq!(read_steps(""), Ok(serde_json::json!([])));
        assert_eq!(
            read_steps("20, soon").unwrap_err().to_string(),
            "“soon” is not a number. Enter a whole number, 0 or more."
        );
    }

    #[test]
    fn integers_of_64_bits_are_told_apart() {
        assert!(same(&Value::from(1), &Value::from(1.0)) && !same(&Value::from(1), &Value::from("1")));
        assert!(!same(&Value::from(u64::MAX), &Value::from(u64::MAX - 1)));
        let tokens = wire::hyperparameters::table::find("budget.tokens").unwrap();
        assert_eq!(number_of(tokens, &Value::from(u64::MAX)), Some(NumberValue::Integer(u64::MAX)));
        assert_eq!(number_of(tokens, &Value::from(6.0)), Some(NumberValue::Integer(6)));
    }
}
