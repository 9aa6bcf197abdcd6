//! The lineage as a tree: each segment is a bar over steps, connected to the segment that it continues; abandoned
//! branches are dotted. Every bar is a link to its run.

use std::collections::BTreeMap;
use std::time::Duration;

use figure::{Scale, ScaleKind, Tick, axis, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::series::{Axis, name};

use super::Choice;
use super::family::{Bar, Member, gather, rows};
use crate::components::number::counted;
use crate::components::{interval, name_of};
use crate::net::api;
use crate::net::api::series::SeriesRequest;
use crate::net::live::Live;
use crate::route::run_path;

/// Pixels of a row, and the position of the bar in it.
const ROW: f64 = 36.0;
const BAR: f64 = 24.0;
/// Maximum number of runs that are drawn.
const MAX_RUNS: usize = 40;
/// Interval between requests while a run of the family trains.
const REFRESH: Duration = Duration::from_secs(5);

#[component]
pub(super) fn LineageTree() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let members = RwSignal::new(Vec::<Member>::new());
    let family = Memo::new(move |_| {
        let lab = live.lab.read();
        let all = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let mut family = gather(&choice.runs.read(), all);
        family.truncate(MAX_RUNS);
        family
    });
    let fetch = move |wanted: Vec<RunId>| {
        spawn_local(async move {
            let found = futures_util::future::join_all(wanted.iter().map(fetch_member)).await;
            // The answer for an earlier selection is ignored.
            if family.try_get_untracked() == Some(wanted) {
                members.try_set(found.into_iter().flatten().collect());
            }
        });
    };
    Effect::new(move |_| fetch(family.get()));
    interval::every(REFRESH, move || {
        if members.with_untracked(|members| members.iter().any(|member| member.summary.state.is_live())) {
            fetch(family.get_untracked());
        }
    });
    let bars = Memo::new(move |_| rows(&members.read(), &|run| name_of(live, run)));
    view! {
        <section class="panel lineage" aria-labelledby="lineage-title" hidden=move || bars.read().is_empty()>
            <h2
                id="lineage-title"
                title="The branches of the runs over their steps. A fork starts from the run above it; a rollback starts a new \
                       branch."
            >
                "Lineage"
                <span class="unit">" over steps; abandoned branches are dotted"</span>
            </h2>
            <div class="tree">{move || view! { <Bars bars=bars.get() /> }}</div>
        </section>
    }
}

/// The segments of a run, and where each ends: one bucket per segment contains that.
async fn fetch_member(run: &RunId) -> Option<Member> {
    let view = api::run(run).await.ok()?;
    let request =
        SeriesRequest { names: vec![name::TRAIN.to_owned()], axis: Axis::Step, from: None, to: None, points: 1 };
    let windows = api::series::windows(run, &request).await.unwrap_or_default();
    let mut ends = BTreeMap::new();
    for window in windows {
        if let Some(last) = window.buckets.last() {
            ends.insert(window.segment, last.last_step);
        }
    }
    Some(Member { summary: view.summary, segments: view.segments, ends })
}

#[component]
fn Bars(bars: Vec<Bar>) -> impl IntoView {
    let last = bars.iter().map(|bar| bar.to_step).max().unwrap_or(0).max(1);
    let height = bars.len() as f64 * ROW + 24.0;
    // Margin on both sides for round line ends and the dots of live runs.
    let left = move |step: u64| 1.0 + 97.0 * step as f64 / last as f64;
    let stems = bars.iter().enumerate().filter_map(|(row, bar)| {
        let stem = bar.stem?;
        let x = format!("{:.3}%", left(bar.from_step));
        let (top, bottom) = (stem as f64 * ROW + BAR, row as f64 * ROW + BAR);
        Some(view! { <line class="stem" x1=x.clone() x2=x y1=top y2=bottom /> })
    });
    let stems = stems.collect_view();
    let scale = Scale::new(ScaleKind::Linear, 0.0, last as f64);
    let whole = axis::ticks(&scale, 6, "steps").into_iter().filter(|tick| tick.value.fract() == 0.0);
    let ticks = whole.map(|Tick { value, label }| {
        let at = left(value as u64);
        let x = format!("{at:.3}%");
        let anchor = if at < 4.0 {
            "start"
        } else if at > 96.0 {
            "end"
        } else {
            "middle"
        };
        view! {
            <line class="tick-line" x1=x.clone() x2=x.clone() y1=0 y2=height - 18.0 />
            <text class="tick-label" x=x y=height - 4.0 text-anchor=anchor>{label}</text>
        }
    });
    let ticks = ticks.collect_view();
    let label = format!("Lineage of {} over {}", counted(bars.len() as u64, "branch"), counted(last, "step"));
    view! {
        <svg width="100%" height=height role="group" aria-label=label>
            {ticks}
            {stems}
            {bars.into_iter().enumerate().map(|(row, bar)| view! { <BarRow bar row left /> }).collect_view()}
        </svg>
    }
}

#[component]
fn BarRow(bar: Bar, row: usize, left: impl Fn(u64) -> f64) -> impl IntoView {
    let choice = expect_context::<Choice>();
    let (top, y) = (row as f64 * ROW, row as f64 * ROW + BAR);
    let percent = |step: u64| format!("{:.3}%", left(step));
    let done = bar.left_at.unwrap_or(bar.to_step).min(bar.to_step);
    let (from, done_at, to) = (percent(bar.from_step), percent(done), percent(bar.to_step));
    let is_late = left(bar.from_step) > 60.0;
    let (label_at, anchor) = if is_late { (to.clone(), "end") } else { (from.clone(), "start") };
    // Beside the stem.
    let is_tied = bar.stem.is_some() && !is_late;
    let run = bar.run.clone();
    let tone = {
        let run = run.clone();
        move || format!("var({})", choice.colours.read().role(&run).property())
    };
    let is_chosen = move || choice.contains(&run);
    let abandoned = (bar.to_step > done).then(|| {
        view! { <line class="abandoned" x1=done_at.clone() x2=to.clone() y1=y y2=y /> }
    });
    let path = (done > bar.from_step || bar.left_at.is_none()).then(|| {
        view! { <line class="path" x1=from.clone() x2=done_at.clone() y1=y y2=y /> }
    });
    // The group tells the macro that this link is one of SVG.
    view! {
        <g>
            <a
                href=run_path(&bar.run)
                class="segment"
                class:chosen=is_chosen
                style:--tone=tone
                aria-label=describe(&bar)
            >
                <title>{describe(&bar)}</title>
                <rect class="reach" x="0" y=top width="100%" height=ROW />
                {abandoned}
                {path}
                <circle class="root" cx=from cy=y r="4" />
                {bar.is_live.then(|| view! { <circle class="alive" cx=to.clone() cy=y r="5" /> })}
                <text x=label_at dx=if is_tied { 6 } else { 0 } y=top + 14.0 text-anchor=anchor>
                    {bar.label.clone()}
                </text>
            </a>
        </g>
    }
}

/// `amber-fox, up to step 300, then an abandoned branch to step 500: steps 0 to 500`
fn describe(bar: &Bar) -> String {
    let control = if bar.is_control_run { ", control run" } else { "" };
    let live = if bar.is_live { ", live" } else { "" };
    format!("{}: steps {} to {}{control}{live}", bar.label, number::whole(bar.from_step), number::whole(bar.to_step))
}
