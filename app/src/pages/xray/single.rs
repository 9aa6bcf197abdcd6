//! An inspection that is computed once, on request: the batch of a step, the effect of interventions.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::inspect::request::Inspection;
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;

use super::state::XrayState;
use crate::components::{Failure, Icon, Skeleton};
use crate::net::api::ApiFailure;
use crate::net::api::inspections::{self, At};

/// The outcome of the last request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Nothing was requested.
    Idle,
    Loading,
    /// A result on the weights of a step.
    Ready {
        step: u64,
        result: InspectionResult,
    },
    /// The worker could not compute it, and why.
    Failed(String),
    /// No answer came, or the server refused.
    Unreachable(ApiFailure),
}

/// An inspection on request. A newer request replaces the answer of an older one.
#[derive(Clone, Copy)]
pub(super) struct SingleInspection {
    xray: XrayState,
    pub(super) answer: RwSignal<Answer>,
    request: StoredValue<u32>,
}

impl SingleInspection {
    pub(super) fn new(xray: XrayState) -> Self {
        Self { xray, answer: RwSignal::new(Answer::Idle), request: StoredValue::new(0) }
    }

    /// Clears the result.
    pub(super) fn clear(self) {
        self.next_request();
        self.answer.set(Answer::Idle);
    }

    /// Requests an inspection of the newest weights.
    pub(super) fn request(self, inspection: Inspection) {
        self.request_at(inspection, None);
    }

    /// Requests an inspection of the newest weights, or of those before a step.
    pub(super) fn request_at(self, inspection: Inspection, at: Option<At>) {
        let request = self.next_request();
        if let Err(error) = inspection.check() {
            self.answer.set(Answer::Failed(error.to_string()));
            return;
        }
        self.answer.set(Answer::Loading);
        spawn_local(async move {
            let answer = match inspections::inspect(&self.xray.run.get_value(), &inspection, at).await {
                Ok(InspectionUpdate::Result { step, result, .. }) => Answer::Ready { step, result },
                Ok(InspectionUpdate::Failed { message, .. }) => Answer::Failed(message),
                Ok(InspectionUpdate::ParameterStats { .. }) => Answer::Idle,
                Err(failure) => Answer::Unreachable(failure),
            };
            if self.request.try_get_value() == Some(request) {
                self.answer.try_set(answer);
            }
        });
    }

    fn next_request(self) -> u32 {
        let next = |request: &mut u32| {
            *request += 1;
            *request
        };
        self.request.try_update_value(next).unwrap_or(0)
    }
}

/// The result: `idle` before a request, `ready` for a result, and the loading and error states.
pub(super) fn answered(
    answer: Answer,
    what_failed: &'static str,
    retry: impl Fn() + Send + Sync + 'static,
    idle: impl Fn() -> AnyView,
    ready: impl Fn(u64, InspectionResult) -> AnyView,
) -> AnyView {
    match answer {
        Answer::Idle => idle(),
        Answer::Loading => view! { <Skeleton rows=2 class="tall" /> }.into_any(),
        Answer::Ready { step, result } => ready(step, result),
        Answer::Unreachable(failure) => {
            view! { <Failure what=what_failed failure retry=move |()| retry() /> }.into_any()
        }
        Answer::Failed(message) => view! {
            <div class="failure" role="alert">
                <Icon name="warning" />
                <div><strong>{what_failed}</strong><p>{message}</p></div>
            </div>
        }
        .into_any(),
    }
}
