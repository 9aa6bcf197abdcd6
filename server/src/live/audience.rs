//! What a page may see of the lab: its runs, devices and jobs.

use std::collections::BTreeMap;

use wire::RunId;
use wire::access::{Grants, Role, Visible};
use wire::data::corpus::Job;
use wire::transport::live::LabState;

/// Those who see the same of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience {
    /// The runs and projects that they may see.
    pub visible: Visible,
    /// Whether they see the devices: everyone but guests with links to single runs.
    pub is_member: bool,
}

impl Audience {
    pub fn of(grants: &Grants) -> Self {
        Self { visible: grants.visible(), is_member: grants.has_anywhere(Role::View) }
    }

    /// Whether a dataset that belongs to a project, or to all, may be seen.
    pub fn has_dataset(&self, project: Option<&str>) -> bool {
        self.is_member && project.is_none_or(|project| self.visible.has_project(project))
    }

    /// The devices and jobs of a state as this audience sees them; its runs are theirs already. `datasets` are those of one project alone.
    pub(super) fn filter(&self, mut state: LabState, datasets: &BTreeMap<String, String>) -> LabState {
        if self.visible == Visible::All {
            return state;
        }
        state.disk = None;
        if !self.is_member {
            return LabState { devices: vec![], jobs: vec![], newest_alert: 0, proposal_changes: 0, ..state };
        }
        for device in &mut state.devices {
            let is_seen = |run: &RunId| state.runs.iter().any(|seen| seen.id == *run);
            device.is_taken = device.runs.iter().any(|run| !is_seen(run));
            device.runs.retain(is_seen);
            device.run = device.runs.first().cloned();
        }
        state.jobs.retain(|job| self.has_job(job, datasets));
        state
    }

    fn has_job(&self, job: &Job, datasets: &BTreeMap<String, String>) -> bool {
        let of_dataset = job.corpus.as_ref().and_then(|corpus| datasets.get(corpus.as_str()));
        let has = |project: Option<&String>| self.has_dataset(project.map(String::as_str));
        has(job.project.as_ref()) && has(of_dataset)
    }
}
