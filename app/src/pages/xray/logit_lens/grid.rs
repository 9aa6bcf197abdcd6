//! The canvas of the logit lens: a column for each position, a row for each depth.

use figure::Ramp;
use figure::heat::scale_bar;
use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::inspect::result::LogitLensCell;

use super::lens::{Lens, depth_label};
use crate::components::{Canvas, CanvasEvent, OnCanvasEvent, says, shows};
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::brief;

/// Height of a row, width of the depth labels, and margin for the button that saves the canvas, pixels.
const ROW: f64 = 30.0;
const LABELS: f64 = 76.0;
const SAVE: f64 = 36.0;
/// Above the rows: the token read. Below: the next token, the colour scale.
const ABOVE: f64 = 22.0;
const BELOW: f64 = 64.0;
const NOTE: &str = "probability of the actual next token; below the line, the actual next token is the most likely one";

/// Caption of the colour scale where there is no room for [`NOTE`].
const SHORT_NOTE: &str = "probability of the next token";

/// The part of the text in view.
#[derive(Clone, Copy)]
struct Scroll {
    xray: XrayState,
    /// First position in view.
    first: RwSignal<usize>,
    /// Width of the canvas and of a column, pixels.
    width: RwSignal<f64>,
    column: Memo<f64>,
    /// Positions and depths.
    count: Memo<(usize, usize)>,
}

impl Scroll {
    fn new(xray: XrayState, subscription: Subscription) -> Self {
        let measured = move |of: fn(&Lens) -> (usize, usize)| {
            subscription.result.get().and_then(|result| Lens::of(&result.result).map(|lens| of(&lens)))
        };
        let count = Memo::new(move |_| measured(|lens| (lens.tokens.len(), lens.depths.len())).unwrap_or((0, 0)));
        let column = Memo::new(move |_| {
            let result = subscription.result.get();
            result.and_then(|result| Lens::of(&result.result).map(|lens| lens.column_width())).unwrap_or(ROW)
        });
        let scroll = Self { xray, first: RwSignal::new(0), width: RwSignal::new(0.0), column, count };
        Effect::new(move || {
            if let Some(at) = xray.token.get() {
                scroll.keep_in_view(at);
            }
        });
        scroll
    }

    /// Positions that fit.
    fn fits(self) -> usize {
        fitting(self.width.get(), self.column.get()).min(self.count.get().0.max(1))
    }

    fn keep_in_view(self, at: usize) {
        let (first, fits) = (self.first.get_untracked(), untrack(|| self.fits()));
        if at < first || at >= first + fits {
            let last_first = self.count.get_untracked().0.saturating_sub(fits);
            self.first.set(at.saturating_sub(fits / 2).min(last_first));
        }
    }

    /// Whether the event did something.
    fn handle(self, event: CanvasEvent) -> bool {
        let last = self.count.get_untracked().0.saturating_sub(1);
        let fits = untrack(|| self.fits());
        match event {
            CanvasEvent::Over { at, .. } | CanvasEvent::Press(at) => {
                self.point(at.x, fits, last);
                false
            }
            CanvasEvent::Wheel { by, .. } if fits <= last => {
                let by = if by > 0.0 { 2 } else { -2 };
                self.first.update(|first| *first = first.saturating_add_signed(by).min(last + 1 - fits));
                true
            }
            CanvasEvent::Key { name, .. } => self.step(&name, last),
            _ => false,
        }
    }

    fn point(self, x: f64, fits: usize, last: usize) {
        if x >= LABELS {
            let column = ((x - LABELS) / self.column.get_untracked()) as usize;
            let at = (self.first.get_untracked() + column).min(last);
            if column < fits {
                self.xray.token.set(Some(at));
            }
        }
    }

    fn step(self, key: &str, last: usize) -> bool {
        let at = self.xray.token.get_untracked().unwrap_or(self.first.get_untracked());
        let next = match key {
            "ArrowLeft" => at.saturating_sub(1),
            "ArrowRight" => (at + 1).min(last),
            _ => return false,
        };
        self.xray.token.set(Some(next));
        true
    }
}

fn fitting(width: f64, column: f64) -> usize {
    ((width - LABELS - SAVE) / column).floor().max(1.0) as usize
}

/// The canvas with its caption, and a slider if the text is wider than it.
#[component]
pub(super) fn Grid(xray: XrayState, subscription: Subscription) -> impl IntoView {
    let scroll = Scroll::new(xray, subscription);
    let Scroll { first, width, count, .. } = scroll;
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        if width.get_untracked() != size.width {
            width.set(size.width);
        }
        let result = subscription.result.get();
        let lens = result.as_ref().and_then(|result| Lens::of(&result.result));
        lens.map_or(vec![], |lens| drawing(size, &lens, first.get(), xray.token.get()))
    };
    let on_event: OnCanvasEvent = Callback::new(move |(event, _): (CanvasEvent, Size)| scroll.handle(event));
    let label = Signal::derive(move || {
        let result = subscription.result.get();
        result.as_ref().and_then(|result| Lens::of(&result.result)).map_or(String::new(), |lens| summary(&lens))
    });
    let height = move || format!("{}px", ABOVE + BELOW + ROW * count.get().1 as f64);
    let slider = move || {
        (scroll.fits() < count.get().0).then(|| {
            view! {
                <input
                    type="range"
                    class="scrub"
                    aria-label="First position in view"
                    title="Scroll through the positions of the text"
                    min="0"
                    max=says(move || (count.get().0 - scroll.fits()).to_string())
                    prop:value=says(move || first.get().to_string())
                    on:input:target=move |event| first.set(event.target().value().parse().unwrap_or(0))
                />
            }
        })
    };
    view! {
        <figure class="lens" style:--height=height>
            <Canvas
                class="lens-table"
                file="logit-lens"
                label
                draw
                on_event
                keys="Predictions by depth and position; left and right arrows move through the positions"
            />
            {shows(slider)}
            <figcaption class="small dim">{shows(move || label.get())}</figcaption>
        </figure>
    }
}

