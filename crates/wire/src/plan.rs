//! Every number of a run, resolved and checked before it starts: the one place where a spec becomes a plan.
//! Pure, so that the page can resolve as someone types and the server decides by the same code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::corpus::CorpusInfo;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::PlanError;
use crate::history::Origin;
use crate::id::{CorpusId, DeviceId};
use crate::model::ModelPlan;
use crate::preset;
pub use crate::recipe::{Batch, Budget, Cadence, Keep, Optimizer, OptimizerKind, RatePlan, Recipe};
use crate::schedule::Schedule;
use crate::spec::{RunSpec, Tokenizer};

/// Most steps that a plan can hold at.
const HOLDS: usize = 100;

/// One text of the mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixPart {
    /// Which text.
    pub corpus: CorpusId,
    /// BLAKE3 of the text.
    pub content_hash: String,
    /// Its share of the batches; the shares sum to 1.
    pub weight: f64,
}

/// Every number of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunPlan {
    /// Preset it came from.
    pub preset: String,
    /// Optimizer steps.
    pub steps: u64,
    /// Seed of initialisation, batches and samples.
    pub seed: u64,
    /// Shape, optimizer, schedule, batch, cadence.
    pub recipe: Recipe,
    /// How text becomes tokens.
    pub tokenizer: Tokenizer,
    /// The texts and their shares.
    pub mix: Vec<MixPart>,
    /// Where it runs.
    pub device: DeviceId,
    /// What a sample starts with.
    pub prompt: String,
    /// Where a fork begins.
    #[serde(default)]
    pub origin: Option<Origin>,
}

impl RunPlan {
    /// The schedule as planned, without turns.
    pub fn schedule(&self) -> Schedule {
        let RatePlan { shape, warmup_steps, floor } = self.recipe.schedule.clone();
        Schedule { shape, peak: self.recipe.optimizer.rate, warmup_steps, steps: self.steps, floor, turns: vec![] }
    }

    /// Tokens of one pass.
    pub fn tokens_per_pass(&self) -> u64 {
        (self.recipe.batch.rows * self.recipe.model.seq) as u64
    }

    /// Tokens of one optimizer step, as planned.
    pub fn tokens_per_step(&self) -> u64 {
        (self.recipe.batch.rows * self.recipe.batch.accumulation * self.recipe.model.seq) as u64
    }

    /// Folder name of the token shards: one for each tokenizer and set of texts.
    pub fn corpora(&self) -> Vec<CorpusId> {
        self.mix.iter().map(|part| part.corpus.clone()).collect()
    }

    /// What it costs on `device`.
    pub fn estimate(&self, device: &DeviceInfo) -> Estimate {
        let model = &self.recipe.model;
        let tokens = self.tokens_per_step() * self.steps;
        let flops = model.flops_per_token() * tokens as f64;
        Estimate {
            parameters: model.parameters(),
            tokens,
            tokens_per_parameter: tokens as f64 / model.parameters() as f64,
            flops,
            memory_bytes: model.training_bytes(self.recipe.batch.rows, self.recipe.batch.shards.max(1)),
            secs: (device.flops_per_sec > 0.0).then(|| flops / device.flops_per_sec),
        }
    }
}

/// What a plan costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Estimate {
    /// Trained numbers.
    pub parameters: u64,
    /// Tokens seen in all.
    pub tokens: u64,
    /// Tokens for each trained number; about 20 is compute-optimal (Hoffmann et al. 2022).
    pub tokens_per_parameter: f64,
    /// Arithmetic in all.
    pub flops: f64,
    /// Memory at work, bytes; an estimate on the high side.
    pub memory_bytes: u64,
    /// Time, where the device's speed is known.
    pub secs: Option<f64>,
}

/// A plan, before it starts: what `POST /plan` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// Every number.
    pub plan: RunPlan,
    /// What it costs.
    pub estimate: Estimate,
    /// What is unusual about it, in sentences.
    pub notes: Vec<String>,
}

