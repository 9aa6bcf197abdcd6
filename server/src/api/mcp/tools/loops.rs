//! Research loops: the list, one loop with its rounds, and waiting for the next event or for the turn of an agent.
//!
//! - here: what is read; [`acts`]: starting and steering a loop, and proposing its next change.

pub mod acts;

use std::collections::BTreeMap;
use std::time::Duration;

use research::research_loop::{awaits_proposal, findings, noise_floor, run_secs};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use wire::research_loop::record::{
    LoopEvent, LoopProposal, LoopRound, LoopState, LoopSummary, LoopView, RoundKind, ScreenedTrial, kept_changes,
};
use wire::research_loop::{LoopGoal, UNIT};

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::Caller;
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Loops in a list: the default and the maximum.
const LOOPS: usize = 20;
const MOST_LOOPS: usize = 50;
/// Rounds of a loop: the default and the maximum.
const ROUNDS: usize = 8;
const MOST_ROUNDS: usize = 20;
/// Events in an answer.
const EVENTS: usize = 20;
/// Time between two reads of a loop, which takes its steps once a second.
const EVERY: Duration = Duration::from_secs(1);
const SECS_PER_HOUR: f64 = 3600.0;

/// Units of a loop and its rounds.
const UNITS: [(&str, &str); 4] = [
    ("loss, difference, interval, effect, noise_floor", UNIT),
    ("fields ending in _secs", "s of training"),
    ("device_hours", "h of training"),
    ("created_ms, at_ms", "ms since 1970, UTC"),
];

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "list_loops",
            "List research loops",
            "Research loops, newest first. A loop searches for a better recipe within a budget: it proposes changes of \
             hyperparameters, tests them, and keeps those that lower the validation loss.",
            list_loops,
        )
        .returns(&[("all", "Number of loops that match."), ("loops", "The newest of them.")]),
        Tool::reading(
            "get_loop",
            "One research loop",
            "A research loop: its rounds with proposals and decisions, what was kept and refuted and why, the budget that \
             is left, the values that were tried, and whether it waits for your proposal.",
            get_loop,
        )
        .returns(&[
            ("loop", "State, budget, and whether it waits for a proposal."),
            ("found", "What it has found until now."),
            ("parameters", "Hyperparameters that may change, with their ranges."),
            ("kept", "Changes that were kept."),
            ("current", "Current values of the hyperparameters: those of the best recipe so far."),
            ("tried", "Values that were tried, which cannot be proposed again."),
            ("hints", "Pinned hyperparameters, suggested values, and whether the search ends after this round."),
            ("queued", "The proposal for the next round."),
            ("rule", "When a change is kept."),
            ("screening", "The short trials of a round."),
            ("noise_floor", "Standard deviation of the loss over seeds."),
            ("costs", "Estimated training time of what follows; absent before the noise floor is measured."),
            ("outcomes", "Number of decided rounds by outcome."),
            ("rounds", "Rounds, newest first."),
            ("last_number", "Number of the last event of its journal, for the since of wait_for."),
        ]),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListLoops {
    /// Name of a project.
    project: Option<String>,
    /// Only loops that have not ended; false by default.
    #[serde(default)]
    open: bool,
    /// Number of loops, at most 50; 20 by default.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetLoop {
    /// Id of the research loop, a number.
    r#loop: u64,
    /// Only rounds before this number; by default the newest ones.
    before: Option<u32>,
    /// Number of rounds, at most 20; 8 by default.
    limit: Option<usize>,
}

async fn list_loops(caller: Caller, args: ListLoops) -> Result<Answer, ApiError> {
    let all: Vec<LoopSummary> = caller.get("/research-loops").await?;
    let is_shown = |one: &&LoopSummary| {
        let is_in = args.project.as_ref().is_none_or(|project| one.project == *project);
        is_in && !(args.open && one.state.is_over())
    };
    let shown: Vec<&LoopSummary> = all.iter().filter(is_shown).collect();
    let limit = args.limit.unwrap_or(LOOPS).clamp(1, MOST_LOOPS);
    let loops: Vec<Value> = shown.iter().take(limit).map(|one| brief(one)).collect();
    let answer = Answer::new(json!({ "all": shown.len(), "loops": loops })).units(&UNITS);
    let answer = answer.more("give a project, open or a smaller limit");
    Ok(match shown.first() {
        Some(newest) => answer.next(format!("get_loop with loop {}", newest.id)),
        None => answer.next("start_loop with dry_run"),
    })
}

