//! Diagnosis: the rules of [`research`] read every run as its values are stored.
//!
//! - `watch`: the rules of one run, which return to an earlier step when the run does; `facts`: what they know about it apart from its values,
//!   `non_finite`: values that the journal has instead of the series;
//! - [`crate::runs::remedies`]: what can be done about a finding; [`crate::runs::acts`]: rules that act.
//!
//! Storing reports never waits for the rules: values wait in a bounded channel, and if it is full, the rules read them from the stored series
//! later. The store keeps each decision once, so values may be read again after a restart. What was found is published to pages
//! ([`Hub::publish_findings`](crate::live::hub::Hub::publish_findings)); [`Diagnosis::news`] wakes whoever waits for findings.

mod facts;
mod non_finite;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use research::rules::is_read;
use store::{Recorded, RuleState, StoreError};
use tokio::sync::{Notify, mpsc};
use wire::diagnosis::DiagnosisSettings;
use wire::series::Row;
use wire::transport::link::Report;
use wire::{Event, EventRecord, RunId, RunSummary};

use crate::live::Feed;
use watch::Watch;

/// Batches of values that wait for the rules.
const WAITING: usize = 1_024;

/// The rules of all runs; cloning shares them.
#[derive(Clone)]
pub struct Diagnosis(Arc<Parts>);

struct Parts {
    feed: Feed,
    to_read: mpsc::Sender<Stored>,
    /// Taken by [`Diagnosis::serve`].
    inbox: Mutex<Option<mpsc::Receiver<Stored>>>,
    /// Runs with values that found no room in the channel.
    behind: Mutex<BTreeSet<RunId>>,
    /// The rules of runs that train. Each lock is held while a run is read, so that its values are read in order.
    watches: Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<Option<Watch>>>>>,
    /// The newest sequence number of a finding.
    news: tokio::sync::watch::Sender<u64>,
    /// Wakes the task that carries out what rules decided.
    decided: Notify,
}

/// Reports of a run that were stored.
struct Stored {
    run: RunId,
    rows: Vec<Row>,
    /// Whether its path or its hyperparameters have changed, a value was not finite, or a budget ended it, so that the stored series and the
    /// journal are read again.
    has_changed: bool,
    is_live: bool,
}

impl Diagnosis {
    /// No run is read yet.
    pub fn new(feed: Feed) -> Self {
        let (to_read, inbox) = mpsc::channel(WAITING);
        Self(Arc::new(Parts {
            feed,
            to_read,
            inbox: Mutex::new(Some(inbox)),
            behind: Mutex::default(),
            watches: Mutex::default(),
            news: tokio::sync::watch::Sender::new(0),
            decided: Notify::new(),
        }))
    }

    /// Watches the newest sequence number of a finding. A subscriber keeps the number up to which it has read
    /// [`Store::findings_after`](store::Store::findings_after), so that it misses none and repeats none.
    pub fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// Waits until a rule may have decided to act.
    pub async fn decided(&self) {
        self.0.decided.notified().await;
    }

    /// Wakes the task that carries out what rules decided, as after a decision.
    pub fn decide_again(&self) {
        self.0.decided.notify_one();
    }

    /// Passes stored reports to the rules. Returns at once.
    pub fn stored(&self, run: &RunId, rows: &[Row], events: &[EventRecord], is_live: bool) {
        let is_news =
            |event: &Event| event.is_change() || matches!(event, Event::NonFinite { .. } | Event::BudgetReached { .. });
        let has_changed = events.iter().any(|record| is_news(&record.event));
        let rows: Vec<Row> = rows.iter().filter_map(read_part).collect();
        if rows.is_empty() && !has_changed && is_live {
            return;
        }
        if self.0.to_read.try_send(Stored { run: run.clone(), rows, has_changed, is_live }).is_err() {
            lock(&self.0.behind).insert(run.clone());
        }
    }

