//! Creates research loops: plans the recipe at the full and at the screening length, and reads the values with which the search begins.

use std::collections::BTreeMap;

use research::research_loop::specs;
use serde_json::Value;
use store::{Identity, NewLoop};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::number::grouped;
use wire::research_loop::LoopGoal;
use wire::research_loop::record::{LoopHints, LoopRound, LoopStart, LoopState, LoopSummary, LoopView, RoundKind};
use wire::{PlanError, RunPlan, RunSpec};

use crate::auth::author;
use crate::auth::spec::{permit, permit_order};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::runs::plan::plan;

/// Creates a loop. The next check begins its first round, the noise floor.
///
/// # Errors
/// The field that is invalid; 403 or 404 for a project that the sender may not steer, and for a share link; 409 if too many loops run; an error of
/// the store.
pub async fn create(lab: &Lab, identity: &Identity, goal: LoopGoal) -> Result<LoopView, ApiError> {
    goal.check()?;
    let mut base = RunSpec { project: goal.project.clone(), ..goal.base.clone() };
    permit(lab, identity, &mut base, Role::Steer).await?;
    let project = base.project.clone().unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    // Rounds begin later, when a share link may have expired.
    permit_order(lab, identity, &project).await?;
    let planned = plan(lab, &base).await.map_err(of_base)?;
    let start = start(&goal, base, &planned.plan)?;
    // A screening trial must be valid before a device hour is used.
    plan(lab, &short(&goal, &start)).await.map_err(of_base)?;
    let creator = identity.creator();
    let (person, token) = (creator.person, creator.token);
    let new = NewLoop { project, author: author(identity), person, token, goal, start };
    Ok(lab.store().create_loop(&new).await?)
}

/// The error of a plan with the path of its field within the goal.
pub fn of_base(error: ApiError) -> ApiError {
    match error.body.field.clone() {
        Some(field) => error.field(format!("base.{field}")),
        None => error,
    }
}

/// The recipe at the beginning of a loop. `base` is the one of the goal with the project; `plan` is its plan.
///
/// # Errors
/// 422 for a base with too few steps for screening trials.
pub fn start(goal: &LoopGoal, base: RunSpec, plan: &RunPlan) -> Result<LoopStart, ApiError> {
    let short_steps = (plan.steps as f64 * goal.screening.fraction).round() as u64;
    if short_steps == 0 {
        let message = format!("{} steps are too few for screening trials", grouped(plan.steps));
        return Err(PlanError::new("base.steps", message).hint("train more steps").into());
    }
    let recipe = serde_json::to_value(&plan.recipe).map_err(|error| ApiError::internal("a recipe", error))?;
    let value = |path: &String| {
        let found = recipe.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or(Value::Null);
        (path.clone(), found)
    };
    let values: BTreeMap<String, Value> = goal.parameters.keys().map(value).collect();
    Ok(LoopStart {
        seed: base.seed.unwrap_or(1),
        base: RunSpec { seed: None, steps: Some(plan.steps), ..base },
        steps: plan.steps,
        short_steps,
        warmup_steps: plan.recipe.schedule.warmup_steps,
        values,
    })
}

/// The specification of a screening trial of the default recipe.
pub fn short(goal: &LoopGoal, start: &LoopStart) -> RunSpec {
    let summary = LoopSummary {
        id: 0,
        project: goal.project.clone().unwrap_or_default(),
        author: wire::Author::System,
        goal: goal.clone(),
        start: start.clone(),
        hints: LoopHints::default(),
        queued: None,
        state: LoopState::Running,
        reason: None,
        created_ms: 0,
        ended_ms: None,
    };
    specs::sweep(&summary, &[], &new_round(1, RoundKind::NoiseFloor)).base
}

/// A round that has not begun.
pub(super) fn new_round(number: u32, kind: RoundKind) -> LoopRound {
    LoopRound {
        number,
        kind,
        proposal: None,
        hints: LoopHints::default(),
        created_ms: now_ms(),
        sweep: None,
        screened: vec![],
        promoted: None,
        experiment: None,
        pairs: vec![],
        veto: None,
        decision: None,
        device_secs: 0.0,
    }
}
