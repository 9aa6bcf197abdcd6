//! The pattern of one head, large: a row for each query, a column for each key.

use figure::Ramp;
use figure::heat::{causal, heat, scale_bar};
use figure::scene::{Anchor, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::inspect::result::HeatMap;

use super::result::Attention;
use crate::components::{Canvas, CanvasEvent, OnCanvasEvent};
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::{brief, percent, visible};

/// Margins for the labels of queries, and for the label of the key and the colour scale.
const LEFT: f64 = 72.0;
const FOOT: f64 = 40.0;
/// Cells this high have room for a label each, pixels.
const LABELLED: f64 = 9.5;
/// Characters of a key label, and the width of one, pixels.
const KEY_LETTERS: usize = 6;
const LETTER: f64 = 6.2;
const NOTE: &str = "attention weight, colors by its square root; rows are queries, columns are keys";

/// Caption of the colour scale where there is no room for [`NOTE`].
const SHORT_NOTE: &str = "attention weight";

/// The canvas with its caption.
#[component]
pub(super) fn Pattern(xray: XrayState, subscription: Subscription, head: Memo<u32>) -> impl IntoView {
    let key = RwSignal::new(None::<usize>);
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let result = subscription.result.get();
        let shown = Attention::of(result.as_ref());
        let shown = shown.and_then(|shown| Some((shown.tokens, shown.patterns.get(head.get() as usize)?)));
        shown.map_or(vec![], |(tokens, pattern)| drawing(size, tokens, pattern, xray.token.get(), key.get()))
    };
    let caption = Signal::derive(move || {
        let result = subscription.result.get();
        let shown = Attention::of(result.as_ref());
        let shown = shown.and_then(|shown| Some((shown.tokens, shown.patterns.get(head.get() as usize)?)));
        shown.map_or(String::new(), |(tokens, pattern)| words(tokens, pattern, xray.token.get(), key.get()))
    });
    let count =
        move || Attention::of(subscription.result.get_untracked().as_ref()).map_or(0, |shown| shown.tokens.len());
    let on_event: OnCanvasEvent = Callback::new(move |(event, size): (CanvasEvent, Size)| {
        let cursor = Cursor { query: xray.token, key };
        cursor.handle(event, frame(size), count())
    });
    view! {
        <figure class="large">
            <Canvas
                class="square"
                file="attention"
                label=caption
                draw
                on_event
                keys="Attention pattern of the head; up and down arrows choose the query, left and right arrows the key"
            />
            <figcaption class="small"><span role="status">{caption}</span></figcaption>
        </figure>
    }
}

/// The query and the key chosen, by position in the text.
#[derive(Clone, Copy)]
struct Cursor {
    query: RwSignal<Option<usize>>,
    key: RwSignal<Option<usize>>,
}

impl Cursor {
    /// Whether the event did something.
    fn handle(self, event: CanvasEvent, rect: Rect, count: usize) -> bool {
        match event {
            CanvasEvent::Over { at, .. } | CanvasEvent::Press(at) => {
                self.point(at, rect, count);
                false
            }
            CanvasEvent::Key { name, .. } => self.step(&name, count),
            CanvasEvent::Away => {
                self.key.set(None);
                false
            }
            _ => false,
        }
    }

    fn point(self, at: Point, rect: Rect, count: usize) {
        let index = |offset: f64, length: f64| {
            (offset >= 0.0 && offset < length).then(|| (offset / length * count as f64) as usize)
        };
        if let (Some(row), Some(column)) = (index(at.y - rect.y, rect.height), index(at.x - rect.x, rect.width)) {
            self.query.set(Some(row));
            self.key.set((column <= row).then_some(column));
        }
    }

    fn step(self, key: &str, count: usize) -> bool {
        let row = self.query.get_untracked().unwrap_or(0);
        let column = self.key.get_untracked().unwrap_or(row);
        let (row, column) = match key {
            "ArrowUp" => (row.saturating_sub(1), column),
            "ArrowDown" => ((row + 1).min(count.saturating_sub(1)), column),
            "ArrowLeft" => (row, column.saturating_sub(1)),
            "ArrowRight" => (row, column + 1),
            _ => return false,
        };
        self.query.set(Some(row));
        self.key.set(Some(column.min(row)));
        true
    }
}

/// The square of the cells on a canvas of this size.
fn frame(size: Size) -> Rect {
    let side = (size.width - LEFT - 8.0).min(size.height - FOOT - 22.0).max(1.0);
    Rect::new(LEFT, 8.0, side, side)
}

fn drawing(size: Size, tokens: &[String], pattern: &HeatMap, row: Option<usize>, column: Option<usize>) -> Vec<Shape> {
    let rect = frame(size);
    let cell = rect.width / f64::from(pattern.columns.max(1));
    let ends = (0.0, pattern.high);
    let mut shapes = vec![heat(&causal(pattern), rect, Ramp::Shares, ends)];
    shapes.extend(query_labels(tokens, rect, cell, row));
    if column.is_none() {
        shapes.extend(key_labels(tokens, rect, cell));
    }
    if let Some(row) = row.filter(|row| *row < tokens.len()) {
        shapes.extend(outline(Rect::new(rect.x, rect.y + row as f64 * cell, rect.width, cell)));
        if let Some(column) = column.filter(|column| *column < tokens.len()) {
            shapes.extend(key_mark(&tokens[column], rect, cell, row, column));
        }
    }
    shapes.extend(scale_bar(Rect::new(rect.x, rect.bottom() + 28.0, 120.0, 6.0), Ramp::Shares, ends, ""));
    let note = |text| Text::words(Point::new(rect.x + 132.0, rect.bottom() + 34.0), text, 10.0, Role::InkSoft);
    let notes = [NOTE, SHORT_NOTE].map(note);
    shapes.extend(notes.into_iter().find(|note| note.at.x + note.width() < size.width).map(Shape::from));
    shapes
}

