//! The form of a new research loop: the recipe, the hyperparameters that may change with their ranges, and the budget. Other hyperparameters
//! and settings need a goal file, for `kindling research`, or a request to the API.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::corpus::CorpusInfo;
use wire::hyperparameters::table::{self, Values};
use wire::research_loop::check::TITLE_CHARS;
use wire::research_loop::{LoopBudget, LoopGoal};
use wire::run::plan::MAX_STEPS;
use wire::run::preset;
use wire::sweep::space::Parameter;
use wire::{PlanError, RunSpec};

use crate::base::at;
use crate::components::number::small;
use crate::components::{
    Edits, Empty, Failure, LabeledNumber, NumberField, ProjectField, Select, SubmitRow, TypedNumber, dataset_entries,
    says, shows,
};
use crate::net::api::{ApiFailure, datasets, research_loops};
use crate::projects::Projects;
use crate::route::Router;
use crate::session::Session;

const STEPS: Values = Values::Integer { min: 1, max: MAX_STEPS };
const MINUTES: Values = Values::Number { min: 0.01, max: 1e6 };
const ANY: Values = Values::Number { min: -1e12, max: 1e12 };

/// How the range of a hyperparameter follows from its value in the preset.
#[derive(Clone, Copy, PartialEq)]
enum Range {
    /// Uniform in the logarithm, from the value divided by this factor to the value times it.
    Log(f64),
    /// Uniform between two numbers.
    Between(f64, f64),
}

/// The hyperparameters of the form, with their ranges and whether they are chosen by default.
const OFFERED: [(&str, Range, bool); 6] = [
    ("optimizer.learning_rate", Range::Log(10.0), true),
    ("optimizer.weight_decay", Range::Between(0.0, 0.3), true),
    ("optimizer.beta2", Range::Between(0.9, 0.999), true),
    ("schedule.final_fraction", Range::Between(0.0, 0.5), false),
    ("model.dropout", Range::Between(0.0, 0.3), false),
    ("batch.size", Range::Log(4.0), false),
];

/// A hyperparameter that can be chosen.
#[derive(Clone, Copy)]
struct Offered {
    path: &'static str,
    is_log: bool,
    is_chosen: RwSignal<bool>,
    low: TypedNumber,
    high: TypedNumber,
}

impl Offered {
    fn parameter(self) -> Option<Parameter> {
        let (low, high) = (self.low.number()?, self.high.number()?);
        let is_integer = matches!(table::find(self.path).map(|row| row.values), Some(Values::Integer { .. }));
        Some(match (is_integer, self.is_log) {
            (true, _) => Parameter { log_int: Some([low as u64, high as u64]), ..Parameter::default() },
            (false, true) => Parameter { log: Some([low, high]), ..Parameter::default() },
            (false, false) => Parameter { float: Some([low, high]), ..Parameter::default() },
        })
    }
}

/// The form.
#[derive(Clone, Copy)]
struct Draft {
    title: RwSignal<String>,
    project: RwSignal<Option<String>>,
    preset: RwSignal<String>,
    corpus: RwSignal<String>,
    steps: TypedNumber,
    minutes: TypedNumber,
    offered: StoredValue<Vec<Offered>>,
    datasets: RwSignal<Vec<CorpusInfo>>,
    projects: Projects,
}

impl Draft {
    fn open() -> Self {
        let offered = |(path, range, is_chosen): (&'static str, Range, bool)| Offered {
            path,
            is_log: matches!(range, Range::Log(_)),
            is_chosen: RwSignal::new(is_chosen),
            low: TypedNumber::new(ANY, ""),
            high: TypedNumber::new(ANY, ""),
        };
        let draft = Self {
            title: RwSignal::default(),
            project: RwSignal::new(None),
            preset: RwSignal::new("tiny".to_owned()),
            corpus: RwSignal::new("tales".to_owned()),
            steps: TypedNumber::optional(STEPS),
            minutes: TypedNumber::new(MINUTES, "30"),
            offered: StoredValue::new(OFFERED.map(offered).to_vec()),
            datasets: RwSignal::default(),
            projects: expect_context(),
        };
        draft.take_ranges("tiny");
        spawn_local(async move {
            // Without the list, the dataset is the built-in one.
            if let Ok(found) = datasets::list().await {
                draft.datasets.try_set(found);
            }
        });
        draft
    }

