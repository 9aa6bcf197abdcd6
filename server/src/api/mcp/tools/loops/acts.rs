//! Acts on research loops: a new one, what steers it, and the change that an agent proposes for its next round.

use research::research_loop::{noise_floor, run_secs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::AgentAct;
use wire::RunSpec;
use wire::experiment::Prediction;
use wire::research_loop::LoopGoal;
use wire::research_loop::check::is_same_value;
use wire::research_loop::record::{
    LoopAction, LoopEvent, LoopProposal, LoopState, LoopSummary, LoopView, NewLoopProposal,
};
use wire::run::plan::PlanView;

use super::{SECS_PER_HOUR, UNITS, brief, costs, last_number, path_of, standing};
use crate::api::extract::read;
use crate::api::mcp::acts::{Recovery, acting, dry_run};
use crate::api::mcp::answer::{Answer, Field};
use crate::api::mcp::brief::{ESTIMATE_UNITS, estimate, given, rounded};
use crate::api::mcp::caller::Caller;
use crate::api::mcp::tool::Tool;
use crate::api::mcp::tools::create::{NEWEST, PLACE, created_by_other_calls, parse};
use crate::error::ApiError;
use crate::runs::research_loops::{create, steer};

/// Where a call on a loop needs its role.
const OF_LOOP: &str = "in the project of the loop";
const DRY: Field = ("dry_run", "Whether nothing was changed.");

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::acting(
            "start_loop",
            "Start a research loop",
            "Starts a research loop: a search for a lower validation loss on a dataset, within a budget of device hours. \
             With proposer \"agent\" in the specification it waits for your proposals. With dry_run it returns plan and \
             cost.",
            start_loop,
        )
        .returns(&[
            ("loop", "The research loop that was created."),
            ("plan", "With dry_run: steps of runs and of screening trials, and the current values."),
            ("estimate", "With dry_run: cost of a full-length run."),
            ("costs", "With dry_run: training time of the parts of the loop; absent if the device has no estimate."),
            ("budget_secs", "With dry_run: the most training time before the confirmation."),
            ("notes", "With dry_run: remarks on the plans."),
            DRY,
        ]),
        Tool::acting(
            "steer_loop",
            "Steer a research loop",
            "Pauses, resumes, concludes or stops a research loop, vetoes the proposal of its current round, pins a \
             hyperparameter, suggests a value, or sets who proposes: set_proposer with proposer agent takes the proposing \
             over.",
            steer_loop,
        )
        .returns(&[
            ("loop", "Id of the loop; with dry_run its state."),
            ("state", "Its state after the call."),
            ("hints", "Its hints after the call."),
            ("event", "The event of its journal that says what was done."),
            ("would", "With dry_run: what its journal would say."),
            ("then", "With dry_run: its state after the call."),
            ("obstacle", "With dry_run: why its state does not allow the call."),
            DRY,
        ]),
        Tool::acting(
            "propose_change",
            "Propose a change to a research loop",
            "Proposes the change of the next round of a research loop whose proposer is agent: values of one \
             hyperparameter, with a prediction that is scored. The loop screens and tests them as its own. get_loop lists \
             the values that were tried.",
            propose_change,
        )
        .returns(&[
            ("loop", "Id of the loop; with dry_run its state."),
            ("change", "The proposed change, with its prediction."),
            ("begins_after_round", "The round that has to be decided first; absent if the loop waits for the proposal."),
            ("screening_secs", "With dry_run: estimated time of its screening trials; absent before the noise floor."),
            ("costs", "With dry_run: estimated time of the parts of a round; absent before the noise floor is measured."),
            ("obstacle", "With dry_run: why the loop does not accept a proposal now."),
            DRY,
        ]),
    ]
}

acting!(StartLoop {
    /// {"title": "...", "base": {"preset": "tiny", "corpus": "tales", "steps": 300}, "parameters": {"optimizer.learning_rate": {"log":
    /// [1e-4, 1e-1]}}, "budget": {"device_hours": 0.5}, "proposer": "agent"}; also project, screening {fraction, seeds, values, at_once}
    /// and rule {effect, alpha, tests, max_pairs, confirmation_pairs}. The proposer is builtin by default.
    spec: Map<String, Value>,
});

/// Actions on a research loop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Pause,
    Resume,
    Conclude,
    Stop,
    Veto,
    Pin,
    Unpin,
    Suggest,
    SetProposer,
}

/// Proposer of a research loop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ProposedBy {
    Builtin,
    Agent,
}

acting!(SteerLoop {
    /// Id of the research loop, a number.
    r#loop: u64,
    /// pause starts no further run; conclude ends the search after the current round, and the confirmation follows; stop and veto also
    /// stop the runs; a pinned hyperparameter keeps its current value; a suggested value is tried in the next round.
    action: Action,
    /// For veto: number of the current round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round: Option<u32>,
    /// For pin, unpin and suggest: path of a hyperparameter of the loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// For suggest: a value within its range that was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// For set_proposer: who proposes from the next round on, an agent or the strategy of the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposer: Option<ProposedBy>,
});

