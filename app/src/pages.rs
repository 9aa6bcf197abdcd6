//! The places of the page, one file each.

mod compare;
mod lab;
mod playground;
mod run;
mod settings;
mod signin;
mod start;
mod texts;
mod xray;

pub(crate) use compare::ComparePage;
pub(crate) use lab::LabPage;
pub(crate) use playground::PlaygroundPage;
pub(crate) use run::RunPage;
pub(crate) use settings::SettingsPage;
pub(crate) use signin::SignInPage;
pub(crate) use start::StartPage;
pub(crate) use texts::TextsPage;
pub(crate) use xray::XrayPage;
