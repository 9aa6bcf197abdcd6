//! Weight edits: an intervention multiplies the output weights of its component once. The model then computes the same as an inspection with these
//! interventions, which scales the activations in its forward pass instead; a test compares the two. Training continues with the optimizer's
//! moments unchanged, so that an ablated component may learn again.

use std::ops::Range;

use burn::tensor::Tensor;
use wire::control::intervention::{Component, Intervention};
use wire::model::ModelPlan;

use crate::model::params::ParamSpec;

/// Applies interventions to the weights, flat tensors in the order of `specs`. They must satisfy
/// [`wire::control::intervention::check_weight_edit`].
pub fn apply(model: &ModelPlan, specs: &[ParamSpec], weights: &mut [Tensor<1>], interventions: &[Intervention]) {
    for Intervention { component, factor } in interventions {
        let Some((projection, rows)) = output_weights(model, *component) else { continue };
        // The bias is not part of a single head or neuron, so only an intervention on a whole attention or MLP scales it.
        let bias = matches!(component, Component::Attention { .. } | Component::Mlp { .. })
            .then(|| format!("{projection}.bias"));
        for (spec, weight) in specs.iter().zip(&mut *weights) {
            let d_out = spec.shape.last().copied().unwrap_or(1);
            if spec.name == projection {
                scale(weight, rows.start * d_out..rows.end * d_out, *factor);
            } else if bias.as_ref() == Some(&spec.name) {
                scale(weight, 0..d_out, *factor);
            }
        }
    }
}

/// The output projection `[d_in, d_out]` of a component, and the rows of the component.
fn output_weights(model: &ModelPlan, component: Component) -> Option<(String, Range<usize>)> {
    let out = |layer: u32| format!("block.{layer}.attention.out");
    let down = |layer: u32| format!("block.{layer}.mlp.down");
    Some(match component {
        Component::Attention { layer } => (out(layer), 0..model.d_model),
        Component::Mlp { layer } => (down(layer), 0..model.d_ff),
        Component::Head { layer, head } => {
            let from = head as usize * model.d_head();
            (out(layer), from..from + model.d_head())
        }
        Component::Neuron { layer, neuron } => (down(layer), neuron as usize..neuron as usize + 1),
        Component::Position { .. } => return None,
    })
}

fn scale(weight: &mut Tensor<1>, range: Range<usize>, factor: f32) {
    let scaled = weight.clone().slice([range.clone()]) * factor;
    *weight = weight.clone().slice_assign([range], scaled);
}
