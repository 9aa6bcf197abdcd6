//! Charts as files, SVG or PNG, drawn by the code that draws them on the page.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wire::series::Axis;
use wire::{ApiErrorBody, RunId};

use super::extract::{Path, Query};
use crate::auth::run::RunViewer;
use crate::error::ApiError;
use crate::export::figures::{RunChart, draw_run};
use crate::lab::Lab;
use crate::lab::drawing::{Format, Look};

/// Bounds of a figure, pixels.
const WIDTH: (u32, u32) = (200, 4000);
const HEIGHT: (u32, u32) = (120, 3000);

/// Light or dark background.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureTheme {
    /// Dark lines on a light background.
    #[default]
    Light,
    /// Light lines on a dark background.
    Dark,
}

/// Options of a figure.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FigureQuery {
    /// X axis; steps by default.
    #[serde(default)]
    x: Axis,
    /// Logarithmic y axis.
    #[serde(default)]
    log: bool,
    /// Background; the default is light.
    #[serde(default)]
    theme: FigureTheme,
    /// Width, pixels; 960 by default.
    width: Option<u32>,
    /// Height, pixels; 480 by default.
    height: Option<u32>,
}

/// Draws a chart of a run as a file: `loss.svg`, `loss.png`, or any time series by its name (`grad_norm.svg`).
#[utoipa::path(get, path = "/runs/{id}/figures/{file}", tag = "runs",
    params(("id" = RunId, Path), ("file" = String, Path, description = "Name of a series with .svg or .png; loss is the training and the validation loss."), FigureQuery),
    responses((status = 200, content_type = "image/svg+xml"), (status = 404, body = ApiErrorBody),
        (status = 429, description = "Too many figures are being drawn at once.", body = ApiErrorBody)))]
pub async fn draw_figure(
    _: RunViewer,
    State(lab): State<Lab>,
    Path((run, file)): Path<(RunId, String)>,
    Query(query): Query<FigureQuery>,
) -> Result<Response, ApiError> {
    let (stem, format) = Format::split(&file).ok_or_else(|| {
        ApiError::not_found(format!("{file:?} is not a figure")).hint("give the name of a series with .svg or .png")
    })?;
    let view = lab.feed.view(&run).await?;
    let wanted = RunChart { series: stem.to_owned(), axis: query.x, is_log: query.log };
    let image = draw_run(&lab, view, wanted, query.look(format)).await?.ok_or_else(|| {
        ApiError::not_found(format!("{run} has no values of the series {stem}"))
            .hint(format!("GET /api/v1/runs/{run}/series/names lists its series"))
    })?;
    Ok(([(CONTENT_TYPE, image.format.content_type())], image.content).into_response())
}

impl FigureQuery {
    fn look(&self, format: Format) -> Look {
        let clamp = |given: Option<u32>, usual: u32, (low, high): (u32, u32)| given.unwrap_or(usual).clamp(low, high);
        let (width, height) = (clamp(self.width, 960, WIDTH), clamp(self.height, 480, HEIGHT));
        Look { width, height, is_dark: self.theme == FigureTheme::Dark, format }
    }
}
