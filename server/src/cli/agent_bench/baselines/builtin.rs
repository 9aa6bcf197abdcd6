//! The built-in strategy. It reads no goal and no text:
//!
//! - a run that trains gets the first remedy that can be carried out of the alert that was found first, since later ones may be its effects. If
//!   an alert remains, it gets another one, but no second rollback: the fault came back, so the batches that were left out did not cause it;
//! - if several runs have ended, the groups with the tags `baseline` and `variant` are compared, or else all of them at equal tokens, and a
//!   run with the learning rate of the best is started.

use serde_json::{Map, Value, json};

use super::super::tools::Tools;
use super::{STEPS, runs};

/// Remedies for one run.
const ROUNDS: usize = 3;
/// Steps after which the effect of a remedy is read.
const STEPS_OF_EFFECT: u64 = 10;
/// Runs that must have ended before one of them is started again.
const ENOUGH: usize = 4;

/// Acts in a lab.
pub(in super::super) async fn act(tools: &Tools) {
    let all = runs(tools).await;
    let is = |run: &&Value, states: &[&str]| states.contains(&run["state"].as_str().unwrap_or_default());
    for run in all.iter().filter(|run| is(run, &["running"])) {
        treat(tools, run["id"].as_str().unwrap_or_default()).await;
    }
    let ended: Vec<&Value> = all.iter().filter(|run| is(run, &["finished", "stopped"])).collect();
    if ended.len() >= ENOUGH
        && let Some(best) = best(tools, &ended).await
    {
        start_like(tools, &best).await;
    }
}

/// Carries remedies of a run out until it has no alert.
async fn treat(tools: &Tools, run: &str) {
    let mut was_rolled_back = false;
    for _ in 0..ROUNDS {
        let Some(found) = tools.read("diagnose", json!({ "run": run })).await else { return };
        let Some((tool, arguments)) = next_call(run, &found["findings"], was_rolled_back) else { return };
        let is_replaced = matches!(tool, "start_run" | "fork");
        if tools.act(tool, arguments, "the remedy of the first finding").await.is_none() || is_replaced {
            return;
        }
        was_rolled_back |= tool == "rollback";
        wait(tools, run).await;
    }
}

/// The first remedy of the alerts that have not ended, in the order in which they were found, as a call of a tool.
fn next_call(run: &str, findings: &Value, was_rolled_back: bool) -> Option<(&'static str, Value)> {
    let is_alert = |found: &&Value| found["level"] == "alert" && found["is_active"] == true;
    let mut alerts: Vec<&Value> = findings.as_array().into_iter().flatten().filter(is_alert).collect();
    alerts.sort_by_key(|found| found["number"].as_u64());
    let remedies = alerts.into_iter().flat_map(|found| found["remedies"].as_array().into_iter().flatten());
    let mut calls =
        remedies.filter(|remedy| remedy["obstacle"].is_null()).filter_map(|remedy| call_of(run, &remedy["action"]));
    calls.find(|(tool, _)| !(was_rolled_back && *tool == "rollback"))
}

/// Waits for some steps, from which the rules see the effect of a remedy.
async fn wait(tools: &Tools, run: &str) {
    let seen = tools.read("wait_for", json!({ "run": run, "step": 1 })).await.unwrap_or_default();
    let step = seen["run"]["step"].as_u64().unwrap_or(0) + STEPS_OF_EFFECT;
    tools.read("wait_for", json!({ "run": run, "step": step })).await;
}

/// The call of a tool that carries an action of a remedy out; `None` if no tool does.
fn call_of(run: &str, action: &Value) -> Option<(&'static str, Value)> {
    if let Some(spec) = action.get("run") {
        let Some(parent) = spec.get("parent") else { return Some(("start_run", json!({ "spec": spec }))) };
        let value = |change: &Value| Some((change["path"].as_str()?.to_owned(), change["value"].clone()));
        let set: Map<String, Value> = parent["changes"].as_array().into_iter().flatten().filter_map(value).collect();
        return Some(("fork", json!({ "run": parent["run"], "checkpoint": parent["checkpoint"], "set": set })));
    }
    let command = action.get("command")?;
    Some(match command["kind"].as_str()? {
        "set" => ("set_hyperparameter", json!({ "run": run, "path": command["path"], "value": command["value"] })),
        "rollback" => {
            let skip = command["skip_batches"].as_u64().unwrap_or(0);
            ("rollback", json!({ "run": run, "checkpoint": command["checkpoint"], "skip_batches": skip }))
        }
        "stop" => ("stop", json!({ "run": run })),
        "pause" => ("pause", json!({ "run": run })),
        _ => return None,
    })
}

