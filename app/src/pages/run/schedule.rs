//! The chart of the learning rate, past and planned. Below it, while the schedule is edited, is
//! [`super::schedule_editor`].

use figure::curve::point;
use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use wire::hyperparameters::schedule::Schedule;
use wire::run::fork::refit_to;
use wire::run::plan::constant_tail;
use wire::series::{Axis, Bucket, describe, name};

use super::RunContext;
use super::details::{Detail, Loaded};
use super::loss_chart::{history, measured, own_role, shared};
use super::open_run::OpenRun;
use super::schedule_edit::{follow_run, toggle};
use crate::components::chart::{Chart, ChartContent, Line};
use crate::components::shows;

/// Points at which the planned learning rate is drawn.
const PLANNED: u64 = 240;

/// The chart with its editor.
#[component]
pub(super) fn LearningRateChart() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let layout = RwSignal::new(None);
    let is_editing = Memo::new(move |_| context.draft.read().is_some());
    let title = move || {
        context.disabled_reason.get().unwrap_or_else(|| {
            "Edit the schedule from the next step on: drag points or choose a common schedule. Shortcut: r.".into()
        })
    };
    follow_run(context);
    let changed = Signal::derive(move || {
        context.track_charts();
        context.draft.track();
    });
    let points = shows(move || {
        is_editing.get().then(|| view! { <Loaded detail=Detail::SchedulePoints(layout) has_placeholder=false /> })
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
                over=Box::new(move || points.into_any())
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
            <Show when=move || is_editing.get()><Loaded detail=Detail::ScheduleEditor /></Show>
            <Show when=move || !is_editing.get()><ConstantTail /></Show>
        </div>
    }
}

/// A note where the run continues after its schedule, with a button that fits the schedule to the run.
#[component]
fn ConstantTail() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let note = Memo::new(move |_| {
        let live = context.hyperparameters.read();
        constant_tail(&live).filter(|_| context.state.get().is_live()).map(|note| (note, live.steps))
    });
    move || {
        note.get().map(|(note, steps)| {
            view! {
                <p class="small schedule-note">
                    {note} " "
                    <button
                        type="button"
                        title="Stretch the planned schedule to the length of the run, from the next step on. This can be undone."
                        disabled=move || context.disabled_reason.read().is_some()
                        on:click=move |_| context.send(refit_to(steps))
                    >
                        {format!("Stretch the planned schedule to {} steps", number::whole(steps))}
                    </button>
                </p>
            }
        })
    }
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
            lines.push(dashed("current schedule", "Schedule without the edit.", Role::InkFaint, current));
            let edited = planned(context, &run, &draft.schedule(hyperparameters), draft.steps);
            lines.push(dashed("edited schedule", "Schedule with the edit applied.", Role::Run(0), edited));
        }
        None => {
            let meaning = "Planned learning rate from the next step on.";
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
