//! The fields of one parameter: its range or list of values, and its condition.

use leptos::prelude::*;
use wire::hyperparameters::table;
use wire::sweep::sampler::SamplerKind;

use super::draft::{Draft, parameter_field};
use super::row::{Kind, Row, word_label, word_of, words};
use super::{FieldError, Typed};
use crate::components::hyperparameters::{shown, with_comma};
use crate::components::{Icon, clicks, says, shows};
use crate::pages::sweeps::words::{parameter_label, parameter_unit};

#[component]
pub(super) fn ParameterFields(row: Row) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let name = row.name.get_value();
    let (label, unit, path) = (parameter_label(&name), with_comma(parameter_unit(&name)), name.clone());
    let meaning = table::find(&name).map_or("", |row| row.meaning);
    let base = says(move || match draft.base_value(&row.name.read_value()) {
        Some(value) => format!("base: {}", shown(&value)),
        None => String::new(),
    });
    let remove = format!("Remove {label}");
    view! {
        <fieldset class="sheet padded parameter">
            <legend class="unseen">{label.clone()}</legend>
            <div class="row">
                <strong title=meaning>{label}<span class="unit">{unit}</span></strong>
                <span class="small dim mono">{path}</span>
                <span class="small dim">{base}</span>
                <span class="grow"></span>
                <button
                    class="quiet icon-only"
                    aria-label=remove
                    title="Remove the parameter: all trials then have the value of the base"
                    on:click=clicks(move |_| draft.remove(row.number))
                >
                    <Icon name="close" />
                </button>
            </div>
            {match row.has_words() {
                true => view! { <WordList row /> }.into_any(),
                false => view! { <div class="fields"><KindField row /><Numbers row /></div> }.into_any(),
            }}
            <Condition row />
            <FieldError field=parameter_field(&name) />
        </fieldset>
    }
}

#[component]
fn KindField(row: Row) -> impl IntoView {
    let chosen = row.kind.get_untracked();
    view! {
        <label class="field" title="How the values are given, and on which scale they are drawn uniformly">
            <span class="label">"Values"</span>
            <select on:change:target=move |event| row.kind.set(Kind::of(&event.target().value()))>
                {Kind::ALL.map(|kind| view! {
                    <option value=kind.word() selected=kind == chosen>{kind.label()}</option>
                }).collect_view()}
            </select>
        </label>
    }
}

/// The fields of a range or of a list. The choice between them stays, and keeps the focus.
#[component]
fn Numbers(row: Row) -> impl IntoView {
    shows(move || match row.kind.get() {
        Kind::List => view! { <NumberList row /> }.into_any(),
        kind => view! { <Range row kind /> }.into_any(),
    })
}

/// The ends of a range, and its values in a grid.
#[component]
fn Range(row: Row, kind: Kind) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let is_grid = move || draft.sampler.get() == SamplerKind::Grid;
    view! {
        <Typed label="From" meaning="Smallest value, included" number=row.low />
        <Typed label="To" meaning="Largest value, included" number=row.high />
        {(kind == Kind::Linear).then(|| view! {
            <Typed label="Step" meaning="Distance of the values; without one, all values between the ends" number=row.step />
        })}
        {shows(move || is_grid().then(|| view! {
            <Typed label="Points" meaning="Values in the grid, from the first to the last; 5 by default for numbers without a step" number=row.points />
        }))}
    }
}

#[component]
fn NumberList(row: Row) -> impl IntoView {
    view! {
        <label class="field wide" title="Values with commas between them, such as 32, 64, 128">
            <span class="label">"Values, with commas between them"</span>
            <input
                type="text"
                class="mono"
                autocomplete="off"
                prop:value=row.list
                on:input:target=move |event| row.list.set(event.target().value())
            />
        </label>
    }
}

/// A checkbox for each word.
#[component]
fn WordList(row: Row) -> impl IntoView {
    let has = move |word: &str| row.list.read().split(',').any(|part| part.trim() == word);
    let all: Vec<(String, String)> = words(row.values).iter().map(|word| (word_of(word), word_label(word))).collect();
    let order = StoredValue::new(all.iter().map(|(word, _)| word.clone()).collect::<Vec<_>>());
    let toggle = move |word: &str, is_on: bool| {
        let keeps = |other: &&String| if *other == word { is_on } else { untrack(|| has(other)) };
        let kept: Vec<String> = order.read_value().iter().filter(keeps).cloned().collect();
        row.list.set(kept.join(", "));
    };
    let boxes = all.into_iter().map(|(word, label)| {
        let (of, checked) = (word.clone(), word);
        view! {
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=move || has(&checked)
                    on:change:target=move |event| toggle(&of, event.target().checked())
                />
                {label}
            </label>
        }
    });
    view! { <div class="row">{boxes.collect_view()}</div> }
}

/// The condition under which the parameter varies.
#[component]
fn Condition(row: Row) -> impl IntoView {
    view! {
        <details>
            <summary class="small">{says(move || match row.when.read().trim() {
                "" => "Only under a condition".to_owned(),
                when => format!("Only if {when}"),
            })}</summary>
            <label class="field" title="The parameter is drawn only for points at which the parameters named here have the values listed; at all other points it keeps its base value">
                <span class="label">"Condition: NAME = VALUE, VALUE; NAME = VALUE"</span>
                <input
                    type="text"
                    class="mono"
                    autocomplete="off"
                    placeholder="model.positions = rotary"
                    prop:value=row.when
                    on:input:target=move |event| row.when.set(event.target().value())
                />
            </label>
        </details>
    }
}
