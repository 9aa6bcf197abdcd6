//! `config.json`: the architecture in the fields of `transformers`. Fields that change what is computed are read, each with its bounds, and a
//! value that this engine does not support is an error; the rest (dropout, initialization, caches) is ignored.

use serde_json::{Value, json};
use wire::model::{Mlp, ModelPlan, Norm, Positions};

use super::{CONFIG, Shape, failed, refused};
use crate::error::EngineError;

/// The config of a plan; `eot` is the end-of-text token.
pub(super) fn write(shape: Shape, plan: &ModelPlan, eot: Option<u32>) -> Value {
    let mut config = match shape {
        Shape::Gpt2 => json!({
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "n_layer": plan.layers,
            "n_head": plan.heads,
            "n_embd": plan.d_model,
            "n_inner": plan.d_ff,
            "n_positions": plan.seq,
            "n_ctx": plan.seq,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": plan.eps(),
            "scale_attn_weights": true,
            "embd_pdrop": plan.dropout,
            "resid_pdrop": plan.dropout,
            "attn_pdrop": 0.0,
        }),
        Shape::Llama => json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "num_hidden_layers": plan.layers,
            "num_attention_heads": plan.heads,
            "num_key_value_heads": plan.kv_heads,
            "hidden_size": plan.d_model,
            "head_dim": plan.d_head(),
            "intermediate_size": plan.d_ff,
            "max_position_embeddings": plan.seq,
            "hidden_act": "silu",
            "rms_norm_eps": plan.eps(),
            "rope_theta": plan.rotary_base,
            "rope_scaling": null,
            "attention_bias": plan.bias,
            "mlp_bias": plan.bias,
            "attention_dropout": 0.0,
        }),
    };
    config["vocab_size"] = plan.vocab.into();
    config["tie_word_embeddings"] = plan.tied_head.into();
    config["bos_token_id"] = eot.into();
    config["eos_token_id"] = eot.into();
    config["torch_dtype"] = "float32".into();
    config
}

/// The contents of a config.
pub(super) struct Read {
    pub(super) shape: Shape,
    pub(super) plan: ModelPlan,
    /// The end-of-text token.
    pub(super) eot: Option<u32>,
}

/// Reads a config.
///
/// # Errors
/// Not JSON, another model type, a number that is missing or out of bounds, or any option that this engine computes differently.
pub(super) fn read(bytes: &[u8]) -> Result<Read, EngineError> {
    let config: Value = serde_json::from_slice(bytes).map_err(|source| {
        refused(
            CONFIG,
            format!("it is not JSON: {source}"),
            "NaN and Infinity are not JSON numbers; save the config of the model again",
        )
    })?;
    let family = config["model_type"].as_str().unwrap_or("none");
    let config = Config(&config);
    let (shape, plan) = match family {
        "gpt2" => (Shape::Gpt2, config.gpt2()?),
        "llama" => (Shape::Llama, config.llama()?),
        other => {
            return Err(refused(
                CONFIG,
                format!("model_type is {other:?}"),
                "models of type gpt2 and llama can be imported",
            ));
        }
    };
    // Checked before its sizes are multiplied.
    plan.check().map_err(|source| failed(CONFIG, source, "import another model"))?;
    let eot = config.0["eos_token_id"].as_u64().and_then(|id| u32::try_from(id).ok());
    Ok(Read { shape, plan, eot })
}

struct Config<'a>(&'a Value);

