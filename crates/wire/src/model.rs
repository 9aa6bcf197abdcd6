//! The architecture of the decoder, and its cost: parameters, FLOPs, memory.

pub mod architecture;
pub mod mup;

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::number::{grouped, product};

/// At most this many divisors are named in a hint.
const NAMED_DIVISORS: usize = 6;
/// How much wider than its base model a model with muP may be.
const MAX_WIDTH_MULTIPLIER: usize = 1024;

/// The divisors of a number, smallest first: `1, 2 or 4`; `1, 2, 3, ... or 12` if there are many.
fn divisors(number: usize) -> String {
    let all: Vec<usize> = (1..=number.min(256)).filter(|divisor| number.is_multiple_of(*divisor)).collect();
    let Some((last, rest)) = all.split_last() else { return "1".to_owned() };
    let named: Vec<String> = rest.iter().take(NAMED_DIVISORS).map(usize::to_string).collect();
    match (named.is_empty(), rest.len() > NAMED_DIVISORS) {
        (true, _) => last.to_string(),
        (false, true) => format!("{}, ... or {last}", named.join(", ")),
        (false, false) => format!("{} or {last}", named.join(", ")),
    }
}

/// Position encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// One learned vector per position, added to the embedding.
    Learned,
    /// Queries and keys rotated by their position (RoPE).
    Rotary,
}

/// Normalization of the residual stream before each attention and MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Mean and variance.
    Layer,
    /// Root mean square only.
    Rms,
}

/// Type of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mlp {
    /// Two matrices with a GELU (tanh form) between.
    Gelu,
    /// Three matrices: `down(silu(gate(x)) * up(x))`.
    Swiglu,
    /// Two matrices with a GELU (exact form, with the error function) between.
    GeluExact,
}

/// Scaling of rotary positions, for contexts longer than those of the first training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RotaryScaling {
    /// No scaling.
    #[default]
    None,
    /// Every frequency is divided by the factor (Chen et al. 2023).
    Linear,
    /// Low frequencies are divided by the factor, high ones stay, those between are interpolated (Llama 3.1).
    Llama3,
}

/// The architecture of a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelPlan {
    /// Transformer blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; `heads` for multi-head attention, fewer for grouped-query attention.
    pub kv_heads: usize,
    /// Width of the residual stream (d_model).
    pub d_model: usize,
    /// Hidden neurons of the MLP (d_ff).
    pub d_ff: usize,
    /// Context length, tokens.
    pub seq: usize,
    /// Vocabulary size; set by the tokenizer.
    pub vocab: usize,
    /// Position encoding.
    pub positions: Positions,
    /// Normalization.
    pub norm: Norm,
    /// MLP type.
    pub mlp: Mlp,
    /// Normalizes queries and keys per head (RMS, no gain).
    pub qk_norm: bool,
    /// Biases in linear layers and norms.
    pub bias: bool,
    /// Whether the output head uses the embedding's matrix.
    pub tied_head: bool,
    /// Soft-cap of the logits, `cap * tanh(logits / cap)`; 0 for none.
    pub logit_softcap: f64,
    /// Fraction of activations dropped after embedding, attention and MLP during training.
    pub dropout: f64,
    /// Base of rotary positions: pair `i` of a head turns by `base^(-2 i / d_head)` with each token.
    #[serde(default = "default_rotary_base")]
    pub rotary_base: f64,
    /// Added to the variance or the mean square before its root; 0 for the default, 1e-5 with layer norm and 1e-6 with RMS norm.
    #[serde(default)]
    pub norm_eps: f64,
    /// Biases of queries, keys and values also where `bias` is off (Qwen2).
    #[serde(default)]
    pub qkv_bias: bool,
    /// Scaling of rotary positions.
    #[serde(default)]
    pub rotary_scaling: RotaryScaling,
    /// Divisor of the scaled frequencies.
    #[serde(default = "default_rotary_factor")]
    pub rotary_factor: f64,
    /// Llama 3: frequencies of fewer turns than this over `rotary_original_seq` are divided by the factor.
    #[serde(default = "default_rotary_low")]
    pub rotary_low: f64,
    /// Llama 3: frequencies of more turns than this over `rotary_original_seq` stay.
    #[serde(default = "default_rotary_high")]
    pub rotary_high: f64,
    /// Llama 3: context length of the first training, tokens.
    #[serde(default = "default_rotary_original_seq")]
    pub rotary_original_seq: usize,
    /// Width of the base model of muP; 0 for the standard parametrization. See [`mup`].
    #[serde(default)]
    pub mup_base_width: usize,
    /// Query heads of the base model of muP; 0 for [`Self::heads`].
    #[serde(default)]
    pub mup_base_heads: usize,
}

