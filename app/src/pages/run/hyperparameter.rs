//! The hyperparameters that can change while the run trains, by their form, and their values as the page writes them.
//! All of it comes from the rows of the table.

use figure::number;
use wire::LivePath;
use wire::hyperparameters::table::Values;

/// The group of the table whose rows have a form in common ([`super::intervals`]).
const INTERVALS: &str = "intervals";

/// Beta 1, whose values are not scaled.
pub(super) const BETA1: &str = "optimizer.beta1";

/// The hyperparameters with a separate button.
pub(super) fn with_button() -> impl Iterator<Item = LivePath> {
    LivePath::all().filter(|path| path.row().group() != INTERVALS)
}

/// The intervals, which have one form.
pub(super) fn intervals() -> impl Iterator<Item = LivePath> {
    LivePath::all().filter(|path| path.row().group() == INTERVALS)
}

/// The meaning of a row and, for the learning rate, of a change during the run.
pub(super) fn live_meaning(path: LivePath) -> String {
    match path {
        LivePath::LEARNING_RATE => {
            "Learning rate of the next step. A new value rescales the rest of the schedule by the \
                                    same ratio. Shortcut: l."
                .to_owned()
        }
        _ => path.row().meaning.to_owned(),
    }
}

/// Whether 0 turns it off.
pub(super) fn is_off_at_zero(path: LivePath) -> bool {
    path == LivePath::GRAD_CLIP || path.row().group() == INTERVALS
}

/// A value as the page writes it.
pub(super) fn value(path: LivePath, value: f64) -> String {
    match path.row().values {
        _ if value == 0.0 && is_off_at_zero(path) => "off".into(),
        Values::Integer { .. } => number::with_unit(value, path.row().unit),
        _ => number::rounded(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_live_hyperparameter_is_in_the_control_bar() {
        let buttons: Vec<LivePath> = with_button().collect();
        let in_form: Vec<LivePath> = intervals().collect();
        for path in LivePath::all() {
            assert!(buttons.contains(&path) ^ in_form.contains(&path), "{path}");
        }
        assert_eq!(value(LivePath::GRAD_CLIP, 0.0), "off");
        assert_eq!(value(LivePath::EVAL_EVERY, 0.0), "off");
        assert_eq!(value(LivePath::WEIGHT_DECAY, 0.0), "0");
        for learning_rate in [10.0, 9.9998] {
            let legend = number::in_unit(learning_rate, "");
            assert_eq!(value(LivePath::LEARNING_RATE, learning_rate), legend, "on the button and in the legend");
        }
    }
}
