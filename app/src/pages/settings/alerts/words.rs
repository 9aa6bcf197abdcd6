//! Kinds of alerts and receivers, and times, as the section calls them.

use wire::alert::AlertKind;

/// What is urgent, as a sentence.
pub(super) const URGENT: &str = "Urgent alerts are failed and lost runs, non-finite values, alerts of rules, workers that have stopped \
                                 reporting, nearly full disks, memory errors and conditions that are marked as urgent.";

/// Label of a kind of alert.
pub(super) fn kind_word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Finding => "Findings",
        AlertKind::RunEnded => "Ends of runs",
        AlertKind::RunFailed => "Failures",
        AlertKind::Machine => "Machines",
        AlertKind::Metric => "Metrics",
        AlertKind::Proposal => "Proposals",
    }
}

/// Tooltip of a kind: the events that raise its alerts.
pub(super) fn kind_meaning(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Finding => "A rule has raised an alert, such as a loss spike. Its notes are not included.",
        AlertKind::RunEnded => "A run has finished or was stopped",
        AlertKind::Metric => {
            "A value of a metric, such as the score of a task, meets a condition that somebody has set"
        }
        AlertKind::Proposal => "An agent has proposed an action, which waits for a decision on the page Approvals",
        AlertKind::RunFailed => "A run has failed, has lost its worker, or was paused by a non-finite value",
        AlertKind::Machine => {
            "A worker has stopped reporting, or the memory, the disk or the clock of its machine needs attention"
        }
    }
}

/// Label of a kind of receiver.
pub(super) fn kind_name(kind: &str) -> &'static str {
    match kind {
        "email" => "E-mail",
        "slack" => "Slack",
        "ntfy" => "ntfy",
        _ => "Webhook",
    }
}

/// The timing of a channel that collects alerts: "digest every 30 min".
pub(super) fn digest_word(minutes: u32) -> String {
    format!("digest every {minutes} min")
}

/// The time of a minute of the day: "22:00".
pub(super) fn time_of(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
