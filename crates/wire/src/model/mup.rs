//! The maximal update parametrization, muP (Yang et al. 2022, "Tensor Programs V", table 8, for Adam). With it the best learning rate of a
//! narrow model is also that of a wide one.
//!
//! With `m = d_model / mup_base_width` and the widths of a head `d_head` and, in the base model, `b = mup_base_width / mup_base_heads`:
//!
//! | What | Standard | muP |
//! | --- | --- | --- |
//! | Matrices of the blocks: standard deviation at the start | `s` | `s / sqrt(m)` |
//! | Matrices of the blocks: learning rate of AdamW | `lr` | `lr / m` |
//! | Logits | `x W` | `x W / m` |
//! | Attention scores | `q k / sqrt(d_head)` | `q k sqrt(b) / d_head` |
//!
//! Embeddings, head, gains and biases keep their standard deviation and learning rate. A model of the base width equals the standard one.
//! `d_ff` is expected to grow with `d_model`. Weight decay stays `lr weight_decay`, which is independent of the width. Muon's updates have
//! the same spectral norm at every width already, so its learning rate stays.

use super::ModelPlan;

impl ModelPlan {
    /// How much wider the model is than the base model of muP; 1 in the standard parametrization.
    pub fn width_multiplier(&self) -> f64 {
        match self.mup_base_width {
            0 => 1.0,
            base => self.d_model as f64 / base as f64,
        }
    }

    /// The factor of the products of queries and keys.
    pub fn attention_scale(&self) -> f64 {
        let d_head = self.d_head() as f64;
        if self.mup_base_width == 0 {
            return 1.0 / d_head.sqrt();
        }
        let base_heads = if self.mup_base_heads == 0 { self.heads } else { self.mup_base_heads };
        (self.mup_base_width as f64 / base_heads.max(1) as f64).sqrt() / d_head
    }

    /// The factor of a parameter in a model that has the standard parametrization and computes the same: the final norm takes the factor
    /// of the logits, the queries take that of the attention scores.
    pub fn standard_factor(&self, parameter: &str) -> f64 {
        let name = parameter.strip_suffix(".bias").unwrap_or(parameter);
        match name {
            "norm" => 1.0 / self.width_multiplier(),
            name if name.ends_with(".attention.query") => self.attention_scale() * (self.d_head() as f64).sqrt(),
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_model_is_the_standard_one_and_wider_models_are_scaled() {
        let wide = ModelPlan { d_model: 256, heads: 4, ..ModelPlan::smallest() };
        assert_eq!((wide.width_multiplier(), wide.attention_scale()), (1.0, 0.125));
        for name in ["norm", "block.0.attention.query", "embedding.token"] {
            assert_eq!(wide.standard_factor(name), 1.0, "{name}");
        }
        let base = ModelPlan { mup_base_width: 256, ..wide.clone() };
        assert_eq!((base.width_multiplier(), base.attention_scale()), (1.0, 0.125));
        // The head is four times as wide as the base model's: sqrt(16) / 64.
        let same_heads = ModelPlan { mup_base_width: 64, ..wide.clone() };
        assert_eq!((same_heads.width_multiplier(), same_heads.attention_scale()), (4.0, 0.0625));
        assert_eq!(same_heads.standard_factor("norm.bias"), 0.25);
        assert_eq!(same_heads.standard_factor("block.3.attention.query.bias"), 0.5);
        assert_eq!(same_heads.standard_factor("block.3.attention.norm"), 1.0);
        // The base model has one head of the same width.
        let more_heads = ModelPlan { mup_base_width: 64, mup_base_heads: 1, ..wide };
        assert_eq!(more_heads.attention_scale(), 0.125);
    }
}
