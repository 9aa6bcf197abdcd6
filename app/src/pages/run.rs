//! The Run page: fetches a run, follows its stream, keeps its curves exact at the zoom in view, and lays the panels
//! out. The state that the panels share is the [`RunContext`]; panels do not fetch curves or the journal, and they send
//! commands through it.

mod accumulation;
mod branches;
mod charts;
mod checkpoint_list;
mod checkpoint_menu;
mod checkpoints;
mod command;
mod context;
mod control_run;
mod controls;
mod details;
mod device;
mod diagnosis_charts;
mod drawer;
mod effects;
mod export;
mod fields;
mod finding_marks;
mod findings;
mod fork;
mod fork_dataset;
mod fork_plan;
mod form_buttons;
mod header;
mod health;
mod hyperparameter;
mod hyperparameter_form;
mod hyperparameters_menu;
mod intervals;
mod journal;
mod keys;
mod loss_chart;
mod mix;
mod more_charts;
mod note;
mod open_run;
mod operator_table;
mod phrases;
mod plan;
mod proposals;
mod rollback;
mod sample;
mod samples;
mod schedule;
mod schedule_draft;
mod schedule_edit;
mod schedule_editor;
mod schedule_points;
mod series_loader;
mod small_chart;
mod status;
mod tasks;
mod transport;
mod undo;
mod view_query;
mod viewport;

use std::time::Duration;

use futures_util::future::join;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wire::run::Cursor;
use wire::run::table::RunQuery;
use wire::{Author, Event, EventRecord, RunId, RunState};

use crate::components::{RunFailure, Skeleton, isolated};
use crate::net::api::{self, ApiFailure};
use crate::net::live::{Live, RunUpdate, Watch};
use crate::open_view::{OpenView, PageView};
use crate::route::{Router, run_path};
use charts::{Charts, is_of_diagnosis, is_shown};
use checkpoints::Checkpoints;
use context::{Drawer, RunContext};
use controls::Controls;
use device::DevicePanel;
use effects::EffectOfChanges;
use header::RunHeader;
use health::HealthPanel;
use journal::Journal;
use keys::listen_to_keys;
use loss_chart::LossChart;
use more_charts::MoreCharts;
use open_run::OpenRun;
use phrases::{author, phrase};
use plan::PlanPanel;
use proposals::PendingProposals;
use samples::Samples;
use series_loader::SeriesLoader;
use status::StatusPanel;
use view_query::SharedView;

/// Wait before a request that the network failed is sent again.
const RETRY: Duration = Duration::from_secs(2);
/// Journal lines in one answer.
const LINES: u32 = 5_000;
/// Forks that are fetched, the newest first.
const FORKS: u32 = 50;

/// The state of opening the run.
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
    move || match stage.get() {
        Stage::Opening => view! {
            <main class="page run loading">
                <Skeleton rows=1 class="short" />
                <Skeleton rows=1 class="loss" />
                <Skeleton rows=2 class="tall" />
            </main>
        }
        .into_any(),
        Stage::Failed(failure) => view! {
            <main class="page narrow">
                <RunFailure run=id.get_value() failure retry=move |()| open() />
            </main>
        }
        .into_any(),
        Stage::Open(run) => {
            provide_context(Gone(Callback::new(move |failure| drop(stage.try_set(Stage::Failed(failure))))));
            view! { <OpenRunPage run=*run /> }.into_any()
        }
    }
}

/// What to do when the run is not there any more: it was deleted, or this person may not see it any more.
#[derive(Clone, Copy)]
struct Gone(Callback<ApiFailure>);

/// A run and the names of its series, which decide what is fetched next.
async fn fetch(id: RunId) -> Result<OpenRun, ApiFailure> {
    let (view, names) = join(api::run(&id), api::series::names(&id)).await;
    let mut run = OpenRun::new(view?);
    let is_known = |series: &&String| is_shown(series) || is_of_diagnosis(series);
    names.unwrap_or_default().iter().filter(is_known).for_each(|series| run.curves.expect(series));
    Ok(run)
}

/// The page once the run is known.
#[component]
fn OpenRunPage(run: OpenRun) -> impl IntoView {
    let context = RunContext::new(run);
    provide_context(context);
    provide_context(context.chart_group());
    let live = expect_context::<Live>();
    live.know([context.summary.get_untracked()]);
    know_forks(context, live);
    Effect::new(move || document().set_title(&format!("{} · Kindling", isolated(&context.summary.read().name))));
    // The stream first, from the cursor of the view: what is fetched after it overlaps with it and leaves no gap.
    let loader = SeriesLoader::start(context);
    watch(context, loader);
    spawn_local(fetch_journal(context));
    listen_to_keys(context);
    register(context);
    keep_card(context);
    view! {
        <main class="page run">
            <RunHeader />
            <PendingProposals />
            <Controls />
            <div class="run-grid">
                <div class="charts">
                    <StatusPanel />
                    <LossChart />
                    <EffectOfChanges />
                    <Charts />
                    <MoreCharts />
                </div>
                <aside class="side" aria-label="Health, samples, checkpoints, journal, plan, device">
                    <HealthPanel />
                    <Samples />
                    <Checkpoints />
                    <Journal />
                    <PlanPanel />
                    <DevicePanel />
                </aside>
            </div>
        </main>
    }
}

