//! The form of a new experiment: hypothesis, baseline, change, prediction, decision rule and budget. The address may name the run of the
//! baseline: `/experiments/new?from=amber-fox-7k2q`.
//!
//! [`draft`] holds what is typed; [`change`] has the fields of the change.

mod change;
mod draft;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::experiment::ExperimentSpec;
use wire::experiment::check::{HYPOTHESIS_CHARS, TITLE_CHARS};

use super::words::{budgeted_time, most_pairs};
use crate::base::at;
use crate::components::number::{counted, grouped};
use crate::components::{Edits, Empty, Failure, LabeledNumber, ProjectField, Select, SubmitRow, says, shows};
use crate::net::api::{ApiFailure, experiments};
use crate::route::Router;
use crate::session::Session;
use change::ChangeFields;
use draft::Draft;
pub(super) use draft::value_of;

#[component]
pub(in crate::pages) fn NewExperimentPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let content = move || match session.can_steer() {
        true => view! { <Form /> }.into_any(),
        false => view! {
            <Empty
                title="You can view experiments but not start them"
                text="An experiment starts runs. Ask an admin of the lab for the role steer."
            />
        }
        .into_any(),
    };
    view! {
        <main class="page experiment stack roomy">
            <h1>"New experiment"</h1>
            {shows(content)}
        </main>
    }
}

#[component]
fn Form() -> impl IntoView {
    let router = expect_context::<Router>();
    let draft = Draft::open(router.query("from"));
    provide_context(draft);
    let (failure, is_sending) = (RwSignal::new(None::<ApiFailure>), RwSignal::new(false));
    let outcome = Memo::new(move |_| draft.checked());
    let edits = Edits::new();
    provide_context(edits);
    edits.follow(draft.numbers().into_iter().map(|(_, path, number)| (path, number)).collect());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok(spec) = outcome.get_untracked() else {
            edits.send();
            return draft.touch_numbers();
        };
        is_sending.set(true);
        failure.set(None);
        spawn_local(async move {
            match experiments::create(&spec).await {
                Ok(view) => router.go(&at(&format!("/experiments/{}", view.summary.id))),
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_sending.try_set(false);
        });
    };
    // A refusal belongs to what was sent.
    Effect::new(move || {
        outcome.track();
        failure.set(None);
    });
    view! {
        <form class="stack roomy" on:submit=submit>
            <Hypothesis />
            <BaselineFields />
            <ChangeFields />
            <PredictionFields />
            <RuleFields />
            <BudgetFields />
            {shows(move || failure.get().map(|failure| {
                let what = failure.body.field.as_ref().map_or_else(
                    || "The experiment was not started".to_owned(),
                    |field| format!("The experiment was not started: {field}"),
                );
                view! { <Failure what failure /> }
            }))}
            <SubmitRow
                word="Start experiment"
                meaning="Fix prediction, rule and budget, and queue the first pair of runs"
                effect=Memo::new(move |_| outcome.read().as_ref().map(cost).map_err(Clone::clone))
                edits
                is_sending
            />
        </form>
    }
}

/// The cost of the runs, at most, in sentences.
fn cost(spec: &ExperimentSpec) -> String {
    let pairs = u64::from(most_pairs(spec));
    format!(
        "At most {} of at most {} steps, and not more than {} of device time. A run that fails is repeated once.",
        counted(2 * pairs, "run"),
        grouped(spec.budget.steps),
        budgeted_time(spec.budget.device_hours)
    )
}

