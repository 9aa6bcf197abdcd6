//! The plan of a fork: the parent's plan with what may differ. Everything else is inherited from the parent. The datasets may differ if
//! the tokenizer is not made from them.

use crate::control::command::Command;
use crate::control::event::Event;
use crate::control::intervention;
use crate::data::corpus::CorpusInfo;
use crate::device::DeviceInfo;
use crate::error::PlanError;
use crate::hyperparameters::mix::MixSchedule;
use crate::run::plan::{
    Origin, PlanView, RunPlan, apply_overrides, check_breakpoints, check_lengths, check_memory, choose_device,
    choose_texts, parts, prompt,
};
use crate::run::spec::{Parent, RunSpec};

/// Resolves the spec of a fork; `origin` has the parent's live hyperparameters there. The datasets are the parent's by default.
///
/// # Errors
/// The field that a fork cannot change, and what to do.
pub fn resolve_fork(
    spec: &RunSpec,
    parent: &RunPlan,
    mut origin: Origin,
    devices: &[DeviceInfo],
    corpora: &[CorpusInfo],
) -> Result<PlanView, PlanError> {
    check_inherited_fields(spec, parent)?;
    let here = origin.from.checkpoint.step;
    if let Some(steps) = spec.steps {
        if steps < here {
            let message = format!("the fork begins at step {here} and cannot end at step {steps}");
            return Err(PlanError::new("steps", message).hint(format!("give more than {here} steps")));
        }
        origin.hyperparameters.steps = steps;
    }
    let wanted = RunSpec { device: spec.device.clone().or_else(|| Some(parent.device.clone())), ..spec.clone() };
    let device = choose_device(&wanted, devices)?;
    let mut before = parent.recipe.clone();
    before.breakpoints.clear();
    let recipe = apply_overrides(before.clone(), &spec.overrides)?;
    origin.hyperparameters.intervals.eval_every =
        changed(before.intervals.eval_every, recipe.intervals.eval_every, origin.hyperparameters.intervals.eval_every);
    origin.hyperparameters.intervals.sample_every = changed(
        before.intervals.sample_every,
        recipe.intervals.sample_every,
        origin.hyperparameters.intervals.sample_every,
    );
    origin.hyperparameters.intervals.checkpoint_every = changed(
        before.intervals.checkpoint_every,
        recipe.intervals.checkpoint_every,
        origin.hyperparameters.intervals.checkpoint_every,
    );
    let mut plan = RunPlan {
        steps: origin.hyperparameters.steps,
        seed: spec.seed.unwrap_or(parent.seed),
        recipe,
        device: device.id.clone(),
        ..parent.clone()
    };
    match spec.corpus.is_some() || spec.mix.is_some() {
        true => {
            let texts = choose_texts(spec, corpora)?;
            (plan.mix, plan.prompt) = (parts(&texts), prompt(&texts));
            check_lengths(&plan, &texts)?;
            origin.hyperparameters.mix = MixSchedule::constant(plan.mix.iter().map(|part| part.weight).collect());
        }
        false => check_texts(parent, corpora)?,
    }
    plan.origin = Some(origin);
    check_breakpoints(&plan)?;
    let estimate = plan.estimate(device);
    check_memory(&plan, &estimate, device)?;
    let mut notes = vec![];
    if device.id != parent.device {
        notes.push(format!(
            "The parent trained on {}. On another device the losses differ in the last digits.",
            parent.device
        ));
    }
    Ok(PlanView { plan, estimate, notes })
}

/// The parent's datasets must be in this lab: an imported run may have none or others.
fn check_texts(parent: &RunPlan, corpora: &[CorpusInfo]) -> Result<(), PlanError> {
    if parent.mix.is_empty() {
        return Err(
            PlanError::new("corpus", "the imported model has no dataset").hint("give one, for example corpus: tales")
        );
    }
    let found = |id| corpora.iter().find(|info| info.id == id);
    let away = parent
        .mix
        .iter()
        .find(|part| found(part.corpus.clone()).is_none_or(|info| info.content_hash != part.content_hash));
    let Some(part) = away else { return Ok(()) };
    let message = match found(part.corpus.clone()) {
        Some(_) => format!("the parent was trained on another dataset with the id {}", part.corpus),
        None => format!("the parent's dataset {} is not in this lab", part.corpus),
    };
    let hint = match parent.tokenizer.is_trained_on_corpus() {
        true => "upload that dataset again",
        false => "upload that dataset, or give another one as corpus",
    };
    Err(PlanError::new("corpus", message).hint(hint))
}

/// The overridden value, or else the live one.
fn changed(planned: u64, overridden: u64, live: u64) -> u64 {
    if planned == overridden { live } else { overridden }
}

fn check_inherited_fields(spec: &RunSpec, parent: &RunPlan) -> Result<(), PlanError> {
    let given =
        [("preset", spec.preset.is_some()), ("depth", spec.depth.is_some()), ("tokenizer", spec.tokenizer.is_some())];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(PlanError::new(field, "a fork keeps its parent's model and tokenizer")
            .hint("leave it out, or start a new run"));
    }
    let texts = [("corpus", spec.corpus.is_some()), ("mix", spec.mix.is_some())];
    if let Some((field, _)) = texts.into_iter().find(|(_, given)| *given && parent.tokenizer.is_trained_on_corpus()) {
        let message = format!("the parent's tokenizer ({}) is made from its own datasets", parent.tokenizer);
        return Err(PlanError::new(field, message).hint("leave it out, or start a new run"));
    }
    let free = |path: &&String| {
        ["intervals.", "retention.", "budget.", "breakpoints"].iter().any(|start| path.starts_with(start))
    };
    match spec.overrides.keys().find(|path| !free(path)) {
        Some(path) => Err(PlanError::new(&format!("overrides.{path}"), "a fork keeps its parent's hyperparameters")
            .hint("change it with a command in parent.changes: set, set_schedule or edit_weights")),
        None => Ok(()),
    }
}

