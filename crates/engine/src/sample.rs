//! Text from the model: one token at a time, keys and values of the ones before kept.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::decoder::{Cache, Decoder};
use crate::device::read;
use crate::error::EngineError;
use crate::gradient::tokens;
use crate::params::Weights;
use crate::random::Counter;

/// How a text is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Tokens to add.
    pub tokens: u32,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Seed of this text: the same seed, the same text.
    pub seed: u64,
    /// Ends the text where the model draws it.
    pub eot: Option<u32>,
}

/// Draws tokens after a prompt. When the context is full, its older half is dropped and the rest read again, so that each new token
/// costs one short pass.
///
/// # Errors
/// A device that has gone away.
pub fn draw(
    model: &ModelPlan,
    weights: &Weights,
    prompt: &[u32],
    draw: Draw,
    device: &Device,
) -> Result<Vec<u32>, EngineError> {
    let decoder = Decoder::new(model, weights);
    let mut random = Counter::new(draw.seed, 0x7e87);
    let mut text: Vec<u32> = prompt.to_vec();
    if text.is_empty() {
        text.push(draw.eot.unwrap_or(0));
    }
    let (mut cache, mut read_from) = (Cache::default(), text.len().saturating_sub(model.seq));
    let mut added = vec![];
    for _ in 0..draw.tokens {
        if cache.len() >= model.seq {
            cache = Cache::default();
            read_from = text.len() - (model.seq / 2).max(1);
        }
        let new: Vec<i32> = text[read_from + cache.len()..].iter().map(|token| *token as i32).collect();
        let logits = next_logits(&decoder, &new, &mut cache, device)?;
        let token = choose(&logits, draw.temperature, random.share());
        if draw.eot == Some(token) {
            break;
        }
        text.push(token);
        added.push(token);
    }
    Ok(added)
}

/// Logits of the token after `new`, whose predecessors are in the cache.
fn next_logits(
    decoder: &Decoder<'_>,
    new: &[i32],
    cache: &mut Cache,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    let x = decoder.residual(tokens(new, 1, new.len(), device), Some(cache)); // [1, new, d_model]
    let [_, seq, d_model] = x.dims();
    let last = x.slice_dim(1, seq - 1..seq).reshape([1, d_model]);
    let logits = decoder.head(last);
    let [_, vocab] = logits.dims();
    read(logits.reshape([vocab]))
}

/// The token at which the running sum of probabilities passes `share`; the likeliest at temperature 0.
fn choose(logits: &[f32], temperature: f64, share: f64) -> u32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let likeliest = logits.iter().position(|logit| *logit == top).unwrap_or(0) as u32;
    if temperature <= 0.0 || !top.is_finite() {
        return likeliest;
    }
    let weight = |logit: f32| (f64::from(logit - top) / temperature).exp();
    let mut left = share * logits.iter().map(|logit| weight(*logit)).sum::<f64>();
    for (token, logit) in logits.iter().enumerate() {
        left -= weight(*logit);
        if left < 0.0 {
            return token as u32;
        }
    }
    likeliest
}
