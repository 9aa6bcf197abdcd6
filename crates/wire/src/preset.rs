//! The table of starting points, and the one dial that derives the rest.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::model::{Mlp, ModelPlan, Norm, Positions};
use crate::plan::{Batch, Budget, Cadence, Keep, Optimizer, OptimizerKind, RatePlan, Recipe};
use crate::schedule::Shape;
use crate::spec::Tokenizer;

/// A preset as pages list it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PresetInfo {
    /// Name to give in a spec.
    pub name: String,
    /// Size in plain words.
    pub size: String,
    /// What it is good for, in a sentence.
    pub about: String,
    /// Tokenizer unless told.
    pub tokenizer: Tokenizer,
    /// Steps unless told.
    pub steps: u64,
    /// Its numbers.
    pub recipe: Recipe,
}

/// The table, smallest first.
pub fn presets() -> Vec<PresetInfo> {
    vec![
        entry(
            "tiny",
            "tiny: seconds",
            "Two narrow layers, for a first look and for slow machines.",
            Tokenizer::Char,
            1000,
            tiny(),
        ),
        entry(
            "nanogpt-cpu",
            "small: minutes on a laptop",
            "nanoGPT's CPU recipe: 4 layers, 128 wide, 64 tokens of context.",
            Tokenizer::Char,
            2000,
            nanogpt_cpu(),
        ),
        entry(
            "induction",
            "tiny: minutes on a laptop",
            "Two layers that learn to copy, on the text induction: watch a head appear that looks for what came after last time.",
            Tokenizer::Char,
            1500,
            induction(),
        ),
        entry(
            "grokking",
            "tiny: half an hour on a laptop",
            "One layer that learns sums by heart and much later understands them, on the text modular-addition.",
            Tokenizer::Bpe(354),
            6000,
            grokking(),
        ),
        entry(
            "depth",
            "any: one dial",
            "A modern shape from one number, its layers; width, heads and rate follow.",
            Tokenizer::Bpe(1024),
            2000,
            by_depth(4),
        ),
        entry(
            "nanogpt-char",
            "medium: minutes on a GPU, hours on a CPU",
            "nanoGPT's character model: 6 layers, 384 wide, 256 tokens.",
            Tokenizer::Char,
            5000,
            nanogpt_char(),
        ),
        entry(
            "llama-small",
            "medium: a GPU",
            "A modern shape: rotary, RMS norm, SwiGLU, grouped keys; 8 layers, 512 wide.",
            Tokenizer::Bpe(8192),
            5000,
            llama_small(),
        ),
        entry(
            "gpt2",
            "large: 124 M, a big GPU",
            "GPT-2's smallest, at 1,024 tokens of context.",
            Tokenizer::Gpt2,
            20_000,
            gpt2(12, 12, 768),
        ),
        entry("gpt2-medium", "large: 350 M", "GPT-2 medium.", Tokenizer::Gpt2, 20_000, gpt2(24, 16, 1024)),
        entry("gpt2-large", "large: 774 M", "GPT-2 large.", Tokenizer::Gpt2, 20_000, gpt2(36, 20, 1280)),
        entry("gpt2-xl", "large: 1.5 B", "GPT-2 XL.", Tokenizer::Gpt2, 20_000, gpt2(48, 25, 1600)),
    ]
}

