//! The form of a new condition on a metric.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::{NewCondition, Side};
use wire::hyperparameters::table::Values;

use super::Conditions;
use crate::components::{Failure, NumberField, ProjectField, TypedNumber, clicks, shows};
use crate::net::api::{self, ApiFailure};
use crate::projects::Projects;
use crate::session::Session;

/// Values of a threshold.
const THRESHOLDS: Values = Values::Number { min: -1e15, max: 1e15 };
/// Name of the list of series, which one form shows at a time.
const OFFERED: &str = "alert-condition-series";

#[component]
pub(super) fn ConditionForm(conditions: Conditions, offered: Signal<Vec<String>>) -> impl IntoView {
    let (session, projects) = (expect_context::<Session>(), expect_context::<Projects>());
    let is_of_run = conditions.run.with_value(Option::is_some);
    let side = RwSignal::new(Side::Below);
    let threshold = TypedNumber::new(THRESHOLDS, "");
    let is_urgent = RwSignal::new(false);
    // Without a role in the lab, a condition holds for one project.
    let may_choose_all = untrack(|| session.can_steer_lab());
    let first = if may_choose_all { None } else { projects.steerable.with_untracked(|names| names.first().cloned()) };
    let project = RwSignal::new(first);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let series = move || conditions.series.get().unwrap_or_default();
    let missing = move || match threshold.number() {
        _ if series().trim().is_empty() => Some("Choose a metric"),
        None => Some("Enter a threshold"),
        Some(_) => None,
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(threshold), None) = (untrack(|| threshold.number()), untrack(missing)) else { return };
        let run = conditions.run.get_value();
        let new = NewCondition {
            project: project.get_untracked().filter(|_| run.is_none()),
            run,
            series: untrack(series).trim().to_owned(),
            side: side.get_untracked(),
            threshold,
            is_urgent: is_urgent.get_untracked(),
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match api::alerts::create_condition(&new).await {
                Ok(_) => {
                    conditions.toasts.say("The condition was added");
                    conditions.series.try_set(None);
                    conditions.fetch();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack condition-form" on:submit=submit>
            <label class="field" title="Name of the time series, such as eval/TASK/METRIC for the score of a task">
                <span class="label">"Metric"</span>
                <input
                    type="text"
                    list=OFFERED
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="eval/TASK/METRIC or loss.valid"
                    prop:value=series
                    on:input:target=move |event| conditions.series.set(Some(event.target().value()))
                />
                <datalist id=OFFERED>
                    {move || offered.get().into_iter().map(|name| view! { <option value=name></option> }).collect_view()}
                </datalist>
            </label>
            <label class="field" title="The side of the threshold on which a value raises an alert">
                <span class="label">"Alert when it is"</span>
                <select on:change:target=move |event| side.set(if event.target().value() == "above" { Side::Above } else { Side::Below })>
                    {[Side::Below, Side::Above].map(|one| view! {
                        <option value=one.word() prop:selected=move || side.get() == one>{one.word()}</option>
                    })}
                </select>
            </label>
            <label class="field" title="The threshold, in the unit of the metric; the threshold itself raises no alert">
                <span class="label">"Threshold"</span>
                <NumberField number=threshold />
            </label>
            {(!is_of_run).then(|| view! {
                <ProjectField
                    project
                    meaning="The condition holds for the runs of this project, later ones included."
                    all=may_choose_all.then_some("all projects")
                    choose=move |chosen| project.set(chosen)
                />
            })}
            <label class="row" title="Send its alerts also to channels for urgent alerts only, and at once where a channel sends urgent alerts at once">
                <input type="checkbox" prop:checked=is_urgent on:change:target=move |event| is_urgent.set(event.target().checked()) />
                "Its alerts are urgent"
            </label>
            <div class="row">
                <button
                    class="primary"
                    type="submit"
                    title=move || missing().unwrap_or("Raise an alert at the next value beyond the threshold")
                    disabled=move || is_busy.get() || missing().is_some()
                >
                    "Add"
                </button>
                <button
                    type="button"
                    class="quiet"
                    title="Close the form without saving"
                    on:click=clicks(move |_| conditions.series.set(None))
                >
                    "Cancel"
                </button>
            </div>
            {shows(move || failure.get().map(|failure| view! { <Failure what="The condition was not added" failure /> }))}
        </form>
    }
}