    /// The run was taken from its worker, which reports nothing more: the rules store what they know and forget it.
    pub fn taken_from_worker(&self, run: &RunId) {
        self.stored(run, &[], &[], false);
    }

    /// Reads what is stored, until the server ends.
    pub async fn serve(self) {
        let inbox = lock(&self.0.inbox).take();
        let Some(mut inbox) = inbox else { return };
        match self.0.feed.store.last_finding().await {
            Ok(newest) => self.announce(newest),
            Err(error) => tracing::warn!("the newest finding could not be read: {error}"),
        }
        if let Err(error) = self.check_interrupted().await {
            tracing::warn!("the runs whose rules are behind could not be read: {error}");
        }
        while let Some(stored) = inbox.recv().await {
            self.read_or_log(stored).await;
            let behind = std::mem::take(&mut *lock(&self.0.behind));
            for run in behind {
                self.read_or_log(Stored { run, rows: vec![], has_changed: true, is_live: true }).await;
            }
        }
    }

    /// Reads what the rules of an earlier server had not read when it was killed.
    async fn check_interrupted(&self) -> Result<(), StoreError> {
        for run in self.0.feed.store.runs_behind_rules().await? {
            // A run that was purged meanwhile has no summary.
            if let Some(summary) = self.0.feed.store.summary(&run).await? {
                self.check(&summary).await?;
            }
        }
        Ok(())
    }

    async fn read_or_log(&self, stored: Stored) {
        match self.read(&stored).await {
            // A purged run has nothing left to read.
            Ok(()) | Err(StoreError::UnknownRun { .. } | StoreError::RunFolderMissing { .. }) => {}
            Err(error) => tracing::warn!("the rules could not check {}: {error}", stored.run),
        }
    }

    async fn read(&self, Stored { run, rows, has_changed, is_live }: &Stored) -> Result<(), StoreError> {
        let place = self.place(run);
        let mut place = place.lock().await;
        // After an error it is opened again from its stored state.
        let watch = match place.take() {
            Some(mut watch) => {
                match *has_changed || watch.misses_steps_before(rows) {
                    true => self.catch_up(&mut watch).await?,
                    false => self.publish(watch.read(&self.0.feed.store, rows).await?).await?,
                }
                watch
            }
            None => self.open(run).await?,
        };
        // What waited in the channel may be from before the end of the run.
        self.keep_or_save(run, &mut place, watch, *is_live).await
    }

    /// Keeps the rules of a run that is live for its next values; of others it stores the state and forgets them.
    async fn keep_or_save(
        &self,
        run: &RunId,
        place: &mut Option<Watch>,
        mut watch: Watch,
        is_live: bool,
    ) -> Result<(), StoreError> {
        let is_live = is_live && watch.is_live();
        watch.save(&self.0.feed.store, !is_live).await?;
        self.keep(run, place, watch, is_live);
        Ok(())
    }

    /// Keeps the rules of a run that is live, and forgets those of others.
    fn keep(&self, run: &RunId, place: &mut Option<Watch>, watch: Watch, is_live: bool) {
        match is_live {
            true => *place = Some(watch),
            false => self.forget(run),
        }
    }

