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
    let shown = move || match &*log.read() {
        None => view! { <Skeleton rows=3 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            let failure = failure.clone();
            view! { <Failure what="The log could not be fetched" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(log)) if log.lines.is_empty() => {
            view! { <p class="dim">"The worker has not sent a line since the server started."</p> }.into_any()
        }
        Some(Ok(log)) => {
            let text = visible(&log.lines.join("\n")).into_owned();
            // Focusable, so that the keyboard can scroll it.
            view! { <pre class="worker-log" tabindex="0" role="group" aria-label="Log of the worker">{text}</pre> }
                .into_any()
        }
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
