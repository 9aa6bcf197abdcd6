//! Inspections as images. Embeds show the snapshots that a run keeps: showing them does not slow down the training.

use figure::inspection::{Heading, LogitLens, attention, empty, logit_lens, weights};
use figure::{Scene, number};
use wire::access::embed::{EmbedInspection, InspectionView};
use wire::inspect::request::{Inspection, InspectionText, TensorValues};
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;

use super::present;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::drawing::{Image, Look};

/// Maximum size of a snapshot that is read, bytes.
const SNAPSHOT_BYTES: u64 = 32_000_000;
/// Steps with snapshots that are searched for this inspection: the newest may lack it because of the size limit.
const SEARCHED: usize = 32;

/// Draws an inspection; without a snapshot, the image says so.
///
/// # Errors
/// 404 for a run that does not exist or is deleted, 429 if too many images are drawn; an error of the store.
pub(super) async fn draw(lab: &Lab, wanted: &EmbedInspection, look: Look) -> Result<Image, ApiError> {
    let view = present(lab, &wanted.run).await?;
    let snapshot = newest(lab, wanted).await?;
    let (shared, shown) = (lab.clone(), wanted.view.clone());
    let draw = move || {
        let image = shared.drawings.image(&scene(&view.summary.name, &shown, snapshot.as_ref(), look), look)?;
        Ok(Image { is_growing: view.summary.state.is_live(), ..image })
    };
    lab.drawings.draw(draw).await
}

/// The words for an inspection.
pub(super) fn label(view: &InspectionView) -> String {
    match view {
        InspectionView::Attention { layer, head } => format!("attention, block {layer}, head {head}"),
        InspectionView::LogitLens => "logit lens".to_owned(),
        InspectionView::Weights { tensor } => format!("weights of {tensor}"),
    }
}

/// The newest snapshot, or the newest one up to the step that is wanted.
async fn newest(lab: &Lab, wanted: &EmbedInspection) -> Result<Option<InspectionUpdate>, ApiError> {
    let text = InspectionText::default();
    let inspection = match &wanted.view {
        InspectionView::Attention { layer, .. } => Inspection::Attention { text, layer: *layer },
        InspectionView::LogitLens => Inspection::LogitLens { text },
        InspectionView::Weights { .. } => Inspection::Weights { values: TensorValues::Weight },
    };
    let steps = lab.store().snapshot_steps(&wanted.run).await?;
    let most = wanted.step.unwrap_or(u64::MAX);
    for step in steps.into_iter().rev().filter(|step| *step <= most).take(SEARCHED) {
        let found = lab.store().snapshots(&wanted.run, &inspection, (step, step), SNAPSHOT_BYTES).await?;
        if let Some(update) = found.into_iter().next_back() {
            return Ok(Some(update));
        }
    }
    Ok(None)
}

/// The image of an inspection of a run with this name; without a result, it says so.
pub fn scene(name: &str, shown: &InspectionView, result: Option<&InspectionUpdate>, look: Look) -> Scene {
    let title = format!("{name}: {}", label(shown));
    let size = look.size();
    let Some(InspectionUpdate::Result { step, result, inspection, .. }) = result else {
        let note = "The run has kept no snapshot of this inspection yet.".to_owned();
        return empty(&Heading { title, note }, size);
    };
    let step = format!("step {}", number::whole(*step));
    let over_text = Heading { title: title.clone(), note: format!("{step}, {}", text_of(inspection)) };
    let missing = |note: &str| empty(&Heading { title: title.clone(), note: note.to_owned() }, size);
    match (shown, result) {
        (InspectionView::Attention { head, .. }, InspectionResult::Attention { tokens, patterns, .. }) => {
            match patterns.get(*head as usize) {
                Some(pattern) => attention(&over_text, tokens, pattern, size),
                None => missing(&format!("The block has {} heads, counted from 0.", patterns.len())),
            }
        }
        (InspectionView::LogitLens, InspectionResult::LogitLens { tokens, depths, cells, words, .. }) => {
            logit_lens(&over_text, LogitLens { tokens, depths, cells, words }, size)
        }
        (InspectionView::Weights { tensor }, InspectionResult::Weights { matrices }) => {
            match matrices.iter().find(|matrix| matrix.tensor == *tensor) {
                Some(matrix) => weights(&Heading { title: title.clone(), note: step }, matrix, size, look.is_dark),
                None => missing("The model has no weight matrix of this name."),
            }
        }
        _ => missing("The snapshot holds another inspection."),
    }
}

/// The text that an inspection reads, in words.
fn text_of(inspection: &Inspection) -> String {
    match inspection {
        Inspection::Attention { text: InspectionText::Validation(window), .. }
        | Inspection::LogitLens { text: InspectionText::Validation(window) } => format!("validation window {window}"),
        _ => "prompt".to_owned(),
    }
}
