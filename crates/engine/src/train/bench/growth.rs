//! Growth: time and memory of a step while one size of a plan doubles and all others stay.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::PlanError;
use wire::device::DeviceInfo;
use wire::run::duration::StepSecs;
use wire::run::plan::{RunPlan, check_imported};

use crate::data::dataset::{self, Dataset};
use crate::device::{EngineDevice, process_bytes};
use crate::error::EngineError;
use crate::model::params;
use crate::optim::optimizer::State;
use crate::train::trainer::{StepOutcome, Trainer};

/// A visit of a plan measures steps until this time has passed,
const WITHIN: Duration = Duration::from_millis(500);
/// at least so many
const LEAST_STEPS: usize = 2;
/// and at most so many.
const MOST_STEPS: usize = 20;

/// A size of a plan, which doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// The width of the residual stream with heads and MLP; the width of a head stays.
    Width,
    Depth,
    Context,
    BatchSize,
    Vocabulary,
}

impl Size {
    /// All sizes.
    pub const ALL: [Self; 5] = [Self::Width, Self::Depth, Self::Context, Self::BatchSize, Self::Vocabulary];

    /// Label, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Width => "width",
            Self::Depth => "layers",
            Self::Context => "context length",
            Self::BatchSize => "batch size",
            Self::Vocabulary => "vocabulary",
        }
    }

    /// A plan with this size times `factor`. A larger vocabulary than that of the tokenizer has tokens that never occur.
    fn grown(self, plan: &RunPlan, factor: usize) -> RunPlan {
        let mut plan = plan.clone();
        // Statistics are measured in some steps only.
        plan.recipe.intervals.stats_every = 0;
        let (model, batch) = (&mut plan.recipe.model, &mut plan.recipe.batch);
        let times = |size: &mut usize| *size = size.saturating_mul(factor);
        match self {
            Self::Width => {
                [&mut model.d_model, &mut model.heads, &mut model.kv_heads, &mut model.d_ff]
                    .into_iter()
                    .for_each(times);
            }
            Self::Depth => times(&mut model.layers),
            Self::Context => times(&mut model.seq),
            Self::BatchSize => times(&mut batch.size),
            Self::Vocabulary => times(&mut model.vocab),
        }
        plan
    }

    /// Its value in a plan.
    fn of(self, plan: &RunPlan) -> usize {
        let model = &plan.recipe.model;
        match self {
            Self::Width => model.d_model,
            Self::Depth => model.layers,
            Self::Context => model.seq,
            Self::BatchSize => plan.recipe.batch.size,
            Self::Vocabulary => model.vocab,
        }
    }
}

/// A plan of a series, and what was measured of it.
#[derive(Debug, Clone)]
pub struct Point {
    pub size: Size,
    /// The size's value.
    pub value: usize,
    pub plan: RunPlan,
    /// Planned time of a step, seconds.
    pub planned_secs: f64,
    /// Planned memory, bytes.
    pub planned_bytes: u64,
    /// Median time of a step in each round, seconds.
    pub secs: Vec<f64>,
    /// Memory that the first round added to the process, bytes.
    pub bytes: f64,
}

/// A plan that is not measured, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub size: Size,
    pub value: usize,
    pub why: String,
}

/// The plans of all series: each size of `plan` doubles up to `doublings` times. One that is not valid, does not fit the memory of the device, or
/// whose step would take longer than `most_secs`, is left out with those after it.
pub fn points(plan: &RunPlan, doublings: u32, device: &DeviceInfo, most_secs: f64) -> (Vec<Point>, Vec<LeftOut>) {
    let (mut points, mut left_out) = (vec![], vec![]);
    for size in Size::ALL {
        for doubling in 0..=doublings {
            let plan = size.grown(plan, 1_usize.checked_shl(doubling).unwrap_or(usize::MAX));
            let value = size.of(&plan);
            match point(size, plan, device, most_secs) {
                Ok(point) => points.push(point),
                Err(why) => {
                    left_out.push(LeftOut { size, value, why });
                    break;
                }
            }
        }
    }
    // A process keeps some of the memory that it frees, so the memory of a plan can only be measured after smaller ones.
    points.sort_by_key(|point| point.planned_bytes);
    (points, left_out)
}

fn point(size: Size, plan: RunPlan, device: &DeviceInfo, most_secs: f64) -> Result<Point, String> {
    check_imported(&plan).map_err(|error| error.to_string())?;
    let planned_bytes = plan.memory_bytes(device.kind);
    if device.memory_bytes > 0 && planned_bytes > device.memory_bytes {
        let [needed, free] = [planned_bytes, device.memory_bytes].map(|bytes| bytes as f64 / 1e9);
        return Err(format!("it needs {needed:.1} GB of memory; {free:.1} GB are free"));
    }
    let planned_secs = StepSecs::new(&plan, device).map_or(0.0, |secs| secs.whole);
    if planned_secs > most_secs {
        return Err(format!("a step would take {planned_secs:.0} s, longer than {most_secs:.0} s"));
    }
    Ok(Point { size, value: size.of(&plan), plan, planned_secs, planned_bytes, secs: vec![], bytes: 0.0 })
}

