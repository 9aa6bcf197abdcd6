//! `config.json`: the architecture in the fields of `transformers`. Fields that change what is computed are read, each with its bounds, and a
//! value that this engine would compute otherwise is refused; the rest (dropout, initialization, caches) is ignored.

mod fields;

use serde_json::{Value, json};
use wire::model::{Mlp, ModelPlan, Norm, Positions, RotaryScaling};

use self::fields::Fields;
use super::generation::Generation;
use super::{CONFIG, Shape, failed, refused};
use crate::error::EngineError;

/// Fields of related architectures that change what is computed, and that no architecture here has.
const FOREIGN: [&str; 30] = [
    "quantization_config",
    "partial_rotary_factor",
    "rotary_pct",
    "rotary_dim",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
    "qk_norm",
    "use_qk_norm",
    "qk_layernorm",
    "clip_qkv",
    "qkv_clip",
    "alibi",
    "use_alibi",
    "parallel_attn",
    "use_parallel_residual",
    "no_rope_layers",
    "no_rope_layer_interval",
    "num_local_experts",
    "num_experts",
    "n_routed_experts",
    "embedding_multiplier",
    "residual_multiplier",
    "attention_multiplier",
    "logits_scaling",
    "logit_scale",
    "scale_emb",
    "scale_depth",
    "dim_model_base",
    "layer_norm_type",
];
/// GELU in its tanh form; the last differs from the others by less than single precision.
const TANH_GELU: [&str; 3] = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"];
/// GELU with the error function.
const EXACT_GELU: [&str; 2] = ["gelu", "gelu_python"];

/// The config of a plan, with the tokens at which texts begin and end.
pub(super) fn write(shape: Shape, plan: &ModelPlan, generation: &Generation) -> Value {
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
            "activation_function": if plan.mlp == Mlp::GeluExact { "gelu" } else { "gelu_new" },
            "layer_norm_epsilon": plan.eps(),
            "scale_attn_weights": true,
            "embd_pdrop": plan.dropout,
            "resid_pdrop": plan.dropout,
            "attn_pdrop": 0.0,
        }),
        Shape::Llama | Shape::Qwen2 => json!({
            "architectures": [if shape == Shape::Llama { "LlamaForCausalLM" } else { "Qwen2ForCausalLM" }],
            "model_type": if shape == Shape::Llama { "llama" } else { "qwen2" },
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
            "rope_scaling": scaling(plan),
            "attention_dropout": 0.0,
        }),
    };
    config["vocab_size"] = plan.vocab.into();
    config["tie_word_embeddings"] = plan.tied_head.into();
    match shape {
        Shape::Gpt2 => {}
        Shape::Llama => (config["attention_bias"], config["mlp_bias"]) = (plan.bias.into(), plan.bias.into()),
        Shape::Qwen2 => (config["use_sliding_window"], config["sliding_window"]) = (false.into(), Value::Null),
    }
    generation.write(&mut config);
    config["torch_dtype"] = "float32".into();
    config
}

/// The scaling of rotary positions, as `rope_scaling`.
fn scaling(plan: &ModelPlan) -> Value {
    match plan.rotary_scaling {
        RotaryScaling::None => Value::Null,
        RotaryScaling::Linear => json!({"rope_type": "linear", "factor": plan.rotary_factor}),
        RotaryScaling::Llama3 => json!({
            "rope_type": "llama3",
            "factor": plan.rotary_factor,
            "low_freq_factor": plan.rotary_low,
            "high_freq_factor": plan.rotary_high,
            "original_max_position_embeddings": plan.rotary_original_seq,
        }),
    }
}

/// The contents of a config.
pub(super) struct Read {
    pub(super) shape: Shape,
    pub(super) plan: ModelPlan,
    /// Where texts begin and end, unless `generation_config.json` says otherwise.
    pub(super) generation: Generation,
}

/// Reads a config.
///
/// # Errors
/// Another model type, a number that is missing or out of bounds, or anything that this engine would compute otherwise.
pub(super) fn read(config: &Value) -> Result<Read, EngineError> {
    let family = config["model_type"].as_str();
    let fields = Fields(config);
    let (shape, plan) = match family {
        Some("gpt2") => (Shape::Gpt2, gpt2(fields)?),
        Some("llama") => (Shape::Llama, llama(fields)?),
        Some("mistral") => (Shape::Llama, mistral(fields)?),
        Some("qwen2") => (Shape::Qwen2, qwen2(fields)?),
        other => {
            return Err(refused(
                CONFIG,
                other.map_or("model_type is missing".to_owned(), |other| format!("model_type is {other:?}")),
                "models of type gpt2, llama, mistral and qwen2 can be imported",
            ));
        }
    };
    fields.without(&FOREIGN)?;
    // Before its sizes are multiplied.
    plan.check().map_err(|source| failed(CONFIG, source, "import another model"))?;
    Ok(Read { shape, plan, generation: Generation::read(CONFIG, config)? })
}

