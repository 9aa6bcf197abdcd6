//! The plan of a run: every hyperparameter resolved and checked before the run starts. A pure function of spec, datasets and devices, so
//! the page resolves the spec with every edit and the server uses the same code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::checkpoint::CheckpointRef;
use crate::control::live::LiveHyperparameters;
use crate::data::corpus::{CorpusInfo, Source};
use crate::data::tokenizer::Tokenizer;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::{PlanError, in_words};
use crate::hyperparameters::recipe::{Batch, Compute, MixingRule, Precision, Recipe, SchedulePlan};
use crate::hyperparameters::schedule::{Schedule, Shape};
use crate::hyperparameters::table;
use crate::id::{CorpusId, DeviceId};
use crate::model::ModelPlan;
use crate::number::{brief, counted, grouped, product};
use crate::run::preset;
use crate::run::spec::RunSpec;
use crate::task::lab::check_schedules;

/// No worker has connected yet.
const NO_DEVICE: &str = "no device is connected";
/// Maximum number of steps of a run.
pub const MAX_STEPS: u64 = 100_000_000;
/// Maximum number of breakpoints.
const MAX_BREAKPOINTS: usize = 100;

/// One dataset of the mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixPart {
    /// Dataset.
    pub corpus: CorpusId,
    /// BLAKE3 of its text.
    pub content_hash: String,
    /// Its fraction of the sequences; the weights sum to 1.
    pub weight: f64,
}

/// The checkpoint from which a fork starts, and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Origin {
    /// Checkpoint of the parent.
    pub from: CheckpointRef,
    /// The parent's live hyperparameters there.
    pub hyperparameters: LiveHyperparameters,
    /// The parent's lowest validation loss up to there.
    pub best_valid: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunPlan {
    /// Preset it came from.
    pub preset: String,
    /// Optimizer steps.
    pub steps: u64,
    /// Seed for initialization, batches and samples.
    pub seed: u64,
    /// Hyperparameters.
    pub recipe: Recipe,
    pub tokenizer: Tokenizer,
    /// Datasets and their weights.
    pub mix: Vec<MixPart>,
    pub device: DeviceId,
    /// Prompt of samples.
    pub prompt: String,
    /// Where it was forked, for a fork.
    #[serde(default)]
    pub origin: Option<Origin>,
}

impl RunPlan {
    /// The learning-rate schedule without overrides.
    pub fn schedule(&self) -> Schedule {
        let SchedulePlan { shape, warmup_steps, final_fraction } = self.recipe.schedule.clone();
        let peak = self.recipe.optimizer.learning_rate;
        Schedule { shape, peak, warmup_steps, steps: self.steps, final_fraction, overrides: vec![] }
    }

    /// The live hyperparameters at its first step; a fork starts with those of its parent.
    pub fn live(&self) -> LiveHyperparameters {
        match &self.origin {
            Some(origin) => origin.hyperparameters.clone(),
            None => {
                let weights = self.mix.iter().map(|part| part.weight).collect();
                LiveHyperparameters::planned(&self.recipe, self.schedule(), weights)
            }
        }
    }

    /// Tokens of one micro-batch.
    pub fn tokens_per_micro_batch(&self) -> u64 {
        product([self.recipe.batch.size, self.recipe.model.seq])
    }

    /// Tokens of one optimizer step, as planned.
    pub fn tokens_per_step(&self) -> u64 {
        product([self.recipe.batch.size, self.recipe.batch.accumulation, self.recipe.model.seq])
    }

    /// Ids of the datasets, in the order of the mix.
    pub fn corpora(&self) -> Vec<CorpusId> {
        self.mix.iter().map(|part| part.corpus.clone()).collect()
    }

    /// Its cost on `device`, with datasets of the lab; that of a fork is the cost of the steps after its checkpoint. Counts of an imported plan,
    /// which may have any size, end at the largest number.
    pub fn estimate(&self, device: &DeviceInfo, corpora: &[CorpusInfo]) -> Estimate {
        let model = &self.recipe.model;
        let before = self.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        let tokens = self.tokens_per_step().saturating_mul(self.steps.saturating_sub(before));
        let all_tokens = self.tokens_per_step().saturating_mul(self.steps);
        Estimate {
            parameters: model.parameters(),
            tokens,
            tokens_per_parameter: all_tokens as f64 / model.parameters() as f64,
            flops: model.flops_per_token() * tokens as f64,
            memory_bytes: self.memory_bytes(device.kind),
            secs: self.training_secs(device, corpora),
        }
    }