/// Resolves a spec against the lab's texts and devices.
///
/// # Errors
/// The field at fault, the value, and the smallest change that would do.
pub fn resolve(spec: &RunSpec, corpora: &[CorpusInfo], devices: &[DeviceInfo]) -> Result<PlanView, PlanError> {
    let preset = preset::find(spec.preset.as_deref().unwrap_or("nanogpt-cpu"), spec.depth)?;
    let device = choose_device(spec, devices)?;
    let texts = choose_texts(spec, corpora)?;
    let tokenizer = spec.tokenizer.unwrap_or(preset.tokenizer);
    let steps = spec.steps.unwrap_or(preset.steps);
    if steps == 0 || steps > 100_000_000 {
        return Err(PlanError::new("steps", format!("{steps} steps are out of bounds")).hint("1 to 100,000,000"));
    }
    let mut recipe = preset.recipe;
    recipe.schedule.warmup_steps = recipe.schedule.warmup_steps.min(steps / 10);
    let mut recipe = apply_overrides(recipe, &spec.overrides)?;
    recipe.model.vocab = vocab(tokenizer, &texts)?;
    if recipe.batch.shards == 0 {
        recipe.batch.shards = (device.cores.max(1) as usize).min(recipe.batch.rows.max(1));
    }
    let plan = RunPlan {
        preset: preset.name,
        steps,
        seed: spec.seed.unwrap_or(1),
        recipe,
        tokenizer,
        mix: parts(&texts),
        device: device.id.clone(),
        prompt: prompt(&texts),
        origin: None,
    };
    check(&plan, &texts)?;
    let estimate = plan.estimate(device);
    check_memory(&plan, &estimate, device)?;
    let notes = notes(&plan, &estimate, &texts);
    Ok(PlanView { plan, estimate, notes })
}

/// The one asked for, else the fastest that is no software adapter.
pub(crate) fn choose_device<'a>(spec: &RunSpec, devices: &'a [DeviceInfo]) -> Result<&'a DeviceInfo, PlanError> {
    if let Some(id) = &spec.device {
        let known: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        let hint = if known.is_empty() {
            "no device has reported yet".to_owned()
        } else {
            format!("one of {}", known.join(", "))
        };
        return devices
            .iter()
            .find(|device| device.id == *id)
            .ok_or_else(|| PlanError::new("device", format!("there is no device {id}")).hint(hint));
    }
    devices
        .iter()
        .filter(|device| device.kind != DeviceKind::Software)
        .max_by(|a, b| {
            ((a.kind == DeviceKind::Gpu), a.flops_per_sec)
                .partial_cmp(&((b.kind == DeviceKind::Gpu), b.flops_per_sec))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
        .ok_or_else(|| {
            PlanError::new("device", "no device has reported yet")
                .hint("wait for the worker to start, or start one: kindling worker")
        })
}

pub(crate) fn choose_texts<'a>(
    spec: &RunSpec,
    corpora: &'a [CorpusInfo],
) -> Result<Vec<(&'a CorpusInfo, f64)>, PlanError> {
    let wanted: BTreeMap<CorpusId, f64> = match (&spec.corpus, &spec.mix) {
        (Some(_), Some(_)) => {
            return Err(PlanError::new("mix", "corpus and mix are both given").hint("give one of them"));
        }
        (None, None) => return Err(PlanError::new("corpus", "no text to learn").hint("corpus: tales, for a start")),
        (Some(corpus), None) => BTreeMap::from([(corpus.clone(), 1.0)]),
        (None, Some(mix)) => mix.clone(),
    };
    if let Some((corpus, weight)) = wanted.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0) {
        return Err(
            PlanError::new("mix", format!("{corpus} has the weight {weight}")).hint("weights are numbers from 0 up")
        );
    }
    let total: f64 = wanted.values().sum();
    if total <= 0.0 {
        return Err(PlanError::new("mix", "all weights are 0").hint("at least one above 0"));
    }
    // One of weight 0 stays: it can be turned up while the run trains.
    wanted
        .into_iter()
        .map(|(id, weight)| match corpora.iter().find(|info| info.id == id) {
            Some(info) => Ok((info, weight / total)),
            None => {
                Err(PlanError::new("corpus", format!("there is no corpus {id}")).hint("GET /api/v1/corpora lists them"))
            }
        })
        .collect()
}

/// Texts as a plan names them.
pub(crate) fn parts(texts: &[(&CorpusInfo, f64)]) -> Vec<MixPart> {
    let part = |(info, weight): &(&CorpusInfo, f64)| MixPart {
        corpus: info.id.clone(),
        content_hash: info.content_hash.clone(),
        weight: *weight,
    };
    texts.iter().map(part).collect()
}

