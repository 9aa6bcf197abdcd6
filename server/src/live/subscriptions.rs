//! The inspections that pages request. The worker that trains a run is sent the union of what all pages request of it, and the requests of
//! a page end with its connection. Inspections change nothing, so everyone who may view may request them. Bounds limit how many are
//! requested at a time, and how often a page changes its requests.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::inspect::request::{Inspection, MAX_INSPECTIONS_PER_PAGE};
use wire::{PlanError, RunId};

/// Different inspections that all pages together may request of one run.
pub const MAX_INSPECTIONS_PER_RUN: usize = 16;
/// Changes that one page may make within [`CHANGES_WITHIN`].
const CHANGES: usize = 8;
const CHANGES_WITHIN: Duration = Duration::from_secs(2);
/// Maximum size of an inspection as JSON, bytes; the longest prompt fits in it whatever its characters are.
const INSPECTION_BYTES: usize = 64 * 1024;

/// Why an inspection was not accepted. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// No model could answer it.
    #[error("{kind}: {source}")]
    Invalid {
        /// Kind of the inspection.
        kind: &'static str,
        /// The invalid value.
        source: PlanError,
    },
    /// It is too large to be sent to a worker.
    #[error("{kind}: the inspection has {bytes} bytes; the maximum is {INSPECTION_BYTES}")]
    TooLarge {
        /// Kind of the inspection.
        kind: &'static str,
        /// Its size as JSON.
        bytes: usize,
    },
    /// One page requests too many.
    #[error("{count} inspections at once; the maximum for one page is {MAX_INSPECTIONS_PER_PAGE}: close some")]
    PageLimit {
        /// Inspections of all runs that the page would request.
        count: usize,
    },
    /// All pages together request too many of one run.
    #[error(
        "{count} different inspections of {run} at once; the maximum for all pages is {MAX_INSPECTIONS_PER_RUN}: close one, or request \
         one that another page has open"
    )]
    RunLimit {
        run: RunId,
        /// Inspections that would be requested.
        count: usize,
    },
    /// One page changes its requests too often.
    #[error("the requested inspections may change {CHANGES} times within {} s: try again in a moment", CHANGES_WITHIN.as_secs())]
    TooOften,
}

/// Checks an inspection without a model.
///
/// # Errors
/// It is invalid, or too large to be sent to a worker.
pub fn check(inspection: &Inspection) -> Result<(), SubscriptionError> {
    let kind = inspection.kind();
    inspection.check().map_err(|source| SubscriptionError::Invalid { kind, source })?;
    match inspection.key().len() {
        bytes if bytes > INSPECTION_BYTES => Err(SubscriptionError::TooLarge { kind, bytes }),
        _ => Ok(()),
    }
}

/// Sends the worker of a run the inspections that are requested of it.
type SendToWorker = dyn Fn(&RunId, Vec<Inspection>) + Send + Sync;

/// The inspections that are requested, by run and page; cloning shares them.
#[derive(Clone)]
pub struct Subscriptions {
    last_page: Arc<AtomicU64>,
    requested: Arc<Mutex<HashMap<RunId, ByPage>>>,
    send: Arc<SendToWorker>,
}

/// The inspections of one run, by the number of the page.
type ByPage = BTreeMap<u64, Vec<Inspection>>;

impl Subscriptions {
    /// No page has requested anything yet. `send` passes requests on to the worker of a run.
    pub fn new(send: impl Fn(&RunId, Vec<Inspection>) + Send + Sync + 'static) -> Self {
        Self { last_page: Arc::default(), requested: Arc::default(), send: Arc::new(send) }
    }

    /// A page, or a caller of the API, that may request inspections; its requests end when it is dropped.
    pub fn subscriber(&self) -> Subscriber {
        let number = self.last_page.fetch_add(1, Ordering::Relaxed);
        Subscriber { number, subscriptions: self.clone(), keys: Arc::default(), changes: VecDeque::new() }
    }

    /// Sends the worker of a run its requests, also an empty list: the worker has just been assigned the run, or has reconnected.
    pub fn resend(&self, run: &RunId) {
        let requested = self.lock();
        (self.send)(run, requested.get(run).map(union).unwrap_or_default());
    }

    /// Whether an inspection with this key is requested.
    pub fn is_requested(&self, run: &RunId, key: &str) -> bool {
        self.lock().get(run).is_some_and(|pages| pages.values().flatten().any(|inspection| inspection.key() == key))
    }

