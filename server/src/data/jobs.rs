//! Long work on the server, as pages follow it: generating, importing, downloading, tokenizing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::data::corpus::{Job, JobState};
use wire::{CorpusId, RunId};

/// Ended jobs that are still listed.
const KEPT: usize = 30;

/// The jobs of this server; cloning shares them.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<BTreeMap<u64, Listed>>>);

struct Listed {
    job: Job,
    /// Its work ends at the next report of progress, and it is no longer listed then.
    is_cancelled: bool,
}

/// Reports the progress of one job. A job whose handle is dropped before it is done has failed.
pub struct JobHandle {
    jobs: Jobs,
    id: u64,
    changed: Box<dyn Fn() + Send + Sync>,
}

impl Jobs {
    /// Begins a job; `changed` is called at each change.
    pub fn begin(
        &self,
        title: String,
        corpus: Option<CorpusId>,
        project: Option<String>,
        unit: &str,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> JobHandle {
        let mut jobs = self.lock();
        let id = jobs.keys().next_back().map_or(1, |last| last + 1);
        let is_over = |listed: &&Listed| listed.job.state != JobState::Running;
        let over: Vec<u64> = jobs.values().filter(is_over).map(|listed| listed.job.id).collect();
        over.iter().take(over.len().saturating_sub(KEPT)).for_each(|id| drop(jobs.remove(id)));
        let (unit, state) = (unit.to_owned(), JobState::Running);
        let job = Job { id, title, corpus, project, run: None, done: 0, total: None, unit, state, message: None };
        jobs.insert(id, Listed { job, is_cancelled: false });
        drop(jobs);
        changed();
        JobHandle { jobs: self.clone(), id, changed: Box::new(changed) }
    }

    /// All jobs, oldest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().values().map(|listed| listed.job.clone()).collect()
    }

    /// One job.
    pub fn get(&self, id: u64) -> Option<Job> {
        self.lock().get(&id).map(|listed| listed.job.clone())
    }

    /// The running job on a dataset.
    pub fn running_on(&self, corpus: &CorpusId) -> Option<Job> {
        let is_on = |job: &&Job| job.state == JobState::Running && job.corpus.as_ref() == Some(corpus);
        self.lock().values().map(|listed| &listed.job).find(is_on).cloned()
    }

    /// Cancels a running job, or removes an ended one from the list; whether there was one.
    pub fn remove(&self, id: u64) -> bool {
        let mut jobs = self.lock();
        match jobs.get_mut(&id) {
            Some(listed) if listed.job.state == JobState::Running => listed.is_cancelled = true,
            Some(_) => drop(jobs.remove(&id)),
            None => return false,
        }
        true
    }

    // Code that holds this lock only copies or sets plain values, so the map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Listed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobHandle {
    /// Number of the job.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sets the progress, in `unit`.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.change(|job| {
            (job.done, job.total) = (done, total);
            if job.unit != unit {
                job.unit = unit.to_owned();
            }
        });
    }

    /// Whether the job was cancelled: its work should end.
    pub fn is_cancelled(&self) -> bool {
        self.jobs.lock().get(&self.id).is_none_or(|listed| listed.is_cancelled)
    }

    /// Ends the import of a model as done.
    pub fn imported(self, run: RunId) {
        self.change(|job| job.run = Some(run));
        self.done();
    }

    /// Ends the job as done.
    pub fn done(self) {
        self.change(|job| {
            job.state = JobState::Done;
            job.done = job.total.unwrap_or(job.done);
        });
    }

    /// Ends the job as failed; `message` says why. A cancelled job is no longer listed.
    pub fn failed(self, message: impl Into<String>) {
        if self.is_cancelled() {
            self.jobs.lock().remove(&self.id);
            return (self.changed)();
        }
        let message = message.into();
        self.change(|job| {
            job.state = JobState::Failed;
            job.message = Some(message);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Job)) {
        if let Some(listed) = self.jobs.lock().get_mut(&self.id) {
            change(&mut listed.job);
        }
        (self.changed)();
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        if self.jobs.get(self.id).is_some_and(|job| job.state == JobState::Running) {
            self.change(|job| {
                job.state = JobState::Failed;
                job.message = Some("the job was interrupted; try again".to_owned());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_job_ends_and_is_not_listed_any_more() {
        let jobs = Jobs::default();
        let job = jobs.begin("a".into(), None, None, "bytes", || ());
        let id = job.id();
        assert!(!job.is_cancelled() && jobs.remove(id) && job.is_cancelled());
        assert!(jobs.get(id).is_some(), "it is listed until its work has ended");
        job.failed("cancelled");
        assert!(jobs.get(id).is_none() && !jobs.remove(id));
        let failed = jobs.begin("b".into(), None, None, "bytes", || ());
        let id = failed.id();
        failed.failed("the disk is full");
        assert!(jobs.remove(id) && jobs.list().is_empty(), "an ended job is removed from the list");
    }

    #[test]
    fn a_dropped_job_has_failed_and_only_recent_jobs_are_listed() {
        let jobs = Jobs::default();
        let tales: CorpusId = "tales".parse().unwrap();
        drop(jobs.begin("a".into(), Some(tales.clone()), None, "bytes", || ()));
        assert_eq!(jobs.get(1).unwrap().state, JobState::Failed);
        let running = jobs.begin("b".into(), Some(tales.clone()), None, "bytes", || ());
        running.progress(3, Some(9), "documents");
        assert_eq!(jobs.running_on(&tales).map(|job| (job.done, job.unit)), Some((3, "documents".into())));
        (0..100).for_each(|_| jobs.begin("c".into(), Some(tales.clone()), None, "bytes", || ()).done());
        assert!(jobs.list().len() <= KEPT + 2 && jobs.get(running.id()).is_some());
    }
}
