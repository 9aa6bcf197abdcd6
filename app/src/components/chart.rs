//! The chart of the page: curves on a canvas, drawn at most once a frame and only while visible. Charts of one
//! [`ChartGroup`] share the crosshair and the range in view. Pointer, wheel, touch and keys are in [`gestures`], the
//! legend in [`legend`]; the same values are there as a table and, for screen readers, as a sentence.

mod gestures;
mod legend;
mod range;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use figure::scene::{Fill, Rect, Role, Shape, Size};
use figure::spec::Frame;
use figure::{ChartSpec, Curve, Layout, Style, Table};
use leptos::html;
use leptos::prelude::*;
use wire::series::Bucket;

use super::observer::{Observed, observe};
use super::painter::Painter;
use super::value_table::ValueTable;
use crate::theme::Theme;
use gestures::Gestures;
use legend::{Entry, Legend, entries};
pub(crate) use range::Range;

/// Pixels left of every plot, so that charts under each other have one x axis.
const LEFT: f64 = 54.0;
/// Milliseconds between updates of the sentence for screen readers.
const SUMMARY_EVERY_MS: f64 = 3_000.0;

/// What the charts of a page share.
#[derive(Clone, Copy)]
pub(crate) struct ChartGroup {
    /// The place on the x axis at which all charts show their values.
    pub(crate) crosshair: RwSignal<Option<f64>>,
    /// Brings a range of the x axis into view; `None` shows everything.
    pub(crate) show: Callback<Option<Range>>,
    /// A press on a chart: the place on the x axis, and the journal number of the newest marker there.
    pub(crate) press: Callback<(f64, Option<u64>)>,
    /// The text of a marker, by its journal number.
    pub(crate) describe: Callback<u64, Option<MarkerText>>,
}

#[derive(Debug, Clone)]
pub(crate) struct MarkerText {
    /// What happened.
    pub(crate) phrase: String,
    /// Step and author.
    pub(crate) origin: String,
    /// The reason that the author gave.
    pub(crate) reason: Option<String>,
}

/// One curve of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Name in the legend; empty for a curve that is not listed.
    pub(crate) name: String,
    /// Meaning, in its tooltip.
    pub(crate) meaning: String,
    /// Colour.
    pub(crate) role: Role,
    /// How it is drawn.
    pub(crate) style: Style,
    /// Whether its end glows, because it grows now.
    pub(crate) is_live: bool,
    /// Length of a running mean that is drawn over it, in units of the x axis.
    pub(crate) smoothing: Option<f64>,
    /// Whether it belongs to a run that this one was forked from; its name then stands at its end.
    pub(crate) is_past: bool,
    /// Values.
    pub(crate) buckets: Vec<Bucket>,
}

impl Line {
    /// A measured curve.
    pub(crate) fn new(name: impl Into<String>, meaning: impl Into<String>, role: Role, buckets: Vec<Bucket>) -> Self {
        Self {
            name: name.into(),
            meaning: meaning.into(),
            role,
            style: Style::Measured,
            is_live: false,
            smoothing: None,
            is_past: false,
            buckets,
        }
    }

    fn curve(&self) -> Curve<'_> {
        Curve {
            style: self.style,
            is_live: self.is_live,
            smoothing: self.smoothing,
            is_labelled: self.is_past,
            ..Curve::new(&self.name, self.role, &self.buckets)
        }
    }
}

/// What a chart shows at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChartContent {
    /// Axes, references and markers. Margins are set by the chart.
    pub(crate) spec: ChartSpec,
    /// Curves.
    pub(crate) lines: Vec<Line>,
    /// Journal numbers of the markers, in the order of the spec.
    pub(crate) marked: Vec<u64>,
    /// Whether series are still being fetched: what was drawn before, if anything, stays until they arrive.
    pub(crate) is_incomplete: bool,
}

/// What was drawn last, and where everything on it is.
struct Drawn {
    content: ChartContent,
    layout: Layout,
    summary: String,
}