/// Measures all points in each of the rounds, so that what else the machine does during one of them affects each point alike. `progress` gets
/// the number of the visit, from 1 on, and its point.
///
/// # Errors
/// A dataset or the CPU fails, a loss is not finite, or `progress` fails.
pub fn measure<E: From<EngineError>>(
    points: &mut [Point],
    rounds: u64,
    corpora: &Path,
    threads: usize,
    progress: &mut dyn FnMut(usize, &Point) -> Result<(), E>,
) -> Result<(), E> {
    let Some(first) = points.first() else { return Ok(()) };
    let (ids, tokenizer) = (first.plan.corpora(), first.plan.tokenizer);
    dataset::prepare(corpora, &ids, tokenizer, &mut |_, _, _| true).map_err(EngineError::from)?;
    let bytes_at_start = process_bytes();
    let mut visit = 0;
    for round in 0..rounds {
        for point in &mut *points {
            visit += 1;
            progress(visit, point)?;
            let (secs, peak_bytes) = visit_plan(&point.plan, corpora, threads)?;
            point.secs.push(secs);
            if round == 0 {
                point.bytes = peak_bytes - bytes_at_start;
            }
        }
    }
    Ok(())
}

/// Median time of a step, seconds, and the most resident memory of the process after one, bytes.
fn visit_plan(plan: &RunPlan, corpora: &Path, threads: usize) -> Result<(f64, f64), EngineError> {
    let device = EngineDevice::processor();
    device.threads.set(Some(threads));
    let data = Dataset::open(corpora, &plan.corpora(), plan.tokenizer)?;
    let specs = params::layout(&plan.recipe.model);
    let state = State::new(params::initial_on(&specs, plan.seed, &device.burn));
    let mut trainer = Trainer::new(plan.clone(), plan.live(), data, device, specs, state)?;
    // The first step allocates the buffers.
    step(&mut trainer)?;
    let (began, mut secs, mut peak_bytes) = (Instant::now(), vec![], process_bytes());
    while secs.len() < LEAST_STEPS || (secs.len() < MOST_STEPS && began.elapsed() < WITHIN) {
        let from = Instant::now();
        step(&mut trainer)?;
        secs.push(from.elapsed().as_secs_f64());
        peak_bytes = peak_bytes.max(process_bytes());
    }
    secs.sort_by(f64::total_cmp);
    Ok((secs[secs.len() / 2], peak_bytes))
}

fn step(trainer: &mut Trainer) -> Result<(), EngineError> {
    match trainer.step()? {
        StepOutcome::Taken(_) => Ok(()),
        StepOutcome::NonFinite { loss, norm } => {
            let message = format!("the loss ({loss}) or the gradient norm ({norm}) of a step is not finite");
            Err(PlanError::new("optimizer.learning_rate", message).hint("set a smaller learning rate").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use wire::run::spec::RunSpec;

    use super::*;
    use crate::train::bench::resolve;

    #[test]
    fn each_size_doubles_and_is_measured_in_each_round() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rhyme.txt");
        std::fs::write(&file, "the cat sat on the mat and the dog sat on the log.\n".repeat(400)).unwrap();
        crate::train::bench::import_text(folder.path(), &"rhyme".parse().unwrap(), &file).unwrap();
        let overrides = [("model.d_model", 32), ("model.d_ff", 64), ("model.seq", 16), ("batch.size", 4)];
        let spec = RunSpec {
            preset: Some("tiny".into()),
            corpus: Some("rhyme".parse().unwrap()),
            device: Some("cpu".parse().unwrap()),
            overrides: overrides.into_iter().map(|(path, value)| (path.to_owned(), json!(value))).collect(),
            ..RunSpec::default()
        };
        let plan = resolve(&spec, folder.path(), 1).unwrap().plan;
        let device = DeviceInfo { memory_bytes: 1 << 40, flops_per_sec: 1e9, ..EngineDevice::processor().info };
        let (mut points, left_out) = points(&plan, 2, &device, 1e9);
        assert_eq!((points.len(), left_out), (15, vec![]));
        let mut visits = vec![];
        let mut progress = |visit: usize, point: &Point| {
            visits.push((visit, point.value));
            Ok::<_, EngineError>(())
        };
        measure(&mut points, 2, folder.path(), 1, &mut progress).unwrap();
        assert_eq!(visits.iter().map(|(visit, _)| *visit).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
        let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for point in &points {
            assert!(point.secs.len() == 2 && point.secs.iter().all(|secs| *secs > 0.0), "{point:?}");
            values.entry(point.size.label()).or_default().push(point.value);
        }
        let vocab = plan.recipe.model.vocab;
        assert_eq!(values["width"], [32, 64, 128]);
        assert_eq!(values["layers"], [2, 4, 8]);
        assert_eq!(values["context length"], [16, 32, 64]);
        assert_eq!(values["batch size"], [4, 8, 16]);
        assert_eq!(values["vocabulary"], [vocab, 2 * vocab, 4 * vocab]);
    }

    #[test]
    fn what_is_too_large_is_left_out_with_its_reason() {
        let preset = wire::run::preset::find("nanogpt-cpu", None).unwrap();
        let plan = RunPlan {
            preset: preset.name.clone(),
            steps: 100,
            seed: 1,
            recipe: preset.recipe.clone(),
            tokenizer: preset.tokenizer,
            mix: vec![],
            device: "cpu".parse().unwrap(),
            prompt: String::new(),
            origin: None,
        };
        let device = |memory_bytes| DeviceInfo { memory_bytes, flops_per_sec: 1e9, ..EngineDevice::processor().info };
        let (points_found, left_out) = points(&plan, 20, &device(300_000_000), 1e9);
        assert!(points_found.windows(2).all(|pair| pair[0].planned_bytes <= pair[1].planned_bytes));
        assert_eq!(left_out.len(), Size::ALL.len(), "each series ends once: {left_out:?}");
        assert!(left_out[0].why.contains("0.3 GB are free"), "{left_out:?}");
        let (_, left_out) = points(&plan, 20, &device(0), 30.0);
        assert!(left_out.iter().any(|one| one.why.ends_with("longer than 30 s")), "{left_out:?}");
    }
}
