//! The pages. Each owns its state and its components. The Lab and the sign-in page are in the main module of the
//! program; the others are in [`parts`], which the browser loads when they are first needed.

mod approvals;
mod compare;
mod data;
mod experiments;
mod fleet;
mod lab;
mod new_run;
mod parts;
mod people;
mod playground;
mod rules;
mod run;
mod settings;
mod signin;
mod sweeps;
mod xray;

pub(crate) use lab::LabPage;
pub(crate) use parts::{Part, PartPage};
pub(crate) use signin::SignInPage;
