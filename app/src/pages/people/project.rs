//! One project: what it has used of its limits, its people, and how admins change it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::link::LinkScope;
use wire::access::project::{DEFAULT_PROJECT, ProjectUsage, ProjectView};
use wire::access::{ProjectLimits, Role};

use super::limits::{LimitFields, TypedLimits};
use super::members::Members;
use super::team::Team;
use crate::base::at;
use crate::components::number::{bytes, counted, duration, grouped};
use crate::components::{Failure, Number, Progress, Question};
use crate::net::api::{self, ApiFailure};
use crate::share::ShareButton;

/// Seconds of an hour.
const HOUR: f64 = 3600.0;

#[component]
pub(super) fn ProjectCard(name: String) -> impl IntoView {
    let team = expect_context::<Team>();
    let label = format!("Project {name}");
    let project = Memo::new(move |before: Option<&Option<ProjectView>>| {
        let projects = team.projects.read();
        let found = projects.iter().flatten().flatten().find(|project| project.name == name).cloned();
        found.or_else(|| before.cloned().flatten())
    });
    let is_lab_admin = Memo::new(move |_| team.session.is_admin());
    let title =
        project.with_untracked(|project| project.as_ref().map(|project| project.name.clone()).unwrap_or_default());
    let shared = format!("/?project={title}");
    let href = at(&shared);
    let scope = Signal::stored(LinkScope::Project(title.clone()));
    view! {
        <article class="sheet padded stack" aria-label=label>
            <header class="row">
                <h3 class="project-name grow">{title}</h3>
                <a class="button quiet" href=href title="The runs of this project on the Lab page">
                    {move || project.read().as_ref().map(|project| counted(project.usage.runs, "run"))}
                </a>
                <ShareButton scope path=move |()| shared.clone() />
                <Show when=move || is_lab_admin.get()><DeleteButton project /></Show>
            </header>
            {move || project.read().as_ref().map(meters)}
            <Show when=move || is_lab_admin.get()><EditLimits project /></Show>
            <Members project />
            {move || project.read().as_ref().filter(|project| project.role == Role::View).map(|_| view! {
                <p class="small dim">"Your role in this project is view."</p>
            })}
        </article>
    }
}

/// What the project has used, with its limits.
fn meters(project: &ProjectView) -> AnyView {
    let ProjectView { limits, usage, .. } = project;
    let ProjectUsage { training, device_hours, disk_bytes, .. } = *usage;
    let hours = |hours: f64| duration(hours * HOUR);
    view! {
        <div class="project-meters">
            {meter(
                "Training now",
                Some(f64::from(training)),
                limits.runs_at_once.map(f64::from),
                |runs| grouped(runs as u64),
                ("Runs of the project that a device trains now.", "Once the limit is reached, further runs wait."),
            )}
            {meter(
                "Device time",
                Some(device_hours),
                limits.device_hours,
                hours,
                (
                    "Training time of all runs of the project, deleted ones included until they are purged.",
                    "Once the limit is used, runs wait.",
                ),
            )}
            {meter(
                "Disk",
                disk_bytes.map(|bytes| bytes as f64),
                limits.disk_bytes.map(|bytes| bytes as f64),
                |value| bytes(value as u64),
                (
                    "Files of the runs and datasets of the project, as last measured.",
                    "Once the limit is used, no run starts and no dataset is added.",
                ),
            )}
        </div>
    }
    .into_any()
}

