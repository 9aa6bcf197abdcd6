//! All machines and devices as pages show them. The answer is encoded once a second at most and shared by all pages that ask, so that many
//! viewers cost one encoding.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::device::DeviceView;
use wire::telemetry::{DeviceRun, FleetDevice, FleetMachine, FleetState};

use super::findings::{Facts, findings};
use crate::error::ApiError;
use crate::live::clock::now_ms;
use crate::workers::Workers;

/// An older answer is made anew.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer.
#[derive(Debug, Default)]
pub struct Overview(Mutex<Option<(Instant, Bytes)>>);

impl Overview {
    /// The fleet as JSON, at most a second old.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn encoded(&self, workers: &Workers) -> Result<Bytes, ApiError> {
        // Held while the answer is made, so that those who ask meanwhile wait for it instead of making another.
        let mut last = self.0.lock().await;
        if let Some((_, bytes)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(bytes.clone());
        }
        let state = state(workers).await?;
        let text = serde_json::to_vec(&state).map_err(|source| ApiError::internal("encoding the fleet", source))?;
        let bytes = Bytes::from(text);
        *last = Some((Instant::now(), bytes.clone()));
        Ok(bytes)
    }
}

/// All machines and devices now.
///
/// # Errors
/// An error of the store.
pub async fn state(workers: &Workers) -> Result<FleetState, ApiError> {
    let now_ms = now_ms();
    let mut machines: BTreeMap<String, Vec<FleetDevice>> = BTreeMap::new();
    for view in workers.fleet.views() {
        let runs = runs_on(workers, &view).await?;
        machines.entry(view.host.clone()).or_default().push(device(workers, view, runs, now_ms));
    }
    let machines = machines.into_iter().map(|(host, devices)| FleetMachine { host, devices }).collect();
    Ok(FleetState { now_ms, machines })
}

fn device(workers: &Workers, view: DeviceView, runs: Vec<DeviceRun>, now_ms: i64) -> FleetDevice {
    let known = workers.telemetry.known(&view.info.id, now_ms);
    let clock_ahead_secs = known.clock_ahead_ms.map(|ms| ms as f64 / 1e3);
    let facts = Facts {
        kind: view.info.kind,
        silent_secs: (now_ms - view.seen_ms).max(0) as f64 / 1e3,
        telemetry: known.telemetry.as_ref(),
        clock_ahead_secs,
    };
    FleetDevice {
        findings: findings(&facts),
        info: view.info,
        worker: view.worker,
        pool: view.pool,
        is_draining: view.is_draining,
        is_connected: view.is_connected,
        seen_ms: view.seen_ms,
        run: runs.first().cloned(),
        runs,
        runs_at_once: view.runs_at_once,
        telemetry: known.telemetry,
        clock_ahead_secs,
        hour: known.hour,
        day: known.day,
        minutes: known.minutes,
    }
}

async fn runs_on(workers: &Workers, device: &DeviceView) -> Result<Vec<DeviceRun>, ApiError> {
    let mut runs = vec![];
    for run in &device.runs {
        let summary = workers.feed.store.summary(run).await?;
        runs.extend(summary.map(|run| DeviceRun {
            id: run.id,
            name: run.name,
            state: run.state,
            step: run.step,
            steps: run.steps,
            tokens_per_sec: run.tokens_per_sec,
        }));
    }
    Ok(runs)
}
