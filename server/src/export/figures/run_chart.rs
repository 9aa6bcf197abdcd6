//! A chart of one run: its path, the parts that rollbacks have abandoned, and markers of its events.

use figure::inspection::{Heading, empty};
use figure::{ChartSpec, Curve, Marker, Reference, Role, ScaleKind, Scene, Size, Style, chart, number};
use wire::access::embed::LOSS;
use wire::control::event::EventRecord;
use wire::run::References;
use wire::series::{Axis, Bucket, SeriesWindow, describe, name};
use wire::{Event, RunView};

use super::windows;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::drawing::{Image, Look};

/// Maximum number of events that are read for markers.
const EVENTS: u32 = 100_000;

/// A time series of a run on an axis.
#[derive(Debug, Clone)]
pub struct RunChart {
    /// Name of the series; `loss` for the training and the validation loss.
    pub series: String,
    pub axis: Axis,
    /// Whether the y axis is logarithmic.
    pub is_log: bool,
}

/// Draws a chart of a run; `None` if the series has no values.
///
/// # Errors
/// 429 if too many images are drawn; an error of the store.
pub async fn draw_run(lab: &Lab, view: RunView, wanted: RunChart, look: Look) -> Result<Option<Image>, ApiError> {
    let run = &view.summary.id;
    let events = lab.store().events(run, 0, EVENTS).await?;
    let windows = windows(lab, run, &wanted.series, wanted.axis, look).await?;
    if windows.is_empty() {
        return Ok(None);
    }
    let shared = lab.clone();
    let draw = move || draw(&shared, &view, &wanted, look, &windows, &events);
    lab.drawings.draw(draw).await.map(Some)
}

/// Draws the title of a chart that has no values yet.
pub(super) async fn draw_empty(lab: &Lab, view: RunView, series: &str, look: Look) -> Result<Image, ApiError> {
    let heading = Heading { title: title(&view, series), note: "The run has no values of this series yet.".to_owned() };
    let shared = lab.clone();
    let draw = move || {
        let image = shared.drawings.image(&empty(&heading, look.size()), look)?;
        Ok(Image { is_growing: view.summary.state.is_live(), ..image })
    };
    lab.drawings.draw(draw).await
}

fn title(view: &RunView, series: &str) -> String {
    format!("{}: {}", view.summary.name, label(series))
}

/// The words for a series.
pub(super) fn label(series: &str) -> String {
    match series {
        LOSS => LOSS.to_owned(),
        name::TRAIN => "training loss".to_owned(),
        name::VALID => "validation loss".to_owned(),
        series => describe(series).label,
    }
}

fn draw(
    lab: &Lab,
    view: &RunView,
    wanted: &RunChart,
    look: Look,
    windows: &[SeriesWindow],
    events: &[EventRecord],
) -> Result<Image, ApiError> {
    let image = lab.drawings.image(&scene(view, wanted, look.size(), windows, events), look)?;
    Ok(Image { is_growing: view.summary.state.is_live(), ..image })
}

/// The chart as a scene, from the values of its series and the events for its markers.
pub fn scene(view: &RunView, wanted: &RunChart, size: Size, windows: &[SeriesWindow], events: &[EventRecord]) -> Scene {
    let is_loss = wanted.series == LOSS;
    let info = describe(if is_loss { name::TRAIN } else { &wanted.series });
    let spec = ChartSpec {
        title: title(view, &wanted.series),
        unit: info.unit.to_owned(),
        axis: wanted.axis,
        y_scale: if wanted.is_log { ScaleKind::Log } else { ScaleKind::Linear },
        references: if is_loss { references(&view.references) } else { vec![] },
        // Events have a step, and no position on the other axes.
        markers: if wanted.axis == Axis::Step { markers(events) } else { vec![] },
        ..ChartSpec::default()
    };
    let parts: Vec<Part> = windows.iter().flat_map(|window| parts(view, window)).collect();
    let curves: Vec<Curve> = parts.iter().map(Part::curve).collect();
    chart(&spec, &curves, size).scene
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
    let (path, branch) = window.buckets.split_at(kept(view, window));
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

/// The number of buckets of a segment that are on the path of the run.
pub(super) fn kept(view: &RunView, window: &SeriesWindow) -> usize {
    let own = view.lineage.iter().filter(|span| span.run == view.summary.id);
    match own.clone().find(|span| span.segment == window.segment) {
        Some(span) => window.buckets.partition_point(|bucket| span.to_step.is_none_or(|to| bucket.step < to)),
        // A view without spans has one segment.
        None if own.count() == 0 => window.buckets.len(),
        None => 0,
    }
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
