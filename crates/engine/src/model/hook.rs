//! Hook points: the points of a forward pass at which activations can be read and replaced, with TransformerLens' names. Training has no
//! hook and uses fused operators that do not expose all of these activations.

use std::fmt;

use burn::tensor::Tensor;

/// A point of the forward pass. Block numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookPoint {
    /// Token embeddings, `[batch, seq, d_model]`, before positions are added.
    Embed {
        /// Position of the first token in the text.
        first: usize,
    },
    /// The residual stream before the first block: token and position embeddings.
    ResidPre,
    /// Attention scores `q.k / sqrt(d_head)` of all pairs, `[batch, heads, query, key]`.
    AttnScores(usize),
    /// Attention pattern: the softmax of the allowed scores, `[batch, heads, query, key]`.
    Pattern(usize),
    /// The concatenated outputs of the heads, `[batch, seq, heads * d_head]`, before the output projection.
    Z(usize),
    /// The attention output of a block, which is added to the residual stream.
    AttnOut(usize),
    /// The residual stream between attention and MLP.
    ResidMid(usize),
    /// MLP neurons before the non-linearity, `[batch, seq, d_ff]`: `up` with GELU, `gate` with SwiGLU.
    MlpPre(usize),
    /// MLP neurons that enter the down projection, `[batch, seq, d_ff]`.
    MlpPost(usize),
    /// The MLP output of a block, which is added to the residual stream.
    MlpOut(usize),
    /// The residual stream after a block.
    ResidPost(usize),
    /// The normalized residual stream that the unembedding reads.
    FinalNorm,
}

/// TransformerLens' name, such as `blocks.0.hook_resid_post`.
impl fmt::Display for HookPoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, name) = match self {
            Self::Embed { .. } => return out.write_str("hook_embed"),
            Self::FinalNorm => return out.write_str("ln_final.hook_normalized"),
            Self::ResidPre => (0, "hook_resid_pre"),
            Self::AttnScores(block) => (*block, "attn.hook_attn_scores"),
            Self::Pattern(block) => (*block, "attn.hook_pattern"),
            Self::Z(block) => (*block, "attn.hook_z"),
            Self::AttnOut(block) => (*block, "hook_attn_out"),
            Self::ResidMid(block) => (*block, "hook_resid_mid"),
            Self::MlpPre(block) => (*block, "mlp.hook_pre"),
            Self::MlpPost(block) => (*block, "mlp.hook_post"),
            Self::MlpOut(block) => (*block, "hook_mlp_out"),
            Self::ResidPost(block) => (*block, "hook_resid_post"),
        };
        write!(out, "blocks.{block}.{name}")
    }
}

/// Reads the activations of a pass, and may replace them.
pub trait Hook {
    /// The activation at a hook point; the pass continues with the returned one.
    fn activation(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3>;

    /// The scores and the pattern of a block's attention, at [`HookPoint::AttnScores`] and [`HookPoint::Pattern`]; they cannot be replaced.
    fn attention(&self, _point: HookPoint, _x: &Tensor<4>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hook_points_have_the_names_of_transformer_lens() {
        for (point, name) in [
            (HookPoint::Embed { first: 3 }, "hook_embed"),
            (HookPoint::ResidPre, "blocks.0.hook_resid_pre"),
            (HookPoint::AttnScores(1), "blocks.1.attn.hook_attn_scores"),
            (HookPoint::Pattern(0), "blocks.0.attn.hook_pattern"),
            (HookPoint::Z(2), "blocks.2.attn.hook_z"),
            (HookPoint::AttnOut(0), "blocks.0.hook_attn_out"),
            (HookPoint::ResidMid(0), "blocks.0.hook_resid_mid"),
            (HookPoint::MlpPre(0), "blocks.0.mlp.hook_pre"),
            (HookPoint::MlpPost(11), "blocks.11.mlp.hook_post"),
            (HookPoint::MlpOut(0), "blocks.0.hook_mlp_out"),
            (HookPoint::ResidPost(0), "blocks.0.hook_resid_post"),
            (HookPoint::FinalNorm, "ln_final.hook_normalized"),
        ] {
            assert_eq!(point.to_string(), name);
        }
    }
}
