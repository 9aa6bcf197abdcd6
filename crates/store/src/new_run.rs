//! The description of a run to create.

use serde::{Deserialize, Serialize};
use wire::access::project::DEFAULT_PROJECT;
use wire::device::DeviceKind;
use wire::run::References;
use wire::run::plan::Estimate;
use wire::transport::link::Report;
use wire::{Author, Event, RunId, RunPlan, RunSpec, RunState};

/// A run to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewRun {
    /// An id that no run of this lab has.
    pub id: RunId,
    /// Name on the page.
    pub name: String,
    /// Names of its datasets, for the page.
    pub corpus: String,
    /// The spec, as the user gave it.
    pub spec: RunSpec,
    /// The plan that the spec resolves to.
    pub plan: RunPlan,
    /// Estimated parameters, memory and time.
    pub estimate: Estimate,
    /// Reference losses of its datasets, nats per token.
    pub references: References,
    pub device_name: String,
    /// Time of the request, ms since 1970.
    pub created_ms: i64,
    /// Author of the request.
    pub author: Author,
}

impl NewRun {
    /// The kind of device that may train it, if the spec names a kind (`gpu` or `cpu`) instead of one device. A fork has none: it
    /// needs the device of its parent, from whose checkpoint it starts.
    pub fn any_of(&self) -> Option<DeviceKind> {
        let word = self.spec.device.as_ref().filter(|_| self.plan.origin.is_none())?;
        [(DeviceKind::Gpu, "gpu"), (DeviceKind::Cpu, "cpu")]
            .into_iter()
            .find(|(_, kind)| *kind == word.as_str())
            .map(|(kind, _)| kind)
    }

    /// The project that it belongs to.
    pub(crate) fn project(&self) -> &str {
        self.spec.project.as_deref().unwrap_or(DEFAULT_PROJECT)
    }

    /// A report in the name of the run's author, at the time of the request.
    pub(crate) fn report(&self, step: u64, reason: Option<String>, event: Event, state: Option<RunState>) -> Report {
        let author = self.author.clone();
        Report { segment: 0, step, at_ms: self.created_ms, author, command_id: None, reason, event, state }
    }
}
