//! The scatter plot of the tokens, with the trails of the chosen one and of its neighbours.

use std::collections::HashSet;

use figure::scene::{Anchor, Fill, Point, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;

use super::alignment::ProjectedToken;
use super::projection::{Projection, pixel};
use crate::components::{Canvas, CanvasEvent, OnCanvasEvent};

/// Distance from the pointer within which a token is chosen, pixels.
const NEAR: f64 = 24.0;
/// Neighbours whose trails are drawn.
const TRAILS: usize = 3;
/// Size of the cells of which each has room for one label, pixels.
const LABEL_CELL: (f64, f64) = (46.0, 15.0);
/// Tokens that keep their labels while one is chosen; the most frequent come first.
const LABELLED: usize = 60;

/// The canvas.
#[component]
pub(super) fn Scatter(projection: Projection) -> impl IntoView {
    let draw = move |size: Size, _: bool| drawing(projection, size);
    let on_event: OnCanvasEvent = Callback::new(move |(event, size): (CanvasEvent, Size)| match event {
        CanvasEvent::Over { at, .. } | CanvasEvent::Press(at) => {
            choose_nearest(projection, at, size);
            false
        }
        CanvasEvent::Key { name, .. } => press(projection, &name),
        _ => false,
    });
    let count = move || projection.spots.read().len();
    let label =
        Signal::derive(move || format!("{} tokens on the first two principal components of their embeddings", count()));
    view! {
        <Canvas
            class="scatter"
            file="embedding"
            label
            draw
            on_event
            keys="Token embeddings; arrow keys move from token to token"
        />
    }
}

fn choose_nearest(projection: Projection, at: Point, size: Size) {
    let reach = untrack(|| projection.reach());
    let distance = |spot: &ProjectedToken| {
        let point = pixel(size, reach, spot);
        (point.x - at.x).hypot(point.y - at.y)
    };
    let nearest = projection.spots.with_untracked(|spots| {
        let distances = spots.iter().map(distance).enumerate();
        distances.filter(|(_, distance)| *distance < NEAR).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    });
    if nearest.is_some() && projection.chosen.get_untracked() != nearest {
        projection.chosen.set(nearest);
    }
}

/// Whether the key did something.
fn press(projection: Projection, key: &str) -> bool {
    let count = projection.spots.with_untracked(Vec::len);
    if count == 0 {
        return false;
    }
    let at = projection.chosen.get_untracked();
    let next = match key {
        "ArrowRight" | "ArrowDown" => at.map_or(0, |at| (at + 1) % count),
        "ArrowLeft" | "ArrowUp" => at.map_or(count - 1, |at| (at + count - 1) % count),
        _ => return false,
    };
    projection.chosen.set(Some(next));
    true
}

fn drawing(projection: Projection, size: Size) -> Vec<Shape> {
    let Some(shown) = projection.subscription.result.get() else {
        return vec![];
    };
    let (reach, chosen) = (projection.reach(), projection.chosen.get());
    let spots = projection.spots.read();
    let near: Vec<usize> = chosen.map(|at| projection.neighbours(at)).into_iter().flatten().map(|(at, _)| at).collect();
    let mut shapes = axes(size).to_vec();
    if projection.has_trails.get() {
        let history = projection.history.read();
        let traced = chosen.iter().chain(near.iter().take(TRAILS)).filter_map(|at| spots.get(*at)).enumerate();
        for (order, spot) in traced {
            let path = path(&history, spot.token, shown.step);
            shapes.extend(trail(path.into_iter().map(|spot| pixel(size, reach, spot)).collect(), order == 0));
        }
    }
    shapes.extend(labelled_dots(&spots, &projection.words(), size, reach, chosen, &near));
    shapes
}

/// The axes through the origin.
fn axes(size: Size) -> [Shape; 2] {
    let (x, y) = (size.width / 2.0, size.height / 2.0);
    let thin = || Stroke::solid(Role::Grid, 1.0);
    [
        Shape::line(Point::new(x, 0.0), Point::new(x, size.height), thin()),
        Shape::line(Point::new(0.0, y), Point::new(size.width, y), thin()),
    ]
}

/// A dot for each token; labels if there is room, the most frequent tokens first.
fn labelled_dots(
    spots: &[ProjectedToken],
    words: &[String],
    size: Size,
    reach: f64,
    chosen: Option<usize>,
    near: &[usize],
) -> Vec<Shape> {
    let mut taken: HashSet<(i64, i64)> = HashSet::new();
    let mut shapes = vec![];
    for (index, spot) in spots.iter().enumerate() {
        let point = pixel(size, reach, spot);
        let (is_chosen, is_near) = (chosen == Some(index), near.contains(&index));
        shapes.push(dot(point, is_chosen, is_near));
        let has_room = taken.insert(((point.x / LABEL_CELL.0) as i64, (point.y / LABEL_CELL.1) as i64));
        if is_chosen || is_near || has_room && (chosen.is_none() || index < LABELLED) {
            let role = if is_chosen || is_near { Role::Ink } else { Role::InkFaint };
            let word = words.get(index).cloned().unwrap_or_default();
            let label = label(point, word, role, size);
            shapes.push(if is_chosen { label.strong() } else { label }.into());
        }
    }
    shapes
}

fn dot(point: Point, is_chosen: bool, is_near: bool) -> Shape {
    match (is_chosen, is_near) {
        (true, _) => Shape::dot(point, 4.5, Fill::solid(Role::Accent)),
        (_, true) => Shape::dot(point, 2.4, Fill::solid(Role::Run(0))),
        _ => Shape::dot(point, 2.4, Fill::faint(Role::InkSoft, 0.55)),
    }
}

/// The label of a token, on the side on which it fits.
fn label(point: Point, word: String, role: Role, size: Size) -> Text {
    let is_at_edge = point.x > size.width - 60.0;
    let (x, anchor) = if is_at_edge { (point.x - 6.0, Anchor::End) } else { (point.x + 6.0, Anchor::Start) };
    Text::numbers(Point::new(x, point.y + 3.5), word, 10.0, role).anchored(anchor)
}

/// Where a token was at the snapshots up to a step.
fn path(history: &[(u64, Vec<ProjectedToken>)], token: u32, until: u64) -> Vec<&ProjectedToken> {
    let snapshots = history.iter().take_while(|(step, _)| *step <= until);
    snapshots.filter_map(|(_, spots)| spots.iter().find(|spot| spot.token == token)).collect()
}

/// A path as a line that starts with a dot; nothing for a single point.
fn trail(points: Vec<Point>, is_chosen: bool) -> Vec<Shape> {
    if points.len() < 2 {
        return vec![];
    }
    let (role, width) = if is_chosen { (Role::Accent, 1.6) } else { (Role::Run(0), 1.0) };
    let start = Shape::dot(points[0], 2.5, Fill::faint(role, 0.5));
    vec![start, Shape::Polyline { points, stroke: Stroke::solid(role, width).faint(0.7) }]
}
