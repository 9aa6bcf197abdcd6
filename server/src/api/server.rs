//! The server process: it opens the lab, listens, runs the background tasks, and stops on a signal.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::serve::{Listener, ListenerExt, TapIo};
use research::rules::RULES;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::access::{Role, TokenKind};

use super::leaving::{self, StopSignal};
use super::listener::TlsListener;
use super::mcp::deciding;
use super::router::{own_routes, router};
use crate::data::built_in;
use crate::data::hub::downloads::is_kept;
use crate::export::alerts::{devices, outbox};
use crate::lab::Lab;
use crate::lab::audit;
use crate::lab::certificate::Certificate;
use crate::lab::open::{ServeError, open_store};
use crate::lab::settings::Settings;
use crate::live::clock::now_ms;
use crate::output;
use crate::runs::acts;
use crate::runs::agents::budgets;
use crate::runs::pools;
use crate::runs::queue;
use crate::runs::{experiments, research_loops, scoring, sweeps};
use crate::workers::telemetry::{keeping, usage};
use crate::workers::{liveness, local};

/// How long open requests may take to end.
const END_WITHIN: Duration = Duration::from_secs(3);
/// How long idle workers may take to shut down.
const WORKERS_WITHIN: Duration = Duration::from_secs(1);
/// Validity of the first sign-in link, ms.
const FIRST_LINK_MS: i64 = 24 * 3600 * 1000;

/// What a server makes known once it listens.
pub struct Started {
    /// Address for programs of this machine.
    pub url: String,
    /// A line for people: a sign-in link if nobody has signed in yet, else the address for browsers.
    pub line: String,
}

/// Serves a lab until a signal stops it, and prints the line of [`Started`]. Runs train on and are continued by the next server.
///
/// # Errors
/// The folder or the address cannot be used; the listener fails.
pub async fn serve(settings: Settings) -> Result<(), ServeError> {
    // The server goes on if nobody reads its address.
    serve_until(settings, |started| drop(output::line(started.line)), std::future::pending()).await
}

/// As [`serve`], at most until `done`. It prints no address; `ready` gets it once the server listens.
///
/// # Errors
/// Those of [`serve`].
pub async fn serve_until(
    settings: Settings,
    ready: impl FnOnce(Started),
    done: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let store = open_store(&settings).await?;
    let listen = settings.listen;
    let listener = TcpListener::bind(listen).await.map_err(|source| ServeError::Listen { listen, source })?;
    let port = listener.local_addr().map_err(ServeError::Serve)?.port();
    let url = settings.browser_url(port);
    let tls = Tls::open(&settings).await?;
    // Programs on this machine call the plain address: they need not know the certificate.
    let own_url = tls.as_ref().map_or_else(|| settings.url(port), |tls| tls.own_url.clone());
    local::write_address(&settings.data, &own_url, &url)
        .map_err(|source| ServeError::Folder { dir: settings.data.clone(), source })?;
    let fingerprint = tls.as_ref().and_then(|tls| tls.certificate.fingerprint);
    let lab = Lab::new(settings, store, fingerprint);
    pools::load_limits(&lab).await?;
    // Labels are stored with the findings, because titles of alerts contain them; rules of an earlier version had other labels.
    lab.store().set_finding_labels(&RULES.iter().map(|rule| (rule.id, rule.label)).collect()).await?;
    // Before a page connects: alerts above the first number that it gets are new to it.
    lab.alerting.set_newest(lab.store().newest_alert().await?);
    remove_partial_uploads(&lab);
    let (stop, stopping) = watch::channel(false);
    start_tasks(&lab, &stopping);
    let line = address_line(&lab, &url).await?;
    if let Some(fingerprint) = fingerprint {
        output::notice(format_args!(
            "The certificate is self-signed, so browsers warn of it. Its fingerprint is {fingerprint}"
        ));
    }
    let serving = match tls {
        None => vec![serve_on(listener.tap_io(|_| {}), &lab, &stopping)],
        Some(Tls { certificate, own, .. }) => {
            let listener = TlsListener::new(listener, certificate.config).map_err(ServeError::Serve)?;
            vec![serve_on(listener.tap_io(|_| {}), &lab, &stopping), serve_on(own.tap_io(|_| {}), &lab, &stopping)]
        }
    };
    ready(Started { url: own_url, line });
    tokio::select! {
        signal = leaving::wait_for_signal() => if signal == StopSignal::Interrupt {
            leaving::say_what_continues(&lab).await;
        },
        () = done => {}
    }
    tracing::info!("stopping");
    // Without receivers nothing is left to stop.
    let _ = stop.send(true);
    shut_down_idle_workers(&lab).await;
    keeping::save(&lab.workers.telemetry, lab.store(), true).await;
    let all = async {
        for serving in serving {
            if let Ok(Err(source)) = serving.await {
                return Err(ServeError::Serve(source));
            }
        }
        Ok(())
    };
    let ended = tokio::time::timeout(END_WITHIN, all).await.unwrap_or(Ok(()));
    lab.audit.write(lab.store()).await;
    ended
}

