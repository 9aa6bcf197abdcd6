//! The head of the Run page: which run, how it stands, how far it is and when it will be done.

use figure::number;
use leptos::prelude::*;
use wire::RunState;

use super::Desk;
use crate::parts::number::{clock, now_ms, short};
use crate::parts::{Progress, StateMark};
use crate::route::compare_path;

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
            <span class="grow"></span>
            <ProgressLine />
            {parent.map(|parent| view! { <a class="button" href=compare_path([&parent, &desk.id()]) title="Both losses over each other, and how far they are apart">"Compare with parent"</a> })}
            <a class="button" href=format!("/start?from={id}") title="A new run with this one's plan, to change and start">"Duplicate"</a>
        </header>
        <div class="run-bar"><Bar /></div>
    }
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
            <span title="Steps left at the present speed, and the time of day when they are done">{move || left(desk)}</span>
        </p>
    }
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
        (state, _) if state.is_over() => format!("{} at work", number::duration(summary.elapsed_secs)),
        _ => String::new(),
    }
}
