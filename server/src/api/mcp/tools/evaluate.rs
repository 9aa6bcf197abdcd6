//! Evaluating a model: its validation loss or a task, and texts that it generates.

use std::time::Duration;

use serde_json::{Value, json};
use store::AgentAct;
use tokio::time::sleep;
use wire::RunView;
use wire::completion::CompletionLine;
use wire::task::lab::{RunTasks, WaitingScore};

use super::steer;
use super::wait::{Changes, WAITS};
use crate::api::mcp::acts::{Act, Recovery, acting, dry_run};
use crate::api::mcp::answer::{Answer, Field};
use crate::api::mcp::brief::{self, given};
use crate::api::mcp::caller::{Caller, encoded, run_id};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Tokens of a completion by default, as on the page.
const TOKENS: u32 = 200;
/// Time after which a score that was in no list is looked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// The place in which the token needs its role.
const PLACE: &str = "on the run";

pub fn tools() -> Vec<Tool> {
    let fields = |own: &[Field]| [&steer::FIELDS[..], own].concat();
    vec![
        Tool::acting(
            "evaluate",
            "Evaluate a model",
            "With task: scores a checkpoint of a run on an evaluation task, waits at most 50 s for the score, and returns \
             it; repeat the call with the same key to wait again. Without task: computes the validation loss of a run \
             that trains or is paused, now.",
            evaluate,
        )
        .returns(&fields(&[
            ("task", "The task."),
            ("checkpoint", "The checkpoint that is scored."),
            ("state", "computed, waiting or failed."),
            ("result", "The score with its metrics, if it is computed."),
            ("error", "Why it could not be computed."),
            ("tasks", "With dry_run: the tasks of the lab."),
        ])),
        Tool::acting(
            "sample",
            "Generate a text",
            "Generates a text with the model of a run. Without checkpoint, a run that trains or is paused generates it \
             with its current weights, and the journal keeps it; get_samples lists earlier ones. With checkpoint, or for \
             a run that has ended, a checkpoint completes the prompt and nothing is kept.",
            sample,
        )
        .returns(&fields(&[
            ("checkpoint", "The checkpoint that was used."),
            ("prompt", "The prompt."),
            ("sample", "The generated text."),
            ("tokens", "Tokens generated."),
            ("mean_probability", "Mean probability of the generated tokens under the model."),
            ("stopped", "Why it ended: length or eot, the end of the text."),
        ])),
    ]
}

acting!(Evaluate {
    /// Id of the run.
    run: String,
    /// Name of an evaluation task; a dry run lists them. Without task, the validation loss is computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// Checkpoint to score, such as 0-1200; the newest by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    /// Seconds to wait for a score, at most 50; 30 by default.
    #[serde(default, skip_serializing)]
    timeout_s: Option<u64>,
});

acting!(Sample {
    /// Id of the run.
    run: String,
    /// Text to continue; that of the plan by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    /// Tokens to generate, 1 to 4096; 200 by default for a checkpoint, that of the plan for the current weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<u32>,
    /// Temperature, 0 to 10; 0 takes the most likely token each time; 0.8 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    /// Checkpoint that completes the prompt, such as 0-1200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
});

async fn evaluate(caller: Caller, args: Evaluate) -> Result<Answer, ApiError> {
    let act = args.act(caller.clone(), "evaluate", Some(&args.run))?;
    let Some(task) = args.task else {
        if args.checkpoint.is_some() {
            return Err(ApiError::invalid("arguments_invalid", "a checkpoint was given without a task")
                .field("task")
                .hint("give a task; a dry run without checkpoint lists the tasks"));
        }
        return validation(act, args.run).await;
    };
    if act.is_dry() {
        return planned(&caller, &args.run, json!({ "would": format!("score on {task}") })).await;
    }
    let body = given(json!({ "task": task, "checkpoint": args.checkpoint }));
    let path = format!("/runs/{}/scores", encoded(&args.run));
    let run = args.run.clone();
    let request = move |caller: Caller| async move {
        let waiting: WaitingScore = caller.post(&path, &body).await?;
        let data = json!({ "run": run, "task": waiting.task, "checkpoint": waiting.checkpoint, "state": "waiting" });
        Ok(Answer::new(data))
    };
    // A server that restarts forgets the request. Requesting the score again gives the same score.
    let again = request.clone();
    let recover =
        move |caller: Caller, _: AgentAct| -> Recovery { Box::pin(async move { again(caller).await.map(Some) }) };
    let answer = act.carry_out(request, recover).await?;
    with_score(&caller, &args.run, answer, args.timeout_s.unwrap_or(WAITS)).await
}

