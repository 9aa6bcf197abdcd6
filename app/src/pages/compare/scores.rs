//! The scores of evaluation tasks that all compared runs have: for each task a sentence per group and a table with the intervals.

use figure::number;
use leptos::prelude::*;
use research::compare::{ComparedScore, ScoredGroup, TaskComparison, Variation};
use wire::task::result::describe;

use crate::components::isolated;

#[component]
pub(super) fn TaskScores(
    tasks: Vec<TaskComparison>,
    /// Names of the groups, that of the baseline first.
    labels: Vec<String>,
) -> impl IntoView {
    tasks.into_iter().map(|task| view! { <OneTask task labels=labels.clone() /> }).collect_view()
}

#[component]
fn OneTask(task: TaskComparison, labels: Vec<String>) -> impl IntoView {
    let TaskComparison { task, metric, step, baseline, changes } = task;
    let word = metric.replace('_', " ");
    let (unit, meaning) = describe(&metric).unwrap_or_default();
    let value = if unit.is_empty() { word.clone() } else { format!("{word} ({unit})") };
    let place = match step {
        Some(step) => format!("Task {task}, {word} at step {}", number::whole(step)),
        None => format!("Task {task}, newest {word} of each run"),
    };
    let sentences = changes.iter().map(|group| view! { <p class="verdict">{isolated(&group.sentence)}</p> });
    let sentences = sentences.collect_view();
    let mut labels = labels.into_iter();
    let first = format!("{} (baseline)", labels.next().unwrap_or_default());
    let rows = changes.into_iter().zip(labels).map(|(group, label)| view! { <Row label group /> }).collect_view();
    view! {
        <h3>{place}</h3>
        <div>{sentences}</div>
        <div class="scroll" role="region" tabindex="0" aria-label=format!("Scores on the task {task}")>
            <table>
                <thead>
                    <tr>
                        <th title="A run, or several runs that count as repeats of the same experiment">"Group"</th>
                        <th class="number" title="Runs of the group">"Runs"</th>
                        <th class="number" title=meaning>{value}</th>
                        <th class="number" title="Wilson's interval of the fraction of correct items over other items of this kind; for one run whose \
                                                  task counts correct items">
                            {format!("95{}% interval", number::THIN)}
                        </th>
                        <th class="number" title="Score of the group minus that of the baseline">"Difference"</th>
                        <th class="number" title="The interval of the difference; the sentences above say how it is computed">
                            {format!("95{}% interval", number::THIN)}
                        </th>
                        <th title="The variation that the interval of the difference contains">"Interval over"</th>
                    </tr>
                </thead>
                <tbody>
                    <Row label=first group=baseline />
                    {rows}
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(label: String, group: ScoredGroup) -> impl IntoView {
    let dash = || "–".to_owned();
    let of = |value: Option<f64>| value.map_or_else(dash, number::short);
    let ends = |(low, high): (f64, f64)| format!("{} to {}", number::short(low), number::short(high));
    let own = match group.runs.as_slice() {
        [only] => only.interval,
        _ => None,
    };
    let difference = group.difference;
    let over = difference.map_or("–", |found| match found.variation {
        Variation::Seeds => "seeds",
        Variation::ValidationWindows => "validation text",
        Variation::Items => "items",
    });
    let each = group.runs.iter().map(described).collect::<Vec<_>>().join("\n");
    view! {
        <tr>
            <th scope="row" title=each>{label}</th>
            <td class="number">{group.runs.len()}</td>
            <td class="number">{of(group.mean)}</td>
            <td class="number">{own.map_or_else(dash, ends)}</td>
            <td class="number">{of(difference.map(|found| found.estimate))}</td>
            <td class="number">{difference.map_or_else(dash, |found| ends((found.low, found.high)))}</td>
            <td>{over}</td>
        </tr>
    }
}

/// `amber-fox (seed 1): 0.71, 142 of 200 correct, at step 400`
fn described(score: &ComparedScore) -> String {
    let value = score.value.map_or_else(|| "not finite".to_owned(), number::short);
    let correct =
        score.correct.map(|correct| format!(", {} of {} correct", number::whole(correct), number::whole(score.items)));
    let (name, correct) = (isolated(&score.name), correct.unwrap_or_default());
    format!("{name} (seed {}): {value}{correct}, at step {}", score.seed, number::whole(score.step))
}