fn meter(
    label: &'static str,
    used: Option<f64>,
    limit: Option<f64>,
    text: impl Fn(f64) -> String,
    (meaning, at_limit): (&'static str, &'static str),
) -> AnyView {
    let used_text = used.map_or_else(|| "not measured yet".to_owned(), &text);
    let shown = match limit {
        Some(limit) => format!("{used_text} / {}", text(limit)),
        None => format!("{used_text}, no limit"),
    };
    let is_used = used.zip(limit).is_some_and(|(used, limit)| used >= limit);
    let share = used.zip(limit).map(|(used, limit)| if limit > 0.0 { (used / limit).min(1.0) } else { 1.0 });
    let limit_text = if limit.is_none() { "There is no limit." } else { at_limit };
    view! {
        <div class="project-meter">
            <span class="small dim">{label}</span>
            <span class="small" class:over=is_used>
                <Number text=shown meaning=format!("{meaning} {limit_text}") />
                {is_used.then_some(" (limit reached)")}
            </span>
            {share.map(|share| view! { <Progress share=Some(share) label /> })}
        </div>
    }
    .into_any()
}

/// Deletes a project without runs and datasets, after a question.
#[component]
fn DeleteButton(project: Memo<Option<ProjectView>>) -> impl IntoView {
    let team = expect_context::<Team>();
    let obstacle = Memo::new(move |_| {
        let project = project.read();
        let project = project.as_ref()?;
        match project.usage.runs {
            _ if project.name == DEFAULT_PROJECT => Some("The project default cannot be deleted."),
            0 => None,
            _ => Some(
                "Move its runs to another project first, or delete them. Deleted runs count until they are purged after 7 days.",
            ),
        }
    });
    let ask = move |_| {
        let Some(name) = project.with_untracked(|project| project.as_ref().map(|project| project.name.clone())) else {
            return;
        };
        let title = format!("Delete the project {name}?");
        let act = team.confirm.keep(move || {
            let name = name.clone();
            spawn_local(async move {
                match api::projects::delete(&name).await {
                    Ok(()) => team.toasts.say(format!("The project {name} was deleted")),
                    Err(failure) => team.toasts.fail("The project was not deleted", &failure),
                }
                team.renew();
            });
        });
        let loses = "Its people lose their roles in it, and tokens and share links that are limited to it reach nothing. Accounts stay. This \
                     cannot be undone, but a project of the same name can be created.";
        team.confirm.ask(Question { title, loses: loses.to_owned(), verb: "Delete", act });
    };
    view! {
        <button
            class="quiet"
            title=move || obstacle.get().unwrap_or("Delete the project, after confirmation. Only a project without datasets can be deleted.")
            disabled=move || obstacle.read().is_some()
            on:click=ask
        >
            "Delete …"
        </button>
    }
}

/// The form that replaces the limits.
#[component]
fn EditLimits(project: Memo<Option<ProjectView>>) -> impl IntoView {
    // A new form for limits that were changed elsewhere.
    let limits = Memo::new(move |_| project.read().as_ref().map(|project| project.limits));
    let name =
        project.with_untracked(|project| project.as_ref().map(|project| project.name.clone()).unwrap_or_default());
    view! {
        <details>
            <summary title="Limit runs at once, device time and disk">"Change limits"</summary>
            {move || limits.get().map(|limits| view! { <LimitForm name=name.clone() limits /> })}
        </details>
    }
}

#[component]
fn LimitForm(name: String, limits: ProjectLimits) -> impl IntoView {
    let team = expect_context::<Team>();
    let typed = TypedLimits::new(limits);
    let failure = RwSignal::new(None::<ApiFailure>);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| !typed.is_readable()) {
            return;
        }
        let (name, limits) = (name.clone(), untrack(|| typed.limits()));
        failure.set(None);
        spawn_local(async move {
            match api::projects::limit(&name, &limits).await {
                Ok(_) => {
                    team.toasts.say(format!("The limits of {name} were changed"));
                    team.renew();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
        });
    };
    view! {
        <form class="stack" on:submit=submit>
            <div class="project-fields"><LimitFields limits=typed /></div>
            {move || failure.get().map(|failure| view! { <Failure what="The limits were not changed" failure /> })}
            <div class="row">
                <button
                    type="submit"
                    title="Apply these limits at once; queued runs may then start"
                    disabled=move || !typed.is_readable()
                >
                    "Save limits"
                </button>
            </div>
        </form>
    }
}
