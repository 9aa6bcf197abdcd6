//! A series of several runs in one chart, with the colours of the Compare page.

use figure::{ChartSpec, Colours, Curve, SMOOTHING, ScaleKind, chart};
use wire::RunView;
use wire::access::embed::{EmbedChart, LOSS};
use wire::series::{SeriesWindow, describe, name};

use super::run_chart::{kept, label};
use super::{present, windows};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::drawing::{Image, Look};

/// Draws a series of some runs; runs without values are left out.
///
/// # Errors
/// 404 for a run that does not exist or is deleted, 429 if too many images are drawn; an error of the store.
pub(super) async fn draw(lab: &Lab, wanted: &EmbedChart, look: Look) -> Result<Image, ApiError> {
    // Two losses of many runs cannot be told apart.
    let series = if wanted.series == LOSS { name::TRAIN } else { &wanted.series };
    let mut runs = vec![];
    for run in &wanted.runs {
        let view = present(lab, run).await?;
        let windows = windows(lab, run, series, wanted.axis, look).await?;
        runs.push((view, windows));
    }
    let (shared, spec, colours) = (lab.clone(), spec(wanted, series), Colours::of(&wanted.runs));
    let is_smoothed = series == name::TRAIN;
    let draw = move || {
        let curves = curves(&runs, &colours, is_smoothed);
        let image = shared.drawings.image(&chart(&spec, &curves, look.size()).scene, look)?;
        Ok(Image { is_growing: runs.iter().any(|(view, _)| view.summary.state.is_live()), ..image })
    };
    lab.drawings.draw(draw).await
}

fn spec(wanted: &EmbedChart, series: &str) -> ChartSpec {
    let info = describe(series);
    ChartSpec {
        title: label(series),
        unit: info.unit.to_owned(),
        axis: wanted.axis,
        y_scale: if wanted.is_log { ScaleKind::Log } else { ScaleKind::Linear },
        ..ChartSpec::default()
    }
}

/// A curve for each segment on the path of each run.
fn curves<'a>(runs: &'a [(RunView, Vec<SeriesWindow>)], colours: &Colours, is_smoothed: bool) -> Vec<Curve<'a>> {
    let of_run = |(view, windows): &'a (RunView, Vec<SeriesWindow>)| {
        let role = colours.role(&view.summary.id);
        windows.iter().map(move |window| Curve::new(&view.summary.name, role, &window.buckets[..kept(view, window)]))
    };
    let mut curves: Vec<Curve> = runs.iter().flat_map(of_run).filter(|curve| !curve.buckets.is_empty()).collect();
    let longest = curves.iter().filter_map(|curve| Some(curve.last()?.last_x)).fold(0.0, f64::max);
    if is_smoothed && longest > 0.0 {
        curves.iter_mut().for_each(|curve| curve.smoothing = Some(longest * SMOOTHING));
    }
    curves
}
