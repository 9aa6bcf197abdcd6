//! What every route and every background task shares. Nothing here outlives the process that the store does not keep.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use store::{Store, StoreError};
use tokio::sync::{Notify, watch};

use crate::clock::now_ms;
use crate::complete::Seats;
use crate::fleet::Fleet;
use crate::guard::Hosts;
use crate::jobs::Jobs;
use crate::live::Hub;
use crate::live_socket::LabCache;
use crate::pending::Pending;
use crate::probes::Probes;
use crate::settings::Settings;
use crate::texts::Texts;

/// Shared state; cloning shares it.
#[derive(Clone)]
pub struct AppState(Arc<App>);

/// What is shared.
pub struct App {
    /// Settings, read once.
    pub settings: Settings,
    /// Runs, journal, series, tokens.
    pub store: Store,
    /// The texts.
    pub texts: Texts,
    /// Long work.
    pub jobs: Jobs,
    /// Streams to pages.
    pub hub: Hub,
    /// The lab's state as pages last got it.
    pub lab_cache: LabCache,
    /// Connected workers.
    pub fleet: Fleet,
    /// Commands that wait for their event.
    pub pending: Pending,
    /// What is watched inside of runs.
    pub probes: Probes,
    /// Seats for those who complete texts.
    pub seats: Seats,
    /// Names by which the server may be called.
    pub hosts: Hosts,
    /// Told whenever a token was taken away: open sockets then look whether theirs still counts.
    pub revoked: watch::Sender<()>,
    /// Wakes the scheduler: something was queued, freed or prepared.
    pub scheduler: Notify,
    /// When this server started.
    pub started: Instant,
    port: AtomicU16,
}

impl AppState {
    /// State of a server with these settings over this store.
    pub fn new(settings: Settings, store: Store) -> Self {
        let hosts = Hosts::new(settings.listen.ip(), &settings.allowed_hosts);
        let fleet = Fleet::default();
        Self(Arc::new(App {
            texts: Texts::new(settings.corpora()),
            jobs: Jobs::default(),
            hub: Hub::new(now_ms() as u64),
            lab_cache: LabCache::default(),
            probes: Probes::new(fleet.clone()),
            fleet,
            pending: Pending::new(now_ms()),
            seats: Seats::default(),
            revoked: watch::Sender::new(()),
            scheduler: Notify::new(),
            started: Instant::now(),
            port: AtomicU16::new(settings.listen.port()),
            hosts,
            settings,
            store,
        }))
    }
}

impl App {
    /// The port the server listens on; known once it is bound.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Notes the port that was bound.
    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// Takes a token away, also from those who have a socket open with it; whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoke(&self, token_id: i64) -> Result<bool, StoreError> {
        let had_one = self.store.revoke(token_id).await?;
        self.revoked.send_replace(());
        Ok(had_one)
    }

    /// Something the Lab page shows has changed.
    pub fn lab_changed(&self) {
        self.hub.lab_changed();
    }

    /// Runs, devices or texts changed such that a run may now start.
    pub fn wake_scheduler(&self) {
        self.scheduler.notify_one();
        self.hub.lab_changed();
    }
}

impl Deref for AppState {
    type Target = App;
    fn deref(&self) -> &App {
        &self.0
    }
}