    /// Memory during training on a device of this kind, bytes; on a GPU an upper estimate.
    pub fn memory_bytes(&self, kind: DeviceKind) -> u64 {
        self.recipe.model.training_bytes(kind, &self.recipe.batch, &self.recipe.compute)
    }
}

/// The cost of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Estimate {
    pub parameters: u64,
    /// Training tokens; of a fork those after its checkpoint.
    pub tokens: u64,
    /// Training tokens divided by parameters; for a fork, the tokens before its checkpoint count too. About 20 is compute-optimal
    /// (Hoffmann et al. 2022).
    pub tokens_per_parameter: f64,
    /// Total floating-point operations.
    pub flops: f64,
    /// Memory during training, bytes; on a GPU an upper estimate.
    pub memory_bytes: u64,
    /// Training time in seconds, with evaluations and samples, if the speed of the device is known.
    pub secs: Option<f64>,
}

/// A resolved plan with its cost: the answer of `POST /plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    pub plan: RunPlan,
    /// Cost.
    pub estimate: Estimate,
    /// Notes on unusual values.
    pub notes: Vec<String>,
}

/// Resolves a spec against the datasets and devices of the lab.
///
/// # Errors
/// The field, its value, and the smallest change that would be valid.
pub fn resolve(spec: &RunSpec, corpora: &[CorpusInfo], devices: &[DeviceInfo]) -> Result<PlanView, PlanError> {
    let preset = preset::find(spec.preset.as_deref().unwrap_or("nanogpt-cpu"), spec.depth)?;
    let device = choose_device(spec, devices)?;
    let chosen = choose_corpora(spec, corpora)?;
    let tokenizer = spec.tokenizer.unwrap_or(preset.tokenizer);
    let steps = spec.steps.unwrap_or(preset.steps);
    if !(1..=MAX_STEPS).contains(&steps) {
        return Err(PlanError::new("steps", format!("steps {} is out of range", grouped(steps)))
            .hint(format!("enter a whole number from 1 to {}", grouped(MAX_STEPS))));
    }
    check_tasks(spec)?;
    let mut recipe = apply_overrides(preset.recipe_for(steps), &spec.overrides)?;
    recipe.model.vocab = vocab(tokenizer, &chosen)?;
    if recipe.batch.replicas == 0 {
        recipe.batch.replicas = (device.cores.max(1) as usize).min(recipe.batch.size.max(1));
    }
    let plan = RunPlan {
        preset: preset.name,
        steps,
        seed: spec.seed.unwrap_or(1),
        recipe,
        tokenizer,
        mix: parts(&chosen),
        device: device.id.clone(),
        prompt: prompt(&chosen),
        origin: None,
    };
    check(&plan, &chosen)?;
    check_precision(&plan, device)?;
    let estimate = plan.estimate(device, corpora);
    check_memory(&plan, &estimate, device)?;
    let notes = notes(&plan, &estimate, &chosen);
    Ok(PlanView { plan, estimate, notes })
}

/// Checks a spec before anything is created for it: an unknown preset, an override of no hyperparameter. Returns its hyperparameters, without the
/// vocabulary size, which the datasets decide.
///
/// # Errors
/// The errors of [`resolve`].
pub fn check_spec(spec: &RunSpec) -> Result<Recipe, PlanError> {
    let preset = preset::find(spec.preset.as_deref().unwrap_or("nanogpt-cpu"), spec.depth)?;
    check_tasks(spec)?;
    apply_overrides(preset.recipe, &spec.overrides)
}

/// Checks the tasks of a spec, apart from whether they exist.
pub(super) fn check_tasks(spec: &RunSpec) -> Result<(), PlanError> {
    check_schedules(&spec.tasks).map_err(|error| PlanError { field: "tasks".to_owned(), ..error })
}

