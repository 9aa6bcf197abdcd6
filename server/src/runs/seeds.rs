//! The noise floor on request: runs with the plan of a run and other seeds, found again by a tag.

use std::collections::BTreeSet;

use store::Identity;
use wire::access::Role;
use wire::run::RunChange;
use wire::run::copy::spec_of;
use wire::run::spec::Parent;
use wire::run::table::tags::{TAG_CHARS, checked_tags};
use wire::{RunId, RunSpec, RunSummary, RunView};

use super::measured::{FAMILY, family_of};
use super::{create, edit};
use crate::auth::author;
use crate::auth::spec::permit;
use crate::error::ApiError;
use crate::lab::{Lab, name};

/// Maximum number of runs of one request.
pub const MAX_SEEDS: u32 = 20;

/// Queues `count` runs that differ from a run in the seed only. They and the run get the tag of its family.
///
/// # Errors
/// 409 for a run whose hyperparameters were changed while it trained, and for a full queue; 422 for a count out of range, for too many tags,
/// and where the plan can no longer be resolved; an error of the store.
pub async fn repeat(lab: &Lab, identity: &Identity, run: &RunId, count: u32) -> Result<Vec<RunSummary>, ApiError> {
    if !(1..=MAX_SEEDS).contains(&count) {
        return Err(ApiError::invalid("value_invalid", format!("{count} is not a valid number of seeds"))
            .field("count")
            .hint(format!("enter 1 to {MAX_SEEDS}")));
    }
    let view = lab.feed.view(run).await?;
    if view.hyperparameters.changes != view.plan.live().changes {
        let message = format!("{run} was changed while it trained, and a run with another seed repeats only its plan");
        return Err(ApiError::conflict("run_changed", message)
            .hint("start a new run with the hyperparameters that it ended with, and run more seeds of that"));
    }
    let tag = match family_of(&view.summary) {
        Some(tag) => tag.to_owned(),
        None => format!("{FAMILY}{run}").chars().take(TAG_CHARS).collect(),
    };
    let with_tag = |summary: &RunSummary| [summary.tags.clone(), vec![tag.clone()]].concat();
    let tags = checked_tags(&with_tag(&view.summary)).map_err(ApiError::invalid_value)?;
    let tasks = lab.store().task_schedules(run).await?;
    let mut made = vec![];
    for seed in free_seeds(lab, &view, &tag).await?.take(count as usize) {
        let mut spec = RunSpec { tasks: tasks.clone(), ..repeated(&view, seed) };
        permit(lab, identity, &mut spec, Role::Steer).await?;
        let id = create::create(lab, spec, author(identity)).await?;
        // With the first of them, because a full queue may refuse the others.
        if made.is_empty() && !view.summary.tags.contains(&tag) {
            edit::change(lab, run, RunChange { tags: Some(tags.clone()), ..RunChange::default() }).await?;
        }
        let tags = Some(vec![tag.clone()]);
        made.push(edit::change(lab, &id, RunChange { tags, ..RunChange::default() }).await?);
    }
    Ok(made)
}

/// Seeds after that of the run that no run of its family has.
async fn free_seeds(lab: &Lab, view: &RunView, tag: &str) -> Result<impl Iterator<Item = u64> + use<>, ApiError> {
    let mut used = BTreeSet::from([view.plan.seed]);
    for other in lab.store().runs(true).await?.iter().filter(|other| family_of(other) == Some(tag)) {
        used.extend(lab.store().run(&other.id).await?.map(|other| other.plan.seed));
    }
    let first = view.plan.seed;
    Ok((1..).map(move |offset| first.wrapping_add(offset)).filter(move |seed| !used.contains(seed)))
}

/// The specification of the run with another seed, for the same devices and without its tasks.
fn repeated(view: &RunView, seed: u64) -> RunSpec {
    let plan = &view.plan;
    let base = match &plan.origin {
        // The overrides and changes of a fork are those of its specification.
        Some(origin) => {
            let checkpoint = Some(origin.from.checkpoint);
            let parent = match view.spec.parent.clone() {
                Some(own) => Parent { checkpoint, step: None, control_of: None, ..own },
                None => Parent {
                    run: origin.from.run.clone(),
                    step: None,
                    checkpoint,
                    changes: vec![],
                    refit_schedule: false,
                    control_of: None,
                },
            };
            RunSpec { parent: Some(parent), ..view.spec.clone() }
        }
        None => spec_of(plan),
    };
    let suffix = format!(" seed {seed}");
    let short: String = view.summary.name.chars().take(name::NAME_CHARS - suffix.len()).collect();
    RunSpec {
        seed: Some(seed),
        name: Some(format!("{short}{suffix}")),
        device: view.spec.device.clone(),
        pool: view.spec.pool.clone(),
        project: Some(view.summary.project.clone()),
        copied_from: Some(view.summary.id.clone()),
        ..base
    }
}
