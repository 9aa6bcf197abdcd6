//! The canvas of a chart: it is drawn at most once a frame, with crosshair, selection and legend on a layer of their own,
//! and described in a sentence for screen readers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use figure::scene::{Fill, Rect, Role, Shape, Size};
use figure::spec::Frame;
use figure::{ChartSpec, Curve, Layout, Table};
use leptos::html;
use leptos::prelude::*;

use super::content::{ChartContent, ChartGroup, Drawn, Line};
use super::legend::{Entry, entries};
use crate::components::observer::{Observed, observe};
use crate::components::painter::Painter;
use crate::projector::Projector;
use crate::theme::Theme;

/// Pixels left of every plot, so that charts under each other have one x axis.
const LEFT: f64 = 54.0;
/// Milliseconds between updates of the sentence for screen readers.
const SUMMARY_EVERY_MS: f64 = 3_000.0;

/// The state of one chart, shared by its event handlers.
pub(super) struct ChartCanvas {
    pub(super) group: ChartGroup,
    paint: Box<dyn Fn() -> ChartContent>,
    has_marker_lane: bool,
    pub(super) field: NodeRef<html::Div>,
    pub(super) canvas: NodeRef<html::Canvas>,
    pub(super) overlay: NodeRef<html::Canvas>,
    pub(super) drawn: RefCell<Option<Drawn>>,
    /// The range that is being selected, in pixels.
    pub(super) selected: Cell<Option<(f64, f64)>>,
    /// Pixels from the left and journal numbers of the markers under the pointer.
    pub(super) tip: RwSignal<Option<(f64, Vec<u64>)>>,
    pub(super) is_dark: Memo<bool>,
    /// Size of what is drawn, relative to its usual size.
    pub(super) scale: Memo<f64>,
    pub(super) observed: Observed,
    pub(super) legend: RwSignal<Vec<Entry>>,
    /// Receives the layout, for what is laid over the chart.
    layout: Option<RwSignal<Option<Layout>>>,
    is_due: Cell<bool>,
    is_overlay_due: Cell<bool>,
    is_summary_due: Cell<bool>,
    summary_ms: Cell<f64>,
}

impl ChartCanvas {
    /// A chart that is not drawn yet. With a lane, markers stand below the plot. `layout` receives the geometry of each
    /// drawing.
    pub(super) fn new(
        group: ChartGroup,
        paint: impl Fn() -> ChartContent + 'static,
        has_marker_lane: bool,
        layout: Option<RwSignal<Option<Layout>>>,
    ) -> Self {
        let (theme, projector) = (expect_context::<Theme>(), expect_context::<Projector>());
        let field = NodeRef::new();
        Self {
            group,
            paint: Box::new(paint),
            has_marker_lane,
            field,
            canvas: NodeRef::new(),
            overlay: NodeRef::new(),
            drawn: RefCell::default(),
            selected: Cell::new(None),
            tip: RwSignal::new(None),
            is_dark: Memo::new(move |_| theme.is_dark()),
            scale: Memo::new(move |_| projector.scale()),
            // With its heading: a visible legend is kept up to date even if the curves are below the edge.
            observed: observe(field, true),
            legend: RwSignal::new(vec![]),
            layout,
            is_due: Cell::new(false),
            is_overlay_due: Cell::new(false),
            is_summary_due: Cell::new(false),
            summary_ms: Cell::new(0.0),
        }
    }

    /// Draws in the next frame.
    pub(super) fn schedule(self: &Rc<Self>) {
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
    pub(super) fn schedule_overlay(self: &Rc<Self>) {
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
        let scale = self.scale.get_untracked();
        let size = Size::new(width / scale, height / scale);
        let content = (self.paint)();
        if content.is_incomplete && self.drawn.borrow().is_some() {
            return;
        }
        let spec = ChartSpec { frame: self.frame(), ..content.spec };
        let content = ChartContent { spec, ..content };
        let (layout, summary) = {
            let curves: Vec<Curve> = content.lines.iter().map(Line::curve).collect();
            let drawing = figure::chart(&content.spec, &curves, size);
            let Some(painter) = Painter::start_scaled(&canvas, size, scale, self.is_dark.get_untracked()) else {
                return;
            };
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

    /// Writes the sentence for screen readers: at once, or later if it was written a moment ago, so that the last one
    /// is always written.
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
        let x = self.group.crosshair.try_get_untracked().flatten();
        let curves: Vec<Curve> = drawn.content.lines.iter().map(Line::curve).collect();
        let scale = self.scale.get_untracked();
        if let Some(painter) = Painter::start_scaled(&overlay, drawn.layout.size, scale, self.is_dark.get_untracked()) {
            if let Some((from, to)) = self.selected.get() {
                painter.paint(&[selection(&drawn.layout, from, to)]);
            }
            if let Some(x) = x {
                painter.paint(&figure::crosshair(&drawn.layout, &curves, x));
                painter.paint(&figure::crosshair_label(&drawn.content.spec, &drawn.layout, x));
            }
        }
        let entries = entries(drawn, &curves, x);
        if self.legend.with_untracked(|shown| *shown != entries) {
            self.legend.set(entries);
        }
    }

    /// The values as a table, at most 60 rows.
    pub(super) fn table(&self) -> Option<Table> {
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
