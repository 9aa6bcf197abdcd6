//! The evaluation tasks on which the checkpoints of the run are scored: that of its generated dataset is offered first, and none is chosen until
//! somebody does.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::corpus::{CorpusInfo, Source};
use wire::hyperparameters::table::Values;
use wire::task::lab::{MAX_EVERY, TaskInfo, TaskSchedule};
use wire::task::{BUILT_IN, TaskName};

use super::draft::Draft;
use super::field::{FieldError, FormSection};
use crate::components::number::counted;
use crate::components::{Failure, NumberField, TypedNumber, clicks, shows, task_in_words};
use crate::net::api::{ApiFailure, tasks as api};

/// Intervals, steps.
const INTERVAL: Values = Values::Integer { min: 1, max: MAX_EVERY };
/// The field of the spec.
const FIELD: &str = "tasks";

/// The tasks of the section.
#[derive(Clone, Copy)]
struct Tasks {
    draft: Draft,
    found: RwSignal<Option<Result<Vec<TaskInfo>, ApiFailure>>>,
    /// Tasks whose interval is not a number that it accepts.
    unreadable: RwSignal<BTreeSet<String>>,
}

impl Tasks {
    fn fetch(self) {
        spawn_local(async move {
            let answer = api::list().await;
            self.found.try_set(Some(answer));
        });
    }

    fn set_readable(self, task: &str, is_readable: bool) {
        self.unreadable.update(|tasks| match is_readable {
            true => drop(tasks.remove(task)),
            false => drop(tasks.insert(task.to_owned())),
        });
        self.draft.set_readable(FIELD, self.unreadable.read_untracked().is_empty());
    }

    /// The interval of a task; `None` if it is not chosen.
    fn every(self, task: &str) -> Option<u64> {
        self.draft.spec.read().tasks.iter().find(|one| one.task.as_str() == task).map(|one| one.every)
    }

    /// Chooses a task with an interval, or leaves it out.
    fn set(self, task: &TaskName, every: Option<u64>) {
        self.draft.set(|spec| {
            spec.tasks.retain(|one| one.task != *task);
            spec.tasks.extend(every.map(|every| TaskSchedule { task: task.clone(), every }));
        });
    }
}

/// The section.
#[component]
pub(super) fn TaskChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let tasks = Tasks { draft, found: RwSignal::new(None), unreadable: RwSignal::default() };
    tasks.fetch();
    let own = Memo::new(move |_| own_tasks(draft));
    let all = Memo::new(move |_| match &*tasks.found.read() {
        Some(Ok(found)) => found.clone(),
        _ => vec![],
    });
    // A task that was chosen stays in the first list.
    let first = Memo::new(move |_| {
        let (own, spec) = (own.read(), draft.spec.read());
        let is_first = |task: &&TaskInfo| {
            own.contains(&task.name.to_string()) || spec.tasks.iter().any(|one| one.task == task.name)
        };
        all.read().iter().filter(is_first).cloned().collect::<Vec<_>>()
    });
    let others = Memo::new(move |_| {
        let first = first.read();
        all.read().iter().filter(|task| !first.contains(task)).cloned().collect::<Vec<_>>()
    });
    let failure = move || match &*tasks.found.read() {
        Some(Err(failure)) => {
            let (failure, retry) = (failure.clone(), move |()| tasks.fetch());
            Some(view! { <Failure what="The evaluation tasks could not be listed" failure retry /> })
        }
        _ => None,
    };
    // Those of a copied run that were deleted since.
    let unknown = Memo::new(move |_| {
        let (found, spec) = (tasks.found.read(), draft.spec.read());
        let Some(Ok(known)) = &*found else { return vec![] };
        let is_unknown = |task: &&TaskName| known.iter().all(|one| one.name != **task);
        spec.tasks.iter().map(|one| &one.task).filter(is_unknown).cloned().collect::<Vec<_>>()
    });
    on_cleanup(move || draft.set_readable(FIELD, true));
    view! {
        <FormSection title="Evaluation tasks" note="Optional.">
            <p class="small dim">
                "Checkpoints at multiples of the scoring interval, which is set below for each task, are scored, and the newest checkpoint when \
                 the run ends or is suspended. Each score is a forward pass over all items of the task, for multiple choice over each of \
                 their choices. The server computes one score at a time, at low priority, on its own \
                 machine. Training does not wait for it; on a machine that also trains, it takes processor time from the runs."
            </p>
            {shows(failure)}
            <ul class="task-choice" aria-label="Evaluation tasks" hidden=move || first.read().is_empty()>
                <For each=move || first.get() key=|task| task.name.clone() let(task)><TaskLine task tasks /></For>
            </ul>
            <For each=move || unknown.get() key=Clone::clone let(task)>
                <div class="row" role="alert">
                    <span>{format!("The lab no longer has a task {task}.")}</span>
                    <button
                        class="quiet"
                        title="Create the run without this task"
                        on:click=clicks(move |_| tasks.set(&task, None))
                    >
                        "Remove"
                    </button>
                </div>
            </For>
            <details hidden=move || others.read().is_empty()>
                <summary class="small">"Other tasks of the lab"</summary>
                <ul class="task-choice" aria-label="Other tasks of the lab">
                    <For each=move || others.get() key=|task| task.name.clone() let(task)><TaskLine task tasks /></For>
                </ul>
            </details>
            <FieldError field=FIELD />
        </FormSection>
    }
}

