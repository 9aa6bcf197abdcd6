//! What a change did: the loss of this run minus that of a twin that leaves the change out, on the same batches, with the band
//! of its mean. And on the twin's own page, the way back.

use std::time::Duration;

use figure::chart::Reference;
use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::{Bucket, Comparison};
use wire::{RunId, RunSummary};

use super::chart::{Chart, Line, Picture};
use super::loss::shared;
use super::{Desk, phrase};
use crate::api::steering;
use crate::live::Live;
use crate::parts::again;
use crate::route::run_path;

/// Stretches asked for.
const POINTS: u32 = 240;
/// Between questions while either of the two trains.
const AGAIN: Duration = Duration::from_secs(3);

/// What the chart shows.
const MEANING: &str = "Training loss of this run minus that of the twin, on the same batches: below 0 the change helped. The band is the mean with two standard errors.";

/// The twins of the open run, newest first: who, of which line, and how far.
fn twins(desk: Desk, live: Live) -> Vec<(RunSummary, u64)> {
    let id = desk.id();
    let lab = live.lab.read();
    let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let of_this = runs.iter().filter(|run| run.deleted_ms.is_none()).filter_map(|run| {
        let parent = run.parent.as_ref().filter(|parent| parent.run == id)?;
        Some((run.clone(), parent.twin_of?))
    });
    of_this.collect()
}

/// The panel; nothing while there is no twin.
#[component]
pub(crate) fn TwinPanel() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let live = expect_context::<Live>();
    let known = Memo::new(move |_| {
        twins(desk, live).into_iter().map(|(run, line)| (run.id, run.name, line)).collect::<Vec<_>>()
    });
    let picked = RwSignal::new(None::<RunId>);
    let shown = Memo::new(move |_| {
        let known = known.read();
        let picked = picked.get();
        known.iter().find(|(id, ..)| Some(id) == picked.as_ref()).or(known.first()).cloned()
    });
    move || {
        let (id, name, line) = shown.get()?;
        Some(view! { <Difference id name line known picked /> })
    }
}

#[component]
fn Difference(
    id: RunId,
    name: String,
    line: u64,
    known: Memo<Vec<(RunId, String, u64)>>,
    picked: RwSignal<Option<RunId>>,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let live = expect_context::<Live>();
    let path = run_path(&id);
    let other = StoredValue::new(id);
    let compared = RwSignal::new(Comparison::default());
    let ask = move || {
        spawn_local(async move {
            if let Ok(comparison) = steering::compare(&desk.id(), &other.get_value(), POINTS).await {
                desk.run.try_update(|run| run.set_difference(&comparison.difference));
                compared.try_set(comparison);
            }
        });
    };
    let is_growing = Memo::new(move |_| {
        let twin = twins(desk, live).into_iter().find(|(run, _)| run.id == other.get_value());
        desk.state.get().is_live() || twin.is_some_and(|(run, _)| run.state.is_live())
    });
    ask();
    again::every(AGAIN, move || {
        if is_growing.try_get_untracked() == Some(true) {
            ask();
        }
    });
    on_cleanup(move || {
        desk.run.try_update(|run| run.set_difference(&[]));
    });
    let change = move || {
        desk.lines.get();
        desk.run
            .read_untracked()
            .events
            .get(&line)
            .map_or_else(|| format!("line {line}"), |record| phrase(&record.event))
    };
    let has_any = Memo::new(move |_| !compared.read().difference.is_empty());
    let which = move || {
        let (path, name) = (path.clone(), name.clone());
        view! {
            <span class="small dim">{change}" · twin "<a href=path>{name}</a></span>
            {move || (known.read().len() > 1).then(|| view! {
                <label class="pick"><span class="unseen">"Which twin"</span>
                    <select on:change:target=move |event| picked.set(event.target().value().parse().ok())>
                        {known.get().into_iter().map(|(id, name, _)| { let value = id.to_string(); let is_this = other.get_value() == id; view! { <option value=value selected=is_this>{name}</option> } }).collect_view()}
                    </select>
                </label>
            })}
        }
    };
    // Without a step in common there is nothing to draw: a line says so.
    let chart = move || {
        let which = which();
        if has_any.get() {
            view! {
                <Chart title="What the change did".to_owned() unit="nats / token, this run minus its twin".to_owned() meaning=MEANING paint>{which}</Chart>
            }
            .into_any()
        } else {
            view! { <p class="row waiting"><strong>"What the change did"</strong>{which}</p> }.into_any()
        }
    };
    view! {
        <div class="difference">
            {chart}
            <p class="small dim verdict">{move || verdict(&compared.read())}</p>
        </div>
    }
}

/// The end of the difference in words.
fn verdict(comparison: &Comparison) -> String {
    let Some(last) = comparison.difference.last() else {
        return "The twin has not trained past the change yet.".into();
    };
    let size = number::fixed(last.mean.abs(), 4);
    let at = number::whole(last.last_step);
    // One step alone has no spread to judge it by.
    if last.step == last.last_step {
        let word = if last.mean > 0.0 { "more" } else { "less" };
        return format!("At step {at} the loss is {size} nats per token {word} than the twin's.");
    }
    match (last.low, last.high) {
        (low, _) if low > 0.0 => {
            format!("At step {at} the change costs {size} nats per token, more than chance would.")
        }
        (_, high) if high < 0.0 => {
            format!("At step {at} the change gains {size} nats per token, more than chance would.")
        }
        _ => format!("At step {at} the two cannot be told apart: {size} nats per token lies within the band."),
    }
}

fn paint(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let buckets: Vec<Bucket> = run
        .difference
        .iter()
        .map(|bucket| Bucket {
            x: run.curves.place(bucket.step),
            last_x: run.curves.place(bucket.last_step),
            ..*bucket
        })
        .collect();
    let line = Line {
        name: "difference".into(),
        meaning: "Mean over the stretch, with the band in which it lies.".into(),
        role: Role::Run(0),
        style: Style::Measured,
        is_live: false,
        smoothing: None,
        is_past: false,
        buckets,
    };
    let references = vec![Reference { label: "no difference".into(), value: 0.0, role: Role::InkFaint }];
    let spec = ChartSpec {
        title: "what the change did".into(),
        unit: "nats / token".into(),
        references,
        has_zero: true,
        ..spec
    };
    Picture { spec, lines: vec![line], marked }
}
