//! The filter of the list of runs by their project.

use leptos::prelude::*;

use crate::projects::Projects;

/// A list of the projects; nothing where there is only one.
#[component]
pub(super) fn ProjectFilter(
    /// Receives the chosen project; `None` for all.
    #[prop(into)]
    choose: Callback<Option<String>>,
) -> impl IntoView {
    let projects = expect_context::<Projects>();
    view! {
        <Show when=move || projects.are_several()>
            <select
                class="project-filter"
                aria-label="Project"
                title="Show the runs of one project. A new run belongs to it by default."
                on:change:target=move |event| choose.run(Some(event.target().value()).filter(|name| !name.is_empty()))
            >
                <option value="" prop:selected=move || projects.shown().is_none()>"All projects"</option>
                {move || projects.names.get().into_iter().map(|name| {
                    let value = name.clone();
                    view! {
                        <option value=value.clone() prop:selected=move || projects.shown().as_ref() == Some(&value)>{name}</option>
                    }
                }).collect_view()}
            </select>
        </Show>
    }
}
