//! Tokens on a plane that keeps still from step to step, with their neighbours, the trails they came along, and on modular arithmetic the
//! spectrum of the numbers.

use std::collections::HashSet;

use figure::Ramp;
use figure::heat::heat;
use figure::number;
use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::look::Look;
use wire::sight::{Field, Sight};

use super::Inside;
use super::seat::{Seat, stand};
use crate::parts::{OnTouch, Plate, Touch, clicks, says, shows};
use crate::xray::clock::When;
use crate::xray::frames::{How, Shown};
use crate::xray::plane::{Spot, aligned};
use crate::xray::tokens::{percent, visible};

const MARGIN: f64 = 18.0;

fn spots_of(shown: &Shown) -> Vec<Spot> {
    match &shown.sight {
        Sight::Embedding { points, .. } => points
            .iter()
            .map(|point| Spot { token: point.token, x: f64::from(point.x), y: f64::from(point.y) })
            .collect(),
        _ => vec![],
    }
}

/// The kept pictures, each turned onto the one before it.
fn course(kept: &[Shown]) -> Vec<(u64, Vec<Spot>)> {
    let mut course: Vec<(u64, Vec<Spot>)> = vec![];
    for shown in kept {
        let next = spots_of(shown);
        let still = course.last().map(|(_, before)| aligned(before, &next));
        course.push((shown.step, still.unwrap_or(next)));
    }
    course
}

/// A token's word, by its place in the list of points.
fn word(shown: &Shown, at: usize) -> Option<String> {
    match &shown.sight {
        Sight::Embedding { points, .. } => points.get(at).map(|point| visible(&point.text)),
        _ => None,
    }
}

/// What is drawn of a moment.
#[derive(Clone, Copy)]
struct Plane {
    seat: Seat,
    course: Memo<Vec<(u64, Vec<Spot>)>>,
    spots: Memo<Vec<Spot>>,
    /// The token pointed at, by its place in the list of points.
    at: RwSignal<Option<usize>>,
    has_trails: RwSignal<bool>,
}

impl Plane {
    fn near(self, at: usize) -> Vec<(usize, f32)> {
        match self.seat.shown.get().map(|shown| shown.sight.clone()) {
            Some(Sight::Embedding { points, .. }) => points
                .get(at)
                .map(|point| point.near.iter().map(|(place, cosine)| (*place as usize, *cosine)).collect())
                .unwrap_or_default(),
            _ => vec![],
        }
    }

    /// One scale for both axes and all steps.
    fn reach(self) -> f64 {
        let now = self.spots.read();
        let past = self.course.read();
        let all = past.iter().flat_map(|(_, spots)| spots).chain(now.iter());
        all.map(|spot| spot.x.abs().max(spot.y.abs())).filter(|reach| reach.is_finite()).fold(1e-9, f64::max)
    }
}

fn pixel(size: Size, reach: f64, spot: &Spot) -> Point {
    let half = (size.width.min(size.height) / 2.0 - MARGIN).max(1.0);
    Point::new(size.width / 2.0 + spot.x / reach * half, size.height / 2.0 - spot.y / reach * half)
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let seat = inside.seat(when, |_| Some(Look::Embedding {}));
    let kept = inside.frames.all(Look::Embedding {});
    let course = Memo::new(move |_| course(&kept.read()));
    let spots = Memo::new(move |_| {
        let Some(shown) = seat.shown.get() else {
            return vec![];
        };
        let course = course.read();
        let kept = course.iter().find(|(step, _)| *step == shown.step && shown.how == How::Kept);
        match (kept, course.last()) {
            (Some((_, spots)), _) => spots.clone(),
            (None, Some((_, before))) => aligned(before, &spots_of(&shown)),
            (None, None) => spots_of(&shown),
        }
    });
    let plane = Plane { seat, course, spots, at: RwSignal::new(None), has_trails: RwSignal::new(true) };
    stand(inside, seat, move || {
        view! {
            <Picture plane />
            <Tools plane />
            <Neighbours plane />
            <Spectrum seat />
        }
        .into_any()
    })
}