impl Config<'_> {
    fn gpt2(&self) -> Result<ModelPlan, EngineError> {
        let (d_model, heads) = (self.size("n_embd")?, self.size("n_head")?);
        self.word("activation_function", "gelu_new", &["gelu_new", "gelu_pytorch_tanh"])?;
        self.flag("scale_attn_weights", true, true)?;
        self.flag("scale_attn_by_inverse_layer_idx", false, false)?;
        self.flag("add_cross_attention", false, false)?;
        Ok(ModelPlan {
            layers: self.size("n_layer")?,
            heads,
            kv_heads: heads,
            d_model,
            d_ff: if self.has("n_inner") { self.size("n_inner")? } else { d_model.saturating_mul(4) },
            seq: self.size("n_positions")?,
            vocab: self.size("vocab_size")?,
            positions: Positions::Learned,
            norm: Norm::Layer,
            mlp: Mlp::Gelu,
            qk_norm: false,
            bias: true,
            tied_head: self.either("tie_word_embeddings", true)?,
            logit_softcap: 0.0,
            dropout: 0.0,
            rotary_base: ModelPlan::ROTARY_BASE,
            norm_eps: self.number("layer_norm_epsilon", 1e-5)?,
        })
    }

    fn llama(&self) -> Result<ModelPlan, EngineError> {
        let (d_model, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        self.word("hidden_act", "silu", &["silu", "swish"])?;
        let rotary_base = self.rotary()?;
        let bias = self.either("attention_bias", false)?;
        self.flag("mlp_bias", false, bias)?;
        if self.has("head_dim") && self.size("head_dim")?.checked_mul(heads) != Some(d_model) {
            let message = format!("head_dim is {} with {heads} heads and a width of {d_model}", self.0["head_dim"]);
            return Err(refused(CONFIG, message, "the heads must divide the width"));
        }
        Ok(ModelPlan {
            layers: self.size("num_hidden_layers")?,
            heads,
            kv_heads: if self.has("num_key_value_heads") { self.size("num_key_value_heads")? } else { heads },
            d_model,
            d_ff: self.size("intermediate_size")?,
            seq: self.size("max_position_embeddings")?,
            vocab: self.size("vocab_size")?,
            positions: Positions::Rotary,
            norm: Norm::Rms,
            mlp: Mlp::Swiglu,
            qk_norm: false,
            bias,
            tied_head: self.either("tie_word_embeddings", false)?,
            logit_softcap: 0.0,
            dropout: 0.0,
            rotary_base,
            norm_eps: self.number("rms_norm_eps", 1e-6)?,
        })
    }

    /// The base of rotary positions. Older configs have a field for it, newer ones have it in `rope_parameters`; scaled positions are an error.
    fn rotary(&self) -> Result<f64, EngineError> {
        let mut base = self.number("rope_theta", ModelPlan::ROTARY_BASE)?;
        for key in ["rope_scaling", "rope_parameters"] {
            let inner = Config(&self.0[key]);
            if inner.0.is_null() {
                continue;
            }
            base = inner.number("rope_theta", base)?;
            let kind = if inner.has("type") { "type" } else { "rope_type" };
            inner.word(kind, "default", &["default"])?;
        }
        Ok(base)
    }

    fn has(&self, key: &str) -> bool {
        !self.0[key].is_null()
    }

    fn size(&self, key: &str) -> Result<usize, EngineError> {
        let found = self.0[key].as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        found.ok_or_else(|| self.unfit(key, "a whole number from 1"))
    }

    fn number(&self, key: &str, usual: f64) -> Result<f64, EngineError> {
        let found = if self.has(key) { self.0[key].as_f64() } else { Some(usual) };
        found.filter(|number| *number > 0.0).ok_or_else(|| self.unfit(key, "a number above 0"))
    }

    fn word(&self, key: &str, usual: &str, fitting: &[&str]) -> Result<(), EngineError> {
        let found = if self.has(key) { self.0[key].as_str() } else { Some(usual) };
        match found {
            Some(word) if fitting.contains(&word) => Ok(()),
            _ => Err(self.unfit(key, &fitting.join(" or "))),
        }
    }

    fn either(&self, key: &str, usual: bool) -> Result<bool, EngineError> {
        if !self.has(key) {
            return Ok(usual);
        }
        self.0[key].as_bool().ok_or_else(|| self.unfit(key, "true or false"))
    }

    fn flag(&self, key: &str, usual: bool, needed: bool) -> Result<(), EngineError> {
        if self.either(key, usual)? == needed { Ok(()) } else { Err(self.unfit(key, &needed.to_string())) }
    }

    fn unfit(&self, key: &str, needed: &str) -> EngineError {
        let found: String = self.0[key].to_string().chars().take(80).collect();
        let found = if self.has(key) { found } else { "missing".to_owned() };
        refused(
            CONFIG,
            format!("{key} is {found}, and {needed} is needed"),
            "a model that was trained with another value would compute something else here",
        )
    }
}
