//! The hyperparameters `compute.recompute` and `compute.precision` on a GPU: gradients compared with those of autodiff in 32 bits.

use burn::tensor::{Device, Tensor};
use engine::check;
use engine::data::batch::Batch;
use engine::device::EngineDevice;
use engine::kernels::random::{Counter, Normals};
use engine::model::gradient::{self, Gradient, GradientArgs};
use engine::model::params::{self, Init, ParamSpec, Weights};
use wire::hyperparameters::recipe::{Compute, Precision};
use wire::model::{Mlp, ModelPlan, Norm, Positions};

use crate::child::MARK;

/// A model with tied weights and biases, and one with the other options; both with dropout.
fn models() -> [ModelPlan; 2] {
    let gpt = ModelPlan { layers: 2, bias: true, dropout: 0.2, ..check::tiny() };
    let llama = ModelPlan {
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        kv_heads: 1,
        tied_head: false,
        bias: false,
        ..gpt.clone()
    };
    [gpt, llama]
}

fn weights(specs: &[ParamSpec], device: &Device) -> Weights {
    let fill = |(index, spec): (usize, &ParamSpec)| {
        let center = if spec.init == Init::Ones { 1.0 } else { 0.0 };
        let values = Normals::new(2, index as u64).take(spec.len()).map(|z| center + 0.2 * z);
        params::upload(values.collect(), device)
    };
    Weights::new(specs, specs.iter().enumerate().map(fill).collect())
}

fn batch(model: &ModelPlan) -> Batch {
    let mut random = Counter::new(testing::seed(31), 4);
    let mut ids = || (0..3 * model.seq).map(|_| random.below(model.vocab as u64) as i32).collect();
    Batch { size: 3, seq: model.seq, inputs: ids(), targets: ids() }
}

/// The gradient by autodiff, in the order of the parameters, after the loss.
fn gradient_on(device: &Device, model: &ModelPlan, compute: Compute, loss_scale: Option<f32>) -> Vec<Vec<f32>> {
    let specs = params::layout(model);
    let args = GradientArgs {
        dropout_seed: 8,
        z_loss: 1e-3,
        compute,
        loss_scale: loss_scale.map(|scale| params::upload(vec![scale], device)),
        ..GradientArgs::new(model.clone())
    };
    let batch = batch(model);
    let total = batch.inputs.len();
    let Gradient { loss, flat, .. } = gradient::by_autodiff(&args, &weights(&specs, device), &batch, 1, total, device);
    std::iter::once(loss).chain(flat).map(|values: Tensor<1>| values.into_data().try_to_vec().unwrap()).collect()
}

/// The largest difference of a tensor relative to its norm, or to a hundredth of the norm of all if that is larger.
fn distance(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let global = norm(&mut expected[1..].iter().flatten().copied());
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(found, expected)| {
        let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
        difference / norm(&mut expected.iter().copied()).max(0.01 * global)
    });
    // NaN must not pass.
    apart.fold(0.0, |worst, next| if next <= worst { worst } else { next })
}

fn recomputed(precision: Precision) -> Compute {
    Compute { precision, recompute: true }
}

#[test]
fn a_gradient_with_recomputed_activations_equals_that_with_kept_ones() {
    for model in models() {
        let kept = gradient_on(&Device::flex(), &model, Compute::default(), None);
        let again = gradient_on(&Device::flex(), &model, recomputed(Precision::Float32), None);
        assert!(distance(&again, &kept) < 1e-5, "{}", distance(&again, &kept));
        let scaled = gradient_on(&Device::flex(), &model, Compute::default(), Some(1024.0));
        assert_eq!(scaled, kept, "a power of two scales without rounding");
    }
}

/// One model with each, because the kernels of a step take half a minute to compile on the software adapter.
pub(super) fn gradients(gpu: &EngineDevice) {
    let [gpt, llama] = models();
    let apart = |model: &ModelPlan, precision, loss_scale| {
        let expected = gradient_on(&Device::flex(), model, Compute::default(), None);
        distance(&gradient_on(&gpu.burn, model, recomputed(precision), loss_scale), &expected)
    };
    let recomputed = apart(&gpt, Precision::Float32, None);
    assert!(recomputed < check::TOLERANCE, "recomputed: {recomputed}");
    println!("{MARK} recomputed on {}: {recomputed:.1e} of the norm apart", gpu.info.name);
    if !gpu.has_format(Precision::Float16) {
        println!("{MARK} float16 not checked: {} has no instructions for it", gpu.info.name);
        return;
    }
    // A factor has 11 bits, so that a product is about 5e-4 apart, and a gradient passes through several.
    let half = apart(&llama, Precision::Float16, Some(1024.0));
    assert!(half > 1e-5 && half < 2e-2, "float16: {half}");
    println!("{MARK} float16 on {}: {half:.1e} of the norm apart", gpu.info.name);
}
