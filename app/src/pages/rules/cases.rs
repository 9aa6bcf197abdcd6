//! Typical cases: for each rule a series of a real run in which it found something, drawn as a chart. They are data of the program,
//! `cases.json`; a rule without a case has no picture.

use figure::curve::point;
use figure::scene::{Role, Size};
use figure::spec::Marker;
use figure::{ChartSpec, Curve, Frame, ScaleKind};
use leptos::prelude::*;
use serde::Deserialize;
use wire::control::author::Author;
use wire::number::grouped;
use wire::series::{Bucket, describe};

use crate::components::Canvas;

/// The cases of all rules.
const CASES: &str = include_str!("cases.json");

/// A typical case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Id of the rule.
    rule: String,
    /// The run and its fault, in a sentence.
    caption: String,
    /// Step of the finding.
    step: u64,
    #[serde(default)]
    is_log: bool,
    curves: Vec<CaseCurve>,
}

/// A series of a case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseCurve {
    /// Name of the series: `loss.train`.
    series: String,
    /// Step and value, in order.
    points: Vec<(u64, f64)>,
}

/// The case of a rule.
pub(super) fn case_of(rule: &str) -> Option<Case> {
    // The file is part of the program, and a test reads it.
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap_or_default();
    cases.into_iter().find(|case| case.rule == rule)
}

/// The chart of a case, with a marker at the step of the finding.
#[component]
pub(super) fn CasePicture(case: Case) -> impl IntoView {
    let series: Vec<String> = case.curves.iter().map(|curve| describe(&curve.series).label).collect();
    let label =
        format!("{} by step. {} The rule found it at step {}.", series.join(", "), case.caption, grouped(case.step));
    let caption = case.caption.clone();
    let names = series.clone();
    let curves: Vec<Vec<Bucket>> = case.curves.iter().map(|curve| buckets(&curve.points)).collect();
    let spec = spec(&case);
    let draw = move |size: Size, _: bool| {
        let drawn = names.iter().zip(&curves).enumerate();
        let drawn: Vec<Curve> = drawn
            .map(|(place, (name, buckets))| {
                let role = if curves.len() == 1 { Role::Ink } else { Role::Run((place % 8) as u8) };
                Curve::new(name, role, buckets)
            })
            .collect();
        figure::chart(&spec, &drawn, size).scene.shapes
    };
    view! {
        <figure class="case">
            <Canvas class="case-chart" label draw />
            <figcaption class="small dim">{caption}</figcaption>
        </figure>
    }
}

fn spec(case: &Case) -> ChartSpec {
    let marker = Marker {
        x: case.step as f64,
        phrase: format!("found at step {}", grouped(case.step)),
        author: Author::Rule(case.rule.clone()),
        is_alarm: true,
        is_change: false,
    };
    let first = case.curves.first().map(|curve| describe(&curve.series));
    ChartSpec {
        title: first.as_ref().map(|info| info.label.to_lowercase()).unwrap_or_default(),
        unit: first.map(|info| info.unit.to_owned()).unwrap_or_default(),
        y_scale: if case.is_log { ScaleKind::Log } else { ScaleKind::Linear },
        markers: vec![marker],
        frame: Frame { has_lane: true, has_background: false, ..Frame::default() },
        ..ChartSpec::default()
    }
}

fn buckets(points: &[(u64, f64)]) -> Vec<Bucket> {
    points.iter().map(|(step, value)| point(*step, *step as f64, *value)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_can_be_drawn() {
        let cases: Vec<Case> = serde_json::from_str(CASES).expect("cases.json has the format of `Case`");
        let rules: BTreeSet<&str> = cases.iter().map(|case| case.rule.as_str()).collect();
        assert_eq!(rules.len(), cases.len(), "one case for each rule");
        assert!(CASES.len() < 100_000, "the file is part of what a browser loads");
        for case in &cases {
            assert!(!case.caption.is_empty() && !case.curves.is_empty(), "{}", case.rule);
            for curve in &case.curves {
                assert!(
                    curve.points.len() >= 10 && curve.points.is_sorted_by(|one, next| one.0 < next.0),
                    "{}",
                    case.rule
                );
                let steps = (curve.points[0].0, curve.points[curve.points.len() - 1].0);
                assert!((steps.0..=steps.1).contains(&case.step), "{}: the finding is within the series", case.rule);
            }
        }
    }
}
