//! Pointer, wheel, touch and keys on a chart: wheel and pinch zoom about the place under them, dragging moves the
//! range, Shift and dragging selects one, a double click shows everything; keys do the same. Vertical scrolling belongs
//! to the page: a chart takes the wheel only when the page is not already scrolling, and a finger only when it moves
//! sideways (`touch-action: pan-y` in the style sheet).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use figure::scene::Point;
use leptos::ev;
use leptos::prelude::*;

use super::canvas::ChartCanvas;
use super::range::Range;

/// A turn of the wheel within this time of the page's own scrolling continues to scroll the page.
const SCROLL_PAUSE_MS: f64 = 250.0;
/// Pixels before a press becomes a drag.
const SLACK: f64 = 4.0;
/// Hit radius of a marker, pixels.
const REACH: f64 = 7.0;

/// What the pressed pointers are doing.
#[derive(Debug, Clone, Copy)]
enum Gesture {
    None,
    /// Pressed, not moved yet.
    Press {
        at: Point,
        range: Range,
    },
    /// Moving the range.
    Drag {
        from: f64,
        range: Range,
    },
    /// Selecting a range.
    Select {
        from: f64,
    },
    /// Two fingers: their distance and middle when they came down.
    Pinch {
        distance: f64,
        middle: f64,
        range: Range,
    },
}

/// The gestures on one chart.
#[derive(Clone)]
pub(super) struct Gestures(Rc<State>);

struct State {
    chart: Rc<ChartCanvas>,
    gesture: Cell<Gesture>,
    pressed: RefCell<Vec<(i32, Point)>>,
    scrolled_ms: Rc<Cell<f64>>,
}

impl Gestures {
    /// Gestures on `chart`.
    pub(super) fn new(chart: Rc<ChartCanvas>) -> Self {
        let scrolled_ms = Rc::new(Cell::new(0.0));
        let noting = scrolled_ms.clone();
        let scrolling = window_event_listener(ev::scroll, move |_| noting.set(js_sys::Date::now()));
        on_cleanup(move || scrolling.remove());
        Self(Rc::new(State { chart, gesture: Cell::new(Gesture::None), pressed: RefCell::default(), scrolled_ms }))
    }

    /// A button or finger goes down.
    pub(super) fn press(&self, event: &ev::PointerEvent) {
        let Some(at) = self.position(event).filter(|_| event.button() == 0) else { return };
        let Some(range) = self.range() else { return };
        if let Some(field) = self.0.chart.field.get_untracked() {
            // The drag continues outside the chart; without capture it ends at its edge.
            let _ = field.set_pointer_capture(event.pointer_id());
        }
        let mut pressed = self.0.pressed.borrow_mut();
        pressed.retain(|(pointer, _)| *pointer != event.pointer_id());
        pressed.push((event.pointer_id(), at));
        self.0.gesture.set(match pressed[..] {
            [(_, one), (_, two), ..] => {
                Gesture::Pinch { distance: (one.x - two.x).abs().max(16.0), middle: (one.x + two.x) / 2.0, range }
            }
            _ if event.shift_key() => Gesture::Select { from: at.x },
            _ => Gesture::Press { at, range },
        });
    }

    /// A pointer moves, pressed or not.
    pub(super) fn go(&self, event: &ev::PointerEvent) {
        let Some(at) = self.position(event) else { return };
        let mut pressed = self.0.pressed.borrow_mut();
        if let Some(known) = pressed.iter_mut().find(|(pointer, _)| *pointer == event.pointer_id()) {
            known.1 = at;
        }
        drop(pressed);
        match self.0.gesture.get() {
            Gesture::None => self.point(at),
            Gesture::Press { at: began, range } => {
                if (at.x - began.x).abs() > SLACK {
                    self.0.gesture.set(Gesture::Drag { from: began.x, range });
                    self.0.chart.tip.set(None);
                }
            }
            Gesture::Drag { from, range } => self.drag(range, from, at.x),
            Gesture::Select { from } => self.select(Some((from, at.x))),
            Gesture::Pinch { distance, middle, range } => self.pinch(distance, middle, range),
        }
    }

    /// A button or finger goes up.
    pub(super) fn release(&self, event: &ev::PointerEvent) {
        let at = self.position(event);
        match (self.0.gesture.get(), at) {
            (Gesture::Select { from }, Some(at)) => {
                self.select(None);
                if (at.x - from).abs() > SLACK
                    && let Some((one, two)) = self.with_layout(|layout| (layout.from_x(from), layout.from_x(at.x)))
                {
                    self.show(Range { from: one.min(two), to: one.max(two) });
                }
            }
            (Gesture::Press { .. }, Some(at)) => {
                self.point(at);
                let x = self.with_layout(|layout| layout.from_x(at.x));
                if let Some(x) = x {
                    self.0.chart.group.press.run((x, self.markers_at(at).first().copied()));
                }
            }
            _ => {}
        }
        self.lift(event.pointer_id());
    }

    /// The browser took the pointer over, to scroll.
    pub(super) fn cancel(&self, event: &ev::PointerEvent) {
        self.select(None);
        self.lift(event.pointer_id());
    }

    /// The pointer leaves the chart.
    pub(super) fn leave(&self, event: &ev::PointerEvent) {
        if matches!(self.0.gesture.get(), Gesture::None) && event.pointer_type() == "mouse" {
            self.0.chart.group.crosshair.set(None);
            self.0.chart.tip.set(None);
        }
    }

