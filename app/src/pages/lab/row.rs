//! One run in one row; on a phone, one card.

use leptos::prelude::*;
use wire::{RunId, RunState, RunSummary};

use super::actions::{Actions, QueueButtons};
use super::selection::PickBox;
use super::tags::TagChips;
use crate::components::number::{clock, duration, grouped, loss, now_ms, short};
use crate::components::{HealthMark, Number, Progress, Sparkline, StateMark, isolated, name_of, run_name};
use crate::net::api::sentence;
use crate::net::live::Live;
use crate::projects::Projects;
use crate::route::run_path;

/// The cell of a chosen column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtraCell {
    /// Name of the column, for a phone, where the cells have no headings.
    pub(super) label: String,
    pub(super) text: String,
    /// The exact value with its unit.
    pub(super) exact: String,
}

/// The row of one run; each cell updates by itself.
#[component]
pub(super) fn RunRow(
    id: RunId,
    /// Cells of the chosen columns, after the others.
    #[prop(optional, into)]
    extra: Option<Signal<Vec<ExtraCell>>>,
) -> impl IntoView {
    let (live, projects) = (expect_context::<Live>(), expect_context::<Projects>());
    let path = run_path(&id);
    let picked = id.clone();
    let run = Memo::new(move |before: Option<&Option<RunSummary>>| {
        let found = live.lab.read().as_ref().and_then(|lab| lab.runs.iter().find(|run| run.id == id).cloned());
        // A run that has just left the list keeps its last summary until its row is removed.
        found.or_else(|| before.cloned().flatten())
    });
    let cell = move |show: fn(&RunSummary) -> AnyView| move || run.read().as_ref().map(show);
    let state = Memo::new(move |_| run.read().as_ref().map_or(RunState::Queued, |run| run.state));
    let name = Memo::new(move |_| run.read().as_ref().map(|run| name_of(live, run)).unwrap_or_default());
    let share = Signal::derive(move || run.read().as_ref().map(|run| run.step as f64 / run.steps.max(1) as f64));
    let parent = Memo::new(move |_| Some(run_name(live, &run.read().as_ref()?.parent.as_ref()?.run)));
    let tags = Memo::new(move |_| run.read().as_ref().map(|run| run.tags.clone()).unwrap_or_default());
    let is_live = Signal::derive(move || state.get() == RunState::Running);
    let values = Memo::new(move |_| run.read().as_ref().map(|run| run.sparkline.clone()).unwrap_or_default());
    view! {
        <tr data-state=move || state.get().word()>
            <td class="c-state"><PickBox id=picked name />{move || view! { <StateMark state=state.get() /> }}</td>
            <td class="c-health">{cell(health)}</td>
            <td class="c-name">
                <a class="run-name" href=path title=move || run.read().as_ref().map(|run| isolated(&run.name))>{name}</a>
                <span class="small dim">{cell(about)}</span>
                {move || run.read().as_ref().map(|run| origin(run, parent.get()))}
                <TagChips tags />
                {cell(message)}
            </td>
            <td class="c-curve">
                <Sparkline values label=Signal::derive(move || format!("Training loss of {}", name.get())) is_live />
            </td>
            <td class="c-train right">{cell(train)}</td>
            <td class="c-valid right">{cell(valid)}</td>
            <td class="c-progress">
                {cell(steps)}
                <Progress share label="Steps done" is_live />
            </td>
            <td class="c-device dim">{cell(|run| run.device.to_string().into_any())}</td>
            {move || projects.are_several().then(|| view! {
                <td class="c-project dim" title=move || run.read().as_ref().map(|run| run.project.clone())>
                    {cell(|run| run.project.clone().into_any())}
                </td>
            })}
            <td class="c-time">
                {cell(time)}
                <Show when=move || state.get() == RunState::Queued><QueueButtons run /></Show>
            </td>
            {extra.map(|extra| move || extra.get().into_iter().map(|cell| view! {
                <td class="c-extra right" data-label=cell.label title=cell.exact>{cell.text}</td>
            }).collect_view())}
            <td class="c-actions"><Actions run /></td>
        </tr>
    }
}

fn health(run: &RunSummary) -> AnyView {
    view! { <HealthMark health=run.health /> }.into_any()
}

fn about(run: &RunSummary) -> AnyView {
    let parameters = short(run.parameters as f64);
    let exact = format!("{} parameters, all of which are trained.", grouped(run.parameters));
    let origin = format!("{} · {} · ", isolated(&run.corpus), run.preset);
    view! { {origin}<Number text=parameters unit="parameters" meaning=exact /> }.into_any()
}