#[component]
fn Picture(plane: Plane) -> impl IntoView {
    let draw = move |size: Size, _: bool| drawing(plane, size);
    let on_touch: OnTouch = Callback::new(move |(touch, size): (Touch, Size)| {
        let count = plane.spots.with_untracked(Vec::len);
        match touch {
            Touch::Over { at, .. } | Touch::Press(at) => {
                let reach = untrack(|| plane.reach());
                let spots = plane.spots.read_untracked();
                let apart = |spot: &Spot| {
                    let place = pixel(size, reach, spot);
                    (place.x - at.x).hypot(place.y - at.y)
                };
                let nearest = spots
                    .iter()
                    .enumerate()
                    .map(|(place, spot)| (place, apart(spot)))
                    .min_by(|a, b| a.1.total_cmp(&b.1));
                let found = nearest.filter(|(_, apart)| *apart < 24.0).map(|(place, _)| place);
                drop(spots);
                if plane.at.get_untracked() != found && found.is_some() {
                    plane.at.set(found);
                }
                false
            }
            Touch::Key { name, .. } if count > 0 => {
                let at = plane.at.get_untracked();
                let next = match name.as_str() {
                    "ArrowRight" | "ArrowDown" => at.map_or(0, |at| (at + 1) % count),
                    "ArrowLeft" | "ArrowUp" => at.map_or(count - 1, |at| (at + count - 1) % count),
                    _ => return false,
                };
                plane.at.set(Some(next));
                true
            }
            _ => false,
        }
    });
    let label =
        Signal::derive(move || format!("{} tokens by the two main axes of their embeddings", plane.spots.read().len()));
    view! { <Plate class="plane" file="embedding" label draw on_touch keys="Tokens on a plane; arrows go from token to token" /> }
}

fn drawing(plane: Plane, size: Size) -> Vec<Shape> {
    let Some(shown) = plane.seat.shown.get() else {
        return vec![];
    };
    let (reach, at) = (plane.reach(), plane.at.get());
    let spots = plane.spots.read();
    let mut shapes = vec![];
    let (middle_x, middle_y) = (size.width / 2.0, size.height / 2.0);
    let thin = Stroke::solid(Role::Grid, 1.0);
    shapes.push(Shape::line(Point::new(middle_x, 0.0), Point::new(middle_x, size.height), thin));
    shapes.push(Shape::line(Point::new(0.0, middle_y), Point::new(size.width, middle_y), thin));
    let near: Vec<usize> =
        at.map(|at| plane.near(at).into_iter().map(|(place, _)| place).collect()).unwrap_or_default();
    if plane.has_trails.get() {
        let token = |place: &usize| spots.get(*place).map(|spot| spot.token);
        let traced: Vec<u32> = at.iter().chain(near.iter().take(3)).filter_map(token).collect();
        shapes.extend(
            traced
                .iter()
                .enumerate()
                .flat_map(|(order, token)| trail(plane, size, reach, *token, shown.step, order == 0)),
        );
    }
    // Words where there is room: the commonest tokens first.
    let mut taken: HashSet<(i64, i64)> = HashSet::new();
    for (place, spot) in spots.iter().enumerate() {
        let point = pixel(size, reach, spot);
        let (is_at, is_near) = (at == Some(place), near.contains(&place));
        let fill = if is_at {
            Fill::solid(Role::Ember)
        } else if is_near {
            Fill::solid(Role::Run(0))
        } else {
            Fill::faint(Role::InkSoft, 0.55)
        };
        shapes.push(Shape::dot(point, if is_at { 4.5 } else { 2.4 }, fill));
        let has_room = taken.insert(((point.x / 46.0) as i64, (point.y / 15.0) as i64));
        if is_at || is_near || has_room && at.is_none_or(|_| place < 60) {
            let role = if is_at || is_near { Role::Ink } else { Role::InkFaint };
            let word = word(&shown, place).unwrap_or_default();
            let (x, anchor) =
                if point.x > size.width - 60.0 { (point.x - 6.0, Anchor::End) } else { (point.x + 6.0, Anchor::Start) };
            let text = Text::numbers(Point::new(x, point.y + 3.5), word, 10.0, role).anchored(anchor);
            shapes.push(if is_at { text.strong() } else { text }.into());
        }
    }
    shapes
}