    /// Sets the ranges around the values of a preset.
    fn take_ranges(self, name: &str) {
        let recipe = preset::find(name, None).ok().and_then(|preset| serde_json::to_value(preset.recipe).ok());
        let value_of = |path: &str| {
            let value: Option<f64> = recipe.as_ref()?.pointer(&format!("/{}", path.replace('.', "/")))?.as_f64();
            value.filter(|value| *value > 0.0)
        };
        for (row, (path, range, _)) in self.offered.get_value().into_iter().zip(OFFERED) {
            let (low, high) = match (range, value_of(path)) {
                (Range::Between(low, high), _) => (low, high),
                (Range::Log(factor), Some(value)) => (value / factor, value * factor),
                (Range::Log(_), None) => continue,
            };
            let is_integer = matches!(table::find(path).map(|row| row.values), Some(Values::Integer { .. }));
            let text =
                |value: f64| if is_integer { value.max(1.0).round().to_string() } else { rounded(value).to_string() };
            row.low.set(text(low));
            row.high.set(text(high));
        }
    }

    /// The goal, if it is valid.
    fn checked(self) -> Result<LoopGoal, PlanError> {
        for (label, path, number) in
            [("Steps", "base.steps", self.steps), ("Budget (device minutes)", "budget", self.minutes)]
        {
            if let Some(problem) = number.problem() {
                return Err(PlanError::new(path, format!("{label}: {problem}")));
            }
        }
        let mut parameters = BTreeMap::new();
        for row in self.offered.get_value().into_iter().filter(|row| row.is_chosen.get()) {
            let Some(parameter) = row.parameter() else {
                let field = format!("parameters.{}", row.path);
                return Err(PlanError::new(&field, format!("{} needs a range of two numbers", row.path)));
            };
            parameters.insert(row.path.to_owned(), parameter);
        }
        if parameters.is_empty() {
            return Err(PlanError::new("parameters", "no hyperparameter is chosen").hint("choose at least one"));
        }
        let (preset, corpus) = (Some(self.preset.get()), self.corpus.read().parse().ok());
        let goal = LoopGoal {
            title: self.title.read().trim().to_owned(),
            project: self.project.get().or_else(|| self.projects.of_new_run()),
            base: RunSpec { preset, corpus, steps: self.steps.integer(), ..RunSpec::default() },
            parameters,
            budget: LoopBudget { device_hours: self.minutes.number().unwrap_or(f64::NAN) / 60.0 },
            ..LoopGoal::default()
        };
        goal.check()?;
        Ok(goal)
    }

    /// The numbers, with their paths in errors.
    fn numbers(self) -> Vec<(&'static str, TypedNumber)> {
        let ranges = self.offered.get_value().into_iter().flat_map(|row| [row.low, row.high]);
        let ranges = ranges.map(|number| ("parameters", number));
        ranges.chain([("base.steps", self.steps), ("budget", self.minutes)]).collect()
    }
}

/// A number with three significant digits, as a person would type it.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[component]
pub(in crate::pages) fn NewLoopPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let content = move || match session.can_steer() {
        true => view! { <Form /> }.into_any(),
        false => view! {
            <Empty
                title="You can view research loops but not start them"
                text="A research loop starts runs. Ask an admin of the lab for the role steer."
            />
        }
        .into_any(),
    };
    view! {
        <main class="page experiment stack roomy">
            <h1>"New research loop"</h1>
            <p class="dim">
                "A research loop lowers the validation loss in rounds. Each round tries values of one hyperparameter in short trials (screening), \
                 compares the best value with the current recipe in pairs of full-length runs (test), and keeps it if it helps by more than noise."
            </p>
            {shows(content)}
        </main>
    }
}

