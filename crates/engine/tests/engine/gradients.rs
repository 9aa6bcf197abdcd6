//! Gradients equal central differences for every option of the decoder and every split of the batch; one batch can be memorized; the CPU and
//! the tensor implementation of each optimizer agree.

use burn::tensor::{Device, Tensor};
use engine::check;
use engine::data::batch::Batch;
use engine::device::EngineDevice;
use engine::device::replicas::Replicas;
use engine::kernels::random::{Counter, Normals};
use engine::model::decoder::Decoder;
use engine::model::gradient::{self, Gradient, GradientArgs};
use engine::model::params::{self, ParamSpec, Weights};
use engine::optim::optimizer::{self, State};
use engine::optim::step_hyperparameters::StepHyperparameters;
use wire::hyperparameters::recipe::OptimizerKind;
use wire::model::{Mlp, ModelPlan, Norm, Positions, RotaryScaling};

/// A model of a few hundred parameters, small enough for a difference per coordinate.
fn small() -> ModelPlan {
    ModelPlan { layers: 2, d_model: 8, d_ff: 12, seq: 5, vocab: 11, ..check::tiny() }
}

/// Weights far from their initial values, so that nothing is nearly linear and a wrong factor is visible.
fn spread_out(specs: &[ParamSpec], seed: u64) -> Vec<Vec<f32>> {
    let fill = |(index, spec): (usize, &ParamSpec)| {
        let normals = Normals::new(seed, index as u64).take(spec.len());
        let centre = if spec.init == params::Init::Ones { 1.0 } else { 0.0 };
        normals.map(|z| centre + 0.35 * z).collect()
    };
    specs.iter().enumerate().map(fill).collect()
}

fn batch(model: &ModelPlan, rows: usize, seed: u64) -> Batch {
    let mut random = Counter::new(seed, 99);
    let mut ids = || (0..rows * model.seq).map(|_| random.below(model.vocab as u64) as i32).collect();
    Batch { size: rows, seq: model.seq, inputs: ids(), targets: ids() }
}

fn bind(specs: &[ParamSpec], values: &[Vec<f32>]) -> Weights {
    Weights::new(specs, values.iter().map(|values| params::upload(values.clone(), &Device::flex())).collect())
}

