//! The pools with their workers and queues, and how many runs each of their devices trains at once.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::fleet::{LOCAL_POOL, PoolChange, PoolView};
use wire::slot::MAX_RUNS_AT_ONCE;

use super::feed::FleetFeed;
use crate::components::Toasts;
use crate::net::api::fleet;
use crate::session::Session;

const MEANING: &str = "Maximum number of runs that each device of the pool trains at once. A further run starts on a device only if the memory \
                       estimates of all its runs fit in the memory of the device together. On a CPU, the runs share the cores";

/// The list; nothing before it is fetched.
#[component]
pub(super) fn Pools(feed: FleetFeed) -> impl IntoView {
    let names = Memo::new(move |_| feed.pools.read().iter().map(|pool| pool.name.clone()).collect::<Vec<_>>());
    view! {
        <Show when=move || !names.read().is_empty()>
            <section class="sheet machine" aria-labelledby="pools-title">
                <header class="row">
                    <h2 id="pools-title" title="Groups of workers that take runs from one queue">"Pools"</h2>
                </header>
                <ul>
                    <For each=move || names.get() key=Clone::clone let(name)>
                        <PoolRow name feed />
                    </For>
                </ul>
            </section>
        </Show>
    }
}

#[component]
fn PoolRow(name: String, feed: FleetFeed) -> impl IntoView {
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let wanted = name.clone();
    let pool = Memo::new(move |_| feed.pools.read().iter().find(|pool| pool.name == wanted).cloned());
    let is_admin = Memo::new(move |_| session.is_admin());
    let runs_at_once = Memo::new(move |_| pool.read().as_ref().map_or(1, |pool| pool.runs_at_once));
    let label = format!("Runs at once on each device of the pool {name}");
    let change = Callback::new({
        let name = name.clone();
        move |number: u32| change(feed, toasts, name.clone(), number, runs_at_once.get_untracked())
    });
    view! {
        <li class="pool">
            <div class="d-name">
                <strong>{name}</strong>
                <span class="small dim">{move || pool.read().as_ref().map(about)}</span>
            </div>
            {move || match is_admin.get() {
                true => view! {
                    <label class="row" title=MEANING>
                        <span class="small">"Runs at once per device"</span>
                        <select
                            aria-label=label.clone()
                            prop:value=move || runs_at_once.get().to_string()
                            on:change:target=move |event| {
                                if let Ok(number) = event.target().value().parse() {
                                    change.run(number);
                                }
                            }
                        >
                            {(1..=MAX_RUNS_AT_ONCE).map(|number| view! {
                                <option value=number.to_string() selected=move || runs_at_once.get() == number>{number}</option>
                            }).collect_view()}
                        </select>
                    </label>
                }.into_any(),
                false => view! {
                    <span class="small" title=MEANING>{move || format!("Runs at once per device: {}", runs_at_once.get())}</span>
                }.into_any(),
            }}
        </li>
    }
}

/// Its workers and the runs that wait for it.
fn about(pool: &PoolView) -> String {
    let counted =
        |count: u32, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
    let workers = counted(pool.workers, "worker", "workers");
    let queued = match pool.queued {
        0 => String::new(),
        count => format!(" · {} for it", counted(count, "run waits", "runs wait")),
    };
    let own = if pool.name == LOCAL_POOL { "devices of the server's machine · " } else { "" };
    format!("{own}{workers}, {} connected{queued}", pool.connected)
}

/// Sets the number, and offers to set it back.
fn change(feed: FleetFeed, toasts: Toasts, pool: String, number: u32, before: u32) {
    spawn_local(async move {
        match fleet::change_pool(&pool, &PoolChange { runs_at_once: Some(number) }).await {
            Ok(_) if number == before => {}
            Ok(_) => {
                let runs = if number == 1 { "1 run".to_owned() } else { format!("{number} runs") };
                let text = format!("Each device of the pool {pool} trains {runs} at once");
                toasts.undoable(text, move || change(feed, toasts, pool.clone(), before, before));
            }
            Err(failure) => toasts.fail("The pool was not changed", &failure),
        }
        feed.fetch_pools();
    });
}
