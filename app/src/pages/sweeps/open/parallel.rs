//! Parallel coordinates: an axis for each parameter and for the value, a line for each trial, and a range that is chosen on an axis by
//! dragging. The fields of [`super::ranges`] choose the same ranges.

use std::collections::BTreeSet;

use figure::scene::{Anchor, Fill, Font, Point, Rect, Role, Shape, Size, Stroke, Text, text_width};
use leptos::prelude::*;

use super::brushes::{Brushes, Drag, press};
use super::quantity::QuantityAxis;
use super::ranges::RangeFields;
use super::state::OpenSweep;
use crate::components::number::counted;
use crate::components::{Canvas, CanvasEvent, Icon, OnCanvasEvent, clicks, says, shows};

/// Space above the axes for their labels, and below, pixels.
const TOP: f64 = 40.0;
const BOTTOM: f64 = 16.0;
/// Space beside the first and the last axis, for tick labels.
const SIDE: f64 = 48.0;
/// Distance of the pointer from an axis within which it chooses a range.
const NEAR: f64 = 26.0;
/// Half the width of a range.
const HALF: f64 = 7.0;
/// Height of the font of tick labels, and their distance from the axis: a range does not reach them.
const TICK: f64 = 10.0;
const TICK_GAP: f64 = HALF + 2.0;
/// Width that an axis needs on a small screen.
const AXIS_WIDTH: usize = 92;
const KEYS: &str = "Parallel coordinates: left and right choose an axis, up and down move its range, with Shift its upper end, Delete removes \
    it, Escape removes all ranges";

/// A trial as it is drawn: its number, and its place on each axis.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    number: u64,
    places: Vec<Option<f64>>,
}

/// Axes, lines and ranges, and which of them are marked.
struct Drawing<'a> {
    axes: &'a [QuantityAxis],
    lines: &'a [Line],
    brushes: &'a Brushes,
    brushed: Option<&'a BTreeSet<u64>>,
    pointed: Option<u64>,
    /// The axis that keys change.
    focused: Option<usize>,
}

#[component]
pub(super) fn ParallelPanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    // Places change with the trials, not with the ranges, which change with each movement of the pointer.
    let lines = Memo::new(move |_| {
        let axes = open.axes.read();
        let line = |trial: &wire::sweep::record::Trial| Line {
            number: trial.number,
            places: axes.iter().map(|axis| axis.place_of(trial)).collect(),
        };
        open.trials.read().iter().map(line).collect::<Vec<_>>()
    });
    let focused = RwSignal::new(None::<usize>);
    let draw = move |size: Size, _: bool| {
        let (axes, lines, brushes, brushed) =
            (open.axes.read(), lines.read(), open.brushes.read(), open.brushed.read());
        Drawing {
            axes: &axes,
            lines: &lines,
            brushes: &brushes,
            brushed: brushed.as_ref(),
            pointed: open.pointed.get(),
            focused: focused.get(),
        }
        .shapes(size)
    };
    let drag = StoredValue::new(None::<Drag>);
    let on_event: OnCanvasEvent =
        Callback::new(move |(event, size): (CanvasEvent, Size)| handle(open, drag, focused, event, size));
    let count = says(move || match &*open.brushed.read() {
        Some(brushed) => {
            format!("{} of {} in the chosen ranges", brushed.len(), counted(open.trials.read().len() as u64, "trial"))
        }
        None => "Drag on an axis to choose a range; a click removes it".to_owned(),
    });
    let label = Signal::derive(move || {
        let names: Vec<String> = open.axes.read().iter().map(|axis| axis.label.clone()).collect();
        format!("{} as lines over {}", counted(open.trials.read().len() as u64, "trial"), names.join(", "))
    });
    let width = move || format!("{}px", open.axes.read().len() * AXIS_WIDTH);
    view! {
        <section class="sheet padded stack" aria-label="Parallel coordinates">
            <div class="row">
                <h2>"Parallel coordinates"</h2>
                <span class="small dim" role="status">{count}</span>
                <span class="grow"></span>
                {shows(move || (!open.brushes.read().is_empty()).then(|| view! {
                    <button title="Remove the ranges of all axes" on:click=clicks(move |_| open.brushes.update(Brushes::clear))>
                        <Icon name="close" />
                        "Clear ranges"
                    </button>
                }))}
            </div>
            <div class="scroll">
                <div style:min-width=width>
                    <Canvas class="parallel" file="parallel-coordinates" label draw on_event keys=KEYS />
                </div>
            </div>
            <RangeFields />
        </section>
    }
}

