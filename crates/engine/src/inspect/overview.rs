//! The overview: one number or a few for every component.

use wire::inspect::request::InspectionText;
use wire::inspect::result::{ComponentStats, InspectionResult};
use wire::inspect::statistics::Moments;
use wire::model::Mlp;

use super::Inspector;
use super::attention;
use super::text::mean;
use crate::error::EngineError;
use crate::kernels::reduce::{ChannelStats, Reductions};
use crate::model::hook::HookPoint;

/// A neuron is dead if none of its activations (with SwiGLU, of their magnitudes) is above this.
pub(super) const DEAD_BELOW: f32 = 1e-3;

pub(super) fn inspect(inspector: &Inspector<'_>, text: &InspectionText) -> Result<InspectionResult, EngineError> {
    let cache = inspector.cache(text)?;
    let layers = inspector.model().layers;
    let logits = cache.logits(inspector);
    let mut moments = vec![cache.at(HookPoint::ResidPre)];
    for layer in 0..layers {
        let points = [
            HookPoint::AttnOut(layer),
            HookPoint::ResidMid(layer),
            HookPoint::MlpOut(layer),
            HookPoint::ResidPost(layer),
        ];
        moments.extend(points.map(|point| cache.at(point)));
    }
    moments.extend([cache.at(HookPoint::FinalNorm), logits.clone()]);
    let channels = (0..layers).map(|layer| cache.at(HookPoint::MlpPost(layer))).collect();
    let found = inspector.reduce(Reductions { moments, channels, ..Reductions::default() })?;
    let heads = attention::stats(inspector, &cache, 0..layers)?;

    let (first, rest) = (found.moments[0], &found.moments[1..]);
    let last = rest[4 * layers];
    let mut components = vec![component("embedding".to_owned(), first, first)];
    for (layer, heads) in heads.into_iter().enumerate() {
        let of = &rest[4 * layer..4 * layer + 4];
        components.push(ComponentStats { heads, ..component(format!("block.{layer}.attention"), of[0], of[1]) });
        let dead = dead_fraction(inspector, &found.channels[layer]);
        components.push(ComponentStats { dead: Some(dead), ..component(format!("block.{layer}.mlp"), of[2], of[3]) });
    }
    components.push(component("norm".to_owned(), last, last));
    components.push(component("head".to_owned(), rest[4 * layers + 1], Moments::default()));
    let losses = cache.losses(inspector, logits)?;
    Ok(InspectionResult::Overview { tokens: inspector.pieces(&cache.text.tokens), loss: mean(&losses), components })
}

fn component(name: String, output: Moments, stream: Moments) -> ComponentStats {
    let (rms, stream_rms) = (output.rms as f32, stream.rms as f32);
    ComponentStats { name, rms, stream_rms, non_finite: output.non_finite, dead: None, heads: vec![] }
}

/// Fraction of neurons that no token activates.
pub(super) fn dead_fraction(inspector: &Inspector<'_>, neurons: &[ChannelStats]) -> f32 {
    let is_dead = |neuron: &&ChannelStats| match inspector.model().mlp {
        Mlp::Gelu | Mlp::GeluExact => neuron.max <= DEAD_BELOW,
        Mlp::Swiglu => magnitude(neuron) <= DEAD_BELOW,
    };
    neurons.iter().filter(is_dead).count() as f32 / neurons.len().max(1) as f32
}

/// The maximum absolute activation of a neuron.
pub(super) fn magnitude(neuron: &ChannelStats) -> f32 {
    neuron.max.max(-neuron.min)
}
