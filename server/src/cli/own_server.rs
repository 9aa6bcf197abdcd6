//! A server in this process, for a command that starts runs in a folder that no server uses. It serves the folder until the command is done.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::task::JoinError;

use crate::api::server::{self, Started};
use crate::lab::open::ServeError;
use crate::lab::settings::Settings;
use crate::output;

/// Serves a folder until `work` has ended. `work` gets the URL of the server and a flag that becomes true when the server ends. Returns the
/// result of the work and whether the server had ended before it; `None` if the server ended before it had an address.
///
/// # Errors
/// The folder cannot be served.
pub(super) async fn serve_during<W, F, E>(folder: &Path, work: W) -> Result<Option<(F::Output, bool)>, E>
where
    W: FnOnce(String, Arc<AtomicBool>) -> F,
    F: Future,
    E: From<ServeError> + From<JoinError>,
{
    let (ready, address) = oneshot::channel();
    let (done, is_done) = oneshot::channel::<()>();
    let settings = Settings::new(folder.to_owned(), ([127, 0, 0, 1], 0).into());
    let started = |Started { url, line }| {
        // On standard error, because standard output is for the result of the command.
        output::notice(line);
        drop(ready.send(url));
    };
    // Errors of the channels are dropped: they mean that nobody waits for the address or for the end.
    let serving = server::serve_until(settings, started, async { drop(is_done.await) });
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&has_ended);
    let serving = tokio::spawn(async move {
        let served = serving.await;
        ended.store(true, Ordering::Relaxed);
        served
    });
    let Ok(url) = address.await else {
        serving.await??;
        return Ok(None);
    };
    let result = work(url, has_ended).await;
    let ended_before = done.send(()).is_err();
    serving.await??;
    Ok(Some((result, ended_before)))
}
