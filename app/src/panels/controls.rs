//! The control bar: every hand on the run, in one line. Each says before what it will do and from which step; the answer,
//! with the step at which it took effect, stands at the end of the bar.

use figure::number;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::{Command, RunState, SetField};

use super::batch::BatchButton;
use super::dial::DialButton;
use super::every::EveryButton;
use super::fork::ForkButton;
use super::mix::MixButton;
use super::rollback::RollbackButton;
use super::undo::UndoButton;
use super::{Answer, Desk, Drawer, course, is_resumable};
use crate::parts::{Confirm, Icon, Question};

/// What a key of the page does to the run, if it does anything. The shell lists these keys.
pub(crate) fn press(desk: Desk, key: &str) -> bool {
    match key {
        " " => pause_or_resume(desk),
        "." => desk.ask(Command::Step { steps: 1 }),
        "l" => desk.drawer.update(|drawer| *drawer = toggled(*drawer, Drawer::Dial(SetField::Rate))),
        "e" => desk.ask(Command::Evaluate),
        "s" => desk.drawer.update(|drawer| *drawer = toggled(*drawer, Drawer::Sample)),
        "c" => desk.save(),
        "f" => open_drawer(desk, Drawer::Fork),
        "b" => open_drawer(desk, Drawer::Rollback),
        "u" => open_drawer(desk, Drawer::Undo),
        "r" => course::toggle(desk),
        "Escape" if desk.drawer.get_untracked().is_none() && desk.sketch.with_untracked(Option::is_some) => {
            course::leave(desk)
        }
        "Escape" => desk.drawer.set(None),
        _ => return false,
    }
    true
}

pub(super) fn toggled(open: Option<Drawer>, drawer: Drawer) -> Option<Drawer> {
    if open == Some(drawer) { None } else { Some(drawer) }
}

/// Opens a drawer that asks for a checkpoint, with none chosen yet.
fn open_drawer(desk: Desk, drawer: Drawer) {
    desk.chosen.set(None);
    desk.drawer.update(|open| *open = toggled(*open, drawer));
}

fn pause_or_resume(desk: Desk) {
    match is_resumable(desk.state.get_untracked()) {
        true => desk.ask(Command::Resume { reason: None }),
        false => desk.ask(Command::Pause { reason: None }),
    }
}

/// Before which step something asked now takes effect.
fn next_step(desk: Desk) -> String {
    number::whole(desk.summary.read().step)
}

/// Dials with a button of their own.
const DIALS: [SetField; 3] = [SetField::Rate, SetField::Clip, SetField::WeightDecay];

/// The bar.
#[component]
pub(crate) fn Controls() -> impl IntoView {
    let desk = expect_context::<Desk>();
    close_on_press_elsewhere(desk);
    view! {
        <section class="controls" aria-label="Controls">
            <div class="hands">
                <Transport />
                <div class="dials" role="group" aria-label="Dials">
                    {DIALS.map(|field| view! { <DialButton field /> })}
                    <BatchButton />
                    <MixButton />
                    <EveryButton />
                </div>
                <div class="ways" role="group" aria-label="Save, fork, go back">
                    <Hand label="Checkpoint" icon="flag" key="c" effect=move || format!("Save the state before step {}, to go on from", next_step(desk)) act=move || desk.save() />
                    <ForkButton />
                    <RollbackButton />
                    <UndoButton />
                </div>
                <div class="asks" role="group" aria-label="Measure and note">
                    <Hand label="Evaluate" key="e" effect=move || format!("Measure the validation loss on the weights of step {}", next_step(desk)) act=move || desk.ask(Command::Evaluate) />
                    <SampleButton />
                    <NoteButton />
                </div>
            </div>
            <AnswerLine />
        </section>
    }
}

fn close_on_press_elsewhere(desk: Desk) {
    let listener = window_event_listener(leptos::ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let is_inside = target.is_some_and(|target| target.closest(".drawer-hold").ok().flatten().is_some());
        if !is_inside && desk.drawer.get_untracked().is_some() {
            desk.drawer.set(None);
        }
    });
    on_cleanup(move || listener.remove());
}