/// Whether the event did something.
fn handle(
    open: OpenSweep,
    drag: StoredValue<Option<Drag>>,
    focused: RwSignal<Option<usize>>,
    event: CanvasEvent,
    size: Size,
) -> bool {
    match event {
        CanvasEvent::Press(at) => {
            let axes = open.axes.read_untracked();
            let Some(near) = nearest(at, size, axes.len()) else { return false };
            let place = place_at(at.y, size);
            let started = Drag::start(&open.brushes.read_untracked(), &axes[near].quantity, place);
            open.brushes.update(|brushes| started.go(brushes, place));
            drag.set_value(Some(started));
            true
        }
        CanvasEvent::Over { at, is_held: true } => drag.with_value(|drag| {
            let Some(drag) = drag else { return false };
            open.brushes.update(|brushes| drag.go(brushes, place_at(at.y, size)));
            true
        }),
        CanvasEvent::Release => {
            let Some(ended) = drag.try_update_value(Option::take).flatten() else { return false };
            open.brushes.update(|brushes| ended.end(brushes));
            true
        }
        CanvasEvent::Key { name, is_shifted } => press_key(open, focused, &name, is_shifted),
        _ => false,
    }
}

/// Whether the key did something.
fn press_key(open: OpenSweep, focused: RwSignal<Option<usize>>, key: &str, is_shifted: bool) -> bool {
    let count = open.axes.with_untracked(Vec::len);
    if count == 0 {
        return false;
    }
    let at = focused.get_untracked().filter(|at| *at < count);
    let quantity = || open.axes.with_untracked(|axes| axes[at.unwrap_or(0)].quantity.clone());
    match key {
        "ArrowRight" => focused.set(Some(at.map_or(0, |at| (at + 1) % count))),
        "ArrowLeft" => focused.set(Some(at.map_or(count - 1, |at| (at + count - 1) % count))),
        "ArrowUp" | "ArrowDown" => {
            focused.set(Some(at.unwrap_or(0)));
            open.brushes.update(|brushes| press(brushes, &quantity(), key == "ArrowUp", is_shifted));
        }
        "Delete" | "Backspace" => open.brushes.update(|brushes| {
            brushes.remove(&quantity());
        }),
        "Escape" if !open.brushes.read_untracked().is_empty() => open.brushes.update(Brushes::clear),
        _ => return false,
    }
    true
}

/// The distance of an axis from the left edge, pixels.
fn axis_x(at: usize, count: usize, size: Size) -> f64 {
    match count {
        0 | 1 => size.width / 2.0,
        count => SIDE + (size.width - 2.0 * SIDE) * at as f64 / (count - 1) as f64,
    }
}

/// The axis near a position.
fn nearest(at: Point, size: Size, count: usize) -> Option<usize> {
    let distance = |axis: usize| (axis_x(axis, count, size) - at.x).abs();
    (0..count).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).filter(|axis| distance(*axis) <= NEAR)
}

fn y_of(place: f64, size: Size) -> f64 {
    TOP + (size.height - TOP - BOTTOM) * (1.0 - place)
}

fn place_at(y: f64, size: Size) -> f64 {
    (1.0 - (y - TOP) / (size.height - TOP - BOTTOM).max(1.0)).clamp(0.0, 1.0)
}

