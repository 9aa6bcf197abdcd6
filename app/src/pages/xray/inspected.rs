//! The frame around the result of an inspection: which step it is of, where it comes from and what it costs, and what
//! is shown while it loads, when it has no snapshot and when it failed.

use std::time::Duration;

use figure::number::{self, THIN};
use leptos::prelude::*;
use wire::RunState;
use wire::inspect::update::InspectionOverhead;

use super::inspections::result::{Source, Status};
use super::state::XrayState;
use super::step::StepChoice;
use super::subscription::Subscription;
use super::tokens::percent;
use crate::components::number::now_ms;
use crate::components::{Empty, Icon, Skeleton, clicks, says, shows};
use crate::curves::Lineage;
use crate::net::api::{self, checkpoints, sentence};

/// A live result is marked as stale when it is older than this and than [`STALE_INTERVALS`] of its update intervals.
const STALE_MS: f64 = 6_000.0;
const STALE_INTERVALS: f64 = 4.0;

/// The part of a subscription that is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Loading,
    Content,
    Failed,
    NoSnapshot,
}

/// The content of a view once there is a result, and a skeleton, an error or an explanation until then.
pub(super) fn inspected(
    xray: XrayState,
    subscription: Subscription,
    content: impl Fn() -> AnyView + Send + 'static,
) -> AnyView {
    let stage = Memo::new(move |_| match subscription.status.get() {
        Status::Ready(_) => Stage::Content,
        Status::Loading if subscription.result.read().is_some() => Stage::Content,
        Status::Loading => Stage::Loading,
        Status::Failed(_) => Stage::Failed,
        Status::NoSnapshot => Stage::NoSnapshot,
    });
    let is_loading = move || subscription.status.get() == Status::Loading;
    let other = Memo::new(move |_| other_step(xray, subscription));
    view! {
        <Provenance xray subscription />
        {shows(move || other.get().map(|steps| in_place_of(xray, subscription, steps)))}
        <div class="stack" class:loading=is_loading>
            {shows(move || match stage.get() {
                Stage::Loading => view! { <Skeleton rows=1 class="picture" /> }.into_any(),
                Stage::Content => content(),
                Stage::Failed => failed(xray, subscription),
                Stage::NoSnapshot => no_snapshot(xray, subscription),
            })}
        </div>
    }
    .into_any()
}

/// A run without weights, or an inspection that failed: why, and what to do.
fn failed(xray: XrayState, subscription: Subscription) -> AnyView {
    if untrack(|| xray.is_waiting()) {
        // The batches of a fork are computed with the checkpoint from which it starts.
        let text = match untrack(|| xray.summary.read().parent.is_some()) {
            true => {
                "This view is available from its first step on. Batch already shows the batches up to the fork, with the losses under the \
                 weights from which the fork starts."
            }
            false => "Inspections are available from its first step on.",
        };
        return view! {
            <Empty title="The run has not started" text>
                <a class="button" href=xray.run_href() title="The page of the run">"Open the run"</a>
            </Empty>
        }
        .into_any();
    }
    // The form of the prompt says it once for all views.
    if untrack(|| xray.prompt_problem.read().is_some()) {
        return view! { <p class="dim">"No result for this text."</p> }.into_any();
    }
    let message = move || match subscription.status.get() {
        Status::Failed(message) => sentence(&message),
        _ => String::new(),
    };
    let retry = move |_| {
        if let Some(inspection) = subscription.inspection.get_untracked() {
            xray.inspections.retry(inspection, subscription.step.get_untracked());
        }
    };
    // Live inspections are repeated without a request.
    let can_retry = move || subscription.step.get() != StepChoice::Newest || !xray.inspections.is_live();
    view! {
        <div class="failure" role="alert">
            <Icon name="warning" />
            <div>
                <strong>"The inspection failed"</strong>
                <p>{message}</p>
                {shows(move || can_retry().then(|| view! {
                    <button title="Compute the inspection again" on:click=clicks(retry)>"Try again"</button>
                }))}
            </div>
        </div>
    }
    .into_any()
}

