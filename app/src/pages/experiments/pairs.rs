//! The pairs of an experiment as a table whose last column is a chart: the difference of each pair, and below each other the interval as it
//! narrows, against 0, the smallest effect and the prediction.

use figure::number;
use leptos::prelude::*;
use research::experiment::{Look, looks};
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentRun, Side, complete_pairs};

use super::words::in_metric;
use crate::components::hyperparameters::with_comma;
use crate::components::{isolated, sentence};
use crate::route::run_path;

/// The part of the chart's width, in percent, on each side of 0.
const HALF: f64 = 46.0;

/// A pair, with what is known after it.
#[derive(Debug, Clone, PartialEq)]
struct PairRow {
    pair: u32,
    seed: u64,
    runs: [Option<ExperimentRun>; 2],
    /// Variant minus baseline.
    difference: Option<f64>,
    look: Option<Look>,
}

fn rows(spec: &ExperimentSpec, runs: &[ExperimentRun]) -> Vec<PairRow> {
    let mut known = looks(&complete_pairs(runs), spec.rule.level()).into_iter();
    let last = runs.iter().map(|run| run.pair).max().unwrap_or(0);
    let row = |pair: u32| {
        let newest = |side: Side| {
            let of_side = runs.iter().filter(|run| run.pair == pair && run.side == side);
            of_side.max_by_key(|run| run.attempt).cloned()
        };
        let runs = Side::BOTH.map(newest);
        let value = |run: &Option<ExperimentRun>| run.as_ref().and_then(|run| run.value);
        let difference = value(&runs[0]).zip(value(&runs[1])).map(|(baseline, variant)| variant - baseline);
        let look = difference.and_then(|_| known.next());
        let seed = runs.iter().flatten().next().map_or(0, |run| run.seed);
        PairRow { pair, seed, runs, difference, look }
    };
    (1..=last).map(row).collect()
}

/// Largest distance from 0 in the chart: that of the differences, of the last interval, and of the lines. Wider intervals end at the edge.
fn scale(spec: &ExperimentSpec, rows: &[PairRow]) -> f64 {
    let last = rows.iter().rev().find_map(|row| row.look?.interval);
    let ends = last.into_iter().flatten().chain(rows.iter().filter_map(|row| row.difference));
    let lines = [spec.rule.effect, spec.prediction.difference];
    ends.chain(lines).map(f64::abs).fold(f64::MIN_POSITIVE, f64::max)
}

/// The table.
#[component]
pub(super) fn Pairs(spec: ExperimentSpec, runs: Vec<ExperimentRun>) -> impl IntoView {
    let rows = rows(&spec, &runs);
    let scale = scale(&spec, &rows);
    let unit = spec.metric.unit();
    let value_title = format!("{}, {}", spec.metric.label(), if unit.is_empty() { "no unit" } else { unit.as_str() });
    let lines = [spec.prediction.difference.signum() * spec.rule.effect, spec.prediction.difference];
    let legend = format!(
        "Dot: difference of the pair. Line: interval of the mean difference after this many pairs. Vertical lines: 0 (solid), the smallest \
         effect in the predicted direction {} (dashed), the prediction {} (dotted).",
        in_metric(&spec, lines[0]),
        in_metric(&spec, lines[1]),
    );
    let body = rows.into_iter().map(|row| view! { <Row row lines scale /> }).collect_view();
    view! {
        <div class="scroll sheet" role="region" tabindex="0" aria-label="Values of the pairs">
            <table class="pair-table">
                <thead>
                    <tr>
                        <th title="Both runs of a pair have the same seed">"Pair"</th>
                        <th class="right" title=value_title.clone()>"Baseline"</th>
                        <th class="right" title=value_title>"Variant"</th>
                        <th class="right" title="Variant minus baseline">"Difference"</th>
                        <th class="right" title="Interval of the mean difference of the pairs so far; it stays valid when it is looked at after every pair">
                            "Interval so far"
                        </th>
                        <th class="picture" title="The difference of each pair and the interval so far; the legend is below the table">
                            <Axis unit scale />
                        </th>
                    </tr>
                </thead>
                <tbody>{body}</tbody>
            </table>
        </div>
        <p class="small dim">{legend}</p>
    }
}

/// The header of the chart: what it shows, and ticks at 0 and at both ends of the scale.
#[component]
fn Axis(unit: String, scale: f64) -> impl IntoView {
    let title = format!("Difference, interval{}", with_comma(&unit));
    let ticks = [(-scale, "start"), (0.0, "middle"), (scale, "end")].map(|(value, anchor)| {
        let x = position(value, scale);
        view! {
            <text x=x.clone() y="11" text-anchor=anchor>{number::plain(value)}</text>
            <line x1=x.clone() x2=x y1="14" y2="20" />
        }
    });
    view! {
        {title}
        <svg class="axis" width="100%" height="20" aria-hidden="true">{ticks.collect_view()}</svg>
    }
}

