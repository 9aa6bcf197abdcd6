//! A block's MLP: what each unit does over the text, how large activations are, and how many units are dead or saturated.

use figure::heat::{describe_histogram, heat, histogram, part, scale_bar};
use figure::scene::{Anchor, Point, Rect, Role, Shape, Size, Stroke, Text};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::look::Look;
use wire::sight::{Field, Histogram, Sight};

use super::seat::{Seat, stand};
use super::text::token_text;
use super::{Inside, timeline};
use crate::parts::{Number, OnTouch, Plate, Touch, says, shows};
use crate::xray::clock::When;
use crate::xray::place::Place;
use crate::xray::tokens::{brief, percent, visible};

/// Units in sight at a time.
const ROWS: u32 = 48;
const LEFT: f64 = 44.0;
const TOP: f64 = 18.0;
const FOOT: f64 = 26.0;

/// What is seen of an MLP.
struct Units<'a> {
    tokens: &'a [String],
    field: &'a Field,
    units: &'a [u32],
}

impl<'a> Units<'a> {
    fn of(sight: &'a Sight) -> Option<Self> {
        match sight {
            Sight::Units { tokens, activations, units, .. } => Some(Self { tokens, field: activations, units }),
            _ => None,
        }
    }
}

fn layer(inside: Inside) -> u32 {
    match *inside.place.read() {
        Place::Mlp { layer, .. } => layer,
        _ => 0,
    }
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let layer = Memo::new(move |_| layer(inside));
    let seat = inside.seat(when, move |passage| Some(Look::Units { passage, layer: layer.get() }));
    let row = RwSignal::new(None::<u32>);
    view! {
        {timeline::layers(inside, move || layer.get(), |layer| Place::Mlp { layer, unit: None })}
        {stand(inside, seat, move || view! {
            <Facts seat />
            <Picture inside seat row layer />
            <Spoken inside seat row />
            {sizes(Signal::derive(move || match seat.shown.get().map(|shown| shown.sight.clone()) {
                Some(Sight::Units { histogram, .. }) => histogram,
                _ => Histogram::default(),
            }), "Sizes of the activations")}
            <Choose inside layer />
        }.into_any())}
    }
    .into_any()
}

#[component]
fn Facts(seat: Seat) -> impl IntoView {
    shows(move || match seat.shown.get().map(|shown| shown.sight.clone()) {
        Some(Sight::Units { of, dead, saturated, .. }) => Some(view! {
            <dl class="figures across">
                <div><dt>"units"</dt><dd><Number text=number::whole(u64::from(of)) meaning="Width of the MLP: d_ff" /></dd></div>
                <div><dt>"dead on this text"</dt><dd><Number text=percent(f64::from(dead)) meaning="Share of units that no token made active: nowhere an output above 0.001. Read a longer text before believing it." /></dd></div>
                <div><dt>"saturated"</dt><dd><Number text=percent(f64::from(saturated)) meaning="Share of inputs to the non-linearity of size 4 or more: there it is all but straight or all but silent." /></dd></div>
            </dl>
        }),
        _ => None,
    })
}

