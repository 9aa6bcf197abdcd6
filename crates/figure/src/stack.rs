//! Sums of stacked curves. A curve without a value at a position counts as 0 there.

use wire::series::Bucket;

use crate::axis::Scale;
use crate::curve::{Curve, Style, has_value, middle, visible};

/// Points (x, y) in order of x.
pub(crate) type Polyline = Vec<(f64, f64)>;

/// The maximum of the stack between the ends of an axis, if there is one.
pub(crate) fn highest(curves: &[Curve], x: &Scale) -> Option<f64> {
    let all = layers(curves, x);
    let tops = all.iter().flat_map(|(_, _, top)| top.iter().map(|(_, value)| *value));
    tops.filter(|value| value.is_finite()).reduce(f64::max)
}

/// The top of curve `index` at `x`.
pub(crate) fn top(curves: &[Curve], index: usize, x: f64) -> f64 {
    let parts = curves.iter().take(index + 1).filter(|curve| curve.style == Style::Stacked);
    parts.map(|curve| along(&polyline(curve.buckets), x)).sum()
}

/// Each stacked curve with the line below it and its own, on the same positions.
pub(crate) fn layers<'a, 'b>(curves: &'b [Curve<'a>], x: &Scale) -> Vec<(&'b Curve<'a>, Polyline, Polyline)> {
    let mut below: Polyline = Vec::new();
    let mut out = Vec::new();
    for curve in curves.iter().filter(|curve| curve.style == Style::Stacked) {
        let own = polyline(visible(curve.buckets, x.from, x.to));
        let mut positions: Vec<f64> = own.iter().chain(&below).map(|(x, _)| *x).collect();
        positions.sort_unstable_by(f64::total_cmp);
        positions.dedup();
        let base: Polyline = follow(&below, &positions);
        let add = |((x, under), (_, more)): (&(f64, f64), (f64, f64))| (*x, under + more.max(0.0));
        let top: Polyline = base.iter().zip(follow(&own, &positions)).map(add).collect();
        below.clone_from(&top);
        out.push((curve, base, top));
    }
    out
}

fn polyline(buckets: &[Bucket]) -> Polyline {
    let value = |bucket: &Bucket| if has_value(bucket) { bucket.mean } else { 0.0 };
    buckets.iter().map(|bucket| (middle(bucket), value(bucket))).filter(|(x, _)| x.is_finite()).collect()
}

/// A line read at increasing positions, in one pass.
fn follow(polyline: &Polyline, positions: &[f64]) -> Polyline {
    let mut at = 0;
    let read = |x: &f64| {
        while at + 1 < polyline.len() && polyline[at + 1].0 <= *x {
            at += 1;
        }
        (*x, between(polyline, at, *x))
    };
    positions.iter().map(read).collect()
}

fn along(polyline: &Polyline, x: f64) -> f64 {
    between(polyline, polyline.partition_point(|(at, _)| *at <= x).saturating_sub(1), x)
}

/// On the straight line from point `at` to the next; 0 outside the line.
fn between(polyline: &Polyline, at: usize, x: f64) -> f64 {
    match (polyline.get(at), polyline.get(at + 1)) {
        (Some(&(from, one)), Some(&(to, two))) if x >= from && to > from => {
            one + (two - one) * (x - from) / (to - from)
        }
        (Some(&(from, one)), _) if x == from => one,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::point;
    use crate::scene::Role;

    #[test]
    fn curves_are_stacked() {
        let one: Vec<Bucket> = (0..5).map(|step| point(step, step as f64, 2.0)).collect();
        let two: Vec<Bucket> = (0..5).map(|step| point(step, step as f64, step as f64)).collect();
        let stacked = |name, buckets| Curve { style: Style::Stacked, ..Curve::new(name, Role::Run(0), buckets) };
        let curves = [stacked("one", &one[..]), stacked("two", &two[..])];
        let x = Scale { kind: Default::default(), from: 0.0, to: 4.0 };
        assert_eq!(highest(&curves, &x), Some(6.0));
        assert_eq!((top(&curves, 0, 2.5), top(&curves, 1, 2.5)), (2.0, 4.5));
        assert_eq!(highest(&[], &x), None);
    }
}
