//! The control bar. Each control says its effect and the step from which it applies before it acts; the answer, with
//! the step at which it was applied, is at the end of the bar. Hyperparameters come from the table
//! ([`super::hyperparameter`]).

use figure::number;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::{Command, LivePath, RunState};

use super::accumulation::AccumulationButton;
use super::context::Answer;
use super::fork::ForkButton;
use super::hyperparameter::{HyperparameterButton, with_button};
use super::intervals::IntervalsButton;
use super::mix::MixButton;
use super::rollback::RollbackButton;
use super::undo::UndoButton;
use super::{Drawer, RunContext, schedule};
use crate::components::{Confirm, Icon, Question, is_resumable};

/// Acts on a key of this page; whether it did. The shell lists the keys.
pub(super) fn press(context: RunContext, key: &str) -> bool {
    let learning_rate = Drawer::Hyperparameter(LivePath::LEARNING_RATE);
    match key {
        " " => pause_or_resume(context),
        "." => context.send(Command::Step { steps: 1 }),
        "l" => context.drawer.update(|drawer| *drawer = toggled(*drawer, learning_rate)),
        "e" => context.send(Command::Evaluate),
        "s" => context.drawer.update(|drawer| *drawer = toggled(*drawer, Drawer::Sample)),
        "c" => context.save(),
        "f" => open_drawer(context, Drawer::Fork),
        "b" => open_drawer(context, Drawer::Rollback),
        "u" => open_drawer(context, Drawer::Undo),
        "r" => schedule::toggle(context),
        "Escape" if context.drawer.get_untracked().is_none() && context.draft.with_untracked(Option::is_some) => {
            schedule::leave(context)
        }
        "Escape" => context.drawer.set(None),
        _ => return false,
    }
    true
}

pub(super) fn toggled(open: Option<Drawer>, drawer: Drawer) -> Option<Drawer> {
    if open == Some(drawer) { None } else { Some(drawer) }
}

/// Opens a form that needs a checkpoint, without a selected one.
fn open_drawer(context: RunContext, drawer: Drawer) {
    context.chosen.set(None);
    context.drawer.update(|open| *open = toggled(*open, drawer));
}

fn pause_or_resume(context: RunContext) {
    match is_resumable(context.state.get_untracked()) {
        true => context.send(Command::Resume { reason: None }),
        false => context.send(Command::Pause { reason: None }),
    }
}

/// The step before which a command sent now is applied.
fn next_step(context: RunContext) -> String {
    number::whole(context.summary.read().step)
}

