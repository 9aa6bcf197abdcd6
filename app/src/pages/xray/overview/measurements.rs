//! What the overview is coloured from: a forward pass over the inspected text, and the statistics that training steps
//! measure.

use leptos::prelude::*;
use wire::inspect::request::Inspection;
use wire::inspect::result::{ComponentStats, InspectionResult};
use wire::inspect::statistics::TensorStats;

use crate::pages::xray::inspections::result::Inspected;
use crate::pages::xray::problem::problems;
use crate::pages::xray::quantity::{Coloured, Quantity};
use crate::pages::xray::state::XrayState;
use crate::pages::xray::step::StepChoice;
use crate::pages::xray::subscription::Subscription;

/// The two sources.
#[derive(Clone, Copy)]
pub(super) struct Measurements {
    pub(super) forward: Subscription,
    pub(super) training: Subscription,
}

impl Measurements {
    pub(super) fn new(xray: XrayState, step: Signal<StepChoice>) -> Self {
        let forward = xray.subscribe(step, |text| Some(Inspection::Overview { text }));
        Self { forward, training: xray.subscribe(step, |_| Some(Inspection::ParameterStats {})) }
    }

    /// The value and colour of every component.
    pub(super) fn coloured(self, quantity: Quantity) -> Vec<Coloured> {
        let (forward, training) = (self.forward.result.get(), self.training.result.get());
        let tokens = match forward.as_ref().map(|forward| &forward.result) {
            Some(InspectionResult::Overview { tokens, .. }) => tokens.len(),
            _ => 0,
        };
        quantity.coloured(components(forward.as_ref()), tensors(training.as_ref()), tokens)
    }

    /// The problem of every component, if it has one.
    pub(super) fn problems(self) -> Vec<Option<String>> {
        let (forward, training) = (self.forward.result.get(), self.training.result.get());
        problems(components(forward.as_ref()), tensors(training.as_ref()))
    }
}

/// The components of an overview.
pub(super) fn components(result: Option<&Inspected>) -> &[ComponentStats] {
    match result.map(|result| &result.result) {
        Some(InspectionResult::Overview { components, .. }) => components,
        _ => &[],
    }
}

fn tensors(result: Option<&Inspected>) -> &[TensorStats] {
    match result.map(|result| &result.result) {
        Some(InspectionResult::ParameterStats { tensors, .. }) => tensors,
        _ => &[],
    }
}
