//! Replicas: a batch split over CPU cores as in data-parallel training, one thread per replica, each with its own burn graph.
//!
//! Measured on two cores: two graphs in parallel train twice as fast as one graph with two threads, whose many small operators leave the
//! second core idle. Results are returned in the order of the replicas, so sums are the same on every machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use crate::error::EngineError;

/// One thread for each replica.
pub struct Replicas {
    pools: Vec<rayon::ThreadPool>,
}

impl Replicas {
    /// Starts `count` threads. Each is a pool of one thread, so that burn's parallel loops inside run on it.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn new(count: usize) -> Result<Self, EngineError> {
        let build = |replica| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("replica-{replica}"))
                .build();
            pool.map_err(|source| EngineError::Replica { replica, source: source.into() })
        };
        Ok(Self { pools: (0..count.max(1)).map(build).collect::<Result<_, _>>()? })
    }

    /// Number of replicas.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs `a` and `b` in parallel, if there are at least two threads.
    pub fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        let (mut of_a, mut of_b) = (None, None);
        let (first, last) = (&self.pools[0], &self.pools[self.pools.len() - 1]);
        first.in_place_scope(|scope| {
            scope.spawn(|_| of_a = Some(a()));
            last.install(|| of_b = Some(b()));
        });
        let done = "a scope waits for its tasks, or propagates their panic";
        (of_a.expect(done), of_b.expect(done))
    }

    /// Runs `work(replica)` for every replica in parallel. Returns the results in the order of the replicas.
    ///
    /// # Errors
    /// A replica panicked; the error has its index and message.
    pub fn map<T: Send + 'static>(
        &self,
        work: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, EngineError> {
        let work = Arc::new(work);
        let results: Vec<_> = self
            .pools
            .iter()
            .enumerate()
            .map(|(replica, pool)| {
                let (send, receive) = mpsc::sync_channel(1);
                let work = work.clone();
                pool.spawn(move || {
                    let result = catch_unwind(AssertUnwindSafe(|| work(replica)));
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
                Ok(Ok(value)) => Ok(value),
                Ok(Err(panic)) => Err(EngineError::Replica { replica, source: panic_message(panic.as_ref()).into() }),
                Err(gone) => Err(EngineError::Replica { replica, source: gone.into() }),
            })
            .collect()
    }
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
    }
}
