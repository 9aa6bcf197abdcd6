//! The journal: events of a run, its samples, and the acts of this agent.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::{Event, EventRecord};

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief;
use crate::api::mcp::caller::Caller;
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Events in an answer: the default and the maximum.
const EVENTS: usize = 30;
const MOST_EVENTS: usize = 50;
/// Samples in an answer: the default and the maximum.
const SAMPLES: usize = 3;
const MOST_SAMPLES: usize = 10;

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "get_journal",
            "Journal",
            "The events of a run in order: who changed what, when and why. Without run: the acts of your token with \
             their expected effects, newest first.",
            get_journal,
        ),
        Tool::reading(
            "get_samples",
            "Samples of a run",
            "Texts that the model of a run generated during training, newest first.",
            get_samples,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetJournal {
    /// Id of the run; without it, the acts of your token are returned.
    run: Option<String>,
    /// Events after this number; by default the newest.
    since: Option<u64>,
    /// Number of events, at most 50; 30 by default.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetSamples {
    /// Id of the run.
    run: String,
    /// Number of samples, at most 10; 3 by default.
    limit: Option<usize>,
}

async fn get_journal(caller: Caller, args: GetJournal) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(EVENTS).clamp(1, MOST_EVENTS);
    let Some(run) = args.run else { return own_acts(&caller, limit).await };
    let all = caller.events(&run, args.since.unwrap_or(0)).await?;
    let shown = match args.since {
        Some(_) => &all[..all.len().min(limit)],
        None => &all[all.len().saturating_sub(limit)..],
    };
    let data = json!({
        "run": run, "last_number": all.last().map(|record| record.number), "left": all.len() - shown.len(),
        "events": shown.iter().map(brief::event).collect::<Vec<_>>(),
    });
    let answer =
        Answer::new(data).units(&[("at_ms", "ms since 1970, UTC"), ("left", "events of the range that are not shown")]);
    Ok(answer.more("give a smaller limit, and as since the last number that was shown"))
}

/// The acts of the token.
async fn own_acts(caller: &Caller, limit: usize) -> Result<Answer, ApiError> {
    let acts = caller.store().agent_acts(caller.token(), limit as u32).await?;
    let act = |act: &store::AgentAct| {
        let json = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        brief::given(json!({
            "tool": act.tool, "run": act.run, "at_ms": act.started_ms, "reason": act.reason, "expected_effect": json(&act.expected),
            "idempotency_key": act.key, "has_result": act.answer.is_some(),
        }))
    };
    let answer = Answer::new(json!({ "acts": acts.iter().map(act).collect::<Vec<_>>() }));
    Ok(answer
        .units(&[("at_ms", "ms since 1970, UTC")])
        .more("give a smaller limit")
        .next("get_journal with a run for its events"))
}

async fn get_samples(caller: Caller, args: GetSamples) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(SAMPLES).clamp(1, MOST_SAMPLES);
    let all = caller.events(&args.run, 0).await?;
    let sample = |record: &EventRecord| match &record.event {
        Event::Sampled { prompt, text, temperature } => Some(json!({
            "number": record.number, "step": record.step, "prompt": prompt, "sample": text, "temperature": temperature,
        })),
        _ => None,
    };
    let samples: Vec<Value> = all.iter().rev().filter_map(sample).collect();
    let shown = &samples[..samples.len().min(limit)];
    let answer = Answer::new(json!({ "run": args.run, "all": samples.len(), "samples": shown }));
    Ok(answer.units(&[("step", "optimizer steps")]).more("give a smaller limit"))
}
