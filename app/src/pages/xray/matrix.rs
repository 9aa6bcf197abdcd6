//! One parameter, large: zoomed by wheel, drag and keys down to single values. While the next tiles are on their way the ones at hand
//! stand in for them at their place.

use std::time::Duration;

use figure::heat::{heat, part, scale_bar};
use figure::scene::{Point, Rect, Role, Shape, Size, Stroke, Text};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::look::{Look, Of, Window};
use wire::sight::{Histogram, Sight};

use super::seat::{Seat, stand};
use super::{Inside, units, weights};
use crate::parts::{Number, OnTouch, Plate, Touch, clicks, shows};
use crate::xray::clock::When;
use crate::xray::place::{Place, moved, zoomed};

/// Quiet after the last turn of the wheel before tiles are asked for.
const SETTLED: Duration = Duration::from_millis(160);
const FOOT: f64 = 28.0;
/// A cell this large has its value written in it.
const WRITTEN: f64 = 46.0;

/// Which part of which matrix.
#[derive(Clone, Copy)]
struct View {
    seat: Seat,
    /// The part in sight, as the hand has it; all of it where none.
    window: RwSignal<Option<Window>>,
    /// The cell someone points at: row, column.
    cell: RwSignal<Option<(u32, u32)>>,
    /// Where a drag is, and the window it began with.
    held: StoredValue<Option<(Point, Window)>>,
}

impl View {
    fn shape(self) -> Option<[u32; 2]> {
        match &self.seat.shown.get()?.sight {
            Sight::Matrix { shape, .. } => Some(*shape),
            _ => None,
        }
    }

    fn now(self) -> Option<(Window, [u32; 2])> {
        let shape = self.shape()?;
        let whole = Window { row: 0, column: 0, rows: shape[0], columns: shape[1] };
        Some((self.window.get().unwrap_or(whole), shape))
    }

    fn change(self, change: impl Fn(Window, [u32; 2]) -> Window) {
        if let Some((window, shape)) = untrack(|| self.now()) {
            self.window.set(Some(change(window, shape)));
        }
    }
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let chosen = Memo::new(move |_| match inside.place.get() {
        Place::Matrix { tensor, of } => (tensor, of),
        _ => (String::new(), Of::Weight),
    });
    let window = RwSignal::new(None::<Window>);
    let asked = RwSignal::new(None::<Window>);
    Effect::new(move |before: Option<String>| {
        let (tensor, _) = chosen.get();
        if before.is_some_and(|before| before != tensor) {
            window.set(None);
            asked.set(None);
        }
        tensor
    });
    let mut ask = leptos::leptos_dom::helpers::debounce(SETTLED, move |wanted: Option<Window>| {
        asked.try_set(wanted);
    });
    Effect::new(move || ask(window.get()));
    let seat = inside.seat(when, move |_| {
        let (tensor, of) = chosen.get();
        (!tensor.is_empty()).then(|| Look::Matrix { tensor, of, window: asked.get() })
    });
    let view = View { seat, window, cell: RwSignal::new(None), held: StoredValue::new(None) };
    let to = move |of: Of| Place::Matrix { tensor: chosen.with_untracked(|(tensor, _)| tensor.clone()), of };
    view! {
        <h2 class="mono">{shows(move || chosen.get().0)}</h2>
        {weights::choice(inside, to)}
        {stand(inside, seat, move || view! {
            <Facts view />
            <Picture view />
            <Spoken view />
            {units::sizes(Signal::derive(move || match seat.shown.get().map(|shown| shown.sight.clone()) {
                Some(Sight::Matrix { histogram, .. }) => histogram,
                _ => Histogram::default(),
            }), "Sizes of the values in sight")}
        }.into_any())}
    }
    .into_any()
}

#[component]
fn Facts(view: View) -> impl IntoView {
    shows(move || {
        let shown = view.seat.shown.get()?;
        let Sight::Matrix { shape, moments, .. } = &shown.sight else {
            return None;
        };
        let fact = |word: &'static str, value: f64, meaning: &'static str| {
            view! { <div><dt>{word}</dt><dd><Number text=number::short(value) meaning=format!("{meaning}: {value}") /></dd></div> }
        };
        Some(view! {
            <dl class="figures across">
                <div><dt>"shape"</dt><dd class="mono">{format!("{} × {}", shape[0], shape[1])}</dd></div>
                {fact("mean", moments.mean, "Mean of the values in sight")}
                {fact("RMS", moments.rms, "Root mean square of the values in sight")}
                {fact("smallest", moments.min, "Smallest value in sight")}
                {fact("largest", moments.max, "Largest value in sight")}
                {(moments.bad > 0).then(|| view! { <div class="over"><dt>"not finite"</dt><dd>{number::whole(moments.bad)}</dd></div> })}
            </dl>
        })
    })
}

