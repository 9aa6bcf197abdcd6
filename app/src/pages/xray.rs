//! The X-ray page: inspections of a run's model, live or at a snapshot. The overview stands on top; below it the chosen
//! tab with an explanation beside it, and the text that is inspected.
//!
//! State: [`state`] what all views share, [`location`] where in the model the page is, [`step`] and [`playback`] which
//! step, [`inspections`] results and where they come from, [`subscription`] a view's inspection, [`single`] one on
//! request. Around every view: [`timeline`], [`overview`], [`explain`], [`prompt`], [`inspected`]. One module for each
//! tab.

mod attention;
mod batch;
mod embedding;
mod emergence;
mod explain;
mod histogram;
mod hook_point;
mod inspected;
mod inspections;
mod interventions;
mod keyboard;
mod location;
mod logit_lens;
mod matrix;
mod neuron;
mod neurons;
mod overview;
mod playback;
mod problem;
mod prompt;
mod quantity;
mod scroll_table;
mod series_chart;
mod single;
mod state;
mod step;
mod stream;
mod subscription;
mod timeline;
mod token_text;
mod tokens;
mod weights;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{RunId, RunView};

use crate::components::{RunFailure, Skeleton, shows};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::open_view::{OpenView, PageView, ShownStep};
use location::{Location, TABS, Tab};
use state::XrayState;
use step::StepChoice;

#[component]
pub(crate) fn XrayPage(run: RunId) -> impl IntoView {
    let opened = RwSignal::new(None::<Result<Box<RunView>, ApiFailure>>);
    let id = StoredValue::new(run);
    let live = expect_context::<Live>();
    let open = move || {
        opened.set(None);
        spawn_local(async move {
            let view = api::run(&id.get_value()).await.map(Box::new);
            live.know(view.iter().map(|view| view.summary.clone()));
            opened.try_set(Some(view));
        });
    };
    open();
    move || match opened.get() {
        None => loading(),
        Some(Err(failure)) => view! {
            <main class="page narrow">
                <RunFailure run=id.get_value() failure retry=move |()| open() />
            </main>
        }
        .into_any(),
        Some(Ok(run)) => {
            let gone = Callback::new(move |failure| drop(opened.try_set(Some(Err(failure)))));
            view! { <OpenPage run=*run gone /> }.into_any()
        }
    }
}

fn loading() -> AnyView {
    view! {
        <main class="page xray">
            <Skeleton rows=1 class="short" />
            <Skeleton rows=1 class="tall" />
            <Skeleton rows=1 class="loss" />
        </main>
    }
    .into_any()
}

/// The page of an opened run.
#[component]
fn OpenPage(run: RunView, gone: Callback<ApiFailure>) -> impl IntoView {
    let cursor = run.cursor;
    let xray = XrayState::new(run);
    provide_context(xray);
    stream::follow(xray, cursor, gone);
    register(xray);
    keyboard::listen(xray);
    view! {
        <main class="page xray" class:inside=move || *xray.location.read() != Location::Overview>
            <h1 class="unseen">{shows(move || format!("X-ray of {}", xray.name()))}</h1>
            <timeline::Timeline />
            <overview::Overview />
            <nav class="tabs xray-tabs" aria-label="Views of the model">
                {TABS.iter().map(|tab| tab_link(xray, tab)).collect_view()}
            </nav>
            <Views xray />
            <prompt::Prompt />
        </main>
    }
}

/// Registers what the address does not have, with which the page is shared and presented.
fn register(xray: XrayState) {
    expect_context::<OpenView>().register(PageView {
        query: Signal::derive(move || xray.query()),
        show: Callback::new(move |()| xray.show_address()),
        step: Some(ShownStep {
            read: Signal::derive(move || step_number(xray.step.get())),
            set: Callback::new(move |step: Option<u64>| {
                xray.playback.pause();
                xray.step.set(step.map_or(StepChoice::Newest, StepChoice::At));
            }),
        }),
        crosshair: None,
    });
}

/// The step of a choice; `None` for the newest.
fn step_number(step: StepChoice) -> Option<u64> {
    match step {
        StepChoice::Newest => None,
        StepChoice::At(step) => Some(step),
    }
}

fn tab_link(xray: XrayState, tab: &'static Tab) -> AnyView {
    let is_open = move || xray.location.with(|location| location.tab() == tab.id);
    view! {
        <a
            class="tab"
            title=tab.tooltip
            href=move || xray.path(&Location::of_tab(tab.id))
            aria-current=move || is_open().then_some("page")
        >
            {tab.label}
        </a>
    }
    .into_any()
}

/// The view of the open tab, a second one beside it while two steps are compared, and the explanation. Choosing another
/// head or block changes a view; another tab builds a new one.
#[component]
fn Views(xray: XrayState) -> impl IntoView {
    let tab = Memo::new(move |_| xray.location.with(|location| (location.tab(), location.is_detail())));
    let has_other = Memo::new(move |_| xray.other_step.read().is_some());
    let step = Signal::derive(move || xray.step.get());
    let other = Signal::derive(move || xray.other_step.get().unwrap_or(StepChoice::Newest));
    let views = move || {
        let (tab, is_detail) = tab.get();
        let second = has_other.get().then(|| {
            view! {
                <section class="sheet padded stack view other" data-view=tab>
                    {content(xray, tab, is_detail, other)}
                </section>
            }
        });
        view! {
            <section class="sheet padded stack view" data-view=tab>{content(xray, tab, is_detail, step)}</section>
            {second}
        }
    };
    view! {
        <div class="xray-grid" class:two=has_other>
            {shows(views)}
            <explain::Explain />
        </div>
    }
}

fn content(xray: XrayState, tab: &'static str, is_detail: bool, step: Signal<StepChoice>) -> AnyView {
    match (tab, is_detail) {
        ("attention", _) => attention::view(xray, step),
        ("logit_lens", _) => logit_lens::view(xray, step),
        ("neurons", false) => neurons::view(xray, step),
        ("neurons", true) => neuron::view(xray, step),
        ("weights", false) => weights::view(xray, step),
        ("weights", true) => matrix::view(xray, step),
        ("embedding", _) => embedding::view(xray, step),
        ("interventions", _) => interventions::view(xray),
        ("batch", _) => batch::view(xray),
        ("emergence", _) => emergence::view(xray),
        _ => overview::view(xray, step),
    }
}