/// The run that it was forked from, and the number of automatic restarts.
fn origin(run: &RunSummary, name: Option<String>) -> AnyView {
    let parent = run.parent.as_ref().zip(name).map(|(parent, name)| {
        let kind = if parent.control_of.is_some() { "control run of" } else { "forked from" };
        view! {
            <a href=run_path(&parent.run)>{format!("{kind} {name}")}</a>
            {format!(" at step {}", grouped(parent.checkpoint.step))}
        }
    });
    let restarts = (run.restarts > 0).then(|| {
        let times = if run.restarts == 1 { "once".to_owned() } else { format!("{} times", run.restarts) };
        format!("restarted {times}")
    });
    match (parent, restarts) {
        (None, None) => ().into_any(),
        (Some(parent), None) => view! { <span class="small dim">{parent}</span> }.into_any(),
        (None, Some(restarts)) => view! { <span class="small dim">{restarts}</span> }.into_any(),
        (Some(parent), Some(restarts)) => view! { <span class="small dim">{parent}" · "{restarts}</span> }.into_any(),
    }
}

/// Why it waits, failed or was lost.
fn message(run: &RunSummary) -> AnyView {
    let is_bad = matches!(run.state, RunState::Failed | RunState::Lost);
    let is_queued = run.state == RunState::Queued;
    let waits = run.waits.as_ref().filter(|_| is_queued);
    let shown = waits.or(run.message.as_ref()).map(|text| sentence(text)).filter(|_| is_bad || is_queued);
    shown
        .map(|text| view! { <span class="small message" class:over=is_bad title=text.clone()>{text.clone()}</span> })
        .into_any()
}

/// Whether it has trained a step of its own: before that, a fork has the losses of its parent.
fn has_own_step(run: &RunSummary) -> bool {
    run.parent.as_ref().is_none_or(|parent| run.step > parent.checkpoint.step)
}

fn train(run: &RunSummary) -> AnyView {
    nats(run.loss_train.filter(|_| has_own_step(run)), "Mean cross-entropy over the batch of the last step")
}

fn valid(run: &RunSummary) -> AnyView {
    let of = if run.parent.is_some() { ", including its parents before the forks" } else { "" };
    // The last evaluation of a run reads more windows than those before.
    let is_last = run.state == RunState::Finished;
    let (over, other) = match is_last {
        true => (
            "the validation split, or 4\u{202f}096 windows of a large one",
            " over fewer windows; the two are not comparable",
        ),
        false => ("the same windows of the validation split each time", ""),
    };
    let best = run.best_valid.filter(|best| !is_last || Some(*best) != run.loss_valid);
    let best = best.map(|best| format!(". Lowest{of}: {}{other}", loss(best))).unwrap_or_default();
    let value = run.loss_valid.filter(|_| has_own_step(run));
    nats(value, &format!("Mean cross-entropy over {over}{best}"))
}

fn nats(value: Option<f64>, meaning: &str) -> AnyView {
    match value {
        Some(value) => {
            view! { <Number text=loss(value) meaning=format!("{} nats/token. {meaning}.", loss(value)) /> }.into_any()
        }
        None => view! { <span class="dim" title="No value yet">"–"</span> }.into_any(),
    }
}

fn steps(run: &RunSummary) -> AnyView {
    let text = format!("{} / {}", grouped(run.step), grouped(run.steps));
    let speed = run.tokens_per_sec.map(|speed| format!("; {} tok/s", short(speed))).unwrap_or_default();
    view! {
        <Number
            text
            meaning=format!("{:.1} % of the planned steps{speed}", 100.0 * run.step as f64 / run.steps.max(1) as f64)
        />
    }
    .into_any()
}

fn time(run: &RunSummary) -> AnyView {
    let trained = format!("Training time {}, without pauses", duration(run.elapsed_secs));
    match (run.state, run.secs_left()) {
        (RunState::Queued, _) => {
            let position =
                run.queue_place.map_or("queued".to_owned(), |position| format!("position {position} in the queue"));
            let priority = if run.priority == 0 { String::new() } else { format!(" · priority {}", run.priority) };
            view! { <span class="dim">{position}{priority}</span> }.into_any()
        }
        (RunState::Running, Some(left)) => {
            let at = clock(now_ms() + left * 1000.0);
            view! { <span title=trained>{duration(left)}" left "<span class="dim">{format!("({at})")}</span></span> }
                .into_any()
        }
        (state, _) if state.is_over() => {
            let ended = run.ended_ms.map(|at| clock(at as f64)).unwrap_or_default();
            view! { <span class="dim" title=trained>{format!("trained {}, ended {ended}", duration(run.elapsed_secs))}</span> }
                .into_any()
        }
        _ => view! { <span class="dim" title=trained>{format!("trained {}", duration(run.elapsed_secs))}</span> }
            .into_any(),
    }
}
