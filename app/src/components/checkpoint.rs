//! What lists of checkpoints say of the losses of one.

use figure::number::whole;
use wire::control::checkpoint::CheckpointInfo;

use super::number::loss;

/// `val 1.785 at step 600`: the validation loss of a checkpoint with the step of its evaluation, unless that is its own. `is_last`: that is the
/// last evaluation of the run, which reads more windows than those before.
pub(crate) fn validation(info: &CheckpointInfo, evaluated: Option<u64>, is_last: bool) -> Option<String> {
    let value = loss(info.loss_valid?);
    Some(match evaluated? {
        step if step != info.id.step => format!("val {value} at step {}", whole(step)),
        _ if is_last => format!("val {value} (last evaluation)"),
        _ => format!("val {value}"),
    })
}