/// One task with its interval.
#[component]
fn TaskLine(task: TaskInfo, tasks: Tasks) -> impl IntoView {
    let draft = tasks.draft;
    let name = StoredValue::new(task.name.to_string());
    let kept = StoredValue::new(task.name.clone());
    let items = task.items;
    let every = Memo::new(move |_| name.with_value(|name| tasks.every(name)));
    let is_chosen = Memo::new(move |_| every.get().is_some());
    let usual = move || checkpoint_every(draft).max(1);
    let typed = TypedNumber::new(INTERVAL, every.get_untracked().unwrap_or_else(|| untrack(usual)));
    let take = move |()| {
        let typed = untrack(|| typed.integer());
        name.with_value(|name| tasks.set_readable(name, typed.is_some()));
        if typed.is_some() {
            kept.with_value(|task| tasks.set(task, typed));
        }
    };
    let choose = move |is_chosen: bool| {
        let every = untrack(usual);
        typed.set(every);
        name.with_value(|name| tasks.set_readable(name, true));
        kept.with_value(|task| tasks.set(task, is_chosen.then_some(every)));
    };
    let cost = move || {
        every.get().map(|every| {
            let scores = scores_of(draft, every);
            let scores = scores.map(|count| format!("{} of ", counted(count, "score"))).unwrap_or_default();
            view! { <span class="small dim">{format!("{scores}{}", counted(items, "item"))}</span> }
        })
    };
    let about = task_in_words(&task);
    view! {
        <li>
            <label class="check" title="Score checkpoints of the run on this task">
                <input
                    type="checkbox"
                    prop:checked=move || is_chosen.get()
                    on:change:target=move |event| choose(event.target().checked())
                />
                {name.get_value()}
            </label>
            <p class="small dim">{about}</p>
            {shows(move || is_chosen.get().then(|| view! {
                <div class="row">
                    <label title="The last checkpoint and those whose step is a multiple of this number are scored; 1 scores all">
                        "Score checkpoints every " <NumberField number=typed on_typed=take /> " steps"
                    </label>
                    {shows(cost)}
                </div>
            }))}
        </li>
    }
}

/// Names of the tasks of the chosen generated datasets.
fn own_tasks(draft: Draft) -> Vec<String> {
    let spec = draft.spec.read();
    let datasets = draft.datasets.read();
    let is_chosen = |info: &&CorpusInfo| {
        spec.corpus.as_ref() == Some(&info.id) || spec.mix.iter().any(|mix| mix.contains_key(&info.id))
    };
    let generators: Vec<&str> = datasets
        .iter()
        .flatten()
        .flatten()
        .filter(is_chosen)
        .filter_map(|info| match &info.source {
            Source::Generated { generator, .. } => Some(generator.as_str()),
            _ => None,
        })
        .collect();
    let of_generator = |(_, generator): &(&str, &str)| generators.contains(generator);
    BUILT_IN.into_iter().filter(of_generator).map(|(task, _)| task.to_owned()).collect()
}

/// The checkpoint interval of the plan, steps; 0 for none.
fn checkpoint_every(draft: Draft) -> u64 {
    match &*draft.outcome.read() {
        Some(Ok(view)) => view.plan.recipe.intervals.checkpoint_every,
        _ => 0,
    }
}

/// Number of scores in the planned run: the checkpoints at multiples of both intervals, and the last one.
fn scores_of(draft: Draft, every: u64) -> Option<u64> {
    let outcome = draft.outcome.read();
    let Some(Ok(view)) = &*outcome else { return None };
    Some(count_scores(view.plan.steps, view.plan.recipe.intervals.checkpoint_every, every))
}

fn count_scores(steps: u64, checkpoint_every: u64, every: u64) -> u64 {
    if checkpoint_every == 0 || every == 0 {
        return 1;
    }
    let interval = (checkpoint_every / common_divisor(checkpoint_every, every)).saturating_mul(every);
    steps / interval + u64::from(!steps.is_multiple_of(interval))
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_counted_at_multiples_of_both_intervals_and_at_the_end() {
        for (steps, checkpoint_every, every, expected) in [
            (1000, 100, 100, 10),
            (1000, 100, 1, 10),
            (1000, 100, 250, 2),
            (1050, 100, 100, 11),
            (1000, 0, 100, 1),
            (50, 100, 100, 1),
        ] {
            assert_eq!(count_scores(steps, checkpoint_every, every), expected, "{steps} {checkpoint_every} {every}");
        }
    }
}
