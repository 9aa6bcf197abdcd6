//! Hands on a chart: wheel and pinch zoom about the place under them, drag moves, shift and drag boxes a stretch in,
//! double-click shows all; keys do the same. Up and down belongs to the page's own scrolling: a chart takes a wheel only when
//! the page was not already scrolling, and a finger only when it moves sideways (`touch-action: pan-y` in the sheet).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use figure::scene::Point;
use leptos::ev;
use leptos::prelude::*;
use wire::series::Axis;

use super::chart::Easel;
use crate::run_state::{Sight, View};

/// A wheel turning within this time of the page's own scrolling goes on scrolling it.
const SCROLL_PAUSE_MS: f64 = 250.0;
/// Pixels before a press becomes a drag.
const SLACK: f64 = 4.0;
/// Pixels around a mark that count as it.
const REACH: f64 = 7.0;
/// Marks told at one place.
const MOST_MARKS: usize = 5;

/// What pressed pointers are doing.
#[derive(Debug, Clone, Copy)]
enum Hold {
    Nothing,
    /// Pressed, not moved yet.
    Press {
        at: Point,
        view: View,
    },
    /// Moving the stretch.
    Drag {
        from: f64,
        view: View,
    },
    /// Boxing a stretch in.
    Box {
        from: f64,
    },
    /// Two fingers: their distance and middle when they came down.
    Pinch {
        distance: f64,
        middle: f64,
        view: View,
    },
}

/// The hands on one chart.
#[derive(Clone)]
pub(super) struct Hands(Rc<Workings>);

struct Workings {
    easel: Rc<Easel>,
    hold: Cell<Hold>,
    down: RefCell<Vec<(i32, Point)>>,
    scrolled_ms: Rc<Cell<f64>>,
}

impl Hands {
    /// Hands on `easel`.
    pub(super) fn new(easel: Rc<Easel>) -> Self {
        let scrolled_ms = Rc::new(Cell::new(0.0));
        let noting = scrolled_ms.clone();
        let scrolling = window_event_listener(ev::scroll, move |_| noting.set(js_sys::Date::now()));
        on_cleanup(move || scrolling.remove());
        Self(Rc::new(Workings { easel, hold: Cell::new(Hold::Nothing), down: RefCell::default(), scrolled_ms }))
    }

    /// A button or finger comes down.
    pub(super) fn press(&self, event: &ev::PointerEvent) {
        let Some(at) = self.place(event).filter(|_| event.button() == 0) else { return };
        if let Some(field) = self.0.easel.field.get_untracked() {
            // The drag goes on when the pointer leaves the chart; without capture it ends there, which is no harm.
            let _ = field.set_pointer_capture(event.pointer_id());
        }
        let mut down = self.0.down.borrow_mut();
        down.retain(|(pointer, _)| *pointer != event.pointer_id());
        down.push((event.pointer_id(), at));
        let view = self.0.easel.desk.view();
        self.0.hold.set(match down[..] {
            [(_, one), (_, two), ..] => {
                Hold::Pinch { distance: (one.x - two.x).abs().max(16.0), middle: (one.x + two.x) / 2.0, view }
            }
            _ if event.shift_key() => Hold::Box { from: at.x },
            _ => Hold::Press { at, view },
        });
    }

    /// A pointer moves, pressed or not.
    pub(super) fn go(&self, event: &ev::PointerEvent) {
        let Some(at) = self.place(event) else { return };
        if let Some(pressed) = self.0.down.borrow_mut().iter_mut().find(|(pointer, _)| *pointer == event.pointer_id()) {
            pressed.1 = at;
        }
        match self.0.hold.get() {
            Hold::Nothing => self.point(at),
            Hold::Press { at: began, view } => {
                if (at.x - began.x).abs() > SLACK {
                    self.0.hold.set(Hold::Drag { from: began.x, view });
                    self.0.easel.tip.set(None);
                }
            }
            Hold::Drag { from, view } => self.drag(view, from, at.x),
            Hold::Box { from } => self.box_in(Some((from, at.x))),
            Hold::Pinch { distance, middle, view } => self.pinch(distance, middle, view),
        }
    }

    /// A button or finger goes up.
    pub(super) fn release(&self, event: &ev::PointerEvent) {
        let at = self.place(event);
        match (self.0.hold.get(), at) {
            (Hold::Box { from }, Some(at)) => {
                self.box_in(None);
                if (at.x - from).abs() > SLACK
                    && let Some((one, two)) = self.with_layout(|layout| (layout.from_x(from), layout.from_x(at.x)))
                {
                    self.0.easel.desk.look_at((one.min(two), one.max(two)));
                }
            }
            (Hold::Press { .. }, Some(at)) => {
                self.point(at);
                let desk = self.0.easel.desk;
                let is_by_step = desk.look.read_untracked().axis == Axis::Step;
                let place = self.with_layout(|layout| layout.from_x(at.x)).filter(|place| is_by_step && *place >= 0.0);
                desk.pressed.set(place.map(|place| place.round() as u64));
                if let Some(number) = self.marks_at(at).first() {
                    desk.picked.set(Some(*number));
                }
            }
            _ => {}
        }
        self.let_go(event.pointer_id());
    }

    /// The browser took the pointer over, to scroll.
    pub(super) fn cancel(&self, event: &ev::PointerEvent) {
        self.box_in(None);
        self.let_go(event.pointer_id());
    }

    /// The pointer leaves.
    pub(super) fn leave(&self, event: &ev::PointerEvent) {
        if matches!(self.0.hold.get(), Hold::Nothing) && event.pointer_type() == "mouse" {
            self.0.easel.desk.crosshair.set(None);
            self.0.easel.tip.set(None);
        }
    }

