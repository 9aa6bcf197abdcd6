//! The activations of a block's neurons as a heat map: a row for each neuron, a column for each token.

use figure::Ramp;
use figure::heat::{heat, part, scale_bar};
use figure::scene::{Anchor, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;

use super::result::Neurons;
use crate::components::{Canvas, CanvasEvent, OnCanvasEvent, says, shows};
use crate::pages::xray::location::Location;
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::brief;

/// Rows in view at a time.
const ROWS: u32 = 48;
/// Margins for the numbers of neurons, the label of the token and the colour scale, pixels.
const LEFT: f64 = 44.0;
const TOP: f64 = 18.0;
const FOOT: f64 = 26.0;
/// Rows this high have room for a label each, pixels.
const LABELLED: f64 = 10.0;

/// The rows in view and the row chosen.
#[derive(Clone, Copy)]
struct Cursor {
    xray: XrayState,
    subscription: Subscription,
    layer: Memo<u32>,
    row: RwSignal<Option<u32>>,
    /// First row in view.
    first: RwSignal<u32>,
    /// Rows in all.
    count: Memo<u32>,
}

impl Cursor {
    /// Whether the event did something.
    fn handle(self, event: CanvasEvent, rect: Rect) -> bool {
        match event {
            CanvasEvent::Over { at, .. } => {
                self.point(at, rect);
                false
            }
            CanvasEvent::Press(at) if rect.contains(at) => self.open(),
            CanvasEvent::Wheel { by, .. } => self.scroll(if by > 0.0 { 4 } else { -4 }),
            CanvasEvent::Key { name, .. } => self.press(&name),
            _ => false,
        }
    }

    fn last(self) -> u32 {
        self.count.get_untracked().saturating_sub(1)
    }

    fn point(self, at: Point, rect: Rect) {
        if !rect.contains(at) {
            return;
        }
        let (first, last) = (self.first.get_untracked(), self.last());
        let shown = ROWS.min(last + 1 - first.min(last));
        let row = first + ((at.y - rect.y) / rect.height * f64::from(shown)) as u32;
        let result = self.subscription.result.get_untracked();
        let tokens = Neurons::of(result.as_ref()).map_or(1, |neurons| neurons.tokens.len());
        let token = ((at.x - rect.x) / rect.width * tokens as f64) as usize;
        self.row.set(Some(row.min(last)));
        self.xray.token.set(Some(token.min(tokens.saturating_sub(1))));
    }

    /// Opens the chosen neuron.
    fn open(self) -> bool {
        let result = self.subscription.result.get_untracked();
        let neuron = Neurons::of(result.as_ref())
            .zip(self.row.get_untracked())
            .and_then(|(neurons, row)| neurons.neurons.get(row as usize).copied());
        if let Some(neuron) = neuron {
            self.xray.go(&Location::Neuron { layer: self.layer.get_untracked(), neuron });
        }
        true
    }

    fn scroll(self, by: i32) -> bool {
        let last = self.last();
        if last >= ROWS {
            self.first.set(self.first.get_untracked().saturating_add_signed(by).min(last + 1 - ROWS));
        }
        last >= ROWS
    }

    fn press(self, key: &str) -> bool {
        let (first, last) = (self.first.get_untracked(), self.last());
        let row = self.row.get_untracked().unwrap_or(first);
        let next = match key {
            "ArrowUp" => row.saturating_sub(1),
            "ArrowDown" => (row + 1).min(last),
            "Enter" => return self.open(),
            _ => return false,
        };
        self.row.set(Some(next));
        if next < first || next >= first + ROWS {
            self.first.set(next.saturating_sub(ROWS / 2).min(last.saturating_sub(ROWS - 1)));
        }
        true
    }
}

/// The canvas, and a slider if there are more neurons than rows in view.
#[component]
pub(super) fn HeatMapOfNeurons(
    xray: XrayState,
    subscription: Subscription,
    row: RwSignal<Option<u32>>,
    layer: Memo<u32>,
) -> impl IntoView {
    let count = Memo::new(move |_| {
        Neurons::of(subscription.result.get().as_ref()).map_or(0, |neurons| neurons.activations.rows)
    });
    let first = RwSignal::new(0u32);
    let cursor = Cursor { xray, subscription, layer, row, first, count };
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let result = subscription.result.get();
        Neurons::of(result.as_ref())
            .map_or(vec![], |neurons| drawing(size, is_dark, &neurons, first.get(), row.get(), xray.token.get()))
    };
    let width = xray.model.with_value(|model| model.d_ff as u32);
    let label = Signal::derive(move || match count.get() {
        all if all == width => format!("Activations of all {all} neurons over the text, strongest first"),
        some => format!("Activations of the {some} strongest of {width} neurons over the text"),
    });
    let on_event: OnCanvasEvent =
        Callback::new(move |(event, size): (CanvasEvent, Size)| cursor.handle(event, frame(size)));
    let slider = move || {
        (count.get() > ROWS).then(|| {
            view! {
                <input
                    type="range"
                    class="scrub"
                    aria-label="First neuron in view"
                    title="Scroll through the neurons, largest absolute activation first"
                    min="0"
                    max=says(move || (count.get() - ROWS).to_string())
                    prop:value=says(move || first.get().to_string())
                    on:input:target=move |event| first.set(event.target().value().parse().unwrap_or(0))
                />
            }
        })
    };
    view! {
        <Canvas
            class="neurons"
            file="neurons"
            label
            draw
            on_event
            keys="Activations by neuron and token; up and down arrows choose a neuron, Enter opens it"
        />
        {shows(slider)}
    }
}

