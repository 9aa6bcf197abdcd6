//! Inspections while a run trains: the requested ones, at most twice a second and within a fraction of the training time, and the
//! snapshots that are kept with the run at steps spread over doublings. Inspections run between two steps and only read the state. A
//! failed inspection is reported, and the run continues. Replayed steps are not inspected. Each snapshot and each evaluation also gives the
//! metrics of attention and MLPs that diagnosis reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wire::inspect::request::{self, Inspection};
use wire::inspect::result::InspectionResult;
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::series::Row;

use super::{Reporter, Session};
use crate::device::replicas::panic_message;
use crate::error::{EngineError, InspectError};
use crate::inspect::{Inspector, Subject, snapshot};
use crate::optim::gpu_stats::GpuStats;
use crate::train::trainer::millis;

/// Minimum time between two results of one inspection.
const INTERVAL: Duration = Duration::from_millis(500);
/// Maximum fraction of the training time that inspections may use.
const MAX_FRACTION: f64 = 0.05;

/// A state in a run's history: segment and steps done.
type StateId = (u32, u64);
/// Values by series.
type Metrics = Vec<(String, f64)>;

/// The requested inspections, and the newest snapshot.
#[derive(Default)]
pub(super) struct InspectionSchedule {
    requested: Vec<Requested>,
    /// Index at which the round-robin search for the next due inspection starts.
    next: usize,
    /// Time from which inspections may run again, by their budget.
    free_at: Option<Instant>,
    /// The newest state that has a snapshot.
    snapshot_of: Option<StateId>,
    /// The newest state whose metrics for diagnosis are reported.
    metrics_of: Option<StateId>,
    /// Time of inspections that no step has reported yet, ms.
    unreported_ms: f64,
}

/// A requested inspection.
struct Requested {
    inspection: Inspection,
    taken_at: Option<Instant>,
    /// The state of its newest result.
    state: Option<StateId>,
    cost_ms: f64,
    /// The failure that was reported.
    failure: Option<String>,
}

impl InspectionSchedule {
    /// Replaces the requests. All are computed again, because a page that has just connected has no result yet.
    fn request(&mut self, inspections: Vec<Inspection>) {
        let mut before = std::mem::take(&mut self.requested);
        let keep = |inspection: Inspection| match before.iter().position(|known| known.inspection == inspection) {
            Some(at) => Requested { state: None, failure: None, ..before.swap_remove(at) },
            None => Requested { inspection, taken_at: None, state: None, cost_ms: 0.0, failure: None },
        };
        self.requested = inspections.into_iter().map(keep).collect();
        self.next = 0;
    }

    /// Index of the next due inspection. While the run is paused, any without a result of this state is due; otherwise interval and budget
    /// decide.
    fn due(&self, state: StateId, is_paused: bool) -> Option<usize> {
        let now = Instant::now();
        let count = self.requested.len();
        let is_due = |requested: &Requested| {
            let is_new = requested.state != Some(state);
            is_new && (is_paused || requested.taken_at.is_none_or(|at| now - at >= INTERVAL))
        };
        if !is_paused && self.free_at.is_some_and(|at| now < at) {
            return None;
        }
        (0..count).map(|i| (self.next + i) % count).find(|i| is_due(&self.requested[*i]))
    }

    /// The current overhead of the requested inspections.
    fn overhead(&self, cost_ms: f64) -> InspectionOverhead {
        let all: f64 = self.requested.iter().map(|requested| requested.cost_ms).sum();
        let every_ms = (all / MAX_FRACTION).max(INTERVAL.as_secs_f64() * 1000.0);
        InspectionOverhead { cost_ms, every_ms, share: all / every_ms }
    }

    /// Records an inspection. The next one may start when its cost is within the budget again.
    fn record(&mut self, at: usize, state: StateId, began: Instant, cost_ms: f64) {
        let wait_ms = cost_ms / MAX_FRACTION - cost_ms;
        self.free_at = Some(Instant::now() + Duration::from_secs_f64(wait_ms / 1000.0));
        self.next = at + 1;
        self.unreported_ms += cost_ms;
        let requested = &mut self.requested[at];
        (requested.taken_at, requested.state, requested.cost_ms) = (Some(began), Some(state), cost_ms);
    }

    /// Marks a state whose snapshot another segment has.
    pub(super) fn skip_snapshot(&mut self, state: StateId) {
        self.snapshot_of = Some(state);
    }

    /// Requires a new result of every request, because the state changed without a step.
    pub(super) fn state_changed(&mut self) {
        self.requested.iter_mut().for_each(|requested| requested.state = None);
    }

