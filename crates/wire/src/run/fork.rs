//! The plan of a fork: the parent's plan with what may differ. Everything else is inherited from the parent. The datasets may differ if
//! the tokenizer is not made from them.

use crate::control::command::{Command, ScheduleChange};
use crate::control::event::Event;
use crate::control::intervention;
use crate::control::live::LiveHyperparameters;
use crate::data::corpus::CorpusInfo;
use crate::device::DeviceInfo;
use crate::error::PlanError;
use crate::hyperparameters::mix::MixSchedule;
use crate::hyperparameters::schedule::ScheduleCurve;
use crate::number::{counted, grouped};
use crate::run::plan::{
    Origin, PlanView, RunPlan, apply_overrides, check_breakpoints, check_lengths, check_memory, check_mixing,
    check_precision, check_tasks, choose_corpora, choose_device, constant_tail, parts, prompt,
};
use crate::run::spec::{Parent, RunSpec};

/// Resolves the spec of a fork into its plan and the events of its changes; `origin` has the parent's live hyperparameters at the
/// checkpoint. The datasets are the parent's by default. A fork from the last step of its parent trains as many steps again by default.
///
/// # Errors
/// The field that a fork cannot change, or the first invalid change, and what to do.
pub fn resolve_fork(
    spec: &RunSpec,
    parent: &RunPlan,
    mut origin: Origin,
    devices: &[DeviceInfo],
    corpora: &[CorpusInfo],
) -> Result<(PlanView, Vec<(Command, Event)>), PlanError> {
    check_inherited_fields(spec, parent)?;
    check_tasks(spec)?;
    let here = origin.from.checkpoint.step;
    let ends_at = origin.hyperparameters.steps;
    origin.hyperparameters.steps = match spec.steps {
        Some(steps) if steps <= here => {
            let message = format!(
                "the fork starts at step {} and would end at step {}, so it would train no steps",
                grouped(here),
                grouped(steps)
            );
            return Err(PlanError::new("steps", message).hint(format!("enter more than {}", counted(here, "step"))));
        }
        Some(steps) => steps,
        None if ends_at <= here => here + parent.steps.max(1),
        None => ends_at,
    };
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
            let chosen = choose_corpora(spec, corpora)?;
            (plan.mix, plan.prompt) = (parts(&chosen), prompt(&chosen));
            check_lengths(&plan, &chosen)?;
            origin.hyperparameters.mix = MixSchedule::constant(plan.mix.iter().map(|part| part.weight).collect());
        }
        false => check_corpora(parent, corpora)?,
    }
    plan.origin = Some(origin);
    check_breakpoints(&plan)?;
    check_mixing(&plan)?;
    check_precision(&plan, device)?;
    let estimate = plan.estimate(device, corpora);
    check_memory(&plan, &estimate, device)?;
    let mut notes = vec![];
    if device.id != parent.device {
        notes.push(format!(
            "The parent trained on {}. On another device the losses differ in the last digits.",
            parent.device
        ));
    }
    if spec.steps.is_none() && ends_at <= here {
        notes.push(format!(
            "The parent ended at step {}; the fork trains {}.",
            grouped(here),
            counted(plan.steps - here, "more step")
        ));
    }
    let (events, live) = changes(spec.parent.as_ref(), &plan)?;
    notes.extend(
        constant_tail(&live)
            .map(|note| note + " Set parent.refit_schedule to stretch the planned schedule to the new length."),
    );
    Ok((PlanView { plan, estimate, notes }, events))
}

