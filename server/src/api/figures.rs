//! Charts as files, SVG or PNG, drawn by the code that draws them on the page.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use figure::png::PngWriter;
use figure::{ChartSpec, Curve, Marker, Reference, Role, ScaleKind, Size, Style, Theme, chart, number, svg};
use serde::Deserialize;
use store::SeriesQuery;
use utoipa::{IntoParams, ToSchema};
use wire::control::event::EventRecord;
use wire::run::References;
use wire::series::{Axis, Bucket, SeriesWindow, describe, name};
use wire::{ApiErrorBody, Event, RunId, RunView};

use super::extract::{Path, Query};
use crate::auth::run::RunViewer;
use crate::error::ApiError;
use crate::lab::Lab;

/// Bounds of a figure, pixels.
const WIDTH: (u32, u32) = (200, 4000);
const HEIGHT: (u32, u32) = (120, 3000);
/// Maximum number of events that are read for markers.
const EVENTS: u32 = 100_000;

/// Light or dark background.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
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

/// File format.
enum Format {
    Svg,
    Png,
}

/// Draws a chart of a run as a file: `loss.svg`, `loss.png`, or any time series by its name (`grad_norm.svg`).
#[utoipa::path(get, path = "/runs/{id}/figures/{file}", tag = "runs",
    params(("id" = RunId, Path), ("file" = String, Path, description = "Name of a series with .svg or .png; loss is the training and the validation loss."), FigureQuery),
    responses((status = 200, content_type = "image/svg+xml"), (status = 404, body = ApiErrorBody)))]
pub async fn draw_figure(
    _: RunViewer,
    State(lab): State<Lab>,
    Path((run, file)): Path<(RunId, String)>,
    Query(query): Query<FigureQuery>,
) -> Result<Response, ApiError> {
    let (stem, format) = split(&file)?;
    let names = if stem == "loss" { vec![name::TRAIN.to_owned(), name::VALID.to_owned()] } else { vec![stem.clone()] };
    let view = lab.feed.view(&run).await?;
    let events = lab.store().events(&run, 0, EVENTS).await?;
    let wanted = SeriesQuery { names, axis: query.x, from: None, to: None, points: 2 * query.size().width as usize };
    let windows = lab.store().series(&run, wanted).await?;
    if windows.is_empty() {
        return Err(ApiError::not_found(format!("{run} has no values of the series {stem}"))
            .hint(format!("GET /api/v1/runs/{run}/series/names lists its series")));
    }
    // Drawing text takes milliseconds of CPU time.
    let drawn = tokio::task::spawn_blocking(move || draw(&view, &stem, &query, &windows, &events, &format)).await;
    drawn.map_err(|source| ApiError::internal("drawing a figure", source))?
}

fn split(file: &str) -> Result<(String, Format), ApiError> {
    let found = match file.rsplit_once('.') {
        Some((stem, "svg")) => Some((stem, Format::Svg)),
        Some((stem, "png")) => Some((stem, Format::Png)),
        _ => None,
    };
    let (stem, format) = found.ok_or_else(|| {
        ApiError::not_found(format!("{file:?} is not a figure")).hint("give the name of a series with .svg or .png")
    })?;
    Ok((stem.to_owned(), format))
}

impl FigureQuery {
    fn size(&self) -> Size {
        let clamp = |given: Option<u32>, usual: u32, (low, high): (u32, u32)| {
            f64::from(given.unwrap_or(usual).clamp(low, high))
        };
        Size { width: clamp(self.width, 960, WIDTH), height: clamp(self.height, 480, HEIGHT) }
    }
}

