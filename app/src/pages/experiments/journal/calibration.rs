//! How often the rules and the authors of a project were right. It is folded until somebody opens it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use research::calibration::{ProjectCalibration, RuleScore};
use research::experiment::AuthorScore;

use crate::components::number::{THIN, grouped};
use crate::components::{Failure, Skeleton, clicks, says, shows};
use crate::net::api::{ApiFailure, journal};
use crate::pages::experiments::scores::Score;

#[component]
pub(super) fn CalibrationPart(project: Memo<Option<String>>) -> impl IntoView {
    let known = RwSignal::new(None::<Result<ProjectCalibration, ApiFailure>>);
    let is_open = RwSignal::new(false);
    let fetch = move || {
        let Some(asked) = project.get_untracked() else { return };
        spawn_local(async move {
            let found = journal::calibration(&asked).await;
            // The answer for a project that is not shown any more is ignored.
            if project.try_get_untracked().flatten().as_ref() == Some(&asked) {
                known.try_set(Some(found));
            }
        });
    };
    // Fetched again each time it is opened, and for another project.
    Effect::new(move |before: Option<Option<String>>| {
        let now = project.get();
        if before.is_some_and(|before| before != now) {
            known.set(None);
        }
        if is_open.get() {
            fetch();
        }
        now
    });
    let content = move || match known.get() {
        None => view! { <Skeleton rows=3 /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The calibration could not be fetched" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(found)) => view! { <Rules rules=found.rules /><Authors scores=found.authors /> }.into_any(),
    };
    view! {
        <section class="sheet padded stack" aria-label="Calibration">
            <div>
                <button
                    class="quiet"
                    title="How often the findings of rules were correct and the predictions of authors came true"
                    aria-expanded=says(move || is_open.get().to_string())
                    on:click=clicks(move |_| is_open.update(|is_open| *is_open = !*is_open))
                >
                    "Calibration of rules and authors"
                </button>
            </div>
            {shows(move || is_open.get().then(content))}
        </section>
    }
}

#[component]
fn Rules(rules: Vec<RuleScore>) -> impl IntoView {
    if rules.is_empty() {
        return view! { <p class="dim">"No rule has found anything in the runs of this project."</p> }.into_any();
    }
    let rows = rules.into_iter().map(|score| view! { <RuleRow score /> }).collect_view();
    view! {
        <p class="small dim">
            "Mark findings as correct or wrong on the page of a run. In parentheses is the 95"{THIN}"% interval (Wilson) of the fraction."
        </p>
        <div class="scroll" tabindex="0" role="group" aria-label="Rules">
            <table class="calibration-table">
                <thead>
                    <tr>
                        <th scope="col">"Rule"</th>
                        <th scope="col" class="right">"Findings"</th>
                        <th scope="col" class="right">"Correct"</th>
                        <th scope="col" class="right">"Wrong"</th>
                        <th scope="col" class="right">"Fraction correct"</th>
                        <th scope="col" class="right" title="Findings in runs without a fault, measured for this version of the rule">
                            "False alarms"
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn RuleRow(score: RuleScore) -> impl IntoView {
    let (fraction, measured) = (fraction(&score), measured(&score));
    let counts = score.counts;
    view! {
        <tr>
            <th scope="row">{counts.label}</th>
            <td class="right">{grouped(counts.findings)}</td>
            <td class="right">{grouped(counts.correct)}</td>
            <td class="right">{grouped(counts.wrong)}</td>
            <td class="right">{fraction}</td>
            <td class="right">{measured}</td>
        </tr>
    }
}

/// `80 % (49 % to 94 %)`
fn fraction(score: &RuleScore) -> String {
    let percent = |fraction: f64| format!("{:.0}{THIN}%", 100.0 * fraction);
    match score.fraction.zip(score.interval) {
        Some((fraction, [low, high])) => format!("{} ({} to {})", percent(fraction), percent(low), percent(high)),
        None => "not judged".to_owned(),
    }
}

/// `2 of 120 healthy runs`
fn measured(score: &RuleScore) -> String {
    match score.measured {
        Some(measured) => format!("{} of {} healthy runs", measured.false_alarms, measured.healthy_runs),
        None => "not measured".to_owned(),
    }
}

#[component]
fn Authors(scores: Vec<AuthorScore>) -> impl IntoView {
    if scores.is_empty() {
        return view! { <p class="dim">"No experiment of this project has a verdict."</p> }.into_any();
    }
    let lines = scores.into_iter().map(|score| view! { <Score score /> }).collect_view();
    view! { <ul class="list" aria-label="Authors of experiments">{lines}</ul> }.into_any()
}

#[cfg(test)]
mod tests {
    use wire::diagnosis::{Calibration, FindingCounts};

    use super::*;

    #[test]
    fn scores_are_phrases() {
        let counts =
            FindingCounts { rule: "plateau".into(), label: "Plateau".into(), findings: 12, correct: 8, wrong: 2 };
        let score = RuleScore {
            counts,
            fraction: Some(0.8),
            interval: Some([0.49, 0.943]),
            measured: Some(Calibration { healthy_runs: 120, false_alarms: 2 }),
        };
        assert_eq!(fraction(&score).replace(THIN, " "), "80 % (49 % to 94 %)");
        assert_eq!(measured(&score), "2 of 120 healthy runs");
        let unknown = RuleScore { fraction: None, interval: None, measured: None, ..score };
        assert_eq!((fraction(&unknown).as_str(), measured(&unknown).as_str()), ("not judged", "not measured"));
    }
}
