//! The presets, and the preset that derives everything from the number of layers.

use serde::{Deserialize, Serialize};

use crate::data::tokenizer::Tokenizer;
use crate::error::PlanError;
use crate::hyperparameters::recipe::{
    Batch, Budget, Compute, Intervals, Mixing, Optimizer, OptimizerKind, Recipe, Retention, SchedulePlan,
};
use crate::hyperparameters::schedule::Shape;
use crate::model::{Mlp, ModelPlan, Norm, Positions, RotaryScaling};

/// Numbers of layers of the preset `depth`.
pub const DEPTHS: std::ops::RangeInclusive<u32> = 1..=64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PresetInfo {
    /// Name in a spec.
    pub name: String,
    /// Size class, as a phrase.
    pub size: String,
    /// Purpose, in a sentence.
    pub about: String,
    /// Default tokenizer.
    pub tokenizer: Tokenizer,
    /// Default number of steps.
    pub steps: u64,
    /// Hyperparameters.
    pub recipe: Recipe,
}

impl PresetInfo {
    /// Its hyperparameters in a run of this many steps: the warm-up is at most a tenth of them.
    pub fn recipe_for(&self, steps: u64) -> Recipe {
        let mut recipe = self.recipe.clone();
        recipe.schedule.warmup_steps = recipe.schedule.warmup_steps.min(steps / 10);
        recipe
    }
}

/// Id and name of the generated dataset that a preset is meant for; `None` for a preset for any text.
pub fn intended_dataset(preset: &str) -> Option<(&'static str, &'static str)> {
    match preset {
        "grokking" => Some(("modular-addition", "Modular addition")),
        "induction" => Some(("induction", "Induction")),
        _ => None,
    }
}

/// All presets, smallest first.
pub fn presets() -> Vec<PresetInfo> {
    vec![
        entry(
            "tiny",
            "tiny",
            "2 layers, d_model 64, context length 64: for a first try and for slow machines.",
            Tokenizer::Char,
            1000,
            tiny(),
        ),
        entry(
            "nanogpt-cpu",
            "small",
            "nanoGPT's CPU configuration: 4 layers, d_model 128, context length 64.",
            Tokenizer::Char,
            2000,
            nanogpt_cpu(),
        ),
        entry(
            "induction",
            "tiny",
            "2 layers, for the dataset Induction: the model learns to copy, and an induction head forms.",
            Tokenizer::Char,
            1500,
            induction(),
        ),
        entry(
            "grokking",
            "tiny",
            "1 layer, for the dataset Modular addition: the model first memorizes the sums and generalizes much later.",
            Tokenizer::Bpe(354),
            6000,
            grokking(),
        ),
        entry(
            "depth",
            "any size",
            "RoPE, RMSNorm and SwiGLU. You choose 1 to 64 layers (default 4); width, heads and learning rate follow from that.",
            Tokenizer::Bpe(1024),
            2000,
            by_depth(4),
        ),
        entry(
            "nanogpt-char",
            "medium, for a GPU",
            "nanoGPT's character model: 6 layers, d_model 384, context length 256.",
            Tokenizer::Char,
            5000,
            nanogpt_char(),
        ),
        entry(
            "llama-small",
            "medium, for a GPU",
            "RoPE, RMSNorm, SwiGLU, grouped-query attention: 8 layers, d_model 512, context length 512.",
            Tokenizer::Bpe(8192),
            5000,
            llama_small(),
        ),
        entry(
            "gpt2",
            "large, for a large GPU",
            "GPT-2 small: 12 layers, d_model 768, context length 1\u{202f}024.",
            Tokenizer::Gpt2,
            20_000,
            gpt2(12, 12, 768),
        ),
        entry(
            "gpt2-medium",
            "large, for a large GPU",
            "GPT-2 medium: 24 layers, d_model 1\u{202f}024, context length 1\u{202f}024.",
            Tokenizer::Gpt2,
            20_000,
            gpt2(24, 16, 1024),
        ),
        entry(
            "gpt2-large",
            "large, for a large GPU",
            "GPT-2 large: 36 layers, d_model 1\u{202f}280, context length 1\u{202f}024.",
            Tokenizer::Gpt2,
            20_000,
            gpt2(36, 20, 1280),
        ),
        entry(
            "gpt2-xl",
            "large, for a large GPU",
            "GPT-2 XL: 48 layers, d_model 1\u{202f}600, context length 1\u{202f}024.",
            Tokenizer::Gpt2,
            20_000,
            gpt2(48, 25, 1600),
        ),
    ]
}