fn host(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

/// The mean objective, computed in 64 bits from the logits on: an independent loss that the decoder's must equal, precise enough for
/// differences.
fn objective(model: &ModelPlan, weights: &Weights, batch: &Batch, z_loss: f64) -> f64 {
    let decoder = Decoder::new(model, weights);
    let tokens = gradient::tokens(&batch.inputs, batch.size, batch.seq, &Device::flex());
    let x = decoder.residual(tokens, None).reshape([batch.size * batch.seq, model.d_model]);
    let logits: Vec<f32> = decoder.head(x).into_data().try_to_vec().unwrap();
    let of_token = |(row, target): (&[f32], &i32)| {
        let log_partition = row.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        log_partition - f64::from(row[*target as usize]) + z_loss * log_partition * log_partition
    };
    logits.chunks(model.vocab).zip(&batch.targets).map(of_token).sum::<f64>() / batch.targets.len() as f64
}

/// Richardson's extrapolation of two central differences: the error falls with the fourth power of `h`.
fn slope(mut at: impl FnMut(f32) -> f64) -> f64 {
    let h = 0.01f32;
    let mut central = |h: f32| (at(h) - at(-h)) / f64::from(2.0 * h);
    (4.0 * central(h / 2.0) - central(h)) / 3.0
}

fn check_gradient(name: &str, model: &ModelPlan, z_loss: f64) {
    model.check().unwrap();
    let specs = params::layout(model);
    let values = spread_out(&specs, 3);
    let batch = batch(model, 3, 5);
    let pass = GradientArgs { z_loss, ..GradientArgs::new(model.clone()) };
    let found = gradient::of_step(&pass, &bind(&specs, &values), vec![batch.clone()], None, &Device::flex()).unwrap();
    let plain = objective(model, &bind(&specs, &values), &batch, 0.0);
    assert!(
        (f64::from(host(&found.loss)[0]) - plain).abs() < 1e-5 * plain,
        "{name}: loss {:?} and {plain}",
        host(&found.loss)
    );

    let mut random = Counter::new(testing::seed(11), 0);
    for (index, spec) in specs.iter().enumerate() {
        let gradient = host(&found.flat[index]);
        let size = (gradient.iter().map(|g| f64::from(g * g)).sum::<f64>() / gradient.len() as f64).sqrt();
        for _ in 0..3 {
            let coordinate = random.below(spec.len() as u64) as usize;
            let numeric = slope(|offset| {
                let mut moved = values.clone();
                // The difference is divided by `h`, although the step is rounded; at these magnitudes both are equal to 1e-6.
                moved[index][coordinate] += offset;
                objective(model, &bind(&specs, &moved), &batch, z_loss)
            });
            let analytic = f64::from(gradient[coordinate]);
            let tolerance = 1e-3 * analytic.abs().max(size) + 1e-5;
            assert!(
                (analytic - numeric).abs() <= tolerance,
                "{name}, {}[{coordinate}]: {analytic} by backpropagation, {numeric} by differences, typical {size}",
                spec.name
            );
        }
    }
}

#[test]
fn gradients_equal_central_differences_for_every_option() {
    let gpt = small();
    let llama =
        ModelPlan { positions: Positions::Rotary, norm: Norm::Rms, mlp: Mlp::Swiglu, tied_head: false, ..small() };
    let cases: [(&str, ModelPlan, f64); 19] = [
        ("gpt", gpt.clone(), 0.0),
        ("llama", llama.clone(), 0.0),
        ("rotary", ModelPlan { positions: Positions::Rotary, ..small() }, 0.0),
        ("rms", ModelPlan { norm: Norm::Rms, ..small() }, 0.0),
        ("swiglu", ModelPlan { mlp: Mlp::Swiglu, ..small() }, 0.0),
        ("groups", ModelPlan { kv_heads: 1, ..small() }, 0.0),
        ("groups of two of four heads", ModelPlan { d_model: 16, heads: 4, kv_heads: 2, ..llama.clone() }, 0.0),
        ("qk_norm", ModelPlan { qk_norm: true, ..small() }, 0.0),
        ("bias", ModelPlan { bias: true, ..small() }, 0.0),
        ("bias, rms, swiglu", ModelPlan { bias: true, ..llama.clone() }, 0.0),
        ("untied", ModelPlan { tied_head: false, ..small() }, 0.0),
        ("softcap", ModelPlan { logit_softcap: 3.0, ..small() }, 0.0),
        ("exact gelu", ModelPlan { mlp: Mlp::GeluExact, ..small() }, 0.0),
        ("muP", ModelPlan { mup_base_width: 2, mup_base_heads: 1, ..small() }, 0.0),
        ("muP, untied, groups", ModelPlan { kv_heads: 1, mup_base_width: 4, ..llama.clone() }, 0.0),
        ("qkv_bias", ModelPlan { qkv_bias: true, ..llama.clone() }, 0.0),
        ("rotary, linear scaling", ModelPlan { rotary_scaling: RotaryScaling::Linear, ..llama.clone() }, 0.0),
        (
            "rotary, Llama 3 scaling",
            ModelPlan {
                rotary_scaling: RotaryScaling::Llama3,
                rotary_original_seq: 16,
                rotary_base: 50.0,
                ..llama.clone()
            },
            0.0,
        ),
        (
            "z_loss, softcap, qk_norm, groups",
            ModelPlan { kv_heads: 1, qk_norm: true, logit_softcap: 5.0, ..llama },
            0.05,
        ),
    ];
    for (name, model, z_loss) in cases {
        check_gradient(name, &model, z_loss);
    }
    check_gradient("z_loss", &gpt, 0.05);
}

/// `|a - b| / |a|`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b))) / norm(&mut a.iter().map(|v| f64::from(*v))).max(1e-30)
}

