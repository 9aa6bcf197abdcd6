//! The frame of a chart: grid, ticks, reference lines, markers, title and legend.

use std::borrow::Cow;

use wire::series::Bucket;

use crate::axis::{self, Tick};
use crate::cluster::{COUNT_SIZE, Cluster, MARKER};
use crate::curve::{Curve, Style, extent, folded, has_value, middle, visible};
use crate::layout::{LANE, Layout, SMALL, TITLE, y_target};
use crate::number;
use crate::scene::{Anchor, Dash, Fill, Font, Point, Rect, Role, Shape, Stroke, Text, text_width};
use crate::spec::{ChartSpec, Marker, Reference};
use crate::summary::position;

/// Background, grid and tick labels.
pub(crate) fn ground(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let mut shapes = Vec::new();
    if spec.frame.has_background {
        let rect = Rect::new(0.0, 0.0, layout.size.width, layout.size.height);
        shapes.push(Shape::Rect { rect, radius: 0.0, fill: Fill::solid(Role::Surface) });
    }
    if layout.plot.width < 1.0 || layout.plot.height < 1.0 {
        return shapes;
    }
    shapes.extend(y_axis(spec, layout));
    shapes.extend(x_axis(spec, layout));
    shapes
}

fn y_axis(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let plot = layout.plot;
    let mut shapes = Vec::new();
    for Tick { value, label } in axis::ticks(&layout.y, y_target(plot.height), &spec.unit) {
        let y = crisp(layout.to_y(value));
        shapes.push(Shape::line(Point::new(plot.x, y), Point::new(plot.right(), y), Stroke::solid(Role::Grid, 1.0)));
        shapes.push(
            Text::numbers(Point::new(plot.x - 8.0, y + SMALL * 0.35), label, SMALL, Role::InkFaint)
                .anchored(Anchor::End)
                .into(),
        );
    }
    shapes
}

fn x_axis(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let plot = layout.plot;
    let base = layout.lane.map_or(plot.bottom(), |lane| lane.bottom());
    let bottom = crisp(plot.bottom());
    let mut shapes = vec![Shape::line(
        Point::new(plot.x, bottom),
        Point::new(plot.right(), bottom),
        Stroke::solid(Role::AxisLine, 1.0),
    )];
    let target = ((plot.width / 96.0) as usize).clamp(2, 10);
    let y = base + SMALL + 4.0;
    let name = Text::words(Point::new(plot.right(), y), x_name(spec), SMALL, Role::InkFaint).anchored(Anchor::End);
    let mut free_from = f64::NEG_INFINITY;
    let free_to = plot.right() - name.width() - 10.0;
    for Tick { value, label } in axis::ticks(&layout.x, target, spec.x_unit()) {
        let x = crisp(layout.to_x(value));
        shapes.push(Shape::line(
            Point::new(x, bottom),
            Point::new(x, bottom + 4.0),
            Stroke::solid(Role::AxisLine, 1.0),
        ));
        let half = text_width(&label, SMALL, Font::Numbers) / 2.0;
        // A label never leaves the drawing, never touches another and never runs into the axis's name.
        let x = x.max(half + 2.0);
        if spec.frame.has_x_labels && x - half >= free_from && x + half <= free_to {
            free_from = x + half + 10.0;
            shapes.push(Text::numbers(Point::new(x, y), label, SMALL, Role::InkFaint).anchored(Anchor::Middle).into());
        }
    }
    if spec.frame.has_x_labels {
        shapes.push(name.into());
    }
    shapes
}

fn x_name(spec: &ChartSpec) -> &'static str {
    spec.x_name.unwrap_or(match spec.x_unit() {
        "s" => "training time",
        "FLOP" => "FLOP",
        "tokens" => "tokens",
        _ => "step",
    })
}