/// Finds a preset; `depth` is the number of layers of the preset of that name.
///
/// # Errors
/// An unknown name, a depth for another preset, or one outside [`DEPTHS`].
pub fn find(name: &str, depth: Option<u32>) -> Result<PresetInfo, PlanError> {
    let mut all = presets();
    let names: Vec<String> = all.iter().map(|preset| preset.name.clone()).collect();
    let at = all.iter().position(|preset| preset.name == name).ok_or_else(|| {
        PlanError::new("preset", format!("unknown preset {name:?}")).hint(format!("choose one of {}", names.join(", ")))
    })?;
    let mut preset = all.swap_remove(at);
    match depth {
        Some(depth) if name != "depth" => {
            Err(PlanError::new("depth", format!("preset {name} does not use depth ({depth} was given)"))
                .hint("choose preset depth, or set model.layers"))
        }
        Some(depth) if !DEPTHS.contains(&depth) => {
            Err(PlanError::new("depth", format!("depth {depth} is out of range"))
                .hint("enter a whole number from 1 to 64"))
        }
        Some(depth) => {
            preset.recipe = by_depth(depth as usize);
            Ok(preset)
        }
        None => Ok(preset),
    }
}

fn entry(name: &str, size: &str, about: &str, tokenizer: Tokenizer, steps: u64, recipe: Recipe) -> PresetInfo {
    PresetInfo { name: name.into(), size: size.into(), about: about.into(), tokenizer, steps, recipe }
}

fn gpt_model(layers: usize, heads: usize, d_model: usize, seq: usize) -> ModelPlan {
    ModelPlan {
        layers,
        heads,
        kv_heads: heads,
        d_model,
        d_ff: 4 * d_model,
        seq,
        vocab: 1,
        positions: Positions::Learned,
        norm: Norm::Layer,
        mlp: Mlp::Gelu,
        qk_norm: false,
        bias: false,
        tied_head: true,
        logit_softcap: 0.0,
        dropout: 0.0,
        rotary_base: ModelPlan::ROTARY_BASE,
        norm_eps: 0.0,
        qkv_bias: false,
        rotary_scaling: RotaryScaling::None,
        rotary_factor: ModelPlan::ROTARY_FACTOR,
        rotary_low: ModelPlan::ROTARY_LOW,
        rotary_high: ModelPlan::ROTARY_HIGH,
        rotary_original_seq: ModelPlan::ROTARY_ORIGINAL_SEQ,
        mup_base_width: 0,
        mup_base_heads: 0,
    }
}

fn llama_model(layers: usize, heads: usize, kv_heads: usize, d_model: usize, seq: usize) -> ModelPlan {
    ModelPlan {
        kv_heads,
        d_ff: (8 * d_model / 3).next_multiple_of(32),
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        tied_head: true,
        ..gpt_model(layers, heads, d_model, seq)
    }
}

fn recipe(model: ModelPlan, learning_rate: f64, size: usize) -> Recipe {
    Recipe {
        model,
        optimizer: Optimizer {
            kind: OptimizerKind::Adamw,
            learning_rate,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_clip: 1.0,
            z_loss: 0.0,
        },
        schedule: SchedulePlan { shape: Shape::Cosine, warmup_steps: 100, final_fraction: 0.1 },
        batch: Batch { size, accumulation: 1, replicas: 0 },
        intervals: Intervals::default(),
        retention: Retention::default(),
        budget: Budget::default(),
        breakpoints: vec![],
        mixing: Mixing::default(),
        compute: Compute::default(),
    }
}