#[component]
fn Row(row: PairRow, lines: [f64; 2], scale: f64) -> impl IntoView {
    let PairRow { pair, seed, runs: [baseline, variant], difference, look } = row;
    let interval = look.and_then(|look| look.interval);
    let ends = interval
        .map_or_else(|| "–".to_owned(), |[low, high]| format!("{} to {}", number::plain(low), number::plain(high)));
    view! {
        <tr>
            <th scope="row" title=format!("Both runs have the seed {seed}")>{pair}</th>
            <td class="right mono"><RunCell run=baseline /></td>
            <td class="right mono"><RunCell run=variant /></td>
            <td class="right mono">{difference.map_or_else(|| "–".to_owned(), number::plain)}</td>
            <td class="right mono">{ends}</td>
            <td class="picture"><Picture difference interval lines scale /></td>
        </tr>
    }
}

/// The value of a run, or how far it is.
#[component]
fn RunCell(run: Option<ExperimentRun>) -> impl IntoView {
    run.map(|run| {
        let (text, title) = match (run.value, &run.failure, run.state) {
            (Some(value), ..) => (number::fixed(value, 4), format!("{}, seed {}", run.run, run.seed)),
            (None, Some(failure), _) => ("no value".to_owned(), isolated(&sentence(&format!("{} {failure}", run.run)))),
            (None, None, Some(state)) => {
                let percent = (100.0 * run.progress).floor();
                (format!("{} {percent:.0}{}%", state.word(), number::THIN), format!("Open {}", run.run))
            }
            (None, None, None) => ("–".to_owned(), format!("{} no longer exists", run.run)),
        };
        view! { <a href=run_path(&run.run) title=title>{text}</a> }
    })
}

/// Where a value is in the chart, in percent of its width. Values beyond the scale are at the edge.
fn position(value: f64, scale: f64) -> String {
    format!("{:.2}%", (50.0 + HALF * value / scale).clamp(1.0, 99.0))
}

#[component]
fn Picture(
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    /// The smallest effect in the predicted direction, and the prediction.
    lines: [f64; 2],
    scale: f64,
) -> impl IntoView {
    let at = move |value: f64| position(value, scale);
    let is_significant = interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0);
    view! {
        <svg width="100%" height="32" aria-hidden="true" class:significant=is_significant>
            <line class="zero" x1="50%" x2="50%" y1="0" y2="32" />
            <line class="effect" x1=at(lines[0]) x2=at(lines[0]) y1="0" y2="32" />
            <line class="predicted" x1=at(lines[1]) x2=at(lines[1]) y1="0" y2="32" />
            {interval.map(|[low, high]| view! { <line class="span" x1=at(low) x2=at(high) y1="16" y2="16" /> })}
            {difference.map(|difference| view! { <circle cx=at(difference) cy="16" r="3.5" /> })}
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pair: u32, side: Side, attempt: u32, value: Option<f64>) -> ExperimentRun {
        ExperimentRun {
            pair,
            side,
            attempt,
            seed: 6 + u64::from(pair),
            run: "amber-fox".parse().unwrap(),
            value,
            failure: None,
            device_secs: None,
            state: None,
            progress: 0.0,
        }
    }

    #[test]
    fn values_have_a_place_within_the_chart() {
        let places = [-0.3, 0.0, 0.15, 0.3, -9.0].map(|value| position(value, 0.3));
        assert_eq!(places, ["4.00%", "50.00%", "73.00%", "96.00%", "1.00%"]);
    }

    #[test]
    fn rows_have_the_interval_after_each_complete_pair() {
        let spec: ExperimentSpec = serde_json::from_str(
            r#"{"title":"A","hypothesis":"B","baseline":{"spec":{"corpus":"tales"}},"change":{"overrides":{"model.layers":3}},
            "prediction":{"difference":-0.05,"probability":0.75},"rule":{"effect":0.02},"budget":{"steps":300,"device_hours":1.5}}"#,
        )
        .unwrap();
        let mut runs = vec![];
        for (pair, variant) in [(1, 1.4), (2, 1.41), (3, 1.39)] {
            runs.push(run(pair, Side::Baseline, 1, Some(1.5)));
            runs.push(run(pair, Side::Variant, 1, Some(variant)));
        }
        runs.push(run(4, Side::Baseline, 1, None));
        runs.push(run(4, Side::Baseline, 2, Some(1.5)));
        let rows = rows(&spec, &runs);
        assert_eq!(rows.iter().map(|row| (row.pair, row.seed)).collect::<Vec<_>>(), [(1, 7), (2, 8), (3, 9), (4, 10)]);
        assert!(rows[1].look.is_some_and(|look| look.interval.is_none()), "two pairs have no interval");
        let [low, high] = rows[2].look.unwrap().interval.unwrap();
        assert!(low < -0.1 && high > -0.1);
        assert_eq!((rows[3].difference, rows[3].look), (None, None));
        assert_eq!(rows[3].runs[0].as_ref().unwrap().attempt, 2);
        assert_eq!(scale(&spec, &rows), low.abs().max(high.abs()));
    }
}
