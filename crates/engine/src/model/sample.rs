//! Text generation, one token at a time with a key-value cache.
//!
//! [`TokenContext`] gives the logits of the next token of a growing text, [`choose`] samples from them, and [`generate`] does both until it
//! ends. The random numbers are a function of the seed and the position in the text, so the same seed gives the same text.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::device::read;
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::decoder::{Cache, Decoder};
use crate::model::gradient::tokens;
use crate::model::hook::Hook;
use crate::model::params::Weights;

/// Most likely tokens that are reported with each token.
pub const ALTERNATIVES: usize = 8;

/// How a text is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleArgs {
    /// Tokens to add.
    pub tokens: u32,
    /// Temperature; 0 takes the most likely token each time.
    pub temperature: f64,
    /// Random seed; the same seed gives the same text.
    pub seed: u64,
    /// The token that ends the text.
    pub eot: Option<u32>,
}

/// Truncation of the distribution: the tokens that may be sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    /// The `top_k` most likely tokens; 0 for all.
    pub top_k: u32,
    /// The most likely tokens that together reach this probability (Holtzman et al. 2020); 1 for all.
    pub top_p: f64,
}

impl Truncation {
    /// All tokens.
    pub const NONE: Self = Self { top_k: 0, top_p: 1.0 };
}

/// A sampled token. Probabilities are those of the model, before temperature and truncation.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledToken {
    /// Token id.
    pub token: u32,
    /// The model's probability of it.
    pub probability: f64,
    /// The most likely tokens with their probabilities, most likely first.
    pub alternatives: Vec<(u32, f64)>,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The requested number of tokens was generated.
    Length,
    /// The model generated the end-of-text token.
    EndOfText,
    /// The receiver of the tokens ended it.
    Receiver,
}

/// Samples tokens after a prompt.
///
/// # Errors
/// A device that has gone away.
pub fn sample(
    model: &ModelPlan,
    weights: &Weights,
    prompt: &[u32],
    args: SampleArgs,
    device: &Device,
) -> Result<Vec<u32>, EngineError> {
    let mut added = vec![];
    let mut reader = TokenContext::new(model, weights, prompt, args.eot, device);
    let mut random = Counter::new(args.seed, STREAM);
    for _ in 0..args.tokens {
        let token = choose(&reader.next_logits()?, args.temperature, Truncation::NONE, random.share());
        if args.eot == Some(token) {
            break;
        }
        reader.push(token);
        added.push(token);
    }
    Ok(added)
}

/// The stream of random numbers of text generation.
const STREAM: u64 = 0x7e87;

/// Samples tokens after a text and passes each to `receive`, until the text is long enough, ends, or `receive` returns false.
///
/// # Errors
/// A device that has gone away.
pub fn generate(
    reader: &mut TokenContext<'_>,
    args: SampleArgs,
    truncation: Truncation,
    mut receive: impl FnMut(&SampledToken) -> bool,
) -> Result<StopReason, EngineError> {
    let mut random = Counter::new(args.seed, STREAM);
    for _ in 0..args.tokens {
        let logits = reader.next_logits()?;
        let token = choose(&logits, args.temperature, truncation, random.share());
        let continues = receive(&describe(&logits, token));
        if args.eot == Some(token) {
            return Ok(StopReason::EndOfText);
        }
        if !continues {
            return Ok(StopReason::Receiver);
        }
        reader.push(token);
    }
    Ok(StopReason::Length)
}

/// A growing text in the model's context. When the context is full, its older half is dropped and the rest is read again, so that each
/// new token costs one short pass: positions count from the oldest token in the context, and keys depend on them.
pub struct TokenContext<'a> {
    decoder: Decoder<'a>,
    device: Device,
    text: Vec<u32>,
    /// First token of the context.
    from: usize,
    context: usize,
    /// Key-value cache; `None` where every pass reads the whole context again, which tests and measurements compare with.
    cache: Option<Cache>,
}

impl<'a> TokenContext<'a> {
    /// Begins with a prompt, or with the end-of-text token where it is empty. Of a prompt longer than the context, the end is read.
    pub fn new(model: &'a ModelPlan, weights: &'a Weights, prompt: &[u32], eot: Option<u32>, device: &Device) -> Self {
        let text = if prompt.is_empty() { vec![eot.unwrap_or(0)] } else { prompt.to_vec() };
        let from = text.len().saturating_sub(model.seq);
        let decoder = Decoder::new(model, weights);
        Self { decoder, device: device.clone(), text, from, context: model.seq, cache: Some(Cache::default()) }
    }

    /// The same with a hook in every pass.
    pub fn hooked(self, model: &'a ModelPlan, weights: &'a Weights, hook: &'a dyn Hook) -> Self {
        Self { decoder: Decoder::hooked(model, weights, hook), ..self }
    }

    /// The same without a key-value cache.
    pub fn without_cache(self) -> Self {
        Self { cache: None, ..self }
    }

    /// Adds a token to the text.
    pub fn push(&mut self, token: u32) {
        self.text.push(token);
        if self.text.len() - self.from > self.context {
            self.from = self.text.len() - (self.context / 2).max(1);
            self.cache = self.cache.take().map(|_| Cache::default());
        }
    }

