//! The columns of the table of trials, and the order of its rows.

use std::cmp::Ordering;

use serde_json::Value;
use wire::sweep::record::{Trial, TrialState};

use super::quantity::Quantity;

/// The quantity by which rows are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    /// The number of the trial.
    Number,
    State,
    Quantity(Quantity),
    /// Steps done at the last value.
    Step,
}

/// A column, and whether its values rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) is_rising: bool,
}

impl Order {
    /// The order after a click on the heading of a column: rising, then falling.
    pub(super) fn clicked(&self, column: Column) -> Self {
        Self { is_rising: self.column != column || !self.is_rising, column }
    }
}

/// Places of the trials in order. Trials without a value in the column come last, in the order of their numbers.
pub(super) fn sorted(trials: &[Trial], order: &Order) -> Vec<usize> {
    let keys: Vec<Option<Value>> = trials.iter().map(|trial| key(trial, &order.column)).collect();
    let mut places: Vec<usize> = (0..trials.len()).collect();
    places.sort_by(|a, b| {
        let by_key = match (&keys[*a], &keys[*b]) {
            (Some(one), Some(other)) if order.is_rising => compare(one, other),
            (Some(one), Some(other)) => compare(other, one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        };
        by_key.then(a.cmp(b))
    });
    places
}

fn key(trial: &Trial, column: &Column) -> Option<Value> {
    match column {
        Column::Number => Some(trial.number.into()),
        Column::State => Some(rank(trial.state).into()),
        Column::Quantity(quantity) => quantity.of(trial),
        Column::Step => trial.last_step.map(Value::from),
    }
}

fn rank(state: TrialState) -> u64 {
    match state {
        TrialState::Running => 0,
        TrialState::Queued => 1,
        TrialState::Finished => 2,
        TrialState::Stopped => 3,
        TrialState::Failed => 4,
    }
}

/// Numbers by size, words by letters.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::quantity::tests::trial;
    use super::*;

    #[test]
    fn rows_are_sorted_and_missing_values_come_last() {
        let rate = |value: f64| [("optimizer.learning_rate", json!(value))];
        let trials = [trial(0, &rate(1e-3), None), trial(1, &rate(1e-2), Some(2.5)), trial(2, &[], Some(1.5))];
        let by = |column: Column, is_rising| sorted(&trials, &Order { column, is_rising });
        let value = || Column::Quantity(Quantity::Value);
        assert_eq!(by(value(), true), [2, 1, 0]);
        assert_eq!(by(value(), false), [1, 2, 0]);
        let rate = || Column::Quantity(Quantity::Parameter("optimizer.learning_rate".into()));
        assert_eq!(by(rate(), false), [1, 0, 2]);
        assert_eq!(by(Column::Number, false), [2, 1, 0]);
        assert_eq!(by(Column::State, true), [0, 1, 2], "equal trials keep the order of their numbers");
    }

    #[test]
    fn a_second_click_turns_the_order() {
        let order = Order { column: Column::Number, is_rising: true };
        assert!(!order.clicked(Column::Number).is_rising);
        let by_step = order.clicked(Column::Step);
        assert_eq!((by_step.column.clone(), by_step.is_rising), (Column::Step, true));
        assert!(by_step.clicked(Column::Step).clicked(Column::Step).is_rising);
    }
}