/// The best of the runs that have ended, by a comparison of the lab.
async fn best(tools: &Tools, ended: &[&Value]) -> Option<String> {
    let tagged = |tag: &str| -> Vec<&str> {
        let has = |run: &&&Value| run["tags"].as_array().is_some_and(|tags| tags.iter().any(|found| found == tag));
        ended.iter().filter(has).filter_map(|run| run["id"].as_str()).collect()
    };
    let (baseline, variant) = (tagged("baseline"), tagged("variant"));
    if !baseline.is_empty() && !variant.is_empty() {
        let compared = tools.read("compare", json!({ "baseline": baseline, "changes": [variant] })).await?;
        let over_seeds = &compared["changes"][0]["over_seeds"];
        let is_better = over_seeds["verdict"]["kind"] == "different"
            && over_seeds["change"].as_f64().zip(over_seeds["baseline"].as_f64()).is_some_and(|(new, old)| new < old);
        return if is_better { variant } else { baseline }.first().map(|run| (*run).to_owned());
    }
    let ids: Vec<&str> = ended.iter().filter_map(|run| run["id"].as_str()).collect();
    let (first, others) = ids.split_first()?;
    let changes: Vec<[&str; 1]> = others.iter().map(|run| [*run]).collect();
    let compared = tools.read("compare", json!({ "baseline": [first], "changes": changes })).await?;
    let of_changes = compared["changes"].as_array().into_iter().flatten().flat_map(|group| group["runs"].as_array());
    let measured = compared["baseline"].as_array().into_iter().chain(of_changes).flatten();
    let losses = measured.filter_map(|run| Some((run["loss"].as_f64()?, run["run"].as_str()?)));
    losses.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, run)| run.to_owned())
}

/// Starts a longer run with the learning rate and the dataset of another one.
async fn start_like(tools: &Tools, run: &str) {
    let Some(found) = tools.read("get_run", json!({ "run": run })).await else { return };
    let rate = &found["plan"]["recipe"]["optimizer"]["learning_rate"];
    let dataset = &found["plan"]["mix"][0]["dataset"];
    let preset = &found["run"]["preset"];
    let spec = json!({ "preset": preset, "corpus": dataset, "steps": STEPS, "overrides": { "optimizer.learning_rate": rate } });
    tools.act("start_run", json!({ "spec": spec }), "the best of the runs that have ended").await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_become_calls_of_tools() {
        let set =
            json!({ "command": { "kind": "set", "path": "optimizer.learning_rate", "value": 5e-4, "reason": "" } });
        let expected = json!({ "run": "a", "path": "optimizer.learning_rate", "value": 5e-4 });
        assert_eq!(call_of("a", &set), Some(("set_hyperparameter", expected)));
        let rollback = json!({ "command": { "kind": "rollback", "checkpoint": "0-500", "skip_batches": 200 } });
        let expected = json!({ "run": "a", "checkpoint": "0-500", "skip_batches": 200 });
        assert_eq!(call_of("a", &rollback), Some(("rollback", expected)));
        let again = json!({ "run": { "corpus": "notes" } });
        assert_eq!(call_of("a", &again), Some(("start_run", json!({ "spec": { "corpus": "notes" } }))));
        let changes = json!([{ "kind": "set", "path": "optimizer.learning_rate", "value": 2.5e-3, "reason": "" }]);
        let fork = json!({ "run": { "parent": { "run": "a", "checkpoint": "0-100", "changes": changes } } });
        let expected = json!({ "run": "a", "checkpoint": "0-100", "set": { "optimizer.learning_rate": 2.5e-3 } });
        assert_eq!(call_of("a", &fork), Some(("fork", expected)));
        for other in [json!({ "page": "inspect" }), json!("advice"), json!({ "command": { "kind": "evaluate" } })] {
            assert_eq!(call_of("a", &other), None, "{other}");
        }
    }

    #[test]
    fn the_alert_that_was_found_first_is_treated_and_a_rollback_is_not_repeated() {
        let set =
            |value: f64| json!({ "command": { "kind": "set", "path": "optimizer.learning_rate", "value": value } });
        let rollback = json!({ "command": { "kind": "rollback", "checkpoint": "0-500", "skip_batches": 200 } });
        let finding = |number: u64, level: &str, is_active: bool, actions: &[&Value]| {
            let remedies: Vec<Value> = actions.iter().map(|action| json!({ "action": action })).collect();
            json!({ "number": number, "level": level, "is_active": is_active, "remedies": remedies })
        };
        let findings = json!([
            finding(4, "alert", true, &[&set(0.015)]),
            finding(3, "alert", true, &[&rollback, &set(2.5e-3)]),
            finding(2, "note", true, &[&set(1.0)]),
            finding(1, "alert", false, &[&set(2.0)]),
        ]);
        let (tool, _) = next_call("a", &findings, false).unwrap();
        assert_eq!(tool, "rollback");
        let (tool, arguments) = next_call("a", &findings, true).unwrap();
        assert_eq!((tool, arguments["value"].as_f64()), ("set_hyperparameter", Some(2.5e-3)));
        assert_eq!(next_call("a", &json!([finding(1, "alert", false, &[&rollback])]), false), None);
    }
}
