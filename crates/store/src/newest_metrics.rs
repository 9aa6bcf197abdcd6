//! The newest values of metrics in the table of runs. They follow the reports of a run within two seconds, at most once a second: with each
//! report they would cost more than everything else that is stored. A run that reports seldom has them at once.

use std::collections::HashMap;

use tokio::time::sleep;
use wire::RunId;

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::ingest_state::{IngestState, NEWEST_EVERY};
use crate::store::Store;

impl Store {
    /// Stores the newest values of a run unless its next reports do so.
    pub(crate) fn store_newest_soon(&self, run: &RunId) {
        let (weak, state, run) = (self.downgrade(), self.ingest_state(run), run.clone());
        tokio::spawn(async move {
            loop {
                sleep(NEWEST_EVERY).await;
                let Some(store) = weak.upgrade() else { return };
                let mut state = state.lock().await;
                if state.newest.are_due() {
                    // After a failure they wait for the next reports, or for another second.
                    let _ = store.store_newest(&run, &mut state).await;
                }
                state.newest.has_task = !state.newest.values.is_empty();
                if !state.newest.has_task {
                    return;
                }
            }
        });
    }

    async fn store_newest(&self, run: &RunId, state: &mut IngestState) -> Result<(), StoreError> {
        self.merge_metrics(run, &state.newest.values).await?;
        state.newest.clear();
        Ok(())
    }

    /// Before the store is closed: stores the newest values of all runs. Those that cannot be stored are read from the series at the next start.
    pub(crate) async fn store_all_newest(&self) {
        for (run, state) in self.all_ingest_states() {
            let mut state = state.lock().await;
            if !state.newest.values.is_empty() {
                let _ = self.store_newest(&run, &mut state).await;
            }
        }
    }

    /// Reads the newest metrics of runs that have none in the database, from their series: runs of an earlier version, and imported ones.
    /// A run whose series cannot be read is left out.
    pub async fn fill_newest_metrics(&self) -> Result<(), StoreError> {
        let runs = database::run_table::without_metrics(&mut *self.database().read().await?).await?;
        for run in runs {
            match self.read_newest_metrics(&run).await {
                Err(error @ (StoreError::Database { .. } | StoreError::DiskFull { .. })) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the newest metrics of a run from its series.
    pub(crate) async fn read_newest_metrics(&self, run: &RunId) -> Result<(), StoreError> {
        let (series_files, id) = (self.series_files().clone(), run.clone());
        let newest = self.blocking(move || series_files.newest(&id)).await?;
        self.merge_metrics(run, &newest.into_iter().collect()).await
    }

    async fn merge_metrics(&self, run: &RunId, newest: &HashMap<String, f64>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::run_table::merge_metrics(&mut transaction, run, newest).await?;
        commit(transaction).await
    }
}
