//! Pause or resume, step, stop, suspend.

use leptos::prelude::*;
use wire::{Command, RunState};

use super::RunContext;
use super::command::{is_at_end, pause_or_resume, step_now};
use super::drawer::{hint, is_off};
use crate::components::{Confirm, Icon, Question, is_resumable, name_of};
use crate::net::live::Live;

/// The buttons.
#[component]
pub(super) fn Transport() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let (confirm, live) = (expect_context::<Confirm>(), expect_context::<Live>());
    let can_resume = Memo::new(move |_| is_resumable(context.state.get()));
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    let has_ended = Memo::new(move |_| context.state.get().is_over() || context.state.get() == RunState::Suspended);
    let pause = move || match context.state.get() {
        RunState::Paused if is_at_end(context) => "All steps are trained. End the run. Shortcut: Space.".into(),
        RunState::Paused => format!("Continue with step {}. Shortcut: Space.", step_now(context)),
        RunState::Suspended => {
            format!("Queue the run again; it continues with step {}. Shortcut: Space.", step_now(context))
        }
        state if is_resumable(state) => {
            "Queue the run again; it continues from its newest checkpoint. Shortcut: Space.".into()
        }
        _ => format!("Pause before step {}. The model stays in device memory. Shortcut: Space.", step_now(context)),
    };
    let pause_hint = move || match (context.no_permission.get(), can_resume.get()) {
        (Some(reason), _) => reason,
        (None, true) => pause(),
        (None, false) => hint(context, is_queued.get(), pause()),
    };
    let is_pause_off =
        move || context.no_permission.read().is_some() || (!can_resume.get() && is_off(context, is_queued.get()));
    let is_paused = move || context.state.get() == RunState::Paused;
    let stop = move || {
        let run = context.summary.get_untracked();
        let loses = if run.state == RunState::Queued {
            "The run has not started. It is removed from the queue.".to_owned()
        } else {
            "A checkpoint is saved and the device is released. You can still resume or fork the run from that checkpoint."
                .to_owned()
        };
        // Without the step: the run trains on while the question is open.
        confirm.ask(Question {
            title: format!("Stop {}?", untrack(|| name_of(live, &run))),
            loses,
            verb: "Stop the run",
            act: Callback::new(move |()| context.send(Command::Stop { reason: None })),
        });
    };
    view! {
        <div class="transport" role="group" aria-label="Pause, step, stop">
            <button class="control" title=pause_hint disabled=is_pause_off on:click=move |_| pause_or_resume(context)>
                {move || if can_resume.get() { view! {
                    <Glyph path="M5 3.5v9l8-4.5z" />
                    "Resume"
                }.into_any() } else { view! { <Icon name="paused" />"Pause" }.into_any() }}
            </button>
            <button
                class="control"
                title=move || hint(context, is_queued.get(), match is_at_end(context) {
                    true => "All steps are trained. Resume ends the run.".to_owned(),
                    false => format!("Train one step (step {}), then pause. Shortcut: .", step_now(context)),
                })
                disabled=move || is_off(context, is_queued.get()) || is_at_end(context)
                on:click=move |_| context.send(Command::Step { steps: 1 })
            >
                <Glyph path="M4 3.5v9l6-4.5zM12 3.5v9" />
                "Step"
            </button>
            <button
                class="control"
                title=move || hint(context, false, match is_queued.get() {
                    true => "Remove the run from the queue, after confirmation.".to_owned(),
                    false => format!(
                        "End the run before step {} with a checkpoint, after confirmation. To free the device only for a while, pause the \
                         run and suspend it.",
                        step_now(context)
                    ),
                })
                disabled=move || has_ended.get() || is_off(context, false)
                on:click=move |_| stop()
            >
                <Icon name="stopped" />
                "Stop"
            </button>
            // Also while it cannot be pressed: the others keep their places.
            <button
                class="control"
                title=move || hint(context, false, match is_paused() {
                    true => "Save the state of the run and free the device for other runs. Resume queues the run again.".into(),
                    false => "Available while the run is paused: saves the state of the run and frees the device.".into(),
                })
                disabled=move || is_off(context, false) || !is_paused()
                on:click=move |_| context.send(Command::Suspend { reason: None })
            >
                <Icon name="suspended" />
                "Suspend"
            </button>
        </div>
    }
}

/// A filled icon that the shared ones do not have.
#[component]
fn Glyph(path: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=path fill="currentColor" /></svg> }
}
