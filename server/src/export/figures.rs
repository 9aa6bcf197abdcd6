//! What figures show: time series of one run or of several, and inspections, read from the lab and drawn. The same drawings are files of
//! the API and images of embeds.

mod comparison;
mod inspection;
mod run_chart;

pub use inspection::scene as inspection_scene;
pub use run_chart::{RunChart, draw_run, scene};

use store::{SeriesQuery, StoreError};
use wire::access::embed::{EmbedView, LOSS};
use wire::series::{Axis, SeriesWindow, name};
use wire::{RunId, RunView};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::drawing::{Image, Look};

/// Draws what an embed shows, or takes the image that is kept. A run without values gives an empty chart.
///
/// # Errors
/// 404 for a run that does not exist or is deleted, 429 if too many images are drawn; an error of the store.
pub async fn draw_embed(lab: &Lab, view: &EmbedView, look: Look) -> Result<Image, ApiError> {
    let cursors = view.runs().iter().map(|run| lab.feed.hub.cursor(run)).collect();
    let draw = async {
        match view {
            EmbedView::Chart(chart) => match &chart.runs[..] {
                [run] => {
                    let view = present(lab, run).await?;
                    let wanted = RunChart { series: chart.series.clone(), axis: chart.axis, is_log: chart.is_log };
                    match draw_run(lab, view.clone(), wanted, look).await? {
                        Some(image) => Ok(image),
                        None => run_chart::draw_empty(lab, view, &chart.series, look).await,
                    }
                }
                _ => comparison::draw(lab, chart, look).await,
            },
            EmbedView::Inspection(inspection) => inspection::draw(lab, inspection, look).await,
        }
    };
    lab.drawings.keep(view, look, cursors, draw).await
}

/// What an embed shows, in words.
///
/// # Errors
/// 404 for a run that does not exist or is deleted; an error of the store.
pub async fn title(lab: &Lab, view: &EmbedView) -> Result<String, ApiError> {
    let mut names = vec![];
    for run in view.runs() {
        names.push(present(lab, run).await?.summary.name);
    }
    Ok(match view {
        EmbedView::Chart(chart) => format!("{} of {}", run_chart::label(&chart.series), names.join(", ")),
        EmbedView::Inspection(inspection) => format!("{}: {}", names.join(", "), inspection::label(&inspection.view)),
    })
}

/// A run that is not deleted.
async fn present(lab: &Lab, run: &RunId) -> Result<RunView, ApiError> {
    let view = lab.feed.view(run).await?;
    match view.summary.deleted_ms {
        None => Ok(view),
        Some(_) => Err(StoreError::UnknownRun { run: run.clone() }.into()),
    }
}

/// The values of a series of a run for an image; [`LOSS`] is the training and the validation loss.
async fn windows(lab: &Lab, run: &RunId, series: &str, axis: Axis, look: Look) -> Result<Vec<SeriesWindow>, ApiError> {
    let names = match series {
        LOSS => vec![name::TRAIN.to_owned(), name::VALID.to_owned()],
        series => vec![series.to_owned()],
    };
    let query = SeriesQuery { names, axis, from: None, to: None, points: 2 * look.width as usize };
    Ok(lab.store().series(run, query).await?)
}