#[test]
fn a_batch_split_over_replicas_or_micro_batches_gives_the_same_gradient() {
    let model = small();
    let specs = params::layout(&model);
    let weights = bind(&specs, &spread_out(&specs, 4));
    let pass = GradientArgs::new(model.clone());
    let whole = batch(&model, 7, 6);
    let of = |batches: Vec<Batch>, cores: usize| -> Gradient {
        let cores = (cores > 0).then(|| Replicas::new(cores).unwrap());
        gradient::of_step(&pass, &weights, batches, cores.as_ref(), &Device::flex()).unwrap()
    };
    let expected = of(vec![whole.clone()], 0);
    let halves = || (0..2).map(|half| gradient::sequences_of(&whole, half, 2)).collect::<Vec<_>>();
    let splits = [
        ("one core", of(vec![whole.clone()], 1)),
        ("two", of(vec![whole.clone()], 2)),
        ("three", of(vec![whole.clone()], 3)),
        ("two passes", of(halves(), 0)),
        ("two passes on two", of(halves(), 2)),
    ];
    for (name, split) in splits {
        assert!(distance(&host(&expected.loss), &host(&split.loss)) < 1e-6, "{name}: loss");
        for ((a, b), spec) in expected.flat.iter().zip(&split.flat).zip(&specs) {
            let difference = distance(&host(a), &host(b));
            assert!(difference < 1e-6, "{name}: {} differs by {difference}", spec.name);
        }
        let norm = optimizer::norm_on_cpu(&split);
        let again = Gradient { norm: None, ..split };
        assert_eq!(norm, optimizer::norm_on_cpu(&again), "{name}: the norm has the bits of another pass");
    }
}

#[test]
fn the_norm_of_each_part_is_that_of_the_gradient_of_its_sequences() {
    let model = small();
    let weights = bind(&params::layout(&model), &spread_out(&params::layout(&model), 4));
    let pass = GradientArgs::new(model.clone());
    let (first, second) = (batch(&model, 7, 6), batch(&model, 7, 9));
    let (both, cores) = (vec![first.clone(), second.clone()], Replicas::new(2).unwrap());
    let device = Device::flex();
    let (gradient, parts) = gradient::of_step_with_parts(&pass, &weights, both.clone(), Some(&cores), &device).unwrap();
    let plain = gradient::of_step(&pass, &weights, both, Some(&cores), &device).unwrap();
    assert!(gradient.flat.iter().zip(&plain.flat).all(|(a, b)| host(a) == host(b)), "the gradient has the same bits");
    assert_eq!(parts.len(), 4, "two replicas of two micro-batches");
    let of_part = [(&first, 0), (&first, 1), (&second, 0), (&second, 1)];
    for (part, (batch, replica)) in parts.iter().zip(of_part) {
        let sequences = gradient::sequences_of(batch, replica, 2);
        assert_eq!(part.tokens, (sequences.size * model.seq) as u64);
        let fraction = sequences.size as f64 / 14.0;
        let alone = gradient::of_step(&pass, &weights, vec![sequences], None, &device).unwrap();
        let squares: f64 = alone.flat.iter().flat_map(host).map(|value| f64::from(value).powi(2)).sum();
        let found = f64::from(host(&part.squares)[0]);
        assert!((found / (squares * fraction * fraction) - 1.0).abs() < 1e-4, "{found}, {squares}");
    }
}

#[test]
fn the_two_implementations_of_each_optimizer_agree() {
    implementations_agree(OptimizerKind::Adamw, 2e-6);
    // Five iterations of a quintic with slope 3.4 at 0 amplify rounding errors.
    implementations_agree(OptimizerKind::Muon, 1e-3);
}