/// The preset of a name; `depth` sets the dial where the preset has one.
pub fn find(name: &str, depth: Option<u32>) -> Result<PresetInfo, PlanError> {
    let mut all = presets();
    let names: Vec<String> = all.iter().map(|preset| preset.name.clone()).collect();
    let at = all.iter().position(|preset| preset.name == name).ok_or_else(|| {
        PlanError::new("preset", format!("there is no preset {name:?}")).hint(format!("one of {}", names.join(", ")))
    })?;
    let mut preset = all.swap_remove(at);
    match depth {
        Some(depth) if name != "depth" => {
            Err(PlanError::new("depth", format!("preset {name} has no depth dial ({depth} given)"))
                .hint("preset depth has"))
        }
        Some(depth) if !(1..=64).contains(&depth) => {
            Err(PlanError::new("depth", format!("{depth} is out of bounds")).hint("1 to 64"))
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

fn gpt_shape(layers: usize, heads: usize, d_model: usize, seq: usize) -> ModelPlan {
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
    }
}

fn llama_shape(layers: usize, heads: usize, kv_heads: usize, d_model: usize, seq: usize) -> ModelPlan {
    ModelPlan {
        kv_heads,
        d_ff: (8 * d_model / 3).next_multiple_of(32),
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        tied_head: true,
        ..gpt_shape(layers, heads, d_model, seq)
    }
}

fn recipe(model: ModelPlan, rate: f64, rows: usize) -> Recipe {
    Recipe {
        model,
        optimizer: Optimizer {
            kind: OptimizerKind::Adamw,
            rate,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
            z_loss: 0.0,
        },
        schedule: RatePlan { shape: Shape::Cosine, warmup_steps: 100, floor: 0.1 },
        batch: Batch { rows, accumulation: 1, shards: 0 },
        cadence: Cadence {
            eval_every: 100,
            eval_batches: 20,
            sample_every: 250,
            sample_tokens: 200,
            stats_every: 10,
            hold_at: vec![],
        },
        keep: Keep::default(),
        budget: Budget::default(),
    }
}

fn tiny() -> Recipe {
    recipe(gpt_shape(2, 2, 64, 64), 2e-3, 8)
}

fn nanogpt_cpu() -> Recipe {
    recipe(gpt_shape(4, 4, 128, 64), 1e-3, 12)
}

/// Attention does the work: an MLP as narrow as the stream, and no shared head, so that copying is the shortest way to the right letter.
fn induction() -> Recipe {
    let shape = gpt_shape(2, 4, 64, 64);
    let model = ModelPlan { d_ff: 64, positions: Positions::Rotary, norm: Norm::Rms, tied_head: false, ..shape };
    let mut recipe = recipe(model, 2e-3, 32);
    recipe.cadence.eval_every = 50;
    recipe
}

/// Nanda et al. (2023): one layer, strong decay, a level rate. Bytes take 257 of the vocabulary, numbers of two digits the rest, so that each
/// number is a token; six tokens make a sum, and a window holds two.
fn grokking() -> Recipe {
    let shape = gpt_shape(1, 4, 128, 12);
    let mut recipe = recipe(ModelPlan { tied_head: false, ..shape }, 1e-3, 256);
    recipe.optimizer.weight_decay = 1.0;
    recipe.optimizer.beta2 = 0.98;
    recipe.schedule = RatePlan { shape: Shape::Constant, warmup_steps: 10, floor: 1.0 };
    recipe
}

fn nanogpt_char() -> Recipe {
    let mut recipe = recipe(ModelPlan { dropout: 0.2, ..gpt_shape(6, 6, 384, 256) }, 1e-3, 64);
    recipe.cadence.eval_every = 250;
    recipe
}

fn llama_small() -> Recipe {
    recipe(llama_shape(8, 8, 4, 512, 512), 1e-3, 16)
}

fn gpt2(layers: usize, heads: usize, d_model: usize) -> Recipe {
    let mut recipe = recipe(ModelPlan { bias: true, ..gpt_shape(layers, heads, d_model, 1024) }, 6e-4, 8);
    recipe.optimizer.beta2 = 0.95;
    recipe.schedule.warmup_steps = 700;
    recipe.batch.accumulation = 8;
    recipe
}

/// Width 64 per layer and heads 64 wide (nanochat's dial, halved at the small end so that depth 4 still has 4 heads);
/// the rate falls with the root of the width from 2e-3 at 256.
fn by_depth(depth: usize) -> Recipe {
    let d_model = 64 * depth;
    let heads = (d_model / 64).max(2);
    let rate = 2e-3 * (256.0 / d_model as f64).sqrt();
    let rate = (rate.min(3e-3) * 1e5).round() / 1e5;
    recipe(ModelPlan { qk_norm: true, ..llama_shape(depth, heads, heads, d_model, 128) }, rate, 16)
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
    fn the_dial_gives_a_sound_model_at_every_depth() {
        for depth in 1..=64 {
            let mut preset = find("depth", Some(depth)).unwrap();
            preset.recipe.model.vocab = 1024;
            preset.recipe.model.check().unwrap();
        }
        assert!(find("depth", Some(0)).is_err() && find("gpt2", Some(4)).is_err() && find("nope", None).is_err());
    }
}
