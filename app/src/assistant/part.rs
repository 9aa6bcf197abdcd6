//! The part of the program with the panel; see [`crate::pages`].

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use super::panel::AssistantPanel;
use super::state::Assistant;

/// Builds the panel.
pub(super) type Build = fn(Assistant) -> AnyView;

#[wasm_split(assistant, wasm_split_path = ::leptos::wasm_split, fallible)]
fn assistant_part() -> Result<Build, SplitLoaderError> {
    Ok(|assistant| view! { <AssistantPanel assistant /> }.into_any())
}

/// Loads the part; at once if it is loaded.
pub(super) async fn load() -> Result<Build, SplitLoaderError> {
    assistant_part().await
}
