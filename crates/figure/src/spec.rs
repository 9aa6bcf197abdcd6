//! A chart without its curves: title, axes, reference lines, markers and frame.

use wire::control::author::Author;
use wire::series::Axis;

use crate::axis::ScaleKind;
use crate::scene::{Dash, Form, Role, Stroke};

/// A reference line.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Short label: `ln V`, `entropy floor`.
    pub label: String,
    /// Value on the y axis. The line is drawn if the curves keep most of their height; otherwise its value is shown at the edge.
    pub value: f64,
    /// Colour: [`Role::Floor`] for the entropy floor, [`Role::InkFaint`] for the rest.
    pub role: Role,
}

/// A marker of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// Position on the x axis.
    pub x: f64,
    /// Short text of the event.
    pub phrase: String,
    /// Author; determines the shape.
    pub author: Author,
    /// Whether it is an alarm.
    pub is_alarm: bool,
    /// Whether the event changed the training. Of several markers at one position, the phrase of such a one is written.
    pub is_change: bool,
}

impl Reference {
    /// The dashed line of a reference value.
    pub(crate) fn stroke(&self) -> Stroke {
        Stroke::solid(self.role, 1.0).dashed(Dash::Dashed).faint(0.85)
    }
}

impl Marker {
    /// The shape of its author: triangle for a person, square for a rule, diamond for an agent, circle for the system.
    pub fn form(&self) -> Form {
        match self.author {
            Author::Person(_) => Form::Triangle,
            Author::Rule(_) => Form::Square,
            Author::Agent(_) => Form::Diamond,
            Author::System => Form::Circle,
        }
    }

    /// Importance of its phrase among markers at one position: alarms, then changes, then other events of people, rules and agents.
    pub(crate) fn importance(&self) -> u8 {
        match (self.is_alarm, self.is_change, &self.author) {
            (true, ..) => 3,
            (false, true, _) => 2,
            (false, false, Author::System) => 0,
            _ => 1,
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

/// What a bucket of several values stands for, and what its band spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// Values of neighboring steps; the band spans the lowest and the highest.
    #[default]
    Steps,
    /// Values of neighboring steps; the band spans ± 2 standard errors of their mean.
    StepsWithError,
    /// Measurements during a time; the band spans the lowest and the highest.
    Time,
}

/// A chart without its curves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartSpec {
    /// Title: `loss`.
    pub title: String,
    /// Unit of the values, as in [`wire::series::describe`].
    pub unit: String,
    /// The quantity of the x axis.
    pub axis: Axis,
    /// Whether a bucket aggregates steps, steps with a standard error, or a time.
    pub aggregation: Aggregation,
    /// Name below the x axis; by default that of the quantity.
    pub x_name: Option<&'static str>,
    /// Scale of the x axis.
    pub x_scale: ScaleKind,
    /// Left end; by default that of the first bucket.
    pub from: Option<f64>,
    /// Right end; by default that of the last bucket.
    pub to: Option<f64>,
    /// Scale of the y axis.
    pub y_scale: ScaleKind,
    /// Lower end; by default that of the visible values.
    pub y_from: Option<f64>,
    /// Upper end; by default that of the visible values.
    pub y_to: Option<f64>,
    /// Fraction of the buckets that the y axis is fitted to, such as 0.99; values outside are marked at the edge.
    /// `None` fits all.
    pub y_fraction: Option<f64>,
    /// The y axis reaches down to 0.
    pub has_zero: bool,
    /// Reference lines.
    pub references: Vec<Reference>,
    /// Markers, in order.
    pub markers: Vec<Marker>,
    /// Position on the x axis at which the values are read.
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
