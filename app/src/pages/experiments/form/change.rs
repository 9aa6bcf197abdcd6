//! The fields of the change: hyperparameters with their new values, another dataset, and the metric that is compared.

use leptos::prelude::*;
use wire::experiment::check::BREAKPOINTS;
use wire::hyperparameters::table::{self, TABLE, Values};

use super::draft::{ChangeRow, Draft};
use crate::components::hyperparameters::{choice_name, group_title, with_comma};
use crate::components::{Edits, Icon, Select, clicks, says, sentence, shows};

/// Most hyperparameters of a change in the form.
const MOST_ROWS: usize = 8;

#[component]
pub(super) fn ChangeFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let edits = expect_context::<Edits>();
    let Draft { changes, other_corpus, series, higher_is_better, .. } = draft;
    let datasets = Memo::new(move |_| {
        let same = (String::new(), "that of the baseline".to_owned());
        [same].into_iter().chain(draft.dataset_entries()).collect::<Vec<_>>()
    });
    let add = move |_: leptos::ev::MouseEvent| {
        changes.update(|rows| {
            let number = rows.iter().map(|row| row.number).max().unwrap_or(0) + 1;
            rows.push(ChangeRow::new(number));
        });
    };
    let is_full = move || changes.read().len() >= MOST_ROWS;
    view! {
        <section class="stack part">
            <h2>"Change"</h2>
            <For each=move || changes.get() key=|row| row.number let(row)>
                <RowFields row />
            </For>
            <div class="row">
                <button
                    type="button"
                    title="Change a further hyperparameter"
                    disabled=is_full
                    on:click=clicks(add)
                >
                    <Icon name="plus" />
                    "Add a hyperparameter"
                </button>
            </div>
            <div class="fields">
                <label class="field" title="Train the variant on another dataset">
                    <span class="label">"Dataset of the variant"</span>
                    <Select entries=datasets chosen=other_corpus choose=move |value| other_corpus.set(value) />
                </label>
                <label
                    class="field"
                    title="A time series of the runs, such as loss.train; its last value is compared. By default the validation loss in bits/byte."
                >
                    <span class="label">"Metric"</span>
                    <input
                        type="text"
                        class="mono"
                        placeholder="validation loss"
                        prop:value=series
                        on:input:target=move |event| {
                            series.set(event.target().value());
                            edits.edit("metric");
                        }
                    />
                </label>
                {shows(move || (!series.read().trim().is_empty()).then(|| view! {
                    <label class="row" title="Whether the larger value is the better one">
                        <input
                            type="checkbox"
                            prop:checked=higher_is_better
                            on:change:target=move |event| higher_is_better.set(event.target().checked())
                        />
                        "Higher is better"
                    </label>
                }))}
            </div>
        </section>
    }
}

/// A hyperparameter and its new value.
#[component]
fn RowFields(row: ChangeRow) -> impl IntoView {
    let Draft { changes, .. } = expect_context::<Draft>();
    let entries = Signal::stored(hyperparameters());
    let label = says(move || {
        let unit = table::find(&row.path.read()).map_or("", |found| found.unit);
        format!("New value{}", with_comma(unit))
    });
    let meaning = says(move || {
        let found = table::find(&row.path.read());
        found.map(|found| format!("{} {}", found.meaning, sentence(&found.values.to_string()))).unwrap_or_default()
    });
    let choose = move |path: String| {
        row.path.set(path);
        row.value.set(String::new());
    };
    view! {
        <div class="fields">
            <label class="field" title="The hyperparameter that the variant changes">
                <span class="label">"Hyperparameter"</span>
                <Select entries chosen=row.path choose />
            </label>
            <label class="field" title=meaning>
                <span class="label">{label}</span>
                {shows(move || view! { <Value row /> })}
            </label>
            {shows(move || (changes.read().len() > 1).then(|| view! {
                <button
                    type="button"
                    class="quiet remove"
                    title="Do not change this hyperparameter"
                    on:click=clicks(move |_| changes.update(|rows| rows.retain(|other| other.number != row.number)))
                >
                    "Remove"
                </button>
            }))}
        </div>
    }
}

/// The control of the value, which depends on the hyperparameter.
#[component]
fn Value(row: ChangeRow) -> impl IntoView {
    let edits = expect_context::<Edits>();
    let take = move |value: String| {
        row.value.set(value);
        edits.edit("change");
    };
    let words: Option<Vec<(String, String)>> = match table::find(&row.path.read()).map(|found| found.values) {
        Some(Values::Switch) => Some(vec![("true".into(), "on".into()), ("false".into(), "off".into())]),
        Some(Values::Choice(words)) => {
            Some(words.iter().map(|word| ((*word).to_owned(), choice_name(word).to_owned())).collect())
        }
        _ => None,
    };
    match words {
        Some(words) => {
            let none = (String::new(), "choose".to_owned());
            let entries = Signal::stored([none].into_iter().chain(words).collect::<Vec<_>>());
            view! { <Select entries chosen=row.value choose=take /> }.into_any()
        }
        None => view! {
            <input
                type="text"
                class="mono"
                autocomplete="off"
                prop:value=row.value
                on:input:target=move |event| take(event.target().value())
            />
        }
        .into_any(),
    }
}

/// The hyperparameters that can be changed, with their group.
fn hyperparameters() -> Vec<(String, String)> {
    let rows = TABLE.iter().filter(|row| row.path != BREAKPOINTS && row.path != "model.vocab");
    rows.map(|row| (row.path.to_owned(), format!("{}: {}", group_title(row.group()), row.label))).collect()
}
