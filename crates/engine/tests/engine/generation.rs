//! Generation: the key-value cache changes only the time, and the same seed gives the same text.

use burn::tensor::Device;
use engine::check;
use engine::model::params::{self, Weights};
use engine::model::sample::{self, SampleArgs, SampledToken, StopReason, TokenContext, Truncation};
use wire::model::{Mlp, ModelPlan, Norm, Positions};

const TOKENS: u32 = 40;

fn plain() -> ModelPlan {
    ModelPlan {
        layers: 2,
        heads: 4,
        kv_heads: 4,
        d_model: 32,
        d_ff: 64,
        seq: 24,
        vocab: 61,
        bias: true,
        ..check::tiny()
    }
}

/// One model for each option of the architecture, and one with all modern options.
fn shapes() -> Vec<(&'static str, ModelPlan)> {
    let rotary = ModelPlan { positions: Positions::Rotary, ..plain() };
    let modern = ModelPlan {
        kv_heads: 2,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        qk_norm: true,
        bias: false,
        tied_head: false,
        logit_softcap: 15.0,
        ..rotary.clone()
    };
    vec![
        ("learned", plain()),
        ("rotary", rotary),
        ("groups", ModelPlan { kv_heads: 1, ..plain() }),
        ("soft cap", ModelPlan { logit_softcap: 5.0, ..plain() }),
        ("exact GELU", ModelPlan { mlp: Mlp::GeluExact, ..plain() }),
        ("query-key norm", ModelPlan { qk_norm: true, ..plain() }),
        ("modern", modern),
        ("tiny context", ModelPlan { seq: 1, ..plain() }),
    ]
}

/// Larger than initial weights, so that the texts are not only repetitions.
fn weights(model: &ModelPlan) -> Weights {
    let specs = params::layout(model);
    let values = params::initial(&specs, 3).into_iter().zip(&specs).map(|(values, spec)| {
        let scale = if spec.decays() { 6.0 } else { 1.0 };
        params::upload(values.into_iter().map(|value| value * scale).collect(), &Device::flex())
    });
    Weights::new(&specs, values.collect())
}

fn texts(reader: &mut TokenContext, args: SampleArgs, truncation: Truncation) -> (Vec<SampledToken>, StopReason) {
    let mut sampled_tokens = vec![];
    let stopped = sample::generate(reader, args, truncation, |token| {
        sampled_tokens.push(token.clone());
        true
    });
    (sampled_tokens, stopped.unwrap())
}

#[test]
fn logits_are_equal_with_and_without_a_cache() {
    for (name, model) in shapes() {
        let weights = weights(&model);
        let prompt = [7, 3, 60];
        let reader = || TokenContext::new(&model, &weights, &prompt, None, &Device::flex());
        let (mut cached, mut whole) = (reader(), reader().without_cache());
        for step in 0..TOKENS {
            let (a, b) = (cached.next_logits().unwrap(), whole.next_logits().unwrap());
            let largest = b.iter().fold(1f32, |top, logit| top.max(logit.abs()));
            let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference <= 1e-5 * largest, "{name}, token {step}: difference {difference} of {largest}");
            let next = (step * 17 + 5) % 61;
            // Sometimes several tokens follow the cached ones.
            let count = if step % 7 == 3 { 3 } else { 1 };
            for token in [next, 8, 30].into_iter().take(count) {
                (cached.push(token), whole.push(token));
            }
        }
        for (temperature, truncation) in
            [(0.0, Truncation::NONE), (0.9, Truncation::NONE), (1.2, Truncation { top_k: 20, top_p: 0.9 })]
        {
            let args = SampleArgs { tokens: TOKENS, temperature, seed: 11, start: None, ends: &[] };
            let ids = |sampled: Vec<SampledToken>| sampled.iter().map(|sampled| sampled.token).collect::<Vec<_>>();
            let with = ids(texts(&mut reader(), args, truncation).0);
            assert_eq!(with, ids(texts(&mut reader().without_cache(), args, truncation).0), "{name} at {temperature}");
            assert_eq!(with.len(), TOKENS as usize);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let model = plain();
    let weights = weights(&model);
    let of = |seed, temperature, truncation| {
        let mut reader = TokenContext::new(&model, &weights, &[1], None, &Device::flex());
        texts(&mut reader, SampleArgs { tokens: TOKENS, temperature, seed, start: None, ends: &[] }, truncation).0
    };
    assert_eq!(of(1, 0.8, Truncation::NONE), of(1, 0.8, Truncation::NONE));
    assert_ne!(of(1, 0.8, Truncation::NONE), of(2, 0.8, Truncation::NONE));
    assert_eq!(of(1, 0.0, Truncation::NONE), of(2, 0.0, Truncation::NONE), "at temperature 0 the seed has no effect");
    assert_eq!(
        of(1, 0.0, Truncation::NONE),
        of(2, 1.5, Truncation { top_k: 1, top_p: 1.0 }),
        "with top-k 1 the seed has no effect"
    );
    let sampled = of(1, 0.8, Truncation { top_k: 3, top_p: 1.0 });
    assert!(sampled.iter().all(|sampled| sampled.alternatives[..3].iter().any(|(token, _)| *token == sampled.token)));
    let old = sample::sample(
        &model,
        &weights,
        &[1],
        SampleArgs { tokens: TOKENS, temperature: 0.8, seed: 1, start: None, ends: &[] },
        &Device::flex(),
    );
    assert_eq!(old.unwrap(), of(1, 0.8, Truncation::NONE).iter().map(|sampled| sampled.token).collect::<Vec<_>>());
}

#[test]
fn a_text_ends_at_end_of_text_or_when_the_receiver_returns_false() {
    let model = plain();
    let weights = weights(&model);
    let args = SampleArgs { tokens: TOKENS, temperature: 1.0, seed: 4, start: None, ends: &[] };
    let reader = || TokenContext::new(&model, &weights, &[], Some(0), &Device::flex());
    let (sampled, stopped) = texts(&mut reader(), args, Truncation::NONE);
    assert_eq!((sampled.len(), stopped), (TOKENS as usize, StopReason::Length));
    let ends = [sampled[5].token];
    let (ended, stopped) = texts(&mut reader(), SampleArgs { ends: &ends, ..args }, Truncation::NONE);
    assert!(ended.len() <= 6 && stopped == StopReason::EndOfText);
    let mut received = 0;
    let stopped = sample::generate(&mut reader(), args, Truncation::NONE, |_| {
        received += 1;
        received < 3
    });
    assert_eq!((received, stopped.unwrap()), (3, StopReason::Receiver));
}
