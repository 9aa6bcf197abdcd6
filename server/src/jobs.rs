//! Long work on the server, as pages follow it: generating, importing, downloading, cutting into tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use wire::CorpusId;
use wire::corpus::{Job, JobState};

use crate::app_state::AppState;
use crate::auth::Viewer;

/// Ended jobs that are still listed.
const KEPT: usize = 30;

/// All jobs of this server's life.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<BTreeMap<u64, Job>>>);

/// The worker's end of one job. Dropped without a word, the job counts as failed.
pub struct JobHandle {
    jobs: Jobs,
    id: u64,
    changed: Box<dyn Fn() + Send + Sync>,
}

impl Jobs {
    /// Begins a job; `changed` is called whenever it moves.
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

    /// All, oldest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().values().cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<Job> {
        self.lock().get(&id).cloned()
    }

    /// The job at work on a text, if any.
    pub fn running_on(&self, corpus: &CorpusId) -> Option<Job> {
        self.lock().values().find(|job| job.state == JobState::Running && job.corpus == *corpus).cloned()
    }

    // A holder of this lock only copies or sets plain values, so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobHandle {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How far it is, in `unit`.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.change(|job| {
            (job.done, job.total) = (done, total);
            if job.unit != unit {
                job.unit = unit.to_owned();
            }
        });
    }

    /// It is done.
    pub fn done(self) {
        self.change(|job| {
            job.state = JobState::Done;
            job.done = job.total.unwrap_or(job.done);
        });
    }

    /// It failed, and why.
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
                job.message = Some("it was broken off; try again".to_owned());
            });
        }
    }
}

/// Long work on the server: what runs, and what ended lately.
#[utoipa::path(get, path = "/jobs", tag = "texts", responses((status = 200, body = Vec<Job>)))]
pub async fn list_jobs(_: Viewer, State(state): State<AppState>) -> Json<Vec<Job>> {
    Json(state.jobs.list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_dropped_has_failed_and_old_ones_go() {
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
