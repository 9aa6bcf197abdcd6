//! Returning to a checkpoint. The form says which steps become an abandoned branch, and can skip batches.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::{CheckpointId, Command, RunState};

use super::RunContext;
use super::checkpoint_list::{is_gone, saved};
use super::fields::{CheckpointSelect, ControlRunField, ReasonField, reason_of};
use crate::components::{NumberField, TypedNumber};

/// What the control run of a rollback shows.
pub(super) const NOT_ROLLED_BACK: &str = "The control run is not rolled back: it continues from the current step, on the \
                                          batches of the plan. The difference of the two losses at equal steps is the \
                                          effect of the rollback and of the skipped batches. It queues a second run on \
                                          the same device.";

#[component]
pub(super) fn RollbackForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let picked = RwSignal::new(context.chosen.get_untracked());
    // At first it is the newest. It stays chosen while the run saves and deletes others.
    let chosen = Memo::new(move |before: Option<&Option<CheckpointId>>| {
        let kept = before.copied().flatten();
        picked.get().or(kept).or_else(|| Some(saved(context).first()?.info.id))
    });
    let is_chosen = move || chosen.get().is_some() && !is_gone(context, chosen.get());
    let skip = TypedNumber::optional(Values::Integer { min: 0, max: u64::MAX });
    // Of the remedy whose form was left for this one.
    let (cause, batches) = context.findings.entered.try_update_value(Option::take).flatten().unwrap_or_default();
    if batches > 0 {
        skip.set(batches);
    }
    let (reason, control_run) = (RwSignal::new(cause), RwSignal::new(false));
    let skipped = move || skip.is_readable().then(|| skip.integer().unwrap_or(0));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(checkpoint), Some(skip_batches)) = (chosen.get_untracked(), untrack(skipped)) else { return };
        if !untrack(is_chosen) {
            return;
        }
        context.drawer.set(None);
        let command = Command::Rollback { checkpoint, skip_batches, reason: reason_of(reason) };
        context.change(command, control_run.get_untracked());
    };
    view! {
        <form on:submit=submit>
            {move || (saved(context).is_empty()).then(|| view! { <p>"No checkpoints yet."</p> })}
            <label title="The run goes back to this checkpoint.">
                "Checkpoint"
                <CheckpointSelect chosen choose=move |id| picked.set(id) />
            </label>
            <label
                title="Number of batches to skip after the checkpoint. Default: 0. Used to get past a loss spike (PaLM, \
                       Chowdhery et al. 2022, section 5.1)."
            >
                "Skip"<span class="unit">", batches"</span>
                <NumberField number=skip placeholder="0" />
            </label>
            <ReasonField reason />
            <ControlRunField wanted=control_run meaning=NOT_ROLLED_BACK />
            <p class="effect">{move || effect(context, chosen.get(), skipped())}</p>
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="Return to the checkpoint"
                    disabled=move || !is_chosen() || skipped().is_none()
                >
                    "Roll back"
                </button>
            </div>
        </form>
    }
}

fn effect(context: RunContext, checkpoint: Option<CheckpointId>, skipped: Option<u64>) -> String {
    let (Some(checkpoint), Some(skipped)) = (checkpoint, skipped) else {
        return "Choose a checkpoint, and enter how many batches to skip.".into();
    };
    if is_gone(context, Some(checkpoint)) {
        let step = number::whole(checkpoint.step);
        return format!("The checkpoint of step {step} has been deleted. Choose another checkpoint.");
    }
    let now = context.summary.read().step;
    let is_abandoned = !context.run.read().curves.lineage().contains(checkpoint.segment, checkpoint.step);
    let then = if context.state.get() == RunState::Paused { "stays paused" } else { "continues from there" };
    let start = format!("The run goes back to step {} and {then}", number::whole(checkpoint.step));
    let branch = match (is_abandoned, now.saturating_sub(checkpoint.step)) {
        (true, _) => format!("{start}. That step is on an abandoned branch; the current branch is abandoned instead."),
        (false, 0) => format!("{start}."),
        (false, 1) => format!("{start}; the step since then becomes an abandoned branch."),
        (false, steps) => {
            format!("{start}; the {} steps since then become an abandoned branch on the charts.", number::whole(steps))
        }
    };
    let skips = match skipped {
        0 => String::new(),
        1 => " The next batch is skipped.".to_owned(),
        skipped => format!(" The next {} batches are skipped.", number::whole(skipped)),
    };
    format!("{branch}{skips} The current state is saved first, so the rollback can be undone.")
}