    /// Replaces the requests of a page, and sends the union to the worker if it changed. Returns the keys of those that other pages
    /// had requested already.
    fn replace(
        &self,
        page: u64,
        run: &RunId,
        inspections: Vec<Inspection>,
    ) -> Result<BTreeSet<String>, SubscriptionError> {
        let mut all = self.lock();
        let pages = all.entry(run.clone()).or_default();
        let before = union(pages);
        let mut shared: BTreeSet<String> = before.iter().map(Inspection::key).collect();
        let keys: BTreeSet<String> = inspections.iter().map(Inspection::key).collect();
        shared.retain(|key| keys.contains(key));
        let mut after = pages.clone();
        match inspections.is_empty() {
            true => after.remove(&page),
            false => after.insert(page, inspections),
        };
        let requested = union(&after);
        if requested.len() > MAX_INSPECTIONS_PER_RUN && requested.len() > before.len() {
            return Err(SubscriptionError::RunLimit { run: run.clone(), count: requested.len() });
        }
        *pages = after;
        // Within the lock, so that the worker receives two changes in their order.
        if requested != before {
            (self.send)(run, requested);
        }
        all.retain(|_, pages| !pages.is_empty());
        Ok(shared)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, ByPage>> {
        locked(&self.requested)
    }
}

// No code that holds these locks panics half-way through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each requested inspection once, in the order of the pages.
fn union(pages: &ByPage) -> Vec<Inspection> {
    let mut known = BTreeSet::new();
    pages.values().flatten().filter(|inspection| known.insert(inspection.key())).cloned().collect()
}

/// Keys of the inspections that one page requests, by run.
type Keys = BTreeMap<RunId, BTreeSet<String>>;

/// One page, or one request of the API.
pub struct Subscriber {
    number: u64,
    subscriptions: Subscriptions,
    keys: Arc<Mutex<Keys>>,
    /// Times of its last changes.
    changes: VecDeque<Instant>,
}

/// The requests of one page for one run, as the task that sends it the run's ticks reads them.
pub struct RunKeys {
    run: RunId,
    keys: Arc<Mutex<Keys>>,
}

impl Subscriber {
    /// The runs of which it requests inspections.
    pub fn runs(&self) -> Vec<RunId> {
        locked(&self.keys).keys().cloned().collect()
    }

    /// Requests these inspections of a run in place of the previous ones. Returns the keys of those that others had requested already.
    ///
    /// # Errors
    /// As [`check`]; a limit. The previous requests stay then.
    pub fn request(
        &mut self,
        run: &RunId,
        inspections: Vec<Inspection>,
    ) -> Result<BTreeSet<String>, SubscriptionError> {
        self.check_frequency()?;
        let mut keys = locked(&self.keys);
        let of_others: usize = keys.iter().filter(|(other, _)| *other != run).map(|(_, keys)| keys.len()).sum();
        let count = inspections.len() + of_others;
        if count > MAX_INSPECTIONS_PER_PAGE {
            return Err(SubscriptionError::PageLimit { count });
        }
        inspections.iter().try_for_each(check)?;
        let requested: BTreeSet<String> = inspections.iter().map(Inspection::key).collect();
        let shared = self.subscriptions.replace(self.number, run, inspections)?;
        match requested.is_empty() {
            true => keys.remove(run),
            false => keys.insert(run.clone(), requested),
        };
        Ok(shared)
    }

    /// Ends the requests for a run.
    pub fn leave(&self, run: &RunId) {
        if locked(&self.keys).remove(run).is_some() {
            // Fewer requests are never refused.
            let _ = self.subscriptions.replace(self.number, run, vec![]);
        }
    }

    /// The keys for one run; they follow later requests.
    pub fn run_keys(&self, run: &RunId) -> RunKeys {
        RunKeys { run: run.clone(), keys: self.keys.clone() }
    }

