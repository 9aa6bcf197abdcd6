//! The logit lens: a row for each depth, a column for each position.

use wire::inspect::result::{HeatMap, LogitLensCell};

use super::{Heading, label, page, scene, stride, token_label};
use crate::heat::{heat, scale_bar};
use crate::ramp::Ramp;
use crate::scene::{Anchor, Fill, Point, Rect, Role, Scene, Shape, Size, Text};

/// Width of the labels of depths, height of those of positions, and height of the colour scale, pixels.
const LEFT: f64 = 72.0;
const TOKENS: f64 = 18.0;
const SCALE: f64 = 34.0;
/// Length that the label of a row and of a column needs, pixels.
const ROW: f64 = 10.0;
const COLUMN: f64 = 42.0;
/// Cells of this size have room for the most likely token.
const WORD: (f64, f64) = (44.0, 18.0);
const LETTERS: usize = 6;
const SCALE_NOTE: &str = "probability of the actual next token";

/// A result of the logit lens.
#[derive(Debug, Clone, Copy)]
pub struct LogitLens<'a> {
    /// Tokens read, as text.
    pub tokens: &'a [String],
    /// Names of the depths.
    pub depths: &'a [String],
    /// By depth and position.
    pub cells: &'a [Vec<LogitLensCell>],
    /// The tokens named in cells, as text.
    pub words: &'a [(u32, String)],
}

impl LogitLens<'_> {
    fn probabilities(&self) -> HeatMap {
        let row = |depth: usize| {
            (0..self.tokens.len()).map(move |at| self.cell(depth, at).map_or(f32::NAN, |cell| cell.actual))
        };
        let values: Vec<f32> = (0..self.depths.len()).flat_map(row).collect();
        HeatMap::within(self.depths.len(), self.tokens.len(), &values, 0.0, 1.0)
    }

    fn cell(&self, depth: usize, position: usize) -> Option<&LogitLensCell> {
        self.cells.get(depth)?.get(position)
    }

    fn word(&self, token: u32) -> &str {
        self.words.iter().find(|(known, _)| *known == token).map_or("?", |(_, word)| word)
    }
}

/// Draws a result of the logit lens.
pub fn logit_lens(heading: &Heading, lens: LogitLens, size: Size) -> Scene {
    let (mut shapes, rest) = page(heading, size);
    let grid = Rect::new(
        rest.x + LEFT,
        rest.y + TOKENS,
        (rest.width - LEFT).max(1.0),
        (rest.height - TOKENS - SCALE).max(1.0),
    );
    shapes.push(heat(&lens.probabilities(), grid, Ramp::Cividis, (0.0, 1.0)));
    shapes.extend(labels(&lens, grid));
    shapes.extend(words(&lens, grid));
    let bar = Rect::new(grid.x, grid.bottom() + 10.0, 120.0_f64.min(grid.width), 6.0);
    shapes.extend(scale_bar(bar, Ramp::Cividis, (0.0, 1.0), ""));
    let note = Text::words(Point::new(bar.right() + 12.0, bar.y + 6.0), SCALE_NOTE, 10.0, Role::InkSoft);
    if note.at.x + note.width() < rest.right() {
        shapes.push(note.into());
    }
    scene(heading, size, summary(&lens), shapes)
}

fn labels(lens: &LogitLens, grid: Rect) -> Vec<Shape> {
    let (row, column) = cell_size(lens, grid);
    let (rows, columns) = ((ROW / row.max(0.1)).ceil().max(1.0) as usize, stride(column, COLUMN));
    let depth = |(at, name): (usize, &String)| {
        let y = grid.y + (at as f64 + 0.5) * row + 3.5;
        label(Point::new(grid.x - 6.0, y), name.replace("block.", "block "), Anchor::End)
    };
    let position = |at: usize| {
        let text = if columns == 1 { token_label(&lens.tokens[at], LETTERS) } else { at.to_string() };
        label(Point::new(grid.x + (at as f64 + 0.5) * column, grid.y - 6.0), text, Anchor::Middle)
    };
    let depths = lens.depths.iter().enumerate().step_by(rows).map(depth);
    depths.chain((0..lens.tokens.len()).step_by(columns).map(position)).collect()
}

/// Height and width of a cell.
fn cell_size(lens: &LogitLens, grid: Rect) -> (f64, f64) {
    (grid.height / lens.depths.len().max(1) as f64, grid.width / lens.tokens.len().max(1) as f64)
}

/// The most likely tokens, if cells have room for them.
fn words(lens: &LogitLens, grid: Rect) -> Vec<Shape> {
    let (row, column) = cell_size(lens, grid);
    if column < WORD.0 || row < WORD.1 {
        return vec![];
    }
    let places = (0..lens.depths.len()).flat_map(|depth| (0..lens.tokens.len()).map(move |at| (depth, at)));
    let word = |(depth, at): (usize, usize)| {
        let cell = lens.cell(depth, at)?;
        let (token, _) = cell.top.first()?;
        let center = Point::new(grid.x + (at as f64 + 0.5) * column, grid.y + (depth as f64 + 0.5) * row + 3.5);
        let text = Text::numbers(center, token_label(lens.word(*token), LETTERS), 10.0, Role::Ink);
        let text = text.anchored(Anchor::Middle);
        // On a chip of the background's colour the text is readable on every colour in both themes.
        let width = (text.width() + 8.0).min(column - 2.0);
        let chip = Rect::new(center.x - width / 2.0, center.y - 11.5, width, 16.0);
        let chip = Shape::Rect { rect: chip, radius: 3.0, fill: Fill::faint(Role::Surface, 0.86) };
        Some([chip, if cell.rank == 1 { text.strong() } else { text }.into()])
    };
    places.filter_map(word).flatten().collect()
}

fn summary(lens: &LogitLens) -> String {
    let last = lens.depths.len().saturating_sub(1);
    let is_right = |at: &usize| lens.cell(last, *at).is_some_and(|cell| cell.rank == 1);
    let right = (0..lens.tokens.len()).filter(is_right).count();
    format!(
        "Logit lens at {} depths over {} tokens. The actual next token is the most likely one at {right} positions.",
        lens.depths.len(),
        lens.tokens.len()
    )
}