fn frame(size: Size) -> Rect {
    Rect::new(LEFT, TOP, size.width - LEFT, size.height - TOP - FOOT)
}

fn drawing(
    size: Size,
    is_dark: bool,
    neurons: &Neurons,
    first: u32,
    row: Option<u32>,
    token: Option<usize>,
) -> Vec<Shape> {
    let rect = frame(size);
    let ramp = Ramp::signed(is_dark);
    let ends = ramp.ends(neurons.activations.low, neurons.activations.high);
    let seen = part(neurons.activations, first..first + ROWS, 0..neurons.activations.columns);
    let height = rect.height / f64::from(seen.rows.max(1));
    let mut shapes = vec![heat(&seen, rect, ramp, ends)];
    shapes.extend(neuron_labels(neurons, first, row, rect, height));
    if let Some(row) = row.filter(|row| (first..first + seen.rows).contains(row)) {
        let y = rect.y + f64::from(row - first) * height;
        let line =
            |y: f64| Shape::line(Point::new(rect.x, y), Point::new(rect.right(), y), Stroke::solid(Role::Ink, 1.0));
        shapes.extend([line(y), line(y + height)]);
    }
    let width = rect.width / f64::from(seen.columns.max(1));
    shapes.extend(token.and_then(|token| token_label(neurons.tokens.get(token)?, token, rect, width)));
    shapes.extend(scale_bar(Rect::new(LEFT, rect.bottom() + 6.0, 160.0, 6.0), ramp, ends, ""));
    shapes.push(Text::words(Point::new(LEFT + 172.0, rect.bottom() + 13.0), "activation", 10.0, Role::InkSoft).into());
    shapes
}

/// The numbers of the neurons in view: all if rows are high, else every fourth, without those beside the chosen one.
fn neuron_labels(neurons: &Neurons, first: u32, chosen: Option<u32>, rect: Rect, height: f64) -> Vec<Shape> {
    let in_view = neurons.neurons.iter().enumerate().skip(first as usize).take(ROWS as usize);
    let label = |(row, neuron): (usize, &u32)| {
        let row = row as u32;
        let (is_chosen, line) = (chosen == Some(row), row - first);
        let is_regular = height >= LABELLED || line.is_multiple_of(4);
        let has_room = chosen.is_none_or(|chosen| chosen.abs_diff(row) > 1);
        let role = if is_chosen { Role::Ink } else { Role::InkFaint };
        let at = Point::new(LEFT - 6.0, rect.y + (f64::from(line) + 0.5) * height + 3.5);
        (is_chosen || is_regular && has_room)
            .then(|| Shape::from(Text::numbers(at, neuron.to_string(), 10.0, role).anchored(Anchor::End)))
    };
    in_view.filter_map(label).collect()
}

fn token_label(word: &str, token: usize, rect: Rect, width: f64) -> Option<Shape> {
    let x = rect.x + (token as f64 + 0.5) * width;
    let anchor = match x {
        x if x > rect.right() - 40.0 => Anchor::End,
        x if x < rect.x + 40.0 => Anchor::Start,
        _ => Anchor::Middle,
    };
    Some(Text::numbers(Point::new(x, 12.0), brief(word, 16), 11.0, Role::Ink).anchored(anchor).into())
}
