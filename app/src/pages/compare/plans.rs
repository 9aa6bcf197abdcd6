//! The plans side by side: the values in which they differ, or all of them.

use std::collections::BTreeMap;

use figure::number;
use leptos::prelude::*;
use serde_json::Value;
use wire::control::command::ScheduleChange;
use wire::data::tokenizer::Tokenizer;
use wire::hyperparameters::table;
use wire::{Command, LivePath, RunView};

use super::Choice;
use super::loss_chart::ComparedRuns;
use crate::components::hyperparameters::{in_plan, written};
use crate::components::{tokenizer_name, visible};
use crate::route::run_path;

/// Field of a plan that says where a fork starts, and the rows that are shown for it.
const ORIGIN: &str = "origin";
const PARENT: &str = "origin.parent";
const CHANGES: &str = "origin.changes";
/// End of the path of a hyperparameter at the current step.
const NOW: &str = " (now)";

/// A plan as paths with values: `optimizer.learning_rate` is `0.001`.
fn flat(plan: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk("", plan, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    // Fields of the recipe are named as in overrides.
    let below = |key: &str| match path {
        "" | "recipe" => key.to_owned(),
        _ => format!("{path}.{key}"),
    };
    match value {
        // `origin` adds the rows of a fork.
        _ if path == ORIGIN => {}
        Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(&below(key), value, found)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(at, value)| walk(&format!("{path}[{at}]"), value, found));
        }
        Value::Null => {}
        other => drop(found.insert(path.to_owned(), shown(path, other))),
    }
}

/// A value as the plan of the Run page shows it.
fn shown(path: &str, value: &Value) -> String {
    match (table::find(path), value) {
        (Some(row), value) => in_plan(row, Some(value)),
        (None, Value::String(text)) if path == "tokenizer" => {
            text.parse::<Tokenizer>().map_or(text.clone(), tokenizer_name)
        }
        (None, Value::String(text)) => text.clone(),
        (None, value) => value.as_u64().map_or_else(|| written(value), number::whole),
    }
}

/// The live hyperparameters at the current step, which commands may have changed since the plan.
fn current(view: &RunView) -> impl Iterator<Item = (String, String)> {
    let value = |path: LivePath| {
        let value = view.hyperparameters.get(path, view.summary.step);
        // A value of a schedule has more digits than a person types.
        let brief = format!("{value:.2e}").parse::<f64>().ok().filter(|_| value.fract() != 0.0).unwrap_or(value);
        in_plan(path.row(), Some(&brief.into()))
    };
    LivePath::all().map(move |path| (format!("{path}{NOW}"), value(path)))
}

/// The parent of a fork, by its name, and the changes with which the fork starts.
fn origin(view: &RunView, name_of: impl Fn(&wire::RunId) -> String) -> Vec<(String, String)> {
    let Some(origin) = &view.plan.origin else { return vec![] };
    let name = name_of(&origin.from.run);
    let parent = format!("{name}, step {}", number::whole(origin.from.checkpoint.step));
    let changes = view.spec.parent.iter().flat_map(|parent| &parent.changes).map(change);
    let changes = changes.collect::<Vec<_>>().join("; ");
    [(PARENT, parent), (CHANGES, changes)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(path, value)| (path.to_owned(), value))
        .collect()
}