#[component]
fn Picture(view: View) -> impl IntoView {
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let (Some((window, _)), Some(shown)) = (view.now(), view.seat.shown.get()) else {
            return vec![];
        };
        drawing(size, is_dark, window, &shown.sight, view.cell.get())
    };
    let place = move |at: Point, size: Size| {
        let (window, _) = untrack(|| view.now())?;
        let rect = frame(size);
        let share = |offset: f64, length: f64| (0.0..length).contains(&offset).then(|| offset / length);
        let (y, x) = (share(at.y - rect.y, rect.height)?, share(at.x - rect.x, rect.width)?);
        Some((
            f64::from(window.row) + y * f64::from(window.rows),
            f64::from(window.column) + x * f64::from(window.columns),
        ))
    };
    let on_touch: OnTouch = Callback::new(move |(touch, size): (Touch, Size)| match touch {
        Touch::Wheel { at, by } => {
            let Some(about) = place(at, size) else {
                return false;
            };
            view.change(|window, shape| zoomed(window, shape, about, if by > 0.0 { 1.35 } else { 0.74 }));
            true
        }
        Touch::Press(at) => {
            view.held.set_value(untrack(|| view.now()).map(|(window, _)| (at, window)));
            false
        }
        Touch::Over { at, is_held: true } => {
            if let Some((from, window)) = view.held.get_value() {
                let rect = frame(size);
                let by = (
                    (from.y - at.y) / rect.height * f64::from(window.rows),
                    (from.x - at.x) / rect.width * f64::from(window.columns),
                );
                view.change(|_, shape| moved(window, shape, by));
            }
            true
        }
        Touch::Over { at, .. } => {
            view.cell.set(place(at, size).map(|(row, column)| (row as u32, column as u32)));
            false
        }
        Touch::Release => {
            view.held.set_value(None);
            false
        }
        Touch::Away => {
            view.cell.set(None);
            false
        }
        Touch::Key { name, is_shifted } => key(view, &name, is_shifted),
    });
    let label = Signal::derive(move || {
        view.now().map_or(String::new(), |(window, _)| {
            format!(
                "Rows {} to {}, columns {} to {}",
                window.row,
                window.row + window.rows - 1,
                window.column,
                window.column + window.columns - 1
            )
        })
    });
    view! {
        <Plate class="matrix" file="matrix" label draw on_touch keys="The matrix; plus and minus zoom, arrows move it, shift and arrows go through its values, 0 shows all" />
        <div class="row">
            <button class="switch" on:click=clicks(move |_| { key(view, "+", false); })>"closer"</button>
            <button class="switch" on:click=clicks(move |_| { key(view, "-", false); })>"further"</button>
            <button class="switch" on:click=clicks(move |_| view.window.set(None))>"all of it"</button>
            <span class="small dim">{shows(move || label.get())}</span>
        </div>
    }
}

fn key(view: View, name: &str, is_shifted: bool) -> bool {
    let middle = |window: Window| {
        (
            f64::from(window.row) + f64::from(window.rows) / 2.0,
            f64::from(window.column) + f64::from(window.columns) / 2.0,
        )
    };
    let step = match name {
        "ArrowUp" => (-1.0, 0.0),
        "ArrowDown" => (1.0, 0.0),
        "ArrowLeft" => (0.0, -1.0),
        "ArrowRight" => (0.0, 1.0),
        "+" | "=" | "-" => {
            view.change(|window, shape| zoomed(window, shape, middle(window), if name == "-" { 1.6 } else { 0.625 }));
            return true;
        }
        "0" => {
            view.window.set(None);
            return true;
        }
        _ => return false,
    };
    if !is_shifted {
        view.change(|window, shape| {
            moved(
                window,
                shape,
                (step.0 * (f64::from(window.rows) / 8.0).max(1.0), step.1 * (f64::from(window.columns) / 8.0).max(1.0)),
            )
        });
        return true;
    }
    if let Some((window, _)) = untrack(|| view.now()) {
        let within = |at: f64, first: u32, count: u32| {
            at.clamp(f64::from(first), f64::from(first + count.saturating_sub(1))) as u32
        };
        let (row, column) = view.cell.get_untracked().unwrap_or((window.row, window.column));
        view.cell.set(Some((
            within(f64::from(row) + step.0, window.row, window.rows),
            within(f64::from(column) + step.1, window.column, window.columns),
        )));
    }
    true
}