/// What a server that speaks TLS itself has besides its listener.
struct Tls {
    certificate: Certificate,
    /// Listener without TLS, for programs on this machine: workers and subcommands.
    own: TcpListener,
    /// Its address.
    own_url: String,
}

impl Tls {
    async fn open(settings: &Settings) -> Result<Option<Self>, ServeError> {
        let Some(source) = &settings.certificate else { return Ok(None) };
        let certificate = Certificate::open(source, &settings.data, settings.certificate_names())?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| ServeError::Listen { listen, source };
        let own = TcpListener::bind(listen).await.map_err(failed)?;
        let own_url = format!("http://{}", own.local_addr().map_err(failed)?);
        Ok(Some(Self { certificate, own, own_url }))
    }
}

/// Serves the lab on a listener until the server stops.
fn serve_on<L, F>(listener: TapIo<L, F>, lab: &Lab, stopping: &watch::Receiver<bool>) -> JoinHandle<std::io::Result<()>>
where
    L: Listener<Addr = SocketAddr>,
    F: FnMut(&mut L::Io) + Send + 'static,
{
    let mut stopped = stopping.clone();
    let service = router(lab.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(async move {
        // A closed channel ends the server too.
        let _ = stopped.changed().await;
    });
    tokio::spawn(async move { served.await })
}

/// Shuts idle workers down. Otherwise they would wait a minute for the next server.
async fn shut_down_idle_workers(lab: &Lab) {
    let fleet = &lab.workers.fleet;
    fleet.shut_down_idle();
    let all_gone = async {
        while fleet.has_idle_local() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // A worker that does not answer notices that the server is gone.
    let _ = tokio::time::timeout(WORKERS_WITHIN, all_gone).await;
}

fn start_tasks(lab: &Lab, stopping: &watch::Receiver<bool>) {
    built_in::generate(&lab.data);
    tokio::spawn(fill_newest_metrics(lab.clone()));
    tokio::spawn(queue::serve(lab.clone()));
    tokio::spawn(lab.diagnosis.clone().serve());
    tokio::spawn(acts::serve(lab.clone()));
    tokio::spawn(budgets::serve(lab.clone()));
    tokio::spawn(scoring::serve(lab.clone()));
    tokio::spawn(sweeps::serve::serve(lab.clone()));
    tokio::spawn(experiments::serve(lab.clone()));
    tokio::spawn(research_loops::serve(lab.clone()));
    tokio::spawn(liveness::watch(lab.workers.clone()));
    tokio::spawn(audit::log::keep(lab.audit.clone(), lab.store().clone()));
    tokio::spawn(outbox::keep(lab.clone()));
    tokio::spawn(devices::watch(lab.clone()));
    tokio::spawn(deciding::finish(lab.clone(), own_routes(lab)));
    tokio::spawn(usage::account(lab.workers.clone()));
    tokio::spawn(keeping::keep(lab.workers.telemetry.clone(), lab.store().clone()));
    if lab.settings.starts_workers {
        tokio::spawn(local::keep(lab.workers.clone(), stopping.clone()));
    }
}

/// Reads the newest metrics of runs that an earlier version has stored.
async fn fill_newest_metrics(lab: Lab) {
    if let Err(error) = lab.store().fill_newest_metrics().await {
        tracing::warn!(
            "the newest metrics of earlier runs could not be read, so they are not in the table of runs: {error}"
        );
    }
}

/// Removes uploads that an earlier server did not finish. Partial downloads stay, because they can be continued, those of the hub for a week.
fn remove_partial_uploads(lab: &Lab) {
    let Ok(entries) = std::fs::read_dir(lab.settings.incoming()) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir() && !is_kept(path)) {
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!("{} could not be removed: {error}", path.display());
        }
    }
}

/// A sign-in link if nobody has signed in yet, else the address.
async fn address_line(lab: &Lab, url: &str) -> Result<String, ServeError> {
    let tokens = lab.store().tokens().await?;
    if tokens.iter().any(|token| token.role != Role::Worker && token.kind != TokenKind::SignIn) {
        let data = lab.settings.data.display();
        return Ok(format!(
            "Kindling is running at {url} (for a new sign-in link: kindling token --sign-in --data {data})"
        ));
    }
    let expires_ms = Some(now_ms() + FIRST_LINK_MS);
    let token = lab.store().add_token("owner", Role::Admin, TokenKind::SignIn, expires_ms).await?;
    Ok(format!("Kindling is running. Sign in: {url}/signin?token={token}"))
}
