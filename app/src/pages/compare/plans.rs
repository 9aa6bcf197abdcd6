//! The plans side by side: the values in which they differ, or all of them.

use std::collections::BTreeMap;

use figure::number;
use leptos::prelude::*;
use serde_json::Value;
use wire::{LivePath, RunView};

use super::Choice;
use super::loss_chart::ComparedRuns;
use crate::route::run_path;

/// A plan as paths with values: `optimizer.learning_rate` is `0.001`.
fn flat(plan: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk("", plan, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    // Fields of the recipe are named as in overrides. The hyperparameters that a fork inherits are shown at its current
    // step.
    let below = |key: &str| match path {
        "" | "recipe" => key.to_owned(),
        _ => format!("{path}.{key}"),
    };
    match value {
        _ if ["origin.hyperparameters", "origin.best_valid"].contains(&path) => {}
        Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(&below(key), value, found)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(at, value)| walk(&format!("{path}[{at}]"), value, found));
        }
        Value::Null => {}
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}

/// The live hyperparameters at the current step, which commands may have changed since the plan.
fn current(view: &RunView) -> impl Iterator<Item = (String, String)> {
    let value = |path: LivePath| number::short(view.hyperparameters.get(path, view.summary.step));
    LivePath::all().map(move |path| (format!("{path} (now)"), value(path)))
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
            fields.extend(current(&view));
            (view.summary.id, view.summary.name, fields)
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
                <th scope="col"><i class="swatch" style:--tone=tone></i><a href=run_path(id)>{name.clone()}</a></th>
            }
        };
        plans.read().iter().map(head).collect_view()
    };
    let body = move || {
        let line = |(path, values): (String, Vec<Option<String>>)| {
            let differs = values.windows(2).any(|pair| pair[0] != pair[1]);
            let cells =
                values.into_iter().map(|value| view! { <td class="mono">{value.unwrap_or_else(|| "–".into())}</td> });
            view! { <tr class:differs=differs><th scope="row" class="mono">{path}</th>{cells.collect_view()}</tr> }
        };
        rows.get().into_iter().map(line).collect_view()
    };
    view! {
        <section class="panel plans" aria-labelledby="plans-title">
            <div class="row">
                <h2 id="plans-title" title="Every hyperparameter of the plans, by its path">"Plans"</h2>
                <span class="grow"></span>
                <label class="row small">
                    <input
                        type="checkbox"
                        prop:checked=wants_all
                        on:change:target=move |event| wants_all.set(event.target().checked())
                    />
                    "All hyperparameters"
                </label>
            </div>
            <Show when=move || !rows.read().is_empty() fallback=|| view! { <p class="dim">"The plans are equal."</p> }>
                <div class="scroll"><table>
                    <thead><tr><th scope="col">"Hyperparameter"</th>{heads}</tr></thead>
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
        assert_eq!(paths(false), ["optimizer.learning_rate", "origin.from.checkpoint", "origin.from.run"]);
        assert_eq!(paths(true).len(), 5);
        assert!(paths(true).contains(&"mix[0].corpus".to_owned()));
    }
}
