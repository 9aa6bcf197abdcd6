//! The fields of an agent's limits.

use std::collections::BTreeSet;

use leptos::prelude::*;
use wire::RunId;
use wire::access::agent::{AgentBudgets, AgentCommand, AgentLimits, AgentMode};
use wire::hyperparameters::table::Values;

use crate::components::{NumberField, TypedNumber};
use crate::pages::settings::personal_tokens::ProjectBoxes;
use crate::projects::Projects;

const MAX_HOURS: f64 = 10_000_000.0;
const MAX_STEPS: u64 = 1_000_000_000_000;
const MAX_RUNS: u64 = 1_000_000;

/// Limits that are being typed; an empty field is no limit.
#[derive(Clone, Copy)]
pub(super) struct TypedLimits {
    pub(super) mode: RwSignal<AgentMode>,
    hours: TypedNumber,
    steps: TypedNumber,
    at_once: TypedNumber,
    per_day: TypedNumber,
    projects: RwSignal<BTreeSet<String>>,
    /// Ids of runs, separated by spaces or commas.
    runs: RwSignal<String>,
    /// Whether only the selected commands are permitted.
    is_listed: RwSignal<bool>,
    commands: RwSignal<BTreeSet<AgentCommand>>,
}

impl TypedLimits {
    pub(super) fn new(limits: &AgentLimits) -> Self {
        let AgentLimits { mode, projects, runs, commands, budgets } = limits;
        let whole = |most| TypedNumber::optional(Values::Integer { min: 0, max: most });
        let names = |runs: &Vec<RunId>| runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let typed = Self {
            mode: RwSignal::new(*mode),
            hours: TypedNumber::optional(Values::Number { min: 0.0, max: MAX_HOURS }),
            steps: whole(MAX_STEPS),
            at_once: whole(MAX_RUNS),
            per_day: whole(MAX_RUNS),
            projects: RwSignal::new(projects.iter().flatten().cloned().collect()),
            runs: RwSignal::new(runs.as_ref().map(names).unwrap_or_default()),
            is_listed: RwSignal::new(commands.is_some()),
            commands: RwSignal::new(commands.iter().flatten().copied().collect()),
        };
        let AgentBudgets { device_hours, steps, runs_at_once, trials_per_day } = budgets;
        let text = |value: Option<String>| value.unwrap_or_default();
        typed.hours.set(text(device_hours.map(|value| value.to_string())));
        typed.steps.set(text(steps.map(|value| value.to_string())));
        typed.at_once.set(text(runs_at_once.map(|value| value.to_string())));
        typed.per_day.set(text(trials_per_day.map(|value| value.to_string())));
        typed
    }

    pub(super) fn is_readable(self) -> bool {
        let numbers = [self.hours, self.steps, self.at_once, self.per_day];
        numbers.into_iter().all(TypedNumber::is_readable) && self.run_ids().is_ok()
    }

    /// The ids of the runs; the text that is none.
    fn run_ids(self) -> Result<Vec<RunId>, String> {
        let text = self.runs.read();
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.map(|word| word.parse().map_err(|_| word.to_owned())).collect()
    }

    pub(super) fn limits(self) -> AgentLimits {
        let projects: Vec<String> = self.projects.get().into_iter().collect();
        let runs = self.run_ids().unwrap_or_default();
        AgentLimits {
            mode: self.mode.get(),
            projects: (!projects.is_empty()).then_some(projects),
            runs: (!runs.is_empty()).then_some(runs),
            commands: self.is_listed.get().then(|| self.commands.get().into_iter().collect()),
            budgets: AgentBudgets {
                device_hours: self.hours.number(),
                steps: self.steps.integer(),
                runs_at_once: self.at_once.small_integer(),
                trials_per_day: self.per_day.small_integer(),
            },
        }
    }
}

