//! The places of the page, one file each.

mod lab;
mod run;
mod settings;
mod signin;
mod start;
mod texts;

pub(crate) use lab::LabPage;
pub(crate) use run::RunPage;
pub(crate) use settings::SettingsPage;
pub(crate) use signin::SignInPage;
pub(crate) use start::StartPage;
pub(crate) use texts::TextsPage;
