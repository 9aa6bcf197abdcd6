//! The form of the tasks: a task, a checkpoint to score on it, and the interval at which checkpoints are scored.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::task::lab::{MAX_EVERY, NewScore, TaskInfo};
use wire::{CheckpointId, RunState};

use super::state::TasksState;
use crate::components::{Failure, NumberField, Select, TypedNumber, clicks, says, shows, task_in_words};
use crate::pages::run::checkpoint_list::entries;

/// Intervals, steps.
const INTERVAL: Values = Values::Integer { min: 1, max: MAX_EVERY };

/// The task and the checkpoint to score, and the interval of the task.
#[component]
pub(super) fn ScoreForm() -> impl IntoView {
    let state = expect_context::<TasksState>();
    let tasks = Memo::new(move |_| state.known.read().as_ref().map(|known| known.tasks.clone()).unwrap_or_default());
    let first = tasks.with_untracked(|tasks| tasks.first().map(|task| task.name.to_string()).unwrap_or_default());
    let task = RwSignal::new(first);
    let checkpoint = RwSignal::new(String::new());
    let chosen = Memo::new(move |_| tasks.read().iter().find(|one| one.name.as_str() == *task.read()).cloned());
    let entries = Memo::new(move |_| {
        let names = tasks.read();
        names.iter().map(|one| (one.name.to_string(), one.name.to_string())).collect::<Vec<_>>()
    });
    let checkpoints = Memo::new(move |_| checkpoint_entries(state));
    let disabled = Memo::new(move |_| disabled_reason(state, &checkpoints.read()));
    let send = move |_| {
        let Some(TaskInfo { name, .. }) = chosen.get_untracked() else { return };
        state.score(NewScore { task: name, checkpoint: checkpoint.get_untracked().parse::<CheckpointId>().ok() });
    };
    view! {
        <div class="row">
            <label title="The questions or texts on which the checkpoint is scored">
                "Task " <Select entries chosen=task choose=move |name| task.set(name) />
            </label>
            <label title="The checkpoint whose weights are scored">
                "Checkpoint "
                <Select entries=checkpoints chosen=checkpoint choose=move |id| checkpoint.set(id) />
            </label>
            <button
                title=says(move || disabled.get().unwrap_or_else(|| "Score the checkpoint on the task. The server computes it in the background; \
                    training continues.".to_owned()))
                disabled=move || disabled.read().is_some() || state.is_sending.get()
                on:click=clicks(send)
            >
                "Evaluate"
            </button>
        </div>
        <p class="small dim">{says(move || chosen.get().map(|task| task_in_words(&task)).unwrap_or_default())}</p>
        {shows(move || chosen.get().map(|task| view! { <Schedule task /> }))}
        {shows(move || state.refused.get().map(|failure| view! { <Failure what="The request was refused" failure /> }))}
    }
}

/// The newest checkpoint, and each that is on the server, by id.
fn checkpoint_entries(state: TasksState) -> Vec<(String, String)> {
    let usable = entries(state.context, |saved| saved.is_available);
    [(String::new(), "newest".to_owned())].into_iter().chain(usable).collect()
}

fn disabled_reason(state: TasksState, checkpoints: &[(String, String)]) -> Option<String> {
    let none = || match state.context.state.get() {
        RunState::Finished | RunState::Stopped | RunState::Failed => "The run has no checkpoint on the server.",
        _ => "The run has no checkpoint on the server yet.",
    };
    let reason = state.context.no_permission.get();
    reason.or_else(|| (checkpoints.len() < 2).then(|| none().to_owned()))
}

/// The interval at which checkpoints are scored on a task.
#[component]
fn Schedule(task: TaskInfo) -> impl IntoView {
    let state = expect_context::<TasksState>();
    let (name, of) = (StoredValue::new(task.name.clone()), task.name);
    let present = Memo::new(move |_| {
        let known = state.known.read();
        known.iter().flat_map(|known| &known.schedules).find(|one| one.task == of).map(|one| one.every)
    });
    // Empty without an interval: a number would look like one that is in force.
    let typed = TypedNumber::optional(INTERVAL);
    let follow = move |every: Option<u64>| typed.set(every.map(|every| every.to_string()).unwrap_or_default());
    Effect::new(move || follow(present.get()));
    let no_permission = state.context.no_permission;
    let set = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(every) = untrack(|| typed.integer()) {
            state.schedule(name.get_value(), Some(every));
        }
    };
    let now = move || match present.get() {
        Some(1) => "Each checkpoint of this run is scored.".to_owned(),
        Some(every) => {
            format!("The last checkpoint and those at multiples of {} steps are scored.", number::whole(every))
        }
        None => "Checkpoints of this run are scored only when you select Evaluate.".to_owned(),
    };
    view! {
        <form class="row" on:submit=set>
            <label title="The last checkpoint and those whose step is a multiple of this number are scored on the task; 1 scores all">
                "Score checkpoints every " <NumberField number=typed placeholder="never" /> " steps"
            </label>
            <button
                type="submit"
                title=says(move || no_permission.get().unwrap_or_else(|| "Score the checkpoints of this run at this interval".to_owned()))
                disabled=move || {
                    no_permission.read().is_some() || state.is_sending.get()
                        || typed.integer().is_none_or(|every| Some(every) == present.get())
                }
            >
                "Set"
            </button>
            {shows(move || present.get().map(|_| view! {
                <button
                    type="button"
                    title="Stop scoring the checkpoints of this run on this task automatically; existing scores stay"
                    disabled=move || no_permission.read().is_some() || state.is_sending.get()
                    on:click=clicks(move |_| state.schedule(name.get_value(), None))
                >
                    "Turn off"
                </button>
            }))}
            <span class="small dim">{says(now)}</span>
        </form>
    }
}
