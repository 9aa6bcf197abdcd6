//! Replicas: a batch split over CPU cores as in data-parallel training, one thread per replica, each with its own buffers.
//!
//! Measured on two cores: two replicas train twice as fast as one with operators that use two threads, because many small operators leave
//! the second core idle. Results are returned in the order of the replicas, so sums are the same on every machine.
//!
//! Where several runs train on one CPU at once, fewer threads than replicas compute: a thread then computes its replicas one after the other.
//! Each replica is computed by one thread either way, so the results do not depend on the number of threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::device::operator_times;
use crate::error::EngineError;

/// How many threads a training may use; cloning shares it. It may change at any time and holds from the next micro-batch on.
#[derive(Debug, Clone)]
pub struct ThreadLimit(Arc<AtomicUsize>);

impl ThreadLimit {
    /// Sets the number of threads; at least one is used. `None`: one for each replica.
    pub fn set(&self, threads: Option<usize>) {
        self.0.store(threads.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

impl Default for ThreadLimit {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

/// A value that a replica keeps.
type Kept = Mutex<Option<Box<dyn Any + Send>>>;

/// One thread for each replica.
pub struct Replicas {
    pools: Vec<rayon::ThreadPool>,
    limit: ThreadLimit,
    /// What each replica keeps between calls, such as the buffers of its gradient. One thread at a time uses the value of a replica, so
    /// none waits for a lock.
    kept: Arc<Vec<Kept>>,
}

impl Replicas {
    /// Starts `count` threads. Each is a pool of one thread, so that burn's parallel loops inside run on it.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn new(count: usize) -> Result<Self, EngineError> {
        Self::limited(count, ThreadLimit::default())
    }

    /// As [`Replicas::new`]; of the threads only as many compute at a time as the limit allows.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn limited(count: usize, limit: ThreadLimit) -> Result<Self, EngineError> {
        let build = |replica| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("replica-{replica}"))
                .build();
            pool.map_err(|source| EngineError::Replica { replica, source: source.into() })
        };
        let pools = (0..count.max(1)).map(build).collect::<Result<Vec<_>, _>>()?;
        let kept = Arc::new(pools.iter().map(|_| Kept::default()).collect());
        Ok(Self { pools, limit, kept })
    }

    /// The threads that may compute now.
    fn active(&self) -> &[rayon::ThreadPool] {
        &self.pools[..self.limit.get().min(self.pools.len())]
    }

    /// Number of threads that may compute now.
    pub fn threads(&self) -> usize {
        self.active().len()
    }

    /// Number of replicas.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs `a` and `b` in parallel, if at least two threads may compute.
    pub fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        let (mut of_a, mut of_b) = (None, None);
        let active = self.active();
        let (first, last) = (&active[0], &active[active.len() - 1]);
        first.in_place_scope(|scope| {
            scope.spawn(|_| of_a = Some(a()));
            last.install(|| of_b = Some(b()));
        });
        let done = "a scope waits for its tasks, or propagates their panic";
        (of_a.expect(done), of_b.expect(done))
    }

    /// Runs each job on a thread of its own and returns the results in their order. Jobs may borrow what the caller has. Times of operators
    /// count as in [`Replicas::map`].
    ///
    /// # Errors
    /// A job panicked; the error has its index and message. The other jobs are done.
    pub fn each<J: FnOnce() -> T + Send, T: Send>(&self, jobs: Vec<J>) -> Result<Vec<T>, EngineError> {
        let count = jobs.len();
        let mut done: Vec<Option<Done<T>>> = jobs.iter().map(|_| None).collect();
        spawn_each(self.pools.iter().cycle(), jobs.into_iter().zip(&mut done));
        let result = |(index, done): (usize, Option<Done<T>>)| {
            let (result, times) = done.expect("a scope waits for its tasks");
            operator_times::add(&times, 1.0 / count as f64);
            let failed = |panic: Panic| panic_message(panic.as_ref()).into();
            result.map_err(|panic| EngineError::Replica { replica: index, source: failed(panic) })
        };
        done.into_iter().enumerate().map(result).collect()
    }

    /// As [`Replicas::map`]; `work` also has the value that the replica keeps, a default one at first.
    ///
    /// # Errors
    /// A replica panicked; the error has its index and message.
    pub fn map_keeping<K: Default + Send + 'static, T: Send + 'static>(
        &self,
        work: impl Fn(usize, &mut K) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, EngineError> {
        let kept = self.kept.clone();
        self.map(move |replica| with_kept(&kept[replica], |value| work(replica, value)))
    }

    /// Calls `work` with the value that a replica keeps.
    pub fn with_kept<K: Default + Send + 'static, T>(&self, replica: usize, work: impl FnOnce(&mut K) -> T) -> T {
        with_kept(&self.kept[replica], work)
    }

    /// Runs `work(replica)` for every replica, in parallel on the threads that may compute. Returns the results in the order of the replicas.
    /// The times of operators count for the calling thread, as the mean over the threads.
    ///
    /// # Errors
    /// A replica panicked; the error has its index and message.
    pub fn map<T: Send + 'static>(
        &self,
        work: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, EngineError> {
        let (work, active) = (Arc::new(work), self.active());
        let results: Vec<_> = (0..self.count())
            .map(|replica| {
                let (send, receive) = mpsc::sync_channel(1);
                let (work, pool) = (work.clone(), &active[replica % active.len()]);
                pool.spawn(move || {
                    let result = operator_times::collect(|| catch_unwind(AssertUnwindSafe(|| work(replica))));
                    // Before the caller continues, so that what `work` shares with it, such as weights, is the caller's alone.
                    drop(work);
                    // Sending fails only if the caller has stopped waiting.
                    let _ = send.send(result);
                });
                receive
            })
            .collect();
        results
            .into_iter()
            .enumerate()
            .map(|(replica, result)| match result.recv() {
                Ok((Ok(value), times)) => {
                    operator_times::add(&times, 1.0 / active.len() as f64);
                    Ok(value)
                }
                Ok((Err(panic), _)) => {
                    Err(EngineError::Replica { replica, source: panic_message(panic.as_ref()).into() })
                }
                Err(gone) => Err(EngineError::Replica { replica, source: gone.into() }),
            })
            .collect()
    }
}

