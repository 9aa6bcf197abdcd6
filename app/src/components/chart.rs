//! The chart of the page: curves on a canvas with a heading, a legend and tools. Charts of one [`ChartGroup`] share the
//! crosshair and the range in view. What it shows is in [`content`], drawing in [`canvas`], pointer, wheel, touch and
//! keys in [`gestures`]; the same values are there as a table and, for screen readers, as a sentence.

mod canvas;
mod content;
mod gestures;
mod legend;
mod range;

use std::rc::Rc;

use figure::{Layout, Table};
use leptos::prelude::*;

use super::hyperparameters::with_comma;
use super::value_table::ValueTable;
use canvas::ChartCanvas;
pub(crate) use content::{ChartContent, ChartGroup, Line, MarkerText};
use gestures::Gestures;
use legend::Legend;
pub(crate) use range::Range;

/// Events that the text of a marker lists; the others are counted.
const MAX_EVENTS: usize = 20;

/// A chart with its heading, legend and tools.
#[component]
pub(crate) fn Chart(
    /// What it shares with other charts.
    group: ChartGroup,
    /// Content of the chart.
    #[prop(into)]
    title: Signal<String>,
    /// The unit, after the title.
    #[prop(into)]
    unit: Signal<String>,
    /// What it shows and the formula, in a tooltip.
    #[prop(into)]
    meaning: String,
    /// CSS class.
    #[prop(default = "")]
    class: &'static str,
    /// The content at this moment, read without tracking.
    paint: impl Fn() -> ChartContent + 'static,
    /// Tracks what the content depends on: the chart is drawn anew when it changes.
    #[prop(into)]
    changed: Signal<()>,
    /// Whether markers have a lane below the plot.
    #[prop(default = false)]
    has_marker_lane: bool,
    /// Whether each curve is listed with its value.
    #[prop(default = true)]
    has_legend: bool,
    /// Receives the layout.
    #[prop(optional)]
    layout: Option<RwSignal<Option<Layout>>>,
    /// Laid over the chart.
    #[prop(optional)]
    over: Option<Children>,
    /// Tools in the heading.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let chart = Rc::new(ChartCanvas::new(group, paint, has_marker_lane, layout));
    let (field, canvas, overlay) = (chart.field, chart.canvas, chart.overlay);
    follow(&chart, changed);
    let held = StoredValue::new_local(Gestures::new(chart.clone()));
    let pointer = move |event: &leptos::ev::PointerEvent, act: fn(&Gestures, &leptos::ev::PointerEvent)| {
        held.with_value(|gestures| act(gestures, event))
    };
    let table = RwSignal::new(None::<Table>);
    let (tip, legend) = (chart.tip, chart.legend);
    let shown = StoredValue::new_local(chart);
    let toggle = move |_| {
        table.update(|table| *table = if table.is_some() { None } else { shown.with_value(|chart| chart.table()) })
    };
    view! {
        <figure class=format!("chart {class}")>
            <figcaption>
                <h2 title=meaning>{title}<span class="unit">{move || with_comma(&unit.get())}</span></h2>
                {has_legend.then(|| view! { <Legend entries=legend /> })}
                {children.map(|children| children())}
                <button
                    class="quiet table-toggle"
                    aria-pressed=move || table.read().is_some().to_string()
                    title="Switch between the chart and a table of its values"
                    on:click=toggle
                >
                    "table"
                </button>
            </figcaption>
            <div
                class="field"
                class:unseen=move || table.read().is_some()
                node_ref=field
                tabindex="0"
                role="group"
                aria-roledescription="chart"
                on:pointerdown=move |event| pointer(&event, Gestures::press)
                on:pointermove=move |event| pointer(&event, Gestures::go)
                on:pointerup=move |event| pointer(&event, Gestures::release)
                on:pointercancel=move |event| pointer(&event, Gestures::cancel)
                on:pointerleave=move |event| pointer(&event, Gestures::leave)
                on:wheel=move |event| held.with_value(|gestures| gestures.wheel(&event))
                on:dblclick=move |_| group.show.run(None)
                on:keydown=move |event| held.with_value(|gestures| gestures.key(&event))
                aria-label=move || format!("{}: arrow keys move the crosshair, plus and minus zoom, Shift and arrow \
                    keys move the view, 0 shows everything", title.get())
            >
                <canvas node_ref=canvas role="img" aria-label=title></canvas>
                <canvas node_ref=overlay class="overlay" aria-hidden="true"></canvas>
                {over.map(|over| over())}
                {move || tip.get().map(|(x, numbers)| view! { <MarkerTip group x numbers /> })}
            </div>
            {move || table.get().map(|table| view! { <ValueTable table /> })}
        </figure>
    }
}

/// Redraws a chart when its content, its size, the theme, the crosshair or its visibility changes.
fn follow(chart: &Rc<ChartCanvas>, changed: Signal<()>) {
    let ChartCanvas { group, is_dark, scale, observed, .. } = **chart;
    let drawing = chart.clone();
    Effect::new(move || {
        // Read the memo, because `track` does not run a memo that was never read.
        let _ = (changed.get(), is_dark.get(), scale.get(), observed.size.get());
        if observed.is_due() {
            drawing.schedule();
        }
    });
    let overlay = chart.clone();
    Effect::new(move || {
        group.crosshair.track();
        if observed.is_visible.get() {
            overlay.schedule_overlay();
        }
    });
}

/// The texts of markers that stand together.
#[component]
fn MarkerTip(group: ChartGroup, x: f64, numbers: Vec<u64>) -> impl IntoView {
    let others = numbers.len().saturating_sub(MAX_EVENTS);
    let lines = numbers.into_iter().take(MAX_EVENTS).filter_map(|number| group.describe.run(number)).map(|marker| {
        view! {
            <div>
                <strong>{marker.phrase}</strong>
                <span>{format!(" {}", marker.origin)}</span>
                {marker.reason.map(|reason| view! { <em>{reason}</em> })}
            </div>
        }
    });
    view! {
        <div class="tip" style:left=format!("clamp(130px, {x:.0}px, calc(100% - 130px))") role="status">
            {lines.collect_view()}
            {(others > 0).then(|| view! { <div class="dim">{format!("and {others} more")}</div> })}
        </div>
    }
}