impl Drawing<'_> {
    fn shapes(&self, size: Size) -> Vec<Shape> {
        let mut shapes = Vec::with_capacity(self.lines.len() + self.axes.len() * 12);
        let is_on = |line: &&Line| self.brushed.is_none_or(|brushed| brushed.contains(&line.number));
        // The chosen trials are drawn over the others, and the one under the pointer over all.
        for line in self.lines.iter().filter(|line| !is_on(line)) {
            self.line(line, Stroke::solid(Role::InkFaint, 1.0).faint(0.22), size, &mut shapes);
        }
        let opacity = if self.brushed.is_some() { 0.85 } else { 0.5 };
        for line in self.lines.iter().filter(is_on) {
            self.line(line, Stroke::solid(Role::Run(0), 1.2).faint(opacity), size, &mut shapes);
        }
        for line in self.lines.iter().filter(|line| Some(line.number) == self.pointed) {
            self.line(line, Stroke::solid(Role::Accent, 2.5), size, &mut shapes);
        }
        for (at, axis) in self.axes.iter().enumerate() {
            self.axis(at, axis, size, &mut shapes);
        }
        shapes
    }

    /// The parts of a line between axes on which its trial has places; a dot where it has one only.
    fn line(&self, line: &Line, stroke: Stroke, size: Size, shapes: &mut Vec<Shape>) {
        let count = line.places.len();
        let mut points: Vec<Point> = vec![];
        let mut end = |points: &mut Vec<Point>| match std::mem::take(points) {
            points if points.len() > 1 => shapes.push(Shape::Polyline { points, stroke }),
            points => shapes.extend(
                points.into_iter().map(|point| Shape::dot(point, 2.0, Fill::faint(stroke.role, stroke.opacity))),
            ),
        };
        for (at, place) in line.places.iter().enumerate() {
            match place {
                Some(place) => points.push(Point::new(axis_x(at, count, size), y_of(*place, size))),
                None => end(&mut points),
            }
        }
        end(&mut points);
    }

    fn axis(&self, at: usize, axis: &QuantityAxis, size: Size, shapes: &mut Vec<Shape>) {
        let (count, x) = (self.axes.len(), axis_x(at, self.axes.len(), size));
        let (top, bottom) = (y_of(1.0, size), y_of(0.0, size));
        shapes.push(Shape::line(Point::new(x, top), Point::new(x, bottom), Stroke::solid(Role::AxisLine, 1.0)));
        if let Some((low, high)) = self.brushes.get(&axis.quantity) {
            let (from, to) = (y_of(*high, size), y_of(*low, size));
            let rect = Rect::new(x - HALF, from, 2.0 * HALF, (to - from).max(1.0));
            shapes.push(Shape::Rect { rect, radius: 3.0, fill: Fill::faint(Role::Accent, 0.35) });
        }
        shapes.extend(ticks(axis, x, size));
        let spacing = if count > 1 { (size.width - 2.0 * SIDE) / (count - 1) as f64 } else { size.width };
        shapes.extend(heading(axis, at, count, x, spacing, self.focused == Some(at)));
    }
}

/// The ticks of an axis. Their labels are left of it, or right if one is wider than the space there, and cover the lines of trials.
fn ticks(axis: &QuantityAxis, x: f64, size: Size) -> Vec<Shape> {
    let ticks = axis.ticks(5);
    let width = |label: &str| text_width(label, TICK, Font::Numbers);
    let is_left = ticks.iter().all(|(_, label)| width(label) <= x - TICK_GAP);
    let of_tick = |(place, label): (f64, String)| {
        let (y, width) = (y_of(place, size), width(&label));
        let left = if is_left { x - TICK_GAP - width } else { x + TICK_GAP };
        let rect = Rect::new(left - 2.0, y - 7.0, width + 4.0, 14.0);
        let mark = Shape::line(Point::new(x - 3.0, y), Point::new(x + 3.0, y), Stroke::solid(Role::AxisLine, 1.0));
        let ground = Shape::Rect { rect, radius: 2.0, fill: Fill::faint(Role::Surface, 0.85) };
        [mark, ground, Text::numbers(Point::new(left, y + 3.5), label, TICK, Role::InkSoft).into()]
    };
    ticks.into_iter().flat_map(of_tick).collect()
}

