//! The speed of generation with and without a key-value cache.

use std::time::Instant;

use burn::tensor::Device;
use engine::EngineError;
use engine::model::params::{self, Weights};
use engine::model::sample::{self, SampleArgs, TokenContext, Truncation};
use wire::model::ModelPlan;
use wire::run::preset;

use crate::Outcome;

const TOKENS: u32 = 256;

/// Measures three models on the CPU.
pub(crate) fn run() -> Outcome<()> {
    println!("{TOKENS} tokens after a prompt of one token, on the CPU");
    for (name, vocab) in [("nanogpt-char", 65), ("nanogpt-cpu", 65), ("gpt2", 50_257)] {
        let mut model = preset::find(name, None)?.recipe.model;
        (model.vocab, model.seq) = (vocab, model.seq.max(TOKENS as usize + 1));
        let specs = params::layout(&model);
        let weights = Weights::new(&specs, params::initial_on(&specs, 1, &Device::flex()));
        let with = tokens_per_sec(&model, &weights, true)?;
        let without = tokens_per_sec(&model, &weights, false)?;
        println!("{name}: {with:.1} tok/s with a cache, {without:.1} without: {:.1} x", with / without);
    }
    Ok(())
}

/// The better of two rounds, or one round if it takes more than 30 s.
fn tokens_per_sec(model: &ModelPlan, weights: &Weights, is_cached: bool) -> Result<f64, EngineError> {
    let mut best = 0f64;
    for _ in 0..2 {
        let reader = TokenContext::new(model, weights, &[1], None, &Device::flex());
        let mut reader = if is_cached { reader } else { reader.without_cache() };
        let args = SampleArgs { tokens: TOKENS, temperature: 0.8, seed: 1, start: None, ends: &[] };
        let began = Instant::now();
        sample::generate(&mut reader, args, Truncation::NONE, |_| true)?;
        let secs = began.elapsed().as_secs_f64();
        best = best.max(f64::from(TOKENS) / secs);
        if secs > 30.0 {
            break;
        }
    }
    Ok(best)
}
