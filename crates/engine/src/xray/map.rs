//! The map: every part of the model in a few numbers.

use wire::frame::Moments;
use wire::look::Passage;
use wire::model::Mlp;
use wire::sight::{PartSight, Sight};

use super::Eye;
use super::attention;
use super::passage::mean;
use crate::decoder::Point;
use crate::error::EngineError;
use crate::reduce::{ChannelStats, Wishes};

/// A unit whose activations stay below this is dead; with SwiGLU, where either sign counts, their sizes.
pub(super) const DEAD_BELOW: f32 = 1e-3;

pub(super) fn see(eye: &Eye<'_>, passage: &Passage) -> Result<Sight, EngineError> {
    let pass = eye.pass(passage)?;
    let layers = eye.model().layers;
    let logits = pass.logits(eye);
    let mut moments = vec![pass.at(Point::Embedding)];
    for layer in 0..layers {
        let points = [Point::Attention(layer), Point::Attended(layer), Point::Mlp(layer), Point::Stream(layer)];
        moments.extend(points.map(|point| pass.at(point)));
    }
    moments.extend([pass.at(Point::Norm), logits.clone()]);
    let channels = (0..layers).map(|layer| pass.at(Point::Units(layer))).collect();
    let found = eye.reduce(Wishes { moments, channels, ..Wishes::default() })?;
    let heads = attention::stats(eye, &pass, 0..layers)?;

    let (first, rest) = (found.moments[0], &found.moments[1..]);
    let last = rest[4 * layers];
    let mut parts = vec![part("embedding".to_owned(), first, first)];
    for (layer, heads) in heads.into_iter().enumerate() {
        let of = &rest[4 * layer..4 * layer + 4];
        parts.push(PartSight { heads, ..part(format!("block.{layer}.attention"), of[0], of[1]) });
        let dead = dead_share(eye, &found.channels[layer]);
        parts.push(PartSight { dead: Some(dead), ..part(format!("block.{layer}.mlp"), of[2], of[3]) });
    }
    parts.push(part("norm".to_owned(), last, last));
    parts.push(part("head".to_owned(), rest[4 * layers + 1], Moments::default()));
    let losses = pass.losses(eye, logits)?;
    Ok(Sight::Map { tokens: eye.pieces(&pass.text.tokens), loss: mean(&losses), parts })
}

fn part(name: String, says: Moments, stream: Moments) -> PartSight {
    let (rms, stream_rms) = (says.rms as f32, stream.rms as f32);
    PartSight { name, rms, stream_rms, bad: says.bad, dead: None, heads: vec![] }
}

/// Share of units that no token made active.
pub(super) fn dead_share(eye: &Eye<'_>, units: &[ChannelStats]) -> f32 {
    let is_dead = |unit: &&ChannelStats| match eye.model().mlp {
        Mlp::Gelu => unit.max <= DEAD_BELOW,
        Mlp::Swiglu => size(unit) <= DEAD_BELOW,
    };
    units.iter().filter(is_dead).count() as f32 / units.len().max(1) as f32
}

/// The largest a unit gets, of either sign.
pub(super) fn size(unit: &ChannelStats) -> f32 {
    unit.max.max(-unit.min)
}