/// The bar.
#[component]
pub(super) fn Controls() -> impl IntoView {
    let context = expect_context::<RunContext>();
    close_on_press_elsewhere(context);
    view! {
        <section class="controls" aria-label="Controls">
            <div class="control-row">
                <Transport />
                <div class="hyperparameters-bar" role="group" aria-label="Hyperparameters">
                    {with_button().map(|path| view! { <HyperparameterButton path /> }).collect_view()}
                    <AccumulationButton />
                    <MixButton />
                    <IntervalsButton />
                </div>
                <div class="history" role="group" aria-label="Checkpoint, fork, roll back, undo">
                    <Control
                        label="Checkpoint"
                        icon="flag"
                        key="c"
                        effect=move || format!("Save a checkpoint before step {}", next_step(context))
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
                        effect=move || format!("Evaluate the validation loss before step {}", next_step(context))
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

fn close_on_press_elsewhere(context: RunContext) {
    let listener = window_event_listener(leptos::ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let is_inside = target.is_some_and(|target| target.closest(".drawer-root").ok().flatten().is_some());
        if !is_inside && context.drawer.get_untracked().is_some() {
            context.drawer.set(None);
        }
    });
    on_cleanup(move || listener.remove());
}

/// Pause or resume, step, stop, suspend.
#[component]
fn Transport() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let confirm = expect_context::<Confirm>();
    let can_resume = Memo::new(move |_| is_resumable(context.state.get()));
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    let has_ended = Memo::new(move |_| context.state.get().is_over() || context.state.get() == RunState::Suspended);
    let pause = move || match context.state.get() {
        RunState::Paused => format!("Continue with step {} (space)", next_step(context)),
        RunState::Suspended => format!("Take a device again and continue with step {} (space)", next_step(context)),
        state if is_resumable(state) => {
            "Add the run to the queue; it continues from its newest checkpoint (space)".into()
        }
        _ => format!("Pause before step {}; the model stays loaded (space)", next_step(context)),
    };
    let pause_hint = move || match (context.no_permission.get(), can_resume.get()) {
        (Some(reason), _) => reason,
        (None, true) => pause(),
        (None, false) => hint(context, is_queued.get(), pause()),
    };
    let is_pause_off =
        move || context.no_permission.read().is_some() || (!can_resume.get() && is_off(context, is_queued.get()));
    let stop = move || {
        let run = context.summary.get_untracked();
        let loses = if run.state == RunState::Queued {
            "The run has not started. It leaves the queue.".to_owned()
        } else {
            format!(
                "The run ends at step {} of {} with a checkpoint. Nothing is lost: Resume continues from there.",
                number::whole(run.step),
                number::whole(run.steps)
            )
        };
        confirm.ask(Question {
            title: format!("Stop {}?", run.name),
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
                title=move || hint(context, is_queued.get(), format!("Train step {} and pause again \
                    (.)", next_step(context)))
                disabled=move || is_off(context, is_queued.get())
                on:click=move |_| context.send(Command::Step { steps: 1 })
            >
                <Glyph path="M4 3.5v9l6-4.5zM12 3.5v9" />
                "Step"
            </button>
            <button
                class="control"
                title=move || hint(context, false, format!("End the run before step {}; asks \
                    first", next_step(context)))
                disabled=move || has_ended.get() || is_off(context, false)
                on:click=move |_| stop()
            >
                <Icon name="stopped" />
                "Stop"
            </button>
            <Show when=move || context.state.get() == RunState::Paused>
                <button
                    class="control"
                    title=move || hint(context, false, "Save the state and release the device; Resume takes a device \
                        again".into())
                    disabled=move || is_off(context, false)
                    on:click=move |_| context.send(Command::Suspend { reason: None })
                >
                    <Icon name="suspended" />
                    "Suspend"
                </button>
            </Show>
        </div>
    }
}

/// Whether a control is disabled.
fn is_off(context: RunContext, is_queued: bool) -> bool {
    is_queued || context.disabled_reason.read().is_some()
}

/// The effect of a control, or why it is disabled.
fn hint(context: RunContext, is_queued: bool, effect: String) -> String {
    match (context.disabled_reason.get(), is_queued) {
        (Some(reason), _) => reason,
        (None, true) => "The run is queued. This control works once it has started.".into(),
        (None, false) => effect,
    }
}

/// A filled icon that the shared ones do not have.
#[component]
fn Glyph(path: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=path fill="currentColor" /></svg> }
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
            title=move || hint(context, is_queued.get(), format!("{} ({key})", effect()))
            disabled=move || is_off(context, is_queued.get())
            on:click=move |_| act()
        >
            {icon.map(|name| view! { <Icon name /> })}
            {label}
        </button>
    }
}

/// A button that opens a form below it.
#[component]
pub(super) fn DrawerButton(
    /// Which form.
    drawer: Drawer,
    /// Content of the button.
    #[prop(into)]
    label: ViewFn,
    /// Name of the form for screen readers.
    name: &'static str,
    /// Tooltip of the button.
    #[prop(into)]
    title: Signal<String>,
    /// The form.
    children: ChildrenFn,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_open = Memo::new(move |_| context.drawer.get() == Some(drawer));
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    let content = StoredValue::new(children);
    view! {
        <div class="drawer-root">
            <button
                class="control"
                aria-haspopup="dialog"
                aria-expanded=move || is_open.get().to_string()
                title=move || hint(context, is_queued.get(), title.get())
                disabled=move || is_off(context, is_queued.get())
                on:click=move |_| context.drawer.update(|open| *open = toggled(*open, drawer))
            >
                {move || label.run()}
            </button>
            <Show when=move || is_open.get() && !is_off(context, is_queued.get())>
                <div class="drawer" role="dialog" aria-label=name>{content.with_value(|content| content())}</div>
            </Show>
        </div>
    }
}

/// Focuses the first field of a form when it opens.
pub(super) fn focus_on(field: NodeRef<leptos::html::Input>) {
    Effect::new(move || {
        if let Some(field) = field.get() {
            request_animation_frame(move || {
                let _ = field.focus();
                field.select();
            });
        }
    });
}

