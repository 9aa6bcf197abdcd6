//! Waiting for an event of a run without polling.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use wire::{EventRecord, RunView};

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, encoded};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Time to wait, seconds: the default and the maximum. Clients give up after 60 s.
const WAITS: u64 = 30;
const MOST: u64 = 50;
/// Time between two reads of the run.
const EVERY: Duration = Duration::from_millis(400);
/// Events in an answer.
const EVENTS: usize = 20;

pub fn tools() -> Vec<Tool> {
    let about = "Waits until a run has an event, reaches a step or ends, or until a time of at most 50 s has passed. \
                 Use it instead of calling get_run repeatedly.";
    vec![Tool::reading("wait_for", "Wait for an event", about, wait_for)]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitFor {
    /// Id of the run.
    run: String,
    /// Only events after this number end the wait; by default those after the call.
    since: Option<u64>,
    /// Kinds of events to wait for, such as evaluated, paused, checkpointed, finished; by default any event.
    #[serde(default)]
    kinds: Vec<String>,
    /// The wait also ends when the run has done this many steps.
    step: Option<u64>,
    /// Seconds to wait, at most 50; 30 by default.
    timeout_s: Option<u64>,
}

async fn wait_for(caller: Caller, args: WaitFor) -> Result<Answer, ApiError> {
    let until = Instant::now() + Duration::from_secs(args.timeout_s.unwrap_or(WAITS).min(MOST));
    let last = |events: &[EventRecord]| events.last().map(|record| record.number);
    let mut seen = match args.since {
        Some(since) => since,
        None => last(&caller.events(&args.run, 0).await?).unwrap_or(0),
    };
    loop {
        let new = caller.events(&args.run, seen).await?;
        seen = last(&new).unwrap_or(seen);
        let is_meant = |record: &&EventRecord| args.kinds.is_empty() || args.kinds.contains(&brief::kind(record));
        let meant: Vec<&EventRecord> = new.iter().filter(is_meant).collect();
        let view: RunView = caller.get(&format!("/runs/{}", encoded(&args.run))).await?;
        let is_reached = args.step.is_some_and(|step| view.summary.step >= step);
        let ended_by = match (meant.is_empty(), is_reached, view.summary.state.is_over(), Instant::now() >= until) {
            (false, ..) => "event",
            (_, true, ..) => "step",
            (_, _, true, _) => "end of the run",
            (.., true) => "timeout",
            _ => {
                sleep(EVERY).await;
                continue;
            }
        };
        return Ok(answer(ended_by, &view, &meant, seen));
    }
}

fn answer(ended_by: &str, view: &RunView, meant: &[&EventRecord], seen: u64) -> Answer {
    let events: Vec<_> = meant.iter().take(EVENTS).map(|record| brief::event(record)).collect();
    let answer = Answer::new(json!({
        "until": ended_by.replace(' ', "_"), "last_number": seen, "events": events, "run": brief::run(&view.summary),
    }));
    let answer = answer.units(&brief::UNITS).more("get_journal with since lists the events");
    let id = &view.summary.id;
    match view.summary.state.is_over() {
        true => answer.next(format!("get_series or diagnose with run {id}")),
        false => answer.next(format!("wait_for with run {id} and since {seen}")),
    }
}