/// The state of one chart, shared by its event handlers.
struct ChartCanvas {
    group: ChartGroup,
    paint: Box<dyn Fn() -> ChartContent>,
    has_marker_lane: bool,
    field: NodeRef<html::Div>,
    canvas: NodeRef<html::Canvas>,
    overlay: NodeRef<html::Canvas>,
    drawn: RefCell<Option<Drawn>>,
    /// The range that is being selected, in pixels.
    selected: Cell<Option<(f64, f64)>>,
    /// Pixels from the left and journal numbers of the markers under the pointer.
    tip: RwSignal<Option<(f64, Vec<u64>)>>,
    is_dark: Memo<bool>,
    observed: Observed,
    legend: RwSignal<Vec<Entry>>,
    /// Receives the layout, for what is laid over the chart.
    layout: Option<RwSignal<Option<Layout>>>,
    is_due: Cell<bool>,
    is_overlay_due: Cell<bool>,
    is_summary_due: Cell<bool>,
    summary_ms: Cell<f64>,
}

impl ChartCanvas {
    /// Draws in the next frame.
    fn schedule(self: &Rc<Self>) {
        if self.is_due.replace(true) {
            return;
        }
        let chart = self.clone();
        request_animation_frame(move || {
            chart.is_due.set(false);
            untrack(|| chart.draw());
        });
    }

    /// Draws crosshair, selection and legend in the next frame.
    fn schedule_overlay(self: &Rc<Self>) {
        if self.is_overlay_due.replace(true) {
            return;
        }
        let chart = self.clone();
        request_animation_frame(move || {
            chart.is_overlay_due.set(false);
            untrack(|| chart.draw_overlay());
        });
    }

    fn draw(self: &Rc<Self>) {
        let canvas = self.canvas.try_get_untracked().flatten();
        let (Some(canvas), Some((width, height))) = (canvas, self.observed.size.try_get_untracked()) else { return };
        if width < 8.0 || height < 8.0 {
            return;
        }
        let size = Size::new(width, height);
        let content = (self.paint)();
        if content.is_incomplete && self.drawn.borrow().is_some() {
            return;
        }
        let spec = ChartSpec { frame: self.frame(), ..content.spec };
        let content = ChartContent { spec, ..content };
        let (layout, summary) = {
            let curves: Vec<Curve> = content.lines.iter().map(Line::curve).collect();
            let drawing = figure::chart(&content.spec, &curves, size);
            let Some(painter) = Painter::start(&canvas, size, self.is_dark.get_untracked()) else { return };
            painter.paint(&drawing.scene.shapes);
            (drawing.layout, format!("{}. {}", content.spec.title, drawing.scene.summary))
        };
        if let Some(known) = self.layout
            && known.with_untracked(|known| known.as_ref() != Some(&layout))
        {
            known.set(Some(layout.clone()));
        }
        *self.drawn.borrow_mut() = Some(Drawn { content, layout, summary });
        self.schedule_summary();
        self.draw_overlay();
    }

    fn frame(&self) -> Frame {
        Frame {
            has_header: false,
            has_lane: self.has_marker_lane,
            has_x_labels: true,
            has_background: false,
            left_margin: Some(LEFT),
        }
    }

    /// Writes the sentence for screen readers: at once, or later where it was written a moment ago, so that the last
    /// one is always written.
    fn schedule_summary(self: &Rc<Self>) {
        if self.is_summary_due.replace(true) {
            return;
        }
        let chart = self.clone();
        let wait_ms = (self.summary_ms.get() + SUMMARY_EVERY_MS - js_sys::Date::now()).clamp(0.0, SUMMARY_EVERY_MS);
        set_timeout(move || untrack(|| chart.write_summary()), Duration::from_millis(wait_ms as u64));
    }

