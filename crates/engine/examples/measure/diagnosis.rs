//! The cost of the metrics for diagnosis.
//!
//! For each preset, steps are trained, and each metric is computed with and without in turn, in one process, so that all are measured under
//! the same load. The sum is given as a fraction of the time of a step, at the intervals of the preset.

use std::path::Path;
use std::time::Instant;

use engine::data::batch::Batch;
use engine::data::dataset::{self, Dataset};
use engine::data::repeats::Repeats;
use engine::data::{corpus, generators};
use engine::device::{self, EngineDevice};
use engine::inspect::{Inspector, Subject};
use engine::model::gradient::{self, GradientArgs};
use engine::model::params;
use engine::optim::optimizer::State;
use engine::train::Trainer;
use wire::inspect::request::{Inspection, InspectionText, is_snapshot_step};
use wire::run::plan::{self, RunPlan};

use crate::Outcome;

/// Preset and dataset.
const RUNS: [(&str, &str); 5] = [
    ("tiny", "tales"),
    ("nanogpt-cpu", "tales"),
    ("depth", "tales"),
    ("induction", "induction"),
    ("grokking", "modular-addition"),
];

/// Measures each preset over a number of rounds.
pub(crate) fn run(rounds: usize) -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("kindling-diagnosis-cost-{}", std::process::id()));
    let measured = RUNS.iter().try_for_each(|(preset, dataset)| measure(&folder, preset, dataset, rounds));
    std::fs::remove_dir_all(&folder)?;
    measured
}

/// Trains `rounds` steps of a preset and prints the cost of each metric.
fn measure(folder: &Path, preset: &str, dataset: &str, rounds: usize) -> Outcome<()> {
    generators::generate(folder, &dataset.parse()?, dataset, 1, &mut |_, _, _| true)?;
    let spec = serde_json::json!({"preset": preset, "corpus": dataset, "device": "cpu", "overrides": {}});
    let plan = plan::resolve(&serde_json::from_value(spec)?, &corpus::list(folder)?, &device::list())?.plan;
    dataset::prepare(folder, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true)?;
    let mut trainer = trainer(folder, &plan)?;
    (0..3).try_for_each(|_| trainer.step().map(|_| ()))?;

    let (mut step, mut repeats_ms, mut plain, mut measured) = (vec![], vec![], vec![], vec![]);
    let (mut alone, mut with_snapshot, mut repeats) = (vec![], vec![], Repeats::default());
    for _ in 0..rounds {
        step.push(timed(|| trainer.step().map(|_| ()))?);
        let done = trainer.state.steps;
        repeats_ms.push(timed(|| {
            trainer.count_repeats(done, &mut repeats);
            Ok::<_, engine::EngineError>(())
        })?);
        let batch = || -> Vec<Batch> { vec![batch_of(&trainer, done)] };
        let args = GradientArgs::of_step(&trainer.plan, &trainer.live.optimizer, done);
        let (weights, replicas, device) = (trainer.weights(), trainer.replicas.as_ref(), &trainer.device.burn);
        plain.push(timed(|| gradient::of_step(&args, &weights, batch(), replicas, device))?);
        measured.push(timed(|| gradient::of_step_with_parts(&args, &weights, batch(), replicas, device))?);
        alone.push(timed(|| Inspector::new(subject(&trainer)).diagnosis())?);
        // A snapshot has computed the activations and the statistics of the patterns.
        let inspector = Inspector::new(subject(&trainer));
        inspector.inspect(&Inspection::Overview { text: InspectionText::default() })?;
        with_snapshot.push(timed(|| inspector.diagnosis())?);
    }
    let step = median(step);
    let (intervals, steps) = (&plan.recipe.intervals, plan.steps);
    let snapshots = (0..=steps).filter(|done| is_snapshot_step(*done)).count() as f64 / steps as f64;
    let parts = [
        ("duplicate_windows, each step", median(repeats_ms), 1.0),
        ("gradient_noise_scale, by statistics", median(measured) - median(plain), 1.0 / intervals.stats_every as f64),
        ("attention and neurons, by evaluation", median(alone), 1.0 / intervals.eval_every as f64),
        ("attention and neurons, by snapshot", median(with_snapshot), snapshots),
    ];
    println!("{preset} on {dataset}: {step:.2} ms a step, {rounds} rounds");
    for (name, ms, per_step) in parts {
        println!("  {name}: {ms:.3} ms, {:.3} % of the time of the steps", 100.0 * ms * per_step / step);
    }
    let all: f64 = parts.iter().map(|(_, ms, per_step)| ms.max(0.0) * per_step).sum();
    println!("  all: {:.3} % (limit 1 %)", 100.0 * all / step);
    Ok(())
}

fn trainer(folder: &Path, plan: &RunPlan) -> Outcome<Trainer> {
    let device = EngineDevice::processor();
    let specs = params::layout(&plan.recipe.model);
    let state = State::new(params::initial_on(&specs, plan.seed, &device.burn));
    let data = Dataset::open(folder, &plan.corpora(), plan.tokenizer)?;
    let mut plan = plan.clone();
    // The statistics of weights are another cost, which the step does not include.
    plan.recipe.intervals.stats_every = 0;
    Ok(Trainer::new(plan.clone(), plan.live(), data, device, specs, state)?)
}

fn batch_of(trainer: &Trainer, step: u64) -> Batch {
    let (plan, mix) = (&trainer.plan, trainer.live.mix.at(step));
    trainer.data.train_batch(plan.seed, step, 0, plan.recipe.batch.size, plan.recipe.model.seq, &mix)
}

fn subject(trainer: &Trainer) -> Subject<'_> {
    Subject {
        plan: &trainer.plan,
        hyperparameters: &trainer.live,
        specs: &trainer.specs,
        state: &trainer.state,
        has_moments: true,
        data: &trainer.data,
        device: &trainer.device,
        replicas: trainer.replicas.as_ref(),
        kernels: None,
        stats: None,
    }
}

/// Time of some work, ms.
fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<f64, E> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
