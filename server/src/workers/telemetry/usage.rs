//! How the time of each connected device is used: busy, idle or wasted.

use std::time::{Duration, Instant};

use store::StoreError;
use wire::device::DeviceView;
use wire::telemetry::Usage;
use wire::{RunId, RunState};

use crate::live::clock::now_ms;
use crate::workers::Workers;

/// Time between two looks at the devices.
const EVERY: Duration = Duration::from_secs(2);
/// The most that one look accounts for: a machine that slept was neither busy nor idle meanwhile.
const MOST: Duration = Duration::from_secs(10);

/// Accounts for the time of all devices until the server stops.
pub async fn account(workers: Workers) {
    let mut before = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let elapsed = before.elapsed().min(MOST);
        before = Instant::now();
        if let Err(error) = look(&workers, elapsed).await {
            tracing::debug!("how the devices are used could not be read: {error}");
        }
    }
}

async fn look(workers: &Workers, elapsed: Duration) -> Result<(), StoreError> {
    for device in workers.fleet.views().into_iter().filter(|device| device.is_connected) {
        let mut states = vec![];
        for run in &device.runs {
            states.extend(state_of(workers, run).await?);
        }
        // A device with a paused run and one that trains is busy.
        let state = states.iter().find(|state| **state != RunState::Paused).or(states.first()).copied();
        let is_awaited = state.is_none() && !device.is_draining && is_awaited(workers, &device).await?;
        workers.telemetry.used(&device.info.id, usage(state, is_awaited, elapsed.as_secs_f64()), now_ms());
    }
    Ok(())
}

async fn state_of(workers: &Workers, run: &RunId) -> Result<Option<RunState>, StoreError> {
    Ok(workers.feed.store.summary(run).await?.map(|run| run.state))
}

/// Whether a run waits that the device could train.
async fn is_awaited(workers: &Workers, device: &DeviceView) -> Result<bool, StoreError> {
    let queue = workers.feed.store.queue(&device.info.id, device.info.kind, &device.pool, &[], 1).await?;
    Ok(!queue.is_empty())
}

/// The usage of this many seconds: with a run in this state, or without a run while one waits or none does.
fn usage(run: Option<RunState>, is_awaited: bool, secs: f64) -> Usage {
    let none = Usage::default();
    match run {
        Some(RunState::Paused) => Usage { wasted_secs: secs, ..none },
        Some(_) => Usage { busy_secs: secs, ..none },
        None if is_awaited => Usage { wasted_secs: secs, ..none },
        None => Usage { idle_secs: secs, ..none },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_run_and_a_waiting_one_waste_the_time_of_a_device() {
        let check = |run: Option<RunState>, is_awaited: bool, expected: [f64; 3]| {
            let Usage { busy_secs, idle_secs, wasted_secs } = usage(run, is_awaited, 2.0);
            assert_eq!([busy_secs, idle_secs, wasted_secs], expected, "{run:?} {is_awaited}");
        };
        check(Some(RunState::Running), false, [2.0, 0.0, 0.0]);
        check(Some(RunState::Starting), false, [2.0, 0.0, 0.0]);
        check(Some(RunState::Paused), false, [0.0, 0.0, 2.0]);
        check(None, false, [0.0, 2.0, 0.0]);
        check(None, true, [0.0, 0.0, 2.0]);
    }
}