fn frame(size: Size) -> Rect {
    Rect::new(0.0, 0.0, size.width, size.height - FOOT)
}

/// Where a window lies on a picture that shows another one.
fn placed(window: &Window, shown: &Window, rect: Rect) -> Rect {
    let (height, width) = (rect.height / f64::from(shown.rows.max(1)), rect.width / f64::from(shown.columns.max(1)));
    let offset = |at: u32, first: u32| f64::from(at) - f64::from(first);
    Rect::new(
        rect.x + offset(window.column, shown.column) * width,
        rect.y + offset(window.row, shown.row) * height,
        f64::from(window.columns) * width,
        f64::from(window.rows) * height,
    )
}

fn drawing(size: Size, is_dark: bool, shown: Window, sight: &Sight, cell: Option<(u32, u32)>) -> Vec<Shape> {
    let Sight::Matrix { window, mean, .. } = sight else {
        return vec![];
    };
    let rect = frame(size);
    let ramp = Ramp::signed(is_dark);
    let ends = ramp.ends(mean.low, mean.high);
    let mut inner = vec![heat(mean, placed(window, &shown, rect), ramp, ends)];
    let single = mean.rows == window.rows && mean.columns == window.columns;
    let width = rect.width / f64::from(shown.columns.max(1));
    if single && window == &shown && width >= WRITTEN {
        let values = part(mean, 0..mean.rows, 0..mean.columns);
        for row in 0..values.rows {
            for column in 0..values.columns {
                let at = placed(
                    &Window { row: shown.row + row, column: shown.column + column, rows: 1, columns: 1 },
                    &shown,
                    rect,
                );
                if let Some(value) = values.value(row as usize, column as usize) {
                    let chip = Rect::new(at.x + at.width / 2.0 - 21.0, at.y + at.height / 2.0 - 8.0, 42.0, 15.0);
                    inner.push(Shape::Rect {
                        rect: chip,
                        radius: 3.0,
                        fill: figure::scene::Fill::faint(Role::Surface, 0.8),
                    });
                    let text = Text::numbers(
                        Point::new(at.x + at.width / 2.0, at.y + at.height / 2.0 + 3.5),
                        number::short(f64::from(value)),
                        10.0,
                        Role::Ink,
                    );
                    inner.push(text.anchored(figure::scene::Anchor::Middle).into());
                }
            }
        }
    }
    if let Some((row, column)) = cell {
        let at = placed(&Window { row, column, rows: 1, columns: 1 }, &shown, rect);
        let corners = [(at.x, at.y), (at.right(), at.y), (at.right(), at.bottom()), (at.x, at.bottom()), (at.x, at.y)];
        inner.push(Shape::Polyline {
            points: corners.map(|(x, y)| Point::new(x, y)).into(),
            stroke: Stroke::solid(Role::Ink, 1.0),
        });
    }
    let mut shapes = vec![Shape::Group { clip: rect, shapes: inner }];
    shapes.extend(scale_bar(Rect::new(rect.x, rect.bottom() + 8.0, 180.0, 6.0), ramp, ends, ""));
    shapes
}

/// The value pointed at: of its tile where values are folded.
#[component]
fn Spoken(view: View) -> impl IntoView {
    let told = move || {
        let (row, column) = view.cell.get()?;
        let shown = view.seat.shown.get()?;
        let Sight::Matrix { window, mean, min, max, .. } = &shown.sight else {
            return None;
        };
        let tile = |at: u32, first: u32, count: u32, tiles: u32| {
            at.checked_sub(first)
                .filter(|at| *at < count)
                .map(|at| (u64::from(at) * u64::from(tiles) / u64::from(count.max(1))) as usize)
        };
        let (r, c) = (
            tile(row, window.row, window.rows, mean.rows)?,
            tile(column, window.column, window.columns, mean.columns)?,
        );
        let (mean_of, low, high) = (mean.value(r, c)?, min.value(r, c)?, max.value(r, c)?);
        let short = |value: f32| number::short(f64::from(value));
        Some(if mean.rows == window.rows && mean.columns == window.columns {
            format!("row {row}, column {column}: {}", short(mean_of))
        } else {
            format!(
                "tile about row {row}, column {column}: mean {}, from {} to {}; zoom in for single values",
                short(mean_of),
                short(low),
                short(high)
            )
        })
    };
    view! { <p class="small" role="status">{shows(move || told().unwrap_or_else(|| "Point at it for values; the wheel zooms, a drag moves".into()))}</p> }
}
