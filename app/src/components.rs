//! Components that several pages use.

mod alert_conditions;
mod axis;
mod boxed;
mod canvas;
pub(crate) mod chart;
mod checkpoint;
mod confirm;
mod copy;
mod difference;
pub(crate) mod fits;
mod health;
mod hub_import;
pub(crate) mod hyperparameters;
mod icon;
pub(crate) mod interval;
mod jobs;
pub(crate) mod keyboard;
mod menu;
mod mix;
mod names;
pub(crate) mod number;
mod number_field;
mod observer;
mod painter;
mod password;
mod placeholder;
pub(crate) mod plot;
mod progress;
mod project_field;
mod role_select;
mod scroll;
mod search;
mod select;
mod server_command;
mod sparkline;
mod state;
mod submit;
mod switches;
mod task;
mod text;
mod toast;
mod value_table;

pub(crate) use alert_conditions::{AlertConditions, Conditions};
pub(crate) use axis::{AxisPick, axis_of, axis_word};
pub(crate) use boxed::{clicks, says, shows};
pub(crate) use canvas::{Canvas, CanvasEvent, OnCanvasEvent};
pub(crate) use checkpoint::{is_best, told_apart, validation};
pub(crate) use confirm::{Confirm, ConfirmDialog, Question};
pub(crate) use copy::CopyButton;
pub(crate) use difference::{difference_in_words, newest_part};
pub(crate) use health::HealthMark;
pub(crate) use hub_import::{ALL_PROJECTS, HubImport, ONLY_PROJECT};
pub(crate) use icon::{Flame, Icon};
pub(crate) use jobs::{DismissedJobs, JobList, running_jobs};
pub(crate) use menu::Menu;
pub(crate) use mix::rebalanced;
pub(crate) use names::{
    dataset_entries, dataset_name, first_of_seeds, is_usable, name_of, run_name, tag_name, tokenizer_name,
};
pub(crate) use number::Number;
pub(crate) use number_field::{
    LabeledNumber, NumberError, NumberField, NumberValue, SEEDS, TypedNumber, read as read_number,
};
pub(crate) use password::{NewPasswordField, is_password};
pub(crate) use placeholder::{Empty, Failure, RunFailure, Skeleton};
pub(crate) use progress::Progress;
pub(crate) use project_field::ProjectField;
pub(crate) use role_select::{ROLES, RoleSelect};
pub(crate) use scroll::show_nearest;
pub(crate) use search::{RunSearch, matches};
pub(crate) use select::Select;
pub(crate) use server_command::ServerCommand;
pub(crate) use sparkline::Sparkline;
pub(crate) use state::{StateMark, is_resumable};
pub(crate) use submit::{Edits, SubmitRow};
pub(crate) use switches::switches;
pub(crate) use task::task_in_words;
pub(crate) use text::{isolated, visible};
pub(crate) use toast::{ToastList, Toasts};

pub(crate) use crate::net::api::{hint_sentence, sentence};
