//! One sweep: its state and controls, the table of its trials, parallel coordinates, slices, importance, curves and decisions; replays of
//! stopping rules, and fits over its trials.
//!
//! - [`state`]: what was fetched and what is chosen; [`quantity`]: parameters, seed and value of trials on axes; [`brushes`]: chosen ranges;
//! - [`header`]: state and commands; [`rule`]: another stopping rule; [`table`], [`parallel`], [`slices`], [`importance`], [`curves`],
//!   [`decisions`], [`replay`]: the panels.

mod brushes;
mod curves;
mod decisions;
mod header;
mod importance;
mod median;
mod parallel;
mod quantity;
mod ranges;
mod replay;
mod rule;
mod slices;
mod sort;
mod state;
mod table;

use leptos::prelude::*;
use wire::sweep::record::{Trial, TrialState};

use crate::base::at;
use crate::components::fits::FitsPanel;
use crate::components::{Empty, Failure, Skeleton, shows};
use curves::CurvesPanel;
use decisions::DecisionsPanel;
use header::SweepHeader;
use importance::ImportancePanel;
use parallel::ParallelPanel;
use replay::ReplayPanel;
use slices::SlicesPanel;
use state::OpenSweep;
use table::TrialTable;

#[component]
pub(in crate::pages) fn SweepPage(id: i64) -> impl IntoView {
    let open = OpenSweep::start(id);
    provide_context(open);
    // A memo: each answer sets the failure, and panels that are built again lose the order of their table and what is typed.
    let failure = Memo::new(move |_| match &*open.sweep.read() {
        Some(_) => None,
        None => open.failure.get(),
    });
    let is_known = Memo::new(move |_| open.sweep.read().is_some());
    view! {
        <main class="page sweep stack roomy">
            {shows(move || match (is_known.get(), failure.get()) {
                (true, _) => view! { <Panels /> }.into_any(),
                (false, None) => view! { <Skeleton rows=6 /> }.into_any(),
                (false, Some(failure)) if failure.status == 404 => view! {
                    <h1 class="unseen">"Sweep not found"</h1>
                    <Empty title="Sweep not found" text=format!("There is no sweep {id}, or it is not shared with you.")>
                        <a class="button" href=at("/sweeps") title="All sweeps">"Open the sweeps"</a>
                    </Empty>
                }.into_any(),
                (false, Some(failure)) => view! {
                    <h1 class="unseen">{format!("Sweep {id}")}</h1>
                    <Failure what="The sweep could not be opened" failure retry=move |()| open.fetch() />
                }.into_any(),
            })}
        </main>
    }
}

#[component]
fn Panels() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let has_trials = Memo::new(move |_| !open.trials.read().is_empty());
    view! {
        <SweepHeader />
        {shows(move || match has_trials.get() {
            false => view! { <p class="dim" role="status">"No trial was created yet."</p> }.into_any(),
            true => view! {
                <ParallelPanel />
                <TrialTable />
                <div class="sweep-columns">
                    <ImportancePanel />
                    <DecisionsPanel />
                </div>
                <SlicesPanel />
                <CurvesPanel />
                <ReplayPanel />
                <SweepFits />
            }.into_any(),
        })}
    }
}

/// Fits over the runs of the finished trials.
#[component]
fn SweepFits() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let finished = Memo::new(move |_| {
        let trials = open.trials.read();
        let is_finished = |trial: &&Trial| trial.state == TrialState::Finished;
        let run = |trial: &Trial| Some((trial.run.as_ref()?.to_string(), format!("Trial {}", trial.number)));
        trials.iter().filter(is_finished).filter_map(run).collect::<Vec<_>>()
    });
    let version = Memo::new(move |_| finished.read().len() as u64);
    let runs = Signal::derive(move || format!("sweep:{}", open.id()));
    view! { <FitsPanel runs single=finished version /> }
}
