//! Research loops: the list, the form of a new one ([`form`]), and one loop ([`open`], fetched by [`state`]) with its
//! current round ([`present`]), who proposes its changes ([`proposer`]), and the pins and suggested values that people give it ([`hints`]).

mod form;
mod hints;
mod open;
mod present;
mod proposer;
mod state;

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::research_loop::record::{LoopState, LoopSummary};

use super::tabs::Tabs;
use super::words::{author_name, budgeted_time};
use crate::base::at;
use crate::components::interval::every;
use crate::components::number::ago;
use crate::components::{Empty, Failure, Icon, Skeleton, isolated, sentence, shows};
use crate::net::api::{ApiFailure, research_loops};
use crate::session::Session;
pub(in crate::pages) use form::NewLoopPage;
pub(in crate::pages) use open::LoopPage;

/// Time between two requests while a loop is running.
const REFRESH: Duration = Duration::from_secs(5);

#[component]
pub(in crate::pages) fn LoopsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let known = RwSignal::new(None::<Result<Vec<LoopSummary>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = research_loops::list().await;
            // What was listed before stays when a later request fails.
            let is_first = known.try_with_untracked(|known| !matches!(known, Some(Ok(_)))) == Some(true);
            if is_first || found.is_ok() {
                known.try_set(Some(found));
            }
        });
    };
    fetch();
    every(REFRESH, move || {
        if let Some(Ok(all)) = known.try_get_untracked().flatten()
            && all.iter().any(|one| one.state == LoopState::Running)
        {
            fetch();
        }
    });
    let content = move || {
        match known.get() {
        None => view! { <Skeleton rows=5 /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The research loops could not be listed" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(all)) if all.is_empty() => view! {
            <Empty
                title="No research loops yet"
                text="A research loop lowers the validation loss on a dataset within a budget of device time: it proposes changes of \
                      hyperparameters, tests them with pairs of runs, and keeps those that help by more than noise."
            />
        }
        .into_any(),
        Some(Ok(all)) => {
            let lines = all.into_iter().map(|one| view! { <Line one /> }).collect_view();
            view! { <ul class="sheet list" aria-label="Research loops">{lines}</ul> }.into_any()
        }
    }
    };
    view! {
        <main class="page experiments stack roomy">
            <Tabs />
            <div class="row">
                <h1>"Research loops"</h1>
                <span class="grow"></span>
                {shows(move || (session.can_steer() && !session.is_guest()).then(|| view! {
                    <a class="button" href=at("/research/new") title="Choose a recipe, the hyperparameters that may change, and a budget">
                        <Icon name="plus" />
                        "New research loop"
                    </a>
                }))}
            </div>
            {shows(content)}
        </main>
    }
}

/// A loop in the list.
#[component]
fn Line(one: LoopSummary) -> impl IntoView {
    let budget = budgeted_time(one.goal.budget.device_hours);
    let about = format!("{budget} of device time · {} · {}", author_name(&one.author), ago(one.created_ms as f64));
    let paths: Vec<&str> = one.goal.parameters.keys().map(String::as_str).collect();
    let (href, paths) = (at(&format!("/research/{}", one.id)), paths.join(", "));
    view! {
        <li>
            <div class="row">
                <a class="run-name" href=href title="Open the page of the research loop">{isolated(&one.goal.title)}</a>
                <span class="grow"></span>
                <LoopMark state=one.state />
            </div>
            <p class="small mono">{paths}</p>
            <p class="small dim">{about}</p>
            {one.reason.map(|reason| view! { <p class="small">{isolated(&sentence(&reason))}</p> })}
        </li>
    }
}

/// The state of a loop in a word.
#[component]
fn LoopMark(state: LoopState) -> impl IntoView {
    let meaning = match state {
        LoopState::Running => "Rounds follow each other until the budget is used up or no value is left to propose.",
        LoopState::Paused => "No further run starts until somebody resumes it.",
        LoopState::Finished => "The search has ended, and the confirmation too if a change was kept.",
        LoopState::Stopped => "A person or a program stopped it.",
    };
    view! {
        <span class="state" data-state=state.word() title=meaning>
            <Icon name=state.word() />
            {state.word()}
        </span>
    }
}
