//! The research journal of a project: its timeline with [`filters`], how often its rules and authors were right ([`calibration`]), and the
//! report of both as a file. [`timeline`] fetches and lists the entries.

mod calibration;
mod filters;
mod timeline;

use leptos::prelude::*;
use wire::access::project::DEFAULT_PROJECT;

use super::tabs::Tabs;
use crate::base::at;
use crate::components::{Icon, isolated, shows};
use crate::net::api::journal::report_path;
use crate::projects::Projects;
use crate::route::Router;
use crate::session::Session;
use calibration::CalibrationPart;
use filters::Filters;
use timeline::{Entries, Timeline};

/// The project of the page: that of the address, else the one that the Lab page shows, else `default`, else the first. `None` until the projects
/// of a shared lab are known.
fn project() -> Memo<Option<String>> {
    let (router, session) = (expect_context::<Router>(), expect_context::<Session>());
    let projects = expect_context::<Projects>();
    Memo::new(move |_| {
        let named = router.query("project").filter(|name| !name.is_empty());
        named.or_else(|| projects.shown()).or_else(|| {
            let names = projects.names.read();
            let default = || DEFAULT_PROJECT.to_owned();
            let has_default = names.is_empty() && !session.is_shared() || names.contains(&default());
            if has_default { Some(default()) } else { names.first().cloned() }
        })
    })
}

#[component]
pub(in crate::pages) fn JournalPage() -> impl IntoView {
    let project = project();
    provide_context(Timeline::start(project));
    view! {
        <main class="page experiments research-journal stack roomy">
            <Tabs />
            <div class="row">
                <h1>"Research journal"</h1>
                <span class="grow"></span>
                <ProjectPick project />
                {shows(move || project.get().map(|project| view! { <Reports project /> }))}
            </div>
            <p class="dim">
                "Hypotheses with their predictions, verdicts, commands, findings, notes and sweeps of the project, and your own conversations with the assistant, newest first. Times are in the time zone of this browser."
            </p>
            <CalibrationPart project />
            <Filters />
            <Entries />
        </main>
    }
}

/// The report as a file.
#[component]
fn Reports(project: String) -> impl IntoView {
    view! {
        <a
            class="button"
            href=report_path(&project, "html")
            download=""
            title="The journal with runs, loss curves and calibration as one HTML file, which opens without the server. It has the first messages of your own conversations."
        >
            <Icon name="download" />
            "Report (HTML)"
        </a>
        <a class="button" href=report_path(&project, "md") download="" title="The same report as Markdown">
            <Icon name="download" />
            "Report (Markdown)"
        </a>
    }
}

/// The choice of the project, where there are several.
#[component]
fn ProjectPick(project: Memo<Option<String>>) -> impl IntoView {
    let (router, projects) = (expect_context::<Router>(), expect_context::<Projects>());
    let choose = move |name: String| {
        let name = String::from(js_sys::encode_uri_component(&name));
        router.replace(&at(&format!("/journal?project={name}")));
    };
    view! {
        <Show when=move || projects.are_several()>
            <label class="row" title="Show the journal of this project">
                "Project"
                <select on:change:target=move |event| choose(event.target().value())>
                    {move || projects.names.get().into_iter().map(|name| {
                        let value = name.clone();
                        let is_chosen = move || project.read().as_ref() == Some(&value);
                        view! { <option value=name.clone() prop:selected=is_chosen>{isolated(&name)}</option> }
                    }).collect_view()}
                </select>
            </label>
        </Show>
    }
}