/// The requested device, or else the fastest that is not a software adapter.
pub(crate) fn choose_device<'a>(spec: &RunSpec, devices: &'a [DeviceInfo]) -> Result<&'a DeviceInfo, PlanError> {
    if let (Some(_), Some(_)) = (&spec.device, &spec.pool) {
        return Err(PlanError::new("pool", "a device and a pool are both given").hint("give one of device and pool"));
    }
    if let Some(id) = &spec.device {
        let known: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        let hint = if known.is_empty() { NO_DEVICE.to_owned() } else { format!("choose one of {}", known.join(", ")) };
        return devices
            .iter()
            .find(|device| device.id == *id)
            .ok_or_else(|| PlanError::new("device", format!("unknown device {id}")).hint(hint));
    }
    devices
        .iter()
        .filter(|device| device.kind != DeviceKind::Software)
        .max_by(|a, b| {
            ((a.kind == DeviceKind::Gpu), a.flops_per_sec)
                .partial_cmp(&((b.kind == DeviceKind::Gpu), b.flops_per_sec))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
        .ok_or_else(|| PlanError::new("device", NO_DEVICE).hint("wait a few seconds, or add a machine: kindling join"))
}

pub(crate) fn choose_corpora<'a>(
    spec: &RunSpec,
    corpora: &'a [CorpusInfo],
) -> Result<Vec<(&'a CorpusInfo, f64)>, PlanError> {
    let wanted: BTreeMap<CorpusId, f64> = match (&spec.corpus, &spec.mix) {
        (Some(_), Some(_)) => {
            return Err(PlanError::new("mix", "a dataset and a mix are both given").hint("give one of corpus and mix"));
        }
        (None, None) => {
            return Err(PlanError::new("corpus", "no dataset is given")
                .hint("select a dataset; a spec names it as {\"corpus\": \"tales\"}"));
        }
        (Some(corpus), None) => BTreeMap::from([(corpus.clone(), 1.0)]),
        (None, Some(mix)) => mix.clone(),
    };
    if let Some((corpus, weight)) = wanted.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0) {
        return Err(PlanError::new("mix", format!("weight {weight} of {corpus} is out of range"))
            .hint("enter a number, at least 0"));
    }
    let total: f64 = wanted.values().sum();
    if total <= 0.0 {
        return Err(PlanError::new("mix", "all weights are 0").hint("enter at least one weight above 0"));
    }
    // A dataset of weight 0 stays: its weight can be raised while the run trains.
    wanted
        .into_iter()
        .map(|(id, weight)| match corpora.iter().find(|info| info.id == id) {
            Some(info) => Ok((info, weight / total)),
            None => Err(unknown_dataset(&id)),
        })
        .collect()
}

/// The error of a dataset that does not exist, or that the run may not use.
pub fn unknown_dataset(id: &CorpusId) -> PlanError {
    PlanError::new("corpus", format!("unknown dataset {id}"))
        .hint("select another dataset; GET /api/v1/corpora lists them")
}

/// The mix of a plan.
pub(crate) fn parts(corpora: &[(&CorpusInfo, f64)]) -> Vec<MixPart> {
    let part = |(info, weight): &(&CorpusInfo, f64)| MixPart {
        corpus: info.id.clone(),
        content_hash: info.content_hash.clone(),
        weight: *weight,
    };
    corpora.iter().map(part).collect()
}

/// Vocabulary size of the tokenizer on these datasets; several documents add an end-of-text token.
fn vocab(tokenizer: Tokenizer, corpora: &[(&CorpusInfo, f64)]) -> Result<usize, PlanError> {
    Ok(match tokenizer {
        Tokenizer::Byte => 257,
        Tokenizer::Bpe(vocab) => vocab as usize,
        Tokenizer::Gpt2 => 50_257,
        Tokenizer::Imported(_) => {
            let message = format!("{tokenizer} belongs to the model that it was imported with");
            return Err(PlanError::new("tokenizer", message)
                .hint("fork that run with another dataset, or choose byte, char, bpe-N or gpt2"));
        }
        Tokenizer::Char => {
            if let Some((info, _)) = corpora.iter().find(|(info, _)| info.alphabet.is_empty()) {
                let message = format!("{} has too many unique characters for a character tokenizer", info.id);
                return Err(PlanError::new("tokenizer", message).hint("use byte or bpe-1024"));
            }
            let letters: BTreeSet<char> = corpora.iter().flat_map(|(info, _)| info.alphabet.chars()).collect();
            let documents: u64 = corpora.iter().map(|(info, _)| info.documents).sum();
            letters.len() + usize::from(documents > 1)
        }
    })
}

