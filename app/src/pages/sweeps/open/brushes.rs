//! Chosen ranges of axes: changed by the pointer, by keys and by fields, and the trials that are in all of them.

use std::collections::{BTreeMap, BTreeSet};

use wire::sweep::record::Trial;

use super::quantity::{Quantity, QuantityAxis};

/// Shortest range that a drag chooses, as a fraction of the axis; a shorter one is a click, which removes the range.
const SHORTEST: f64 = 0.012;
/// Length of a range that a key begins, and the distance that a key moves one.
const FIRST: f64 = 0.25;
const STEP: f64 = 0.05;

/// Ranges by quantity, each from a lower to a higher place on the axis, 0 to 1.
pub(super) type Brushes = BTreeMap<Quantity, (f64, f64)>;

/// A drag on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Drag {
    /// Chooses a range from this place.
    New { of: Quantity, from: f64 },
    /// Moves a range of this length, which is held at this distance from its lower end.
    Move { of: Quantity, grip: f64, length: f64 },
}

impl Drag {
    /// A press at a place of an axis: moves the range that is there, or begins one.
    pub(super) fn start(brushes: &Brushes, of: &Quantity, place: f64) -> Self {
        match brushes.get(of) {
            Some((low, high)) if (*low..=*high).contains(&place) && high - low < 1.0 => {
                Self::Move { of: of.clone(), grip: place - low, length: high - low }
            }
            _ => Self::New { of: of.clone(), from: place },
        }
    }

    /// The pointer is at another place.
    pub(super) fn go(&self, brushes: &mut Brushes, place: f64) {
        let place = place.clamp(0.0, 1.0);
        let (of, range) = match self {
            Self::New { of, from } => (of, (from.min(place), from.max(place))),
            Self::Move { of, grip, length } => (of, at(place - grip, *length)),
        };
        brushes.insert(of.clone(), range);
    }

    /// The pointer was released: a range that is too short is removed.
    pub(super) fn end(&self, brushes: &mut Brushes) {
        let (Self::New { of, .. } | Self::Move { of, .. }) = self;
        if brushes.get(of).is_some_and(|(low, high)| high - low < SHORTEST) {
            brushes.remove(of);
        }
    }
}

/// A range of a length from `low` on, moved onto the axis.
fn at(low: f64, length: f64) -> (f64, f64) {
    let low = low.clamp(0.0, (1.0 - length).max(0.0));
    (low, (low + length).min(1.0))
}

/// Moves the range of a quantity, or changes its upper end; begins one at that end of the axis if there is none.
pub(super) fn press(brushes: &mut Brushes, of: &Quantity, is_up: bool, is_resizing: bool) {
    let step = if is_up { STEP } else { -STEP };
    let range = match brushes.get(of) {
        None if is_up => (1.0 - FIRST, 1.0),
        None => (0.0, FIRST),
        Some((low, high)) if is_resizing => (*low, (high + step).clamp(low + STEP, 1.0f64.max(low + STEP))),
        Some((low, high)) => at(low + step, high - low),
    };
    brushes.insert(of.clone(), (range.0, range.1.min(1.0)));
}

/// The numbers of the trials in all ranges; `None` without a range.
pub(super) fn selected(brushes: &Brushes, axes: &[QuantityAxis], trials: &[Trial]) -> Option<BTreeSet<u64>> {
    let ranges: Vec<(&QuantityAxis, (f64, f64))> =
        axes.iter().filter_map(|axis| Some((axis, *brushes.get(&axis.quantity)?))).collect();
    let is_in = |trial: &&Trial| {
        ranges
            .iter()
            .all(|(axis, (low, high))| axis.place_of(trial).is_some_and(|place| (*low..=*high).contains(&place)))
    };
    (!ranges.is_empty()).then(|| trials.iter().filter(is_in).map(|trial| trial.number).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::quantity::axes;
    use super::super::quantity::tests::{spec, trial};
    use super::*;

    #[test]
    fn a_drag_chooses_moves_and_removes_a_range() {
        let mut brushes = Brushes::default();
        let drag = Drag::start(&brushes, &Quantity::Value, 0.5);
        drag.go(&mut brushes, 0.25);
        drag.end(&mut brushes);
        assert_eq!(brushes[&Quantity::Value], (0.25, 0.5));
        let drag = Drag::start(&brushes, &Quantity::Value, 0.375);
        drag.go(&mut brushes, 2.0);
        assert_eq!(brushes[&Quantity::Value], (0.75, 1.0), "a range stays on its axis");
        let drag = Drag::start(&brushes, &Quantity::Value, 0.1);
        drag.go(&mut brushes, 0.1);
        drag.end(&mut brushes);
        assert!(brushes.is_empty(), "a click removes the range");
    }

    #[test]
    fn keys_begin_move_and_resize_a_range() {
        let mut brushes = Brushes::default();
        press(&mut brushes, &Quantity::Seed, false, false);
        assert_eq!(brushes[&Quantity::Seed], (0.0, 0.25));
        press(&mut brushes, &Quantity::Seed, false, false);
        assert_eq!(brushes[&Quantity::Seed], (0.0, 0.25), "it stays on its axis");
        press(&mut brushes, &Quantity::Seed, true, true);
        assert!((brushes[&Quantity::Seed].1 - 0.3).abs() < 1e-9);
        press(&mut brushes, &Quantity::Seed, true, false);
        assert!((brushes[&Quantity::Seed].0 - 0.05).abs() < 1e-9);
    }

    #[test]
    fn trials_are_in_all_ranges() {
        let rate = |value: f64| ("optimizer.learning_rate", json!(value));
        let trials = [
            trial(0, &[rate(1e-4), ("model.d_model", json!(32))], Some(3.0)),
            trial(1, &[rate(1e-3), ("model.d_model", json!(64))], Some(2.0)),
            trial(2, &[rate(1e-2), ("model.d_model", json!(64))], None),
        ];
        let axes = axes(&spec(), &trials);
        assert_eq!(selected(&Brushes::default(), &axes, &trials), None);
        let width = Quantity::Parameter("model.d_model".into());
        let mut brushes = Brushes::from([(width, (0.5, 1.0))]);
        assert_eq!(selected(&brushes, &axes, &trials), Some(BTreeSet::from([1, 2])));
        brushes.insert(Quantity::Value, (0.0, 0.5));
        assert_eq!(
            selected(&brushes, &axes, &trials),
            Some(BTreeSet::from([1])),
            "a trial without a value is in no range"
        );
    }
}
