//! The fleet and its workers as they were last fetched. The page polls, because telemetry is sent to nobody who does not look at it; the
//! server encodes one answer a second for all pages.

use std::cmp::Reverse;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::diagnosis::Health;
use wire::fleet::{PoolView, WorkerView};
use wire::telemetry::{FleetDevice, FleetMachine, FleetState};
use wire::{DeviceId, RunId};

use crate::components::interval::every;
use crate::net::api::{ApiFailure, fleet};
use crate::net::live::Live;

const EVERY: Duration = Duration::from_secs(4);

/// The fleet, in the context of the page.
#[derive(Clone, Copy)]
pub(super) struct FleetFeed {
    pub(super) state: RwSignal<Option<FleetState>>,
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    /// Workers that have joined, connected or not.
    pub(super) workers: RwSignal<Vec<WorkerView>>,
    pub(super) pools: RwSignal<Vec<PoolView>>,
    /// Whether machines and devices whose runs have findings are listed first.
    pub(super) by_health: RwSignal<bool>,
}

impl FleetFeed {
    /// Fetches now, and periodically while the page is visible.
    pub(super) fn start() -> Self {
        let (workers, pools) = (RwSignal::new(vec![]), RwSignal::new(vec![]));
        let (state, failure, by_health) = (RwSignal::new(None), RwSignal::new(None), RwSignal::new(false));
        let feed = Self { state, failure, workers, pools, by_health };
        feed.fetch();
        every(EVERY, move || {
            if !document().hidden() {
                feed.fetch();
            }
        });
        feed
    }

    pub(super) fn fetch(self) {
        spawn_local(async move {
            match fleet::state().await {
                Ok(state) => {
                    self.state.try_set(Some(state));
                    self.failure.try_set(None);
                }
                // What was fetched before stays; the bar at the top says since when the server is unreachable.
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
        self.fetch_workers();
        self.fetch_pools();
    }

    pub(super) fn fetch_pools(self) {
        spawn_local(async move {
            // Without them the devices are shown all the same.
            if let Ok(pools) = fleet::pools().await
                && self.pools.try_with_untracked(|known| *known != pools) == Some(true)
            {
                self.pools.try_set(pools);
            }
        });
    }

    pub(super) fn fetch_workers(self) {
        spawn_local(async move {
            // Without them the devices are shown all the same, with the names of their workers missing.
            if let Ok(workers) = fleet::workers().await
                && self.workers.try_with_untracked(|known| *known != workers) == Some(true)
            {
                self.workers.try_set(workers);
            }
        });
    }

    /// Host names: those with findings first, of their runs or else of their devices, then by name.
    pub(super) fn hosts(self, live: Live) -> Vec<String> {
        let state = self.state.read();
        let mut machines: Vec<_> = state.iter().flat_map(|state| &state.machines).collect();
        machines.sort_by_cached_key(|machine| {
            let of_runs = machine.devices.iter().map(|device| self.urgency(live, device)).max();
            Reverse((of_runs, machine.finding_count()))
        });
        machines.into_iter().map(|machine| machine.host.clone()).collect()
    }

    /// The devices of a machine, ordered as the machines are.
    pub(super) fn devices(self, live: Live, machine: &FleetMachine) -> Vec<DeviceId> {
        let mut devices: Vec<_> = machine.devices.iter().collect();
        devices.sort_by_cached_key(|device| Reverse((self.urgency(live, device), device.findings.len())));
        devices.into_iter().map(|device| device.info.id.clone()).collect()
    }

    /// Alerts and notes of the most urgent run of a device; none where they do not decide the order.
    fn urgency(self, live: Live, device: &FleetDevice) -> (u32, u32) {
        if !self.by_health.get() {
            return (0, 0);
        }
        let of_runs = device.runs.iter().filter_map(|run| Some(health_of(live, &run.id)?.urgency()));
        of_runs.max().unwrap_or_default()
    }

    /// A device, which keeps its last values after it has left the list.
    pub(super) fn device(self, id: DeviceId) -> Memo<Option<FleetDevice>> {
        Memo::new(move |before: Option<&Option<FleetDevice>>| {
            let state = self.state.read();
            let found = state.as_ref().and_then(|state| state.device(&id)).map(|(_, device)| device.clone());
            found.or_else(|| before.cloned().flatten())
        })
    }

    /// The worker of a device, once known.
    pub(super) fn worker(self, id: DeviceId) -> Memo<Option<WorkerView>> {
        Memo::new(move |_| self.workers.read().iter().find(|worker| worker.device == id).cloned())
    }
}

/// What the rules found in a run; `None` if this page may not see it, or does not know it yet.
pub(super) fn health_of(live: Live, run: &RunId) -> Option<Health> {
    let lab = live.lab.read();
    lab.as_ref()?.runs.iter().find(|known| known.id == *run).map(|known| known.health)
}
