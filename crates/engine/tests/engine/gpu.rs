//! A GPU computes the same as the CPU: the kernels, one training step with and without fused operators, inspections, and a whole run.
//!
//! The tests run on a software Vulkan adapter, each in a separate process, because a process reads burn's options once. Without an adapter
//! they print a message and pass. The autotuner can be disabled only in the build: `--no-default-features` runs the same tests without it.

use std::sync::mpsc;

use engine::check;
use engine::data::{corpus, dataset};
use engine::device::{self, EngineDevice};
use engine::inspect::{self, Subject};
use engine::kernels::gpu::GpuKernels;
use engine::model::params;
use engine::optim::optimizer::State;
use engine::train::bench;
use engine::train::{Folders, Reporter, Session};
use wire::control::event::Event;
use wire::inspect::statistics::Moments;
use wire::inspect::statistics::TensorStats;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::run::plan;
use wire::series::{Row, name};
use wire::transport::link::Report;

use crate::child::{self, MARK};

mod compute;

/// Runs a part in a child process, which measures few kernels when it autotunes.
fn run_in_child(part: &str, options: &[(&str, &str)]) {
    let autotune = [("CUBECL_AUTOTUNE_LEVEL", "minimal")];
    child::run("gpu::child_process", part, &[autotune.as_slice(), options].concat());
}

#[test]
fn kernels_equal_their_reference_implementations() {
    run_in_child("kernels", &[]);
}

/// All in one process, because the first step takes a minute there, and a second step of the same shapes milliseconds.
#[test]
fn the_device_check_passes_and_a_run_and_inspections_report_what_the_cpu_reports() {
    run_in_child("check, run and inspections", &[]);
}

#[test]
fn one_step_equals_that_of_the_cpu_without_fused_operators() {
    run_in_child("step", &[("BURN_FUSION_MAX_EXPLORATIONS", "0")]);
}

#[test]
fn gradients_with_recomputed_activations_and_of_16_bit_products_are_those_of_the_cpu() {
    run_in_child("compute", &[]);
}

#[test]
fn a_run_in_float16_skips_overflowing_steps_and_resumes_with_its_loss_scale() {
    run_in_child("float16", &[]);
}

#[test]
#[ignore = "runs in a child process"]
fn child_process() {
    let Some(part) = child::part() else { return };
    let Some(info) = child::vulkan() else { return };
    let gpu = device::open(&info.id).unwrap();
    match part.as_str() {
        "kernels" => kernels(&gpu),
        "check, run and inspections" => {
            device_check(&gpu);
            run(&gpu);
            inspections(&gpu);
        }
        "step" => step(&gpu),
        "compute" => compute::gradients(&gpu),
        "float16" => compute::run(&gpu),
        other => panic!("no part named {other}"),
    }
}

fn kernels(gpu: &EngineDevice) {
    let operators = check::operator_cases(gpu).unwrap();
    operators.iter().for_each(|case| println!("{MARK} {case}"));
    assert!(operators.iter().all(check::OperatorCase::is_same), "{operators:?}");
    let kernels = GpuKernels::new(gpu.setup.as_ref().unwrap());
    let cases = check::kernel_cases(gpu, &kernels).unwrap();
    let differing: Vec<String> = cases.iter().filter(|case| !case.is_same()).map(ToString::to_string).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    println!("{MARK} {} tensors on {}", cases.len(), gpu.info.name);
}

fn device_check(gpu: &EngineDevice) {
    let findings = check::check(gpu, &mut |finding| println!("{MARK} {}: {}", finding.what, finding.found)).unwrap();
    assert!(findings.is_good() && findings.0.iter().any(|finding| finding.what == "arithmetic"), "{findings:?}");
}

fn step(gpu: &EngineDevice) {
    let model = check::tiny();
    let cpu = check::step_on(&EngineDevice::processor(), &model, 1).unwrap();
    let difference = cpu.compare(&check::step_on(gpu, &model, 1).unwrap());
    assert!(difference.worst() <= check::TOLERANCE, "{difference}");
    println!("{MARK} one step on {}: {difference}", gpu.info.name);
}