    /// Time of inspections since the last call, ms.
    pub(super) fn take_unreported_ms(&mut self) -> f64 {
        std::mem::take(&mut self.unreported_ms)
    }
}

impl Session {
    /// Takes the snapshot and the requested inspections that are due for this state.
    pub(super) fn inspect(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        if let Some(inspections) = out.requested_inspections() {
            self.inspections.request(inspections);
        }
        if self.replay.catching_up(self.steps()).is_some() {
            return Ok(());
        }
        if request::is_snapshot_step(self.steps()) {
            self.take_snapshot(out)?;
        }
        let state = (self.segment, self.steps());
        while let Some(at) = self.inspections.due(state, self.is_paused) {
            self.read_steps(out)?;
            self.answer_inspection(at, state, out);
        }
        Ok(())
    }

    fn answer_inspection(&mut self, at: usize, state: StateId, out: &mut dyn Reporter) {
        let began = Instant::now();
        let inspection = self.inspections.requested[at].inspection.clone();
        let result = inspect_catching_panics(&Inspector::new(self.subject()), &inspection);
        let cost_ms = millis(began);
        self.inspections.record(at, state, began, cost_ms);
        self.count_inspection(cost_ms);
        let (segment, step) = state;
        match result {
            Ok(result) => {
                self.inspections.requested[at].failure = None;
                let overhead = self.inspections.overhead(cost_ms);
                out.inspection(InspectionUpdate::Result { step, segment, inspection, result, overhead });
            }
            Err(error) => {
                let message = error.to_string();
                // A failure is reported once, even if the inspection is tried repeatedly.
                if self.inspections.requested[at].failure.as_ref() != Some(&message) {
                    self.inspections.requested[at].failure = Some(message.clone());
                    out.inspection(InspectionUpdate::Failed { step, inspection, message });
                }
            }
        }
    }

    /// Takes the snapshot of this state, unless the run keeps no snapshots or already has this one.
    pub(super) fn take_snapshot(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let (segment, step) = (self.segment, self.steps());
        let is_kept = self.trainer.plan.recipe.retention.snapshots_mb > 0;
        if !is_kept || self.inspections.snapshot_of == Some((segment, step)) {
            return Ok(());
        }
        self.read_steps(out)?;
        let began = Instant::now();
        let (results, metrics) = self.snapshot_results();
        let updates: Vec<InspectionUpdate> = results
            .into_iter()
            .map(|(inspection, result, cost_ms)| {
                let overhead = InspectionOverhead { cost_ms, ..InspectionOverhead::default() };
                InspectionUpdate::Result { step, segment, inspection, result, overhead }
            })
            .collect();
        self.inspections.snapshot_of = Some((segment, step));
        self.inspections.unreported_ms += millis(began);
        self.count_inspection(millis(began));
        updates.into_iter().for_each(|update| out.snapshot(update));
        self.report_metrics(metrics, out);
        Ok(())
    }

    /// The results of a snapshot, each with its cost in ms, and the metrics for diagnosis, which read the same activations. On the CPU,
    /// inspections of weights and of text run in parallel on the threads of the replicas.
    fn snapshot_results(&self) -> (Vec<(Inspection, InspectionResult, f64)>, Metrics) {
        let subject = self.subject();
        let inspections = request::snapshot_inspections(self.trainer.plan.recipe.model.layers);
        let with_metrics = |inspections| {
            let inspector = Inspector::new(subject);
            (inspect_all(&inspector, inspections), metrics_of(&inspector))
        };
        let Some(replicas) = &self.trainer.replicas else { return with_metrics(inspections) };
        let (of_text, of_weights) = inspections.into_iter().partition(|inspection| inspection.text().is_some());
        let ((mut results, metrics), of_weights) =
            replicas.both(|| with_metrics(of_text), || inspect_all(&Inspector::new(subject), of_weights));
        results.extend(of_weights);
        (results, metrics)
    }

    /// Measures the metrics for diagnosis with an evaluation, unless this state has them.
    pub(super) fn measure_metrics(&mut self, out: &mut dyn Reporter) {
        if self.inspections.metrics_of == Some((self.segment, self.steps())) {
            return;
        }
        let began = Instant::now();
        let subject = self.subject();
        let measure = || metrics_of(&Inspector::new(subject));
        // On the thread of a replica, as in a snapshot, so that a state has the same bits with and without snapshots.
        let metrics = match &self.trainer.replicas {
            Some(replicas) => replicas.both(measure, || ()).0,
            None => measure(),
        };
        self.inspections.unreported_ms += millis(began);
        self.count_inspection(millis(began));
        self.report_metrics(metrics, out);
    }

