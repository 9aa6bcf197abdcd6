//! Distributions, tests and intervals against SciPy and statsmodels; `golden.py` writes the values.

use research::compare::{NoiseFloor, bca_ratio, holm, paired, permutation_p, welch};
use research::statistics::distribution::{chi_squared_quantile, normal_quantile, t_quantile, t_two_sided};
use research::statistics::line::Line;
use research::statistics::sample::median_and_mad;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn cases<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().unwrap().iter()
}

/// Equal to a relative error, or to the same absolute error near 0.
#[track_caller]
fn near(found: f64, expected: f64, error: f64, what: &str) {
    assert!((found - expected).abs() <= error * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

#[test]
fn quantiles_and_probabilities() {
    let golden = golden();
    let of = &golden["quantiles"];
    for row in cases(of, "normal").map(numbers) {
        near(normal_quantile(row[0]), row[1], 1e-9, &format!("normal {row:?}"));
    }
    for row in cases(of, "t").map(numbers) {
        near(t_quantile(row[0], row[1]), row[2], 1e-8, &format!("t {row:?}"));
    }
    for row in cases(of, "chi_squared").map(numbers) {
        near(chi_squared_quantile(row[0], row[1]), row[2], 1e-6, &format!("chi-squared {row:?}"));
    }
    for row in cases(of, "t_two_sided").map(numbers) {
        let (found, expected) = (t_two_sided(row[0], row[1]), row[2]);
        assert!((found - expected).abs() <= 1e-8 * expected + 1e-15, "{row:?}: {found}");
    }
}

#[test]
fn distributions_refuse_impossible_arguments_without_a_panic() {
    for p in [f64::NAN, -0.1, 0.0, 1.0, 1.5] {
        assert!(normal_quantile(p).is_nan() && t_quantile(p, 3.0).is_nan() && chi_squared_quantile(p, 3.0).is_nan());
    }
    for freedom in [f64::NAN, -1.0, 0.0] {
        assert!(t_quantile(0.9, freedom).is_nan() && t_two_sided(1.0, freedom).is_nan());
        assert!(chi_squared_quantile(0.9, freedom).is_nan());
    }
    near(t_quantile(0.975, f64::INFINITY), 1.959_963_984_540_054, 1e-9, "t of infinite degrees of freedom");
    assert!(t_two_sided(f64::NAN, 3.0).is_nan() && t_two_sided(f64::INFINITY, 3.0) == 0.0);
}

#[test]
fn tests_of_two_means() {
    let golden = golden();
    for case in cases(&golden, "welch") {
        let found = welch(&numbers(&case["baseline"]), &numbers(&case["change"]), 0.95).unwrap();
        let [p, freedom, low, high, error] = ["p", "freedom", "low", "high", "error"].map(|name| number(&case[name]));
        near(found.p_value.unwrap() / p, 1.0, 1e-7, "p");
        near(found.freedom.unwrap(), freedom, 1e-9, "freedom");
        near(found.low, low, 1e-9, "low");
        near(found.high, high, 1e-9, "high");
        near(found.standard_error, error, 1e-9, "error");
    }
    for case in cases(&golden, "paired") {
        let pairs: Vec<_> = numbers(&case["baseline"]).into_iter().zip(numbers(&case["change"])).collect();
        let found = paired(&pairs, 0.95).unwrap();
        near(found.p_value.unwrap() / number(&case["p"]), 1.0, 1e-7, "p");
        near(found.low, number(&case["low"]), 1e-9, "low");
        near(found.high, number(&case["high"]), 1e-9, "high");
    }
    for case in cases(&golden, "permutation") {
        let p = permutation_p(&numbers(&case["baseline"]), &numbers(&case["change"]), 0);
        near(p, number(&case["p"]), 1e-12, &format!("permutation of {case}"));
    }
    let holm_found = holm(&numbers(&golden["holm"]["p"]));
    for (found, expected) in holm_found.into_iter().zip(numbers(&golden["holm"]["adjusted"])) {
        near(found, expected, 1e-12, "Holm");
    }
}

/// A bootstrap of 4,000 resamples has ends that vary by about 2 % of the width of the interval.
#[test]
fn bca_intervals() {
    for case in cases(&golden(), "bootstrap") {
        let parts: Vec<_> = numbers(&case["y"]).into_iter().zip(numbers(&case["x"])).collect();
        let (low, high) = (number(&case["low"]), number(&case["high"]));
        let found = bca_ratio(&parts, 0.95, 1).unwrap();
        let of_width = |a: f64, b: f64| (a - b).abs() / (high - low);
        assert!(of_width(found.low, low) < 0.05 && of_width(found.high, high) < 0.05, "{found:?} {low} {high}");
        near(found.standard_error / number(&case["error"]), 1.0, 0.05, "error");
        assert_eq!(bca_ratio(&parts, 0.95, 1), Some(found), "equal seeds give equal intervals");
    }
}

#[test]
fn lines_and_robust_scales() {
    let golden = golden();
    for case in cases(&golden, "line") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let line = Line::fit(x.iter().copied().zip(y)).unwrap();
        let (low, high) = line.slope_interval(0.95);
        let at = *x.last().unwrap();
        let pairs = [
            ("slope", line.slope),
            ("error", line.slope_error),
            ("low", low),
            ("high", high),
            ("residual", line.residual),
            ("last", line.at(at)),
            ("last_error", line.error_at(at)),
        ];
        for (name, found) in pairs {
            near(found, number(&case[name]), 1e-9, name);
        }
    }
    for case in cases(&golden, "mad") {
        let (median, mad) = median_and_mad(&mut numbers(&case[0]));
        near(median, number(&case[1]), 1e-12, "median");
        near(mad, number(&case[2]), 1e-12, "MAD");
    }
    assert_eq!(Line::fit([(1.0, 2.0), (1.0, 3.0)].into_iter()), None);
    assert_eq!(Line::fit(std::iter::empty()), None);
}

#[test]
fn noise_floors() {
    let golden = golden();
    for case in cases(&golden, "pooled") {
        let groups: Vec<Vec<f64>> = case["groups"].as_array().unwrap().iter().map(numbers).collect();
        let found = NoiseFloor::pooled(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        for (name, found) in
            [("sigma", found.sigma), ("freedom", found.freedom), ("low", found.low), ("high", found.high)]
        {
            near(found, number(&case[name]), 1e-6, name);
        }
    }
    for case in cases(&golden, "tolerance") {
        let count = number(&case["count"]) as usize;
        let floor = NoiseFloor { sigma: 1.0, freedom: count as f64 - 1.0, low: 0.5, high: 2.0 };
        let factor = floor.tolerance_factor(count, number(&case["content"]), number(&case["confidence"]));
        near(factor / number(&case["factor"]), 1.0, 0.03, &format!("tolerance of {count}"));
    }
    let floor = NoiseFloor { sigma: 1.0, freedom: 10.0, low: 0.7, high: 1.8 };
    for row in cases(&golden, "runs_needed").map(numbers) {
        let (found, exact) = (floor.runs_needed(row[0]).unwrap() as f64, row[1].ceil());
        assert!((found - exact).abs() <= 1.0, "effect {}: {found}, statsmodels {}", row[0], row[1]);
    }
    assert_eq!(floor.runs_needed(1.5), Some(9));
    assert_eq!(floor.runs_needed(0.0), None);
}