    /// Logits of the token after the text.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn next_logits(&mut self) -> Result<Vec<f32>, EngineError> {
        let known = self.cache.as_ref().map_or(0, Cache::len);
        let unread: Vec<i32> = self.text[self.from + known..].iter().map(|token| *token as i32).collect();
        let x = self.decoder.residual(tokens(&unread, 1, unread.len(), &self.device), self.cache.as_mut());
        let [_, seq, d_model] = x.dims();
        let last = x.slice_dim(1, seq - 1..seq).reshape([1, d_model]);
        let logits = self.decoder.head(last);
        let [_, vocab] = logits.dims();
        read(logits.reshape([vocab]))
    }
}

/// The token at which the running sum of probabilities passes `share`; the likeliest at temperature 0.
fn choose(logits: &[f32], temperature: f64, cut: Truncation, share: f64) -> u32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let likeliest = logits.iter().position(|logit| *logit == top).unwrap_or(0) as u32;
    if temperature <= 0.0 || !top.is_finite() {
        return likeliest;
    }
    let mut weights: Vec<f64> = logits.iter().map(|logit| (f64::from(logit - top) / temperature).exp()).collect();
    apply_cut(&mut weights, cut);
    let mut left = share * weights.iter().sum::<f64>();
    for (token, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return token as u32;
        }
    }
    likeliest
}

/// Takes all weight from tokens that may not be drawn. Of equal ones the first in the vocabulary stay.
fn apply_cut(weights: &mut [f64], Truncation { top_k, top_p }: Truncation) {
    let keeps_all = (top_k == 0 || top_k as usize >= weights.len()) && top_p >= 1.0;
    if keeps_all {
        return;
    }
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
    if top_k > 0 {
        order.iter().skip(top_k as usize).for_each(|token| weights[*token] = 0.0);
    }
    let enough = top_p * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    for (place, token) in order.into_iter().enumerate() {
        if place > 0 && sum >= enough {
            weights[token] = 0.0;
        }
        sum += weights[token];
    }
}

/// The model's own probabilities of a token and of the likeliest ones.
fn describe(logits: &[f32], token: u32) -> SampledToken {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    let probability = |token: usize| f64::from(logits[token] - top).exp() / sum;
    let before = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let mut order: Vec<usize> = (0..logits.len()).collect();
    if order.len() > ALTERNATIVES {
        order.select_nth_unstable_by(ALTERNATIVES - 1, before);
        order.truncate(ALTERNATIVES);
    }
    order.sort_by(before);
    let alternatives = order.into_iter().map(|token| (token as u32, probability(token))).collect();
    SampledToken { token, probability: probability(token as usize), alternatives }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_keep_the_likeliest_and_no_others() {
        let check = |cut: Truncation, expected: &[f64]| {
            let mut weights = [1.0, 4.0, 2.0, 1.0, 2.0];
            apply_cut(&mut weights, cut);
            assert_eq!(weights, expected, "{cut:?}");
        };
        check(Truncation::NONE, &[1.0, 4.0, 2.0, 1.0, 2.0]);
        check(Truncation { top_k: 1, top_p: 1.0 }, &[0.0, 4.0, 0.0, 0.0, 0.0]);
        check(Truncation { top_k: 2, top_p: 1.0 }, &[0.0, 4.0, 2.0, 0.0, 0.0]);
        check(Truncation { top_k: 99, top_p: 0.6 }, &[0.0, 4.0, 2.0, 0.0, 0.0]);
        check(Truncation { top_k: 0, top_p: 0.61 }, &[0.0, 4.0, 2.0, 0.0, 2.0]);
        check(Truncation { top_k: 3, top_p: 0.5 }, &[0.0, 4.0, 0.0, 0.0, 0.0]);
        check(Truncation { top_k: 0, top_p: 0.0 }, &[0.0, 4.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        let logits = [0.0f32, 2f32.ln(), f32::NEG_INFINITY, 1f32.ln()];
        let mut counts = [0; 4];
        let mut random = Counter::new(5, 0);
        (0..40_000).for_each(|_| counts[choose(&logits, 1.0, Truncation::NONE, random.share()) as usize] += 1);
        for (count, share) in counts.iter().zip([0.25, 0.5, 0.0, 0.25]) {
            assert!((f64::from(*count) / 40_000.0 - share).abs() < 0.01, "{counts:?}");
        }
        assert_eq!(choose(&logits, 0.0, Truncation::NONE, 0.99), 1);
        assert_eq!(choose(&logits, 1.0, Truncation { top_k: 1, top_p: 1.0 }, 0.99), 1);
        assert_eq!(choose(&[f32::NAN; 3], 1.0, Truncation::NONE, 0.5), 0, "a broken model still gives an answer");
    }

    #[test]
    fn alternatives_are_in_order_and_probabilities_sum_to_one() {
        let logits: Vec<f32> = (0..5).map(|i| i as f32 * 0.5).collect();
        let drawn = describe(&logits, 0);
        let sum: f64 = drawn.alternatives.iter().map(|(_, probability)| probability).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!(drawn.alternatives.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
        assert_eq!(drawn.probability, drawn.alternatives[4].1);
        let many: Vec<f32> = (0..1000).map(|i| ((i * 37) % 1000) as f32 * 0.01).collect();
        let alternatives = describe(&many, 3).alternatives;
        assert_eq!(alternatives.len(), ALTERNATIVES);
        assert!(alternatives.windows(2).all(|pair| pair[0].1 >= pair[1].1) && many[alternatives[0].0 as usize] == 9.99);
    }
}