    /// Lets the rules read what they have not read of a run.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn check(&self, summary: &RunSummary) -> Result<(), StoreError> {
        let (store, run) = (&self.0.feed.store, &summary.id);
        let place = self.place(run);
        let mut place = place.lock().await;
        if place.is_none() {
            if summary.step == 0 {
                self.forget_unless_live(summary);
                return Ok(());
            }
            let record = store.diagnosis(run).await?;
            let path = store.history(run).await?.spans();
            let is_read = |state: &RuleState| state.path == path && is_current(state.checked_step, summary);
            if record.state.as_ref().is_some_and(is_read) {
                self.forget_unless_live(summary);
                return Ok(());
            }
        }
        let watch = match place.take() {
            Some(watch) if is_current(watch.checked_step(), summary) => watch,
            Some(mut watch) => {
                self.catch_up(&mut watch).await?;
                watch
            }
            None => self.open(run).await?,
        };
        self.keep_or_save(run, &mut place, watch, summary.state.is_live()).await
    }

    /// The last step that the rules have read of a run that trains; `None` for others.
    pub async fn checked_step(&self, run: &RunId) -> Option<u64> {
        let place = lock(&self.0.watches).get(run).cloned()?;
        let place = place.lock().await;
        place.as_ref().and_then(Watch::checked_step)
    }

    /// Changes the settings of a run's rules from the next step on; they are valid. `event` makes the event of the change from the settings
    /// before.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn set_rules(
        &self,
        summary: &RunSummary,
        settings: DiagnosisSettings,
        event: impl FnOnce(&DiagnosisSettings) -> Option<Report> + Send,
    ) -> Result<(), StoreError> {
        let (store, run) = (&self.0.feed.store, &summary.id);
        let place = self.place(run);
        let mut place = place.lock().await;
        let mut watch = match place.take() {
            Some(watch) => watch,
            None => self.open(run).await?,
        };
        if let Some((record, summary)) = store.set_rules(run, &settings, event).await? {
            self.0.feed.hub.publish(summary, vec![], vec![record], vec![]);
        }
        let recorded = watch.set_settings(store, settings).await?;
        self.publish(vec![recorded]).await?;
        watch.save(store, true).await?;
        let is_live = summary.state.is_live() && watch.is_live();
        self.keep(run, &mut place, watch, is_live);
        Ok(())
    }

    async fn open(&self, run: &RunId) -> Result<Watch, StoreError> {
        let mut watch = Watch::open(&self.0.feed.store, run).await?;
        self.catch_up(&mut watch).await?;
        Ok(watch)
    }

    async fn catch_up(&self, watch: &mut Watch) -> Result<(), StoreError> {
        let mut rest = watch.follow(&self.0.feed.store).await?;
        while !rest.is_empty() {
            let recorded = watch.catch_up(&self.0.feed.store, &mut rest).await?;
            self.publish(recorded).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Publishes what the rules found, after it is stored.
    pub(crate) async fn publish(&self, recorded: Vec<Recorded>) -> Result<(), StoreError> {
        for Recorded { changed, is_news, summary } in recorded {
            if changed.iter().any(|found| found.action.is_some()) {
                self.0.decided.notify_one();
            }
            // At once: its summary is that of now, and a later one may be published meanwhile.
            self.0.feed.hub.publish_findings(summary, changed);
            if is_news {
                self.announce(self.0.feed.store.last_finding().await?);
            }
        }
        Ok(())
    }

    fn announce(&self, newest: u64) {
        self.0.news.send_if_modified(|known| {
            let is_newer = newest > *known;
            *known = newest.max(*known);
            is_newer
        });
    }

    fn place(&self, run: &RunId) -> Arc<tokio::sync::Mutex<Option<Watch>>> {
        lock(&self.0.watches).entry(run.clone()).or_default().clone()
    }

    fn forget_unless_live(&self, summary: &RunSummary) {
        if !summary.state.is_live() {
            self.forget(&summary.id);
        }
    }

    fn forget(&self, run: &RunId) {
        // Whoever waits for its lock shares the place, which must stay the only one of the run.
        lock(&self.0.watches).retain(|of, place| of != run || Arc::strong_count(place) > 2);
    }
}

/// Whether the rules have read all steps of a run.
fn is_current(checked_step: Option<u64>, summary: &RunSummary) -> bool {
    checked_step.map_or(0, |step| step + 1) >= summary.step
}

/// The values of a row that a rule reads.
fn read_part(row: &Row) -> Option<Row> {
    let values: Vec<_> = row.values.iter().filter(|(name, _)| is_read(name)).cloned().collect();
    (!values.is_empty()).then_some(Row { segment: row.segment, step: row.step, values })
}

/// A panic in another thread leaves the content intact: nothing panics while it is changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