/// The steps of the checkpoints on the path of the run and that of its parent from which it starts; `None` until they are fetched.
fn kept_checkpoints(xray: XrayState) -> RwSignal<Option<Vec<u64>>> {
    let kept = RwSignal::new(None::<Vec<u64>>);
    let run = xray.run.get_value();
    let origin = untrack(|| xray.summary.read().parent.as_ref().map(|parent| parent.checkpoint.step));
    leptos::task::spawn_local(async move {
        let (saved, view) = futures_util::future::join(checkpoints::list(&run), api::run(&run)).await;
        if let (Ok(saved), Ok(view)) = (saved, view) {
            let lineage = Lineage::read(&view, |_| None);
            let on_path = saved.iter().map(|saved| saved.info.id).filter(|id| lineage.contains(id.segment, id.step));
            kept.try_set(Some(on_path.map(|id| id.step).chain(origin).collect()));
        }
    });
    kept
}

/// The step that is shown in place of another, and the other one. A link can name any step; the slider only has steps with a snapshot.
pub(super) fn other_step(xray: XrayState, subscription: Subscription) -> Option<(u64, u64)> {
    let StepChoice::At(wanted) = subscription.step.get() else { return None };
    let Status::Ready(result) = subscription.status.get() else { return None };
    let is_kept = xray.inspections.steps.with(|steps| steps.binary_search(&wanted).is_ok());
    (result.step != wanted && !is_kept).then_some((result.step, wanted))
}

/// `No inspection of step 459 was kept. This is step 448, before it.`
pub(super) fn substitution(shown: u64, wanted: u64) -> String {
    let side = if shown < wanted { "before" } else { "after" };
    let (shown, wanted) = (number::whole(shown), number::whole(wanted));
    format!("No inspection of step {wanted} was kept. This is step {shown}, {side} it.")
}

/// Says which step is shown in place of the one that a link named, and offers to compute the first checkpoint from there on: a snapshot from
/// before a fault shows a healthy model.
fn in_place_of(xray: XrayState, subscription: Subscription, (shown, wanted): (u64, u64)) -> AnyView {
    let kept = kept_checkpoints(xray);
    let later = Memo::new(move |_| kept.read().iter().flatten().copied().filter(|step| *step >= wanted).min());
    let compute = move |step: u64| {
        xray.step.set(StepChoice::At(step));
        if let Some(inspection) = subscription.inspection.get_untracked() {
            xray.inspections.compute(inspection, StepChoice::At(step));
        }
    };
    view! {
        <div class="row in-place" role="status">
            <Icon name="warning" />
            <span>{substitution(shown, wanted)}</span>
            {shows(move || later.get().map(|step| view! {
                <button
                    title="Load the first checkpoint from that step on in a separate process and compute this inspection. The run does not change."
                    on:click=clicks(move |_| compute(step))
                >
                    {format!("Compute from the checkpoint of step {}", number::whole(step))}
                </button>
            }))}
            <button title="Inspect the newest weights" on:click=clicks(move |_| xray.step.set(StepChoice::Newest))>
                "Show the newest step"
            </button>
        </div>
    }
    .into_any()
}

fn no_snapshot(xray: XrayState, subscription: Subscription) -> AnyView {
    let compute = move |_| {
        if let Some(inspection) = subscription.inspection.get_untracked() {
            xray.inspections.compute(inspection, subscription.step.get_untracked());
        }
    };
    let kept = kept_checkpoints(xray);
    let wanted = move || match subscription.step.get() {
        StepChoice::At(step) => step,
        StepChoice::Newest => u64::MAX,
    };
    let source = move || kept.read().iter().flatten().copied().filter(|step| *step <= wanted()).max();
    let obstacle = move || {
        let kept = kept.read();
        let oldest =
            kept.as_ref()?.iter().min().map(|step| format!(" The oldest one is of step {}.", number::whole(*step)));
        source().is_none().then(|| match wanted() {
            u64::MAX => "The run has no checkpoint yet.".to_owned(),
            step => format!("No checkpoint at or before step {}.{}", number::whole(step), oldest.unwrap_or_default()),
        })
    };
    view! {
        <Empty
            title="No snapshot at this step"
            text="Snapshots hold the overview, the attention patterns, the logit lens, the weights, the embedding and \
                  the parameter statistics over validation window 0. Other inspections are computed from the newest \
                  checkpoint that is not after this step. That takes a few seconds and does not change the run."
        >
            <button
                class="primary"
                title=says(move || obstacle().unwrap_or_else(|| {
                    "Load the checkpoint in a separate process and compute the inspection there".to_owned()
                }))
                disabled=move || obstacle().is_some()
                on:click=compute
            >
                {shows(move || match source() {
                    Some(step) => format!("Compute from the checkpoint of step {}", number::whole(step)),
                    None => "Compute from a checkpoint".to_owned(),
                })}
            </button>
            {shows(move || obstacle().map(|why| view! { <p class="dim">{why}</p> }))}
            <button
                title="Return to the newest step"
                on:click=clicks(move |_| xray.step.set(StepChoice::Newest))
            >
                "Show the newest step"
            </button>
        </Empty>
    }
    .into_any()
}

