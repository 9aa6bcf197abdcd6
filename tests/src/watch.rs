//! Runs: started, steered, waited for; their series and journals.

use serde_json::{Value, json};
use wire::data::corpus::CorpusInfo;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::series::SeriesWindow;
use wire::{EventRecord, RunState, RunSummary, RunView};

use crate::client::Client;
use crate::text::sentences;
use crate::wait_or;

/// A model so small that a step takes about a millisecond.
pub fn speck(corpus: &str, steps: u64) -> Value {
    json!({
        "preset": "tiny", "corpus": corpus, "steps": steps,
        "overrides": {
            "model.layers": 1, "model.heads": 2, "model.kv_heads": 2, "model.d_model": 16, "model.d_ff": 32, "model.seq": 16,
            "batch.size": 2, "intervals.eval_every": 100, "intervals.eval_batches": 2, "intervals.sample_every": 0, "intervals.sample_tokens": 20,
        },
    })
}

/// A spec with overrides.
pub fn with(mut spec: Value, overrides: &[(&str, Value)]) -> Value {
    for (path, value) in overrides {
        spec["overrides"][*path] = value.clone();
    }
    spec
}

/// A spec with breakpoints.
pub fn with_breakpoints(spec: &Value, steps: &[u64]) -> Value {
    with(spec.clone(), &[("breakpoints", json!(steps))])
}

impl Client {
    /// Uploads a small dataset; returns its id.
    pub fn add_corpus(&self, name: &str) -> String {
        let info: CorpusInfo = self.upload(&format!("name={name}"), sentences(1, 30_000).as_bytes()).read();
        info.id.to_string()
    }

    /// Creates a run; returns its id.
    pub fn start_run(&self, spec: &Value) -> String {
        let view: RunView = self.post("/runs", spec).read();
        view.summary.id.to_string()
    }

    /// The entry of a run.
    pub fn summary(&self, run: &str) -> RunSummary {
        self.get(&format!("/runs/{run}")).read::<RunView>().summary
    }

    /// Waits until a run meets a condition.
    pub fn wait_until(&self, run: &str, secs: u64, what: &str, is_met: impl Fn(&RunSummary) -> bool) -> RunSummary {
        let check = || Some(self.summary(run)).filter(&is_met);
        wait_or(secs, check, |waited| {
            let RunSummary { id, state, step, message, .. } = self.summary(run);
            panic!("waited {waited} s for {what}: {id} is {state:?} at step {step} ({message:?})")
        })
    }

    /// Waits until a run is in this state.
    pub fn wait_state(&self, run: &str, secs: u64, state: RunState) -> RunSummary {
        self.wait_until(run, secs, &format!("{state:?}"), |summary| summary.state == state)
    }

    /// Waits until a run has done this many steps.
    pub fn wait_step(&self, run: &str, secs: u64, step: u64) -> RunSummary {
        self.wait_until(run, secs, &format!("step {step}"), |summary| summary.step >= step)
    }

    /// Sends a command to a run; returns its event.
    pub fn steer(&self, run: &str, command: &Value) -> EventRecord {
        self.post(&format!("/runs/{run}/commands"), command).read()
    }

    /// The whole journal of a run; its numbers must be consecutive from 1.
    pub fn journal(&self, run: &str) -> Vec<EventRecord> {
        let events: Vec<EventRecord> = self.get(&format!("/runs/{run}/events")).read();
        let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "the journal of {run}");
        events
    }

    /// Every point of a series as (step, value).
    pub fn curve(&self, run: &str, name: &str) -> Vec<(u64, f64)> {
        self.points(run, name, None)
    }

    fn points(&self, run: &str, name: &str, segment: Option<u32>) -> Vec<(u64, f64)> {
        let mut points: Vec<(u64, f64)> = vec![];
        let mut from = 0;
        loop {
            // Windows short enough that every point has its own bucket; many series have gaps, none as long as this.
            let path = format!("/runs/{run}/series?names={name}&from={from}&to={}&points=5000", from + 3999);
            let windows: Vec<SeriesWindow> = self.get_exact(&path);
            let windows = windows.into_iter().filter(|window| segment.is_none_or(|only| window.segment == only));
            let buckets = windows.flat_map(|window| {
                assert!(window.is_exact, "{path}");
                window.buckets
            });
            let before = points.len();
            points.extend(buckets.map(|bucket| (bucket.step, bucket.mean)));
            from += 4000;
            let is_far = self.summary(run).step < from;
            if points.len() == before && is_far {
                return points;
            }
        }
    }

    /// Every point of a series on the run's path, through its parents, without abandoned segments.
    pub fn path_curve(&self, run: &str, name: &str) -> Vec<(u64, f64)> {
        let view: RunView = self.get(&format!("/runs/{run}")).read();
        let spans = view.lineage.iter();
        spans
            .flat_map(|span| {
                let points = self.segment_curve(span.run.as_str(), name, span.segment);
                let is_on_it = |step: u64| step >= span.from_step && span.to_step.is_none_or(|to| step < to);
                points.into_iter().filter(move |(step, _)| is_on_it(*step))
            })
            .collect()
    }

    /// Every point of a series in one segment of the run's history.
    pub fn segment_curve(&self, run: &str, name: &str, segment: u32) -> Vec<(u64, f64)> {
        self.points(run, name, Some(segment))
    }

    /// Steps on the run's path that have snapshots.
    pub fn snapshot_steps(&self, run: &str) -> Vec<u64> {
        self.get(&format!("/runs/{run}/snapshots/steps")).read()
    }

    /// The snapshots of one inspection along a run's path, exactly.
    pub fn snapshots(&self, run: &str, inspection: &Inspection) -> Vec<InspectionUpdate> {
        let encoded: String = inspection.key().bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.get_exact(&format!("/runs/{run}/snapshots?inspection={encoded}"))
    }

    /// Waits until a run is paused at this step.
    pub fn wait_paused_at(&self, run: &str, step: u64) -> RunSummary {
        let is_paused = |run: &RunSummary| run.step == step && run.state == RunState::Paused;
        self.wait_until(run, 60, &format!("a pause at {step}"), is_paused)
    }

    /// Trains a paused run up to `step`.
    pub fn step_to(&self, run: &str, step: u64) {
        let here = self.wait_state(run, 20, RunState::Paused).step;
        self.steer(run, &json!({"kind": "step", "steps": step - here}));
        self.wait_paused_at(run, step);
    }

    /// Checks that a series has each step from 0 up exactly once.
    pub fn check_complete(&self, run: &str, name: &str, steps: u64) {
        let got: Vec<u64> = self.curve(run, name).into_iter().map(|(step, _)| step).collect();
        let wrong = got.iter().zip(0..).find(|(step, expected)| **step != *expected);
        assert!(
            wrong.is_none() && got.len() as u64 == steps,
            "{name} of {run}: {} points for {steps} steps, first wrong: {wrong:?}",
            got.len()
        );
    }
}

/// The kind of an event as JSON names it: `paused`, `changed`.
pub fn kind(record: &EventRecord) -> String {
    serde_json::to_value(&record.event).unwrap()["kind"].as_str().unwrap_or_default().to_owned()
}

/// Number of events of a kind in a journal.
pub fn count(journal: &[EventRecord], wanted: &str) -> usize {
    journal.iter().filter(|record| kind(record) == wanted).count()
}
