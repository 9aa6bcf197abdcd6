//! What the rules find in a run while it trains without a server, one line each.

use store::{Ingested, Store, StoreError};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use wire::RunId;
use wire::diagnosis::RunFinding;
use wire::number::grouped;

use crate::cli::progress_bar::Bar;
use crate::live::Feed;
use crate::live::diagnosis::Diagnosis;

/// Findings printed at a time.
const AT_ONCE: u32 = 100;

/// The rules of the run that trains in this process.
pub(super) struct Findings {
    store: Store,
    run: RunId,
    rules: Diagnosis,
    task: JoinHandle<()>,
    news: Receiver<u64>,
    /// Sequence number of the last finding that was printed.
    printed: u64,
}

impl Findings {
    pub(super) async fn begin(store: &Store, run: &RunId) -> Result<Self, StoreError> {
        let rules = Diagnosis::new(Feed::new(store.clone()));
        let printed = store.last_finding().await?;
        let (news, task) = (rules.news(), tokio::spawn(rules.clone().serve()));
        Ok(Self { store: store.clone(), run: run.clone(), rules, task, news, printed })
    }

    /// Passes stored reports to the rules, and prints what they have found so far. Returns whether that was something new.
    pub(super) async fn stored(&mut self, ingested: &Ingested, bar: &Bar) -> bool {
        self.rules.stored(&self.run, &ingested.rows, &ingested.events, true);
        let has_news = matches!(self.news.has_changed(), Ok(true));
        if has_news {
            let printed = self.print(bar).await;
            note_error(printed, bar);
        }
        has_news
    }

    /// Waits until the rules have read the whole run, and prints the rest.
    pub(super) async fn end(mut self, bar: &Bar) {
        let printed = self.read_rest(bar).await;
        self.task.abort();
        note_error(printed, bar);
    }

    async fn read_rest(&mut self, bar: &Bar) -> Result<(), StoreError> {
        if let Some(summary) = self.store.summary(&self.run).await? {
            self.rules.check(&summary).await?;
        }
        self.print(bar).await
    }

    async fn print(&mut self, bar: &Bar) -> Result<(), StoreError> {
        self.news.mark_unchanged();
        loop {
            let found = self.store.findings_after(self.printed, AT_ONCE).await?;
            let Some(last) = found.last() else { return Ok(()) };
            self.printed = last.sequence;
            found.iter().filter(|stored| stored.run == self.run).for_each(|stored| bar.print(&line(&stored.found)));
        }
    }
}

/// An error of the rules does not end the training, whose values are stored.
fn note_error(printed: Result<(), StoreError>, bar: &Bar) {
    if let Err(error) = printed {
        bar.print(&format!("the rules could not check the run: {error}"));
    }
}

/// `step 412: alert, Loss spike: The training loss of step 412 is ...`
fn line(RunFinding { finding, label, text, .. }: &RunFinding) -> String {
    format!("step {}: {}, {label}: {text}", grouped(finding.step), finding.level.word())
}
