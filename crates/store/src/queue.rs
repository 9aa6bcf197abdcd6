//! The queue: runs that wait for a device, for any of a kind, or for a pool; higher priority first, then in an order that users can change.

use wire::device::DeviceKind;
use wire::run::plan::PlanView;
use wire::{DeviceId, RunId, RunPlan, RunState, RunSummary, Slot};

use crate::database::queue::{Queued, WaitingRun};
use crate::database::{self, Change, commit};
use crate::error::StoreError;
use crate::store::Store;

/// Numbers of the reports of one device, before a run continues on another: more than a run has.
const EPOCH: u64 = 1 << 32;

impl Store {
    /// The next runs for a free device of a pool, at most `limit`, none of them of a project in `full_projects`. They stay queued until
    /// their state is set.
    pub async fn queue(
        &self,
        device: &DeviceId,
        kind: DeviceKind,
        pool: &str,
        full_projects: &[String],
        limit: u32,
    ) -> Result<Vec<(RunId, RunPlan)>, StoreError> {
        database::queue::for_device(&mut *self.database().read().await?, device, kind, pool, full_projects, limit).await
    }

    /// Memory that these runs need together by the planner's estimates, bytes.
    pub async fn planned_memory(&self, runs: &[RunId]) -> Result<u64, StoreError> {
        let mut connection = self.database().read().await?;
        let mut bytes = 0u64;
        for run in runs {
            let estimate = database::runs::estimate(&mut connection, run).await?;
            bytes = bytes.saturating_add(estimate.map_or(0, |estimate| estimate.memory_bytes));
        }
        Ok(bytes)
    }

    /// Number of runs that wait for a pool, or else for a device or any of a kind.
    pub async fn queue_length(
        &self,
        device: &DeviceId,
        any_of: Option<DeviceKind>,
        pool: Option<&str>,
    ) -> Result<u64, StoreError> {
        database::queue::length(&mut *self.database().read().await?, device, any_of, pool).await
    }

    /// All queued runs, and the reason that is stored with each.
    pub async fn waiting(&self) -> Result<Vec<WaitingRun>, StoreError> {
        database::queue::waiting(&mut *self.database().read().await?).await
    }

    /// Stores why queued runs wait, and returns their summaries.
    pub async fn set_waits(&self, reasons: &[(RunId, String)]) -> Result<Vec<RunSummary>, StoreError> {
        let mut transaction = self.database().write().await?;
        let mut summaries = vec![];
        for (run, waits) in reasons {
            database::queue::set_waits(&mut transaction, run, waits).await?;
            summaries.extend(database::runs::summary(&mut transaction, run).await?);
        }
        commit(transaction).await?;
        Ok(summaries)
    }

    /// Moves a queued run to a position in its queue, from 1; a position beyond the end means the last. Its priority becomes one that fits
    /// between its neighbours.
    ///
    /// # Errors
    /// [`StoreError::NotQueued`].
    pub async fn move_in_queue(&self, run: &RunId, position: u32) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        move_in(&mut transaction, run, position).await?;
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        Ok(summary)
    }

    /// Sets the priority of a run: higher starts first.
    pub async fn set_priority(&self, run: &RunId, priority: i32) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::queue::set_priority(&mut transaction, run, priority).await?;
        self.changed(transaction, run, found).await
    }

    /// The runs that are queued for a device by its id, first to start first.
    pub async fn waiting_for(&self, device: &DeviceId) -> Result<Vec<RunId>, StoreError> {
        database::queue::waiting_for(&mut *self.database().read().await?, device).await
    }

    /// Replaces the plan of a queued run, which was planned before its device was known; false where it is not queued any more.
    pub async fn set_plan(&self, run: &RunId, view: &PlanView, device_name: &str) -> Result<bool, StoreError> {
        let state = self.ingest_state(run);
        let mut state = state.lock().await;
        state.trained_by = None;
        let mut transaction = self.database().write().await?;
        let was_queued = database::queue::set_plan(&mut transaction, run, view, device_name).await?;
        commit(transaction).await?;
        Ok(was_queued)
    }

    /// Sets the process that trains a run. Returns the plan.
    ///
    /// If another one, of any device, has trained it, the numbers of its reports continue at the next multiple of [`EPOCH`]: reports that the process before
    /// numbered and did not deliver count as stored, so its worker drops them when it comes back, and the next worker uses none of their
    /// numbers.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn set_device(&self, run: &RunId, slot: &Slot, device_name: &str) -> Result<RunPlan, StoreError> {
        let state = self.ingest_state(run);
        let mut state = state.lock().await;
        state.trained_by = None;
        let mut transaction = self.database().write().await?;
        let definition = database::runs::definition(&mut transaction, run).await?;
        let plan = RunPlan { device: slot.device.clone(), ..self.known(definition, run)?.plan };
        let stored_seq = database::runs::stored_seq(&mut transaction, run).await?.unwrap_or(0);
        let before = database::runs::trained_by(&mut transaction, run).await?;
        database::queue::set_device(&mut transaction, run, &plan, slot.number, device_name).await?;
        if stored_seq > 0 && before.is_some_and(|before| before != *slot) {
            database::queue::set_stored_seq(&mut transaction, run, next_epoch(stored_seq)).await?;
            // Read again from the database by the next report.
            state.stored_seq = None;
        }
        commit(transaction).await?;
        Ok(plan)
    }
}

/// As [`Store::move_in_queue`], in a transaction.
pub(crate) async fn move_in(transaction: &mut Change, run: &RunId, position: u32) -> Result<(), StoreError> {
    let Some((state, _)) = database::runs::state_and_device(transaction, run).await? else {
        return Err(StoreError::UnknownRun { run: run.clone() });
    };
    let queue = database::queue::competing_with(transaction, run).await?;
    let Some(at) = queue.iter().position(|other| other.id == run.as_str()).filter(|_| state == RunState::Queued) else {
        return Err(StoreError::NotQueued { run: run.clone(), state });
    };
    // The same order numbers, assigned in the new order: other queues share the counter and do not change.
    let mut orders: Vec<i64> = queue.iter().map(|other| other.order).collect();
    orders.sort_unstable();
    for (Queued { id, priority, .. }, order) in moved(queue, at, position).iter().zip(orders) {
        database::queue::set_order(transaction, id, order, *priority).await?;
    }
    Ok(())
}

fn next_epoch(stored_seq: u64) -> u64 {
    (stored_seq / EPOCH + 1) * EPOCH
}

/// The queue with run number `at` moved to `position`, its priority between those of its neighbours.
fn moved(mut queue: Vec<Queued>, at: usize, position: u32) -> Vec<Queued> {
    let mut run = queue.remove(at);
    let to = (position.max(1) as usize - 1).min(queue.len());
    if let Some(after) = queue.get(to) {
        run.priority = run.priority.max(after.priority);
    }
    if let Some(before) = to.checked_sub(1).and_then(|before| queue.get(before)) {
        run.priority = run.priority.min(before.priority);
    }
    queue.insert(to, run);
    queue
}
