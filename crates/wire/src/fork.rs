//! A fork's plan: the parent's, with the few things that may differ. Everything else is carried by the state itself.

use crate::command::Command;
use crate::device::DeviceInfo;
use crate::dials::Dials;
use crate::error::PlanError;
use crate::event::Event;
use crate::history::Origin;
use crate::plan::{PlanView, RunPlan, apply_overrides, check_memory, choose_device};
use crate::spec::{Parent, RunSpec};

/// Resolves a spec that begins with another run's state; `origin` holds the parent's dials there.
///
/// # Errors
/// The field that a fork cannot change, and the way out.
pub fn resolve_fork(
    spec: &RunSpec,
    parent: &RunPlan,
    mut origin: Origin,
    devices: &[DeviceInfo],
) -> Result<PlanView, PlanError> {
    refuse_what_is_carried(spec)?;
    let here = origin.from.checkpoint.step;
    if let Some(steps) = spec.steps {
        if steps < here {
            let message = format!("it begins at step {here} and cannot end at {steps}");
            return Err(PlanError::new("steps", message).hint(format!("more than {here}")));
        }
        origin.dials.steps = steps;
    }
    let wanted = RunSpec { device: spec.device.clone().or_else(|| Some(parent.device.clone())), ..spec.clone() };
    let device = choose_device(&wanted, devices)?;
    let before = parent.recipe.clone();
    let recipe = apply_overrides(before.clone(), &spec.overrides)?;
    origin.dials.eval_every = changed(before.cadence.eval_every, recipe.cadence.eval_every, origin.dials.eval_every);
    origin.dials.sample_every =
        changed(before.cadence.sample_every, recipe.cadence.sample_every, origin.dials.sample_every);
    origin.dials.checkpoint_every = changed(before.keep.every, recipe.keep.every, origin.dials.checkpoint_every);
    let plan = RunPlan {
        steps: origin.dials.steps,
        seed: spec.seed.unwrap_or(parent.seed),
        recipe,
        device: device.id.clone(),
        origin: Some(origin),
        ..parent.clone()
    };
    let estimate = plan.estimate(device);
    check_memory(&plan, &estimate, device)?;
    let mut notes = vec![];
    if device.id != parent.device {
        notes.push(format!("Another device than {}'s: its numbers will differ in the last digits.", parent.device));
    }
    Ok(PlanView { plan, estimate, notes })
}

/// What was overridden, or else the dial as it stood.
fn changed(planned: u64, overridden: u64, dial: u64) -> u64 {
    if planned == overridden { dial } else { overridden }
}

fn refuse_what_is_carried(spec: &RunSpec) -> Result<(), PlanError> {
    let given = [
        ("preset", spec.preset.is_some()),
        ("depth", spec.depth.is_some()),
        ("corpus", spec.corpus.is_some()),
        ("mix", spec.mix.is_some()),
        ("tokenizer", spec.tokenizer.is_some()),
    ];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(PlanError::new(field, "a fork carries its parent's model, texts and tokenizer")
            .hint("leave it out, or start a run of its own"));
    }
    let free = |path: &&String| ["cadence.", "keep.", "budget."].iter().any(|start| path.starts_with(start));
    match spec.overrides.keys().find(|path| !free(path)) {
        Some(path) => Err(PlanError::new(&format!("overrides.{path}"), "a fork carries its parent's numbers")
            .hint("turn dials by parent.changes: set rate, clip, weight_decay, or redraw rate, mix, passes")),
        None => Ok(()),
    }
}

/// The events that a fork's changes are, in order, at its first step.
///
/// # Errors
/// The change that cannot be made, and why.
pub fn changes(parent: &Parent, plan: &RunPlan) -> Result<Vec<(Command, Event)>, PlanError> {
    let mut dials = Dials::new(plan);
    let here = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    let mut events = vec![];
    for (place, command) in parent.changes.iter().enumerate() {
        let field = format!("parent.changes[{place}]");
        let event = dials.change(command, here).map_err(|message| PlanError::new(&field, message))?;
        let Some(event) = event else {
            return Err(PlanError::new(&field, "only set and redraw can be made before the first step"));
        };
        dials.apply(&event, here);
        events.push((command.clone(), event));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{CheckpointId, CheckpointRef};
    use crate::device::DeviceKind;
    use crate::plan::tests::plan_of;

    #[test]
    fn a_fork_changes_little_and_says_what_it_cannot() {
        let parent = plan_of(r#"{"corpus":"tales","steps":1000}"#);
        let device = DeviceInfo {
            id: parent.device.clone(),
            name: "cpu".into(),
            kind: DeviceKind::Cpu,
            backend: "flex".into(),
            cores: 2,
            memory_bytes: 0,
            flops_per_sec: 0.0,
        };
        let fork = |text: &str| {
            let spec: RunSpec = serde_json::from_str(text).unwrap();
            let from =
                CheckpointRef { run: "amber-fox".parse().unwrap(), checkpoint: CheckpointId { segment: 0, step: 300 } };
            let origin = Origin { from, dials: Dials::new(&parent), best_valid: None };
            let view = resolve_fork(&spec, &parent, origin, std::slice::from_ref(&device))?;
            changes(&spec.parent.unwrap(), &view.plan).map(|events| (view.plan, events))
        };
        let (plan, events) = fork(
            r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","field":"rate","value":0.0001}]},"steps":2000,"overrides":{"cadence.eval_every":7}}"#,
        )
        .unwrap();
        assert_eq!((plan.steps, events.len(), Dials::new(&plan).eval_every), (2000, 1, 7));
        let field = |text: &str| fork(text).unwrap_err().field;
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"preset":"tiny"}"#), "preset");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"steps":200}"#), "steps");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"overrides":{"model.layers":2}}"#), "overrides.model.layers");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox","changes":[{"kind":"pause"}]}}"#), "parent.changes[0]");
        assert_eq!(
            field(r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","field":"clip","value":-1}]}}"#),
            "parent.changes[0]"
        );
    }
}
