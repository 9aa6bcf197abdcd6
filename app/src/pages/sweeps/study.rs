//! Imports an Optuna study as a sweep whose trials have ended.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::components::{Failure, ProjectField, shows};
use crate::net::api::{ApiFailure, sweeps};
use crate::projects::Projects;
use crate::route::{Router, sweep_path};

#[component]
pub(super) fn StudyImport() -> impl IntoView {
    let (router, projects) = (expect_context::<Router>(), expect_context::<Projects>());
    let chosen = RwSignal::new(None::<String>);
    let project = Signal::derive(move || chosen.get().or_else(|| projects.of_new_run()));
    let (study, input) = (RwSignal::new(String::new()), NodeRef::<html::Input>::new());
    let is_sending = RwSignal::new(false);
    let failure = RwSignal::new(None::<ApiFailure>);
    let open = move |_| {
        if let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    let take = move |event: ev::Targeted<ev::Event, web_sys::HtmlInputElement>| {
        let file = event.target().files().and_then(|files| files.get(0));
        // So that the same file can be selected again.
        event.target().set_value("");
        let Some(file) = file else { return };
        failure.set(None);
        is_sending.set(true);
        let (study, project) = (study.get_untracked(), project.get_untracked());
        spawn_local(async move {
            match sweeps::import(&file, study.trim(), project.as_deref()).await {
                Ok(sweep) => router.go(&sweep_path(sweep.id)),
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_sending.try_set(false);
        });
    };
    view! {
        <section class="stack" aria-label="Import">
            <details>
                <summary>"Import an Optuna study"</summary>
                <div class="stack">
                    <p class="small dim">
                        "Select the SQLite file of an Optuna 4 study. Its trials are imported into a stopped sweep, so that you can compare their results here."
                    </p>
                    <div class="fields">
                        <label class="field" title="Name of the study; required if the file has several">
                            <span class="label">"Study"</span>
                            <input
                                prop:value=study
                                placeholder="the only one in the file"
                                on:input:target=move |event| study.set(event.target().value())
                            />
                        </label>
                        <ProjectField
                            project
                            meaning="Project that the imported sweep belongs to"
                            all=None
                            choose=move |project| chosen.set(project)
                        />
                    </div>
                    {shows(move || failure.get().map(|failure| view! {
                        <Failure what="The study was not imported" failure />
                    }))}
                    {shows(move || is_sending.get().then(|| view! { <p class="small dim" role="status">"Importing …"</p> }))}
                    <div class="row">
                        <button title="Select a SQLite file" disabled=is_sending on:click=open>"Select file …"</button>
                        <input type="file" hidden node_ref=input on:change:target=take />
                    </div>
                </div>
            </details>
        </section>
    }
}
