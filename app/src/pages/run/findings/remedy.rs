//! Remedies: each shows its effect on the run as it is now before it is sent. A command is sent as from the controls of the page, with a
//! reason for the journal and, on request, a control run; a run is created as by the form of a fork.

use std::time::Duration;

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::command::ScheduleChange;
use wire::diagnosis::{Remedy, RemedyAction, RunFinding};
use wire::{Command, Event, RunSpec};

use super::state::FindingsState;
use crate::base::at;
use crate::components::interval::every;
use crate::components::{Failure, clicks, says, sentence, show_nearest, shows};
use crate::net::api::{self, ApiFailure};
use crate::pages::run::context::{Answer, Drawer, RunContext};
use crate::pages::run::fields::{ControlRunField, OTHER_BATCHES, ReasonField, SAME_BATCHES, reason_of};
use crate::pages::run::rollback::NOT_ROLLED_BACK;
use crate::route::{Router, run_path};

/// Interval at which an effect that is shown is fetched again: it depends on the step of the run.
const EVERY: Duration = Duration::from_secs(4);

/// The remedies of a finding; the form of one is open at a time.
#[component]
pub(super) fn Remedies(id: u64, state: FindingsState, remedies: Memo<Vec<Remedy>>) -> impl IntoView {
    // Its place in the list, which stays the same while its texts follow the run.
    let open = RwSignal::new(None::<usize>);
    let places = Memo::new(move |_| remedies.read().iter().map(kind).enumerate().collect::<Vec<_>>());
    let heading = move || (!places.read().is_empty()).then(|| view! { <h3>"Remedies"</h3> });
    view! {
        {shows(heading)}
        <ul class="remedies">
            <For each=move || places.get() key=|place| *place let((place, kind))>
                {
                    let remedy = Memo::new(move |_| remedies.read().get(place).cloned());
                    view! { <RemedyItem id place kind state remedy open /> }
                }
            </For>
        </ul>
        {shows(move || {
            let done = carried_out(id, state);
            let answer = answer_line(id, state, done.is_some());
            view! { {answer} {done} }
        })}
    }
}

/// Decides whether a remedy is a button with a form, a link, or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// It is sent after its effect was shown.
    Sent,
    Page,
    Advice,
}

fn kind(remedy: &Remedy) -> Kind {
    match remedy.action {
        RemedyAction::Command(_) | RemedyAction::Run(_) => Kind::Sent,
        RemedyAction::Page(_) => Kind::Page,
        RemedyAction::Advice => Kind::Advice,
    }
}

/// The answer of the run to the last command of a remedy of the finding, unless the list of what was done has it.
fn answer_line(id: u64, state: FindingsState, has_list: bool) -> Option<AnyView> {
    let text = match (state.sent.get() == Some(id), state.context.answer.get()) {
        (true, Answer::Waiting(what)) => format!("{what} …"),
        _ => state.answers.with(|answers| {
            let (is_refused, text) = answers.get(&id)?;
            (*is_refused || !has_list).then(|| text.clone())
        })?,
    };
    Some(view! { <p class="small" role="status">{text}</p> }.into_any())
}

/// The changes of the journal whose reason begins with this finding, and which came after it on its path: after a rollback, the same rule
/// can find the same again at the same step.
fn carried_out(id: u64, state: FindingsState) -> Option<AnyView> {
    let context = state.context;
    context.lines.get();
    let found = state.finding(id)?.found;
    let cause = comparable(&cause(&found));
    let with_text = format!("{cause}:");
    let run = context.run.read_untracked();
    let is_of = |reason: &str| {
        let reason = comparable(reason);
        reason == cause || reason.starts_with(&with_text)
    };
    let (segment, step) = (found.segment, found.finding.step);
    let done = run.events.values().filter(|record| record.event.is_change() && run.is_after(record, segment, step));
    let done: Vec<String> = done
        .filter(|record| record.reason.as_deref().is_some_and(is_of))
        .map(|record| match &record.event {
            // It names both of its steps.
            Event::RolledBack { .. } => sentence(&context.phrase_of(&record.event, record.step)),
            event => format!("At step {}: {}.", number::whole(record.step), context.phrase_of(event, record.step)),
        })
        .collect();
    (!done.is_empty()).then(|| {
        view! {
            <h3>"Actions taken on this finding"</h3>
            <ul class="done">{done.into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}</ul>
        }
        .into_any()
    })
}

