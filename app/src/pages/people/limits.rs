//! The fields of a project's limits.

use leptos::prelude::*;
use wire::access::ProjectLimits;
use wire::hyperparameters::table::Values;

use crate::components::{NumberField, TypedNumber};

/// Bytes of a gigabyte, the unit in which the limit of the disk is typed.
const GB: f64 = 1e9;
const MAX_RUNS: u64 = 10_000;
const MAX_HOURS: f64 = 10_000_000.0;
const MAX_GB: f64 = 1_000_000.0;

/// Limits that are being typed; an empty field is no limit.
#[derive(Clone, Copy)]
pub(super) struct TypedLimits {
    runs: TypedNumber,
    hours: TypedNumber,
    disk_gb: TypedNumber,
}

impl TypedLimits {
    pub(super) fn new(limits: ProjectLimits) -> Self {
        let typed = Self {
            runs: TypedNumber::optional(Values::Integer { min: 1, max: MAX_RUNS }),
            hours: TypedNumber::optional(Values::Number { min: 0.0, max: MAX_HOURS }),
            disk_gb: TypedNumber::optional(Values::Number { min: 0.0, max: MAX_GB }),
        };
        let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        typed.runs.set(limits.runs_at_once.map(|runs| runs.to_string()).unwrap_or_default());
        typed.hours.set(text(limits.device_hours));
        typed.disk_gb.set(text(limits.disk_bytes.map(|bytes| bytes as f64 / GB)));
        typed
    }

    pub(super) fn is_readable(self) -> bool {
        self.runs.is_readable() && self.hours.is_readable() && self.disk_gb.is_readable()
    }

    pub(super) fn limits(self) -> ProjectLimits {
        ProjectLimits {
            runs_at_once: self.runs.small_integer(),
            device_hours: self.hours.number(),
            disk_bytes: self.disk_gb.number().map(|gb| (gb * GB).round() as u64),
        }
    }
}

#[component]
pub(super) fn LimitFields(limits: TypedLimits) -> impl IntoView {
    view! {
        <label class="field" title="Runs of the project that train at once; further ones wait. Empty: no limit">
            <span class="label">"Runs at once"</span>
            <NumberField number=limits.runs placeholder="no limit" />
        </label>
        <label class="field" title="Training time on devices over all runs of the project. Once it is used, runs wait until the limit is raised. Empty: no limit">
            <span class="label">"Device time"<span class="unit">", hours"</span></span>
            <NumberField number=limits.hours placeholder="no limit" />
        </label>
        <label class="field" title="Files of the runs and datasets of the project. Once it is used, no run starts and no dataset is added. Empty: no limit">
            <span class="label">"Disk"<span class="unit">", GB"</span></span>
            <NumberField number=limits.disk_gb placeholder="no limit" />
        </label>
    }
}
