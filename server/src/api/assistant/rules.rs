//! Answers without a model: from the findings of the rules, the plans and journals of runs, fits, and the verdicts of experiments. They are read
//! with the permissions of the person who asks.

use std::collections::BTreeMap;

use research::fits::report::{FitReport, FitResult};
use serde_json::Value;
use wire::assistant::{PageContext, Question};
use wire::diagnosis::{Diagnosis, FindingView};
use wire::experiment::record::ExperimentSummary;
use wire::number::{brief, counted, grouped};
use wire::series::{SeriesWindow, name};
use wire::transport::live::LabState;
use wire::{RunId, RunState, RunSummary, RunView};

use crate::api::mcp::caller::Caller;
use crate::error::ApiError;

/// Runs, findings or differences in an answer.
const LISTED: usize = 12;
/// Verdicts in an answer.
const VERDICTS: usize = 3;
/// Buckets of the throughput that are read.
const BUCKETS: usize = 200;
/// A throughput below this fraction of the earlier one is named as lower.
const SLOWER: f64 = 0.9;
/// The rule that measures slow steps.
const SLOW_STEPS: &str = "slow_steps";

/// The answer to a question about the runs that the page shows.
///
/// # Errors
/// Those of the routes.
pub async fn answer(caller: &Caller, question: Question, context: &PageContext) -> Result<String, ApiError> {
    let needed = question.runs();
    if context.runs.len() < needed {
        return Ok(match needed {
            1 => "Open the page of a run first: this question is about one run.".to_owned(),
            _ => "Select two runs on the Compare page first: this question is about two runs.".to_owned(),
        });
    }
    match (question, context.runs.as_slice()) {
        (Question::IsHealthy, [run, ..]) => health(caller, run).await,
        (Question::WhySlow, [run, ..]) => speed(caller, run).await,
        (Question::WhatNext, [run, ..]) => next(caller, run).await,
        (Question::WhatChanged, [one, other, ..]) => difference(caller, one, other).await,
        _ => triage(caller).await,
    }
}

/// The questions that can be answered, for a text that asks none of them.
pub fn known_questions() -> String {
    let questions: Vec<String> = Question::ALL.iter().map(|question| format!("- {}", question.label())).collect();
    format!(
        "No model is configured, so only these questions can be answered, from rules, fits and journal:\n{}",
        questions.join("\n")
    )
}

async fn view(caller: &Caller, run: &RunId) -> Result<RunView, ApiError> {
    caller.get(&format!("/runs/{run}")).await
}

/// A run by name and id.
fn named(run: &RunSummary) -> String {
    format!("{} ({})", run.name, run.id)
}

async fn triage(caller: &Caller) -> Result<String, ApiError> {
    let lab: LabState = caller.get("/lab").await?;
    let needs = |run: &&RunSummary| {
        run.health.alerts > 0 && !run.is_archived || matches!(run.state, RunState::Failed | RunState::Lost)
    };
    let mut urgent: Vec<&RunSummary> = lab.runs.iter().filter(needs).collect();
    urgent.sort_by_key(|run| (!run.state.is_live(), std::cmp::Reverse(run.health.urgency())));
    let line = |run: &&RunSummary| {
        let health = run.health.sentence().map(|health| format!("; {health}")).unwrap_or_default();
        let message = run.message.as_ref().map(|message| format!("; {message}")).unwrap_or_default();
        format!("- {}: {} at step {}{health}{message}", named(run), run.state.word(), grouped(run.step))
    };
    let live = lab.runs.iter().filter(|run| run.state.is_live()).count();
    let queued = lab.runs.iter().filter(|run| run.state == RunState::Queued).count();
    let idle = lab.devices.iter().filter(|device| device.is_connected && device.run.is_none()).count();
    let state = format!(
        "{} on a device, {queued} in the queue, {} without a run.",
        counted(live as u64, "run"),
        counted(idle as u64, "device"),
    );
    if urgent.is_empty() {
        return Ok(format!("No run has an alert, has failed or was lost. {state}"));
    }
    let lines: Vec<String> = urgent.iter().take(LISTED).map(line).collect();
    let head = format!("{} with an alert, failed or lost, most urgent first:", counted(urgent.len() as u64, "run"));
    Ok(format!("{head}\n{}{}\n{state}", lines.join("\n"), more(urgent.len())))
}

