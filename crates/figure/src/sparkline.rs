//! A small chart without axes, for lists.

use crate::axis::{Scale, ScaleKind};
use crate::scene::{Fill, Point, Role, Scene, Shape, Size, Stroke};

/// Values evenly along a small drawing; gaps for non-finite values; a dot at the end of a live one. The lowest value is at the bottom and the
/// highest at the top.
pub fn sparkline(points: &[f32], size: Size, role: Role, is_live: bool) -> Scene {
    let finite = points.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
    let ends = finite.fold((f64::NAN, f64::NAN), |(low, high), value| (value.min(low), value.max(high)));
    sparkline_between(ends, points, size, role, is_live)
}

/// As [`sparkline`], with fixed values at the bottom and at the top.
pub fn sparkline_between((low, high): (f64, f64), points: &[f32], size: Size, role: Role, is_live: bool) -> Scene {
    let margin = 3.0;
    let finite = || points.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
    let y = Scale::new(ScaleKind::Linear, low, high);
    let (width, height) = ((size.width - 2.0 * margin).max(0.0), (size.height - 2.0 * margin).max(0.0));
    let last = points.len().saturating_sub(1).max(1) as f64;
    let point = |(index, value): (usize, &f32)| {
        let x = margin + index as f64 / last * width;
        let y = if value.is_finite() { y.position(f64::from(*value)) } else { f64::NAN };
        Point::new(x, margin + (1.0 - y) * height)
    };
    let placed_points: Vec<Point> = points.iter().enumerate().map(point).collect();
    let mut shapes = Vec::new();
    for part in placed_points.split(|point| !point.y.is_finite()) {
        match part {
            [] => {}
            [alone] => shapes.push(Shape::dot(*alone, 1.5, Fill::solid(role))),
            part => shapes.push(Shape::Polyline { points: part.to_vec(), stroke: Stroke::solid(role, 1.5) }),
        }
    }
    if let Some(end) = placed_points.iter().rev().find(|point| point.y.is_finite()).filter(|_| is_live) {
        shapes.push(Shape::dot(*end, 5.0, Fill::faint(Role::Accent, 0.25)));
        shapes.push(Shape::dot(*end, 2.2, Fill::solid(Role::Accent)));
    }
    let summary = match (finite().next(), finite().next_back()) {
        (Some(first), Some(last)) => format!("from {} to {}", crate::number::short(first), crate::number::short(last)),
        _ => "no values yet".to_owned(),
    };
    Scene { size, title: String::new(), summary, shapes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_points_are_drawn_inside_the_size() {
        let size = Size::new(80.0, 20.0);
        for points in [
            &[][..],
            &[1.0],
            &[f32::NAN],
            &[1.0, f32::NAN, 2.0, 3.0],
            &[f32::INFINITY, 1.0, 1.0],
            &[f32::MAX, f32::MIN],
        ] {
            sparkline(points, size, Role::Accent, true).walk(&mut |shape| {
                if let Shape::Polyline { points, .. } = shape {
                    assert!(points.iter().all(|at| (0.0..=80.0).contains(&at.x) && (0.0..=20.0).contains(&at.y)));
                }
            });
        }
    }
}
