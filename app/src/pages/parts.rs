//! The parts of the program: WebAssembly modules that `cargo xtask page` splits off at the functions marked
//! `wasm_split`. Code that several parts use is in modules of its own, which are loaded with them.

use std::pin::Pin;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use super::approvals::ApprovalsPage;
use super::compare::ComparePage;
use super::data::DataPage;
use super::experiments::{
    ExperimentPage, ExperimentsPage, JournalPage, LoopPage, LoopsPage, NewExperimentPage, NewLoopPage,
};
use super::fleet::{DevicePage, FleetPage};
use super::new_run::NewRunPage;
use super::people::{AuditPage, InvitationPage, PeoplePage};
use super::playground::PlaygroundPage;
use super::rules::RulesPage;
use super::run::RunPage;
use super::settings::SettingsPage;
use super::sweeps::{NewSweepPage, SweepPage, SweepsPage};
use super::xray::XrayPage;
use crate::components::{Empty, Skeleton};
use crate::route::Route;

/// Builds the page of a route of its part.
type Build = fn(Route) -> AnyView;
type Loading = Pin<Box<dyn Future<Output = Result<Build, SplitLoaderError>>>>;

/// The part of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// One run.
    Run,
    /// The X-ray of a run.
    Xray,
    /// The fleet and its devices.
    Fleet,
    /// People, the audit log, the page of an invitation, and the settings.
    People,
    /// A comparison, and the rules.
    Compare,
    /// The list of experiments, the form of a new one, the page of each, the research journal, and research loops.
    Experiments,
    /// The proposals of agents.
    Approvals,
    /// The list of sweeps, the form of a new one, and the page of one.
    Sweeps,
    /// The other pages: a new run, the datasets, the playground.
    Tools,
}

impl Part {
    /// The part of a page; `None` for a page of the main module.
    pub(crate) fn of(route: &Route) -> Option<Self> {
        match route {
            Route::Lab | Route::Unknown(_) => None,
            Route::Run(_) => Some(Self::Run),
            Route::Xray(_) => Some(Self::Xray),
            Route::Fleet | Route::Device(_) => Some(Self::Fleet),
            Route::People | Route::Audit | Route::Invite | Route::Settings => Some(Self::People),
            Route::Compare | Route::Rules => Some(Self::Compare),
            Route::Experiments | Route::NewExperiment | Route::Experiment(_) | Route::Journal => {
                Some(Self::Experiments)
            }
            Route::Loops | Route::NewLoop | Route::Loop(_) => Some(Self::Experiments),
            Route::Approvals => Some(Self::Approvals),
            Route::Sweeps | Route::NewSweep | Route::Sweep(_) => Some(Self::Sweeps),
            Route::NewRun | Route::Data | Route::Playground => Some(Self::Tools),
        }
    }

    /// Loads the part; at once if it is loaded.
    fn load(self) -> Loading {
        match self {
            Self::Run => Box::pin(run_part()),
            Self::Xray => Box::pin(xray_part()),
            Self::Fleet => Box::pin(fleet_part()),
            Self::People => Box::pin(people_part()),
            Self::Compare => Box::pin(compare_part()),
            Self::Experiments => Box::pin(experiments_part()),
            Self::Approvals => Box::pin(approvals_part()),
            Self::Sweeps => Box::pin(sweeps_part()),
            Self::Tools => Box::pin(tools_part()),
        }
    }
}

#[wasm_split(run, wasm_split_path = ::leptos::wasm_split, fallible)]
fn run_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Run(run) => view! { <RunPage run /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(xray, wasm_split_path = ::leptos::wasm_split, fallible)]
fn xray_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Xray(run) => view! { <XrayPage run /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(fleet, wasm_split_path = ::leptos::wasm_split, fallible)]
fn fleet_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Fleet => view! { <FleetPage /> }.into_any(),
        Route::Device(device) => view! { <DevicePage device /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(people, wasm_split_path = ::leptos::wasm_split, fallible)]
fn people_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::People => view! { <PeoplePage /> }.into_any(),
        Route::Audit => view! { <AuditPage /> }.into_any(),
        Route::Invite => view! { <InvitationPage /> }.into_any(),
        Route::Settings => view! { <SettingsPage /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(compare, wasm_split_path = ::leptos::wasm_split, fallible)]
fn compare_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Compare => view! { <ComparePage /> }.into_any(),
        Route::Rules => view! { <RulesPage /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(experiments, wasm_split_path = ::leptos::wasm_split, fallible)]
fn experiments_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Experiments => view! { <ExperimentsPage /> }.into_any(),
        Route::NewExperiment => view! { <NewExperimentPage /> }.into_any(),
        Route::Experiment(id) => view! { <ExperimentPage id /> }.into_any(),
        Route::Journal => view! { <JournalPage /> }.into_any(),
        Route::Loops => view! { <LoopsPage /> }.into_any(),
        Route::NewLoop => view! { <NewLoopPage /> }.into_any(),
        Route::Loop(id) => view! { <LoopPage id /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(approvals, wasm_split_path = ::leptos::wasm_split, fallible)]
fn approvals_part() -> Result<Build, SplitLoaderError> {
    Ok(|_| view! { <ApprovalsPage /> }.into_any())
}

#[wasm_split(sweeps, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sweeps_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::Sweeps => view! { <SweepsPage /> }.into_any(),
        Route::NewSweep => view! { <NewSweepPage /> }.into_any(),
        Route::Sweep(id) => view! { <SweepPage id /> }.into_any(),
        _ => ().into_any(),
    })
}

#[wasm_split(tools, wasm_split_path = ::leptos::wasm_split, fallible)]
fn tools_part() -> Result<Build, SplitLoaderError> {
    Ok(|route| match route {
        Route::NewRun => view! { <NewRunPage /> }.into_any(),
        Route::Data => view! { <DataPage /> }.into_any(),
        Route::Playground => view! { <PlaygroundPage /> }.into_any(),
        _ => ().into_any(),
    })
}

/// The page of a route, once its part is loaded.
#[component]
pub(crate) fn PartPage(part: Part, route: Route) -> impl IntoView {
    let loaded = RwSignal::new_local(None);
    spawn_local(async move {
        loaded.try_set(Some(part.load().await));
    });
    move || match &*loaded.read() {
        None => view! { <main class="page"><Skeleton rows=6 /></main> }.into_any(),
        Some(Ok(build)) => build(route.clone()),
        Some(Err(_)) => view! { <NotLoaded /> }.into_any(),
    }
}

/// A part could not be fetched: the server is unreachable, or another version of it no longer has the part.
#[component]
fn NotLoaded() -> impl IntoView {
    let reload = |_| {
        let _ = window().location().reload();
    };
    view! {
        <main class="page">
            <h1 class="unseen">"Page not loaded"</h1>
            <Empty
                title="This page could not be loaded"
                text="The server did not answer, or it was updated after this page was opened. Runs are not affected."
            >
                <button class="primary" title="Load the page again" on:click=reload>"Reload"</button>
            </Empty>
        </main>
    }
}