/// How many entries a list leaves out.
fn more(all: usize) -> String {
    match all.saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("\n- and {more} more"),
    }
}

async fn diagnosis(caller: &Caller, run: &RunId) -> Result<Diagnosis, ApiError> {
    caller.get(&format!("/runs/{run}/findings")).await
}

async fn health(caller: &Caller, run: &RunId) -> Result<String, ApiError> {
    let (view, found) = (view(caller, run).await?, diagnosis(caller, run).await?);
    let health = found.health.sentence().unwrap_or_else(|| "No rule has read the run yet".to_owned());
    let counting: Vec<&FindingView> = found.findings.iter().filter(|view| view.found.counts()).collect();
    let line = |view: &&FindingView| {
        let state = if view.found.is_active() { "active" } else { "ended" };
        format!("- {} ({state}): {}", view.found.label, view.found.text)
    };
    let lines: Vec<String> = counting.iter().take(LISTED).map(line).collect();
    let head =
        format!("{} is {} at step {}.", named(&view.summary), view.summary.state.word(), grouped(view.summary.step));
    let list = if lines.is_empty() { String::new() } else { format!("\n{}{}", lines.join("\n"), more(counting.len())) };
    Ok(format!("{head} {health}.{list}"))
}

async fn speed(caller: &Caller, run: &RunId) -> Result<String, ApiError> {
    let (view, found) = (view(caller, run).await?, diagnosis(caller, run).await?);
    let summary = &view.summary;
    let mut lines = vec![];
    if summary.state != RunState::Running {
        let why = summary.waits.as_ref().or(summary.message.as_ref());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(format!("It does not train: it is {}{why}.", summary.state.word()));
    } else if let Some(message) = &summary.message {
        lines.push(format!("The worker reports: {message}."));
    }
    let slow = found.findings.iter().filter(|view| view.found.finding.rule == SLOW_STEPS && view.found.counts());
    lines.extend(slow.take(VERDICTS).map(|view| view.found.text.clone()));
    let lab: LabState = caller.get("/lab").await?;
    let shares =
        |other: &&RunSummary| other.id != summary.id && other.state.is_live() && other.device == summary.device;
    let others: Vec<String> = lab.runs.iter().filter(shares).map(named).collect();
    if summary.state.is_live() && !others.is_empty() {
        lines.push(format!("It shares the device {} with {}.", summary.device, others.join(", ")));
    }
    // A run that has not begun has no series.
    lines.extend(throughput(caller, run).await.unwrap_or_default());
    match lines.is_empty() {
        true => Ok(format!("{}: no rule finds slow steps, and no throughput is recorded yet.", named(summary))),
        false => Ok(format!("{}:\n- {}", named(summary), lines.join("\n- "))),
    }
}

/// The throughput of the last tenth of the run against that before.
async fn throughput(caller: &Caller, run: &RunId) -> Result<Option<String>, ApiError> {
    let path = format!("/runs/{run}/series?names={}&points={BUCKETS}", name::TOKENS_PER_SEC);
    let windows: Vec<SeriesWindow> = caller.get_packed(&path).await?;
    let means: Vec<f64> = windows
        .iter()
        .flat_map(|window| window.buckets.iter().filter(|bucket| bucket.count > 0).map(|bucket| bucket.mean))
        .collect();
    let (before, last) = means.split_at(means.len() - means.len().div_ceil(10));
    let (Some(before), Some(last)) = (median(before), median(last)) else { return Ok(None) };
    let how = match last / before {
        ratio if ratio < SLOWER => format!("{:.0} % below", 100.0 * (1.0 - ratio)),
        _ => "not below".to_owned(),
    };
    let (last, before) = (grouped(last.round() as u64), grouped(before.round() as u64));
    Ok(Some(format!(
        "The last tenth of the steps trained {last} tokens/s, {how} the {before} tokens/s before (medians)."
    )))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

async fn difference(caller: &Caller, one: &RunId, other: &RunId) -> Result<String, ApiError> {
    let (one, other) = (view(caller, one).await?, view(caller, other).await?);
    let (before, after) = (leaves(&one), leaves(&other));
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let none = "none".to_owned();
    let change = |key: &String| {
        let (a, b) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
        (a != b).then(|| format!("- {key}: {a} → {b}"))
    };
    let changes: Vec<String> = keys.filter_map(change).collect();
    let head = format!("From {} to {}:", named(&one.summary), named(&other.summary));
    let list = match changes.is_empty() {
        true => "- the plans are equal".to_owned(),
        false => format!("{}{}", changes[..changes.len().min(LISTED)].join("\n"), more(changes.len())),
    };
    let live = |view: &RunView| {
        format!(
            "{} has {} of hyperparameters while it trained",
            view.summary.name,
            counted(view.hyperparameters.changes.into(), "change")
        )
    };
    let loss = |view: &RunView| match view.summary.loss_valid {
        Some(loss) => format!("{} {loss:.4} nats/token at step {}", view.summary.name, grouped(view.summary.step)),
        None => format!("{} has none", view.summary.name),
    };
    Ok(format!(
        "{head}\n{list}\n{}; {}.\nValidation loss: {}; {}. Compare tells whether the difference is larger than the noise.",
        live(&one),
        live(&other),
        loss(&one),
        loss(&other),
    ))
}

/// The values of a plan by their paths.
fn leaves(view: &RunView) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, all: &mut BTreeMap<String, String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(&below(name), value, all)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| walk(&below(&at.to_string()), item, all))
            }
            other => drop(all.insert(path.to_owned(), other.to_string())),
        }
    }
    let mut all = BTreeMap::new();
    // The prompt may be text of the dataset.
    let plan = serde_json::to_value(&view.plan).unwrap_or_default();
    walk("", &plan, &mut all);
    all.retain(|path, _| path != "prompt" && !path.ends_with("content_hash"));
    all
}

