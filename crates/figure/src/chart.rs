//! A chart: its parts, and the function that draws it.

use wire::control::event::Author;
use wire::series::Axis;

use crate::axis::ScaleKind;
use crate::curve::{Curve, Style, extent, has_value, visible};
use crate::layout::Layout;
use crate::scene::{Dash, Fill, Form, Point, Role, Scene, Shape, Size, Stroke};
use crate::{frame, stack, summary};

/// A reference line.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Short label: `ln V`, `entropy floor`.
    pub label: String,
    /// Value on the y axis. The line is drawn where this costs the curves little height; otherwise its value is shown at the edge.
    pub value: f64,
    /// Colour: [`Role::Floor`] for the entropy floor, [`Role::InkFaint`] for the rest.
    pub role: Role,
}

/// A marker of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where on the x axis.
    pub x: f64,
    /// What, in a few words.
    pub phrase: String,
    /// Who; decides the form.
    pub author: Author,
    /// Whether it is an alarm.
    pub is_alarm: bool,
}

impl Mark {
    /// The shape of its author: triangle for a person, square for a rule, diamond for an agent, circle for the system.
    pub fn form(&self) -> Form {
        match self.author {
            Author::Person(_) => Form::Triangle,
            Author::Rule(_) => Form::Square,
            Author::Agent(_) => Form::Diamond,
            Author::System => Form::Circle,
        }
    }

    /// Its colour.
    pub fn role(&self) -> Role {
        match (self.is_alarm, &self.author) {
            (true, _) => Role::Alarm,
            (false, Author::System) => Role::InkFaint,
            _ => Role::InkSoft,
        }
    }
}

/// The parts around the curves: axes, legend and markers.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Title and legend.
    pub has_header: bool,
    /// Markers below the plot with their phrases; without it they are lines only.
    pub has_lane: bool,
    /// Tick labels of the x axis.
    pub has_x_labels: bool,
    /// A filled background, for files.
    pub has_background: bool,
    /// Left margin, pixels: stacked charts share it so that their x axes align.
    pub left_margin: Option<f64>,
}

impl Default for Frame {
    fn default() -> Self {
        Self { has_header: true, has_lane: false, has_x_labels: true, has_background: true, left_margin: None }
    }
}

/// A chart without its curves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartSpec {
    /// What is shown: `loss`.
    pub title: String,
    /// Unit of the values, as in [`wire::series::describe`].
    pub unit: String,
    /// The quantity of the x axis.
    pub axis: Axis,
    /// Scale of the x axis.
    pub x_scale: ScaleKind,
    /// Left end; the first bucket's if none.
    pub from: Option<f64>,
    /// Right end; the last bucket's if none.
    pub to: Option<f64>,
    /// Scale of the y axis.
    pub y_scale: ScaleKind,
    /// Lower end; by what is in sight if none.
    pub y_from: Option<f64>,
    /// Upper end, likewise.
    pub y_to: Option<f64>,
    /// Fit the y axis to this share of the buckets (0.99, say) and mark what reaches beyond; to all of them if none.
    pub y_share: Option<f64>,
    /// The y axis reaches down to 0.
    pub has_zero: bool,
    /// Reference lines.
    pub references: Vec<Reference>,
    /// Markers, in order.
    pub marks: Vec<Mark>,
    /// A place on the x axis to read the values at.
    pub crosshair: Option<f64>,
    /// Axes, legend and markers.
    pub frame: Frame,
}

impl ChartSpec {
    /// The unit of its x axis.
    pub fn x_unit(&self) -> &'static str {
        match self.axis {
            Axis::Step => "steps",
            Axis::Tokens => "tokens",
            Axis::Secs => "s",
            Axis::Flops => "FLOP",
        }
    }
}

/// A chart, drawn, and where everything is.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// What to paint.
    pub scene: Scene,
    /// What to point with.
    pub layout: Layout,
}

