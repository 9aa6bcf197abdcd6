//! The scores of a run: those that wait, those that failed, and for each task a chart of its main value and a table.

use figure::scene::Role;
use figure::{ChartSpec, number};
use leptos::prelude::*;
use wire::series::{Bucket, name};
use wire::task::TaskName;
use wire::task::lab::{FailedScore, NewScore, RunTasks, StoredResult, WaitingScore};
use wire::task::result::{TaskMetric, describe, label};

use super::alerts::open_form;
use super::state::TasksState;
use crate::components::chart::{Chart, ChartContent, Line};
use crate::components::number::ago;
use crate::components::{clicks, says, sentence, shows};
use crate::pages::run::context::RunContext;
use crate::pages::run::loss_chart::shared;

/// Scores that are listed of a task; the chart has all.
const LISTED: usize = 12;

/// The scores that wait or are being computed.
#[component]
pub(super) fn Waiting() -> impl IntoView {
    let state = expect_context::<TasksState>();
    let waiting = Memo::new(move |_| of(state, |known| known.waiting.clone()));
    let line = move |score: WaitingScore| {
        let WaitingScore { task, checkpoint, is_running } = score.clone();
        let what = if is_running { "being computed" } else { "waiting" };
        let text = format!("{task} at step {}: {what}", number::whole(checkpoint.step));
        let no_permission = state.context.no_permission;
        view! {
            <li class="row">
                <span>{text}</span>
                <button
                    class="quiet"
                    title=says(move || no_permission.get().unwrap_or_else(|| "Do not compute this score".to_owned()))
                    disabled=move || no_permission.read().is_some() || state.is_sending.get()
                    on:click=clicks(move |_| state.cancel(score.clone()))
                >
                    "Cancel"
                </button>
            </li>
        }
    };
    shows(move || {
        let waiting = waiting.get();
        (!waiting.is_empty()).then(|| {
            view! {
                <ul class="score-list" aria-label="Scores that are not computed yet">
                    {waiting.into_iter().map(line).collect_view()}
                </ul>
            }
        })
    })
}

/// The scores that failed, with what to do.
#[component]
pub(super) fn Failed() -> impl IntoView {
    let state = expect_context::<TasksState>();
    let failed = Memo::new(move |_| of(state, |known| known.failed.clone()));
    let line = move |FailedScore { task, checkpoint, error, .. }: FailedScore| {
        let text = format!("{task} at step {} failed: {}", number::whole(checkpoint.step), error.message);
        let text =
            [Some(text), error.hint].into_iter().flatten().map(|part| sentence(&part)).collect::<Vec<_>>().join(" ");
        let no_permission = state.context.no_permission;
        view! {
            <li class="row" role="alert">
                <span>{text}</span>
                <button
                    class="quiet"
                    title=says(move || no_permission.get().unwrap_or_else(|| "Compute this score again".to_owned()))
                    disabled=move || no_permission.read().is_some() || state.is_sending.get()
                    on:click=clicks(move |_| state.score(NewScore { task: task.clone(), checkpoint: Some(checkpoint) }))
                >
                    "Try again"
                </button>
            </li>
        }
    };
    shows(move || {
        let failed = failed.get();
        (!failed.is_empty()).then(|| view! {
            <ul class="score-list" aria-label="Scores that failed">{failed.into_iter().map(line).collect_view()}</ul>
        })
    })
}

/// The scores by task.
#[component]
pub(super) fn Scores() -> impl IntoView {
    let state = expect_context::<TasksState>();
    let names = Memo::new(move |_| {
        let mut names: Vec<TaskName> =
            of(state, |known| known.results.iter().map(|stored| stored.result.task.clone()).collect());
        names.dedup();
        names
    });
    view! {
        {shows(move || names.read().is_empty().then(|| view! {
            <p class="none">"No scores yet. Choose a task and a checkpoint, and select Evaluate."</p>
        }))}
        <For each=move || names.get() key=Clone::clone let(task)>
            <TaskScores task=task.to_string() />
        </For>
    }
}

