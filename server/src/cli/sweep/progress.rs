//! What happens to a sweep, as lines on standard error: each trial that ends, each decision, and how many trials are left.

use std::collections::BTreeSet;

use wire::number::{brief, counted, grouped};
use wire::sweep::record::{DecisionKind, Sweep, SweepDecision, SweepView, Trial, TrialState};

use crate::cli::progress_bar::Line;
use crate::output;

/// The state of what was printed.
#[derive(Default)]
pub(super) struct Progress {
    changes: u64,
    decisions: u64,
    /// Number and attempt of the trials whose end was shown.
    ended: BTreeSet<(u64, u32)>,
    line: Option<Line>,
}

impl Progress {
    /// The changes of the sweep that were shown.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The number of the last decision that was shown.
    pub(super) fn decisions(&self) -> u64 {
        self.decisions
    }

    pub(super) fn show(&mut self, SweepView { sweep, trials }: SweepView, decisions: &[SweepDecision]) {
        let mut lines: Vec<String> = decisions.iter().filter_map(decision_line).collect();
        self.decisions = decisions.last().map_or(self.decisions, |last| last.number);
        let new = trials.iter().filter(|trial| trial.state.is_over());
        for trial in new {
            if self.ended.insert((trial.number, trial.attempt)) {
                lines.push(trial_line(&sweep, trial));
            }
        }
        self.changes = sweep.changes;
        if !lines.is_empty() {
            self.end();
            lines.iter().for_each(output::notice);
        }
        let line = self.line.get_or_insert_with(|| Line::new("Trials".to_owned()));
        let done = sweep.counts.created() - sweep.counts.unfinished();
        line.show(done, Some(sweep.trials), "ended");
    }

    /// Ends the line of progress.
    pub(super) fn end(&mut self) {
        if let Some(line) = self.line.take() {
            line.end();
        }
    }
}

/// A decision about the sweep; those about trials are printed with the end of the trial.
fn decision_line(decision: &SweepDecision) -> Option<String> {
    let is_about_sweep = matches!(decision.kind, DecisionKind::Paused | DecisionKind::Command);
    is_about_sweep.then(|| decision.sentence.clone())
}

fn trial_line(sweep: &Sweep, trial: &Trial) -> String {
    let value = trial.last.map_or(String::new(), |value| format!(", {} {value:.4}", sweep.spec.metric.name));
    let step = trial.last_step.map_or(String::new(), |step| format!(" at step {}", grouped(step)));
    let reason = trial.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let at = if trial.state == TrialState::Finished { String::new() } else { step };
    format!("Trial {} {}{at}{value}{reason} [{}]", trial.number, trial.state.label(), point(trial))
}

/// `optimizer.learning_rate 1e-3, seed 2`
fn point(trial: &Trial) -> String {
    let value = |value: &serde_json::Value| value.as_f64().map_or_else(|| value.to_string(), brief);
    let values = trial.point.values.iter().map(|(name, one)| format!("{name} {}", value(one)));
    values.chain(trial.point.seed.map(|seed| format!("seed {seed}"))).collect::<Vec<_>>().join(", ")
}

/// The result of a sweep in a sentence.
pub(super) fn outcome(SweepView { sweep, trials }: &SweepView) -> String {
    let counts = &sweep.counts;
    let ended = format!(
        "Sweep {}: {} finished, {} stopped, {} failed.",
        sweep.id,
        counted(counts.finished, "trial"),
        counts.stopped,
        counts.failed
    );
    let best = sweep.best.and_then(|best| Some((best.value, trials.iter().find(|trial| trial.number == best.trial)?)));
    match best {
        Some((value, trial)) => format!(
            "{ended} Best {}: {value:.4} in trial {} ({}), run {}.",
            sweep.spec.metric.name,
            trial.number,
            point(trial),
            trial.run.as_ref().map_or("deleted", |run| run.as_str())
        ),
        None => ended,
    }
}
