//! The effect of a change: the loss of this run minus that of its control run, which omits the change, on the same
//! batches, with the band of the mean.

use std::time::Duration;

use figure::scene::Role;
use figure::spec::Reference;
use figure::{ChartSpec, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::{Bucket, Comparison};
use wire::{RunId, RunSummary};

use super::loss_chart::shared;
use super::{RunContext, phrase};
use crate::components::chart::{Chart, ChartContent, Line};
use crate::components::{interval, name_of};
use crate::net::api;
use crate::net::live::Live;
use crate::route::run_path;

/// Maximum number of points of the difference.
const POINTS: u32 = 240;
/// Interval between requests while either run trains.
const REFRESH: Duration = Duration::from_secs(3);

/// Explanation of the chart.
const MEANING: &str = "Training loss of this run minus that of the control run on the same batches. Below 0: the \
                       change decreases the loss. Band: mean ± 2 standard errors.";

/// The control runs of the open run, newest first, each with the number of the event that it omits.
fn control_runs(context: RunContext, live: Live) -> Vec<(RunSummary, u64)> {
    let id = context.id();
    let lab = live.lab.read();
    let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let of_this = runs.iter().filter(|run| run.deleted_ms.is_none()).filter_map(|run| {
        let parent = run.parent.as_ref().filter(|parent| parent.run == id)?;
        Some((run.clone(), parent.control_of?))
    });
    of_this.collect()
}

/// The panel; nothing while there is no control run.
#[component]
pub(super) fn ControlRunPanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let known = Memo::new(move |_| {
        let named = |(run, event): (RunSummary, u64)| (run.id.clone(), name_of(live, &run), event);
        control_runs(context, live).into_iter().map(named).collect::<Vec<_>>()
    });
    let picked = RwSignal::new(None::<RunId>);
    let shown = Memo::new(move |_| {
        let known = known.read();
        let picked = picked.get();
        known.iter().find(|(id, ..)| Some(id) == picked.as_ref()).or(known.first()).cloned()
    });
    move || {
        let (id, name, event) = shown.get()?;
        Some(view! { <EffectPanel id name event known picked /> })
    }
}

#[component]
fn EffectPanel(
    id: RunId,
    name: String,
    event: u64,
    known: Memo<Vec<(RunId, String, u64)>>,
    picked: RwSignal<Option<RunId>>,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let path = run_path(&id);
    let other = StoredValue::new(id);
    let compared = RwSignal::new(Comparison::default());
    let fetch = move || {
        spawn_local(async move {
            if let Ok(comparison) = api::series::compare(&context.id(), &other.get_value(), POINTS).await {
                context.run.try_update(|run| run.set_difference(&comparison.difference));
                compared.try_set(comparison);
            }
        });
    };
    let is_growing = Memo::new(move |_| {
        let control = control_runs(context, live).into_iter().find(|(run, _)| run.id == other.get_value());
        context.state.get().is_live() || control.is_some_and(|(run, _)| run.state.is_live())
    });
    fetch();
    interval::every(REFRESH, move || {
        if is_growing.try_get_untracked() == Some(true) {
            fetch();
        }
    });
    on_cleanup(move || {
        context.run.try_update(|run| run.set_difference(&[]));
    });
    let change = move || {
        context.lines.get();
        context
            .run
            .read_untracked()
            .events
            .get(&event)
            .map_or_else(|| format!("event {event}"), |record| phrase(&record.event))
    };
    let has_any = Memo::new(move |_| !compared.read().difference.is_empty());
    let which = move || {
        let (path, name) = (path.clone(), name.clone());
        view! {
            <span class="small dim">{change}" · control run "<a href=path>{name}</a></span>
            {move || (known.read().len() > 1).then(|| view! {
                <label class="pick" title="Control run to compare with"><span class="unseen">"Control run"</span>
                    <select on:change:target=move |event| picked.set(event.target().value().parse().ok())>
                        {known.get().into_iter().map(|(id, name, _)| {
                            let is_this = other.get_value() == id;
                            view! { <option value=id.to_string() selected=is_this>{name}</option> }
                        }).collect_view()}
                    </select>
                </label>
            })}
        }
    };
    let changed = Signal::derive(move || context.track_charts());
    // Without a common step there is nothing to draw.
    let chart = move || {
        let which = which();
        if has_any.get() {
            view! {
                <Chart
                    group=expect_context()
                    title="Effect of the change".to_owned()
                    unit="nats/token, this run − control run".to_owned()
                    meaning=MEANING
                    paint=move || paint(context) changed
                >
                    {which}
                </Chart>
            }
            .into_any()
        } else {
            view! { <p class="row waiting"><strong>"Effect of the change"</strong>{which}</p> }.into_any()
        }
    };
    view! {
        <div class="effect-panel">
            {chart}
            <p class="small dim verdict">{move || verdict(&compared.read())}</p>
        </div>
    }
}

/// The newest difference in words.
fn verdict(comparison: &Comparison) -> String {
    let Some(last) = comparison.difference.last() else {
        return "The control run has not trained past the change yet.".into();
    };
    let size = number::fixed(last.mean.abs(), 4);
    let at = number::whole(last.last_step);
    // One step alone has no standard error, and that of a few is itself too uncertain.
    if !last.has_enough_steps() {
        let word = if last.mean > 0.0 { "higher" } else { "lower" };
        return format!("At step {at} the loss is {size} nats/token {word} than that of the control run.");
    }
    match (last.low, last.high) {
        (low, _) if low > 0.0 => {
            format!("At step {at} the change increases the loss by {size} nats/token, more than 2 standard errors.")
        }
        (_, high) if high < 0.0 => {
            format!("At step {at} the change decreases the loss by {size} nats/token, more than 2 standard errors.")
        }
        _ => {
            format!(
                "At step {at} the difference of {size} nats/token is within 2 standard errors: no effect is \
                 measurable."
            )
        }
    }
}

fn paint(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let on_axis = |bucket: &Bucket| Bucket {
        x: run.curves.place(bucket.step),
        last_x: run.curves.place(bucket.last_step),
        ..*bucket
    };
    let buckets = run.difference.iter().map(on_axis).collect();
    let line = Line::new(
        "difference",
        "Mean over the steps of the bucket; the band is ± 2 standard errors.",
        Role::Run(0),
        buckets,
    );
    let references = vec![Reference { label: "no difference".into(), value: 0.0, role: Role::InkFaint }];
    let spec = ChartSpec {
        title: "effect of the change".into(),
        unit: "nats/token".into(),
        references,
        has_zero: true,
        ..content.spec.clone()
    };
    ChartContent { spec, lines: vec![line], ..content }
}
