//! A typical case of each rule, as the page Rules draws it: the part of the series around a finding.

use research::rules::{Finding, Level, RULES};
use serde::Serialize;

use crate::configuration;
use crate::judge::Judged;

/// Most points of a curve.
const MOST_POINTS: u64 = 80;
/// Fewest points of a curve.
const FEWEST_POINTS: usize = 10;
/// Steps before the window of the finding and after it.
const AROUND: u64 = 60;
/// Most curves of a case.
const CURVES: usize = 2;

#[derive(Debug, Serialize)]
pub(crate) struct Case {
    rule: &'static str,
    caption: String,
    step: u64,
    is_log: bool,
    curves: Vec<CaseCurve>,
}

#[derive(Debug, Serialize)]
struct CaseCurve {
    series: String,
    points: Vec<(u64, f64)>,
}

/// The cases of the rules that found a fault of their own, or anything in a run with a fault.
pub(crate) fn of_rules(judged: &[Judged]) -> Vec<Case> {
    RULES.iter().filter_map(|rule| of_rule(rule.id, judged)).collect()
}

/// From the run with the median delay of those whose fault the rule names, else of all with a fault.
fn of_rule(rule: &'static str, judged: &[Judged]) -> Option<Case> {
    let found = |names_it: bool| {
        let mut all: Vec<(u64, &Judged, &Finding)> = judged
            .iter()
            .filter(|run| run.fault.is_some_and(|fault| !names_it || fault.rules.contains(&rule)))
            .filter_map(|run| first_of(rule, run))
            .collect();
        all.sort_by_key(|(delay, run, _)| (*delay, run.description().name.as_str()));
        let middle = all.len() / 2;
        all.into_iter().nth(middle)
    };
    let (_, run, finding) = found(true).or_else(|| found(false))?;
    case(rule, run, finding)
}

/// The first alert of a rule after the fault, or else its first note, with its delay.
fn first_of<'a, 'b>(rule: &str, run: &'a Judged<'b>) -> Option<(u64, &'a Judged<'b>, &'a Finding)> {
    let fault_step = run.description().fault_step;
    let of = |level: Level| {
        run.findings.iter().find(|found| found.rule == rule && found.level >= level && found.step >= fault_step)
    };
    let finding = of(Level::Alert).or_else(|| of(Level::Note))?;
    Some((finding.step - fault_step, run, finding))
}

fn case(rule: &'static str, run: &Judged, finding: &Finding) -> Option<Case> {
    let mut curves: Vec<CaseCurve> = vec![];
    for evidence in finding.evidence.iter().take(CURVES) {
        curves.extend(series_of(&evidence.series, run).and_then(|series| curve(&series, run, finding)));
    }
    let is_shown = |curve: &CaseCurve| {
        let (first, last) = (curve.points.first(), curve.points.last());
        first.zip(last).is_some_and(|(first, last)| (first.0..=last.0).contains(&finding.step))
    };
    // Curves of other units, such as a gradient norm beside a loss, have another scale; the first is what the rule is about.
    let unit = |curve: &CaseCurve| wire::series::describe(&curve.series).unit;
    let of_unit = curves.first().map(unit)?;
    curves.retain(|curve| unit(curve) == of_unit);
    let is_log = curves.iter().flat_map(|curve| &curve.points).all(|(_, value)| *value > 0.0) && spread(&curves) > 30.0;
    curves.first().is_some_and(is_shown).then(|| Case {
        rule,
        caption: caption(run),
        step: finding.step,
        is_log,
        curves,
    })
}

/// The series with this name, or else the first with its prefix: a finding about many heads names none.
fn series_of(name: &str, run: &Judged) -> Option<String> {
    let all = || run.record.rows.iter().flat_map(|(_, values)| values).map(|(series, _)| series);
    let prefix = name.split_inclusive('/').next().filter(|prefix| prefix.ends_with('/'));
    let with_prefix = |series: &&String| prefix.is_some_and(|prefix| series.starts_with(prefix));
    all().find(|series| *series == name).or_else(|| all().find(with_prefix)).cloned()
}

/// The points around a finding, thinned so that the finding's own step stays; of a series with few points, all.
fn curve(series: &str, run: &Judged, finding: &Finding) -> Option<CaseCurve> {
    let values =
        run.record.rows.iter().flat_map(|(step, values)| values.iter().map(move |(name, value)| (*step, name, *value)));
    let all: Vec<(u64, f64)> = values
        .filter(|(_, name, value)| *name == series && value.is_finite())
        .map(|(step, _, value)| (step, rounded(value)))
        .collect();
    let (first, last) = (finding.first_step.saturating_sub(AROUND), finding.step + AROUND);
    let within: Vec<(u64, f64)> = all.iter().filter(|(step, _)| (first..=last).contains(step)).copied().collect();
    let chosen = if within.len() < FEWEST_POINTS { all } else { within };
    let stride = (chosen.len() as u64).div_ceil(MOST_POINTS).max(1) as usize;
    let at = chosen.iter().position(|(step, _)| *step >= finding.step).unwrap_or_default();
    let points: Vec<(u64, f64)> = chosen.into_iter().skip(at % stride).step_by(stride).collect();
    (points.len() >= FEWEST_POINTS).then(|| CaseCurve { series: series.to_owned(), points })
}

/// The largest value by the smallest, in absolute value.
fn spread(curves: &[CaseCurve]) -> f64 {
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| value.abs());
    values().fold(0.0, f64::max) / values().fold(f64::INFINITY, f64::min)
}

/// Four significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn caption(run: &Judged) -> String {
    let description = run.description();
    let cause = run.fault.map_or("no fault", |fault| fault.cause);
    let known = configuration::ALL.iter().find(|configuration| configuration.name == description.configuration);
    let of = known.map_or_else(|| description.configuration.clone(), |known| known.sentence_part());
    let from =
        if description.fault_step > 0 { format!(" from step {} on", description.fault_step) } else { String::new() };
    format!("A run of {of} with a planted fault{from}: {cause}.")
}
