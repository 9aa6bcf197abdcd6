//! The last lines of a worker's log.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::fleet::{WorkerLog, WorkerView};

use crate::components::interval::every;
use crate::components::{Failure, Skeleton, visible};
use crate::net::api::{ApiFailure, fleet};

const EVERY: Duration = Duration::from_secs(5);

/// The log of a worker; nothing while the worker is not known.
#[component]
pub(super) fn WorkerLines(worker: Memo<Option<WorkerView>>) -> impl IntoView {
    let id = Memo::new(move |_| worker.read().as_ref().map(|worker| worker.id));
    let log = RwSignal::new(None::<Result<WorkerLog, ApiFailure>>);
    let fetch = move || {
        let Some(id) = id.get_untracked() else { return };
        spawn_local(async move {
            let answer = fleet::log(id).await;
            if log.try_with_untracked(|known| known.as_ref() != Some(&answer)) == Some(true) {
                log.try_set(Some(answer));
            }
        });
    };
    Effect::new(move || {
        id.track();
        fetch();
    });
    every(EVERY, move || {
        if !document().hidden() {
            fetch();
        }
    });
    let text = Memo::new(move |_| match &*log.read() {
        Some(Ok(log)) => visible(&log.lines.join("\n")).into_owned(),
        _ => String::new(),
    });
    // 0: loading, 1: it could not be fetched, 2: empty, 3: some lines.
    let stage = Memo::new(move |_| match &*log.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(log)) if log.lines.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    let failure = move || match &*log.read() {
        Some(Err(failure)) => {
            let failure = failure.clone();
            Some(view! { <Failure what="The log could not be fetched" failure retry=move |()| fetch() /> })
        }
        _ => None,
    };
    let shown = move || match stage.get() {
        0 => view! { <Skeleton rows=3 class="short" /> }.into_any(),
        1 => view! { {failure} }.into_any(),
        2 => view! { <p class="dim">"The worker has not sent a line since the server started."</p> }.into_any(),
        // Focusable, so that the keyboard can scroll it.
        _ => view! { <pre class="worker-log" tabindex="0" role="group" aria-label="Log of the worker">{text}</pre> }
            .into_any(),
    };
    move || {
        id.get().map(|_| {
            view! {
                <section class="sheet padded stack" aria-labelledby="log-title">
                    <h2 id="log-title" title="The last lines, at most 200; the newest is at the bottom">"Worker log"</h2>
                    {shown}
                </section>
            }
        })
    }
}
