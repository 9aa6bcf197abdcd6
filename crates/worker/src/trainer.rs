//! What the engine does on the training thread. The only file of this crate that knows the engine.

use std::path::Path;
use std::sync::mpsc::Receiver;

use engine::device::EngineDevice;
use engine::train::{Folders, Reporter};
use wire::command::CommandOrder;
use wire::device::DeviceInfo;
use wire::frame::Frame;
use wire::link::Report;
use wire::look::Look;
use wire::series::Row;
use wire::{DeviceId, RunPlan};

use crate::error::WorkerError;
use crate::reporter::RunReporter;
use crate::training::{Trainer, Work};

/// The engine on one opened device.
pub struct EngineTrainer {
    device: EngineDevice,
    folders: Folders,
}

impl EngineTrainer {
    /// Opens the device and measures its speed, which takes a moment.
    ///
    /// # Errors
    /// A device that is not there, or a driver that refuses.
    pub fn open(device: &DeviceId, folders: Folders) -> Result<Self, WorkerError> {
        let failed =
            |source: engine::EngineError| WorkerError::Device { device: device.clone(), message: source.to_string() };
        let mut opened = engine::device::open(device).map_err(failed)?;
        opened.info.flops_per_sec = engine::device::measure(&opened).map_err(failed)?;
        Ok(Self { device: opened, folders })
    }
}

impl Trainer for EngineTrainer {
    fn device(&self) -> DeviceInfo {
        self.device.info.clone()
    }

    fn device_bytes(&self) -> u64 {
        self.device.bytes_in_use()
    }

    fn train(&self, work: &Work, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Result<(), String> {
        let Work { run, plan, past } = work;
        check_texts(plan, &self.folders.corpora)?;
        // The handles are shared, not opened anew: a driver allows that once for each process.
        let device = EngineDevice {
            info: self.device.info.clone(),
            burn: self.device.burn.clone(),
            setup: self.device.setup.clone(),
        };
        let mut training = engine::train::Training::load(run, plan, past, self.folders.clone(), device)
            .map_err(|source| source.to_string())?;
        training.run(orders, out).map_err(|source| source.to_string())
    }
}

impl Reporter for RunReporter {
    fn row(&mut self, row: Row) {
        RunReporter::row(self, row);
    }

    fn report(&mut self, report: Report) {
        RunReporter::report(self, report);
    }

    fn look(&mut self, frame: Frame) {
        RunReporter::look(self, frame);
    }

    fn keep(&mut self, frame: Frame) {
        RunReporter::keep(self, frame);
    }

    fn wanted(&mut self) -> Option<Vec<Look>> {
        RunReporter::wanted(self)
    }

    fn blocked(&self) -> Option<String> {
        RunReporter::blocked(self)
    }
}

/// A worker on another machine than the server's may not have the text.
fn check_texts(plan: &RunPlan, corpora: &Path) -> Result<(), String> {
    match plan.mix.iter().find(|part| !corpora.join(part.corpus.as_str()).is_dir()) {
        None => Ok(()),
        Some(part) => Err(format!(
            "the text {} is not on this worker's machine (looked in {}); copy corpora/{} from the server's folder to there, or choose a device of the server's machine",
            part.corpus,
            corpora.display(),
            part.corpus
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::plan::MixPart;
    use wire::spec::Tokenizer;

    #[test]
    fn a_missing_text_is_named_with_the_way_out() {
        let corpora = tempfile::tempdir().unwrap();
        std::fs::create_dir(corpora.path().join("tales")).unwrap();
        let part = |name: &str| MixPart { corpus: name.parse().unwrap(), content_hash: String::new(), weight: 0.5 };
        let preset = wire::preset::find("tiny", None).unwrap();
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
        assert_eq!(check_texts(&plan(vec![part("tales")]), corpora.path()), Ok(()));
        let message = check_texts(&plan(vec![part("tales"), part("mine")]), corpora.path()).unwrap_err();
        assert!(message.contains("the text mine is not on") && message.contains("corpora/mine"), "{message}");
    }
}
