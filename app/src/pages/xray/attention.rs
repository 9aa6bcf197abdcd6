//! Attention: every head of a block in little, one large, and for a token from where it reads.

use figure::heat::{heat, scale_bar};
use figure::scene::{Anchor, Point, Rect, Role, Shape, Size, Stroke, Text};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::look::Look;
use wire::sight::{Field, HeadStats, Sight};

use super::seat::{Seat, stand};
use super::text::token_text;
use super::{Inside, heads, timeline};
use crate::parts::{OnTouch, Plate, Touch, clicks, says, shows};
use crate::xray::clock::When;
use crate::xray::frames::Shown;
use crate::xray::place::Place;
use crate::xray::tokens::{brief, percent, visible};

/// Room for the words of queries at the left, and of the key at the bottom.
const LEFT: f64 = 72.0;
const FOOT: f64 = 40.0;

/// The pattern without what no token can read: those after it are left open.
fn causal(pattern: &Field) -> Field {
    let columns = pattern.columns.max(1) as usize;
    let cell = |(at, cell): (usize, &u8)| if at % columns > at / columns { 0 } else { *cell };
    Field { cells: pattern.cells.iter().enumerate().map(cell).collect(), ..*pattern }
}

/// What is seen of a block's heads.
type Heads<'a> = (&'a [String], &'a [Field], &'a [HeadStats]);

fn heads_of(shown: Option<&Shown>) -> Option<Heads<'_>> {
    match &shown?.sight {
        Sight::Attention { tokens, patterns, heads } => Some((tokens, patterns, heads)),
        _ => None,
    }
}

fn chosen(inside: Inside) -> (u32, u32) {
    match *inside.place.read() {
        Place::Attention { layer, head } => (layer, head),
        _ => (0, 0),
    }
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let layer = Memo::new(move |_| chosen(inside).0);
    let head = Memo::new(move |_| chosen(inside).1);
    let seat = inside.seat(when, move |passage| Some(Look::Attention { passage, layer: layer.get() }));
    let choose = move |head: u32| inside.go(&Place::Attention { layer: layer.get_untracked(), head });
    let count =
        Memo::new(move |_| heads_of(seat.shown.get().as_ref()).map_or(0, |(_, patterns, _)| patterns.len() as u32));
    view! {
        {timeline::layers(inside, move || layer.get(), |layer| Place::Attention { layer, head: 0 })}
        {stand(inside, seat, move || view! {
            <div class="heads" role="group" aria-label="Heads of the block">
                {shows(move || (0..count.get()).map(|each| view! { <HeadCard seat each head choose=Callback::new(choose) /> }).collect_view())}
            </div>
            <div class="attention-large">
                <Large inside seat head />
                <Facts seat head />
            </div>
            <Reads inside seat head />
            <details><summary>"All heads as a table"</summary>
                {shows(move || heads_of(seat.shown.get().as_ref()).map(|(_, _, all)| heads::table(all, head.get(), choose)))}
            </details>
        }.into_any())}
    }
    .into_any()
}

/// A head in little.
#[component]
fn HeadCard(seat: Seat, each: u32, head: Memo<u32>, choose: Callback<u32>) -> impl IntoView {
    let stats = Memo::new(move |_| {
        heads_of(seat.shown.get().as_ref()).and_then(|(_, _, heads)| heads.get(each as usize).copied())
    });
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let shown = seat.shown.get();
        let pattern = heads_of(shown.as_ref()).and_then(|(_, patterns, _)| patterns.get(each as usize));
        pattern
            .map(|pattern| {
                heat(&causal(pattern), Rect::new(0.0, 0.0, size.width, size.height), Ramp::Shares, (0.0, pattern.high))
            })
            .into_iter()
            .collect()
    };
    let label = Signal::derive(move || {
        stats.get().map_or(String::new(), |stats| format!("Pattern of head {each}: {}", heads::habit(&stats)))
    });
    let induction =
        move || stats.get().filter(|stats| !stats.induction.is_nan()).map(|stats| percent(f64::from(stats.induction)));
    view! {
        <button class="head-card" class:strong=move || stats.get().is_some_and(|stats| stats.induction > 0.5) aria-pressed=says(move || (head.get() == each).to_string()) on:click=clicks(move |_| choose.run(each))>
            <Plate class="thumb" label draw />
            <span class="row small"><b>{format!("head {each}")}</b><span class="mono dim" title="Induction score">{induction}</span></span>
        </button>
    }
}