/// What a mode permits, as a sentence.
fn about(mode: AgentMode) -> &'static str {
    match mode {
        AgentMode::Read => "It reads runs, curves and journals, and changes nothing.",
        AgentMode::Propose => "Each action waits until a person approves it.",
        AgentMode::Act => "It acts by itself, within its scopes and budgets.",
    }
}

#[component]
pub(super) fn LimitFields(limits: TypedLimits) -> impl IntoView {
    let projects = expect_context::<Projects>();
    let mode = limits.mode;
    let wrong_run = move || limits.run_ids().err().map(|word| format!("{word:?} is not the id of a run."));
    view! {
        <div class="tabs" role="group" aria-label="Mode of the agent">
            {AgentMode::ALL.map(|of| view! {
                <button
                    type="button"
                    class="tab"
                    title=about(of)
                    aria-pressed=move || (mode.get() == of).to_string()
                    on:click=move |_| mode.set(of)
                >
                    {of.label()}
                </button>
            })}
        </div>
        <p class="small dim">{move || about(mode.get())}</p>
        <div class="project-fields">
            <label class="field" title="Training time of its runs on devices. Its runs are paused when it is used up. Empty: no limit">
                <span class="label">"Device time"<span class="unit">", hours"</span></span>
                <NumberField number=limits.hours placeholder="no limit" />
            </label>
            <label class="field" title="Steps that its runs train. A run starts only if its steps are left. Empty: no limit">
                <span class="label">"Steps"</span>
                <NumberField number=limits.steps placeholder="no limit" />
            </label>
            <label class="field" title="Its runs that are queued or on a device at the same time. Empty: no limit">
                <span class="label">"Runs at once"</span>
                <NumberField number=limits.at_once placeholder="no limit" />
            </label>
            <label
                class="field"
                title="Runs that it creates in 24 hours, those of its sweeps, experiments and research loops included. Empty: no limit"
            >
                <span class="label">"Runs in 24 hours"</span>
                <NumberField number=limits.per_day placeholder="no limit" />
            </label>
        </div>
        <Show when=move || projects.are_several()><ProjectBoxes limited_to=limits.projects /></Show>
        <details>
            <summary title="Limit the agent to some runs and commands">"Only some runs or commands"</summary>
            <div class="stack">
                <label class="field" title="Ids of the runs that it may change, besides those that it has started. Empty: all runs">
                    <span class="label">"May change these runs"</span>
                    <input
                        type="text"
                        class="mono"
                        autocomplete="off"
                        placeholder="all runs; or ids such as amber-fox-7k2q"
                        prop:value=limits.runs
                        on:input:target=move |event| limits.runs.set(event.target().value())
                    />
                    <span class="field-error" role="alert">{wrong_run}</span>
                </label>
                <label class="check" title="Permit only the commands that are selected below">
                    <input
                        type="checkbox"
                        prop:checked=limits.is_listed
                        on:change:target=move |event| limits.is_listed.set(event.target().checked())
                    />
                    "Only selected commands"
                </label>
                <Show when=move || limits.is_listed.get()><CommandBoxes commands=limits.commands /></Show>
            </div>
        </details>
    }
}

#[component]
fn CommandBoxes(commands: RwSignal<BTreeSet<AgentCommand>>) -> impl IntoView {
    view! {
        <fieldset class="project-roles">
            <legend class="small">"Commands"</legend>
            {AgentCommand::ALL.into_iter().map(|command| view! {
                <label class="check" title=format!("Whether the agent may use {}", words(command))>
                    <input
                        type="checkbox"
                        prop:checked=move || commands.read().contains(&command)
                        on:change:target=move |event| commands.update(|chosen| match event.target().checked() {
                            true => drop(chosen.insert(command)),
                            false => drop(chosen.remove(&command)),
                        })
                    />
                    {words(command)}
                </label>
            }).collect_view()}
        </fieldset>
    }
}

/// `set hyperparameter`
pub(super) fn words(command: AgentCommand) -> String {
    command.word().replace('_', " ")
}