acting!(ProposeChange {
    /// Id of the research loop, a number.
    r#loop: u64,
    /// Path of one of its hyperparameters.
    parameter: String,
    /// Values to screen, within the range and not tried before: at most screening.values of get_loop.
    values: Vec<Value>,
    /// Predicted validation loss of a full-length run with the best of these values minus that of one without, bits/byte: below 0 by at
    /// least rule.effect of get_loop.
    difference: f64,
    /// Probability that the change is kept, 0 to 1.
    probability: f64,
});

async fn start_loop(caller: Caller, args: StartLoop) -> Result<Answer, ApiError> {
    let act = args.act(caller, "start_loop", None)?;
    let spec = Value::Object(args.spec);
    let goal: LoopGoal = parse(&spec)?;
    goal.check()?;
    if act.is_dry() {
        return plan(&act.caller, &goal).await;
    }
    let perform = move |caller: Caller| async move {
        let view: LoopView = caller.post("/research-loops", &spec).await?;
        Ok(started(&view.summary))
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move {
            let others = created_by_other_calls(&caller, "/data/loop/id").await?;
            let all: Vec<LoopSummary> = caller.get("/research-loops").await?;
            let is_own = |found: &&LoopSummary| {
                let is_by_agent = found.created_ms >= known.started_ms && caller.is_author(&found.author);
                is_by_agent && found.goal == goal && !others.contains(&json!(found.id))
            };
            Ok(all.iter().take(NEWEST).find(is_own).map(started))
        })
    };
    act.carry_out(perform, recover).await
}

fn started(summary: &LoopSummary) -> Answer {
    let answer = Answer::new(json!({ "loop": brief(summary) })).units(&UNITS);
    answer.next(format!("wait_for with loop {} and since 0", summary.id))
}

/// The plans of a full-length run and of a screening trial, and the cost of the parts of a loop.
async fn plan(caller: &Caller, goal: &LoopGoal) -> Result<Answer, ApiError> {
    let base = RunSpec { project: goal.project.clone(), ..goal.base.clone() };
    let full: PlanView = caller.post("/plan", &json!(base)).await.map_err(create::of_base)?;
    let start = create::start(goal, base, &full.plan)?;
    let short: PlanView = caller.post("/plan", &json!(create::short(goal, &start))).await.map_err(create::of_base)?;
    let secs = short.estimate.secs.zip(full.estimate.secs);
    let notes = [full.notes, short.notes].concat();
    let data = given(json!({
        "plan": { "steps": start.steps, "screening_steps": start.short_steps, "current": start.values },
        "estimate": estimate(&full.estimate),
        "costs": secs.map(|(trial, run)| costs(goal, [trial, run])),
        "budget_secs": rounded(goal.budget.device_hours * SECS_PER_HOUR),
        "notes": notes,
    }));
    let answer = Answer::new(data).units(&UNITS).units(&[ESTIMATE_UNITS]);
    Ok(dry_run(answer.note("the confirmation costs device time beyond the budget"), PLACE))
}

/// The action of the API. Only a stop and a veto have a reason there.
fn action_of(args: &SteerLoop, reason: String) -> Result<LoopAction, ApiError> {
    let reason = matches!(args.action, Action::Stop | Action::Veto).then_some(reason);
    let body = given(json!({
        "action": args.action, "round": args.round, "parameter": args.parameter, "value": args.value, "proposer": args.proposer,
        "reason": reason,
    }));
    read(body.to_string().as_bytes()).map_err(|mut error| {
        "arguments_invalid".clone_into(&mut error.body.code);
        error.hint("tools/list describes the arguments that each action needs")
    })
}

async fn steer_loop(caller: Caller, args: SteerLoop) -> Result<Answer, ApiError> {
    let act = args.act(caller, "steer_loop", None)?;
    let (id, action) = (args.r#loop, action_of(&args, act.text())?);
    if act.is_dry() {
        let view: LoopView = act.caller.get(&path_of(id)).await?;
        return planned(&view, &steer::rounded(&view.summary.goal, action));
    }
    let (body, told) = (json!(action), action.clone());
    let perform = move |caller: Caller| async move {
        let view: LoopView = caller.patch(&path_of(id), &body).await?;
        Ok(steered(&view, event_of(&caller, &view, &told, i64::MIN)))
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move {
            let view: LoopView = caller.get(&path_of(id)).await?;
            let found = event_of(&caller, &view, &action, known.started_ms);
            Ok(found.is_some().then(|| steered(&view, found)))
        })
    };
    act.carry_out(perform, recover).await
}