fn default_rotary_base() -> f64 {
    ModelPlan::ROTARY_BASE
}

fn default_rotary_factor() -> f64 {
    ModelPlan::ROTARY_FACTOR
}

fn default_rotary_low() -> f64 {
    ModelPlan::ROTARY_LOW
}

fn default_rotary_high() -> f64 {
    ModelPlan::ROTARY_HIGH
}

fn default_rotary_original_seq() -> usize {
    ModelPlan::ROTARY_ORIGINAL_SEQ
}

impl ModelPlan {
    /// Default base of rotary positions (Su et al. 2021).
    pub const ROTARY_BASE: f64 = 10_000.0;
    /// Default divisor of scaled rotary positions (Llama 3.1).
    pub const ROTARY_FACTOR: f64 = 8.0;
    /// Default turns below which a frequency is divided (Llama 3.1).
    pub const ROTARY_LOW: f64 = 1.0;
    /// Default turns above which a frequency stays (Llama 3.1).
    pub const ROTARY_HIGH: f64 = 4.0;
    /// Default context length before the scaling, tokens (Llama 3).
    pub const ROTARY_ORIGINAL_SEQ: usize = 8192;

    /// Every size 1, every switch off, and the defaults of the rest: what a plan that states its own sizes begins with.
    pub fn smallest() -> Self {
        Self {
            layers: 1,
            heads: 1,
            kv_heads: 1,
            d_model: 1,
            d_ff: 1,
            seq: 1,
            vocab: 1,
            positions: Positions::Learned,
            norm: Norm::Layer,
            mlp: Mlp::Gelu,
            qk_norm: false,
            bias: false,
            tied_head: false,
            logit_softcap: 0.0,
            dropout: 0.0,
            rotary_base: Self::ROTARY_BASE,
            norm_eps: 0.0,
            qkv_bias: false,
            rotary_scaling: RotaryScaling::None,
            rotary_factor: Self::ROTARY_FACTOR,
            rotary_low: Self::ROTARY_LOW,
            rotary_high: Self::ROTARY_HIGH,
            rotary_original_seq: Self::ROTARY_ORIGINAL_SEQ,
            mup_base_width: 0,
            mup_base_heads: 0,
        }
    }

    /// The epsilon of the norms: [`Self::norm_eps`], or its default.
    pub fn eps(&self) -> f64 {
        match self.norm {
            _ if self.norm_eps > 0.0 => self.norm_eps,
            Norm::Layer => 1e-5,
            Norm::Rms => 1e-6,
        }
    }

    /// Width of one head.
    pub fn d_head(&self) -> usize {
        self.d_model / self.heads.max(1)
    }

    /// Whether queries, keys and values have biases.
    pub fn has_qkv_bias(&self) -> bool {
        self.bias || self.qkv_bias
    }

