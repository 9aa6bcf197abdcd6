//! The measurements of `kindling bench`: speed and loss of a plan on a dataset, by the training loop of every run.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use wire::PlanError;
use wire::control::event::Event;
use wire::data::corpus::Source;
use wire::data::import::ImportOptions;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::run::plan::{self, RunPlan};
use wire::run::spec::RunSpec;
use wire::series::{Row, name};
use wire::transport::link::Report;

use crate::data::{corpus, dataset, import};
use crate::device;
use crate::error::{DataError, EngineError};
use crate::train::{Folders, Reporter, Session};

/// Results of one run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Median speed after ten steps, tokens per second.
    pub tokens_per_sec: f64,
    /// Last validation loss, nats per token.
    pub valid_nats: Option<f64>,
    /// Last training loss, nats per token.
    pub train_nats: Option<f64>,
    /// Fraction of the step time outside batch, gradient and optimizer.
    pub other_fraction: f64,
    /// Total time, seconds.
    pub secs: f64,
}

/// Imports a text file into `corpora` under an id, for benches and tests.
///
/// # Errors
/// The file cannot be read or is not text.
pub fn import_text(corpora: &Path, id: &wire::CorpusId, file: &Path) -> Result<(), DataError> {
    let name = file.file_name().map_or_else(|| "text".to_owned(), |name| name.to_string_lossy().into_owned());
    let files = [(name.clone(), file.to_owned())];
    let from = import::Files { files: &files, options: &ImportOptions::default(), max_text_bytes: u64::MAX };
    import::import_files(corpora, id, &name, Source::Files { names: vec![] }, from, &mut |_, _, _| true)?;
    Ok(())
}

/// Resolves a spec on this machine's CPU and trains it to the end.
///
/// # Errors
/// The spec does not resolve, or the dataset or the device fails.
pub fn train(spec: &RunSpec, corpora: &Path) -> Result<Figures, EngineError> {
    let plan = resolve(spec, corpora)?;
    dataset::prepare(corpora, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true)?;
    let mut session = Session::load(
        &"bench".parse().map_err(|source: wire::id::IdError| PlanError::new("run", source.to_string()))?,
        &plan,
        &Past::default(),
        Folders { corpora: corpora.to_owned(), checkpoints: None },
        device::open(&plan.device)?,
    )?;
    let (_commands, received) = mpsc::channel();
    let mut rows = Rows::default();
    let began = Instant::now();
    session.run(&received, &mut rows)?;
    Ok(rows.figures(began.elapsed().as_secs_f64()))
}

fn resolve(spec: &RunSpec, corpora: &Path) -> Result<RunPlan, EngineError> {
    let infos = corpus::list(corpora)?;
    Ok(plan::resolve(spec, &infos, &device::list())?.plan)
}

/// Collects the values of a bench.
#[derive(Default)]
struct Rows {
    speeds: Vec<f64>,
    step_ms: f64,
    other_ms: f64,
    figures: Figures,
}

impl Reporter for Rows {
    fn row(&mut self, row: Row) {
        for (name, value) in row.values {
            match name.as_str() {
                name::TOKENS_PER_SEC if row.step >= 10 => self.speeds.push(value),
                name::STEP_MS => self.step_ms += value,
                name::OTHER_MS => self.other_ms += value,
                name::TRAIN => self.figures.train_nats = Some(value),
                _ => {}
            }
        }
    }

    fn report(&mut self, report: Report) {
        if let Event::Evaluated { loss_nats, .. } = report.event {
            self.figures.valid_nats = Some(loss_nats);
        }
    }

    fn inspection(&mut self, _update: InspectionUpdate) {}
}

impl Rows {
    fn figures(mut self, secs: f64) -> Figures {
        self.speeds.sort_by(f64::total_cmp);
        let tokens_per_sec = self.speeds.get(self.speeds.len() / 2).copied().unwrap_or_default();
        Figures { tokens_per_sec, secs, other_fraction: self.other_ms / self.step_ms.max(1e-9), ..self.figures }
    }
}
