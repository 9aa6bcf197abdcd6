//! The fields of the rule that stops trials early.

use leptos::prelude::*;
use research::stopping::settings::RuleKind;

use super::draft::Draft;
use super::thresholds::Thresholds;
use super::{FieldError, Typed};
use crate::components::shows;
use crate::pages::sweeps::words::rule_meaning;

#[component]
pub(super) fn StoppingFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    view! {
        <section class="stack part" aria-label="Early stopping">
            <h2>"Early stopping"</h2>
            <RuleFields typed=draft.thresholds />
            <FieldError field="stopping" />
            <label class="check" title="An alert of a rule, such as a diverged loss, stops the trial in which it was found. Default: on.">
                <input
                    type="checkbox"
                    prop:checked=draft.stop_on_alerts
                    on:change:target=move |event| draft.stop_on_alerts.set(event.target().checked())
                />
                "Stop a trial when a rule raises an alert"
            </label>
        </section>
    }
}

/// The rule and its thresholds.
#[component]
pub(in crate::pages::sweeps) fn RuleFields(typed: Thresholds) -> impl IntoView {
    let rule = typed.rule;
    let choose = move |word: String| rule.set(RuleKind::ALL.into_iter().find(|kind| kind.word() == word));
    view! {
        <div class="fields">
            <label class="field" title="The rule that stops trials before their last step. A stopped trial can be resumed.">
                <span class="label">"Rule"</span>
                <select on:change:target=move |event| choose(event.target().value())>
                    <option value="none" selected=move || rule.get().is_none()>"None"</option>
                    {RuleKind::ALL.map(|one| view! {
                        <option value=one.word() selected=move || rule.get() == Some(one)>{one.label()}</option>
                    }).collect_view()}
                </select>
            </label>
            {shows(move || thresholds(typed))}
        </div>
        <p class="small dim">{move || rule_meaning(rule.get())}</p>
    }
}

/// The fields of the chosen rule.
fn thresholds(of: Thresholds) -> AnyView {
    match of.rule.get() {
        None => ().into_any(),
        Some(RuleKind::Median) => view! {
            <Typed label="Percentile" meaning="Of the other trials, 1 to 99; 50 is the median. A smaller one stops more trials." number=of.percentile placeholder="50" />
            <Typed label="Fewest other trials" meaning="Other trials that have reached the step; with fewer, none is stopped" number=of.min_trials placeholder="3" />
            <Typed label="From, fraction of the steps" meaning="No trial is stopped before" number=of.from placeholder="0.2" />
            <Typed label="Until, fraction of the steps" meaning="No trial is stopped after" number=of.until placeholder="0.9" />
            <Typed label="Best trials that are kept" meaning="This many trials, the best ones at a step, are never stopped" number=of.protect placeholder="3" />
        }
        .into_any(),
        Some(RuleKind::Asha) => view! {
            <Typed label="eta" meaning="Each rung has eta times the steps of the one below, and keeps the best 1 / eta; 2 to 10" number=of.eta placeholder="4" />
            <Typed label="First rung, fraction of the steps" meaning="1e-4 to 0.5" number=of.min_fraction placeholder="0.01" />
        }
        .into_any(),
        Some(RuleKind::Hyperband) => view! {
            <Typed label="eta" meaning="Each rung has eta times the steps of the one below; 2 to 10" number=of.hyperband_eta placeholder="3" />
            <Typed label="Brackets" meaning="Number of ASHA, 2 to 8; the last stops no trial" number=of.brackets placeholder="4" />
        }
        .into_any(),
    }
}
