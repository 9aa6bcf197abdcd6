//! Alerts: what happened to a run or a machine or waits for a person, and the channels by which people are told.
//!
//! - here: an alert and its kinds; [`condition`]: thresholds of metrics that raise alerts;
//! - [`channel`]: where alerts are sent, which of them, and when; [`timing`]: quiet hours and digests;
//! - [`delivery`]: the state of a message to a channel, and what receivers of webhooks get.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /alerts` | the newest [`AlertView`]s that the sender may see |
//! | `GET /alert-conditions` | [`condition::ConditionView`]s; `POST` creates one, `DELETE /alert-conditions/{id}` deletes it |
//! | `GET /alert-channels` | [`channel::Channels`]; `POST` creates one, `PATCH` and `DELETE /alert-channels/{id}` change and delete it |
//! | `POST /alert-channels/{id}/test` | sends a test message now and answers [`delivery::TestResult`] |
//! | `GET /alert-channels/{id}/deliveries` | the newest [`delivery::DeliveryView`]s of a channel |

pub mod channel;
pub mod condition;
pub mod delivery;
pub mod timing;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, RunId};

pub use channel::{Channel, ChannelChange, ChannelFilter, ChannelView, Channels, NewChannel, Target};
pub use condition::{ConditionView, NewCondition, Side};
pub use delivery::{DeliveryState, DeliveryView, TestResult};
pub use timing::{QuietHours, Timing, Wait};

/// The source of an alert: a rule, a run, a machine, a condition on a metric, or an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A rule has raised an alert about a run: a finding that is an alert.
    Finding,
    /// A run has finished or was stopped.
    RunEnded,
    /// A run has failed, has lost its worker, or was paused by a non-finite value.
    RunFailed,
    /// A worker has stopped reporting, or something is wrong with its machine.
    Machine,
    /// A value of a metric meets a condition that somebody has stated.
    Metric,
    /// A proposal of an agent waits for a decision.
    Proposal,
}

impl AlertKind {
    /// All, in the order shown.
    pub const ALL: [Self; 6] =
        [Self::Finding, Self::RunEnded, Self::RunFailed, Self::Metric, Self::Machine, Self::Proposal];

    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::RunEnded => "run_ended",
            Self::RunFailed => "run_failed",
            Self::Machine => "machine",
            Self::Metric => "metric",
            Self::Proposal => "proposal",
        }
    }
}

/// An alert as it is stored. The name of its run may change, so it is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertContent {
    pub kind: AlertKind,
    /// Whether somebody should look at once: a failure, an alert of a rule, a worker that has stopped reporting, a condition that is stated to be
    /// urgent.
    pub is_urgent: bool,
    /// What happened, in a few words: `finished`, `no reports`.
    pub phrase: String,
    /// The same in sentences, with the values and with what to do.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Step of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Project of an alert that is about no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// An alert as lists and receivers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertView {
    /// Number, from 1 in the order in which alerts were raised.
    pub id: i64,
    /// Time, ms since 1970.
    pub at_ms: i64,
    pub kind: AlertKind,
    /// Whether somebody should look at once.
    pub is_urgent: bool,
    /// Name of the run or id of the device, and what happened: `amber-fox: finished`.
    pub title: String,
    /// The same in sentences, with the values and with what to do.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Project of the run, or of the proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Step of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Path of the page that shows it, below the base address of the lab.
    pub path: String,
}

impl AlertView {
    /// An alert with the name and the project of its run, if it has one.
    pub fn new(
        id: i64,
        at_ms: i64,
        run: Option<RunId>,
        of_run: Option<(String, String)>,
        content: AlertContent,
    ) -> Self {
        let AlertContent { kind, is_urgent, phrase, text, device, step, project } = content;
        let (name, of_run) = of_run.unzip();
        let project = of_run.or(project);
        let subject = match (name, &run, &device) {
            (Some(name), ..) => name,
            (None, Some(run), _) => run.to_string(),
            (None, None, Some(device)) => device.to_string(),
            (None, None, None) => "Kindling".to_owned(),
        };
        let path = match (kind, &run, &device) {
            (AlertKind::Proposal, ..) => "/approvals".to_owned(),
            (_, Some(run), _) => format!("/runs/{run}"),
            (_, None, Some(device)) => format!("/fleet/{device}"),
            (_, None, None) => "/settings".to_owned(),
        };
        Self {
            id,
            at_ms,
            kind,
            is_urgent,
            title: format!("{subject}: {phrase}"),
            text,
            run,
            project,
            device,
            step,
            path,
        }
    }
}

/// The part of the list of alerts that a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default)]
pub struct AlertQuery {
    /// Only alerts with a larger number.
    pub after: Option<i64>,
    /// Number of alerts, 1 to 200; 50 by default.
    pub limit: Option<u32>,
}
