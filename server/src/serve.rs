//! A server's life: folder, address, background tasks, the sign-in link, and a quiet end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use store::{Role, Store, StoreError, TokenKind};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app_state::AppState;
use crate::clock::now_ms;
use crate::settings::Settings;
use crate::{corpora, router, scheduler, vigil, workers};

/// How long requests under way may take to end.
const END_WITHIN: Duration = Duration::from_secs(3);
/// How long the first sign-in link works.
const FIRST_LINK_MS: i64 = 24 * 3600 * 1000;

/// Why the server does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process has the folder.
    #[error("{} is in use by process {pid}, most likely another `kindling serve`. Use that one{}, stop it with: kill {pid}, or give another folder with --data", dir.display(), at(url))]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Who has it.
        pid: u32,
        /// Where that server said it was.
        url: Option<String>,
    },
    /// The folder cannot be used.
    #[error("the folder {} cannot be used: {source}. Give another one with --data", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is taken or not this machine's.
    #[error("cannot listen on {listen}: {source}. Choose another address with --listen, such as --listen 127.0.0.1:{}", listen.port().saturating_add(1))]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Serving itself.
    #[error("the server cannot go on: {0}")]
    Serve(io::Error),
}

fn at(url: &Option<String>) -> String {
    url.as_ref().map_or(String::new(), |url| format!(" at {url}"))
}

/// Opens a folder's store, with the way out where another process has it.
pub async fn open_store(settings: &Settings) -> Result<Store, ServeError> {
    let dir = settings.data.clone();
    std::fs::create_dir_all(settings.incoming()).map_err(|source| ServeError::Folder { dir: dir.clone(), source })?;
    Store::open(&dir).await.map_err(|error| match error {
        StoreError::Locked { dir, pid } => {
            let url = workers::read_address(&dir);
            ServeError::InUse { dir, pid, url }
        }
        StoreError::File { source, .. } => ServeError::Folder { dir, source },
        other => other.into(),
    })
}

/// Serves until it is told to stop.
pub async fn serve(settings: Settings) -> Result<(), ServeError> {
    let store = open_store(&settings).await?;
    let listen = settings.listen;
    let listener = TcpListener::bind(listen).await.map_err(|source| ServeError::Listen { listen, source })?;
    let port = listener.local_addr().map_err(ServeError::Serve)?.port();
    let url = settings.url(port);
    workers::write_address(&settings.data, &url)
        .map_err(|source| ServeError::Folder { dir: settings.data.clone(), source })?;
    let state = AppState::new(settings, store);
    state.set_port(port);
    remove_leftovers(&state);
    let (stop, stopping) = watch::channel(false);
    begin_tasks(&state, &stopping);
    say_where(&state, &url).await?;
    let mut told = stopping.clone();
    let served = axum::serve(listener, router(state.clone())).with_graceful_shutdown(async move {
        // Either way it is time to end.
        let _ = told.changed().await;
    });
    let serving = tokio::spawn(async move { served.await });
    wait_for_signal().await;
    tracing::info!("stopping; trainings go on and are picked up by the next `kindling serve`");
    // No receiver means that nothing is left to stop.
    let _ = stop.send(true);
    dismiss_workers(&state).await;
    match tokio::time::timeout(END_WITHIN, serving).await {
        Ok(Ok(Err(source))) => Err(ServeError::Serve(source)),
        _ => Ok(()),
    }
}

/// Idle workers go; a word to them takes a moment, and without it they would wait a minute for the next server.
async fn dismiss_workers(state: &AppState) {
    state.fleet.dismiss_idle();
    for _ in 0..20 {
        if state.fleet.idle().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn begin_tasks(state: &AppState, stopping: &watch::Receiver<bool>) {
    corpora::make_built_in(state);
    tokio::spawn(scheduler::schedule(state.clone()));
    tokio::spawn(vigil::keep(state.clone()));
    if state.settings.starts_workers {
        tokio::spawn(workers::keep(state.clone(), stopping.clone()));
    }
}

/// Uploads that an earlier server did not bring to an end; parts of downloads stay, to be gone on with.
fn remove_leftovers(state: &AppState) {
    let Ok(entries) = std::fs::read_dir(state.settings.incoming()) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!("{} could not be removed: {error}", path.display());
        }
    }
}

/// One line on standard output: the sign-in link for a lab that nobody has entered, else where it is.
async fn say_where(state: &AppState, url: &str) -> Result<(), ServeError> {
    let is_entered =
        state.store.tokens().await?.iter().any(|token| token.role != Role::Worker && token.kind != TokenKind::SignIn);
    if is_entered {
        println!(
            "Kindling is at {url} (a new sign-in link: kindling token --sign-in --data {})",
            state.settings.data.display()
        );
        return Ok(());
    }
    let token = state.store.add_token("owner", Role::Admin, TokenKind::SignIn, Some(now_ms() + FIRST_LINK_MS)).await?;
    println!("Kindling is here, sign in with: {url}/signin?token={token}");
    Ok(())
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without the one signal, the other still ends it.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    // An error means that no signal can come; then only the process's end stops it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