/// The label of an axis, and its unit below.
fn heading(axis: &QuantityAxis, at: usize, count: usize, x: f64, spacing: f64, is_focused: bool) -> Vec<Shape> {
    let (x, anchor) = match at {
        0 => (2.0f64.max(x - SIDE + 2.0), Anchor::Start),
        at if at + 1 == count => (x + SIDE - 2.0, Anchor::End),
        _ => (x, Anchor::Middle),
    };
    let role = if is_focused { Role::Accent } else { Role::Ink };
    let label = Text::words(Point::new(x, 14.0), fitted(&axis.label, 11.0, spacing - 8.0), 11.0, role).strong();
    let unit = Text::words(Point::new(x, 28.0), fitted(axis.unit, 10.0, spacing - 8.0), 10.0, Role::InkSoft);
    vec![label.anchored(anchor).into(), unit.anchored(anchor).into()]
}

/// A text that fits into a width: its end is left out.
fn fitted(text: &str, size: f64, width: f64) -> String {
    let wide = |text: &str| text_width(text, size, Font::Words) * 1.15;
    if wide(text) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while !kept.is_empty() && wide(&kept) > width - size {
        kept.pop();
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::quantity::axes;
    use super::super::quantity::tests::{spec, trial};
    use super::*;

    const SIZE: Size = Size::new(496.0, 256.0);

    #[test]
    fn a_position_is_on_the_nearest_axis() {
        assert_eq!(nearest(Point::new(50.0, 100.0), SIZE, 3), Some(0));
        assert_eq!(nearest(Point::new(250.0, 100.0), SIZE, 3), Some(1));
        assert_eq!(nearest(Point::new(140.0, 100.0), SIZE, 3), None, "between two axes");
        assert_eq!(nearest(Point::new(140.0, 100.0), SIZE, 0), None);
        assert_eq!((place_at(TOP, SIZE), place_at(SIZE.height - BOTTOM, SIZE)), (1.0, 0.0));
        assert_eq!(place_at(y_of(0.25, SIZE), SIZE), 0.25);
    }

    #[test]
    fn chosen_trials_are_drawn_over_the_others() {
        let values = |rate: f64| [("optimizer.learning_rate", json!(rate)), ("model.d_model", json!(32))];
        let trials =
            [trial(0, &values(1e-3), Some(2.0)), trial(1, &values(1e-2), Some(3.0)), trial(2, &values(1e-4), None)];
        let axes = axes(&spec(), &trials);
        let lines: Vec<Line> = trials
            .iter()
            .map(|trial| Line { number: trial.number, places: axes.iter().map(|axis| axis.place_of(trial)).collect() })
            .collect();
        let brushed = BTreeSet::from([0]);
        let drawing = Drawing {
            axes: &axes,
            lines: &lines,
            brushes: &Brushes::default(),
            brushed: Some(&brushed),
            pointed: Some(1),
            focused: None,
        };
        let roles: Vec<Role> = drawing
            .shapes(SIZE)
            .iter()
            .filter_map(|shape| match shape {
                Shape::Polyline { points, stroke } if points.len() > 2 || stroke.role == Role::InkFaint => {
                    Some(stroke.role)
                }
                _ => None,
            })
            .collect();
        assert_eq!(roles, [Role::InkFaint, Role::InkFaint, Role::Run(0), Role::Accent]);
    }

    #[test]
    fn tick_labels_are_left_of_an_axis_and_cover_the_lines() {
        let axes = axes(&spec(), &[trial(0, &[], Some(2.0))]);
        for (x, is_left) in [(SIDE, true), (TICK_GAP + 1.0, false)] {
            let shapes = ticks(&axes[0], x, SIZE);
            assert!(matches!(&shapes[1], Shape::Rect { fill, .. } if fill.role == Role::Surface), "{:?}", shapes[1]);
            let Shape::Text(text) = &shapes[2] else { panic!("{:?}", shapes[2]) };
            assert_eq!(text.at.x < x, is_left, "{text:?}");
        }
    }

    #[test]
    fn a_long_label_is_shortened() {
        assert_eq!(fitted("Steps", 11.0, 200.0), "Steps");
        let short = fitted("Final learning rate, a fraction of the peak", 11.0, 84.0);
        assert!(short.ends_with('…') && short.len() < 24, "{short}");
    }
}