/// Tokens the tokenizer will know on these texts; an end-of-text token joins where there are several documents.
fn vocab(tokenizer: Tokenizer, texts: &[(&CorpusInfo, f64)]) -> Result<usize, PlanError> {
    Ok(match tokenizer {
        Tokenizer::Byte => 257,
        Tokenizer::Bpe(vocab) => vocab as usize,
        Tokenizer::Gpt2 => 50_257,
        Tokenizer::Brought(_) => {
            let message = format!("{tokenizer} belongs to the model that it came with");
            return Err(PlanError::new("tokenizer", message)
                .hint("fork that run with another text, or choose byte, char, bpe-N or gpt2"));
        }
        Tokenizer::Char => {
            if let Some((info, _)) = texts.iter().find(|(info, _)| info.alphabet.is_empty()) {
                let message = format!("{} has too many different characters for a character tokenizer", info.id);
                return Err(PlanError::new("tokenizer", message).hint("byte or bpe-1024"));
            }
            let letters: BTreeSet<char> = texts.iter().flat_map(|(info, _)| info.alphabet.chars()).collect();
            let documents: u64 = texts.iter().map(|(info, _)| info.documents).sum();
            letters.len() + usize::from(documents > 1)
        }
    })
}

/// Sets each overridden number by its path in the recipe's own JSON, so that every number can be opened and none invented.
pub(crate) fn apply_overrides(recipe: Recipe, overrides: &BTreeMap<String, Value>) -> Result<Recipe, PlanError> {
    let mut tree = serde_json::to_value(recipe).map_err(|source| PlanError::new("overrides", source.to_string()))?;
    for (path, value) in overrides {
        let field = format!("overrides.{path}");
        if path == "model.vocab" {
            return Err(PlanError::new(&field, "the vocabulary is the tokenizer's").hint("set tokenizer: bpe-N"));
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let slot = tree.pointer_mut(&pointer).ok_or_else(|| {
            PlanError::new(&field, format!("the plan has no number {path:?}"))
                .hint("for example model.layers, optimizer.rate, schedule.warmup_steps, batch.rows, cadence.eval_every")
        })?;
        let old = std::mem::replace(slot, whole(value));
        if let Err(source) = serde_json::from_value::<Recipe>(tree.clone()) {
            return Err(
                PlanError::new(&field, format!("{value} does not fit ({source})")).hint(format!("it was {old}"))
            );
        }
    }
    serde_json::from_value(tree).map_err(|source| PlanError::new("overrides", source.to_string()))
}

/// `6.0` typed for a whole number is taken as 6.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && (0.0..9e15).contains(&number) => Value::from(number as u64),
        _ => value.clone(),
    }
}

pub(crate) fn prompt(texts: &[(&CorpusInfo, f64)]) -> String {
    let sample = texts.first().map_or("", |(info, _)| info.sample.as_str());
    sample.split_whitespace().next().unwrap_or("The").chars().take(24).collect()
}

/// Refuses numbers that no run can have, whatever its texts: of a plan that comes from elsewhere.
///
/// # Errors
/// The field at fault and the value.
pub fn check_numbers(plan: &RunPlan) -> Result<(), PlanError> {
    check(plan, &[])
}

fn check(plan: &RunPlan, texts: &[(&CorpusInfo, f64)]) -> Result<(), PlanError> {
    let Recipe { model, optimizer, batch, .. } = &plan.recipe;
    model.check()?;
    plan.schedule().check()?;
    let shares = [("optimizer.beta1", optimizer.beta1), ("optimizer.beta2", optimizer.beta2)];
    if let Some((field, value)) = shares.into_iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
        return Err(PlanError::new(field, format!("{value} is no decay")).hint("0 up to 0.999"));
    }
    let sizes = [
        ("optimizer.weight_decay", optimizer.weight_decay),
        ("optimizer.clip", optimizer.clip),
        ("optimizer.z_loss", optimizer.z_loss),
    ];
    if let Some((field, value)) = sizes.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
        return Err(PlanError::new(field, format!("{value} is out of bounds")).hint("0 or more"));
    }
    if !(1e-12..=1e-2).contains(&optimizer.eps) {
        return Err(
            PlanError::new("optimizer.eps", format!("{} is out of bounds", optimizer.eps)).hint("1e-8 is usual")
        );
    }
    for (field, value) in [("batch.rows", batch.rows), ("batch.accumulation", batch.accumulation)] {
        if value == 0 || value > 65_536 {
            return Err(PlanError::new(field, format!("{value} is out of bounds")).hint("1 to 65,536"));
        }
    }
    if batch.shards > batch.rows || batch.shards > 256 {
        let message = format!("{} parts cannot share {} rows", batch.shards, batch.rows);
        return Err(PlanError::new("batch.shards", message).hint(format!("at most {}", batch.rows.min(256))));
    }
    check_holds(plan)?;
    check_lengths(plan, texts)
}

