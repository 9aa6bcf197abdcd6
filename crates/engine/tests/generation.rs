//! Generation: what is remembered changes nothing but the time, and the same seed gives the same text.

use burn::tensor::Device;
use engine::params::{self, Weights};
use engine::sample::{self, Cut, Draw, Drawn, Reader, Stopped};
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
        positions: Positions::Learned,
        norm: Norm::Layer,
        mlp: Mlp::Gelu,
        qk_norm: false,
        bias: true,
        tied_head: true,
        logit_softcap: 0.0,
        dropout: 0.0,
        rotary_base: ModelPlan::ROTARY_BASE,
        norm_eps: 0.0,
    }
}

/// One of each switch, and all modern ones together.
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
        ("query-key norm", ModelPlan { qk_norm: true, ..plain() }),
        ("modern", modern),
        ("tiny context", ModelPlan { seq: 1, ..plain() }),
    ]
}

/// Larger than initial ones, so that the texts are no plain repetition.
fn weights(model: &ModelPlan) -> Weights {
    let specs = params::layout(model);
    let values = params::initial(&specs, 3).into_iter().zip(&specs).map(|(values, spec)| {
        let scale = if spec.decays() { 6.0 } else { 1.0 };
        params::upload(values.into_iter().map(|value| value * scale).collect(), &Device::flex())
    });
    Weights::new(&specs, values.collect())
}

fn texts(reader: &mut Reader, draw: Draw, cut: Cut) -> (Vec<Drawn>, Stopped) {
    let mut told = vec![];
    let stopped = sample::generate(reader, draw, cut, |drawn| {
        told.push(drawn.clone());
        true
    });
    (told, stopped.unwrap())
}

#[test]
fn with_and_without_memory_the_logits_are_the_same() {
    for (name, model) in shapes() {
        let weights = weights(&model);
        let prompt = [7, 3, 60];
        let reader = || Reader::new(&model, &weights, &prompt, None, &Device::flex());
        let (mut cached, mut whole) = (reader(), reader().without_cache());
        for step in 0..TOKENS {
            let (a, b) = (cached.next_logits().unwrap(), whole.next_logits().unwrap());
            let largest = b.iter().fold(1f32, |top, logit| top.max(logit.abs()));
            let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= 1e-5 * largest, "{name}, token {step}: {apart} apart of {largest}");
            let next = (step * 17 + 5) % 61;
            (cached.push(next), whole.push(next));
        }
        for (temperature, cut) in [(0.0, Cut::NONE), (0.9, Cut::NONE), (1.2, Cut { top_k: 20, top_p: 0.9 })] {
            let draw = Draw { tokens: TOKENS, temperature, seed: 11, eot: None };
            let numbers = |told: Vec<Drawn>| told.iter().map(|drawn| drawn.token).collect::<Vec<_>>();
            let with = numbers(texts(&mut reader(), draw, cut).0);
            assert_eq!(with, numbers(texts(&mut reader().without_cache(), draw, cut).0), "{name} at {temperature}");
            assert_eq!(with.len(), TOKENS as usize);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let model = plain();
    let weights = weights(&model);
    let of = |seed, temperature, cut| {
        let mut reader = Reader::new(&model, &weights, &[1], None, &Device::flex());
        texts(&mut reader, Draw { tokens: TOKENS, temperature, seed, eot: None }, cut).0
    };
    assert_eq!(of(1, 0.8, Cut::NONE), of(1, 0.8, Cut::NONE));
    assert_ne!(of(1, 0.8, Cut::NONE), of(2, 0.8, Cut::NONE));
    assert_eq!(of(1, 0.0, Cut::NONE), of(2, 0.0, Cut::NONE), "the likeliest need no seed");
    assert_eq!(of(1, 0.0, Cut::NONE), of(2, 1.5, Cut { top_k: 1, top_p: 1.0 }), "one choice is none");
    let told = of(1, 0.8, Cut { top_k: 3, top_p: 1.0 });
    assert!(told.iter().all(|drawn| drawn.alternatives[..3].iter().any(|(token, _)| *token == drawn.token)));
    let old = sample::draw(
        &model,
        &weights,
        &[1],
        Draw { tokens: TOKENS, temperature: 0.8, seed: 1, eot: None },
        &Device::flex(),
    );
    assert_eq!(old.unwrap(), of(1, 0.8, Cut::NONE).iter().map(|drawn| drawn.token).collect::<Vec<_>>());
}

#[test]
fn a_text_ends_where_the_model_or_the_listener_ends_it() {
    let model = plain();
    let weights = weights(&model);
    let draw = Draw { tokens: TOKENS, temperature: 1.0, seed: 4, eot: None };
    let reader = || Reader::new(&model, &weights, &[], Some(0), &Device::flex());
    let (told, stopped) = texts(&mut reader(), draw, Cut::NONE);
    assert_eq!((told.len(), stopped), (TOKENS as usize, Stopped::Length));
    let eot = Some(told[5].token);
    let (ended, stopped) = texts(&mut reader(), Draw { eot, ..draw }, Cut::NONE);
    assert!(ended.len() <= 6 && stopped == Stopped::EndOfText);
    let mut heard = 0;
    let stopped = sample::generate(&mut reader(), draw, Cut::NONE, |_| {
        heard += 1;
        heard < 3
    });
    assert_eq!((heard, stopped.unwrap()), (3, Stopped::Listener));
}
