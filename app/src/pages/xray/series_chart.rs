//! One number of several components over the snapshots, as curves on one chart.

use figure::scene::{Role, Shape, Size};
use figure::{ChartSpec, Curve, Frame};
use leptos::prelude::*;
use wire::series::Bucket;

use super::state::XrayState;
use super::step::StepChoice;
use crate::components::{Canvas, says};

/// Curves with separate colours; the others are drawn faint.
pub(super) const COLOURED: usize = 8;

/// The numbers of one component.
#[derive(Clone, PartialEq)]
pub(super) struct ComponentSeries {
    /// Its label on the chart.
    pub(super) name: String,
    /// By step.
    pub(super) points: Vec<Bucket>,
}

fn role(index: usize) -> Role {
    if index < COLOURED { Role::Run(index as u8) } else { Role::InkFaint }
}

/// The colour of a curve, for a legend.
pub(super) fn colour(index: usize) -> String {
    format!("var({})", role(index).property())
}

/// The chart; a vertical line stands at the step that is shown.
#[component]
pub(super) fn SeriesChart(
    xray: XrayState,
    series: Signal<Vec<ComponentSeries>>,
    /// What is drawn, with its unit, above the y axis: `induction score, %`.
    title: Signal<&'static str>,
    /// Ends of the y axis, if it has fixed ones.
    #[prop(into)]
    ends: Signal<(Option<f64>, Option<f64>)>,
    /// A summary for screen readers.
    label: Signal<String>,
    /// Name of the file that it is saved as.
    file: &'static str,
) -> impl IntoView {
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let series = series.read();
        let drawn = series.iter().enumerate();
        let curves: Vec<Curve> =
            drawn.map(|(index, one)| Curve::new(&one.name, role(index), &one.points)).rev().collect();
        let frame = Frame { has_header: false, has_background: false, ..Frame::default() };
        let crosshair = match xray.step.get() {
            StepChoice::At(step) => Some(step as f64),
            StepChoice::Newest => None,
        };
        let (y_from, y_to) = ends.get();
        let spec = ChartSpec { title: title.get().into(), y_from, y_to, crosshair, frame, ..ChartSpec::default() };
        figure::chart(&spec, &curves, size).scene.shapes
    };
    view! {
        <p class="small dim axis-title">{says(move || title.get().to_owned())}</p>
        <Canvas class="series-chart" file label draw />
    }
}
