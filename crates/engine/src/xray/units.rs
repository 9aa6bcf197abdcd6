//! What the units of an MLP do over a text.

use burn::tensor::{Int, Tensor, TensorData};
use wire::look::Passage;
use wire::sight::{Field, Histogram, Sight};

use super::Eye;
use super::map::{dead_share, size};
use crate::decoder::Point;
use crate::device::read;
use crate::error::EngineError;
use crate::look_error::LookError;
use crate::reduce::Wishes;

/// Units shown at most.
const MOST_UNITS: usize = 512;
/// From 2 to this power on GELU and SiLU are all but straight, or all but silent.
const STRAIGHT_FROM: i32 = 2;

pub(super) fn see(eye: &Eye<'_>, passage: &Passage, layer: u32) -> Result<Sight, EngineError> {
    let layer = eye.model().layer(layer).map_err(LookError::from)?;
    let pass = eye.pass(passage)?;
    let activations = pass.at(Point::Units(layer)); // [seq, d_ff]
    let [seq, units] = activations.dims();
    let wishes = Wishes {
        channels: vec![activations.clone()],
        histograms: vec![activations.clone(), pass.at(Point::Bends(layer))],
        ..Wishes::default()
    };
    let mut found = eye.reduce(wishes)?;
    let channels = &found.channels[0];
    let mut order: Vec<u32> = (0..units as u32).collect();
    order.sort_by(|a, b| size(&channels[*b as usize]).total_cmp(&size(&channels[*a as usize])).then(a.cmp(b)));
    order.truncate(MOST_UNITS);
    let dead = dead_share(eye, channels);
    let saturated = share_from(&found.histograms[1], STRAIGHT_FROM);

    let ids: Vec<i32> = order.iter().map(|unit| *unit as i32).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [order.len()]), &eye.scene.device.burn);
    let shown = activations.select(1, ids).transpose(); // [shown, seq]
    let values = read(shown.reshape([order.len() * seq]))?;
    Ok(Sight::Units {
        tokens: eye.pieces(&pass.text.tokens),
        activations: Field::of(order.len(), seq, &values),
        units: order,
        of: units as u32,
        dead,
        saturated,
        histogram: found.histograms.swap_remove(0),
    })
}

/// Share of the values whose size is at least a power of two.
fn share_from(histogram: &Histogram, power: i32) -> f32 {
    let sum = |bins: &[u64]| bins.iter().sum::<u64>();
    let first = (power - Histogram::LOWEST) as usize;
    let all = sum(&histogram.negative) + sum(&histogram.positive) + histogram.zeros + histogram.bad;
    (sum(&histogram.negative[first..]) + sum(&histogram.positive[first..])) as f32 / all.max(1) as f32
}
