//! The alerts that events of the journal raise. Pure.

use wire::alert::{AlertContent, AlertKind};
use wire::number::{counted, grouped};
use wire::transport::link::Report;
use wire::{Event, RunId, RunState};

use crate::database::alerts::NewAlert;
use crate::status::Progress;

/// The alert of a report that becomes the event `number`, if it raises one. `progress` is that after the report.
pub(crate) fn of_event(run: &RunId, number: u64, report: &Report, progress: &Progress) -> Option<NewAlert> {
    let step = report.step.max(progress.step);
    let is_over = report.state.is_none_or(RunState::is_over);
    let (kind, is_urgent, phrase, text) = match &report.event {
        Event::Finished => (AlertKind::RunEnded, false, "finished".to_owned(), ended("Finished", step, progress)),
        Event::Stopped => {
            (AlertKind::RunEnded, false, "stopped".to_owned(), ended("Stopped by a command", step, progress))
        }
        Event::Failed { message } => (AlertKind::RunFailed, true, "failed".to_owned(), message.clone()),
        Event::Lost { message } => {
            let phrase = if is_over { "lost its worker" } else { "restarts after its worker was lost" };
            (AlertKind::RunFailed, is_over, phrase.to_owned(), message.clone())
        }
        Event::NonFinite { what } => {
            // A validation loss pauses no run.
            let paused = if report.state == Some(RunState::Paused) { " The run is paused." } else { "" };
            let text = format!("{what} is not finite at step {}.{paused}", grouped(report.step));
            (AlertKind::RunFailed, true, format!("{what} is not finite"), text)
        }
        Event::CheckpointFailed { checkpoint, message } => {
            let phrase = format!("checkpoint of step {} failed", grouped(checkpoint.step));
            (AlertKind::RunFailed, false, phrase, message.clone())
        }
        _ => return None,
    };
    let content = AlertContent { kind, is_urgent, phrase, text, device: None, step: Some(step), project: None };
    Some(NewAlert { source: format!("run/{run}/{number}"), at_ms: report.at_ms, run: Some(run.clone()), content })
}

fn ended(how: &str, step: u64, progress: &Progress) -> String {
    let loss = progress.loss_valid.map(|loss| format!(", validation loss {loss:.3} nats/token")).unwrap_or_default();
    format!("{how} after {}{loss}.", counted(step, "step"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Author;

    fn raised(event: Event, state: Option<RunState>) -> Option<NewAlert> {
        let report = Report {
            segment: 0,
            step: 1200,
            at_ms: 5,
            author: Author::System,
            command_id: None,
            reason: None,
            event,
            state,
        };
        let progress = Progress { step: 1000, loss_valid: Some(1.5), ..Progress::default() };
        of_event(&"amber-fox".parse().unwrap(), 7, &report, &progress)
    }

    fn check(event: Event, state: Option<RunState>, expected: Option<(AlertKind, bool, &str)>) {
        let raised = raised(event, state);
        let found =
            raised.as_ref().map(|alert| (alert.content.kind, alert.content.is_urgent, alert.content.phrase.as_str()));
        assert_eq!(found, expected);
        assert!(raised.is_none_or(|alert| alert.source == "run/amber-fox/7" && !alert.content.text.is_empty()));
    }

    #[test]
    fn ends_and_failures_raise_alerts_and_a_restart_is_not_urgent() {
        let lost = || Event::Lost { message: "the worker died".to_owned() };
        check(Event::Finished, Some(RunState::Finished), Some((AlertKind::RunEnded, false, "finished")));
        check(
            Event::Failed { message: "no memory".into() },
            Some(RunState::Failed),
            Some((AlertKind::RunFailed, true, "failed")),
        );
        check(lost(), Some(RunState::Lost), Some((AlertKind::RunFailed, true, "lost its worker")));
        check(
            lost(),
            Some(RunState::Queued),
            Some((AlertKind::RunFailed, false, "restarts after its worker was lost")),
        );
        check(Event::NonFinite { what: "loss".into() }, None, Some((AlertKind::RunFailed, true, "loss is not finite")));
        check(Event::Paused, Some(RunState::Paused), None);
        check(Event::Suspended, None, None);
    }

    #[test]
    fn a_value_that_is_not_finite_says_that_the_run_is_paused_only_if_it_is() {
        let text = |what: &str, state| raised(Event::NonFinite { what: what.into() }, state).unwrap().content.text;
        let paused = text("training loss (NaN)", Some(RunState::Paused));
        assert_eq!(paused, "training loss (NaN) is not finite at step 1\u{202f}200. The run is paused.");
        assert_eq!(text("validation loss", None), "validation loss is not finite at step 1\u{202f}200.");
    }
}