/// The reports of a run.
#[derive(Default)]
struct Recorder {
    rows: Vec<Row>,
    inspections: Vec<InspectionUpdate>,
    events: Vec<Event>,
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        self.rows.push(row);
    }
    fn report(&mut self, report: Report) {
        self.events.push(report.event);
    }
    fn inspection(&mut self, update: InspectionUpdate) {
        self.inspections.push(update);
    }
}

impl Recorder {
    fn series(&self, series: &str) -> Vec<(u64, f64)> {
        self.rows
            .iter()
            .flat_map(|row| row.values.iter().map(|(name, value)| (name, row.step, *value)))
            .filter(|(name, ..)| *name == series)
            .map(|(_, step, value)| (step, value))
            .collect()
    }

    fn inspection(&self, index: usize) -> (u64, &[TensorStats]) {
        match &self.inspections[index] {
            InspectionUpdate::ParameterStats { step, tensors, .. } => (*step, tensors),
            other => panic!("no inspection was requested: {other:?}"),
        }
    }
}

/// The plan of a tiny model on a dataset.
fn plan_on(device: &str, folder: &std::path::Path) -> plan::RunPlan {
    let spec = format!(
        r#"{{"preset":"tiny","corpus":"rhyme","steps":6,"device":"{device}","overrides":{{"model.layers":1,"model.heads":2,"model.kv_heads":2,"model.d_model":16,"model.d_ff":32,"model.seq":8,
        "batch.size":4,"batch.replicas":1,"intervals.eval_every":0,"intervals.sample_every":0,"intervals.stats_every":2}}}}"#
    );
    let plan = plan::resolve(&serde_json::from_str(&spec).unwrap(), &corpus::list(folder).unwrap(), &device::list())
        .unwrap()
        .plan;
    dataset::prepare(folder, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
    plan
}

/// Six steps, with statistics every second step.
fn train_on(device: &str, folder: &std::path::Path) -> Recorder {
    let plan = plan_on(device, folder);
    let (_sender, commands) = mpsc::channel();
    let mut recorder = Recorder::default();
    load(&plan, folder).run(&commands, &mut recorder).unwrap();
    recorder
}

fn folder_with_a_text() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("kindling-gpu-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let text = folder.join("rhyme.txt");
    std::fs::write(&text, "the cat sat on the mat and the dog sat on the log.\n".repeat(40)).unwrap();
    bench::import_text(&folder, &"rhyme".parse().unwrap(), &text).unwrap();
    folder
}

/// The results of all inspections of one model, as JSON.
fn inspections_on(device: &EngineDevice, folder: &std::path::Path) -> Vec<(String, serde_json::Value)> {
    let plan = plan_on(device.info.id.as_str(), folder);
    let specs = params::layout(&plan.recipe.model);
    let scale_up = |values: Vec<f32>| values.into_iter().map(|v| if v == 1.0 { v } else { v * 12.0 }).collect();
    let upload = |values| params::upload(scale_up(values), &device.burn);
    let mut state = State::new(params::initial(&specs, 5).into_iter().map(upload).collect());
    state.steps = 3;
    let data = dataset::Dataset::open(folder, &plan.corpora(), plan.tokenizer).unwrap();
    let kernels = device.setup.as_ref().map(GpuKernels::new);
    let subject = Subject {
        plan: &plan,
        hyperparameters: &plan.live(),
        specs: &specs,
        state: &state,
        has_moments: true,
        data: &data,
        device,
        replicas: None,
        kernels: kernels.as_ref(),
        stats: None,
    };
    let inspect = |inspection: &str| {
        let result = inspect::inspect(&subject, &serde_json::from_str(inspection).unwrap())
            .unwrap_or_else(|error| panic!("{inspection}: {error}"));
        (inspection.to_owned(), serde_json::to_value(result).unwrap())
    };
    // The check of a device has an intervention on a head only.
    let on_position = r#"{"interventions":{"interventions":[{"component":{"position":{"at":2}},"factor":0.5}]}}"#;
    check::INSPECTIONS.into_iter().chain([on_position]).map(inspect).collect()
}

