//! The curves that stopping rules compare, kept in memory: a check reads only the trials that have changed since the previous check. The
//! curves can be dropped at any time; they are then read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use research::stopping::Curve;
use store::{Store, StoreError};
use wire::sweep::record::Sweep;

use super::decide::curve;

/// Maximum number of sweeps whose curves are kept. The curves of a sweep take at most about 4 MB.
const KEPT: usize = 16;

/// The curves of the trials of a sweep.
#[derive(Debug, Default)]
pub(super) struct KnownCurves {
    /// The number of changes of the sweep up to which its trials were read; `None` before the first time.
    changes: Option<u64>,
    by_trial: BTreeMap<u64, Curve>,
}

impl KnownCurves {
    /// Reads the trials that have changed since the last call; `sweep` was read before this call.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn refresh(&mut self, store: &Store, sweep: &Sweep) -> Result<(), StoreError> {
        for record in store.trial_records(sweep.id, self.changes).await? {
            self.by_trial.insert(record.trial.number, curve(&record));
        }
        // Trials that have changed after the sweep was read are read again by the next call.
        self.changes = Some(sweep.changes);
        Ok(())
    }

    /// The curves of all trials but one.
    pub(super) fn without(&self, number: u64) -> Vec<&Curve> {
        self.by_trial.values().filter(|curve| curve.number != number).collect()
    }
}

/// The curves of the sweeps that were checked last; cloning shares them.
#[derive(Clone, Default)]
pub(super) struct KeptCurves(Arc<Mutex<HashMap<i64, KnownCurves>>>);

impl KeptCurves {
    /// Takes the curves of a sweep out; the check puts them back at its end.
    pub(super) fn take(&self, sweep: i64) -> KnownCurves {
        self.lock().remove(&sweep).unwrap_or_default()
    }

    pub(super) fn keep(&self, sweep: i64, curves: KnownCurves) {
        if curves.by_trial.is_empty() {
            return;
        }
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(sweep, curves);
    }

    /// A panic in another thread leaves the content intact: nothing panics while it is changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, KnownCurves>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::NewSweep;
    use wire::sweep::space::Point;

    use super::*;

    #[tokio::test]
    async fn only_trials_that_have_changed_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let spec = json!({
            "name": "rates", "trials": 9, "base": { "corpus": "tales" },
            "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
        });
        let new = NewSweep {
            spec: serde_json::from_value(spec).unwrap(),
            project: "default".into(),
            trials: 9,
            creator: "ada".into(),
            person: None,
            token: None,
            created_ms: 1,
        };
        let sweep = store.create_sweep(&new).await.unwrap();
        let add = async |number: u64| {
            store
                .add_invalid_trial(sweep.id, sweep.revision, number, &Point::default(), "It is invalid.")
                .await
                .unwrap();
            store.sweep(sweep.id).await.unwrap().unwrap()
        };
        let kept = KeptCurves::default();
        let mut curves = kept.take(sweep.id);
        curves.refresh(&store, &add(0).await).await.unwrap();
        let read = vec![(10, 2.0)];
        curves.by_trial.get_mut(&0).unwrap().points = read.clone();
        kept.keep(sweep.id, curves);
        let mut curves = kept.take(sweep.id);
        curves.refresh(&store, &add(1).await).await.unwrap();
        assert_eq!(curves.by_trial[&0].points, read, "it was not read again");
        assert_eq!(curves.without(0).iter().map(|curve| curve.number).collect::<Vec<_>>(), [1]);
    }
}
