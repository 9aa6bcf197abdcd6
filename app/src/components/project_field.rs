//! The choice of a project, where there are several.

use leptos::prelude::*;

use crate::projects::Projects;

/// The project of something new, among those in which this person can start runs; nothing where the lab has only one project.
#[component]
pub(crate) fn ProjectField(
    /// The chosen project.
    #[prop(into)]
    project: Signal<Option<String>>,
    /// Effect of the choice, below it and as a tooltip.
    meaning: &'static str,
    /// Label of the option for no project; it cannot be chosen without one.
    #[prop(optional_no_strip)]
    all: Option<&'static str>,
    /// Receives the chosen project.
    #[prop(into)]
    choose: Callback<Option<String>>,
) -> impl IntoView {
    let projects = expect_context::<Projects>();
    let take = move |value: String| choose.run(Some(value).filter(|name| !name.is_empty()));
    view! {
        <Show when=move || projects.are_several()>
            <label class="field" title=meaning>
                <span class="label">"Project"</span>
                <select on:change:target=move |event| take(event.target().value())>
                    {all.map(|label| view! { <option value="" prop:selected=move || project.read().is_none()>{label}</option> })}
                    {move || projects.steerable.get().into_iter().map(|name| {
                        let value = name.clone();
                        view! {
                            <option value=value.clone() prop:selected=move || project.read().as_ref() == Some(&value)>{name}</option>
                        }
                    }).collect_view()}
                </select>
                <span class="small dim">{meaning}</span>
            </label>
        </Show>
    }
}
