//! What a lab of a scenario contains before the agent begins.

use serde_json::{Value, json};

use super::device::Planned;
use super::simulation::{Behaviour, EVAL_EVERY};

/// Dataset of the runs.
pub(super) const NOTES: &str = "notes";
/// The default device.
pub(super) const DEVICE: &str = "sim-1";
/// The slower device of a lab with two.
pub(super) const SECOND: &str = "sim-2";

/// The contents of a lab.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// Number of devices: [`DEVICE`], [`SECOND`].
    pub(super) devices: usize,
    /// Whether there is a second dataset, without the fault `Leak`.
    pub(super) has_clean_dataset: bool,
    /// In the order in which they are queued. Each waits until the one before has done its steps.
    pub(super) runs: Vec<SetupRun>,
    /// An experiment whose verdict is inconclusive: learning rates of baseline and variant.
    pub(super) inconclusive: Option<(f64, f64)>,
}

/// A run of a lab.
#[derive(Debug, Clone)]
pub(super) struct SetupRun {
    /// Its name in scoring functions.
    pub(super) key: &'static str,
    /// Display name.
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) rate: f64,
    pub(super) steps: u64,
    pub(super) planned: Planned,
    pub(super) device: &'static str,
    pub(super) tag: Option<&'static str>,
    pub(super) then: Then,
}

/// The state in which the agent finds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It trains, or has finished if it has taken all its steps.
    Trains,
    /// It was stopped.
    Stopped,
    /// It waits in the queue.
    Waits,
}

impl SetupRun {
    /// A run that has taken `begin` of its steps and continues to train.
    pub(super) fn training(
        key: &'static str,
        seed: u64,
        rate: f64,
        begin: u64,
        steps: u64,
        behaviour: Behaviour,
    ) -> Self {
        let (name, device) = (key.to_owned(), DEVICE);
        let planned = Planned { behaviour, begin };
        Self { key, name, seed, rate, steps, planned, device, tag: None, then: Then::Trains }
    }

    /// A run that has finished.
    pub(super) fn finished(key: &'static str, seed: u64, rate: f64, steps: u64, behaviour: Behaviour) -> Self {
        Self::training(key, seed, rate, steps, steps, behaviour)
    }

    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(super) fn tagged(self, tag: &'static str) -> Self {
        Self { tag: Some(tag), ..self }
    }

    pub(super) fn on(self, device: &'static str) -> Self {
        Self { device, ..self }
    }

    pub(super) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// Its specification.
    pub(super) fn spec(&self) -> Value {
        let mut spec = spec(NOTES, self.rate, self.steps);
        let fields = json!({ "seed": self.seed, "device": self.device, "name": self.name });
        for (name, value) in fields.as_object().into_iter().flatten() {
            spec[name.as_str()] = value.clone();
        }
        spec
    }
}

/// The specification of a run with a constant learning rate after its warm-up.
pub(super) fn spec(dataset: &str, rate: f64, steps: u64) -> Value {
    json!({
        "preset": "tiny", "corpus": dataset, "steps": steps,
        "overrides": {
            "model.seq": 16, "optimizer.learning_rate": rate, "schedule.shape": "constant", "schedule.warmup_steps": steps.min(20),
            "intervals.eval_every": EVAL_EVERY, "retention.latest": 20,
        },
    })
}
