//! Results of sweeps that are expensive to compute: cached importances, and how many requests compute or read at a time. They have their
//! own slots, so that requests of viewers do not delay the trials of sweeps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::DecidedTrials;
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::sweep::results::SweepImportance;

use super::compute_slots::ComputeSlots;
use crate::error::ApiError;

/// Forests that are fitted at a time.
const COMPUTED_AT_ONCE: usize = 1;
/// Requests that read the curves of a sweep at a time: each reads one series of up to 2,000 runs.
const READ_AT_ONCE: usize = 2;
/// Sweeps whose importances are cached.
const KEPT: usize = 200;

/// Results of sweeps; cloning shares them.
#[derive(Clone)]
pub struct SweepResults(Arc<Parts>);

struct Parts {
    computing: ComputeSlots,
    reading: Semaphore,
    importances: Mutex<HashMap<i64, (DecidedTrials, SweepImportance)>>,
}

impl Default for SweepResults {
    fn default() -> Self {
        let (computing, reading) = (ComputeSlots::new(COMPUTED_AT_ONCE), Semaphore::new(READ_AT_ONCE));
        Self(Arc::new(Parts { computing, reading, importances: Mutex::default() }))
    }
}

impl SweepResults {
    /// The importances of a sweep with these trials, if they were computed.
    pub fn known(&self, sweep: i64, trials: DecidedTrials) -> Option<SweepImportance> {
        self.lock().get(&sweep).filter(|(of, _)| *of == trials).map(|(_, importance)| importance.clone())
    }

    /// Computes the importances of a sweep with these trials, unless another request has done so before a slot was free.
    ///
    /// # Errors
    /// 500 if the computation panicked.
    pub async fn compute(
        &self,
        sweep: i64,
        trials: DecidedTrials,
        work: impl FnOnce() -> SweepImportance + Send + 'static,
    ) -> Result<SweepImportance, ApiError> {
        let results = self.clone();
        let computed = move || {
            results.known(sweep, trials).unwrap_or_else(|| {
                let importance = work();
                results.keep(sweep, trials, importance.clone());
                importance
            })
        };
        self.0.computing.compute(computed).await
    }

    /// A slot for a request that reads the curves of a sweep.
    ///
    /// # Errors
    /// 500 if the semaphore is closed, which never happens.
    pub async fn reading(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let place = self.0.reading.acquire().await;
        place.map_err(|source| ApiError::internal("reading the curves of a sweep", source))
    }

    fn keep(&self, sweep: i64, trials: DecidedTrials, importance: SweepImportance) {
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(sweep, (trials, importance));
    }

    /// A panic in another thread leaves the content intact: nothing panics while it is changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, (DecidedTrials, SweepImportance)>> {
        self.0.importances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importance(configurations: u64) -> SweepImportance {
        SweepImportance { configurations, needed: 8, explained: None, parameters: vec![] }
    }

    #[tokio::test]
    async fn importances_are_computed_once_for_the_same_trials() {
        let results = SweepResults::default();
        let trials = |newest: u64| DecidedTrials { newest, decided: 8, created: 9 };
        let computed = async |newest: u64, configurations: u64| {
            let found = results.compute(7, trials(newest), move || importance(configurations)).await;
            found.unwrap().configurations
        };
        assert_eq!(results.known(7, trials(3)), None);
        assert_eq!((computed(3, 1).await, computed(3, 2).await), (1, 1));
        assert_eq!(results.known(7, trials(3)), Some(importance(1)));
        assert_eq!((results.known(7, trials(4)), results.known(8, trials(3))), (None, None));
        assert_eq!(computed(4, 3).await, 3, "another trial was decided");
    }
}
