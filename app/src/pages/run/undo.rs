//! Undoing the last change: by the inverse change from the next step on, or by a rollback to just before it. Both effects are
//! described first.

use figure::number;
use leptos::prelude::*;
use wire::control::command::UndoMethod;
use wire::control::saved_schedule::SavedSchedule;
use wire::run::saving::is_being_saved;
use wire::{CheckpointId, Command, Event, EventRecord, LivePath, RunState};

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
            title="Undo the last change of a hyperparameter, a schedule or the weights, or the last rollback. \
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
        let (number, change) = (record.number, record.clone());
        let verb = inverse_verb(&record.event);
        let undoes_rollback = matches!(record.event, Event::RolledBack { .. });
        let back = if undoes_rollback { "Return to step" } else { "Roll back to step" };
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
                        <button class="primary" on:click=move |_| undo(number, UndoMethod::Inverse)>{verb}</button>
                    </div>
                })}
                {before.map(|checkpoint| view! {
                    <div class="way">
                        <p>{move || rollback(context, checkpoint, undoes_rollback)}</p>
                        <button on:click=move |_| undo(number, UndoMethod::Rollback)>
                            {format!("{back} {}", number::whole(checkpoint.step))}
                        </button>
                    </div>
                })}
                {before.is_none().then(|| view! { <p class="small dim">{no_rollback(context, &change)}</p> })}
            </div>
        }
        .into_any()
    }
}

/// The button of the inverse change.
fn inverse_verb(event: &Event) -> &'static str {
    match event {
        Event::WeightsEdited { .. } => "Revert the weight edit",
        Event::Changed { path, .. } if *path != LivePath::LEARNING_RATE => "Restore the value",
        _ => "Restore the schedule",
    }
}

fn inverse(context: RunContext, record: &EventRecord) -> String {
    let step = context.summary.read().step;
    let from = number::whole(step);
    let what = match &record.event {
        Event::Changed { path, old, .. } if *path != LivePath::LEARNING_RATE => {
            let (label, old) = (path.row().label.to_lowercase(), hyperparameter::value(*path, *old));
            format!("Set {label} to {old} again from step {from} on.")
        }
        Event::WeightsEdited { .. } => format!("Divide the edited weights by the same factors before step {from}."),
        Event::ScheduleChanged { old: SavedSchedule::Mix(_), .. } => {
            format!("Restore the earlier dataset mix from step {from} on.")
        }
        Event::ScheduleChanged { old: SavedSchedule::Accumulation(_), .. } => {
            format!("Restore the earlier gradient accumulation from step {from} on.")
        }
        _ => {
            let rate = restored_learning_rate(context, record, step);
            let rate = rate.map(|rate| format!(" ({} at step {from})", number::rounded(rate))).unwrap_or_default();
            format!("Restore the earlier schedule from step {from} on{rate}.")
        }
    };
    match record.event {
        Event::WeightsEdited { .. } => format!("{what} All other training since then is kept."),
        _ => format!("{what} The weights stay as they are."),
    }
}

/// The learning rate at `step` after the inverse change.
fn restored_learning_rate(context: RunContext, record: &EventRecord, step: u64) -> Option<f64> {
    let inverse = context.run.read().history().inverse(record.number, step, String::new())?;
    let mut after = context.hyperparameters.get();
    let event = after.change(&inverse, step).ok()??;
    after.apply(&event, step);
    Some(after.get(LivePath::LEARNING_RATE, step))
}

/// Why a change cannot be undone by a rollback.
fn no_rollback(context: RunContext, change: &EventRecord) -> &'static str {
    let run = context.run.read_untracked();
    let later = run.events.range(change.number + 1..).map(|(_, record)| record);
    let is_being_saved =
        context.state.get().is_live() && is_being_saved(change, later, run.view.plan.recipe.retention.before_changes);
    // Of several changes at one step, only the state before the first is saved.
    match context.summary.read().step <= change.step {
        true => "No step was trained since the change, so there is nothing to roll back.",
        false if is_being_saved => "The checkpoint just before the change is being written. Try again in a moment.",
        false => "No checkpoint was saved just before the change, so a rollback is not possible.",
    }
}

fn rollback(context: RunContext, checkpoint: CheckpointId, undoes_rollback: bool) -> String {
    let from = number::whole(checkpoint.step);
    if undoes_rollback {
        return format!(
            "Return to step {from}, where the run was before the rollback. The current branch is abandoned."
        );
    }
    let lost = match context.summary.read().step.saturating_sub(checkpoint.step) {
        0 => " No step was trained since, so the weights stay as they are; a new branch begins.".to_owned(),
        1 => " The step since then becomes an abandoned branch.".to_owned(),
        steps => format!(" The {} steps since then become an abandoned branch.", number::whole(steps)),
    };
    format!("Go back to step {from}, without the change.{lost}")
}
