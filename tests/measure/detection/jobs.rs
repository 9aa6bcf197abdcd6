//! All runs of a part: which there are, and training them in parallel. A run whose file exists is skipped.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use wire::control::command::Command;

use crate::configuration::{self, Configuration};
use crate::fault::{self, Fault};
use crate::plant::Edit;
use crate::{Outcome, TrainOptions, datasets, training};

/// A run to train.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) configuration: Configuration,
    pub(crate) fault: Option<&'static Fault>,
    /// Number among the runs of the fault.
    number: usize,
    pub(crate) seed: u64,
}

impl Job {
    pub(crate) fn name(&self) -> String {
        let fault = self.fault.map_or("healthy", |fault| fault.name);
        format!("{fault}.{}.{}", self.configuration.name, self.seed)
    }

    /// Step from which on the fault is there; 0 for a healthy run.
    pub(crate) fn fault_step(&self) -> u64 {
        self.fault.map_or(0, |fault| fault.step(self.number, self.configuration.steps))
    }

    pub(crate) fn edits(&self) -> Vec<(u64, Edit)> {
        self.fault.map(|fault| fault.edits(self.number, self.configuration.steps)).unwrap_or_default()
    }

    pub(crate) fn commands(&self, steps: u64, learning_rate: f64) -> Vec<(u64, Command)> {
        self.fault.map(|fault| fault.commands(self.number, steps, learning_rate)).unwrap_or_default()
    }
}

/// Healthy runs of every configuration with every seed, and five runs of each fault; ordered by seed, so that the time of the first runs
/// tells that of the rest.
fn all(options: &TrainOptions) -> Vec<Job> {
    let healthy = |seed| configuration::ALL.map(|configuration| Job { configuration, fault: None, number: 0, seed });
    let planted = fault::runs(options.seeds.clone()).map(|(fault, number, seed)| Job {
        configuration: fault.configuration(number),
        fault: Some(fault),
        number,
        seed,
    });
    let mut jobs: Vec<Job> = options.seeds.clone().flat_map(healthy).chain(planted).collect();
    jobs.retain(|job| options.only.as_ref().is_none_or(|part| job.name().contains(part)));
    jobs.sort_by_key(|job| job.seed);
    jobs
}

/// Trains the runs of a part that have no file yet.
pub(crate) fn train(folder: &Path, options: &TrainOptions) -> Outcome<()> {
    let (corpora, runs) = (datasets::make(folder, options.part)?, options.part.folder(folder));
    let file = |job: &Job| runs.join(format!("{}.jsonl", job.name()));
    let all = all(options);
    let jobs: Vec<Job> = all.iter().filter(|job| !file(job).exists()).copied().collect();
    println!("{} of {} runs are to be trained", jobs.len(), all.len());
    jobs.iter().try_for_each(|job| training::prepare_all(job, &corpora))?;
    let work = |job: &Job| training::train(job, &corpora)?.write(&file(job));
    in_parallel(&jobs, options.threads, &work)
}

/// Does the work of all jobs on some threads. Prints each that is done, and how long the rest will take.
fn in_parallel(jobs: &[Job], threads: usize, work: &(dyn Fn(&Job) -> Outcome<()> + Sync)) -> Outcome<()> {
    let (next, done, began) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    // The first error; all threads end after it.
    let failed = Mutex::new(None);
    let has_failed = || failed.lock().is_ok_and(|failed| failed.is_some());
    let one = |job: &Job| {
        if let Err(error) = work(job) {
            if let Ok(mut failed) = failed.lock() {
                failed.get_or_insert(format!("{}: {error}", job.name()));
            }
            return;
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let secs = began.elapsed().as_secs_f64();
        let left = secs / done as f64 * (jobs.len() - done) as f64;
        println!("{done} of {}, {:.0} min left: {}", jobs.len(), left / 60.0, job.name());
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !has_failed()) {
                    one(job);
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error.into()),
        Err(_) => Err("a run panicked".into()),
    }
}
