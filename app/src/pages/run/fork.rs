//! Forks: a new run that starts from a checkpoint of this one, with a few changes. It inherits weights, optimizer
//! state, schedules and history.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::hyperparameters::table::Values;
use wire::run::plan::MAX_STEPS;
use wire::run::spec::Parent;
use wire::{CheckpointId, Command, LiveHyperparameters, LivePath, RunSpec, RunState};

use super::RunContext;
use super::checkpoint_list::{is_gone, saved};
use super::fields::CheckpointSelect;
use super::fork_dataset::ForkDataset;
use super::fork_plan::{fork_end, schedule_note, with_changes};
use super::hyperparameter::with_button;
use crate::components::hyperparameters::with_comma;
use crate::components::{Failure, NumberField, SEEDS, TypedNumber};
use crate::net::api::{self, ApiFailure};
use crate::route::{Router, run_path};

#[component]
fn OverrideField(
    label: &'static str,
    unit: &'static str,
    meaning: &'static str,
    inherited: Signal<String>,
    number: TypedNumber,
) -> impl IntoView {
    view! {
        <label title=meaning>
            {label}<span class="unit">{with_comma(unit)}</span>
            <NumberField number placeholder=inherited />
        </label>
    }
}

#[component]
pub(super) fn ForkForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let router = expect_context::<Router>();
    let chosen = RwSignal::new(context.chosen.get_untracked());
    let (name, dataset) = (RwSignal::new(String::new()), RwSignal::new(None));
    let longer = Signal::derive(move || Values::Integer { min: start_of(context, chosen.get()) + 1, max: MAX_STEPS });
    let steps = TypedNumber::optional(longer);
    let seed = TypedNumber::optional(SEEDS);
    let overrides: Vec<(LivePath, TypedNumber)> =
        with_button().map(|path| (path, TypedNumber::optional(path.row().values))).collect();
    let numbers = StoredValue::new(overrides.clone());
    let refits = RwSignal::new(false);
    let is_busy = RwSignal::new(false);
    let failure = RwSignal::new(None::<ApiFailure>);
    // The sentence below the form describes the same spec; none while a field cannot be read, which then says why.
    let spec = move || -> Option<RunSpec> {
        let numbers = numbers.get_value();
        let is_readable = numbers.iter().map(|(_, number)| *number).chain([steps, seed]).all(TypedNumber::is_readable);
        if !is_readable {
            return None;
        }
        let change = |(path, number): (LivePath, TypedNumber)| {
            Some(Command::Set { path, value: number.number()?, reason: None })
        };
        let changes = numbers.into_iter().filter_map(change).collect();
        let parent = Parent {
            run: context.id(),
            step: None,
            checkpoint: chosen.get(),
            changes,
            refit_schedule: refits.get(),
            control_of: None,
        };
        Some(RunSpec {
            parent: Some(parent),
            name: Some(name.read().trim().to_owned()).filter(|name| !name.is_empty()),
            corpus: dataset.get(),
            steps: steps.integer(),
            seed: seed.integer(),
            ..RunSpec::default()
        })
    };
    // A refusal belongs to the spec that was sent.
    let edited = Memo::new(move |_| spec());
    Effect::new(move || {
        // Read, not only tracked: a memo that nobody reads is never computed, and never changes.
        edited.with(|_| ());
        failure.set(None);
    });
    let is_deleted = move || is_gone(context, chosen.get());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(spec) = untrack(spec).filter(|_| !untrack(is_deleted)) else { return };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match api::create_run(&spec).await {
                Ok(view) => {
                    context.drawer.try_set(None);
                    router.go(&run_path(&view.summary.id));
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                    is_busy.try_set(false);
                }
            }
        });
    };
    let now = untrack(|| newest_state(context));
    // Computed again when the checkpoint or the journal changes, not with each step.
    let inherited = Memo::new(move |_| at_start(context, chosen.get()));
    let ends_at = move |steps: Option<u64>| reach(context, &inherited.read(), chosen.get(), steps).1;
    let tail = Memo::new(move |_| {
        let changes = spec().and_then(|spec| spec.parent).map(|parent| parent.changes).unwrap_or_default();
        let reach = reach(context, &inherited.read(), chosen.get(), steps.integer());
        // With the schedule refitted there is no note, and its checkbox would vanish.
        schedule_note(&with_changes(&inherited.read(), reach, &changes, false))
    });
    let parent_seed = context.run.read_untracked().view.plan.seed.to_string();
    view! {
        <form on:submit=submit>
            <label title="Checkpoint from which the fork starts.">
                "Checkpoint"
                <CheckpointSelect now=Some(now) chosen choose=move |id| chosen.set(id) />
            </label>
            <label title="Display name of the fork. Default: a generated name.">
                "Name"
                <input
                    type="text"
                    maxlength="80"
                    placeholder="e.g. russet-lark"
                    prop:value=name
                    on:input:target=move |event| name.set(event.target().value())
                />
            </label>
            <ForkDataset chosen=dataset />
            <div class="pair">
                <OverrideField
                    label="Total steps"
                    unit=""
                    meaning="Step at which the fork ends. Default: the last step of this run. A fork that starts at the last step trains \
                             the same number of steps again."
                    inherited=Signal::derive(move || number::whole(ends_at(None)))
                    number=steps
                />
                <OverrideField
                    label="Seed"
                    unit=""
                    meaning="Seed for the batches and samples after the fork. Default: that of this run."
                    inherited=Signal::stored(parent_seed)
                    number=seed
                />
            </div>
            <div class="triple">
                {overrides.into_iter().map(|(path, number)| {
                    let step = move || chosen.get().map_or_else(|| context.summary.read().step, |id| id.step);
                    let value = Signal::derive(move || number::rounded(inherited.read().get(path, step())));
                    view! {
                        <OverrideField label=path.row().label unit="" meaning=fork_meaning(path) inherited=value number />
                    }
                }).collect_view()}
            </div>
            {move || tail.get().map(|note| view! {
                <p class="small">{note}</p>
                <label class="check" title="Stretch or shorten the planned schedule to the total steps of the fork. Default: off.">
                    <input type="checkbox" prop:checked=refits on:change:target=move |event| refits.set(event.target().checked()) />
                    {move || format!("Stretch the planned schedule to {} steps", number::whole(ends_at(steps.integer())))}
                </label>
            })}
            <p class="effect">{move || spec().map(|spec| effect(context, &inherited.read(), chosen.get(), &spec))}</p>
            {move || failure.get().map(|failure| view! { <Failure what="The fork was not created" failure /> })}
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="Create the fork and open its page"
                    disabled=move || is_busy.get() || is_deleted() || spec().is_none()
                >
                    {move || if is_busy.get() { "Creating …" } else { "Fork" }}
                </button>
            </div>
        </form>
    }
}

