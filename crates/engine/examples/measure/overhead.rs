//! The overhead of inspections on training.
//!
//! One run of nanoGPT's CPU recipe on Tales, alternating twenty steps without inspections and twenty with the overview requested, so that both
//! are measured under the same load; then each inspection alone. The time of a step is the time between two reports, including inspections. A
//! second run of the same length measures the snapshots.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use engine::data::{corpus, dataset, generators};
use engine::device;
use engine::train::{Folders, Reporter, Session};
use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::intervention::{Component, Intervention};
use wire::inspect::request::{self, Inspection, InspectionText, TensorValues};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::run::history::Past;
use wire::run::plan;
use wire::series::{Row, name};
use wire::transport::link::Report;

use crate::Outcome;

/// Steps of an interval.
const INTERVAL: u64 = 20;
/// Steps before the measurement.
const WARM_UP: u64 = 10;

/// Measures over a number of steps.
pub(crate) fn run(steps: u64) -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("kindling-xray-bench-{}", std::process::id()));
    let measured = measure(&folder, steps);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, steps: u64) -> Outcome<()> {
    generators::generate(folder, &"tales".parse()?, "tales", 1, &mut |_, _, _| true)?;
    let spec = serde_json::json!({
        "preset": "nanogpt-cpu", "corpus": "tales", "steps": 1_000_000, "device": "cpu",
        "overrides": {"intervals.sample_every": 0, "intervals.eval_every": 0, "retention.snapshots_mb": 0, "intervals.checkpoint_every": 0}
    });
    let plan = plan::resolve(&serde_json::from_value(spec)?, &corpus::list(folder)?, &device::list())?.plan;
    dataset::prepare(folder, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true)?;
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let mut training = Session::load(&"bench".parse()?, &plan, &Past::default(), folders, device::open(&plan.device)?)?;
    let (send, commands) = mpsc::channel();
    let mut recorder = OverheadRecorder::new(send, steps);
    training.run(&commands, &mut recorder)?;
    recorder.print();
    drop(training);

    let mut plan = plan;
    (plan.steps, plan.recipe.retention.snapshots_mb) = (steps, 200);
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let mut training =
        Session::load(&"snapshots".parse()?, &plan, &Past::default(), folders, device::open(&plan.device)?)?;
    let mut reporter = SnapshotReporter::default();
    let began = Instant::now();
    training.run(&mpsc::channel().1, &mut reporter)?;
    reporter.print(began.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

/// Counts the snapshots of a run and their time.
#[derive(Default)]
struct SnapshotReporter {
    states: BTreeSet<u64>,
    inspections_ms: f64,
}

impl SnapshotReporter {
    fn print(&self, all_ms: f64) {
        let (count, inspections_ms) = (self.states.len(), self.inspections_ms);
        let each = inspections_ms / count.max(1) as f64;
        println!("snapshots: {count} states, {each:.1} ms each, {:.2} % of the run", inspections_ms / all_ms * 100.0);
    }
}

impl Reporter for SnapshotReporter {
    fn row(&mut self, row: Row) {
        self.inspections_ms +=
            row.values.iter().filter(|(name, _)| name == name::INSPECTIONS_MS).map(|(_, ms)| ms).sum::<f64>();
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, _update: InspectionUpdate) {}

    fn snapshot(&mut self, update: InspectionUpdate) {
        self.states.insert(update.step());
    }
}

struct OverheadRecorder {
    commands: mpsc::Sender<NumberedCommand>,
    steps: u64,
    last: Instant,
    requests: Option<Vec<Inspection>>,
    is_inspected: bool,
    baseline_ms: Vec<f64>,
    inspected_ms: Vec<f64>,
    /// Inspections that are measured one after the other at the end, the next one last.
    remaining: Vec<Inspection>,
    costs: Vec<(String, Vec<InspectionOverhead>)>,
}

impl OverheadRecorder {
    fn new(commands: mpsc::Sender<NumberedCommand>, steps: u64) -> Self {
        let text = InspectionText::default();
        let mut remaining = request::snapshot_inspections(1);
        let interventions = vec![Intervention { component: Component::Head { layer: 0, head: 0 }, factor: 0.0 }];
        remaining.extend([
            Inspection::Neurons { text: text.clone(), layer: 0 },
            Inspection::Neuron { layer: 0, neuron: 0 },
            Inspection::Weights { values: TensorValues::Gradient },
            Inspection::Weights { values: TensorValues::Update },
            Inspection::Matrix { tensor: "block.0.mlp.up".into(), values: TensorValues::Weight, window: None },
            Inspection::Batch { step: 1 },
            Inspection::Interventions { text, interventions },
        ]);
        remaining.reverse();
        let (baseline_ms, inspected_ms, costs) = (vec![], vec![], vec![]);
        Self {
            commands,
            steps,
            last: Instant::now(),
            requests: None,
            is_inspected: false,
            baseline_ms,
            inspected_ms,
            remaining,
            costs,
        }
    }

    fn step_done(&mut self, step: u64) {
        let ms = self.last.elapsed().as_secs_f64() * 1000.0;
        self.last = Instant::now();
        if step < WARM_UP {
            return;
        }
        if step < self.steps {
            if self.is_inspected {
                self.inspected_ms.push(ms)
            } else {
                self.baseline_ms.push(ms)
            }
            if step % INTERVAL == INTERVAL - 1 {
                self.is_inspected = !self.is_inspected;
                let text = InspectionText::default();
                self.requests = Some(if self.is_inspected { vec![Inspection::Overview { text }] } else { vec![] });
            }
        } else if step == self.steps {
            let command = Command::Pause { reason: None };
            let _ = self.commands.send(NumberedCommand { command_id: 1, author: Author::System, command });
            self.request_next();
        }
    }

    /// Requests the next inspection while the run is paused, each five times.
    fn request_next(&mut self) {
        let is_measured = self.costs.last().is_none_or(|(_, costs)| costs.len() >= 5);
        if is_measured {
            let Some(inspection) = self.remaining.pop() else {
                let command = Command::Stop { reason: None };
                let _ = self.commands.send(NumberedCommand { command_id: 2, author: Author::System, command });
                return;
            };
            self.costs.push((inspection.key(), vec![]));
            self.requests = Some(vec![inspection]);
        } else if let Some((key, _)) = self.costs.last() {
            self.requests = serde_json::from_str(key).ok().map(|inspection| vec![inspection]);
        }
    }

    fn print(mut self) {
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
        let (baseline, inspected) = (mean(&self.baseline_ms), mean(&self.inspected_ms));
        println!("no inspections: {baseline:.1} ms per step over {} steps", self.baseline_ms.len());
        println!(
            "overview requested: {inspected:.1} ms per step over {}: {:.3} x",
            self.inspected_ms.len(),
            inspected / baseline
        );
        println!("{:>9}  one inspection, median of 5, ms", "");
        for (key, costs) in &mut self.costs {
            costs.sort_by(|a, b| a.cost_ms.total_cmp(&b.cost_ms));
            println!("{:>9.2}  {key}", costs.get(costs.len() / 2).map_or(f64::NAN, |overhead| overhead.cost_ms));
        }
    }
}

impl Reporter for OverheadRecorder {
    fn row(&mut self, row: Row) {
        if row.values.iter().any(|(name, _)| name == name::TRAIN) {
            self.step_done(row.step);
        }
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, update: InspectionUpdate) {
        let InspectionUpdate::Result { overhead, step, .. } = update else { return };
        if step > self.steps {
            if let Some((_, costs)) = self.costs.last_mut() {
                costs.push(overhead);
            }
            self.request_next();
        }
    }

    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        self.requests.take()
    }
}
