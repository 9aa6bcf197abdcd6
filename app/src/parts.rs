//! Small shared components: each shows one thing in the one way the whole page shows it.

pub(crate) mod again;
mod axis;
mod confirm;
mod copy;
mod erased;
mod icon;
mod jobs;
mod menu;
pub(crate) mod number;
mod plate;
mod progress;
mod search;
mod sparkline;
mod state;
mod toast;
mod values;
mod waiting;

pub(crate) use axis::AxisPick;
pub(crate) use confirm::{Confirm, ConfirmDialog, Question};
pub(crate) use copy::CopyButton;
pub(crate) use erased::{clicks, says, shows};
pub(crate) use icon::{Flame, Icon};
pub(crate) use jobs::{JobList, running_jobs};
pub(crate) use menu::Menu;
pub(crate) use number::Number;
pub(crate) use plate::{OnTouch, Plate, Touch};
pub(crate) use progress::Progress;
pub(crate) use search::{RunSearch, matches};
pub(crate) use sparkline::Sparkline;
pub(crate) use state::{StateMark, state_word};
pub(crate) use toast::{ToastShelf, Toasts};
pub(crate) use values::Values;
pub(crate) use waiting::{Empty, Failure, Skeleton};