/// Draws a chart of `size` pixels.
pub fn chart(spec: &ChartSpec, curves: &[Curve], size: Size) -> Drawing {
    let layout = Layout::new(spec, curves, size);
    let mut shapes = frame::ground(spec, &layout);
    let mut inner = frame::reference_lines(spec, &layout);
    inner.extend(frame::mark_lines(spec, &layout));
    inner.extend(stack::shapes(curves, &layout));
    for curve in drawing_order(curves) {
        inner.extend(curve.shapes(&layout));
        inner.extend(clipped(curve, &layout));
    }
    // Half a line's width more, or curves along an edge would be thinner there.
    shapes.push(Shape::Group { clip: layout.plot.grown(1.0), shapes: inner });
    shapes.extend(frame::reference_labels(spec, &layout));
    shapes.extend(frame::end_labels(curves, &layout));
    shapes.extend(curves.iter().filter(|curve| curve.is_live).flat_map(|curve| glow(curve, curves, &layout)));
    shapes.extend(frame::lane(spec, &layout));
    shapes.extend(frame::header(spec, curves, &layout));
    if let Some(x) = spec.crosshair {
        shapes.extend(crosshair(&layout, curves, x));
        shapes.extend(frame::place_label(spec, &layout, x));
    }
    let scene =
        Scene { size: layout.size, title: spec.title.clone(), summary: summary::describe(spec, curves), shapes };
    Drawing { scene, layout }
}

/// A line at a place on the x axis with a dot on every curve: drawn separately from the chart, so that moving it does not redraw the chart.
/// Nothing outside the plot.
pub fn crosshair(layout: &Layout, curves: &[Curve], x: f64) -> Vec<Shape> {
    if !layout.x.contains(x) {
        return Vec::new();
    }
    let (place, plot) = (layout.to_x(x), layout.plot);
    let stroke = Stroke::solid(Role::InkSoft, 1.0).faint(0.6);
    let mut shapes = vec![Shape::line(Point::new(place, plot.y), Point::new(place, plot.bottom()), stroke)];
    for reading in layout.readings(curves, x) {
        if reading.at.y.is_finite() && plot.grown(1.0).contains(reading.at) {
            shapes.push(Shape::dot(reading.at, 4.5, Fill::solid(Role::Surface)));
            shapes.push(Shape::dot(reading.at, 3.0, Fill::solid(curves[reading.curve].role)));
        }
    }
    shapes
}

/// Order of drawing: abandoned segments, plans, measured curves, live ones on top; stacked ones are drawn separately.
fn drawing_order<'a, 'b>(curves: &'b [Curve<'a>]) -> Vec<&'b Curve<'a>> {
    let mut order: Vec<&Curve> = curves.iter().filter(|curve| curve.style != Style::Stacked).collect();
    order.sort_by_key(|curve| {
        (curve.is_live, [Style::Abandoned, Style::Planned].iter().position(|style| *style == curve.style).unwrap_or(2))
    });
    order
}

/// Pixels within which clipped spikes share one mark.
const CLIPPED_SPACING: f64 = 8.0;

/// Small marks at the edge where a curve leaves the y axis.
fn clipped(curve: &Curve, layout: &Layout) -> Vec<Shape> {
    let plot = layout.plot;
    let mut shapes: Vec<Shape> = Vec::new();
    let mut ends = [f64::NEG_INFINITY; 2];
    for bucket in visible(curve.buckets, layout.x.from, layout.x.to).iter().filter(|bucket| has_value(bucket)) {
        let (low, high) = extent(bucket);
        let x = layout.to_x(crate::curve::middle(bucket));
        let edges = [
            (high > layout.y.to, plot.y + 4.0, Form::Triangle),
            (low < layout.y.from, plot.bottom() - 4.0, Form::TriangleDown),
        ];
        for ((leaves, y, form), end) in edges.into_iter().zip(&mut ends) {
            if leaves && x >= plot.x && x <= plot.right() && x - *end >= CLIPPED_SPACING {
                *end = x;
                shapes.push(Shape::Marker { at: Point::new(x, y), size: 3.5, form, fill: Fill::solid(curve.role) });
            }
        }
    }
    shapes
}

/// The dot at the end of a live run, in ember whatever the colour of its curve.
fn glow(curve: &Curve, curves: &[Curve], layout: &Layout) -> Vec<Shape> {
    let Some(last) = curve.last() else { return Vec::new() };
    let index = curves.iter().position(|other| std::ptr::eq(other, curve));
    let value = match index {
        Some(index) if curve.style == Style::Stacked => stack::top(curves, index, last.last_x),
        _ => last.mean,
    };
    let at = Point::new(layout.to_x(crate::curve::middle(last)), layout.to_y(value));
    if !layout.plot.grown(2.0).contains(at) {
        return Vec::new();
    }
    [(11.0, 0.10), (7.0, 0.18), (3.2, 1.0)]
        .map(|(radius, opacity)| Shape::dot(at, radius, Fill::faint(Role::Ember, opacity)))
        .into()
}

/// The look of lines that values are read against.
pub(crate) fn reference_stroke(reference: &Reference) -> Stroke {
    Stroke::solid(reference.role, 1.0).dashed(Dash::Dashed).faint(0.85)
}
