//! The control bar. The tooltip of each control describes its effect and the step at which it takes effect; the
//! answer, with the step at which it was applied, is at the end of the bar. Hyperparameters come from the table
//! ([`super::hyperparameter`]).

use leptos::prelude::*;
use wire::{Command, LivePath, RunState};

use super::RunContext;
use super::command::step_now;
use super::context::Answer;
use super::drawer::{close_on_press_elsewhere, hint, is_off, keep_in_window};
use super::form_buttons::{ForkButton, MixButton, NoteButton, RollbackButton, SampleButton};
use super::hyperparameter_form::HyperparameterButton;
use super::hyperparameters_menu::HyperparametersMenu;
use super::intervals::IntervalsButton;
use super::phrases::stepping;
use super::transport::Transport;
use super::undo::UndoButton;
use crate::base::at;
use crate::components::Icon;

/// The bar.
#[component]
pub(super) fn Controls() -> impl IntoView {
    let context = expect_context::<RunContext>();
    close_on_press_elsewhere(context);
    keep_in_window(context);
    view! {
        <section class="controls" class:ended=move || context.state.get().is_over() aria-label="Controls">
            <div class="control-row">
                <Transport />
                <div class="hyperparameters-bar" role="group" aria-label="Hyperparameters">
                    <HyperparameterButton path=LivePath::LEARNING_RATE />
                    <HyperparametersMenu />
                    <MixButton />
                    <IntervalsButton />
                </div>
                <div class="history" role="group" aria-label="Checkpoint, fork, roll back, undo">
                    <Control
                        label="Checkpoint"
                        icon="flag"
                        key="c"
                        effect=move || format!("Save a checkpoint before step {}. Shortcut:", step_now(context))
                        act=move || context.save()
                    />
                    <ForkButton />
                    <RollbackButton />
                    <UndoButton />
                </div>
                <div class="measure" role="group" aria-label="Evaluate, sample, note">
                    <Control
                        label="Evaluate"
                        key="e"
                        effect=move || format!("Evaluate the validation loss before step {}. Shortcut:", step_now(context))
                        act=move || context.send(Command::Evaluate)
                    />
                    <SampleButton />
                    <NoteButton />
                </div>
            </div>
            <AnswerLine />
        </section>
    }
}

/// A button that acts at once.
#[component]
fn Control(
    label: &'static str,
    #[prop(optional)] icon: Option<&'static str>,
    key: &'static str,
    effect: impl Fn() -> String + Copy + Send + Sync + 'static,
    act: impl Fn() + 'static,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    view! {
        <button
            class="control"
            title=move || hint(context, is_queued.get(), format!("{} {key}.", effect()))
            disabled=move || is_off(context, is_queued.get())
            on:click=move |_| act()
        >
            {icon.map(|name| view! { <Icon name /> })}
            {label}
        </button>
    }
}

/// A command that was carried out.
fn done(what: String) -> AnyView {
    view! { <span class="applied"><Icon name="finished" />{what}</span> }.into_any()
}

/// The answer to the last command.
#[component]
fn AnswerLine() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let playground = at(&format!("/playground?run={}", context.id()));
    let session = expect_context::<crate::session::Session>();
    view! {
        <p class="answer" role="status" aria-live="polite">
            {move || match context.answer.get() {
                Answer::None => view! {
                    <span class="dim">{context.disabled_reason.get()}</span>
                    {(context.state.get().is_over() && session.has_playground()).then(|| view! {
                        <a href=playground.clone()>"Open in the Playground"</a>
                    })}
                }.into_any(),
                Answer::Waiting(what) => view! { <span class="dim">{format!("{what} …")}</span> }.into_any(),
                Answer::Applied(what) => done(what),
                Answer::Transition { state, .. } if state != context.state.get() => ().into_any(),
                Answer::Transition { what, .. } => done(what),
                // A run that has ended pauses no more.
                Answer::Stepping { .. } if context.state.get().is_over() => ().into_any(),
                Answer::Stepping { from, steps } => {
                    let now = context.summary.read().step;
                    let text = stepping(from, steps, now);
                    if now >= from + steps { done(text) } else { view! { <span class="dim">{text}</span> }.into_any() }
                }
                Answer::Refused(reason) => view! {
                    <span class="refused"><Icon name="warning" />{reason}</span>
                    <button
                        class="quiet icon-only"
                        aria-label="Dismiss"
                        on:click=move |_| context.answer.set(Answer::None)
                    >
                        <Icon name="close" />
                    </button>
                }.into_any(),
            }}
        </p>
    }
}
