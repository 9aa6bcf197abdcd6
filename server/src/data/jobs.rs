//! Long work on the server, as pages follow it: generating, importing, downloading, tokenizing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::CorpusId;
use wire::data::corpus::{Job, JobState};

/// Ended jobs that are still listed.
const KEPT: usize = 30;

/// The jobs of this server; cloning shares them.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<BTreeMap<u64, Job>>>);

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
        corpus: CorpusId,
        unit: &str,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> JobHandle {
        let mut jobs = self.lock();
        let id = jobs.keys().next_back().map_or(1, |last| last + 1);
        let over: Vec<u64> = jobs.values().filter(|job| job.state != JobState::Running).map(|job| job.id).collect();
        over.iter().take(over.len().saturating_sub(KEPT)).for_each(|id| drop(jobs.remove(id)));
        let job =
            Job { id, title, corpus, done: 0, total: None, unit: unit.into(), state: JobState::Running, message: None };
        jobs.insert(id, job);
        drop(jobs);
        changed();
        JobHandle { jobs: self.clone(), id, changed: Box::new(changed) }
    }

    /// All jobs, oldest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().values().cloned().collect()
    }

    /// One job.
    pub fn get(&self, id: u64) -> Option<Job> {
        self.lock().get(&id).cloned()
    }

    /// The running job on a dataset.
    pub fn running_on(&self, corpus: &CorpusId) -> Option<Job> {
        self.lock().values().find(|job| job.state == JobState::Running && job.corpus == *corpus).cloned()
    }

    // Code that holds this lock only copies or sets plain values, so the map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
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

    /// Ends the job as done.
    pub fn done(self) {
        self.change(|job| {
            job.state = JobState::Done;
            job.done = job.total.unwrap_or(job.done);
        });
    }

    /// Ends the job as failed; `message` says why.
    pub fn failed(self, message: impl Into<String>) {
        let message = message.into();
        self.change(|job| {
            job.state = JobState::Failed;
            job.message = Some(message);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.lock().get_mut(&self.id) {
            change(job);
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
    fn a_dropped_job_has_failed_and_only_recent_jobs_are_listed() {
        let jobs = Jobs::default();
        let tales: CorpusId = "tales".parse().unwrap();
        drop(jobs.begin("a".into(), tales.clone(), "bytes", || ()));
        assert_eq!(jobs.get(1).unwrap().state, JobState::Failed);
        let running = jobs.begin("b".into(), tales.clone(), "bytes", || ());
        running.progress(3, Some(9), "documents");
        assert_eq!(jobs.running_on(&tales).map(|job| (job.done, job.unit)), Some((3, "documents".into())));
        (0..100).for_each(|_| jobs.begin("c".into(), tales.clone(), "bytes", || ()).done());
        assert!(jobs.list().len() <= KEPT + 2 && jobs.get(running.id()).is_some());
    }
}