/// A change of a fork in words.
fn change(command: &Command) -> String {
    match command {
        Command::EditWeights { interventions, .. } => {
            let each: Vec<String> = interventions.iter().map(ToString::to_string).collect();
            format!("weight edit: {}", each.join(", "))
        }
        Command::Set { path, value, .. } => format!("{} {}", path.row().label.to_lowercase(), number::short(*value)),
        Command::SetSchedule { schedule, .. } => match schedule {
            ScheduleChange::LearningRate { .. } => "other learning-rate schedule",
            ScheduleChange::Mix { .. } => "other dataset mix",
            ScheduleChange::Accumulation { .. } => "other gradient accumulation",
        }
        .to_owned(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// The label of a row.
fn label(path: &str) -> String {
    if let Some(path) = path.strip_suffix(NOW) {
        return format!("{}, newest step", label(path));
    }
    let known = [
        ("preset", "Preset"),
        ("steps", "Steps"),
        ("seed", "Seed"),
        ("tokenizer", "Tokenizer"),
        ("device", "Device"),
        ("prompt", "Prompt of samples"),
        (PARENT, "Parent"),
        (CHANGES, "Changes at the fork"),
    ];
    let known = known.into_iter().find(|(known, _)| *known == path).map(|(_, label)| label.to_owned());
    known
        .or_else(|| table::find(path).map(|row| row.label.to_owned()))
        .or_else(|| of_mix(path))
        .unwrap_or_else(|| path.to_owned())
}

/// The label of a part of the dataset mix: `mix[0].weight` is the weight of dataset 1.
fn of_mix(path: &str) -> Option<String> {
    let (index, field) = path.strip_prefix("mix[")?.split_once("].")?;
    let number = index.parse::<usize>().ok()? + 1;
    match field {
        "corpus" => Some(format!("Dataset {number}")),
        "content_hash" => Some(format!("Hash of dataset {number}")),
        _ => Some(format!("Dataset {number}, {field}")),
    }
}

/// Rows of the table: a path and the value of each plan, for all paths or those that differ.
fn table(plans: &[BTreeMap<String, String>], wants_all: bool) -> Vec<(String, Vec<Option<String>>)> {
    let mut paths: Vec<&String> = plans.iter().flat_map(BTreeMap::keys).collect();
    paths.sort();
    paths.dedup();
    let row = |path: &String| (path.clone(), plans.iter().map(|plan| plan.get(path).cloned()).collect::<Vec<_>>());
    paths
        .into_iter()
        .map(row)
        .filter(|(_, values)| wants_all || values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

#[component]
pub(super) fn PlanTable() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let compared = expect_context::<ComparedRuns>();
    let wants_all = RwSignal::new(false);
    let plans = Memo::new(move |_| {
        let views = choice.runs.read().iter().filter_map(|run| compared.view(run)).collect::<Vec<_>>();
        let plans = views.into_iter().map(|view| {
            let plan = serde_json::to_value(&view.plan).unwrap_or_default();
            let mut fields = flat(&plan);
            // A run that was extended ends at another step than it had planned.
            fields.insert("steps".to_owned(), number::whole(view.hyperparameters.steps));
            fields.extend(current(&view));
            fields.extend(origin(&view, |run| choice.name(run)));
            (view.summary.id.clone(), choice.name(&view.summary.id), fields)
        });
        plans.collect::<Vec<_>>()
    });
    let rows = Memo::new(move |_| {
        let plans: Vec<_> = plans.read().iter().map(|(.., plan)| plan.clone()).collect();
        table(&plans, wants_all.get() || plans.len() < 2)
    });
    let heads = move || {
        let head = |(id, name, _): &(wire::RunId, String, _)| {
            let tone = format!("var({})", choice.colours.read().role(id).property());
            view! {
                <th scope="col"><i class="swatch" style:--tone=tone></i><a title="Open the page of the run" href=run_path(id)>{name.clone()}</a></th>
            }
        };
        plans.read().iter().map(head).collect_view()
    };
    let body = move || {
        let names: Vec<String> = plans.read().iter().map(|(_, name, _)| name.clone()).collect();
        let line = |(path, values): (String, Vec<Option<String>>)| {
            let differs = values.windows(2).any(|pair| pair[0] != pair[1]);
            let run = names.iter().cloned().chain(std::iter::repeat(String::new()));
            let cells = values.into_iter().zip(run).map(|(value, run)| {
                view! { <td class="mono" data-run=run>{value.map_or("–".into(), |value| visible(&value).into_owned())}</td> }
            });
            let label = label(&path);
            view! { <tr class:differs=differs><th scope="row" title=path>{label}</th>{cells.collect_view()}</tr> }
        };
        rows.get().into_iter().map(line).collect_view()
    };
    view! {
        <section class="panel plans" aria-labelledby="plans-title" hidden=move || plans.read().is_empty()>
            <div class="row">
                <h2
                    id="plans-title"
                    title="The hyperparameters in which the runs differ: as planned, and at the newest step. The tooltip of a row \
                        names its field in the plan."
                >
                    "Plans"
                </h2>
                <span class="grow"></span>
                <label class="row small" title="Also show the values that all runs share. Off by default.">
                    <input
                        type="checkbox"
                        prop:checked=wants_all
                        on:change:target=move |event| wants_all.set(event.target().checked())
                    />
                    "All hyperparameters"
                </label>
            </div>
            <Show when=move || !rows.read().is_empty() fallback=|| view! { <p class="dim">"The plans are identical."</p> }>
                <div class="scroll"><table>
                    <thead><tr><th scope="col" title="Hyperparameter, or property of the run">"Hyperparameter"</th>{heads}</tr></thead>
                    <tbody>{body}</tbody>
                </table></div>
            </Show>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_differing_values_are_shown_unless_all_are_wanted() {
        let recipe = |rate: f64| json!({"optimizer": {"learning_rate": rate}});
        let plan = |rate: f64, origin: Value| {
            flat(&json!({"steps": 10, "recipe": recipe(rate), "mix": [{"corpus": "tales"}], "origin": origin}))
        };
        let plans = [
            plan(0.1, Value::Null),
            plan(0.2, json!({"from": {"run": "a", "checkpoint": "0-5"}, "hyperparameters": {"changes": 1}})),
        ];
        let paths = |all| table(&plans, all).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths(false), ["optimizer.learning_rate"], "the rows of a fork are added from its spec");
        assert_eq!(paths(true).len(), 3);
        assert!(paths(true).contains(&"mix[0].corpus".to_owned()));
    }

    #[test]
    fn rows_have_labels_and_changes_are_in_words() {
        let labels = ["steps", "optimizer.learning_rate", "optimizer.learning_rate (now)", "mix[1].corpus", "x.y"];
        let expected = ["Steps", "Learning rate", "Learning rate, newest step", "Dataset 2", "x.y"];
        assert_eq!(labels.map(label), expected.map(String::from));
        let edit: Command = serde_json::from_value(json!({
            "kind": "edit_weights",
            "interventions": [{"component": {"head": {"layer": 0, "head": 1}}, "factor": 0.0}],
        }))
        .unwrap();
        assert_eq!(change(&edit), "weight edit: head 1 of block 0 ablated");
    }
}
