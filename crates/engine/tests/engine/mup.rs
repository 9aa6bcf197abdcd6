//! The coordinate check of muP (Yang et al. 2022, appendix D.1): how much a few steps change the logits does not grow with the width of the
//! model, and does in the standard parametrization. CPU and tensor implementations of the optimizer take the same steps.

use burn::tensor::{Device, Tensor};
use engine::check;
use engine::data::batch::Batch;
use engine::device::replicas::Replicas;
use engine::kernels::random::Counter;
use engine::model::decoder::Decoder;
use engine::model::gradient::{self, GradientArgs};
use engine::model::params::{self, ParamSpec, Weights};
use engine::optim::optimizer::State;
use engine::optim::step_hyperparameters::StepHyperparameters;
use wire::hyperparameters::recipe::OptimizerKind;
use wire::model::ModelPlan;

const ADAMW: StepHyperparameters = StepHyperparameters {
    kind: OptimizerKind::Adamw,
    learning_rate: 0.003,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.1,
    grad_clip: 0.0,
};
const STEPS: usize = 4;
const NARROW: usize = 32;
const WIDE: usize = 256;

fn model(d_model: usize, mup_base_width: usize) -> ModelPlan {
    ModelPlan { layers: 2, d_model, d_ff: 4 * d_model, seq: 16, vocab: 29, mup_base_width, ..check::tiny() }
}

fn batch(model: &ModelPlan) -> Batch {
    let mut random = Counter::new(7, 99);
    let mut ids = || (0..4 * model.seq).map(|_| random.below(model.vocab as u64) as i32).collect();
    Batch { size: 4, seq: model.seq, inputs: ids(), targets: ids() }
}

fn start(specs: &[ParamSpec]) -> State {
    State::new(params::initial_on(specs, 3, &Device::flex()))
}

fn host(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

fn logits(model: &ModelPlan, specs: &[ParamSpec], state: &State, batch: &Batch) -> Vec<f32> {
    let weights = Weights::new(specs, state.weights.clone());
    let decoder = Decoder::new(model, &weights);
    let tokens = gradient::tokens(&batch.inputs, batch.size, batch.seq, &Device::flex());
    let x = decoder.residual(tokens, None).reshape([batch.size * batch.seq, model.d_model]);
    decoder.head(x).into_data().try_to_vec().unwrap()
}

/// Root mean square of the change of the logits of one batch after some steps on it.
fn change_of_logits(model: &ModelPlan) -> f64 {
    model.check().unwrap();
    let (specs, batch, replicas) = (params::layout(model), batch(model), Replicas::new(1).unwrap());
    let mut state = start(&specs);
    let before = logits(model, &specs, &state, &batch);
    for _ in 0..STEPS {
        let args = GradientArgs::new(model.clone());
        let weights = Weights::new(&specs, state.weights.clone());
        let found = gradient::of_step(&args, &weights, vec![batch.clone()], None, &Device::flex()).unwrap();
        state.step_on_cpu(&specs, found.flat, 1.0, ADAMW, &replicas).unwrap();
    }
    let after = logits(model, &specs, &state, &batch);
    let squares: f64 = before.iter().zip(&after).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (squares / before.len() as f64).sqrt()
}

#[test]
fn steps_change_the_logits_of_wide_models_as_much_as_those_of_narrow_ones() {
    let growth = |base: usize| change_of_logits(&model(WIDE, base)) / change_of_logits(&model(NARROW, base));
    let (mup, standard) = (growth(NARROW), growth(0));
    assert!((0.5..=2.0).contains(&mup), "with muP the change grows by {mup}");
    assert!(standard > 2.5 && standard > 2.0 * mup, "without muP it grows by {standard}, with muP by {mup}");
}

#[test]
fn the_optimizer_scales_the_learning_rate_of_matrices_in_blocks_and_not_their_weight_decay() {
    let model = model(WIDE, NARROW);
    let (specs, replicas) = (params::layout(&model), Replicas::new(2).unwrap());
    let gradient =
        || specs.iter().map(|spec| Tensor::<1>::ones([spec.len()], &Device::flex()) * 0.5).collect::<Vec<_>>();
    let (mut on_cpu, mut on_gpu) = (start(&specs), start(&specs));
    let before: Vec<Vec<f32>> = on_cpu.weights.iter().map(host).collect();
    on_cpu.step_on_cpu(&specs, gradient(), 1.0, ADAMW, &replicas).unwrap();
    on_gpu.step_on_gpu(&specs, gradient(), Tensor::ones([1], &Device::flex()), ADAMW);
    for (index, spec) in specs.iter().enumerate() {
        let (cpu, gpu) = (host(&on_cpu.weights[index]), host(&on_gpu.weights[index]));
        let is_scaled = spec.name.starts_with("block.") && spec.decays();
        let rate = if is_scaled { 0.003 / 8.0 } else { 0.003 };
        let keep = if spec.decays() { 1.0 - 0.003 * 0.1 } else { 1.0 };
        for ((before, cpu), gpu) in before[index].iter().zip(&cpu).zip(&gpu) {
            // AdamW's first update is the learning rate, with the sign of the gradient.
            let expected = f64::from(*before) * keep - rate;
            assert!((f64::from(*cpu) - expected).abs() < 1e-6 && (cpu - gpu).abs() < 1e-6, "{}", spec.name);
        }
    }
}