#[component]
fn Form() -> impl IntoView {
    let router = expect_context::<Router>();
    let draft = Draft::open();
    let (failure, is_sending) = (RwSignal::new(None::<ApiFailure>), RwSignal::new(false));
    let outcome = Memo::new(move |_| draft.checked());
    let edits = Edits::new();
    edits.follow(draft.numbers());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok(goal) = outcome.get_untracked() else {
            edits.send();
            return draft.numbers().into_iter().for_each(|(_, number)| number.touch());
        };
        is_sending.set(true);
        failure.set(None);
        spawn_local(async move {
            match research_loops::create(&goal).await {
                Ok(view) => router.go(&at(&format!("/research/{}", view.summary.id))),
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_sending.try_set(false);
        });
    };
    // A refusal applies only to the values that were sent.
    Effect::new(move || {
        outcome.track();
        failure.set(None);
    });
    let datasets = Memo::new(move |_| dataset_entries(&draft.datasets.read(), draft.corpus.get()));
    let presets: Vec<(String, String)> =
        preset::presets().into_iter().map(|preset| (preset.name.clone(), preset.name)).collect();
    let steps = says(move || {
        let found = preset::find(&draft.preset.read(), None).ok();
        found.map(|preset| preset.steps.to_string()).unwrap_or_default()
    });
    let choose_preset = move |name: String| {
        draft.take_ranges(&name);
        draft.preset.set(name);
    };
    let choose_project = move |chosen: Option<String>| draft.project.set(chosen);
    let type_title = move |typed: String| {
        draft.title.set(typed);
        edits.edit("title");
    };
    view! {
        <form class="stack roomy" on:submit=submit>
            <section class="stack part">
                <label class="field" title="Name of the loop; its sweeps, experiments and runs are named after it">
                    <span class="label">"Title"</span>
                    <input
                        type="text"
                        maxlength=TITLE_CHARS.to_string()
                        prop:value=draft.title
                        on:input:target=move |event| type_title(event.target().value())
                    />
                </label>
                <ProjectField
                    project=Signal::derive(move || draft.project.get().or_else(|| draft.projects.of_new_run()))
                    meaning="Project of the loop and of its runs"
                    choose=choose_project
                />
            </section>
            <section class="stack part">
                <h2>"Recipe to improve"</h2>
                <div class="fields">
                    <label class="field" title="Model and default hyperparameters">
                        <span class="label">"Preset"</span>
                        <Select entries=Signal::stored(presets) chosen=draft.preset choose=choose_preset />
                    </label>
                    <label class="field" title="Dataset to train on, whose validation loss the loop lowers">
                        <span class="label">"Dataset"</span>
                        <Select entries=datasets chosen=draft.corpus choose=move |value| draft.corpus.set(value) />
                    </label>
                    <LabeledNumber
                        label="Steps"
                        meaning="Optimizer steps of a full-length run; a screening trial has a quarter of them"
                        number=draft.steps
                        placeholder=steps
                    />
                    <LabeledNumber
                        label="Budget (device minutes)"
                        meaning="Maximum training time of all runs together, without the confirmation: the final comparison of the best recipe with the default"
                        number=draft.minutes
                    />
                </div>
            </section>
            <section class="stack part">
                <h2>"Hyperparameters that may change"</h2>
                {draft.offered.get_value().into_iter().map(|row| view! { <OfferedRow row edits /> }).collect_view()}
                <p class="small dim">
                    "To change other hyperparameters, the decision rule or the screening, write a file and run kindling research GOAL.toml."
                </p>
            </section>
            {shows(move || failure.get().map(|failure| {
                let what = failure.body.field.as_ref().map_or_else(
                    || "The research loop was not started".to_owned(),
                    |field| format!("The research loop was not started: {field}"),
                );
                view! { <Failure what failure /> }
            }))}
            <SubmitRow
                word="Start research loop"
                meaning="The first round trains the preset with several seeds to measure the noise floor"
                effect=Memo::new(move |_| outcome.read().as_ref().map(cost).map_err(Clone::clone))
                edits
                is_sending
            />
        </form>
    }
}

/// What the loop may cost, in a sentence.
fn cost(goal: &LoopGoal) -> String {
    format!(
        "At most {} min of device time. If a change is kept, {} more pairs of full-length runs confirm it.",
        small(goal.budget.device_hours * 60.0),
        goal.rule.confirmation_pairs
    )
}

#[component]
fn OfferedRow(row: Offered, edits: Edits) -> impl IntoView {
    let (label, meaning) = table::find(row.path).map_or((row.path, ""), |found| (found.label, found.meaning));
    let scale = if row.is_log { "logarithmic scale" } else { "linear scale" };
    view! {
        <div class="row">
            <label title=meaning>
                <input
                    type="checkbox"
                    prop:checked=row.is_chosen
                    on:change:target=move |event| {
                        row.is_chosen.set(event.target().checked());
                        edits.edit("parameters");
                    }
                />
                " "{label}
            </label>
            {shows(move || row.is_chosen.get().then(|| view! {
                <span class="row">
                    <label title="Smallest value">"from "<NumberField number=row.low /></label>
                    <label title="Largest value">"to "<NumberField number=row.high /></label>
                    <span class="small dim">{scale}</span>
                </span>
            }))}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_ranges_have_three_digits() {
        for (value, expected) in [(0.000_1, 1e-4), (0.012_345, 0.0123), (2.0, 2.0)] {
            assert_eq!(rounded(value), expected);
        }
        assert!(OFFERED.iter().all(|(path, ..)| table::find(path).is_some()));
    }
}
