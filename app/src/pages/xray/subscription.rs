//! A view's subscription to an inspection.

use leptos::prelude::*;
use wire::inspect::request::{Inspection, InspectionText};

use super::inspections::result::{Inspected, Status};
use super::state::XrayState;
use super::step::StepChoice;

/// A subscription to an inspection at a step.
#[derive(Clone, Copy)]
pub(super) struct Subscription {
    pub(super) status: Memo<Status>,
    /// The newest result; it stays while the next one is loading.
    pub(super) result: Memo<Option<Inspected>>,
    pub(super) inspection: Signal<Option<Inspection>>,
    pub(super) step: Signal<StepChoice>,
}

impl XrayState {
    /// Subscribes to the inspection that `inspection` makes of the text that is shown.
    pub(super) fn subscribe(
        self,
        step: Signal<StepChoice>,
        inspection: impl Fn(InspectionText) -> Option<Inspection> + Send + Sync + 'static,
    ) -> Subscription {
        let inspection = Signal::derive(move || inspection(self.shown_text()));
        let status = self.inspections.subscribe(inspection, step);
        let result = Memo::new(move |before: Option<&Option<Inspected>>| match status.get() {
            Status::Ready(result) => Some(result),
            Status::Loading => before.cloned().flatten(),
            Status::Failed(_) | Status::NoSnapshot => None,
        });
        Subscription { status, result, inspection, step }
    }
}
