//! A GPU computes what the CPU does: the kernels, one training step with and without fused operators, inspections, and a whole run.
//!
//! They run on a software Vulkan adapter, each in a process of its own, because burn reads its switches once. Where there is no adapter
//! they say so and pass. The autotuner can be switched off only in the build: `--no-default-features` runs the same tests with it left out.
#![allow(clippy::unwrap_used)] // a test's own helpers may

use std::io::Write;
use std::process::Command;
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
use wire::inspect::statistics::Moments;
use wire::inspect::statistics::TensorStats;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::run::plan;
use wire::series::{Row, name};
use wire::transport::link::Report;

/// The variable that names the part of a child process.
const PART: &str = "KINDLING_GPU_TEST";

/// Runs a part in a child process that may use the software adapter; the test passes where the part does.
fn play(part: &str, switches: &[(&str, &str)]) {
    let test = std::env::current_exe().unwrap();
    let mut child = Command::new(test);
    child.args(["--exact", "play_a_part", "--ignored", "--nocapture", "--test-threads=1"]);
    child
        .env(PART, part)
        .env("KINDLING_SOFTWARE_GPU", "1")
        .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
        .envs(switches.iter().copied());
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // Written past the test harness, which hides the output of a test that passes.
    for words in said
        .lines()
        .filter_map(|line| [SAID, NOT_RUN].into_iter().find_map(|mark| line.find(mark)).map(|at| &line[at..]))
    {
        let _ = writeln!(std::io::stderr(), "{words}");
    }
    assert!(output.status.success(), "{part}:\n{said}");
}

/// Prefix of the lines of a part that its test prints.
const SAID: &str = "gpu:";
const NOT_RUN: &str = "GPU TESTS NOT RUN";

fn gpu() -> Option<EngineDevice> {
    let info = device::list().into_iter().find(|info| info.backend.contains("Vulkan"));
    if info.is_none() {
        println!("{NOT_RUN}: no Vulkan adapter");
    }
    info.map(|info| device::open(&info.id).unwrap())
}

#[test]
fn kernels_equal_their_reference_implementations() {
    play("kernels", &[]);
}

/// Both in one process: a first step takes a minute there, a second of the same shapes milliseconds.
#[test]
fn the_self_check_passes_and_a_run_reports_the_losses_and_statistics_of_the_cpu() {
    play("check and run", &[]);
}

#[test]
fn inspections_equal_those_of_the_cpu() {
    play("looks", &[]);
}

#[test]
fn one_step_equals_that_of_the_cpu_without_fused_operators() {
    play("step", &[("BURN_FUSION_MAX_EXPLORATIONS", "0")]);
}

#[test]
#[ignore = "a child process's part"]
fn play_a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let Some(gpu) = gpu() else { return };
    match part.as_str() {
        "kernels" => kernels(&gpu),
        "check and run" => {
            self_check(&gpu);
            run(&gpu);
        }
        "looks" => inspections(&gpu),
        "step" => step(&gpu),
        other => panic!("no part named {other}"),
    }
}

fn kernels(gpu: &EngineDevice) {
    let taps = GpuKernels::new(gpu.setup.as_ref().unwrap());
    let cases = check::kernel_cases(gpu, &taps).unwrap();
    let wrong: Vec<String> = cases.iter().filter(|case| !case.is_same()).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{SAID} {} tensors on {}", cases.len(), gpu.info.name);
}

fn self_check(gpu: &EngineDevice) {
    let report = check::check(gpu, &mut |finding| println!("{SAID} {}: {}", finding.what, finding.found)).unwrap();
    assert!(report.is_good() && report.findings.iter().any(|finding| finding.what == "arithmetic"), "{report:?}");
}

fn step(gpu: &EngineDevice) {
    let model = check::tiny();
    let cpu = check::step_on(&EngineDevice::processor(), &model, 1).unwrap();
    let apart = cpu.apart(&check::step_on(gpu, &model, 1).unwrap());
    assert!(apart.worst() <= check::ALLOWED, "{apart}");
    println!("{SAID} one step on {}: {apart}", gpu.info.name);
}

/// The reports of a run.
#[derive(Default)]
struct Recorder {
    rows: Vec<Row>,
    inspections: Vec<InspectionUpdate>,
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        self.rows.push(row);
    }
    fn report(&mut self, _: Report) {}
    fn inspection(&mut self, frame: InspectionUpdate) {
        self.inspections.push(frame);
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

    fn inspection(&self, place: usize) -> (u64, &[TensorStats]) {
        match &self.inspections[place] {
            InspectionUpdate::ParameterStats { step, tensors, .. } => (*step, tensors),
            other => panic!("nobody watches: {other:?}"),
        }
    }
}

