//! Components that several pages use.

mod axis;
mod boxed;
mod canvas;
pub(crate) mod chart;
mod confirm;
mod copy;
pub(crate) mod hyperparameters;
mod icon;
pub(crate) mod interval;
mod jobs;
pub(crate) mod keyboard;
mod menu;
mod mix;
pub(crate) mod number;
mod number_field;
mod observer;
mod painter;
mod placeholder;
mod progress;
mod search;
mod server_command;
mod sparkline;
mod state;
mod toast;
mod value_table;

pub(crate) use axis::AxisPick;
pub(crate) use boxed::{clicks, says, shows};
pub(crate) use canvas::{Canvas, CanvasEvent, OnCanvasEvent};
pub(crate) use confirm::{Confirm, ConfirmDialog, Question};
pub(crate) use copy::CopyButton;
pub(crate) use icon::{Flame, Icon};
pub(crate) use jobs::{DismissedJobs, JobList, running_jobs};
pub(crate) use menu::Menu;
pub(crate) use mix::rebalanced;
pub(crate) use number::Number;
pub(crate) use number_field::{NumberError, NumberField, NumberValue, SEEDS, TypedNumber, read as read_number};
pub(crate) use placeholder::{Empty, Failure, RunFailure, Skeleton};
pub(crate) use progress::Progress;
pub(crate) use search::{RunSearch, matches};
pub(crate) use server_command::ServerCommand;
pub(crate) use sparkline::Sparkline;
pub(crate) use state::{StateMark, is_resumable, state_word};
pub(crate) use toast::{ToastList, Toasts};

pub(crate) use crate::net::api::sentence;