/// The meaning of a hyperparameter in the form of a fork.
fn fork_meaning(path: LivePath) -> &'static str {
    match path {
        LivePath::LEARNING_RATE => {
            "Learning rate at the fork. A new value rescales the rest of the schedule by the same ratio."
        }
        path => path.row().meaning,
    }
}

fn effect(
    context: RunContext,
    inherited: &LiveHyperparameters,
    checkpoint: Option<CheckpointId>,
    spec: &RunSpec,
) -> String {
    if is_gone(context, checkpoint) {
        return "This checkpoint has been deleted. Choose another checkpoint.".into();
    }
    let (step, ends_at) = reach(context, inherited, checkpoint, spec.steps);
    let changes = spec.parent.as_ref().map_or(0, |parent| parent.changes.len());
    // Also a run that ended early has not trained the steps of the fork.
    let has_ended_here = context.state.get().is_over() && step >= context.summary.read().step;
    let is_longer = has_ended_here || ends_at != context.hyperparameters.read().steps;
    let difference = match (changes, spec.seed) {
        // The steps are counted from 0.
        (0, None) if is_longer => {
            format!("It trains steps {} to {}.", number::whole(step), number::whole(ends_at.saturating_sub(1)))
        }
        (0, None) if spec.corpus.is_some() => "It trains on another dataset from there on.".to_owned(),
        (0, None) => "Without changes it reproduces this run.".to_owned(),
        (0, Some(_)) => "It trains on other batches from there on.".to_owned(),
        (1, _) => "It differs in one hyperparameter from there on.".to_owned(),
        (many, _) => format!("It differs in {many} hyperparameters from there on."),
    };
    let planned = context.hyperparameters.read().steps;
    let end = match changes > 0 && ends_at != planned {
        true => format!(" It ends at step {} instead of {}.", number::whole(ends_at), number::whole(planned)),
        false => String::new(),
    };
    let device = &context.summary.read().device;
    let queue = match context.state.get() {
        RunState::Paused => format!(
            " The new run is queued on {device} and waits while this run is paused: suspend or stop this run to start it."
        ),
        state if state.is_live() => format!(" The new run is queued on {device}."),
        _ => String::new(),
    };
    format!(
        "Creates a run from step {} with the same weights, optimizer state and random state. {difference}{end}{queue}",
        number::whole(step)
    )
}

/// The state that is forked if no checkpoint is chosen.
fn newest_state(context: RunContext) -> String {
    let run = context.run.read();
    match &run.view.plan.origin {
        _ if context.state.get().is_live() => "the current step (a checkpoint is saved first)".into(),
        // A fork that has not trained has no checkpoint of its own.
        Some(origin) if matches!(&*context.checkpoints.read(), Some(Ok(saved)) if saved.is_empty()) => {
            let parent = context.ancestors.get().last().cloned().unwrap_or_else(|| origin.from.run.to_string());
            let step = number::whole(origin.from.checkpoint.step);
            format!("step {step}, the checkpoint of {parent} from which this run starts")
        }
        _ => "the newest checkpoint".into(),
    }
}

/// The step of the checkpoint that a fork starts from.
fn start_of(context: RunContext, checkpoint: Option<CheckpointId>) -> u64 {
    let newest = || saved(context).first().map(|saved| saved.info.id.step);
    match checkpoint {
        Some(checkpoint) => checkpoint.step,
        None if context.state.get().is_live() => context.summary.read().step,
        None => newest().unwrap_or_else(|| context.summary.read().step),
    }
}

/// The hyperparameters of the run at the checkpoint that a fork starts from.
fn at_start(context: RunContext, checkpoint: Option<CheckpointId>) -> LiveHyperparameters {
    let newest = || saved(context).first().map(|saved| saved.info.id);
    let checkpoint = checkpoint.or_else(|| newest().filter(|_| !context.state.get().is_live()));
    match checkpoint {
        Some(checkpoint) => context.run.read().history().hyperparameters_at(checkpoint),
        None => context.hyperparameters.get(),
    }
}

/// The steps from which and to which a fork trains.
fn reach(
    context: RunContext,
    at_start: &LiveHyperparameters,
    checkpoint: Option<CheckpointId>,
    steps: Option<u64>,
) -> (u64, u64) {
    let start = start_of(context, checkpoint);
    (start, fork_end(at_start, start, context.run.read().view.plan.steps, steps))
}