/// The events of a fork's changes, in order, at its first step.
///
/// # Errors
/// The first change that is invalid, and why.
pub fn changes(parent: &Parent, plan: &RunPlan) -> Result<Vec<(Command, Event)>, PlanError> {
    let mut hyperparameters = plan.live();
    let here = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    let mut events = vec![];
    for (place, command) in parent.changes.iter().enumerate() {
        let field = format!("parent.changes[{place}]");
        if matches!(command, Command::EditWeights { .. }) && hyperparameters.steps <= here {
            let message = format!("the fork begins at its last step, {here}, and trains no step after the weight edit");
            return Err(PlanError::new("steps", message).hint(format!("give more than {here} steps")));
        }
        let event = match command {
            Command::EditWeights { interventions, .. } => {
                let event = Event::WeightsEdited { interventions: interventions.clone() };
                intervention::check_weight_edit(interventions, &plan.recipe.model).map(|()| Some(event))
            }
            command => hyperparameters.change(command, here),
        };
        let Some(event) = event.map_err(|error| PlanError { field: field.clone(), ..error })? else {
            return Err(PlanError::new(
                &field,
                "only set, set_schedule and edit_weights can be applied before the first step",
            ));
        };
        hyperparameters.apply(&event, here);
        events.push((command.clone(), event));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::checkpoint::{CheckpointId, CheckpointRef};
    use crate::data::tokenizer::Tokenizer;
    use crate::device::DeviceKind;
    use crate::run::plan::MixPart;
    use crate::run::plan::tests::{lab, plan_of};

    #[test]
    fn a_fork_accepts_allowed_changes_and_refuses_others() {
        let (corpora, _) = lab();
        let mut parent = plan_of(r#"{"corpus":"tales","steps":1000,"overrides":{"breakpoints":[300,500]}}"#);
        let device = DeviceInfo {
            id: parent.device.clone(),
            name: "cpu".into(),
            kind: DeviceKind::Cpu,
            backend: "flex".into(),
            cores: 2,
            memory_bytes: 0,
            flops_per_sec: 0.0,
        };
        let fork_of = |parent: &RunPlan, text: &str| {
            let spec: RunSpec = serde_json::from_str(text).unwrap();
            let from =
                CheckpointRef { run: "amber-fox".parse().unwrap(), checkpoint: CheckpointId { segment: 0, step: 300 } };
            let origin = Origin { from, hyperparameters: parent.live(), best_valid: None };
            let view = resolve_fork(&spec, parent, origin, std::slice::from_ref(&device), &corpora)?;
            changes(&spec.parent.unwrap(), &view.plan).map(|events| (view.plan, events))
        };
        let fork = |text: &str| fork_of(&parent, text);
        let (plan, events) = fork(
            r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","path":"optimizer.learning_rate","value":0.0001}]},"steps":2000,"overrides":{"intervals.eval_every":7}}"#,
        )
        .unwrap();
        assert_eq!((plan.steps, events.len(), plan.live().intervals.eval_every), (2000, 1, 7));
        assert_eq!(plan.recipe.breakpoints, [0; 0], "a fork does not inherit breakpoints");
        let field = |text: &str| fork(text).unwrap_err().field;
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"preset":"tiny"}"#), "preset");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"steps":200}"#), "steps");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"overrides":{"breakpoints":[299]}}"#), "breakpoints");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"overrides":{"model.layers":2}}"#), "overrides.model.layers");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox","changes":[{"kind":"pause"}]}}"#), "parent.changes[0]");
        assert_eq!(
            field(
                r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","path":"optimizer.grad_clip","value":-1}]}}"#
            ),
            "parent.changes[0]"
        );
        let silence = r#"{"parent":{"run":"amber-fox","changes":[{"kind":"edit_weights","interventions":[{"component":{"mlp":{"layer":BLOCK}},"factor":0}]}]}}"#;
        assert_eq!(fork(&silence.replace("BLOCK", "0")).unwrap().1[0].1.phrase(), "MLP of block 0 ablated");
        assert_eq!(field(&silence.replace("BLOCK", "99")), "parent.changes[0]");
        let at_its_end = silence.replace("BLOCK", "0").replacen('{', "{\"steps\":300,", 1);
        assert_eq!(field(&at_its_end), "steps", "it would train nothing");
        assert_eq!(
            field(r#"{"parent":{"run":"amber-fox"},"corpus":"tales"}"#),
            "corpus",
            "its tokenizer is made from its dataset"
        );
        // As an imported model: with its own tokenizer and no dataset.
        (parent.mix, parent.tokenizer) = (vec![], Tokenizer::Imported(7));
        let alone = fork_of(&parent, r#"{"parent":{"run":"amber-fox"}}"#).unwrap_err();
        assert_eq!((alone.field.as_str(), alone.hint.is_some()), ("corpus", true));
        let (plan, _) = fork_of(&parent, r#"{"parent":{"run":"amber-fox"},"corpus":"tales"}"#).unwrap();
        assert_eq!((plan.corpora().len(), plan.live().mix.at(300)), (1, vec![1.0]));
        parent.mix = vec![MixPart { corpus: "tales".parse().unwrap(), content_hash: "other".into(), weight: 1.0 }];
        let other = fork_of(&parent, r#"{"parent":{"run":"amber-fox"}}"#).unwrap_err();
        assert!(other.field == "corpus" && other.message.contains("another dataset"), "{other}");
    }
}
