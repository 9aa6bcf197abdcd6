//! The learning rate, past and planned, and the editor of its schedule: points to drag ([`super::schedule_points`]),
//! common schedules, a preview, and the button that applies it.

use figure::curve::point;
use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use wire::Command;
use wire::control::command::ScheduleChange;
use wire::hyperparameters::schedule::{Schedule, ScheduleCurve};
use wire::series::{Axis, Bucket, describe, name};

use super::RunContext;
use super::fields::{ControlRunField, ReasonField, reason_of};
use super::loss_chart::{history, measured, own_role, shared};
use super::open_run::OpenRun;
use super::schedule_draft::{ScheduleDraft, StandardCurve};
use super::schedule_points::SchedulePoints;
use super::viewport::Viewport;
use crate::components::chart::{Chart, ChartContent, Line};

/// Points at which the planned learning rate is drawn.
const PLANNED: u64 = 240;

/// The chart with its editor.
#[component]
pub(super) fn LearningRateChart() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let layout = RwSignal::new(None);
    let is_editing = Memo::new(move |_| context.draft.read().is_some());
    let title = move || {
        context
            .disabled_reason
            .get()
            .unwrap_or_else(|| "Edit the schedule from here on: drag points, or take a common schedule (r)".into())
    };
    // Steps that the run passes during the edit can no longer be changed.
    Effect::new(move || {
        let step = context.summary.read().step;
        let is_behind =
            context.draft.with_untracked(|draft| draft.as_ref().is_some_and(|draft| draft.from_step <= step));
        if is_behind {
            let next = context.next_step();
            context.draft.update(|draft| {
                if let Some(draft) = draft {
                    draft.advance(next, &context.hyperparameters.read_untracked());
                }
            });
        }
    });
    // The schedule of a run that has ended cannot be edited.
    Effect::new(move || {
        if context.disabled_reason.read().is_some() && context.draft.with_untracked(Option::is_some) {
            leave(context);
        }
    });
    let changed = Signal::derive(move || {
        context.track_charts();
        context.draft.track();
    });
    view! {
        <div class="learning-rate" class:editing=is_editing>
            <Chart
                group=expect_context()
                title="Learning rate".to_owned()
                unit=String::new()
                meaning=describe(name::LEARNING_RATE).meaning
                paint=move || paint(context)
                changed
                layout=layout
                over=Box::new(move || view! { <SchedulePoints layout /> }.into_any())
            >
                <button
                    class="switch edit"
                    aria-pressed=move || is_editing.get().to_string()
                    title=title
                    disabled=move || context.disabled_reason.read().is_some()
                    on:click=move |_| toggle(context)
                >
                    "Edit schedule"
                </button>
            </Chart>
            <Show when=move || is_editing.get()><Editor /></Show>
        </div>
    }
}

/// Begins or discards an edit.
pub(super) fn toggle(context: RunContext) {
    if context.draft.read_untracked().is_some() {
        leave(context);
    } else if context.disabled_reason.read_untracked().is_none() {
        let draft = ScheduleDraft::begin(&context.hyperparameters.read_untracked(), context.next_step());
        context.draft.set(Some(draft));
        // Points are at steps, and the end of the plan must be in view.
        context.options.update(|options| options.axis = Axis::Step);
        context.viewport.set(Viewport::Plan);
    }
}

/// Discards an edit.
pub(super) fn leave(context: RunContext) {
    context.draft.set(None);
    context.viewport.set(Viewport::Whole);
}

fn paint(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let draft = context.draft.read_untracked();
    let hyperparameters = &run.view.hyperparameters;
    let dashed = |name: &str, meaning: &str, role, buckets| Line {
        style: Style::Planned,
        ..Line::new(name, meaning, role, buckets)
    };
    let current = planned(context, &run, &hyperparameters.schedule, hyperparameters.steps);
    let mut lines = history(context, &run, name::LEARNING_RATE, "learning rate", Role::InkFaint);
    match &*draft {
        Some(draft) => {
            lines.push(dashed("current schedule", "Without the edit.", Role::InkFaint, current));
            let edited = planned(context, &run, &draft.schedule(hyperparameters), draft.steps);
            lines.push(dashed("edited schedule", "With the edit applied.", Role::Run(0), edited));
        }
        None => {
            let meaning = "The schedule from here on, with its overrides.";
            lines.push(dashed("learning rate", meaning, own_role(&run), current))
        }
    }
    let series = measured(&run, name::LEARNING_RATE, "learning rate", own_role(&run));
    lines.push(Line { is_live: run.is_training(), ..series });
    let spec = ChartSpec {
        title: "learning rate".into(),
        unit: String::new(),
        has_zero: true,
        y_to: draft.as_ref().map(|draft| draft.ceiling),
        ..content.spec.clone()
    };
    ChartContent { spec, lines, ..content }
}

/// A schedule from the current step to the end of the view; empty on the time axis, where the time of a future step is
/// unknown.
fn planned(context: RunContext, run: &OpenRun, schedule: &Schedule, steps: u64) -> Vec<Bucket> {
    let first = run.view.summary.step;
    let last = steps.saturating_sub(1);
    if run.view.summary.state.is_over() || first > last || run.curves.axis() == Axis::Secs {
        return vec![];
    }
    let unit = (run.curves.place(first + 1) - run.curves.place(first)).max(f64::MIN_POSITIVE);
    let ahead = ((context.range().to - run.curves.place(first)) / unit).ceil().max(0.0) as u64;
    let to = first.saturating_add(ahead).clamp(first, last);
    let stride = ((to - first) / PLANNED).max(1);
    let steps = (first..=to).step_by(stride as usize).chain([to]);
    steps.map(|step| point(step, run.curves.place(step), schedule.learning_rate(step))).collect()
}