/// A reason without case and spaces, which differ between forms and rules.
fn comparable(reason: &str) -> String {
    reason.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The reason with which the form of a remedy opens: `loss spike at step 900`.
fn cause(found: &RunFinding) -> String {
    format!("{} at step {}", found.name(), number::whole(found.finding.step))
}

#[component]
fn RemedyItem(
    id: u64,
    place: usize,
    kind: Kind,
    state: FindingsState,
    remedy: Memo<Option<Remedy>>,
    open: RwSignal<Option<usize>>,
) -> impl IntoView {
    let label = says(move || remedy.read().as_ref().map(|remedy| remedy.label.clone()).unwrap_or_default());
    let effect = says(move || effect(remedy));
    let page = move || match remedy.read().as_ref().map(|remedy| &remedy.action) {
        Some(RemedyAction::Page(path)) => Some(at(path)),
        _ => None,
    };
    match kind {
        Kind::Sent => view! { <SentRemedy id place label state remedy open /> }.into_any(),
        Kind::Page => view! {
            <li>
                <a class="button" href=page title=effect>{label}</a>
            </li>
        }
        .into_any(),
        Kind::Advice => view! { <li><p><strong>{label}</strong>" "{effect}</p></li> }.into_any(),
    }
}

fn effect(remedy: Memo<Option<Remedy>>) -> String {
    remedy.read().as_ref().map(|remedy| remedy.effect.clone()).unwrap_or_default()
}

/// A button that opens the effect of a remedy, which is then sent.
#[component]
fn SentRemedy(
    id: u64,
    place: usize,
    label: Signal<String>,
    state: FindingsState,
    remedy: Memo<Option<Remedy>>,
    open: RwSignal<Option<usize>>,
) -> impl IntoView {
    let context = state.context;
    let is_open = Memo::new(move |_| open.get() == Some(place));
    let obstacle = Memo::new(move |_| {
        let remedy = remedy.read();
        let remedy = remedy.as_ref()?;
        let not_permitted = match remedy.action {
            RemedyAction::Run(_) => context.no_fork.get(),
            _ => context.no_permission.get(),
        };
        not_permitted.or_else(|| remedy.obstacle.clone())
    });
    let press = move |_| {
        // The effect is that of the run as it was when the findings were fetched.
        state.fetch();
        open.set((!is_open.get_untracked()).then_some(place));
    };
    view! {
        <li>
            <button
                aria-expanded=says(move || is_open.get().to_string())
                title=says(move || obstacle.get().unwrap_or_else(|| "Show the effect before anything is sent".to_owned()))
                disabled=move || obstacle.read().is_some()
                on:click=clicks(press)
            >
                {label}
            </button>
            {shows(move || obstacle.get().map(|obstacle| view! { <p class="small dim">{obstacle}</p> }))}
            {shows(move || (is_open.get() && obstacle.read().is_none()).then(|| view! { <RemedyForm id state remedy open /> }))}
        </li>
    }
}

/// The effect of a remedy and the button that sends it.
#[component]
fn RemedyForm(
    id: u64,
    state: FindingsState,
    remedy: Memo<Option<Remedy>>,
    open: RwSignal<Option<usize>>,
) -> impl IntoView {
    let context = state.context;
    every(EVERY, move || state.fetch());
    let action = move || remedy.read_untracked().as_ref().map(|remedy| remedy.action.clone());
    let finding = state.finding(id).map(|view| view.found);
    let cause = finding.map(|found| cause(&found));
    let (reason, control_run) = (RwSignal::new(cause.unwrap_or_default()), RwSignal::new(false));
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let router = expect_context::<Router>();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        match action() {
            Some(RemedyAction::Command(command)) => {
                open.set(None);
                context.change(with_reason(command, reason_of(reason)), control_run.get_untracked());
                state.sent.set(Some(id));
            }
            Some(RemedyAction::Run(spec)) => create(spec, router, is_busy, failure),
            _ => {}
        }
    };
    let first = action();
    let of_control_run = match &first {
        Some(RemedyAction::Command(command)) => control_run_meaning(command),
        _ => None,
    };
    let is_command = matches!(first, Some(RemedyAction::Command(_)));
    let verb = if is_command { "Send to the run" } else { "Create the run" };
    let form = first.and_then(|action| form_of(context, &action, reason));
    // Its buttons may be below the edge of the list.
    let shown = NodeRef::<leptos::html::Form>::new();
    Effect::new(move || {
        if let Some(form) = shown.get() {
            request_animation_frame(move || show_nearest(&form));
        }
    });
    view! {
        <form node_ref=shown class="remedy" on:submit=submit>
            <p class="effect">{says(move || effect(remedy))}</p>
            {is_command.then(|| view! { <ReasonField reason /> })}
            {of_control_run.map(|meaning| view! { <ControlRunField wanted=control_run meaning /> })}
            {shows(move || failure.get().map(|failure| view! { <Failure what="The run was not created" failure /> }))}
            <div class="row end">
                {form}
                <button type="button" title="Close without sending anything" on:click=clicks(move |_| open.set(None))>"Cancel"</button>
                <button
                    class="primary"
                    type="submit"
                    title="Apply the remedy as described above"
                    disabled=move || is_busy.get()
                >
                    {verb}
                </button>
            </div>
        </form>
    }
}

