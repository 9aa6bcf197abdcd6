//! Waiting for an event of a run or of a research loop, or for the decision about a proposal. The events of a run are read when something of
//! the run has changed, at most once per [`APART`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use wire::{EventRecord, RunId, RunSummary};

use super::proposals::wait_for_decision;
use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, query, run_id};
use crate::api::mcp::tool::Tool;
use crate::api::mcp::tools::loops::wait_for_loop;
use crate::error::ApiError;

/// Time to wait, seconds: the default and the maximum. Clients give up after 60 s.
pub const WAITS: u64 = 30;
pub const MOST: u64 = 50;
/// Minimum time between two reads: a run that trains changes many times a second.
const APART: Duration = Duration::from_millis(250);
/// Maximum time between two reads.
const AT_LEAST: Duration = Duration::from_secs(10);
/// Events in an answer.
const EVENTS: usize = 20;

pub fn tools() -> Vec<Tool> {
    let about = "Waits until a run has an event, reaches a step or ends, or a person has decided about a proposal, or \
                 until a time of at most 50 s has passed. With loop, it waits until a research loop has an event, needs \
                 your proposal or ends. Use it instead of calling get_run or get_loop repeatedly.";
    vec![Tool::reading("wait_for", "Wait for an event", about, wait_for).returns(&[
        (
            "until",
            "What ended the wait: event, step, end_of_the_run, decision or timeout; for a loop event, proposal_needed, \
             end_of_the_loop or timeout.",
        ),
        ("last_number", "Number of the last event that was read; the since of the next call."),
        ("events", "The events that were waited for."),
        ("run", "The run now."),
        ("loop", "With loop: the research loop now, and whether it waits for a proposal."),
        ("proposal", "With proposal: its number; get_proposal describes the other fields."),
    ])]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitFor {
    /// Id of the run; not needed with loop or proposal.
    #[serde(default)]
    run: String,
    /// Id of a research loop, a number. Its events have no kinds and no step.
    r#loop: Option<u64>,
    /// Number of a proposal: the wait ends when a person has decided about it, and an approved one was carried out.
    proposal: Option<i64>,
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

/// The changes of a run until a time.
pub struct Changes {
    stream: watch::Receiver<u64>,
    read_at: Instant,
    until: Instant,
}

impl Changes {
    /// Follows an existing run from now on, for `secs` seconds. Follow it before you read it, so that no change is missed.
    pub fn follow(caller: &Caller, run: &RunId, secs: u64) -> Self {
        let now = Instant::now();
        Self { stream: caller.follow(run), read_at: now, until: now + Duration::from_secs(secs.min(MOST)) }
    }

    /// Whether the time has passed.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Waits until the run should be read again: it has changed, or the time has passed.
    pub async fn next(&mut self) {
        let earliest = self.read_at + APART;
        let within = AT_LEAST.min(self.until.saturating_duration_since(Instant::now()));
        let changed = async {
            // An error means that the stream of the run has ended: the run is read as if it had changed.
            let _ = self.stream.changed().await;
            sleep_until(earliest).await;
        };
        let _ = timeout(within, changed).await;
        self.read_at = Instant::now();
    }
}

async fn wait_for(caller: Caller, args: WaitFor) -> Result<Answer, ApiError> {
    let secs = args.timeout_s.unwrap_or(WAITS).min(MOST);
    caller.progress().limit(Duration::from_secs(secs));
    if let Some(id) = args.r#loop {
        if !args.run.is_empty() || !args.kinds.is_empty() || args.step.is_some() {
            let message = "run, kinds and step cannot be given together with loop";
            return Err(ApiError::invalid("arguments_invalid", message).field("loop").hint("give loop and since"));
        }
        return wait_for_loop(&caller, id, args.since, Instant::now() + Duration::from_secs(secs)).await;
    }
    if let Some(id) = args.proposal {
        caller.progress().say(format!("proposal {id}: waiting for a decision"));
        return wait_for_decision(&caller, id, Instant::now() + Duration::from_secs(secs)).await;
    }
    let run = run_id(&args.run)?;
    caller.progress().say(format!("{run}: waiting"));
    // Also refuses a run that may not be seen.
    let last = caller.last_event(&args.run).await?;
    let mut changes = Changes::follow(&caller, &run, secs);
    let mut seen = args.since.unwrap_or(last);
    let kinds = (!args.kinds.is_empty()).then(|| args.kinds.join(","));
    loop {
        let fields = [("since", Some(seen.to_string())), ("kinds", kinds.clone()), ("limit", Some(EVENTS.to_string()))];
        // The state before the events: a run that is over has all of its events.
        let summary = caller.summary(&run).await?;
        let new = caller.events(&args.run, &query(fields)).await?;
        seen = new.records.last().map_or(new.last.max(seen), |record| record.number);
        let is_reached = args.step.is_some_and(|step| summary.step >= step);
        let ended_by = match (new.records.is_empty(), is_reached, summary.state.is_over(), changes.is_over()) {
            (false, ..) => "event",
            (_, true, ..) => "step",
            (_, _, true, _) => "end_of_the_run",
            (.., true) => "timeout",
            _ => {
                caller.progress().say(said(&summary));
                changes.next().await;
                continue;
            }
        };
        return Ok(answer(ended_by, &summary, &new.records, seen));
    }
}

/// The state of a run in a notification.
pub fn said(summary: &RunSummary) -> String {
    format!("{}: {}, step {} of {}", summary.id, summary.state.word(), summary.step, summary.steps)
}

fn answer(ended_by: &str, summary: &RunSummary, events: &[EventRecord], seen: u64) -> Answer {
    let events: Vec<_> = events.iter().map(brief::event).collect();
    let answer = Answer::new(json!({
        "until": ended_by, "last_number": seen, "events": events, "run": brief::run(summary),
    }));
    let answer = answer.units(&brief::UNITS).more("get_journal with since lists the events");
    let id = &summary.id;
    match summary.state.is_over() {
        true => answer.next(format!("get_series or diagnose with run {id}")),
        false => answer.next(format!("wait_for with run {id} and since {seen}")),
    }
}