fn draw(
    view: &RunView,
    stem: &str,
    query: &FigureQuery,
    windows: &[SeriesWindow],
    events: &[EventRecord],
    format: &Format,
) -> Result<Response, ApiError> {
    let is_loss = stem == "loss";
    let info = describe(if is_loss { name::TRAIN } else { stem });
    let spec = ChartSpec {
        title: format!("{}: {}", view.summary.name, if is_loss { "loss" } else { &info.label }),
        unit: info.unit.to_owned(),
        axis: query.x,
        y_scale: if query.log { ScaleKind::Log } else { ScaleKind::Linear },
        references: if is_loss { references(&view.references) } else { vec![] },
        // Events have a step, and no position on the other axes.
        markers: if query.x == Axis::Step { markers(events) } else { vec![] },
        ..ChartSpec::default()
    };
    let parts: Vec<Part> = windows.iter().flat_map(|window| parts(view, window)).collect();
    let curves: Vec<Curve> = parts.iter().map(Part::curve).collect();
    let scene = chart(&spec, &curves, query.size()).scene;
    let theme = match query.theme {
        FigureTheme::Light => Theme::Light,
        FigureTheme::Dark => Theme::Dark,
    };
    match format {
        Format::Svg => Ok(([(CONTENT_TYPE, "image/svg+xml")], svg(&scene, theme)).into_response()),
        Format::Png => {
            let drawn = PngWriter::new().and_then(|writer| writer.png(&scene, theme, 1.0));
            let bytes = drawn.map_err(|source| ApiError::internal("drawing a figure", source))?;
            Ok(([(CONTENT_TYPE, "image/png")], bytes).into_response())
        }
    }
}

/// A curve and its name.
struct Part<'a> {
    name: String,
    role: Role,
    style: Style,
    buckets: &'a [Bucket],
}

impl Part<'_> {
    fn curve(&self) -> Curve<'_> {
        Curve { style: self.style, ..Curve::new(&self.name, self.role, self.buckets) }
    }
}

/// The part of a segment that is on the path of the run, and the part that a rollback has abandoned.
fn parts<'a>(view: &RunView, window: &'a SeriesWindow) -> Vec<Part<'a>> {
    let own = view.lineage.iter().filter(|span| span.run == view.summary.id);
    let kept = match own.clone().find(|span| span.segment == window.segment) {
        Some(span) => window.buckets.partition_point(|bucket| span.to_step.is_none_or(|to| bucket.step < to)),
        // A view without spans has one segment.
        None if own.count() == 0 => window.buckets.len(),
        None => 0,
    };
    let (path, branch) = window.buckets.split_at(kept);
    let role = Role::Run(if window.name == name::VALID { 3 } else { 0 });
    let mut parts = vec![];
    if !path.is_empty() {
        parts.push(Part { name: describe(&window.name).label, role, style: Style::Measured, buckets: path });
    }
    if let Some(last) = branch.last() {
        // Named once, not on the validation loss too.
        let is_named = window.name != name::VALID;
        let name = format!("abandoned branch, left at step {}", number::whole(last.last_step + 1));
        let name = Some(name).filter(|_| is_named).unwrap_or_default();
        parts.push(Part { name, role: Role::Abandoned, style: Style::Abandoned, buckets: branch });
    }
    parts
}

fn references(lines: &References) -> Vec<Reference> {
    let line = |label: &str, value: f64, role| Reference { label: label.to_owned(), value, role };
    let mut drawn = vec![line("ln V", lines.ln_vocab, Role::InkFaint)];
    drawn.extend(lines.unigram.map(|value| line("unigram", value, Role::InkFaint)));
    drawn.extend(lines.floor.map(|value| line("floor", value, Role::Floor)));
    drawn
}

fn markers(events: &[EventRecord]) -> Vec<Marker> {
    let marker = |record: &EventRecord| Marker {
        x: record.step as f64,
        phrase: record.event.phrase(),
        author: record.author.clone(),
        is_alarm: matches!(record.event, Event::NonFinite { .. } | Event::Failed { .. } | Event::Lost { .. }),
        is_change: record.event.is_change(),
    };
    events.iter().filter(|record| record.event.is_marker()).map(marker).collect()
}
