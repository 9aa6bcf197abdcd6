//! The head of the Run page: which run, how it stands, how far it is and when it will be done.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunState;
use wire::run::Parentage;
use wire::series::Comparison;

use super::Desk;
use super::takeaway::TakeAway;
use crate::api::steering;
use crate::live::Live;
use crate::parts::number::{clock, now_ms, short};
use crate::parts::{Icon, Progress, StateMark};
use crate::route::{compare_path, run_path};

/// The head.
#[component]
pub(crate) fn Head() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let fixed = desk.run.with_untracked(|run| {
        let summary = &run.view.summary;
        format!(
            "{} on {} · {} parameters · {}",
            summary.preset,
            summary.corpus,
            short(summary.parameters as f64),
            run.view.device_name
        )
    });
    let id = desk.id();
    let parent = desk.summary.get_untracked().parent.map(|parent| parent.run);
    view! {
        <header class="run-head">
            <h1>{move || desk.summary.read().name.clone()}</h1>
            {move || view! { <StateMark state=desk.state.get() /> }}
            <span class="dim about">{fixed}</span>
            <Origin />
            <Budget />
            <span class="grow"></span>
            <ProgressLine />
            {parent.map(|parent| view! { <a class="button" href=compare_path([&parent, &desk.id()]) title="Both losses over each other, and how far they are apart">"Compare with parent"</a> })}
            <a class="button" href=format!("/start?from={id}") title="A new run with this one's plan, to change and start">"Duplicate"</a>
            <TakeAway />
        </header>
        <div class="run-bar"><Bar /></div>
    }
}

/// Where it was forked from, and for how long it repeats its parent.
#[component]
fn Origin() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let live = expect_context::<Live>();
    let parent = desk.summary.with_untracked(|summary| summary.parent.clone());
    parent.map(|Parentage { run, checkpoint, twin_of }| {
        let (href, other) = (run_path(&run), StoredValue::new(run));
        let name = move || {
            let lab = live.lab.read();
            let known = lab.as_ref().and_then(|lab| lab.runs.iter().find(|run| run.id == other.get_value()));
            known.map_or_else(|| other.get_value().to_string(), |run| run.name.clone())
        };
        let identical = RwSignal::new(None::<String>);
        // Once more when it has ended: what it is told of is then all there is.
        let has_ended = Memo::new(move |_| desk.state.get().is_over());
        let has_begun = Memo::new(move |_| desk.summary.read().step > checkpoint.step + LOOKED_AT);
        Effect::new(move || {
            let _ = (has_ended.get(), has_begun.get());
            spawn_local(async move {
                let answer = steering::compare(&desk.id(), &other.get_value(), 2).await;
                identical.try_set(answer.ok().and_then(|compared| repeats(&compared)));
            });
        });
        let kind = if twin_of.is_some() { "twin of " } else { "forked from " };
        view! {
            <span class="origin">
                <Icon name="fork" />
                <span>{kind}<a href=href>{name}</a>{format!(" at step {}", number::whole(checkpoint.step))}</span>
                {twin_of.map(|line| view! { <span class="dim">{format!("without line {line}")}</span> })}
                {move || identical.get().map(|words| view! { <span class="dim" title="Losses equal to the last bit, counted from where both have the same past.">{words}</span> })}
            </span>
        }
    })
}

/// Steps of its own after which a fork is compared with its parent.
const LOOKED_AT: u64 = 20;

fn repeats(compared: &Comparison) -> Option<String> {
    let steps = |count: u64| if count == 1 { "1 step".to_owned() } else { format!("{} steps", number::whole(count)) };
    match (compared.identical_steps, compared.first_difference) {
        (0, None) => None,
        (0, Some(_)) => Some("differs from its first step on".into()),
        (same, None) => Some(format!("identical for {} so far", steps(same))),
        (same, Some(_)) => Some(format!("identical for {}", steps(same))),
    }
}

/// The bounds at which it ends, where there are any.
#[component]
fn Budget() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let budget = desk.run.with_untracked(|run| run.view.plan.recipe.budget.clone());
    let bounds = [
        (budget.tokens > 0).then(|| number::with_unit(budget.tokens as f64, "tokens")),
        (budget.secs > 0.0).then(|| number::duration(budget.secs)),
        (budget.loss > 0.0).then(|| format!("valid {} nats", number::short(budget.loss))),
    ];
    let told = bounds.into_iter().flatten().collect::<Vec<_>>().join(" or ");
    (!told.is_empty()).then(|| view! { <span class="dim" title="The run ends when one of these is reached.">{format!("budget {told}")}</span> })
}

#[component]
fn Bar() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let share = Signal::derive(move || {
        let summary = desk.summary.read();
        Some(summary.step as f64 / summary.steps.max(1) as f64)
    });
    view! { <Progress share label="Steps done" is_live=Signal::derive(move || desk.state.get() == RunState::Running) /> }
}

/// `4 120 / 10 000 · 12.4 k tok/s · 8 min left (14:20)`
#[component]
fn ProgressLine() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let steps = move || {
        let summary = desk.summary.read();
        format!("{} / {}", number::whole(summary.step), number::whole(summary.steps))
    };
    let speed = move || {
        desk.summary
            .read()
            .tokens_per_sec
            .filter(|_| desk.state.get().is_live())
            .map(|speed| number::with_unit(speed, "tok/s"))
    };
    view! {
        <p class="progress-line">
            <span title="Steps done, of those planned">{steps}<span class="unit">" steps"</span></span>
            {move || speed().map(|speed| view! { <span title="Tokens trained on per second, over the last steps">{speed}</span> })}
            {move || next_hold(desk).map(|step| view! { <span class="dim" title="The plan pauses it there; space goes on">{format!("holds at {}", number::whole(step))}</span> })}
            <span title="Steps left at the present speed, and the time of day when they are done">{move || left(desk)}</span>
        </p>
    }
}

/// The next step at which the plan holds the run.
fn next_hold(desk: Desk) -> Option<u64> {
    let run = desk.run.read();
    let summary = &run.view.summary;
    let ahead = |step: &u64| (summary.step + 1..=summary.steps).contains(step);
    let holds = run.view.plan.recipe.cadence.hold_at.iter().copied().filter(ahead);
    holds.min().filter(|_| !summary.state.is_over())
}

fn left(desk: Desk) -> String {
    let run = desk.run.read();
    let summary = &run.view.summary;
    match (summary.state, run.secs_left()) {
        (RunState::Running, Some(secs)) => {
            format!("{} left ({})", number::duration(secs), clock(now_ms() + secs * 1e3))
        }
        (RunState::Paused, Some(secs)) => format!("held; {} left", number::duration(secs)),
        (RunState::Queued, _) => "waits".into(),
        (RunState::Parked, _) => "device released".into(),
        (state, _) if state.is_over() => format!("{} at work", number::duration(summary.elapsed_secs)),
        _ => String::new(),
    }
}