/// Pause or resume, step, stop.
#[component]
fn Transport() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let confirm = expect_context::<Confirm>();
    let can_resume = Memo::new(move |_| is_resumable(desk.state.get()));
    let is_queued = Memo::new(move |_| desk.state.get() == RunState::Queued);
    let has_ended = Memo::new(move |_| desk.state.get().is_over() || desk.state.get() == RunState::Parked);
    let pause = move || match desk.state.get() {
        RunState::Paused => format!("Go on with step {} (space)", next_step(desk)),
        RunState::Parked => format!("Take the device back, and go on with step {} (space)", next_step(desk)),
        state if is_resumable(state) => {
            "Back into the queue; it goes on from its newest checkpoint, exactly (space)".into()
        }
        _ => format!("Hold before step {}, with the model loaded (space)", next_step(desk)),
    };
    let pause_hint = move || match (desk.role.get(), can_resume.get()) {
        (Some(why), _) => why,
        (None, true) => pause(),
        (None, false) => hint(desk, is_queued.get(), pause()),
    };
    let cannot_turn = move || desk.role.read().is_some() || (!can_resume.get() && is_off(desk, is_queued.get()));
    let stop = move || {
        let run = desk.summary.get_untracked();
        let loses = if run.state == RunState::Queued {
            "It has not begun; its place in the queue is lost.".to_owned()
        } else {
            format!(
                "It ends at step {} of {}, with a checkpoint. Nothing is lost: resume goes on from there.",
                number::whole(run.step),
                number::whole(run.steps)
            )
        };
        confirm.ask(Question {
            title: format!("Stop {}?", run.name),
            loses,
            verb: "Stop the run",
            act: Callback::new(move |()| desk.ask(Command::Stop { reason: None })),
        });
    };
    view! {
        <div class="transport" role="group" aria-label="Pause, step, stop">
            <button class="hand" title=pause_hint disabled=cannot_turn on:click=move |_| pause_or_resume(desk)>
                {move || if can_resume.get() { view! { <Glyph path="M5 3.5v9l8-4.5z" />"Resume" }.into_any() } else { view! { <Icon name="paused" />"Pause" }.into_any() }}
            </button>
            <button class="hand" title=move || hint(desk, is_queued.get(), format!("Train step {} alone, then hold (.)", next_step(desk))) disabled=move || is_off(desk, is_queued.get()) on:click=move |_| desk.ask(Command::Step { steps: 1 })>
                <Glyph path="M4 3.5v9l6-4.5zM12 3.5v9" />"Step"
            </button>
            <button class="hand" title=move || hint(desk, false, format!("End the run before step {}; asks first", next_step(desk))) disabled=move || has_ended.get() || is_off(desk, false) on:click=move |_| stop()>
                <Icon name="stopped" />"Stop"
            </button>
            <Show when=move || desk.state.get() == RunState::Paused>
                <button class="hand" title=move || hint(desk, false, "Save the state and let another run have the device; resume takes it back".into()) disabled=move || is_off(desk, false) on:click=move |_| desk.ask(Command::Release { reason: None })>
                    <Icon name="parked" />"Release"
                </button>
            </Show>
        </div>
    }
}

/// Whether a control is out of reach.
fn is_off(desk: Desk, is_queued: bool) -> bool {
    is_queued || desk.hindrance.read().is_some()
}

/// What a control will do, or why it cannot.
fn hint(desk: Desk, is_queued: bool, effect: String) -> String {
    match (desk.hindrance.get(), is_queued) {
        (Some(why), _) => why,
        (None, true) => "The run waits for its device; this works once it has started.".into(),
        (None, false) => effect,
    }
}

/// A filled sign for what the shared icons do not have.
#[component]
fn Glyph(path: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=path fill="currentColor" /></svg> }
}

/// A plain button of the bar.
#[component]
fn Hand(
    label: &'static str,
    #[prop(optional)] icon: Option<&'static str>,
    key: &'static str,
    effect: impl Fn() -> String + Copy + Send + Sync + 'static,
    act: impl Fn() + 'static,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_queued = Memo::new(move |_| desk.state.get() == RunState::Queued);
    view! {
        <button class="hand" title=move || hint(desk, is_queued.get(), format!("{} ({key})", effect())) disabled=move || is_off(desk, is_queued.get()) on:click=move |_| act()>{icon.map(|name| view! { <Icon name /> })}{label}</button>
    }
}

/// A button with a drawer under it.
#[component]
pub(super) fn DrawerButton(
    /// Which drawer.
    drawer: Drawer,
    /// The button's words.
    #[prop(into)]
    label: ViewFn,
    /// What it opens, on hover.
    #[prop(into)]
    title: Signal<String>,
    /// The drawer's content.
    children: ChildrenFn,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_open = Memo::new(move |_| desk.drawer.get() == Some(drawer));
    let is_queued = Memo::new(move |_| desk.state.get() == RunState::Queued);
    let content = StoredValue::new(children);
    view! {
        <div class="drawer-hold">
            <button
                class="hand"
                aria-haspopup="dialog"
                aria-expanded=move || is_open.get().to_string()
                title=move || hint(desk, is_queued.get(), title.get())
                disabled=move || is_off(desk, is_queued.get())
                on:click=move |_| desk.drawer.update(|open| *open = toggled(*open, drawer))
            >
                {move || label.run()}
            </button>
            <Show when=move || is_open.get() && !is_off(desk, is_queued.get())>
                <div class="drawer" role="dialog" aria-label=move || title.get()>{content.with_value(|content| content())}</div>
            </Show>
        </div>
    }
}