/// Steps to hold at are few, and on the run's way.
pub(crate) fn check_holds(plan: &RunPlan) -> Result<(), PlanError> {
    let holds = &plan.recipe.cadence.hold_at;
    if holds.len() > HOLDS {
        let message = format!("{} steps to hold at are too many", holds.len());
        return Err(PlanError::new("cadence.hold_at", message).hint(format!("at most {HOLDS}")));
    }
    let first = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    match holds.iter().find(|step| !(first..=plan.steps).contains(step)) {
        Some(step) => Err(PlanError::new("cadence.hold_at", format!("the run never comes to step {step}"))
            .hint(format!("{first} to {}", plan.steps))),
        None => Ok(()),
    }
}

/// A text must hold at least one window on each side of its split.
pub(crate) fn check_lengths(plan: &RunPlan, texts: &[(&CorpusInfo, f64)]) -> Result<(), PlanError> {
    let window = plan.recipe.model.seq as u64 + 1;
    for (info, _) in texts {
        let made = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer && texts.len() == 1);
        let shortest = match made {
            Some(made) => made.train_tokens.min(made.valid_tokens),
            // Not cut yet: a token is at least one byte, so this refuses only what can never fit.
            None => (info.text_bytes as f64 * info.valid_share.min(1.0 - info.valid_share)) as u64 + info.documents,
        };
        if shortest < window {
            let message = format!(
                "{} is too short: {shortest} tokens on one side of its split, and one window takes {window}",
                info.id
            );
            let hint = if shortest > 2 {
                format!("set model.seq to {}, or bring more text", shortest - 1)
            } else {
                "bring more text".to_owned()
            };
            return Err(PlanError::new("corpus", message).hint(hint));
        }
    }
    Ok(())
}