/// Where the cells of a pattern lie on a picture of this size.
fn frame(size: Size) -> Rect {
    let side = (size.width - LEFT - 8.0).min(size.height - FOOT - 22.0).max(1.0);
    Rect::new(LEFT, 8.0, side, side)
}

/// One head, large, with the cell someone points at.
#[component]
fn Large(inside: Inside, seat: Seat, head: Memo<u32>) -> impl IntoView {
    let key = RwSignal::new(None::<usize>);
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let shown = seat.shown.get();
        let Some((tokens, patterns, _)) = heads_of(shown.as_ref()) else {
            return vec![];
        };
        let Some(pattern) = patterns.get(head.get() as usize) else {
            return vec![];
        };
        drawing(size, tokens, pattern, inside.token.get(), key.get())
    };
    let told = Signal::derive(move || {
        let shown = seat.shown.get();
        let told = heads_of(shown.as_ref()).and_then(|(tokens, patterns, _)| {
            let pattern = patterns.get(head.get() as usize)?;
            Some(words(tokens, pattern, inside.token.get(), key.get()))
        });
        told.unwrap_or_default()
    });
    let count = move || heads_of(seat.shown.get_untracked().as_ref()).map_or(0, |(tokens, ..)| tokens.len());
    let on_touch: OnTouch = Callback::new(move |(touch, size): (Touch, Size)| {
        let (count, rect) = (count(), frame(size));
        match touch {
            Touch::Over { at, .. } | Touch::Press(at) => {
                let place = |offset: f64, length: f64| {
                    (offset >= 0.0 && offset < length).then(|| (offset / length * count as f64) as usize)
                };
                if let (Some(row), Some(column)) = (place(at.y - rect.y, rect.height), place(at.x - rect.x, rect.width))
                {
                    inside.token.set(Some(row));
                    key.set((column <= row).then_some(column));
                }
                false
            }
            Touch::Key { name, .. } => {
                let row = inside.token.get_untracked().unwrap_or(0);
                let column = key.get_untracked().unwrap_or(row);
                let (row, column) = match name.as_str() {
                    "ArrowUp" => (row.saturating_sub(1), column),
                    "ArrowDown" => ((row + 1).min(count.saturating_sub(1)), column),
                    "ArrowLeft" => (row, column.saturating_sub(1)),
                    "ArrowRight" => (row, column + 1),
                    _ => return false,
                };
                inside.token.set(Some(row));
                key.set(Some(column.min(row)));
                true
            }
            Touch::Away => {
                key.set(None);
                false
            }
            _ => false,
        }
    });
    view! {
        <figure class="large">
            <Plate class="square" file="attention" label=told draw on_touch keys="Pattern of the head; up and down arrows choose the token, left and right the token it reads" />
            <figcaption class="small" role="status">{told}</figcaption>
        </figure>
    }
}

fn drawing(size: Size, tokens: &[String], pattern: &Field, row: Option<usize>, column: Option<usize>) -> Vec<Shape> {
    let rect = frame(size);
    let cell = rect.width / f64::from(pattern.columns.max(1));
    let ends = (0.0, pattern.high);
    let mut shapes = vec![heat(&causal(pattern), rect, Ramp::Shares, ends)];
    let middle = |at: usize| (at as f64 + 0.5) * cell;
    for (at, token) in tokens.iter().enumerate() {
        let is_row = row == Some(at);
        // Where words would touch each other only the chosen one is written.
        if cell >= 9.5 || is_row {
            let role = if is_row { Role::Ink } else { Role::InkSoft };
            let text = Text::numbers(Point::new(rect.x - 6.0, rect.y + middle(at) + 3.5), brief(token, 10), 10.0, role)
                .anchored(Anchor::End);
            shapes.push(if is_row { text.strong() } else { text }.into());
        }
    }
    if let Some(row) = row.filter(|row| *row < tokens.len()) {
        let y = rect.y + row as f64 * cell;
        outline(&mut shapes, Rect::new(rect.x, y, rect.width, cell));
        if let Some((column, token)) = column.and_then(|column| Some((column, tokens.get(column)?))) {
            outline(&mut shapes, Rect::new(rect.x + column as f64 * cell, y, cell, cell));
            let at = Point::new(rect.x + middle(column), rect.bottom() + 12.0);
            shapes.push(Text::numbers(at, brief(token, 14), 10.0, Role::Ink).anchored(Anchor::Middle).strong().into());
        }
    }
    shapes.extend(scale_bar(Rect::new(rect.x, rect.bottom() + 28.0, 120.0, 6.0), Ramp::Shares, ends, ""));
    let note = Point::new(rect.x + 132.0, rect.bottom() + 34.0);
    let note =
        Text::words(note, "weight, colours by its root; a row is a token, a column what it reads", 10.0, Role::InkSoft);
    if note.at.x + note.width() < size.width {
        shapes.push(note.into());
    }
    shapes
}

