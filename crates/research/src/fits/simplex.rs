//! The minimum of a function of a few variables by the simplex method of Nelder, Mead (1965), with the usual coefficients 1, 2, 1/2, 1/2.

/// Most evaluations.
const EVALUATIONS: usize = 400;

/// The point at which `function` is least, near `start`; `size` is the length of the first steps. The search ends when the points of the
/// simplex are within `tolerance` of each other.
pub(super) fn minimize<const N: usize>(
    function: impl Fn(&[f64; N]) -> f64,
    start: [f64; N],
    size: f64,
    tolerance: f64,
) -> ([f64; N], f64) {
    let stepped = |axis: usize| std::array::from_fn(|at| start[at] + if at == axis { size } else { 0.0 });
    let mut points: Vec<([f64; N], f64)> = (0..=N).map(stepped).map(|point| (point, function(&point))).collect();
    for _ in 0..EVALUATIONS {
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (points[0], points[N]);
        let spread =
            (0..N).map(|at| points.iter().map(|(point, _)| (point[at] - best.0[at]).abs()).fold(0.0, f64::max));
        if spread.fold(0.0, f64::max) < tolerance {
            break;
        }
        let center: [f64; N] =
            std::array::from_fn(|at| points[..N].iter().map(|(point, _)| point[at]).sum::<f64>() / N as f64);
        let at = |factor: f64| {
            let point: [f64; N] = std::array::from_fn(|at| center[at] + factor * (worst.0[at] - center[at]));
            (point, function(&point))
        };
        let reflected = at(-1.0);
        let replaced = if reflected.1 < best.1 {
            let expanded = at(-2.0);
            Some(if expanded.1 < reflected.1 { expanded } else { reflected })
        } else if reflected.1 < points[N - 1].1 {
            Some(reflected)
        } else {
            let contracted = at(if reflected.1 < worst.1 { -0.5 } else { 0.5 });
            Some(contracted).filter(|contracted| contracted.1 < reflected.1.min(worst.1))
        };
        match replaced {
            Some(point) => points[N] = point,
            None => {
                for point in &mut points[1..] {
                    let shrunk: [f64; N] = std::array::from_fn(|at| 0.5 * (point.0[at] + best.0[at]));
                    *point = (shrunk, function(&shrunk));
                }
            }
        }
    }
    points.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((start, f64::INFINITY))
}
