//! The findings of a run: what each rule saw, why it matters, what shows it, and what can be done; and the settings of the rules of the
//! run. It is a part of the program of its own; [`super::health`] loads it.
//!
//! - [`state`] fetches them and gives the page its markers; [`panel`] lists them; [`card`] shows one, with its [`evidence`] and [`remedy`];
//! - [`settings`] is the dialog with muted rules, thresholds and actions, whose fields are in [`rule_draft`].

mod card;
mod evidence;
mod panel;
mod remedy;
mod rule_draft;
mod settings;
mod state;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use panel::FindingsPanel;

/// Builds the list of findings.
pub(super) type Build = fn(()) -> AnyView;

#[wasm_split(findings, wasm_split_path = ::leptos::wasm_split, fallible)]
fn findings_part() -> Result<Build, SplitLoaderError> {
    Ok(|()| view! { <FindingsPanel /> }.into_any())
}

/// Loads the part; at once if it is loaded.
pub(super) async fn load() -> Result<Build, SplitLoaderError> {
    findings_part().await
}