/// Reference lines that are in the visible range.
pub(crate) fn reference_lines(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let seen = spec.references.iter().filter(|reference| layout.y.contains(reference.value));
    let line = |reference: &Reference| {
        let y = crisp(layout.to_y(reference.value));
        Shape::line(Point::new(layout.plot.x, y), Point::new(layout.plot.right(), y), reference.stroke())
    };
    seen.map(line).collect()
}

/// Their labels at the right edge, or at the left edge where a curve or one of `names` would be in their place; an arrow for those outside the
/// visible range.
pub(crate) fn reference_labels(spec: &ChartSpec, curves: &[Curve], layout: &Layout, names: &[Shape]) -> Vec<Shape> {
    let plot = layout.plot;
    if plot.width < 120.0 || plot.height < 40.0 {
        return Vec::new();
    }
    let names: Vec<Rect> = names
        .iter()
        .filter_map(|shape| if let Shape::Rect { rect, .. } = shape { Some(*rect) } else { None })
        .collect();
    let mut taken: Vec<f64> = Vec::new();
    let mut shapes = Vec::new();
    for reference in spec.references.iter().filter(|reference| reference.value.is_finite()) {
        let value = number::short(reference.value);
        let (wanted, text) = if layout.y.contains(reference.value) {
            let y = layout.to_y(reference.value);
            (if y - plot.y < 16.0 { y + 13.0 } else { y - 4.0 }, format!("{} {value}", reference.label))
        } else if reference.value > layout.y.to {
            (plot.y + 12.0, format!("{} {value} ↑", reference.label))
        } else {
            (plot.bottom() - 5.0, format!("{} {value} ↓", reference.label))
        };
        let text =
            Text::words(Point::new(plot.right() - 4.0, wanted), text, SMALL, reference.role).anchored(Anchor::End);
        let places = reference_places(curves, layout, reference.value, wanted, text.width(), &taken);
        let is_free = |(right, y): &(f64, f64)| {
            let back = label_back(*right, *y, text.width());
            !names.iter().any(|name| name.overlaps(&back))
        };
        let Some((right, y)) = places.into_iter().find(is_free) else { continue };
        taken.push(y);
        let text = Text { at: Point::new(right, y), ..text };
        shapes.push(Shape::Rect {
            rect: label_back(right, y, text.width()),
            radius: 2.0,
            fill: Fill::faint(Role::Surface, 0.72),
        });
        shapes.push(text.into());
    }
    shapes
}

/// The background of a label of this right end, baseline and width.
fn label_back(right: f64, y: f64, width: f64) -> Rect {
    Rect::new(right - width - 3.0, y - SMALL, width + 6.0, SMALL + 4.0)
}

/// Right ends and baselines for the label of a reference line, the best first: beside `wanted` at the right edge, below the line, or the same
/// at the left edge and in the middle, where these keep clear of the curves and of the labels before it.
fn reference_places(
    curves: &[Curve],
    layout: &Layout,
    value: f64,
    wanted: f64,
    width: f64,
    taken: &[f64],
) -> Vec<(f64, f64)> {
    let plot = layout.plot;
    let ends = [plot.right() - 4.0, plot.x + 4.0 + width, plot.x + (plot.width + width) / 2.0];
    // Labels of lines outside of the range stand under each other at its edge.
    let height = SMALL + 3.0;
    let heights: Vec<f64> = match (layout.y.contains(value), value > layout.y.to) {
        (true, _) => vec![wanted, layout.to_y(value) + 13.0],
        (false, true) => (0..4).map(|turn| wanted + f64::from(turn) * height).collect(),
        (false, false) => (0..4).map(|turn| wanted - f64::from(turn) * height).collect(),
    };
    let is_apart = |(_, y): &(f64, f64)| taken.iter().all(|other| (other - y).abs() >= height);
    let is_clear = |(end, y): &(f64, f64)| {
        let (from, to) = (layout.from_x(end - width - 3.0), layout.from_x(end + 3.0));
        let crossed = curves.iter().flat_map(|curve| drawn(curve, from, to)).filter(|bucket| has_value(bucket));
        let heights = crossed.map(|bucket| extent(bucket)).map(|(low, high)| (layout.to_y(high), layout.to_y(low)));
        let lines = curves.iter().flat_map(|curve| drawn(curve, from, to).windows(2));
        let lines = lines.filter_map(|ends| line_heights(layout, &ends[0], &ends[1], from, to));
        let mut heights = heights.chain(lines);
        (plot.y + SMALL..=plot.bottom()).contains(y) && !heights.any(|(top, bottom)| top < y + 3.0 && bottom > y - 9.0)
    };
    let places = ends.into_iter().flat_map(|end| heights.iter().map(move |y| (end, *y)));
    places.into_iter().filter(|place| is_apart(place) && is_clear(place)).collect()
}