/// The newest event of an action of this agent in the journal of a loop, not older than `since_ms`.
fn event_of<'a>(caller: &Caller, view: &'a LoopView, action: &LoopAction, since_ms: i64) -> Option<&'a LoopEvent> {
    let words = steer::words(&steer::rounded(&view.summary.goal, action.clone()));
    let is_own = |event: &&LoopEvent| caller.is_author(&event.author) && says(&event.text, &words);
    view.events.iter().rev().take_while(|event| event.at_ms >= since_ms).find(is_own)
}

/// Whether a line of the journal is these words, also with a reason behind them. `= 0.01` is not the line of `= 0.012`.
fn says(line: &str, words: &str) -> bool {
    line.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
}

fn steered(view: &LoopView, event: Option<&LoopEvent>) -> Answer {
    let (id, summary) = (view.summary.id, &view.summary);
    let data = given(json!({ "loop": id, "state": summary.state, "hints": summary.hints, "event": event }));
    let answer = Answer::new(data).units(&UNITS);
    answer.next(format!("wait_for with loop {id} and since {}", event.map_or(0, |event| event.number)))
}

/// The answer to a dry run of an action.
fn planned(view: &LoopView, action: &LoopAction) -> Result<Answer, ApiError> {
    steer::check(view, action)?;
    let then = match action {
        LoopAction::Pause => LoopState::Paused,
        LoopAction::Resume => LoopState::Running,
        LoopAction::Stop { .. } => LoopState::Stopped,
        _ => view.summary.state,
    };
    let data = given(json!({
        "loop": standing(view), "would": steer::words(action), "then": then, "obstacle": steer::obstacle(view, action),
    }));
    Ok(dry_run(Answer::new(data).units(&UNITS), OF_LOOP))
}

async fn propose_change(caller: Caller, args: ProposeChange) -> Result<Answer, ApiError> {
    let act = args.act(caller, "propose_change", None)?;
    let id = args.r#loop;
    let prediction = Prediction { difference: args.difference, probability: args.probability };
    let new = NewLoopProposal { parameter: args.parameter, values: args.values, prediction, reason: act.text() };
    if act.is_dry() {
        let view: LoopView = act.caller.get(&path_of(id)).await?;
        return would_propose(&view, &view.summary.goal.rounded_proposal(&new));
    }
    let body = json!(new);
    let path = format!("{}/proposals", path_of(id));
    let sent = new.clone();
    let perform = move |caller: Caller| async move {
        let view: LoopView = caller.post(&path, &body).await?;
        Ok(proposed(&view, &view.summary.goal.rounded_proposal(&sent)))
    };
    let recover = move |caller: Caller, _: AgentAct| -> Recovery {
        Box::pin(async move {
            let view: LoopView = caller.get(&path_of(id)).await?;
            let new = view.summary.goal.rounded_proposal(&new);
            let of_rounds = view.rounds.iter().rev().filter_map(|round| round.proposal.as_ref());
            // Values that were tried are refused, so no other proposal has the same ones.
            let is_own = |found: &LoopProposal| {
                let mut values = found.values.iter().zip(&new.values);
                caller.is_author(&found.author)
                    && found.parameter == new.parameter
                    && found.values.len() == new.values.len()
                    && values.all(|(one, other)| is_same_value(one, other))
            };
            let is_known = view.summary.queued.iter().chain(of_rounds).any(is_own);
            Ok(is_known.then(|| proposed(&view, &new)))
        })
    };
    act.carry_out(perform, recover).await
}

fn proposed(view: &LoopView, new: &NewLoopProposal) -> Answer {
    let id = view.summary.id;
    let data = given(json!({
        "loop": id, "change": new, "begins_after_round": view.current().map(|round| round.number),
    }));
    Answer::new(data).units(&UNITS).next(format!("wait_for with loop {id} and since {}", last_number(view)))
}

/// The answer to a dry run of a proposal: its cost, and whether the loop accepts it now.
fn would_propose(view: &LoopView, new: &NewLoopProposal) -> Result<Answer, ApiError> {
    steer::check_proposal(view, new)?;
    let secs = noise_floor(&view.rounds).map(|_| run_secs(&view.summary, &view.rounds));
    let data = given(json!({
        "loop": standing(view),
        "change": new,
        "begins_after_round": view.current().map(|round| round.number),
        "screening_secs": secs.map(|[trial, _]| rounded(trial * new.values.len() as f64)),
        "costs": secs.map(|secs| costs(&view.summary.goal, secs)),
        "obstacle": steer::proposal_obstacle(&view.summary),
    }));
    Ok(dry_run(Answer::new(data).units(&UNITS), OF_LOOP))
}

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn a_line_of_the_journal_is_that_of_one_action() {
        for (line, words, expected) in [
            ("paused: on request", "paused", true),
            ("running", "running", true),
            ("suggested for the next round: a = 0.01", "suggested for the next round: a = 0.01", true),
            ("suggested for the next round: a = 0.012", "suggested for the next round: a = 0.01", false),
            ("round 1 vetoed: too slow", "round 1 vetoed: too", false),
        ] {
            assert_eq!(says(line, words), expected, "{line} and {words}");
        }
    }
}
