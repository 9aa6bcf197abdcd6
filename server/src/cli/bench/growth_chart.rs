//! The chart of the growth: time of a step over the factor by which each size has grown, both logarithmic, measured and planned.

use std::path::Path;

use figure::curve::point;
use figure::png::PngWriter;
use figure::{ChartSpec, Curve, Role, ScaleKind, Size, Style, Theme, chart, svg};
use wire::series::Bucket;

use super::BenchError;
use super::growth::{Growth, PointFigures, Series};
use crate::lab::drawing::Format;

/// Width and height, pixels.
const SIZE: Size = Size { width: 900.0, height: 520.0 };

/// The format of a file by its name.
///
/// # Errors
/// The name ends neither in `.svg` nor in `.png`.
pub(super) fn format_of(path: &Path) -> Result<Format, BenchError> {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let format = name.as_deref().and_then(Format::split).map(|(_, format)| format);
    format.ok_or_else(|| BenchError::FigureFormat { path: path.to_owned() })
}

/// Draws the growth into a file.
///
/// # Errors
/// The machine has no font for a PNG, or the file cannot be written.
pub(super) fn write(path: &Path, growth: &Growth) -> Result<(), BenchError> {
    let content = draw(growth, format_of(path)?)?;
    std::fs::write(path, content).map_err(|source| BenchError::FigureFile { path: path.to_owned(), source })
}

pub(super) fn draw(growth: &Growth, format: Format) -> Result<Vec<u8>, BenchError> {
    let drawn: Vec<(&'static str, Role, [Vec<Bucket>; 2])> = growth.series.iter().enumerate().map(buckets).collect();
    let curves: Vec<Curve> = drawn.iter().flat_map(|(name, role, both)| curves(name, *role, both)).collect();
    let spec = ChartSpec {
        title: growth.title(),
        unit: "ms".to_owned(),
        x_name: Some("size, times that of the plan"),
        x_scale: ScaleKind::Log,
        y_scale: ScaleKind::Log,
        ..ChartSpec::default()
    };
    let scene = chart(&spec, &curves, SIZE).scene;
    Ok(match format {
        Format::Svg => svg(&scene, Theme::Light).into_bytes(),
        Format::Png => PngWriter::new()?.png(&scene, Theme::Light, 2.0)?,
    })
}

/// The name, colour, and measured and planned values of a series.
fn buckets((index, series): (usize, &Series)) -> (&'static str, Role, [Vec<Bucket>; 2]) {
    let first = series.points.first().map_or(1.0, |point| point.value as f64);
    let values = |secs: fn(&PointFigures) -> f64| {
        let at =
            |(step, figures): (u64, &PointFigures)| point(step, figures.value as f64 / first, secs(figures) * 1000.0);
        (0..).zip(&series.points).map(at).collect()
    };
    (series.size.label(), Role::Run(index as u8), [values(|point| point.secs), values(|point| point.planned_secs)])
}

/// The planned curve is dashed, and has no entry in the legend.
fn curves<'a>(name: &'a str, role: Role, [measured, planned]: &'a [Vec<Bucket>; 2]) -> [Curve<'a>; 2] {
    [Curve { style: Style::Planned, ..Curve::new("", role, planned) }, Curve::new(name, role, measured)]
}