/// The buckets of a curve that are drawn between two positions. A single neighbor of the range is none: no line leads from it into the range.
fn drawn<'a>(curve: &Curve<'a>, from: f64, to: f64) -> &'a [Bucket] {
    match visible(curve.buckets, from, to) {
        [only] if only.last_x < from || only.x > to => &[],
        buckets => buckets,
    }
}

/// Top and bottom of the line between two neighboring buckets of a curve, pixels, where it is between two positions. A steep line crosses
/// heights at which neither bucket is. `None` if there is no line.
fn line_heights(layout: &Layout, one: &Bucket, next: &Bucket, from: f64, to: f64) -> Option<(f64, f64)> {
    let (start, end) = (middle(one), middle(next));
    let (left, right) = (from.max(start), to.min(end));
    if !has_value(one) || !has_value(next) || start >= end || left > right {
        return None;
    }
    let (first, last) = (layout.to_y(one.mean), layout.to_y(next.mean));
    let at = |x: f64| first + (last - first) * (x - start) / (end - start);
    Some((at(left).min(at(right)), at(left).max(at(right))))
}

/// Names of abandoned segments and labelled curves at their ends, since the legend cannot distinguish them.
pub(crate) fn end_labels(curves: &[Curve], layout: &Layout) -> Vec<Shape> {
    let plot = layout.plot;
    if plot.width < 240.0 || plot.height < 80.0 {
        return Vec::new();
    }
    let mut taken: Vec<f64> = Vec::new();
    let mut shapes = Vec::new();
    let is_folded = folded(curves).is_some();
    let is_labelled_at_end = |curve: &&Curve| {
        let is_branch = curve.style == Style::Abandoned && !is_folded;
        (is_branch || curve.is_labelled) && !curve.name.is_empty()
    };
    for curve in curves.iter().filter(is_labelled_at_end) {
        let seen = visible(curve.buckets, layout.x.from, layout.x.to);
        let Some(last) = seen.iter().rev().find(|bucket| has_value(bucket) && layout.x.contains(middle(bucket))) else {
            continue;
        };
        let Some(name) = fitting(curve.name, plot.width * 0.6) else { continue };
        let text = Text::words(Point::new(0.0, 0.0), name, SMALL, curve.role);
        let (width, end) = (text.width(), layout.to_x(middle(last)));
        let inside = |right: f64| right.clamp(plot.x + width + 6.0, plot.right() - 4.0);
        let wanted = (layout.to_y(last.mean) - 7.0).clamp(plot.y + SMALL, plot.bottom() - 4.0);
        // Anchored at its end or at its start, whichever places the label nearer to the curve's end.
        let clear = [inside(end), inside(end + width + 4.0)]
            .into_iter()
            .filter_map(|right| Some((right, clear_line(curves, layout, (right - width, right), wanted, &taken)?)))
            .min_by(|one, two| (one.1 - wanted).abs().total_cmp(&(two.1 - wanted).abs()));
        // Where there is no room, the curve matters more than its name.
        let Some((right, y)) = clear else { continue };
        taken.push(y);
        shapes.push(Shape::Rect {
            rect: label_back(right, y, text.width()),
            radius: 2.0,
            fill: Fill::faint(Role::Surface, 0.72),
        });
        shapes.push(Text { at: Point::new(right, y), ..text }.anchored(Anchor::End).into());
    }
    shapes
}

