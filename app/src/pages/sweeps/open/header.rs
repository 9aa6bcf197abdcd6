//! The head of the page: name, state, counts, best value, and the commands to the sweep.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::hyperparameters::table::Values;
use wire::run::spec::Parent;
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{Sweep, SweepState, TrialCounts};
use wire::sweep::spec::MAX_TRIALS;
use wire::{RunId, RunSpec};

use super::rule::{RuleForm, can_change_rule};
use super::state::OpenSweep;
use crate::base::at;
use crate::components::number::{ago, counted, grouped};
use crate::components::{
    Confirm, Icon, Menu, Number, NumberField, Question, TypedNumber, clicks, isolated, says, shows,
};
use crate::net::api::{self, sweeps};
use crate::pages::sweeps::words::{SweepMark, metric_label, metric_unit, value_text};
use crate::route::{Router, run_path};

/// Trials that an extension proposes.
const MORE: u64 = 10;
const TRIALS: Values = Values::Integer { min: 1, max: MAX_TRIALS };

#[component]
pub(super) fn SweepHeader() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let known = Memo::new(move |_| open.sweep.get());
    let name = says(move || known.read().as_ref().map(|sweep| isolated(&sweep.spec.name)).unwrap_or_default());
    let state = Memo::new(move |_| known.read().as_ref().map(|sweep| sweep.state));
    let is_stale = move || open.failure.read().is_some();
    // A memo: the number of trials to add stays as it is typed while the counts change.
    let can_steer = Memo::new(move |_| open.can_steer());
    let message = Memo::new(move |_| known.read().as_ref().and_then(|sweep| sweep.message.clone()));
    view! {
        <header class="stack">
            <div class="row">
                <a class="small" href=at("/sweeps") title="All sweeps">"Sweeps"</a>
                <h1>{name}</h1>
                {shows(move || state.get().map(|state| view! { <SweepMark state /> }))}
                <span class="grow"></span>
                <ExportMenu />
            </div>
            {shows(move || is_stale().then(|| view! {
                <p class="small" role="status">"The server did not answer the last request. What is shown may be out of date."</p>
            }))}
            {shows(move || known.get().map(|sweep| view! { <Figures sweep /> }))}
            {shows(move || message.get().map(|message| view! { <p role="status">{isolated(&message)}</p> }))}
            {shows(move || can_steer.get().then(|| view! { <Commands /> }))}
        </header>
    }
}

#[component]
fn Figures(sweep: Sweep) -> impl IntoView {
    let done = sweep.counts.created() - sweep.counts.unfinished();
    let metric = &sweep.spec.metric;
    let best = sweep.best.map(|best| {
        let meaning = format!(
            "The best last value of the {} of a finished trial: that of trial {}",
            metric_label(metric),
            best.trial
        );
        view! { <Number text=value_text(metric, best.value) unit=metric_unit(metric) meaning /> }
    });
    let rule = sweep.spec.stopping.map_or_else(|| "none".to_owned(), |rule| rule.label());
    let sampler = match sweep.spec.imported_from.as_deref() {
        Some(source) => isolated(source),
        None => sweep.spec.sampler.label().to_owned(),
    };
    let started = format!("{} by {}", ago(sweep.created_ms as f64), isolated(&sweep.creator));
    view! {
        <dl class="figures across">
            <div><dt>"Trials done"</dt><dd><Number text=format!("{} of {}", grouped(done), grouped(sweep.trials)) meaning=phrase(sweep.counts) /></dd></div>
            <div><dt>{format!("Best {}", metric_label(metric).to_lowercase())}</dt><dd>{best.map_or_else(|| "–".into_any(), |best| best.into_any())}</dd></div>
            <div><dt>"Sampler"</dt><dd>{sampler}</dd></div>
            <div><dt>"Early stopping"</dt><dd>{rule}</dd></div>
            <div><dt>"Started"</dt><dd>{started}</dd></div>
        </dl>
        <p class="small dim">{phrase(sweep.counts)}</p>
    }
}

/// `3 finished, 1 running`; the states without a trial are left out.
fn phrase(counts: TrialCounts) -> String {
    let TrialCounts { queued, running, finished, stopped, failed } = counts;
    let all =
        [(running, "running"), (queued, "queued"), (finished, "finished"), (stopped, "stopped"), (failed, "failed")];
    let parts: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", grouped(*count))).collect();
    if parts.is_empty() { "no trials yet".to_owned() } else { parts.join(", ") }
}

#[component]
fn ExportMenu() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let link = move |format: &'static str, label: &'static str| {
        view! {
            <a class="button" href=sweeps::table_path(open.id(), format) download="" title="One row for each trial, one column for each parameter">
                <Icon name="download" />
                {label}
            </a>
        }
    };
    view! {
        <Menu label="Export the trials" word="Export">
            {link("csv", "Export trials (CSV)")}
            {link("parquet", "Export trials (Parquet)")}
        </Menu>
    }
}

