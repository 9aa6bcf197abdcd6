//! The reports of several runs in one transaction. A commit waits some milliseconds for the disk, however much it holds, and commits wait for
//! each other. So the reports that arrive during one commit are stored together by the next, and 50 runs that report at once need few more
//! commits than one.

use std::mem::forget;

use tokio::sync::oneshot;

use crate::commit_queue::Waiting;
use crate::database::{Change, commit};
use crate::error::StoreError;
use crate::reports::{Committed, NewReports, Stored};
use crate::store::Store;

impl Store {
    /// Stores reports in the next transaction: all of them or, after an error, none, also when the caller no longer waits.
    pub(crate) async fn commit_reports(&self, reports: NewReports) -> Result<Committed, StoreError> {
        let run = reports.run.clone();
        let (answer, answered) = oneshot::channel();
        if self.commit_queue().add(reports, answer) {
            tokio::spawn(self.clone().commit_waiting());
        }
        answered.await.map_err(|_| StoreError::NotCommitted { run })?
    }

    /// Stores reports until none wait.
    async fn commit_waiting(self) {
        let end = EndOfTask(&self);
        while self.commit_queue().has_waiting() {
            // The transaction first, so that reports that arrive while it waits for another one are part of it.
            let transaction = self.database().write().await;
            let group = self.commit_queue().next_group();
            match transaction {
                Ok(transaction) => self.commit_group(transaction, group).await,
                Err(error) => refuse_all(error, group),
            }
        }
        forget(end);
    }

    async fn commit_group(&self, transaction: Change, group: Vec<Waiting>) {
        match self.store_group(transaction, &group).await {
            Ok(stored) => answer_all(group, stored),
            Err(error) => self.commit_one_by_one(error, group).await,
        }
    }

    /// What each of them has changed. A run that does not exist does not keep the others from being stored.
    async fn store_group(
        &self,
        mut transaction: Change,
        group: &[Waiting],
    ) -> Result<Vec<Result<Stored, StoreError>>, StoreError> {
        let mut stored = Vec::with_capacity(group.len());
        for (reports, _) in group {
            stored.push(match self.store_reports(&mut transaction, reports).await {
                Err(error) if !matches!(error, StoreError::UnknownRun { .. }) => return Err(error),
                stored => stored,
            });
        }
        commit(transaction).await?;
        Ok(stored)
    }

    /// After a group failed: the fault of one run does not keep the others from being stored, and each is answered its own error.
    async fn commit_one_by_one(&self, error: StoreError, group: Vec<Waiting>) {
        if group.len() == 1 {
            return refuse_all(error, group);
        }
        let mut waiting = group.into_iter();
        while let Some((reports, answer)) = waiting.next() {
            match self.database().write().await {
                // The caller may have stopped waiting.
                Ok(transaction) => drop(answer.send(self.commit_alone(transaction, reports).await)),
                Err(error) => return refuse_all(error, std::iter::once((reports, answer)).chain(waiting)),
            }
        }
    }

    async fn commit_alone(&self, mut transaction: Change, reports: NewReports) -> Result<Committed, StoreError> {
        let stored = self.store_reports(&mut transaction, &reports).await?;
        commit(transaction).await?;
        Ok(reports.committed(stored))
    }
}

/// Answers that nothing was stored: the first with the reason. A transaction that does not begin takes a minute to fail, so it is not tried once
/// for each of them.
fn refuse_all(error: StoreError, waiting: impl IntoIterator<Item = Waiting>) {
    let mut reason = Some(error);
    for (reports, answer) in waiting {
        let error = reason.take().unwrap_or_else(|| StoreError::NotCommitted { run: reports.run.clone() });
        // The caller may have stopped waiting.
        let _ = answer.send(Err(error));
    }
}

fn answer_all(group: Vec<Waiting>, stored: Vec<Result<Stored, StoreError>>) {
    for ((reports, answer), stored) in group.into_iter().zip(stored) {
        // The caller may have stopped waiting.
        let _ = answer.send(stored.map(|stored| reports.committed(stored)));
    }
}

/// Dropped when the task ends by a panic or with the runtime.
struct EndOfTask<'a>(&'a Store);

impl Drop for EndOfTask<'_> {
    fn drop(&mut self) {
        self.0.commit_queue().abandon();
    }
}
