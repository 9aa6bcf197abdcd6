//! Buffers, recomputation, and bfloat16 factors of the CPU's gradient.

use burn::tensor::Device;
use wire::hyperparameters::recipe::Compute;
use wire::model::{Norm, Positions};

use super::*;
use crate::check;
use crate::model::params::{initial_on, layout};

fn batch(plan: &ModelPlan, size: usize, seq: usize) -> Batch {
    let ids = |step: usize| (0..size * seq).map(|i| (i * step % plan.vocab) as i32).collect();
    Batch { size, seq, inputs: ids(5), targets: ids(7) }
}

/// Plans that use every buffer between them.
fn plans() -> [ModelPlan; 2] {
    let gpt = ModelPlan { dropout: 0.2, bias: true, logit_softcap: 4.0, ..check::tiny() };
    let llama = ModelPlan {
        layers: 2,
        kv_heads: 1,
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        qk_norm: true,
        tied_head: false,
        ..check::tiny()
    };
    [gpt, llama]
}

/// The objective of a step whose tokens are these, with dropout if the plan has any.
fn objective(plan: &ModelPlan, tokens: usize) -> Objective {
    let dropout = (plan.dropout > 0.0).then_some(Dropout { rate: plan.dropout, key: 3 });
    Objective { weight: 1.0 / tokens as f64, z_loss: 0.0, dropout }
}

/// The bits of loss and gradient of one step, which gives its buffers back.
fn step(plan: &ModelPlan, size: usize, seq: usize, workspace: &mut Workspace) -> Vec<Vec<u32>> {
    step_as(&Compute::default(), plan, size, seq, workspace)
}

fn step_as(compute: &Compute, plan: &ModelPlan, size: usize, seq: usize, workspace: &mut Workspace) -> Vec<Vec<u32>> {
    let specs = layout(plan);
    let weights = Weights::new(&specs, initial_on(&specs, 1, &Device::flex()));
    let objective = Objective { z_loss: 0.01, ..objective(plan, size * seq) };
    let (loss, flat) = gradient(plan, &weights, &batch(plan, size, seq), objective, compute, workspace);
    let bits = |tensor: &Tensor<1>| -> Vec<u32> {
        tensor.clone().into_data().try_to_vec::<f32>().unwrap().iter().map(|value| value.to_bits()).collect()
    };
    let bits = std::iter::once(vec![(loss as f32).to_bits()]).chain(flat.iter().map(bits)).collect();
    workspace.return_gradients(&flat);
    bits
}

#[test]
fn buffers_keep_their_addresses_and_no_value_of_an_earlier_step_is_read() {
    for plan in plans() {
        let mut workspace = Workspace::default();
        let first = step(&plan, 3, 8, &mut workspace);
        assert!(first.iter().flatten().all(|bits| f32::from_bits(*bits).is_finite()));
        let addresses = workspace.addresses();
        for _ in 0..3 {
            workspace.poison();
            assert_eq!(step(&plan, 3, 8, &mut workspace), first, "{plan:?}");
            assert_eq!(workspace.addresses(), addresses, "{plan:?}");
        }
    }
}

#[test]
fn recomputed_activations_give_the_same_bits_in_fewer_buffers() {
    let recomputed = Compute { recompute: true, ..Compute::default() };
    for plan in plans().map(|plan| ModelPlan { layers: 4, ..plan }) {
        let (mut kept, mut again) = (Workspace::default(), Workspace::default());
        let expected = step(&plan, 3, 8, &mut kept);
        for _ in 0..2 {
            assert_eq!(step_as(&recomputed, &plan, 3, 8, &mut again), expected, "{plan:?}");
            again.poison();
        }
        assert!(2 * again.values() < kept.values(), "{} and {}", again.values(), kept.values());
    }
}

/// A factor of bfloat16 has a relative error of at most 2^-9. The gradient of a key's bias is zero but for rounding, hence the second
/// summand of the bound.
#[test]
fn gradients_of_bfloat16_factors_are_close_to_those_of_32_bits() {
    let rounded = Compute { precision: Precision::Bfloat16, ..Compute::default() };
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let values = |bits: &[u32]| bits.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>();
    for plan in plans() {
        let exact = step(&plan, 3, 8, &mut Workspace::default());
        let close = step_as(&rounded, &plan, 3, 8, &mut Workspace::default());
        let again = step_as(&rounded, &plan, 3, 8, &mut Workspace::default());
        assert!(close == again && close != exact, "{plan:?}");
        let whole = norm(&mut exact[1..].iter().flat_map(|bits| values(bits)));
        for (index, (exact, close)) in exact.iter().zip(&close).enumerate() {
            let (exact, close) = (values(exact), values(close));
            let error = norm(&mut exact.iter().zip(&close).map(|(exact, close)| exact - close));
            let bound = 0.02 * norm(&mut exact.iter().copied()) + 1e-3 * whole;
            assert!(error < bound, "parameter {index}: {error} instead of {bound}, {plan:?}");
        }
    }
}

#[test]
fn the_plan_knows_the_size_of_all_buffers() {
    for (size, seq) in [(1, 1), (3, 8), (2, 200)] {
        for plan in plans().map(|plan| ModelPlan { seq, ..plan }) {
            let rows = size * seq;
            for (purpose, planned) in [
                (Purpose::Gradient, plan.gradient_values(rows, &Compute::default())),
                (Purpose::Losses, plan.loss_values(rows)),
            ] {
                let mut workspace = Workspace::default();
                workspace.fit(&plan, size, seq, purpose);
                assert_eq!(workspace.values(), planned, "{purpose:?}, {size} sequences of {seq}: {plan:?}");
            }
        }
    }
}

#[test]
fn losses_of_tokens_have_the_mean_of_the_training_loss_and_use_their_buffers_again() {
    for plan in plans().map(|plan| ModelPlan { dropout: 0.0, layers: 3, ..plan }) {
        let specs = layout(&plan);
        let weights = Weights::new(&specs, initial_on(&specs, 1, &Device::flex()));
        let (batch, mut workspace) = (batch(&plan, 3, 8), Workspace::default());
        let objective = objective(&plan, 24);
        let (loss, _) = gradient(&plan, &weights, &batch, objective, &Compute::default(), &mut Workspace::default());
        let first = token_nats(&plan, &weights, &batch, &mut workspace);
        let mean = first.iter().sum::<f32>() / 24.0;
        assert!(first.len() == 24 && (f64::from(mean) - loss).abs() < 1e-5, "{mean} and {loss}: {plan:?}");
        let mut addresses = workspace.addresses();
        addresses.sort();
        workspace.poison();
        assert_eq!(token_nats(&plan, &weights, &batch, &mut workspace), first, "{plan:?}");
        // The streams are swapped after each block.
        let mut later = workspace.addresses();
        later.sort();
        assert_eq!(later, addresses);
    }
}

#[test]
fn a_workspace_serves_other_plans_and_batches() {
    let mut shared = Workspace::default();
    for (size, seq) in [(2, 8), (3, 8), (1, 1), (2, 8)] {
        for plan in plans() {
            let alone = step(&plan, size, seq, &mut Workspace::default());
            assert_eq!(step(&plan, size, seq, &mut shared), alone, "{size} sequences of {seq}: {plan:?}");
        }
    }
}
