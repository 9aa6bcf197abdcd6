//! The snapshots of an inspection: which inspections have them, fetching them, and finding the one of a step.

use wire::RunId;
use wire::inspect::request::{Inspection, snapshot_inspections};
use wire::inspect::update::InspectionUpdate;

use super::result::{Inspected, Source, Status, status};
use crate::net::api::{ApiFailure, inspections};
use crate::pages::xray::step::StepChoice;

/// The snapshots of one inspection.
#[derive(Debug, Clone)]
pub(super) enum Snapshots {
    Loading,
    Loaded {
        inspection: Inspection,
        /// Oldest first.
        results: Vec<Inspected>,
    },
    Failed(String),
}

impl Snapshots {
    /// Results so far, oldest first.
    pub(super) fn results(&self) -> &[Inspected] {
        match self {
            Self::Loaded { results, .. } => results,
            Self::Loading | Self::Failed(_) => &[],
        }
    }

    /// Whether they are loaded and there are none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Loaded { results, .. } if results.is_empty())
    }

    /// The inspection, and the first step that is not loaded yet.
    pub(super) fn missing(&self) -> Option<(Inspection, u64)> {
        match self {
            Self::Loaded { inspection, results } => {
                Some((inspection.clone(), results.last().map_or(0, |last| last.step + 1)))
            }
            Self::Loading | Self::Failed(_) => None,
        }
    }

    pub(super) fn extend(&mut self, newer: Vec<Inspected>) {
        if let Self::Loaded { results, .. } = self {
            results.extend(newer);
        }
    }

    /// The status at a step.
    pub(super) fn status(&self, step: StepChoice) -> Status {
        match self {
            Self::Loading => Status::Loading,
            Self::Failed(message) => Status::Failed(message.clone()),
            Self::Loaded { results, .. } => at(results, step).cloned().map_or(Status::NoSnapshot, Status::Ready),
        }
    }
}

/// Whether runs keep snapshots of an inspection.
pub(super) fn has_snapshots(inspection: &Inspection) -> bool {
    let layers = if let Inspection::Attention { layer, .. } = inspection { *layer as usize + 1 } else { 0 };
    snapshot_inspections(layers).contains(inspection)
}

/// The snapshot of a step, or the one before it: attention of large models is kept at fewer steps.
fn at(results: &[Inspected], step: StepChoice) -> Option<&Inspected> {
    match step {
        StepChoice::Newest => results.last(),
        StepChoice::At(step) => results.get(results.partition_point(|result| result.step <= step).checked_sub(1)?),
    }
}

/// All snapshots of an inspection from a step on, in as many requests as the size of answers needs.
pub(super) async fn fetch(run: RunId, inspection: &Inspection, mut from: u64) -> Result<Vec<Inspected>, ApiFailure> {
    let mut all = vec![];
    loop {
        let updates = inspections::snapshots(&run, inspection, from).await?;
        let Some(last) = updates.last().map(InspectionUpdate::step) else { return Ok(all) };
        all.extend(updates.into_iter().filter_map(snapshot));
        from = last + 1;
    }
}

fn snapshot(update: InspectionUpdate) -> Option<Inspected> {
    match status(update, |_| Source::Snapshot) {
        Status::Ready(result) => Some(result),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::inspect::request::{InspectionText, TensorValues};
    use wire::inspect::result::InspectionResult;
    use wire::inspect::update::InspectionOverhead;

    fn results(steps: &[u64]) -> Vec<Inspected> {
        let one = |step: &u64| {
            let update = InspectionUpdate::Result {
                step: *step,
                segment: 0,
                inspection: Inspection::Embedding {},
                result: InspectionResult::Weights { matrices: vec![] },
                overhead: InspectionOverhead::default(),
            };
            snapshot(update).unwrap()
        };
        steps.iter().map(one).collect()
    }

    #[test]
    fn a_step_finds_the_snapshot_at_or_before_it() {
        let results = results(&[0, 4, 8]);
        let step = |choice| at(&results, choice).map(|result| result.step);
        assert_eq!(step(StepChoice::Newest), Some(8));
        assert_eq!(step(StepChoice::At(4)), Some(4));
        assert_eq!(step(StepChoice::At(7)), Some(4), "attention of large models is kept at fewer steps");
        assert!(at(&[], StepChoice::Newest).is_none() && at(&results[1..], StepChoice::At(3)).is_none());
    }

    #[test]
    fn inspections_of_the_first_validation_window_have_snapshots() {
        let window = || InspectionText::Validation(0);
        assert!(has_snapshots(&Inspection::Attention { text: window(), layer: 5 }));
        assert!(has_snapshots(&Inspection::Weights { values: TensorValues::Weight }));
        assert!(!has_snapshots(&Inspection::Weights { values: TensorValues::Gradient }));
        assert!(!has_snapshots(&Inspection::LogitLens { text: InspectionText::Prompt("a".into()) }));
        assert!(!has_snapshots(&Inspection::Neurons { text: window(), layer: 0 }));
    }

    #[test]
    fn loaded_snapshots_say_what_is_missing() {
        let inspection = Inspection::Embedding {};
        let loaded = |steps: &[u64]| Snapshots::Loaded { inspection: inspection.clone(), results: results(steps) };
        assert_eq!(loaded(&[]).missing().map(|(_, from)| from), Some(0));
        assert_eq!(loaded(&[0, 4]).missing().map(|(_, from)| from), Some(5));
        assert!(loaded(&[]).is_empty() && !Snapshots::Loading.is_empty());
        assert_eq!(loaded(&[]).status(StepChoice::Newest), Status::NoSnapshot);
        assert_eq!(Snapshots::Loading.status(StepChoice::Newest), Status::Loading);
    }
}
