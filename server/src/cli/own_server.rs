//! What a command needs to start runs on a server: a server in this process, if none uses the folder, which serves it until the command is
//! done; and a token of its own.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Store, StoreError};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use wire::access::{Role, TokenKind};

use super::client::Client;
use crate::api::server::{self, Started};
use crate::lab::open::ServeError;
use crate::lab::settings::Settings;
use crate::live::clock::now_ms;
use crate::output::{self, OutputError};

/// Validity of the token with which a command starts runs, ms. They train with the rights of their creator, so it must outlast them.
const TOKEN_MS: i64 = 90 * 24 * 3600 * 1000;

/// The end of a command that starts something.
pub(super) enum Ended {
    /// Nothing that it has started continues.
    Whole,
    /// It has started something with this number, which continues without it.
    Detached(String),
}

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

/// Carries out `work` with a client that has a token of its own, and revokes the token afterwards, unless something continues that needs it.
/// Prints the number of what continues.
///
/// # Errors
/// Those of the work and of the store; standard output is closed or cannot be written.
pub(super) async fn with_own_token<E>(
    folder: &Path,
    name: &str,
    (url, has_ended): (String, Arc<AtomicBool>),
    work: impl FnOnce(&Client) -> Result<Ended, E> + Send + 'static,
    is_needed: impl FnOnce(&E) -> bool,
) -> Result<(), E>
where
    E: From<StoreError> + From<JoinError> + From<OutputError> + Send + 'static,
{
    let access = Store::open_access(folder).await?;
    let token = access.add_token(name, Role::Steer, TokenKind::Api, Some(now_ms() + TOKEN_MS)).await?;
    let client = Client::of_own_server(url, &token, has_ended);
    let ended = spawn_blocking(move || work(&client)).await?;
    let is_needed = match &ended {
        Ok(Ended::Whole) => false,
        Ok(Ended::Detached(_)) => true,
        Err(error) => is_needed(error),
    };
    if !is_needed && let Some(own) = access.identify(&token).await? {
        access.revoke(own.token_id).await?;
    }
    if let Ended::Detached(number) = ended? {
        output::line(number)?;
    }
    Ok(())
}
