//! Hands that last: parts of a model multiplied in the weights that write them into the residual stream. It does once and for good what
//! [`crate::xray`]'s hands try on a pass of their own; a story holds the two to each other. Training goes on from there: the optimizer's
//! moments stay, and what was silenced may be learned anew.

use std::ops::Range;

use burn::tensor::Tensor;
use wire::edit::{Edit, Part};
use wire::model::ModelPlan;

use crate::params::ParamSpec;

/// Multiplies parts in the weights, flat tensors in the order of `specs`. Edits are checked ones: [`wire::edit::check_lasting`].
pub fn apply(model: &ModelPlan, specs: &[ParamSpec], weights: &mut [Tensor<1>], edits: &[Edit]) {
    for Edit { part, factor } in edits {
        let Some((projection, rows)) = place(model, *part) else { continue };
        // A bias is nobody's in particular: only the whole part takes it along.
        let bias = matches!(part, Part::Attention { .. } | Part::Mlp { .. }).then(|| format!("{projection}.bias"));
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

/// The projection `[d_in, d_out]` through which a part speaks, and the rows of it that are the part's.
fn place(model: &ModelPlan, part: Part) -> Option<(String, Range<usize>)> {
    let out = |layer: u32| format!("block.{layer}.attention.out");
    let down = |layer: u32| format!("block.{layer}.mlp.down");
    Some(match part {
        Part::Attention { layer } => (out(layer), 0..model.d_model),
        Part::Mlp { layer } => (down(layer), 0..model.d_ff),
        Part::Head { layer, head } => {
            let from = head as usize * model.d_head();
            (out(layer), from..from + model.d_head())
        }
        Part::Unit { layer, unit } => (down(layer), unit as usize..unit as usize + 1),
        Part::Position { .. } => return None,
    })
}

fn scale(weight: &mut Tensor<1>, range: Range<usize>, factor: f32) {
    let scaled = weight.clone().slice([range.clone()]) * factor;
    *weight = weight.clone().slice_assign([range], scaled);
}
