//! The Rules page: each rule that checks runs, with its meaning, formula, thresholds, source and false alarms, and a typical case from a
//! real run ([`cases`]). The part of the address after `#` is the id of a rule, which is then brought into view.

mod cases;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::diagnosis::{Level, RuleInfo};
use wire::number::grouped;
use wire::series::describe;

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
                "Every run is checked by these rules as it trains. A rule reads metrics of the run, computes a value by its formula, and \
                 reports a finding when the value passes a threshold: a note is worth knowing, an alert means that the run is failing \
                 or its result is wrong. On the page of a run, rules can be muted and tuned, and allowed to pause, roll back or stop the run."
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
    let (level, false_alarms) = (level_phrase(rule.level), false_alarms(&rule));
    let signals =
        rule.signals.iter().map(|series| describe(series.trim_end_matches('/')).label).collect::<Vec<_>>().join(", ");
    let begins = match rule.min_steps {
        0 => "from the first step on".to_owned(),
        steps => format!("from step {} on", grouped(steps)),
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
                    <Fact label="Formula"><code>{formula}</code></Fact>
                    <Fact label="Reads">{signals}", "{begins}</Fact>
                    <Fact label="Findings">{level}</Fact>
                    <Fact label="False alarms">{false_alarms}</Fact>
                    {remedies.map(|remedies| view! { <Fact label="Remedies">{remedies}</Fact> })}
                    <Fact label="Source">{source}</Fact>
                    <Fact label="Id"><code>{id}</code></Fact>
                </dl>
            </div>
            {case}
            {thresholds}
        </section>
    }
}

#[component]
fn Fact(label: &'static str, children: Children) -> impl IntoView {
    view! { <div><dt>{label}</dt><dd>{children()}</dd></div> }
}

/// The thresholds with their limits.
#[component]
fn Thresholds(rule: RuleInfo) -> impl IntoView {
    let rows = rule.thresholds.iter().map(|threshold| {
        view! {
            <tr>
                <th scope="row"><code>{threshold.key.clone()}</code></th>
                <td>{threshold.meaning.clone()}</td>
                <td class="right mono">{threshold.default}</td>
                <td class="right mono">{threshold.min}" to "{threshold.max}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    (!rule.thresholds.is_empty()).then(|| {
        view! {
            <div class="scroll" role="region" tabindex="0" aria-label="Thresholds">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Threshold"</th>
                            <th scope="col">"Compared with it"</th>
                            <th scope="col" class="right">"Default"</th>
                            <th scope="col" class="right">"Can be set to"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    })
}

fn level_phrase(level: Level) -> &'static str {
    match level {
        Level::Alert => "notes and alerts, or alerts only; a rule that may act does so at an alert",
        Level::Note => "notes only; a rule that may act does so at a note",
    }
}

/// How often the rule was wrong, in a sentence.
fn false_alarms(rule: &RuleInfo) -> String {
    match rule.calibration {
        Some(measured) => format!(
            "{} of {} runs without a fault, with the default thresholds; none of these runs was used to choose them",
            measured.false_alarms, measured.healthy_runs
        ),
        None => "not measured yet".into(),
    }
}

/// Brings the rule that the address names into view: the browser has done so before the rules were there.
fn show_named() {
    let named = window().location().hash().unwrap_or_default();
    if let Some(section) = document().get_element_by_id(named.trim_start_matches('#')) {
        section.scroll_into_view();
    }
}
