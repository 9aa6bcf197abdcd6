//! What sending alerts shares: settings of e-mail and ntfy, the number of the newest alert, and which channels are being sent to.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use tokio::sync::{Notify, Semaphore};

/// The ntfy server of a lab that names none.
pub const DEFAULT_NTFY: &str = "https://ntfy.sh";
/// Messages that are sent at a time to channels whose last message was accepted, and to the others.
const AT_A_TIME: usize = 8;
/// Time between two tests of one channel of the lab, or of one person.
const TEST_EVERY: Duration = Duration::from_secs(5);
/// Tests that are remembered.
const MOST_TESTED: usize = 1_000;

/// How the connection to an SMTP server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SmtpSecurity {
    /// TLS by the command STARTTLS, without which nothing is sent
    Starttls,
    /// TLS from the start
    Tls,
    /// No encryption: for a server on this machine
    None,
}

impl SmtpSecurity {
    /// The port that servers usually listen on.
    pub fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// The SMTP server by which the lab sends e-mails.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    /// Name and password.
    pub credentials: Option<Credentials>,
    /// The sender of the e-mails.
    pub from: Mailbox,
}

/// Mail server, ntfy server and patience of the lab.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// `None` sends no e-mails.
    pub smtp: Option<SmtpSettings>,
    /// The ntfy server of channels that name none.
    pub ntfy: String,
    /// How long a receiver may take to answer.
    pub answer_within: Duration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self { smtp: None, ntfy: DEFAULT_NTFY.to_owned(), answer_within: Duration::from_secs(15) }
    }
}

/// What the tasks and routes of alerts share.
#[derive(Debug)]
pub struct Alerting {
    newest: Arc<AtomicI64>,
    woken: Notify,
    /// Permits to send a message.
    slots: Arc<Semaphore>,
    /// Permits to send one to a channel in `refusing`: it may take the whole time that a receiver has.
    slow_slots: Arc<Semaphore>,
    /// Channels whose last message was not accepted.
    refusing: Mutex<BTreeSet<i64>>,
    /// Channels to which a message is being sent.
    busy: Mutex<BTreeSet<i64>>,
    /// Last tests, by person or else by channel.
    tested: Mutex<HashMap<(Option<i64>, i64), Instant>>,
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            newest: Arc::default(),
            woken: Notify::new(),
            slots: Arc::new(Semaphore::new(AT_A_TIME)),
            slow_slots: Arc::new(Semaphore::new(AT_A_TIME)),
            refusing: Mutex::default(),
            busy: Mutex::default(),
            tested: Mutex::default(),
        }
    }
}

impl Alerting {
    /// Number of the newest alert, for the live message.
    pub fn newest(&self) -> Arc<AtomicI64> {
        self.newest.clone()
    }

    /// Notes the number of the newest alert.
    pub fn set_newest(&self, newest: i64) {
        self.newest.fetch_max(newest, Ordering::Relaxed);
    }

    /// Lets the outbox look for messages now.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Waits for [`Self::wake`].
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Channels to which a message is being sent.
    pub fn busy(&self) -> Vec<i64> {
        lock(&self.busy).iter().copied().collect()
    }

    /// Marks a channel as busy; false if it is.
    pub fn begin(&self, channel: i64) -> bool {
        lock(&self.busy).insert(channel)
    }

    /// Ends [`Self::begin`].
    pub fn end(&self, channel: i64) {
        lock(&self.busy).remove(&channel);
    }

    /// Permits to send a message to a channel.
    pub fn slots_of(&self, channel: i64) -> Arc<Semaphore> {
        if lock(&self.refusing).contains(&channel) { self.slow_slots.clone() } else { self.slots.clone() }
    }

    /// Notes whether the last message of a channel was accepted.
    pub fn note_attempt(&self, channel: i64, is_accepted: bool) {
        let mut refusing = lock(&self.refusing);
        if is_accepted {
            refusing.remove(&channel);
        } else {
            refusing.insert(channel);
        }
    }

    /// Whether a channel may be tested now; at most once in 5 s, so that the button is no means to flood a receiver. The channels of a
    /// person count as one: a channel can be deleted and created again.
    pub fn may_test(&self, person: Option<i64>, channel: i64) -> bool {
        let key = if person.is_some() { (person, 0) } else { (None, channel) };
        let (now, mut tested) = (Instant::now(), lock(&self.tested));
        if tested.len() >= MOST_TESTED {
            tested.retain(|_, at| now.duration_since(*at) < TEST_EVERY);
        }
        let is_early = tested.get(&key).is_some_and(|at| now.duration_since(*at) < TEST_EVERY);
        if !is_early {
            tested.insert(key, now);
        }
        !is_early
    }
}

// Plain values are consistent also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