/// A tiny model on a text.
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
    let (_keep, orders) = mpsc::channel();
    let mut heard = Recorder::default();
    load(&plan, folder).run(&orders, &mut heard).unwrap();
    heard
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
    let wide = |values: Vec<f32>| values.into_iter().map(|v| if v == 1.0 { v } else { v * 12.0 }).collect();
    let put = |values| params::upload(wide(values), &device.burn);
    let mut state = State::new(params::initial(&specs, 5).into_iter().map(put).collect());
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
    let edits =
        r#"[{"component":{"head":{"layer":0,"head":1}},"factor":0},{"component":{"position":{"at":2}},"factor":0.5}]"#;
    let inspections = [
        r#"{"overview":{}}"#,
        r#"{"attention":{"layer":0}}"#,
        r#"{"logit_lens":{}}"#,
        r#"{"neurons":{"layer":0}}"#,
        r#"{"neuron":{"layer":0,"neuron":3}}"#,
        r#"{"weights":{}}"#,
        r#"{"weights":{"values":"gradient"}}"#,
        r#"{"weights":{"values":"update"}}"#,
        r#"{"matrix":{"tensor":"embedding.token","window":{"row":3,"column":1,"rows":5,"columns":9}}}"#,
        r#"{"embedding":{}}"#,
        r#"{"batch":{"step":1}}"#,
        &format!(r#"{{"interventions":{{"interventions":{edits}}}}}"#),
    ];
    let answer = |inspection: &str| {
        let result = inspect::inspect(&subject, &serde_json::from_str(inspection).unwrap())
            .unwrap_or_else(|error| panic!("{inspection}: {error}"));
        (inspection.to_owned(), serde_json::to_value(result).unwrap())
    };
    inspections.into_iter().map(answer).collect()
}

/// Values agree within the tolerance of a step, integers (bytes of a heat map) within one.
fn are_alike(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| are_alike(a, b)))
        }
        (Number(a), Number(b)) if a.is_u64() && b.is_u64() => a.as_u64().unwrap().abs_diff(b.as_u64().unwrap()) <= 1,
        (Number(a), Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= check::ALLOWED * b.abs() + 1e-4
        }
        (a, b) => a == b,
    }
}

fn inspections(gpu: &EngineDevice) {
    let folder = folder_with_a_text();
    let (here, cpu) = (inspections_on(gpu, &folder), inspections_on(&EngineDevice::processor(), &folder));
    let _ = std::fs::remove_dir_all(&folder);
    for ((inspection, a), (_, b)) in here.iter().zip(&cpu) {
        assert!(are_alike(a, b), "{inspection}:\n{a}\n{b}");
    }
    println!("{SAID} {} inspections on {}", here.len(), gpu.info.name);
}

fn run(gpu: &EngineDevice) {
    let folder = folder_with_a_text();
    let (here, cpu) = (train_on(gpu.info.id.as_str(), &folder), train_on("cpu", &folder));
    let _ = std::fs::remove_dir_all(&folder);

    let is_near = |a: f64, b: f64, size: f64| (a - b).abs() <= check::ALLOWED * size.abs();
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
    for place in 0..3 {
        let ((step, a), (same, b)) = (here.inspection(place), cpu.inspection(place));
        assert_eq!((step, a.len()), (same, b.len()));
        for (a, b) in a.iter().zip(b) {
            assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
            let is_same = moments_are_near(&a.weight, &b.weight)
                && moments_are_near(&a.gradient, &b.gradient)
                && is_near(a.update_ratio, b.update_ratio, b.update_ratio);
            assert!(is_same, "step {step}: {a:?} and {b:?}");
            let series = here.series(&format!("{}{}", name::UPDATE_RATIO, a.name));
            assert!(series.contains(&(step, a.update_ratio)), "the curve has what the look shows: {series:?}");
        }
    }
    let cost = |frame: &InspectionUpdate| {
        if let InspectionUpdate::ParameterStats { cost_ms, .. } = frame { *cost_ms } else { f64::INFINITY }
    };
    let least = here.inspections.iter().map(cost).fold(f64::INFINITY, f64::min);
    println!("{SAID} six steps and three looks on {}, {least:.1} ms for a look", gpu.info.name);
}

fn load(plan: &plan::RunPlan, corpora: &std::path::Path) -> Session {
    let folders = Folders { corpora: corpora.to_owned(), checkpoints: None };
    let device = device::open(&plan.device).unwrap();
    Session::load(&"story".parse().unwrap(), plan, &Past::default(), folders, device).unwrap()
}
