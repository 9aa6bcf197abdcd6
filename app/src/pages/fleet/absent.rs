//! Workers that have joined and have not connected since the server started.

use leptos::prelude::*;
use wire::fleet::WorkerView;

use super::feed::FleetFeed;
use super::worker::{WorkerMarks, WorkerMenu};
use crate::components::isolated;
use crate::components::number::ago;

/// The list; nothing without such a worker.
#[component]
pub(super) fn AbsentWorkers(feed: FleetFeed) -> impl IntoView {
    let ids = Memo::new(move |_| {
        let (state, workers) = (feed.state.read(), feed.workers.read());
        let Some(state) = state.as_ref() else { return vec![] };
        workers
            .iter()
            .filter(|worker| state.device(&worker.device).is_none())
            .map(|worker| worker.id)
            .collect::<Vec<_>>()
    });
    view! {
        <Show when=move || !ids.read().is_empty()>
            <section class="sheet machine" aria-labelledby="absent-title">
                <header class="row">
                    <h2 id="absent-title" title="Workers that have joined and have not connected since the server started">
                        "Not connected"
                    </h2>
                </header>
                <ul>
                    <For each=move || ids.get() key=|id| *id let(id)>
                        <AbsentWorker id feed />
                    </For>
                </ul>
            </section>
        </Show>
    }
}

#[component]
fn AbsentWorker(id: i64, feed: FleetFeed) -> impl IntoView {
    let worker = Memo::new(move |_| feed.workers.read().iter().find(|worker| worker.id == id).cloned());
    let about = |worker: &WorkerView| {
        let seen = match worker.seen_ms {
            Some(at) => format!("last report {}", ago(at as f64)),
            None => format!("joined {}, has never connected", ago(worker.joined_ms as f64)),
        };
        format!("{} on {} · {seen}", worker.device, isolated(&worker.host))
    };
    view! {
        <li class="absent-worker">
            <div class="d-name">
                <strong>{move || worker.read().as_ref().map(|worker| isolated(&worker.name))}</strong>
                <span class="small dim">{move || worker.read().as_ref().map(about)}</span>
                <WorkerMarks worker />
            </div>
            <WorkerMenu worker feed />
        </li>
    }
}