/// The validation loss of a run now.
async fn validation(act: Act, run: String) -> Result<Answer, ApiError> {
    if !act.is_dry() {
        return steer::carry_out(act, run, json!({ "kind": "evaluate" })).await;
    }
    let caller = act.caller.clone();
    let plan = steer::carry_out(act, run.clone(), json!({ "kind": "evaluate" })).await?;
    planned(&caller, &run, plan.data).await
}

/// The answer to a dry run, with the tasks of the lab.
async fn planned(caller: &Caller, run: &str, mut data: Value) -> Result<Answer, ApiError> {
    let tasks = tasks(caller, run).await?;
    data["tasks"] = tasks.tasks.iter().map(|task| json!({ "task": task.name, "about": task.about })).collect();
    Ok(dry_run(Answer::new(data).units(&brief::UNITS), PLACE))
}

async fn tasks(caller: &Caller, run: &str) -> Result<RunTasks, ApiError> {
    caller.get(&format!("/runs/{}/tasks", encoded(run))).await
}

/// What became of a score that was requested.
#[derive(Debug, PartialEq)]
enum Standing {
    Computed(Value),
    Failed(Value),
    Waiting,
    /// In no list: it begins or ends at this moment, was cancelled while it waited, or was requested from a server that has stopped.
    Absent,
}

/// Waits for the score that a call has requested, and adds it.
async fn with_score(caller: &Caller, run: &str, mut answer: Answer, secs: u64) -> Result<Answer, ApiError> {
    let mut changes = Changes::follow(caller, &run_id(run)?, secs);
    let mut was_absent = false;
    loop {
        let found = tasks(caller, run).await?;
        let is_absent = match standing(&found, &answer.data) {
            Standing::Computed(result) => {
                (answer.data["state"], answer.data["result"]) = (json!("computed"), result);
                return Ok(answer.next("get_series with the series eval/TASK/METRIC shows it over steps"));
            }
            Standing::Failed(error) => {
                (answer.data["state"], answer.data["error"]) = (json!("failed"), error);
                return Ok(answer);
            }
            Standing::Absent if was_absent => {
                let message = "it was cancelled, or the server has stopped since the request";
                let error = json!({ "code": "score_forgotten", "message": message });
                (answer.data["state"], answer.data["error"]) = (json!("failed"), error);
                return Ok(answer.next("evaluate with a new idempotency_key requests the score again"));
            }
            other => other == Standing::Absent,
        };
        if changes.is_over() {
            return Ok(answer.next("the same call with the same idempotency_key waits again"));
        }
        caller.progress().say(format!("{} scores are queued or being computed", found.waiting.len()));
        match is_absent {
            true => sleep(AGAIN).await,
            false => changes.next().await,
        }
        was_absent = is_absent;
    }
}

/// What became of the score whose task and checkpoint an answer has.
fn standing(found: &RunTasks, data: &Value) -> Standing {
    let is_it = |task: &str, checkpoint: &str| data["task"] == task && data["checkpoint"] == checkpoint;
    let mut results = found.results.iter();
    if let Some(stored) = results.find(|stored| is_it(stored.result.task.as_str(), &stored.checkpoint.to_string())) {
        return Standing::Computed(json!(stored.result));
    }
    let mut failed = found.failed.iter();
    if let Some(failed) = failed.find(|failed| is_it(failed.task.as_str(), &failed.checkpoint.to_string())) {
        return Standing::Failed(json!(failed.error));
    }
    let mut waiting = found.waiting.iter();
    match waiting.any(|waiting| is_it(waiting.task.as_str(), &waiting.checkpoint.to_string())) {
        true => Standing::Waiting,
        false => Standing::Absent,
    }
}

