//! Sums of stacked curves. A curve without a value at a position counts as 0 there.

use wire::series::Bucket;

use crate::axis::Scale;
use crate::curve::{Curve, Style, has_value, middle, visible};

/// A line through places and values, in order of place.
pub(crate) type Course = Vec<(f64, f64)>;

/// The highest place of the stack between the ends of an axis, if there is one.
pub(crate) fn highest(curves: &[Curve], x: &Scale) -> Option<f64> {
    let all = courses(curves, x);
    let tops = all.iter().flat_map(|(_, _, top)| top.iter().map(|(_, value)| *value));
    tops.filter(|value| value.is_finite()).reduce(f64::max)
}

/// Where the top of curve `index` is at `x`.
pub(crate) fn top(curves: &[Curve], index: usize, x: f64) -> f64 {
    let parts = curves.iter().take(index + 1).filter(|curve| curve.style == Style::Stacked);
    parts.map(|curve| along(&course(curve.buckets), x)).sum()
}

/// Each stacked curve with the line below it and its own, on the same positions.
pub(crate) fn courses<'a, 'b>(curves: &'b [Curve<'a>], x: &Scale) -> Vec<(&'b Curve<'a>, Course, Course)> {
    let mut below: Course = Vec::new();
    let mut out = Vec::new();
    for curve in curves.iter().filter(|curve| curve.style == Style::Stacked) {
        let own = course(visible(curve.buckets, x.from, x.to));
        let mut places: Vec<f64> = own.iter().chain(&below).map(|(place, _)| *place).collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        let base: Course = follow(&below, &places);
        let add = |((place, under), (_, more)): (&(f64, f64), (f64, f64))| (*place, under + more.max(0.0));
        let top: Course = base.iter().zip(follow(&own, &places)).map(add).collect();
        below.clone_from(&top);
        out.push((curve, base, top));
    }
    out
}

fn course(buckets: &[Bucket]) -> Course {
    let value = |bucket: &Bucket| if has_value(bucket) { bucket.mean } else { 0.0 };
    buckets.iter().map(|bucket| (middle(bucket), value(bucket))).filter(|(place, _)| place.is_finite()).collect()
}

/// A line read at increasing positions, in one pass.
fn follow(course: &Course, places: &[f64]) -> Course {
    let mut at = 0;
    let read = |place: &f64| {
        while at + 1 < course.len() && course[at + 1].0 <= *place {
            at += 1;
        }
        (*place, between(course, at, *place))
    };
    places.iter().map(read).collect()
}

fn along(course: &Course, place: f64) -> f64 {
    between(course, course.partition_point(|(at, _)| *at <= place).saturating_sub(1), place)
}

/// On the straight line from point `at` to the next; 0 outside the line.
fn between(course: &Course, at: usize, place: f64) -> f64 {
    match (course.get(at), course.get(at + 1)) {
        (Some(&(from, one)), Some(&(to, two))) if place >= from && to > from => {
            one + (two - one) * (place - from) / (to - from)
        }
        (Some(&(from, one)), _) if place == from => one,
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
