//! The specification that resolves to a given plan: a duplicate of a fork, whose own specification names only its parent and what differs.

use serde_json::Value;

use crate::hyperparameters::recipe::Recipe;
use crate::hyperparameters::table::TABLE;
use crate::run::plan::RunPlan;
use crate::run::preset::{self, PresetInfo};
use crate::run::spec::RunSpec;

/// Preset whose number of layers is given by `depth`.
const BY_DEPTH: &str = "depth";
/// Preset of a plan that came from none: that of an imported model.
const DEFAULT_PRESET: &str = "nanogpt-cpu";

/// A specification of a new run with the preset, datasets, tokenizer, steps, seed and hyperparameters of `plan`. It has neither a name nor a
/// device, and no datasets if the plan has none. Replicas that the preset leaves to the device are left to it again.
pub fn spec_of(plan: &RunPlan) -> RunSpec {
    let layers = u32::try_from(plan.recipe.model.layers).ok();
    let depth = layers.filter(|layers| plan.preset == BY_DEPTH && (1..=64).contains(layers));
    let found = preset::find(&plan.preset, depth).map(|preset| (preset, depth));
    let Ok((preset, depth)) = found.or_else(|_| preset::find(DEFAULT_PRESET, None).map(|preset| (preset, None))) else {
        return RunSpec::default();
    };
    let (corpus, mix) = match plan.mix.as_slice() {
        [] => (None, None),
        [only] => (Some(only.corpus.clone()), None),
        parts => (None, Some(parts.iter().map(|part| (part.corpus.clone(), part.weight)).collect())),
    };
    RunSpec {
        depth,
        corpus,
        mix,
        tokenizer: (plan.tokenizer != preset.tokenizer).then_some(plan.tokenizer),
        steps: Some(plan.steps),
        seed: Some(plan.seed),
        overrides: overrides(&plan.recipe, &preset, plan.steps).into_iter().collect(),
        preset: Some(preset.name),
        ..RunSpec::default()
    }
}

/// The hyperparameters that differ from those of the preset, as [`super::plan::resolve`] reads it for this number of steps.
fn overrides(recipe: &Recipe, preset: &PresetInfo, steps: u64) -> Vec<(String, Value)> {
    let base = preset.recipe_for(steps);
    let is_by_device = base.batch.replicas == 0;
    let (wanted, base) = (json(recipe), json(&base));
    let rows = TABLE.iter().filter(|row| !(is_by_device && row.path == "batch.replicas"));
    rows.filter(|row| row.path != "model.vocab" && row.value_in(&wanted) != row.value_in(&base))
        .filter_map(|row| Some((row.path.to_owned(), row.value_in(&wanted)?.clone())))
        .collect()
}

fn json(recipe: &Recipe) -> Value {
    serde_json::to_value(recipe).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::resolve;
    use crate::run::plan::tests::{lab, plan_of};

    #[test]
    fn a_copied_plan_resolves_to_the_same_plan() {
        let (corpora, devices) = lab();
        let same = |spec: &str| {
            let plan = plan_of(spec);
            let copy = spec_of(&plan);
            assert_eq!(resolve(&copy, &corpora, &devices).unwrap().plan, plan, "{spec} as {copy:?}");
            copy
        };
        let tiny = same(r#"{"preset":"tiny","corpus":"tales"}"#);
        assert_eq!((tiny.preset.as_deref(), tiny.overrides.len()), (Some("tiny"), 0));
        let short = same(
            r#"{"preset":"tiny","corpus":"tales","steps":90,"seed":7,"tokenizer":"byte","overrides":{"optimizer.learning_rate":0.0007,"model.layers":3,"breakpoints":[40]}}"#,
        );
        let changed: Vec<&str> = short.overrides.keys().map(String::as_str).collect();
        assert_eq!(changed, ["breakpoints", "model.layers", "optimizer.learning_rate"]);
        let deep = same(r#"{"preset":"depth","depth":3,"corpus":"tales","overrides":{"model.dropout":0.125}}"#);
        assert_eq!((deep.depth, deep.overrides.len()), (Some(3), 1));
    }

    #[test]
    fn a_plan_without_a_preset_or_datasets_is_copied_by_its_hyperparameters() {
        let mut plan = plan_of(r#"{"preset":"tiny","corpus":"tales"}"#);
        (plan.preset, plan.mix) = ("imported".into(), vec![]);
        let copy = spec_of(&plan);
        assert_eq!((copy.preset.as_deref(), copy.corpus, copy.mix), (Some(DEFAULT_PRESET), None, None));
        assert_eq!(copy.overrides.get("model.d_model"), Some(&Value::from(plan.recipe.model.d_model)));
    }
}