    /// Reports metrics of this state under the step whose update gave it, once. The initial state and edited weights are of no step.
    fn report_metrics(&mut self, values: Metrics, out: &mut dyn Reporter) {
        let state = (self.segment, self.steps());
        let is_of_step = state.1 > 0 && !self.is_edited_here() && self.inspections.metrics_of != Some(state);
        self.inspections.metrics_of = Some(state);
        if is_of_step && !values.is_empty() {
            out.row(Row { segment: self.segment, step: state.1 - 1, values });
        }
    }

    /// Adds the time of an inspection to the training time, unless the run is paused.
    fn count_inspection(&mut self, cost_ms: f64) {
        if !self.is_paused {
            self.secs += cost_ms / 1000.0;
        }
    }

    fn subject(&self) -> Subject<'_> {
        let trainer = &self.trainer;
        Subject {
            plan: &trainer.plan,
            hyperparameters: &trainer.live,
            specs: &trainer.specs,
            state: &trainer.state,
            has_moments: true,
            data: &trainer.data,
            device: &trainer.device,
            replicas: trainer.replicas.as_ref(),
            kernels: trainer.gpu_stats.as_ref().map(GpuStats::kernels),
            stats: self.newest_stats.as_ref().map(|(step, tensors)| (*step, tensors.as_slice())),
        }
    }
}

/// Computes several inspections of one state, each with its cost in ms. Inspections that fail or exceed the snapshot size limit are left
/// out. A request for such an inspection returns the error.
fn inspect_all(inspector: &Inspector<'_>, inspections: Vec<Inspection>) -> Vec<(Inspection, InspectionResult, f64)> {
    let one = |inspection: Inspection| {
        let began = Instant::now();
        let result = inspect_catching_panics(inspector, &inspection).ok().and_then(snapshot::reduced)?;
        Some((inspection, result, millis(began)))
    };
    inspections.into_iter().filter_map(one).collect()
}

/// The metrics for diagnosis; none if the validation split is too short, or if they fail.
fn metrics_of(inspector: &Inspector<'_>) -> Metrics {
    catch_unwind(AssertUnwindSafe(|| inspector.diagnosis())).ok().and_then(Result::ok).unwrap_or_default()
}

/// Computes an inspection and turns a panic into an error, so that no inspection ends the training.
fn inspect_catching_panics(
    inspector: &Inspector<'_>,
    inspection: &Inspection,
) -> Result<InspectionResult, EngineError> {
    catch_unwind(AssertUnwindSafe(|| inspector.inspect(inspection)))
        .unwrap_or_else(|panic| Err(InspectError::Panicked { message: panic_message(panic.as_ref()) }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(window: u32) -> Inspection {
        Inspection::Overview { text: request::InspectionText::Validation(window) }
    }

    #[test]
    fn inspections_take_turns_within_their_budget() {
        let mut schedule = InspectionSchedule::default();
        assert_eq!(schedule.due((0, 0), false), None);
        schedule.request(vec![overview(0), overview(1)]);
        assert_eq!(schedule.due((0, 1), false), Some(0));
        schedule.record(0, (0, 1), Instant::now(), 100.0);
        assert_eq!(schedule.due((0, 2), false), None, "the cost of the first exceeds the budget for now");
        assert_eq!(schedule.due((0, 2), true), Some(1), "a paused run has no budget");
        assert_eq!(schedule.due((0, 1), true), Some(1), "and inspects each state once");
        schedule.free_at = None;
        assert_eq!(schedule.due((0, 2), false), Some(1), "the second one is next");
        schedule.record(1, (0, 2), Instant::now(), 300.0);
        schedule.free_at = None;
        assert_eq!(schedule.due((0, 3), false), None, "both results are less than half a second old");
        let overhead = schedule.overhead(300.0);
        assert!(
            (overhead.share - MAX_FRACTION).abs() < 1e-12 && (overhead.every_ms - 8000.0).abs() < 1e-9,
            "{overhead:?}"
        );
        assert!((schedule.take_unreported_ms() - 400.0).abs() < 1e-9 && schedule.take_unreported_ms() == 0.0);
    }

    #[test]
    fn new_requests_are_answered_again() {
        let mut schedule = InspectionSchedule::default();
        schedule.request(vec![overview(0)]);
        schedule.record(0, (0, 5), Instant::now(), 1.0);
        assert_eq!(schedule.due((0, 5), true), None);
        schedule.request(vec![overview(1), overview(0)]);
        assert_eq!(schedule.due((0, 5), true), Some(0));
        schedule.record(0, (0, 5), Instant::now(), 1.0);
        assert_eq!(schedule.due((0, 5), true), Some(1), "a page that has just connected has no result yet");
        schedule.request(vec![]);
        assert_eq!(schedule.due((0, 6), true), None);
    }
}
