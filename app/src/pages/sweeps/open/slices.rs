//! Slices: the value of each trial against one parameter, with the running median and the range between the quartiles.

use figure::scene::{Anchor, Fill, Point, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::sweep::record::{Trial, TrialState};

use super::median::{Quartiles, quartiles, running};
use super::quantity::{AxisValues, Quantity, QuantityAxis};
use super::state::OpenSweep;
use crate::components::hyperparameters::with_comma;
use crate::components::number::counted;
use crate::components::{Canvas, shows};

const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;
/// Half the width of the quartiles of a choice, pixels.
const HALF: f64 = 14.0;

/// A trial of a slice.
#[derive(Debug, Clone, PartialEq)]
struct Dot {
    number: u64,
    x: f64,
    y: f64,
    is_finished: bool,
}

#[component]
pub(super) fn SlicesPanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let parameters = Memo::new(move |_| {
        let of_parameter = |axis: &&QuantityAxis| matches!(axis.quantity, Quantity::Parameter(_));
        open.axes.read().iter().filter(of_parameter).map(|axis| axis.quantity.clone()).collect::<Vec<_>>()
    });
    view! {
        <section class="sheet padded stack" aria-label="Slices">
            <div class="row">
                <h2>"Slices"</h2>
                <span class="small dim">
                    "The value of each trial against one parameter. Line: running median of finished trials; area: between their quartiles."
                </span>
            </div>
            <div class="slices">
                {shows(move || parameters.get().into_iter().map(|quantity| view! { <Slice quantity /> }).collect_view())}
            </div>
        </section>
    }
}

#[component]
fn Slice(quantity: Quantity) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let of = StoredValue::new(quantity);
    let pair = Memo::new(move |_| {
        let axes = open.axes.read();
        let find = |quantity: &Quantity| axes.iter().find(|axis| axis.quantity == *quantity).cloned();
        find(&of.read_value()).zip(find(&Quantity::Value))
    });
    let dots = Memo::new(move |_| match &*pair.read() {
        Some((x, y)) => open.trials.read().iter().filter_map(|trial| dot(trial, x, y)).collect(),
        None => vec![],
    });
    let middle = Memo::new(move |_| match &*pair.read() {
        Some((x, _)) => medians(&dots.read(), x),
        None => vec![],
    });
    let draw = move |size: Size, _: bool| match &*pair.read() {
        Some((x, y)) => {
            let mut shapes = frame(x, y, size);
            shapes.extend(band(&middle.read(), x, size));
            let brushed = open.brushed.read();
            let is_on = |number: u64| brushed.as_ref().is_none_or(|brushed| brushed.contains(&number));
            let pointed = open.pointed.get();
            shapes
                .extend(dots.read().iter().map(|dot| dot.shape(is_on(dot.number), pointed == Some(dot.number), size)));
            shapes
        }
        None => vec![],
    };
    let title =
        move || pair.read().as_ref().map(|(x, _)| format!("{}{}", x.label, with_comma(x.unit))).unwrap_or_default();
    let label = Signal::derive(move || match &*pair.read() {
        Some((x, y)) => summary(x, y, &dots.read(), &middle.read()),
        None => String::new(),
    });
    view! {
        <figure class="slice">
            <figcaption class="small"><h3>{title}</h3></figcaption>
            <Canvas class="slice-plot" file="slice" label draw />
        </figure>
    }
}

fn dot(trial: &Trial, x: &QuantityAxis, y: &QuantityAxis) -> Option<Dot> {
    let (x, y) = (x.place_of(trial)?, y.place_of(trial)?);
    Some(Dot { number: trial.number, x, y, is_finished: trial.state == TrialState::Finished })
}

/// The running median of finished trials; of an axis of choices, the quartiles of each.
fn medians(dots: &[Dot], x: &QuantityAxis) -> Vec<Quartiles> {
    let finished = || dots.iter().filter(|dot| dot.is_finished);
    match &x.values {
        AxisValues::Numbers(_) => running(finished().map(|dot| (dot.x, dot.y)).collect()),
        AxisValues::Choices(choices) => {
            let place = |at: usize| (at as f64 + 0.5) / choices.len() as f64;
            let at = |place: f64| finished().filter(|dot| (dot.x - place).abs() < 1e-9).map(|dot| dot.y).collect();
            (0..choices.len()).map(place).filter_map(|place| quartiles(place, at(place))).collect()
        }
    }
}

/// What the slice shows, in words.
fn summary(x: &QuantityAxis, y: &QuantityAxis, dots: &[Dot], middle: &[Quartiles]) -> String {
    let text = |axis: &QuantityAxis, place: f64| axis.text(&axis.at(place));
    let best = middle.iter().min_by(|a, b| a.median.total_cmp(&b.median));
    let lowest = best.map(|best| {
        let value = format!("{} {}", text(y, best.median), y.unit);
        format!("; the running median is lowest, {}, at {}", value.trim_end(), text(x, best.place))
    });
    format!("{} against {}: {}{}", y.label, x.label, counted(dots.len() as u64, "trial"), lowest.unwrap_or_default())
}

