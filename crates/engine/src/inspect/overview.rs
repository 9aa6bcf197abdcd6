//! The overview: one number or a few for every component.

use wire::inspect::request::InspectionText;
use wire::inspect::result::{ComponentStats, InspectionResult};
use wire::inspect::statistics::Moments;

use super::Inspector;
use super::attention;
use super::neurons::dead_fraction;
use super::text::mean;
use crate::error::EngineError;
use crate::kernels::reduce::Reductions;
use crate::model::hook::HookPoint;

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
    let channels: Vec<_> = (0..layers).map(|layer| cache.at(HookPoint::MlpPost(layer))).collect();
    moments.extend(channels.iter().cloned());
    let found = inspector.reduce(Reductions { moments, channels, ..Reductions::default() })?;
    let heads = attention::stats(inspector, &cache, 0..layers)?;

    let (first, rest) = (found.moments[0], &found.moments[1..]);
    let (last, neurons) = (rest[4 * layers], &rest[4 * layers + 2..]);
    let mut components = vec![component("embedding".to_owned(), first, first)];
    for (layer, heads) in heads.into_iter().enumerate() {
        let of = &rest[4 * layer..4 * layer + 4];
        components.push(ComponentStats { heads, ..component(format!("block.{layer}.attention"), of[0], of[1]) });
        let dead = dead_fraction(&found.channels[layer], neurons[layer].rms);
        components
            .push(ComponentStats { dead: Some(dead as f32), ..component(format!("block.{layer}.mlp"), of[2], of[3]) });
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
