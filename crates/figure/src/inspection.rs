//! Inspections as images of their own: with a title, the step, labels and a colour scale.
//!
//! - [`attention()`]: the pattern of one head; [`logit_lens()`]: the probability of the next token at each depth;
//! - [`weights()`]: one matrix and the histogram of its values.

mod attention;
mod logit_lens;
mod weights;

pub use attention::attention;
pub use logit_lens::{LogitLens, logit_lens};
pub use weights::weights;

use crate::scene::{Anchor, Fill, Font, Point, Rect, Role, Scene, Shape, Size, Text, text_width};

/// Margin around everything, pixels.
const MARGIN: f64 = 16.0;
/// Height of the title and of the line below it, pixels.
const HEAD: f64 = 50.0;
/// Font sizes.
const TITLE: f64 = 13.0;
const NOTE: f64 = 11.0;
const LABEL: f64 = 10.0;

/// The words above an inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Heading {
    /// What it shows: `amber-fox: attention, block 1, head 2`.
    pub title: String,
    /// When and of what: `step 4 120, validation window 0`.
    pub note: String,
}

/// A scene with a background and a heading, and the rectangle that is left.
fn page(heading: &Heading, size: Size) -> (Vec<Shape>, Rect) {
    let line = |text: &str, size_px: f64, is_strong: bool| fitted(text, size_px, size.width - 2.0 * MARGIN, is_strong);
    let title = Text::words(Point::new(MARGIN, 24.0), line(&heading.title, TITLE, true), TITLE, Role::Ink).strong();
    let note = Text::words(Point::new(MARGIN, 42.0), line(&heading.note, NOTE, false), NOTE, Role::InkSoft);
    let ground = Rect::new(0.0, 0.0, size.width, size.height);
    let ground = Shape::Rect { rect: ground, radius: 0.0, fill: Fill::solid(Role::Surface) };
    let rest = Rect::new(MARGIN, HEAD, size.width - 2.0 * MARGIN, size.height - HEAD - MARGIN);
    (vec![ground, title.into(), note.into()], rest)
}

/// An image with a heading only: there is nothing to show yet.
pub fn empty(heading: &Heading, size: Size) -> Scene {
    let (shapes, _) = page(heading, size);
    scene(heading, size, heading.note.clone(), shapes)
}

fn scene(heading: &Heading, size: Size, summary: String, shapes: Vec<Shape>) -> Scene {
    Scene { size, title: heading.title.clone(), summary, shapes }
}

/// The text, shortened to a width.
fn fitted(text: &str, size: f64, width: f64, is_strong: bool) -> String {
    let factor = if is_strong { 1.15 } else { 1.0 };
    let is_too_wide = |text: &str| text_width(text, size, Font::Words) * factor > width;
    if !is_too_wide(text) {
        return text.to_owned();
    }
    let mut short: Vec<char> = text.chars().collect();
    while short.len() > 1 && is_too_wide(&(short.iter().collect::<String>() + "…")) {
        short.pop();
    }
    short.into_iter().chain(['…']).collect()
}

/// A token with visible white space, shortened to `letters` characters.
fn token_label(token: &str, letters: usize) -> String {
    let mark = |letter: char| match letter {
        '\n' => '⏎',
        '\t' => '⇥',
        ' ' => '·',
        letter if letter.is_control() => '�',
        letter => letter,
    };
    let shown: Vec<char> = token.chars().map(mark).collect();
    match shown.len() {
        0 => "∅".to_owned(),
        length if length > letters => shown.into_iter().take(letters.saturating_sub(1)).chain(['…']).collect(),
        _ => shown.into_iter().collect(),
    }
}

/// Every how many-th cell is labelled, so that labels of a length have room; positions are then labelled by number at multiples of 8.
fn stride(cell: f64, length: f64) -> usize {
    match (length / cell.max(0.1)).ceil().max(1.0) as usize {
        1 => 1,
        stride => stride.next_multiple_of(8),
    }
}

/// A label in the font for numbers.
fn label(at: Point, text: impl Into<String>, anchor: Anchor) -> Shape {
    Text::numbers(at, text, LABEL, Role::InkSoft).anchored(anchor).into()
}
