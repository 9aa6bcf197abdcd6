//! The gradient that the CPU computes without a graph equals that of burn's autodiff: loss and each parameter, for every option of a plan,
//! and for every preset at a small size.

use burn::tensor::{Device, Tensor};
use engine::check;
use engine::data::batch::Batch;
use engine::device::replicas::{Replicas, ThreadLimit};
use engine::kernels::random::{Counter, Normals};
use engine::model::cpu::workspace::Workspace;
use engine::model::gradient::{self, Gradient, GradientArgs};
use engine::model::params::{self, Init, ParamSpec, Weights};
use engine::model::variant::{Part, Variant};
use wire::model::{Mlp, ModelPlan, Norm, Positions, RotaryScaling};
use wire::run::preset;

/// How far a gradient may be from the reference, in units of its norm.
const MOST: f64 = 1e-4;

fn host(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

/// Weights far from their initial values, so that every term of a gradient counts.
fn weights(plan: &ModelPlan) -> (Vec<ParamSpec>, Weights) {
    let specs = params::layout(plan);
    let fill = |(index, spec): (usize, &ParamSpec)| {
        let centre = if spec.init == Init::Ones { 1.0 } else { 0.0 };
        let values = Normals::new(2, index as u64).take(spec.len()).map(|z| centre + 0.2 * z).collect();
        params::upload(values, &Device::flex())
    };
    let flat = specs.iter().enumerate().map(fill).collect();
    let bound = Weights::new(&specs, flat);
    (specs, bound)
}

fn batch(plan: &ModelPlan, size: usize, seq: usize) -> Batch {
    let mut random = Counter::new(testing::seed(31), 4);
    let mut ids = || (0..size * seq).map(|_| random.below(plan.vocab as u64) as i32).collect();
    Batch { size, seq, inputs: ids(), targets: ids() }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// `|found - expected| / |expected|`.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let apart: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    norm(&apart) / norm(expected).max(1e-12)
}

fn check(name: &str, plan: &ModelPlan, sizes: [usize; 2], z_loss: f64) {
    check_variant(name, plan, sizes, z_loss, Variant::default());
}

fn check_variant(name: &str, plan: &ModelPlan, [size, seq]: [usize; 2], z_loss: f64, variant: Variant) {
    plan.check().unwrap();
    let (specs, weights) = weights(plan);
    let batch = batch(plan, size, seq);
    let args = GradientArgs { z_loss, dropout_seed: 8, ..GradientArgs::new(plan.clone()) };
    // Of a step with twice as many tokens, as a replica's part is.
    let (part, total) = (3, 2 * size * seq);
    let expected = gradient::by_autodiff(&args, &weights, &batch, part, total, &Device::flex());
    let found = gradient::on_cpu(&args, &weights, &batch, part, total, &mut Workspace::of(variant));
    let (loss, expected_loss) = (host(&found.loss), host(&expected.loss));
    assert!(distance(&loss, &expected_loss) < 1e-5, "{name}: loss {loss:?} and {expected_loss:?}");
    assert_eq!(found.flat.len(), specs.len(), "{name}");
    let flat = |gradient: &Gradient| gradient.flat.iter().map(host).collect::<Vec<_>>();
    let (found, expected) = (flat(&found), flat(&expected));
    let whole = expected.concat();
    for ((spec, found), expected) in specs.iter().zip(&found).zip(&expected) {
        assert_eq!(found.len(), spec.len(), "{name}, {}", spec.name);
        if is_zero(&spec.name, plan, seq) {
            let apart = distance(found, expected) * norm(expected).max(1e-12) / norm(&whole);
            assert!(apart < 1e-6, "{name}, {}: {apart} of the norm of all gradients apart", spec.name);
            continue;
        }
        let apart = distance(found, expected);
        assert!(apart < MOST, "{name}, {}: {apart} of its norm apart", spec.name);
    }
}

/// Whether a gradient is zero but for rounding errors. Attention does not change if a number is added to all scores of a query, as a bias
/// of the keys does, and a single token attends to itself alone.
fn is_zero(parameter: &str, plan: &ModelPlan, seq: usize) -> bool {
    let shifts_all_scores = plan.positions == Positions::Learned && !plan.qk_norm;
    (parameter.ends_with("attention.key.bias") && shifts_all_scores)
        || (seq == 1 && (parameter.contains("attention.query") || parameter.contains("attention.key")))
}

fn small() -> ModelPlan {
    ModelPlan { layers: 2, d_model: 24, heads: 4, kv_heads: 4, d_ff: 40, seq: 9, vocab: 29, ..check::tiny() }
}

#[test]
fn gradients_equal_those_of_autodiff_for_every_option() {
    let gpt = small();
    let llama = ModelPlan {
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        tied_head: false,
        kv_heads: 2,
        ..small()
    };
    let all = ModelPlan { qk_norm: true, bias: true, logit_softcap: 5.0, dropout: 0.3, ..llama.clone() };
    let several = [3, 9];
    let cases: [(&str, ModelPlan, [usize; 2], f64); 24] = [
        ("gpt", gpt.clone(), several, 0.0),
        ("layer norm with biases", ModelPlan { bias: true, ..gpt.clone() }, several, 0.0),
        ("biases of queries, keys and values", ModelPlan { qkv_bias: true, ..gpt.clone() }, several, 0.0),
        ("rms norm", ModelPlan { norm: Norm::Rms, ..gpt.clone() }, several, 0.0),
        ("norm epsilon", ModelPlan { norm_eps: 0.05, ..gpt.clone() }, several, 0.0),
        ("rotary", ModelPlan { positions: Positions::Rotary, ..gpt.clone() }, several, 0.0),
        (
            "scaled rotary",
            ModelPlan { rotary_scaling: RotaryScaling::Linear, rotary_base: 50.0, ..llama.clone() },
            several,
            0.0,
        ),
        ("one key-value head", ModelPlan { kv_heads: 1, ..gpt.clone() }, several, 0.0),
        ("qk norm", ModelPlan { qk_norm: true, ..gpt.clone() }, several, 0.0),
        ("qk norm of rotary heads", ModelPlan { qk_norm: true, ..llama.clone() }, several, 0.0),
        ("exact gelu", ModelPlan { mlp: Mlp::GeluExact, ..gpt.clone() }, several, 0.0),
        ("swiglu", ModelPlan { mlp: Mlp::Swiglu, bias: true, ..gpt.clone() }, several, 0.0),
        ("untied head", ModelPlan { tied_head: false, ..gpt.clone() }, several, 0.0),
        ("soft cap", ModelPlan { logit_softcap: 3.0, ..gpt.clone() }, several, 0.0),
        ("z-loss", gpt.clone(), several, 0.05),
        ("muP", ModelPlan { mup_base_width: 8, mup_base_heads: 2, ..gpt.clone() }, several, 0.0),
        ("muP, untied", ModelPlan { mup_base_width: 12, ..llama.clone() }, several, 0.01),
        ("dropout", ModelPlan { dropout: 0.2, ..gpt.clone() }, several, 0.0),
        ("llama", llama.clone(), several, 0.0),
        ("one token", gpt.clone(), [2, 1], 0.0),
        ("a sequence shorter than the context", llama.clone(), [2, 5], 0.0),
        // 67 queries are one tile and three of the next; 469 rows are two chunks of logits and several tiles of the MLP.
        ("several tiles", ModelPlan { seq: 67, vocab: 300, ..gpt }, [7, 67], 0.0),
        // A matrix of the MLP that is too large for tiles.
        ("a wide mlp", ModelPlan { d_model: 64, d_ff: 2056, seq: 67, ..llama }, [2, 67], 0.0),
        ("all at once", all, several, 0.02),
    ];
    for (name, plan, sizes, z_loss) in cases {
        check(name, &plan, sizes, z_loss);
    }
}

#[test]
fn gradients_with_plain_operators_equal_those_of_autodiff() {
    let gpt = ModelPlan { bias: true, qkv_bias: true, dropout: 0.2, ..small() };
    let llama = ModelPlan {
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        tied_head: false,
        kv_heads: 2,
        qk_norm: true,
        logit_softcap: 5.0,
        ..small()
    };
    let exact = ModelPlan { mlp: Mlp::GeluExact, ..small() };
    let each = Part::ALL.map(|part| (part.name(), Variant::without(&[part])));
    for (part, variant) in each.into_iter().chain([("all", Variant::without(&Part::ALL))]) {
        for (name, plan) in [("gpt", &gpt), ("llama", &llama), ("exact gelu", &exact)] {
            check_variant(&format!("{name} without {part}"), plan, [3, 9], 0.02, variant);
        }
    }
}

#[test]
fn gradients_of_every_preset_equal_those_of_autodiff() {
    for found in preset::presets() {
        let model = found.recipe.model;
        let (heads, kv_heads) = (4, if model.kv_heads < model.heads { 2 } else { 4 });
        let (mup_base_width, mup_base_heads) = (model.mup_base_width.min(16), model.mup_base_heads.min(2));
        let (layers, d_model, d_ff, seq, vocab) = (2, 32, 48, 20, 61);
        let plan =
            ModelPlan { layers, heads, kv_heads, d_model, d_ff, seq, vocab, mup_base_width, mup_base_heads, ..model };
        check(&found.name, &plan, [2, 20], found.recipe.optimizer.z_loss);
    }
}

#[test]
fn a_step_has_the_same_bits_again_and_with_any_number_of_threads() {
    let plan = ModelPlan { dropout: 0.1, ..small() };
    let (_, weights) = weights(&plan);
    // Five sequences over four replicas, then three, so that one replica has none.
    let batches = || vec![batch(&plan, 5, 9), batch(&plan, 3, 9)];
    let args = GradientArgs { dropout_seed: 1, ..GradientArgs::new(plan.clone()) };
    let limit = ThreadLimit::default();
    let replicas = Replicas::limited(4, limit.clone()).unwrap();
    let bits = |gradient: &Gradient| -> Vec<Vec<u32>> {
        let of = |tensor: &Tensor<1>| host(tensor).into_iter().map(f32::to_bits).collect();
        std::iter::once(&gradient.loss).chain(&gradient.flat).map(of).collect()
    };
    let step = || gradient::of_step(&args, &weights, batches(), Some(&replicas), &Device::flex()).unwrap();
    let first = step();
    let expected = bits(&first);
    for threads in [None, Some(1), Some(2), Some(3)] {
        limit.set(threads);
        // Twice, while the gradient of the first step is still held: buffers that are in use are not written.
        for _ in 0..2 {
            assert_eq!(bits(&step()), expected, "{threads:?} threads");
        }
    }
    assert_eq!(bits(&first), expected, "a gradient that is held does not change");
}
