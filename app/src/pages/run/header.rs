//! The header of the Run page: name, state, origin, progress and the time left.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::run::Parentage;
use wire::series::Comparison;
use wire::{Event, EventRecord, RunState};

use super::export::ExportMenu;
use super::{RunContext, phrase};
use crate::base::at;
use crate::components::number::{clock, counted, now_ms, short};
use crate::components::{Icon, Progress, StateMark, isolated, name_of, run_name};
use crate::net::api;
use crate::net::live::Live;
use crate::projects::Projects;
use crate::route::{compare_path, run_path};
use crate::session::Session;

#[component]
pub(super) fn RunHeader() -> impl IntoView {
    let (context, live) = (expect_context::<RunContext>(), expect_context::<Live>());
    let fixed = context.run.with_untracked(|run| {
        let summary = &run.view.summary;
        format!(
            "{} on {} · {} parameters · {}",
            summary.preset,
            isolated(&summary.corpus),
            short(summary.parameters as f64),
            run.view.device_name
        )
    });
    let id = StoredValue::new(context.id());
    let parent = context.summary.get_untracked().parent.map(|parent| parent.run);
    let (session, projects) = (expect_context::<Session>(), expect_context::<Projects>());
    let project = Memo::new(move |_| context.summary.read().project.clone());
    view! {
        <header class="run-head">
            <h1 title=move || isolated(&context.summary.read().name)>{move || name_of(live, &context.summary.read())}</h1>
            {move || view! { <StateMark state=context.state.get() /> }}
            <span class="dim about">{fixed}</span>
            {move || projects.are_several().then(|| view! {
                <a class="dim project" href=at(&format!("/?project={}", project.get())) title="Show the runs of this project on the Lab page">
                    {format!("project {}", project.get())}
                </a>
            })}
            <Origin />
            <Budget />
            <span class="grow"></span>
            <ProgressLine />
            {parent.map(|parent| view! {
                <a
                    class="button"
                    href=compare_path([&parent, &context.id()])
                    title="Open the losses of this run and its parent in one chart, with their difference"
                >
                    "Compare with parent"
                </a>
            })}
            <Show when=move || session.can_steer()>
                <a
                    class="button"
                    href=at(&format!("/start?from={}", id.read_value()))
                    title="Open the New run form with a copy of the plan of this run"
                >
                    "Duplicate"
                </a>
            </Show>
            <ExportMenu />
        </header>
        <div class="run-bar"><Bar /></div>
    }
}

/// The run that it was forked from, and for how many steps it is identical to it.
#[component]
fn Origin() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let parent = context.summary.with_untracked(|summary| summary.parent.clone());
    parent.map(|Parentage { run, checkpoint, control_of }| {
        let (href, other) = (run_path(&run), StoredValue::new(run));
        let name = Memo::new(move |_| run_name(live, &other.read_value()));
        let identical = RwSignal::new(None::<String>);
        // Again when it has ended, since the comparison is then complete.
        let has_ended = Memo::new(move |_| context.state.get().is_over());
        let has_begun = Memo::new(move |_| context.summary.read().step > checkpoint.step + COMPARED_AFTER);
        Effect::new(move || {
            let _ = (has_ended.get(), has_begun.get());
            spawn_local(async move {
                let answer = api::series::compare(&context.id(), &other.get_value(), 2).await;
                identical.try_set(answer.ok().and_then(|compared| identical_steps(&compared)));
            });
        });
        let kind = if control_of.is_some() { "control run of " } else { "forked from " };
        let place = match control_of {
            Some(_) => format!(": continues from step {}", number::whole(checkpoint.step)),
            None => format!(" at step {}", number::whole(checkpoint.step)),
        };
        let omitted = RwSignal::new(None::<String>);
        if let Some(event) = control_of {
            spawn_local(async move {
                let found = api::events(&other.get_value(), event.saturating_sub(1), 1).await;
                let record = found.ok().and_then(|found| found.into_iter().find(|record| record.number == event));
                omitted.try_set(record.map(|record| omission(&record)));
            });
        }
        view! {
            <span class="origin">
                <Icon name="fork" />
                <span>{kind}<a href=href>{name}</a>{place}</span>
                {move || omitted.get().map(|words| view! { <span class="dim">{words}</span> })}
                {move || identical.get().map(|words| view! {
                    <span
                        class="dim"
                        title="Steps with bitwise equal losses, counted from the shared checkpoint"
                    >
                        {words}
                    </span>
                })}
            </span>
        }
    })
}

