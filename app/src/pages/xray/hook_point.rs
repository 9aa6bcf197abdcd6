//! Names of hook points as TransformerLens writes them, beside the component names of this program.

use leptos::prelude::*;
use wire::model::{ModelPlan, Positions};

use crate::components::shows;

/// The hook point of a component's output: `block.0.mlp` is `blocks.0.hook_mlp_out`.
pub(crate) fn of_component(name: &str, model: &ModelPlan) -> String {
    match (block_of(name), name) {
        (Some((layer, "attention")), _) => format!("blocks.{layer}.hook_attn_out"),
        (Some((layer, "mlp")), _) => format!("blocks.{layer}.hook_mlp_out"),
        (_, "embedding") if model.positions == Positions::Learned => "hook_embed + hook_pos_embed".into(),
        (_, "embedding") => "hook_embed".into(),
        (_, "norm") => "ln_final.hook_normalized".into(),
        _ => "logits".into(),
    }
}

/// The hook point of the residual stream after a component; none after the final norm and the head.
pub(crate) fn residual_after(name: &str) -> Option<String> {
    match (block_of(name), name) {
        (Some((layer, "attention")), _) => Some(format!("blocks.{layer}.hook_resid_mid")),
        (Some((layer, "mlp")), _) => Some(format!("blocks.{layer}.hook_resid_post")),
        (_, "embedding") => Some("blocks.0.hook_resid_pre".into()),
        _ => None,
    }
}

/// The hook point that a depth of the logit lens reads: `block.0` is `blocks.0.hook_resid_post`.
pub(crate) fn of_depth(name: &str) -> String {
    match name.strip_prefix("block.") {
        Some(layer) => format!("blocks.{layer}.hook_resid_post"),
        None => "blocks.0.hook_resid_pre".into(),
    }
}

/// The hook point of a block's attention patterns.
pub(crate) fn pattern(layer: u32) -> String {
    format!("blocks.{layer}.attn.hook_pattern")
}

/// The hook point of a block's neuron activations.
pub(crate) fn neurons(layer: u32) -> String {
    format!("blocks.{layer}.mlp.hook_post")
}

/// The line under the heading of a view that names its hook point.
pub(crate) fn caption(name: impl Fn() -> String + Send + 'static) -> AnyView {
    view! {
        <p class="small dim" title="Name of these activations in TransformerLens, a Python library for the inspection of language models">
            "hook point "<span class="mono">{shows(name)}</span>
        </p>
    }
    .into_any()
}

fn block_of(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("block.")?.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::run::preset;

    #[test]
    fn components_have_the_names_that_transformer_lens_gives_them() {
        let model = |preset: &str| preset::find(preset, None).unwrap().recipe.model;
        let learned = ModelPlan { positions: Positions::Learned, ..model("tiny") };
        let rotary = ModelPlan { positions: Positions::Rotary, ..model("tiny") };
        assert_eq!(of_component("block.3.attention", &learned), "blocks.3.hook_attn_out");
        assert_eq!(of_component("block.0.mlp", &learned), "blocks.0.hook_mlp_out");
        assert_eq!(of_component("embedding", &learned), "hook_embed + hook_pos_embed");
        assert_eq!(of_component("embedding", &rotary), "hook_embed");
        assert_eq!(of_component("norm", &rotary), "ln_final.hook_normalized");
        assert_eq!(residual_after("block.1.mlp").as_deref(), Some("blocks.1.hook_resid_post"));
        assert_eq!(residual_after("head"), None);
        assert_eq!(of_depth("embedding"), "blocks.0.hook_resid_pre");
        assert_eq!(of_depth("block.1"), "blocks.1.hook_resid_post");
        assert_eq!(pattern(0), "blocks.0.attn.hook_pattern");
        assert_eq!(neurons(2), "blocks.2.mlp.hook_post");
    }
}