/// The way a token came, over the kept steps up to this one.
fn trail(plane: Plane, size: Size, reach: f64, token: u32, until: u64, is_first: bool) -> Vec<Shape> {
    let course = plane.course.read();
    let points: Vec<Point> = course
        .iter()
        .take_while(|(step, _)| *step <= until)
        .filter_map(|(_, spots)| spots.iter().find(|spot| spot.token == token))
        .map(|spot| pixel(size, reach, spot))
        .collect();
    if points.len() < 2 {
        return vec![];
    }
    let role = if is_first { Role::Ember } else { Role::Run(0) };
    vec![
        Shape::dot(points[0], 2.5, Fill::faint(role, 0.5)),
        Shape::Polyline { points, stroke: Stroke::solid(role, if is_first { 1.6 } else { 1.0 }).faint(0.7) },
    ]
}

#[component]
fn Tools(plane: Plane) -> impl IntoView {
    let explained = move || match plane.seat.shown.get().map(|shown| shown.sight.clone()) {
        Some(Sight::Embedding { explained: [first, second], .. }) => {
            format!(
                "the plane holds {} of what tells tokens apart ({} across, {} upwards)",
                percent(f64::from(first + second)),
                percent(f64::from(first)),
                percent(f64::from(second))
            )
        }
        _ => String::new(),
    };
    view! {
        <p class="row small dim">
            <button class="switch" aria-pressed=says(move || plane.has_trails.get().to_string()) title="The way the chosen token and its neighbours came, over the kept steps" on:click=clicks(move |_| plane.has_trails.update(|has| *has = !*has))>"trails"</button>
            <span>{explained}</span>
        </p>
    }
}

/// The chosen token's nearest, as a table; the list of tokens stands for the picture.
#[component]
fn Neighbours(plane: Plane) -> impl IntoView {
    let words = Memo::new(move |_| match plane.seat.shown.get().map(|shown| shown.sight.clone()) {
        Some(Sight::Embedding { points, .. }) => {
            points.into_iter().map(|point| visible(&point.text)).collect::<Vec<_>>()
        }
        _ => vec![],
    });
    let rows = move || {
        let near = plane.at.get().map(|at| plane.near(at)).unwrap_or_default();
        near.into_iter()
            .map(|(place, cosine)| {
                let word = words.read().get(place).cloned().unwrap_or_default();
                view! { <tr><td><button class="quiet mono" on:click=clicks(move |_| plane.at.set(Some(place)))>{word}</button></td><td class="right mono">{number::fixed(f64::from(cosine), 3)}</td></tr> }
            })
            .collect_view()
    };
    view! {
        <div class="row">
            <label class="row">"Token"
                <select on:change:target=move |event| plane.at.set(event.target().value().parse().ok())>
                    <option value="">"point at one"</option>
                    {shows(move || words.get().into_iter().enumerate().map(|(at, word)| view! { <option value=at.to_string() selected=move || plane.at.get() == Some(at)>{word}</option> }).collect_view())}
                </select>
            </label>
        </div>
        {shows(move || plane.at.get().map(|_| view! {
            <table class="dense near"><thead><tr><th scope="col">"nearest"</th><th scope="col" class="right" title="Cosine of the angle between the embeddings, in all dimensions: 1 for the same direction">"cosine"</th></tr></thead><tbody>{rows()}</tbody></table>
        }))}
    }
}

fn spectrum(shown: &Shown) -> &[f32] {
    match &shown.sight {
        Sight::Embedding { spectrum, .. } => spectrum,
        _ => &[],
    }
}

