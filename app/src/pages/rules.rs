//! The Rules page: each rule that checks runs, with its meaning, formula, thresholds, source and false alarms, and a typical case from a
//! real run ([`cases`]). The part of the address after `#` is the id of a rule, which is then brought into view.

mod cases;

use figure::number::short;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::diagnosis::{Level, RuleInfo};
use wire::number::grouped;
use wire::series::{describe, name};

use crate::components::{Failure, Skeleton, shows};
use crate::net::api::{ApiFailure, diagnosis};
use cases::{CasePicture, case_of};

#[component]
pub(crate) fn RulesPage() -> impl IntoView {
    let rules = RwSignal::new(None::<Result<Vec<RuleInfo>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = diagnosis::rules().await;
            rules.try_set(Some(found));
            request_animation_frame(show_named);
        });
    };
    fetch();
    let content = move || match rules.get() {
        None => view! { <Skeleton rows=5 class="tall" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The rules could not be listed" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(rules)) => view! { <RuleList rules /> }.into_any(),
    };
    view! {
        <main class="page rules-page stack">
            <h1>"Rules"</h1>
            <p class="dim prose">
                "These rules check every run while it trains. A rule reads metrics of the run and computes a value by its formula. When \
                 the value passes a threshold, the rule reports a finding. A finding is a note, which is worth knowing, or an alert, which \
                 needs action: the run is failing, its result is wrong, or it wastes much of its training. The page of a run shows its \
                 findings. There you can mute a rule, change its thresholds, and allow it to pause, roll back or stop the run."
            </p>
            {shows(content)}
        </main>
    }
}

/// The list of names, and all rules.
#[component]
fn RuleList(rules: Vec<RuleInfo>) -> impl IntoView {
    let names = rules.iter().map(|rule| {
        view! { <li><a href=format!("#{}", rule.id) title=rule.meaning.clone()>{rule.label.clone()}</a></li> }
    });
    let names = names.collect_view();
    view! {
        <nav class="rule-names" aria-label="Rules"><ul>{names}</ul></nav>
        {rules.into_iter().map(|rule| view! { <RuleSection rule /> }).collect_view()}
    }
}

#[component]
fn RuleSection(rule: RuleInfo) -> impl IntoView {
    let case = case_of(&rule.id).map(|case| view! { <CasePicture case /> });
    let (level, false_alarms) = (level_phrase(&rule), false_alarms(&rule));
    let signals = rule.signals.iter().map(|series| signal_label(series)).collect::<Vec<_>>().join(", ");
    let begins = match rule.min_steps {
        0 => "From the first step on.".to_owned(),
        steps => format!("From step {} on.", grouped(steps)),
    };
    let remedies = (!rule.remedies.is_empty()).then(|| rule.remedies.join("; "));
    let thresholds = view! { <Thresholds rule=rule.clone() /> };
    let RuleInfo { id, label, meaning, reason, formula, source, .. } = rule;
    let (anchor, name) = (id.clone(), label.clone());
    view! {
        <section class="sheet rule" id=anchor aria-label=name>
            <div class="stack">
                <h2>{label}</h2>
                <p>{meaning}</p>
                <p>{reason}</p>
                <dl class="rule-facts">
                    <Fact label="Formula" meaning="The value and the condition for a finding"><code>{formula}</code></Fact>
                    <Fact label="Metrics" meaning="The metrics that the rule reads, and the first step at which it can report a finding">
                        {signals}". "{begins}
                    </Fact>
                    <Fact label="Level" meaning="The level of its findings">{level}</Fact>
                    <Fact label="False alarms" meaning="How often the rule reports a finding on a run without a fault">{false_alarms}</Fact>
                    {remedies.map(|remedies| view! {
                        <Fact label="Remedies" meaning="What the page of a run suggests for a finding">{remedies}</Fact>
                    })}
                    <Fact label="Source" meaning="Where the formula and the default thresholds come from">{source}</Fact>
                    <Fact label="Id" meaning="The name of the rule in the API and the journal"><code>{id}</code></Fact>
                </dl>
            </div>
            {case}
            {thresholds}
        </section>
    }
}

#[component]
fn Fact(label: &'static str, meaning: &'static str, children: Children) -> impl IntoView {
    view! { <div><dt title=meaning>{label}</dt><dd>{children()}</dd></div> }
}

/// The name of a metric in a sentence; one that ends in `/` stands for all series below it.
fn signal_label(series: &str) -> String {
    match series {
        name::TRAIN => "training loss".into(),
        name::VALID => "validation loss".into(),
        name::VALID_OF => "validation loss of each dataset".into(),
        name::UPDATE_RATIO => "update-to-weight ratio of each matrix".into(),
        name::GRADIENT_RMS => "gradient RMS of each matrix".into(),
        name::WEIGHT_RMS => "weight RMS of each matrix".into(),
        name::EPOCHS => "epochs of each dataset".into(),
        name::STEP_MS => "step time".into(),
        _ => describe(series).label.trim_end_matches(", ").to_owned(),
    }
}

/// The thresholds with their limits.
#[component]
fn Thresholds(rule: RuleInfo) -> impl IntoView {
    let label = format!("Thresholds of {}", rule.label);
    let rows = rule.thresholds.iter().map(|threshold| {
        view! {
            <tr>
                <th scope="row"><code>{threshold.key.clone()}</code></th>
                <td>{threshold.meaning.clone()}</td>
                <td class="right mono">{short(threshold.default)}</td>
                <td class="right mono">{short(threshold.min)}" to "{short(threshold.max)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    (!rule.thresholds.is_empty()).then(|| {
        view! {
            <div class="scroll" role="region" tabindex="0" aria-label=label>
                <table>
                    <thead>
                        <tr>
                            <th scope="col" title="Its name in the API; the page of a run has a field for each">"Threshold"</th>
                            <th scope="col" title="The value that the rule compares with the threshold">"Value compared"</th>
                            <th scope="col" class="right" title="Used unless a run sets another value">"Default"</th>
                            <th scope="col" class="right" title="The values that a run can set">"Range"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    })
}

/// What makes a note and what an alert, and at which of them the rule may act.
fn level_phrase(rule: &RuleInfo) -> String {
    let level = if rule.level == Level::Alert { "an alert" } else { "a note" };
    format!("{} If a run allows the rule to act, it acts at {level}.", rule.levels)
}

/// How often the rule was wrong, in a sentence.
fn false_alarms(rule: &RuleInfo) -> String {
    match rule.calibration {
        Some(measured) => format!(
            "With the default thresholds, it reported a finding in {} of {} runs without a fault. None of these runs was used to choose the \
             thresholds.",
            measured.false_alarms, measured.healthy_runs
        ),
        None => "Not measured yet.".into(),
    }
}

/// Brings the rule that the address names into view: the browser has done so before the rules were there.
fn show_named() {
    let named = window().location().hash().unwrap_or_default();
    if let Some(section) = document().get_element_by_id(named.trim_start_matches('#')) {
        section.scroll_into_view();
    }
}

#[cfg(test)]
mod tests {
    use research::rules::RULES;

    use super::*;

    #[test]
    fn metrics_are_named_in_words() {
        for series in RULES.iter().flat_map(|rule| rule.signals) {
            let label = signal_label(series);
            assert!(!label.is_empty() && !label.contains(['_', '/', '.']), "{series}: {label}");
        }
    }
}