#[component]
fn Commands() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let confirm = expect_context::<Confirm>();
    let state = Memo::new(move |_| open.sweep.read().as_ref().map(|sweep| sweep.state));
    let pause = move |_| open.send(SweepCommand::Pause, "The sweep was paused", "The sweep was not paused");
    let resume = move |_| open.send(SweepCommand::Resume, "The sweep was resumed", "The sweep was not resumed");
    let stop = move |_| {
        let act =
            confirm.keep(move || open.send(SweepCommand::Stop, "The sweep was stopped", "The sweep was not stopped"));
        confirm.ask(Question {
            title: "Stop this sweep?".to_owned(),
            loses: "Trials that train or wait are stopped, each with a checkpoint, and no further trial is started. A stopped trial can be \
                    resumed, and the sweep can be extended."
                .to_owned(),
            verb: "Stop sweep",
            act,
        });
    };
    let pause_or_resume = move || match state.get() {
        Some(SweepState::Running) => view! {
            <button
                title="Start no further trial. Trials that train or wait in the queue continue."
                disabled=open.is_sending
                on:click=clicks(pause)
            >
                <Icon name="paused" />
                "Pause"
            </button>
        }
        .into_any(),
        Some(SweepState::Paused) => view! {
            <button title="Start trials again" disabled=open.is_sending on:click=clicks(resume)>
                <Icon name="running" />
                "Resume"
            </button>
        }
        .into_any(),
        _ => ().into_any(),
    };
    let can_stop = move || matches!(state.get(), Some(SweepState::Running | SweepState::Paused));
    view! {
        <div class="row sweep-commands">
            {shows(pause_or_resume)}
            {shows(move || can_stop().then(|| view! {
                <button title="End the sweep, after confirmation" disabled=open.is_sending on:click=clicks(stop)>
                    <Icon name="stopped" />
                    "Stop"
                </button>
            }))}
            <Extend />
            <ForkBest />
        </div>
        {shows(move || can_change_rule(state.get()).then(|| view! { <RuleForm /> }))}
    }
}

/// More trials.
#[component]
fn Extend() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let trials = TypedNumber::new(TRIALS, MORE);
    let extend = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(trials) = untrack(|| trials.integer()) {
            open.send(SweepCommand::Extend { trials }, "The sweep was extended", "The sweep was not extended");
        }
    };
    view! {
        <form class="row nowrap" on:submit=extend>
            <button
                type="submit"
                title="Plan more trials. A sweep that has ended continues."
                disabled=move || open.is_sending.get() || trials.integer().is_none()
            >
                <Icon name="plus" />
                {says(move || match trials.integer() {
                    Some(count) => format!("Extend by {}", counted(count, "trial")),
                    None => "Extend".to_owned(),
                })}
            </button>
            <label class="more-trials" title="Trials to add">
                <span class="unseen">"Trials to add"</span>
                <NumberField number=trials />
            </label>
        </form>
    }
}

/// A fork of the best trial.
#[component]
fn ForkBest() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let router = expect_context::<Router>();
    let best = Memo::new(move |_| best_run(open));
    let is_busy = RwSignal::new(false);
    let fork = move |_| {
        let Some((_, run)) = best.get_untracked() else { return };
        is_busy.set(true);
        spawn_local(async move {
            match api::create_run(&fork_of(run)).await {
                Ok(view) => router.go(&run_path(&view.summary.id)),
                Err(failure) => open.toasts.fail("The best trial was not forked", &failure),
            }
            is_busy.try_set(false);
        });
    };
    let meaning = says(move || match best.get() {
        Some((trial, _)) => {
            format!(
                "Create a run from the newest checkpoint of trial {trial}, which trains the same number of steps again"
            )
        }
        None => "No trial has finished yet".to_owned(),
    });
    view! {
        <button title=meaning disabled=move || is_busy.get() || best.read().is_none() on:click=clicks(fork)>
            <Icon name="fork" />
            "Fork best trial"
        </button>
    }
}

/// The number and the run of the best trial.
fn best_run(open: OpenSweep) -> Option<(u64, RunId)> {
    let best = open.sweep.read().as_ref()?.best?;
    let trials = open.trials.read();
    let trial = trials.iter().find(|trial| trial.number == best.trial)?;
    Some((trial.number, trial.run.clone()?))
}

fn fork_of(run: RunId) -> RunSpec {
    let parent = Parent { run, step: None, checkpoint: None, changes: vec![], refit_schedule: false, control_of: None };
    RunSpec { parent: Some(parent), ..RunSpec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_a_phrase() {
        let counts = TrialCounts { finished: 3, running: 1, ..TrialCounts::default() };
        assert_eq!(phrase(counts), "1 running, 3 finished");
        assert_eq!(phrase(TrialCounts::default()), "no trials yet");
    }
}