/// The scores on one task, in the order of the server: by segment and step.
#[component]
fn TaskScores(task: String) -> impl IntoView {
    let state = expect_context::<TasksState>();
    let context = state.context;
    let title = task.clone();
    let scores = Memo::new(move |_| {
        let is_of_task = |stored: &&StoredResult| stored.result.task.as_str() == task;
        of(state, |known| known.results.iter().filter(is_of_task).cloned().collect::<Vec<_>>())
    });
    let metric = scores.with_untracked(|scores| main_metric(scores).unwrap_or_default());
    let (unit, meaning) = describe(&metric).unwrap_or_default();
    let changed = Signal::derive(move || {
        context.track_charts();
        scores.track();
    });
    let paint = move || paint(context, &scores.read_untracked());
    view! {
        <div class="task-scores">
            <Chart
                group=expect_context()
                title=format!("{title}, {}", metric.replace('_', " "))
                unit=unit.to_owned()
                meaning=meaning.to_owned()
                paint
                changed
            />
            <div class="stack">
                <div class="scroll"><table>
                    <thead><tr><th>"Step"</th><th>"Values"</th><th>"Scored"</th></tr></thead>
                    <tbody>{shows(move || scores.get().into_iter().rev().take(LISTED).map(row).collect_view())}</tbody>
                </table></div>
                {alert_on(state, &title, &metric)}
            </div>
        </div>
    }
}

/// The button that opens the form of a condition on the main value of a task.
fn alert_on(state: TasksState, task: &str, metric: &str) -> Option<impl IntoView + use<>> {
    let conditions = state.conditions?;
    let series = format!("{}{task}/{metric}", name::EVAL);
    let no_permission = state.context.no_permission;
    Some(view! {
        <div class="row">
            <button
                class="quiet"
                title=says(move || no_permission.get().unwrap_or_else(|| "Raise an alert when this score is above or below a threshold".to_owned()))
                disabled=move || no_permission.read().is_some()
                on:click=clicks(move |_| open_form(conditions, series.clone()))
            >
                "Alert on this score"
            </button>
        </div>
    })
}

fn row(StoredResult { checkpoint, at_ms, result }: StoredResult) -> impl IntoView {
    let values: Vec<String> = result.metrics.iter().map(value).collect();
    let correct =
        result.correct.map(|correct| format!("{} of {} correct", number::whole(correct), number::whole(result.items)));
    view! {
        <tr>
            <td class="mono">{number::whole(checkpoint.step)}</td>
            <td>{correct.into_iter().chain(values).collect::<Vec<_>>().join(" · ")}</td>
            <td class="dim">{ago(at_ms as f64)}</td>
        </tr>
    }
}

/// `accuracy 28.5 %`, `loss 1.41 nats/token`
fn value(metric: &TaskMetric) -> String {
    let (unit, _) = describe(&metric.name).unwrap_or_default();
    let value = match metric.value {
        Some(fraction) if unit == "fraction" => number::with_unit(fraction * 100.0, "%"),
        Some(value) => number::with_unit(value, unit),
        None => "not finite".to_owned(),
    };
    format!("{} {value}", label(&metric.name))
}

/// The main value of a task is its first one.
fn main_metric(scores: &[StoredResult]) -> Option<String> {
    Some(scores.first()?.result.metrics.first()?.name.clone())
}

/// The main value on the current path of the run, at the step whose update gave the weights.
fn paint(context: RunContext, scores: &[StoredResult]) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let metric = main_metric(scores).unwrap_or_default();
    let (unit, meaning) = describe(&metric).unwrap_or_default();
    let bucket = |stored: &StoredResult| {
        let step = stored.checkpoint.step.saturating_sub(1);
        let (value, x) = (stored.result.value(&metric)?, run.curves.place(step));
        let is_on_path = run.curves.lineage().contains(stored.checkpoint.segment, step);
        let bucket = Bucket { step, last_step: step, x, last_x: x, min: value, max: value, mean: value, count: 1 };
        is_on_path.then_some(bucket)
    };
    let mut buckets: Vec<Bucket> = scores.iter().filter_map(bucket).collect();
    buckets.sort_by_key(|bucket| bucket.step);
    let lines = vec![Line::new(metric.replace('_', " "), meaning, Role::Run(0), buckets)];
    let spec = ChartSpec { title: metric, unit: unit.into(), has_zero: unit == "fraction", ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

/// A part of what is known; empty until it is fetched.
fn of<T: Default>(state: TasksState, part: impl Fn(&RunTasks) -> T) -> T {
    state.known.read().as_ref().map(part).unwrap_or_default()
}