/// Sets each overridden hyperparameter by its path in the JSON of the recipe. A path that is not in the table is an error.
pub(crate) fn apply_overrides(recipe: Recipe, overrides: &BTreeMap<String, Value>) -> Result<Recipe, PlanError> {
    let mut tree = serde_json::to_value(recipe).map_err(|source| PlanError::new("overrides", in_words(source)))?;
    for (path, value) in overrides {
        let field = format!("overrides.{path}");
        if path == "model.vocab" {
            return Err(PlanError::new(&field, "the tokenizer sets the vocabulary size").hint("set tokenizer: bpe-N"));
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let slot = tree
            .pointer_mut(&pointer)
            .ok_or_else(|| PlanError::new(&field, format!("unknown hyperparameter {path:?}")).hint(nearest(path)))?;
        let old = std::mem::replace(slot, whole(value));
        if let Err(source) = serde_json::from_value::<Recipe>(tree.clone()) {
            let by_table = table::find(path).and_then(|row| row.check(value).err());
            let unfit = format!("{value} does not fit ({})", in_words(source));
            return Err(match by_table {
                Some(error) => PlanError { field, ..error },
                None => PlanError::new(&field, unfit).hint(format!("it was {old}")),
            });
        }
    }
    serde_json::from_value(tree).map_err(|source| PlanError::new("overrides", in_words(source)))
}

/// Suggestions for an unknown path: hyperparameters with the same last part, or a few examples.
fn nearest(path: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or(path);
    let is_near = |row: &&table::Hyperparameter| {
        let known = row.path.rsplit('.').next().unwrap_or(row.path);
        known == field || known.contains(field) || field.contains(known)
    };
    let near: Vec<&str> = table::TABLE.iter().filter(is_near).map(|row| row.path).collect();
    match near.is_empty() {
        true => "for example model.layers, optimizer.learning_rate, batch.size; GET /api/v1/hyperparameters lists all"
            .to_owned(),
        false => format!("did you mean {}?", near.join(" or ")),
    }
}

/// `6.0` for an integer is taken as 6.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && (0.0..9e15).contains(&number) => Value::from(number as u64),
        _ => value.clone(),
    }
}

pub(crate) fn prompt(corpora: &[(&CorpusInfo, f64)]) -> String {
    let sample = corpora.first().map_or("", |(info, _)| info.sample.as_str());
    sample.split_whitespace().next().unwrap_or("The").chars().take(24).collect()
}

/// Checks the hyperparameters of an imported plan, whatever its datasets.
///
/// # Errors
/// The field and its value.
pub fn check_imported(plan: &RunPlan) -> Result<(), PlanError> {
    check(plan, &[])
}

fn check(plan: &RunPlan, corpora: &[(&CorpusInfo, f64)]) -> Result<(), PlanError> {
    table::check(&plan.recipe)?;
    let Recipe { model, batch, .. } = &plan.recipe;
    model.check()?;
    plan.schedule().check()?;
    if batch.replicas > batch.size {
        let message = format!("replicas ({}) must not exceed the batch size ({})", batch.replicas, batch.size);
        return Err(PlanError::new("batch.replicas", message).hint(format!("enter at most {}", batch.size.min(256))));
    }
    check_breakpoints(plan)?;
    check_mixing(plan)?;
    check_lengths(plan, corpora)
}

/// Online data mixing needs several datasets, evaluations, and a floor that leaves something to distribute.
pub(crate) fn check_mixing(plan: &RunPlan) -> Result<(), PlanError> {
    let (mixing, datasets) = (&plan.recipe.mixing, plan.mix.len());
    let failed = |field: &str, message: String, hint: &str| Err(PlanError::new(field, message).hint(hint));
    if mixing.rule == MixingRule::Static {
        return Ok(());
    }
    if datasets < 2 {
        let message = format!("online data mixing needs 2 datasets, and the run has {datasets}");
        return failed("mixing.rule", message, "add a dataset to the mix, or choose static");
    }
    if plan.recipe.intervals.eval_every == 0 {
        let message = "online data mixing reads the losses of evaluations, and the run has none".to_owned();
        return failed("intervals.eval_every", message, "enter an interval above 0");
    }
    if mixing.floor * datasets as f64 >= 1.0 {
        let message = format!("a smallest weight of {} leaves nothing to {datasets} datasets", mixing.floor);
        return failed("mixing.floor", message, &format!("enter less than {:.3}", 1.0 / datasets as f64));
    }
    Ok(())
}