fn tiny() -> Recipe {
    recipe(gpt_model(2, 2, 64, 64), 2e-3, 8)
}

fn nanogpt_cpu() -> Recipe {
    recipe(gpt_model(4, 4, 128, 64), 1e-3, 12)
}

/// Attention dominates: the MLP is as narrow as the residual stream and the embeddings are not tied, so that copying is the easiest way to
/// predict the next character.
fn induction() -> Recipe {
    let base = gpt_model(2, 4, 64, 64);
    let model = ModelPlan { d_ff: 64, positions: Positions::Rotary, norm: Norm::Rms, tied_head: false, ..base };
    let mut recipe = recipe(model, 2e-3, 32);
    recipe.intervals.eval_every = 50;
    recipe
}

/// Nanda et al. (2023): one layer, strong weight decay, a constant learning rate. Bytes take 257 tokens of the vocabulary and numbers of two
/// digits the rest, so that each number is one token; a sum has six tokens, and a sequence two sums.
fn grokking() -> Recipe {
    let base = gpt_model(1, 4, 128, 12);
    let mut recipe = recipe(ModelPlan { tied_head: false, ..base }, 1e-3, 256);
    recipe.optimizer.weight_decay = 1.0;
    recipe.optimizer.beta2 = 0.98;
    recipe.schedule = SchedulePlan { shape: Shape::Constant, warmup_steps: 10, final_fraction: 1.0 };
    recipe
}

fn nanogpt_char() -> Recipe {
    let mut recipe = recipe(ModelPlan { dropout: 0.2, ..gpt_model(6, 6, 384, 256) }, 1e-3, 64);
    recipe.intervals.eval_every = 250;
    recipe
}

fn llama_small() -> Recipe {
    recipe(llama_model(8, 8, 4, 512, 512), 1e-3, 16)
}

fn gpt2(layers: usize, heads: usize, d_model: usize) -> Recipe {
    let mut recipe = recipe(ModelPlan { bias: true, ..gpt_model(layers, heads, d_model, 1024) }, 6e-4, 8);
    recipe.optimizer.beta2 = 0.95;
    recipe.schedule.warmup_steps = 700;
    recipe.batch.accumulation = 8;
    recipe
}

/// `d_model = 64 * depth`, with one head per 64 channels and at least 2 heads, as nanochat's `depth`. The learning rate is
/// `2e-3 * sqrt(256 / d_model)`, at most 3e-3.
fn by_depth(depth: usize) -> Recipe {
    let d_model = 64 * depth;
    let heads = (d_model / 64).max(2);
    let rate = 2e-3 * (256.0 / d_model as f64).sqrt();
    let rate = (rate.min(3e-3) * 1e5).round() / 1e5;
    recipe(ModelPlan { qk_norm: true, ..llama_model(depth, heads, heads, d_model, 128) }, rate, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_published_ones() {
        let count = |name: &str, vocab: usize| {
            let mut preset = find(name, None).unwrap();
            preset.recipe.model.vocab = vocab;
            preset.recipe.model.parameters()
        };
        assert_eq!(count("gpt2", 50_257), 124_439_808);
        assert_eq!(count("gpt2-xl", 50_257), 1_557_611_200);
        assert_eq!(count("nanogpt-cpu", 65), 804_096);
    }

    #[test]
    fn the_preset_depth_gives_a_valid_model_at_every_depth() {
        for depth in DEPTHS {
            let mut preset = find("depth", Some(depth)).unwrap();
            preset.recipe.model.vocab = 1024;
            preset.recipe.model.check().unwrap();
        }
        assert!(find("depth", Some(0)).is_err() && find("gpt2", Some(4)).is_err() && find("nope", None).is_err());
    }
}
