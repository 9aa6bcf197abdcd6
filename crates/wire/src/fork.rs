//! A fork's plan: the parent's, with the few things that may differ. Everything else is carried by the state itself. Its texts may be
//! others, where the tokenizer is not made of the texts.

use crate::command::Command;
use crate::corpus::CorpusInfo;
use crate::course::MixCourse;
use crate::device::DeviceInfo;
use crate::dials::Dials;
use crate::edit;
use crate::error::PlanError;
use crate::event::Event;
use crate::history::Origin;
use crate::plan::{
    PlanView, RunPlan, apply_overrides, check_holds, check_lengths, check_memory, choose_device, choose_texts, parts,
    prompt,
};
use crate::spec::{Parent, RunSpec};

/// Resolves a spec that begins with another run's state; `origin` holds the parent's dials there. Texts are its parent's unless told.
///
/// # Errors
/// The field that a fork cannot change, and the way out.
pub fn resolve_fork(
    spec: &RunSpec,
    parent: &RunPlan,
    mut origin: Origin,
    devices: &[DeviceInfo],
    corpora: &[CorpusInfo],
) -> Result<PlanView, PlanError> {
    refuse_what_is_carried(spec, parent)?;
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
    let mut before = parent.recipe.clone();
    before.cadence.hold_at.clear();
    let recipe = apply_overrides(before.clone(), &spec.overrides)?;
    origin.dials.eval_every = changed(before.cadence.eval_every, recipe.cadence.eval_every, origin.dials.eval_every);
    origin.dials.sample_every =
        changed(before.cadence.sample_every, recipe.cadence.sample_every, origin.dials.sample_every);
    origin.dials.checkpoint_every = changed(before.keep.every, recipe.keep.every, origin.dials.checkpoint_every);
    let mut plan = RunPlan {
        steps: origin.dials.steps,
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
            origin.dials.mix = MixCourse::level(plan.mix.iter().map(|part| part.weight).collect());
        }
        false => check_texts(parent, corpora)?,
    }
    plan.origin = Some(origin);
    check_holds(&plan)?;
    let estimate = plan.estimate(device);
    check_memory(&plan, &estimate, device)?;
    let mut notes = vec![];
    if device.id != parent.device {
        notes.push(format!("Another device than {}'s: its numbers will differ in the last digits.", parent.device));
    }
    Ok(PlanView { plan, estimate, notes })
}

/// The parent's texts must be in this lab: it may have come from another one, or without any.
fn check_texts(parent: &RunPlan, corpora: &[CorpusInfo]) -> Result<(), PlanError> {
    if parent.mix.is_empty() {
        return Err(PlanError::new("corpus", "the model came without a text").hint("corpus: tales, for a start"));
    }
    let found = |id| corpora.iter().find(|info| info.id == id);
    let away = parent
        .mix
        .iter()
        .find(|part| found(part.corpus.clone()).is_none_or(|info| info.content_hash != part.content_hash));
    let Some(part) = away else { return Ok(()) };
    let message = match found(part.corpus.clone()) {
        Some(_) => format!("the parent was trained on another text of the name {}", part.corpus),
        None => format!("its parent's text {} is not in this lab", part.corpus),
    };
    let hint = match parent.tokenizer.is_of_its_texts() {
        true => "bring that text back",
        false => "bring that text, or name another: corpus",
    };
    Err(PlanError::new("corpus", message).hint(hint))
}

/// What was overridden, or else the dial as it stood.
fn changed(planned: u64, overridden: u64, dial: u64) -> u64 {
    if planned == overridden { dial } else { overridden }
}

