//! The findings of a run: what each rule saw, why it matters, what shows it, and what can be done; and the settings of the rules of the
//! run. They are in the part of [`super::details`]; [`super::health`] opens them.
//!
//! - [`state`] fetches them and gives the page its markers; [`panel`] lists them; [`card`] shows one, with its [`evidence`] and [`remedy`];
//! - [`acts`] says what rules do while the page is open;
//! - [`settings`] is the dialog with muted rules, thresholds and actions, whose fields are in [`rule_draft`].

mod acts;
mod card;
mod evidence;
mod panel;
mod remedy;
mod rule_draft;
mod settings;
mod state;

pub(super) use panel::FindingsPanel;
