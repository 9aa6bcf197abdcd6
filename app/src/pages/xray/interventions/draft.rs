//! The selected interventions and their effect.

use leptos::prelude::*;
use wire::control::intervention::Intervention;
use wire::inspect::request::Inspection;

use crate::pages::xray::single::SingleInspection;
use crate::pages::xray::state::XrayState;

/// The selected interventions and their effect.
#[derive(Clone, Copy)]
pub(super) struct InterventionDraft {
    pub(super) xray: XrayState,
    pub(super) interventions: RwSignal<Vec<Intervention>>,
    pub(super) effect: SingleInspection,
}

impl InterventionDraft {
    /// No interventions.
    pub(super) fn new(xray: XrayState) -> Self {
        Self { xray, interventions: RwSignal::new(vec![]), effect: SingleInspection::new(xray) }
    }

    /// Computes the effect of the interventions.
    pub(super) fn compute(self) {
        let interventions = self.interventions.get_untracked();
        if interventions.is_empty() {
            self.effect.clear();
        } else {
            self.effect.request(Inspection::Interventions { text: self.xray.text.get_untracked(), interventions });
        }
    }

    pub(super) fn remove(self, index: usize) {
        self.interventions.update(|interventions| {
            interventions.remove(index);
        });
        self.compute();
    }

    pub(super) fn clear(self) {
        self.interventions.set(vec![]);
        self.compute();
    }
}