#[component]
fn Hypothesis() -> impl IntoView {
    let (draft, edits) = (expect_context::<Draft>(), expect_context::<Edits>());
    let Draft { title, hypothesis, project, .. } = draft;
    let choose = move |chosen: Option<String>| project.set(chosen);
    let type_title = move |typed: String| {
        title.set(typed);
        edits.edit("title");
    };
    let type_hypothesis = move |typed: String| {
        hypothesis.set(typed);
        edits.edit("hypothesis");
    };
    view! {
        <section class="stack part">
            <label class="field" title="Names the experiment and its runs">
                <span class="label">"Title"</span>
                <input
                    type="text"
                    maxlength=TITLE_CHARS.to_string()
                    prop:value=title
                    on:input:target=move |event| type_title(event.target().value())
                />
            </label>
            <label class="field" title="What you believe and why">
                <span class="label">"Hypothesis"</span>
                <textarea
                    rows="3"
                    maxlength=HYPOTHESIS_CHARS.to_string()
                    prop:value=hypothesis
                    on:input:target=move |event| type_hypothesis(event.target().value())
                ></textarea>
            </label>
            <ProjectField
                project=Signal::derive(move || draft.project_of_runs())
                meaning="The project of the experiment and of its runs"
                all=Some("that of the baseline")
                choose
            />
        </section>
    }
}

#[component]
fn BaselineFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let Draft { baseline, corpus, steps, .. } = draft;
    let entries = Memo::new(move |_| draft.baselines());
    let datasets = Memo::new(move |_| draft.dataset_entries());
    let placeholder = says(move || draft.planned_steps().map(grouped).unwrap_or_default());
    view! {
        <section class="stack part">
            <h2>"Baseline"</h2>
            <div class="fields">
                <label class="field" title="The change is compared with this plan. The seed of a run is not used again.">
                    <span class="label">"Plan"</span>
                    <Select entries chosen=baseline choose=move |value| baseline.set(value) />
                </label>
                {shows(move || draft.has_preset().then(|| view! {
                    <label class="field" title="Dataset of the baseline">
                        <span class="label">"Dataset"</span>
                        <Select entries=datasets chosen=corpus choose=move |value| corpus.set(value) />
                    </label>
                }))}
                <LabeledNumber label="Steps" meaning="Optimizer steps of each run; by default those of the plan" number=steps placeholder />
            </div>
        </section>
    }
}

#[component]
fn PredictionFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let unit = says(move || draft.unit());
    view! {
        <section class="stack part">
            <h2>"Prediction"</h2>
            <p class="small dim">
                "Enter the difference that you expect: metric of the variant minus metric of the baseline, in "{unit}
                " (negative: the variant is lower). The verdict is “confirmed” only for a difference of this sign."
            </p>
            <div class="fields">
                <LabeledNumber label="Predicted difference" meaning="Such as -0.05" number=draft.difference />
                <LabeledNumber
                    label="Probability of confirmation"
                    meaning="How sure you are that the verdict will be “confirmed”, 0 to 1. This forecast is scored."
                    number=draft.probability
                />
            </div>
        </section>
    }
}

#[component]
fn RuleFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    view! {
        <section class="stack part">
            <h2>"Decision rule"</h2>
            <div class="fields">
                <LabeledNumber
                    label="Smallest effect that counts"
                    meaning="If the effect is smaller than this, the verdict is “refuted”, even when the effect is clearly not zero"
                    number=draft.effect
                />
                <LabeledNumber label="Level alpha" meaning="Probability of a wrong verdict that you accept" number=draft.alpha placeholder="0.05" />
                <LabeledNumber label="Minimum pairs" meaning="No verdict before this many pairs; 3 give the first interval" number=draft.min_pairs placeholder="3" />
                <LabeledNumber label="Maximum pairs" meaning="Without a verdict until then, it is inconclusive" number=draft.max_pairs placeholder="10" />
            </div>
        </section>
    }
}

#[component]
fn BudgetFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let steps = says(move || draft.planned_steps().map(grouped).unwrap_or_default());
    let pairs = says(move || draft.most_pairs().to_string());
    view! {
        <section class="stack part">
            <h2>"Budget"</h2>
            <div class="fields">
                <LabeledNumber label="Maximum steps per run" meaning="By default the steps of the baseline" number=draft.budget_steps placeholder=steps />
                <LabeledNumber label="Maximum device hours" meaning="Training time of all runs, failed ones included" number=draft.hours />
                <LabeledNumber label="Maximum pairs (budget)" meaning="By default as many as the rule allows" number=draft.budget_pairs placeholder=pairs />
            </div>
        </section>
    }
}
