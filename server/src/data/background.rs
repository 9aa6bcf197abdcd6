//! Long work on datasets, on threads of low priority, and at most one less at a time than the machine has cores: with three imports beside
//! a run on two cores, the steps of the run took more than twice as long (measured; docs/LAB_LOG.md). The priority alone does not keep a core
//! for training, because Linux divides the cores between sessions first, and a worker has its own.

use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs work on a thread of its own. The receiver fails if the work panics.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, ended) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        let _runtime = runtime.enter();
        lower_priority();
        // Nobody may wait for it any more.
        let _ = done.send(work());
    };
    if let Err(error) = thread::Builder::new().name("data".to_owned()).spawn(work) {
        tracing::error!("a thread for work on a dataset cannot be started: {error}");
    }
    ended
}

/// The cores for work on datasets: one is left for training.
static CORES: LazyLock<Cores> = LazyLock::new(|| {
    Cores::new(thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)))
});

/// Runs work that keeps a core busy, when a core for work on datasets is free.
pub(crate) fn on_a_core<T>(work: impl FnOnce() -> T) -> T {
    let _core = CORES.take();
    work()
}

/// Cores that are taken in turn.
struct Cores {
    free: Mutex<usize>,
    returned: Condvar,
}

impl Cores {
    fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// Waits for a core; it is returned when the guard is dropped.
    fn take(&self) -> Core<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.returned.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Core(self)
    }
}

struct Core<'a>(&'a Cores);

impl Drop for Core<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

/// Lowers the priority of this thread. The thread ends with its work, because raising it again takes a privilege.
#[cfg(target_os = "linux")]
fn lower_priority() {
    /// Its share of a core is a tenth of that of training, and grows where training leaves more.
    const NICE: i32 = 10;
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the priority of a thread could not be lowered: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_threads_work_than_there_are_cores_and_a_panic_returns_its_core() {
        let (cores, at_once, most) =
            (Arc::new(Cores::new(2)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let (cores, at_once, most) = (Arc::clone(&cores), Arc::clone(&at_once), Arc::clone(&most));
                thread::spawn(move || {
                    let _core = cores.take();
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(std::time::Duration::from_millis(5));
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    assert!(number % 3 != 0, "a panic of the work");
                })
            })
            .collect();
        let panics = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!((panics, most.load(Ordering::SeqCst), *cores.free.lock().unwrap()), (3, 2, 2));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_thread_of_the_work_has_a_low_priority() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        assert_eq!(spawn(priority).await.unwrap(), before.max(10));
        assert_eq!(priority(), before);
        assert!(spawn(|| panic!("a panic of the work")).await.map(|()| ()).is_err());
    }
}
