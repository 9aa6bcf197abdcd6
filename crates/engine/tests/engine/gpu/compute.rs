//! The hyperparameters `compute.recompute` and `compute.precision` on a GPU: gradients compared with those of autodiff in 32 bits.

use std::path::Path;
use std::sync::mpsc;

use burn::tensor::{Device, Tensor};
use engine::EngineError;
use engine::check;
use engine::data::batch::Batch;
use engine::device::{self, EngineDevice};
use engine::kernels::random::{Counter, Normals};
use engine::model::gradient::{self, Gradient, GradientArgs};
use engine::model::params::{self, Init, ParamSpec, Weights};
use engine::optim::checkpoint;
use engine::optim::loss_scale::{LossScale, SavedLossScale};
use engine::train::{Folders, Session};
use wire::RunPlan;
use wire::control::checkpoint::{CheckpointId, CheckpointRef};
use wire::control::event::Event;
use wire::hyperparameters::recipe::{Compute, Precision};
use wire::model::{Mlp, ModelPlan, Norm, Positions};
use wire::run::history::{Past, PathCheckpoint};
use wire::series::name;

use super::Recorder;
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

/// A factor that no gradient of the tiny model survives in float16, so that the first steps are skipped.
const TOO_LARGE: SavedLossScale = SavedLossScale { factor: 2_097_152.0, finite_steps: 7 };

/// A tiny plan with these products; its last checkpoint is that of its last step.
fn plan_with(precision: &str, device: &str, folder: &Path) -> RunPlan {
    let mut plan = super::plan_on(device, folder);
    plan.recipe.compute.precision = serde_json::from_value(precision.into()).unwrap();
    plan
}

fn session(plan: &RunPlan, past: &Past, folder: &Path) -> Result<Session, EngineError> {
    let folders = Folders { corpora: folder.to_owned(), checkpoints: Some(folder.join("checkpoints")) };
    Session::load(&"run".parse().unwrap(), plan, past, folders, device::open(&plan.device).unwrap())
}

fn train(session: &mut Session) -> Recorder {
    let (_sender, commands) = mpsc::channel();
    let mut recorder = Recorder::default();
    session.run(&commands, &mut recorder).unwrap();
    recorder
}

pub(super) fn run(gpu: &EngineDevice) {
    let folder = super::folder_with_a_text();
    let device = gpu.info.id.as_str();
    for precision in [Precision::Bfloat16, Precision::Float16] {
        if !gpu.has_format(precision) {
            let plan = plan_with(precision.name(), device, &folder);
            let error = session(&plan, &Past::default(), &folder).err().unwrap().to_string();
            let expected = format!("{} has no instructions for {}: choose", gpu.info.name, precision.name());
            assert!(error.starts_with(&expected), "{error}");
            println!("{MARK} {error}");
        }
    }
    if gpu.has_format(Precision::Float16) {
        skips_and_resumes(&plan_with("float16", device, &folder), gpu, &folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn skips_and_resumes(plan: &RunPlan, gpu: &EngineDevice, folder: &Path) {
    let mut first = session(plan, &Past::default(), folder).unwrap();
    first.trainer_mut().loss_scale = Some(LossScale::new(TOO_LARGE, &gpu.burn));
    let whole = train(&mut first);
    let scales: Vec<f64> = whole.series(name::LOSS_SCALE).into_iter().map(|(_, factor)| factor).collect();
    let taken: Vec<u64> = whole.series(name::GRAD_NORM).into_iter().map(|(step, _)| step).collect();
    let losses: Vec<f64> = whole.series(name::TRAIN).into_iter().map(|(_, loss)| loss).collect();
    assert!(losses.len() == 6 && losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(whole.events.iter().all(|event| !matches!(event, Event::NonFinite { .. })), "{:?}", whole.events);
    let skipped = taken.first().copied().unwrap_or(6) as usize;
    assert!((1..5).contains(&skipped) && taken.len() == 6 - skipped, "steps {taken:?} were taken: {scales:?}");
    for (step, pair) in scales.windows(2).enumerate() {
        let factor = if step < skipped { 0.5 } else { 1.0 };
        assert_eq!(pair[1], pair[0] * factor, "step {step}: {scales:?}");
    }

    let checkpoint = CheckpointId { segment: 0, step: 6 };
    let run = "run".parse().unwrap();
    let saved = checkpoint::open(&checkpoint::folder(&folder.join("checkpoints"), &run, checkpoint)).unwrap();
    let expected = SavedLossScale { factor: scales[5] as f32, finite_steps: taken.len() as u32 };
    assert_eq!(saved.manifest.loss_scale, Some(expected));
    let at = CheckpointRef { run, checkpoint };
    let past = Past { checkpoints: vec![PathCheckpoint { at, changes: 0 }], recorded: 6, ..Past::default() };
    let longer = RunPlan { steps: 8, ..plan.clone() };
    let mut resumed = session(&longer, &past, folder).unwrap();
    let loss_scale = resumed.trainer_mut().loss_scale.as_ref().unwrap().saved().unwrap();
    assert_eq!((loss_scale, resumed.steps()), (expected, 6));
    println!("{MARK} {skipped} of 6 steps in float16 skipped on {}, loss scale {scales:?}", gpu.info.name);
}
