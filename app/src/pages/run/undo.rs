//! Undoing the last change: by the inverse change from the next step on, or by a rollback to just before it. Both effects are
//! described first.

use figure::number;
use leptos::prelude::*;
use wire::control::command::UndoMethod;
use wire::{CheckpointId, Command, Event, EventRecord, RunState};

use super::checkpoint_list::saved;
use super::drawer::{DrawerButton, off_reason};
use super::{Drawer, RunContext, author, hyperparameter, phrase};
use crate::components::Icon;
use crate::session::Session;

/// The button and its form.
#[component]
pub(super) fn UndoButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let reason = Memo::new(move |_| {
        let nothing = || last_change(context).is_none().then(|| "Nothing to undo.".to_owned());
        off_reason(context, context.state.get() == RunState::Queued).or_else(nothing)
    });
    view! {
        <DrawerButton
            drawer=Drawer::Undo
            label=|| view! { <Icon name="undo" />"Undo" }
            name="Undo the last change"
            title="Undoes the last change of a hyperparameter, a schedule or the weights, or the last rollback. \
                Shortcut: u.".to_owned()
            reason
        >
            <UndoForm />
        </DrawerButton>
    }
}

/// The last change, and how it can be undone.
#[derive(Clone)]
struct LastChange {
    record: EventRecord,
    has_inverse: bool,
    before: Option<CheckpointId>,
}

fn last_change(context: RunContext) -> Option<LastChange> {
    // Tracked: read again with every event and every checkpoint while the form is open.
    context.lines.get();
    let checkpoints: Vec<CheckpointId> = saved(context).into_iter().map(|saved| saved.info.id).collect();
    let run = context.run.read_untracked();
    let history = run.history();
    let record = history.last_change()?.clone();
    let has_inverse = history.inverse(record.number, run.view.summary.step, String::new()).is_some();
    let before = history.checkpoint_before(record.number, &checkpoints);
    Some(LastChange { record, has_inverse, before })
}

#[component]
fn UndoForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let session = expect_context::<Session>();
    let undo = move |number: u64, method: UndoMethod| {
        context.drawer.set(None);
        context.send(Command::Undo { event: Some(number), method });
    };
    move || {
        let Some(LastChange { record, has_inverse, before }) = last_change(context) else {
            return view! { <p>"Nothing to undo."</p> }.into_any();
        };
        let number = record.number;
        let me = session.me().map(|me| me.name);
        let who = author(&record.author, me.as_deref());
        let origin = format!(" · step {} · {who}", number::whole(record.step));
        view! {
            <div class="undo">
                <p>
                    <strong>{phrase(&record.event)}</strong>
                    <span class="dim">
                        {origin}
                    </span>
                </p>
                {has_inverse.then(|| view! {
                    <div class="way">
                        <p>{move || inverse(context, &record)}</p>
                        <button class="primary" on:click=move |_| undo(number, UndoMethod::Inverse)>
                            "Apply the inverse change"
                        </button>
                    </div>
                })}
                {before.map(|checkpoint| view! {
                    <div class="way">
                        <p>{move || rollback(context, checkpoint)}</p>
                        <button on:click=move |_| undo(number, UndoMethod::Rollback)>"Roll back to before it"</button>
                    </div>
                })}
                {before.is_none().then(|| view! {
                    <p class="small dim">
                        "No checkpoint was saved before the change, so a rollback is not possible."
                    </p>
                })}
            </div>
        }
        .into_any()
    }
}

fn inverse(context: RunContext, record: &EventRecord) -> String {
    let from = number::whole(context.summary.read().step);
    let what = match &record.event {
        Event::Changed { path, old, .. } => {
            format!("{} is {} again", path.row().label.to_lowercase(), hyperparameter::value(*path, *old))
        }
        Event::WeightsEdited { .. } => "the edited weights are divided by the same factors".to_owned(),
        _ => "the schedule is the same as before the change".to_owned(),
    };
    format!("From step {from} on, {what}. What was learned since the change stays.")
}

fn rollback(context: RunContext, checkpoint: CheckpointId) -> String {
    let steps = context.summary.read().step.saturating_sub(checkpoint.step);
    let lost = match steps {
        0 => String::new(),
        1 => "; the step since then becomes an abandoned branch".to_owned(),
        steps => format!("; the {} steps since then become an abandoned branch", number::whole(steps)),
    };
    format!("The run continues from step {} without the change{lost}.", number::whole(checkpoint.step))
}