#[component]
fn SampleButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    view! {
        <DrawerButton
            drawer=Drawer::Sample
            label=|| "Sample"
            name="Generate a sample"
            title=Signal::derive(move || format!("Generate text with the weights of step {} \
                (s)", next_step(context)))
        >
            <SampleForm />
        </DrawerButton>
    }
}

/// Prompt, temperature and length of a sample.
#[component]
fn SampleForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let (planned, length) =
        context.run.with_untracked(|run| (run.view.plan.prompt.clone(), run.view.plan.recipe.intervals.sample_tokens));
    let prompt = RwSignal::new(planned);
    let temperature = RwSignal::new(0.8);
    let tokens = RwSignal::new(length);
    let set_tokens = move |typed: &str| {
        if let Ok(count) = typed.parse::<u32>() {
            tokens.set(count.clamp(1, 4096));
        }
    };
    let field = NodeRef::new();
    focus_on(field);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        context.drawer.set(None);
        context.send(Command::Sample {
            prompt: Some(prompt.get_untracked()),
            tokens: Some(tokens.get_untracked()),
            temperature: Some(temperature.get_untracked()),
        });
    };
    view! {
        <form on:submit=submit>
            <label title="The text that the model continues.">
                "Prompt"
                <input
                    node_ref=field
                    type="text"
                    prop:value=prompt
                    on:input:target=move |event| prompt.set(event.target().value())
                />
            </label>
            <label
                title="Logits are divided by the temperature before the softmax; 0 always takes the most likely token."
            >
                "Temperature "<output class="mono">{move || number::short(temperature.get())}</output>
                <input type="range" min="0" max="1.5" step="0.05" prop:value=move || temperature.get().to_string()
                    on:input:target=move |event| temperature.set(event.target().value().parse().unwrap_or(0.8)) />
            </label>
            <label title="Tokens to generate, from 1 to 4096.">
                "Length"<span class="unit">" tokens"</span>
                <input type="number" min="1" max="4096" prop:value=move || tokens.get().to_string()
                    on:input:target=move |event| set_tokens(&event.target().value()) />
            </label>
            <p class="effect">{move || match temperature.get() {
                0.0 => "With temperature 0 the most likely token is taken each time.".to_owned(),
                _ => format!("The sample is generated before step {}; training waits for it.", next_step(context)),
            }}</p>
            <div class="row end"><button class="primary" type="submit">"Generate"</button></div>
        </form>
    }
}

#[component]
fn NoteButton() -> impl IntoView {
    view! {
        <DrawerButton
            drawer=Drawer::Note
            label=|| "Note"
            name="Add a note"
            title=Signal::stored("Add a note to the journal and a marker to every chart at the current \
                step".to_owned())
        >
            <NoteForm />
        </DrawerButton>
    }
}

#[component]
fn NoteForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let text = RwSignal::new(String::new());
    let field = NodeRef::new();
    focus_on(field);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let text = text.get_untracked().trim().to_owned();
        if !text.is_empty() {
            context.drawer.set(None);
            context.send(Command::Annotate { text });
        }
    };
    view! {
        <form on:submit=submit>
            <label>
                "Note"
                <input
                    node_ref=field
                    type="text"
                    maxlength="500"
                    prop:value=text
                    on:input:target=move |event| text.set(event.target().value())
                />
            </label>
            <p class="effect">
                {move || format!("The note becomes a marker on every chart at step {} and an event in the journal, \
                    with your name.", next_step(context))}
            </p>
            <div class="row end">
                <button class="primary" type="submit" disabled=move || text.read().trim().is_empty()>"Add note"</button>
            </div>
        </form>
    }
}

/// The answer to the last command.
#[component]
fn AnswerLine() -> impl IntoView {
    let context = expect_context::<RunContext>();
    view! {
        <p class="answer" role="status" aria-live="polite">
            {move || match context.answer.get() {
                Answer::None => view! { <span class="dim">{context.disabled_reason.get()}</span> }.into_any(),
                Answer::Waiting(what) => view! { <span class="dim">{format!("{what} …")}</span> }.into_any(),
                Answer::Applied(what) => view! {
                    <span class="applied"><Icon name="finished" />{what}</span>
                }.into_any(),
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