    /// Radians by which pair `pair` of a head turns with each token, after the scaling.
    pub fn rotary_frequency(&self, pair: usize) -> f64 {
        let frequency = self.rotary_base.powf(-2.0 * pair as f64 / self.d_head() as f64);
        match self.rotary_scaling {
            RotaryScaling::None => frequency,
            RotaryScaling::Linear => frequency / self.rotary_factor,
            RotaryScaling::Llama3 => {
                let turns = self.rotary_original_seq as f64 * frequency / std::f64::consts::TAU;
                let kept = ((turns - self.rotary_low) / (self.rotary_high - self.rotary_low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / self.rotary_factor)
            }
        }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let table = |rows: usize, is_there: bool| if is_there { product([rows, self.d_model]) } else { 0 };
        table(self.vocab, true)
            .saturating_add(table(self.seq, self.positions == Positions::Learned))
            .saturating_add(table(self.vocab, !self.tied_head))
            .saturating_add(self.body_parameters())
    }

    /// Number of parameters without the embeddings, the N of scaling laws.
    pub fn body_parameters(&self) -> u64 {
        (self.layers as u64).saturating_mul(self.block_parameters()).saturating_add(self.norm_parameters())
    }

    fn norm_parameters(&self) -> u64 {
        product([if self.norm == Norm::Layer && self.bias { 2 } else { 1 }, self.d_model])
    }

    fn block_parameters(&self) -> u64 {
        let (d, kv) = (self.d_model, product([self.kv_heads, self.d_head()]));
        let up = if self.mlp == Mlp::Swiglu { 2 } else { 1 };
        let kv_weights = kv.saturating_mul(2).saturating_mul(d as u64);
        let qkv_biases = if self.has_qkv_bias() { kv.saturating_mul(2).saturating_add(d as u64) } else { 0 };
        let biases = if self.bias { product([2, d]).saturating_add(product([up, self.d_ff])) } else { 0 };
        [product([2, d, d]), kv_weights, product([up + 1, d, self.d_ff]), qkv_biases, biases]
            .into_iter()
            .fold(self.norm_parameters().saturating_mul(2), u64::saturating_add)
    }

    /// FLOPs of one training token, forward and backward: 6 per multiplying weight, and 12 L d T of attention
    /// (Chowdhery et al. 2022, appendix B).
    pub fn flops_per_token(&self) -> f64 {
        let multiplied = self.body_parameters() as f64 + product([self.vocab, self.d_model]) as f64;
        6.0 * multiplied + 12.0 * product([self.layers, self.d_model, self.seq]) as f64
    }

    /// Checks that the model can be built.
    ///
    /// # Errors
    /// The first field that is out of its range or does not fit the others.
    pub fn check(&self) -> Result<(), PlanError> {
        let sizes = [
            ("model.layers", "layers", self.layers, 256),
            ("model.heads", "attention heads", self.heads, 256),
            ("model.kv_heads", "key/value heads", self.kv_heads, 256),
            ("model.d_model", "model width", self.d_model, 65_536),
            ("model.d_ff", "MLP width", self.d_ff, 262_144),
            ("model.seq", "context length", self.seq, 131_072),
            ("model.vocab", "vocabulary size", self.vocab, 1_000_000),
        ];
        for (field, label, value, top) in sizes {
            if value == 0 || value > top {
                let message = format!("{label} {value} is out of range");
                return Err(PlanError::new(field, message)
                    .hint(format!("enter a whole number from 1 to {}", grouped(top as u64))));
            }
        }
        if self.d_model % self.heads != 0 {
            let message = format!(
                "model width ({}) must be divisible by the number of attention heads ({})",
                self.d_model, self.heads
            );
            return Err(PlanError::new("model.heads", message)
                .hint(format!("set the number of heads to {}", divisors(self.d_model))));
        }
        if self.heads % self.kv_heads != 0 {
            let message = format!(
                "the number of attention heads ({}) must be divisible by the number of key/value heads ({})",
                self.heads, self.kv_heads
            );
            return Err(PlanError::new("model.kv_heads", message)
                .hint(format!("set key/value heads to {}", divisors(self.heads))));
        }
        if self.positions == Positions::Rotary && self.d_head() % 2 != 0 {
            let message =
                format!("RoPE needs an even head width; {} / {} is {}", self.d_model, self.heads, self.d_head());
            return Err(PlanError::new("model.heads", message).hint("use another number of heads or learned positions"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(PlanError::new("model.dropout", format!("dropout {} is out of range", self.dropout))
                .hint("enter a number from 0 to 0.99"));
        }
        if !(1.0..=1e9).contains(&self.rotary_base) {
            return Err(PlanError::new("model.rotary_base", format!("RoPE base {} is out of range", self.rotary_base))
                .hint("enter a number from 1 to 1e9; 1e4 is usual"));
        }
        self.check_rotary_scaling()?;
        self.check_mup()?;
        if self.norm_eps != 0.0 && !(1e-12..=0.1).contains(&self.norm_eps) {
            return Err(PlanError::new("model.norm_eps", format!("norm epsilon {} is out of range", self.norm_eps))
                .hint("enter 0 for the default, or a number from 1e-12 to 0.1; 1e-5 is common"));
        }
        if !self.logit_softcap.is_finite() || self.logit_softcap < 0.0 {
            return Err(PlanError::new(
                "model.logit_softcap",
                format!("logit soft-cap {} is out of range", self.logit_softcap),
            )
            .hint("enter 0 for none, or a number from 15 to 50"));
        }
        Ok(())
    }

    fn check_mup(&self) -> Result<(), PlanError> {
        let base = self.mup_base_width;
        if base > 0 && self.d_model > MAX_WIDTH_MULTIPLIER.saturating_mul(base) {
            let message = format!("d_model {} is more than {MAX_WIDTH_MULTIPLIER} times {base}", self.d_model);
            return Err(PlanError::new("model.mup_base_width", message)
                .hint("enter the width of the model whose learning rate you have found, or 0 for no muP"));
        }
        if self.mup_base_heads > 0 && (base == 0 || base % self.mup_base_heads != 0) {
            let message = format!("{} heads do not divide the base width {base}", self.mup_base_heads);
            return Err(PlanError::new("model.mup_base_heads", message)
                .hint(format!("enter {}, or 0 for as many heads as the model has", divisors(base))));
        }
        Ok(())
    }

    fn check_rotary_scaling(&self) -> Result<(), PlanError> {
        if !(1.0..=1e4).contains(&self.rotary_factor) {
            let message = format!("{} is not a factor", self.rotary_factor);
            return Err(PlanError::new("model.rotary_factor", message)
                .hint("enter a number from 1 to 10\u{202f}000; 8 and 32 are usual"));
        }
        if !(self.rotary_low > 0.0 && self.rotary_high > self.rotary_low && self.rotary_high <= 1e6) {
            let message = format!("{} is not above rotary_low, {}", self.rotary_high, self.rotary_low);
            return Err(PlanError::new("model.rotary_high", message)
                .hint("use a factor that is above the low-frequency factor; 1 and 4 are usual"));
        }
        if self.rotary_original_seq == 0 || self.rotary_original_seq > 1_000_000 {
            let message = format!("{} is out of range", self.rotary_original_seq);
            return Err(PlanError::new("model.rotary_original_seq", message)
                .hint("enter a whole number from 1 to 1\u{202f}000\u{202f}000; 8\u{202f}192 is usual"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::preset;

    #[test]
    fn scaled_rotary_frequencies_are_those_of_llama_3() {
        let plain = preset::find("llama-small", None).unwrap().recipe.model;
        let llama3 = ModelPlan {
            d_model: 64 * 8,
            heads: 8,
            rotary_base: 500_000.0,
            rotary_scaling: RotaryScaling::Llama3,
            rotary_factor: 32.0,
            ..plain.clone()
        };
        // The inverse frequencies of transformers for Llama-3.2-1B, at pairs of each of the three kinds.
        let expected = [
            (0, 1.0),
            (10, 0.016_560_44),
            (15, 0.001_290_548),
            (16, 4.295_568e-4),
            (17, 9.708_288e-5),
            (31, 9.418_307e-8),
        ];
        for (pair, expected) in expected {
            let found = llama3.rotary_frequency(pair);
            assert!((found / expected - 1.0).abs() < 1e-5, "{pair}: {found}");
        }
        let linear = ModelPlan { rotary_scaling: RotaryScaling::Linear, rotary_factor: 4.0, ..plain.clone() };
        assert_eq!(linear.rotary_frequency(3) * 4.0, plain.rotary_frequency(3));
    }

    #[test]
    fn biases_of_queries_keys_and_values_are_counted() {
        let plain = preset::find("llama-small", None).unwrap().recipe.model;
        let biased = ModelPlan { qkv_bias: true, ..plain.clone() };
        let expected = plain.layers * (plain.d_model + 2 * plain.kv_heads * plain.d_head());
        assert_eq!(biased.parameters() - plain.parameters(), expected as u64);
        let all = ModelPlan { bias: true, ..plain.clone() };
        assert_eq!(ModelPlan { qkv_bias: true, ..all.clone() }.parameters(), all.parameters());
    }

    #[test]
    fn divisors_are_named_up_to_a_few() {
        for (number, named) in [(1, "1"), (4, "1, 2 or 4"), (128, "1, 2, 4, 8, 16, 32, ... or 128"), (7, "1 or 7")] {
            assert_eq!(divisors(number), named);
        }
    }
}
