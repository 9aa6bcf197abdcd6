//! Gradient accumulation: the micro-batches whose gradients are averaged for one optimizer step. More of them reduce
//! the noise of the gradient and lengthen the step.

use figure::number;
use leptos::prelude::*;
use wire::Command;
use wire::control::command::ScheduleChange;
use wire::hyperparameters::table::{Values, find};

use super::RunContext;
use super::drawer::focus_on;
use super::fields::{ControlRunField, OTHER_BATCHES, ReasonField, StartAt, StartChoice, StartField, reason_of};
use crate::components::{NumberField, TypedNumber};

/// Micro-batches at the current step.
pub(super) fn current_micro_batches(context: RunContext) -> u64 {
    context.hyperparameters.read().accumulation.at(context.summary.read().step)
}

#[component]
pub(super) fn AccumulationForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let row = find("batch.accumulation");
    let values = row.map_or(Values::Integer { min: 1, max: u64::MAX }, |row| row.values);
    let typed = TypedNumber::new(values, untrack(|| current_micro_batches(context)));
    let start = StartChoice::new(context);
    let (reason, control_run) = (RwSignal::new(String::new()), RwSignal::new(false));
    let tokens_per_micro_batch = context.run.with_untracked(|run| run.view.plan.tokens_per_micro_batch());
    let wanted = Memo::new(move |_| {
        let from = start.read()?;
        typed.integer().map(|count| (count, from)).ok_or_else(String::new)
    });
    let input = NodeRef::new();
    focus_on(input);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok((count, from)) = wanted.get_untracked() else { return };
        let from = match from {
            StartAt::Now => context.next_step(),
            StartAt::Step(step) | StartAt::Linear(step) => step,
        };
        context.drawer.set(None);
        let schedule = ScheduleChange::Accumulation { changes: vec![(from, count)] };
        let command = Command::SetSchedule { schedule, reason: reason_of(reason) };
        context.change(command, control_run.get_untracked());
    };
    let scaled =
        move |by: f64| ((untrack(|| current_micro_batches(context)) as f64 * by).round().max(1.0) as u64).to_string();
    let effect = move || match wanted.get() {
        Ok((count, from)) => {
            let now = current_micro_batches(context).max(1);
            let time = match count == now {
                true => " (unchanged).".to_owned(),
                false => format!(
                    ". A step takes about {} times as long. The learning rate does not change.",
                    number::short(count as f64 / now as f64)
                ),
            };
            let tokens = number::with_unit((count * tokens_per_micro_batch) as f64, "tokens");
            format!("{tokens} per step {}{time}", from.words(context))
        }
        Err(problem) => problem,
    };
    view! {
        <form on:submit=submit>
            <label>
                "Micro-batches"<span class="unit">" per step"</span>
                <NumberField number=typed node_ref=input />
            </label>
            <div class="row">
                <button type="button" title="Halve the number of micro-batches" on:click=move |_| typed.set(scaled(0.5))>
                    "×½"
                </button>
                <button type="button" title="Double the number of micro-batches" on:click=move |_| typed.set(scaled(2.0))>
                    "×2"
                </button>
            </div>
            <StartField start />
            <ReasonField reason />
            <ControlRunField wanted=control_run meaning=OTHER_BATCHES />
            <p class="effect">{effect}</p>
            <div class="row end">
                <button class="primary" type="submit" disabled=move || wanted.read().is_err()>
                    "Change accumulation"
                </button>
            </div>
        </form>
    }
}