/// Values agree within the tolerance of a step, integers (bytes of a heat map) within one.
fn are_close(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_close(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| are_close(a, b)))
        }
        (Number(a), Number(b)) if a.is_u64() && b.is_u64() => a.as_u64().unwrap().abs_diff(b.as_u64().unwrap()) <= 1,
        (Number(a), Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= check::TOLERANCE * b.abs() + 1e-4
        }
        (a, b) => a == b,
    }
}

fn inspections(gpu: &EngineDevice) {
    let folder = folder_with_a_text();
    let (here, cpu) = (inspections_on(gpu, &folder), inspections_on(&EngineDevice::processor(), &folder));
    let _ = std::fs::remove_dir_all(&folder);
    for ((inspection, a), (_, b)) in here.iter().zip(&cpu) {
        assert!(are_close(a, b), "{inspection}:\n{a}\n{b}");
    }
    println!("{MARK} {} inspections on {}", here.len(), gpu.info.name);
}

fn run(gpu: &EngineDevice) {
    let folder = folder_with_a_text();
    let (here, cpu) = (train_on(gpu.info.id.as_str(), &folder), train_on("cpu", &folder));
    let _ = std::fs::remove_dir_all(&folder);

    let is_near = |a: f64, b: f64, size: f64| (a - b).abs() <= check::TOLERANCE * size.abs();
    for series in [name::TRAIN, name::GRAD_NORM, name::VALID] {
        let (a, b) = (here.series(series), cpu.series(series));
        assert!(!a.is_empty() && a.len() == b.len(), "{series}: {a:?} and {b:?}");
        assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && is_near(a.1, b.1, b.1)), "{series}: {a:?} and {b:?}");
    }
    assert_eq!(
        (here.inspections.len(), cpu.inspections.len()),
        (3, 3),
        "at steps 0, 2 and 4, and none is lost at the end"
    );
    let moments_are_near = |a: &Moments, b: &Moments| {
        (a.count, a.non_finite) == (b.count, b.non_finite)
            && [(a.mean, b.mean), (a.rms, b.rms), (a.min, b.min), (a.max, b.max)]
                .iter()
                .all(|(a, b_)| is_near(*a, *b_, b.rms.max(b_.abs())))
    };
    for index in 0..3 {
        let ((step, a), (cpu_step, b)) = (here.inspection(index), cpu.inspection(index));
        assert_eq!((step, a.len()), (cpu_step, b.len()));
        for (a, b) in a.iter().zip(b) {
            assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
            let is_same = moments_are_near(&a.weight, &b.weight)
                && moments_are_near(&a.gradient, &b.gradient)
                && is_near(a.update_ratio, b.update_ratio, b.update_ratio);
            assert!(is_same, "step {step}: {a:?} and {b:?}");
            let series = here.series(&format!("{}{}", name::UPDATE_RATIO, a.name));
            assert!(series.contains(&(step, a.update_ratio)), "the series has the value of the inspection: {series:?}");
        }
    }
    let cost = |update: &InspectionUpdate| {
        if let InspectionUpdate::ParameterStats { cost_ms, .. } = update { *cost_ms } else { f64::INFINITY }
    };
    let min = here.inspections.iter().map(cost).fold(f64::INFINITY, f64::min);
    println!("{MARK} six steps and three inspections on {}, at least {min:.1} ms for an inspection", gpu.info.name);
}

fn load(plan: &plan::RunPlan, corpora: &std::path::Path) -> Session {
    let folders = Folders { corpora: corpora.to_owned(), checkpoints: None };
    let device = device::open(&plan.device).unwrap();
    Session::load(&"run".parse().unwrap(), plan, &Past::default(), folders, device).unwrap()
}