/// Puts the cursor into a drawer's first field when it opens.
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

/// Prompt and temperature, then a sample.
#[component]
fn SampleButton() -> impl IntoView {
    let desk = expect_context::<Desk>();
    view! {
        <DrawerButton drawer=Drawer::Sample label=|| "Sample" title=Signal::derive(move || format!("Write a text with the weights of step {} (s)", next_step(desk)))>
            <SampleForm />
        </DrawerButton>
    }
}

#[component]
fn SampleForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let (planned, most) =
        desk.run.with_untracked(|run| (run.view.plan.prompt.clone(), run.view.plan.recipe.cadence.sample_tokens));
    let prompt = RwSignal::new(planned);
    let temperature = RwSignal::new(0.8);
    let tokens = RwSignal::new(most);
    let set_tokens = move |typed: &str| {
        if let Ok(count) = typed.parse::<u32>() {
            tokens.set(count.clamp(1, 4096));
        }
    };
    let field = NodeRef::new();
    focus_on(field);
    let ask = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        desk.drawer.set(None);
        desk.ask(Command::Sample {
            prompt: Some(prompt.get_untracked()),
            tokens: Some(tokens.get_untracked()),
            temperature: Some(temperature.get_untracked()),
        });
    };
    view! {
        <form on:submit=ask>
            <label>"Prompt"<input node_ref=field type="text" prop:value=prompt on:input:target=move |event| prompt.set(event.target().value()) /></label>
            <label>
                "Temperature "<output class="mono">{move || number::short(temperature.get())}</output>
                <input type="range" min="0" max="1.5" step="0.05" prop:value=move || temperature.get().to_string()
                    on:input:target=move |event| temperature.set(event.target().value().parse().unwrap_or(0.8)) />
            </label>
            <label>
                "Length, tokens"
                <input type="number" min="1" max="4096" prop:value=move || tokens.get().to_string()
                    on:input:target=move |event| set_tokens(&event.target().value()) />
            </label>
            <p class="effect">{move || match temperature.get() {
                0.0 => "0 takes the likeliest token each time.".to_owned(),
                _ => format!("Written before step {}; training waits meanwhile.", next_step(desk)),
            }}</p>
            <div class="row end"><button class="primary" type="submit">"Write a sample"</button></div>
        </form>
    }
}

/// A note on the curve.
#[component]
fn NoteButton() -> impl IntoView {
    view! {
        <DrawerButton drawer=Drawer::Note label=|| "Note" title=Signal::stored("Put a note on every curve at this step".to_owned())>
            <NoteForm />
        </DrawerButton>
    }
}

#[component]
fn NoteForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let text = RwSignal::new(String::new());
    let field = NodeRef::new();
    focus_on(field);
    let ask = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let text = text.get_untracked().trim().to_owned();
        if !text.is_empty() {
            desk.drawer.set(None);
            desk.ask(Command::Annotate { text });
        }
    };
    view! {
        <form on:submit=ask>
            <label>"Note"<input node_ref=field type="text" maxlength="500" prop:value=text on:input:target=move |event| text.set(event.target().value()) /></label>
            <p class="effect">{move || format!("A mark on every curve at step {} and a line in the journal, with your name.", next_step(desk))}</p>
            <div class="row end"><button class="primary" type="submit" disabled=move || text.read().trim().is_empty()>"Leave the note"</button></div>
        </form>
    }
}

/// What became of the last thing asked.
#[component]
fn AnswerLine() -> impl IntoView {
    let desk = expect_context::<Desk>();
    view! {
        <p class="answer" role="status" aria-live="polite">
            {move || match desk.answer.get() {
                Answer::Nothing => view! { <span class="dim">{desk.hindrance.get()}</span> }.into_any(),
                Answer::Waiting(what) => view! { <span class="dim">{format!("{what} …")}</span> }.into_any(),
                Answer::Applied(what) => view! { <span class="applied"><Icon name="finished" />{what}</span> }.into_any(),
                Answer::Refused(why) => view! {
                    <span class="refused"><Icon name="warning" />{why}</span>
                    <button class="quiet icon-only" aria-label="Dismiss" on:click=move |_| desk.answer.set(Answer::Nothing)><Icon name="close" /></button>
                }.into_any(),
            }}
        </p>
    }
}