/// `without the change “learning rate 1.14e-3 → 1e-3” of step 15 140`, `without the rollback to step 1 000 that skipped 50 batches`
fn omission(record: &EventRecord) -> String {
    match &record.event {
        Event::RolledBack { checkpoint, skip_batches, .. } => {
            let skipped = match skip_batches {
                0 => String::new(),
                1 => " that skipped 1 batch".to_owned(),
                many => format!(" that skipped {} batches", number::whole(*many)),
            };
            format!("without the rollback to step {}{skipped}", number::whole(checkpoint.step))
        }
        event => format!("without the change “{}” of step {}", phrase(event), number::whole(record.step)),
    }
}

/// Steps after which a fork is compared with its parent.
const COMPARED_AFTER: u64 = 20;

fn identical_steps(compared: &Comparison) -> Option<String> {
    let steps = |count: u64| counted(count, "step");
    match (compared.identical_steps, compared.first_difference) {
        (0, None) => None,
        (0, Some(_)) => Some("differs from the parent from its first step on".into()),
        (same, None) => Some(format!("identical to the parent for {} so far", steps(same))),
        (same, Some(_)) => Some(format!("identical to the parent for {}", steps(same))),
    }
}

/// The budgets at which the run ends, if there are any.
#[component]
fn Budget() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let budget = context.run.with_untracked(|run| run.view.plan.recipe.budget.clone());
    let bounds = [
        (budget.tokens > 0).then(|| number::with_unit(budget.tokens as f64, "tokens")),
        (budget.secs > 0.0).then(|| number::duration(budget.secs)),
        (budget.loss > 0.0).then(|| format!("validation loss {} nats/token", number::short(budget.loss))),
    ];
    let budgets = bounds.into_iter().flatten().collect::<Vec<_>>().join(" or ");
    (!budgets.is_empty()).then(|| {
        view! {
            <span class="dim" title="The run ends when one of these limits is reached.">
                {format!("ends at {budgets}")}
            </span>
        }
    })
}

#[component]
fn Bar() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let share = Signal::derive(move || {
        let summary = context.summary.read();
        Some(summary.step as f64 / summary.steps.max(1) as f64)
    });
    view! {
        <Progress share label="Steps done" is_live=Signal::derive(move || context.state.get() == RunState::Running) />
    }
}

/// `4 120 / 10 000 · 12.4 k tok/s · 8 min left (14:20)`
#[component]
fn ProgressLine() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let steps = move || {
        let summary = context.summary.read();
        format!("{} / {}", number::whole(summary.step), number::whole(summary.steps))
    };
    let speed = move || {
        context
            .summary
            .read()
            .tokens_per_sec
            .filter(|_| context.state.get().is_live())
            .map(|speed| number::with_unit(speed, "tok/s"))
    };
    view! {
        <p class="progress-line">
            <span title="Trained steps / planned steps">{steps}<span class="unit">" steps"</span></span>
            {move || speed().map(|speed| view! {
                <span title="Throughput: moving average over about the last 10 steps">{speed}</span>
            })}
            {move || next_breakpoint(context).map(|step| view! {
                <span class="dim" title="The run pauses when this many steps are trained; Resume (space) continues">
                    {format!("breakpoint at step {}", number::whole(step))}
                </span>
            })}
            <span title=move || meaning_of_left(context.state.get())>{move || left(context)}</span>
        </p>
    }
}

fn meaning_of_left(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "The run waits for its device or for its tokenized dataset.",
        RunState::Suspended => "A checkpoint is saved and the device is free for other runs.",
        state if state.is_over() => "Training time, without pauses.",
        RunState::Paused => {
            "Remaining steps × the mean time of a step with evaluations and samples, over about the last 200 steps."
        }
        _ => {
            "Remaining steps × the mean time of a step with evaluations and samples, over about the last 200 steps, and the time at which the run ends."
        }
    }
}

fn next_breakpoint(context: RunContext) -> Option<u64> {
    let run = context.run.read();
    let summary = &run.view.summary;
    let ahead = |step: &u64| (summary.step + 1..=summary.steps).contains(step);
    let breakpoints = run.view.plan.recipe.breakpoints.iter().copied().filter(ahead);
    breakpoints.min().filter(|_| !summary.state.is_over())
}

fn left(context: RunContext) -> String {
    let run = context.run.read();
    let summary = &run.view.summary;
    match (summary.state, summary.secs_left()) {
        (RunState::Running, Some(secs)) => {
            format!("{} left ({})", number::duration(secs), clock(now_ms() + secs * 1e3))
        }
        (RunState::Paused, _) if summary.step >= summary.steps => "all steps are trained; Resume ends the run".into(),
        (RunState::Paused, Some(secs)) => format!("{} left once resumed", number::duration(secs)),
        (RunState::Queued, _) => "queued".into(),
        (RunState::Suspended, _) => "device released".into(),
        (state, _) if state.is_over() => format!("{} of training", number::duration(summary.elapsed_secs)),
        _ => String::new(),
    }
}