fn outline(shapes: &mut Vec<Shape>, rect: Rect) {
    let corners = [
        (rect.x, rect.y),
        (rect.right(), rect.y),
        (rect.right(), rect.bottom()),
        (rect.x, rect.bottom()),
        (rect.x, rect.y),
    ];
    let points: Vec<Point> = corners.map(|(x, y)| Point::new(x, y)).into();
    shapes.push(Shape::Polyline { points: points.clone(), stroke: Stroke::solid(Role::Surface, 2.5) });
    shapes.push(Shape::Polyline { points, stroke: Stroke::solid(Role::Ember, 1.2) });
}

/// From where a token reads, or the one cell pointed at.
fn words(tokens: &[String], pattern: &Field, row: Option<usize>, column: Option<usize>) -> String {
    let Some(row) = row.filter(|row| *row < tokens.len()) else {
        return format!("{} tokens read each other; point at a row, or use the arrow keys", tokens.len());
    };
    let named = |at: usize| format!("“{}” ({at})", visible(&tokens[at]));
    let weight = |column: usize| pattern.value(row, column).unwrap_or(0.0);
    if let Some(column) = column.filter(|column| *column < tokens.len()) {
        return format!("{} reads {} with weight {}", named(row), named(column), percent(f64::from(weight(column))));
    }
    let mut sources: Vec<usize> = (0..=row).collect();
    sources.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)));
    let top: Vec<String> =
        sources.into_iter().take(3).map(|at| format!("{} {}", named(at), percent(f64::from(weight(at))))).collect();
    format!("{} reads from {}", named(row), top.join(", "))
}

/// The text, tinted by what the chosen token reads.
#[component]
fn Reads(inside: Inside, seat: Seat, head: Memo<u32>) -> impl IntoView {
    let tokens =
        Signal::derive(move || heads_of(seat.shown.get().as_ref()).map_or(vec![], |(tokens, ..)| tokens.to_vec()));
    let tints = Signal::derive(move || {
        let shown = seat.shown.get();
        let row = inside.token.get();
        let tints = heads_of(shown.as_ref()).and_then(|(tokens, patterns, _)| {
            let (pattern, row) = (patterns.get(head.get() as usize)?, row?);
            Some(
                (0..tokens.len())
                    .map(|column| pattern.value(row, column).filter(|_| column <= row).unwrap_or(f32::NAN))
                    .collect(),
            )
        });
        tints.unwrap_or_default()
    });
    view! {
        <h3>{shows(move || format!("From where a token reads, by head {}", head.get()))}</h3>
        {token_text(inside, "The text, tinted by what the chosen token reads", tokens, tints)}
    }
}

#[component]
fn Facts(seat: Seat, head: Memo<u32>) -> impl IntoView {
    let stats =
        move || heads_of(seat.shown.get().as_ref()).and_then(|(_, _, heads)| heads.get(head.get() as usize).copied());
    shows(move || {
        stats().map(|stats| {
            view! {
                <div class="stack facts">
                    <h3>{format!("Head {}", number::whole(u64::from(head.get())))}</h3>
                    <p>{heads::habit(&stats)}</p>
                    <dl class="pairs">{heads::facts(&stats).map(|(word, value, meaning)| view! { <div title=meaning><dt>{word}</dt><dd class="mono">{value}</dd></div> }).collect_view()}</dl>
                </div>
            }
        })
    })
}
