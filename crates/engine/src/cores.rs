//! The batch split over cores: one thread for each part, each with a burn graph of its own.
//!
//! Measured on two cores: two graphs side by side train twice as fast as one graph with two threads, whose many small operators
//! leave the second core idle. Results come back in the order of the parts, so sums are the same on every machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use crate::error::EngineError;

/// Threads that each work on a part.
pub struct Cores {
    pools: Vec<rayon::ThreadPool>,
}

impl Cores {
    /// `count` threads. Each is a pool of one, so that burn's own parallel loops inside stay on it.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn new(count: usize) -> Result<Self, EngineError> {
        let build = |shard| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("core-{shard}")).build();
            pool.map_err(|source| EngineError::Shard { shard, message: source.to_string() })
        };
        Ok(Self { pools: (0..count.max(1)).map(build).collect::<Result<_, _>>()? })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs both side by side, on two threads where there are as many.
    pub fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        let (mut of_a, mut of_b) = (None, None);
        let (first, last) = (&self.pools[0], &self.pools[self.pools.len() - 1]);
        first.in_place_scope(|scope| {
            scope.spawn(|_| of_a = Some(a()));
            last.install(|| of_b = Some(b()));
        });
        let done = "a scope has waited for it, or passed its panic on";
        (of_a.expect(done), of_b.expect(done))
    }

    /// Runs `work(part)` for every part side by side; the answers are in the order of the parts.
    ///
    /// # Errors
    /// The first part that panicked, with its words.
    pub fn map<T: Send + 'static>(
        &self,
        work: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, EngineError> {
        let work = Arc::new(work);
        let answers: Vec<_> = self
            .pools
            .iter()
            .enumerate()
            .map(|(shard, pool)| {
                let (send, receive) = mpsc::sync_channel(1);
                let work = work.clone();
                pool.spawn(move || {
                    let answer = catch_unwind(AssertUnwindSafe(|| work(shard)));
                    // The receiver is gone only when the run is; nobody is left to tell.
                    let _ = send.send(answer);
                });
                receive
            })
            .collect();
        answers
            .into_iter()
            .enumerate()
            .map(|(shard, answer)| match answer.recv() {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(panic)) => Err(EngineError::Shard { shard, message: words(panic.as_ref()) }),
                Err(gone) => Err(EngineError::Shard { shard, message: gone.to_string() }),
            })
            .collect()
    }
}

/// The words of a panic.
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_order_and_a_panic_is_an_error() {
        let cores = Cores::new(3).unwrap();
        assert_eq!(cores.map(|part| part * 10).unwrap(), vec![0, 10, 20]);
        let error = cores.map(|part| assert!(part != 1, "part one broke")).unwrap_err();
        assert!(error.to_string().contains("part one broke"), "{error}");
        assert_eq!(cores.map(|part| part).unwrap(), vec![0, 1, 2], "the threads live on");
        let words = ["aside", "here"].map(str::to_owned);
        assert_eq!(Cores::new(1).unwrap().both(|| words[0].len(), || words[1].len()), (5, 4), "one thread does both");
        assert_eq!(cores.both(|| words[0].len(), || words[1].len()), (5, 4), "what is lent comes back");
    }
}