/// What a control run of a command shows; `None` if its form offers none.
fn control_run_meaning(command: &Command) -> Option<&'static str> {
    match command {
        Command::Set { .. } | Command::SetSchedule { schedule: ScheduleChange::LearningRate { .. }, .. } => {
            Some(SAME_BATCHES)
        }
        Command::SetSchedule { .. } => Some(OTHER_BATCHES),
        Command::Rollback { .. } => Some(NOT_ROLLED_BACK),
        _ => None,
    }
}

/// Creates a run and opens its page.
fn create(spec: Box<RunSpec>, router: Router, is_busy: RwSignal<bool>, failure: RwSignal<Option<ApiFailure>>) {
    is_busy.set(true);
    failure.set(None);
    spawn_local(async move {
        match api::create_run(&spec).await {
            Ok(view) => router.go(&run_path(&view.summary.id)),
            Err(refused) => {
                failure.try_set(Some(refused));
                is_busy.try_set(false);
            }
        }
    });
}

/// The button that opens the form of the controls, in which the values can be changed first.
fn form_of(context: RunContext, action: &RemedyAction, reason: RwSignal<String>) -> Option<AnyView> {
    let (drawer, checkpoint) = match action {
        RemedyAction::Command(Command::Rollback { checkpoint, .. }) => (Drawer::Rollback, Some(*checkpoint)),
        RemedyAction::Command(Command::Set { path, .. }) => (Drawer::Hyperparameter(*path), None),
        RemedyAction::Run(spec) => (Drawer::Fork, spec.parent.as_ref()?.checkpoint),
        _ => return None,
    };
    let skip_batches = match action {
        RemedyAction::Command(Command::Rollback { skip_batches, .. }) => Some(*skip_batches),
        _ => None,
    };
    let press = move |_| {
        context.findings.entered.set_value(skip_batches.map(|batches| (reason.get_untracked(), batches)));
        context.chosen.set(checkpoint);
        context.drawer.set(Some(drawer));
    };
    let button = view! {
        <button type="button" class="quiet" title="Open the form of the controls to enter other values" on:click=clicks(press)>
            "Other values"
        </button>
    };
    Some(button.into_any())
}

/// A command with the reason that was entered.
fn with_reason(mut command: Command, entered: Option<String>) -> Command {
    match &mut command {
        Command::Pause { reason }
        | Command::Resume { reason }
        | Command::Stop { reason }
        | Command::Set { reason, .. }
        | Command::SetSchedule { reason, .. }
        | Command::EditWeights { reason, .. }
        | Command::Checkpoint { reason }
        | Command::Rollback { reason, .. }
        | Command::Suspend { reason } => *reason = entered,
        Command::Step { .. }
        | Command::Undo { .. }
        | Command::Evaluate
        | Command::Sample { .. }
        | Command::Annotate { .. } => {}
    }
    command
}