/// The CPU computes no 16-bit floats without the range of 32-bit ones. Whether a GPU has instructions for a format is known to its worker.
pub(crate) fn check_precision(plan: &RunPlan, device: &DeviceInfo) -> Result<(), PlanError> {
    match plan.recipe.compute.precision {
        Precision::Float16 if device.kind == DeviceKind::Cpu => {
            let message = format!("float16 needs a GPU, and {} is a CPU", device.id);
            Err(PlanError::new("compute.precision", message).hint("choose bfloat16 or float32"))
        }
        _ => Ok(()),
    }
}

/// Checks that there are at most [`MAX_BREAKPOINTS`] breakpoints and that the run reaches each.
pub(crate) fn check_breakpoints(plan: &RunPlan) -> Result<(), PlanError> {
    let breakpoints = &plan.recipe.breakpoints;
    if breakpoints.len() > MAX_BREAKPOINTS {
        let message = format!("{} breakpoints are too many", breakpoints.len());
        return Err(PlanError::new("breakpoints", message).hint(format!("enter at most {MAX_BREAKPOINTS}")));
    }
    let first = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
    match breakpoints.iter().find(|step| !(first..=plan.steps).contains(step)) {
        Some(step) => Err(PlanError::new("breakpoints", format!("the run never reaches step {}", grouped(*step)))
            .hint(format!("enter steps from {} to {}", grouped(first), grouped(plan.steps)))),
        None => Ok(()),
    }
}

/// A dataset must have at least one sequence in each split.
pub(crate) fn check_lengths(plan: &RunPlan, corpora: &[(&CorpusInfo, f64)]) -> Result<(), PlanError> {
    let window = plan.recipe.model.seq as u64 + 1;
    for (info, _) in corpora {
        let made = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer && corpora.len() == 1);
        let (shortest, split) = match made {
            Some(made) if made.train_tokens < made.valid_tokens => (made.train_tokens, "training"),
            Some(made) => (made.valid_tokens, "validation"),
            // Not tokenized yet: a token is at least one byte, so this refuses only what can never fit.
            None => {
                let share = info.valid_share.min(1.0 - info.valid_share);
                let split = if info.valid_share > 0.5 { "training" } else { "validation" };
                ((info.text_bytes as f64 * share) as u64 + info.documents, split)
            }
        };
        if shortest < window {
            let message = format!(
                "the dataset {} is too short: its {split} split has {}, a sequence needs {} (context length + 1)",
                info.id,
                counted(shortest, "token"),
                grouped(window)
            );
            let hint = if shortest > 2 {
                format!("set the context length to at most {}, or add more text", grouped(shortest - 1))
            } else {
                "add more text".to_owned()
            };
            return Err(PlanError::new("corpus", message).hint(hint));
        }
    }
    Ok(())
}

/// Checks that the plan fits into the memory of the device; the hint names the smallest change that fits.
pub(crate) fn check_memory(plan: &RunPlan, estimate: &Estimate, device: &DeviceInfo) -> Result<(), PlanError> {
    if device.memory_bytes == 0 || estimate.memory_bytes <= device.memory_bytes {
        return Ok(());
    }
    let Recipe { model, batch, compute, .. } = &plan.recipe;
    let has_room = |model: &ModelPlan, size: usize, compute: &Compute| {
        let batch = Batch { size, replicas: batch.replicas.min(size), ..batch.clone() };
        model.training_bytes(device.kind, &batch, compute) <= device.memory_bytes
    };
    let fits = |size: usize| has_room(model, size, compute);
    let changed_fits = |changed: ModelPlan| has_room(&changed, 1, compute);
    let recomputed = Compute { recompute: true, ..compute.clone() };
    let size = (1..batch.size).rev().find(|size| fits(*size));
    let seq = || halves(model.seq).find(|seq| changed_fits(ModelPlan { seq: *seq, ..model.clone() }));
    let layers = || (1..model.layers).rev().find(|layers| changed_fits(ModelPlan { layers: *layers, ..model.clone() }));
    // The error stands at the field whose change makes the plan fit.
    let (field, hint) = if let Some(size) = size {
        let accumulation = (batch.size * batch.accumulation).div_ceil(size);
        let hint = format!(
            "batch size {size} with gradient accumulation {accumulation} would fit and keep about the same effective batch size"
        );
        ("batch.size", hint)
    } else if has_room(model, 1, &recomputed) {
        ("compute.recompute", "batch size 1 would fit if activations are recomputed".to_owned())
    } else if let Some(seq) = seq() {
        ("model.seq", format!("context length {} with batch size 1 would fit", grouped(seq as u64)))
    } else if let Some(layers) = layers() {
        ("model.layers", format!("{} with batch size 1 would fit", counted(layers as u64, "layer")))
    } else {
        ("preset", "choose a smaller preset or a device with more memory".to_owned())
    };
    let message = format!(
        "the run needs about {} of memory; {} has {}",
        gigabytes(estimate.memory_bytes),
        device.id,
        gigabytes(device.memory_bytes)
    );
    Err(PlanError::new(field, message).hint(hint))
}