    /// The wheel turns: vertically it zooms, sideways it moves the range.
    pub(super) fn wheel(&self, event: &ev::WheelEvent) {
        if js_sys::Date::now() - self.0.scrolled_ms.get() < SCROLL_PAUSE_MS {
            return;
        }
        event.prevent_default();
        let (Some(at), Some(range)) = (self.position(event), self.range()) else { return };
        // Some wheels count in lines or pages; converted to pixels.
        let unit = [1.0, 16.0, 400.0][event.delta_mode().min(2) as usize];
        let (across, down) = (event.delta_x() * unit, event.delta_y() * unit);
        if across.abs() > down.abs() {
            let width = self.with_layout(|layout| layout.plot.width).unwrap_or(1.0).max(1.0);
            self.show(range.moved(across / width));
        } else if let Some(about) =
            self.with_layout(|layout| layout.from_x(at.x.clamp(layout.plot.x, layout.plot.right())))
        {
            self.show(range.zoomed(about, (-down.clamp(-240.0, 240.0) * 0.0022).exp()));
        }
    }

    /// A key, while the chart has the focus.
    pub(super) fn key(&self, event: &ev::KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let Some(range) = self.range() else { return };
        let crosshair = self.0.chart.group.crosshair;
        let middle = crosshair
            .get_untracked()
            .filter(|x| (range.from..=range.to).contains(x))
            .unwrap_or(range.from + range.length() / 2.0);
        match (event.key().as_str(), event.shift_key()) {
            ("+" | "=", _) => self.show(range.zoomed(middle, 1.5)),
            ("-" | "_", _) => self.show(range.zoomed(middle, 1.0 / 1.5)),
            ("0", _) => self.0.chart.group.show.run(None),
            ("ArrowLeft", true) => self.show(range.moved(-0.2)),
            ("ArrowRight", true) => self.show(range.moved(0.2)),
            ("ArrowLeft", false) => crosshair.set(Some((middle - range.length() / 100.0).max(range.from))),
            ("ArrowRight", false) => crosshair.set(Some((middle + range.length() / 100.0).min(range.to))),
            ("Home", _) => crosshair.set(Some(range.from)),
            ("End", _) => crosshair.set(Some(range.to)),
            ("Escape", _) => crosshair.set(None),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    }

    fn show(&self, range: Range) {
        self.0.chart.group.show.run(Some(range));
    }

    /// The range that is drawn.
    fn range(&self) -> Option<Range> {
        self.with_layout(|layout| Range { from: layout.x.from, to: layout.x.to })
    }

    fn position(&self, event: &web_sys::MouseEvent) -> Option<Point> {
        let rect = self.0.chart.field.get_untracked()?.get_bounding_client_rect();
        let scale = self.0.chart.scale.get_untracked();
        let at = |client: i32, edge: f64| (f64::from(client) - edge) / scale;
        Some(Point::new(at(event.client_x(), rect.left()), at(event.client_y(), rect.top())))
    }

    fn with_layout<T>(&self, read: impl FnOnce(&figure::Layout) -> T) -> Option<T> {
        self.0.chart.drawn.borrow().as_ref().map(|drawn| read(&drawn.layout))
    }

    /// Moves the crosshair and describes the markers under the pointer.
    fn point(&self, at: Point) {
        let x = self
            .with_layout(|layout| {
                layout.plot.grown(2.0).contains(Point::new(at.x, layout.plot.y)).then(|| layout.from_x(at.x))
            })
            .flatten();
        self.0.chart.group.crosshair.set(x);
        let markers = self.markers_at(at);
        let tip = (!markers.is_empty()).then_some((at.x * self.0.chart.scale.get_untracked(), markers));
        let shown = self.0.chart.tip.with_untracked(|tip| tip.as_ref().map(|(_, numbers)| numbers.clone()));
        if shown != tip.as_ref().map(|(_, numbers)| numbers.clone()) {
            self.0.chart.tip.set(tip);
        }
    }

    /// Journal numbers of the markers at a position, the newest first.
    fn markers_at(&self, at: Point) -> Vec<u64> {
        let drawn = self.0.chart.drawn.borrow();
        let Some(drawn) = drawn.as_ref() else { return vec![] };
        let Some(cluster) = drawn.layout.cluster_near(at, REACH) else { return vec![] };
        let numbers = cluster.markers.iter().filter_map(|index| drawn.content.marked.get(*index));
        let mut numbers: Vec<u64> = numbers.copied().collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    }

    fn drag(&self, range: Range, from: f64, to: f64) {
        let width = self.with_layout(|layout| layout.plot.width).unwrap_or(1.0).max(1.0);
        self.show(range.moved((from - to) / width));
    }

    fn select(&self, selected: Option<(f64, f64)>) {
        self.0.chart.selected.set(selected);
        self.0.chart.schedule_overlay();
    }

    /// Pinch: zooms about the midpoint of the two fingers and moves it with them.
    fn pinch(&self, distance: f64, middle: f64, range: Range) {
        let pressed = self.0.pressed.borrow();
        let [(_, one), (_, two), ..] = pressed[..] else { return };
        let Some((plot_x, width)) = self.with_layout(|layout| (layout.plot.x, layout.plot.width.max(1.0))) else {
            return;
        };
        let factor = (one.x - two.x).abs().max(16.0) / distance;
        let about = range.from + (middle - plot_x) / width * range.length();
        self.show(range.zoomed(about, factor).moved((middle - (one.x + two.x) / 2.0) / width));
    }

    fn lift(&self, pointer: i32) {
        let mut pressed = self.0.pressed.borrow_mut();
        pressed.retain(|(other, _)| *other != pointer);
        // The finger that stays down continues to drag from where it is.
        self.0.gesture.set(match (pressed.first(), self.range()) {
            (Some((_, at)), Some(range)) => Gesture::Drag { from: at.x, range },
            _ => Gesture::None,
        });
    }
}
