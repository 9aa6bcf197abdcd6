//! The editor of the learning-rate schedule: common schedules, the effect of the edit in words, and the button that
//! applies it. Its points are on the chart ([`super::schedule_points`]).

use figure::number;
use leptos::prelude::*;
use wire::Command;
use wire::control::command::ScheduleChange;
use wire::hyperparameters::schedule::ScheduleCurve;
use wire::hyperparameters::table::Values;
use wire::run::plan::MAX_STEPS;

use super::RunContext;
use super::fields::{ControlRunField, ReasonField, reason_of};
use super::schedule_draft::{ScheduleDraft, StandardCurve};
use super::schedule_edit::{change, leave};
use super::viewport::Viewport;
use crate::components::{NumberField, TypedNumber};

/// The form below the chart.
#[component]
pub(super) fn ScheduleEditor() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let (reason, control_run) = (RwSignal::new(String::new()), RwSignal::new(false));
    let fifth = (context.hyperparameters.read_untracked().steps / 5).max(10);
    let more = TypedNumber::new(Values::Integer { min: 1, max: MAX_STEPS }, fifth.min(MAX_STEPS));
    let take = move |which: StandardCurve| {
        let draft = ScheduleDraft::standard(&context.hyperparameters.read_untracked(), context.next_step(), which);
        context.draft.set(Some(draft));
        context.viewport.set(Viewport::Plan);
    };
    let cooldown = move || {
        let summary = context.summary.read();
        (summary.steps.saturating_sub(summary.step) / 2).max(1)
    };
    let is_curve = move || match &*context.draft.read() {
        Some(draft) => !matches!(draft.curve, ScheduleCurve::Points(_)),
        None => false,
    };
    let is_edited = Memo::new(move |_| context.draft.read().as_ref().is_some_and(|draft| draft.is_edited));
    let to_points = move |_| {
        change(context, |draft| draft.to_points(&context.hyperparameters.read_untracked()));
    };
    let apply = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(mut draft) = context.draft.get_untracked().filter(|draft| draft.is_edited) else { return };
        if untrack(|| !more.is_readable()) {
            return;
        }
        let hyperparameters = context.hyperparameters.get_untracked();
        draft.advance(context.next_step(), &hyperparameters);
        let steps = (draft.steps != hyperparameters.steps).then_some(draft.steps);
        leave(context);
        let schedule = ScheduleChange::LearningRate { curve: draft.curve, steps };
        let command = Command::SetSchedule { schedule, reason: reason_of(reason) };
        context.change(command, control_run.get_untracked());
    };
    view! {
        <form class="editor" on:submit=apply>
            <div class="row" role="group" aria-label="Common schedules">
                <button
                    type="button"
                    title="Decrease the learning rate linearly to its final value over the first half of the remaining steps, and keep \
                           it there"
                    on:click=move |_| take(StandardCurve::Cooldown(untrack(cooldown)))
                >
                    "Decay linearly over half of the remaining steps"
                </button>
                <button
                    type="button"
                    title="Increase the learning rate to the peak over a tenth of the remaining steps, then decay it along a \
                           cosine"
                    on:click=move |_| take(StandardCurve::Rewarm)
                >
                    "Re-warm"
                </button>
                <button
                    type="button"
                    title="Keep the current learning rate to the end"
                    on:click=move |_| take(StandardCurve::Constant)
                >
                    "Constant"
                </button>
                <span class="extend">
                    <label title="Additional steps after the planned end">
                        "Extend by"<span class="unit">", steps "</span>
                        <NumberField number=more label=Some("Additional steps") />
                    </label>
                    <button
                        type="button"
                        disabled=move || !more.is_readable()
                        title="Extend the run and decay the learning rate along a cosine to the new end"
                        on:click=move |_| if let Some(more) = untrack(|| more.integer()) { take(StandardCurve::ExtendCosine(more)) }
                    >
                        "Cosine"
                    </button>
                    <button
                        type="button"
                        disabled=move || !more.is_readable()
                        title="Extend the run and stretch the planned schedule to the new length. Earlier changes of the learning rate are \
                               discarded."
                        on:click=move |_| if let Some(more) = untrack(|| more.integer()) { take(StandardCurve::Refit(more)) }
                    >
                        "Stretch the planned schedule"
                    </button>
                    <button
                        type="button"
                        disabled=move || !more.is_readable()
                        title="Extend the run and keep the current learning rate to the new end"
                        on:click=move |_| if let Some(more) = untrack(|| more.integer()) { take(StandardCurve::ExtendConstant(more)) }
                    >
                        "Constant"
                    </button>
                </span>
                {move || is_curve().then(|| view! {
                    <button type="button" title="Convert the schedule to points that can be moved" on:click=to_points>
                        "Convert to points"
                    </button>
                })}
            </div>
            <p class="effect">{move || context.draft.read().as_ref().map(|draft| effect(context, draft))}</p>
            <div class="row">
                <ReasonField reason />
                <ControlRunField wanted=control_run />
                <span class="grow"></span>
                <button type="button" title="Discard the edit (Esc)" on:click=move |_| leave(context)>"Cancel"</button>
                <button
                    class="primary"
                    type="submit"
                    title=move || match (is_edited.get(), more.is_readable()) {
                        (_, false) => "Correct the number of additional steps first.",
                        (true, true) => "Change the schedule from the next step on",
                        (false, true) => "No change yet. Drag a point or choose a schedule.",
                    }
                    disabled=move || !is_edited.get() || !more.is_readable()
                >
                    "Apply"
                </button>
            </div>
            <p class="small dim">
                {move || match is_curve() {
                    true => "This schedule has no points. Select “Convert to points” to get points that you can move.",
                    false => "Drag a point, or focus it and press: arrow keys to move the point, Shift + arrow to move it 10 times as \
                              far, Del to remove the point, + to insert one after it. A double click adds a point.",
                }}
            </p>
        </form>
    }
}

fn effect(context: RunContext, draft: &ScheduleDraft) -> String {
    let hyperparameters = context.hyperparameters.read();
    let (before, after) = (&hyperparameters.schedule, draft.schedule(&hyperparameters));
    let (last, old_last) = (draft.steps.saturating_sub(1), hyperparameters.steps.saturating_sub(1));
    if !draft.is_edited {
        return "No change yet. Drag a point or choose a schedule.".into();
    }
    let middle = draft.from_step + last.saturating_sub(draft.from_step) / 2;
    let at = |step: u64| number::rounded(after.learning_rate(step));
    let end = match draft.steps == hyperparameters.steps {
        true => format!("The run ends at step {}.", number::whole(draft.steps)),
        false => format!(
            "The run ends at step {} instead of {}.",
            number::whole(draft.steps),
            number::whole(hyperparameters.steps)
        ),
    };
    format!(
        "Learning rate: {} at step {}, {} half-way, {} at the end (before the edit: {}). {end} Nothing changes until you \
         apply it.",
        at(draft.from_step),
        number::whole(draft.from_step),
        at(middle),
        at(last),
        number::rounded(before.learning_rate(old_last)),
    )
}
