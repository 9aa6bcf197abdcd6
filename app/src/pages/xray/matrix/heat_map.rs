//! The matrix on a canvas: means of tiles, or single values with their numbers if there is room.

use figure::heat::{heat, part, scale_bar};
use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Stroke, Text};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::inspect::request::Window;
use wire::inspect::result::{HeatMap, InspectionResult};

use super::viewport::Viewport;
use super::window::{placed, words};
use crate::components::{Canvas, OnCanvasEvent, clicks, shows};

/// Height of the colour scale below the matrix, pixels.
const FOOT: f64 = 28.0;
/// Cells this wide have their value written on them, pixels.
const NUMBERED: f64 = 46.0;

/// The canvas with its buttons.
#[component]
pub(super) fn MatrixHeatMap(viewport: Viewport) -> impl IntoView {
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let (Some((window, _)), Some(result)) = (viewport.shown(), viewport.subscription.result.get()) else {
            return vec![];
        };
        drawing(size, is_dark, window, &result.result, viewport.cell.get())
    };
    let on_event: OnCanvasEvent = Callback::new(move |(event, size)| viewport.handle(event, frame(size)));
    let label = Signal::derive(move || viewport.shown().map_or(String::new(), |(window, _)| words(&window)));
    view! {
        <Canvas
            class="matrix"
            file="matrix"
            label
            draw
            on_event
            keys="The matrix; plus and minus zoom, arrows move, shift and arrows move through single values, 0 shows \
                  all"
        />
        <div class="row">
            <button class="switch" title="Zoom in (+)" on:click=clicks(move |_| viewport.zoom(true))>"Zoom in"</button>
            <button class="switch" title="Zoom out (−)" on:click=clicks(move |_| viewport.zoom(false))>
                "Zoom out"
            </button>
            <button class="switch" title="Show the whole matrix (0)" on:click=clicks(move |_| viewport.reset())>
                "Show all"
            </button>
            <span class="small dim">{shows(move || label.get())}</span>
        </div>
    }
}

fn frame(size: Size) -> Rect {
    Rect::new(0.0, 0.0, size.width, size.height - FOOT)
}

fn drawing(
    size: Size,
    is_dark: bool,
    shown: Window,
    result: &InspectionResult,
    cell: Option<(u32, u32)>,
) -> Vec<Shape> {
    let InspectionResult::Matrix { window, mean, .. } = result else {
        return vec![];
    };
    let rect = frame(size);
    let ramp = Ramp::signed(is_dark);
    let ends = ramp.ends(mean.low, mean.high);
    let mut inner = vec![heat(mean, placed(window, &shown, rect), ramp, ends)];
    let width = rect.width / f64::from(shown.columns.max(1));
    if is_single(window, mean) && window == &shown && width >= NUMBERED {
        inner.extend(numbers(mean, shown, rect));
    }
    if let Some((row, column)) = cell {
        inner.push(outline(placed(&Window { row, column, rows: 1, columns: 1 }, &shown, rect)));
    }
    let mut shapes = vec![Shape::Group { clip: rect, shapes: inner }];
    shapes.extend(scale_bar(Rect::new(rect.x, rect.bottom() + 8.0, 180.0, 6.0), ramp, ends, ""));
    shapes.push(Text::words(Point::new(rect.x + 192.0, rect.bottom() + 15.0), "value", 10.0, Role::InkSoft).into());
    shapes
}

/// Whether the cells of a heat map are single values of the window.
fn is_single(window: &Window, mean: &HeatMap) -> bool {
    mean.rows == window.rows && mean.columns == window.columns
}

/// The values as numbers on chips of the paper's colour.
fn numbers(mean: &HeatMap, shown: Window, rect: Rect) -> Vec<Shape> {
    let values = part(mean, 0..mean.rows, 0..mean.columns);
    let cells = (0..values.rows).flat_map(|row| (0..values.columns).map(move |column| (row, column)));
    let number = |(row, column): (u32, u32)| {
        let value = values.value(row as usize, column as usize)?;
        let cell = Window { row: shown.row + row, column: shown.column + column, rows: 1, columns: 1 };
        let at = placed(&cell, &shown, rect);
        let centre = Point::new(at.x + at.width / 2.0, at.y + at.height / 2.0);
        let chip = Rect::new(centre.x - 21.0, centre.y - 8.0, 42.0, 15.0);
        let text = number::short(f64::from(value));
        let text = Text::numbers(Point::new(centre.x, centre.y + 3.5), text, 10.0, Role::Ink).anchored(Anchor::Middle);
        Some([Shape::Rect { rect: chip, radius: 3.0, fill: Fill::faint(Role::Surface, 0.8) }, text.into()])
    };
    cells.filter_map(number).flatten().collect()
}

fn outline(at: Rect) -> Shape {
    let corners = [(at.x, at.y), (at.right(), at.y), (at.right(), at.bottom()), (at.x, at.bottom()), (at.x, at.y)];
    Shape::Polyline { points: corners.map(|(x, y)| Point::new(x, y)).into(), stroke: Stroke::solid(Role::Ink, 1.0) }
}

/// The value of a cell, or the statistics of its tile, in words.
pub(super) fn value_text(result: &InspectionResult, row: u32, column: u32) -> Option<String> {
    let InspectionResult::Matrix { window, mean, min, max, .. } = result else {
        return None;
    };
    let tile_row = tile(row, window.row, window.rows, mean.rows)?;
    let tile_column = tile(column, window.column, window.columns, mean.columns)?;
    let value = |of: &HeatMap| of.value(tile_row, tile_column).map(|value| number::short(f64::from(value)));
    let (mean_value, low, high) = (value(mean)?, value(min)?, value(max)?);
    Some(match is_single(window, mean) {
        true => format!("row {row}, column {column}: {mean_value}"),
        false => format!(
            "tile at row {row}, column {column}: mean {mean_value}, minimum {low}, maximum {high}; zoom in for single \
             values"
        ),
    })
}

/// The tile of a row or column within a window of `count`, which has this many tiles.
fn tile(at: u32, first: u32, count: u32, tiles: u32) -> Option<usize> {
    let offset = at.checked_sub(first).filter(|offset| *offset < count)?;
    Some((u64::from(offset) * u64::from(tiles) / u64::from(count.max(1))) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_in_its_tile() {
        assert_eq!(tile(0, 0, 128, 32), Some(0));
        assert_eq!(tile(127, 0, 128, 32), Some(31));
        assert_eq!(tile(11, 10, 4, 4), Some(1));
        assert_eq!(tile(9, 10, 4, 4), None);
        assert_eq!(tile(14, 10, 4, 4), None);
    }
}
