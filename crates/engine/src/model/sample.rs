//! Text generation, one token at a time with a key-value cache.
//!
//! [`TokenContext`] computes the logits of the next token, [`sample_token`] samples from them, and [`generate`] repeats both until the text
//! ends. The random numbers are a function of the seed and the position in the text, so the same seed gives the same text.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::device::read;
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::cpu::decode::Decoding;
use crate::model::decoder::{Cache, Decoder};
use crate::model::gradient::tokens;
use crate::model::hook::Hook;
use crate::model::params::Weights;

/// Number of most likely tokens that are reported with each token.
pub const ALTERNATIVES: usize = 8;

/// Arguments of text generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleArgs<'a> {
    /// Number of tokens to generate.
    pub tokens: u32,
    /// Temperature; at 0 every token is the most likely one.
    pub temperature: f64,
    /// Random seed; the same seed gives the same text.
    pub seed: u64,
    /// The token of an empty prompt; 0 where there is none.
    pub start: Option<u32>,
    /// The tokens that end the text.
    pub ends: &'a [u32],
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
    /// Probability of the token.
    pub probability: f64,
    /// The most likely tokens with their probabilities, most likely first.
    pub alternatives: Vec<(u32, f64)>,
}

/// Reason for the end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The requested number of tokens was generated.
    Length,
    /// The model generated the end-of-text token.
    EndOfText,
    /// `receive` returned false.
    Receiver,
}

/// Samples tokens after a prompt.
///
/// # Errors
/// The device was lost.
pub fn sample(
    model: &ModelPlan,
    weights: &Weights,
    prompt: &[u32],
    args: SampleArgs<'_>,
    device: &Device,
) -> Result<Vec<u32>, EngineError> {
    let mut added = vec![];
    let mut reader = TokenContext::new(model, weights, prompt, args.start, device);
    let mut random = Counter::new(args.seed, STREAM);
    for _ in 0..args.tokens {
        let token = sample_token(&reader.next_logits()?, args.temperature, Truncation::NONE, random.uniform());
        if args.ends.contains(&token) {
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
/// The device was lost.
pub fn generate(
    reader: &mut TokenContext<'_>,
    args: SampleArgs<'_>,
    truncation: Truncation,
    mut receive: impl FnMut(&SampledToken) -> bool,
) -> Result<StopReason, EngineError> {
    let mut random = Counter::new(args.seed, STREAM);
    for _ in 0..args.tokens {
        let logits = reader.next_logits()?;
        let token = sample_token(&logits, args.temperature, truncation, random.uniform());
        let continues = receive(&describe(&logits, token));
        if args.ends.contains(&token) {
            return Ok(StopReason::EndOfText);
        }
        if !continues {
            return Ok(StopReason::Receiver);
        }
        reader.push(token);
    }
    Ok(StopReason::Length)
}

/// A growing text in the model's context. When the context is full, its older half is dropped and the rest is recomputed, so that each
/// new token needs one short pass: positions count from the oldest token in the context, and keys depend on them.
pub struct TokenContext<'a> {
    decoder: Decoder<'a>,
    device: Device,
    text: Vec<u32>,
    /// First token of the context.
    from: usize,
    context: usize,
    cached: Cached<'a>,
}

/// The keys and values of the tokens before.
enum Cached<'a> {
    /// On the CPU, where a pass of its own computes the new tokens.
    Cpu(Decoding<'a>),
    /// On a GPU, and where a hook reads the activations.
    Decoder(Cache),
    /// Every pass of the decoder reads the whole context, as tests and measurements do for comparison.
    Nothing,
}

impl Cached<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Cpu(decoding) => decoding.len(),
            Self::Decoder(cache) => cache.len(),
            Self::Nothing => 0,
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Cpu(decoding) => decoding.clear(),
            Self::Decoder(cache) => *cache = Cache::default(),
            Self::Nothing => {}
        }
    }
}

impl<'a> TokenContext<'a> {
    /// Starts with a prompt, or with the token `start` if the prompt is empty. Only the last tokens of a prompt longer than the context are
    /// used.
    pub fn new(
        model: &'a ModelPlan,
        weights: &'a Weights,
        prompt: &[u32],
        start: Option<u32>,
        device: &Device,
    ) -> Self {
        let cached = match weights.are_on_cpu() {
            true => Cached::Cpu(Decoding::new(model, weights)),
            false => Cached::Decoder(Cache::default()),
        };
        let decoder = Decoder::new(model, weights);
        let text = if prompt.is_empty() { vec![start.unwrap_or(0)] } else { prompt.to_vec() };
        let from = text.len().saturating_sub(model.seq);
        Self { decoder, device: device.clone(), text, from, context: model.seq, cached }
    }