/// The position of the crosshair, over the ticks of the x axis: `step 1 234`. Nothing outside the plot, or if there are no ticks.
pub fn crosshair_label(spec: &ChartSpec, layout: &Layout, x: f64) -> Vec<Shape> {
    let plot = layout.plot;
    if !spec.frame.has_x_labels || plot.width < 120.0 || !layout.x.contains(x) {
        return Vec::new();
    }
    let y = layout.lane.map_or(plot.bottom(), |lane| lane.bottom()) + SMALL + 4.0;
    let text = Text::numbers(Point::new(0.0, y), position(spec, x.round()), SMALL, Role::Ink);
    let reach = text.width() / 2.0 + 5.0;
    let middle = layout.to_x(x).clamp(plot.x, (plot.right() - reach).max(plot.x));
    let back = Rect::new(middle - reach, y - SMALL - 1.0, 2.0 * reach, SMALL + 6.0);
    let text = Text { at: Point::new(middle, y), ..text }.anchored(Anchor::Middle);
    vec![Shape::Rect { rect: back, radius: 2.0, fill: Fill::solid(Role::Grid) }, text.into()]
}

/// The y position nearest to `wanted`, between two x positions, where a label overlaps neither a curve nor another label: below or above
/// all curves.
fn clear_line(curves: &[Curve], layout: &Layout, (left, right): (f64, f64), wanted: f64, taken: &[f64]) -> Option<f64> {
    let plot = layout.plot;
    let (from, to) = (layout.from_x(left), layout.from_x(right));
    let crossed = curves.iter().flat_map(|curve| visible(curve.buckets, from, to)).filter(|bucket| has_value(bucket));
    let ends = crossed.map(|bucket| extent(bucket)).map(|(low, high)| (layout.to_y(high), layout.to_y(low)));
    let (top, bottom) = ends
        .filter(|(top, bottom)| top.is_finite() && bottom.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(top, bottom), (high, low)| (top.min(high), bottom.max(low)));
    let height = SMALL + 3.0;
    let over = (0..6).map(|turn| top - 6.0 - f64::from(turn) * height);
    let under = (0..6).map(|turn| bottom + SMALL + 5.0 + f64::from(turn) * height);
    let is_free = |y: &f64| {
        (plot.y + SMALL..=plot.bottom() - 4.0).contains(y) && taken.iter().all(|other| (y - other).abs() >= height)
    };
    under.chain(over).filter(is_free).min_by(|one, two| (one - wanted).abs().total_cmp(&(two - wanted).abs()))
}

/// Thin lines through the plot at the markers.
pub(crate) fn marker_lines(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let line = |cluster: &Cluster| {
        let role = most_important(spec, cluster)?.role();
        let stroke = Stroke::solid(role, 1.0).dashed(Dash::Dotted).faint(0.55);
        let (top, bottom) = (layout.plot.y, layout.plot.bottom());
        Some(Shape::line(Point::new(cluster.x, top), Point::new(cluster.x, bottom), stroke))
    };
    layout.clusters.iter().filter_map(line).collect()
}

fn most_important<'a>(spec: &'a ChartSpec, cluster: &Cluster) -> Option<&'a Marker> {
    let markers = cluster.markers.iter().filter_map(|index| spec.markers.get(*index));
    markers.max_by_key(|marker| marker.importance())
}

