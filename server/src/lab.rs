//! The state that all routes and background tasks share, composed of the states of the modules below: [`Feed`], [`Diagnosis`],
//! [`Workers`] and [`Data`].
//! Everything that must survive the process is in the store.
//!
//! - [`settings`]: the settings of a server; [`open`]: opening its folder;
//! - [`public_url`]: the address behind a proxy; [`network`]: addresses of proxies;
//! - [`agents`]: limits of the calls of agents, and their current acts;
//! - [`model_provider`]: the provider of the model behind the assistant; [`answers`]: its answers that are being written;
//! - [`alerting`]: settings of alerts, and which channels are being sent to;
//! - [`certificate`]: the certificate of a server that speaks TLS itself;
//! - [`hosts`]: the names that the server answers to; [`slots`]: how many models are in memory at a time;
//! - [`compute_slots`]: how many computations of a kind run at a time; [`sweep_results`]: cached results of sweeps; [`fit_slots`]: how many
//!   fits and replays are computed or wait at a time;
//! - [`drawing`]: images, and how many are drawn at a time; [`openings`]: how often embeds are requested;
//! - [`oidc`]: sign-in with OpenID Connect; [`renewals`]: refreshes of OAuth tokens that are repeated; [`audit`]: the audit log and the uses of tokens, before they are written; [`name`]: valid names;
//! - [`scores`]: scores of checkpoints that wait; [`evaluator`]: programs that compute them; [`limits`]: limits of projects; [`passwords`]: hashes of passwords; [`paths`]: where the server is reached; [`throttle`]: slows down guessing.

pub mod agents;
pub mod alerting;
pub mod answers;
pub mod audit;
pub mod certificate;
pub mod compute_slots;
pub mod drawing;
pub mod evaluator;
pub mod fit_slots;
pub mod hosts;
pub mod limits;
pub mod model_provider;
pub mod name;
pub mod network;
pub mod oidc;
pub mod open;
pub mod openings;
pub mod passwords;
pub mod paths;
pub mod public_url;
pub mod renewals;
pub mod scores;
pub mod settings;
pub mod slots;
pub mod sweep_results;
pub mod throttle;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use store::{Store, StoreError, WorkerRecord};
use wire::fingerprint::Fingerprint;

use crate::data::disk_use::DiskUses;
use crate::data::{Data, disk};
use crate::lab::agents::Agents;
use crate::lab::alerting::Alerting;
use crate::lab::answers::Answers;
use crate::lab::audit::AuditLog;
use crate::lab::drawing::Drawings;
use crate::lab::oidc::Provider;
use crate::live::access_changes::{AccessChanges, Concerned};
use crate::live::diagnosis::Diagnosis;
use crate::live::page_socket::PageContext;
use crate::live::places::{Limits, Places};
use crate::live::polling::Polls;
use crate::live::presenting::Presentations;
use crate::live::{Feed, LabStates};
use crate::workers::Workers;
use compute_slots::ComputeSlots;
use fit_slots::FitSlots;
use hosts::Hosts;
use openings::Openings;
use passwords::Passwords;
use renewals::Renewals;
use scores::Scores;
use settings::Settings;
use slots::InferenceSlots;
use sweep_results::SweepResults;
use throttle::Throttle;

/// WebSockets of pages at a time. Each takes some 130 kB.
const SOCKETS: Limits = Limits { what: "pages", all: 4_000, guests: 2_000, token: 2_000, one: 64 };

/// Samplers of sweeps that compute at a time.
const SAMPLERS_AT_ONCE: usize = 2;

/// The shared state of a server; cloning shares it.
#[derive(Clone)]
pub struct Lab(Arc<LabParts>);

/// The parts of the shared state.
pub struct LabParts {
    pub settings: Settings,
    /// Runs and their streams.
    pub feed: Feed,
    /// The rules that read runs.
    pub diagnosis: Diagnosis,
    /// Workers and the inspections that are requested of them.
    pub workers: Workers,
    /// Datasets and jobs.
    pub data: Data,
    /// What uses the disk of the folder.
    pub disk_uses: DiskUses,
    /// The lab in one message.
    pub states: Arc<LabStates>,
    /// Pages that cannot open a WebSocket.
    pub polls: Polls,
    /// Pages that others follow.
    pub presentations: Presentations,
    /// Images of embeds.
    pub drawings: Drawings,
    /// Requests of embeds.
    pub openings: Openings,
    /// Processes with a model in memory.
    pub slots: InferenceSlots,
    /// Samplers of sweeps that compute.
    pub samplers: ComputeSlots,
    /// Importances and curves of sweeps.
    pub sweep_results: SweepResults,
    /// Fits and replays that are computed for requests.
    pub fits: FitSlots,
    /// Scores of checkpoints that wait, are computed, or failed.
    pub scores: Scores,
    /// Hashes of passwords.
    pub passwords: Passwords,
    /// Slows down guessing of passwords and tokens.
    pub throttle: Throttle,
    /// The last refreshes of OAuth tokens.
    pub renewals: Renewals,
    /// What the tasks and routes of alerts share.
    pub alerting: Alerting,
    /// What requests leave behind, before it is written.
    pub audit: Arc<AuditLog>,
    /// The provider of OpenID Connect that people sign in with.
    pub provider: Option<Arc<Provider>>,
    /// Names that the server answers to.
    pub hosts: Hosts,
    /// Fingerprint of the self-signed certificate, by which workers verify this server.
    pub fingerprint: Option<Fingerprint>,
    /// Start time of this server.
    pub started: Instant,
    /// Changes of what tokens reach, which open sockets follow.
    pub access: AccessChanges,
    /// WebSockets of pages.
    pub sockets: Places,
    /// Calls and acts of agents.
    pub agents: Agents,
    /// Answers of the assistant that are being written.
    pub answers: Answers,
}