fn x_of(place: f64, size: Size) -> f64 {
    LEFT + (size.width - LEFT - RIGHT) * place
}

fn y_of(place: f64, size: Size) -> f64 {
    TOP + (size.height - TOP - BOTTOM) * (1.0 - place)
}

/// Grid lines with labels.
fn frame(x: &QuantityAxis, y: &QuantityAxis, size: Size) -> Vec<Shape> {
    let grid = || Stroke::solid(Role::Grid, 1.0);
    let mut shapes = vec![];
    for (place, label) in y.ticks(4) {
        let at = y_of(place, size);
        shapes.push(Shape::line(Point::new(LEFT, at), Point::new(size.width - RIGHT, at), grid()));
        let text = Text::numbers(Point::new(LEFT - 6.0, at + 3.5), label, 10.0, Role::InkSoft);
        shapes.push(text.anchored(Anchor::End).into());
    }
    for (place, label) in x.ticks(4) {
        let at = x_of(place, size);
        shapes.push(Shape::line(Point::new(at, TOP), Point::new(at, size.height - BOTTOM), grid()));
        let text = Text::numbers(Point::new(at, size.height - 6.0), label, 10.0, Role::InkSoft);
        shapes.push(text.anchored(Anchor::Middle).into());
    }
    shapes
}

/// The median as a line in an area; on an axis of choices, a short line in an area for each choice.
fn band(middle: &[Quartiles], x: &QuantityAxis, size: Size) -> Vec<Shape> {
    let point = |place: f64, value: f64| Point::new(x_of(place, size), y_of(value, size));
    let fill = Fill::faint(Role::InkFaint, 0.25);
    let stroke = Stroke::solid(Role::Ink, 1.5);
    if let AxisValues::Choices(_) = x.values {
        let of_choice = |one: &Quartiles| {
            let (low, mid, high) =
                (point(one.place, one.low), point(one.place, one.median), point(one.place, one.high));
            let side = |at: Point, by: f64| Point::new(at.x + by, at.y);
            let points = vec![side(low, -HALF), side(low, HALF), side(high, HALF), side(high, -HALF)];
            [Shape::Area { points, fill }, Shape::line(side(mid, -HALF), side(mid, HALF), stroke)]
        };
        return middle.iter().flat_map(of_choice).collect();
    }
    if middle.len() < 2 {
        return vec![];
    }
    let below = middle.iter().map(|one| point(one.place, one.low));
    let above = middle.iter().rev().map(|one| point(one.place, one.high));
    let points = middle.iter().map(|one| point(one.place, one.median)).collect();
    vec![Shape::Area { points: below.chain(above).collect(), fill }, Shape::Polyline { points, stroke }]
}

impl Dot {
    /// Trials that ended early are faint.
    fn shape(&self, is_on: bool, is_pointed: bool, size: Size) -> Shape {
        let center = Point::new(x_of(self.x, size), y_of(self.y, size));
        let opacity = if self.is_finished { 0.85 } else { 0.55 };
        match (is_pointed, is_on) {
            (true, _) => Shape::dot(center, 5.0, Fill::solid(Role::Accent)),
            (false, true) => Shape::dot(center, 3.0, Fill::faint(Role::Run(0), opacity)),
            (false, false) => Shape::dot(center, 2.5, Fill::faint(Role::InkFaint, 0.3)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::quantity::axes;
    use super::super::quantity::tests::{spec, trial};
    use super::*;

    #[test]
    fn a_choice_has_the_quartiles_of_its_finished_trials() {
        let of = |number: u64, width: u64, last: f64| trial(number, &[("model.d_model", json!(width))], Some(last));
        let stopped = Trial { state: TrialState::Stopped, ..of(3, 32, 5.0) };
        let trials = [of(0, 32, 1.0), of(1, 32, 3.0), of(2, 64, 2.0), stopped];
        let axes = axes(&spec(), &trials);
        let (x, y) = (&axes[0], &axes[2]);
        let dots: Vec<Dot> = trials.iter().filter_map(|trial| dot(trial, x, y)).collect();
        assert_eq!(dots.len(), 4);
        let found = medians(&dots, x);
        // The axis of values reaches from 1 to 5.
        let medians: Vec<(f64, f64)> = found.iter().map(|one| (one.place, one.median)).collect();
        assert_eq!(medians, [(0.25, 0.25), (0.75, 0.25)]);
        assert_eq!(
            summary(x, y, &dots, &found),
            "Validation loss against Model width: 4 trials; the running median is lowest, 2.000 nats/token, at 32"
        );
    }
}
