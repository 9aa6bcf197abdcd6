//! Which models Hugging Face's `transformers` can load, and what prevents it for the others.

use crate::error::PlanError;
use crate::model::{Mlp, ModelPlan, Norm, Positions};

/// An architecture that `transformers` implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Learned positions, layer norm, GELU.
    Gpt2,
    /// Rotary positions, RMS norm, SwiGLU.
    Llama,
    /// Llama's with biases of queries, keys and values.
    Qwen2,
}

impl Shape {
    /// The architecture of a model.
    ///
    /// # Errors
    /// All fields that differ from the nearer architecture.
    pub fn of(plan: &ModelPlan) -> Result<Self, PlanError> {
        let found = [Self::Gpt2, Self::Llama, Self::Qwen2].map(|shape| (shape, shape.differences(plan)));
        let nearest = found.into_iter().min_by_key(|(_, differences)| differences.len());
        let (nearer, differences) = nearest.unwrap_or((Self::Gpt2, vec![]));
        if differences.is_empty() {
            return Ok(nearer);
        }
        let needed = differences.join(", ");
        let message = format!("transformers has no such architecture; for {} it needs {needed}", nearer.name());
        Err(PlanError::new("model", message).hint(
            "GPT-2: learned positions, LayerNorm, GELU. Llama: rotary positions, RMSNorm, SwiGLU. Qwen2: as Llama, with qkv_bias. None has \
             qk_norm or logit_softcap",
        ))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT-2",
            Self::Llama => "Llama",
            Self::Qwen2 => "Qwen2",
        }
    }

    /// Fields of a model that do not fit, as `needed (is)`.
    fn differences(self, plan: &ModelPlan) -> Vec<String> {
        let is_gpt2 = self == Self::Gpt2;
        let positions = if is_gpt2 { Positions::Learned } else { Positions::Rotary };
        let norm = if is_gpt2 { Norm::Layer } else { Norm::Rms };
        let (mlp, has_mlp) = match is_gpt2 {
            true => (Mlp::Gelu, matches!(plan.mlp, Mlp::Gelu | Mlp::GeluExact)),
            false => (Mlp::Swiglu, plan.mlp == Mlp::Swiglu),
        };
        let found = [
            (plan.positions != positions, format!("positions {positions:?} ({:?})", plan.positions)),
            (plan.norm != norm, format!("norm {norm:?} ({:?})", plan.norm)),
            (!has_mlp, format!("mlp {mlp:?} ({:?})", plan.mlp)),
            (self == Self::Llama && plan.qkv_bias && !plan.bias, "qkv_bias off (on)".to_owned()),
            (self == Self::Qwen2 && !plan.qkv_bias, "qkv_bias on (off)".to_owned()),
            (self == Self::Qwen2 && plan.bias, "bias off (on)".to_owned()),
            (is_gpt2 && plan.kv_heads != plan.heads, format!("kv_heads {} ({})", plan.heads, plan.kv_heads)),
            (plan.qk_norm, "qk_norm off (on)".to_owned()),
            (plan.logit_softcap != 0.0, format!("logit_softcap 0 ({})", plan.logit_softcap)),
        ];
        found.into_iter().filter(|(is_in_the_way, _)| *is_in_the_way).map(|(_, what)| what.to_lowercase()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::preset;

    #[test]
    fn a_model_has_an_architecture_or_names_the_differences() {
        let model = |name: &str| preset::find(name, None).unwrap().recipe.model;
        let llama = model("llama-small");
        assert_eq!(Shape::of(&ModelPlan { qkv_bias: true, ..llama.clone() }), Ok(Shape::Qwen2));
        assert_eq!(Shape::of(&ModelPlan { bias: true, qkv_bias: true, ..llama }), Ok(Shape::Llama));
        assert_eq!(Shape::of(&ModelPlan { mlp: Mlp::GeluExact, ..model("gpt2") }), Ok(Shape::Gpt2));
        for (name, shape) in [
            ("tiny", Shape::Gpt2),
            ("nanogpt-cpu", Shape::Gpt2),
            ("gpt2-xl", Shape::Gpt2),
            ("llama-small", Shape::Llama),
        ] {
            assert_eq!(Shape::of(&model(name)), Ok(shape), "{name}");
        }
        let check = |model: ModelPlan, said: &[&str]| {
            let message = Shape::of(&model).unwrap_err().message;
            assert!(said.iter().all(|word| message.contains(word)), "{message}");
        };
        let gpt2 = model("gpt2");
        check(ModelPlan { qk_norm: true, ..gpt2.clone() }, &["GPT-2", "qk_norm off"]);
        check(
            ModelPlan { logit_softcap: 15.0, kv_heads: 1, ..gpt2.clone() },
            &["logit_softcap 0 (15)", "kv_heads 12 (1)"],
        );
        check(ModelPlan { positions: Positions::Rotary, norm: Norm::Rms, ..gpt2 }, &["Llama", "mlp swiglu (gelu)"]);
        check(model("depth"), &["Llama", "qk_norm"]);
    }
}