    /// Calls `hook` in every forward pass.
    pub fn hooked(self, model: &'a ModelPlan, weights: &'a Weights, hook: &'a dyn Hook) -> Self {
        Self { decoder: Decoder::hooked(model, weights, hook), cached: Cached::Decoder(Cache::default()), ..self }
    }

    /// Disables the key-value cache.
    pub fn without_cache(self) -> Self {
        Self { cached: Cached::Nothing, ..self }
    }

    /// Tokens at the beginning of the text that are not in the context.
    pub fn dropped(&self) -> usize {
        self.from
    }

    /// Adds a token to the text.
    pub fn push(&mut self, token: u32) {
        self.text.push(token);
        if self.text.len() - self.from > self.context {
            self.from = self.text.len() - (self.context / 2).max(1);
            self.cached.clear();
        }
    }

    /// Logits of the token after the text.
    ///
    /// # Errors
    /// The device was lost.
    pub fn next_logits(&mut self) -> Result<Vec<f32>, EngineError> {
        let known = self.from + self.cached.len();
        let unread: Vec<i32> = self.text[known..].iter().map(|token| *token as i32).collect();
        let cache = match &mut self.cached {
            Cached::Cpu(decoding) => return Ok(decoding.logits(&unread)),
            Cached::Decoder(cache) => Some(cache),
            Cached::Nothing => None,
        };
        let x = self.decoder.residual(tokens(&unread, 1, unread.len(), &self.device), cache);
        let [_, seq, d_model] = x.dims();
        let last = x.slice_dim(1, seq - 1..seq).reshape([1, d_model]);
        let logits = self.decoder.head(last);
        let [_, vocab] = logits.dims();
        read(logits.reshape([vocab]))
    }
}

/// The token at which the cumulative probability exceeds `uniform`, a number in [0, 1); the most likely token at temperature 0.
fn sample_token(logits: &[f32], temperature: f64, truncation: Truncation, uniform: f64) -> u32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let most_likely = logits.iter().position(|logit| *logit == top).unwrap_or(0) as u32;
    if temperature <= 0.0 || !top.is_finite() {
        return most_likely;
    }
    let mut weights: Vec<f64> = logits.iter().map(|logit| (f64::from(logit - top) / temperature).exp()).collect();
    truncate(&mut weights, truncation);
    let mut left = uniform * weights.iter().sum::<f64>();
    for (token, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return token as u32;
        }
    }
    most_likely
}

/// Sets the weight of tokens outside top-k and top-p to 0. Of equally likely tokens, lower ids are kept.
fn truncate(weights: &mut [f64], Truncation { top_k, top_p }: Truncation) {
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
    for (rank, token) in order.into_iter().enumerate() {
        if rank > 0 && sum >= enough {
            weights[token] = 0.0;
        }
        sum += weights[token];
    }
}

/// The probabilities of the model for a token and for the most likely tokens.
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
    fn truncation_keeps_only_the_most_likely_tokens() {
        let check = |truncation: Truncation, expected: &[f64]| {
            let mut weights = [1.0, 4.0, 2.0, 1.0, 2.0];
            truncate(&mut weights, truncation);
            assert_eq!(weights, expected, "{truncation:?}");
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
    fn tokens_are_sampled_with_their_probability() {
        let logits = [0.0f32, 2f32.ln(), f32::NEG_INFINITY, 1f32.ln()];
        let mut counts = [0; 4];
        let mut random = Counter::new(5, 0);
        (0..40_000).for_each(|_| counts[sample_token(&logits, 1.0, Truncation::NONE, random.uniform()) as usize] += 1);
        for (count, probability) in counts.iter().zip([0.25, 0.5, 0.0, 0.25]) {
            assert!((f64::from(*count) / 40_000.0 - probability).abs() < 0.01, "{counts:?}");
        }
        assert_eq!(sample_token(&logits, 0.0, Truncation::NONE, 0.99), 1);
        assert_eq!(sample_token(&logits, 1.0, Truncation { top_k: 1, top_p: 1.0 }, 0.99), 1);
        assert_eq!(
            sample_token(&[f32::NAN; 3], 1.0, Truncation::NONE, 0.5),
            0,
            "a model with NaN logits still gives a token"
        );
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