fn gpt2(config: Fields<'_>) -> Result<ModelPlan, EngineError> {
    let size = |names: &[&'static str]| config.size(config.named(names));
    let (d_model, heads) = (size(&["n_embd", "hidden_size"])?, size(&["n_head", "num_attention_heads"])?);
    let fitting = [TANH_GELU.as_slice(), EXACT_GELU.as_slice()].concat();
    let activation = config.word("activation_function", TANH_GELU[0], &fitting)?;
    config.flag("scale_attn_weights", true, true)?;
    config.flag("scale_attn_by_inverse_layer_idx", false, false)?;
    config.flag("add_cross_attention", false, false)?;
    config.without(&["sliding_window", "layer_types", "rope_scaling", "rope_parameters"])?;
    Ok(ModelPlan {
        layers: size(&["n_layer", "num_hidden_layers"])?,
        heads,
        kv_heads: heads,
        d_model,
        d_ff: if config.has("n_inner") { config.size("n_inner")? } else { d_model.saturating_mul(4) },
        seq: size(&["n_positions", "max_position_embeddings"])?,
        vocab: config.size("vocab_size")?,
        positions: Positions::Learned,
        norm: Norm::Layer,
        mlp: if EXACT_GELU.contains(&activation) { Mlp::GeluExact } else { Mlp::Gelu },
        bias: true,
        tied_head: config.either("tie_word_embeddings", true)?,
        norm_eps: config.number("layer_norm_epsilon", 1e-5)?,
        ..ModelPlan::smallest()
    })
}

fn llama(config: Fields<'_>) -> Result<ModelPlan, EngineError> {
    no_window(config)?;
    let bias = config.either("attention_bias", false)?;
    config.flag("mlp_bias", false, bias)?;
    let kv_heads = if config.has("num_key_value_heads") { "num_key_value_heads" } else { "num_attention_heads" };
    let kv_heads = config.size(kv_heads)?;
    rotary_decoder(config, ModelPlan { bias, kv_heads, ..ModelPlan::smallest() })
}

/// Llama's computation, with other defaults.
fn mistral(config: Fields<'_>) -> Result<ModelPlan, EngineError> {
    if !config.0.as_object().is_some_and(|fields| fields.contains_key("sliding_window")) {
        return Err(config.unfit("sliding_window", "null"));
    }
    no_window(config)?;
    config.without(&["attention_bias", "mlp_bias"])?;
    rotary_decoder(config, ModelPlan { kv_heads: config.size("num_key_value_heads")?, ..ModelPlan::smallest() })
}

/// Biases of queries, keys and values are part of the architecture.
fn qwen2(config: Fields<'_>) -> Result<ModelPlan, EngineError> {
    config.flag("use_sliding_window", false, false)?;
    full_attention(config)?;
    config.flag("attention_bias", true, true)?;
    config.without(&["mlp_bias"])?;
    let kv_heads = config.size("num_key_value_heads")?;
    rotary_decoder(config, ModelPlan { qkv_bias: true, kv_heads, ..ModelPlan::smallest() })
}

/// The fields that Llama, Mistral and Qwen2 share.
fn rotary_decoder(config: Fields<'_>, plan: ModelPlan) -> Result<ModelPlan, EngineError> {
    let (d_model, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.word("hidden_act", "silu", &["silu", "swish"])?;
    if config.has("head_dim") && config.size("head_dim")?.checked_mul(heads) != Some(d_model) {
        let message = format!("head_dim is {} with {heads} heads and a width of {d_model}", config.0["head_dim"]);
        return Err(refused(CONFIG, message, "the heads must divide the width"));
    }
    let plan = ModelPlan {
        layers: config.size("num_hidden_layers")?,
        heads,
        d_model,
        d_ff: config.size("intermediate_size")?,
        seq: config.size("max_position_embeddings")?,
        vocab: config.size("vocab_size")?,
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        tied_head: config.either("tie_word_embeddings", false)?,
        norm_eps: config.number("rms_norm_eps", 1e-6)?,
        ..plan
    };
    rotary(config, plan)
}

/// Base and scaling of rotary positions. Older configs have fields for them, newer ones have both in `rope_parameters`.
fn rotary(config: Fields<'_>, plan: ModelPlan) -> Result<ModelPlan, EngineError> {
    let mut plan = ModelPlan { rotary_base: config.number("rope_theta", ModelPlan::ROTARY_BASE)?, ..plan };
    for inner in ["rope_scaling", "rope_parameters"].iter().filter_map(|key| config.inner(key)) {
        let kind = inner.word(inner.named(&["rope_type", "type"]), "default", &["default", "linear", "llama3"])?;
        inner.without(&["partial_rotary_factor"])?;
        plan.rotary_base = inner.number("rope_theta", plan.rotary_base)?;
        if kind == "default" {
            continue;
        }
        let factor = inner.0["factor"].as_f64().ok_or_else(|| inner.unfit("factor", "a number from 1"))?;
        plan = ModelPlan { rotary_scaling: RotaryScaling::Linear, rotary_factor: factor, ..plan };
        if kind == "llama3" {
            let number = |key: &str| inner.number(key, f64::NAN);
            plan = ModelPlan {
                rotary_scaling: RotaryScaling::Llama3,
                rotary_low: number("low_freq_factor")?,
                rotary_high: number("high_freq_factor")?,
                rotary_original_seq: inner.size("original_max_position_embeddings")?,
                ..plan
            };
        }
    }
    Ok(plan)
}

/// A window that no text of the model's context is longer than changes nothing.
fn no_window(config: Fields<'_>) -> Result<(), EngineError> {
    full_attention(config)?;
    let is_wide = config.0["sliding_window"].as_u64() >= config.0["max_position_embeddings"].as_u64();
    if config.has("sliding_window") && !(is_wide && config.has("max_position_embeddings")) {
        return Err(config.unfit("sliding_window", "null"));
    }
    Ok(())
}

fn full_attention(config: Fields<'_>) -> Result<(), EngineError> {
    let layers = config.0["layer_types"].as_array().map(Vec::as_slice).unwrap_or_default();
    if layers.iter().all(|layer| layer == "full_attention") {
        return Ok(());
    }
    Err(config.unfit("layer_types", "full_attention in every layer"))
}
