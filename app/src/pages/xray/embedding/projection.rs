//! The projection of one step and of the snapshots before it, aligned to each other.

use figure::scene::{Point, Size};
use leptos::prelude::*;
use wire::inspect::request::Inspection;
use wire::inspect::result::{EmbeddingPoint, InspectionResult};

use super::alignment::{ProjectedToken, aligned};
use crate::pages::xray::inspections::result::{Inspected, Source};
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::visible;

/// Margin around the outermost token, pixels.
const MARGIN: f64 = 18.0;

/// The state of the view.
#[derive(Clone, Copy)]
pub(super) struct Projection {
    pub(super) subscription: Subscription,
    /// The aligned projections of the snapshots, by step.
    pub(super) history: Memo<Vec<(u64, Vec<ProjectedToken>)>>,
    pub(super) spots: Memo<Vec<ProjectedToken>>,
    /// Index of the chosen token.
    pub(super) chosen: RwSignal<Option<usize>>,
    pub(super) has_trails: RwSignal<bool>,
}

impl Projection {
    pub(super) fn new(xray: XrayState, subscription: Subscription) -> Self {
        let snapshots = xray.inspections.all(Inspection::Embedding {});
        let history = Memo::new(move |_| history(&snapshots.read()));
        let spots = Memo::new(move |_| match subscription.result.get() {
            Some(shown) => aligned_spots(&shown, &history.read()),
            None => vec![],
        });
        let (chosen, has_trails) = (RwSignal::new(None), RwSignal::new(true));
        Self { subscription, history, spots, chosen, has_trails }
    }

    /// The nearest tokens of one: index and cosine similarity.
    pub(super) fn neighbours(self, at: usize) -> Vec<(usize, f32)> {
        let shown = self.subscription.result.get();
        let near = shown.as_ref().and_then(|shown| points(shown).get(at)).map(|point| &point.near);
        near.map(|near| near.iter().map(|(index, cosine)| (*index as usize, *cosine)).collect()).unwrap_or_default()
    }

    /// All tokens as text, by index.
    pub(super) fn words(self) -> Vec<String> {
        let shown = self.subscription.result.get();
        shown.map(|shown| points(&shown).iter().map(|point| visible(&point.text)).collect()).unwrap_or_default()
    }

    /// Half the side of the square that holds all tokens at all steps: one scale for both axes.
    pub(super) fn reach(self) -> f64 {
        let (spots, history) = (self.spots.read(), self.history.read());
        let all = history.iter().flat_map(|(_, spots)| spots).chain(spots.iter());
        all.map(|spot| spot.x.abs().max(spot.y.abs())).filter(|reach| reach.is_finite()).fold(1e-9, f64::max)
    }
}

/// The tokens of a result.
pub(super) fn points(shown: &Inspected) -> &[EmbeddingPoint] {
    match &shown.result {
        InspectionResult::Embedding { points, .. } => points,
        _ => &[],
    }
}

fn spots_of(shown: &Inspected) -> Vec<ProjectedToken> {
    let spot =
        |point: &EmbeddingPoint| ProjectedToken { token: point.token, x: f64::from(point.x), y: f64::from(point.y) };
    points(shown).iter().map(spot).collect()
}

/// The projections of the snapshots, each aligned to the one before it.
fn history(snapshots: &[Inspected]) -> Vec<(u64, Vec<ProjectedToken>)> {
    let mut history: Vec<(u64, Vec<ProjectedToken>)> = vec![];
    for shown in snapshots {
        let next = spots_of(shown);
        let next = history.last().map(|(_, before)| aligned(before, &next)).unwrap_or(next);
        history.push((shown.step, next));
    }
    history
}

/// The projection of a result, aligned to the snapshots.
fn aligned_spots(shown: &Inspected, history: &[(u64, Vec<ProjectedToken>)]) -> Vec<ProjectedToken> {
    let snapshot = history.iter().find(|(step, _)| *step == shown.step && shown.source == Source::Snapshot);
    match (snapshot, history.last()) {
        (Some((_, spots)), _) => spots.clone(),
        (None, Some((_, before))) => aligned(before, &spots_of(shown)),
        (None, None) => spots_of(shown),
    }
}

/// The position of a token on a canvas.
pub(super) fn pixel(size: Size, reach: f64, spot: &ProjectedToken) -> Point {
    let half = (size.width.min(size.height) / 2.0 - MARGIN).max(1.0);
    Point::new(size.width / 2.0 + spot.x / reach * half, size.height / 2.0 - spot.y / reach * half)
}