/// The row of markers. Markers that would overlap are one box with their number. The phrase of the most important one is written if there is
/// room before the next position.
pub(crate) fn lane(spec: &ChartSpec, layout: &Layout) -> Vec<Shape> {
    let Some(lane) = layout.lane.filter(|lane| lane.width >= 1.0) else { return Vec::new() };
    let middle = lane.y + LANE / 2.0 + 1.0;
    let mut shapes = Vec::new();
    for (index, cluster) in layout.clusters.iter().enumerate() {
        let Some(marker) = most_important(spec, cluster) else { continue };
        shapes.extend(marker_shapes(marker, cluster, middle));
        let next = layout.clusters.get(index + 1);
        let free_to = next.map_or(lane.right(), |next| next.x - next.half_width() - 4.0);
        let from = cluster.x + cluster.half_width() + 4.0;
        if let Some(phrase) = fitting(&marker.phrase, free_to - from) {
            let at = Point::new(from, middle + SMALL * 0.35);
            shapes.push(Text::words(at, phrase, SMALL, marker.role()).into());
        }
    }
    shapes
}

/// The shape of one marker, or the box with the number of several.
fn marker_shapes(marker: &Marker, cluster: &Cluster, middle: f64) -> Vec<Shape> {
    if cluster.markers.len() == 1 {
        let at = Point::new(cluster.x, middle);
        return vec![Shape::Marker { at, size: MARKER, form: marker.form(), fill: Fill::solid(marker.role()) }];
    }
    let half = cluster.half_width();
    let rect = Rect::new(cluster.x - half, middle - 7.0, 2.0 * half, 14.0);
    let role = if marker.is_alarm { Role::Alarm } else { Role::InkSoft };
    let at = Point::new(cluster.x, middle + COUNT_SIZE * 0.35);
    let count = Text::numbers(at, cluster.count(), COUNT_SIZE, Role::Surface).anchored(Anchor::Middle);
    vec![Shape::Rect { rect, radius: 7.0, fill: Fill::solid(role) }, count.into()]
}

/// The phrase, truncated to a width with an ellipsis; none if fewer than six letters would be left.
fn fitting(phrase: &str, width: f64) -> Option<String> {
    if text_width(phrase, SMALL, Font::Words) <= width {
        return Some(phrase.to_owned()).filter(|phrase| !phrase.is_empty());
    }
    let mut kept = String::new();
    for letter in phrase.chars() {
        kept.push(letter);
        if text_width(&kept, SMALL, Font::Words) > width - SMALL {
            kept.pop();
            break;
        }
    }
    let kept = kept.trim_end();
    (kept.chars().count() >= 6).then(|| format!("{kept}…"))
}

/// Title and unit on the left, the curves and their values on the right.
pub(crate) fn header(spec: &ChartSpec, curves: &[Curve], layout: &Layout) -> Vec<Shape> {
    if !spec.frame.has_header {
        return Vec::new();
    }
    let baseline = 18.0;
    let left = 12.0f64.min(layout.plot.x);
    let title = Text::words(Point::new(left, baseline), spec.title.clone(), TITLE, Role::Ink).strong();
    let unit_at = title.at.x + title.width() + 8.0;
    let mut shapes = vec![title.into()];
    let mut free_from = unit_at;
    if !spec.unit.is_empty() {
        let unit = Text::words(Point::new(unit_at, baseline), spec.unit.clone(), SMALL, Role::InkFaint);
        free_from += unit.width() + 16.0;
        shapes.push(unit.into());
    }
    shapes.extend(legend(spec, curves, layout, free_from, baseline));
    shapes
}

/// From the right, as many as there is room for, the first ones kept; the rest is counted.
fn legend(spec: &ChartSpec, curves: &[Curve], layout: &Layout, free_from: f64, baseline: f64) -> Vec<Shape> {
    let entries: Vec<Entry> = entries(spec, curves, layout);
    let right = layout.plot.right();
    let more = |left_out: usize| if left_out == 0 { 0.0 } else { 40.0 };
    let fits = |count: &usize| {
        entries[..*count].iter().map(Entry::width).sum::<f64>() + more(entries.len() - count) <= right - free_from
    };
    let shown = (0..=entries.len()).rev().find(fits).unwrap_or(0);
    let mut shapes = Vec::new();
    let mut x = right;
    if shown < entries.len() && shown > 0 {
        let text = format!("+{}", entries.len() - shown);
        shapes.push(Text::words(Point::new(x, baseline), text, SMALL, Role::InkFaint).anchored(Anchor::End).into());
        x -= more(1);
    }
    for entry in entries[..shown].iter().rev() {
        x -= entry.width();
        shapes.extend(entry.shapes(x, baseline));
    }
    shapes
}