/// Registers the view of the charts, with which the page is shared and presented. A view in the address is shown.
fn register(context: RunContext) {
    let router = expect_context::<Router>();
    let show = move || {
        let view = untrack(|| view_query::read(|key| router.query(key)));
        context.options.set(view.options);
        context.viewport.set(view.viewport);
        context.picked.set(view.picked);
        context.findings.card.set(view.finding);
        if view.finding.is_some() {
            context.findings.is_open.set(true);
        }
    };
    if untrack(|| {
        ["x", "range", "log", "bits", "smooth", "clip", "event", "finding"]
            .iter()
            .any(|key| router.query(key).is_some())
    }) {
        show();
    }
    expect_context::<OpenView>().register(PageView {
        query: Signal::derive(move || {
            view_query::write(SharedView {
                options: context.options.get(),
                viewport: context.viewport.get(),
                picked: context.picked.get(),
                finding: context.findings.card.get(),
            })
        }),
        show: Callback::new(move |()| show()),
        step: None,
        crosshair: Some(context.crosshair),
    });
}

/// Keeps the open card in the address, so that the way back from the X-ray leads to it.
fn keep_card(context: RunContext) {
    let router = expect_context::<Router>();
    Effect::new(move |before: Option<Option<u64>>| {
        let finding = context.findings.card.get();
        if before.is_some_and(|before| before != finding) {
            let view = untrack(|| view_query::read(|key| router.query(key)));
            let query = view_query::write(SharedView { finding, ..view });
            let path = run_path(&context.id());
            router.replace(&if query.is_empty() { path } else { format!("{path}?{query}") });
        }
        finding
    });
}

/// Follows the stream of the run; after a gap the run is fetched again.
fn watch(context: RunContext, loader: SeriesLoader) {
    let (live, gone) = (expect_context::<Live>(), expect_context::<Gone>());
    let held = StoredValue::new(None::<Watch>);
    let since = context.run.read_untracked().view.cursor;
    let watch = live.watch_run(context.id(), since, move |update| match update {
        RunUpdate::Tick(tick) => {
            if !tick.findings.is_empty() {
                context.findings.news.update(|news| *news += 1);
            }
            let acts: Vec<_> =
                tick.events.iter().filter(|record| matches!(record.author, Author::Rule(_))).cloned().collect();
            if !acts.is_empty() {
                context.findings.acts.update(|known| known.extend(acts));
            }
            let is_rollback = tick.events.iter().any(|record| matches!(record.event, Event::RolledBack { .. }));
            let is_first = context.run.try_update(|run| {
                let was_running = run.view.summary.state == RunState::Running;
                run.tick(*tick);
                !was_running && run.view.summary.state == RunState::Running && run.bits_per_byte().is_none()
            });
            // Only a fresh view contains the hyperparameters and the path after a rollback, and the entropies of a dataset
            // that was tokenized when the run started.
            if is_rollback || is_first == Some(true) {
                spawn_local(start_over(context, loader, held, gone));
            }
        }
        RunUpdate::Resync => spawn_local(start_over(context, loader, held, gone)),
    });
    held.set_value(Some(watch));
    on_cleanup(move || watch.leave());
}

/// Fetches the run again, continues its stream from there, and fetches journal and curves.
async fn start_over(context: RunContext, loader: SeriesLoader, held: StoredValue<Option<Watch>>, gone: Gone) {
    if let Some(cursor) = renew(context, gone).await
        && let Some(watch) = held.try_get_value().flatten()
    {
        watch.go_on(cursor);
        context.findings.news.update(|news| *news += 1);
        join(fetch_journal(context), loader.fetch(true)).await;
    }
}

/// Fetches the run until it succeeds, and returns the cursor from which its stream continues. `None` once the page is
/// gone, or the run.
async fn renew(context: RunContext, gone: Gone) -> Option<Cursor> {
    let id = context.run.try_with_untracked(|run| run.view.summary.id.clone())?;
    loop {
        match api::run(&id).await {
            Ok(view) => {
                let cursor = view.cursor;
                return context.run.try_update(|run| run.renew(view)).map(|()| cursor);
            }
            Err(failure) if failure.status == 404 => {
                gone.0.try_run(failure);
                return None;
            }
            Err(_) => {}
        }
        if context.run.is_disposed() {
            return None;
        }
        wait().await;
    }
}

/// Adds the forks of the run to the list of runs, where that has only the newest ones: control runs and lineage are found in it.
fn know_forks(context: RunContext, live: Live) {
    if !untrack(|| live.is_partial()) {
        return;
    }
    let query = RunQuery { q: Some(format!("parent:{}", context.id())), limit: Some(FORKS), ..RunQuery::default() };
    spawn_local(async move {
        // Without them the page shows no control run; the run itself is complete.
        if let Ok(page) = api::runs::list(&query).await {
            live.know(page.rows.into_iter().map(|row| row.summary));
        }
    });
}

/// Fetches the whole journal, [`LINES`] at a time.
async fn fetch_journal(context: RunContext) {
    let Some(id) = context.run.try_with_untracked(|run| run.view.summary.id.clone()) else { return };
    let mut since = 0;
    loop {
        let records = match api::events(&id, since, LINES).await {
            Ok(records) => records,
            Err(_) if context.run.is_disposed() => return,
            Err(_) => {
                wait().await;
                continue;
            }
        };
        let is_last = records.len() < LINES as usize;
        since = records.last().map_or(since, |record: &EventRecord| record.number);
        if context.run.try_update(|run| run.add_events(records)).is_none() || is_last {
            return;
        }
    }
}

/// Waits [`RETRY`].
async fn wait() {
    let passed = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(move || drop(resolve.call0(&JsValue::NULL)), RETRY);
    });
    let _ = JsFuture::from(passed).await;
}