    /// The wheel turns: up and down zooms, sideways moves.
    pub(super) fn wheel(&self, event: &ev::WheelEvent) {
        if js_sys::Date::now() - self.0.scrolled_ms.get() < SCROLL_PAUSE_MS {
            return;
        }
        event.prevent_default();
        let Some(at) = self.place(event) else { return };
        // Lines and pages, as some wheels count, in pixels.
        let unit = [1.0, 16.0, 400.0][event.delta_mode().min(2) as usize];
        let (across, down) = (event.delta_x() * unit, event.delta_y() * unit);
        let view = self.0.easel.desk.view();
        if across.abs() > down.abs() {
            let width = self.with_layout(|layout| layout.plot.width).unwrap_or(1.0).max(1.0);
            self.0.easel.desk.look_at(view.moved(across / width));
        } else if let Some(about) =
            self.with_layout(|layout| layout.from_x(at.x.clamp(layout.plot.x, layout.plot.right())))
        {
            self.0.easel.desk.look_at(view.zoomed(about, (-down.clamp(-240.0, 240.0) * 0.0022).exp()));
        }
    }

    /// A key, while the chart has the focus.
    pub(super) fn key(&self, event: &ev::KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let desk = self.0.easel.desk;
        let view = desk.view();
        let middle = desk
            .crosshair
            .get_untracked()
            .filter(|place| (view.from..=view.to).contains(place))
            .unwrap_or(view.from + view.length() / 2.0);
        match (event.key().as_str(), event.shift_key()) {
            ("+" | "=", _) => desk.look_at(view.zoomed(middle, 1.5)),
            ("-" | "_", _) => desk.look_at(view.zoomed(middle, 1.0 / 1.5)),
            ("0", _) => desk.sight.set(Sight::Whole),
            ("ArrowLeft", true) => desk.look_at(view.moved(-0.2)),
            ("ArrowRight", true) => desk.look_at(view.moved(0.2)),
            ("ArrowLeft", false) => desk.crosshair.set(Some((middle - view.length() / 100.0).max(view.from))),
            ("ArrowRight", false) => desk.crosshair.set(Some((middle + view.length() / 100.0).min(view.to))),
            ("Home", _) => desk.crosshair.set(Some(view.from)),
            ("End", _) => desk.crosshair.set(Some(view.to)),
            ("Escape", _) => desk.crosshair.set(None),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    }

    fn place(&self, event: &web_sys::MouseEvent) -> Option<Point> {
        let rect = self.0.easel.field.get_untracked()?.get_bounding_client_rect();
        Some(Point::new(f64::from(event.client_x()) - rect.left(), f64::from(event.client_y()) - rect.top()))
    }

    fn with_layout<T>(&self, read: impl FnOnce(&figure::Layout) -> T) -> Option<T> {
        self.0.easel.drawn.borrow().as_ref().map(|drawn| read(&drawn.layout))
    }

    /// The crosshair follows; a mark under the pointer tells its story.
    fn point(&self, at: Point) {
        let place = self
            .with_layout(|layout| {
                layout.plot.grown(2.0).contains(Point::new(at.x, layout.plot.y)).then(|| layout.from_x(at.x))
            })
            .flatten();
        self.0.easel.desk.crosshair.set(place);
        let marks = self.marks_at(at);
        let tip = (!marks.is_empty()).then_some((at.x, marks));
        let told = self.0.easel.tip.with_untracked(|tip| tip.as_ref().map(|(_, numbers)| numbers.clone()));
        if told != tip.as_ref().map(|(_, numbers)| numbers.clone()) {
            self.0.easel.tip.set(tip);
        }
    }

    /// Journal numbers of the marks at a place, the newest first.
    fn marks_at(&self, at: Point) -> Vec<u64> {
        let drawn = self.0.easel.drawn.borrow();
        let Some((drawn, nearest)) = drawn.as_ref().and_then(|drawn| Some((drawn, drawn.layout.mark_near(at, REACH)?)))
        else {
            return vec![];
        };
        let place = drawn.layout.marks[nearest];
        let together = drawn
            .layout
            .marks
            .iter()
            .zip(&drawn.picture.marked)
            .rev()
            .filter(|(other, _)| (*other - place).abs() <= REACH);
        together.map(|(_, number)| *number).take(MOST_MARKS).collect()
    }

    fn drag(&self, view: View, from: f64, to: f64) {
        let width = self.with_layout(|layout| layout.plot.width).unwrap_or(1.0).max(1.0);
        self.0.easel.desk.look_at(view.moved((from - to) / width));
    }

    fn box_in(&self, boxed: Option<(f64, f64)>) {
        self.0.easel.boxed.set(boxed);
        self.0.easel.schedule_reading();
    }

    /// Fingers apart zoom in about the place that was between them, and carry it along.
    fn pinch(&self, distance: f64, middle: f64, view: View) {
        let down = self.0.down.borrow();
        let [(_, one), (_, two), ..] = down[..] else { return };
        let Some((plot_x, width)) = self.with_layout(|layout| (layout.plot.x, layout.plot.width.max(1.0))) else {
            return;
        };
        let factor = (one.x - two.x).abs().max(16.0) / distance;
        let about = view.from + (middle - plot_x) / width * view.length();
        let (from, to) = view.zoomed(about, factor);
        let shift = (middle - (one.x + two.x) / 2.0) / width * (to - from);
        self.0.easel.desk.look_at((from + shift, to + shift));
    }

    fn let_go(&self, pointer: i32) {
        let mut down = self.0.down.borrow_mut();
        down.retain(|(other, _)| *other != pointer);
        // The finger that stays goes on dragging from where it is.
        self.0.hold.set(match down.first() {
            Some((_, at)) => Hold::Drag { from: at.x, view: self.0.easel.desk.view() },
            None => Hold::Nothing,
        });
    }
}