/// Length of the line before a name: two dashes of a plan and the gap between.
const SWATCH: f64 = 14.0;

struct Entry<'a> {
    curve: &'a Curve<'a>,
    name: Cow<'a, str>,
    value: String,
}

fn entries<'a>(spec: &ChartSpec, curves: &'a [Curve<'a>], layout: &Layout) -> Vec<Entry<'a>> {
    let read = spec.crosshair.map(|x| layout.readings(curves, x));
    let mut entries: Vec<Entry> = Vec::new();
    let is_listed = |curve: &Curve| !curve.name.is_empty() && curve.style != Style::Abandoned;
    for (index, curve) in curves.iter().enumerate().filter(|(_, curve)| is_listed(curve)) {
        let bucket = match &read {
            Some(read) => read.iter().find(|reading| reading.curve == index).map(|reading| reading.bucket),
            None => curve.last().copied(),
        };
        let value = bucket.map_or_else(|| "–".to_owned(), |bucket| legend_value(bucket.mean, &spec.unit));
        // Segments of one run share a line of the legend: the value of the last segment is shown.
        match entries.iter_mut().find(|entry| entry.name == curve.name) {
            Some(entry) if bucket.is_some() => entry.value = value,
            Some(_) => {}
            None => entries.push(Entry { curve, name: Cow::Borrowed(curve.name), value }),
        }
    }
    if let Some(count) = folded(curves)
        && let Some(curve) = curves.iter().find(|curve| curve.style == Style::Abandoned)
    {
        entries.push(Entry { curve, name: format!("{count} abandoned branches").into(), value: String::new() });
    }
    entries
}

/// The unit is in the title; only values with a prefix and times repeat it.
fn legend_value(value: f64, unit: &str) -> String {
    match number::Format::of(unit) {
        number::Format::Plain => number::short(value),
        _ => number::with_unit(value, unit),
    }
}

impl Entry<'_> {
    fn width(&self) -> f64 {
        SWATCH
            + 6.0
            + text_width(&self.value, 12.0, Font::Numbers)
            + 6.0
            + text_width(&self.name, SMALL, Font::Words)
            + 18.0
    }

    fn shapes(&self, x: f64, baseline: f64) -> Vec<Shape> {
        let (role, y) = (self.curve.role, baseline - 4.0);
        let x = x + 18.0;
        let swatch = match self.curve.style {
            Style::Stacked => {
                Shape::Rect { rect: Rect::new(x + 4.0, y - 5.0, 10.0, 10.0), radius: 2.0, fill: Fill::faint(role, 0.7) }
            }
            style => {
                let dash = if style == Style::Planned { Dash::Dashed } else { role.dash() };
                Shape::line(Point::new(x, y), Point::new(x + SWATCH, y), Stroke::solid(role, 2.0).dashed(dash))
            }
        };
        let value = Text::numbers(Point::new(x + SWATCH + 6.0, baseline), self.value.clone(), 12.0, Role::Ink);
        let name_at = Point::new(value.at.x + value.width() + 6.0, baseline);
        vec![swatch, value.into(), Text::words(name_at, self.name.clone(), SMALL, Role::InkSoft).into()]
    }
}

/// The middle of the nearest pixel: lines one pixel wide are sharp there.
fn crisp(pixels: f64) -> f64 {
    pixels.floor() + 0.5
}
