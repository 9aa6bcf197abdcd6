//! The engine as a trainer. The only file of this crate that uses the engine's training loop.

use std::path::Path;
use std::sync::mpsc::Receiver;

use engine::device::EngineDevice;
use engine::train::{Folders, Reporter};
use wire::control::command::NumberedCommand;
use wire::device::DeviceInfo;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::series::Row;
use wire::transport::link::Report;
use wire::{DeviceId, RunPlan};

use crate::assignment::Assignment;
use crate::error::{TrainError, WorkerError};
use crate::reporter::RunReporter;
use crate::training::Trainer;
use crate::transfer::Transfer;
use crate::transfer::preparation::{Preparation, Prepared};

/// The engine on one opened device.
pub struct EngineTrainer {
    device: EngineDevice,
    folders: Folders,
    /// Where datasets and checkpoints come from, if the server is on another machine.
    transfer: Option<Transfer>,
}

impl EngineTrainer {
    /// Opens the device, and measures its speed if wanted, which takes a second, on a GPU some seconds.
    ///
    /// # Errors
    /// [`WorkerError::Device`]: the device does not exist, or its driver fails.
    pub fn open(
        device: &DeviceId,
        folders: Folders,
        transfer: Option<Transfer>,
        is_measured: bool,
    ) -> Result<Self, WorkerError> {
        let failed =
            |source: engine::EngineError| WorkerError::Device { device: device.clone(), source: source.into() };
        let mut opened = engine::device::open(device).map_err(failed)?;
        if is_measured {
            engine::model::speed::measure(&opened).map_err(failed)?.note(&mut opened.info);
        }
        Ok(Self { device: opened, folders, transfer })
    }
}

impl EngineTrainer {
    /// The folders and the past that a run trains with, fetched if the server is on another machine. `None` if the run was stopped meanwhile.
    fn prepare(
        &self,
        assignment: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<Option<(Folders, Past)>, TrainError> {
        let Some(transfer) = &self.transfer else {
            return Ok(Some((self.folders.clone(), (*assignment.past).clone())));
        };
        let preparation = Preparation::start(transfer, assignment)?;
        loop {
            if let Some(ended) = preparation.wait() {
                out.activity(None);
                let Prepared { corpora, past } = ended?;
                return Ok(Some((Folders { corpora, ..self.folders.clone() }, past)));
            }
            out.activity(preparation.progress());
            // Other commands wait until the run is loaded.
            if out.is_asked_to_end() {
                commands.try_iter().for_each(|command| out.end_by(command));
                return Ok(None);
            }
        }
    }
}

impl Trainer for EngineTrainer {
    fn device(&self) -> DeviceInfo {
        self.device.info.clone()
    }

    fn device_bytes(&self) -> u64 {
        self.device.bytes_in_use()
    }

    fn pci_address(&self) -> Option<String> {
        self.device.pci_address()
    }

    fn share(&self, running: usize) {
        let cores = self.device.info.cores as usize;
        self.device.threads.set((running > 1).then(|| (cores / running).max(1)));
    }

    fn train(
        &self,
        assignment: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<(), TrainError> {
        let Some((folders, past)) = self.prepare(assignment, commands, out)? else { return Ok(()) };
        let Assignment { run, plan, .. } = assignment;
        check_datasets(plan, &folders.corpora)?;
        // The handles are shared rather than opened again: a driver allows that once per process.
        let device = EngineDevice {
            info: self.device.info.clone(),
            burn: self.device.burn.clone(),
            setup: self.device.setup.clone(),
            threads: self.device.threads.clone(),
        };
        let mut session =
            engine::train::Session::load(run, plan, &past, folders, device).map_err(TrainError::engine)?;
        session.run(commands, out).map_err(TrainError::engine)
    }
}

impl Reporter for RunReporter {
    fn row(&mut self, row: Row) {
        RunReporter::row(self, row);
    }

    fn report(&mut self, report: Report) {
        RunReporter::report(self, report);
    }

    fn inspection(&mut self, update: InspectionUpdate) {
        RunReporter::inspection(self, update);
    }

    fn snapshot(&mut self, update: InspectionUpdate) {
        RunReporter::snapshot(self, update);
    }

    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        RunReporter::requested_inspections(self)
    }

    fn activity(&mut self, what: Option<String>) {
        RunReporter::activity(self, what);
    }

    fn blocked(&self) -> Option<String> {
        RunReporter::blocked(self)
    }
}

/// Checks that all datasets of a plan exist.
fn check_datasets(plan: &RunPlan, corpora: &Path) -> Result<(), TrainError> {
    match plan.mix.iter().find(|part| !corpora.join(part.corpus.as_str()).is_dir()) {
        None => Ok(()),
        Some(part) => Err(TrainError::DatasetMissing { corpus: part.corpus.clone(), folder: corpora.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::data::tokenizer::Tokenizer;
    use wire::run::plan::MixPart;

    #[test]
    fn a_missing_dataset_is_named_with_a_hint() {
        let corpora = tempfile::tempdir().unwrap();
        std::fs::create_dir(corpora.path().join("tales")).unwrap();
        let part = |name: &str| MixPart { corpus: name.parse().unwrap(), content_hash: String::new(), weight: 0.5 };
        let preset = wire::run::preset::find("tiny", None).unwrap();
        let plan = |mix| RunPlan {
            preset: preset.name.clone(),
            steps: 1,
            seed: 1,
            recipe: preset.recipe.clone(),
            tokenizer: Tokenizer::Byte,
            mix,
            device: "cpu".parse().unwrap(),
            prompt: String::new(),
            origin: None,
        };
        check_datasets(&plan(vec![part("tales")]), corpora.path()).unwrap();
        let message = check_datasets(&plan(vec![part("tales"), part("mine")]), corpora.path()).unwrap_err().to_string();
        assert!(message.contains("the dataset mine is not in") && message.contains("import it again"), "{message}");
    }
}
