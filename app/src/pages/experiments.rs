//! Experiments: the list with the scores of predictions, the form of a new one ([`form`]), one experiment as a page of a lab notebook
//! ([`notebook`]), the research journal of a project ([`journal`]), and research loops
//! ([`loops`]). [`opened`] is what the pages of one of them have in common.

mod form;
mod journal;
mod loops;
mod notebook;
mod opened;
mod pairs;
mod scores;
mod tabs;
mod words;

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::experiment::record::{ExperimentState, ExperimentSummary};

use crate::base::at;
use crate::components::interval::every;
use crate::components::number::{ago, counted};
use crate::components::{Empty, Failure, Icon, Skeleton, isolated, shows};
use crate::net::api::{ApiFailure, experiments};
use crate::session::Session;
pub(super) use form::NewExperimentPage;
pub(super) use journal::JournalPage;
pub(super) use loops::{LoopPage, LoopsPage, NewLoopPage};
pub(super) use notebook::ExperimentPage;
use scores::Scores;
use tabs::Tabs;
use words::{Mark, author_name};

/// Time between two looks at the list while an experiment is running.
const REFRESH: Duration = Duration::from_secs(5);

#[component]
pub(super) fn ExperimentsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let known = RwSignal::new(None::<Result<Vec<ExperimentSummary>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = experiments::list().await;
            // What was listed before stays when a later request fails.
            let is_first = known.try_with_untracked(|known| !matches!(known, Some(Ok(_)))) == Some(true);
            if is_first || found.is_ok() {
                known.try_set(Some(found));
            }
        });
    };
    fetch();
    let is_running = move || match known.try_get_untracked().flatten() {
        Some(Ok(all)) => all.iter().any(|one| one.state == ExperimentState::Running),
        _ => false,
    };
    every(REFRESH, move || {
        if is_running() {
            fetch();
        }
    });
    let content = move || {
        match known.get() {
        None => view! { <Skeleton rows=5 /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The experiments could not be listed" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(all)) if all.is_empty() => view! {
            <Empty
                title="No experiments yet"
                text="An experiment tests a change: you state what you expect and fix a decision rule, and the lab trains pairs of runs with \
                      equal seeds until the rule gives a verdict."
            />
        }
        .into_any(),
        Some(Ok(all)) => {
            let lines = all.into_iter().map(|one| view! { <Line one /> }).collect_view();
            view! { <ul class="sheet list" aria-label="Experiments">{lines}</ul> }.into_any()
        }
    }
    };
    view! {
        <main class="page experiments stack roomy">
            <Tabs />
            <div class="row">
                <h1>"Experiments"</h1>
                <span class="grow"></span>
                {shows(move || (session.can_steer() && !session.is_guest()).then(|| view! {
                    <a class="button" href=at("/experiments/new") title="State a hypothesis, a prediction and a decision rule">
                        <Icon name="plus" />
                        "New experiment"
                    </a>
                }))}
            </div>
            {shows(content)}
            <Scores />
        </main>
    }
}

/// An experiment in the list.
#[component]
fn Line(one: ExperimentSummary) -> impl IntoView {
    let pairs = counted(u64::from(one.pairs), "pair");
    let about = format!("{pairs} · {} · {}", author_name(&one.author), ago(one.created_ms as f64));
    let result = one.verdict.as_ref().map(|verdict| verdict.sentence.clone()).or_else(|| one.reason.clone());
    let (href, change) = (at(&format!("/experiments/{}", one.id)), one.spec.change.phrase());
    view! {
        <li>
            <div class="row">
                <a class="run-name" href=href title="Open the page of the experiment">{isolated(&one.spec.title)}</a>
                <span class="grow"></span>
                <Mark state=one.state outcome=one.verdict.as_ref().map(|verdict| verdict.outcome) />
            </div>
            <p class="small mono">{change}</p>
            <p class="small dim">{about}</p>
            {result.map(|result| view! { <p class="small">{isolated(&result)}</p> })}
        </li>
    }
}