/// The step of the result, where it comes from, and its age if it is stale.
#[component]
fn Provenance(xray: XrayState, subscription: Subscription) -> impl IntoView {
    let described = move || {
        let result = subscription.result.get()?;
        Some((number::whole(result.step), source_text(result.source, xray.summary.read().state)))
    };
    let loading = move || {
        let has_older = subscription.result.read().is_some();
        (subscription.status.get() == Status::Loading && has_older).then_some(" · loading the next result")
    };
    let stale = stale_text(xray, subscription);
    view! {
        <p
            class="provenance small dim"
            title="The number of optimizer steps done when this was computed, and where it comes from"
        >
            {shows(move || described().map(|(step, source)| view! {
                <span class="mono">{format!("step {step}")}</span>
                {format!(" · {source}")}
            }))}
            {loading}
            <b>{stale}</b>
        </p>
    }
}

/// Where a result comes from. Only a run that trains changes its weights, so only its results are updated.
fn source_text(source: Source, state: RunState) -> String {
    let secs = |ms: f64| number::duration(ms / 1e3);
    match source {
        Source::Live(overhead) if overhead.every_ms > 0.0 && state == RunState::Running => {
            format!("live, updated every {}, {} per inspection", secs(overhead.every_ms), secs(overhead.cost_ms))
        }
        Source::Live(overhead) if state == RunState::Paused => {
            format!("current weights (run paused), computed in {}", secs(overhead.cost_ms))
        }
        Source::Live(overhead) => format!("newest weights, computed in {}", secs(overhead.cost_ms)),
        Source::Snapshot => "snapshot".into(),
        Source::Checkpoint => "computed from a checkpoint".into(),
    }
}

/// The age of a live result whose successor is overdue while the run trains.
fn stale_text(xray: XrayState, subscription: Subscription) -> impl Fn() -> Option<String> + Clone {
    let (arrived, now) = (RwSignal::new(now_ms()), RwSignal::new(now_ms()));
    Effect::new(move || {
        subscription.result.track();
        arrived.set(now_ms());
    });
    let clock = set_interval_with_handle(move || now.set(now_ms()), Duration::from_secs(1)).ok();
    on_cleanup(move || clock.iter().for_each(|clock| clock.clear()));
    let is_running = Memo::new(move |_| xray.summary.read().state == RunState::Running);
    move || {
        let Source::Live(overhead) = subscription.result.get()?.source else {
            return None;
        };
        let age = now.get() - arrived.get();
        let is_stale = is_running.get() && age > (STALE_INTERVALS * overhead.every_ms).max(STALE_MS);
        is_stale.then(|| format!(" · {} old", number::duration(age / 1e3)))
    }
}

/// The overhead of all live inspections together, while the run trains.
pub(super) fn overhead_text(status: &Status, state: RunState) -> Option<String> {
    let Status::Ready(result) = status else { return None };
    let Source::Live(InspectionOverhead { every_ms, share, .. }) = result.source else { return None };
    (every_ms > 0.0 && state == RunState::Running).then(|| {
        let share = percent(share).replace(THIN, " ");
        format!("inspected every {}, costs {share} of the training time", number::duration(every_ms / 1e3))
    })
}
