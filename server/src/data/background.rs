//! Long work on datasets, on threads of low priority: with it beside a run on the same machine, the steps of the run took more than twice as
//! long (measured; docs/LAB_LOG.md). It takes the time that training leaves.

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_thread_of_the_work_has_a_low_priority() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        assert_eq!(spawn(priority).await.unwrap(), before.max(10));
        assert_eq!(priority(), before);
        assert!(spawn(|| panic!("a panic of the work")).await.map(|()| ()).is_err());
    }
}