    /// Limits how often a page changes its requests, so that it does not delay the others.
    fn check_frequency(&mut self) -> Result<(), SubscriptionError> {
        self.changes.retain(|at| at.elapsed() < CHANGES_WITHIN);
        if self.changes.len() >= CHANGES {
            return Err(SubscriptionError::TooOften);
        }
        self.changes.push_back(Instant::now());
        Ok(())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let runs: Vec<RunId> = locked(&self.keys).keys().cloned().collect();
        runs.iter().for_each(|run| self.leave(run));
    }
}

impl RunKeys {
    /// Whether the page requests the inspection with this key.
    pub fn contains(&self, key: &str) -> bool {
        locked(&self.keys).get(&self.run).is_some_and(|keys| keys.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use wire::inspect::request::{InspectionText, TensorValues};

    use super::*;

    fn attention(layer: u32) -> Inspection {
        Inspection::Attention { text: InspectionText::default(), layer }
    }

    fn run() -> RunId {
        "amber-fox-7k2q".parse().unwrap()
    }

    /// Subscriptions, and the layers that the worker was sent since the last call.
    fn with_worker() -> (Subscriptions, impl FnMut() -> Vec<Vec<u32>>) {
        let layer = |inspection: &Inspection| match inspection {
            Inspection::Attention { layer, .. } => *layer,
            _ => 99,
        };
        let sent: Arc<Mutex<Vec<Vec<u32>>>> = Arc::default();
        let worker = sent.clone();
        let subscriptions = Subscriptions::new(move |_, inspections| {
            worker.lock().unwrap().push(inspections.iter().map(layer).collect());
        });
        (subscriptions, move || std::mem::take(&mut *sent.lock().unwrap()))
    }

    #[test]
    fn requests_of_pages_are_united_and_end_with_their_page() {
        let (subscriptions, mut sent) = with_worker();
        let (mut one, mut two) = (subscriptions.subscriber(), subscriptions.subscriber());
        one.request(&run(), vec![attention(0), attention(1)]).unwrap();
        two.request(&run(), vec![attention(1), attention(2), attention(2)]).unwrap();
        assert_eq!(sent(), [vec![0, 1], vec![0, 1, 2]]);
        two.request(&run(), vec![attention(1)]).unwrap();
        assert_eq!(sent(), [vec![0, 1]]);
        let keys = two.run_keys(&run());
        assert_eq!(two.request(&run(), vec![attention(0)]).unwrap(), BTreeSet::from([attention(0).key()]));
        assert!(sent().is_empty(), "the union is the same");
        assert!(keys.contains(&attention(0).key()) && !keys.contains(&attention(1).key()), "keys follow the requests");
        assert!(subscriptions.is_requested(&run(), &attention(0).key()));
        drop(one);
        assert_eq!(sent(), [vec![0]]);
        subscriptions.resend(&run());
        assert_eq!(sent(), [vec![0]], "a worker that reconnects is sent the requests again");
        drop(two);
        assert_eq!(sent(), [Vec::<u32>::new()]);
        subscriptions.resend(&run());
        assert_eq!(sent(), [Vec::<u32>::new()], "and also that there are none");
        assert!(subscriptions.lock().is_empty());
    }

    #[test]
    fn requests_beyond_a_limit_are_refused_and_change_nothing() {
        let (subscriptions, mut sent) = with_worker();
        let mut first = subscriptions.subscriber();
        let many = |from: u32, count: u32| (from..from + count).map(attention).collect::<Vec<_>>();
        assert_eq!(first.request(&run(), many(0, 9)), Err(SubscriptionError::PageLimit { count: 9 }));
        first.request(&run(), many(0, 8)).unwrap();
        let other: RunId = "red-owl-1111".parse().unwrap();
        let of_all_runs = first.request(&other, many(0, 1));
        assert_eq!(of_all_runs, Err(SubscriptionError::PageLimit { count: 9 }), "of all runs together");
        let (mut second, mut third) = (subscriptions.subscriber(), subscriptions.subscriber());
        second.request(&run(), many(8, 8)).unwrap();
        let refused = third.request(&run(), many(15, 2));
        assert_eq!(refused, Err(SubscriptionError::RunLimit { run: run(), count: 17 }));
        assert!(!third.run_keys(&run()).contains(&attention(15).key()));
        third.request(&run(), many(3, 8)).unwrap();
        let empty = Inspection::LogitLens { text: InspectionText::Prompt(String::new()) };
        assert!(matches!(
            second.request(&run(), vec![empty]),
            Err(SubscriptionError::Invalid { kind: "logit_lens", .. })
        ));
        let long = Inspection::Matrix { tensor: "x".repeat(100_000), values: TensorValues::Weight, window: None };
        assert!(
            matches!(second.request(&run(), vec![long]), Err(SubscriptionError::TooLarge { bytes, .. }) if bytes > 100_000)
        );
        assert_eq!(sent().last().unwrap().len(), 16);
    }

    #[test]
    fn a_page_that_changes_its_requests_too_often_is_refused() {
        let (subscriptions, mut sent) = with_worker();
        let mut page = subscriptions.subscriber();
        let accepted: Vec<bool> = (0..100).map(|layer| page.request(&run(), vec![attention(layer)]).is_ok()).collect();
        assert_eq!((accepted.iter().filter(|is_accepted| **is_accepted).count(), sent().len()), (CHANGES, CHANGES));
        assert!(subscriptions.subscriber().request(&run(), vec![attention(1)]).is_ok(), "another page is accepted");
        page.changes.iter_mut().for_each(|at| *at -= CHANGES_WITHIN);
        assert!(page.request(&run(), vec![]).is_ok());
    }
}