async fn next(caller: &Caller, run: &RunId) -> Result<String, ApiError> {
    let (view, found) = (view(caller, run).await?, diagnosis(caller, run).await?);
    let active = found.findings.iter().filter(|view| view.found.counts() && view.found.is_active());
    let remedies = active.flat_map(|view| {
        view.remedies.iter().map(move |remedy| {
            let obstacle =
                remedy.obstacle.as_ref().map(|obstacle| format!(" Not possible now: {obstacle}")).unwrap_or_default();
            format!("- {} (because of {}): {}{obstacle}", remedy.label, view.found.name(), remedy.effect)
        })
    });
    let remedies: Vec<String> = remedies.take(LISTED).collect();
    let mut parts = vec![match remedies.is_empty() {
        true => format!("{}: no active finding suggests a change.", named(&view.summary)),
        false => format!("{}: remedies of the active findings:\n{}", named(&view.summary), remedies.join("\n")),
    }];
    parts.extend(batch_size(caller, run).await);
    parts.extend(verdicts(caller, &view.summary.project).await?);
    Ok(parts.join("\n"))
}

/// What the gradient noise scale says about the batch size; none if the run does not determine it.
async fn batch_size(caller: &Caller, run: &RunId) -> Option<String> {
    let report: FitReport = caller.get(&format!("/fit?kind=batch_size&runs={run}")).await.ok()?;
    let FitResult::BatchSize(fit) = report.result else { return None };
    let (noise, batch) = (fit.suggested.noise_scale.value, fit.suggested.batch_tokens);
    Some(format!(
        "The gradient noise scale is {} tokens, and a step has {} tokens: {}",
        brief(noise.round()),
        brief(batch),
        match noise / batch {
            ratio if ratio > 2.0 => "a larger batch needs fewer steps for nearly the same tokens.",
            ratio if ratio < 0.5 => "a smaller batch needs fewer tokens for nearly the same steps.",
            _ => "the batch size balances steps and tokens.",
        }
    ))
}

/// The newest verdicts of the project.
async fn verdicts(caller: &Caller, project: &str) -> Result<Option<String>, ApiError> {
    let all: Vec<ExperimentSummary> = caller.get("/experiments").await?;
    let decided = all.iter().filter(|found| found.project == project);
    let line = |found: &ExperimentSummary| {
        let verdict = found.verdict.as_ref()?;
        Some(format!("- {} (experiment {}): {}", found.spec.title, found.id, verdict.sentence))
    };
    let lines: Vec<String> = decided.filter_map(line).take(VERDICTS).collect();
    Ok((!lines.is_empty()).then(|| format!("Newest verdicts of the project {project}:\n{}", lines.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_what_is_not_finite() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_questions_are_listed() {
        assert!(known_questions().ends_with("- What would you try next?"));
        assert!(known_questions().starts_with("No model is configured"));
    }
}