fn implementations_agree(kind: OptimizerKind, tolerance: f64) {
    let model = ModelPlan { bias: true, ..small() };
    let specs = params::layout(&model);
    let first = spread_out(&specs, 8);
    let upload = |values: &[Vec<f32>]| {
        values.iter().map(|values| params::upload(values.clone(), &Device::flex())).collect::<Vec<_>>()
    };
    let (mut kernel, mut tensors) = (State::new(upload(&first)), State::new(upload(&first)));
    let cores = Replicas::new(2).unwrap();
    for step in 0..5u64 {
        let gradient = upload(&spread_out(&specs, 20 + step));
        // Learning rate, weight decay and gradient clipping change between steps, as commands may change them.
        let hyperparameters = StepHyperparameters {
            kind,
            learning_rate: 0.01 * (step + 1) as f64,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1 * step as f64,
            grad_clip: if step == 2 { 0.0 } else { 1.0 },
        };
        let gradient = Gradient { loss: Tensor::zeros([1], &Device::flex()), flat: gradient, norm: None };
        let norm = optimizer::norm_on_cpu(&gradient);
        assert!((f64::from(host(&optimizer::norm_on_gpu(&gradient))[0]) / norm - 1.0).abs() < 1e-5);
        let scale = optimizer::clip_scale(norm, hyperparameters.grad_clip);
        tensors.step_on_gpu(
            &specs,
            gradient.flat.clone(),
            params::upload(vec![scale as f32], &Device::flex()),
            hyperparameters,
        );
        let before: Vec<Vec<f32>> = kernel.weights.iter().map(host).collect();
        let updates = kernel.step_on_cpu(&specs, gradient.flat, scale, hyperparameters, &cores).unwrap();
        for (index, spec) in specs.iter().enumerate() {
            let pairs = [
                (&kernel.weights, &tensors.weights),
                (&kernel.first, &tensors.first),
                (&kernel.second, &tensors.second),
            ];
            for (a, b) in pairs {
                let difference = distance(&host(&a[index]), &host(&b[index]));
                assert!(difference < tolerance, "{kind:?}, step {step}, {}: differs by {difference}", spec.name);
            }
            let after = host(&kernel.weights[index]);
            let change: f64 = after.iter().zip(&before[index]).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            assert!(
                (updates[index].change_squared / change - 1.0).abs() < 1e-3,
                "step {step}, {}: the reported change",
                spec.name
            );
        }
    }
}

#[test]
fn a_single_batch_is_memorized() {
    let modern = ModelPlan {
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        kv_heads: 1,
        qk_norm: true,
        tied_head: false,
        ..small()
    };
    for (model, kind) in
        [(small(), OptimizerKind::Adamw), (modern.clone(), OptimizerKind::Adamw), (modern, OptimizerKind::Muon)]
    {
        let model = ModelPlan { d_model: 32, d_ff: 64, ..model };
        let specs = params::layout(&model);
        let first = params::initial_on(&specs, 1, &Device::flex());
        let (layout, mut state, cores) = (Weights::new(&specs, vec![]), State::new(first), Replicas::new(2).unwrap());
        let pass = GradientArgs::new(model.clone());
        // Each row starts with a different token, so that every target can be learned.
        let mut batch = batch(&model, 4, 12);
        (0..batch.size).for_each(|row| batch.inputs[row * batch.seq] = row as i32);
        let mut losses = vec![];
        for _ in 0..150 {
            let gradient = gradient::of_step(
                &pass,
                &layout.with(state.weights.clone()),
                vec![batch.clone()],
                Some(&cores),
                &Device::flex(),
            )
            .unwrap();
            losses.push(host(&gradient.loss)[0]);
            let hyperparameters = StepHyperparameters {
                kind,
                learning_rate: 0.01,
                beta1: 0.9,
                beta2: 0.99,
                eps: 1e-8,
                weight_decay: 0.0,
                grad_clip: 1.0,
            };
            let scale = optimizer::clip_scale(optimizer::norm_on_cpu(&gradient), hyperparameters.grad_clip);
            state.step_on_cpu(&specs, gradient.flat, scale, hyperparameters, &cores).unwrap();
        }
        assert!((losses[0] - (model.vocab as f32).ln()).abs() < 0.3, "the first loss is near ln vocab: {}", losses[0]);
        assert!(losses[149] < 0.1, "the batch is memorized: {}", losses[149]);
    }
}

#[test]
fn the_device_check_passes_on_the_cpu() {
    let mut reported = 0;
    let findings = check::check(&EngineDevice::processor(), &mut |_| reported += 1).unwrap();
    assert!(findings.is_good(), "{findings:?}");
    assert_eq!(reported, findings.0.len());
}
