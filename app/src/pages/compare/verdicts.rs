//! The answer of a fair comparison: a sentence for each group, the numbers as a table, the conditions, and the scores on tasks.

use figure::number;
use leptos::prelude::*;
use research::compare::{ComparedGroup, ComparedRun, Comparison, Difference, FairComparison, Variation};
use wire::series::Axis;

use super::scores::TaskScores;
use crate::components::isolated;

/// The part of the picture's width, in percent, on each side of 0.
const HALF: f64 = 46.0;

/// The comparison of a group that has a difference: over seeds where that is known, else over validation text.
fn measured(group: &ComparedGroup) -> &Comparison {
    match &group.over_text {
        Some(over_text) if group.over_seeds.difference.is_none() => over_text,
        _ => &group.over_seeds,
    }
}

#[component]
pub(super) fn Verdicts(
    comparison: FairComparison,
    /// Names of the groups, that of the baseline first.
    labels: Vec<String>,
) -> impl IntoView {
    let unit = comparison.unit.word();
    let ends = comparison.changes.iter().filter_map(|group| measured(group).difference);
    let scale = ends.map(|found| found.low.abs().max(found.high.abs())).fold(0.0, f64::max);
    let sentences = comparison.changes.iter().map(|group| {
        let adjusted = group.adjusted_p.map(|p| {
            format!(" p = {}, adjusted for {} comparisons (Holm's method).", number::short(p), comparison.changes.len())
        });
        view! { <p class="verdict">{isolated(&group.sentence)}{adjusted}</p> }
    });
    let sentences = sentences.collect_view();
    let all_labels = labels.clone();
    let mut labels = labels.into_iter();
    let baseline = labels.next().unwrap_or_default();
    let mean = comparison.changes.first().and_then(|group| measured(group).baseline);
    let rows = comparison.changes.iter().zip(labels).map(|(group, label)| {
        let found = measured(group);
        view! { <Row label runs=group.runs.clone() loss=found.change difference=found.difference scale /> }
    });
    let rows = rows.collect_view();
    view! {
        <div role="status">{sentences}</div>
        <div class="scroll" role="region" tabindex="0" aria-label="Results of the comparison">
            <table>
                <thead>
                    <tr>
                        <th title="A run, or several runs that count as repeats of the same experiment">"Group"</th>
                        <th class="number" title="Runs of the group that are compared">"Runs"</th>
                        <th class="number" title="Mean validation loss of the group at the equal budget">{format!("Loss ({unit})")}</th>
                        <th class="number" title="Loss of the group minus that of the baseline; below 0 the group is better">"Difference"</th>
                        <th class="number" title="If the comparison were repeated often, 95 % of such intervals would contain the true difference">
                            {format!("95{}% interval", number::THIN)}
                        </th>
                        <th title="The variation that the interval contains">"Interval over"</th>
                        <th><span class="unseen">"Interval as a line; the dot is the difference, the vertical line is 0"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <Row label=format!("{baseline} (baseline)") runs=comparison.baseline.clone() loss=mean difference=None scale />
                    {rows}
                </tbody>
            </table>
        </div>
        <p class="dim small">{conditions(&comparison)}</p>
        <TaskScores tasks=comparison.tasks labels=all_labels />
    }
}

#[component]
fn Row(
    label: String,
    runs: Vec<ComparedRun>,
    loss: Option<f64>,
    difference: Option<Difference>,
    scale: f64,
) -> impl IntoView {
    let dash = || "–".to_owned();
    let of = |value: Option<f64>| value.map_or_else(dash, number::short);
    let ends =
        difference.map_or_else(dash, |found| format!("{} to {}", number::short(found.low), number::short(found.high)));
    let over = difference.map_or("–", |found| match found.variation {
        Variation::Seeds => "seeds",
        Variation::ValidationWindows => "validation text",
        Variation::Items => "items",
    });
    let each = |run: &ComparedRun| {
        let loss = run.loss.map_or_else(|| "no loss".to_owned(), number::short);
        format!("{} (seed {}): {loss} after step {}", isolated(&run.name), run.seed, number::whole(run.step))
    };
    let each = runs.iter().map(each).collect::<Vec<_>>().join("\n");
    view! {
        <tr>
            <th scope="row" title=each>{label}</th>
            <td class="number">{runs.len()}</td>
            <td class="number">{of(loss)}</td>
            <td class="number">{of(difference.map(|found| found.estimate))}</td>
            <td class="number">{ends}</td>
            <td>{over}</td>
            <td class="interval">{difference.map(|found| view! { <IntervalLine found scale /> })}</td>
        </tr>
    }
}

/// The interval on a line that is common to all rows.
#[component]
fn IntervalLine(found: Difference, scale: f64) -> impl IntoView {
    let at = |value: f64| format!("{:.2}%", 50.0 + HALF * value / scale.max(f64::MIN_POSITIVE));
    view! {
        <svg width="100%" height="16" aria-hidden="true" class:significant=found.is_significant()>
            <line class="zero" x1="50%" x2="50%" y1="0" y2="16" />
            <line class="span" x1=at(found.low) x2=at(found.high) y1="8" y2="8" />
            <circle cx=at(found.estimate) cy="8" r="3" />
        </svg>
    }
}

/// `Compared after 600 k tokens, on tales: 320 windows of 64 tokens.`, with the noise floor if it is known.
fn conditions(comparison: &FairComparison) -> String {
    let unit = comparison.unit.word();
    let amount = |budget: f64| match comparison.equal {
        Axis::Step | Axis::Tokens => number::with_unit(budget, "tokens"),
        Axis::Flops => number::with_unit(budget, "FLOP"),
        Axis::Secs => format!("{} of training", number::with_unit(budget, "s")),
    };
    let budget = comparison.budget.map(|budget| format!("Compared after {}", amount(budget)));
    let text = comparison.validation.as_ref().map(|text| format!(" on the validation text {text}."));
    let noise = comparison.noise.map(|noise| {
        format!(
            " Noise floor: the standard deviation over seeds is {} {unit} (95{thin}% interval {} to {}), from {} runs that differ only in \
             the seed.",
            number::short(noise.sigma),
            number::short(noise.low),
            number::short(noise.high),
            comparison.noise_runs.len(),
            thin = number::THIN,
        )
    });
    [budget, text, noise].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use research::compare::{NoiseFloor, Unit};

    #[test]
    fn the_conditions_name_budget_text_and_noise_floor() {
        let noise = NoiseFloor { sigma: 0.012, freedom: 3.0, low: 0.007, high: 0.04 };
        let comparison = FairComparison {
            equal: Axis::Tokens,
            budget: Some(600_000.0),
            unit: Unit::BitsPerByte,
            validation: Some("tales: 320 windows of 64 tokens".into()),
            baseline: vec![],
            changes: vec![],
            noise: Some(noise),
            noise_runs: vec!["a".into(); 4],
            band: vec![],
            tasks: vec![],
        };
        let words = conditions(&comparison);
        assert!(
            words.starts_with("Compared after 600\u{202f}k\u{202f}tokens on the validation text tales: 320 windows"),
            "{words}"
        );
        assert!(words.contains("is 0.012 bits/byte") && words.contains("from 4 runs"), "{words}");
    }
}
