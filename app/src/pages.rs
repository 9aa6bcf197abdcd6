//! The pages. Each owns its state and its components.

mod compare;
mod data;
mod lab;
mod new_run;
mod playground;
mod run;
mod settings;
mod signin;
mod xray;

pub(crate) use compare::ComparePage;
pub(crate) use data::DataPage;
pub(crate) use lab::LabPage;
pub(crate) use new_run::NewRunPage;
pub(crate) use playground::PlaygroundPage;
pub(crate) use run::RunPage;
pub(crate) use settings::SettingsPage;
pub(crate) use signin::SignInPage;
pub(crate) use xray::XrayPage;
