//! The projects: listed, and created by admins of the lab.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::project::NewProject;

use super::limits::{LimitFields, TypedLimits};
use super::project::ProjectCard;
use super::team::Team;
use crate::components::{Failure, Skeleton};
use crate::net::api::{self, ApiFailure};

/// Longest name of a project, characters.
const NAME_CHARS: usize = 40;

#[component]
pub(super) fn ProjectSection() -> impl IntoView {
    let team = expect_context::<Team>();
    let is_admin = Memo::new(move |_| team.session.is_admin());
    let names = Memo::new(move |_| {
        let projects = team.projects.read();
        projects.iter().flatten().flatten().map(|project| project.name.clone()).collect::<Vec<_>>()
    });
    // 0: loading, 1: it could not be fetched, 2: none, 3: some.
    let stage = Memo::new(move |_| match &*team.projects.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(projects)) if projects.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    let failure = move || team.projects.read().as_ref().and_then(|answer| answer.as_ref().err().cloned());
    view! {
        <section class="stack" aria-labelledby="projects-title">
            <h2 id="projects-title">"Projects"</h2>
            <p class="dim">
                "A project groups runs, datasets and people, and can limit what they use. Every run belongs to one; the project default \
                 always exists."
            </p>
            <Show when=move || is_admin.get()><CreateProject /></Show>
            {move || match stage.get() {
                0 => view! { <Skeleton rows=2 class="tall" /> }.into_any(),
                1 => failure().map(|failure| view! {
                    <Failure what="The projects could not be listed" failure retry=move |()| team.fetch_projects() />
                }).into_any(),
                2 => view! { <p class="dim">"You are in no project."</p> }.into_any(),
                _ => view! {
                    <div class="project-list">
                        <For each=move || names.get() key=Clone::clone let(name)><ProjectCard name /></For>
                    </div>
                }.into_any(),
            }}
        </section>
    }
}

/// What is wrong with a name of a project; `None` for one that the server accepts.
fn name_problem(name: &str) -> Option<&'static str> {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    match name {
        "" => Some("Enter a name first."),
        name if !name.chars().all(is_plain) => Some("Use lower-case letters, digits and dashes only."),
        name if name.starts_with('-') => Some("Begin with a letter or a digit."),
        name if name.len() > NAME_CHARS => Some("Use at most 40 characters."),
        _ => None,
    }
}

#[component]
fn CreateProject() -> impl IntoView {
    let team = expect_context::<Team>();
    let name = RwSignal::new(String::new());
    let limits = TypedLimits::new(Default::default());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let problem = move || name_problem(name.read().trim());
    let obstacle = move || problem().or_else(|| (!limits.is_readable()).then_some("Correct the limits first."));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || untrack(obstacle).is_some() {
            return;
        }
        let project = NewProject { name: name.get_untracked().trim().to_owned(), limits: untrack(|| limits.limits()) };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match api::projects::create(&project).await {
                Ok(created) => {
                    team.toasts.say(format!("The project {} was created", created.name));
                    name.try_set(String::new());
                    team.renew();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    // An untouched field says nothing.
    let shown_problem = move || problem().filter(|_| !name.read().is_empty());
    view! {
        <details class="sheet padded">
            <summary title="A name, and limits for its runs, device time and disk">"New project"</summary>
            <form class="stack" on:submit=submit>
                <div class="project-fields">
                    <label class="field" title="1 to 40 lower-case letters, digits and dashes">
                        <span class="label">"Name"</span>
                        <input
                            type="text"
                            maxlength=NAME_CHARS.to_string()
                            autocomplete="off"
                            autocapitalize="none"
                            placeholder="vision"
                            aria-invalid=move || shown_problem().map(|_| "true")
                            prop:value=name
                            on:input:target=move |event| name.set(event.target().value())
                        />
                        <span class="field-error" role="alert">{shown_problem}</span>
                    </label>
                    <LimitFields limits />
                </div>
                {move || failure.get().map(|failure| view! { <Failure what="The project was not created" failure /> })}
                <div class="row">
                    <button
                        class="primary"
                        type="submit"
                        title=move || obstacle().unwrap_or("Create the project; you can change its limits later")
                        disabled=move || is_busy.get() || obstacle().is_some()
                    >
                        "Create project"
                    </button>
                </div>
            </form>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::name_problem;

    #[test]
    fn names_of_projects_are_lower_case_words() {
        for (name, is_fine) in [
            ("vision", true),
            ("gpt-2", true),
            ("2026", true),
            ("", false),
            ("Vision", false),
            ("-x", false),
            ("a b", false),
            (&"a".repeat(40), true),
            (&"a".repeat(41), false),
        ] {
            assert_eq!(name_problem(name).is_none(), is_fine, "{name}");
        }
    }
}