/// Every how many-th cell has room for a label of this length.
fn stride(cell: f64, length: f64) -> usize {
    (length / cell.max(0.1)).ceil().max(1.0) as usize
}

/// Every how many-th position is labelled by its number if not every token has room for its label: some of the tokens
/// would read as another text.
fn positions(stride: usize) -> usize {
    stride.next_multiple_of(8)
}

/// The labels of the queries, or their positions if there is no room, and the label of the chosen one.
fn query_labels(tokens: &[String], rect: Rect, cell: f64, chosen: Option<usize>) -> Vec<Shape> {
    let stride = stride(cell, LABELLED);
    let is_numbered = stride > 1;
    let stride = if is_numbered { positions(stride) } else { 1 };
    let label = |(at, token): (usize, &String)| {
        let is_chosen = chosen == Some(at);
        let role = if is_chosen { Role::Ink } else { Role::InkSoft };
        let word = if is_numbered && !is_chosen { at.to_string() } else { brief(token, 10) };
        let at = Point::new(rect.x - 6.0, rect.y + (at as f64 + 0.5) * cell + 3.5);
        let text = Text::numbers(at, word, 10.0, role).anchored(Anchor::End);
        Shape::from(if is_chosen { text.strong() } else { text })
    };
    // Neighbors of the chosen query give way to its label.
    let has_room =
        |at: usize| chosen == Some(at) || (at % stride == 0 && chosen.is_none_or(|row| row.abs_diff(at) >= stride));
    tokens.iter().enumerate().filter(|(at, _)| has_room(*at)).map(label).collect()
}

/// The labels of the keys below their columns, or their positions if there is no room.
fn key_labels(tokens: &[String], rect: Rect, cell: f64) -> Vec<Shape> {
    let letters = tokens.iter().map(|token| brief(token, KEY_LETTERS).chars().count()).max().unwrap_or(1);
    let stride = stride(cell, letters as f64 * LETTER + 3.0);
    let is_numbered = stride > 1;
    let label = |(at, token): (usize, &String)| {
        let word = if is_numbered { at.to_string() } else { brief(token, KEY_LETTERS) };
        let at = Point::new(rect.x + (at as f64 + 0.5) * cell, rect.bottom() + 12.0);
        Text::numbers(at, word, 10.0, Role::InkSoft).anchored(Anchor::Middle).into()
    };
    let stride = if is_numbered { positions(stride) } else { 1 };
    tokens.iter().enumerate().step_by(stride).map(label).collect()
}

/// The cell of a query and a key, with the label of the key.
fn key_mark(token: &str, rect: Rect, cell: f64, row: usize, column: usize) -> Vec<Shape> {
    let (x, y) = (rect.x + column as f64 * cell, rect.y + row as f64 * cell);
    let at = Point::new(x + 0.5 * cell, rect.bottom() + 12.0);
    let label = Text::numbers(at, brief(token, 14), 10.0, Role::Ink).anchored(Anchor::Middle).strong();
    let mut shapes = outline(Rect::new(x, y, cell, cell)).to_vec();
    shapes.push(label.into());
    shapes
}

fn outline(rect: Rect) -> [Shape; 2] {
    let (left, top, right, bottom) = (rect.x, rect.y, rect.right(), rect.bottom());
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    let points: Vec<Point> = corners.map(|(x, y)| Point::new(x, y)).into();
    [
        Shape::Polyline { points: points.clone(), stroke: Stroke::solid(Role::Surface, 2.5) },
        Shape::Polyline { points, stroke: Stroke::solid(Role::Accent, 1.2) },
    ]
}

/// What a query attends to most, or its weight on the chosen key.
fn words(tokens: &[String], pattern: &HeatMap, row: Option<usize>, column: Option<usize>) -> String {
    let Some(row) = row.filter(|row| *row < tokens.len()) else {
        return format!("Pattern over {} tokens; tap or point at a row, or use the arrow keys", tokens.len());
    };
    let named = |at: usize| format!("“{}” ({at})", visible(&tokens[at]));
    let weight = |column: usize| pattern.value(row, column).unwrap_or(0.0);
    let share = |column: usize| percent(f64::from(weight(column)));
    if let Some(column) = column.filter(|column| *column < tokens.len()) {
        return format!("{} attends to {} with weight {}", named(row), named(column), share(column));
    }
    let mut keys: Vec<usize> = (0..=row).collect();
    keys.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)));
    let top: Vec<String> = keys.into_iter().take(3).map(|at| format!("{} {}", named(at), share(at))).collect();
    format!("{} attends to {}", named(row), top.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caption_names_the_strongest_keys_and_a_chosen_weight() {
        let tokens: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let weights = [1.0, 0.0, 0.0, 0.25, 0.75, 0.0, 0.5, 0.125, 0.375];
        let pattern = HeatMap::within(3, 3, &weights, 0.0, 1.0);
        assert!(words(&tokens, &pattern, None, None).starts_with("Pattern over 3 tokens"));
        assert!(words(&tokens, &pattern, Some(1), None).starts_with("“b” (1) attends to “b” (1) 7"));
        assert!(words(&tokens, &pattern, Some(2), Some(0)).starts_with("“c” (2) attends to “a” (0) with weight 50"));
        assert_eq!(causal(&pattern).value(0, 2), None, "no token attends to a later one");
        assert_eq!(causal(&pattern).cells[4], pattern.cells[4]);
    }
}