/// How much of the numbers' embedding turns at each frequency.
#[component]
fn Spectrum(seat: Seat) -> impl IntoView {
    let has_one = Memo::new(move |_| seat.shown.get().is_some_and(|shown| !spectrum(&shown).is_empty()));
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let Some(shown) = seat.shown.get() else {
            return vec![];
        };
        let values = spectrum(&shown);
        let most = values.iter().copied().fold(1e-9, f32::max);
        let width = size.width / values.len().max(1) as f64;
        let bar = |(at, value): (usize, &f32)| {
            let height = f64::from(value / most) * (size.height - 16.0);
            let rect = Rect::new(at as f64 * width + 0.5, size.height - 14.0 - height, (width - 1.0).max(0.5), height);
            Shape::Rect { rect, radius: 0.0, fill: Fill::solid(Role::Run(0)) }
        };
        let mut shapes: Vec<Shape> = values.iter().enumerate().map(bar).collect();
        for at in (0..values.len()).step_by((values.len() / 8).max(1)) {
            let x = (at as f64 + 0.5) * width;
            shapes.push(
                Text::numbers(Point::new(x, size.height - 2.0), at.to_string(), 10.0, Role::InkSoft)
                    .anchored(Anchor::Middle)
                    .into(),
            );
        }
        shapes
    };
    let label = Signal::derive(move || seat.shown.get().map_or(String::new(), |shown| strongest(spectrum(&shown))));
    shows(move || {
        has_one.get().then(|| {
            view! {
                <figure class="sizes">
                    <figcaption class="small"><b>"Spectrum of the numbers"</b><span class="dim">" norm of the embedding's component at each frequency 2πk/p; a few high bars: the model has learned to add by turning"</span></figcaption>
                    <Plate class="bars" label draw />
                    <p class="small dim">{label}</p>
                </figure>
            }
        })
    })
}

/// The frequencies that hold most, in words.
fn strongest(values: &[f32]) -> String {
    let energy = |value: f32| f64::from(value).powi(2);
    let all: f64 = values.iter().skip(1).map(|value| energy(*value)).sum();
    let mut order: Vec<usize> = (1..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(5);
    if order.is_empty() || all <= 0.0 {
        return String::new();
    }
    let held: f64 = order.iter().map(|at| energy(values[*at])).sum();
    let named: Vec<String> = order.iter().map(usize::to_string).collect();
    format!(
        "The strongest frequencies, {}, hold {} of it (the constant left out)",
        named.join(", "),
        percent(held / all)
    )
}

/// The spectrum over the kept steps: frequency by step.
pub(super) fn spectra(kept: Memo<Vec<Shown>>) -> AnyView {
    let with_spectrum =
        Memo::new(move |_| kept.read().iter().filter(|shown| !spectrum(shown).is_empty()).cloned().collect::<Vec<_>>());
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let shown = with_spectrum.read();
        let rows = shown.first().map_or(0, |first| spectrum(first).len());
        // The constant is no frequency; each step by its own largest, so that what stands out is seen from the start.
        let value = |row: usize, column: &Shown| {
            let values = spectrum(column);
            let most = values.iter().skip(1).copied().fold(1e-9, f32::max);
            values.get(row).map_or(f32::NAN, |value| value / most)
        };
        let cells: Vec<f32> =
            (1..rows).rev().flat_map(|row| shown.iter().map(move |column| value(row, column))).collect();
        let field = Field::within(rows.saturating_sub(1), shown.len(), &cells, 0.0, 1.0);
        vec![heat(&field, Rect::new(0.0, 0.0, size.width, size.height), Ramp::Viridis, (0.0, 1.0))]
    };
    let label =
        Signal::derive(move || with_spectrum.read().last().map_or(String::new(), |last| strongest(spectrum(last))));
    (move || {
        (!with_spectrum.read().is_empty()).then(|| {
            view! {
                <h2>"Fourier content of the numbers' embedding"</h2>
                <Plate class="spectra" file="fourier" label draw />
                <p class="small dim">"Frequencies upwards, kept steps to the right. When the model groks, a few rows stay bright and the rest go dark. "{label}</p>
            }
        })
    })
    .into_any()
}
