//! The activations of an MLP's neurons over a text.

use burn::tensor::{Int, Tensor, TensorData};
use wire::inspect::request::InspectionText;
use wire::inspect::result::{HeatMap, Histogram, InspectionResult};

use super::Inspector;
use crate::device::read;
use crate::error::{EngineError, InspectError};
use crate::kernels::reduce::{ChannelStats, Reductions};
use crate::model::hook::HookPoint;

/// Maximum number of neurons in the result.
const MAX_NEURONS: usize = 512;
/// A neuron is dead if its output is never above this fraction of the RMS of its layer, in absolute value. The limit is relative, because the
/// scale of the outputs differs between models, and on both sides, because outputs of GELU and SwiGLU below 0 also reach the residual stream.
const DEAD_BELOW: f64 = 0.01;
/// Power of two of the magnitude from which GELU and SiLU are nearly linear or nearly 0.
const SATURATED_FROM: i32 = 2;

pub(super) fn inspect(
    inspector: &Inspector<'_>,
    text: &InspectionText,
    layer: u32,
) -> Result<InspectionResult, EngineError> {
    let layer = inspector.model().layer(layer).map_err(InspectError::from)?;
    let cache = inspector.cache(text)?;
    let activations = cache.at(HookPoint::MlpPost(layer)); // [seq, d_ff]
    let [seq, count] = activations.dims();
    let reductions = Reductions {
        moments: vec![activations.clone()],
        channels: vec![activations.clone()],
        histograms: vec![activations.clone(), cache.at(HookPoint::MlpPre(layer))],
        ..Reductions::default()
    };
    let mut found = inspector.reduce(reductions)?;
    let channels = &found.channels[0];
    let mut order: Vec<u32> = (0..count as u32).collect();
    order
        .sort_by(|a, b| magnitude(&channels[*b as usize]).total_cmp(&magnitude(&channels[*a as usize])).then(a.cmp(b)));
    order.truncate(MAX_NEURONS);
    let dead = dead_fraction(channels, found.moments[0].rms) as f32;
    let saturated = fraction_from(&found.histograms[1], SATURATED_FROM);

    let ids: Vec<i32> = order.iter().map(|neuron| *neuron as i32).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [order.len()]), &inspector.subject.device.burn);
    let shown = activations.select(1, ids).transpose(); // [shown, seq]
    let values = read(shown.reshape([order.len() * seq]))?;
    Ok(InspectionResult::Neurons {
        tokens: inspector.pieces(&cache.text.tokens),
        activations: HeatMap::of(order.len(), seq, &values),
        neurons: order,
        total: count as u32,
        dead,
        saturated,
        histogram: found.histograms.swap_remove(0),
    })
}

/// Fraction of the neurons of a layer that are dead over a text. `rms` is that of the outputs of all of them.
/// [`wire::series::definition::DEAD_NEURONS`] states it.
pub(super) fn dead_fraction(neurons: &[ChannelStats], rms: f64) -> f64 {
    let dead = neurons.iter().filter(|neuron| f64::from(magnitude(neuron)) <= DEAD_BELOW * rms).count();
    dead as f64 / neurons.len().max(1) as f64
}

/// The maximum absolute activation of a neuron.
fn magnitude(neuron: &ChannelStats) -> f32 {
    neuron.max.max(-neuron.min)
}

/// Fraction of the values whose magnitude is at least a power of two.
fn fraction_from(histogram: &Histogram, power: i32) -> f32 {
    let sum = |bins: &[u64]| bins.iter().sum::<u64>();
    let first = (power - Histogram::LOWEST) as usize;
    let all = sum(&histogram.negative) + sum(&histogram.positive) + histogram.zeros + histogram.non_finite;
    (sum(&histogram.negative[first..]) + sum(&histogram.positive[first..])) as f32 / all.max(1) as f32
}
