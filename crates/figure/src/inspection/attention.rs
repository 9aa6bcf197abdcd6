//! The attention pattern of one head: a row for each query, a column for each key.

use wire::inspect::result::HeatMap;

use super::{Heading, label, page, scene, stride, token_label};
use crate::heat::{causal, heat, scale_bar};
use crate::number;
use crate::ramp::Ramp;
use crate::scene::{Anchor, Point, Rect, Role, Scene, Shape, Size, Text};

/// Width of the labels of queries, height of those of keys, and height of the colour scale, pixels.
const LEFT: f64 = 72.0;
const KEYS: f64 = 18.0;
const SCALE: f64 = 34.0;
/// Length that a label needs along its axis, pixels.
const ROW: f64 = 9.5;
const COLUMN: f64 = 40.0;
const LETTERS: usize = 10;
const SCALE_NOTE: &str = "attention weight; rows are queries, columns are keys";

/// Draws the pattern of a head over its tokens.
pub fn attention(heading: &Heading, tokens: &[String], pattern: &HeatMap, size: Size) -> Scene {
    let (mut shapes, rest) = page(heading, size);
    let side = (rest.width - LEFT).min(rest.height - KEYS - SCALE).max(1.0);
    let square = Rect::new(rest.x + LEFT, rest.y, side, side);
    let ends = (0.0, pattern.high);
    shapes.push(heat(&causal(pattern), square, Ramp::Shares, ends));
    shapes.extend(labels(tokens, square));
    let bar = Rect::new(square.x, square.bottom() + KEYS + 10.0, 120.0_f64.min(side), 6.0);
    shapes.extend(scale_bar(bar, Ramp::Shares, ends, ""));
    let note = Text::words(Point::new(bar.right() + 12.0, bar.y + 6.0), SCALE_NOTE, 10.0, Role::InkSoft);
    if note.at.x + note.width() < rest.right() {
        shapes.push(note.into());
    }
    let summary = summary(tokens, pattern);
    scene(heading, size, summary, shapes)
}

/// Tokens beside the rows and below the columns; their positions where there is no room for each.
fn labels(tokens: &[String], square: Rect) -> Vec<Shape> {
    let cell = square.width / tokens.len().max(1) as f64;
    let (rows, columns) = (stride(cell, ROW), stride(cell, COLUMN));
    let text = |stride: usize, at: usize| {
        if stride == 1 { token_label(&tokens[at], LETTERS) } else { at.to_string() }
    };
    let middle = |at: usize| (at as f64 + 0.5) * cell;
    let row = |at: usize| label(Point::new(square.x - 6.0, square.y + middle(at) + 3.5), text(rows, at), Anchor::End);
    let column =
        |at: usize| label(Point::new(square.x + middle(at), square.bottom() + 13.0), text(columns, at), Anchor::Middle);
    let rows_shown = (0..tokens.len()).step_by(rows).map(row);
    rows_shown.chain((0..tokens.len()).step_by(columns).map(column)).collect()
}

fn summary(tokens: &[String], pattern: &HeatMap) -> String {
    let cells = (0..pattern.rows as usize).flat_map(|row| (0..=row).map(move |column| (row, column)));
    let weight = |(row, column): (usize, usize)| pattern.value(row, column).map(|value| (value, row, column));
    // The first row attends only to itself.
    let largest = cells.filter(|(row, _)| *row > 0).filter_map(weight).max_by(|one, other| one.0.total_cmp(&other.0));
    let count = format!("Attention over {} tokens", tokens.len());
    match largest {
        Some((value, row, column)) => format!(
            "{count}. The largest weight after the first row is {}, of position {row} on position {column}.",
            number::short(f64::from(value))
        ),
        None => format!("{count}."),
    }
}
