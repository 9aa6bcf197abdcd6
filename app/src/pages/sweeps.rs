//! Sweeps: the list, the form of a new one ([`form`]), the import of an Optuna study ([`study`]), and one sweep with its trials and results
//! ([`open`]).

mod form;
mod open;
mod study;
mod words;

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::sweep::record::Sweep;

use crate::base::at;
use crate::components::interval::every;
use crate::components::number::{ago, grouped};
use crate::components::{Empty, Failure, Icon, Skeleton, isolated, shows};
use crate::net::api::{ApiFailure, sweeps};
use crate::route::sweep_path;
use crate::session::Session;
pub(super) use form::NewSweepPage;
pub(super) use open::SweepPage;
use study::StudyImport;
use words::{SweepMark, can_change, parameter_label, value_text};

/// Time between two requests for the list while a sweep trains.
const REFRESH: Duration = Duration::from_secs(4);
/// The same while only people can change the list.
const RARELY: Duration = Duration::from_secs(20);

#[component]
pub(super) fn SweepsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let known = RwSignal::new(None::<Result<Vec<Sweep>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = sweeps::list().await;
            // What was listed before stays when a later request fails.
            let is_first = known.try_with_untracked(|known| !matches!(known, Some(Ok(_)))) == Some(true);
            let is_news = known.try_with_untracked(|known| known.as_ref() != Some(&found)) == Some(true);
            if is_news && (is_first || found.is_ok()) {
                known.try_set(Some(found));
            }
        });
    };
    fetch();
    every(REFRESH, move || {
        let is_growing =
            |known: &Option<Result<Vec<Sweep>, ApiFailure>>| known.iter().flatten().flatten().any(can_change);
        if known.try_with_untracked(is_growing) == Some(true) {
            fetch();
        }
    });
    every(RARELY, fetch);
    view! {
        <main class="page sweeps stack roomy">
            <div class="row">
                <h1>"Sweeps"</h1>
                <span class="grow"></span>
                {shows(move || (session.can_steer() && !session.is_guest()).then(|| view! {
                    <a class="button" href=at("/sweeps/new") title="Choose parameters, a sampler and a stopping rule">
                        <Icon name="plus" />
                        "New sweep"
                    </a>
                }))}
            </div>
            {shows(move || match known.get() {
                None => view! { <Skeleton rows=5 /> }.into_any(),
                Some(Err(failure)) => view! {
                    <Failure what="The sweeps could not be listed" failure retry=move |()| fetch() />
                }.into_any(),
                Some(Ok(all)) if all.is_empty() => view! { <NoSweeps /> }.into_any(),
                Some(Ok(all)) => view! { <SweepList all /> }.into_any(),
            })}
            {shows(move || (session.can_steer() && !session.is_guest()).then(|| view! { <StudyImport /> }))}
        </main>
    }
}

#[component]
fn NoSweeps() -> impl IntoView {
    view! {
        <div class="sheet">
            <Empty
                title="No sweeps yet"
                text="A sweep trains one run for each point of a search space over hyperparameters, compares their results, and stops trials \
                      that fall behind."
            />
        </div>
    }
}

#[component]
fn SweepList(all: Vec<Sweep>) -> impl IntoView {
    let rows = all.into_iter().map(|sweep| view! { <SweepRow sweep /> }).collect_view();
    view! {
        <div class="sheet scroll" tabindex="0" role="region" aria-label="Sweeps">
            <table class="sweep-list">
                <thead>
                    <tr>
                        <th scope="col">"Sweep"</th>
                        <th scope="col">"State"</th>
                        <th scope="col" class="right">"Trials done"</th>
                        <th scope="col" class="right">"Best value"</th>
                        <th scope="col">"Started"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

#[component]
fn SweepRow(sweep: Sweep) -> impl IntoView {
    let done = sweep.counts.created() - sweep.counts.unfinished();
    let best = sweep.best.map(|best| value_text(&sweep.spec.metric, best.value));
    let parameters: Vec<String> = sweep.spec.space.parameters.keys().map(|name| parameter_label(name)).collect();
    let started = format!("{} by {}", ago(sweep.created_ms as f64), isolated(&sweep.creator));
    view! {
        <tr data-state=sweep.state.label()>
            <td class="wrap">
                <a class="run-name" href=sweep_path(sweep.id) title="Open the page of the sweep">{isolated(&sweep.spec.name)}</a>
                <div class="small dim">{parameters.join(", ")}</div>
                {sweep.message.clone().map(|message| view! { <div class="small">{isolated(&message)}</div> })}
            </td>
            <td><SweepMark state=sweep.state /></td>
            <td class="right mono">{format!("{} of {}", grouped(done), grouped(sweep.trials))}</td>
            <td class="right mono">{best.unwrap_or_else(|| "–".to_owned())}</td>
            <td class="small dim">{started}</td>
        </tr>
    }
}