/// The parent's datasets must be in this lab: an imported run may have none or others.
fn check_corpora(parent: &RunPlan, corpora: &[CorpusInfo]) -> Result<(), PlanError> {
    if parent.mix.is_empty() {
        return Err(PlanError::new("corpus", "the imported model has no dataset")
            .hint("select a dataset; a spec names it as {\"corpus\": \"tales\"}"));
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
    if spec.pool.is_some() {
        let message = "a fork starts from a checkpoint of its parent, which is on the machine that trained it";
        return Err(PlanError::new("pool", message).hint("leave it out, or name a device of that machine"));
    }
    let fields = [("corpus", spec.corpus.is_some()), ("mix", spec.mix.is_some())];
    if let Some((field, _)) = fields.into_iter().find(|(_, given)| *given && parent.tokenizer.is_trained_on_corpus()) {
        let message = format!("the parent's tokenizer ({}) is made from its own datasets", parent.tokenizer);
        return Err(PlanError::new(field, message).hint("leave it out, or start a new run"));
    }
    let free = |path: &&String| {
        ["intervals.", "retention.", "budget.", "mixing.", "compute.", "breakpoints"]
            .iter()
            .any(|start| path.starts_with(start))
    };
    match spec.overrides.keys().find(|path| !free(path)) {
        Some(path) => Err(PlanError::new(&format!("overrides.{path}"), "a fork keeps its parent's hyperparameters")
            .hint("change it with a command in parent.changes: set, set_schedule or edit_weights")),
        None => Ok(()),
    }
}

/// The events of a fork's changes, in order, at its first step, and the hyperparameters after them.
fn changes(parent: Option<&Parent>, plan: &RunPlan) -> Result<(Vec<(Command, Event)>, LiveHyperparameters), PlanError> {
    let mut live = plan.live();
    let here = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    let mut events = vec![];
    let Some(parent) = parent else { return Ok((events, live)) };
    let refit = parent.refit_schedule.then(|| refit_to(plan.steps));
    let given = parent.changes.iter().enumerate().map(|(index, command)| (format!("parent.changes[{index}]"), command));
    for (field, command) in refit.iter().map(|refit| ("parent.refit_schedule".to_owned(), refit)).chain(given) {
        let event = match command {
            Command::EditWeights { interventions, .. } => {
                let event = Event::WeightsEdited { interventions: interventions.clone() };
                intervention::check_weight_edit(interventions, &plan.recipe.model).map(|()| Some(event))
            }
            command => live.change(command, here),
        };
        let Some(event) = event.map_err(|error| PlanError { field: field.clone(), ..error })? else {
            return Err(PlanError::new(
                &field,
                "only set, set_schedule and edit_weights can be applied before the first step",
            ));
        };
        live.apply(&event, here);
        events.push((command.clone(), event));
    }
    Ok((events, live))
}

/// The command that fits the planned schedule to a run of `steps`.
pub fn refit_to(steps: u64) -> Command {
    let schedule = ScheduleChange::LearningRate { curve: ScheduleCurve::Refit { to_step: steps }, steps: None };
    Command::SetSchedule { schedule, reason: None }
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
            rates: None,
        };
        let fork_view = |parent: &RunPlan, text: &str| {
            let spec: RunSpec = serde_json::from_str(text).unwrap();
            let from =
                CheckpointRef { run: "amber-fox".parse().unwrap(), checkpoint: CheckpointId { segment: 0, step: 300 } };
            let origin = Origin { from, hyperparameters: parent.live(), best_valid: None };
            resolve_fork(&spec, parent, origin, std::slice::from_ref(&device), &corpora)
        };
        let fork_of = |parent: &RunPlan, text: &str| fork_view(parent, text).map(|(view, events)| (view.plan, events));
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
        assert_eq!(field(&at_its_end), "steps", "it would train no steps");
        assert_eq!(
            field(r#"{"parent":{"run":"amber-fox"},"corpus":"tales"}"#),
            "corpus",
            "its tokenizer is made from its dataset"
        );
        // Lengths: case 23 of public reports, a run that is continued after its schedule ended.
        let linear = plan_of(
            r#"{"corpus":"tales","steps":300,"overrides":{"schedule.shape":"linear","schedule.final_fraction":0,"schedule.warmup_steps":10}}"#,
        );
        let view = |spec: &str| fork_view(&linear, spec);
        let (longer, _) = view(r#"{"parent":{"run":"amber-fox"},"steps":600}"#).unwrap();
        assert!(longer.notes[0].contains("ends at step 300; from there to step 600 the rate stays at 0"), "{longer:?}");
        assert!(longer.notes[0].contains("parent.refit_schedule"));
        let (refit, events) = view(r#"{"parent":{"run":"amber-fox","refit_schedule":true},"steps":600}"#).unwrap();
        assert_eq!((refit.notes.len(), events.len()), (0, 1), "{:?}", refit.notes);
        assert!(matches!(events[0].1, Event::ScheduleChanged { .. }));
        let (default, _) = view(r#"{"parent":{"run":"amber-fox"}}"#).unwrap();
        assert_eq!(default.plan.steps, 600, "a fork from the last step trains as long again");
        assert!(default.notes[0].contains("300 more steps"), "{:?}", default.notes);
        for steps in ["0", "1", "299", "300"] {
            let error = view(&r#"{"parent":{"run":"amber-fox"},"steps":N}"#.replace('N', steps)).unwrap_err();
            assert!(error.field == "steps" && error.message.contains("would train no steps"), "{error}");
        }
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