/// The field: a row for each unit, strongest first, a column for each token.
#[component]
fn Picture(inside: Inside, seat: Seat, row: RwSignal<Option<u32>>, layer: Memo<u32>) -> impl IntoView {
    let first = RwSignal::new(0u32);
    let count = Memo::new(move |_| {
        seat.shown.get().and_then(|shown| Units::of(&shown.sight).map(|units| units.field.rows)).unwrap_or(0)
    });
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let Some(shown) = seat.shown.get() else {
            return vec![];
        };
        Units::of(&shown.sight)
            .map_or(vec![], |units| drawing(size, is_dark, &units, first.get(), row.get(), inside.token.get()))
    };
    let label = Signal::derive(move || {
        format!("Activations of the {} strongest units over the text; the chosen one in words below", count.get())
    });
    let unit_at = move |row: u32| {
        seat.shown.get_untracked().and_then(|shown| Units::of(&shown.sight)?.units.get(row as usize).copied())
    };
    let enter = move || {
        if let Some(unit) = row.get_untracked().and_then(unit_at) {
            inside.go(&Place::Mlp { layer: layer.get_untracked(), unit: Some(unit) });
        }
    };
    let on_touch: OnTouch = Callback::new(move |(touch, size): (Touch, Size)| {
        let (last, from) = (count.get_untracked().saturating_sub(1), first.get_untracked());
        let columns = seat
            .shown
            .get_untracked()
            .and_then(|shown| Units::of(&shown.sight).map(|units| units.tokens.len()))
            .unwrap_or(1);
        let rect = frame(size);
        match touch {
            Touch::Over { at, .. } => {
                if rect.contains(at) {
                    let shown = ROWS.min(last + 1 - from.min(last));
                    row.set(Some((from + ((at.y - rect.y) / rect.height * f64::from(shown)) as u32).min(last)));
                    inside.token.set(Some(
                        (((at.x - rect.x) / rect.width * columns as f64) as usize).min(columns.saturating_sub(1)),
                    ));
                }
                false
            }
            Touch::Press(at) if rect.contains(at) => {
                enter();
                true
            }
            Touch::Wheel { by, .. } if last >= ROWS => {
                first.set(from.saturating_add_signed(if by > 0.0 { 4 } else { -4 }).min(last + 1 - ROWS));
                true
            }
            Touch::Key { name, .. } => {
                let at = row.get_untracked().unwrap_or(from);
                let next = match name.as_str() {
                    "ArrowUp" => at.saturating_sub(1),
                    "ArrowDown" => (at + 1).min(last),
                    "Enter" => {
                        enter();
                        return true;
                    }
                    _ => return false,
                };
                row.set(Some(next));
                if next < from || next >= from + ROWS {
                    first.set(next.saturating_sub(ROWS / 2).min(last.saturating_sub(ROWS - 1)));
                }
                true
            }
            _ => false,
        }
    });
    view! {
        <Plate class="units" file="units" label draw on_touch keys="Units by token; up and down arrows choose a unit, Enter shows what makes it fire" />
        {shows(move || (count.get() > ROWS).then(|| view! {
            <input type="range" class="scrub" aria-label="First unit in sight" min="0" max=says(move || (count.get() - ROWS).to_string()) prop:value=says(move || first.get().to_string()) on:input:target=move |event| first.set(event.target().value().parse().unwrap_or(0)) />
        }))}
    }
}

fn frame(size: Size) -> Rect {
    Rect::new(LEFT, TOP, size.width - LEFT, size.height - TOP - FOOT)
}

fn drawing(size: Size, is_dark: bool, units: &Units, first: u32, row: Option<u32>, token: Option<usize>) -> Vec<Shape> {
    let rect = frame(size);
    let ramp = Ramp::signed(is_dark);
    let ends = ramp.ends(units.field.low, units.field.high);
    let seen = part(units.field, first..first + ROWS, 0..units.field.columns);
    let height = rect.height / f64::from(seen.rows.max(1));
    let width = rect.width / f64::from(seen.columns.max(1));
    let mut shapes = vec![heat(&seen, rect, ramp, ends)];
    for (at, unit) in units.units.iter().enumerate().skip(first as usize).take(ROWS as usize) {
        let is_row = row == Some(at as u32);
        let place = at as u32 - first;
        if is_row || (height >= 10.0 || place % 4 == 0) && row.is_none_or(|row| row.abs_diff(at as u32) > 1) {
            let role = if is_row { Role::Ink } else { Role::InkFaint };
            let at = Point::new(LEFT - 6.0, rect.y + (f64::from(place) + 0.5) * height + 3.5);
            shapes.push(Text::numbers(at, unit.to_string(), 10.0, role).anchored(Anchor::End).into());
        }
    }
    if let Some(row) = row.filter(|row| (first..first + seen.rows).contains(row)) {
        let y = rect.y + f64::from(row - first) * height;
        for y in [y, y + height] {
            shapes.push(Shape::line(Point::new(rect.x, y), Point::new(rect.right(), y), Stroke::solid(Role::Ink, 1.0)));
        }
    }
    if let Some((token, word)) = token.and_then(|token| Some((token, units.tokens.get(token)?))) {
        let x = rect.x + (token as f64 + 0.5) * width;
        let anchor = if x > rect.right() - 40.0 {
            Anchor::End
        } else if x < rect.x + 40.0 {
            Anchor::Start
        } else {
            Anchor::Middle
        };
        shapes.push(Text::numbers(Point::new(x, 12.0), brief(word, 16), 11.0, Role::Ink).anchored(anchor).into());
    }
    shapes.extend(scale_bar(Rect::new(LEFT, rect.bottom() + 6.0, 160.0, 6.0), ramp, ends, ""));
    shapes
}

