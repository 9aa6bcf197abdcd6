//! The bar at the top: breadcrumbs, the slider over the snapshots whose right end is the newest step, playback, and the
//! comparison of two steps.

use figure::number;
use leptos::prelude::*;
use wire::RunState;

use super::location::Location;
use super::state::XrayState;
use super::step::{SPEEDS, StepChoice, choice_at, slider_position};
use crate::components::{Empty, Icon, clicks, says, shows};

/// The bar.
#[component]
pub(super) fn Timeline() -> impl IntoView {
    let xray = expect_context::<XrayState>();
    let has_no_snapshots = move || xray.inspections.steps.read().is_empty();
    view! {
        <div class="xray-head">
            <Breadcrumbs xray />
            <div class="timeline" role="group" aria-label="Step shown">
                <PlaybackButtons xray />
                <StepSlider xray />
                <NewestButton xray />
                <SpeedChoice xray />
                <CompareButton xray />
            </div>
            {shows(move || xray.other_step.read().is_some().then(|| view! { <OtherStep xray /> }))}
            {shows(move || has_no_snapshots().then(|| view! {
                <p class="small dim">
                    "There are no snapshots yet. The slider fills as the run trains: every step below 16 has a \
                     snapshot, then 16 steps between 16 and 32, 16 between 32 and 64, and so on."
                </p>
            }))}
        </div>
    }
}

#[component]
fn Breadcrumbs(xray: XrayState) -> impl IntoView {
    let crumbs = move || {
        let crumbs = xray.location.get().breadcrumbs().into_iter();
        crumbs
            .map(|(location, label)| {
                view! {
                    <span class="dim" aria-hidden="true">"▸"</span>
                    <a href=xray.path(&location) title="Open this level; Esc goes one level up">{label}</a>
                }
            })
            .collect_view()
    };
    view! {
        <nav class="crumbs" aria-label="Breadcrumbs">
            <a href=xray.run_href() title=says(move || format!("{}: the page of the run", xray.name()))>{shows(move || xray.name())}</a>
            {shows(crumbs)}
        </nav>
    }
}

#[component]
fn PlaybackButtons(xray: XrayState) -> impl IntoView {
    let playback = xray.playback;
    let icon = move || match playback.is_playing.get() {
        true => view! { <Icon name="paused" /> }.into_any(),
        false => "▶".into_any(),
    };
    let label = move || if playback.is_playing.get() { "Pause playback" } else { "Play the snapshots" };
    view! {
        <button
            class="icon-only"
            aria-label="Previous snapshot"
            title="Previous snapshot (←)"
            on:click=clicks(move |_| xray.step_by(-1))
        >
            "◂"
        </button>
        <button
            class="icon-only play"
            aria-label=label
            title="Play or pause the snapshots (space)"
            on:click=clicks(move |_| playback.toggle())
        >
            {shows(icon)}
        </button>
        <button
            class="icon-only"
            aria-label="Next snapshot"
            title="Next snapshot (→)"
            on:click=clicks(move |_| xray.step_by(1))
        >
            "▸"
        </button>
    }
}

fn step_number(xray: XrayState, step: StepChoice) -> String {
    match step {
        StepChoice::Newest => number::whole(xray.summary.read().step),
        StepChoice::At(step) => number::whole(step),
    }
}

/// The choice at a position that a slider reports.
fn choice_of(xray: XrayState, position: &str) -> Option<StepChoice> {
    let position = position.parse().ok()?;
    Some(xray.inspections.steps.with_untracked(|steps| choice_at(steps, position)))
}

fn position_of(xray: XrayState, step: StepChoice) -> String {
    xray.inspections.steps.with(|steps| slider_position(steps, step)).to_string()
}

#[component]
fn StepSlider(xray: XrayState) -> impl IntoView {
    let slide = move |position: String| {
        xray.playback.pause();
        if let Some(step) = choice_of(xray, &position) {
            xray.step.set(step);
        }
    };
    let value_text = move || {
        let newest = if xray.step.get() == StepChoice::Newest { ", the newest" } else { "" };
        format!("step {}{newest}", step_number(xray, xray.step.get()))
    };
    view! {
        <input
            type="range"
            class="scrub"
            aria-label="Step"
            title="Each position of the slider is a snapshot; the right end is the newest step."
            min="0"
            max=says(move || xray.inspections.steps.read().len().to_string())
            prop:value=says(move || position_of(xray, xray.step.get()))
            aria-valuetext=says(value_text)
            on:input:target=move |event| slide(event.target().value())
        />
        <output class="mono at" title="Step shown: the number of optimizer steps done">
            {shows(move || step_number(xray, xray.step.get()))}
        </output>
    }
}

