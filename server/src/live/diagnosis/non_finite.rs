//! Values that were not finite, as the rules read them. The training loop reports them as events, because the step was not taken and has no
//! row.

use std::ops::Range;

use wire::EventRecord;
use wire::series::{Row, name};

/// The row of an event; `None` for other events, and for values that no rule reads.
pub(super) fn row(record: &EventRecord) -> Option<Row> {
    let series = record.event.non_finite_series()?;
    // The series of the validation loss counts the step whose update gave the weights.
    let step = if series == name::VALID { record.step.saturating_sub(1) } else { record.step };
    Some(Row { segment: record.segment, step, values: vec![(series.to_owned(), f64::NAN)] })
}

/// The rows of some steps with these values of the path in between, in the order in which they were reported.
pub(super) fn inserted(
    mut rows: Vec<Row>,
    events: &[Row],
    path: &[(u32, u64, Option<u64>)],
    steps: Range<u64>,
) -> Vec<Row> {
    let is_on = |row: &&Row| {
        let is_within = |(segment, from, to): &(u32, u64, Option<u64>)| {
            row.segment == *segment && row.step >= *from && to.is_none_or(|to| row.step < to)
        };
        steps.contains(&row.step) && path.iter().any(is_within)
    };
    for event in events.iter().filter(is_on) {
        // A loss of the step comes before the row with which the step is trained again, a validation loss after the row of its step.
        let is_after = event.values.iter().any(|(series, _)| series == name::VALID);
        let at = rows.partition_point(|row| row.step < event.step || is_after && row.step == event.step);
        rows.insert(at, event.clone());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Author, Event};

    fn event(segment: u32, step: u64, what: &str) -> EventRecord {
        let event = Event::NonFinite { what: what.into() };
        EventRecord {
            number: 1,
            segment,
            step,
            at_ms: 0,
            author: Author::System,
            command_id: None,
            reason: None,
            event,
        }
    }

    #[test]
    fn values_that_were_not_finite_stand_where_they_were_reported() {
        let row_of = |step| Row { segment: 0, step, values: vec![(name::TRAIN.to_owned(), 1.0)] };
        let events =
            [event(0, 2, "training loss (NaN)"), event(0, 3, "validation loss"), event(1, 2, "gradient norm (inf)")];
        let events: Vec<Row> = events.iter().filter_map(row).collect();
        let rows = inserted((0..5).map(row_of).collect(), &events, &[(0, 0, None)], 0..5);
        let is_finite = |row: &Row| row.values.iter().all(|(_, value)| value.is_finite());
        let order: Vec<_> = rows.iter().map(|row| (row.step, is_finite(row))).collect();
        let expected = [(0, true), (1, true), (2, false), (2, true), (2, false), (3, true), (4, true)];
        assert_eq!(order, expected);
        assert_eq!(row(&event(0, 2, "checkpoint of step 2")), None);
    }
}