async fn sample(caller: Caller, args: Sample) -> Result<Answer, ApiError> {
    let act = args.act(caller.clone(), "sample", Some(&args.run))?;
    let view: RunView = caller.get(&format!("/runs/{}", encoded(&args.run))).await?;
    if args.checkpoint.is_none() && view.summary.state.is_live() {
        let command = given(json!({
            "kind": "sample", "prompt": args.prompt, "tokens": args.tokens, "temperature": args.temperature,
        }));
        return steer::carry_out(act, args.run, command).await;
    }
    let prompt = args.prompt.unwrap_or_else(|| view.plan.prompt.clone());
    let request = given(json!({
        "run": args.run, "checkpoint": args.checkpoint, "prompt": prompt, "tokens": args.tokens.unwrap_or(TOKENS),
        "temperature": args.temperature,
    }));
    if act.is_dry() {
        let data = json!({ "would": "complete the prompt with a checkpoint", "run": brief::run(&view.summary) });
        return Ok(dry_run(Answer::new(data).units(&brief::UNITS), PLACE));
    }
    let (run, again) = (args.run, request.clone());
    let (own, other) = (run.clone(), run);
    let perform = move |caller: Caller| async move { complete(&caller, &own, &request).await };
    // It changes nothing, so it is generated again.
    let recover = move |caller: Caller, _: AgentAct| -> Recovery {
        Box::pin(async move { complete(&caller, &other, &again).await.map(Some) })
    };
    act.carry_out(perform, recover).await
}

/// Completes a prompt with a checkpoint.
async fn complete(caller: &Caller, run: &str, request: &Value) -> Result<Answer, ApiError> {
    let reply = caller.submit("/completions", request, "application/x-ndjson").await?;
    caller.has_text_of(run).await?;
    let (mut text, mut sum, mut tokens, mut end) = (String::new(), 0.0, 0_u32, None);
    for line in reply.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: CompletionLine =
            serde_json::from_slice(line).map_err(|source| ApiError::internal("reading a completion", source))?;
        match line {
            CompletionLine::Token(token) => {
                text += &token.text;
                (sum, tokens) = (sum + token.probability, tokens + 1);
            }
            CompletionLine::Done(done) => end = Some(done),
            CompletionLine::Failed { error } => {
                let mut failed = ApiError::conflict(&error.code, "");
                *failed.body = error;
                return Err(failed);
            }
        }
    }
    let data = given(json!({
        "run": run, "checkpoint": end.as_ref().map(|end| end.checkpoint), "prompt": request["prompt"], "sample": text,
        "tokens": tokens, "mean_probability": (tokens > 0).then(|| brief::rounded(sum / f64::from(tokens))),
        "stopped": end.map(|end| end.stopped),
    }));
    Ok(Answer::new(data).units(&[("tokens", "tokens"), ("mean_probability", "0 to 1")]).more("ask for fewer tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_no_list_has_is_not_waited_for() {
        let waiting = json!({ "task": "copy", "checkpoint": "0-1200", "is_running": false });
        let failed =
            json!({ "task": "copy", "checkpoint": "0-900", "at_ms": 1, "error": { "code": "x", "message": "gone" } });
        let lists =
            json!({ "tasks": [], "schedules": [], "results": [], "waiting": [waiting], "failed": [failed.clone()] });
        let found: RunTasks = serde_json::from_value(lists).unwrap();
        let of = |checkpoint: &str| standing(&found, &json!({ "task": "copy", "checkpoint": checkpoint }));
        assert_eq!(of("0-1200"), Standing::Waiting);
        assert_eq!(of("0-900"), Standing::Failed(failed["error"].clone()));
        assert_eq!(of("0-600"), Standing::Absent);
    }
}