impl Lab {
    /// The state of a server with these settings over this store; `fingerprint` is that of its self-signed certificate, if it has one.
    pub fn new(settings: Settings, store: Store, fingerprint: Option<Fingerprint>) -> Self {
        let feed = Feed::new(store);
        let diagnosis = Diagnosis::new(feed.clone());
        let workers = Workers::new(feed.clone(), diagnosis.clone(), settings.data.clone(), settings.worker_timeout);
        let data = Data::new(settings.corpora(), settings.incoming(), settings.hub.clone(), feed.clone());
        let (fleet, jobs) = (workers.fleet.clone(), data.jobs.clone());
        let (folder, alerting) = (settings.data.clone(), Alerting::default());
        let newest_alert = alerting.newest();
        let states = LabStates::new(
            feed.clone(),
            Box::new(move || fleet.views()),
            Box::new(move || jobs.list()),
            Box::new(move || disk::space(&folder)),
            Box::new(move || newest_alert.load(Ordering::Relaxed)),
        );
        Self(Arc::new(LabParts {
            disk_uses: DiskUses::default(),
            states: Arc::new(states),
            polls: Polls::default(),
            presentations: Presentations::default(),
            drawings: Drawings::default(),
            openings: Openings::default(),
            slots: InferenceSlots::default(),
            samplers: ComputeSlots::new(SAMPLERS_AT_ONCE),
            sweep_results: SweepResults::default(),
            fits: FitSlots::default(),
            scores: Scores::default(),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            renewals: Renewals::default(),
            alerting,
            audit: Arc::default(),
            provider: settings.provider.clone().map(|settings| Arc::new(Provider::new(settings))),
            hosts: Hosts::new(settings.listen.ip(), settings.host_names()),
            fingerprint,
            started: Instant::now(),
            access: AccessChanges::default(),
            sockets: Places::new(SOCKETS),
            agents: Agents::default(),
            answers: Answers::default(),
            settings,
            feed,
            diagnosis,
            workers,
            data,
        }))
    }
}

impl LabParts {
    pub fn store(&self) -> &Store {
        &self.feed.store
    }

    /// Revokes a share link and ends what the sockets of its guests see; false if the link does not exist.
    ///
    /// # Errors
    /// The errors of the store.
    pub async fn revoke_link(&self, id: i64) -> Result<bool, StoreError> {
        let existed = self.store().revoke_link(id).await?;
        self.access_changed();
        Ok(existed)
    }

    /// Revokes a token with its links, and disconnects the pages that use them; false if the token does not exist.
    ///
    /// # Errors
    /// The errors of the store.
    pub async fn revoke(&self, token_id: i64) -> Result<bool, StoreError> {
        let ended = self.store().end_token(token_id).await?;
        let has_links = ended.is_some_and(|ended| ended.had_links);
        self.access.announce(if has_links { Concerned::Everyone } else { Concerned::Token(token_id) });
        Ok(ended.is_some())
    }

    /// Lets all open sockets read again what their tokens reach: a role, a membership, a link or the project of a run has changed.
    pub fn access_changed(&self) {
        self.access.announce(Concerned::Everyone);
    }

    /// Removes a worker, revokes its token and closes its link. Its run is given up as that of a worker that has died.
    ///
    /// # Errors
    /// The errors of the store.
    pub async fn remove_worker(&self, id: i64) -> Result<WorkerRecord, StoreError> {
        let removed = self.store().remove_worker(id).await?;
        self.workers.fleet.remove(&removed.device);
        self.access_changed();
        Ok(removed)
    }

    /// The parts of the lab that page sockets use.
    pub fn page_context(&self) -> PageContext {
        PageContext {
            feed: self.feed.clone(),
            subscriptions: self.workers.subscriptions.clone(),
            lab: self.states.clone(),
            presentations: self.presentations.clone(),
            access: self.access.clone(),
        }
    }
}

impl Deref for Lab {
    type Target = LabParts;
    fn deref(&self) -> &LabParts {
        &self.0
    }
}