/// The chosen unit in words, and the text tinted by it.
#[component]
fn Spoken(inside: Inside, seat: Seat, row: RwSignal<Option<u32>>) -> impl IntoView {
    let tokens = Signal::derive(move || {
        seat.shown
            .get()
            .and_then(|shown| Units::of(&shown.sight).map(|units| units.tokens.to_vec()))
            .unwrap_or_default()
    });
    let tints = Signal::derive(move || {
        let tints = seat.shown.get().zip(row.get()).and_then(|(shown, row)| {
            let units = Units::of(&shown.sight)?;
            let most = units.field.high.max(1e-9);
            Some(
                (0..units.tokens.len())
                    .map(|token| {
                        units.field.value(row as usize, token).map_or(f32::NAN, |value| (value / most).clamp(0.0, 1.0))
                    })
                    .collect(),
            )
        });
        tints.unwrap_or_default()
    });
    let told = move || {
        let (shown, row) = seat.shown.get().zip(row.get())?;
        let units = Units::of(&shown.sight)?;
        let unit = units.units.get(row as usize)?;
        let token = inside.token.get()?;
        let value = units.field.value(row as usize, token)?;
        Some(format!(
            "unit {unit} at “{}”: {}; press it to see what makes it fire",
            visible(units.tokens.get(token)?),
            number::short(f64::from(value))
        ))
    };
    view! {
        <p class="small" role="status">{shows(move || told().unwrap_or_else(|| "Point at a unit: the text below is tinted by it".into()))}</p>
        {token_text(inside, "The text, tinted by the chosen unit", tokens, tints)}
    }
}

/// A histogram with its words.
pub(super) fn sizes(histogram_of: Signal<Histogram>, title: &'static str) -> AnyView {
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let mut shapes = histogram(&histogram_of.read(), Rect::new(0.0, 0.0, size.width, size.height - 1.0));
        shapes.push(Shape::line(
            Point::new(0.0, size.height - 0.5),
            Point::new(size.width, size.height - 0.5),
            Stroke::solid(Role::AxisLine, 1.0),
        ));
        shapes
    };
    let label = Signal::derive(move || describe_histogram(&histogram_of.read()));
    view! {
        <figure class="sizes">
            <figcaption class="small"><b>{title}</b><span class="dim">" by powers of two: negative left, zero in the middle, positive right; heights by the square root"</span></figcaption>
            <Plate class="bars" label draw />
            <p class="small dim">{label}</p>
        </figure>
    }
    .into_any()
}

/// A unit by its number.
#[component]
fn Choose(inside: Inside, layer: Memo<u32>) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    let width = inside.model.with_value(|model| model.d_ff as u32);
    let wanted = Memo::new(move |_| typed.read().trim().parse::<u32>().ok().filter(|unit| *unit < width));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(unit) = wanted.get_untracked() {
            inside.go(&Place::Mlp { layer: layer.get_untracked(), unit: Some(unit) });
        }
    };
    view! {
        <form class="row" on:submit=submit>
            <label class="row">"Unit"<input type="number" min="0" max=(width - 1).to_string() prop:value=typed on:input:target=move |event| typed.set(event.target().value()) /></label>
            <button type="submit" disabled=move || wanted.get().is_none()>"What makes it fire"</button>
        </form>
    }
}