/// Common schedules, the effect of the edit in words, and the button that applies it.
#[component]
fn Editor() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let reason = RwSignal::new(String::new());
    let more = RwSignal::new((context.hyperparameters.read_untracked().steps / 5).max(10).to_string());
    let take = move |which: StandardCurve| {
        let draft = ScheduleDraft::standard(&context.hyperparameters.read_untracked(), context.next_step(), which);
        context.draft.set(Some(draft));
        context.viewport.set(Viewport::Plan);
    };
    let cooldown = move || {
        let summary = context.summary.read();
        (summary.steps.saturating_sub(summary.step) / 2).max(1)
    };
    let by = move || {
        more.read().trim().replace([',', ' '], "").parse::<u64>().ok().filter(|more| (1..=100_000_000).contains(more))
    };
    let is_curve = move || match &*context.draft.read() {
        Some(draft) => !matches!(draft.curve, ScheduleCurve::Points(_)),
        None => false,
    };
    let to_points = move |_| {
        context.draft.update(|draft| {
            if let Some(draft) = draft {
                draft.to_points(&context.hyperparameters.read_untracked());
            }
        });
    };
    let apply = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(mut draft) = context.draft.get_untracked() else { return };
        let hyperparameters = context.hyperparameters.get_untracked();
        draft.advance(context.next_step(), &hyperparameters);
        let steps = (draft.steps != hyperparameters.steps).then_some(draft.steps);
        leave(context);
        let schedule = ScheduleChange::LearningRate { curve: draft.curve, steps };
        context.change(Command::SetSchedule { schedule, reason: reason_of(reason) });
    };
    view! {
        <form class="editor" on:submit=apply>
            <div class="row" role="group" aria-label="Common schedules">
                <button
                    type="button"
                    title="A straight line from here to the final learning rate over half of the remaining steps"
                    on:click=move |_| take(StandardCurve::Cooldown(untrack(cooldown)))
                >
                    "Cool down"
                </button>
                <button
                    type="button"
                    title="A rise to the peak over a tenth of the remaining steps, then a cosine decay to the end"
                    on:click=move |_| take(StandardCurve::Rewarm)
                >
                    "Re-warm"
                </button>
                <button
                    type="button"
                    title="The current learning rate to the end"
                    on:click=move |_| take(StandardCurve::Constant)
                >
                    "Constant"
                </button>
                <span class="extend">
                    <label title="Additional steps after the planned end">
                        "Extend by "
                        <input
                            type="text"
                            inputmode="numeric"
                            aria-label="Additional steps"
                            prop:value=more
                            on:input:target=move |event| more.set(event.target().value())
                        />
                        " steps"
                    </label>
                    <button
                        type="button"
                        disabled=move || by().is_none()
                        title="Half a cosine from here to the new end"
                        on:click=move |_| if let Some(more) = untrack(by) { take(StandardCurve::ExtendCosine(more)) }
                    >
                        "with a cosine"
                    </button>
                    <button
                        type="button"
                        disabled=move || by().is_none()
                        title="The current learning rate to the new end"
                        on:click=move |_| if let Some(more) = untrack(by) { take(StandardCurve::ExtendConstant(more)) }
                    >
                        "constant"
                    </button>
                </span>
                {move || is_curve().then(|| view! {
                    <button type="button" title="Converts the schedule to points that can be moved" on:click=to_points>
                        "Convert to points"
                    </button>
                })}
            </div>
            <p class="effect">{move || context.draft.read().as_ref().map(|draft| effect(context, draft))}</p>
            <div class="row">
                <ReasonField reason />
                <ControlRunField />
                <span class="grow"></span>
                <button type="button" on:click=move |_| leave(context)>"Cancel"</button>
                <button class="primary" type="submit">"Apply"</button>
            </div>
            <p class="small dim">
                "Drag a point, or focus it: arrow keys move it, with Shift further; Delete removes it; + or a double \
                 click adds one."
            </p>
        </form>
    }
}

fn effect(context: RunContext, draft: &ScheduleDraft) -> String {
    let hyperparameters = context.hyperparameters.read();
    let (before, after) = (&hyperparameters.schedule, draft.schedule(&hyperparameters));
    let last = draft.steps.saturating_sub(1);
    let middle = draft.from_step + last.saturating_sub(draft.from_step) / 2;
    let at = |step: u64| number::short(after.learning_rate(step));
    let end = match draft.steps == hyperparameters.steps {
        true => format!("The run ends at step {} as planned.", number::whole(draft.steps)),
        false => format!(
            "The run ends at step {} instead of {}.",
            number::whole(draft.steps),
            number::whole(hyperparameters.steps)
        ),
    };
    format!(
        "From step {}, the learning rate is {} → {} half-way → {} at the end instead of {}. {end} Nothing changes \
         until you apply it.",
        number::whole(draft.from_step),
        at(draft.from_step),
        at(middle),
        at(last),
        number::short(before.learning_rate(last)),
    )
}