    fn write_summary(&self) {
        self.is_summary_due.set(false);
        self.summary_ms.set(js_sys::Date::now());
        let drawn = self.drawn.borrow();
        if let (Some(canvas), Some(drawn)) = (self.canvas.try_get_untracked().flatten(), drawn.as_ref()) {
            let _ = canvas.set_attribute("aria-label", &drawn.summary);
        }
    }

    fn draw_overlay(&self) {
        let drawn = self.drawn.borrow();
        let overlay = self.overlay.try_get_untracked().flatten();
        let (Some(overlay), Some(drawn)) = (overlay, drawn.as_ref()) else { return };
        let place = self.group.crosshair.try_get_untracked().flatten();
        let curves: Vec<Curve> = drawn.content.lines.iter().map(Line::curve).collect();
        if let Some(painter) = Painter::start(&overlay, drawn.layout.size, self.is_dark.get_untracked()) {
            if let Some((from, to)) = self.selected.get() {
                painter.paint(&[selection(&drawn.layout, from, to)]);
            }
            if let Some(place) = place {
                painter.paint(&figure::crosshair(&drawn.layout, &curves, place));
                painter.paint(&figure::place_label(&drawn.content.spec, &drawn.layout, place));
            }
        }
        let entries = entries(drawn, &curves, place);
        if self.legend.with_untracked(|shown| *shown != entries) {
            self.legend.set(entries);
        }
    }

    fn table(&self) -> Option<Table> {
        let drawn = self.drawn.borrow();
        let drawn = drawn.as_ref()?;
        let curves: Vec<Curve> = drawn.content.lines.iter().map(Line::curve).collect();
        Some(figure::table(&drawn.content.spec, &curves, 60))
    }
}

fn selection(layout: &Layout, from: f64, to: f64) -> Shape {
    let plot = layout.plot;
    let (left, right) = (from.min(to).max(plot.x), from.max(to).min(plot.right()));
    Shape::Rect {
        rect: Rect::new(left, plot.y, right - left, plot.height),
        radius: 0.0,
        fill: Fill::faint(Role::Ink, 0.12),
    }
}

/// A chart with its heading, legend and tools.
#[component]
pub(crate) fn Chart(
    /// What it shares with other charts.
    group: ChartGroup,
    /// What is shown.
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
    let theme = expect_context::<Theme>();
    let canvas = NodeRef::<html::Canvas>::new();
    let overlay = NodeRef::<html::Canvas>::new();
    let field = NodeRef::<html::Div>::new();
    let chart = Rc::new(ChartCanvas {
        group,
        paint: Box::new(paint),
        has_marker_lane,
        field,
        canvas,
        overlay,
        drawn: RefCell::default(),
        selected: Cell::new(None),
        tip: RwSignal::new(None),
        is_dark: Memo::new(move |_| theme.is_dark()),
        // With its heading: a legend in sight is kept up to date even where the curves are below the edge.
        observed: observe(field, true),
        legend: RwSignal::new(vec![]),
        layout,
        is_due: Cell::new(false),
        is_overlay_due: Cell::new(false),
        is_summary_due: Cell::new(false),
        summary_ms: Cell::new(0.0),
    });
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
                <h2 title=meaning>{title}<span class="unit">{move || format!(" {}", unit.get())}</span></h2>
                {has_legend.then(|| view! { <Legend entries=legend /> })}
                {children.map(|children| children())}
                <button
                    class="quiet table-toggle"
                    aria-pressed=move || table.read().is_some().to_string()
                    title="Shows the values as a table"
                    on:click=toggle
                >
                    "Table"
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
    let ChartCanvas { group, is_dark, observed, .. } = **chart;
    let drawing = chart.clone();
    Effect::new(move || {
        // Read and not only tracked: a memo that was never read has nothing to follow.
        let _ = (changed.get(), is_dark.get(), observed.size.get());
        if observed.is_visible.get() {
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
    let lines = numbers.into_iter().filter_map(|number| group.describe.run(number)).map(|marker| {
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
        </div>
    }
}