fn summary(lens: &Lens) -> String {
    let found = (0..lens.tokens.len()).filter(|position| lens.depth_of_answer(*position).is_some()).count();
    format!("The actual next token is the most likely one at {found} of {} positions", lens.tokens.len())
}

fn drawing(size: Size, lens: &Lens, first: usize, chosen: Option<usize>) -> Vec<Shape> {
    let width = lens.column_width();
    let foot = ABOVE + lens.depths.len() as f64 * ROW;
    let mut shapes = row_labels(lens, foot);
    for (column, position) in (first..lens.tokens.len()).take(fitting(size.width, width)).enumerate() {
        let x = LABELS + column as f64 * width;
        let is_chosen = chosen == Some(position);
        shapes.extend(position_labels(lens, position, x + width / 2.0, foot, is_chosen));
        for depth in 0..lens.depths.len() {
            let rect = Rect::new(x + 1.0, ABOVE + depth as f64 * ROW + 1.0, width - 2.0, ROW - 2.0);
            shapes.extend(lens.cell(depth, position).map_or(vec![], |cell| prediction(lens, cell, rect)));
        }
        if let Some(depth) = lens.depth_of_answer(position) {
            let y = ABOVE + depth as f64 * ROW;
            let line = Stroke::solid(Role::Accent, 2.0);
            shapes.push(Shape::line(Point::new(x + 1.0, y), Point::new(x + width - 1.0, y), line));
        }
        if is_chosen {
            shapes.push(frame(Rect::new(x, 1.0, width, foot + 21.0)));
        }
    }
    shapes.extend(scale_bar(Rect::new(LABELS, foot + 38.0, 120.0, 6.0), Ramp::Cividis, (0.0, 1.0), ""));
    let note = |text| Text::words(Point::new(LABELS + 132.0, foot + 45.0), text, 10.0, Role::InkSoft);
    let notes = [NOTE, SHORT_NOTE].map(note);
    shapes.extend(notes.into_iter().find(|note| note.at.x + note.width() < size.width).map(Shape::from));
    shapes
}

fn row_labels(lens: &Lens, foot: f64) -> Vec<Shape> {
    let label = |y: f64, text: String| -> Shape {
        Text::words(Point::new(LABELS - 8.0, y), text, 11.0, Role::InkSoft).anchored(Anchor::End).into()
    };
    let depths = lens.depths.iter().enumerate();
    let depths = depths.map(|(depth, name)| label(ABOVE + (depth as f64 + 0.62) * ROW, depth_label(name)));
    depths.chain([label(14.0, "token".into()), label(foot + 16.0, "next token".into())]).collect()
}

/// The token at a position above its column, and the next token below.
fn position_labels(lens: &Lens, position: usize, middle: f64, foot: f64, is_chosen: bool) -> Vec<Shape> {
    let role = if is_chosen { Role::Ink } else { Role::InkSoft };
    let word = |y: f64, text: &str| {
        Text::numbers(Point::new(middle, y), brief(text, lens.letters()), 11.0, role).anchored(Anchor::Middle)
    };
    let mut shapes = vec![word(14.0, &lens.tokens[position]).into()];
    shapes.extend(lens.tokens.get(position + 1).map(|next| Shape::from(word(foot + 16.0, next).strong())));
    shapes
}

fn frame(rect: Rect) -> Shape {
    let (left, top, right, bottom) = (rect.x, rect.y, rect.right(), rect.bottom());
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    Shape::Polyline { points: corners.map(|(x, y)| Point::new(x, y)).into(), stroke: Stroke::solid(Role::Ink, 1.0) }
}

/// A cell: the most likely token, on the colour of the probability of the actual next token.
fn prediction(lens: &Lens, cell: &LogitLensCell, rect: Rect) -> Vec<Shape> {
    let mut shapes = vec![];
    if cell.actual.is_finite() {
        let [red, green, blue] = Ramp::Cividis.rgb(f64::from(cell.actual));
        shapes.push(Shape::Cells { rect, rows: 1, columns: 1, pixels: vec![red, green, blue, 255] });
    }
    if let Some((token, _)) = cell.top.first() {
        let at = Point::new(rect.x + rect.width / 2.0, rect.y + rect.height / 2.0 + 4.0);
        let text =
            Text::numbers(at, brief(lens.word(*token), lens.letters()), 11.0, Role::Ink).anchored(Anchor::Middle);
        // On a chip of the paper's colour the text is readable on every colour in both themes.
        let width = (text.width() + 8.0).min(rect.width - 2.0);
        let chip = Rect::new(at.x - width / 2.0, rect.y + 5.0, width, rect.height - 10.0);
        shapes.push(Shape::Rect { rect: chip, radius: 3.0, fill: Fill::faint(Role::Surface, 0.86) });
        shapes.push(if cell.rank == 1 { text.strong() } else { text }.into());
    }
    shapes
}