/// Refuses what will not fit, naming the smallest change that would.
pub(crate) fn check_memory(plan: &RunPlan, estimate: &Estimate, device: &DeviceInfo) -> Result<(), PlanError> {
    if device.memory_bytes == 0 || estimate.memory_bytes <= device.memory_bytes {
        return Ok(());
    }
    let Recipe { model, batch, .. } = &plan.recipe;
    let fits = |rows: usize| model.training_bytes(rows, batch.shards.min(rows).max(1)) <= device.memory_bytes;
    let hint = match (1..batch.rows).rev().find(|rows| fits(*rows)) {
        Some(rows) => {
            let accumulation = (batch.rows * batch.accumulation).div_ceil(rows);
            format!("batch.rows {rows} with batch.accumulation {accumulation} would fit and keep about the same step")
        }
        None => match (1..model.layers)
            .rev()
            .find(|layers| ModelPlan { layers: *layers, ..model.clone() }.training_bytes(1, 1) <= device.memory_bytes)
        {
            Some(layers) => format!("model.layers {layers} with batch.rows 1 would fit"),
            None => "a smaller preset, or a device with more memory".to_owned(),
        },
    };
    let message = format!(
        "needs about {} and {} has {}",
        gigabytes(estimate.memory_bytes),
        device.id,
        gigabytes(device.memory_bytes)
    );
    Err(PlanError::new("batch.rows", message).hint(hint))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn notes(plan: &RunPlan, estimate: &Estimate, texts: &[(&CorpusInfo, f64)]) -> Vec<String> {
    let mut notes = vec![];
    for (info, weight) in texts {
        let tokens = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer).map(|made| made.train_tokens);
        if let Some(epochs) =
            tokens.map(|tokens| estimate.tokens as f64 * weight / tokens.max(1) as f64).filter(|epochs| *epochs > 4.0)
        {
            notes.push(format!(
                "{} will be read {epochs:.0} times; past four, repeated text teaches less (Muennighoff et al. 2023).",
                info.name
            ));
        }
    }
    if estimate.secs.is_some_and(|secs| secs > 12.0 * 3600.0) {
        notes.push("This will take more than half a day on this device.".to_owned());
    }
    notes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::corpus::Source;

    pub(crate) fn lab() -> (Vec<CorpusInfo>, Vec<DeviceInfo>) {
        let tales = CorpusInfo {
            id: "tales".parse().unwrap(),
            name: "Tales".into(),
            source: Source::Generated { generator: "tales".into(), seed: 1 },
            documents: 1000,
            text_bytes: 1_000_000,
            chars: 1_000_000,
            alphabet: "abc".into(),
            sample: "Once upon a time".into(),
            valid_share: 0.1,
            content_hash: "00".into(),
            entropy_nats: Some(1.0),
            created_ms: 0,
            datasets: vec![],
        };
        let cpu = DeviceInfo {
            id: "cpu".parse().unwrap(),
            name: "cpu".into(),
            kind: DeviceKind::Cpu,
            backend: "flex".into(),
            cores: 2,
            memory_bytes: 8_000_000_000,
            flops_per_sec: 1e11,
        };
        (vec![tales], vec![cpu])
    }

    fn plan(text: &str) -> Result<PlanView, PlanError> {
        let (corpora, devices) = lab();
        resolve(&serde_json::from_str(text).unwrap(), &corpora, &devices)
    }

    pub(crate) fn plan_of(text: &str) -> RunPlan {
        plan(text).unwrap().plan
    }

    #[test]
    fn a_short_spec_becomes_a_whole_plan() {
        let view = plan(
            r#"{"preset":"nanogpt-cpu","corpus":"tales","overrides":{"optimizer.rate":0.002,"model.layers":2.0}}"#,
        )
        .unwrap();
        assert_eq!((view.plan.recipe.optimizer.rate, view.plan.recipe.model.layers), (0.002, 2));
        assert_eq!((view.plan.recipe.model.vocab, view.plan.recipe.batch.shards), (4, 2));
        assert_eq!(view.plan.prompt, "Once");
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(serde_json::from_str::<PlanView>(&text).unwrap(), view);
    }

    #[test]
    fn bad_specs_name_the_field_and_the_way_out() {
        let check = |text: &str, field: &str| {
            let error = plan(text).expect_err(text);
            assert_eq!(error.field, field, "{text}: {error}");
        };
        check(r#"{"corpus":"nope"}"#, "corpus");
        check(r#"{}"#, "corpus");
        check(r#"{"corpus":"tales","preset":"huge"}"#, "preset");
        check(r#"{"corpus":"tales","steps":0}"#, "steps");
        check(r#"{"corpus":"tales","device":"gpu-9"}"#, "device");
        check(r#"{"mix":{"tales":0.0}}"#, "mix");
        check(r#"{"corpus":"tales","overrides":{"model.layerz":3}}"#, "overrides.model.layerz");
        check(r#"{"corpus":"tales","overrides":{"model.layers":-3}}"#, "overrides.model.layers");
        check(r#"{"corpus":"tales","overrides":{"model.layers":"many"}}"#, "overrides.model.layers");
        check(r#"{"corpus":"tales","overrides":{"model.vocab":9}}"#, "overrides.model.vocab");
        check(r#"{"corpus":"tales","overrides":{"model.heads":3}}"#, "model.heads");
        check(r#"{"corpus":"tales","overrides":{"model.seq":120000}}"#, "corpus");
        check(r#"{"corpus":"tales","overrides":{"batch.rows":60000}}"#, "batch.rows");
        check(r#"{"corpus":"tales","steps":90,"overrides":{"cadence.hold_at":[0,91]}}"#, "cadence.hold_at");
        check(r#"{"corpus":"tales","overrides":{"cadence.hold_at":["soon"]}}"#, "overrides.cadence.hold_at");
        assert_eq!(
            plan(r#"{"corpus":"tales","steps":90,"overrides":{"cadence.hold_at":[0,90]}}"#).map(|view| view
                .plan
                .recipe
                .cadence
                .hold_at),
            Ok(vec![0, 90])
        );
    }

    #[test]
    fn a_plan_that_does_not_fit_names_one_that_does() {
        let error = plan(r#"{"corpus":"tales","overrides":{"batch.rows":60000}}"#).unwrap_err();
        let rows: u64 = error.hint.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(plan(&format!(r#"{{"corpus":"tales","overrides":{{"batch.rows":{rows}}}}}"#)).is_ok());
        assert!(
            plan(&format!(r#"{{"corpus":"tales","overrides":{{"batch.rows":{}}}}}"#, rows + 1)).is_err(),
            "the smallest change"
        );
    }
}
