//! The Run page: fetches a run, watches its stream, keeps its curves exact at the zoom in view, and lays the panels out.

mod keeper;

use std::time::Duration;

use futures_util::future::join;
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wire::run::Cursor;
use wire::{Event, EventRecord, RunId};

use crate::api::{self, ApiFailure};
use crate::live::{Live, News, Watch};
use crate::panels::{
    Checkpoints, Controls, Desk, Head, Instruments, Journal, LossChart, Machine, Numbers, Samples, Standing, TwinPanel,
    is_kept, press,
};
use crate::parts::{Failure, Skeleton};
use crate::run_state::OpenRun;
use keeper::Keeper;

/// Before what the network failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Journal lines in one answer.
const LINES: u32 = 5_000;

/// How opening the run stands.
#[derive(Clone)]
enum Stage {
    Opening,
    Open(Box<OpenRun>),
    Failed(ApiFailure),
}

/// The page of one run.
#[component]
pub(crate) fn RunPage(run: RunId) -> impl IntoView {
    let stage = RwSignal::new(Stage::Opening);
    let id = StoredValue::new(run);
    let open = move || {
        stage.set(Stage::Opening);
        spawn_local(async move {
            let opened = match fetch(id.get_value()).await {
                Ok(run) => Stage::Open(Box::new(run)),
                Err(failure) => Stage::Failed(failure),
            };
            stage.try_set(opened);
        });
    };
    open();
    move || {
        match stage.get() {
        Stage::Opening => view! { <main class="page run loading"><Skeleton rows=1 class="short" /><Skeleton rows=1 class="loss" /><Skeleton rows=2 class="tall" /></main> }.into_any(),
        Stage::Failed(failure) => view! {
            <main class="page narrow"><Failure what=format!("{} could not be opened", id.get_value()) failure retry=move |()| open() /><a class="button" href="/">"To the Lab"</a></main>
        }.into_any(),
        Stage::Open(run) => view! { <OpenRunPage run=*run /> }.into_any(),
    }
    }
}

/// A run and the names of its curves, which tell what to ask for next.
async fn fetch(id: RunId) -> Result<OpenRun, ApiFailure> {
    let (view, names) = join(api::run(&id), api::series_names(&id)).await;
    let mut run = OpenRun::new(view?);
    names.unwrap_or_default().iter().filter(|series| is_kept(series)).for_each(|series| run.curves.expect(series));
    Ok(run)
}

/// The page once the run is known.
#[component]
fn OpenRunPage(run: OpenRun) -> impl IntoView {
    let desk = Desk::new(run);
    provide_context(desk);
    // The stream first, from the view's cursor: what is fetched after it overlaps with it and leaves no gap.
    let keeper = Keeper::start(desk);
    watch(desk, keeper);
    spawn_local(fetch_journal(desk));
    listen_to_keys(desk);
    view! {
        <main class="page run">
            <Head />
            <Controls />
            <div class="run-grid">
                <div class="charts">
                    <Standing />
                    <LossChart />
                    <TwinPanel />
                    <Instruments />
                </div>
                <aside class="side" aria-label="Samples, checkpoints, journal, plan, device">
                    <Samples />
                    <Checkpoints />
                    <Journal />
                    <Numbers />
                    <Machine />
                </aside>
            </div>
        </main>
    }
}

/// Follows the run's stream; after a gap fetches it anew.
fn watch(desk: Desk, keeper: Keeper) {
    let live = expect_context::<Live>();
    let held = StoredValue::new(None::<Watch>);
    let since = desk.run.read_untracked().view.cursor;
    let watch = live.watch_run(desk.id(), since, move |news| match news {
        News::Tick(tick) => {
            let leads_elsewhere = tick.events.iter().any(|record| matches!(record.event, Event::RolledBack { .. }));
            desk.run.try_update(|run| run.tick(*tick));
            if leads_elsewhere {
                // Dials and path are those of the checkpoint now, which a fresh view tells.
                spawn_local(start_over(desk, keeper, held));
            }
        }
        News::Resync => spawn_local(start_over(desk, keeper, held)),
    });
    held.set_value(Some(watch));
    on_cleanup(move || watch.leave());
}

/// Fetches the run anew, goes on in its stream from there, and fills in journal and curves.
async fn start_over(desk: Desk, keeper: Keeper, held: StoredValue<Option<Watch>>) {
    if let Some(cursor) = renew(desk).await
        && let Some(watch) = held.try_get_value().flatten()
    {
        watch.go_on(cursor);
        join(fetch_journal(desk), keeper.fetch(true)).await;
    }
}

/// Fetches the run anew, for as long as it takes, and gives the place where its stream goes on.
async fn renew(desk: Desk) -> Option<Cursor> {
    let id = desk.run.try_with_untracked(|run| run.view.summary.id.clone())?;
    loop {
        if let Ok(view) = api::run(&id).await {
            let cursor = view.cursor;
            return desk.run.try_update(|run| run.renew(view)).map(|()| cursor);
        }
        if desk.run.is_disposed() {
            return None;
        }
        rest().await;
    }
}

/// The journal in whole, a page at a time.
async fn fetch_journal(desk: Desk) {
    let Some(id) = desk.run.try_with_untracked(|run| run.view.summary.id.clone()) else { return };
    let mut since = 0;
    loop {
        let records = match api::events(&id, since, LINES).await {
            Ok(records) => records,
            Err(_) if desk.run.is_disposed() => return,
            Err(_) => {
                rest().await;
                continue;
            }
        };
        let is_last = records.len() < LINES as usize;
        since = records.last().map_or(since, |record: &EventRecord| record.number);
        if desk.run.try_update(|run| run.add_events(records)).is_none() || is_last {
            return;
        }
    }
}

/// A pause before what the network failed is tried again.
async fn rest() {
    let passed = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(move || drop(resolve.call0(&JsValue::NULL)), AGAIN);
    });
    let _ = JsFuture::from(passed).await;
}

/// The keys of this page; never while someone types, and a focused button keeps its own space.
fn listen_to_keys(desk: Desk) {
    let listener = window_event_listener(ev::keydown, move |event| {
        if !is_taken(&event) && press(desk, event.key().as_str()) {
            event.prevent_default();
        }
    });
    on_cleanup(move || listener.remove());
}

fn is_taken(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let tag = target.as_ref().map(web_sys::Element::tag_name).unwrap_or_default();
    let is_field = matches!(tag.as_str(), "INPUT" | "TEXTAREA" | "SELECT");
    let is_pressed = matches!(tag.as_str(), "BUTTON" | "A" | "SUMMARY") && event.key() == " ";
    let has_dialog = document().query_selector("dialog[open]").ok().flatten().is_some();
    let is_escape = event.key() == "Escape";
    event.default_prevented()
        || event.repeat()
        || event.ctrl_key()
        || event.meta_key()
        || event.alt_key()
        || is_pressed
        || has_dialog
        || (is_field && !is_escape)
}