type Panic = Box<dyn Any + Send>;

/// The result of a job, and the times of its operators.
type Done<T> = (Result<T, Panic>, operator_times::OperatorTimes);

/// Runs each job on the next thread; returns when all are done. A scope belongs to one thread, so the scopes are nested.
fn spawn_each<'a, 's, J: FnOnce() -> T + Send + 's, T: Send + 's>(
    mut pools: impl Iterator<Item = &'a rayon::ThreadPool>,
    mut jobs: impl Iterator<Item = (J, &'s mut Option<Done<T>>)>,
) {
    let (Some(pool), Some((job, done))) = (pools.next(), jobs.next()) else { return };
    pool.in_place_scope(|scope| {
        scope.spawn(move |_| *done = Some(operator_times::collect(|| catch_unwind(AssertUnwindSafe(job)))));
        spawn_each(pools, jobs);
    });
}

/// Calls `work` with a kept value; one of another type, which another computation left, is replaced.
fn with_kept<K: Default + Send + 'static, T>(kept: &Kept, work: impl FnOnce(&mut K) -> T) -> T {
    // After a panic the value is used again: it is scratch memory, and each computation writes what it reads.
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if !kept.as_ref().is_some_and(|value| value.is::<K>()) {
        *kept = Some(Box::new(K::default()));
    }
    let value = kept.as_mut().and_then(|value| value.downcast_mut::<K>());
    work(value.expect("a value of another type was replaced"))
}

pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_a_panic_is_an_error() {
        let replicas = Replicas::new(3).unwrap();
        assert_eq!(replicas.map(|replica| replica * 10).unwrap(), vec![0, 10, 20]);
        let error = replicas.map(|replica| assert!(replica != 1, "replica one failed")).unwrap_err();
        assert!(error.to_string().contains("replica one failed"), "{error}");
        assert_eq!(replicas.map(|replica| replica).unwrap(), vec![0, 1, 2], "the threads still run");
        let words = ["aside", "here"].map(str::to_owned);
        assert_eq!(
            Replicas::new(1).unwrap().both(|| words[0].len(), || words[1].len()),
            (5, 4),
            "one thread runs both"
        );
        assert_eq!(replicas.both(|| words[0].len(), || words[1].len()), (5, 4), "borrowed values can be used");
        let mut numbers = [1, 2, 3, 4];
        let double = |number: &mut usize| *number *= 2;
        replicas.each(numbers.iter_mut().map(|number| move || double(number)).collect()).unwrap();
        assert_eq!(numbers, [2, 4, 6, 8], "more jobs than threads, which borrow");
        let error = replicas.each(vec![|| 1, || panic!("job one failed")]).unwrap_err();
        assert!(error.to_string().contains("job one failed"), "{error}");
    }

    #[test]
    fn each_replica_keeps_its_value_until_another_type_is_asked_for() {
        let replicas = Replicas::new(2).unwrap();
        let count = || {
            replicas.map_keeping(|replica, calls: &mut usize| {
                *calls += replica + 1;
                *calls
            })
        };
        assert_eq!(count().unwrap(), [1, 2]);
        assert_eq!(count().unwrap(), [2, 4]);
        assert_eq!(replicas.with_kept(1, |calls: &mut usize| *calls), 4);
        assert_eq!(replicas.map_keeping(|_, text: &mut String| text.len()).unwrap(), [0, 0]);
        assert_eq!(count().unwrap(), [1, 2], "a value of another type took its place");
        let failed = replicas.map_keeping(|_, calls: &mut usize| assert!(*calls > 9, "too few"));
        assert!(failed.is_err());
        assert_eq!(count().unwrap(), [2, 4], "the value is still there after a panic");
    }

    #[test]
    fn as_many_threads_compute_as_the_limit_allows_and_it_may_change() {
        let limit = ThreadLimit::default();
        let replicas = Replicas::limited(4, limit.clone()).unwrap();
        let threads = || {
            let names = replicas.map(|_| std::thread::current().name().unwrap_or_default().to_owned()).unwrap();
            assert_eq!(names.len(), 4, "all replicas are computed");
            names.into_iter().collect::<std::collections::BTreeSet<_>>().len()
        };
        for (allowed, expected) in [(Some(1), 1), (Some(3), 3), (Some(0), 1), (Some(9), 4), (None, 4)] {
            limit.set(allowed);
            assert_eq!(threads(), expected, "{allowed:?}");
            assert_eq!(replicas.both(|| 1, || 2), (1, 2));
        }
    }
}
