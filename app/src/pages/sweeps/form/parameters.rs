//! The search space: its parameters, chosen from the searchable list of hyperparameters, and its constraints.

use leptos::prelude::*;

use super::FieldError;
use super::draft::Draft;
use super::parameter::ParameterFields;
use crate::components::{Icon, clicks, says, shows};
use crate::pages::sweeps::words::parameter_label;

/// Parameters that the list shows at a time.
const SHOWN: usize = 12;

#[component]
pub(super) fn SpaceFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    view! {
        <section class="stack part" aria-label="Parameters">
            <div class="row"><h2>"Parameters"</h2><span class="small dim">"What differs between trials"</span></div>
            <For each=move || draft.rows.get() key=|row| row.number let(row)>
                <ParameterFields row />
            </For>
            {shows(move || (draft.is_begun.get() && draft.rows.read().is_empty()).then(|| view! {
                <p class="field-error" role="alert">"The search space is empty. Add at least one parameter."</p>
            }))}
            <AddParameter />
            <Constraints />
        </section>
    }
}

/// The search for a parameter, and the parameters found.
#[component]
fn AddParameter() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let search = RwSignal::new(String::new());
    let available = Memo::new(move |_| draft.available());
    let found = Memo::new(move |_| matching(&available.read(), &search.read()));
    let add = move |name: String| {
        draft.add(&name);
        search.set(String::new());
    };
    let first = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "Enter" => {
            event.prevent_default();
            if let Some(name) = untrack(|| found.read().first().cloned()) {
                add(name);
            }
        }
        "Escape" => search.set(String::new()),
        _ => {}
    };
    let rest = says(move || match found.read().len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("and {more} more; type a part of the name"),
    });
    view! {
        <details class="add-parameter">
            <summary>"Add a parameter"</summary>
            <div class="stack">
                <input
                    type="search"
                    aria-label="Search hyperparameters by label or path"
                    placeholder="Search hyperparameters, datasets"
                    title="Enter adds the first one"
                    prop:value=search
                    on:input:target=move |event| search.set(event.target().value())
                    on:keydown=first
                />
                <div class="row found">
                    {shows(move || found.get().into_iter().take(SHOWN).map(|name| {
                        let (label, path) = (parameter_label(&name), name.clone());
                        view! {
                            <button title=path on:click=clicks(move |_| add(name.clone()))>
                                <Icon name="plus" />
                                {label}
                            </button>
                        }
                    }).collect_view())}
                    <span class="small dim">{rest}</span>
                </div>
                {shows(move || found.read().is_empty().then(|| view! {
                    <p class="small dim" role="status">"No parameter has this name."</p>
                }))}
            </div>
        </details>
    }
}

/// The names whose label or path has all words of the search.
fn matching(names: &[String], search: &str) -> Vec<String> {
    let search = search.to_lowercase();
    let has_all = |name: &&String| {
        let text = format!("{} {name}", parameter_label(name)).to_lowercase();
        search.split_whitespace().all(|word| text.contains(word))
    };
    names.iter().filter(has_all).cloned().collect()
}

#[component]
fn Constraints() -> impl IntoView {
    let draft = expect_context::<Draft>();
    view! {
        <label class="field" title="Each line compares two expressions over parameters of the space. A point that violates one is not drawn.">
            <span class="label">"Constraints, one in each line"</span>
            <textarea
                class="mono"
                rows="2"
                placeholder="model.d_ff <= 4 * model.d_model"
                prop:value=draft.constraints
                on:input:target=move |event| draft.constraints.set(event.target().value())
            ></textarea>
            <FieldError field="space.constraints" />
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_reads_labels_and_paths() {
        let names = ["optimizer.learning_rate", "model.layers", "mix.tales"].map(str::to_owned);
        assert_eq!(matching(&names, "LEARN rate"), ["optimizer.learning_rate"]);
        assert_eq!(matching(&names, "model."), ["model.layers"]);
        assert_eq!(matching(&names, "weight tales"), ["mix.tales"]);
        assert_eq!(matching(&names, "").len(), 3);
    }
}