/// A context length halved, quartered and so on, down to 128: a shorter one is no remedy.
fn halves(seq: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(seq / 2), |seq| Some(seq / 2)).take_while(|seq| *seq >= 128)
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1}\u{202f}GB", bytes as f64 / 1e9)
}

fn notes(plan: &RunPlan, estimate: &Estimate, corpora: &[(&CorpusInfo, f64)]) -> Vec<String> {
    let mut notes = vec![];
    notes.extend(other_dataset(&plan.preset, corpora));
    for (info, weight) in corpora {
        let tokens = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer).map(|made| made.train_tokens);
        if let Some(epochs) =
            tokens.map(|tokens| estimate.tokens as f64 * weight / tokens.max(1) as f64).filter(|epochs| *epochs > 4.0)
        {
            notes.push(format!(
                "The run trains {epochs:.0} epochs on {}. Beyond 4 epochs, repeated data adds less (Muennighoff et al. 2023).",
                info.name
            ));
        }
    }
    if let Shape::Wsd { decay_steps } = plan.recipe.schedule.shape
        && decay_steps > plan.steps.saturating_sub(plan.recipe.schedule.warmup_steps)
    {
        notes.push(format!(
            "The decay of {} is longer than the {} after the warm-up, so the learning rate decreases as soon as the warm-up ends.",
            counted(decay_steps, "step"),
            counted(plan.steps.saturating_sub(plan.recipe.schedule.warmup_steps), "step")
        ));
    }
    notes.extend(constant_tail(&plan.live()));
    if let [(info, _)] = corpora
        && let Some(made) = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer && made.unused > 0)
    {
        let used = made.vocab - made.unused;
        notes.push(format!(
            "In {} the tokenizer {} found only {} tokens; the other {} rows of the embedding are never used.",
            info.name,
            made.tokenizer,
            grouped(u64::from(used)),
            grouped(u64::from(made.unused))
        ));
    }
    if estimate.secs.is_some_and(|secs| secs > 12.0 * 3600.0) {
        notes.push("The run takes more than half a day on this device.".to_owned());
    }
    notes
}

/// A note on a preset for one dataset while others are selected.
fn other_dataset(preset: &str, corpora: &[(&CorpusInfo, f64)]) -> Option<String> {
    let (id, name) = preset::intended_dataset(preset)?;
    let is_intended =
        |info: &CorpusInfo| matches!(&info.source, Source::Generated { generator, .. } if generator == id);
    let others = corpora.iter().filter(|(info, weight)| *weight > 0.0 && !is_intended(info));
    let others: Vec<&str> = others.map(|(info, _)| info.name.as_str()).collect();
    let verb = if others.len() == 1 { "is" } else { "are" };
    let named = others.join(", ");
    (!others.is_empty()).then(|| format!("This preset is meant for the dataset {name}; {named} {verb} selected."))
}

/// A note on a run that continues after the end of its learning-rate schedule.
pub fn constant_tail(live: &LiveHyperparameters) -> Option<String> {
    let from = live.schedule.constant_from().filter(|from| *from < live.steps)?;
    let rate = brief(live.schedule.learning_rate(from));
    Some(format!(
        "The learning-rate schedule ends at step {}; from there to step {} the rate stays at {rate}.",
        grouped(from),
        grouped(live.steps)
    ))
}

#[cfg(test)]
pub(crate) mod tests;