#[component]
fn NewestButton(xray: XrayState) -> impl IntoView {
    let is_newest = move || xray.step.get() == StepChoice::Newest;
    // A paused run has a worker, but its weights do not change.
    let is_training = Memo::new(move |_| xray.summary.read().state == RunState::Running);
    let show = move |_| {
        xray.playback.pause();
        xray.step.set(StepChoice::Newest);
    };
    view! {
        <button
            class="live-again"
            class:is-live=move || is_newest() && is_training.get()
            class:is-newest=is_newest
            aria-pressed=says(move || is_newest().to_string())
            title="Show the newest step and follow it while the run trains"
            on:click=clicks(show)
        >
            {shows(move || if is_training.get() { "live" } else { "newest" })}
        </button>
    }
}

#[component]
fn SpeedChoice(xray: XrayState) -> impl IntoView {
    let speed = xray.playback.speed;
    let option = move |each: u32| {
        view! { <option value=each.to_string() selected=move || speed.get() == each>{format!("{each} snapshots/s")}</option> }
    };
    view! {
        <label class="pick" title="Playback speed in snapshots per second. Default: 12">
            <span class="unseen">"Playback speed"</span>
            <select on:change:target=move |event| speed.set(event.target().value().parse().unwrap_or(12))>
                {SPEEDS.map(option)}
            </select>
        </label>
    }
}

#[component]
fn CompareButton(xray: XrayState) -> impl IntoView {
    let toggle = move |_| {
        let middle = || xray.inspections.steps.with_untracked(|steps| choice_at(steps, steps.len() / 2));
        xray.other_step.update(|other| *other = if other.is_some() { None } else { Some(middle()) });
    };
    view! {
        <button
            class="switch"
            aria-pressed=says(move || xray.other_step.read().is_some().to_string())
            title="Show the same view of a second step beside this one, on the same text"
            on:click=clicks(toggle)
        >
            "Compare two steps"
        </button>
    }
}

/// The slider of the second step.
#[component]
fn OtherStep(xray: XrayState) -> impl IntoView {
    let step = move || xray.other_step.get().unwrap_or(StepChoice::Newest);
    let slide = move |position: String| {
        if let Some(step) = choice_of(xray, &position) {
            xray.other_step.set(Some(step));
        }
    };
    view! {
        <div class="timeline beside" role="group" aria-label="Second step">
            <span class="dim">"second step"</span>
            <input
                type="range"
                class="scrub"
                aria-label="Second step"
                title="The step shown beside the first. Each position of the slider is a snapshot; they are denser at the start of \
                       the run."
                min="0"
                max=says(move || xray.inspections.steps.read().len().to_string())
                prop:value=says(move || position_of(xray, step()))
                on:input:target=move |event| slide(event.target().value())
            />
            <output class="mono at" title="Second step">{shows(move || step_number(xray, step()))}</output>
        </div>
    }
}

/// Shown in place of a view of a block that the model does not have.
pub(super) fn missing_block(xray: XrayState, layer: u32, to: fn(u32) -> Location) -> AnyView {
    let text = match xray.layers() {
        1 => "This model has one block, block 0.".to_owned(),
        layers => format!("This model has blocks 0 to {}.", layers.saturating_sub(1)),
    };
    view! {
        <Empty title=format!("Block {layer} does not exist") text>
            <a class="button" href=xray.path(&to(0)) title="The same view of the first block">"Show block 0"</a>
        </Empty>
    }
    .into_any()
}

/// One button for each block; nothing for a model of one block.
pub(super) fn block_tabs(
    xray: XrayState,
    layer: impl Fn() -> u32 + Copy + Send + Sync + 'static,
    to: fn(u32) -> Location,
) -> AnyView {
    let button = move |each: u32| {
        view! {
            <button
                class="tab"
                title="Show this block"
                aria-pressed=says(move || (layer() == each).to_string())
                on:click=clicks(move |_| xray.go(&to(each)))
            >
                {format!("block {each}")}
            </button>
        }
    };
    (xray.layers() > 1)
        .then(|| {
            view! {
                <div class="tabs" role="group" aria-label="Block">{(0..xray.layers()).map(button).collect_view()}</div>
            }
        })
        .into_any()
}
