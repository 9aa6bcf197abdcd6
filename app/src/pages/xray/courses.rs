//! Numbers of several parts over the kept steps, as curves on one chart.

use figure::scene::{Role, Shape, Size};
use figure::{ChartSpec, Curve, Furniture};
use leptos::prelude::*;
use wire::series::Bucket;

use super::Inside;
use crate::parts::Plate;
use crate::xray::clock::When;

/// Curves with a colour of their own; the rest are faint.
pub(super) const NAMED: usize = 8;

/// One part's numbers.
#[derive(Clone, PartialEq)]
pub(super) struct Course {
    /// As the chart names it.
    pub(super) name: String,
    /// In order of steps.
    pub(super) points: Vec<Bucket>,
}

fn role(place: usize) -> Role {
    if place < NAMED { Role::Run(place as u8) } else { Role::InkFaint }
}

/// The colour of a curve, for a legend.
pub(super) fn tone(place: usize) -> String {
    format!("var({})", role(place).property())
}

/// The chart; a line stands at the step that is seen.
#[component]
pub(super) fn Courses(
    inside: Inside,
    courses: Signal<Vec<Course>>,
    /// What is drawn, in a word or two.
    title: Signal<&'static str>,
    /// Ends of its axis, where it has any.
    ends: (Option<f64>, Option<f64>),
    /// What it shows, in words.
    label: Signal<String>,
    /// Name of the file that it is saved as.
    file: &'static str,
) -> impl IntoView {
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let courses = courses.read();
        let drawn = courses.iter().enumerate();
        let curves: Vec<Curve> =
            drawn.map(|(place, course)| Curve::new(&course.name, role(place), &course.points)).rev().collect();
        let furniture = Furniture { has_header: false, has_background: false, ..Furniture::default() };
        let crosshair = match inside.when.get() {
            When::At(step) => Some(step as f64),
            When::Now => None,
        };
        let (y_from, y_to) = ends;
        let spec = ChartSpec { title: title.get().into(), y_from, y_to, crosshair, furniture, ..ChartSpec::default() };
        figure::chart(&spec, &curves, size).scene.shapes
    };
    view! { <Plate class="score-chart" file label draw /> }
}
