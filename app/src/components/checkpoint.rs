//! What lists of checkpoints say of the losses of one, and how menus tell checkpoints of one step apart.

use figure::number::whole;
use wire::control::checkpoint::CheckpointView;

use super::number::loss;

/// Whether a checkpoint has the lowest validation loss, evaluated at its own step: others have the value of an earlier step.
pub(crate) fn is_best(saved: &CheckpointView) -> bool {
    saved.is_best && saved.evaluated == Some(saved.info.id.step)
}

/// `val 1.785 at step 600`: the validation loss of a checkpoint with the step of its evaluation, unless that is its own. `is_last`: that is the
/// last evaluation of the run, which reads more windows than those before.
pub(crate) fn validation(saved: &CheckpointView, is_last: bool) -> Option<String> {
    let info = &saved.info;
    let value = loss(info.loss_valid?);
    Some(match saved.evaluated? {
        step if step != info.id.step => format!("val {value} at step {}", whole(step)),
        _ if is_last => format!("val {value} (last evaluation)"),
        _ => format!("val {value}"),
    })
}

/// Options of a menu of checkpoints, each with its label and the time at which the checkpoint was saved, ms since 1970. Equal labels get
/// the time: after a rollback, checkpoints of two branches can have the same step, cause and loss.
pub(crate) fn told_apart(options: Vec<(String, String, i64)>, time: impl Fn(f64) -> String) -> Vec<(String, String)> {
    let is_repeated = |label: &String| options.iter().filter(|(_, other, _)| other == label).count() > 1;
    let option = |(value, label, at_ms): &(String, String, i64)| match is_repeated(label) {
        true => (value.clone(), format!("{label} · saved {}", time(*at_ms as f64))),
        false => (value.clone(), label.clone()),
    };
    options.iter().map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::told_apart;

    #[test]
    fn checkpoints_with_the_same_label_are_told_apart_by_their_times() {
        let option = |id: &str, label: &str, at_ms| (id.to_owned(), label.to_owned(), at_ms);
        let options =
            vec![option("1-450", "step 450", 7), option("0-450", "step 450", 5), option("0-400", "step 400", 3)];
        let labelled = told_apart(options, |at_ms| format!("at {at_ms}"));
        let labels: Vec<&str> = labelled.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["step 450 · saved at 7", "step 450 · saved at 5", "step 400"]);
    }
}