fn refuse_what_is_carried(spec: &RunSpec, parent: &RunPlan) -> Result<(), PlanError> {
    let given =
        [("preset", spec.preset.is_some()), ("depth", spec.depth.is_some()), ("tokenizer", spec.tokenizer.is_some())];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(PlanError::new(field, "a fork carries its parent's model and tokenizer")
            .hint("leave it out, or start a run of its own"));
    }
    let texts = [("corpus", spec.corpus.is_some()), ("mix", spec.mix.is_some())];
    if let Some((field, _)) = texts.into_iter().find(|(_, given)| *given && parent.tokenizer.is_of_its_texts()) {
        let message =
            format!("the parent's tokenizer ({}) is made of its own texts, and others have another", parent.tokenizer);
        return Err(PlanError::new(field, message).hint("leave it out, or start a run of its own"));
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
        if matches!(command, Command::Edit { .. }) && dials.steps <= here {
            let message =
                format!("it begins at step {here}, which is its last, and would train nothing with these hands on it");
            return Err(PlanError::new("steps", message).hint(format!("more than {here}")));
        }
        let event = match command {
            Command::Edit { edits, .. } => {
                edit::check_lasting(edits, &plan.recipe.model).map(|()| Some(Event::Edited { edits: edits.clone() }))
            }
            command => dials.change(command, here),
        };
        let Some(event) = event.map_err(|message| PlanError::new(&field, message))? else {
            return Err(PlanError::new(&field, "only set, redraw and edit can be made before the first step"));
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
    use crate::plan::MixPart;
    use crate::plan::tests::{lab, plan_of};
    use crate::spec::Tokenizer;

    #[test]
    fn a_fork_changes_little_and_says_what_it_cannot() {
        let (corpora, _) = lab();
        let mut parent = plan_of(r#"{"corpus":"tales","steps":1000,"overrides":{"cadence.hold_at":[300,500]}}"#);
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
            let origin = Origin { from, dials: Dials::new(parent), best_valid: None };
            let view = resolve_fork(&spec, parent, origin, std::slice::from_ref(&device), &corpora)?;
            changes(&spec.parent.unwrap(), &view.plan).map(|events| (view.plan, events))
        };
        let fork = |text: &str| fork_of(&parent, text);
        let (plan, events) = fork(
            r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","field":"rate","value":0.0001}]},"steps":2000,"overrides":{"cadence.eval_every":7}}"#,
        )
        .unwrap();
        assert_eq!((plan.steps, events.len(), Dials::new(&plan).eval_every), (2000, 1, 7));
        assert_eq!(plan.recipe.cadence.hold_at, [0; 0], "holds are of the run that they were planned for");
        let field = |text: &str| fork(text).unwrap_err().field;
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"preset":"tiny"}"#), "preset");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"steps":200}"#), "steps");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"overrides":{"cadence.hold_at":[299]}}"#), "cadence.hold_at");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox"},"overrides":{"model.layers":2}}"#), "overrides.model.layers");
        assert_eq!(field(r#"{"parent":{"run":"amber-fox","changes":[{"kind":"pause"}]}}"#), "parent.changes[0]");
        assert_eq!(
            field(r#"{"parent":{"run":"amber-fox","changes":[{"kind":"set","field":"clip","value":-1}]}}"#),
            "parent.changes[0]"
        );
        let silence = r#"{"parent":{"run":"amber-fox","changes":[{"kind":"edit","edits":[{"part":{"mlp":{"layer":BLOCK}},"factor":0}]}]}}"#;
        assert_eq!(fork(&silence.replace("BLOCK", "0")).unwrap().1[0].1.phrase(), "MLP of block 0 silenced");
        assert_eq!(field(&silence.replace("BLOCK", "99")), "parent.changes[0]");
        let at_its_end = silence.replace("BLOCK", "0").replacen('{', "{\"steps\":300,", 1);
        assert_eq!(field(&at_its_end), "steps", "it would train nothing");
        assert_eq!(
            field(r#"{"parent":{"run":"amber-fox"},"corpus":"tales"}"#),
            "corpus",
            "its tokenizer is its text's"
        );
        // As a model from elsewhere comes: with a tokenizer of its own and no text.
        (parent.mix, parent.tokenizer) = (vec![], Tokenizer::Brought(7));
        let alone = fork_of(&parent, r#"{"parent":{"run":"amber-fox"}}"#).unwrap_err();
        assert_eq!((alone.field.as_str(), alone.hint.is_some()), ("corpus", true));
        let (plan, _) = fork_of(&parent, r#"{"parent":{"run":"amber-fox"},"corpus":"tales"}"#).unwrap();
        assert_eq!((plan.corpora().len(), Dials::new(&plan).mix.at(300)), (1, vec![1.0]));
        parent.mix = vec![MixPart { corpus: "tales".parse().unwrap(), content_hash: "other".into(), weight: 1.0 }];
        let other = fork_of(&parent, r#"{"parent":{"run":"amber-fox"}}"#).unwrap_err();
        assert!(other.field == "corpus" && other.message.contains("another text"), "{other}");
    }
}