/// A loop in a list.
fn brief(summary: &LoopSummary) -> Value {
    given(json!({
        "id": summary.id,
        "title": summary.goal.title,
        "state": summary.state,
        "reason": summary.reason,
        "project": (summary.project != "default").then_some(&summary.project),
        "author": summary.author,
        "proposer": summary.proposer(),
        "device_hours": summary.goal.budget.device_hours,
        "created_ms": summary.created_ms,
    }))
}

/// A loop with what its rounds have used.
fn standing(view: &LoopView) -> Value {
    let mut shown = brief(&view.summary);
    let [used, budget] = [view.used_secs(), view.summary.goal.budget.device_hours * SECS_PER_HOUR];
    shown["rounds"] = json!(view.rounds.len());
    shown["used_secs"] = rounded(used);
    shown["left_secs"] = rounded((budget - used).max(0.0));
    shown["waits_for_proposal"] = json!(awaits_proposal(view));
    shown
}

async fn get_loop(caller: Caller, args: GetLoop) -> Result<Answer, ApiError> {
    let view: LoopView = caller.get(&path_of(args.r#loop)).await?;
    let before = args.before.unwrap_or(u32::MAX);
    let limit = args.limit.unwrap_or(ROUNDS).clamp(1, MOST_ROUNDS);
    let newest = view.rounds.iter().rev().filter(|round| round.number < before).take(limit);
    let rounds: Vec<Value> = newest.map(about_round).collect();
    let LoopSummary { goal, hints, queued, start, .. } = &view.summary;
    let kept = kept_changes(&view.rounds);
    let mut current = start.values.clone();
    current.extend(kept.clone());
    let costs = noise_floor(&view.rounds).map(|_| costs(goal, run_secs(&view.summary, &view.rounds)));
    let data = given(json!({
        "loop": standing(&view), "found": findings(&view.rounds), "parameters": goal.parameters, "kept": kept, "current": current,
        "tried": tried(&view), "hints": hints, "queued": queued.as_ref().map(about_proposal), "rule": goal.rule,
        "screening": goal.screening, "noise_floor": noise_floor(&view.rounds).map(rounded), "costs": costs,
        "outcomes": outcomes(&view.rounds), "rounds": rounds, "last_number": last_number(&view),
    }));
    let answer = Answer::new(data).units(&UNITS);
    let answer = answer.more("get_loop with before, the number of the oldest round that is shown, and a smaller limit");
    Ok(with_next(answer, &view))
}

fn path_of(id: u64) -> String {
    format!("/research-loops/{id}")
}

fn last_number(view: &LoopView) -> u32 {
    view.events.last().map_or(0, |event| event.number)
}

/// The values that cannot be proposed again, by hyperparameter.
fn tried(view: &LoopView) -> BTreeMap<&str, Vec<&Value>> {
    let defaults = view.summary.start.values.iter();
    let mut found: BTreeMap<&str, Vec<&Value>> = defaults.map(|(path, value)| (path.as_str(), vec![value])).collect();
    for proposal in view.rounds.iter().filter_map(|round| round.proposal.as_ref()) {
        found.entry(&proposal.parameter).or_default().extend(&proposal.values);
    }
    found
}

fn outcomes(rounds: &[LoopRound]) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    for decision in rounds.iter().filter_map(|round| round.decision.as_ref()) {
        *counts.entry(decision.outcome.word()).or_default() += 1;
    }
    counts
}

fn about_proposal(proposal: &LoopProposal) -> Value {
    json!({
        "parameter": proposal.parameter, "values": proposal.values, "reason": proposal.reason, "author": proposal.author,
        "difference": rounded(proposal.prediction.difference), "probability": rounded(proposal.prediction.probability),
    })
}

fn about_round(round: &LoopRound) -> Value {
    let trial = |trial: &ScreenedTrial| {
        given(json!({ "value": trial.value, "run": trial.run, "loss": trial.loss.map(rounded) }))
    };
    let verdict = round.decision.as_ref().and_then(|decision| decision.verdict.as_ref());
    given(json!({
        "number": round.number,
        "kind": round.kind,
        "proposal": round.proposal.as_ref().map(about_proposal),
        "sweep": round.sweep,
        "screened": round.screened.iter().map(trial).collect::<Vec<_>>(),
        "tested": round.promoted.as_ref().map(|promoted| json!({
            "value": promoted.value, "screened_difference": rounded(promoted.screened_difference),
            "predicted_difference": rounded(promoted.prediction.difference),
        })),
        "experiment": round.experiment,
        "difference": verdict.and_then(|verdict| verdict.difference).map(rounded),
        "interval": verdict.and_then(|verdict| verdict.interval).map(|ends| ends.map(rounded)),
        "outcome": round.decision.as_ref().map(|decision| decision.outcome),
        "why": round.decision.as_ref().map(|decision| &decision.sentence),
        "veto": round.veto,
        "training_secs": rounded(round.device_secs),
    }))
}

/// Training time of the parts of a loop, from that of a screening trial and of a full-length run, seconds.
fn costs(goal: &LoopGoal, [trial, run]: [f64; 2]) -> Value {
    let LoopGoal { screening, rule, .. } = goal;
    let pairs = |count: u32| rounded(2.0 * f64::from(count) * run);
    json!({
        "trial_secs": rounded(trial),
        "run_secs": rounded(run),
        "noise_floor_secs": rounded(f64::from(screening.seeds) * trial),
        "most_screening_secs": rounded(f64::from(screening.values) * trial),
        "most_test_secs": pairs(rule.max_pairs),
        "confirmation_secs": pairs(rule.confirmation_pairs),
    })
}

/// Suggests what can be done with a loop now.
fn with_next(answer: Answer, view: &LoopView) -> Answer {
    let (id, confirmation) =
        (view.summary.id, view.rounds.last().filter(|round| round.kind == RoundKind::Confirmation));
    match view.summary.state {
        LoopState::Paused => answer.next(format!("steer_loop with loop {id} and action resume")),
        LoopState::Running if awaits_proposal(view) => answer.next(format!("propose_change with loop {id}")),
        LoopState::Running => answer.next(format!("wait_for with loop {id} and since {}", last_number(view))),
        LoopState::Finished | LoopState::Stopped => match confirmation.and_then(|round| round.experiment) {
            Some(experiment) => answer.next(format!("get_experiment with experiment {experiment}")),
            None => answer.next("write_report, whose chapter on research loops lists what was tried"),
        },
    }
}

/// Waits until a loop has an event after `since`, waits for a proposal or has ended, or until a time.
///
/// # Errors
/// Those of the route.
pub async fn wait_for_loop(
    caller: &Caller,
    id: u64,
    mut since: Option<u64>,
    until: Instant,
) -> Result<Answer, ApiError> {
    loop {
        let view: LoopView = caller.get(&path_of(id)).await?;
        let seen = *since.get_or_insert_with(|| last_number(&view).into());
        let new = events_after(caller, &view, seen).await?;
        let (has_ended, now) = (view.summary.state.is_over() && view.current().is_none(), Instant::now());
        let ended_by = match (new.is_empty(), awaits_proposal(&view), has_ended, now >= until) {
            (false, ..) => "event",
            (_, true, ..) => "proposal_needed",
            (_, _, true, _) => "end_of_the_loop",
            (.., true) => "timeout",
            _ => {
                let (state, rounds) = (view.summary.state.word(), view.rounds.len());
                caller.progress().say(format!("research loop {id}: {state}, {rounds} rounds begun"));
                sleep_until((now + EVERY).min(until)).await;
                continue;
            }
        };
        return Ok(waited(ended_by, &view, &new, seen));
    }
}

/// The first events after a number. A loop is read with its newest events only.
async fn events_after(caller: &Caller, view: &LoopView, seen: u64) -> Result<Vec<LoopEvent>, ApiError> {
    let next = seen.saturating_add(1);
    if view.events.first().is_some_and(|first| u64::from(first.number) > next) {
        return caller.get(&format!("{}/events?since={seen}&limit={EVENTS}", path_of(view.summary.id))).await;
    }
    let is_new = |event: &&LoopEvent| u64::from(event.number) >= next;
    Ok(view.events.iter().filter(is_new).take(EVENTS).cloned().collect())
}

fn waited(ended_by: &str, view: &LoopView, new: &[LoopEvent], seen: u64) -> Answer {
    let last = new.last().map_or(seen, |event| event.number.into());
    let data = json!({ "until": ended_by, "last_number": last, "events": new, "loop": standing(view) });
    let answer = Answer::new(data)
        .units(&UNITS)
        .more("wait_for with loop, since and timeout_s 0 returns the events after since");
    match ended_by {
        "event" => answer.next(format!("get_loop with loop {}", view.summary.id)),
        _ => with_next(answer, view),
    }
}
